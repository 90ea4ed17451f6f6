/**
 * Host of the WASM kernel for series keys (kernel/series-key.ts): hashes a key, and takes it apart into its labels
 * with a hash of each. A key is the label set as remote write spells it (model/write-batch.ts). What it returns is
 * valid until the next call.
 */
import type { Random } from '#core/random.ts'
import { startKernel } from './kernel.ts'

interface Kernel {
  memory: WebAssembly.Memory
  setSeed(a: number, b: number, c: number, d: number): void
  hash(from: number, to: number, target: number): void
  split(from: number, to: number, labelsMax: number, places: number, hashes: number): number
  hasHighBytes: WebAssembly.Global
}

/** The secret of one process: hashes made with the same seed can be compared. */
export interface HashSeed {
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

/** A seed nobody outside can know. */
export function makeHashSeed(random: Random): HashSeed {
  return { a: random.u32(), b: random.u32(), c: random.u32(), d: random.u32() }
}

const hashAt = 4096
const placesAt = hashAt + 16
const pageBytes = 65536
const shared = new WeakMap<HashSeed, { labelsMax: number; keys: SeriesKeys }>()

/** One instance of the kernel, with its memory. */
export class SeriesKeys {
  readonly #kernel: Kernel
  readonly #labelsMax: number
  readonly #keyAt: number
  #bytes!: Uint8Array
  /** The hash of the last `hash`: four words. */
  hashWords!: Uint32Array
  /** By label, four words: where its name and its value begin and end, counted from the key's first byte. */
  places!: Uint32Array
  /** By label, four words. */
  hashes!: Uint32Array

  /**
   * The one of all tables with this seed: its results are good until the next call of anybody. A memory of WebAssembly
   * takes hundreds of KiB, and gibibytes of addresses.
   */
  static shared(seed: HashSeed, labelsMax: number): SeriesKeys {
    let known = shared.get(seed)
    if (known?.labelsMax !== labelsMax) shared.set(seed, (known = { labelsMax, keys: new SeriesKeys(seed, labelsMax) }))
    return known.keys
  }

  constructor(seed: HashSeed, labelsMax: number) {
    this.#kernel = startKernel<Kernel>('series-key')
    this.#kernel.setSeed(seed.a, seed.b, seed.c, seed.d)
    this.#labelsMax = labelsMax
    this.#keyAt = placesAt + labelsMax * 32
    this.#reserve(pageBytes)
  }

  #reserve(keyBytes: number): void {
    const missing = this.#keyAt + keyBytes + 16 - this.#kernel.memory.buffer.byteLength
    if (missing > 0) this.#kernel.memory.grow(Math.ceil(missing / pageBytes))
    const { buffer } = this.#kernel.memory
    this.#bytes = new Uint8Array(buffer)
    this.hashWords = new Uint32Array(buffer, hashAt, 4)
    this.places = new Uint32Array(buffer, placesAt, this.#labelsMax * 4)
    this.hashes = new Uint32Array(buffer, placesAt + this.#labelsMax * 16, this.#labelsMax * 4)
  }

  #take(bytes: Uint8Array, from: number, to: number): number {
    if (this.#keyAt + to - from + 16 > this.#bytes.length) this.#reserve((to - from) * 2)
    this.#bytes.set(bytes.subarray(from, to), this.#keyAt)
    return this.#keyAt + to - from
  }

  /** Hashes the bytes at [from, to) into `hashWords`. */
  hash(bytes: Uint8Array, from: number, to: number): void {
    this.#kernel.hash(this.#keyAt, this.#take(bytes, from, to), hashAt)
  }

  /**
   * The number of labels, in `places` and `hashes`; -1 for a key that is not canonical, or has more labels than may
   * be.
   */
  split(bytes: Uint8Array, from: number, to: number): number {
    return this.#kernel.split(
      this.#keyAt,
      this.#take(bytes, from, to),
      this.#labelsMax,
      placesAt,
      placesAt + this.#labelsMax * 16,
    )
  }

  /** Did the last `split` see bytes that may not be UTF-8? */
  get hasHighBytes(): boolean {
    return Number(this.#kernel.hasHighBytes.value) !== 0
  }
}
