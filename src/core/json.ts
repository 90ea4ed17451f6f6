/**
 * JSON in which no number is changed: one that a double can't give back as it was written keeps its text. 2^53 + 1,
 * `1.50` and `1e400` come out of `JSON.stringify` as they came in.
 */

/** A number as it was written. `JSON.stringify` writes that text. */
export interface RawNumber {
  readonly rawJSON: string
}

/** What Node has of "JSON.parse source text access", which TypeScript's library does not name yet. */
interface SourceJson {
  parse: (text: string, revive: (key: string, value: unknown, context: { source?: string }) => unknown) => unknown
  rawJSON: (text: string) => RawNumber
  isRawJSON: (value: unknown) => boolean
}
const sourceJson = JSON as unknown as SourceJson

/** Digits that any double keeps, with a sign and a point. */
const safeLength = 15

/** What a text may hold. */
export interface JsonBounds {
  /** Lists and objects around a value. */
  depthMax: number
  /** Lists and objects; a comma counts a quarter. */
  partsMax: number
}

const unbounded: JsonBounds = { depthMax: Infinity, partsMax: Infinity }

/**
 * Whether a number may lose something: with 16 digits, a zero at the end of its fraction, an exponent, many zeros
 * behind the point, or a minus before a zero. Texts are passed over. Undefined where the text holds more than it may.
 */
function hasSuspicious(text: string, bounds: JsonBounds): boolean | undefined {
  const { depthMax, partsMax } = bounds
  let isSuspicious = false
  let depth = 0
  let containers = 0
  let commas = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfText(text, at)
    else if (code > nine) {
      if (code === openList || code === openObject) {
        containers++
        if (++depth > depthMax) return undefined
      } else if ((code === closeList || code === closeObject) && depth > 0) depth--
    } else if (code === comma) commas++
    else if ((code === minus || code >= zero) && !isSuspicious) {
      const end = endOfNumber(text, at)
      isSuspicious = end < 0
      if (end >= 0) at = end - 1
      else if (bounds === unbounded) return true
    }
  }
  return containers + commas / 4 > partsMax ? undefined : isSuspicious
}

/** The place behind the number that begins at `from`; -1 for a suspicious one. */
function endOfNumber(text: string, from: number): number {
  const first = text.charCodeAt(from)
  let hasPoint = false
  let last = first
  let at = from + 1
  for (; at < text.length; at++) {
    const next = text.charCodeAt(at)
    if (next === point) hasPoint = true
    // An exponent, or its sign.
    else if (next === 101 || next === 69) return -1
    else if (next < zero || next > nine) break
    last = next
  }
  if (at - from > safeLength || (last === zero && (hasPoint || (first === minus && at - from === 2)))) return -1
  return hasPoint && text.startsWith('0.000000', first === minus ? from + 1 : from) ? -1 : at
}

const quote = 34
const comma = 44
const minus = 45
const point = 46
const zero = 48
const nine = 57
const openList = 91
const backslash = 92
const closeList = 93
const openObject = 123
const closeObject = 125

/** The quote that ends the text which begins at `at`; the end of all where there is none. */
function endOfText(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let back = end - 1
    while (text.charCodeAt(back) === backslash) back--
    if ((end - back) % 2 === 1) return end
  }
  return text.length
}

function keepNumber(_key: string, value: unknown, { source }: { source?: string }): unknown {
  return typeof value === 'number' && source !== undefined && String(value) !== source
    ? sourceJson.rawJSON(source)
    : value
}

/** An escape of JSON: a backslash, a pair of surrogates, a surrogate alone, or another. */
const escapes = /\\(?:\\|u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|.)/g
const surrogateEscape = /\\u[dD][89a-fA-F]/

/** Half a pair of surrogates is no character: no UTF-8 has it. It becomes U+FFFD, as Go's programs read it. */
function withoutHalves(text: string): string {
  return text.replaceAll(escapes, escape => (escape.length === 6 && surrogateEscape.test(escape) ? '\\ufffd' : escape))
}

/**
 * Numbers that a double would change are `RawNumber`s; texts are well-formed, as those from UTF-8 are. Throws
 * SyntaxError.
 */
export function parseJson(source: string): unknown {
  return parseJsonWithin(source, unbounded)
}

/** The same; undefined where the text holds more than it may. */
export function parseJsonWithin(source: string, bounds: JsonBounds): unknown {
  const text = surrogateEscape.test(source) ? withoutHalves(source) : source
  const isSuspicious = hasSuspicious(text, bounds)
  if (isSuspicious === undefined) return undefined
  return isSuspicious ? sourceJson.parse(text, keepNumber) : JSON.parse(text)
}

export function isRawNumber(value: unknown): value is RawNumber {
  return sourceJson.isRawJSON(value)
}

/** A whole number of any length as JSON's number. */
export function rawNumber(value: bigint): RawNumber {
  return sourceJson.rawJSON(String(value))
}

/** A number as it was written; undefined for what is no number. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  return isRawNumber(value) ? value.rawJSON : undefined
}

/** The nearest double; NaN for what is no number. */
export function doubleOf(value: unknown): number {
  if (typeof value === 'number') return value
  return isRawNumber(value) ? Number(value.rawJSON) : NaN
}

/**
 * The whole part of a decimal number, digit for digit: of `12`, `-1.5`, `1.795e18`. Undefined for other texts, and
 * for numbers of more than `digitsMax` digits.
 */
export function wholeOf(text: string, digitsMax = 40): bigint | undefined {
  // Nearly all are digits alone.
  if (text.length <= digitsMax && /^-?\d+$/.test(text)) return BigInt(text)
  const match = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text)
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match
  const point = whole.length + Number(exponent)
  const digits = whole + fraction
  if (point <= 0 || /^0*$/.test(digits)) return 0n
  if (point > digitsMax) return undefined
  const value = BigInt(digits.slice(0, point).padEnd(point, '0'))
  return sign === '-' ? -value : value
}
