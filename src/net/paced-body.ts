/** Answers in pieces that are made as their reader takes them, and waits for readers that may take nothing. */
import type { Clock, Timer } from '#core/clock.ts'

/** Bytes, or characters, of a piece. */
export const pieceLength = 65_536
/** Waits end this late at most. */
const lookEveryMs = 1000

export type Pieces = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>

/** A long text or long bytes in pieces; no copy is made of all of it. A pair of surrogates stays together. */
export function* piecesOf(whole: string | Uint8Array): Generator<string | Uint8Array> {
  for (let from = 0; from < whole.length;) {
    let to = Math.min(from + pieceLength, whole.length)
    if (typeof whole === 'string') {
      if (to < whole.length && (whole.charCodeAt(to - 1) & 0xfc00) === 0xd800) to++
      yield whole.slice(from, to)
    } else yield Buffer.from(whole.buffer, whole.byteOffset + from, to - from)
    from = to
  }
}

/** The same pieces, none of them long. */
export async function* cutPieces(pieces: Pieces): AsyncGenerator<string | Uint8Array> {
  for await (const piece of pieces) {
    if (piece.length <= pieceLength) yield piece
    else yield* piecesOf(piece)
  }
}

/**
 * Notices readers that have not taken what waits for them in a time: one timer for all of them, while there are any.
 */
export class WaitingReaders {
  readonly #clock: Pick<Clock, 'monotonicMs' | 'after'>
  readonly #timeoutMs: number
  /** The times at which their waits are over, in that order. */
  readonly #ends = new Map<() => void, number>()
  #timer: Timer | undefined

  constructor(clock: Pick<Clock, 'monotonicMs' | 'after'>, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** Something waits to be taken from now on: `onStalled` is called unless the returned function is called in time. */
  wait(onStalled: () => void): () => void {
    // A function of its own for each wait.
    const end = (): void => {
      onStalled()
    }
    if (this.#timeoutMs !== Infinity) {
      this.#ends.set(end, this.#clock.monotonicMs() + this.#timeoutMs)
      this.#timer ??= this.#arm(this.#timeoutMs)
    }
    return () => {
      this.#ends.delete(end)
    }
  }

  #arm(delayMs: number): Timer {
    return this.#clock.after(Math.max(delayMs, lookEveryMs), () => {
      const nowMs = this.#clock.monotonicMs()
      this.#timer = undefined
      for (const [end, atMs] of this.#ends) {
        if (atMs > nowMs) {
          this.#timer ??= this.#arm(atMs - nowMs)
          break
        }
        this.#ends.delete(end)
        end()
      }
    })
  }

  close(): void {
    this.#timer?.cancel()
    this.#ends.clear()
  }
}
