/** Answers of Loki's API as JSON: escapes, streams, numbers. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { FoundLine } from '#query/logql/log-query.ts'
import { jsonText, numberText, secondsText, streamsJson } from './json.ts'

function line(text: string, more: Partial<FoundLine> = {}): FoundLine {
  return { ms: 1000, subNs: 5, line: text, stream: ['a', 'b'], metadata: [], parsed: [], ...more }
}

test('texts are escaped as Go escapes them', () => {
  assert.equal(jsonText('a<b>&"\u2028\n'), '"a\\u003cb\\u003e\\u0026\\"\\u2028\\n"')
  assert.equal(jsonText('plain ä'), '"plain ä"')
})

test('lines are listed by stream: of all labels, or of the stream with the others apart', () => {
  const lines = [
    line('one'),
    line('two', { metadata: ['trace', 't'], parsed: ['level', 'info'] }),
    line('three', { stream: ['a', '0'], ms: 2000, subNs: 0 }),
    line('four', { parsed: ['a', 'over'] }),
  ]
  assert.deepEqual(JSON.parse(streamsJson(lines, false)), [
    { stream: { a: '0' }, values: [['2000000000', 'three']] },
    { stream: { a: 'b', level: 'info', trace: 't' }, values: [['1000000005', 'two']] },
    { stream: { a: 'b' }, values: [['1000000005', 'one']] },
    { stream: { a: 'over' }, values: [['1000000005', 'four']] },
  ])
  assert.deepEqual(JSON.parse(streamsJson(lines, true)), [
    { stream: { a: '0' }, values: [['2000000000', 'three', {}]] },
    {
      stream: { a: 'b' },
      values: [
        ['1000000005', 'one', {}],
        ['1000000005', 'two', { structuredMetadata: { trace: 't' }, parsed: { level: 'info' } }],
        ['1000000005', 'four', { parsed: { a: 'over' } }],
      ],
    },
  ])
  assert.equal(streamsJson([], false), '[]')
})

test('numbers are decimals without an exponent, and times are seconds', () => {
  const cases: [value: number, text: string][] = [
    [0, '0'],
    [-0, '-0'],
    [1.5, '1.5'],
    [1e21, '1000000000000000000000'],
    [-1.5e21, '-1500000000000000000000'],
    [1.5e-7, '0.00000015'],
    [-2e-7, '-0.0000002'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
    [NaN, 'NaN'],
  ]
  for (const [value, text] of cases) {
    assert.equal(numberText(value), text)
    if (Number.isFinite(value)) assert.equal(Number(text), value)
  }
  assert.equal(secondsText(1500), '1.5')
  assert.equal(secondsText(2000), '2')
})
