/** Values of fields as numbers: plain ones, sizes, durations (nanoseconds), IPv4 addresses and times. */
import { parseSpanMs } from './times.ts'

const sizes: Readonly<Record<string, number>> = {
  K: 1e3,
  KB: 1e3,
  M: 1e6,
  MB: 1e6,
  G: 1e9,
  GB: 1e9,
  T: 1e12,
  TB: 1e12,
  Ki: 1024,
  KiB: 1024,
  Mi: 1024 ** 2,
  MiB: 1024 ** 2,
  Gi: 1024 ** 3,
  GiB: 1024 ** 3,
  Ti: 1024 ** 4,
  TiB: 1024 ** 4,
  B: 1,
}

export function ipv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  const parts = match.slice(1).map(Number)
  return parts.some(p => p > 255) ? undefined : ((parts[0]! * 256 + parts[1]!) * 256 + parts[2]!) * 256 + parts[3]!
}

/** NaN for what is no number. */
export function toNumber(text: string): number {
  if (text === '') return NaN
  if (/^[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text.replaceAll('_', ''))
  if (/^[+-]?inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  const size = /^([+-]?[\d.]+)([KMGT]i?B?|B)$/.exec(text)
  if (size !== null) return Number(size[1]) * sizes[size[2]!]!
  const span = /[a-zµ]$/.test(text) ? parseSpanMs(text) : undefined
  if (span !== undefined) return span * 1e6
  if (/^0x[0-9a-fA-F]+$/.test(text)) return Number(text)
  return ipv4(text) ?? NaN
}
