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
