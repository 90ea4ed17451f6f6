/** Chunks and indexes: the specification's example bytes, every codec, and damage that is reported as such. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '#codec/byte-writer.ts'
import { bitmapOf } from '#codec/gram-bitmap.ts'
import { writeTime } from '#codec/log-time.ts'
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { Labels } from '#model/labels.ts'
import { BlockLines } from './block-lines.ts'
import { codecs, compress, encodeChunkObject, encodeInnerChunk, openChunkObject } from './chunk.ts'
import { detectLevel } from './detected-level.ts'
import { fingerprintOf, StreamHead } from './head.ts'
import { decodeIndex, encodeIndex } from './index-file.ts'
import { encodeFilter, foldBitmap, gramsOf, TokenFilter } from './token-filter.ts'

test("an index of one stream is the example's 256 bytes; its fingerprint is the stream's", () => {
  const labels = new Labels(['app', 'x'])
  assert.equal(fingerprintOf(labels).toString(16), '90473e8210a90084')
  const bytes = encodeIndex([
    {
      fingerprint: '90473e8210a90084',
      labels,
      chunks: [
        {
          fingerprint: '90473e8210a90084',
          fromMs: 1_760_000_000_000,
          throughMs: 1_760_000_000_001,
          kilobytes: 0,
          entries: 2,
          checksum: 0x2b5cbcf9,
        },
      ],
    },
  ])
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    [
      'baaad700030000000a000000020361707001783808bad70000000000000000002f90473e8210a90084010001010000001201',
      '010000000000000002008080e682b966028080e682b9660100022b5cbcf9b957d1880000000800000001000000025502add1',
      '0000000800000001000000025502add1000000040000000048674bc7000000100000000202000054020361707001786462e0',
      '460f0000001400000001000000000000000290473e8210a90084d0e9e6890000000000000005000000000000001700000000',
      '00000054000000000000007400000000000000540000000000000080000000000000009800000199c82cc00000000199c82c',
      'c001a6ac2ff6',
    ].join(''),
  )
  assert.throws(() => decodeIndex(bytes.slice(0, 200)), CorruptDataError)
})

test("an inner chunk without compression is the example's 108 bytes", () => {
  const entries = Buffer.from('828080cb9aabe3ec300268690100848080cb9aabe3ec3002796f03010001', 'hex')
  const inner = encodeInnerChunk(
    codecs.none,
    ['k', 'v'],
    [
      {
        entries: 2,
        minMs: 1_760_000_000_000,
        minSubNs: 1,
        maxMs: 1_760_000_000_000,
        maxSubNs: 2,
        size: 12,
        packed: entries,
      },
    ],
  )
  assert.equal(
    Buffer.from(inner).toString('hex'),
    [
      '012ee56a040002016b017658d0ad3c828080cb9aabe3ec300268690100848080cb9aabe3ec3002796f03010001bb6c072b01',
      '02828080cb9aabe3ec30848080cb9aabe3ec300f0c1e0c63234c000000000000000500000000000000060000000000000017',
      '0000000000000031',
    ].join(''),
  )
})

for (const codec of ['none', 'gzip', 'snappy', 'flate', 'zstd'] as const) {
  test(`${codec}: what goes in comes out; mutated bytes are refused or read, nothing else`, () => {
    const entries = Buffer.from('828080cb9aabe3ec300268690100848080cb9aabe3ec3002796f03010001', 'hex')
    const inner = encodeInnerChunk(
      codecs[codec],
      ['k', 'v'],
      [
        {
          entries: 2,
          minMs: 1_760_000_000_000,
          minSubNs: 1,
          maxMs: 1_760_000_000_000,
          maxSubNs: 2,
          size: 12,
          packed: compress(codecs[codec], entries),
        },
      ],
    )
    const { bytes } = encodeChunkObject('fake', 1n, new Labels(['a', 'b']), 1_760_000_000_000, 1_760_000_000_001, inner)
    const read = (object: Uint8Array): string[] => {
      const chunk = openChunkObject(object)
      const lines = new BlockLines(chunk.readBlock(0), chunk.blocks[0]!.entries, true)
      chunk.symbols()
      return Array.from({ length: lines.count }, (_, i) =>
        Buffer.from(lines.bytes.subarray(lines.lineFrom[i]!, lines.lineTo[i]!)).toString(),
      )
    }
    assert.deepEqual(read(bytes), ['hi', 'yo'])
    const random = seededRandom(codec.length)
    for (let i = 0; i < 2000; i++) {
      const broken = bytes.slice(0, below(random, 4) === 0 ? below(random, bytes.length) : bytes.length)
      if (broken.length > 0) broken[below(random, broken.length)]! ^= 1 << below(random, 8)
      try {
        read(broken)
      } catch (error) {
        assert.ok(error instanceof CorruptDataError || error instanceof LimitError, String(error))
      }
    }
  })
}

test("a stream's chunk: sorted, without duplicates, with a filter that lets through what is there", () => {
  const stream = new StreamHead(new Labels(['app', 'x']), 5n, 0, 0)
  const add = (ms: number, text: string): boolean => {
    const bytes = Buffer.from(text)
    return stream.append(0, ms, 0, bytes, 0, bytes.length, ['level', text.slice(0, 1)])
  }
  assert.equal(add(5, 'five five five'), true)
  assert.equal(add(5, 'five five five'), false)
  assert.equal(add(5, 'another at five'), true)
  assert.equal(add(5, 'five five five'), false)
  add(3, 'three three')
  add(5, 'five five five')
  const chunk = stream.cut('fake')!
  const inner = openChunkObject(chunk.bytes!)
  const lines = new BlockLines(inner.readBlock(0), inner.blocks[0]!.entries, true)
  assert.deepEqual(
    Array.from({ length: lines.count }, (_, i) => [
      lines.timesMs[i],
      Buffer.from(lines.bytes.subarray(lines.lineFrom[i]!, lines.lineTo[i]!)).toString(),
    ]),
    [
      [3, 'three three'],
      [5, 'five five five'],
      [5, 'another at five'],
    ],
  )
  const filter = new TokenFilter(chunk.filter!)
  for (const needle of ['three three', 'another at', 'five five'])
    assert.equal(filter.mayContain(0, gramsOf(Buffer.from(needle))), true)
  assert.equal(filter.mayContain(0, gramsOf(Buffer.from('something else that is nowhere'))), false)
})

test('a token filter never hides a text that is there', () => {
  const random = seededRandom(9)
  for (let round = 0; round < 200; round++) {
    const line = Buffer.from(Array.from({ length: 20 + below(random, 200) }, () => below(random, 256)))
    const block = new ByteWriter()
    for (let i = 0; i < 3; i++) {
      writeTime(block, 1e12 + i, i)
      block.writeUvarint(i === 1 ? line.length : 0)
      if (i === 1) block.writeBytes(line)
      block.writeUvarint(1)
      block.writeU8(0)
    }
    const bitmap = bitmapOf(block.bytes(), 3)
    const filter = new TokenFilter(encodeFilter([foldBitmap(bitmap)], new Uint8Array(0)))
    // The bitmap says no more than the lines do: it is that of their texts and nothing else.
    const wanted = new Uint8Array(bitmap.length)
    for (const gram of gramsOf(line)) wanted[gram >>> 19]! |= 1 << ((gram >>> 16) & 7)
    assert.deepEqual(bitmap, wanted)
    for (let i = 0; i < 20; i++) {
      const from = below(random, line.length)
      const to = from + below(random, line.length - from + 1)
      assert.equal(filter.mayContain(0, gramsOf(line.subarray(from, to))), true)
    }
  }
})

test('levels of lines', () => {
  const cases: [string, string][] = [
    ['{"level":"WARN","x":1}', 'warn'],
    ['{"a":{"severity":"err"}}', 'error'],
    ['{"a":{"b":{"level":"info"}}}', 'info'],
    ['{"a":{"b":{"level":"inf"}}}', 'unknown'],
    ['level=debug msg=x', 'debug'],
    ['msg="level=error x" lvl=info', 'info'],
    ['severity=info level=trace', 'trace'],
    ['level=custom then an error here', 'error'],
    ['this is an ERROR: bad', 'error'],
    ['misc:error', 'unknown'],
    ['<error>', 'unknown'],
    ['error.', 'unknown'],
    ['fatal error', 'fatal'],
    ['[warning] x', 'warn'],
    ['terror', 'unknown'],
    ['', 'unknown'],
    ['critical, then', 'critical'],
  ]
  for (const [line, level] of cases) {
    const bytes = Buffer.from(line)
    assert.equal(detectLevel(bytes, 0, bytes.length), level, line)
  }
})
