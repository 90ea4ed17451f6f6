/**
 * The definitions of a record of the log: numbers that later records go by. Each stands in two records, its own and the
 * next one of its generation: the loss of one record costs no item of another.
 */
import { ByteWriter } from '#codec/byte-writer.ts'

/** What the record before defined. */
export interface LastDefinitions {
  readonly generation: number
  readonly count: number
  readonly bytes: Uint8Array
}

export class RecordDefinitions {
  readonly #writer = new ByteWriter(4096)
  #count = 0

  clear(): void {
    this.#writer.reset()
    this.#count = 0
  }

  /** Where to write one more definition. */
  next(): ByteWriter {
    this.#count++
    return this.#writer
  }

  /** Adds those of the record before, where it is of this generation; what the next one repeats of this record. */
  repeat(before: LastDefinitions | undefined, generation: number): LastDefinitions | undefined {
    const count = this.#count
    const own = count === 0 ? undefined : { generation, count, bytes: this.#writer.bytes().slice() }
    if (before?.generation === generation) {
      this.#count += before.count
      this.#writer.writeBytes(before.bytes)
    }
    return own
  }

  /** Their number, then all of them. */
  writeTo(out: ByteWriter): void {
    out.writeUvarint(this.#count)
    out.writeBytes(this.#writer.bytes())
  }
}
