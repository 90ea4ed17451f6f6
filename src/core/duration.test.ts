/** Durations: what is one, and why a text is none. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { durationProblem, formatDuration, parseDurationMs } from './duration.ts'

test('durations have whole numbers and units in falling order', () => {
  for (const [text, ms] of [
    ['0', 0],
    ['1ms', 1],
    ['1h30m', 5_400_000],
    ['1y2w', 32_745_600_000],
  ] as const) {
    assert.equal(parseDurationMs(text), ms, text)
    assert.equal(parseDurationMs(formatDuration(ms)), ms, text)
  }
})

test('the reason why a text is no duration has the words of Prometheus', () => {
  const cases: [text: string, problem: string][] = [
    ['', 'empty duration string'],
    ['5', 'not a valid duration string: "5"'],
    ['-5m', 'not a valid duration string: "-5m"'],
    [' 5m ', 'not a valid duration string: " 5m "'],
    ['5x', 'unknown unit "x" in duration "5x"'],
    ['1.5h', 'unknown unit "." in duration "1.5h"'],
    ['5m:1m', 'unknown unit "m:" in duration "5m:1m"'],
    ['1m1h', 'not a valid duration string: "1m1h"'],
    ['300y', 'duration out of range'],
  ]
  for (const [text, problem] of cases) {
    assert.equal(parseDurationMs(text), undefined, text)
    assert.equal(durationProblem(text), problem, text)
  }
})
