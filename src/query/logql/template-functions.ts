/** The functions that Loki's templates have beside Go's own. Source: docs/logs.md. */
import { decodeUtf8Marking, quote } from '#core/text.ts'
import { escapeQuery } from '#lang/gotemplate/builtins.ts'
import { parseGoTime } from '#lang/gotemplate/go-time.ts'
import { formatGoFloat } from '#lang/gotemplate/go-float.ts'
import { GoTime } from '#lang/gotemplate/go-time-value.ts'
import { typed, variadic } from '#lang/gotemplate/signature.ts'
import { GoInt, isTrue, refuseLong, type GoFunction, type GoValue } from '#lang/gotemplate/values.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { expandReplacement, findNext, replaceMatches } from '#lang/regex/replace.ts'
import { toBytes, toDurationSeconds, toFloat } from './conversions.ts'
import type { Entry } from './entry.ts'

/** What a float beyond the range of an int64 becomes. */
const int64Min = -(2n ** 63n)
const int64Max = 2n ** 63n - 1n

/** Any value as a whole number; texts may have a base and a fraction, which is left out. */
function int(value: GoValue): bigint {
  if (value instanceof GoInt) return value.value
  if (typeof value === 'number') return Math.abs(value) < 2 ** 63 ? BigInt(Math.trunc(value)) : int64Min
  if (typeof value === 'boolean') return value ? 1n : 0n
  return typeof value === 'string' ? parseInt64(value) : 0n
}

function parseInt64(text: string): bigint {
  const whole = /^([-+]?\d*)\.\d*$/.exec(text)?.[1] ?? text
  const [, sign = '', digits = ''] = /^([-+]?)(.*)$/s.exec(whole)!
  if (!/^(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/.test(digits)) return 0n
  const plain = digits.replaceAll('_', '').replace(/^0(?=\d)/, '0o')
  const value = sign === '-' ? -BigInt(plain) : BigInt(plain)
  return value < int64Min || value > int64Max ? 0n : value
}

function float(value: GoValue): number {
  if (value instanceof GoInt) return value.number
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  const number = typeof value === 'string' ? toFloat(value) : 0
  return typeof number === 'number' ? number : 0
}

/** Letter by letter, as in Go: one that would become several stays. */
function byLetter(value: string, change: (letter: string) => string): string {
  const whole = change(value)
  // eslint-disable-next-line no-control-regex
  if (/^[\0-\x7f]*$/.test(value)) return whole
  let out = ''
  for (const letter of value) {
    const changed = change(letter)
    out += changed.length === letter.length ? changed : letter
  }
  return out
}

function wrap(value: bigint): GoInt {
  return new GoInt(value, 'int64')
}
function nonZero(value: bigint): bigint {
  if (value === 0n) throw new Error('runtime error: integer divide by zero')
  return value
}

/** A decimal number: `digits` divided by ten to the power of `places`. */
interface Decimal {
  digits: bigint
  places: number
}
/** Places behind the point of a quotient. */
const quotientPlaces = 16
/** Digits that a product may have: one of floats has some hundred each. */
const decimalDigitsMax = 10_000

function decimalOf(value: number): Decimal {
  if (!Number.isFinite(value)) throw new Error(`Cannot create a Decimal from ${formatGoFloat(value)}`)
  const [mantissa, exponent = '0'] = String(value).split('e') as [string, string?]
  const [whole, part = ''] = mantissa.split('.') as [string, string?]
  const places = part.length - Number(exponent)
  const digits = BigInt(whole + part)
  return places < 0 ? { digits: digits * 10n ** BigInt(-places), places: 0 } : { digits, places }
}

function scaledTo({ digits, places }: Decimal, to: number): bigint {
  return digits * 10n ** BigInt(to - places)
}

const addDecimals =
  (sign: bigint) =>
  (a: Decimal, b: Decimal): Decimal => {
    const places = Math.max(a.places, b.places)
    return { digits: scaledTo(a, places) + sign * scaledTo(b, places), places }
  }

function multiplyDecimals(a: Decimal, b: Decimal): Decimal {
  const digits = a.digits * b.digits
  if (a.places + b.places > decimalDigitsMax || BigInt.asIntN(4 * decimalDigitsMax, digits) !== digits)
    throw new Error(`the product has more than ${decimalDigitsMax} digits, which is the limit`)
  return { digits, places: a.places + b.places }
}

/** Rounds half away from zero. */
function divideDecimals(a: Decimal, b: Decimal): Decimal {
  if (b.digits === 0n) throw new Error('decimal division by 0')
  const shift = quotientPlaces - a.places + b.places
  const over = a.digits * 10n ** BigInt(Math.max(0, shift))
  const under = b.digits * 10n ** BigInt(Math.max(0, -shift))
  const isNegative = over < 0n !== under < 0n
  const [x, y] = [over < 0n ? -over : over, under < 0n ? -under : under]
  const quotient = (2n * x + y) / (2n * y)
  return { digits: isNegative ? -quotient : quotient, places: quotientPlaces }
}

/** Decimal arithmetic on what floats print as, so that 0.1 + 0.2 is 0.3. */
function decimal(values: readonly GoValue[], combine: (a: Decimal, b: Decimal) => Decimal): number {
  const { digits, places } = values.map(value => decimalOf(float(value))).reduce(combine)
  return Number(`${digits}e-${places}`)
}

function title(value: string): string {
  let out = ''
  let isStart = true
  for (const char of value) {
    out += isStart ? byLetter(char, c => c.toUpperCase()) : char
    // Beyond ASCII only white space ends a word.
    isStart = char <= '\x7f' ? !/[A-Za-z0-9_]/.test(char) : /\p{White_Space}/u.test(char)
  }
  return out
}

/** Without the white space around it, which is Unicode's. */
function trimSpace(value: string): string {
  return value.replace(/^\p{White_Space}+/u, '').replace(/\p{White_Space}+$/u, '')
}

function trimSet(value: string, cut: string, left: boolean, right: boolean): string {
  const chars = [...value]
  const set = new Set(cut)
  let from = 0
  let to = chars.length
  if (left) while (from < to && set.has(chars[from]!)) from++
  if (right) while (to > from && set.has(chars[to - 1]!)) to--
  return chars.slice(from, to).join('')
}

function align(width: number, value: string, isLeft: boolean): string {
  const chars = [...value]
  if (width < 0 || chars.length === width) return chars.join('')
  refuseLong(width)
  if (isLeft)
    return chars.length > width ? chars.slice(0, width).join('') : chars.join('') + ' '.repeat(width - chars.length)
  return chars.length > width
    ? chars.slice(chars.length - width).join('')
    : ' '.repeat(width - chars.length) + chars.join('')
}

/** Some bytes of a text, as a text: of a character that is cut each byte becomes U+FFFD. */
function textOf(bytes: Uint8Array): string {
  return decodeUtf8Marking(bytes, 0, bytes.length).toWellFormed()
}

/** The first n occurrences, or all for a negative n. An empty text stands before each character and at the end. */
function replaceCount(value: string, old: string, fresh: string, n: number): string {
  if (n === 0 || (old === fresh && old !== '')) return value
  if (old === '') return replaceEmpty(value, fresh, n)
  const parts: string[] = []
  let from = 0
  let length = value.length
  for (let i = 0; n < 0 || i < n; i++) {
    const at = value.indexOf(old, from)
    if (at < 0) break
    refuseLong((length += fresh.length - old.length))
    parts.push(value.slice(from, at))
    from = at + old.length
  }
  parts.push(value.slice(from))
  return parts.join(fresh)
}

function replaceEmpty(value: string, fresh: string, n: number): string {
  const chars = [...value]
  const places = n < 0 ? chars.length + 1 : Math.min(n, chars.length + 1)
  refuseLong(value.length + places * fresh.length)
  let out = ''
  chars.forEach((char, i) => {
    out += i < places ? fresh + char : char
  })
  return places > chars.length ? out + fresh : out
}

const regexes = new Map<string, ReturnType<typeof compileRe2>>()
function regex(source: string): ReturnType<typeof compileRe2> {
  let compiled = regexes.get(source)
  if (compiled === undefined) {
    if (regexes.size > 1000) regexes.clear()
    regexes.set(source, (compiled = compileRe2(source)))
  }
  return compiled
}

function fromJson(source: string): GoValue {
  const convert = (value: unknown): GoValue => {
    if (Array.isArray(value)) return value.map(convert)
    if (typeof value === 'object' && value !== null)
      return new Map(Object.entries(value).map(([k, v]) => [k, convert(v)]))
    return value as string | number | boolean | null
  }
  try {
    return convert(JSON.parse(source))
  } catch {
    return null
  }
}

function unixToTime(value: string): GoTime {
  if (!/^-?\d+$/.test(value))
    throw new Error(
      `unable to parse time '${value}': strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`,
    )
  switch (value.length) {
    case 5:
      return new GoTime(Number(value) * 86_400_000, 0)
    case 10:
      return new GoTime(Number(value) * 1000, 0)
    case 13:
      return new GoTime(Number(value), 0)
    case 16:
      return new GoTime(Math.floor(Number(value) / 1000), (Number(value) % 1000) * 1000)
    case 19:
      return new GoTime(Number(value.slice(0, -6)), Number(value.slice(-6)))
    default:
      throw new Error(`unable to parse time '${value}': %!w(<nil>)`)
  }
}

const zeroTimeMs = -62_135_596_800_000

/** The text behind base64, or the problem in words. */
function decode64(source: string): string {
  const bytes = Buffer.from(source)
  const bad = badBase64(bytes)
  return bad < 0 ? textOf(Buffer.from(source, 'base64')) : `illegal base64 data at input byte ${bad}`
}

const isBreak = (byte: number | undefined): boolean => byte === 10 || byte === 13

/** The first byte that base64 can't have; -1 when there is none. Groups are of four characters. */
function badBase64(bytes: Uint8Array): number {
  let at = 0
  const skipBreaks = (): void => {
    while (isBreak(bytes[at])) at++
  }
  for (;;) {
    for (let i = 0; i < 4; i++) {
      skipBreaks()
      const byte = bytes[at]
      if (byte === undefined) return i === 0 ? -1 : at - i
      at++
      if (/[A-Za-z0-9+/]/.test(String.fromCharCode(byte))) continue
      if (byte !== 61 || i < 2) return at - 1
      if (i === 2) {
        skipBreaks()
        if (bytes[at] === undefined) return bytes.length
        if (bytes[at] !== 61) return at
        at++
      }
      skipBreaks()
      return bytes[at] === undefined ? -1 : at
    }
  }
}

function unescapeUrl(source: string): string {
  const bad = /%(?![0-9a-fA-F]{2})/.exec(source)
  if (bad !== null) throw new Error(`invalid URL escape ${quote(source.slice(bad.index, bad.index + 3))}`)
  const plain = source.replaceAll('+', ' ')
  try {
    return decodeURIComponent(plain)
  } catch {
    // Not all of it is UTF-8.
    const parts = plain.split(/(%[0-9a-fA-F]{2})/)
    return textOf(
      Buffer.concat(
        parts.map((part, i) => (i % 2 === 1 ? Buffer.of(Number.parseInt(part.slice(1), 16)) : Buffer.from(part))),
      ),
    )
  }
}

/** Rounds up from a fraction of `roundOn` on, towards positive infinity. */
function roundTo(value: number, places: number, roundOn = 0.5): number {
  const power = 10 ** places
  const digit = power * value
  return (digit - Math.trunc(digit) >= roundOn ? Math.ceil(digit) : Math.floor(digit)) / power
}

function withoutPrefix(value: string, prefix: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length) : value
}

function withoutSuffix(value: string, suffix: string): string {
  return suffix !== '' && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value
}

function repeated(times: number, value: string): string {
  if (times < 0) throw new Error('strings: negative Repeat count')
  refuseLong(times * value.length)
  return value.repeat(times)
}

function indented(width: number, value: string): string {
  const spaces = repeated(width, ' ')
  let lines = 1
  for (let at = value.indexOf('\n'); at >= 0; at = value.indexOf('\n', at + 1)) lines++
  refuseLong(value.length + lines * width)
  return spaces + value.replaceAll('\n', `\n${spaces}`)
}

/** The first bytes of a text, for a negative count the last ones. */
function truncate(bytes: number, value: string): string {
  const all = Buffer.from(value)
  if (bytes < 0) return all.length + bytes > 0 ? textOf(all.subarray(all.length + bytes)) : value
  return bytes < all.length ? textOf(all.subarray(0, bytes)) : value
}

/** Bytes [from, to): what Go's slice expression gives. */
function sliced(bytes: Uint8Array, from: number, to: number): string {
  if (to < 0) throw new Error(`runtime error: slice bounds out of range [:${to}]`)
  if (to > bytes.length)
    throw new Error(`runtime error: slice bounds out of range [:${to}] with length ${bytes.length}`)
  if (from > to) throw new Error(`runtime error: slice bounds out of range [${from}:${to}]`)
  return textOf(bytes.subarray(from, to))
}

/** Bytes [from, to); a negative end, or one beyond the text, means the end of the text. */
function substring(from: number, to: number, value: string): string {
  const bytes = Buffer.from(value)
  if (from < 0) return sliced(bytes, 0, to)
  if (to >= 0 && to <= bytes.length) return sliced(bytes, from, to)
  if (from > bytes.length) throw new Error(`runtime error: slice bounds out of range [${from}:${bytes.length}]`)
  return sliced(bytes, from, bytes.length)
}

function countMatches(source: string, value: string): GoInt {
  const matcher = regex(source).matcher(value)
  let n = 0
  for (let lastEnd = -1; findNext(matcher, lastEnd); lastEnd = matcher.end()) n++
  return new GoInt(n)
}

function numberOrThrow(converted: number | { error: string }): number {
  if (typeof converted !== 'number') throw new Error(converted.error)
  return converted
}

/** Go's zero time for a text that does not have the layout. */
function toDate(layout: string, value: string, zone: string): GoTime {
  const makeTime = (ms: number, subNs: number, minutes: number, name: string): GoTime =>
    new GoTime(ms, subNs, minutes, name)
  return parseGoTime(layout, value, zone, makeTime) ?? new GoTime(zeroTimeMs, 0)
}

/** Seconds since 1970 or a time; for anything else the moment. */
function dateOf(layout: string, value: GoValue, nowMs: () => number): string {
  if (value instanceof GoTime) return value.format(layout)
  return new GoTime(value instanceof GoInt ? value.number * 1000 : nowMs(), 0).format(layout)
}

const any = 'interface {}'
const string = 'string'
const time = 'time.Time'

const ofText = (run: (text: string) => GoValue): GoFunction => typed([string], run)
const ofTexts = (run: (first: string, second: string) => GoValue): GoFunction => typed([string, string], run)
const sized = (run: (size: number, text: string) => GoValue): GoFunction =>
  typed(['int', string], (size, text) => run(size.number, text))
const ofInts = (run: (a: bigint, b: bigint) => bigint): GoFunction =>
  typed([any, any], (a, b) => wrap(run(int(a), int(b))))
const foldInts = (run: (a: bigint, b: bigint) => bigint): GoFunction =>
  variadic([any], any, (first, ...rest) => wrap(rest.reduce((a: bigint, b) => run(a, int(b)), int(first))))
const ofFloat = (run: (value: number) => number): GoFunction => typed([any], value => run(float(value)))
const foldFloats = (run: (a: number, b: number) => number): GoFunction =>
  variadic([any], any, (first, ...rest) => rest.reduce((a: number, b) => run(a, float(b)), float(first)))
const foldDecimals = (combine: Parameters<typeof decimal>[1]): GoFunction =>
  variadic([any], any, (...values) => decimal(values, combine))

const lower = ofText(text => byLetter(text, c => c.toLowerCase()))
const upper = ofText(text => byLetter(text, c => c.toUpperCase()))
const trim = ofText(trimSpace)
const seconds = ofText(text => numberOrThrow(toDurationSeconds(text)))

const textFunctions: Readonly<Record<string, GoFunction>> = {
  lower,
  ToLower: lower,
  upper,
  ToUpper: upper,
  title: ofText(title),
  trim,
  TrimSpace: trim,
  Trim: ofTexts((text, cut) => trimSet(text, cut, true, true)),
  trimAll: ofTexts((cut, text) => trimSet(text, cut, true, true)),
  TrimLeft: ofTexts((text, cut) => trimSet(text, cut, true, false)),
  TrimRight: ofTexts((text, cut) => trimSet(text, cut, false, true)),
  trimPrefix: ofTexts((prefix, text) => withoutPrefix(text, prefix)),
  TrimPrefix: ofTexts(withoutPrefix),
  trimSuffix: ofTexts((suffix, text) => withoutSuffix(text, suffix)),
  TrimSuffix: ofTexts(withoutSuffix),
  replace: typed([string, string, string], (old, fresh, text) => replaceCount(text, old, fresh, -1)),
  Replace: typed([string, string, string, 'int'], (text, old, fresh, n) => replaceCount(text, old, fresh, n.number)),
  contains: ofTexts((part, text) => text.includes(part)),
  hasPrefix: ofTexts((prefix, text) => text.startsWith(prefix)),
  hasSuffix: ofTexts((suffix, text) => text.endsWith(suffix)),
  indent: sized(indented),
  nindent: sized((width, text) => `\n${indented(width, text)}`),
  repeat: sized(repeated),
  count: ofTexts(countMatches),
  b64enc: ofText(text => Buffer.from(text).toString('base64')),
  b64dec: ofText(decode64),
  urlencode: ofText(escapeQuery),
  urldecode: ofText(unescapeUrl),
  regexReplaceAll: typed([string, string, string], (source, text, replacement) =>
    replaceMatches(regex(source), text, matched => expandReplacement(replacement, matched, refuseLong), refuseLong),
  ),
  regexReplaceAllLiteral: typed([string, string, string], (source, text, replacement) =>
    replaceMatches(regex(source), text, () => replacement, refuseLong),
  ),
  trunc: sized(truncate),
  substr: typed(['int', 'int', string], (from, to, text) => substring(from.number, to.number, text)),
  alignLeft: sized((width, text) => align(width, text, true)),
  alignRight: sized((width, text) => align(width, text, false)),
  bytes: ofText(text => numberOrThrow(toBytes(text))),
  duration: seconds,
  duration_seconds: seconds,
  fromJson: ofText(fromJson),
}

const valueFunctions: Readonly<Record<string, GoFunction>> = {
  default: variadic([any], any, (fallback, ...values) =>
    values.length === 0 || !isTrue(values[0]!) ? fallback : values[0]!,
  ),
  int: typed([any], value => new GoInt(int(value))),
  float64: ofFloat(value => value),
  add: variadic([], any, (...values) => wrap(values.reduce((sum: bigint, value) => sum + int(value), 0n))),
  sub: ofInts((a, b) => a - b),
  mul: foldInts((a, b) => a * b),
  div: ofInts((a, b) => a / nonZero(b)),
  mod: ofInts((a, b) => a % nonZero(b)),
  max: foldInts((a, b) => (b > a ? b : a)),
  min: foldInts((a, b) => (b < a ? b : a)),
  addf: variadic([], any, (...values) => decimal([0, ...values], addDecimals(1n))),
  subf: foldDecimals(addDecimals(-1n)),
  mulf: foldDecimals(multiplyDecimals),
  divf: foldDecimals(divideDecimals),
  maxf: foldFloats(Math.max),
  minf: foldFloats(Math.min),
  ceil: ofFloat(Math.ceil),
  floor: ofFloat(Math.floor),
  round: variadic([any, 'int'], 'float64', (value, places, roundOn) => roundTo(float(value), places.number, roundOn)),
}

const timeFunctions: Readonly<Record<string, GoFunction>> = {
  toDate: ofTexts((layout, text) => toDate(layout, text, 'UTC')),
  toDateInZone: typed([string, string, string], (layout, zone, text) => toDate(layout, text, zone)),
  unixEpoch: typed([time], t => String(Math.floor(t.ms / 1000))),
  unixEpochMillis: typed([time], t => String(t.ms)),
  unixEpochNanos: typed([time], t => String(BigInt(t.ms) * 1_000_000n + BigInt(t.subNs))),
  unixToTime: ofText(unixToTime),
}

const pureFunctions = Object.entries({ ...textFunctions, ...valueFunctions, ...timeFunctions })

/** The functions of one query, over its entry, which the caller sets before each line. */
export function templateFunctions(entry: Entry, nowMs: () => number): ReadonlyMap<string, GoFunction> {
  const functions = new Map<string, GoFunction>(pureFunctions)
  functions.set(
    '__line__',
    typed([], () => entry.line),
  )
  functions.set(
    '__timestamp__',
    typed([], () => new GoTime(entry.ms, entry.subNs)),
  )
  functions.set(
    'now',
    typed([], () => new GoTime(nowMs(), 0)),
  )
  functions.set(
    'date',
    typed([string, any], (layout, value) => dateOf(layout, value, nowMs)),
  )
  return functions
}
