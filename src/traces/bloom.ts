/**
 * Which trace ids a block may have: sharded bloom filters, bit for bit as Tempo's. Form: docs/formats/tempo-block.md.
 */
import { CorruptDataError } from '#core/errors.ts'

const shardBytes = 102_400
const shardBits = shardBytes * 8
const headBytes = 24
const falsePositives = 0.01
const mask = (1n << 64n) - 1n

function shardsFor(ids: number): { shards: number; hashes: number } {
  const n = Math.max(1, ids)
  const bits = Math.ceil((-n * Math.log(falsePositives)) / Math.LN2 ** 2)
  return {
    shards: Math.min(1000, Math.max(1, Math.ceil(bits / shardBits))),
    hashes: Math.max(1, Math.ceil((Math.LN2 * bits) / n)),
  }
}

/** FNV-1, 32 bits. */
export function shardOf(id: Uint8Array, shards: number): number {
  let hash = 2166136261
  for (const byte of id) hash = Math.imul(hash, 16777619) ^ byte
  return (hash >>> 0) % shards
}

const c1 = 0x87c37b91114253d5n
const c2 = 0x4cf5ad432745937fn
const rotl = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask
function mix(k: bigint): bigint {
  k ^= k >> 33n
  k = (k * 0xff51afd7ed558ccdn) & mask
  k ^= k >> 33n
  k = (k * 0xc4ceb9fe1a85ec53n) & mask
  return k ^ (k >> 33n)
}

/** MurmurHash3 x64-128 of 16 bytes and `tail` (none, or one byte). */
function murmur(id: Uint8Array, tail: number | undefined): [bigint, bigint] {
  const view = new DataView(id.buffer, id.byteOffset, 16)
  let k1 = view.getBigUint64(0, true)
  let k2 = view.getBigUint64(8, true)
  let h1 = 0n
  let h2 = 0n
  k1 = (rotl((k1 * c1) & mask, 31n) * c2) & mask
  h1 ^= k1
  h1 = (((rotl(h1, 27n) + h2) & mask) * 5n + 0x52dce729n) & mask
  k2 = (rotl((k2 * c2) & mask, 33n) * c1) & mask
  h2 ^= k2
  h2 = (((rotl(h2, 31n) + h1) & mask) * 5n + 0x38495ab5n) & mask
  let length = 16n
  if (tail !== undefined) {
    length = 17n
    h1 ^= (rotl((BigInt(tail) * c1) & mask, 31n) * c2) & mask
  }
  h1 ^= length
  h2 ^= length
  h1 = (h1 + h2) & mask
  h2 = (h2 + h1) & mask
  h1 = mix(h1)
  h2 = mix(h2)
  h1 = (h1 + h2) & mask
  h2 = (h2 + h1) & mask
  return [h1, h2]
}

function positions(id: Uint8Array, hashes: number, bits: number): number[] {
  const h = [...murmur(id, undefined), ...murmur(id, 1)]
  return Array.from({ length: hashes }, (_, i) =>
    Number(((h[i % 2]! + BigInt(i) * h[2 + Math.floor(((i + (i % 2)) % 4) / 2)]!) & mask) % BigInt(bits)),
  )
}

export class BloomFilter {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #bits: number
  readonly #hashes: number

  /** Throws CorruptDataError. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < headBytes) throw new CorruptDataError('bloom filter: cut off')
    this.#bits = Number(this.#view.getBigUint64(0))
    this.#hashes = Number(this.#view.getBigUint64(8))
    if (this.#bits === 0 || this.#hashes > 64 || headBytes + Math.ceil(this.#bits / 64) * 8 > bytes.length)
      throw new CorruptDataError(`bloom filter: ${this.#bits} bits in ${bytes.length} bytes`)
  }

  get heldBytes(): number {
    return this.#bytes.length
  }

  mayHave(id: Uint8Array): boolean {
    return positions(id, this.#hashes, this.#bits).every(
      bit => (this.#bytes[this.#byteAt(bit)]! & (1 << (bit % 8))) !== 0,
    )
  }
  /** Words are big-endian: bit b lies in byte 7 - b/8 of its word. */
  #byteAt(bit: number): number {
    return headBytes + Math.floor(bit / 64) * 8 + 7 - Math.floor((bit % 64) / 8)
  }
}

/** The filters of a block with these ids. */
export function encodeBlooms(ids: readonly Uint8Array[]): Uint8Array[] {
  const { shards, hashes } = shardsFor(ids.length)
  const files = Array.from({ length: shards }, () => {
    const bytes = new Uint8Array(headBytes + shardBytes)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(0, BigInt(shardBits))
    view.setBigUint64(8, BigInt(hashes))
    view.setBigUint64(16, BigInt(shardBits))
    return bytes
  })
  for (const id of ids) {
    const file = files[shardOf(id, shards)]!
    for (const bit of positions(id, hashes, shardBits))
      file[headBytes + Math.floor(bit / 64) * 8 + 7 - Math.floor((bit % 64) / 8)]! |= 1 << (bit % 8)
  }
  return files
}
