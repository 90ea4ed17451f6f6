/** Indexes in Loki's TSDB form. Source: docs/formats/loki-index.md. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '#codec/crc32c.ts'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import type { MatchKind } from '#lang/regex/matcher.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import { fingerprintOf } from './head.ts'
import { decodeIndex, encodeIndex, indexChecksum, type IndexedChunk, type IndexedStream } from './index-file.ts'

function streamOf(labels: Record<string, string>, chunks: Partial<IndexedChunk>[]): IndexedStream {
  const all = Labels.fromObject(labels)
  const fingerprint = fingerprintOf(all).toString(16)
  return {
    fingerprint,
    labels: all,
    chunks: chunks.map(c => ({ fingerprint, fromMs: 0, throughMs: 0, checksum: 1, kilobytes: 2, entries: 3, ...c })),
  }
}

/** Streams with up to forty chunks each, so that pages of chunks are filled too. */
function randomStreams(random: Random, count: number): IndexedStream[] {
  return Array.from({ length: count }, (_, i) =>
    streamOf(
      { app: `app${below(random, 10)}`, number: String(i), größe: '\u{1F600}' },
      Array.from({ length: 1 + below(random, 40) }, () => {
        const fromMs = 1.7e12 + below(random, 1e8)
        return { fromMs, throughMs: fromMs + below(random, 1e7), checksum: random.u32(), entries: below(random, 1e6) }
      }),
    ),
  )
}

/** Streams by fingerprint, and chunks by time, as an index holds them. */
function inOrder(streams: readonly IndexedStream[]): IndexedStream[] {
  const number = (s: IndexedStream): bigint => BigInt(`0x${s.fingerprint}`)
  return streams
    .map(s => ({
      ...s,
      chunks: [...s.chunks].sort((a, b) => a.fromMs - b.fromMs || a.throughMs - b.throughMs || a.checksum - b.checksum),
    }))
    .sort((a, b) => (number(a) < number(b) ? -1 : number(a) > number(b) ? 1 : compareLabels(a.labels, b.labels)))
}

test('streams and chunks come back in order, whatever order they were given in', () => {
  const streams = randomStreams(seededRandom(1), 1500)
  const index = decodeIndex(encodeIndex(streams))
  const wanted = inOrder(streams)
  assert.deepEqual(
    index.streams.map(s => s.labels.key),
    wanted.map(s => s.labels.key),
  )
  assert.deepEqual(
    index.streams.map(s => s.chunks),
    wanted.map(s => s.chunks),
  )
  const chunks = streams.flatMap(s => s.chunks)
  assert.equal(index.chunkCount, chunks.length)
  assert.equal(index.fromMs, Math.min(...chunks.map(c => c.fromMs)))
  assert.equal(index.throughMs, Math.max(...chunks.map(c => c.throughMs)))
})

test('a chunk that is given twice is listed once', () => {
  const stream = streamOf({ app: 'a' }, [{ checksum: 7 }, { checksum: 7 }, { checksum: 8 }])
  assert.deepEqual(
    decodeIndex(encodeIndex([stream])).streams[0]?.chunks.map(c => c.checksum),
    [7, 8],
  )
})

test('an index of nothing is an index', () => {
  assert.equal(decodeIndex(encodeIndex([])).streams.length, 0)
})

/** Matchers over apps a, b and one stream without an app, and what they find. */
const selections: readonly (readonly [matchers: (readonly [MatchKind, string, string])[], found: string])[] = [
  [[['=', 'app', 'a']], 'a1 a2'],
  [[['=', 'app', '']], 'none'],
  [[['!=', 'app', 'a']], 'b1 none'],
  [[['=~', 'app', 'a|b']], 'a1 a2 b1'],
  [[['=~', 'app', '|a']], 'a1 a2 none'],
  [[['!~', 'app', 'a.*']], 'b1 none'],
  [
    [
      ['=', 'app', 'a'],
      ['=', 'id', 'a2'],
    ],
    'a2',
  ],
  [[['=', 'nosuch', 'x']], ''],
  [[], 'a1 a2 b1 none'],
]

test('matchers find streams; an absent label is an empty one', () => {
  const streams = [
    streamOf({ app: 'a', id: 'a1' }, [{}]),
    streamOf({ app: 'a', id: 'a2' }, [{}]),
    streamOf({ app: 'b', id: 'b1' }, [{}]),
    streamOf({ id: 'none' }, [{}]),
  ]
  const index = decodeIndex(encodeIndex(streams))
  for (const [matchers, found] of selections)
    assert.equal(
      index
        .select(matchers.map(m => makeMatcher(...m)))
        .map(s => s.labels.get('id'))
        .sort()
        .join(' '),
      found,
      JSON.stringify(matchers),
    )
})

test("an index's checksum is its last four bytes", () => {
  const bytes = encodeIndex([streamOf({ app: 'a' }, [{}])])
  assert.equal(indexChecksum(bytes), Buffer.from(bytes).readUInt32BE(bytes.length - 4))
})

test('a truncated index is refused at every length', () => {
  const bytes = encodeIndex(randomStreams(seededRandom(2), 3))
  for (let length = 0; length < bytes.length; length++)
    assert.throws(() => decodeIndex(bytes.slice(0, length)), CorruptDataError, `${length} bytes`)
})

test('a mutated index is refused or read, also when its table of contents has a right checksum', () => {
  const whole = encodeIndex(randomStreams(seededRandom(3), 5))
  const random = seededRandom(4)
  for (let round = 0; round < 3000; round++) {
    const bytes = whole.slice()
    bytes[below(random, bytes.length)]! ^= 1 << below(random, 8)
    if (round % 2 === 0) {
      bytes[bytes.length - 76 + below(random, 72)] = below(random, 256)
      Buffer.from(bytes.buffer).writeUInt32BE(crc32c(bytes, bytes.length - 76, bytes.length - 4), bytes.length - 4)
    }
    try {
      decodeIndex(bytes)
    } catch (error) {
      assert.ok(error instanceof CorruptDataError, String(error))
    }
  }
})
