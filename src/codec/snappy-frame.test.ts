/** Framed snappy, and the block format by hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { seededRandom } from '#core/random.ts'
import { checkDamage } from '../../test/damage.ts'
import { decodeSnappy, encodeSnappy, snappyDeclaredSize } from './snappy.ts'
import { decodeSnappyFrames, encodeSnappyFrames } from './snappy-frame.ts'

const errors = [CorruptDataError, LimitError]

test('frames come back: empty, small, several, what can not be compressed', () => {
  const random = seededRandom(2)
  for (const bytes of [new Uint8Array(0), Buffer.from('hello'), new Uint8Array(200_000), random.bytes(70_000)])
    assert.equal(Buffer.compare(decodeSnappyFrames(encodeSnappyFrames(bytes), 1e6), bytes), 0)
})

test('frames: what is refused', () => {
  const [frames] = [encodeSnappyFrames(Buffer.from('hello hello hello'))]
  const flipped = frames.slice()
  flipped[14] = flipped[14]! ^ 1
  assert.throws(() => decodeSnappyFrames(flipped, 1e6), /a wrong checksum/)
  assert.throws(() => decodeSnappyFrames(Uint8Array.of(2, 0, 0, 0), 1e6), /a frame of type 2/)
  assert.throws(() => decodeSnappyFrames(Uint8Array.of(0, 1, 0, 0, 9), 1e6), /a frame without a checksum/)
  assert.throws(() => decodeSnappyFrames(frames, 5), LimitError)
  assert.equal(decodeSnappyFrames(Uint8Array.of(0xfe, 1, 0, 0, 9), 5).length, 0)
})

test('blocks: every kind of element', () => {
  const cases: [name: string, bytes: number[], text: string][] = [
    ['nothing', [0], ''],
    ['a literal', [3, 2 << 2, 97, 98, 99], 'abc'],
    ['a literal with its length behind', [3, 60 << 2, 2, 97, 98, 99], 'abc'],
    ['a copy with one byte of offset', [8, 0, 97, 0b1101, 1], 'aaaaaaaa'],
    ['a copy with two bytes of offset', [5, 0, 97, 0b1110, 1, 0], 'aaaaa'],
    ['a copy with four bytes of offset', [5, 0, 97, 0b1111, 1, 0, 0, 0], 'aaaaa'],
  ]
  for (const [name, bytes, text] of cases)
    assert.equal(Buffer.from(decodeSnappy(Uint8Array.from(bytes), 1e6)).toString(), text, name)
})

test('blocks: the declared size is checked before there is room for it', () => {
  assert.deepEqual(snappyDeclaredSize(Uint8Array.of(0x80, 0x01)), { size: 128, at: 2 })
  assert.throws(() => snappyDeclaredSize(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x7f)), /the header is not a length/)
  assert.throws(() => decodeSnappy(Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 0), 1e9), /can't unfold to the declared/)
  assert.throws(() => decodeSnappy(Uint8Array.of(0x64, 0, 97), 10), LimitError)
})

test('damaged frames and blocks', () => {
  const text = Buffer.from('hello hello hello, and hello again: hello hello hello')
  checkDamage(encodeSnappyFrames(text), bytes => decodeSnappyFrames(bytes, 1e6), { errors })
  checkDamage(encodeSnappy(text), bytes => decodeSnappy(bytes, 1e6), { errors, refusesCuts: 'always' })
})
