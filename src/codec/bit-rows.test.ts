/** Bitmaps become rows, rows of several become one: bit by bit what a plain loop finds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { addBits, hasBit, isEmpty, keepBits, rowsOfBitmaps } from './bit-rows.ts'

test('bit b of row r is bit r of bitmap b', async () => {
  const random = seededRandom(5)
  for (const count of [1, 7, 8, 9, 17, 64, 100])
    for (const size of [64, 1024]) {
      const bitmaps = Array.from({ length: count }, () => new Uint8Array(random.bytes(size)))
      let pauses = 0
      const rows = await rowsOfBitmaps(bitmaps, () => {
        pauses++
        return Promise.resolve()
      })
      const rowBits = Math.ceil(count / 8) * 8
      assert.equal(rows.length * 8, rowBits * size * 8)
      for (let r = 0; r < size * 8; r++)
        for (let b = 0; b < rowBits; b++)
          assert.equal(hasBit(rows, r * rowBits + b), b < count && hasBit(bitmaps[b]!, r), `${count} ${r} ${b}`)
      assert.ok(pauses >= size / 512)
    }
})

test('bits are added at any place', () => {
  const random = seededRandom(6)
  for (let round = 0; round < 500; round++) {
    const source = new Uint8Array(random.bytes(40))
    const count = below(random, 200)
    const from = below(random, 320 - count + 1)
    const to = below(random, 100)
    const target = new Uint8Array(40)
    addBits(source, from, target, to, count)
    for (let i = 0; i < 320; i++)
      assert.equal(hasBit(target, i), i >= to && i < to + count && hasBit(source, from + i - to))
  }
})

test('bits are kept that are set elsewhere, too', () => {
  const random = seededRandom(7)
  for (let round = 0; round < 500; round++) {
    const count = 1 + below(random, 200)
    const from = below(random, 100)
    const bytes = new Uint8Array(random.bytes(40))
    const bits = new Uint8Array(random.bytes(Math.ceil(count / 8)))
    const before = bits.slice()
    keepBits(bits, bytes, from, count)
    for (let i = 0; i < count; i++) assert.equal(hasBit(bits, i), hasBit(before, i) && hasBit(bytes, from + i))
  }
  assert.equal(isEmpty(new Uint8Array(5)), true)
  assert.equal(isEmpty(Uint8Array.of(0, 0, 64)), false)
})
