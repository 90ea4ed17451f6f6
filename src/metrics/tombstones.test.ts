import assert from 'node:assert/strict'
import test from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { addInterval, decodeTombstones, encodeTombstones, removeDeleted } from './tombstones.ts'

test('intervals come back, by series and in order', () => {
  const intervals = new Map([
    [
      7,
      [
        { fromMs: -5, throughMs: 3 },
        { fromMs: 10, throughMs: 10 },
      ],
    ],
    [2, [{ fromMs: 1_700_000_000_000, throughMs: 1_700_000_000_001 }]],
  ])
  const read = decodeTombstones(encodeTombstones(intervals))
  assert.deepEqual([...read.keys()], [2, 7])
  assert.deepEqual(read.get(7), intervals.get(7))
  assert.deepEqual(read.get(2), intervals.get(2))
  assert.equal(decodeTombstones(new Uint8Array(0)).size, 0)
})

test('every truncated and every mutated file is refused', () => {
  const bytes = encodeTombstones(new Map([[7, [{ fromMs: 1, throughMs: 1000 }]]]))
  const random = seededRandom(1)
  for (let length = 1; length < bytes.length; length++)
    assert.throws(() => decodeTombstones(bytes.slice(0, length)), CorruptDataError)
  for (let round = 0; round < 300; round++) {
    const broken = bytes.slice()
    broken[below(random, broken.length)]! ^= 1 << below(random, 8)
    assert.throws(() => decodeTombstones(broken), CorruptDataError)
  }
})

test('intervals that touch are joined', () => {
  const added = addInterval([{ fromMs: 0, throughMs: 9 }], { fromMs: 10, throughMs: 12 })
  assert.deepEqual(added, [{ fromMs: 0, throughMs: 12 }])
  assert.deepEqual(addInterval(added, { fromMs: 14, throughMs: 15 }), [
    { fromMs: 0, throughMs: 12 },
    { fromMs: 14, throughMs: 15 },
  ])
})

test('samples of an interval go, both ends included; those before `from` are left alone', () => {
  const columns = new SampleColumns()
  for (const timeMs of [1, 2, 3, 4, 5]) columns.pushWords(timeMs, 0, timeMs)
  removeDeleted(columns, 1, [{ fromMs: 1, throughMs: 3 }])
  assert.deepEqual([...columns.timesMs.subarray(0, columns.count)], [1, 4, 5])
  assert.deepEqual(
    [0, 1, 2].map(i => columns.words[2 * i]),
    [1, 4, 5],
  )
})
