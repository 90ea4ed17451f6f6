/** One condition on a label: what every query language here reduces its selectors to. */

export type MatchKind = '=' | '!=' | '=~' | '!~'

export class Matcher {
  readonly kind: MatchKind
  readonly name: string
  readonly value: string
  /** The values a regular expression can only match, when they are few: `a|b|c`. */
  readonly alternatives: readonly string[] | undefined
  readonly #test: (value: string) => boolean

  /**
   * `test` says whether a label value satisfies the condition as a whole (negation included). Made by lang/regex for
   * `=~` and `!~`.
   */
  constructor(
    kind: MatchKind,
    name: string,
    value: string,
    test: (value: string) => boolean,
    alternatives?: readonly string[],
  ) {
    this.kind = kind
    this.name = name
    this.value = value
    this.#test = test
    this.alternatives = alternatives
  }

  static equal(name: string, value: string): Matcher {
    return new Matcher('=', name, value, v => v === value)
  }
  static notEqual(name: string, value: string): Matcher {
    return new Matcher('!=', name, value, v => v !== value)
  }

  matches(value: string): boolean {
    return this.#test(value)
  }
  /** Does it hold for series that lack the label? */
  get matchesEmpty(): boolean {
    return this.#test('')
  }
}
