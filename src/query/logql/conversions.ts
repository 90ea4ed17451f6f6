/** Texts of labels as numbers: floats, Go durations, byte sizes; failures carry Go's texts. Source: docs/logs.md. */
import { ownOf } from '#core/own.ts'
import { quote } from '#core/text.ts'
import { parseGoDurationNs } from '#lang/logql/lexer.ts'

/** A number, or why the text is none, in the words of Go. */
export type Converted = number | { error: string }

/** Digits with a dot at most, not so many that the number has no end. */
function isDecimal(text: string): boolean {
  const { length } = text
  let dots = 0
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code === 46) dots++
    else if (code < 48 || code > 57) return false
  }
  return dots < 2 && length > dots && length < 300
}

/** A float as Go parses it. */
export function toFloat(text: string): Converted {
  if (isDecimal(text)) return Number(text)
  const plain = text.replaceAll('_', '')
  if (
    /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(plain) &&
    (plain === text || /^[+-]?\d[\d_.eE+-]*$/.test(text))
  ) {
    const value = Number(plain)
    return Number.isFinite(value) ? value : { error: `strconv.ParseFloat: parsing ${quote(text)}: value out of range` }
  }
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(text)
  if (special !== null) return special[2]!.toLowerCase() === 'nan' ? NaN : special[1] === '-' ? -Infinity : Infinity
  const hex = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?\d+)$/.exec(text)
  if (hex !== null && hex[2]! + hex[3]! !== '')
    return (
      (hex[1] === '-' ? -1 : 1) * Number.parseInt(hex[2]! + hex[3]!, 16) * 2 ** (Number(hex[4]) - 4 * hex[3]!.length)
    )
  return { error: `strconv.ParseFloat: parsing ${quote(text)}: invalid syntax` }
}

/** Seconds. */
export function toDurationSeconds(text: string): Converted {
  const ns = toDurationNs(text)
  return typeof ns === 'number' ? ns / 1e9 : ns
}

/** As package time quotes a text: bytes beyond ASCII, and control characters, are hexadecimal. */
function quoteBytes(text: string): string {
  let out = ''
  for (const byte of Buffer.from(text)) {
    if (byte < 32 || byte >= 128) out += `\\x${byte.toString(16).padStart(2, '0')}`
    else out += byte === 34 || byte === 92 ? `\\${String.fromCharCode(byte)}` : String.fromCharCode(byte)
  }
  return `"${out}"`
}

/** Nanoseconds of a Go duration. */
export function toDurationNs(text: string): Converted {
  const ns = parseGoDurationNs(text)
  if (ns !== undefined) return ns
  const quoted = quoteBytes(text)
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text)) return { error: `time: missing unit in duration ${quoted}` }
  const unit = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|\u03bcs|ms|s|m|h))*(?:\d+\.?\d*|\.\d+)([^\d.]+)/.exec(text)
  return {
    error:
      unit === null
        ? `time: invalid duration ${quoted}`
        : `time: unknown unit ${quoteBytes(unit[1]!)} in duration ${quoted}`,
  }
}

const sizes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  ki: 1024,
  kib: 1024,
  m: 1e6,
  mb: 1e6,
  mi: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1e9,
  gb: 1e9,
  gi: 1024 ** 3,
  gib: 1024 ** 3,
  t: 1e12,
  tb: 1e12,
  ti: 1024 ** 4,
  tib: 1024 ** 4,
  p: 1e15,
  pb: 1e15,
  pi: 1024 ** 5,
  pib: 1024 ** 5,
  e: 1e18,
  eb: 1e18,
  ei: 1024 ** 6,
  eib: 1024 ** 6,
}

/** Bytes of a number with a unit, whole; without a unit bytes. */
export function toBytes(text: string): Converted {
  const [, digits = '', unit = ''] = /^([\d.,]*)\s*(.*)$/s.exec(text) ?? []
  const number = toFloat(digits.replaceAll(',', ''))
  if (typeof number !== 'number') return number
  const name = unit.toLowerCase().trim()
  const size = ownOf(sizes, name)
  return size === undefined ? { error: `unhandled size name: ${name}` } : Math.floor(number * size)
}
