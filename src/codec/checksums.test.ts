/** Known answers of the checksums and hashes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { crc32c } from './crc32c.ts'
import { xxhash64 } from './xxhash64.ts'

test('CRC-32C: the answers of RFC 3720, whole and in parts', () => {
  const cases: [bytes: Uint8Array, crc: number][] = [
    [new Uint8Array(0), 0],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ]
  for (const [bytes, crc] of cases) {
    assert.equal(crc32c(bytes), crc)
    for (let cut = 0; cut <= bytes.length; cut += 7)
      assert.equal(crc32c(bytes, cut, bytes.length, crc32c(bytes, 0, cut)), crc)
  }
})

test('CRC-32C: many bytes have the checksum of their parts, wherever they lie', () => {
  const random = seededRandom(3)
  const bytes = Uint8Array.from({ length: 200_000 }, () => random.u32())
  for (const length of [255, 256, 257, 1000, 65_535, 65_536, 65_537, 150_000]) {
    const from = below(random, bytes.length - length)
    // Parts of so few bytes are summed without the kernel.
    let crc = 0
    for (let at = from; at < from + length; at += 100) crc = crc32c(bytes, at, Math.min(at + 100, from + length), crc)
    assert.equal(crc32c(bytes, from, from + length), crc, String(length))
    const cut = from + below(random, length)
    assert.equal(crc32c(bytes, cut, from + length, crc32c(bytes, from, cut)), crc, String(length))
  }
})

test('xxHash64: known answers of all lengths', () => {
  const cases: [text: string, hash: bigint][] = [
    ['', 0xef46db3751d8e999n],
    ['a', 0xd24ec4f1a98c6e5bn],
    ['abc', 0x44bc2cf5ad770999n],
    ['Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
  ]
  for (const [text, hash] of cases) assert.equal(xxhash64(Buffer.from(text)), hash, text)
  assert.notEqual(xxhash64(Buffer.from('abc'), 1n), 0x44bc2cf5ad770999n)
})
