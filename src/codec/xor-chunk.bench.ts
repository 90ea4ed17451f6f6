/** Appends to many open chunks, and decodes: samples a second. */
import { decodeXor, encodeXor, OpenXorChunks } from './xor-chunk.ts'

const series = 10_000
const chunks = new OpenXorChunks()
chunks.reserve(series)
const value = new Float64Array(1)
const words = new Uint32Array(value.buffer)
for (let round = 0; round < 4; round++) {
  const startedMs = performance.now()
  for (let step = 0; step < 110; step++) {
    for (let i = 0; i < series; i++) {
      value[0] =
        i % 10 === 9
          ? Math.round(Math.sin(i + step / 10) * 1e4) / 100
          : i % 10 < 3
            ? 100 + i
            : 1000 + step * (1 + (i % 17)) + ((step * 7 + i) % 5)
      chunks.append(i, 1.7e12 + step * 15_000, words[1]!, words[0]!)
    }
  }
  const seconds = (performance.now() - startedMs) / 1000
  console.log(
    `append: ${((series * 110) / seconds / 1e6).toFixed(1)} M samples/s, ` +
      `${(chunks.bytes(5).length / 110).toFixed(2)} bytes a sample`,
  )
  for (let i = 0; i < series; i++) chunks.clear(i)
}
const count = 120
const times = Float64Array.from({ length: count }, (_, i) => i * 15_000)
const values = Float64Array.from({ length: count }, (_, i) => 1000 + i * 3 + ((i * 7) % 5))
const chunk = encodeXor(times, new Uint32Array(values.buffer), 0, count)
const outTimes = new Float64Array(count)
const outWords = new Uint32Array(count * 2)
for (let round = 0; round < 3; round++) {
  const startedMs = performance.now()
  for (let i = 0; i < 100_000; i++) decodeXor(chunk, 0, chunk.length, outTimes, outWords, 0)
  console.log(`decode: ${((count * 100_000) / ((performance.now() - startedMs) / 1000) / 1e6).toFixed(1)} M samples/s`)
}
