/** What the readers of a run share. */
import { QueryError, type Telemetry } from '#library/telemetry.ts'
import type { Profile } from './profile.ts'
import type { Rules } from './rules.ts'

export interface Run {
  /** As the user named it. */
  readonly name: string
  readonly telemetry: Telemetry
  readonly fromMs: number
  readonly toMs: number
  /** Types of metrics by name, where they were recorded: blocks do not have them. */
  readonly metricTypes?: ReadonlyMap<string, string>
  /** Is it all that its programs did, so that their counters began with it? */
  readonly isWhole?: boolean
}

export interface Reading {
  readonly run: Run
  readonly profile: Profile
  readonly rules: Rules
  readonly notes: Notes
}

/** Why less was read than there is: each reason once, in the order in which they came. */
export class Notes {
  readonly #sentences = new Set<string>()

  add(sentence: string): void {
    this.#sentences.add(sentence)
  }

  /** What a server refuses is not compared, which is no reason to compare nothing. Throws what is no refusal. */
  async unlessRefused(what: string, read: () => Promise<void>): Promise<void> {
    try {
      await read()
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      this.add(`${what} can't be compared: ${error.message}`)
    }
  }

  /** Of an answer that was asked for up to a limit, of which the reader itself says whether that was reached. */
  addWarnings(warnings: readonly string[], what: string): void {
    for (const warning of warnings) if (!warning.endsWith('there may be more')) this.add(`${what}: ${warning}`)
  }

  sentences(): string[] {
    return [...this.#sentences]
  }
}

/** At most `most` of the items, spread evenly over the list. */
export function spreadOver<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items]
  return Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)]!)
}
