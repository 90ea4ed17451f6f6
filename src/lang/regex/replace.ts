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

/**
 * Replaces the first `most` matches by what `replace` makes of them, as Go does: an empty match directly behind another
 * one does not count.
 */
export function replaceMatches(
  regex: RE2JS,
  text: string,
  replace: (matched: MatchedGroups) => string,
  refuseLong: RefuseLong,
  most = Infinity,
): string {
  const matcher = regex.matcher(text)
  let out = ''
  let from = 0
  let count = 0
  while (count < most && matcher.find()) {
    if (count > 0 && matcher.end() === from && matcher.start() === from) continue
    count++
    out += text.slice(from, matcher.start()) + replace(matcher)
    from = matcher.end()
    refuseLong(out.length)
  }
  return out + text.slice(from)
}
