/** XOR2 chunks, which are only read: chunks by hand, and damaged ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { checkDamage } from '../../test/damage.ts'
import { BitWriter } from './bitstream.ts'
import { decodeXor2 } from './xor2-chunk.ts'

function read(bytes: Uint8Array): string[] {
  const lines: string[] = []
  const words = new Uint32Array(2)
  decodeXor2(bytes, 0, bytes.length, (timeMs, hi, lo, startMs) => {
    words.set([lo, hi])
    const value = hi === 0x7ff00000 && lo === 2 ? 'stale' : new Float64Array(words.buffer)[0]!
    lines.push(`${value} @${timeMs} since ${startMs}`)
  })
  return lines
}

/** Samples 1 ms, 3 ms, 5 ms …: the second one new, then same, narrow, time and value, stale. */
function chunk(header: number): Uint8Array {
  const out = new BitWriter()
  out.writeBits(6, 16)
  out.writeBits(header, 8)
  // The first: zig-zag 1 ms, 1.0, and its start 1 ms before.
  out.writeBits(2, 8)
  out.writeF64(1)
  if ((header & 128) !== 0) out.writeBits(2, 8)
  // The second: 2 ms later, a new window of 12 bits from bit 0 on: 1.0 becomes 2.0.
  out.writeBits(2, 8)
  out.writeBits(0b110, 3)
  out.writeBits(0, 5)
  out.writeBits(12, 6)
  out.writeBits(0x3ff ^ 0x400, 12)
  // The third: same delta, same value. The fourth: same delta, the window again: 2.0 becomes 1.0.
  out.writeBits(0, 1)
  out.writeBits(0b100, 3)
  out.writeBits(0x3ff ^ 0x400, 12)
  // The fifth: the delta grows by 5 ms, the value is the same.
  out.writeBits(0b110, 3)
  out.writeBits(5, 13)
  out.writeBits(0, 1)
  // The sixth is stale.
  out.writeBits(0b11111, 5)
  return out.finish()
}

test('every kind of sample', () => {
  const expected = ['1 @1', '2 @3', '2 @5', '1 @7', '1 @14', 'stale @21']
  assert.deepEqual(
    read(chunk(0)),
    expected.map(line => `${line} since 0`),
  )
  assert.deepEqual(
    read(chunk(128)),
    expected.map(line => `${line} since 0`),
  )
})

test('damaged chunks', () => {
  checkDamage(chunk(128), read, { errors: [CorruptDataError], refusesCuts: 'always' })
  const endless = new BitWriter()
  endless.writeBits(60_000, 16)
  assert.throws(() => read(endless.finish()), CorruptDataError)
})
