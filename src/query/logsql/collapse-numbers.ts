/** Numbers of a text as `<N>`. What counts as one: decimal digits, or hexadecimal ones in pairs, four at least. */

const tokenCharacter = /[\p{L}\p{Nd}_]/u
/** Letters that may stand directly in front of a number: `T12`, `0x`, `v1`. */
const mayPrecede = new Set(['T', 'X', 'x', 'v', 's', 'h', 'm'])
/** Letters that may stand directly behind one: units of time. */
const mayFollow = new Set(['T', 'Z', 's', 'm', 'h', 'μ', 'u', 'n'])

const isLetter = 1
const isDigit = 2
/** Of characters below 128: letters and digits of hexadecimal numbers. */
const hexadecimal = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  return /\d/.test(character) ? isDigit : /[a-f]/i.test(character) ? isLetter : 0
})

export function collapseNumbers(text: string): string {
  let out = ''
  let from = 0
  for (let start = 0; start < text.length; start++) {
    if (kindAt(text, start) === 0) continue
    let end = start
    let kinds = 0
    for (let kind; (kind = kindAt(text, end)) !== 0; end++) kinds |= kind
    if (isNumber(end - start, kinds) && canFollow(text, start) && canPrecede(text, end)) {
      out += `${text.slice(from, start)}<N>`
      from = end
    }
    start = end
  }
  return from === 0 ? text : out + text.slice(from)
}

function kindAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code < 128 ? hexadecimal[code]! : 0
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

function isNumber(length: number, kinds: number): boolean {
  return kinds === isDigit || (length >= 4 && length % 2 === 0)
}

/**
 * What stands for itself in a collapsed text, in this order: the later ones are made of the earlier ones. Each with a
 * part of it, which is looked for first.
 */
const forms: readonly [part: string, RegExp, string][] = [
  ['<N>-<N>-<N>-<N>-', /<N>-<N>-<N>-<N>-<N>/g, '<UUID>'],
  ['<N>.<N>.<N>.', /<N>\.<N>\.<N>\.<N>/g, '<IP4>'],
  ['<N>:<N>:', /<N>:<N>:<N>(?:[.,]<N>)?/g, '<TIME>'],
  ['<N>-<N>-', /<N>-<N>-<N>/g, '<DATE>'],
  ['<N>/<N>/', /<N>\/<N>\/<N>/g, '<DATE>'],
  ['<DATE>T', /<DATE>T<TIME>(?:Z|[-+]<N>:<N>)?/g, '<DATETIME>'],
  ['<DATE> ', /<DATE> <TIME>(?:Z|[-+]<N>:<N>)?/g, '<DATETIME>'],
]

/** Addresses, times and identifiers of a text whose numbers are `<N>`. */
export function prettyNumbers(text: string): string {
  if (!text.includes('<N>')) return text
  return forms.reduce(
    (changed, [part, form, name]) => (changed.includes(part) ? changed.replaceAll(form, name) : changed),
    text,
  )
}
