/** Pairs of a logfmt text as LogsQL reads them: parted by single spaces, quoted as Go quotes. */
import { readQuoted } from '#lang/logsql/quotes.ts'

/** Names by their place in the text before: lines of one program have the same ones in the same order. */
const lastNames: string[] = []
const lastNamesMax = 200

export function readLogfmtPairs(text: string, onPair: (name: string, value: string) => void): void {
  let at = 0
  for (let number = 0; ; number++) {
    const expected = lastNames[number]
    const isExpected =
      expected !== undefined && text.startsWith(expected, at) && text.charCodeAt(at + expected.length) === 61
    const end = isExpected ? at + expected.length : endOfName(text, at)
    const name = isExpected ? expected : text.slice(at, end)
    if (!isExpected && number < lastNamesMax) lastNames[number] = name
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
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 61 || code === 32) break
  }
  return at
}
