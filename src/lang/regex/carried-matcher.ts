/** Matchers as data, on their way to another thread. */
import { Matcher, type MatchKind } from './matcher.ts'
import { makeMatcher } from './regex.ts'

export interface CarriedMatcher {
  kind: MatchKind
  name: string
  value: string
  /** The only values that it accepts, where these say it all. */
  texts: readonly string[] | undefined
}

export function packMatcher({ kind, name, value, alternatives }: Matcher): CarriedMatcher {
  return { kind, name, value, texts: kind === '=~' ? alternatives : undefined }
}

/** Throws BadRegexError, as `makeMatcher` does. */
export function unpackMatcher({ kind, name, value, texts }: CarriedMatcher): Matcher {
  if (texts === undefined) return makeMatcher(kind, name, value)
  const set = new Set(texts)
  return new Matcher(kind, name, value, text => set.has(text), texts)
}
