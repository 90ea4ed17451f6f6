/**
 * Host of the WASM kernel that decodes XOR chunks (kernel/xor-chunk.ts): a series' chunks one behind the other, which
 * are copied out together.
 */
import { startKernel } from './kernel.ts'
import { decodeXor, xorSampleCount } from './xor-chunk.ts'

interface Kernel {
  memory: WebAssembly.Memory
  decode(from: number, size: number, count: number, times: number, values: number): number
}

/** As many as a chunk can have. */
const samplesMax = 65_535
const timesAt = 1024
const valuesAt = timesAt + 8 * (samplesMax + 1)
const bytesAt = valuesAt + 8 * (samplesMax + 1)
/** A longer chunk has nothing in it that 65,535 samples need. */
const bytesMax = samplesMax * 20
const slackBytes = 32

interface Loaded {
  decode: Kernel['decode']
  bytes: Uint8Array
  times: Float64Array
  words: Uint32Array
}

let loaded: Loaded | undefined

function load(): Loaded {
  const { memory, decode } = startKernel<Kernel>('xor-chunk')
  const pages = Math.ceil((bytesAt + bytesMax + slackBytes) / 65_536)
  memory.grow(pages - memory.buffer.byteLength / 65_536)
  return {
    decode,
    bytes: new Uint8Array(memory.buffer, bytesAt),
    times: new Float64Array(memory.buffer, timesAt, samplesMax + 1),
    words: new Uint32Array(memory.buffer, valuesAt, 2 * (samplesMax + 1)),
  }
}

/** Chunks that lie in any buffers: the i-th is `bytes[i]` from `from[i]` to `to[i]`. */
export interface XorChunks {
  bytes: readonly Uint8Array[]
  from: ArrayLike<number>
  to: ArrayLike<number>
}

/** Samples that the chunks [first, end) declare: make room for them. Throws CorruptDataError. */
export function xorRunCount({ bytes, from, to }: XorChunks, first: number, end: number): number {
  let count = 0
  for (let i = first; i < end; i++) count += xorSampleCount(bytes[i]!, from[i]!, to[i]!)
  return count
}

/**
 * Decodes the chunks [first, end) as decodeXor() does, into the columns from `at` on, and returns the number of
 * samples. The caller has made room for xorRunCount() of them. Throws CorruptDataError.
 */
export function decodeXorRun(
  { bytes, from, to }: XorChunks,
  first: number,
  end: number,
  timesMs: Float64Array,
  words: Uint32Array,
  at: number,
): number {
  loaded ??= load()
  const { decode, bytes: room, times, words: values } = loaded
  let count = 0
  /** Decoded, and not yet copied out. */
  let held = 0
  const copyOut = (): void => {
    timesMs.set(times.subarray(0, held), at + count)
    words.set(values.subarray(0, 2 * held), 2 * (at + count))
    count += held
    held = 0
  }
  for (let i = first; i < end; i++) {
    const size = to[i]! - from[i]!
    const samples = xorSampleCount(bytes[i]!, from[i]!, to[i]!)
    if (samples === 0) continue
    if (held + samples > samplesMax) copyOut()
    if (size <= bytesMax) {
      room.set(bytes[i]!.subarray(from[i], to[i]))
      if (decode(bytesAt, size, samples, timesAt + 8 * held, valuesAt + 8 * held) === 0) {
        held += samples
        continue
      }
    }
    // Damaged or unusual: this decoder knows what it is.
    copyOut()
    count += decodeXor(bytes[i]!, from[i]!, to[i]!, timesMs, words, at + count)
  }
  copyOut()
  return count
}
