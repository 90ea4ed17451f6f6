/** Prometheus' notation of series in tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FloatHistogram } from './histogram.ts'
import { parseHistogram, parsePoints, parseSeriesLine, same, samePoint, type Point } from './series-notation.ts'

const show = (point: Point): string => (point instanceof FloatHistogram ? point.toString() : String(point))

const points: [text: string, shown: string][] = [
  ['', ''],
  ['1 -2.5 .5 1e3', '1 -2.5 0.5 1000'],
  ['Inf -inf NaN +Inf', 'Infinity -Infinity NaN Infinity'],
  ['1+2x3', '1 3 5 7'],
  ['10-1.5x2', '10 8.5 7'],
  ['4x2', '4 4 4'],
  ['_ _x3 stale stalex1', 'undefined undefined undefined undefined stale stale stale'],
  ['1+1x0 2', '1 2'],
  ['{{count:1 buckets:[1]}}x1', '{count:1, sum:0, (0.5,1]:1} {count:1, sum:0, (0.5,1]:1}'],
  ['{{count:1}}+{{count:2 sum:1}}x1', '{count:1, sum:0} {count:3, sum:1}'],
]

test('points: numbers, runs, gaps, staleness, histograms', () => {
  for (const [text, shown] of points) assert.equal(parsePoints(text).map(show).join(' '), shown, text)
})

test('points that are not understood', () => {
  for (const text of ['x', '1+', '1x', '1+x2', '1 2y', 'stales', '1+-2x3'])
    assert.throws(() => parsePoints(text), { name: 'BadDataError', message: /^values not understood: / }, text)
})

const lines: [line: string, labels: string, count: number][] = [
  ['up 1 2', 'up', 2],
  ['up{job="a", x=\'b\'} 1', 'up{job="a", x="b"}', 1],
  ['{"with.dots", "a b"=`c\\d`} 1x3', '{__name__="with.dots", "a b"="c\\\\d"}', 4],
  ['{ a="\\n\\x41\\"" , }', '{a="\\nA\\""}', 0],
  ['up {{count:1}}', 'up', 1],
]

test('lines of series', () => {
  for (const [line, labels, count] of lines) {
    const read = parseSeriesLine(line)
    assert.deepEqual([read.labels.toString(), read.points.length], [labels, count], line)
  }
  assert.throws(() => parseSeriesLine('up{1} 2'), { name: 'BadDataError', message: /^labels not understood: 1} 2/ })
})

test('histograms: every key, and one that there is none of', () => {
  const h = parseHistogram(
    '{{schema:1 sum:2 count:3 z_bucket:1 z_bucket_w:0.5 buckets:[1 2] offset:-1 n_buckets:[3] n_offset:2 ' +
      'counter_reset_hint:gauge custom_values:[1 2]}}',
  )
  assert.deepEqual(
    [h.schema, h.sum, h.count, h.zeroCount, h.zeroThreshold, h.hint, h.customValues],
    [1, 2, 3, 1, 0.5, 3, [1, 2]],
  )
  assert.deepEqual(
    [h.positive, h.negative],
    [
      { index: [-1, 0], count: [1, 2] },
      { index: [2], count: [3] },
    ],
  )
  assert.throws(() => parseHistogram('{{nosuch:1}}'), { name: 'BadDataError', message: 'histogram key nosuch' })
  assert.throws(() => parseHistogram('{{counter_reset_hint:maybe}}'), { name: 'BadDataError' })
})

test('values are the same when they differ by a millionth', () => {
  assert.ok(same(1, 1 + 1e-9) && same(NaN, NaN) && same(Infinity, Infinity))
  assert.ok(!same(1, 1.001) && !same(1, NaN) && !same(0, 1e-3))
  const h = parseHistogram('{{count:1 buckets:[1 0]}}')
  assert.ok(samePoint(h, parseHistogram('{{count:1 buckets:[1]}}')))
  assert.ok(!samePoint(h, parseHistogram('{{count:1 buckets:[0 1]}}')) && !samePoint(h, 1))
  assert.ok(samePoint('stale', 'stale') && samePoint(undefined, undefined) && !samePoint('stale', 1))
})
