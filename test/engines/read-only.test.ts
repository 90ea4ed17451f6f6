/**
 * A process that only reads, over buckets that real engines write and go on writing: Cortex (in Mimir's place), Loki
 * and Tempo cut, merge and delete what they have in minutes. No answer may lack anything or have it twice, new blocks
 * are found within a minute, and the server of the buckets counts what was asked of it: nothing is ever written.
 * Skipped, and said so, where the engines are not there (ENGINES_DIRECTORY). Covers req-010, req-066, req-124.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { gzipSync } from 'node:zlib'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { forEachParallel } from '#core/parallel.ts'
import { startCeph, type Ceph } from '../ceph.ts'
import { listeningUrl } from '../listening-url.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'
import * as foreign from './foreign.ts'
import { Freshness, keysOf } from './freshness.ts'
import { lines, samples, traces, type Numbered } from './numbered.ts'
import { needsEngines } from './programs.ts'
import { ReaderWatch } from './reader-watch.ts'

const needed = needsEngines({ programs: ['cortex', 'loki', 'tempo'], s3: true })
if (needed.skip !== false) console.log(needed.skip)
const directory = temporaryDirectory()
const buckets = ['metrics', 'logs', 'traces', 'logs-periods', 'empty', 'tenants', 'root']
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
  const url = await listeningUrl(child)
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
  before(async () => {
    ceph = await startCeph(`${directory}/ceph`, buckets)
    await foreign.makeReader(ceph, `${directory}/ceph`, buckets)
  })
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

test('Cortex, Loki and Tempo go on writing: nothing is missing or twice, and nothing is written', needed, async t => {
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
})

/** Each of them deleted something, so that there was something to get wrong. */
async function deletedMeanwhile(): Promise<void> {
  const marks = (await keysOf(ceph.client, 'metrics')).filter(key => key.includes('deletion-mark'))
  const compacted = (await keysOf(ceph.client, 'traces')).filter(key => key.endsWith('meta.compacted.json'))
  const merged = (await keysOf(ceph.client, 'logs')).filter(key => key.includes('-compactor-'))
  for (const [name, found] of Object.entries({ marks, compacted, merged })) assert.ok(found.length > 0, name)
}

const dayMs = 86_400_000
const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** Sixty lines of a day, in two streams of its own. */
async function pushDay(url: string, startMs: number, tenant: string): Promise<void> {
  const streams = ['a', 'b'].map(shard => ({
    stream: { app: 'periods', day: dateOf(startMs), shard },
    values: Array.from({ length: 30 }, (_, n) => [
      `${startMs + dayMs / 2 + n * 60_000}000000`,
      `line ${n} of ${shard} in ${tenant}`,
    ]),
  }))
  const reply = await fetch(`${url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headersOf(tenant) },
    body: JSON.stringify({ streams }),
  })
  assert.ok(reply.ok, await reply.text())
}

interface LokiAnswer {
  data: { result: { metric?: unknown; stream?: unknown; values: unknown }[] }
  warnings?: string[]
}

async function askDay(url: string, query: string, startMs: number, tenant: string): Promise<LokiAnswer> {
  const parameters = {
    query,
    start: `${startMs}000000`,
    end: `${startMs + dayMs - 1}000000`,
    limit: '1000',
    step: '1h',
  }
  const reply = await fetch(`${url}/loki/api/v1/query_range?${new URLSearchParams(parameters).toString()}`, {
    headers: headersOf(tenant),
  })
  const text = await reply.text()
  assert.equal(reply.status, 200, text)
  return JSON.parse(text) as LokiAnswer
}

const resultOf = ({ data }: LokiAnswer): unknown =>
  data.result.map(({ metric, stream, values }) => JSON.stringify([metric ?? stream, values])).sort()

const dayQueries = [
  '{app="periods"}',
  '{app="periods", shard="a"} |= "line 1"',
  'sum by (shard) (count_over_time({app="periods"}[1h]))',
  'sum(rate({app="periods"} |~ "line [0-9] of" [2h]))',
]

test(
  'Loki with periods of boltdb-shipper, v11, v12 and v13, and two tenants: all but boltdb is equal, which is named',
  needed,
  async t => {
    const today = Math.floor(Date.now() / dayMs) * dayMs
    const day = (ago: number): string => dateOf(today - ago * dayMs)
    const periods = [
      { from: '2024-01-01', schema: 'v12', store: 'boltdb-shipper' as const },
      { from: day(3), schema: 'v11' },
      { from: day(2), schema: 'v12' },
      { from: day(1), schema: 'v13' },
    ]
    const tenants = ['red', 'blue']
    const writer = await foreign.startLoki(ceph, 'logs-periods', `${directory}/periods`, periods, true)
    for (const tenant of tenants) for (const ago of [4, 3, 2, 1]) await pushDay(writer.url, today - ago * dayMs, tenant)
    // Everything goes into the bucket.
    await writer.stop()
    const loki = await foreign.startLoki(ceph, 'logs-periods', `${directory}/periods-cold`, periods, true)
    const reader = await startReader('periods-reader', [
      '--logs.bucket.s3.bucket=logs-periods',
      '--metrics.bucket.s3.bucket=empty',
      '--traces.bucket.s3.bucket=empty',
    ])
    try {
      let equal = 0
      for (const tenant of tenants)
        for (const ago of [3, 2, 1])
          for (const query of dayQueries) {
            const ask = (url: string): Promise<LokiAnswer> => askDay(url, query, today - ago * dayMs, tenant)
            const theirs = resultOf(await ask(loki.url)) as unknown[]
            assert.ok(theirs.length > 0, `Loki has ${query} of ${day(ago)}`)
            const ours = await ask(reader.url)
            assert.deepEqual(resultOf(ours), theirs, `${tenant} ${day(ago)} ${query}`)
            // A range reaches back, on the first day into the one of boltdb-shipper.
            if (ago < 3 || !query.includes('[')) assert.equal(ours.warnings, undefined, query)
            equal++
          }
      const refused = await askDay(reader.url, dayQueries[0]!, today - 4 * dayMs, 'red')
      assert.deepEqual(refused.data.result, [])
      assert.match(refused.warnings!.join(), /boltdb-shipper's, which is not read/)
      t.diagnostic(`${equal} answers are equal; of ${day(4)}: ${refused.warnings!.join()}`)
      t.diagnostic(/^.*signal=logs.*the bucket is read.*$/m.exec(reader.log())?.[0] ?? '')
      t.diagnostic(`logs-periods: ${JSON.stringify(onlyRead('logs-periods'))}`)
    } finally {
      await reader.stop()
      await loki.stop()
    }
  },
)

const manyBlocks = 2000

/** So many blocks of metrics below a tenant, and as many at the root, of which nothing but their names is asked. */
async function putMany(): Promise<void> {
  const meta = (ulid: string): string =>
    JSON.stringify({
      version: 1,
      ulid,
      minTime: 0,
      maxTime: 7_200_000,
      stats: {},
      compaction: { level: 1, sources: [ulid] },
    })
  const ids = Array.from({ length: manyBlocks }, (_, n) => `01M8N1NJ6T1CJPPPFRNK9Y${String(n).padStart(4, '0')}`)
  const put = (Bucket: string, Key: string, Body: string | Uint8Array): Promise<unknown> =>
    ceph.client.send(new PutObjectCommand({ Bucket, Key, Body }))
  await forEachParallel(ids, 32, async id => {
    await Promise.all([
      put('tenants', `t/${id}/meta.json`, meta(id)),
      put('tenants', `t/${id}/index`, 'x'),
      put('root', `${id}/meta.json`, meta(id)),
      put('root', `${id}/index`, 'x'),
    ])
  })
  const blocks = ids.map(block_id => ({ block_id, min_time: 0, max_time: 7_200_000 }))
  await put('tenants', 't/bucket-index.json.gz', gzipSync(JSON.stringify({ version: 1, blocks })))
  await put('tenants', 't/markers/cleaner-visit-marker.json', '{}')
}

test(`${manyBlocks} blocks: what a start and a look cost`, needed, async t => {
  await putMany()
  for (const [bucket, gets] of [
    ['tenants', 10],
    ['root', manyBlocks + 10],
  ] as const) {
    const reader = await startReader(`many-${bucket}`, [
      `--metrics.bucket.s3.bucket=${bucket}`,
      '--logs.bucket.s3.bucket=empty',
      '--traces.bucket.s3.bucket=empty',
    ])
    try {
      const { blocks } = (await (await fetch(`${reader.url}/api/tercet/blocks`)).json()) as { blocks: unknown[] }
      assert.equal(blocks.length, manyBlocks)
      const atStart = onlyRead(bucket)
      assert.ok(atStart['GET']! <= gets, JSON.stringify(atStart))
      await fetch(`${reader.url}/-/reload`, { method: 'POST' })
      const after = onlyRead(bucket)
      assert.equal(after['GET'], atStart['GET'], 'a look that finds nothing new gets nothing')
      const look = (after['LIST'] ?? 0) - (atStart['LIST'] ?? 0)
      t.diagnostic(`${bucket}: start ${JSON.stringify(atStart)}, each look LIST ${look}`)
      assert.ok(look <= 16, String(look))
    } finally {
      await reader.stop()
    }
  }
})
