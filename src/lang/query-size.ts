/** Counts what the text of a query unfolds to while it is parsed, so that no text takes long or many frames. */
import { BadQueryError } from '#core/errors.ts'
import { queryTextLimits, regexLimits } from '#core/limits.ts'
import { instructionsOf } from './regex/size.ts'

/** Refuses what is wrong at a place of the text, in the words of its language. */
type Fail = (message: string, at: number) => never

export class QuerySize {
  readonly #fail: Fail
  #depth = 0
  #operators = 0
  #parts = 0
  #instructions = 0

  constructor(fail: Fail) {
    this.#fail = fail
  }

  /** A parenthesis, a call or a query within a query begins. */
  enter(at: number): void {
    if (++this.#depth > queryTextLimits.depthMax)
      this.#fail(`the query nests deeper than ${queryTextLimits.depthMax} levels, which is the limit`, at)
  }

  leave(): void {
    this.#depth--
  }

  /** `work` is done one level deeper. */
  deeper<T>(at: number, work: () => T): T {
    this.enter(at)
    const result = work()
    this.leave()
    return result
  }

  /** An operator joins two sides: chains of them make trees as deep as they are long. */
  operator(at: number): void {
    if (++this.#operators > queryTextLimits.operatorsMax)
      this.#fail(`the query has more than ${queryTextLimits.operatorsMax} operators, which is the limit`, at)
  }

  /** A stage, a filter or a condition, one of a list. */
  part(at: number): void {
    if (++this.#parts > queryTextLimits.partsMax)
      this.#fail(`the query has more than ${queryTextLimits.partsMax} filters and stages, which is the limit`, at)
  }

  /** A regular expression: each is bounded by itself, all of a query are together. */
  regex(source: string, at: number): void {
    this.#instructions += instructionsOf(source)
    if (this.#instructions > regexLimits.queryInstructionsMax)
      this.#fail(
        `the regular expressions of the query have more than ${regexLimits.queryInstructionsMax} instructions ` +
          'together, which is the limit',
        at,
      )
  }
}

/** Refuses a text that is too long, before anything reads it. Throws BadQueryError. */
export function checkQueryLength(text: string): void {
  const { charactersMax } = queryTextLimits
  if (text.length > charactersMax)
    throw new BadQueryError(
      `the query has ${text.length} characters, more than the limit of ${charactersMax}`,
      charactersMax,
      text.length,
    )
}
