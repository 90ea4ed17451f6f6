/** The jobs that a worker is at, by number; each can be cancelled. */

export class UnderWay {
  readonly #jobs = new Map<number, AbortController>()
  /** Work that can't be cancelled. */
  #others = 0

  /** Their numbers. */
  jobs(): number[] {
    return [...this.#jobs.keys()]
  }

  get isBusy(): boolean {
    return this.#jobs.size > 0 || this.#others > 0
  }

  /** Does work that can't be cancelled. */
  async finish<T>(work: () => Promise<T> | T): Promise<T> {
    this.#others++
    try {
      return await work()
    } finally {
      this.#others--
    }
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
