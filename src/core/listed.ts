/** Short forms of long lists, for lines of the log. */
import { compareText } from './text.ts'

const shownMax = 10

/** Each once, in order; of many only the first ones, and how many more. */
export function listed(texts: Iterable<string>): string {
  const all = [...new Set(texts)].sort(compareText)
  if (all.length === 0) return 'none'
  const more = all.length - shownMax
  return more > 0 ? `${all.slice(0, shownMax).join(',')} and ${more} more` : all.join(',')
}

/** How often each occurs: `vParquet4:3,vParquet5:1`. */
export function counted(texts: Iterable<string>): string {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return listed(Array.from(counts, ([text, count]) => `${text}:${count}`))
}

/** First and last time of ranges of milliseconds; nothing where there are none. */
export function timesOf(ranges: readonly (readonly [number, number])[]): { from?: string; to?: string } {
  let from = Infinity
  let to = -Infinity
  for (const [start, end] of ranges) {
    from = Math.min(from, start)
    to = Math.max(to, end)
  }
  return from > to ? {} : { from: textOf(from), to: textOf(to) }
}

const msMax = 8_640_000_000_000_000

function textOf(ms: number): string {
  return Math.abs(ms) > msMax ? String(ms) : new Date(ms).toISOString()
}
