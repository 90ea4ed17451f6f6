/** Byte strings that lie one after another, by number; as texts they are made once. */
import { CorruptDataError } from '#core/errors.ts'

/** `count` byte strings. */
export class Texts {
  readonly bytes: Uint8Array
  /** String i is bytes[offsets[i], offsets[i + 1]). */
  readonly offsets: Uint32Array
  readonly #made: (string | undefined)[] = []

  constructor(bytes: Uint8Array, offsets: Uint32Array) {
    this.bytes = bytes
    this.offsets = offsets
  }

  get count(): number {
    return this.offsets.length - 1
  }

  bytesOf(i: number): Uint8Array {
    if (i >= this.count) throw new CorruptDataError(`parquet: string ${i} of ${this.count}`)
    return this.bytes.subarray(this.offsets[i], this.offsets[i + 1])
  }

  /** Is one of them the same bytes? */
  includes(wanted: Uint8Array): boolean {
    const { bytes, offsets, count } = this
    for (let i = 0; i < count; i++)
      if (offsets[i + 1]! - offsets[i]! === wanted.length && isAt(bytes, offsets[i]!, wanted)) return true
    return false
  }

  text(i: number): string {
    const known = this.#made[i]
    if (known !== undefined) return known
    if (i >= this.count) throw new CorruptDataError(`parquet: string ${i} of ${this.count}`)
    return (this.#made[i] = Buffer.from(
      this.bytes.buffer,
      this.bytes.byteOffset + this.offsets[i]!,
      this.offsets[i + 1]! - this.offsets[i]!,
    ).toString('utf8'))
  }
}

function isAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false
  return true
}
