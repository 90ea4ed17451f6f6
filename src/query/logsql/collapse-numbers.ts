/** Numbers of a text as `<N>`. What counts as one: decimal digits, or hexadecimal ones in pairs, four at least. */

const tokenCharacter = /[\p{L}\p{Nd}_]/u
/** Letters that may stand directly in front of a number: `T12`, `0x`, `v1`. */
const mayPrecede = new Set(['T', 'X', 'x', 'v', 's', 'h', 'm'])
/** Letters that may stand directly behind one: units of time. */
const mayFollow = new Set(['T', 'Z', 's', 'm', 'h', 'μ', 'u', 'n'])
const runs = /[0-9a-fA-F]+/g

export function collapseNumbers(text: string): string {
  let out = ''
  let from = 0
  for (const match of text.matchAll(runs)) {
    const [run] = match
    const start = match.index
    const end = start + run.length
    if (!canFollow(text, start) || !canPrecede(text, end) || !isNumber(run)) continue
    out += `${text.slice(from, start)}<N>`
    from = end
  }
  return out + text.slice(from)
}

/** Of characters below 128: may they stand in front of a number, and behind one? */
const before128 = Uint8Array.from({ length: 128 }, (_, code) => (standsBeside(code, mayPrecede) ? 1 : 0))
const behind128 = Uint8Array.from({ length: 128 }, (_, code) => (standsBeside(code, mayFollow) ? 1 : 0))

function standsBeside(code: number, letters: ReadonlySet<string>): boolean {
  const character = String.fromCharCode(code)
  return letters.has(character) || !tokenCharacter.test(character)
}

function canFollow(text: string, start: number): boolean {
  if (start === 0) return true
  const code = text.charCodeAt(start - 1)
  if (code < 128) return before128[code] === 1
  const before = characterBefore(text, start)
  return mayPrecede.has(before) || !tokenCharacter.test(before)
}

function canPrecede(text: string, end: number): boolean {
  if (end === text.length) return true
  const code = text.charCodeAt(end)
  if (code < 128) return behind128[code] === 1
  const after = String.fromCodePoint(text.codePointAt(end)!)
  return mayFollow.has(after) || !tokenCharacter.test(after)
}

function characterBefore(text: string, at: number): string {
  const code = text.charCodeAt(at - 1)
  return code >= 0xdc00 && code <= 0xdfff && at > 1 ? text.slice(at - 2, at) : text[at - 1]!
}

function isNumber(run: string): boolean {
  return /^\d+$/.test(run) || (run.length >= 4 && run.length % 2 === 0)
}

/** What stands for itself in a collapsed text, in this order: the later ones are made of the earlier ones. */
const forms: readonly [RegExp, string][] = [
  [/<N>-<N>-<N>-<N>-<N>/g, '<UUID>'],
  [/<N>\.<N>\.<N>\.<N>/g, '<IP4>'],
  [/<N>:<N>:<N>(?:[.,]<N>)?/g, '<TIME>'],
  [/<N>-<N>-<N>/g, '<DATE>'],
  [/<N>\/<N>\/<N>/g, '<DATE>'],
  [/<DATE>T<TIME>(?:Z|[-+]<N>:<N>)?/g, '<DATETIME>'],
  [/<DATE> <TIME>(?:Z|[-+]<N>:<N>)?/g, '<DATETIME>'],
]

/** Addresses, times and identifiers of a text whose numbers are `<N>`. */
export function prettyNumbers(text: string): string {
  if (!text.includes('<N>')) return text
  return forms.reduce((changed, [form, name]) => changed.replaceAll(form, name), text)
}
