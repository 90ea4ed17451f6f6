/** How the columns of a selection grow, and what is in them then. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { HeadColumnsBuilder, roomFor } from './head-columns-builder.ts'
import { chunkBytesOf } from './head-columns.ts'

/** Items that are copied while a column grows to so many, of which each series has as many. */
function copied(items: number, series: number, seriesExpected: number): { items: number; room: number } {
  let room = 1024
  let sum = 0
  for (let at = 1; at <= items; at++) {
    if (at <= room) continue
    sum += room
    room = roomFor(at, Math.ceil((at / items) * series), seriesExpected)
  }
  return { items: sum, room }
}

test('a column is copied about once while it grows, whether or not it is known how many series will come', () => {
  const items = 1_000_000
  for (const series of [100, 5000, 500_000])
    for (const expected of [0, 1, series / 2, series, series * 2]) {
      const { items: copies, room } = copied(items, series, expected)
      assert.ok(copies <= 3 * items, `${copies} of ${series} series, ${expected} expected`)
      assert.ok(room <= 2 * items)
    }
  const { room } = copied(items, 500_000, 500_000)
  assert.ok(room < 1.05 * items, `${room} where all are known`)
})

test('what was added is in the columns, however many series were expected', () => {
  for (const expected of [0, 10, 3000, 100_000]) {
    const random = seededRandom(expected)
    const builder = new HeadColumnsBuilder(true, expected)
    const chunks = Array.from({ length: 3000 }, () =>
      Uint8Array.from({ length: below(random, 60) }, () => random.u32()),
    )
    const page = Uint8Array.from({ length: 100 }, (_, i) => i)
    for (const [i, chunk] of chunks.entries()) {
      builder.beginSeries()
      builder.addCopy(chunk)
      builder.addShared(page.subarray(i % 50, 60), i, i + 1)
      builder.addLate(i, i, 2 * i)
    }
    const { columns, transfer } = builder.finish()
    const moved = structuredClone(columns, { transfer })
    for (const [i, chunk] of chunks.entries()) {
      assert.deepEqual(chunkBytesOf(moved, 2 * i), chunk)
      assert.deepEqual(chunkBytesOf(moved, 2 * i + 1), page.subarray(i % 50, 60))
      assert.deepEqual([moved.lateMs[i], moved.lateWords[2 * i], moved.lateWords[2 * i + 1]], [i, 2 * i, i])
      assert.deepEqual([moved.chunksFrom[i], moved.chunksFrom[i + 1], moved.lateFrom[i + 1]], [2 * i, 2 * i + 2, i + 1])
    }
  }
})
