import { test } from 'node:test'
import assert from 'node:assert/strict'
import { decodeXor, encodeXor, staleHi, staleLo } from './xor-chunk.ts'
import { seededRandom, below } from '#core/random.ts'
import { CorruptDataError } from '#core/errors.ts'

function roundTrip(timesMs: number[], values: Float64Array): void {
  const times = Float64Array.from(timesMs)
  const words = new Uint32Array(values.buffer)
  const chunk = encodeXor(times, words, 0, times.length)
  const outTimes = new Float64Array(times.length)
  const outWords = new Uint32Array(times.length * 2)
  assert.equal(decodeXor(chunk, 0, chunk.length, outTimes, outWords, 0), times.length)
  assert.deepEqual(outTimes, times)
  assert.deepEqual(outWords, words)
}

test('the worked example of the format description', () => {
  const chunk = encodeXor(
    Float64Array.of(1700000000000, 1700000015000, 1700000030001),
    new Uint32Array(Float64Array.of(1, 1, 2.5).buffer),
    0,
    3,
  )
  assert.equal(Buffer.from(chunk).toString('hex'), '000380a0abfef9623ff000000000000098754000e137ffa0')
})

test('random series come back bit by bit', () => {
  const random = seededRandom(7)
  for (let round = 0; round < 300; round++) {
    const count = 1 + below(random, 120)
    const times: number[] = []
    const values = new Float64Array(count)
    const words = new Uint32Array(values.buffer)
    let time = below(random, 2) === 0 ? -below(random, 1e9) : 1.7e12 + below(random, 1e9)
    let value = below(random, 1000)
    const jitter = [0, 1, 8193, 65537, 524289, 3e9][below(random, 6)]!
    for (let i = 0; i < count; i++) {
      times.push(time)
      time += 1 + below(random, 15000) + below(random, jitter + 1)
      const kind = below(random, 12)
      if (kind === 0) {
        words[2 * i] = staleLo
        words[2 * i + 1] = staleHi
      } else if (kind === 1) {
        words[2 * i] = random.u32()
        words[2 * i + 1] = random.u32()
      } else if (kind === 2) values[i] = [Infinity, -Infinity, NaN, -0, 5e-324][below(random, 5)]!
      else values[i] = value += below(random, 3)
    }
    roundTrip(times, values)
  }
})

test('mutated chunks are refused with CorruptDataError or decode, nothing else', () => {
  const random = seededRandom(11)
  const chunk = encodeXor(
    Float64Array.from({ length: 100 }, (_, i) => i * 15000),
    new Uint32Array(Float64Array.from({ length: 100 }, (_, i) => Math.sin(i)).buffer),
    0,
    100,
  )
  for (let round = 0; round < 3000; round++) {
    const bad = chunk.slice(0, 1 + below(random, chunk.length))
    for (let k = below(random, 4); k >= 0; k--) bad[below(random, bad.length)] = random.u32() & 255
    const times = new Float64Array(65536)
    const words = new Uint32Array(131072)
    try {
      decodeXor(bad, 0, bad.length, times, words, 0)
    } catch (error) {
      assert.ok(error instanceof CorruptDataError, String(error))
    }
  }
})
