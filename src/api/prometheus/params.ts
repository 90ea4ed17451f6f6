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
  if (ms === undefined) throw invalid(name, `cannot parse ${quote(text)} to a valid timestamp`)
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
  return parseDurationMs(text)
}

export function durationParam(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  const ms = durationMs(text)
  if (ms === undefined) throw invalid(name, `cannot parse ${quote(text)} to a valid duration`)
  return ms
}

export function limitParam(form: URLSearchParams): number {
  const text = form.get('limit')
  if (text === null || text === '') return 0
  if (!/^[+-]?\d+$/.test(text)) throw invalid('limit', `cannot parse ${quote(text)} to a valid limit`)
  if (Number(text) < 0) throw invalid('limit', 'limit must be non-negative')
  return Number(text)
}

export function matcherSets(form: URLSearchParams): Matcher[][] {
  return form.getAll('match[]').map(text => {
    try {
      return parseSelector(text)
    } catch (error) {
      if (error instanceof BadQueryError) throw invalid('match[]', error.message)
      throw error
    }
  })
}

/** The time of a request about series: all of it, unless `start` or `end` say otherwise. Inclusive milliseconds. */
export function timesOf(form: URLSearchParams): { fromMs: number; toMs: number } {
  const fromMs = timeParam(form, 'start', minTimeMs)
  const toMs = timeParam(form, 'end', maxTimeMs)
  if (toMs < fromMs) throw invalid('end', 'end timestamp must not be before start time')
  return { fromMs, toMs }
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
