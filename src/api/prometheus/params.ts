/** Parameters of Prometheus' HTTP API: times, durations, selectors, limits. */
import { BadDataError, BadQueryError } from '#core/errors.ts'
import { parseDurationMs } from '#core/duration.ts'
import { quote } from '#core/text.ts'
import { parseSelector } from '#lang/promql/parser.ts'
import type { Matcher } from '#lang/regex/matcher.ts'

/** The times that Prometheus means by its formatted minimum and maximum. */
export const minTimeMs = -(2 ** 53)
export const maxTimeMs = 2 ** 53

export function invalid(name: string, reason: string): BadDataError {
  return new BadDataError(`invalid parameter ${quote(name)}: ${reason}`)
}

/** Unix seconds, with fraction, or RFC 3339. */
export function parseTimeMs(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) {
    const seconds = Number(text)
    return Math.abs(seconds) < 9.3e15 ? Math.round(seconds * 1000) : undefined
  }
  if (/^-292\d{6}-/.test(text)) return minTimeMs
  if (/^\+?292\d{6}-/.test(text)) return maxTimeMs
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.exec(text)
  if (match === null) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

export function timeParam(form: URLSearchParams, name: string, fallbackMs: number): number {
  const text = form.get(name)
  if (text === null || text === '') return fallbackMs
  const ms = parseTimeMs(text)
  if (ms === undefined)
    throw invalid(name, `invalid time value for '${name}': cannot parse ${quote(text)} to a valid timestamp`)
  return ms
}

export function requiredTime(form: URLSearchParams, name: string): number {
  const text = form.get(name) ?? ''
  const ms = parseTimeMs(text)
  if (ms === undefined) throw invalid(name, `cannot parse ${quote(text)} to a valid timestamp`)
  return ms
}

/** Seconds or a Prometheus duration. */
export function durationMs(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) {
    const ms = Number(text) * 1000
    return Math.abs(ms) < 9.2e15 ? ms : undefined
  }
  // A number that is none is no length of time: nothing that is above 0.
  if (/^[+-]?nan$/i.test(text)) return -Infinity
  return parseDurationMs(text)
}

export function durationParam(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  const ms = durationMs(text)
  if (ms === undefined) throw invalid(name, durationFault(text))
  return ms
}

/** Why a text is no duration. */
export function durationFault(text: string): string {
  const isTooLong = /^[+-]?(inf(inity)?|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/i.test(text)
  return `cannot parse ${quote(text)} to a valid duration${isTooLong ? '. It overflows int64' : ''}`
}

export function limitParam(form: URLSearchParams): number {
  const text = form.get('limit')
  if (text === null || text === '') return 0
  if (!/^[+-]?\d+$/.test(text)) throw invalid('limit', notInteger(text))
  if (Number(text) < 0) throw invalid('limit', 'limit must be non-negative')
  return Number(text)
}

/** What Go says of a text that is no whole number. */
export function notInteger(text: string): string {
  return `strconv.Atoi: parsing ${quote(text)}: invalid syntax`
}

/** The selectors of a request; `isNamed`: what is wrong with one is said of the parameter. */
export function matcherSets(form: URLSearchParams, isNamed = true): Matcher[][] {
  const refuse = (message: string): never => {
    throw isNamed ? invalid('match[]', message) : new BadDataError(message)
  }
  try {
    const sets = selectors(form)
    for (const set of sets)
      if (set.every(m => m.matchesEmpty)) refuse('match[] must contain at least one non-empty matcher')
    return sets
  } catch (error) {
    if (error instanceof BadQueryError) return refuse(error.message)
    throw error
  }
}

/** The same, and such that take any series are among them. Throws BadQueryError. */
export function selectors(form: URLSearchParams): Matcher[][] {
  return form.getAll('match[]').map(parseSelector)
}

/**
 * The time of a request about series: all of it, unless `start` or `end` say otherwise. Inclusive milliseconds. Turned
 * ends mean the time between them.
 */
export function timesOf(form: URLSearchParams): { fromMs: number; toMs: number } {
  const startMs = timeParam(form, 'start', minTimeMs)
  const endMs = timeParam(form, 'end', maxTimeMs)
  return { fromMs: Math.min(startMs, endMs), toMs: Math.max(startMs, endMs) }
}

/** What is wrong with the query is wrong with the parameter of that name. */
export function withParameter<T>(name: string, work: () => T): T {
  const rethrow = (error: unknown): never => {
    if (error instanceof BadQueryError) throw invalid(name, error.message)
    throw error
  }
  try {
    const result = work()
    return result instanceof Promise ? (result.catch(rethrow) as T) : result
  } catch (error) {
    return rethrow(error)
  }
}
