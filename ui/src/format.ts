/** Numbers and times as people read them. */

const units = ['', 'k', 'M', 'G', 'T']
export function short(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size < 0.001) return value.toExponential(2)
  if (size < 1000) return String(Number(value.toPrecision(4)))
  const at = Math.min(units.length - 1, Math.floor(Math.log10(size) / 3))
  return `${Number((value / 1000 ** at).toPrecision(4))} ${units[at]!}`.trim()
}
export function bytes(value: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'],
    at = value < 1 ? 0 : Math.min(names.length - 1, Math.floor(Math.log2(value) / 10))
  return `${Number((value / 1024 ** at).toPrecision(3))} ${names[at]!}`
}
export function duration(seconds: number): string {
  if (seconds < 1e-6) return `${Math.round(seconds * 1e9)} ns`
  if (seconds < 1e-3) return `${Number((seconds * 1e6).toPrecision(3))} µs`
  if (seconds < 1) return `${Number((seconds * 1e3).toPrecision(3))} ms`
  if (seconds < 120) return `${Number(seconds.toPrecision(3))} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172800 ? `${Number((seconds / 3600).toPrecision(3))} h` : `${Math.round(seconds / 86400)} d`
}
/** In units of Grafana's panels. */
export function inUnit(value: number, unit: string): string {
  switch (unit) {
    case 'bytes':
    case 'decbytes':
      return bytes(value)
    case 'Bps':
    case 'binBps':
      return `${bytes(value)}/s`
    case 's':
      return duration(value)
    case 'ms':
      return duration(value / 1000)
    case 'percent':
      return `${short(value)} %`
    case 'percentunit':
      return `${short(value * 100)} %`
    case 'ops':
    case 'reqps':
    case 'cps':
      return `${short(value)}/s`
    default:
      return short(value)
  }
}
const pad = (n: number, width = 2): string => String(n).padStart(width, '0')
export function clockTime(ms: number, withMs = false): string {
  const d = new Date(ms)
  const time = [d.getHours(), d.getMinutes(), d.getSeconds()].map(n => pad(n)).join(':')
  return withMs ? `${time}.${pad(d.getMilliseconds(), 3)}` : time
}
export function dateTime(ms: number): string {
  const d = new Date(ms)
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${clockTime(ms)}`
}
export function ago(ms: number): string {
  return `${duration(Math.max(0, (Date.now() - ms) / 1000))} ago`
}

/** `{a="b"}` with what a text needs. */
export function selectorOf(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ')}}`
}
/** To be read, not to be asked. */
export function seriesName({ __name__: name = '', ...labels }: Readonly<Record<string, string>>): string {
  return visible(Object.keys(labels).length === 0 ? name || '{}' : `${name}${selectorOf(labels)}`)
}

export const secondsOfNs = (ns: bigint): number => Number(ns) / 1e9

const spanOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 }
/** Seconds of 15m, 1h30m; NaN where it is none. */
export function secondsOf(text: string): number {
  let sum = 0
  for (const [, count, unit] of text.matchAll(/(\d+)([smhdw])/g)) sum += Number(count) * spanOf[unit!]!
  return /^(\d+[smhdw])+$/.test(text) ? sum : NaN
}

/** Control characters, and those that turn the direction of a text around, are shown and not obeyed. */
export function visible(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, c =>
    c < '\u0020' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '\ufffd',
  )
}
