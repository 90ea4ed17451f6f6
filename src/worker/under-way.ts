/** The jobs that a worker is at, by number; each can be cancelled. */

export class UnderWay {
  readonly #jobs = new Map<number, AbortController>()

  /** Their numbers. */
  jobs(): number[] {
    return [...this.#jobs.keys()]
  }

  /** The job is under way until `end`. */
  begin(id: number): AbortSignal {
    const control = new AbortController()
    this.#jobs.set(id, control)
    return control.signal
  }

  end(id: number): void {
    this.#jobs.delete(id)
  }

  async run<T>(id: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = this.begin(id)
    try {
      return await work(signal)
    } finally {
      this.end(id)
    }
  }

  /** Nobody wants the job any more. */
  cancel(id: number): void {
    this.#jobs.get(id)?.abort()
    this.#jobs.delete(id)
  }
}
