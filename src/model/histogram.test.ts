/** Native histograms: bounds, combination, resets. Cases are written in the notation of Prometheus' tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exponentialBounds } from './exponential-bounds.ts'
import { bucketBound, bucketsFromSpans, formatG, resetHint, spansOf, toPlain } from './histogram.ts'
import { chunkRun, histogramFromChunk, layoutOf, sameLayout, sampleOf } from './histogram-chunk.ts'
import { parseHistogram } from './series-notation.ts'

const h = (text: string): ReturnType<typeof parseHistogram> => parseHistogram(`{{${text}}}`)

test('bounds of buckets are the powers that the schema says', () => {
  assert.equal(exponentialBounds.length, 256)
  for (let i = 1; i < 256; i++) assert.ok(exponentialBounds[i]! > exponentialBounds[i - 1]!)
  const cases: [index: number, schema: number, bound: number][] = [
    [0, 0, 1],
    [1, 0, 2],
    [-1, 0, 0.5],
    [1, 1, Math.SQRT2],
    [2, 1, 2],
    [1, -1, 4],
    [-1, -2, 2 ** -4],
    [1024, 0, Number.MAX_VALUE],
    [1025, -1, Infinity],
    [-1074, 0, 5e-324],
  ]
  for (const [index, schema, bound] of cases) {
    const found = bucketBound(index, schema)
    assert.ok(found === bound || Math.abs(found / bound - 1) < 1e-15, `${index} of schema ${schema}: ${found}`)
  }
  assert.deepEqual(
    [-1, 0, 1, 2].map(i => bucketBound(i, -53, [1, 5])),
    [-Infinity, 1, 5, Infinity],
  )
})

test('spans and indices are the same buckets', () => {
  const spans = [
    { offset: -2, length: 2 },
    { offset: 3, length: 1 },
  ]
  const buckets = bucketsFromSpans(spans, [1, 2, 3])
  assert.deepEqual(buckets, { index: [-2, -1, 3], count: [1, 2, 3] })
  assert.deepEqual(spansOf(buckets), spans)
})

const combined: [a: string, sign: 1 | -1, b: string, shown: string][] = [
  ['count:3 sum:4 buckets:[1 2]', 1, 'count:2 sum:1 buckets:[0 1 1]', '{count:5, sum:5, (0.5,1]:1, (1,2]:3, (2,4]:1}'],
  ['count:3 sum:4 buckets:[1 2]', -1, 'count:1 sum:1 buckets:[1]', '{count:2, sum:3, (1,2]:2}'],
  ['schema:1 count:3 buckets:[1 1 1]', 1, 'count:1 buckets:[1]', '{count:4, sum:0, (0.5,1]:2, (1,2]:2}'],
  ['count:1 n_buckets:[1]', 1, 'count:1 n_buckets:[1] n_offset:1', '{count:2, sum:0, [-2,-1):1, [-1,-0.5):1}'],
  [
    'count:2 z_bucket:1 z_bucket_w:0.5 buckets:[0 1]',
    1,
    'count:2 z_bucket:1 z_bucket_w:0.75 buckets:[0 1]',
    '{count:4, sum:0, [-0.75,0.75]:2, (1,2]:2}',
  ],
  [
    'count:2 z_bucket:1 z_bucket_w:0.5 buckets:[1]',
    1,
    'count:1 z_bucket:1 z_bucket_w:0.75',
    '{count:3, sum:0, [-1,1]:3}',
  ],
  [
    'schema:-53 count:3 custom_values:[1 5] buckets:[1 2]',
    1,
    'schema:-53 count:3 custom_values:[5 9] buckets:[1 2]',
    '{count:6, sum:0, [-Inf,5]:4, (5,+Inf]:2}',
  ],
]

test('sums and differences: other resolutions, zero buckets, bounds', () => {
  for (const [a, sign, b, shown] of combined) {
    const [left, right] = [h(a), h(b)]
    const before = right.toString()
    assert.equal(left.combine(right, sign), undefined)
    assert.equal(left.toString(), shown, `${a} ${sign} ${b}`)
    assert.equal(right.toString(), before, 'the other one is left as it is')
  }
  assert.equal(h('count:1').combine(h('schema:-53 count:1 custom_values:[1]'), 1), 'schema')
})

test('hints of resets when histograms are combined', () => {
  const cases: [a: string, b: string, hint: number, collided: boolean][] = [
    ['gauge', 'reset', resetHint.gauge, false],
    ['reset', 'gauge', resetHint.gauge, false],
    ['reset', 'not_reset', resetHint.unknown, true],
    ['reset', 'unknown', resetHint.unknown, false],
    ['unknown', 'reset', resetHint.unknown, false],
  ]
  for (const [a, b, hint, collided] of cases) {
    const left = h(`counter_reset_hint:${a}`)
    left.combine(h(`counter_reset_hint:${b}`), 1)
    assert.deepEqual([left.hint, left.collided], [hint, collided], `${a} and ${b}`)
  }
})

test('factors and divisors', () => {
  assert.equal(
    h('count:2 sum:3 z_bucket:1 buckets:[1] n_buckets:[2]').scale(2).toString(),
    '{count:4, sum:6, [-1,-0.5):4, [-0,0]:2, (0.5,1]:2}',
  )
  assert.equal(h('count:2 buckets:[1]').scale(-1).hint, resetHint.gauge)
  assert.equal(h('count:2 sum:3 buckets:[1]').divide(2).toString(), '{count:1, sum:1.5, (0.5,1]:0.5}')
  assert.deepEqual(h('count:2 buckets:[1]').divide(0).positive.index, [])
  assert.equal(h('count:2 buckets:[1]').divide(-2).hint, resetHint.gauge)
})

const resets: [before: string, after: string, isReset: boolean][] = [
  ['count:3 buckets:[1 2]', 'count:4 buckets:[1 3]', false],
  ['count:3 buckets:[1 2]', 'count:2 buckets:[1 1]', true],
  ['count:3 buckets:[1 2]', 'count:5 buckets:[0 5]', true],
  ['count:3 buckets:[1 2]', 'count:5 counter_reset_hint:reset buckets:[1 4]', true],
  ['count:3 buckets:[1 2]', 'count:1 counter_reset_hint:not_reset buckets:[1]', false],
  ['count:3 buckets:[1 2]', 'count:1 counter_reset_hint:gauge buckets:[1]', true],
  ['count:3 schema:1 buckets:[1 2]', 'count:4 schema:0 buckets:[1 3]', false],
  ['count:3 schema:0 buckets:[1 2]', 'count:4 schema:1 buckets:[1 3]', true],
  ['count:1 z_bucket_w:0.5', 'count:1 z_bucket_w:0.25', true],
  ['count:1 z_bucket_w:0.25 z_bucket:1', 'count:2 z_bucket_w:0.5 z_bucket:2', false],
  ['count:1 z_bucket:1', 'count:1 buckets:[1]', true],
  ['count:1', 'schema:-53 count:1 custom_values:[1]', true],
  ['schema:-53 count:2 custom_values:[1 5] buckets:[1 1]', 'schema:-53 count:3 custom_values:[5] buckets:[2 1]', false],
  ['schema:-53 count:2 custom_values:[1 5] buckets:[1 1]', 'schema:-53 count:3 custom_values:[5] buckets:[1 2]', true],
]

test('resets', () => {
  for (const [before, after, isReset] of resets)
    assert.equal(h(after).detectReset(h(before)), isReset, `${before} then ${after}`)
})

test('equality does not count empty buckets', () => {
  assert.ok(h('count:1 buckets:[1 0]').equals(h('count:1 buckets:[1]')))
  assert.ok(h('count:1 sum:NaN').equals(h('count:1 sum:NaN')))
  for (const other of [
    'count:2 buckets:[1]',
    'count:1 sum:1 buckets:[1]',
    'count:1 buckets:[0 1]',
    'count:1 z_bucket:1 buckets:[1]',
  ])
    assert.ok(!h('count:1 buckets:[1]').equals(h(other)), other)
})

test('a zero bucket that reaches into its neighbours cuts them', () => {
  assert.equal(
    h('count:2 z_bucket:1 z_bucket_w:0.75 buckets:[1]').toString(),
    '{count:2, sum:0, [-0.75,0.75]:1, (0.5,1]:1}',
  )
})

test('numbers as Go prints them', () => {
  const cases: [value: number, text: string][] = [
    [0, '0'],
    [-0, '-0'],
    [1.5, '1.5'],
    [123456, '123456'],
    [1e6, '1e+06'],
    [1234567.5, '1.2345675e+06'],
    [1e21, '1e+21'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [-Infinity, '-Inf'],
    [NaN, 'NaN'],
  ]
  for (const [value, text] of cases) assert.equal(formatG(value), text)
  assert.deepEqual([1.25e21, -1e-7].map(toPlain), ['1250000000000000000000', '-0.0000001'])
})

test('runs of one chunk: layout, resets, gauges, staleness', () => {
  const cases: [histograms: string[], to: number, flag: number][] = [
    [['count:1 buckets:[1]', 'count:2 buckets:[2]'], 2, 0],
    [['count:1 buckets:[1]', 'count:2 buckets:[1 1]'], 1, 0],
    [['count:2 buckets:[2]', 'count:1 buckets:[1]'], 1, 0],
    [['count:2 counter_reset_hint:gauge buckets:[2]', 'count:1 counter_reset_hint:gauge buckets:[1]'], 2, 3],
    [['count:2 counter_reset_hint:reset buckets:[2]', 'count:3 buckets:[3]'], 2, 2],
    [['count:2 counter_reset_hint:not_reset buckets:[2]'], 1, 1],
  ]
  for (const [texts, to, flag] of cases)
    assert.deepEqual(chunkRun(texts.map(h), 0, 120), { to, flag }, texts.join(' | '))
  assert.deepEqual(chunkRun(['count:2 buckets:[2]', 'count:1 buckets:[1]'].map(h), 1, 120), { to: 2, flag: 2 })
  const first = h('count:3 sum:2 z_bucket:1 buckets:[1 1]')
  const back = histogramFromChunk(layoutOf(first), sampleOf(first, 5, 0), 1, 2, false)
  assert.ok(back.equals(first) && sameLayout(back, first))
  assert.equal(back.hint, resetHint.noReset)
})
