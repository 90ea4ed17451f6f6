/** Snappy, CRC-32C, histogram chunks and the kernel against independent implementations and known bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import snappy from 'snappy'
import { below, seededRandom, systemRandom } from '#core/random.ts'
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { crc32c } from './crc32c.ts'
import { decodeHistogramChunk, encodeHistogramChunk } from './histogram-chunk.ts'
import { decodeSnappy, encodeSnappy } from './snappy.ts'
import { isUlid, makeUlid } from './ulid.ts'
import { makeHashSeed } from './series-key.ts'
import { WriteRequestKernel } from './write-request.ts'

function someBytes(random: ReturnType<typeof seededRandom>): Buffer {
  const size = below(random, 200_000)
  const words = ['http_requests_total', 'instance', 'job', '0123456789', '\0\0\0\0\0\0\0\0', 'a']
  let text = ''
  while (text.length < size) text += below(random, 5) === 0 ? String(random.u32()) : words[below(random, words.length)]!
  return Buffer.from(text.slice(0, size))
}

test('snappy: ours and the reference implementation read each other', () => {
  const random = seededRandom(3)
  const kernel = new WriteRequestKernel(makeHashSeed(random))
  for (let round = 0; round < 40; round++) {
    const bytes = someBytes(random)
    assert.equal(Buffer.compare(snappy.uncompressSync(Buffer.from(encodeSnappy(bytes))) as Buffer, bytes), 0)
    const packed = snappy.compressSync(bytes)
    assert.equal(Buffer.compare(decodeSnappy(packed, 1e9), bytes), 0)
    assert.equal(Buffer.compare(kernel.unpack(packed, 1e9), bytes), 0)
  }
})

test('snappy and the kernel: damaged bodies are refused, nothing else happens', () => {
  const random = seededRandom(4)
  const kernel = new WriteRequestKernel(makeHashSeed(random))
  const packed = snappy.compressSync(someBytes(random))
  for (let round = 0; round < 3000; round++) {
    const bad = Uint8Array.from(packed).slice(0, 1 + below(random, packed.length))
    for (let k = below(random, 4); k >= 0; k--) bad[below(random, bad.length)] = random.u32() & 255
    for (const decode of [
      (): unknown => decodeSnappy(bad, 1e7),
      (): unknown => kernel.decode(kernel.unpack(bad, 1e7)),
    ]) {
      try {
        decode()
      } catch (error) {
        assert.ok(error instanceof CorruptDataError || error instanceof LimitError, String(error))
      }
    }
  }
})

test('crc32c of the standard check text', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
})

test('the worked example of an integer histogram chunk, and back', () => {
  const layout = {
    schema: 3,
    zeroThreshold: 2 ** -128,
    positiveSpans: [
      { offset: 0, length: 2 },
      { offset: 3, length: 1 },
    ],
    negativeSpans: [],
    customValues: undefined,
  }
  const samples = [
    { timeMs: 1000, startMs: 0, stale: false, count: 6, zeroCount: 1, sum: 1.5, positive: [2, 3, 0], negative: [] },
    { timeMs: 2000, startMs: 0, stale: false, count: 9, zeroCount: 1, sum: 3, positive: [3, 4, 1], negative: [] },
  ]
  const chunk = encodeHistogramChunk(samples, layout, 0, true)
  assert.equal(
    Buffer.from(chunk).toString('hex'),
    '00020074 9ca48cde 3e8b44ff e0000000 00000251 af8fa26c 25fff880'.replaceAll(' ', ''),
  )
  const decoded = decodeHistogramChunk(chunk, 0, chunk.length, 2)
  assert.deepEqual(decoded.samples, samples)
  assert.deepEqual(decoded.layout, layout)
})

test('random histogram chunks come back, integer and float', () => {
  const random = seededRandom(5)
  for (let round = 0; round < 200; round++) {
    const integer = below(random, 2) === 0
    const buckets = 1 + below(random, 12)
    const layout = {
      schema: below(random, 3) === 0 ? -53 : below(random, 9),
      zeroThreshold: [0, 0.001, 2 ** -128, 1e-128][below(random, 4)]!,
      positiveSpans: [{ offset: below(random, 100) - 50, length: buckets }],
      negativeSpans: [{ offset: 2, length: 1 }],
      customValues: undefined as number[] | undefined,
    }
    if (layout.schema === -53) layout.customValues = Array.from({ length: buckets }, (_, i) => i * 0.1 + 1e-7 * i)
    let counts = Array.from({ length: buckets }, () => below(random, 1000))
    let timeMs = 1e12
    const samples = Array.from({ length: 1 + below(random, 100) }, () => {
      counts = counts.map(c => c + below(random, 50) + (integer ? 0 : 0.5))
      timeMs += 1 + below(random, 100_000)
      return {
        timeMs,
        startMs: 0,
        stale: false,
        count: counts.reduce((a, b) => a + b, 1),
        zeroCount: below(random, 5),
        sum: random.u32() / 7,
        positive: counts,
        negative: [1],
      }
    })
    const chunk = encodeHistogramChunk(samples, layout, 3, integer)
    const decoded = decodeHistogramChunk(chunk, 0, chunk.length, integer ? 2 : 3)
    assert.deepEqual(decoded.samples, samples)
    assert.deepEqual(decoded.layout, layout)
    assert.equal(decoded.flag, 3)
  }
})

test('ULIDs are valid and sort by time', () => {
  const a = makeUlid(1_700_000_000_000, systemRandom)
  const b = makeUlid(1_700_000_000_001, systemRandom)
  assert.ok(isUlid(a) && isUlid(b) && a < b)
})
