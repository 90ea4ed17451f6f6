/** Parameters of Tempo's API: time ranges, counts, ids, and both ways to search. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Stage } from '#lang/traceql/ast.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { countParam, searchQuery, timeRange, traceId } from './params.ts'

const form = (text: string): URLSearchParams => new URLSearchParams(text)

function stagesOf(query: string): readonly Stage[] {
  const parsed = parseTraceql(query)
  assert.ok(parsed.kind !== 'metrics')
  return parsed.stages
}

test('a time range is in whole seconds, open where it is not said or zero', () => {
  const cases: [query: string, fromMs: number, throughMs: number][] = [
    ['', -Infinity, Infinity],
    ['start=0&end=0', -Infinity, Infinity],
    ['start=5', 5000, Infinity],
    ['end=7', -Infinity, 7000],
    ['start=5&end=7', 5000, 7000],
    // A week is the most that a search may look through; other questions have no limit.
    ['start=1&end=604801', 1000, 604_801_000],
  ]
  for (const [query, fromMs, throughMs] of cases)
    assert.deepEqual(timeRange(form(query), true), { fromMs, throughMs }, query)
  assert.equal(timeRange(form('start=1&end=604802'), false).throughMs, 604_802_000)
  const wrong: [query: string, message: string][] = [
    ['start=5.5', 'invalid start: "5.5" is no time in Unix seconds'],
    ['end=x', 'invalid end: "x" is no time in Unix seconds'],
    ['start=7&end=7', 'http parameter start must be before end. received start=7 end=7'],
    ['start=1&end=608401', 'range specified by start and end (169h) exceeds 168h'],
  ]
  for (const [query, message] of wrong) assert.throws(() => timeRange(form(query), true), { message })
})

test('counts are positive and bounded; ids are up to 32 hexadecimal digits', () => {
  assert.equal(countParam(form(''), 'limit', 20, 100), 20)
  assert.equal(countParam(form('limit=100'), 'limit', 20, 100), 100)
  const wrong: [query: string, message: string][] = [
    ['limit=x', 'invalid limit: "x" is no count'],
    ['limit=0', 'invalid limit: must be a positive number'],
    ['limit=101', 'limit 101 exceeds max limit 100'],
  ]
  for (const [query, message] of wrong) assert.throws(() => countParam(form(query), 'limit', 20, 100), { message })
  assert.equal(Buffer.from(traceId('aB1')).toString('hex'), 'ab1'.padStart(32, '0'))
  for (const text of ['', 'g', '0'.repeat(33), 'a b'])
    assert.throws(() => traceId(text), { message: /^trace IDs can only contain hex characters, 32 at most/ })
})

test('a search is TraceQL, or tags and durations that mean the same', () => {
  const cases: [parameters: Record<string, string>, query: string][] = [
    [{ q: '{ name = "a" } | { status = error }' }, '{ name = "a" } | { status = error }'],
    [{ q: '{}', minDuration: '1s' }, '{}'],
    [{}, '{}'],
    [{ tags: 'name=get' }, '{ name =~ "(?s).*get.*" }'],
    [{ tags: 'service.name="a b.c"' }, '{ ."service.name" =~ "(?s).*a b\\\\.c.*" }'],
    [{ tags: 'root.name=r root.service.name=s' }, '{ rootName =~ "(?s).*r.*" && rootServiceName =~ "(?s).*s.*" }'],
    [{ tags: 'status.code=error' }, '{ status = error }'],
    [{ minDuration: '100ms', maxDuration: '2s' }, '{ traceDuration >= 100ms && traceDuration <= 2s }'],
    [{ tags: 'name=a', minDuration: '1s' }, '{ name =~ "(?s).*a.*" && traceDuration >= 1s }'],
  ]
  for (const [parameters, query] of cases)
    assert.deepEqual(searchQuery(new URLSearchParams(parameters)).stages, stagesOf(query), JSON.stringify(parameters))
})

test('searches that can not be understood are refused', () => {
  const cases: [parameters: Record<string, string>, message: string | RegExp][] = [
    [{ q: '{}', tags: 'a=b' }, "invalid request: can't specify tags and q in the same query"],
    [{ q: '{} | rate()' }, 'invalid TraceQL query: a metrics query is answered by /api/metrics/query_range'],
    [{ minDuration: 'x' }, 'invalid minDuration: time: invalid duration "x"'],
    [{ tags: 'status.code=bad' }, 'invalid tags: the status "bad" is not known; error, ok and unset are'],
    [{ q: '{' }, /./],
  ]
  for (const [parameters, message] of cases)
    assert.throws(() => searchQuery(new URLSearchParams(parameters)), { message }, JSON.stringify(parameters))
})
