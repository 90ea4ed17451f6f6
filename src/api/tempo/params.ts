/** Parameters of Tempo's API. Source: docs/http-api.md. */
import { BadDataError, BadQueryError } from '#core/errors.ts'
import { goDuration } from '#core/duration.ts'
import { quote } from '#core/text.ts'
import type {
  CompareOp,
  Field,
  FieldExpr,
  Hints,
  Literal,
  MetricsExpr,
  Stage,
  TraceqlQuery,
} from '#lang/traceql/ast.ts'
import { parseField, parseTraceql } from '#lang/traceql/parser.ts'
import { readLogfmt } from './logfmt.ts'

export interface TimeRange {
  fromMs: number
  throughMs: number
}

const searchRangeMaxMs = 168 * 3_600_000

function seconds(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  if (!/^\d+$/.test(text))
    throw new BadDataError(`invalid ${name}: strconv.ParseInt: parsing ${quote(text)}: invalid syntax`)
  return Number(text)
}

/** `start` and `end`, in Unix seconds: both or none; 0 is none. */
export function timeRange(form: URLSearchParams): TimeRange {
  const start = seconds(form, 'start')
  const end = seconds(form, 'end')
  if (start !== undefined && end !== undefined && start !== 0 && end !== 0 && end <= start)
    throw new BadDataError(`http parameter start must be before end. received start=${start} end=${end}`)
  return {
    fromMs: start === undefined || start === 0 ? -Infinity : start * 1000,
    throughMs: end === undefined || end === 0 ? Infinity : end * 1000,
  }
}

/** The time of a search: both ends or none, and a week at most. */
export function searchRange(form: URLSearchParams): TimeRange {
  const start = countParam(form, 'start')
  const end = countParam(form, 'end')
  if (start === undefined && end !== undefined && end !== 0)
    throw new BadDataError('error parsing date range: only one of start and end provided: must provide both or neither')
  if ((start ?? 0) !== 0 && (end ?? 0) <= start!)
    throw new BadDataError(`http parameter start must be before end. received start=${start} end=${end ?? 0}`)
  const most = `${searchRangeMaxMs / 3_600_000}h0m0s`
  if ((end ?? 0) !== 0 && (end! - (start ?? 0)) * 1000 > searchRangeMaxMs)
    throw new BadDataError(`range specified by start and end exceeds ${most}. received start=${start} end=${end}`)
  return timeRange(form)
}

/** The time of questions for tags: both ends or none. */
export function tagRange(form: URLSearchParams): TimeRange {
  const [start, end] = ['start', 'end'].map(name => form.get(name) ?? '')
  if ((start === '') !== (end === ''))
    throw new BadDataError('error parsing date range: only one of start and end provided: must provide both or neither')
  for (const [name, text] of [
    ['start', start],
    ['end', end],
  ] as const)
    if (!/^\d*$/.test(text!))
      throw new BadDataError(
        `error parsing date range: could not parse '${name}' parameter: ` +
          `strconv.ParseInt: parsing ${quote(text!)}: invalid syntax`,
      )
  return timeRange(form)
}

/** A whole number of a parameter; undefined where it is not there. */
export function countParam(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  if (!/^\d+$/.test(text))
    throw new BadDataError(`invalid ${name}: strconv.ParseUint: parsing ${quote(text)}: invalid syntax`)
  return Number(text)
}

/**
 * Tempo's older way to search: key=value pairs in logfmt, and the length of the trace. Each of them is true of some
 * span of the trace, not all of one.
 */
export function legacyStages(form: URLSearchParams): Stage[] {
  const conditions = readLogfmt(form.get('tags') ?? '').map(([key, value]) => tagCondition(key, value))
  const minNs = durationParam(form, 'minDuration')
  const maxNs = durationParam(form, 'maxDuration')
  if (minNs !== 0 && maxNs !== 0 && maxNs <= minNs)
    throw new BadDataError('invalid maxDuration: must be greater than minDuration')
  if (minNs !== 0) conditions.push(ofTraceDuration('>=', minNs))
  if (maxNs !== 0) conditions.push(ofTraceDuration('<=', maxNs))
  if (conditions.length === 0) return [{ kind: 'filter', condition: undefined }]
  const filters = conditions.map((condition): Stage => ({ kind: 'filter', condition }))
  return [filters.reduce((left, right): Stage => ({ kind: 'combine', op: '&&', left: [left], right: [right] }))]
}

/** Nanoseconds, as Go writes them; 0 where it is not there. */
function durationParam(form: URLSearchParams, name: string): number {
  const text = form.get(name)
  if (text === null || text === '') return 0
  const read = goDuration(text)
  if ('error' in read) throw new BadDataError(`invalid ${name}: ${read.error}`)
  return read.ns
}

function ofTraceDuration(op: '>=' | '<=', ns: number): FieldExpr {
  return compared('traceDuration', op, { type: 'duration', value: ns })
}

function compared(field: string, op: CompareOp, literal: Literal): FieldExpr {
  return { kind: 'compare', op, left: { kind: 'field', field: parseField(field) }, right: { kind: 'literal', literal } }
}

/** Tags that are looked for within a text. */
const containedFields: ReadonlyMap<string, string> = new Map([
  ['name', 'name'],
  ['root.name', 'rootName'],
  ['root.service.name', 'rootServiceName'],
  ['service.name', 'resource.service.name'],
])

function tagCondition(key: string, value: string): FieldExpr {
  if (key === 'status.code') return statusCondition(value)
  const field = containedFields.get(key)
  if (field !== undefined) return partOf(field, value)
  const isText = compared(attribute(key), '=', { type: 'string', value })
  // The one attribute whose numbers were always asked for by their text.
  if (key !== 'http.status_code' || !/^\d{1,15}$/.test(value)) return isText
  const isNumber = compared(attribute(key), '=', { type: 'int', value: Number(value) })
  return { kind: 'logic', op: '||', left: isText, right: isNumber }
}

function attribute(key: string): string {
  return `."${key.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function partOf(name: string, value: string): FieldExpr {
  const escaped = value.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&')
  return compared(name, '=~', { type: 'string', value: `(?s).*${escaped}.*` })
}

function statusCondition(value: string): FieldExpr {
  const code = ['unset', 'ok', 'error'].indexOf(value)
  if (code < 0) throw new BadDataError(`invalid tags: the status ${quote(value)} is not known; error, ok and unset are`)
  return compared('status', '=', { type: 'status', value: code })
}

/** What `q`, or the older parameters, ask for. */
export function searchQuery(form: URLSearchParams): { stages: Stage[]; hints: Hints; isLegacy: boolean } {
  const q = form.get('q') ?? ''
  const legacy = legacyStages(form)
  if (q === '') return { stages: legacy, hints: new Map(), isLegacy: true }
  if ((form.get('tags') ?? '') !== '')
    throw new BadDataError("invalid request: can't specify tags and q in the same query")
  const parsed = parsedSearch(q)
  const stages = parsed.kind === 'metrics' ? searchedStages(parsed.expr) : parsed.stages
  return { stages, hints: parsed.hints, isLegacy: false }
}

function parsedSearch(q: string): TraceqlQuery {
  try {
    return parseTraceql(q)
  } catch (error) {
    if (!(error instanceof BadQueryError)) throw error
    throw new BadQueryError(`invalid TraceQL query: ${error.message}`, error.from, error.to)
  }
}

/** A search passes the metrics of a pipeline over. */
function searchedStages(expr: MetricsExpr): Stage[] {
  if (expr.kind === 'pipeline') return expr.stages
  throw new BadDataError('invalid TraceQL query: arithmetic of metrics is answered by /api/metrics/query_range')
}

/** An id of up to 32 hexadecimal digits; zeros before it may be missing. */
export function traceId(text: string): Uint8Array {
  const wrong = /[^0-9a-fA-F]/u.exec(text)
  if (wrong !== null)
    throw new BadDataError(
      `trace IDs can only contain hex characters: invalid character '${wrong[0]}' at position ${wrong.index + 1}`,
    )
  if (text.length > 32) throw new BadDataError("trace IDs can't be larger than 128 bits")
  return Buffer.from(text.padStart(32, '0'), 'hex')
}

/** A field by itself, as a path names it. */
export function tagField(name: string): Field {
  try {
    return parseField(name)
  } catch (error) {
    if (!(error instanceof BadQueryError)) throw error
    throw new BadDataError(`please provide a valid tagName: failed to parse identifier ${name}: ${fieldError(name)}`)
  }
}

/** Why a text is no field, where a filter would have one. */
function fieldError(name: string): string {
  try {
    parseTraceql(`{${name}`)
  } catch (error) {
    if (error instanceof BadQueryError) return error.message
    throw error
  }
  return 'no attribute or intrinsic'
}
