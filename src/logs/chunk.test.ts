/** Chunk objects. Source: docs/formats/loki-chunk.md. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { Labels } from '#model/labels.ts'
import {
  chunkKey,
  chunkMetadata,
  codecs,
  compress,
  decompress,
  encodeChunkObject,
  encodeInnerChunk,
  filterKey,
  openChunkObject,
  type ChunkRef,
  type PackedBlock,
} from './chunk.ts'

const ref: ChunkRef = { fingerprint: 'a1', fromMs: 256, throughMs: 4096, checksum: 0xabc }

test("a chunk's key has its place in hex; a directory's has it in base64, and the filter lies beside it", () => {
  assert.equal(chunkKey('fake', ref, false), 'fake/a1/100:1000:abc')
  assert.equal(chunkKey('fake', ref, true), `fake/a1/${Buffer.from('100:1000:abc').toString('base64')}`)
  assert.equal(filterKey('fake', ref, false), 'fake/a1/100:1000:abc.tercet-tokens')
})

const block = (text: string): PackedBlock => ({
  entries: 1,
  minMs: 1,
  minSubNs: 2,
  maxMs: 3,
  maxSubNs: 4,
  size: text.length,
  packed: compress(codecs.zstd, Buffer.from(text)),
})

test('blocks, their times and the symbols come back', () => {
  const inner = encodeInnerChunk(codecs.zstd, ['level', 'info'], [block('one'), block('two')])
  const { bytes } = encodeChunkObject('fake', 0xffffffffffffffffn, Labels.fromObject({ app: 'x' }), 1, 3, inner)
  const chunk = openChunkObject(bytes)
  assert.equal(chunk.version, 4)
  assert.deepEqual(chunk.symbols(), ['level', 'info'])
  assert.deepEqual(
    chunk.blocks.map((b, i) => [
      b.entries,
      b.minMs,
      b.minSubNs,
      b.maxMs,
      b.maxSubNs,
      Buffer.from(chunk.readBlock(i)).toString(),
    ]),
    [
      [1, 1, 2, 3, 4, 'one'],
      [1, 1, 2, 3, 4, 'two'],
    ],
  )
  const metadata = chunkMetadata(bytes)
  assert.match(metadata, /"fingerprint":18446744073709551615,/)
  assert.match(metadata, /"userID":"fake"/)
})

test('a block that is damaged is refused when it is read; the others are read', () => {
  const inner = encodeInnerChunk(
    codecs.none,
    [],
    [
      { ...block(''), packed: Buffer.from('first block') },
      { ...block(''), packed: Buffer.from('second block') },
    ],
  )
  const { bytes } = encodeChunkObject('fake', 1n, Labels.fromObject({ app: 'x' }), 1, 3, inner)
  bytes[Buffer.from(bytes).indexOf('second')]! ^= 1
  const chunk = openChunkObject(bytes)
  assert.equal(Buffer.from(chunk.readBlock(0)).toString(), 'first block')
  assert.throws(() => chunk.readBlock(1), CorruptDataError)
})

test('a truncated object is refused at every length', () => {
  const inner = encodeInnerChunk(codecs.zstd, ['a', 'b'], [block('text')])
  const { bytes } = encodeChunkObject('fake', 1n, Labels.fromObject({ app: 'x' }), 1, 3, inner)
  for (let length = 0; length < bytes.length; length++)
    assert.throws(
      () => {
        const chunk = openChunkObject(bytes.slice(0, length))
        chunk.symbols()
        chunk.readBlock(0)
      },
      CorruptDataError,
      `${length} bytes`,
    )
})

test('codecs that are not written here are refused', () => {
  assert.throws(() => compress(codecs.lz4_64k, new Uint8Array(1)), CorruptDataError)
  assert.throws(() => decompress(99, new Uint8Array(1)), CorruptDataError)
  assert.throws(() => decompress(codecs.gzip, Buffer.from('not gzip')), CorruptDataError)
})

test('a label of any name is in the metadata of its chunk', () => {
  const labels = Labels.from([
    ['__proto__', 'y'],
    ['app', 'x'],
  ])
  const inner = encodeInnerChunk(codecs.zstd, [], [block('one')])
  const { bytes } = encodeChunkObject('fake', 1n, labels, 1, 3, inner)
  assert.match(chunkMetadata(bytes), /"__proto__":"y"/)
})
