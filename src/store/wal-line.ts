/** Records that wait for the log, in the groups in which they are written. */
import { grown } from '#core/grown.ts'
import { frameBytes, writeFrameHead } from './wal-segment.ts'

/**
 * Makes a record visible, once the log has it. `payload` is the record's, valid during the call. Synchronous, and must
 * not throw: what is in the log is in the head.
 */
export type Show = (payload: Uint8Array) => void

interface LinedRecord {
  number: number
  at: number
  length: number
  show: Show | undefined
}

/** Records that are written together. All of one generation. */
export class Group {
  readonly generation: number
  readonly losses: number
  readonly firstRecord: number
  readonly records: LinedRecord[] = []
  bytes: Uint8Array
  length = 0
  /** Scope -> number of its last record in this group. */
  readonly scopes = new Map<string, number>()
  readonly #waiters: { resolve: () => void; reject: (error: unknown) => void }[] = []

  constructor(generation: number, losses: number, firstRecord: number, bytes: Uint8Array) {
    this.generation = generation
    this.losses = losses
    this.firstRecord = firstRecord
    this.bytes = bytes
  }

  /** Number of the last record. */
  get lastRecord(): number {
    return this.firstRecord + this.records.length - 1
  }

  /** Takes a copy of the payload; returns the record's number. */
  add(kind: number, payload: Uint8Array, scopes: Iterable<string>, show: Show | undefined): number {
    const number = this.firstRecord + this.records.length
    const at = this.length + frameBytes
    const needed = at + payload.length
    if (needed > this.bytes.length)
      this.bytes = grown(this.bytes.subarray(0, this.length), new Uint8Array(Math.max(needed, this.bytes.length * 2)))
    writeFrameHead(this.bytes, this.length, kind, number, payload)
    this.bytes.set(payload, at)
    this.length = needed
    this.records.push({ number, at, length: payload.length, show })
    for (const scope of scopes) this.scopes.set(scope, number)
    return number
  }

  /** Resolves when the group is kept and shown; rejects when it is lost. */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
  }

  payload({ at, length }: LinedRecord): Uint8Array {
    return this.bytes.subarray(at, at + length)
  }

  resolve(): void {
    for (const { resolve } of this.#waiters) resolve()
  }
  reject(error: unknown): void {
    for (const { reject } of this.#waiters) reject(error)
  }
}
