/** Parameters of Tempo's API: time ranges, counts, ids, and both ways to search. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { Stage } from '#lang/traceql/ast.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { countParam, searchQuery, searchRange, tagField, tagRange, timeRange, traceId } from './params.ts'

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
    ['start=1&end=604802', 1000, 604_802_000],
  ]
  for (const [query, fromMs, throughMs] of cases) assert.deepEqual(timeRange(form(query)), { fromMs, throughMs }, query)
  const wrong: [query: string, message: string][] = [
    ['start=5.5', 'invalid start: strconv.ParseInt: parsing "5.5": invalid syntax'],
    ['end=x', 'invalid end: strconv.ParseInt: parsing "x": invalid syntax'],
    ['start=7&end=7', 'http parameter start must be before end. received start=7 end=7'],
  ]
  for (const [query, message] of wrong) assert.throws(() => timeRange(form(query)), { message })
})

test('a search has both ends of its time or none, and a week at most', () => {
  assert.deepEqual(searchRange(form('')), { fromMs: -Infinity, throughMs: Infinity })
  assert.deepEqual(searchRange(form('start=1&end=604801')), { fromMs: 1000, throughMs: 604_801_000 })
  const alone = 'error parsing date range: only one of start and end provided: must provide both or neither'
  const wrong: [query: string, message: string][] = [
    ['start=x&end=5', 'invalid start: strconv.ParseUint: parsing "x": invalid syntax'],
    ['start=5', 'http parameter start must be before end. received start=5 end=0'],
    ['end=5', alone],
    ['start=1&end=604802', 'range specified by start and end exceeds 168h0m0s. received start=1 end=604802'],
  ]
  for (const [query, message] of wrong) assert.throws(() => searchRange(form(query)), { message })
  assert.throws(() => tagRange(form('start=5')), { message: alone })
  assert.throws(() => tagRange(form('start=x&end=5')), {
    message:
      "error parsing date range: could not parse 'start' parameter: " + 'strconv.ParseInt: parsing "x": invalid syntax',
  })
})

test('counts are whole; ids are up to 32 hexadecimal digits', () => {
  assert.equal(countParam(form(''), 'limit'), undefined)
  assert.equal(countParam(form('limit=100'), 'limit'), 100)
  assert.throws(() => countParam(form('limit=x'), 'limit'), {
    message: 'invalid limit: strconv.ParseUint: parsing "x": invalid syntax',
  })
  assert.equal(Buffer.from(traceId('aB1')).toString('hex'), 'ab1'.padStart(32, '0'))
  assert.throws(() => traceId('0'.repeat(33)), { message: "trace IDs can't be larger than 128 bits" })
  assert.throws(() => traceId('a b'), {
    message: "trace IDs can only contain hex characters: invalid character ' ' at position 2",
  })
})

test('a field of a path is an attribute or an intrinsic', () => {
  assert.equal(tagField('span.a').name, 'a')
  const wrong: [name: string, reason: string][] = [
    ['odd name', 'parse error at line 1, col 2: unknown identifier: odd'],
    ['childCount', 'parse error at line 1, col 2: syntax error: unexpected childCount'],
    ['{}', 'parse error at line 1, col 2: syntax error: unexpected {'],
  ]
  for (const [name, reason] of wrong)
    assert.throws(() => tagField(name), {
      message: `please provide a valid tagName: failed to parse identifier ${name}: ${reason}`,
    })
})

test('a search is TraceQL, or tags and durations that mean the same', () => {
  const cases: [parameters: Record<string, string>, query: string][] = [
    [{ q: '{ name = "a" } | { status = error }' }, '{ name = "a" } | { status = error }'],
    [{ q: '{}', minDuration: '1s' }, '{}'],
    [{}, '{}'],
    [{ q: '{ name = "a" } | rate()' }, '{ name = "a" }'],
    [{ tags: 'name=get' }, '{ name =~ "(?s).*get.*" }'],
    [{ tags: 'service.name="a b.c"' }, '{ resource.service.name =~ "(?s).*a b\\\\.c.*" }'],
    [{ tags: 'root.name=r root.service.name=s' }, '{ rootName =~ "(?s).*r.*" } && { rootServiceName =~ "(?s).*s.*" }'],
    [{ tags: 'grp="a b" st="select\\n1"' }, '{ ."grp" = "a b" } && { ."st" = "select\\n1" }'],
    [{ tags: 'key' }, '{ ."key" = "" }'],
    [{ tags: 'http.status_code=404' }, '{ ."http.status_code" = "404" || ."http.status_code" = 404 }'],
    [{ tags: 'status.code=error' }, '{ status = error }'],
    [{ minDuration: '100ms', maxDuration: '2s' }, '{ traceDuration >= 100ms } && { traceDuration <= 2s }'],
    [{ minDuration: '0', maxDuration: '0s' }, '{}'],
    [{ tags: 'name=a', minDuration: '1s' }, '{ name =~ "(?s).*a.*" } && { traceDuration >= 1s }'],
  ]
  for (const [parameters, query] of cases)
    assert.deepEqual(searchQuery(new URLSearchParams(parameters)).stages, stagesOf(query), JSON.stringify(parameters))
})

test('searches that can not be understood are refused', () => {
  const cases: [parameters: Record<string, string>, message: string | RegExp][] = [
    [{ q: '{}', tags: 'a=b' }, "invalid request: can't specify tags and q in the same query"],
    [{ minDuration: 'x' }, 'invalid minDuration: time: invalid duration "x"'],
    [{ minDuration: '5' }, 'invalid minDuration: time: missing unit in duration "5"'],
    [{ maxDuration: '1d' }, 'invalid maxDuration: time: unknown unit "d" in duration "1d"'],
    [{ minDuration: '2s', maxDuration: '1s' }, 'invalid maxDuration: must be greater than minDuration'],
    [{ tags: 'grp="a' }, 'invalid tags: unterminated quoted value at pos 7'],
    [{ tags: 'a=b=c' }, "invalid tags: unexpected '=' at pos 4"],
    [{ tags: '=x' }, "invalid tags: unexpected '=' at pos 1"],
    [{ tags: 'a=1 a=2' }, 'invalid tags: tag a has been set twice'],
    [{ tags: 'status.code=bad' }, 'invalid tags: the status "bad" is not known; error, ok and unset are'],
    [{ q: '{' }, /^invalid TraceQL query: parse error at line 1, col 2: /],
  ]
  for (const [parameters, message] of cases)
    assert.throws(() => searchQuery(new URLSearchParams(parameters)), { message }, JSON.stringify(parameters))
})
