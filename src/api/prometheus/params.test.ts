/** Parameters of Prometheus' API: times, durations, limits and selectors, in every spelling that clients use. */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  durationMs,
  durationParam,
  limitParam,
  matcherSets,
  maxTimeMs,
  minTimeMs,
  parseTimeMs,
  requiredTime,
  timeParam,
} from './params.ts'

const form = (text: string): URLSearchParams => new URLSearchParams(text)

test('times are Unix seconds or RFC 3339', () => {
  const cases: [text: string, ms: number | undefined][] = [
    ['0', 0],
    ['1732788000', 1_732_788_000_000],
    ['1732788000.1234', 1_732_788_000_123],
    ['-1.5', -1500],
    ['+2', 2000],
    ['.5', 500],
    ['5.', 5000],
    ['1e3', 1_000_000],
    ['9.3e15', undefined],
    ['2026-11-28T12:00:00Z', Date.UTC(2026, 10, 28, 12)],
    ['2026-11-28t12:00:00.5z', Date.UTC(2026, 10, 28, 12) + 500],
    ['2026-11-28T12:00:00+02:00', Date.UTC(2026, 10, 28, 10)],
    ['2026-11-28T12:00:00', undefined],
    ['2026-13-28T12:00:00Z', undefined],
    ['2026-11-28', undefined],
    ['-292273086-05-16T16:47:06Z', minTimeMs],
    ['292277025-08-18T07:12:54.999999999Z', maxTimeMs],
    ['+292277025-08-18T07:12:54Z', maxTimeMs],
    ['now', undefined],
    ['', undefined],
    ['1_000', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
  ]
  for (const [text, ms] of cases) assert.equal(parseTimeMs(text), ms, text)
})

test('durations are seconds or Prometheus durations', () => {
  const cases: [text: string, ms: number | undefined][] = [
    ['15', 15_000],
    ['0.25', 250],
    ['-1', -1000],
    ['1m30s', 90_000],
    ['1d', 86_400_000],
    ['9.2e12', undefined],
    ['15 s', undefined],
    ['', undefined],
  ]
  for (const [text, ms] of cases) assert.equal(durationMs(text), ms, text)
})

test('what is missing has its fallback, and what is wrong names the parameter', () => {
  assert.equal(timeParam(form(''), 'start', 7), 7)
  assert.equal(timeParam(form('start='), 'start', 7), 7)
  assert.equal(timeParam(form('start=1'), 'start', 7), 1000)
  assert.equal(durationParam(form('step='), 'step'), undefined)
  assert.equal(durationParam(form('step=1m'), 'step'), 60_000)
  assert.equal(limitParam(form('')), 0)
  assert.equal(limitParam(form('limit=%2B5')), 5)
  const cases: [read: () => unknown, message: string][] = [
    [
      () => timeParam(form('start=x'), 'start', 7),
      `invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp`,
    ],
    [() => requiredTime(form(''), 'end'), 'invalid parameter "end": cannot parse "" to a valid timestamp'],
    [() => durationParam(form('step=x'), 'step'), 'invalid parameter "step": cannot parse "x" to a valid duration'],
    [
      () => durationParam(form('step=1e20'), 'step'),
      'invalid parameter "step": cannot parse "1e20" to a valid duration. It overflows int64',
    ],
    [() => limitParam(form('limit=1.5')), 'invalid parameter "limit": strconv.Atoi: parsing "1.5": invalid syntax'],
    [() => limitParam(form('limit=-1')), 'invalid parameter "limit": limit must be non-negative'],
  ]
  for (const [read, message] of cases) assert.throws(read, { name: 'BadDataError', message })
})

test('each match[] is a set of matchers, and one that does not parse names the parameter', () => {
  const sets = matcherSets(form(`match[]=up&match[]=${encodeURIComponent('{a="b",c=~"d.*"}')}`))
  assert.deepEqual(
    sets.map(set => set.map(m => `${m.name}${m.kind}${m.value}`)),
    [['__name__=up'], ['a=b', 'c=~d.*']],
  )
  assert.deepEqual(matcherSets(form('')), [])
  assert.throws(() => matcherSets(form('match[]=(')), {
    name: 'BadDataError',
    message: /^invalid parameter "match\[\]": /,
  })
  const refused: [text: string, message: string][] = [
    ['sum(up)', '1:4: parse error: unexpected "("'],
    ['up[5m]', '1:3: parse error: unexpected "["'],
    ['up offset 5m', '1:4: parse error: unexpected <offset>'],
    ['{a=~".*"}', 'match[] must contain at least one non-empty matcher'],
  ]
  for (const [text, message] of refused)
    assert.throws(() => matcherSets(form(`match[]=${encodeURIComponent(text)}`), false), { message })
})
