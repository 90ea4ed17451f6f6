/**
 * Matchers of alerts, as Alertmanager's configuration and API write them: `a="b"`, `a=~b.*`, `{a!="x", b!~"y"}`.
 * Source: Alertmanager's public documentation.
 */
import { BadDataError, messageOf } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import { compileRe2, makeMatcher } from '#lang/regex/regex.ts'
import type { Matcher, MatchKind } from '#lang/regex/matcher.ts'

export type { Matcher }

const bare = /^[^\s{}!=~,\\"'`]+/

class MatcherParser {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  #fail(message: string): never {
    throw new BadDataError(`bad matcher format: ${this.#text}: ${message}`)
  }
  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++
  }

  #word(what: string): string {
    this.#skip()
    if (this.#text[this.#at] === '"') {
      let out = ''
      for (this.#at++; this.#at < this.#text.length; this.#at++) {
        const c = this.#text[this.#at]!
        if (c === '"') {
          this.#at++
          return out
        }
        if (c !== '\\') {
          out += c
          continue
        }
        const next = this.#text[++this.#at]
        out += next === 'n' ? '\n' : next === '"' || next === '\\' ? next : `\\${next ?? ''}`
      }
      return this.#fail('a quoted text is not ended')
    }
    const found = bare.exec(this.#text.slice(this.#at))?.[0]
    if (found === undefined) return this.#fail(`${what} was expected at ${this.#at}`)
    this.#at += found.length
    return found
  }

  /** A value may be everything up to a comma or brace, and nothing. */
  #value(): string {
    this.#skip()
    if (this.#text[this.#at] === '"') return this.#word('a value')
    const found = /^[^,{}"]*/.exec(this.#text.slice(this.#at))![0]
    this.#at += found.length
    return found.trim()
  }

  parse(): Matcher[] {
    this.#skip()
    const isBraced = this.#text[this.#at] === '{'
    if (isBraced) this.#at++
    const matchers: Matcher[] = []
    for (;;) {
      this.#skip()
      if (isBraced && this.#text[this.#at] === '}') {
        this.#at++
        break
      }
      if (this.#at >= this.#text.length) {
        if (isBraced) this.#fail('} is missing')
        break
      }
      const name = this.#word('a label name')
      this.#skip()
      const kind =
        (['=~', '!~', '!=', '='] as const).find(k => this.#text.startsWith(k, this.#at)) ??
        this.#fail('one of =, !=, =~, !~ was expected')
      this.#at += kind.length
      matchers.push(matcherOf(kind, name, this.#value()))
      this.#skip()
      if (this.#text[this.#at] === ',') this.#at++
      else if (this.#at < this.#text.length && this.#text[this.#at] !== '}')
        this.#fail(`something follows at ${this.#at}`)
    }
    this.#skip()
    if (this.#at < this.#text.length) this.#fail(`something follows at ${this.#at}`)
    return matchers
  }
}

const classicMatcher = /^([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!=|!~|=)\s*(.*)$/s
/** Names and values of any letters; what has a meaning of its own stands in quotes. */
const textMatcher = /^("(?:[^"\\]|\\.)*"|[^\s{}!=~,\\"'`]+)\s*(=~|!=|!~|=)\s*("(?:[^"\\]|\\.)*"|[^\s{}!=~,\\"'`]*)$/s

/**
 * One matcher without braces, as a filter of the API is written: `a="b"`, `a=~b.*`, `"d.e"="f"`. Throws BadDataError.
 */
export function parseMatcher(text: string): Matcher {
  const trimmed = text.trim()
  if (trimmed.startsWith('{') || trimmed.endsWith('}'))
    throw new BadDataError(`unexpected open or close brace: ${text}`)
  const classic = classicMatcher.exec(trimmed)
  const problem = classic === null ? `bad matcher format: ${text}` : valueProblem(classic[3]!)
  const [, name = '', kind = '', value = ''] =
    (problem === undefined ? classic : textMatcher.exec(withoutComma(trimmed))) ?? []
  if (name === '' || !isKind(kind)) throw new BadDataError(problem)
  return regexNamed(kind, value, () => matcherOf(kind, unquoted(name), unquoted(value)))
}

/** One comma may follow a matcher. */
const withoutComma = (text: string): string => (text.endsWith(',') ? text.slice(0, -1).trimEnd() : text)

const isKind = (text: string): text is MatchKind => text !== ''

/** A value is bare, or stands in quotes as a whole. */
function valueProblem(value: string): string | undefined {
  const inner = /^"(.*)"$/s.exec(value)?.[1] ?? value
  return /^(?:[^"\\]|\\.)*\\?$/s.test(inner) ? undefined : `matcher value contains unescaped double quote: ${value}`
}

function unquoted(text: string): string {
  const inner = /^"(.*)"$/s.exec(text)?.[1] ?? text
  return inner.replaceAll(/\\([n"\\])/g, (_, letter: string) => (letter === 'n' ? '\n' : letter))
}

/** The error of a wrong regular expression shows it anchored, as it is evaluated. */
function regexNamed(kind: MatchKind, value: string, make: () => Matcher): Matcher {
  if (kind === '=~' || kind === '!~') {
    try {
      compileRe2(`^(?:${unquoted(value)})$`)
    } catch (error) {
      throw new BadDataError(messageOf(error), { cause: error })
    }
  }
  return make()
}

/** Texts are not memoized: silences stay for days, and alerts of ever new labels come. Throws BadDataError. */
export function matcherOf(kind: MatchKind, name: string, value: string): Matcher {
  try {
    return makeMatcher(kind, name, value, false)
  } catch (error) {
    throw new BadDataError(`${name}${kind}${quote(value)}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** One or several. Throws BadDataError. */
export function parseMatchers(text: string): Matcher[] {
  return new MatcherParser(text).parse()
}

/** A matcher as configurations write it. */
export function matcherText({ kind, name, value }: Matcher): string {
  return `${/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) ? name : JSON.stringify(name)}${kind}${JSON.stringify(value)}`
}

/** A list of silences is not asked what a filter matches, but which silences have it. */
export function isSameMatcher(a: Matcher, b: Matcher): boolean {
  return a.name === b.name && a.kind === b.kind && a.value === b.value
}

/** Whether every matcher matches; `get` gives a label's value, or an empty text. */
export function matchesAll(matchers: readonly Matcher[], get: (name: string) => string): boolean {
  return matchers.every(m => m.matches(get(m.name)))
}
