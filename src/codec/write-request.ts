/**
 * Host of the WASM kernel for remote-write 1.0 bodies (kernel/write-request.ts): lays out its memory, hands over a
 * body, gives the columns back as views. One instance serves one request after the other; what it returns is valid
 * until the next.
 */
import { elementsMax, tooMany } from '#core/body-limits.ts'
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { startKernel } from './kernel.ts'
import type { HashSeed } from './series-key.ts'
import { snappyDeclaredSize } from './snappy.ts'

interface Kernel {
  memory: WebAssembly.Memory
  unfold(src: number, srcEnd: number, dst: number, size: number): number
  setColumns(
    seriesMax: number,
    keyFrom: number,
    keyTo: number,
    hashes: number,
    samplesMax: number,
    sampleSeries: number,
    times: number,
    values: number,
    rareMax: number,
    rare: number,
  ): void
  setSeed(a: number, b: number, c: number, d: number): void
  walk(base: number, size: number): number
  seriesCount: WebAssembly.Global
  sampleCount: WebAssembly.Global
  rareCount: WebAssembly.Global
}

const corrupt = -1
const full = -2
const pageBytes = 65536
const slackBytes = 64
/** The memory starts above what the kernel itself may use for its globals. */
const baseAt = 4096

/** A decoded request as columns; all views into the kernel's memory. */
export interface WriteColumns {
  bytes: Uint8Array
  seriesCount: number
  keyFrom: Uint32Array
  keyTo: Uint32Array
  /** Four words a series: a seeded 128-bit hash of the key's bytes. */
  hashes: Uint32Array
  sampleCount: number
  sampleSeries: Uint32Array
  timesMs: Float64Array
  values: Float64Array
  words: Uint32Array
  /** Three words each: series (0xffffffff for metadata), from, to: stretches with exemplars, histograms, metadata. */
  rare: Uint32Array
}

/**
 * Memory that is kept from body to body: one of 4 MiB, twice that unpacked, with 100,000 samples takes less. A larger
 * memory is let go of before the next body.
 */
const keptBytesMax = 32 * 1024 * 1024

/** One instance of the kernel, with its memory, which grows with the body. */
export class WriteRequestKernel {
  readonly #seed: HashSeed
  #kernel: Kernel
  #seriesMax = 4096
  #samplesMax = 8192
  #rareMax = 1024
  #bodyMax = 0
  #decodedMax = 0
  #bodyAt = 0
  #decodedAt = 0
  #columnsAt = baseAt

  constructor(seed: HashSeed) {
    this.#seed = seed
    this.#kernel = this.#start()
    this.#layOut(64 * 1024, 1024 * 1024)
  }

  #start(): Kernel {
    const kernel = startKernel<Kernel>('write-request', {
      env: {
        abort: () => {
          throw new CorruptDataError('remote write: the kernel stopped')
        },
      },
    })
    const { a, b, c, d } = this.#seed
    kernel.setSeed(a, b, c, d)
    return kernel
  }

  /** Bytes that it takes now. */
  get memoryBytes(): number {
    return this.#kernel.memory.buffer.byteLength
  }

  /** A body far above the usual leaves a memory that only it needed. */
  #shrink(): void {
    this.#kernel = this.#start()
    this.#seriesMax = 4096
    this.#samplesMax = 8192
    this.#rareMax = 1024
    this.#bodyMax = 0
    this.#decodedMax = 0
    this.#layOut(64 * 1024, 1024 * 1024)
  }

  /** Places everything again, for bodies and decoded bodies of these sizes. */
  #layOut(bodyMax: number, decodedMax: number): void {
    this.#bodyMax = Math.max(bodyMax, this.#bodyMax)
    this.#decodedMax = Math.max(decodedMax, this.#decodedMax)
    const align = (at: number): number => Math.ceil(at / 16) * 16
    const keyFrom = this.#columnsAt
    const keyTo = align(keyFrom + this.#seriesMax * 4)
    const hashes = align(keyTo + this.#seriesMax * 4)
    const sampleSeries = align(hashes + this.#seriesMax * 16)
    const times = align(sampleSeries + this.#samplesMax * 4)
    const values = align(times + this.#samplesMax * 8)
    const rare = align(values + this.#samplesMax * 8)
    this.#bodyAt = align(rare + this.#rareMax * 12)
    this.#decodedAt = align(this.#bodyAt + this.#bodyMax + slackBytes)
    const needed = this.#decodedAt + this.#decodedMax + slackBytes
    const missing = needed - this.#kernel.memory.buffer.byteLength
    if (missing > 0) this.#kernel.memory.grow(Math.ceil(missing / pageBytes))
    this.#kernel.setColumns(
      this.#seriesMax,
      keyFrom,
      keyTo,
      hashes,
      this.#samplesMax,
      sampleSeries,
      times,
      values,
      this.#rareMax,
      rare,
    )
    this.#places = { keyFrom, keyTo, hashes, sampleSeries, times, values, rare }
  }
  #places!: {
    keyFrom: number
    keyTo: number
    hashes: number
    sampleSeries: number
    times: number
    values: number
    rare: number
  }

  /** The body out of its snappy block, as a view. Throws LimitError (413) or CorruptDataError. */
  unpack(body: Uint8Array, decodedBytesMax: number): Uint8Array {
    const { size, at } = snappyDeclaredSize(body)
    if (size > decodedBytesMax)
      throw new LimitError(`snappy: the body declares ${size} bytes when decoded, the limit is ${decodedBytesMax}`, 413)
    if (size > (body.length - at) * 64)
      throw new CorruptDataError(`snappy: ${body.length} bytes can't unfold to the declared ${size}`)
    if (this.memoryBytes > keptBytesMax && size * 4 < this.memoryBytes) this.#shrink()
    if (body.length > this.#bodyMax || size > this.#decodedMax)
      this.#layOut(Math.ceil(body.length * 1.25), Math.ceil(size * 1.25))
    new Uint8Array(this.#kernel.memory.buffer, this.#bodyAt, body.length).set(body)
    if (this.#kernel.unfold(this.#bodyAt + at, this.#bodyAt + body.length, this.#decodedAt, size) !== size)
      throw new CorruptDataError('snappy: the body is damaged')
    return new Uint8Array(this.#kernel.memory.buffer, this.#decodedAt, size)
  }

  /**
   * The columns of what `unpack` has just returned; undefined for shapes that the host must read itself. Throws
   * CorruptDataError, and LimitError (400) for more than a body of its size may hold.
   */
  decode(unpacked: Uint8Array): WriteColumns | undefined {
    const kernel = this.#kernel
    let size = unpacked.length
    let bytes = unpacked
    for (;;) {
      const result = kernel.walk(this.#decodedAt, size)
      if (result === 0) break
      if (result === corrupt) throw new CorruptDataError('remote write: the protobuf message is malformed')
      if (result !== full) return undefined
      if (this.#samplesMax >= elementsMax('rows', size)) throw tooMany('rows', size)
      const kept = bytes.slice()
      this.#seriesMax *= 2
      this.#samplesMax *= 2
      this.#rareMax *= 2
      this.#layOut(0, 0)
      bytes = new Uint8Array(kernel.memory.buffer, this.#decodedAt, size)
      bytes.set(kept)
      size = kept.length
    }
    const { buffer } = kernel.memory
    const places = this.#places
    const seriesCount = Number(kernel.seriesCount.value)
    const sampleCount = Number(kernel.sampleCount.value)
    const rareCount = Number(kernel.rareCount.value)
    return {
      bytes,
      seriesCount,
      keyFrom: new Uint32Array(buffer, places.keyFrom, seriesCount),
      keyTo: new Uint32Array(buffer, places.keyTo, seriesCount),
      hashes: new Uint32Array(buffer, places.hashes, seriesCount * 4),
      sampleCount,
      sampleSeries: new Uint32Array(buffer, places.sampleSeries, sampleCount),
      timesMs: new Float64Array(buffer, places.times, sampleCount),
      values: new Float64Array(buffer, places.values, sampleCount),
      words: new Uint32Array(buffer, places.values, sampleCount * 2),
      rare: new Uint32Array(buffer, places.rare, rareCount * 3),
    }
  }
}
