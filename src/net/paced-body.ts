/** Answers in pieces that are made as their reader takes them, and an end to readers that take nothing. */
import type { Clock, Timer } from '#core/clock.ts'

/** Bytes, or characters, of a piece. */
const pieceLength = 65_536

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

type Moments = Pick<Clock, 'monotonicMs' | 'after'>

/** Notices that a reader has taken nothing for a time while there was something to take. */
export class SlowReader {
  readonly #clock: Moments
  readonly #timeoutMs: number
  readonly #onStalled: () => void
  /** Since when something waits for the reader; undefined: it waits for us. */
  #waitingSinceMs: number | undefined
  #timer: Timer | undefined

  /** `onStalled` is called once at most. */
  constructor(clock: Moments, timeoutMs: number, onStalled: () => void) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#onStalled = onStalled
    this.#arm(timeoutMs)
  }

  #arm(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      const sinceMs = this.#waitingSinceMs ?? this.#clock.monotonicMs()
      const leftMs = sinceMs + this.#timeoutMs - this.#clock.monotonicMs()
      if (leftMs > 0) this.#arm(leftMs)
      else this.#onStalled()
    })
  }

  /** Something waits to be taken from now on. */
  wait(): void {
    this.#waitingSinceMs = this.#clock.monotonicMs()
  }

  /** All that waited was taken. */
  taken(): void {
    this.#waitingSinceMs = undefined
  }

  /** The same pieces; each waits from when it is made until the next is asked for, and the last one until `end`. */
  async *paced(pieces: Pieces): AsyncGenerator<string | Uint8Array> {
    for await (const piece of pieces) {
      this.wait()
      yield piece
      this.taken()
    }
    this.wait()
  }

  /** Nothing is waited for any more. */
  end(): void {
    this.#timer?.cancel()
  }
}
