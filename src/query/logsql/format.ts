/** Texts of the pipe format: literals and fields, each field with an option such as `<uc:name>`. */
import { LimitError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { PatternStep } from '#lang/logsql/ast.ts'
import { durationOf } from '#lang/logsql/numbers.ts'
import { addressText } from '#lang/logsql/shown.ts'
import { unixNs } from '#lang/logsql/times.ts'
import { fieldOf, instantText, type Fields } from './row.ts'
import { shownJson } from './shown-json.ts'
import { numberText } from './stats.ts'

/** Characters of a text: four times the longest line. */
const textCharactersMax = 1024 * 1024

/** The text of a row. An option that is not known leaves the value as it is, as does a value that it can't take. */
export function formatRow(steps: readonly PatternStep[], row: Fields): string {
  let out = ''
  for (const { prefix, field, option } of steps) {
    out += prefix
    if (field !== '') {
      const value = fieldOf(row, field)
      out += options.get(option)?.(value) ?? value
    }
    if (out.length > textCharactersMax)
      throw new LimitError(
        `format makes a text of more than ${textCharactersMax} characters, which is the limit; name fewer fields`,
        422,
      )
  }
  return out
}

/** Undefined for a value that stays as it is. */
const options: ReadonlyMap<string, (value: string) => string | undefined> = new Map([
  ['q', (value: string) => shownJson(value)],
  ['lc', lowered],
  ['uc', raised],
  ['base64encode', (value: string) => Buffer.from(value).toString('base64')],
  ['base64decode', decodeBase64],
  ['urlencode', encodeUrl],
  ['urldecode', decodeUrl],
  ['hexencode', (value: string) => Buffer.from(value).toString('hex').toUpperCase()],
  ['hexdecode', decodeHex],
  ['hexnumencode', (value: string) => unsignedOf(value)?.toString(16).toUpperCase().padStart(16, '0')],
  ['hexnumdecode', (value: string) => (/^[0-9a-fA-F]{0,16}$/.test(value) ? String(BigInt(`0x0${value}`)) : undefined)],
  ['time', timeOf],
  ['duration', durationTextOf],
  ['duration_seconds', secondsOf],
  ['ipv4', addressOf],
])

/** Each character by itself: the lower or upper case of a text as a whole can be longer. */
function onCharacters(value: string, change: (char: string) => string): string {
  let out = ''
  for (const char of value) {
    const changed = change(char)
    out += Array.from(changed).length === 1 ? changed : char
  }
  return out
}

const ascii = /^[\0-\x7f]*$/

function lowered(value: string): string {
  return ascii.test(value) ? value.toLowerCase() : onCharacters(value, char => char.toLowerCase())
}

function raised(value: string): string {
  return ascii.test(value) ? value.toUpperCase() : onCharacters(value, char => char.toUpperCase())
}

const uint64Max = 2n ** 64n - 1n

function unsignedOf(value: string): bigint | undefined {
  if (!/^(?:0|[1-9][\d_]*)$/.test(value) || value.length > 26) return undefined
  const number = BigInt(value.replaceAll('_', ''))
  return number <= uint64Max ? number : undefined
}

function decodeBase64(value: string): string | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)) return undefined
  return Buffer.from(value, 'base64').toString('utf8')
}

function encodeUrl(value: string): string {
  let out = ''
  for (const byte of Buffer.from(value)) {
    const char = String.fromCharCode(byte)
    if (/[A-Za-z0-9._-]/.test(char)) out += char
    else out += char === ' ' ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}

function decodeUrl(value: string): string {
  return decodeBytes(value.replaceAll('+', ' '), /%([0-9a-fA-F]{2})/g)
}

/** Bytes that are written as two digits each; a pair that is none stays. */
function decodeHex(value: string): string {
  const bytes: number[] = []
  const all = Buffer.from(value)
  for (let i = 0; i < all.length; i += 2) {
    const pair = all.toString('latin1', i, i + 2)
    if (/^[0-9a-fA-F]{2}$/.test(pair)) bytes.push(Number.parseInt(pair, 16))
    else addAll(bytes, all.subarray(i, i + 2))
  }
  return Buffer.from(bytes).toString('utf8')
}

function decodeBytes(value: string, escaped: RegExp): string {
  const parts: Buffer[] = []
  let at = 0
  for (const match of value.matchAll(escaped)) {
    parts.push(Buffer.from(value.slice(at, match.index)), Buffer.from(match[1]!, 'hex'))
    at = match.index + match[0].length
  }
  parts.push(Buffer.from(value.slice(at)))
  return Buffer.concat(parts).toString('utf8')
}

/** RFC 3339 of a Unix time of any unit. */
function timeOf(value: string): string | undefined {
  const ns = unixNs(value)
  return ns === undefined ? undefined : instantText(ns)
}

/** `1h30m` of nanoseconds. */
function durationTextOf(value: string): string | undefined {
  if (!/^-?(?:0|[1-9][\d_]*)$/.test(value) || value.length > 27) return undefined
  const ns = BigInt(value.replaceAll('_', ''))
  return ns === BigInt.asIntN(64, ns) ? durationText(ns) : undefined
}

const largeUnits: readonly [string, bigint][] = [
  ['w', 604_800_000_000_000n],
  ['d', 86_400_000_000_000n],
  ['h', 3_600_000_000_000n],
  ['m', 60_000_000_000n],
]
const smallUnits: readonly [string, bigint][] = [
  ['ms', 1_000_000n],
  ['µs', 1000n],
  ['ns', 1n],
]
const secondNs = 1_000_000_000n

/** A second and more ends in seconds with a fraction, less in milliseconds, microseconds and nanoseconds. */
export function durationText(ns: bigint): string {
  if (ns === 0n) return '0'
  let out = ns < 0n ? '-' : ''
  let rest = ns < 0n ? -ns : ns
  const take = (units: readonly [string, bigint][]): void => {
    for (const [unit, size] of units) {
      if (rest < size) continue
      out += `${rest / size}${unit}`
      rest %= size
    }
  }
  const isLarge = rest >= secondNs
  take(largeUnits)
  if (isLarge && rest >= secondNs) return `${out}${numberText(Number(rest) / 1e9)}s`
  take(smallUnits)
  return out
}

function secondsOf(value: string): string | undefined {
  const ns = durationOf(value)
  return Number.isNaN(ns) ? undefined : numberText(ns / 1e9)
}

function addressOf(value: string): string | undefined {
  const number = unsignedOf(value)
  return number === undefined || number > 0xffffffffn ? undefined : addressText(Number(number))
}
