/**
 * The largest queries that the four languages take are answered by every walker of their trees; larger ones refused.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadQueryError } from '#core/errors.ts'
import { defaultLimits, queryTextLimits } from '#core/limits.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { formatLogql, printLogql } from '#lang/logql/printer.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { parsePromql } from '#lang/promql/parser.ts'
import { formatExpr, printExpr } from '#lang/promql/printer.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { makeHeadStore, scriptEngine } from '../../test/head-store.ts'
import { makeLogStore, makeTraceStore } from '../../test/signal-worlds.ts'
import { parseSeriesLine } from '#model/series-notation.ts'
import { readLines } from './log-script.ts'
import { LogqlEngine } from './logql/engine.ts'
import { LogsqlEngine, rangeOfMs } from './logsql/engine.ts'
import { scriptStartMs } from './script-commands.ts'
import { TraceMetrics } from './traceql/metrics.ts'
import { readTraces } from './traceql/script-spans.ts'
import { TraceSearch } from './traceql/search.ts'

const { depthMax, operatorsMax, partsMax } = queryTextLimits
const clock = new VirtualClock(scriptStartMs + 3_600_000)
const signal = new AbortController().signal

/** A query that grows with a number; about `most` of it are taken. */
type Grown = readonly [what: string, most: number, query: (n: number) => string]

const chain = (term: string, operator: string, n: number): string =>
  Array.from({ length: n + 1 }, () => term).join(operator)
const nested = (before: string, inner: string, after: string, n: number): string =>
  before.repeat(n) + inner + after.repeat(n)

/** The largest number whose query parses; it is near what it should be, and everything above is refused in words. */
function largest(parse: (text: string) => unknown, [what, most, query]: Grown): string {
  let low = 1
  let high = 2 * most
  while (low + 1 < high) {
    const middle = (low + high) >>> 1
    if (isTaken(parse, query(middle))) low = middle
    else high = middle
  }
  assert.ok(low > most / 4 && low <= most, `${what}: ${low} are taken, about ${most} should be`)
  for (const n of [low + 1, 2 * most, 20 * most, 60_000])
    assert.ok(!isTaken(parse, query(n)), `${what}: ${n} are taken`)
  return query(low)
}

function isTaken(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text)
    return true
  } catch (error) {
    assert.ok(error instanceof BadQueryError, `${String(error)}: ${text.slice(0, 50)}`)
    assert.match(error.message, /the limit|too long/)
    return false
  }
}

for (const grown of [
  ['sums of numbers', operatorsMax, n => chain('1', ' + ', n)],
  ['sums of series', operatorsMax, n => chain('m', ' + ', n)],
  ['unions', operatorsMax, n => chain('m', ' or ', n)],
  ['powers, which lean to the right', depthMax, n => chain('m', ' ^ ', n)],
  ['parentheses', depthMax, n => nested('(', 'm', ')', n)],
  ['signs', depthMax, n => `${'- '.repeat(n)}m`],
  ['calls', depthMax, n => nested('abs(', 'm', ')', n)],
  ['aggregations', depthMax, n => nested('sum(', 'm', ')', n)],
  ['subqueries', depthMax, n => nested('max_over_time(', 'm', '[1m:1m])', n)],
  ['sums of durations', operatorsMax, n => `count_over_time(m[1m + ${chain('0s', ' + ', n)}])`],
  ['parentheses in durations', depthMax, n => `count_over_time(m[${nested('(', '1m', ')', n)}])`],
] as const satisfies readonly Grown[])
  test(`PromQL, ${grown[0]}`, async () => {
    const text = largest(parsePromql, grown)
    const expr = parsePromql(text)
    assert.ok(printExpr(expr).length + formatExpr(expr).length > 0)
    const store = makeHeadStore()
    store.load(parseSeriesLine('m 1 1 1'), 60_000)
    const { series } = await scriptEngine.instant(store.reader(), text, 60_000)
    assert.equal(series.length, 1)
  })

const logs = makeLogStore(clock)
const logsFilled = logs.then(store => store.append(readLines(['{app="a"} 10s n=1 "one"'], true)))
const logql = new LogqlEngine(clock, defaultLimits, { seriesMax: 500, stepsMax: 11_000 })
const logsql = new LogsqlEngine(clock, defaultLimits)
const count = 'count_over_time({app="a"}[1h])'

for (const grown of [
  ['sums of numbers', operatorsMax, n => chain('1', ' + ', n)],
  ['sums of counts', operatorsMax, n => chain(count, ' + ', n)],
  ['unions', operatorsMax, n => chain(count, ' or ', n)],
  ['powers', depthMax, n => chain(count, ' ^ ', n)],
  ['parentheses', depthMax, n => nested('(', count, ')', n)],
  ['aggregations', depthMax, n => nested('sum(', count, ')', n)],
  ['replaced labels', depthMax, n => nested('label_replace(', count, ',"a","b","c","d")', n)],
  ['parentheses around ranges', depthMax, n => `count_over_time(${nested('(', '{app="a"}[1h]', ')', n)})`],
] as const satisfies readonly Grown[])
  test(`LogQL, ${grown[0]}`, async () => {
    await logsFilled
    const text = largest(parseLogql, grown)
    const expr = parseLogql(text)
    assert.ok(printLogql(expr).length + formatLogql(expr).length > 0)
    assert.ok(expr.kind !== 'log')
    const reader = (await logs).reader()
    const result = await logql.instant(expr, scriptStartMs + 60_000, 0, reader, false, signal)
    assert.ok(result.kind === 'scalar' || result.series.length === 1)
  })

for (const grown of [
  ['parentheses', depthMax, n => nested('(', '{app="a"}', ')', n)],
  ['filters', partsMax, n => `{app="a"}${'|="o"'.repeat(n)}`],
  ['label filters in one stage', operatorsMax, n => `{app="a"} | ${chain('n=1', ' and ', n)}`],
  ['either of label filters', operatorsMax, n => `{app="a"} | ${chain('n=1', ' or ', n)}`],
  ['label filters as a list', depthMax, n => `{app="a"} | ${chain('n=1', ', ', n)}`],
  ['parentheses of label filters', depthMax, n => `{app="a"} | ${nested('(', 'n=1', ')', n)}`],
] as const satisfies readonly Grown[])
  test(`LogQL, ${grown[0]}`, async () => {
    await logsFilled
    const expr = parseLogql(largest(parseLogql, grown))
    assert.ok(expr.kind === 'log')
    assert.ok(printLogql(expr).length + formatLogql(expr).length > 0)
    const bounds = { fromMs: scriptStartMs, fromSubNs: 0, toMs: scriptStartMs + 60_000, toSubNs: 0 }
    const query = { bounds, limit: 10, isBackward: false, intervalNs: 0 }
    const { lines } = await logql.lines(expr, query, (await logs).reader())
    assert.equal(lines.length, 1)
  })

for (const grown of [
  ['parentheses', depthMax, n => nested('(', 'one', ')', n)],
  ['negations', depthMax, n => `${'!'.repeat(2 * (n >>> 1))}one`],
  ['negations in words', depthMax, n => `${'not '.repeat(2 * (n >>> 1))}one`],
  ['filters of a field', depthMax, n => nested('(', '_msg:one', ')', n)],
  ['words', partsMax, n => chain('one', ' ', n)],
  ['either of words', partsMax, n => chain('one', ' or ', n)],
  ['queries within queries', depthMax, n => nested('* | limit 1 | union (', '*', ') | limit 1', n)],
  ['sums', operatorsMax, n => `* | math ${chain('1', ' + ', n)} as x`],
  ['parentheses in sums', depthMax, n => `* | math ${nested('(', '1', ')', n)} as x`],
  ['signs', depthMax, n => `* | math ${'-'.repeat(n)}1 as x`],
  ['pipes', partsMax, n => `*${' | limit 5'.repeat(n)}`],
] as const satisfies readonly Grown[])
  test(`LogsQL, ${grown[0]}`, async () => {
    await logsFilled
    const query = parseLogsql(
      largest(text => parseLogsql(text, logsql.nowNs), grown),
      logsql.nowNs,
    )
    const rows: unknown[] = []
    const range = rangeOfMs(scriptStartMs, scriptStartMs + 60_000)
    await logsql.run(query, range, (await logs).reader(), undefined, row => rows.push(row) > 0)
    assert.equal(rows.length, 1)
  })

const traces = makeTraceStore(clock)
const tracesFilled = traces.then(store => store.append(readTraces(['trace 1', 'span 1 "a" 10s 1s service=s'])))

for (const grown of [
  ['parentheses', depthMax, n => nested('(', '{ }', ')', n)],
  ['unions', operatorsMax, n => chain('{ }', ' || ', n)],
  ['conditions', operatorsMax, n => `{ ${chain('name = "a"', ' && ', n)} }`],
  ['parentheses in conditions', depthMax, n => `{ ${nested('(', 'name = "a"', ')', n)} }`],
  ['negations', depthMax, n => `{ ${'!'.repeat(2 * (n >>> 1))}(name = "a") }`],
  ['sums', operatorsMax, n => `{ duration > ${chain('0s', ' + ', n)} }`],
  ['signs', depthMax, n => `{ duration > ${'-'.repeat(2 * (n >>> 1))}1ms }`],
  ['powers', depthMax, n => `{ 2 > ${chain('1', ' ^ ', n)} && duration > 0s }`],
  ['stages', partsMax, n => `{ }${' | { }'.repeat(n)}`],
] as const satisfies readonly Grown[])
  test(`TraceQL, ${grown[0]}`, async () => {
    await tracesFilled
    const query = parseTraceql(largest(parseTraceql, grown))
    assert.ok(query.kind === 'search')
    const { stages, hints } = query
    const request = { stages, hints, fromMs: -Infinity, throughMs: Infinity, limit: 10, spansPerSet: 10 }
    const { traces: found } = await new TraceSearch(clock, defaultLimits).run(request, (await traces).reader())
    assert.equal(found.length, 1)
  })

test('TraceQL, sums of metrics', async () => {
  await tracesFilled
  const grown: Grown = ['sums of metrics', operatorsMax, n => chain('({ } | count_over_time())', ' + ', n)]
  const query = parseTraceql(largest(parseTraceql, grown))
  assert.ok(query.kind === 'metrics')
  const request = { expr: query.expr, startMs: scriptStartMs, endMs: scriptStartMs + 60_000, stepMs: 0 }
  const metrics = new TraceMetrics(clock, defaultLimits)
  const { series } = await metrics.run({ ...request, exemplars: 0, seriesMax: 10 }, (await traces).reader())
  assert.equal(series.length, 1)
})

test('a text of more than a megabyte is refused before it is read', () => {
  const text = `"${'x'.repeat(30_000_000)}"`
  for (const parse of [parsePromql, parseLogql, parseTraceql, (t: string) => parseLogsql(t, 0n)])
    assert.ok(!isTaken(parse, text))
})
