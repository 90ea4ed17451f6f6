/** Bits out and in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { BitReader, BitWriter, XorValueReader, XorValueWriter } from './bitstream.ts'

const wholes = [
  0,
  1,
  -1,
  3,
  4,
  -3,
  31,
  32,
  255,
  256,
  -255,
  2047,
  131_072,
  -131_071,
  2 ** 24,
  2 ** 40,
  -(2 ** 40),
  2 ** 53,
]

test('numbers of all widths come back', () => {
  const out = new BitWriter()
  for (const value of wholes) {
    out.writeBits(1, 1)
    out.writeVarbitInt(value)
    out.writeVarbitUint(Math.abs(value))
    out.writeWide(value, 64)
    out.writeBits(Math.abs(value) % 1024, 10)
    out.writeF64(value / 3)
  }
  const bytes = out.finish()
  const input = new BitReader(bytes, 0, bytes.length)
  for (const value of wholes) {
    assert.equal(input.readBit(), 1)
    assert.equal(input.readVarbitInt(), value)
    assert.equal(input.readVarbitUint(), Math.abs(value))
    assert.equal(input.readBits(32) * 2 ** 32 + input.readBits(32), value < 0 ? 2 ** 64 + value : value)
    assert.equal(input.readBits(10), Math.abs(value) % 1024)
    assert.equal(input.readF64(), value / 3)
  }
})

test('streams of floats come back bit by bit, staleness markers too', () => {
  const random = seededRandom(8)
  const values = Array.from(
    { length: 500 },
    (_, i) => [i, Math.sin(i), i - (i % 10), below(random, 1000) / 7, Infinity, -0, 5e-324][below(random, 7)]!,
  )
  const out = new BitWriter()
  const writer = new XorValueWriter()
  writer.first(out, values[0]!)
  for (const value of values.slice(1)) writer.write(out, value)
  writer.writeStale(out, false)
  writer.write(out, 1)
  writer.repeat(out)
  const bytes = out.finish()
  const input = new BitReader(bytes, 0, bytes.length)
  const reader = new XorValueReader()
  reader.first(input)
  for (const [i, value] of values.entries()) {
    if (i > 0) reader.next(input)
    assert.ok(Object.is(reader.value, value), `${i}: ${reader.value}, ${value} was written`)
  }
  reader.next(input)
  assert.ok(reader.isStale)
  for (let i = 0; i < 2; i++) {
    reader.next(input)
    assert.equal(reader.value, 1)
  }
})

test('the end of the bits, and windows that can not be, are refused', () => {
  const bits = (...words: [value: number, count: number][]): BitReader => {
    const out = new BitWriter()
    for (const [value, count] of words) out.writeBits(value, count)
    const bytes = out.finish()
    return new BitReader(bytes, 0, bytes.length)
  }
  assert.throws(() => bits([1, 8]).readBits(9), { name: 'CorruptDataError', message: /truncated bit stream/ })
  assert.throws(() => bits([0x80, 8], [0x80, 8]).readUvarint(), CorruptDataError)
  const reader = new XorValueReader()
  assert.throws(() => reader.next(bits([2, 2], [0, 6])), /reuses a window before there is one/)
  assert.throws(() => reader.next(bits([3, 2], [31, 5], [63, 6], [0, 32])), /a value window wider than 64 bits/)
})
