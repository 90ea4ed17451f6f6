/** The known word that was probably meant: for messages about unknown keys, flags and commands. */

/** Insertions, deletions and replacements that make `b` of `a`. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let k = 1; k <= b.length; k++)
      next.push(Math.min(next[k - 1]! + 1, row[k]! + 1, row[k - 1]! + (a[i - 1] === b[k - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

/** The known word with the fewest edits, the first of several; undefined where none is known. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined
  let editsMin = Infinity
  for (const candidate of known) {
    const edits = editsBetween(word, candidate)
    if (edits < editsMin) {
      best = candidate
      editsMin = edits
    }
  }
  return best
}

/** The nearest known word, where it has at least half of its letters in common; undefined where none is so near. */
export function closeOf(word: string, known: readonly string[]): string | undefined {
  const nearest = nearestOf(word, known)
  if (nearest === undefined) return undefined
  return editsBetween(word, nearest) <= Math.max(word.length, nearest.length) / 2 ? nearest : undefined
}
