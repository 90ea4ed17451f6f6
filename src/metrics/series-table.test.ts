import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError, CorruptDataError, LimitError } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import { below, seededRandom } from '#core/random.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { MatchKind } from '#lang/regex/matcher.ts'
import { Labels } from '#model/labels.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { SeriesTable } from './series-table.ts'

const seed = { a: 1, b: 2, c: 3, d: 4 }
const makeTable = (limits = {}): SeriesTable => new SeriesTable(seed, { ...defaultLimits, ...limits })

/** The key of labels as remote write spells it, in the order given. */
function keyOf(pairs: readonly string[]): Uint8Array {
  const writer = new KeyWriter()
  for (let i = 0; i < pairs.length; i += 2)
    writer.writeLabelBytes(Buffer.from(pairs[i]!, 'latin1'), Buffer.from(pairs[i + 1]!, 'latin1'))
  return writer.bytes.subarray(0, writer.at)
}
function resolve(table: SeriesTable, ...pairs: string[]): number {
  const key = keyOf(pairs)
  return table.resolveShown(key, 0, key.length)
}

test('equal labels are one series, however they are spelled', () => {
  const table = makeTable()
  const series = resolve(table, '__name__', 'up', 'job', 'a')
  assert.equal(resolve(table, '__name__', 'up', 'job', 'a'), series)
  assert.equal(resolve(table, 'job', 'a', '__name__', 'up'), series, 'not sorted')
  assert.equal(resolve(table, '__name__', 'up', 'empty', '', 'job', 'a'), series, 'with an empty value')
  assert.notEqual(resolve(table, '__name__', 'up', 'job', 'b'), series)
  assert.equal(String(table.labels(series)), 'up{job="a"}')
  assert.equal(table.liveCount, 2)
})

/** Labels that can't be stored, and why. */
const refused: readonly (readonly [pairs: string[], reason: RegExp])[] = [
  [['__name__', 'up', '', 'x'], /a label name is empty/],
  [['__name__', 'up', '__name__', 'down'], /label "__name__" stands twice/],
  [['__name__', ''], /the series has no labels/],
  [['__name__', 'up', 'x', '\xff'], /the value of label "x" is not UTF-8/],
  [['__name__', 'up', '\xff', 'x'], /a label name is not UTF-8/],
  [['__name__', 'up', 'a234567890', 'x'], /label name "a234567890".* has 10 bytes, the limit is 9/],
  [['__name__', 'up', 'a', '12345678901'], /the value of label "a" has 11 bytes, the limit is 10/],
  [['__name__', 'up', 'a', '1', 'b', '2', 'c', '3'], /the series has 4 labels, the limit is 3/],
]

test('labels that break a rule are refused with the rule, and leave no trace', () => {
  const table = makeTable({ labelsPerSeriesMax: 3, labelNameBytesMax: 9, labelValueBytesMax: 10 })
  for (const [pairs, reason] of refused)
    assert.throws(
      () => resolve(table, ...pairs),
      error => error instanceof BadDataError && reason.test(error.message),
      String(reason),
    )
  assert.equal(table.liveCount, 0)
  assert.equal(table.postings.pairCount, 0)
})

test('one series too many is refused with the limit', () => {
  const table = makeTable({ activeSeriesMax: 1 })
  resolve(table, '__name__', 'a')
  assert.throws(() => resolve(table, '__name__', 'b'), LimitError)
  assert.equal(resolve(table, '__name__', 'a'), 0)
})

test('truncated and mutated keys are refused or read, and nothing else', () => {
  const table = makeTable()
  const random = seededRandom(5)
  const key = keyOf(['__name__', 'http_requests_total', 'instance', 'host:9090', 'job', 'x'])
  for (let round = 0; round < 3000; round++) {
    const bytes = key.slice(0, below(random, 3) === 0 ? below(random, key.length) : key.length)
    if (bytes.length > 0) bytes[below(random, bytes.length)]! ^= 1 << below(random, 8)
    try {
      table.resolveShown(bytes, 0, bytes.length)
    } catch (error) {
      assert.ok(error instanceof BadDataError || error instanceof CorruptDataError, String(error))
    }
  }
})

/** Matchers over the series below, and which of them they find. */
const selections: readonly (readonly [matchers: (readonly [MatchKind, string, string])[], found: string])[] = [
  [[['=', '__name__', 'a']], '0 1 2'],
  [[['=', 'job', 'x']], '0 3'],
  [[['=', 'job', '']], '2'],
  [[['!=', 'job', '']], '0 1 3'],
  [[['!=', 'job', 'x']], '1 2'],
  [[['=~', 'job', 'x|y']], '0 1 3'],
  [[['=~', 'job', '.*']], '0 1 2 3'],
  [[['=~', 'job', '.+']], '0 1 3'],
  [[['!~', 'job', 'x.*']], '1 2'],
  [
    [
      ['=', '__name__', 'a'],
      ['=', 'job', 'y'],
    ],
    '1',
  ],
  [[['=', 'nosuch', 'x']], ''],
  [[['=', 'nosuch', '']], '0 1 2 3'],
  [[], '0 1 2 3'],
]

test('matchers find series, ascending; an absent label is an empty one', () => {
  const table = makeTable()
  resolve(table, '__name__', 'a', 'job', 'x')
  resolve(table, '__name__', 'a', 'job', 'y')
  resolve(table, '__name__', 'a')
  resolve(table, '__name__', 'b', 'job', 'x')
  for (const [matchers, found] of selections)
    assert.equal([...table.select(matchers.map(m => makeMatcher(...m)))].join(' '), found, JSON.stringify(matchers))
})

test('retired series are found no more; their numbers rest ten minutes, then go to others', () => {
  const table = makeTable()
  for (const name of ['a', 'b', 'c']) resolve(table, '__name__', name, 'shared', 'x', 'own', name)
  table.retire(Uint8Array.of(0, 1, 0), 1000)
  assert.equal(table.liveCount, 2)
  assert.equal([...table.select([makeMatcher('=', 'shared', 'x')])].join(' '), '0 2')
  assert.equal([...table.labelValues('own')].sort().join(' '), 'a c')
  assert.deepEqual(table.freeRested(1000 + 599_999), [])
  assert.equal(resolve(table, '__name__', 'd'), 3, 'the number rests')
  assert.deepEqual(table.freeRested(1000 + 600_000), [1])
  assert.equal(resolve(table, '__name__', 'e'), 1)
  assert.equal(String(table.labels(1)), 'e')
  assert.equal(resolve(table, '__name__', 'b', 'shared', 'x', 'own', 'b'), 4, 'one that comes back is a new one')
})

test('many series come and go: what is there is what a map of label sets says', () => {
  const table = makeTable()
  const random = seededRandom(6)
  const there = new Map<string, number>()
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 100; i++) {
      const labels = Labels.fromObject({ __name__: `m${below(random, 20)}`, x: String(below(random, 50)) })
      const series = resolve(table, ...labels.pairs)
      assert.equal(there.get(labels.key) ?? series, series)
      there.set(labels.key, series)
    }
    const gone = new Uint8Array(table.count)
    for (const [key, series] of there)
      if (below(random, 4) === 0) {
        gone[series] = 1
        there.delete(key)
      }
    table.retire(gone, round * 700_000)
    table.freeRested(round * 700_000)
    assert.equal(table.liveCount, there.size)
    for (const [key, series] of there) assert.equal(table.labels(series).key, key)
    const found = [...table.select([makeMatcher('=~', '__name__', 'm1.*')])].map(s => table.labels(s).key).sort()
    assert.deepEqual(found, [...there.keys()].filter(key => found.includes(key)).sort())
    assert.equal([...table.select([])].length, there.size)
  }
})
