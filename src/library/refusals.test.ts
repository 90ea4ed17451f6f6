/** What is wrong is said in the words of who called, and what is right beside it is taken. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { StartError } from '#core/start-error.ts'
import type { AddedLine, AddedSample, AddedSpan } from './additions.ts'
import { connectTercet } from './connection.ts'
import { startTercet, type Tercet } from './instance.ts'
import type { TercetOptions } from './options.ts'
import { QueryError } from './telemetry.ts'

const nowMs = Date.UTC(2026, 0, 1)
const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

const options: readonly (readonly [given: object, message: RegExp])[] = [
  [{ htpp: false }, /^startTercet has no "htpp"; the nearest is "http"$/],
  [{ storage: 'disk' }, /^storage is 'memory' or \{ directory: /],
  [{ storage: {} }, /^storage is 'memory'/],
  [{ time: {} }, /^time is 'system', \{ startAt: /],
  [{ time: { nowMs: () => 0 } }, /^time is 'system'/],
  [{ workers: 1 }, /^storage: 'memory' needs workers: 0; threads see what is in a directory alone$/],
  [{ settings: { workers: 'auto' } }, /^storage: 'memory' needs workers: 0/],
  [{ rules: 5 }, /^rules is the text of a file$/],
  [{ rules: 'groups: [{ name: a, rules: [{ record: x }] }]' }, /^rules\.yml:1:/],
  [{ scrape: 'scrape_configs: [{ job: 1 }]' }, /^prometheus\.yml:1:18: /],
]
for (const [given, message] of options)
  test(`an option that is wrong: ${message.source}`, async () => {
    await assert.rejects(
      startTercet({ http: false, ...given } as TercetOptions),
      (error: Error) => error instanceof BadDataError && message.test(error.message),
    )
  })

test('a directory that is a file is an error of the start, which names it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-refusals-'))
  try {
    const path = join(directory, 'file')
    writeFileSync(path, '')
    await assert.rejects(
      startTercet({ http: false, storage: { directory: path } }),
      (error: Error) => error instanceof StartError && error.message.includes(path),
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})

let tercet: Tercet
before(async () => {
  tercet = await startTercet({ http: false, time: { startAt: nowMs } })
  await tercet.addMetrics([{ name: 'up', value: 1 }])
  await tercet.addLogs([{ line: 'hello', labels: { app: 'shop' } }])
  await tercet.addSpans([{ name: 'first', service: 'shop', traceId, spanId }])
})
after(() => tercet.close())

const questions: readonly (readonly [name: string, ask: () => Promise<unknown>, message: RegExp])[] = [
  ['a text', () => tercet.promql('"a"'), /^it gives a string, where numbers are expected \(in "a"\)$/],
  ['a range at one time', () => tercet.promql('up[5m]'), /^it gives series over a time/],
  ['numbers as lines', () => tercet.logql('sum(count_over_time({app="shop"}[1m]))'), /^it gives numbers, and no lines/],
  ['lines as numbers', () => tercet.logqlRange('{app="shop"}'), /^it gives lines, and no numbers/],
  ['numbers as traces', () => tercet.traceql('{ } | rate()'), /^it gives numbers, and no traces/],
]
for (const [name, ask, message] of questions)
  test(`a query that gives something else is a QueryError: ${name}`, async () => {
    await assert.rejects(ask(), (error: Error) => error instanceof QueryError && message.test(error.message))
  })

const refusedSamples: readonly (readonly [given: object, message: RegExp])[] = [
  [{ value: 1 }, /^1 of 2 samples were refused; the first: number 2: a sample has no name$/],
  [{ name: 'x', value: 'many' }, /number 2: x: many is no number$/],
  [{ name: 'x' }, /undefined is no number$/],
  [{ name: 'x', value: 1, at: 'never' }, /never is no time/],
]
const refusedLines: readonly (readonly [given: object, message: RegExp])[] = [
  [{ labels: { app: 'x' } }, /^1 of 2 lines were refused; the first: number 2: a line is a text, and not undefined$/],
  [{ line: 'x', labels: { app: 'x' }, metadata: { n: 5 } }, /the metadata n is a text, and not 5$/],
]
const refusedSpans: readonly (readonly [given: object, message: RegExp])[] = [
  [{ kind: 'servr' }, /^1 of 2 spans were refused; the first: number 2: the kind servr is not one of unspecified, /],
  [{ status: 'failed' }, /the status failed is not one of unset, ok, error$/],
  [{ durationMs: -5 }, /-5 ms is no duration of a span$/],
  [{ durationMs: NaN }, /NaN ms is no duration/],
  [{ name: undefined }, /the span has no name$/],
  [{ traceId: 'zz' }, /^1 of 2 spans were refused; the first: traceId "zz" is no id/],
]

let sequence = 0
function nextId(digits: number): string {
  return (++sequence).toString(16).padStart(digits, 'a')
}

function refused(work: Promise<void>, message: RegExp): Promise<void> {
  return assert.rejects(work, (error: Error) => error instanceof BadDataError && message.test(error.message))
}

for (const [given, message] of refusedSamples)
  test(`of samples the good one is taken: ${message.source}`, async () => {
    const name = `good_${nextId(4)}`
    await refused(tercet.addMetrics([{ name, value: 1 }, given as AddedSample]), message)
    assert.equal((await tercet.promql(name)).samples.length, 1)
  })
for (const [given, message] of refusedLines)
  test(`of lines the good one is taken: ${message.source}`, async () => {
    const app = nextId(8)
    await refused(tercet.addLogs([{ line: 'good', labels: { app } }, given as AddedLine]), message)
    assert.equal((await tercet.logql(`{app="${app}"}`)).lines.length, 1)
  })
for (const [given, message] of refusedSpans)
  test(`of spans the good one is taken: ${message.source}`, async () => {
    const good = { name: 'good', service: 'shop', traceId: nextId(32), spanId: nextId(16) }
    await refused(tercet.addSpans([good, { ...good, spanId: nextId(16), ...given } as AddedSpan]), message)
    assert.equal((await tercet.trace(good.traceId))?.spans.length, 1)
  })

test('nothing is added where nothing is given, and attributes without a value are none', async () => {
  await tercet.addMetrics([])
  await tercet.addLogs([])
  await tercet.addSpans([])
  const ids = { traceId: nextId(32), spanId: nextId(16) }
  const attributes = { a: undefined, b: null, c: 1 } as unknown as { c: number }
  await tercet.addSpans([{ name: 'x', service: 'shop', ...ids, attributes }])
  assert.deepEqual((await tercet.trace(ids.traceId))?.spans[0]?.attributes, { c: 1 })
})

test('an exception is an event of a span', async () => {
  const ids = { traceId: nextId(32), spanId: nextId(16) }
  const event = { name: 'exception', attributes: { 'exception.type': 'TypeError' } }
  await tercet.addSpans([{ name: 'x', service: 'shop', ...ids, durationMs: 5, events: [event] }])
  assert.deepEqual((await tercet.trace(ids.traceId))?.spans[0]?.events, [
    { ...event, timeNs: BigInt(nowMs) * 1_000_000n },
  ])
})

test('a duration that is none is refused, and time that has no end', async () => {
  for (const duration of ['abc', '', -5, NaN, Infinity, null as unknown as number])
    await assert.rejects(tercet.clock.advance(duration), /is no duration: give milliseconds, or 5m, 1h/)
  assert.equal(tercet.clock.nowMs(), nowMs)
})

test('after close every method says so', async () => {
  const closed = await startTercet({ http: false, time: { startAt: nowMs } })
  await Promise.all([closed.close(), closed.close()])
  const calls = [
    closed.promql('up'),
    closed.addMetrics([]),
    closed.addLogs([{ line: 'x', labels: { app: 'x' } }]),
    closed.flush(),
    closed.reload(),
    closed.clock.advance('1h'),
  ]
  for (const call of calls) await assert.rejects(call, /^BadDataError: this Tercet was closed$/)
})

test('what is no address of a Tercet', async () => {
  assert.throws(() => connectTercet('localhost:8428'), /localhost:8428 is no URL like http:\/\/127\.0\.0\.1:8428/)
  const server = createServer((_, response) => response.end('<html>hello</html>')).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  try {
    const other = connectTercet(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    for (const work of [other.promql('up'), other.traceql('{ }'), other.logsql('*'), other.series('up')])
      await assert.rejects(work, (error: Error) => error instanceof QueryError && /no JSON.*<html>/.test(error.message))
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test('the series of an answer that is not whole say so', async () => {
  const warning = 'the results are incomplete: block x: gone'
  const server = createServer((_, response) => {
    response.end(JSON.stringify({ status: 'success', data: [{ __name__: 'up' }], warnings: [warning] }))
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  try {
    const found = await connectTercet(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).series('up')
    assert.deepEqual(found, { series: [{ __name__: 'up' }], warnings: [warning] })
    assert.deepEqual((await tercet.series('up')).warnings, [])
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
