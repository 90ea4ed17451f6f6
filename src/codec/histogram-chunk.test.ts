/** Histogram chunks: stale samples, start times, and damaged chunks. Round trips are in codecs.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { checkDamage } from '../../test/damage.ts'
import { BitWriter } from './bitstream.ts'
import {
  decodeHistogramChunk,
  encodeHistogramChunk,
  type HistogramChunkSample,
  type HistogramLayout,
} from './histogram-chunk.ts'

const layout: HistogramLayout = {
  schema: 3,
  zeroThreshold: 0.001,
  positiveSpans: [
    { offset: 0, length: 2 },
    { offset: 3, length: 1 },
  ],
  negativeSpans: [{ offset: 1, length: 1 }],
  customValues: undefined,
}

function sampleAt(timeMs: number, base: number): HistogramChunkSample {
  return {
    timeMs,
    startMs: 0,
    stale: false,
    count: base * 4 + 1,
    zeroCount: 1,
    sum: base / 3,
    positive: [base, base, base],
    negative: [base],
  }
}
const stale: HistogramChunkSample = {
  ...sampleAt(4000, 0),
  stale: true,
  count: 0,
  zeroCount: 0,
  positive: [],
  negative: [],
}
const samples = [sampleAt(1000, 1), sampleAt(2000, 5), sampleAt(3001, 9), stale]

for (const [name, encoding] of [
  ['integer', 2],
  ['float', 3],
] as const) {
  const chunk = encodeHistogramChunk(samples, layout, 2, encoding === 2)

  test(`${name} chunks end with a staleness marker`, () => {
    const decoded = decodeHistogramChunk(chunk, 0, chunk.length, encoding)
    assert.equal(decoded.flag, 2)
    assert.deepEqual(decoded.samples.slice(0, 3), samples.slice(0, 3))
    assert.deepEqual([decoded.samples[3]!.stale, decoded.samples[3]!.timeMs], [true, 4000])
  })

  test(`${name} chunks: damaged ones`, () => {
    checkDamage(chunk, bytes => decodeHistogramChunk(bytes, 0, bytes.length, encoding), {
      errors: [CorruptDataError],
      refusesCuts: 'always',
    })
  })
}

test('a chunk that begins stale has no buckets', () => {
  const chunk = encodeHistogramChunk([stale], layout, 0, true)
  const decoded = decodeHistogramChunk(chunk, 0, chunk.length, 2)
  assert.deepEqual([decoded.layout.positiveSpans, decoded.samples[0]!.stale], [[], true])
})

test('start times: the first one, and changes from a sample on', () => {
  // Count 3 with the flag in its top bits; the header: a first start, changes from sample 2 on.
  const out = new BitWriter()
  out.writeBits((1 << 14) | 3, 16)
  out.writeBits(128 | 2, 8)
  out.writeBits(0, 8)
  out.writeVarbitInt(0)
  out.writeVarbitUint(0)
  out.writeVarbitUint(0)
  const deltas = [1000, 500, 0]
  for (const [i, delta] of deltas.entries()) {
    out.writeVarbitInt(delta)
    out.writeVarbitInt(0)
    out.writeVarbitInt(0)
    if (i === 0) {
      out.writeF64(1)
      // The start lies 100 ms before the sample: zig-zag 200 in two bytes.
      out.writeBits(0xc801, 16)
    } else out.writeBits(0, 1)
    if (i === 2) out.writeVarbitInt(7)
  }
  const bytes = out.finish()
  const decoded = decodeHistogramChunk(bytes, 0, bytes.length, 5)
  assert.equal(decoded.flag, 1)
  assert.deepEqual(
    decoded.samples.map(s => [s.timeMs, s.startMs]),
    [
      [1000, 900],
      [1500, 900],
      [2000, 1493],
    ],
  )
})

test('more samples, spans or buckets than there can be are refused', () => {
  const chunkOf = (count: number, write: (out: BitWriter) => void): Uint8Array => {
    const out = new BitWriter()
    out.writeBits(count, 16)
    out.writeBits(0, 16)
    write(out)
    return out.finish()
  }
  const cases: [chunk: Uint8Array, problem: RegExp][] = [
    [chunkOf(60_000, () => undefined), /can't hold 60000 samples/],
    [
      chunkOf(1, out => {
        out.writeVarbitInt(0)
        out.writeVarbitUint(100_000)
      }),
      /100000 spans/,
    ],
    [
      chunkOf(1, out => {
        out.writeVarbitInt(0)
        out.writeVarbitUint(1)
        out.writeVarbitUint(900_000)
        out.writeVarbitInt(0)
        out.writeVarbitUint(0)
      }),
      /can't hold 900000 buckets/,
    ],
  ]
  for (const [chunk, message] of cases)
    assert.throws(() => decodeHistogramChunk(chunk, 0, chunk.length, 3), { name: 'CorruptDataError', message })
})
