/** Parameters of Loki's API: times in seconds, nanoseconds and RFC 3339, durations, bounds, limits, directions. */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  boundsParam,
  durationParam,
  instantParam,
  isBackwardParam,
  isBefore,
  limitParam,
  parseInstant,
  selectorParam,
} from './params.ts'

const form = (text: string): URLSearchParams => new URLSearchParams(text)
const noonMs = Date.UTC(2026, 10, 28, 12)

test('times are seconds, nanoseconds or RFC 3339, exact to the nanosecond', () => {
  const cases: [text: string, ms: number, subNs: number][] = [
    ['0', 0, 0],
    ['1732788000', 1_732_788_000_000, 0],
    ['1732788000.5', 1_732_788_000_500, 0],
    ['1732788000123456789', 1_732_788_000_123, 456_789],
    ['-1732788000123456789', -1_732_788_000_124, 543_211],
    ['2026-11-28T12:00:00Z', noonMs, 0],
    ['2026-11-28T12:00:00.123456789Z', noonMs + 123, 456_789],
    ['2026-11-28T14:00:00.1+02:00', noonMs + 100, 0],
  ]
  for (const [text, ms, subNs] of cases) assert.deepEqual(parseInstant(text), { ms, subNs }, text)
})

test('texts that are no times are refused in the words of Loki', () => {
  const cases: [text: string, message: string][] = [
    ['x', 'strconv.ParseInt: parsing "x": invalid syntax'],
    ['.', 'strconv.ParseInt: parsing ".": invalid syntax'],
    ['2026-11-28', 'strconv.ParseInt: parsing "2026-11-28": invalid syntax'],
    ['2026-13-28T12:00:00Z', 'strconv.ParseInt: parsing "2026-13-28T12:00:00Z": invalid syntax'],
    ['9223372036854775808', 'strconv.ParseInt: parsing "9223372036854775808": value out of range'],
  ]
  for (const [text, message] of cases) assert.throws(() => parseInstant(text), { name: 'BadDataError', message })
  const message = `could not parse 'start' parameter: ${cases[0]?.[1]}`
  assert.throws(() => instantParam(form('start=x'), 'start'), { message })
  // Loki does not name this one.
  assert.throws(() => instantParam(form('time=x'), 'time'), { message: cases[0]?.[1] })
  assert.equal(instantParam(form('start='), 'start'), undefined)
})

test('instants are in order by both of their parts', () => {
  assert.equal(isBefore({ ms: 1, subNs: 9 }, { ms: 2, subNs: 0 }), true)
  assert.equal(isBefore({ ms: 2, subNs: 0 }, { ms: 2, subNs: 1 }), true)
  assert.equal(isBefore({ ms: 2, subNs: 1 }, { ms: 2, subNs: 1 }), false)
})

test('bounds: the last hour, a time since, or what is said', () => {
  const cases: [query: string, start: number, end: number][] = [
    ['', noonMs - 3_600_000, noonMs],
    ['since=10m', noonMs - 600_000, noonMs],
    ['end=1732788000', 1_732_784_400_000, 1_732_788_000_000],
    // Since counts from now where the end lies in the future.
    [`end=${noonMs / 1000 + 60}&since=1m`, noonMs - 60_000, noonMs + 60_000],
    ['start=5&end=7&since=1m', 5000, 7000],
  ]
  for (const [query, start, end] of cases) {
    const bounds = boundsParam(form(query), noonMs)
    assert.deepEqual([bounds.start.ms, bounds.end.ms], [start, end], query)
  }
  assert.throws(() => boundsParam(form('since=x'), noonMs), {
    message: 'could not parse \'since\' parameter: not a valid duration string: "x"',
  })
})

test('durations, limits, directions and selectors', () => {
  assert.equal(durationParam(form('step=1.5'), 'step'), 1500)
  assert.equal(durationParam(form('step=2m'), 'step'), 120_000)
  assert.equal(durationParam(form('step='), 'step'), undefined)
  assert.equal(limitParam(form(''), 100), 100)
  assert.equal(limitParam(form('limit=%2B7'), 100), 7)
  for (const direction of ['', 'backward', 'BACKWARD'])
    assert.equal(isBackwardParam(form(`direction=${direction}`)), true)
  assert.equal(isBackwardParam(form('direction=Forward')), false)
  assert.deepEqual(selectorParam(form(''), 'empty'), [])
  assert.deepEqual(selectorParam(form('query={}'), 'braces'), [])
  assert.deepEqual(
    selectorParam(form('match={a="b"}'), 'none', 'match').map(m => `${m.name}${m.kind}${m.value}`),
    ['a=b'],
  )
  const cases: [read: () => unknown, message: string | RegExp][] = [
    [() => durationParam(form('step=x'), 'step'), 'cannot parse "x" to a valid duration'],
    [() => limitParam(form('limit=1.5'), 100), 'strconv.Atoi: parsing "1.5": invalid syntax'],
    [() => limitParam(form('limit=0'), 100), 'limit must be a positive value'],
    [() => isBackwardParam(form('direction=up')), "invalid direction 'up'"],
    [() => selectorParam(form('query={a'), 'both'), /./],
    [() => selectorParam(form('query={}'), 'empty'), /empty-compatible/],
    [() => selectorParam(form(''), 'braces'), 'parse error : syntax error: unexpected $end'],
    [() => selectorParam(form('query={a=~".*"}'), 'both'), /empty-compatible/],
  ]
  for (const [read, message] of cases) assert.throws(read, { message })
})
