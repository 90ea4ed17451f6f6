/** Faults of files that people write: all are told at once. */
import { BadDataError } from '#core/errors.ts'

/** Faults in their order: a person mends them in one go. */
export class Faults {
  readonly #messages: string[] = []

  /** What `read` gives; `instead`, where it refuses something. */
  collect<T>(read: () => T, instead: T): T {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof BadDataError)) throw error
      this.#messages.push(error.message)
      return instead
    }
  }

  add(message: string): void {
    this.#messages.push(message)
  }

  /** Throws BadDataError with all of them, a line each. */
  end(): void {
    if (this.#messages.length > 0) throw new BadDataError(this.#messages.join('\n'))
  }
}
