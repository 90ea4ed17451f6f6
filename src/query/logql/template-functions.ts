/** The functions that Loki's templates have beside Go's own. Source: docs/logs.md. */
import { GoInt, isTrue, refuseLong, typeName, type GoFunction, type GoValue } from '#lang/gotemplate/execute.ts'
import { compileRe2 } from '#lang/regex/regex.ts'
import { expandReplacement, findNext, replaceMatches } from '#lang/regex/replace.ts'
import { parseGoTime } from '#lang/gotemplate/go-time.ts'
import { GoTime } from '#lang/gotemplate/go-time-value.ts'
import { toBytes, toDurationSeconds, toFloat } from './conversions.ts'
import type { Entry } from './entry.ts'

/** An argument of a function; undefined where the template gives fewer than the function has. */
type Argument = GoValue | undefined

function wrongType(expected: string, value: Argument): Error {
  const found = value === undefined ? 'interface {}' : typeName(value)
  return new Error(`wrong type for value; expected ${expected}; got ${found}`)
}

function text(value: Argument): string {
  if (typeof value === 'string') return value
  if (value === null || (typeof value === 'object' && 'toGoString' in value && !(value instanceof GoTime))) return ''
  throw wrongType('string', value)
}

function int(value: Argument): bigint {
  if (value instanceof GoInt) return value.value
  if (typeof value === 'number') return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n
  if (typeof value === 'boolean') return value ? 1n : 0n
  if (typeof value !== 'string') return 0n
  const number = toFloat(value.trim())
  return typeof number === 'number' && Number.isFinite(number)
    ? /^[+-]?\d+$/.test(value.trim())
      ? BigInt(value.trim())
      : BigInt(Math.trunc(number))
    : 0n
}

function float(value: Argument): number {
  if (value instanceof GoInt) return Number(value.value)
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  const number = typeof value === 'string' ? toFloat(value.trim()) : 0
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
  return new GoInt(value)
}
function count(value: Argument): number {
  return Number(int(value))
}
function nonZero(value: bigint): bigint {
  if (value === 0n) throw new Error('runtime error: integer divide by zero')
  return value
}

/** Decimal arithmetic on what floats print as, so that 0.1 + 0.2 is 0.3. */
function decimal(values: readonly GoValue[], combine: (a: bigint, b: bigint, scale: bigint) => bigint): number {
  const numbers = values.map(float)
  if (numbers.some(n => !Number.isFinite(n))) return NaN
  const scale = 10n ** 20n
  const toBig = (n: number): bigint => {
    const [mantissa, exponent = '0'] = String(n).split('e') as [string, string?]
    const [whole, part = ''] = mantissa.replace('-', '').split('.') as [string, string?]
    const power = Number(exponent) - part.length + 20
    const digits = BigInt(whole + part)
    const value = power >= 0 ? digits * 10n ** BigInt(power) : digits / 10n ** BigInt(-power)
    return mantissa.startsWith('-') ? -value : value
  }
  const result = numbers.map(toBig).reduce((a, b) => combine(a, b, scale))
  const sign = result < 0n ? '-' : ''
  const digits = (result < 0n ? -result : result).toString().padStart(21, '0')
  return Number(`${sign}${digits.slice(0, -20)}.${digits.slice(-20)}`)
}

const multiply = (a: bigint, b: bigint, scale: bigint): bigint => (a * b) / scale
const divide = (a: bigint, b: bigint, scale: bigint): bigint => {
  if (b === 0n) throw new Error('decimal division by 0')
  return (a * scale) / b
}

function title(value: string): string {
  let out = ''
  let isStart = true
  for (const char of value) {
    out += isStart ? char.toUpperCase() : char
    isStart = !/[\p{L}\p{Nd}_]/u.test(char)
  }
  return out
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

function align(n: Argument, value: Argument, isLeft: boolean): string {
  const chars = [...text(value)]
  const width = count(n)
  if (width < 0 || chars.length === width) return chars.join('')
  refuseLong(width)
  if (isLeft)
    return chars.length > width ? chars.slice(0, width).join('') : chars.join('') + ' '.repeat(width - chars.length)
  return chars.length > width
    ? chars.slice(chars.length - width).join('')
    : ' '.repeat(width - chars.length) + chars.join('')
}

function bytesBetween(value: string, from: number, to: number): string {
  return Buffer.from(value).subarray(Math.max(0, from), Math.max(0, to)).toString('utf8')
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
function regex(source: Argument): ReturnType<typeof compileRe2> {
  const key = text(source)
  let compiled = regexes.get(key)
  if (compiled === undefined) {
    if (regexes.size > 1000) regexes.clear()
    regexes.set(key, (compiled = compileRe2(key)))
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

function epochTime(value: Argument): GoTime {
  if (!(value instanceof GoTime)) throw wrongType('time.Time', value)
  return value
}

const zeroTimeMs = -62_135_596_800_000

function decode64(source: string): string {
  const body = source.replaceAll(/[\r\n]/g, '')
  const bad = /[^A-Za-z0-9+/=]/.exec(body)
  if (bad !== null) return `illegal base64 data at input byte ${bad.index}`
  return Buffer.from(body, 'base64').toString('utf8')
}

function unescapeUrl(source: string): string {
  try {
    return decodeURIComponent(source.replaceAll('+', ' '))
  } catch {
    const bad = /%(?![0-9a-fA-F]{2}).{0,2}/.exec(source)
    throw new Error(`invalid URL escape ${JSON.stringify(bad?.[0] ?? source)}`)
  }
}

function roundTo(value: number, places: number): number {
  const factor = 10 ** places
  const scaled = Number((Math.abs(value) * factor).toPrecision(15))
  return ((value < 0 ? -1 : 1) * Math.floor(scaled + 0.5)) / factor
}

function withoutPrefix(value: string, prefix: string): string {
  return value.startsWith(prefix) ? value.slice(prefix.length) : value
}

function withoutSuffix(value: string, suffix: string): string {
  return suffix !== '' && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value
}

function indented(width: number, value: string): string {
  let lines = 1
  for (let at = value.indexOf('\n'); at >= 0; at = value.indexOf('\n', at + 1)) lines++
  refuseLong(value.length + lines * Math.max(0, width))
  const spaces = ' '.repeat(Math.max(0, width))
  return spaces + value.replaceAll('\n', `\n${spaces}`)
}

/** The first bytes of a text, for a negative count the last ones. */
function truncate(bytes: number, value: string): string {
  const size = Buffer.byteLength(value)
  if (bytes < 0) return size + bytes > 0 ? bytesBetween(value, size + bytes, size) : value
  return bytes < size ? bytesBetween(value, 0, bytes) : value
}

/** Bytes [from, to); a negative end, or one beyond the text, means the end of the text. */
function substring(from: number, to: number, value: string): string {
  if (from < 0) return bytesBetween(value, 0, to)
  const size = Buffer.byteLength(value)
  return bytesBetween(value, from, to < 0 || to > size ? size : to)
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

const pureFunctions: Readonly<Record<string, GoFunction>> = {
  lower: s => byLetter(text(s), c => c.toLowerCase()),
  ToLower: s => byLetter(text(s), c => c.toLowerCase()),
  upper: s => byLetter(text(s), c => c.toUpperCase()),
  ToUpper: s => byLetter(text(s), c => c.toUpperCase()),
  title: s => title(text(s)),
  trim: s => text(s).trim(),
  TrimSpace: s => text(s).trim(),
  Trim: (s, cut) => trimSet(text(s), text(cut), true, true),
  trimAll: (cut, s) => trimSet(text(s), text(cut), true, true),
  TrimLeft: (s, cut) => trimSet(text(s), text(cut), true, false),
  TrimRight: (s, cut) => trimSet(text(s), text(cut), false, true),
  trimPrefix: (p, s) => withoutPrefix(text(s), text(p)),
  TrimPrefix: (s, p) => withoutPrefix(text(s), text(p)),
  trimSuffix: (p, s) => withoutSuffix(text(s), text(p)),
  TrimSuffix: (s, p) => withoutSuffix(text(s), text(p)),
  replace: (old, fresh, s) => replaceCount(text(s), text(old), text(fresh), -1),
  Replace: (s, old, fresh, n) => replaceCount(text(s), text(old), text(fresh), count(n)),
  contains: (sub, s) => text(s).includes(text(sub)),
  hasPrefix: (p, s) => text(s).startsWith(text(p)),
  hasSuffix: (p, s) => text(s).endsWith(text(p)),
  indent: (n, s) => indented(count(n), text(s)),
  nindent: (n, s) => `\n${indented(count(n), text(s))}`,
  repeat: (n, s) => {
    if (count(n) < 0) throw new Error('strings: negative Repeat count')
    refuseLong(count(n) * text(s).length)
    return text(s).repeat(count(n))
  },
  count: (source, s) => {
    const matcher = regex(source).matcher(text(s))
    let n = 0
    for (let lastEnd = -1; findNext(matcher, lastEnd); lastEnd = matcher.end()) n++
    return new GoInt(n)
  },
  default: (fallback, value) => (value === undefined || !isTrue(value) ? (fallback ?? null) : value),
  b64enc: s => Buffer.from(text(s)).toString('base64'),
  b64dec: s => decode64(text(s)),
  urlencode: s =>
    encodeURIComponent(text(s))
      .replaceAll('%20', '+')
      .replaceAll(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`),
  urldecode: s => unescapeUrl(text(s)),
  regexReplaceAll: (source, s, replacement) =>
    replaceMatches(
      regex(source),
      text(s),
      matched => expandReplacement(text(replacement), matched, refuseLong),
      refuseLong,
    ),
  regexReplaceAllLiteral: (source, s, replacement) =>
    replaceMatches(regex(source), text(s), () => text(replacement), refuseLong),
  trunc: (n, s) => truncate(count(n), text(s)),
  substr: (a, b, s) => substring(count(a), count(b), text(s)),
  alignLeft: (n, s) => align(n, s, true),
  alignRight: (n, s) => align(n, s, false),
  int: v => wrap(int(v)),
  float64: v => float(v),
  add: (...v) => wrap(v.reduce((a, b) => a + int(b), 0n)),
  sub: (a, b) => wrap(int(a) - int(b)),
  mul: (a, ...v) => wrap(v.reduce((x, b) => x * int(b), int(a))),
  div: (a, b) => wrap(int(a) / nonZero(int(b))),
  mod: (a, b) => wrap(int(a) % nonZero(int(b))),
  max: (a, ...v) => wrap(v.reduce((x, b) => (int(b) > x ? int(b) : x), int(a))),
  min: (a, ...v) => wrap(v.reduce((x, b) => (int(b) < x ? int(b) : x), int(a))),
  addf: (...v) => decimal(v, (a, b) => a + b),
  subf: (...v) => decimal(v, (a, b) => a - b),
  mulf: (...v) => decimal(v, multiply),
  divf: (...v) => decimal(v, divide),
  maxf: (a, ...v) => v.reduce((x: number, b) => Math.max(x, float(b)), float(a)),
  minf: (a, ...v) => v.reduce((x: number, b) => Math.min(x, float(b)), float(a)),
  ceil: v => Math.ceil(float(v)),
  floor: v => Math.floor(float(v)),
  round: (v, places) => roundTo(float(v), count(places)),
  bytes: s => numberOrThrow(toBytes(text(s))),
  duration: s => numberOrThrow(toDurationSeconds(text(s))),
  duration_seconds: s => numberOrThrow(toDurationSeconds(text(s))),
  date: (layout, t) => {
    if (t instanceof GoTime) return t.format(text(layout))
    return t instanceof GoInt ? new GoTime(Number(t.value) * 1000, 0).format(text(layout)) : ''
  },
  toDate: (layout, s) => toDate(text(layout), text(s), 'UTC'),
  toDateInZone: (layout, zone, s) => toDate(text(layout), text(s), text(zone)),
  unixEpoch: t => String(Math.floor(epochTime(t).ms / 1000)),
  unixEpochMillis: t => String(epochTime(t).ms),
  unixEpochNanos: t => String(BigInt(epochTime(t).ms) * 1_000_000n + BigInt(epochTime(t).subNs)),
  unixToTime: s => unixToTime(text(s)),
  fromJson: s => fromJson(text(s)),
}

/** The functions of one query, over its entry, which the caller sets before each line. */
export function templateFunctions(entry: Entry, nowMs: () => number): ReadonlyMap<string, GoFunction> {
  const functions = new Map<string, GoFunction>(Object.entries(pureFunctions))
  functions.set('__line__', () => entry.line)
  functions.set('__timestamp__', () => new GoTime(entry.ms, entry.subNs))
  functions.set('now', () => new GoTime(nowMs(), 0))
  return functions
}
