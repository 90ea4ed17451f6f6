/** Texts of the pipe format: literals and fields, each field with a modifier such as `<uc:name>`. */
import { LimitError } from '#core/errors.ts'
import type { FormatPart } from '#lang/logsql/ast.ts'
import { toNumber } from '#lang/logsql/numbers.ts'
import { fieldOf, timeText, type Fields } from './row.ts'

/** Characters of a text: four times the longest line. */
const textCharactersMax = 1024 * 1024

/** The text of a row. A modifier that is not known leaves the value as it is. */
export function formatRow(parts: readonly FormatPart[], row: Fields): string {
  let out = ''
  for (const part of parts) {
    if ('literal' in part) out += part.literal
    else {
      const value = fieldOf(row, part.field)
      out += modifiers.get(part.modifier)?.(value) ?? value
    }
    if (out.length > textCharactersMax)
      throw new LimitError(
        `format makes a text of more than ${textCharactersMax} characters, which is the limit; name fewer fields`,
        422,
      )
  }
  return out
}

const modifiers: ReadonlyMap<string, (value: string) => string> = new Map([
  ['q', (value: string) => JSON.stringify(value)],
  ['lc', (value: string) => value.toLowerCase()],
  ['uc', (value: string) => value.toUpperCase()],
  ['base64encode', (value: string) => Buffer.from(value).toString('base64')],
  ['base64decode', (value: string) => Buffer.from(value, 'base64').toString('utf8')],
  ['urlencode', (value: string) => encodeURIComponent(value).replaceAll('%20', '+')],
  ['urldecode', decodeUrl],
  ['hexencode', (value: string) => Buffer.from(value).toString('hex').toUpperCase()],
  ['hexdecode', (value: string) => Buffer.from(value, 'hex').toString('utf8')],
  ['time', ofNumber(ns => timeText(Math.floor(ns / 1e6), Math.floor(ns % 1e6)))],
  ['duration', ofNumber(ns => `${ns / 1e9}s`)],
  ['duration_seconds', ofNumber(ns => String(ns / 1e9))],
  ['ipv4', addressOf],
])

function ofNumber(format: (n: number) => string): (value: string) => string {
  return value => {
    const n = toNumber(value)
    return Number.isNaN(n) ? value : format(n)
  }
}

function decodeUrl(value: string): string {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '))
  } catch {
    return value
  }
}

function addressOf(value: string): string {
  const n = Number(value)
  if (!Number.isInteger(n)) return value
  return [n / 16777216, (n / 65536) % 256, (n / 256) % 256, n % 256].map(Math.floor).join('.')
}
