/**
 * Entries of a request that are equal to the last letter. A chunk keeps equal lines of one time once, because a line
 * that was sent again can't be told from them; of one request, they were meant. So each but the first moves on by a
 * nanosecond or more. The same request moves the same ones: sent again, it still adds nothing.
 */

export interface TimedEntry {
  readonly ms: number
  subNs: number
  readonly line: string
  readonly pairs: readonly string[]
}

const nanosecondsOfMs = 1_000_000

/** Nanoseconds within a millisecond at which one text stands. */
interface Places {
  readonly taken: Set<number>
  latest: number
}

/** Moves equal entries of one stream apart. Those that the millisecond has no place for stay as they are. */
export function moveApart(entries: readonly TimedEntry[]): void {
  if (isAscending(entries)) return
  const firstOfMs = new Map<number, TimedEntry>()
  const byMs = new Map<number, Map<string, Places>>()
  for (const entry of entries) {
    const first = firstOfMs.get(entry.ms)
    if (first === undefined) {
      firstOfMs.set(entry.ms, entry)
      continue
    }
    let places = byMs.get(entry.ms)
    if (places === undefined) {
      byMs.set(entry.ms, (places = new Map()))
      place(first, places)
    }
    place(entry, places)
  }
}

/** Is each entry of a later millisecond than the one before it? */
function isAscending(entries: readonly TimedEntry[]): boolean {
  for (let i = 1; i < entries.length; i++) if (entries[i]!.ms <= entries[i - 1]!.ms) return false
  return true
}

function place(entry: TimedEntry, places: Map<string, Places>): void {
  const key = `${entry.pairs.join('\0')}\0\0${entry.line}`
  const known = places.get(key)
  if (known === undefined) {
    places.set(key, { taken: new Set([entry.subNs]), latest: entry.subNs })
    return
  }
  if (known.taken.has(entry.subNs) && known.latest + 1 < nanosecondsOfMs) entry.subNs = known.latest + 1
  known.taken.add(entry.subNs)
  known.latest = Math.max(known.latest, entry.subNs)
}
