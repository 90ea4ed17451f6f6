/** Parameters that VictoriaLogs' endpoints share. Source: docs/http-api.md. */
import { BadDataError, BadQueryError } from '#core/errors.ts'
import { parseJson } from '#core/json.ts'
import { quote } from '#core/text.ts'
import type { Filter, LogsqlQuery, Pipe } from '#lang/logsql/ast.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { endOfMomentNs, leastNs, momentNs, mostNs, parameterDurationMs } from '#lang/logsql/times.ts'
import { allTime, type LogsqlRange } from '#query/logsql/engine.ts'
import { instantText } from '#query/logsql/row.ts'

export interface QueryTime {
  range: LogsqlRange
  /** What relative times of the query count from. */
  nowNs: bigint
  /** What an answer about one moment is about. */
  atNs: bigint
}

/** `start`, `end` and `time`. A bound with fewer digits means the whole of its last digit's span. */
export function queryTime(form: URLSearchParams, clockNs: bigint): QueryTime {
  const [start, end, time] = ['start', 'end', 'time'].map(name => momentOf(form, name, clockNs))
  // A nanosecond less, so that the first one of the next day or hour is not meant.
  const nowNs = (time ?? end ?? clockNs) - 1n
  const range =
    start === undefined && end === undefined
      ? allTime
      : {
          fromNs: start ?? leastNs,
          throughNs: end === undefined ? mostNs : endOfMomentNs(end, instantText(end)),
        }
  return { range, nowNs, atNs: time ?? end ?? clockNs }
}

function momentOf(form: URLSearchParams, name: string, clockNs: bigint): bigint | undefined {
  const value = form.get(name)
  if (value === null || value === '') return undefined
  const ns = momentNs(value, clockNs)
  if (ns === undefined)
    throw new BadDataError(
      `the parameter ${quote(name)} can't be read: ${quote(value)}; RFC 3339, a Unix time or a duration was expected`,
    )
  return ns
}

/** A whole number, 0 where there is none. */
export function wholeOf(form: URLSearchParams, name: string): number {
  const value = form.get(name)
  if (value === null || value === '') return 0
  if (!/^[+-]?\d{1,18}$/.test(value))
    throw new BadDataError(`the parameter ${quote(name)} must be a whole number, ${quote(value)} is none`)
  return Number(value)
}

/** The same, 0 for what is negative. */
export function countOfForm(form: URLSearchParams, name: string): number {
  return Math.max(0, wholeOf(form, name))
}

export function flagOf(form: URLSearchParams, name: string): boolean {
  return !['', '0', 'f', 'false', 'no'].includes((form.get(name) ?? '').toLowerCase())
}

/** Milliseconds, above zero. */
export function stepOf(form: URLSearchParams): number {
  const value = form.get('step') || '1d'
  const ms = parameterDurationMs(value)
  if (ms === undefined || ms <= 0)
    throw new BadDataError(`the parameter "step" must be a duration of a millisecond at least, ${quote(value)} is none`)
  return ms
}

/** Milliseconds. */
export function offsetOf(form: URLSearchParams): number {
  const value = form.get('offset') || '0s'
  const ms = parameterDurationMs(value)
  if (ms === undefined)
    throw new BadDataError(`the parameter "offset" must be a duration such as 5m, ${quote(value)} is none`)
  return ms
}

/** A query with what `extra_filters` and `extra_stream_filters` ask of it and of the queries within it. */
export function withExtraFilters(query: LogsqlQuery, form: URLSearchParams, nowNs: bigint): LogsqlQuery {
  const extra: Filter[] = []
  for (const [name, isStream] of [
    ['extra_filters', false],
    ['extra_stream_filters', true],
  ] as const)
    for (const text of form.getAll(name)) if (text !== '') extra.push(extraFilter(name, text, isStream, nowNs))
  return extra.length === 0 ? query : narrowed(query, extra)
}

function extraFilter(name: string, text: string, isStream: boolean, nowNs: bigint): Filter {
  const source = text.startsWith('{"') ? filterOfObject(name, text, isStream) : text
  const { filter, pipes } = parseLogsql(source, nowNs)
  if (pipes.length > 0) throw new BadDataError(`the parameter ${quote(name)} takes filters, no pipes`)
  return filter
}

/** `{"field":"value"}` and `{"field":["one","another"]}` as a filter's text. */
function filterOfObject(name: string, text: string, isStream: boolean): string {
  const parts = fieldsOfObject(name, text).map(([field, value]) => {
    const values = Array.isArray(value) ? value : [value]
    if (values.length === 0 || values.some(one => typeof one !== 'string'))
      throw new BadDataError(`the parameter ${quote(name)} must have texts or lists of texts as values`)
    const texts = values as string[]
    const key = JSON.stringify(field)
    if (texts.length === 1)
      return isStream ? `${key}=${JSON.stringify(texts[0])}` : `${key}:=${JSON.stringify(texts[0])}`
    if (!isStream) return `${key}:in(${texts.map(one => JSON.stringify(one)).join(',')})`
    return `${key}=~${JSON.stringify(texts.map(one => one.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&')).join('|'))}`
  })
  return isStream ? `{${parts.join(',')}}` : parts.join(' ')
}

function fieldsOfObject(name: string, text: string): [string, unknown][] {
  try {
    return Object.entries(parseJson(text) as object)
  } catch {
    throw new BadDataError(`the parameter ${quote(name)} is no JSON: ${quote(text)}`)
  }
}

function narrowed(query: LogsqlQuery, extra: readonly Filter[]): LogsqlQuery {
  return {
    ...query,
    filter: { kind: 'and', parts: [...extra, ...narrowedFilter(query.filter, extra)] },
    pipes: query.pipes.map(pipe => narrowedPipe(pipe, extra)),
  }
}

function narrowedPipe(pipe: Pipe, extra: readonly Filter[]): Pipe {
  return pipe.kind === 'join' || pipe.kind === 'union' ? { ...pipe, query: narrowed(pipe.query, extra) } : pipe
}

/** The parts of a filter; the queries within them have the extra filters, too. */
function narrowedFilter(filter: Filter, extra: readonly Filter[]): Filter[] {
  const within = (inner: Filter): Filter => {
    switch (inner.kind) {
      case 'and':
      case 'or':
        return { kind: inner.kind, parts: inner.parts.map(within) }
      case 'not':
        return { kind: 'not', inner: within(inner.inner) }
      case 'in-query':
        return { ...inner, query: narrowed(inner.query, extra) }
      default:
        return inner
    }
  }
  const changed = within(filter)
  return changed.kind === 'and' ? changed.parts : [changed]
}

/** What a query asks, without what its pipes make of it. */
export function withoutPipes(query: LogsqlQuery): LogsqlQuery {
  return { ...query, pipes: [] }
}

export function refuse(message: string): never {
  throw new BadQueryError(message, 0, 0)
}
