/**
 * A process that only reads, over buckets that real engines write and go on writing: Cortex (in Mimir's place), Loki
 * and Tempo cut, merge and delete what they have in minutes. No answer may lack anything or have it twice, new blocks
 * are found within a minute, and the server of the buckets counts what was asked of it: nothing is ever written.
 * Skipped, and said so, where the engines are not there (TERCET_ENGINES). Covers req-010, req-066, req-124.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { startCeph, type Ceph } from '../ceph.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'
import * as foreign from './foreign.ts'
import { Freshness, keysOf } from './freshness.ts'
import { lines, samples, traces, type Numbered } from './numbered.ts'
import { ReaderWatch } from './reader-watch.ts'

const needed = foreign.needsEngines('cortex', 'loki', 'tempo')
if (needed.skip !== false) console.log(needed.skip)
const directory = temporaryDirectory()
const buckets = ['metrics', 'logs', 'traces', 'logs-periods', 'traces3', 'traces5', 'empty']
const loadSeconds = Number(process.env['READ_ONLY_SECONDS'] ?? 210)
let ceph: Ceph

interface Reader {
  url: string
  log: () => string
  stop(): Promise<void>
}

/** A process of its own with the reader's keys; `flags` name its buckets. */
async function startReader(name: string, flags: readonly string[]): Promise<Reader> {
  const s3 = [`endpoint=${ceph.endpoint}`, 'allow_insecure=true']
  const keys = [`access_key_id=${foreign.readerKeys.id}`, `secret_access_key=${foreign.readerKeys.secret}`]
  const listen = ['--listen.http=127.0.0.1:0', '--listen.otlp_http=off', '--listen.otlp_grpc=off']
  const own = ['--role=query', '--tenancy=on', `--data_dir=${directory}/${name}`, '--disk_free_min=0']
  const all = [...own, ...listen, ...[...s3, ...keys].map(flag => `--bucket.s3.${flag}`), ...flags]
  const child = spawn(process.execPath, ['src/app/main.ts', 'up', ...all], { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  const url = await until(() => /http +(http:\/\/\S+)/.exec(out)?.[1], 'the reader listens', 60)
  return {
    url,
    log: () => log,
    async stop() {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}

if (needed.skip === false) {
  before(
    async () => {
      ceph = await startCeph(`${directory}/ceph`, buckets)
      await foreign.makeReader(ceph, `${directory}/ceph`, buckets)
    },
    { timeout: 180_000 },
  )
  after(async () => {
    await ceph.stop()
    rmSync(directory, { recursive: true, force: true })
  })
}

/** The server's own count of what the reader asked. */
function onlyRead(bucket = ''): Record<string, number> {
  const counts = foreign.requestsOfReader(`${directory}/ceph`, bucket)
  assert.ok((counts['GET'] ?? 0) > 0, 'the server counts')
  const verbs = Object.keys(counts).filter(verb => !['GET', 'LIST', 'HEAD'].includes(verb))
  assert.deepEqual(verbs, [], JSON.stringify(counts))
  return counts
}

const headersOf = (tenant: string): Record<string, string> => ({ 'x-scope-orgid': tenant })

test(
  'Cortex, Loki and Tempo go on writing: nothing is missing or twice, and nothing is written',
  { ...needed, timeout: 600_000 },
  async t => {
    const cortex = await foreign.startCortex(ceph, 'metrics', `${directory}/cortex`)
    const period = [{ from: '2024-01-01', schema: 'v13' }]
    const lokiDirectory = `${directory}/loki`
    let loki = await foreign.startLoki(ceph, 'logs', lokiDirectory, period)
    const tempo = await foreign.startTempo(ceph, 'traces', `${directory}/tempo`, 'vParquet4')
    const own = ['metrics', 'logs', 'traces'].map(name => `--${name}.bucket.s3.bucket=${name}`)
    // The buckets are empty still: there are no tenants.
    const reader = await startReader('reader', own)
    try {
      const baseMs = Math.floor(Date.now() / 1000) * 1000
      const lokiUrl = (): string => loki.url
      const items: Record<string, Numbered> = {
        samples: samples(() => `${cortex.url}/api/v1/push`, baseMs, headersOf('team-a')),
        lines: lines(lokiUrl, baseMs, headersOf('fake')),
        traces: traces(() => tempo.otlp, baseMs, headersOf('single-tenant')),
      }
      const engines = { samples: () => `${cortex.url}/prometheus`, lines: lokiUrl, traces: () => tempo.url }
      const watches = Object.entries(items).map(([name, one]) => ({ name, watch: new ReaderWatch(one, reader.url) }))
      const freshness = new Freshness(ceph.client, ['metrics', 'logs', 'traces'], reader.url)
      freshness.start()
      for (const { watch } of watches) watch.start(baseMs)
      const endMs = Date.now() + loadSeconds * 1000
      while (Date.now() < endMs) {
        // Loki puts an index into the bucket every quarter of an hour, and when it stops.
        await new Promise(resolve => setTimeout(resolve, 35_000))
        await loki.stop()
        loki = await foreign.startLoki(ceph, 'logs', lokiDirectory, period)
      }
      for (const { watch } of watches) await watch.stop()
      await freshness.stop()
      // What Loki has in memory goes into the bucket; another one has what is there, and nothing else.
      await loki.stop()
      loki = await foreign.startLoki(ceph, 'logs', `${directory}/loki-cold`, period)
      for (const { name, watch } of watches) {
        const { findings, looks, lagMost } = watch.watched
        assert.deepEqual(findings, [], name)
        const all = (url: string): Promise<number[]> => items[name]!.read(url, 0, watch.sent)
        const theirs = (await all(engines[name as keyof typeof engines]())).sort((a, b) => a - b)
        // What an engine has not cut yet is in no bucket; the other Loki has nothing but the bucket.
        const least = name === 'lines' ? theirs.at(-1)! : watch.sent - 70
        const inBucket = await until(
          async () => {
            const found = (await all(reader.url)).sort((a, b) => a - b)
            const expected = theirs.filter(n => n <= found.at(-1)!)
            if (found.at(-1)! >= least && isDeepStrictEqual(found, expected)) return found
            throw new Error(`of ${expected.length} ${found.length}, ${least} should be there: ${found.join()}`)
          },
          `the reader has the same ${name} as the engine`,
          90,
        )
        assert.ok(inBucket.length > 60, `${name}: ${inBucket.length}`)
        t.diagnostic(
          `${name}: ${watch.sent + 1} sent, ${looks} looks, ${inBucket.length} equal to the engine's own in the end, ` +
            `${lagMost} s behind at most`,
        )
      }
      const { seen, secondsMost } = freshness.result
      t.diagnostic(`${seen} blocks and indexes were seen, each within ${secondsMost} s`)
      assert.ok(seen > 5 && secondsMost <= 60, `${seen} blocks, within ${secondsMost} s`)
      await deletedMeanwhile()
      for (const bucket of ['metrics', 'logs', 'traces']) t.diagnostic(`${bucket}: ${JSON.stringify(onlyRead(bucket))}`)
    } finally {
      await reader.stop()
      await Promise.all([cortex.stop(), loki.stop(), tempo.stop()])
    }
  },
)

/** Each of them deleted something, so that there was something to get wrong. */
async function deletedMeanwhile(): Promise<void> {
  const marks = (await keysOf(ceph.client, 'metrics')).filter(key => key.includes('deletion-mark'))
  const compacted = (await keysOf(ceph.client, 'traces')).filter(key => key.endsWith('meta.compacted.json'))
  const merged = (await keysOf(ceph.client, 'logs')).filter(key => key.includes('-compactor-'))
  for (const [name, found] of Object.entries({ marks, compacted, merged })) assert.ok(found.length > 0, name)
}
