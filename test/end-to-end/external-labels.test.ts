/**
 * Blocks of metrics carry what Cortex' and Thanos' compactors want of a block that they merge; those that don't, older
 * ones and Prometheus' own, are imported, answered from and merged with them. req-040 req-142 req-147.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock, type Clock } from '#core/clock.ts'
import { Peer, programPath } from '../peers.ts'
import { runCommand } from '../run-cli.ts'
import { runTercet, temporaryDirectory } from '../run-tercet.ts'
import { until } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'
import { freePort } from '../free-port.ts'

interface Meta {
  ulid: string
  minTime: number
  maxTime: number
  compaction: { level: number; sources: string[] }
  thanos?: { labels: unknown }
}

/** Of the blocks that are not about to be deleted. */
function metasIn(directory: string): Meta[] {
  const isBlock = (name: string): boolean => /^[0-9A-Z]{26}$/.test(name)
  const blocks = readdirSync(directory).filter(isBlock)
  return blocks.map(name => JSON.parse(readFileSync(join(directory, name, 'meta.json'), 'utf8')) as Meta)
}

test("a block of each tenant has the external label of Cortex' own blocks", async () => {
  const running = await runTercet(['tenancy=on'])
  try {
    for (const tenant of ['anonymous', 'team-b']) {
      const body = writeBody([{ labels: [['__name__', 'a']], samples: [[Date.now(), 1]] }])
      assert.equal((await postWrite(running.url, body, { 'x-scope-orgid': tenant })).status, 204)
    }
    await fetch(`${running.url}/-/flush`, { method: 'POST' })
    for (const tenant of ['anonymous', 'team-b']) {
      const metas = metasIn(join(running.directory, 'data/bucket/metrics', tenant))
      assert.deepEqual(
        metas.map(({ thanos }) => thanos?.labels),
        [{ __org_id__: tenant }],
      )
    }
  } finally {
    await running.stop()
  }
})

const fixtures = new URL('../../fixtures/prometheus/blocks', import.meta.url).pathname
const unlabelled = metasIn(fixtures)
const throughMs = Math.max(...unlabelled.map(meta => meta.maxTime))
const minuteMs = 60_000

/** What is done every quarter of a minute, as merging is, comes at once. */
const hastened: Clock = {
  ...systemClock,
  after: (delayMs, run) => systemClock.after(delayMs > 14_000 && delayMs <= 15_000 ? 500 : delayMs, run),
}

/** Every sample of the blocks as it is, series by series. */
async function samplesAt(url: string): Promise<string[]> {
  const parameters = { query: '{__name__=~".+",__name__!="ours"}[12h]', time: String(throughMs / 1000) }
  const reply = await fetch(`${url}/api/v1/query?${new URLSearchParams(parameters).toString()}`)
  const text = await reply.text()
  assert.equal(reply.status, 200, text.slice(0, 300))
  const { data } = JSON.parse(text) as { data: { result: { metric: Record<string, string>; values: unknown }[] } }
  return data.result.map(({ metric, values }) => JSON.stringify([Object.entries(metric).sort(), values])).sort()
}

/** Prometheus sees no label of it. */
async function readByPrometheus(t: TestContext, bucket: string, directory: string, wanted: string[]): Promise<void> {
  if (programPath('prometheus') === undefined) {
    t.diagnostic('NOT TESTED: prometheus is not here')
    return
  }
  const data = join(directory, 'prometheus')
  cpSync(bucket, data, { recursive: true, filter: path => !path.endsWith('.json') || path.endsWith('/meta.json') })
  const port = await freePort()
  writeFileSync(join(directory, 'none.yml'), '')
  const flags = [`--storage.tsdb.path=${data}`, '--storage.tsdb.retention.time=100y', '--storage.tsdb.no-lockfile']
  const peer = new Peer(
    'prometheus',
    [`--config.file=${join(directory, 'none.yml')}`, `--web.listen-address=127.0.0.1:${port}`, ...flags],
    directory,
  )
  try {
    const url = `http://127.0.0.1:${port}`
    await until(async () => ((await fetch(`${url}/-/ready`)).ok ? true : undefined), 'Prometheus is ready', 60)
    assert.deepEqual(await samplesAt(url), wanted)
  } finally {
    await peer.stop()
  }
}

const ours = { labels: [['__name__', 'ours']] as [string, string][], count: 30 }

for (const from of ['thanos', 'mimir'])
  test(`blocks without the label, imported from ${from}, are merged with labelled ones`, async t => {
    const directory = temporaryDirectory()
    const bucket = join(directory, 'data/bucket/metrics/anonymous')
    const source = join(directory, 'source')
    mkdirSync(source)
    cpSync(fixtures, from === 'mimir' ? join(source, 'anonymous') : source, { recursive: true })
    const settings = ['metrics.retention=inf', 'metrics.out_of_order_window=inf']
    try {
      const run = await runCommand([
        'import',
        `--from=${from}`,
        source,
        `--data_dir=${join(directory, 'data')}`,
        '--metrics.retention=inf',
      ])
      assert.equal(run.code, 0, run.err + run.out)
      const reader = await runTercet([...settings, 'role=query'], directory)
      const before = await samplesAt(reader.url)
      await reader.tercet.close()
      assert.ok(before.length > 200)

      const running = await runTercet(settings, directory, { clock: hastened })
      const samples = Array.from({ length: ours.count }, (_, i): [number, number] => [
        throughMs + (i + 1) * minuteMs,
        i,
      ])
      // The range that both are in is over when samples of the next day are there.
      samples.push([throughMs + 24 * 60 * minuteMs, 0])
      assert.equal((await postWrite(running.url, writeBody([{ labels: ours.labels, samples }]))).status, 204)
      await fetch(`${running.url}/-/flush`, { method: 'POST' })
      const isOld = (id: string): boolean => unlabelled.some(({ ulid }) => ulid === id)
      const isOfBoth = ({ compaction: { sources } }: Meta): boolean =>
        sources.some(isOld) && !sources.every(id => isOld(id))
      const merged = await until(() => Promise.resolve(metasIn(bucket).find(isOfBoth)), 'old and new are merged', 40)
      assert.deepEqual(merged.thanos?.labels, { __org_id__: 'anonymous' })
      assert.deepEqual(await samplesAt(running.url), before)
      await running.tercet.close()
      await readByPrometheus(t, bucket, directory, before)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
