/** A run read from a Tercet in this process: what is whole, what is bounded, and what the notes say of it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { AddedSpan } from '#library/additions.ts'
import { startTercet, type Tercet } from '#library/instance.ts'
import type { Telemetry } from '#library/telemetry.ts'
import { metricTypesOf } from './read-metrics.ts'
import { parseRules, Rules } from './rules.ts'
import { readRun } from './run-reader.ts'

const startMs = 1_790_000_000_000
const range = { fromMs: startMs - 1000, toMs: startMs + 600_000 }

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

/** Traces of one route, some of which fail, and one with 150 queries. */
function spansOf(route: string, traces: number, first: number): AddedSpan[] {
  return Array.from({ length: traces }, (_, i) => {
    const trace = first + i
    const [traceId, rootId] = [hex(trace, 32), hex(trace * 1000, 16)]
    const startAt = startMs + i * 1500
    const root: AddedSpan = {
      name: `GET ${route}`,
      service: 'shop',
      traceId,
      spanId: rootId,
      kind: 'server',
      startAt,
      durationMs: 20,
      status: i % 10 === 0 ? 'error' : 'unset',
      statusMessage: i % 10 === 0 ? 'it failed' : '',
      attributes: { 'http.request.method': 'GET', 'http.route': route, nothing: 'nil' },
    }
    const queries = Array.from({ length: i === 5 ? 150 : 2 }, (__, k) => ({
      name: 'SELECT',
      service: 'shop',
      traceId,
      spanId: hex(trace * 1000 + k + 1, 16),
      parentId: rootId,
      kind: 'client' as const,
      startAt: startAt + 1,
      durationMs: 1,
      attributes: { 'db.system.name': 'x', 'db.query.text': `SELECT * FROM a WHERE b = ${k}` },
    }))
    return [root, ...queries]
  }).flat()
}

let tercet: Tercet

before(async () => {
  tercet = await startTercet({
    http: false,
    time: { startAt: startMs + 600_000 },
    settings: { 'traces.derived_metrics': false, 'logs.out_of_order_window': 'inf' },
  })
  await tercet.addSpans(spansOf('/a', 100, 1))
  await tercet.addSpans(spansOf('/b', 30, 1000))
  const lines = Array.from({ length: 6000 }, (_, i) => ({
    line: `order ${i} failed`,
    labels: { service_name: 'shop', level: 'error' },
    // Many lines of one millisecond: pages end within it.
    at: startMs + 4 * Math.floor(i / 2500),
  }))
  await tercet.addLogs([...lines, { line: 'all is well', labels: { app: 'other', level: 'info' }, at: startMs }])
  const at = startMs + 1000
  await tercet.addMetrics([
    ...Array.from({ length: 30 }, (_, i) => ({ name: 'jobs', labels: { id: String(i), job: 'x' }, value: 1, at })),
    { name: 'up', labels: { job: 'x' }, value: 1, at },
    { name: 'with.dots', labels: { job: 'x' }, value: 1, at },
  ])
})
after(() => tercet.close())

function read(rules = new Rules(), telemetry: Telemetry = tercet): ReturnType<typeof readRun> {
  return readRun({ name: 'run', telemetry, ...range }, rules)
}

test('all of a run that is within the bounds, traces with more than 100 spans included', async () => {
  const profile = await read()
  assert.deepEqual(profile.notes, [])
  const { counts } = profile
  assert.deepEqual(counts, { traces: 130, spans: 686, lines: 6001, alarming: 6000, metrics: 3, series: 32 })
  const routes = [...profile.requests.routes.values()].map(({ service, route, requests }) => [service, route, requests])
  assert.deepEqual(routes.sort(), [
    ['shop', 'GET /a', 100],
    ['shop', 'GET /b', 30],
  ])
  const [a] = profile.requests.routes.values()
  assert.equal(a?.queries.perRequest.filter(count => count === 2).length, a!.requests - 1)
  assert.equal(Math.max(...a!.queries.perRequest), 150)
  assert.deepEqual([...a!.queries.texts.keys()], ['SELECT * FROM a WHERE b = ?'])
  assert.deepEqual(
    [...profile.spans.failures.values()].map(({ span, message, count }) => [span, message, count]).sort(),
    [
      ['GET /a', 'it failed', 10],
      ['GET /b', 'it failed', 3],
    ],
  )
  assert.deepEqual(
    [...profile.logs.patterns.values()].map(({ service, pattern, count }) => [service, pattern, count]),
    [['shop', 'order <n> failed', 6000]],
  )
  assert.equal(profile.metrics.get('jobs')?.labels.get('id')?.values, 30)
  assert.equal(profile.metrics.get('with.dots')?.series, 1)
})

test('what is left out is said, and what is read stands for it', async () => {
  const rules = parseRules(
    'reading: { traces: 50, traces_per_route: 20, error_traces: 5, lines: 1000, series_per_metric: 10 }',
    'gate.yml',
  )
  const profile = await read(rules)
  assert.deepEqual(profile.notes, [
    'traces: 40 of 130 are read, up to 20 of each root, spread over the time',
    'traces: of 13 with a failed span 5 are read for what failed in them',
    'logs: there are more than 1000 lines with the level warn and above; the newest 1000 are read',
    'metrics: of jobs 10 series are counted, there may be more',
  ])
  const routes = [...profile.requests.routes.values()].map(({ route, requests, timed }) => [
    route,
    Math.round(requests),
    timed.length,
  ])
  assert.deepEqual(routes.sort(), [
    ['GET /a', 100, 20],
    ['GET /b', 30, 20],
  ])
  const failures = [...profile.spans.failures.values()].reduce((sum, { count }) => sum + count, 0)
  assert.ok(Math.abs(failures - 13) < 0.001, String(failures))
  assert.equal(profile.counts.alarming, 1000)
})

test('an answer that is not whole is a note', async () => {
  const partial: Telemetry = Object.assign(Object.create(tercet) as Tercet, {
    traceql: async (...args: Parameters<Tercet['traceql']>) => ({
      ...(await tercet.traceql(...args)),
      warnings: ['a block is damaged'],
    }),
    request: (...args: Parameters<Tercet['request']>) => tercet.request(...args),
    logql: (...args: Parameters<Tercet['logql']>) => tercet.logql(...args),
    logqlMetrics: (...args: Parameters<Tercet['logqlMetrics']>) => tercet.logqlMetrics(...args),
    trace: (id: string) => tercet.trace(id),
  })
  assert.deepEqual((await read(new Rules(), partial)).notes, ['traces: a block is damaged'])
})

test('what a server refuses to say is a note, and the rest is compared', async () => {
  const refusing: Telemetry = Object.assign(Object.create(tercet) as Tercet, {
    traceql: (...args: Parameters<Tercet['traceql']>) => tercet.traceql(...args),
    logql: (...args: Parameters<Tercet['logql']>) => tercet.logql(...args),
    logqlMetrics: (...args: Parameters<Tercet['logqlMetrics']>) => tercet.logqlMetrics(...args),
    trace: (id: string) => tercet.trace(id),
    request: async (request: Parameters<Tercet['request']>[0]) =>
      /search\/tag|loki/.test(request.path)
        ? { ...(await tercet.request(request)), status: 422 }
        : tercet.request(request),
  })
  const { notes, counts } = await read(new Rules(), refusing)
  assert.deepEqual([counts.traces, counts.lines, counts.metrics], [130, 6001, 3])
  assert.deepEqual(
    notes.map(note => note.split(':', 1)[0]),
    ["attributes of resources can't be compared", "streams of logs can't be compared"],
  )
})

test('a range without anything is empty', async () => {
  const profile = await readRun({ name: 'x', telemetry: tercet, fromMs: 1e12, toMs: 1e12 + 1000 }, new Rules())
  assert.ok(profile.isEmpty)
  assert.deepEqual(profile.notes, [])
})

test('a counter has what it counted in a range, and in a recording what it counted at all', async () => {
  await using server = await startTercet({ http: false, time: { startAt: startMs + 1_200_000 } })
  const at = (i: number): number => startMs + i * 15_000
  const counted = Array.from({ length: 80 }, (_, i) => Math.min(i, 40) + 5)
  await server.addMetrics(counted.map((value, i) => ({ name: 'orders_total', value, at: at(i) })))
  const totalIn = async (from: number, to: number, isWhole: boolean): Promise<number | undefined> => {
    const run = { name: 'x', telemetry: server, fromMs: at(from), toMs: at(to), isWhole }
    return (await readRun(run, new Rules())).metrics.get('orders_total')?.total
  }
  assert.equal(await totalIn(0, 80, true), 45)
  assert.ok(Math.abs(((await totalIn(0, 40, false)) ?? 0) - 40) < 1.5)
  assert.equal(await totalIn(45, 80, false), 0)
})

test('types of metrics that a Tercet was told', async () => {
  const point = { timeUnixNano: String(BigInt(startMs) * 1_000_000n), asInt: '1' }
  const sum = { aggregationTemporality: 2, isMonotonic: true, dataPoints: [point] }
  const metrics = [
    { name: 'told', sum },
    { name: 'level', gauge: { dataPoints: [point] } },
  ]
  const body = JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] })
  const headers = { 'content-type': 'application/json' }
  const reply = await tercet.request({ method: 'POST', path: '/v1/metrics', headers, body })
  assert.equal(reply.status, 200)
  const types = await metricTypesOf({ telemetry: tercet })
  assert.deepEqual([...types].sort(), [
    ['level', 'gauge'],
    ['told_total', 'counter'],
  ])
})
