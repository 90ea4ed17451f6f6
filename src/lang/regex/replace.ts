/** Replacements by groups as Go's regexp expands them: `$1`, `${1}`, `$name`, `$$`. */
import type { RE2JS } from 're2js'

/** The groups of one match. */
export interface MatchedGroups {
  groupCount(): number
  group(name: number | string): string | null
}

/** Called with the length of a text before it grows to that; throws when that is too long. */
export type RefuseLong = (characters: number) => void

/** A group that the expression does not have is empty. */
export function expandReplacement(replacement: string, matched: MatchedGroups, refuseLong: RefuseLong): string {
  if (!replacement.includes('$')) return replacement
  let added = 0
  return replacement.replaceAll(/\$(?:\$|\{(\w+)\}|(\w+))/g, (whole, braced: string | undefined, bare = '') => {
    if (whole === '$$') return '$'
    const value = groupOf(matched, braced ?? bare)
    refuseLong((added += value.length))
    return value
  })
}

function groupOf(matched: MatchedGroups, name: string): string {
  if (/^\d+$/.test(name)) return Number(name) <= matched.groupCount() ? (matched.group(Number(name)) ?? '') : ''
  try {
    return matched.group(name) ?? ''
  } catch {
    return ''
  }
}

/** Something that finds one match after the other. */
interface Finding {
  find(): boolean
  start(): number
  end(): number
}

/** The next match, as Go walks through them: an empty one right behind the last (its end, or -1) is none. */
export function findNext(matcher: Finding, lastEnd: number): boolean {
  while (matcher.find()) if (matcher.end() > matcher.start() || matcher.start() !== lastEnd) return true
  return false
}

/** Replaces every match by what `replace` makes of it. */
export function replaceMatches(
  regex: RE2JS,
  text: string,
  replace: (matched: MatchedGroups) => string,
  refuseLong: RefuseLong,
): string {
  const matcher = regex.matcher(text)
  let out = ''
  let from = 0
  let lastEnd = -1
  while (findNext(matcher, lastEnd)) {
    out += text.slice(from, matcher.start()) + replace(matcher)
    from = lastEnd = matcher.end()
    refuseLong(out.length)
  }
  return out + text.slice(from)
}
