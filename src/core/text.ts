/** Strings and bytes: UTF-8 both ways, and the bytewise order in which every format here sorts. */

const encoder = new TextEncoder()
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** A string from bytes; undefined where they are not UTF-8. Short ASCII (the usual label) takes a fast path. */
export function decodeUtf8(bytes: Uint8Array, from: number, to: number): string | undefined {
  if (to - from <= 24) {
    let text = ''
    let i = from
    for (; i < to; i++) {
      const byte = bytes[i]!
      if (byte >= 128) break
      text += String.fromCharCode(byte)
    }
    if (i === to) return text
  }
  try {
    return strictDecoder.decode(bytes.subarray(from, to))
  } catch {
    return undefined
  }
}

/** A string from bytes; what is no UTF-8 in them becomes U+FFFD. */
export function decodeUtf8Replacing(bytes: Uint8Array, from: number, to: number): string {
  return decodeUtf8(bytes, from, to) ?? Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8')
}

/**
 * A string from bytes; each byte that is no UTF-8 becomes a lone surrogate of its own, U+DC00 plus the byte: the
 * string is not well-formed then, and differs for different bytes.
 */
export function decodeUtf8Marking(bytes: Uint8Array, from: number, to: number): string {
  const whole = decodeUtf8(bytes, from, to)
  if (whole !== undefined) return whole
  let text = ''
  let at = from
  while (at < to) {
    let end = at
    while (end < to && bytes[end]! < 128) end++
    if (end === at) end = at + lengthOfSequence(bytes, at, to)
    text += end === at ? String.fromCharCode(0xdc00 + bytes[at]!) : decodeUtf8(bytes, at, end)!
    at = Math.max(end, at + 1)
  }
  return text
}

/** The bytes of the code point beyond ASCII that begins at `at`; 0 where none does. */
function lengthOfSequence(bytes: Uint8Array, at: number, to: number): number {
  const lead = bytes[at]!
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
  return at + length <= to && decodeUtf8(bytes, at, at + length) !== undefined ? length : 0
}

/**
 * One key for several texts: other texts, or as many others, have another key, whatever characters they hold. Each has
 * its length in front; a separator could be part of a text.
 */
export function keyOfTexts(texts: Iterable<string>): string {
  let key = ''
  for (const text of texts) key += `${text.length}:${text}`
  return key
}

/** Bytewise (UTF-8) order of two strings. UTF-16 order differs only where a surrogate meets U+E000-U+FFFF. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i),
      y = b.charCodeAt(i)
    if (x === y) continue
    const xSurrogate = x >= 0xd800 && x <= 0xdfff,
      ySurrogate = y >= 0xd800 && y <= 0xdfff
    if (xSurrogate !== ySurrogate) return xSurrogate ? 1 : -1
    return x - y
  }
  return a.length - b.length
}

/** Bytewise order of two byte ranges. */
export function compareBytes(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom)
  for (let i = 0; i < length; i++) {
    const difference = a[aFrom + i]! - b[bFrom + i]!
    if (difference !== 0) return difference
  }
  return aTo - aFrom - (bTo - bFrom)
}

/** A Go string literal with double quotes, as strconv.Quote writes it. */
export function quote(text: string): string {
  let out = '"'
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (char === '"' || char === '\\') out += `\\${char}`
    else if (char === '\n') out += '\\n'
    else if (char === '\r') out += '\\r'
    else if (char === '\t') out += '\\t'
    else if (code === 7) out += '\\a'
    else if (code === 8) out += '\\b'
    else if (code === 12) out += '\\f'
    else if (code === 11) out += '\\v'
    else if (code < 32 || code === 127) out += `\\x${code.toString(16).padStart(2, '0')}`
    else if (code >= 0xdc80 && code <= 0xdcff) out += `\\x${(code - 0xdc00).toString(16)}`
    else out += char
  }
  return `${out}"`
}

/** What Go's escapes of one letter stand for, by the character after the backslash; both kinds of quotes among them. */
export const goEscapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
  ["'", "'"],
])
