/** Bytes written and read again, and reads beyond the end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { readInt64, readText, skipField } from './protobuf.ts'

test('numbers come back, through growing buffers', () => {
  const out = new ByteWriter(1)
  const whole = [0, 1, 127, 128, 300, 2 ** 31, 2 ** 53 - 1]
  for (const value of whole) {
    out.writeUvarint(value)
    out.writeVarint(Math.floor(-value / 2))
    out.writeProtoInt64(-value)
    out.writeU64(value)
  }
  out.writeU8(255)
  out.writeU16(65_535)
  out.writeU32(2 ** 32 - 1)
  out.writeF64(-0.5)
  out.writeF64LittleEndian(Math.PI)
  out.writeBytes(Uint8Array.of(1, 2))
  out.padTo(8)
  assert.equal(out.at % 8, 0)
  const input = new ByteReader(out.copy())
  for (const value of whole) {
    assert.equal(input.readUvarint(), value)
    assert.equal(input.readVarint(), Math.floor(-value / 2) + 0)
    assert.equal(readInt64(input), value === 0 ? 0 : -value)
    assert.equal(input.readU64(), value)
  }
  assert.deepEqual(
    [input.readU8(), input.readU16(), input.readU32(), input.readF64()],
    [255, 65_535, 2 ** 32 - 1, -0.5],
  )
  assert.equal(new DataView(input.readBytes(8).slice().buffer).getFloat64(0, true), Math.PI)
  assert.deepEqual([...input.readBytes(2)], [1, 2])
  out.reset()
  assert.equal(out.bytes().length, 0)
})

const endless = Array.from({ length: 11 }, () => 128)

test('what is not there is refused, and the place named', () => {
  const cases: [name: string, bytes: number[], read: (input: ByteReader) => unknown, problem: RegExp][] = [
    ['u8', [], i => i.readU8(), /truncated: 1 bytes wanted at 0, 0 left/],
    ['u16', [1], i => i.readU16(), /truncated: 2 bytes/],
    ['u32', [1, 2, 3], i => i.readU32(), /truncated: 4 bytes/],
    ['u64', [1, 2, 3, 4, 5, 6, 7], i => i.readU64(), /truncated: 4 bytes wanted at 4, 3 left/],
    ['f64', [1], i => i.readF64(), /truncated: 8 bytes/],
    ['bytes', [1], i => i.readBytes(2), /truncated: 2 bytes/],
    ['a negative count', [1], i => i.readBytes(-1), /truncated: -1 bytes/],
    ['skip', [1], i => i.skip(2), /truncated: 2 bytes/],
    ['a varint', [128], i => i.readUvarint(), /truncated varint at 1/],
    ['an endless varint', endless, i => i.readUvarint(), /longer than 10 bytes/],
    ['a length', [5, 1], i => i.readLength(), /truncated: 5 bytes wanted at 1, 1 left/],
    ['an int64', endless, i => readInt64(i), /a varint longer than 10 bytes/],
    ['a text', [1, 0xff], i => readText(i), /a string is not UTF-8/],
    ['a group', [], i => skipField(i, 3), /wire type 3 at 0/],
  ]
  for (const [name, bytes, read, message] of cases)
    assert.throws(() => read(new ByteReader(Uint8Array.from(bytes))), { name: 'CorruptDataError', message }, name)
  assert.throws(() => new ByteReader(new Uint8Array(2), 1, 3), CorruptDataError)
})

test('fields of every wire type are skipped', () => {
  const cases: [type: number, bytes: number[]][] = [
    [0, [0x96, 0x01]],
    [1, [1, 2, 3, 4, 5, 6, 7, 8]],
    [2, [2, 7, 7]],
    [5, [1, 2, 3, 4]],
  ]
  for (const [type, bytes] of cases) {
    const input = new ByteReader(Uint8Array.from([...bytes, 99]))
    skipField(input, 8 + type)
    assert.equal(input.readU8(), 99)
  }
})
