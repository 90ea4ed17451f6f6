/** Prometheus' notation of series in tests: `name{a="b"} 1 2+3x4 _ stale {{schema:0 …}}`. Source: Prometheus' public documentation of rule unit tests. */
import { BadDataError } from '#core/errors.ts'
import { FloatHistogram, resetHint, type ResetHint } from './histogram.ts'
import { Labels } from './labels.ts'

/** undefined: no sample. */
export type Point = number | FloatHistogram | 'stale' | undefined
export interface SeriesLine {
  labels: Labels
  points: Point[]
}

export function same(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true
  if (a === b) return true
  const sum = Math.abs(a) + Math.abs(b),
    difference = Math.abs(a - b)
  if (a === 0 || b === 0 || sum < 2.3e-308) return difference < 1e-6 * 2.3e-308
  return difference / Math.min(sum, Number.MAX_VALUE) < 1e-6
}

export function samePoint(a: Point, b: Point): boolean {
  if (typeof a === 'number' && typeof b === 'number') return same(a, b)
  if (a instanceof FloatHistogram && b instanceof FloatHistogram)
    return sameHistogram(a.copy().compact(), b.copy().compact())
  return a === b
}

export function sameHistogram(a: FloatHistogram, b: FloatHistogram): boolean {
  if (a.schema !== b.schema || !same(a.count, b.count) || !same(a.sum, b.sum)) return false
  if (b.hint !== resetHint.unknown && a.hint !== b.hint) return false
  if (
    a.usesCustomBuckets
      ? JSON.stringify(a.customValues ?? []) !== JSON.stringify(b.customValues ?? [])
      : a.zeroThreshold !== b.zeroThreshold || !same(a.zeroCount, b.zeroCount)
  )
    return false
  const list = (x: readonly number[], y: readonly number[]): boolean =>
    x.length === y.length && x.every((v, i) => same(v, y[i]!))
  return (
    list(a.positive.index, b.positive.index) &&
    list(a.positive.count, b.positive.count) &&
    list(a.negative.index, b.negative.index) &&
    list(a.negative.count, b.negative.count)
  )
}

/** `name{a="b"} 1 2 3` */
export function parseSeriesLine(line: string): SeriesLine {
  let at = 0
  const entries: [string, string][] = []
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0]
  if (name !== undefined) {
    entries.push(['__name__', name])
    at = name.length
  }
  while (line[at] === ' ') at++
  if (line[at] === '{' && line[at + 1] !== '{') {
    at++
    for (;;) {
      while (line[at] === ' ' || line[at] === ',') at++
      if (line[at] === '}') {
        at++
        break
      }
      const item =
        /^(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|([a-zA-Z_][a-zA-Z0-9_]*))\s*(?:=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`))?/.exec(
          line.slice(at),
        )
      if (item === null) throw new BadDataError(`labels not understood: ${line.slice(at)}`)
      const label = item[1] !== undefined ? unquote(item[1]) : item[2]!
      if (item[3] === undefined) entries.push(['__name__', label])
      else entries.push([label, unquote(item[3])])
      at += item[0].length
    }
  }
  return { labels: Labels.from(entries), points: parsePoints(line.slice(at).trim()) }
}

function unquote(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1)
  return text
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_, c: string) =>
      c === 'n' ? '\n' : c === 't' ? '\t' : c.length > 1 ? String.fromCharCode(Number.parseInt(c.slice(1), 16)) : c,
    )
}

export function parseNumber(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1
  const plain = text.replace(/^[+-]/, '')
  if (/^inf$/i.test(plain)) return sign * Infinity
  if (/^nan$/i.test(plain)) return NaN
  return sign * Number(plain)
}

const pointPattern =
  /^(?:(_)|(stale)|([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN]))|(\{\{[^}]*\}\}))(?:([+-])(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN])|(\{\{[^}]*\}\})))?(?:x(\d+))?(?=\s|$)/

export function parsePoints(text: string): Point[] {
  const points: Point[] = []
  let rest = text.trim()
  while (rest !== '') {
    const match = pointPattern.exec(rest)
    if (match === null) throw new BadDataError(`values not understood: ${rest.slice(0, 60)}`)
    const [all, skip, stale, number, histogram, sign, by, byHistogram, times] = match
    const repeat = times === undefined ? 0 : Number(times)
    if (skip !== undefined) for (let i = 0; i < Math.max(1, repeat); i++) points.push(undefined)
    else if (stale !== undefined) for (let i = 0; i <= repeat; i++) points.push('stale')
    else if (number !== undefined) {
      let value = parseNumber(number)
      const step = by === undefined ? 0 : (sign === '-' ? -1 : 1) * parseNumber(by)
      for (let i = 0; i <= repeat; i++) {
        points.push(value)
        value += step
      }
    } else {
      let current = parseHistogram(histogram!)
      const step = byHistogram === undefined ? undefined : parseHistogram(byHistogram)
      for (let i = 0; i <= repeat; i++) {
        points.push(current)
        current = current.copy()
        if (step !== undefined) {
          const hint = current.hint
          current.combine(step, sign === '-' ? -1 : 1)
          current.hint = hint
        }
      }
    }
    rest = rest.slice(all.length).trim()
  }
  return points
}

export function parseHistogram(text: string): FloatHistogram {
  const h = new FloatHistogram()
  const body = text.slice(2, -2)
  let offset = 0,
    negativeOffset = 0
  let buckets: number[] = [],
    negative: number[] = []
  for (const [, key, value] of body.matchAll(/(\w+):\s*(\[[^\]]*\]|[^\s]+)/g)) {
    const list = (): number[] => value!.slice(1, -1).trim().split(/\s+/).filter(Boolean).map(parseNumber)
    switch (key) {
      case 'schema':
        h.schema = Number(value)
        break
      case 'sum':
        h.sum = parseNumber(value!)
        break
      case 'count':
        h.count = parseNumber(value!)
        break
      case 'z_bucket':
        h.zeroCount = parseNumber(value!)
        break
      case 'z_bucket_w':
        h.zeroThreshold = parseNumber(value!)
        break
      case 'buckets':
        buckets = list()
        break
      case 'n_buckets':
        negative = list()
        break
      case 'offset':
        offset = Number(value)
        break
      case 'n_offset':
        negativeOffset = Number(value)
        break
      case 'custom_values':
        h.customValues = list()
        break
      case 'counter_reset_hint':
        h.hint = ({ unknown: 0, reset: 1, not_reset: 2, gauge: 3 } as Record<string, ResetHint>)[value!]!
        break
      default:
        throw new BadDataError(`histogram key ${key}`)
    }
  }
  h.positive = { index: buckets.map((_, i) => offset + i), count: buckets }
  h.negative = { index: negative.map((_, i) => negativeOffset + i), count: negative }
  return h
}
