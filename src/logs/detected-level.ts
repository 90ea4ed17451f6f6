/**
 * The level that a line names, by Loki's rules: a field of that meaning in a JSON or logfmt line, else a level's
 * word somewhere in the text. Source: docs/logs.md.
 */

/** Field names that mean the level, in order of preference. */
export const levelNames = [
  'level',
  'LEVEL',
  'Level',
  'log.level',
  'severity',
  'SEVERITY',
  'Severity',
  'SeverityText',
  'lvl',
  'LVL',
  'Lvl',
  'severity_text',
  'Severity_Text',
  'SEVERITY_TEXT',
] as const
const rankOf = new Map<string, number>(levelNames.map((name, rank) => [name, rank]))
const rankOfLower = new Map<string, number>()
for (const [rank, name] of levelNames.entries())
  if (!rankOfLower.has(name.toLowerCase())) rankOfLower.set(name.toLowerCase(), rank)

const normal = new Map<string, string>([
  ['trace', 'trace'],
  ['trc', 'trace'],
  ['debug', 'debug'],
  ['dbg', 'debug'],
  ['info', 'info'],
  ['inf', 'info'],
  ['information', 'info'],
  ['warn', 'warn'],
  ['wrn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['err', 'error'],
  ['critical', 'critical'],
  ['fatal', 'fatal'],
])

/** The level that a word stands for, or undefined. */
export function knownLevel(word: string): string | undefined {
  return normal.get(word) ?? normal.get(word.toLowerCase())
}

/** OpenTelemetry's severity numbers. */
export function levelOfSeverityNumber(text: string): string {
  const number = Number(text)
  if (!Number.isInteger(number) || text.trim() === '') return 'info'
  if (number >= 1 && number <= 4) return 'trace'
  if (number >= 5 && number <= 8) return 'debug'
  if (number >= 9 && number <= 12) return 'info'
  if (number >= 13 && number <= 16) return 'warn'
  if (number >= 17 && number <= 20) return 'error'
  return number >= 21 && number <= 24 ? 'fatal' : 'unknown'
}

/** The level of the line bytes[from, to); 'unknown' when it names none. */
export function detectLevel(bytes: Uint8Array, from: number, to: number): string {
  let first = from
  let last = to
  while (first < last && bytes[first]! <= 32) first++
  while (last > first && bytes[last - 1]! <= 32) last--
  if (first === last) return 'unknown'
  const known =
    bytes[first] === 123 && bytes[last - 1] === 125 ? jsonLevel(bytes, first, last) : logfmtLevel(bytes, first, last)
  return known ?? wordLevel(bytes, from, to)
}

const isNamedLevel = (bytes: Uint8Array, at: number, end: number): boolean =>
  end - at === 5 &&
  bytes[at] === 108 &&
  bytes[at + 1] === 101 &&
  bytes[at + 2] === 118 &&
  bytes[at + 3] === 101 &&
  bytes[at + 4] === 108

/** The usual words by their first letter, so that most values are known without a string of their own. */
const spelled: (readonly (readonly [number[], string])[])[] = Array.from({ length: 128 }, () => [])
for (const [word, level] of normal) {
  const codes = [...word].map(c => c.charCodeAt(0))
  spelled[codes[0]!] = [...spelled[codes[0]!]!, [codes, level]]
}

/** As knownLevel, of text in bytes. */
function knownAt(bytes: Uint8Array, from: number, to: number): string | undefined {
  for (const [codes, level] of spelled[(bytes[from]! & 127) | 32]!) {
    if (codes.length !== to - from) continue
    let k = 0
    while (k < codes.length && (bytes[from + k]! | 32) === codes[k]) k++
    if (k === codes.length) return level
  }
  return undefined
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i]!)
  return text
}

/** A key can mean a level only when its length and first letter fit. */
function mayBeLevel(bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from
  if (length !== 3 && length !== 5 && length !== 8 && length !== 9 && length !== 12 && length !== 13) return false
  const letter = bytes[from]! | 32
  return letter === 108 || letter === 115
}

/** The level that the first string member of such a name has, at most two levels deep. */
function jsonLevel(bytes: Uint8Array, from: number, to: number): string | undefined {
  let depth = 0
  let at = from
  while (at < to) {
    const byte = bytes[at]!
    if (byte === 123 || byte === 91) {
      depth++
      at++
      continue
    }
    if (byte === 125 || byte === 93) {
      depth--
      at++
      continue
    }
    if (byte !== 34) {
      at++
      continue
    }
    const start = at + 1
    at = start
    while (at < to && bytes[at] !== 34) at += bytes[at] === 92 ? 2 : 1
    const end = at++
    let after = at
    while (after < to && bytes[after]! <= 32) after++
    if (bytes[after] !== 58) continue
    after++
    while (after < to && bytes[after]! <= 32) after++
    at = after
    if (
      depth > 2 ||
      bytes[after] !== 34 ||
      !mayBeLevel(bytes, start, end) ||
      !(isNamedLevel(bytes, start, end) || rankOf.has(latin1(bytes, start, end)))
    )
      continue
    let close = after + 1
    while (close < to && bytes[close] !== 34) close += bytes[close] === 92 ? 2 : 1
    return knownAt(bytes, after + 1, Math.min(close, to))
  }
  return undefined
}

/**
 * The level of the value of such a key in a line of key=value pairs; of several, the one whose name comes first in the
 * list.
 */
function logfmtLevel(bytes: Uint8Array, from: number, to: number): string | undefined {
  let best = Infinity
  let found: string | undefined
  let at = from
  while (at < to) {
    while (at < to && bytes[at]! <= 32) at++
    const start = at
    while (at < to && bytes[at]! > 32 && bytes[at] !== 61) at++
    if (at >= to || bytes[at] !== 61) continue
    const end = at++
    let valueFrom = at
    let valueTo: number
    if (bytes[at] === 34) {
      valueFrom = ++at
      while (at < to && bytes[at] !== 34) at += bytes[at] === 92 ? 2 : 1
      valueTo = Math.min(at, to)
      at++
    } else {
      while (at < to && bytes[at]! > 32) at++
      valueTo = at
    }
    if (!mayBeLevel(bytes, start, end)) continue
    const rank = isNamedLevel(bytes, start, end) ? 0 : rankOfLower.get(latin1(bytes, start, end).toLowerCase())
    if (rank === undefined || rank >= best) continue
    best = rank
    found = knownAt(bytes, valueFrom, valueTo)
    if (rank === 0) break
  }
  return found
}

/** Words that stand alone in the text, with what they mean, by their first letter. */
const words: readonly (readonly [text: string, level: string])[] = [
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['fatal', 'fatal'],
  ['critical', 'critical'],
  ['error', 'error'],
  ['err', 'error'],
  ['warning', 'warn'],
  ['warn', 'warn'],
  ['info', 'info'],
]
const byLetter: (readonly (readonly [number[], string])[] | undefined)[] = []
for (const [text, level] of words) {
  const letter = text.charCodeAt(0)
  byLetter[letter] = [...(byLetter[letter] ?? []), [[...text].map(c => c.charCodeAt(0)), level]]
}
const leftOf = new Uint8Array(256)
const rightOf = new Uint8Array(256)
for (const c of ' \t\n[({"=') leftOf[c.charCodeAt(0)] = rightOf[c.charCodeAt(0)] = 1
for (const c of '])}:,!') rightOf[c.charCodeAt(0)] = 1

function wordLevel(bytes: Uint8Array, from: number, to: number): string {
  for (let i = from; i < to; i++) {
    if (i > from && leftOf[bytes[i - 1]!] === 0) continue
    const candidates = byLetter[bytes[i]! | 32]
    if (candidates === undefined) continue
    for (const [codes, level] of candidates) {
      const end = i + codes.length
      if (end > to || (end < to && rightOf[bytes[end]!] === 0)) continue
      let k = 1
      while (k < codes.length && (bytes[i + k]! | 32) === codes[k]) k++
      if (k === codes.length) return level
    }
  }
  return 'unknown'
}
