/**
 * A scrape's body, byte by byte: the text format (0.0.4, 1.0.0) and OpenMetrics 1.0. A series that was seen before is
 * found by its text and not taken apart again. One wrong line makes the body wrong, as Prometheus has it. Sources:
 * the public specifications.
 */
import { isUtf8 } from 'node:buffer'
import { BadDataError } from '#core/errors.ts'
import { toPlain } from '#model/histogram.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import type { Labels } from '#model/labels.ts'
import { metricTypes, type Metadata, type MetricType } from '#model/write-batch.ts'
import { LineParser, parseComment, parseFloatText } from './parse.ts'

/** The metric that comments name, with its type. */
export type Family = Pick<Metadata, 'metric' | 'type'>
/** An exemplar of a sample. */
export interface ScrapedExemplar {
  labels: Labels
  value: number
  timeMs: number | undefined
}

/** Receives a body's content. */
export interface ScrapeSink {
  /** The number of a series that was added under these two hashes of its text; -1: none. */
  find(hashA: number, hashB: number): number
  /** `family`: what the comments before the series said. */
  add(hashA: number, hashB: number, labels: [string, string][], family: Family | undefined): number
  sample(series: number, value: number, timeMs: number | undefined, exemplar: ScrapedExemplar | undefined): void
  histogram(
    series: number,
    histogram: FloatHistogram,
    timeMs: number | undefined,
    exemplars: readonly ScrapedExemplar[],
  ): void
  /** A histogram that contradicts itself, and why. */
  refuse(series: number, problem: string): void
  metadata(metadata: Metadata): void
}

/** A bound as OpenMetrics writes it: whole numbers with a point. */
export function boundText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  // The shortest digits; with an exponent from a million on.
  const [mantissa, exponentText] = value.toExponential().split('e') as [string, string]
  const exponent = Number(exponentText)
  if (value !== 0 && (exponent < -4 || exponent >= 6))
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  const text = toPlain(value)
  return text.includes('.') ? text : `${text}.0`
}

const newline = 10
const space = 32
const tab = 9
const hash = 35
const quoteByte = 34
const backslash = 92
const open = 123
const close = 125
const carriage = 13
const isBlank = (byte: number): boolean => byte === space || byte === tab

/** Where the series that begins at `at` ends. */
function seriesEnd(bytes: Uint8Array, at: number, to: number): number {
  while (at < to && bytes[at] !== open && !isBlank(bytes[at]!)) at++
  let brace = at
  while (brace < to && isBlank(bytes[brace]!)) brace++
  if (bytes[brace] !== open || brace >= to) return at
  let isQuoted = false
  for (at = brace; at < to; at++) {
    const byte = bytes[at]!
    if (isQuoted) {
      if (byte === backslash) at++
      else if (byte === quoteByte) isQuoted = false
    } else if (byte === quoteByte) isQuoted = true
    else if (byte === close) return at + 1
  }
  return to
}

function numberAt(bytes: Buffer, from: number, to: number): number | undefined {
  // Short whole numbers are most of what there is.
  if (to - from <= 9) {
    let value = 0
    let at = from
    for (; at < to; at++) {
      const digit = bytes[at]! - 48
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (at === to && to > from) return value
  }
  return parseFloatText(bytes.toString('latin1', from, to))
}

/** Digits alone, behind a sign or none. */
function isWhole(bytes: Uint8Array, from: number, to: number): boolean {
  let at = bytes[from] === 43 || bytes[from] === 45 ? from + 1 : from
  while (at < to && bytes[at]! >= 48 && bytes[at]! <= 57) at++
  return at === to
}

/** Throws BadDataError with the line. What is no UTF-8 is never replaced: different bytes would become one series. */
function checkUtf8(bytes: Buffer): void {
  if (isUtf8(bytes)) return
  let line = 0
  for (let from = 0; from < bytes.length;) {
    let to = bytes.indexOf(newline, from)
    if (to < 0) to = bytes.length
    line++
    const row = bytes.subarray(from, to)
    from = to + 1
    if (isUtf8(row)) continue
    const shown = row.toString('utf8').trim()
    if (/^#(?!\s*(?:HELP|TYPE|UNIT)\s)/.test(shown)) continue
    const what = shown.startsWith('#') ? 'text in a comment' : 'label value'
    throw new BadDataError(`line ${line}: invalid UTF-8 ${what}: ${shown.slice(0, 100)}`)
  }
}

/** The two hashes that the last call made. */
export const hashes = new Uint32Array(2)

/** Two hashes of 32 bits, of different making: texts that differ and agree in both are not met in practice. */
function hashBytes(bytes: Uint8Array, from: number, to: number): void {
  let a = 0x9e3779b1 ^ (to - from)
  let b = 0x85ebca77
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    a = Math.imul(a ^ byte, 0x01000193)
    a ^= a >>> 15
    b = Math.imul(b + byte, 0x9e3779b1)
    b ^= b >>> 13
  }
  finishHashes(a, b)
}

/** Puts the hashes of a text into `hashes`. */
export function hashText(text: string): void {
  let a = 0x9e3779b1 ^ text.length
  let b = 0x85ebca77
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 0x01000193)
    a ^= a >>> 15
    b = Math.imul(b + unit, 0x9e3779b1)
    b ^= b >>> 13
  }
  finishHashes(a, b)
}

function finishHashes(a: number, b: number): void {
  hashes[0] = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ b
  hashes[1] = Math.imul(b ^ (b >>> 16), 0xc2b2ae35)
}

const isMetricType = (text: string): text is MetricType => (metricTypes as readonly string[]).includes(text)

/** Hands the body's samples, then its metadata, to `sink`. Throws BadDataError with the line. */
export function scanExposition(body: Uint8Array, isOpenMetrics: boolean, sink: ScrapeSink): void {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  checkUtf8(bytes)
  const families = new Map<string, Metadata>()
  let family: Metadata | undefined
  let line = 0
  let isEnded = false
  const refuse = (message: string, from: number, to: number): never => {
    throw new BadDataError(`line ${line}: ${message}: ${bytes.toString('utf8', from, Math.min(to, from + 100))}`)
  }
  for (let from = 0; from < bytes.length;) {
    let to = bytes.indexOf(newline, from)
    if (to < 0) to = bytes.length
    const next = to + 1
    line++
    while (from < to && isBlank(bytes[from]!)) from++
    while (to > from && (isBlank(bytes[to - 1]!) || bytes[to - 1] === carriage)) to--
    if (to === from) {
      from = next
      continue
    }
    if (isEnded) refuse('something follows # EOF', from, to)
    if (bytes[from] === hash) {
      const comment = bytes.toString('utf8', from, to)
      if (isOpenMetrics && /^# EOF$/.test(comment)) isEnded = true
      else family = readComment(comment, isOpenMetrics, families) ?? family
      from = next
      continue
    }
    const end = seriesEnd(bytes, from, to)
    hashBytes(bytes, from, end)
    const hashA = hashes[0]!
    const hashB = hashes[1]!
    let series = sink.find(hashA, hashB)
    if (series < 0) {
      const labels = new LineParser(bytes.toString('utf8', from, end).trim(), isOpenMetrics).readSeries()
      if (typeof labels === 'string') return refuse(labels, from, to)
      const bound = family?.type === 'histogram' ? 'le' : family?.type === 'summary' ? 'quantile' : undefined
      for (const label of labels)
        if (label[0] === bound) {
          const value = parseFloatText(label[1])
          if (value !== undefined) label[1] = boundText(value)
        }
      series = sink.add(hashA, hashB, labels, family)
    }
    let at = end
    while (at < to && isBlank(bytes[at]!)) at++
    let stop = at
    while (stop < to && !isBlank(bytes[stop]!)) stop++
    const value = numberAt(bytes, at, stop) ?? refuse('the value is not a number', from, to)
    at = stop
    while (at < to && isBlank(bytes[at]!)) at++
    let timeMs: number | undefined
    if (at < to && bytes[at] !== hash) {
      stop = at
      while (stop < to && !isBlank(bytes[stop]!)) stop++
      const time = numberAt(bytes, at, stop)
      if (time === undefined || !Number.isFinite(time)) return refuse('the timestamp is not a number', from, to)
      if (!isOpenMetrics && !isWhole(bytes, at, stop))
        return refuse('the timestamp is no whole number of milliseconds', from, to)
      timeMs = isOpenMetrics ? Math.round(time * 1000) : time
      at = stop
      while (at < to && isBlank(bytes[at]!)) at++
    }
    let exemplar: ScrapedExemplar | undefined
    if (at < to) {
      if (bytes[at] !== hash || !isOpenMetrics) return refuse('something follows the sample', from, to)
      const read = new LineParser(bytes.toString('utf8', at + 1, to), true).readExemplar()
      if (typeof read === 'string') return refuse(read, from, to)
      exemplar = read
    }
    sink.sample(series, value, timeMs, exemplar)
    from = next
  }
  if (isOpenMetrics && !isEnded) throw new BadDataError('data does not end with # EOF')
  for (const family of families.values()) sink.metadata(family)
}

/** The family, where the comment says its type. */
function readComment(row: string, isOpenMetrics: boolean, families: Map<string, Metadata>): Metadata | undefined {
  const comment = parseComment(row, isOpenMetrics)
  if (comment === undefined) return undefined
  const { about, metric, text } = comment
  let family = families.get(metric)
  if (family === undefined) families.set(metric, (family = { metric, type: 'unknown', help: '', unit: '' }))
  if (about === 'HELP') family.help = text
  else if (about === 'UNIT') family.unit = text
  else {
    if (!isMetricType(text)) throw new BadDataError(`invalid metric type ${JSON.stringify(text)} of ${metric}`)
    family.type = text
    return family
  }
  return undefined
}
