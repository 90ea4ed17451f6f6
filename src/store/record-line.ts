/**
 * The records of one long append: put in line for the log one after the other, with other work between them. They are
 * acknowledged together. Where the log fails in between, the sender is told to send again; records before that are
 * kept, and what is sent again is stored once, as with every repeated request.
 */
import type { Clock } from '#core/clock.ts'
import { UnavailableError } from '#core/errors.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Show, Wal } from './wal.ts'

/** So much of one append waits in line at most, a small part of what may wait in all. */
const pendingBytesMax = 4 * 1024 * 1024

export class RecordLine {
  readonly #wal: Wal
  readonly #losses: number
  readonly #pause: () => Promise<void>
  readonly #isOwed: boolean
  #pendingBytes = 0

  /** `isOwed`: the process itself owes the records, see `Wal.append`. */
  constructor(wal: Wal, clock: Clock, isOwed = false) {
    this.#isOwed = isOwed
    this.#wal = wal
    this.#losses = wal.losses
    this.#pause = yieldEvery(clock)
  }

  /**
   * Puts a record in line, as `Wal.append`; resolves when the next one may follow. Throws UnavailableError where the
   * log takes nothing, or lost what was in line: what the records to come would build on may be gone then.
   */
  async put(kind: number, payload: Uint8Array, scopes: Iterable<string>, show?: Show): Promise<void> {
    this.#wal.append(kind, payload, scopes, show, this.#isOwed)
    this.#pendingBytes += payload.length
    if (this.#pendingBytes > pendingBytesMax) {
      this.#pendingBytes = 0
      await this.#wal.commitSoon()
    } else await this.#pause()
    this.requireWhole()
  }

  /** What gave no record takes its time, too. Throws as `put`. */
  async pause(): Promise<void> {
    await this.#pause()
    this.requireWhole()
  }

  /** Throws UnavailableError where a record may have been lost. */
  requireWhole(): void {
    if (this.#wal.losses !== this.#losses)
      throw new UnavailableError('the write-ahead log lost records that waited in line; send the request again', 5)
  }
}
