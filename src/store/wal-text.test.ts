import assert from 'node:assert/strict'
import test from 'node:test'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { CorruptDataError } from '#core/errors.ts'
import { readText, writeText } from './wal-text.ts'

const texts = [
  '',
  'job',
  'a'.repeat(63),
  'a'.repeat(64),
  'a'.repeat(300),
  'größe',
  `${'a'.repeat(62)}ü`,
  '\u{1F600}',
  '\ufeffx',
]

test('texts of every length and alphabet come back', () => {
  const out = new ByteWriter(1)
  for (const text of texts) writeText(out, text)
  const input = new ByteReader(out.bytes())
  for (const text of texts) assert.equal(readText(input), text)
  assert.equal(input.at, input.end)
})

test('a length beyond the end and bytes that are no UTF-8 are refused', () => {
  assert.throws(() => readText(new ByteReader(Uint8Array.of(3, 97, 98))), CorruptDataError)
  assert.throws(() => readText(new ByteReader(Uint8Array.of(2, 0xc3, 0x28))), CorruptDataError)
  assert.throws(() => readText(new ByteReader(Uint8Array.of(128))), CorruptDataError)
})
