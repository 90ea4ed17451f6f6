/**
 * Which trace ids a block may have: sharded bloom filters, bit for bit as Tempo's. Form: docs/formats/tempo-block.md.
 */
import { bloomPositions } from '#codec/bloom-positions.ts'
import { CorruptDataError } from '#core/errors.ts'

const shardBytes = 102_400
const shardBits = shardBytes * 8
const headBytes = 24
const falsePositives = 0.01

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
    const positions = bloomPositions(id, this.#hashes, BigInt(this.#bits))
    for (let i = 0; i < this.#hashes; i++) {
      const bit = positions[i]!
      if ((this.#bytes[byteAt(bit)]! & (1 << (bit & 7))) === 0) return false
    }
    return true
  }
}

/** Words are big-endian: bit b lies in byte 7 - b/8 of its word. */
function byteAt(bit: number): number {
  return headBytes + (bit >>> 6) * 8 + 7 - ((bit & 63) >>> 3)
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
    const positions = bloomPositions(id, hashes, BigInt(shardBits))
    for (let i = 0; i < hashes; i++) file[byteAt(positions[i]!)]! |= 1 << (positions[i]! & 7)
  }
  return files
}
