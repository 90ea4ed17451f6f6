/** LZ4 frames by hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { checkDamage } from '../../test/damage.ts'
import { decodeLz4Frame } from './lz4.ts'

/** A frame of blocks with the flags' bits beside the version; an optional size of 8 bytes stands in the header. */
function frame(flags: number, ...blocks: { bytes: number[]; isStored: boolean }[]): Buffer {
  const parts = [Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x40 | flags, 0x40])]
  if ((flags & 8) !== 0) parts.push(Buffer.alloc(8))
  parts.push(Buffer.from([0]))
  for (const { bytes, isStored } of blocks) {
    const head = Buffer.alloc(4)
    head.writeUInt32LE((bytes.length | (isStored ? 0x80000000 : 0)) >>> 0)
    parts.push(head, Buffer.from(bytes))
    if ((flags & 16) !== 0) parts.push(Buffer.alloc(4))
  }
  return Buffer.concat([...parts, Buffer.alloc(4)])
}
const stored = (text: string): { bytes: number[]; isStored: boolean } => ({
  bytes: [...Buffer.from(text)],
  isStored: true,
})
const packed = (...bytes: number[]): { bytes: number[]; isStored: boolean } => ({ bytes, isStored: false })
const codes = (text: string): number[] => [...Buffer.from(text)]

const frames: [name: string, bytes: Buffer, text: string][] = [
  ['nothing', frame(0), ''],
  ['a stored block', frame(8, stored('hello')), 'hello'],
  ['literals', frame(16, packed(0x50, ...codes('hello'))), 'hello'],
  ['a match that overlaps itself', frame(0, packed(0x14, 97, 1, 0, 0x10, 98)), 'aaaaaaaaab'],
  [
    'lengths beyond 15',
    frame(0, packed(0xff, 5, ...codes('x'.repeat(20)), 20, 0, 200, 0x10, 98)),
    `${'x'.repeat(239)}b`,
  ],
  ['a match in the block before', frame(0, stored('abcdef'), packed(0x02, 6, 0, 0x10, 98)), 'abcdefabcdefb'],
]

test('frames', () => {
  for (const [name, bytes, text] of frames) assert.equal(Buffer.from(decodeLz4Frame(bytes, 1e6)).toString(), text, name)
})

test('what is refused', () => {
  const cases: [bytes: Uint8Array, problem: RegExp][] = [
    [Buffer.from('hello world'), /not a frame/],
    [Buffer.from([4, 0x22, 0x4d, 0x18, 0, 0x40, 0]), /frame version 0/],
    [Buffer.from([4, 0x22, 0x4d, 0x18, 0x40, 0x10, 0]), /block size class 1/],
    [frame(0, packed(0x10, 97, 5, 0)), /a match does not fit/],
    [frame(0, packed(0x10, 97, 0, 0)), /a match does not fit/],
    [frame(0, packed(0x50, 97)), /literals run past the end/],
    [frame(0, packed(0xf0)), /a length is cut off/],
  ]
  for (const [bytes, message] of cases)
    assert.throws(() => decodeLz4Frame(bytes, 1e6), { name: 'CorruptDataError', message })
  assert.throws(() => decodeLz4Frame(frame(0, stored('x'.repeat(100))), 50), LimitError)
})

test('damaged frames', () => {
  for (const [, bytes] of frames.slice(1))
    checkDamage(bytes, damaged => decodeLz4Frame(damaged, 1e6), {
      errors: [CorruptDataError, LimitError],
      refusesCuts: 'always',
    })
})
