/** Pieces of an answer between the thread that makes them and the socket that takes them: one waits at a time. */
export class BodyPipe implements AsyncIterable<Uint8Array> {
  #piece: Uint8Array | undefined
  #isEnded = false
  #error: Error | undefined
  #onPiece: (() => void) | undefined
  #onTaken: (() => void) | undefined
  readonly #onStop: () => void

  /** `onStop`: called when the reader goes away before the end. */
  constructor(onStop: () => void) {
    this.#onStop = onStop
  }

  /** Resolves when the reader took the piece; at once when it is gone. */
  push(piece: Uint8Array): Promise<void> {
    if (this.#isEnded) return Promise.resolve()
    this.#piece = piece
    this.#onPiece?.()
    return new Promise(resolve => {
      this.#onTaken = resolve
    })
  }

  /** Nothing follows. With an error the reader sees that the answer is not whole. */
  end(error?: Error): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#error = error
    this.#onPiece?.()
  }

  /** The reader goes away, or never came. */
  stop(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#onTaken?.()
    this.#onPiece?.()
    this.#onStop()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const piece = this.#piece
        if (piece !== undefined) {
          this.#piece = undefined
          this.#onTaken?.()
          yield piece
          continue
        }
        if (this.#error !== undefined) throw this.#error
        if (this.#isEnded) return
        await new Promise<void>(resolve => {
          this.#onPiece = resolve
        })
      }
    } finally {
      this.stop()
    }
  }
}
