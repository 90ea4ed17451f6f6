/** Parameters of Loki's HTTP API: times, durations, limits. Source: docs/http-api.md. */
import { durationProblem, formatDuration, parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import { parseLogSelector } from '#lang/logql/parser.ts'
import type { Matcher } from '#lang/regex/matcher.ts'

export interface Instant {
  ms: number
  subNs: number
}

export function instantOfMs(ms: number): Instant {
  return { ms, subNs: 0 }
}
export function isBefore(a: Instant, b: Instant): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.subNs < b.subNs)
}

/** Float seconds, whole seconds (up to ten digits), nanoseconds (more digits) or RFC 3339. */
export function parseInstant(text: string): Instant {
  if (text.includes('.') && /^[+-]?\d*\.\d*$/.test(text) && text !== '.') {
    // The fraction is what a double has of it, to the millisecond.
    const seconds = Number(text)
    return instantOfMs(Math.trunc(seconds) * 1000 + Math.round((seconds - Math.trunc(seconds)) * 1000))
  }
  if (/^[+-]?\d+$/.test(text)) {
    if (text.length <= 10) return instantOfMs(Number(text) * 1000)
    const ns = BigInt(text)
    if (ns > 9_223_372_036_854_775_807n)
      throw new BadDataError(`strconv.ParseInt: parsing ${quote(text)}: value out of range`)
    let ms = ns / 1_000_000n
    if (ms * 1_000_000n > ns) ms -= 1n
    return { ms: Number(ms), subNs: Number(ns - ms * 1_000_000n) }
  }
  const rfc = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d+))?(?:Z|[+-]\d\d:\d\d)$/i.exec(text)
  const ms = Date.parse(text.replace(/\.\d+/, ''))
  if (rfc === null || Number.isNaN(ms))
    throw new BadDataError(`strconv.ParseInt: parsing ${quote(text)}: invalid syntax`)
  const fraction = (rfc[1] ?? '').padEnd(9, '0').slice(0, 9)
  return { ms: ms + Number(fraction.slice(0, 3)), subNs: Number(fraction.slice(3)) }
}

export function instantParam(form: URLSearchParams, name: string): Instant | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  try {
    return parseInstant(text)
  } catch (error) {
    if (!(error instanceof BadDataError) || name === 'time') throw error
    throw new BadDataError(`could not parse '${name}' parameter: ${error.message}`)
  }
}

/** Seconds or a Prometheus duration, in milliseconds. */
export function durationParam(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text) * 1000
  const ms = parseDurationMs(text)
  if (ms === undefined) throw new BadDataError(`cannot parse ${quote(text)} to a valid duration`)
  return ms
}

/** From `start`, `end` and `since`: the last hour unless something else is said. */
export function boundsParam(form: URLSearchParams, nowMs: number): { start: Instant; end: Instant } {
  const end = instantParam(form, 'end') ?? instantOfMs(nowMs)
  const sinceText = form.get('since')
  let sinceMs = 3_600_000
  if (sinceText !== null && sinceText !== '') {
    const ms = parseDurationMs(sinceText)
    if (ms === undefined) throw new BadDataError(`could not parse 'since' parameter: ${durationProblem(sinceText)}`)
    sinceMs = ms
  }
  const start = instantParam(form, 'start') ?? instantOfMs(Math.min(end.ms, nowMs) - sinceMs)
  return { start, end }
}

export function limitParam(form: URLSearchParams, fallback: number, name = 'limit'): number {
  const text = form.get(name)
  if (text === null || text === '') return fallback
  if (!/^[+-]?\d+$/.test(text)) throw new BadDataError(`strconv.Atoi: parsing ${quote(text)}: invalid syntax`)
  if (Number(text) <= 0) throw new BadDataError('limit must be a positive value')
  return Number(text)
}

export function isBackwardParam(form: URLSearchParams): boolean {
  const text = form.get('direction') ?? ''
  switch (text.toLowerCase()) {
    case '':
    case 'backward':
      return true
    case 'forward':
      return false
    default:
      throw new BadDataError(`invalid direction '${text}'`)
  }
}

/**
 * A selector from a parameter. `whole`: what stands for every stream: no text at all, `{}`, both, or neither. Every
 * other selector must have a matcher that not all streams fit. Throws BadQueryError.
 */
export function selectorParam(
  form: URLSearchParams,
  whole: 'none' | 'empty' | 'braces' | 'both',
  name = 'query',
): Matcher[] {
  return parseSelector(form.get(name) ?? '', whole)
}

export function parseSelector(text: string, whole: 'none' | 'empty' | 'braces' | 'both'): Matcher[] {
  if (text === '' && (whole === 'empty' || whole === 'both')) return []
  return parseLogSelector(text, whole === 'braces' || whole === 'both' ? text.trim() === '{}' : false)
}

export function refuseReversed({ start, end }: { start: Instant; end: Instant }): void {
  if (isBefore(end, start)) throw new BadDataError('end timestamp must not be before or equal to start time')
}

/** The step of a range; one that suits the length of the time where none is given. Throws BadDataError. */
export function stepParam(form: URLSearchParams, start: Instant, end: Instant): number {
  const stepMs = durationParam(form, 'step') ?? Math.max(Math.floor((end.ms - start.ms) / 250_000), 1) * 1000
  if (stepMs <= 0)
    throw new BadDataError('zero or negative query resolution step widths are not accepted. Try a positive integer')
  return stepMs
}

/** `rangeMs`: what a query reads before the time. Throws BadDataError. */
export function refuseLong(start: Instant, end: Instant, rangeMs: number, lengthMaxMs: number): void {
  const lengthMs = end.ms - start.ms + rangeMs
  if (lengthMs > lengthMaxMs)
    throw new BadDataError(
      `the query time range exceeds the limit (query length: ${goHours(lengthMs)}, ` +
        `limit: ${formatDuration(lengthMaxMs)})`,
    )
}

function goHours(ms: number): string {
  const seconds = ms / 1000
  return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m${seconds % 60}s`
}
