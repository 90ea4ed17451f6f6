/** A Tercet in this process: what it is asked, its time, and that nothing of it is left. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { VirtualClock } from '#core/virtual-clock.ts'
import { connectTercet } from './connection.ts'
import { startTercet } from './instance.ts'
import { QueryError } from './telemetry.ts'

const startAt = '2026-01-01T00:00:00Z'
const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

test('metrics, logs and traces that are added are answered, with their types', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  assert.equal(tercet.url, undefined)
  await tercet.addMetrics([
    { name: 'up', labels: { job: 'a' }, value: 1 },
    { labels: { __name__: 'odd', 'a.b': 'é' }, value: Infinity, at: '2025-12-31T23:59:00Z' },
  ])
  const timeMs = Date.parse(startAt)
  assert.deepEqual(await tercet.promql('up'), {
    samples: [{ labels: { __name__: 'up', job: 'a' }, timeMs, value: 1 }],
    warnings: [],
  })
  assert.deepEqual((await tercet.promql('odd')).samples[0]?.value, Infinity)
  assert.deepEqual((await tercet.promql('1 + 1')).samples, [{ labels: {}, timeMs, value: 2 }])
  const { series } = await tercet.promqlRange('up', { from: timeMs - 60_000, step: '1m' })
  assert.deepEqual(series, [{ labels: { __name__: 'up', job: 'a' }, points: [{ timeMs, value: 1 }] }])
  assert.deepEqual((await tercet.series('{job="a"}')).series, [{ __name__: 'up', job: 'a' }])

  await tercet.addLogs([
    { labels: { app: 'shop' }, line: 'level=error boom', metadata: { trace_id: traceId } },
    { labels: { app: 'shop' }, line: 'fine', at: timeMs - 1 },
  ])
  const { lines } = await tercet.logql('{app="shop"}')
  assert.deepEqual(
    lines.map(({ line, labels, metadata }) => [line, labels['app'], metadata['trace_id']]),
    [
      ['fine', 'shop', undefined],
      ['level=error boom', 'shop', traceId],
    ],
  )
  assert.equal(lines[1]?.timeNs, BigInt(timeMs) * 1_000_000n)
  assert.deepEqual((await tercet.logql('{app="shop"} | logfmt | level="error"')).lines[0]?.parsed['level'], 'error')
  assert.equal((await tercet.logqlMetrics('sum(count_over_time({app="shop"}[5m]))')).samples[0]?.value, 2)
  assert.equal((await tercet.logsql('boom')).rows[0]?.['_msg'], 'level=error boom')

  await tercet.addSpans([
    {
      name: 'GET /',
      service: 'web',
      traceId,
      spanId,
      durationMs: 12.5,
      kind: 'server',
      status: 'error',
      statusMessage: 'no stock',
      attributes: { 'db.system': 'postgresql', n: 3, ratio: 0.5, ok: true, list: ['a', 'b'], big: 2n ** 60n },
    },
  ])
  const { traces } = await tercet.traceql('{ span.db.system = "postgresql" }')
  assert.deepEqual([traces[0]?.traceId, traces[0]?.matched, traces[0]?.rootName], [traceId, 1, 'GET /'])
  const span = (await tercet.trace(traceId))?.spans[0]
  assert.deepEqual(
    [span?.service, span?.kind, span?.status, span?.statusMessage, span?.durationNs, span?.parentId],
    ['web', 'server', 'error', 'no stock', 12_500_000n, ''],
  )
  assert.deepEqual(span?.attributes['list'], ['a', 'b'])
  assert.equal(span?.attributes['big'], 2n ** 60n)
  assert.equal(await tercet.trace('00000000000000000000000000000001'), undefined)
})

test('a query that is wrong, and telemetry that is refused, are errors that say why', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await assert.rejects(tercet.promql('sum('), (error: unknown) => {
    assert.ok(error instanceof QueryError)
    assert.equal(error.status, 400)
    assert.match(error.message, /parse error.*in sum\(/s)
    return true
  })
  await assert.rejects(tercet.logql('{'), QueryError)
  await assert.rejects(tercet.traceql('{ '), QueryError)
  await assert.rejects(tercet.addMetrics([{ name: 'a', value: 1, at: '2027-01-01T00:00:00Z' }]), /in the future/)
  await assert.rejects(tercet.addLogs([{ labels: { a: 'b' }, line: 'old', at: 0 }]), /too old|too far behind/)
  await assert.rejects(tercet.addSpans([{ name: 'a', service: 'b', traceId: 'x', spanId: 'y' }]))
})

test('an answer that reached its limit says so', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await tercet.addLogs(['a', 'b', 'c'].map(line => ({ labels: { app: 'x' }, line })))
  assert.deepEqual((await tercet.logql('{app="x"}', { limit: 4 })).warnings, [])
  assert.match((await tercet.logql('{app="x"}', { limit: 3 })).warnings[0] ?? '', /there may be more/)
})

/** A target whose counter grows by one with every scrape. */
async function startTarget(): Promise<{ server: Server; address: string; scrapes: () => number }> {
  let scrapes = 0
  const server = createServer((_, response) => {
    scrapes++
    // Later than at once: the time stands still until the answer is there.
    setImmediate(() => response.setHeader('content-type', 'text/plain').end(`hits_total ${scrapes}\n`))
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return { server, address: `127.0.0.1:${port}`, scrapes: () => scrapes }
}

test('an hour goes by at once: scrapes of a real server, rules, alerts', async () => {
  const target = await startTarget()
  try {
    await using tercet = await startTercet({
      http: false,
      time: { startAt },
      scrape: `scrape_configs:
        - { job_name: a, scrape_interval: 15s, static_configs: [{ targets: ['${target.address}'] }] }`,
      rules: `groups: [{ name: g, interval: 30s, rules: [
        { record: 'hits:rate', expr: 'rate(hits_total[1m])' },
        { alert: Busy, expr: 'hits:rate > 0.05', for: 5m } ] }]`,
    })
    await tercet.clock.advance('4m')
    assert.equal((await tercet.rules()).find(({ name }) => name === 'Busy')?.state, 'pending')
    await tercet.clock.advance('56m')
    assert.equal(target.scrapes(), 240)
    const { samples } = await tercet.promql('hits_total')
    assert.equal(samples[0]?.value, 240)
    assert.equal((await tercet.promql('round(rate(hits_total[10m]) * 900)')).samples[0]?.value, 60)
    const alerts = await tercet.alerts()
    assert.deepEqual(
      alerts.map(({ name, state }) => [name, state]),
      [['Busy', 'firing']],
    )
    target.server.closeAllConnections()
    target.server.close()
    await tercet.clock.advance('10m')
    assert.equal((await tercet.promql('up')).samples[0]?.value, 0)
    assert.deepEqual(await tercet.alerts(), [])
  } finally {
    target.server.closeAllConnections()
    target.server.close()
  }
})

test('a server that never answers holds the time for a while only', async () => {
  const server = createServer(() => {})
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  try {
    await using tercet = await startTercet({
      http: false,
      time: { startAt },
      scrape: `scrape_configs: [{ job_name: a, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]`,
    })
    await tercet.clock.advance('80s')
    assert.equal((await tercet.promql('up')).samples[0]?.value, 0)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('blocks are cut as time goes by, and data beyond its retention is gone', async () => {
  await using tercet = await startTercet({
    http: false,
    time: { startAt },
    settings: { 'metrics.retention': '1d', 'logs.retention': '1d', 'traces.retention': '1d' },
  })
  await tercet.addMetrics([{ name: 'old', value: 1 }])
  await tercet.addLogs([{ labels: { app: 'x' }, line: 'old' }])
  await tercet.addSpans([{ name: 'old', service: 's', traceId, spanId }])
  for (let i = 0; i < 10; i++) {
    await tercet.clock.advance('30m')
    await tercet.addMetrics([{ name: 'newer', value: i }])
  }
  const { body } = await tercet.request({ path: '/metrics' })
  const blocks = Buffer.from(body)
    .toString()
    .matchAll(/^tercet_blocks\{signal="(metrics|traces)"\} [1-9]/gm)
  assert.deepEqual(
    [...blocks].map(([, signal]) => signal),
    ['metrics', 'traces'],
  )
  const from = startAt
  assert.equal((await tercet.promql('old', startAt)).samples.length, 1)
  assert.equal((await tercet.logql('{app="x"}', { from })).lines.length, 1)
  assert.equal((await tercet.traceql('{ name = "old" }', { from })).traces.length, 1)
  await tercet.clock.advance('2d')
  assert.deepEqual((await tercet.promql('old', startAt)).samples, [])
  assert.deepEqual((await tercet.logql('{app="x"}', { from })).lines, [])
  assert.deepEqual((await tercet.traceql('{ name = "old" }', { from })).traces, [])
})

test('a directory keeps the data for the next instance, in any kind of time, and has one owner at a time', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-library-'))
  try {
    const storage = { directory }
    {
      await using first = await startTercet({ http: false, storage, time: { startAt } })
      await first.addMetrics([{ name: 'kept', value: 7 }])
      await first.addLogs([{ labels: { app: 'x' }, line: 'kept' }])
      await first.addSpans([{ name: 'kept', service: 's', traceId, spanId }])
      await assert.rejects(startTercet({ http: false, storage }), /in use by/)
      await first.flush()
      await first.addLogs([{ labels: { app: 'x' }, line: 'kept too' }])
    }
    await using second = await startTercet({ http: false, storage, settings: { 'metrics.retention': 'inf' } })
    assert.equal((await second.promql('kept', startAt)).samples[0]?.value, 7)
    await using third = await startTercet({ http: false, time: { startAt: Date.parse(startAt) + 60_000 } })
    assert.deepEqual((await third.promql('kept')).samples, [])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('over HTTP the same is answered, by the system\u2019s time', async () => {
  await using tercet = await startTercet({ workers: 0 })
  assert.match(tercet.url ?? '', /^http:\/\/127\.0\.0\.1:\d+$/)
  await tercet.addMetrics([{ name: 'up', value: 1 }])
  await tercet.addLogs([{ labels: { app: 'x' }, line: 'here' }])
  const client = connectTercet(tercet.url ?? '')
  assert.equal((await client.promql('up')).samples[0]?.value, 1)
  assert.equal((await client.logql('{app="x"}')).lines[0]?.line, 'here')
  assert.equal(await client.trace(traceId), undefined)
  await assert.rejects(client.promql('sum('), QueryError)
  await assert.rejects(tercet.clock.advance('1s'), /time goes by itself/)
})

test('several instances have the time of their caller', async () => {
  const clock = new VirtualClock(Date.parse(startAt))
  const time = { nowMs: () => clock.nowMs(), after: (ms: number, run: () => void) => clock.after(ms, run) }
  const rules = "groups: [{ name: g, interval: 30s, rules: [{ record: now, expr: 'time()' }] }]"
  await using first = await startTercet({ http: false, time, rules })
  await using second = await startTercet({ http: false, time, rules })
  // Each evaluation has done its work before the next one is due.
  for (let i = 0; i < 600; i++) await clock.advance(100)
  for (const tercet of [first, second]) {
    assert.equal(tercet.clock.nowMs(), Date.parse(startAt) + 60_000)
    assert.equal((await tercet.promql('count_over_time(now[1m])')).samples[0]?.value, 2)
    await assert.rejects(tercet.clock.advance('1s'), /time goes by itself/)
  }
})

test('options that are wrong are refused, and leave nothing behind', async () => {
  await assert.rejects(startTercet({ settings: { 'metrics.retentoin': '1d' } }), /nearest is "metrics\.retention"/)
  await assert.rejects(startTercet({ time: { startAt: 'soon' } }), /soon is no time/)
  await assert.rejects(startTercet({ time: { startAt }, workers: 2 }), /workers: 0/)
  await assert.rejects(startTercet({ rules: 'groups: [{}]' }), /rules\.yml/)
})

test('what the types do not allow is told to programs that have none', async () => {
  const start = (options: object): Promise<unknown> => startTercet(options)
  const span = { name: 'a', service: 's', traceId, spanId }
  await assert.rejects(start({ htpp: false }), /^BadDataError: startTercet has no "htpp"; the nearest is "http"$/)
  await assert.rejects(start({ xyzzy: 1 }), /startTercet has no "xyzzy"; it has storage, time, http/)
  for (const storage of ['/data', { dir: '/data' }])
    await assert.rejects(start({ storage }), /storage is 'memory' or \{ directory: /)
  for (const time of ['2026-01-01', { start: 0 }]) await assert.rejects(start({ time }), /time is 'system', /)
  await assert.rejects(start({ rules: './rules.yml' }), /rules is the text of a file, not its path: readFileSync/)
  await using tercet = await startTercet({ http: false })
  const wrong: [add: () => Promise<void>, said: RegExp][] = [
    [() => tercet.addMetrics({ name: 'a', value: 1 } as never), /addMetrics takes an array/],
    [() => tercet.addLogs([{ line: 'a' }] as never), /a line has no labels/],
    [() => tercet.addLogs([{ labels: { app: 'a' } }] as never), /a line is a text, and not undefined/],
    [() => tercet.addSpans([{ name: 'a', service: 's' }] as never), /the span has no traceId/],
    [
      () => tercet.addSpans([{ ...span, kind: 'sever' }] as never),
      /the kind sever is not one of unspecified, internal, server/,
    ],
    [() => tercet.addSpans([{ ...span, status: 'fine' }] as never), /the status fine is not one of unset, ok, error/],
  ]
  for (const [add, said] of wrong) await assert.rejects(add(), said)
  assert.deepEqual((await tercet.traceql('{}')).traces, [])
  assert.throws(() => connectTercet('localhost:8428'), /localhost:8428 is no URL like http:\/\/127/)
})

test('closing twice, and asking after it, is harmless', async () => {
  const tercet = await startTercet({ http: false })
  await tercet.close()
  await tercet.close()
  await assert.rejects(tercet.addMetrics([{ name: 'a', value: 1 }]), /was closed/)
  await assert.rejects(tercet.promql('up'), /was closed/)
})

test('a search for a few traces finds those that began last', async () => {
  const startAt = Date.parse('2026-03-01T12:00:00Z')
  await using tercet = await startTercet({ http: false, time: { startAt } })
  // Two begin at once; what comes in first is neither the oldest nor the newest.
  const minutes = [5, 1, 9, 3, 9, 7]
  await tercet.addSpans(
    minutes.map((minute, i) => ({
      name: `at ${minute}`,
      service: 's',
      traceId: String(i + 1).repeat(32),
      spanId: String(i + 1).repeat(16),
      startAt: startAt - (10 - minute) * 60_000,
    })),
  )
  const from = startAt - 3_600_000
  const found = async (limit: number): Promise<readonly string[]> =>
    (await tercet.traceql('{ }', { from, limit })).traces.map(({ rootName }) => rootName)
  assert.deepEqual(await found(1), ['at 9'])
  assert.deepEqual(await found(3), ['at 9', 'at 9', 'at 7'])
  assert.deepEqual(await found(10), ['at 9', 'at 9', 'at 7', 'at 5', 'at 3', 'at 1'])
})
