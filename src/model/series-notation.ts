/**
 * Prometheus' notation of series in tests: `name{a="b"} 1 2+3x4 _ stale {{schema:0 ...}}`. Source: Prometheus' public
 * documentation of rule unit tests.
 */
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { FloatHistogram, resetHint, type ResetHint } from './histogram.ts'
import { Labels } from './labels.ts'

/** undefined: no sample. */
export type Point = number | FloatHistogram | 'stale' | undefined
/** A series with its points, one a step. */
export interface SeriesLine {
  labels: Labels
  points: Point[]
  /** How long before its point each counter began, as milliseconds that are mostly negative. */
  startOffsetsMs?: (number | undefined)[]
}

/** Equal within a millionth; NaN equals NaN. */
export function same(a: number, b: number): boolean {
  if (Number.isNaN(a) && Number.isNaN(b)) return true
  if (a === b) return true
  const sum = Math.abs(a) + Math.abs(b)
  const difference = Math.abs(a - b)
  if (a === 0 || b === 0 || sum < 2.3e-308) return difference < 1e-6 * 2.3e-308
  return difference / Math.min(sum, Number.MAX_VALUE) < 1e-6
}

/** The same kind, and equal within a millionth. */
export function samePoint(a: Point, b: Point): boolean {
  if (typeof a === 'number' && typeof b === 'number') return same(a, b)
  if (a instanceof FloatHistogram && b instanceof FloatHistogram)
    return sameHistogram(a.copy().compact(), b.copy().compact())
  return a === b
}

/** Equal within a millionth, bucket by bucket; `b` without a hint fits any. */
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

const quotedPattern = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)/

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
      const rest = line.slice(at)
      const label = (quotedPattern.exec(rest) ?? /^[a-zA-Z_][a-zA-Z0-9_]*/.exec(rest))?.[0]
      if (label === undefined) throw new BadDataError(`labels not understood: ${rest}`)
      const name = quotedPattern.test(label) ? unquote(label) : label
      at += label.length
      const equals = /^\s*=\s*/.exec(line.slice(at))?.[0] ?? ''
      const value = equals === '' ? undefined : quotedPattern.exec(line.slice(at + equals.length))?.[0]
      // A name without a value is the metric's.
      if (value === undefined) entries.push(['__name__', name])
      else {
        entries.push([name, unquote(value)])
        at += equals.length + value.length
      }
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

/** A number, Inf or NaN with a sign. */
export function parseNumber(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1
  const plain = text.replace(/^[+-]/, '')
  if (/^inf$/i.test(plain)) return sign * Infinity
  if (/^nan$/i.test(plain)) return NaN
  return sign * Number(plain)
}

const numberPattern = /^(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI]nf|[nN]a[nN])/
const histogramPattern = /^\{\{[^}]*\}\}/

/** Points that begin `text`: one, what each following one adds to it, and how many follow. */
interface PointRun {
  first: string
  sign: string
  step: string
  repeat: string | undefined
  length: number
}

function readRun(text: string): PointRun {
  let at = 0
  const take = (...patterns: readonly RegExp[]): string => {
    const rest = text.slice(at)
    for (const pattern of patterns) {
      const found = pattern.exec(rest)?.[0]
      if (found === undefined) continue
      at += found.length
      return found
    }
    throw new BadDataError(`values not understood: ${text.slice(0, 60)}`)
  }
  const first = take(/^(?:_|stale)/, histogramPattern, /^[+-]?(?=[\d.iInN])/)
  const number = /^[+-]?$/.test(first) ? take(numberPattern) : ''
  const sign = take(/^[+-]?/)
  const step = sign === '' ? '' : take(numberPattern, histogramPattern)
  const repeat = /^x(\d+)$/.exec(take(/^(?:x\d+)?/))?.[1]
  take(/^(?=\s|$)/)
  return { first: first + number, sign, step, repeat, length: at }
}

/** The points of a series, one a step. Throws BadDataError. */
export function parsePoints(text: string): Point[] {
  const points: Point[] = []
  let rest = text.trim()
  while (rest !== '') {
    const { first, sign, step, repeat, length } = readRun(rest)
    const more = Number(repeat ?? 0)
    if (first === '_') for (let i = 0; i < Math.max(1, more); i++) points.push(undefined)
    else if (first === 'stale') for (let i = 0; i <= more; i++) points.push('stale')
    else if (first.startsWith('{')) pushHistograms(points, first, sign, step, more)
    else {
      let value = parseNumber(first)
      const by = step === '' ? 0 : (sign === '-' ? -1 : 1) * parseNumber(step)
      for (let i = 0; i <= more; i++) {
        points.push(value)
        value += by
      }
    }
    rest = rest.slice(length).trim()
  }
  return points
}

const offsetRun = /^([+-]?[0-9a-z]+?)(?:([+-])([0-9a-z]+?))?(?:x(\d+))?$/

/** `_ -30s -1m-1mx3`: start timestamps as durations beside the points of a series. Throws BadDataError. */
export function parseStartOffsets(text: string): (number | undefined)[] {
  const offsets: (number | undefined)[] = []
  for (const word of text.trim().split(/\s+/)) {
    const omitted = /^_(?:x(\d+))?$/.exec(word)
    if (omitted !== null) {
      for (let i = 0; i < Number(omitted[1] ?? 1); i++) offsets.push(undefined)
      continue
    }
    const [whole, first = '', sign, step, repeat = '0'] = offsetRun.exec(word) ?? []
    if (whole === undefined) throw new BadDataError(`start timestamps not understood: ${word}`)
    let offset = signedDuration(first)
    const by = step === undefined ? 0 : signedDuration(`${sign}${step}`)
    for (let i = 0; i <= Number(repeat); i++) {
      offsets.push(offset)
      offset += by
    }
  }
  return offsets
}

function signedDuration(text: string): number {
  const ms = parseDurationMs(text.replace(/^[+-]/, ''))
  if (ms === undefined) throw new BadDataError(`no duration: ${text}`)
  return text.startsWith('-') ? -ms : ms
}

function pushHistograms(points: Point[], first: string, sign: string, step: string, more: number): void {
  let current = parseHistogram(first)
  const by = step.startsWith('{') ? parseHistogram(step) : undefined
  for (let i = 0; i <= more; i++) {
    points.push(current)
    current = current.copy()
    if (by === undefined) continue
    const hint = current.hint
    current.combine(by, sign === '-' ? -1 : 1)
    current.hint = hint
  }
}

const hints = new Map<string, ResetHint>([
  ['unknown', resetHint.unknown],
  ['reset', resetHint.reset],
  ['not_reset', resetHint.noReset],
  ['gauge', resetHint.gauge],
])

function hintOf(text: string): ResetHint {
  const hint = hints.get(text)
  if (hint === undefined) throw new BadDataError(`histogram counter_reset_hint ${text}`)
  return hint
}

/** `{{schema:1 count:2 buckets:[1 1] ...}}`. Throws BadDataError. */
export function parseHistogram(text: string): FloatHistogram {
  const h = new FloatHistogram()
  const body = text.slice(2, -2)
  let offset = 0
  let negativeOffset = 0
  let buckets: number[] = []
  let negative: number[] = []
  for (const [, key, value = ''] of body.matchAll(/(\w+):\s*(\[[^\]]*\]|[^\s]+)/g)) {
    const list = (): number[] => value.slice(1, -1).trim().split(/\s+/).filter(Boolean).map(parseNumber)
    switch (key) {
      case 'schema':
        h.schema = Number(value)
        break
      case 'sum':
        h.sum = parseNumber(value)
        break
      case 'count':
        h.count = parseNumber(value)
        break
      case 'z_bucket':
        h.zeroCount = parseNumber(value)
        break
      case 'z_bucket_w':
        h.zeroThreshold = parseNumber(value)
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
        h.hint = hintOf(value)
        break
      default:
        throw new BadDataError(`histogram key ${key}`)
    }
  }
  h.positive = { index: buckets.map((_, i) => offset + i), count: buckets }
  h.negative = { index: negative.map((_, i) => negativeOffset + i), count: negative }
  return h
}
