/** Pairs of a logfmt text as LogsQL reads them: parted by single spaces, quoted as Go quotes. */
import { readQuoted } from '#lang/logsql/quotes.ts'

export function readLogfmtPairs(text: string, onPair: (name: string, value: string) => void): void {
  let at = 0
  for (;;) {
    const end = endOfName(text, at)
    const name = text.slice(at, end)
    if (text[end] !== '=') {
      onPair(name, '')
      if (end >= text.length) return
      at = end + 1
      continue
    }
    at = end + 1
    const quoted = text[at] === '"' || text[at] === '`' ? readQuoted(text, at) : undefined
    const space = quoted?.end ?? text.indexOf(' ', at)
    onPair(name, quoted?.text ?? text.slice(at, space < 0 ? undefined : space))
    // A quoted value that something else than a space follows ends the text.
    if (space < 0 || text[space] !== ' ') return
    at = space + 1
  }
}

function endOfName(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== '=' && text[at] !== ' ') at++
  return at
}
