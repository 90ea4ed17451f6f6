/** Runs of XOR chunks, decoded by the kernel, beside the decoder of one chunk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { decodeXor, encodeXor, staleHi, staleLo } from './xor-chunk.ts'
import { decodeXorRun, xorRunCount, type XorChunks } from './xor-run.ts'

type Random = ReturnType<typeof seededRandom>

/** With jumps of any size, values of any bits, and any number of samples. */
function randomChunk(random: Random): Uint8Array {
  const count = 1 + below(random, 240)
  const timesMs = new Float64Array(count)
  const words = new Uint32Array(2 * count)
  const values = new Float64Array(words.buffer)
  const jitter = [0, 1, 8192, 8193, 65537, 524289, 3e9][below(random, 7)]!
  let timeMs = below(random, 2) === 0 ? -below(random, 1e9) : 1.7e12 + below(random, 1e9)
  for (let i = 0; i < count; i++) {
    timesMs[i] = timeMs
    timeMs += 1 + below(random, 15_000) + below(random, jitter + 1)
    const kind = below(random, 8)
    if (kind === 0) words.set([staleLo, staleHi], 2 * i)
    else if (kind === 1) words.set([random.u32(), random.u32()], 2 * i)
    else if (kind === 2) values[i] = [Infinity, NaN, -0, 5e-324][below(random, 4)]!
    else values[i] = i === 0 ? 1 : values[i - 1]! + below(random, 3)
  }
  return encodeXor(timesMs, words, 0, count)
}

/** The chunks as they lie in one buffer, with other bytes around them. */
function laidOut(random: Random, chunks: readonly Uint8Array[]): XorChunks {
  const gap = Uint8Array.from({ length: below(random, 40) }, () => random.u32())
  const buffer = Buffer.concat(chunks.flatMap(chunk => [gap, chunk]))
  const from: number[] = []
  const to: number[] = []
  for (const { length } of chunks) {
    from.push((to.at(-1) ?? 0) + gap.length)
    to.push(from.at(-1)! + length)
  }
  return { bytes: chunks.map(() => buffer), from, to }
}

/** What is decoded, or the message of the error. */
type Outcome = { timesMs: Float64Array; words: Uint32Array } | string

function outcome(room: number, decode: (timesMs: Float64Array, words: Uint32Array) => number): Outcome {
  const timesMs = new Float64Array(room)
  const words = new Uint32Array(2 * room)
  try {
    const count = decode(timesMs, words)
    return { timesMs: timesMs.subarray(0, count), words: words.subarray(0, 2 * count) }
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    return error.message
  }
}

function oneByOne({ bytes, from, to }: XorChunks, timesMs: Float64Array, words: Uint32Array): number {
  let count = 0
  for (let i = 0; i < bytes.length; i++) count += decodeXor(bytes[i]!, from[i]!, to[i]!, timesMs, words, count)
  return count
}

/** Does the run give what its chunks give by themselves? */
function checkRun(chunks: XorChunks): void {
  const room = 300 * chunks.bytes.length + 65_536
  const expected = outcome(room, (timesMs, words) => oneByOne(chunks, timesMs, words))
  const end = chunks.bytes.length
  assert.deepEqual(
    outcome(room, (timesMs, words) => decodeXorRun(chunks, 0, end, timesMs, words, 0)),
    expected,
  )
}

test('a run of chunks is decoded as its chunks are one by one', () => {
  const random = seededRandom(5)
  for (let round = 0; round < 200; round++) {
    const chunks = laidOut(
      random,
      Array.from({ length: below(random, 12) }, () => randomChunk(random)),
    )
    checkRun(chunks)
    const count = xorRunCount(chunks, 0, chunks.bytes.length)
    assert.equal(oneByOne(chunks, new Float64Array(count), new Uint32Array(2 * count)), count)
  }
})

test('more samples than the kernel holds at a time, and a chunk in the middle of the columns', () => {
  const random = seededRandom(6)
  const parts = Array.from({ length: 700 }, () => randomChunk(random))
  const chunks = laidOut(random, parts)
  const count = xorRunCount(chunks, 0, parts.length)
  assert.ok(count > 65_535, String(count))
  const [timesMs, words] = [new Float64Array(count), new Uint32Array(2 * count)]
  const [expectedMs, expectedWords] = [timesMs.slice(), words.slice()]
  oneByOne(chunks, expectedMs, expectedWords)
  const half = decodeXorRun(chunks, 0, 300, timesMs, words, 0)
  assert.equal(half + decodeXorRun(chunks, 300, parts.length, timesMs, words, half), count)
  assert.deepEqual(timesMs, expectedMs)
  assert.deepEqual(words, expectedWords)
})

test('a damaged chunk in a run is refused as it is by itself, or decoded to the same', () => {
  const random = seededRandom(7)
  for (let round = 0; round < 3000; round++) {
    const parts = Array.from({ length: 3 }, () => randomChunk(random))
    const bad = parts[below(random, 3)]!
    for (let k = below(random, 4); k >= 0; k--) bad[below(random, bad.length)] = random.u32() & 255
    if (below(random, 2) === 0) parts[1] = parts[1]!.slice(0, 1 + below(random, parts[1]!.length))
    checkRun(laidOut(random, parts))
  }
})
