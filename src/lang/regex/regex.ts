/**
 * Regular expressions from users: RE2 syntax, linear time, anchored at both ends as label matchers are. The common
 * shapes (literals, alternations of literals, prefix.*, .*suffix, .*) never reach an automaton.
 */
import { RE2JS } from 're2js'
import { messageOf } from '#core/errors.ts'
import { regexLimits } from '#core/limits.ts'
import { Matcher, type MatchKind } from './matcher.ts'
import { sizeProblem } from './size.ts'

export interface AnchoredRegex {
  readonly source: string
  /** The whole text matches. */
  test(text: string): boolean
  /** When the language is finite and small: exactly these texts match. */
  readonly alternatives: readonly string[] | undefined
}

/** An expression that RE2 refuses; the message is the one Go's regexp gives, as far as it is known. */
export class BadRegexError extends Error {
  override name = 'BadRegexError'
  readonly kind = 'bad-regex'
}

const meta = /[\\^$.|?*+()[\]{}]/
/** Alternatives that are looked up one by one in an index; more are tested by a set. */
const alternativesMax = 1000

/** `isMemoized`: texts are kept with what became of them, for who asks about the same ones again. */
export function compileAnchored(source: string, isMemoized = true): AnchoredRegex {
  const alternatives = literalAlternatives(source)
  if (alternatives !== undefined) {
    if (alternatives.length === 1) {
      const only = alternatives[0]!
      return { source, alternatives, test: text => text === only }
    }
    const set = new Set(alternatives)
    const shown = alternatives.length > alternativesMax ? undefined : alternatives
    return { source, alternatives: shown, test: text => set.has(text) }
  }
  if (source === '.*') return { source, alternatives: undefined, test: () => true }
  if (source === '.+') return { source, alternatives: undefined, test: text => text.length > 0 }
  const compiled = compile(`^(?s:${source})$`, source)
  const shaped = shapedTest(source)
  if (shaped !== undefined) return { source, alternatives: undefined, test: shaped }
  const memo = new Map<string, boolean>()
  const prefix = literalPrefix(source)
  return {
    source,
    alternatives: undefined,
    test(text) {
      // Most labels of an index differ there, and are done with.
      if (!text.startsWith(prefix)) return false
      if (!isMemoized) return compiled.matches(text)
      const known = memo.get(text)
      if (known !== undefined) return known
      const result = compiled.matches(text)
      if (memo.size < 100_000) memo.set(text, result)
      return result
    },
  }
}

/** Compiles an RE2 expression as it stands, for callers that need captures. */
export function compileRe2(source: string, shown = source): RE2JS {
  return compile(source, shown)
}

function compile(source: string, shown: string): RE2JS {
  const problem = sizeProblem(shown)
  if (problem !== undefined) throw new BadRegexError(`error parsing regexp: expression too large: ${problem}`)
  try {
    return RE2JS.compile(source)
  } catch (error) {
    throw new BadRegexError(
      messageOf(error)
        .replace(source, shown)
        .replace(/^error parsing regexp: /, 'error parsing regexp: ')
        .replace(/trailing backslash at end of expression$/, 'trailing backslash at end of expression: ``'),
    )
  }
}

/** `a|b|c`, `(a|b)`, `x(a|b)y` without any operator inside: its texts. Escaped punctuation stands for itself. */
function literalAlternatives(source: string): string[] | undefined {
  if (!meta.test(source)) return [source]
  const [open, close] = bracketsOf(source)
  if (open === undefined) return plainParts(source)
  if (close === undefined) return undefined
  const before = plainParts(source.slice(0, open))
  const after = plainParts(source.slice(close + 1))
  const parts = plainParts(source.slice(open + 1, close).replace(/^\?:/, ''))
  if (parts === undefined || before?.length !== 1 || after?.length !== 1) return undefined
  const around = before[0]!.length + after[0]!.length
  if (parts.length > alternativesMax && around * parts.length > regexLimits.charactersMax) return undefined
  return parts.map(part => before[0]! + part + after[0]!)
}

/** Where the first parenthesis opens and the next one closes, escaped ones left out. */
function bracketsOf(source: string): [number | undefined, number | undefined] {
  let open: number | undefined
  for (let i = 0; i < source.length; i++) {
    const char = source[i]
    if (char === '\\') i++
    else if (char === '(' && open === undefined) open = i
    else if (char === ')') return [open, open === undefined ? undefined : i]
  }
  return [open, undefined]
}

const escapedPlain = /\\([\\^$.|?*+()[\]{}/-])/g

/** The parts of `a|b|c`; undefined when one of them is more than a plain text. */
function plainParts(source: string): string[] | undefined {
  if (!source.includes('\\')) return /[\^$.?*+()[\]{}]/.test(source) ? undefined : source.split('|')
  // What is escaped moves out of the way of the test and of the bar that parts: to a place that no text has.
  if (/[\ue000-\uf8ff]/.test(source)) return undefined
  const hidden = source.replaceAll(escapedPlain, (_, char: string) => String.fromCharCode(0xe000 + char.charCodeAt(0)))
  if (/[\\^$.?*+()[\]{}]/.test(hidden)) return undefined
  return hidden
    .split('|')
    .map(part => part.replaceAll(/[\ue000-\uf8ff]/g, char => String.fromCharCode(char.charCodeAt(0) - 0xe000)))
}

/** What each text begins with that matches, as far as the expression says it in plain characters. */
function literalPrefix(source: string): string {
  // One of several alternatives may begin otherwise, wherever they part.
  const end = source.search(meta)
  if (end <= 0 || source.includes('|')) return ''
  const isOptional = source[end] === '?' || source[end] === '*' || source[end] === '{'
  return Array.from(source.slice(0, end))
    .slice(0, isOptional ? -1 : undefined)
    .join('')
}

/** `prefix.*`, `prefix.+`, `.*suffix`, `.*infix.*` with plain texts. */
function shapedTest(source: string): ((text: string) => boolean) | undefined {
  const shape = /^(\.[*+])?([^\\^$.|?*+()[\]{}]+)(\.[*+])?$/.exec(source)
  if (shape === null) return undefined
  const [, before, literal, after] = shape
  const least = before === '.+' ? 1 : 0
  const most = after === '.+' ? 1 : 0
  if (before === undefined && after !== undefined)
    return text => text.startsWith(literal!) && text.length >= literal!.length + most
  if (before !== undefined && after === undefined)
    return text => text.endsWith(literal!) && text.length >= literal!.length + least
  return text => {
    const at = text.indexOf(literal!, least)
    return at >= 0 && (most === 0 || text.lastIndexOf(literal!, text.length - literal!.length - 1) >= least)
  }
}

/** A matcher of any kind; throws BadRegexError for an expression that does not compile. */
export function makeMatcher(kind: MatchKind, name: string, value: string, isMemoized = true): Matcher {
  if (kind === '=') return Matcher.equal(name, value)
  if (kind === '!=') return Matcher.notEqual(name, value)
  const regex = compileAnchored(value, isMemoized)
  return new Matcher(
    kind,
    name,
    value,
    kind === '=~' ? text => regex.test(text) : text => !regex.test(text),
    regex.alternatives,
  )
}
