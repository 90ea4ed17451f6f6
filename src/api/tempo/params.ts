/** Parameters of Tempo's API. Source: docs/http-api.md. */
import { BadDataError } from '#core/errors.ts'
import { parseDurationMs } from '#core/duration.ts'
import { quote } from '#core/text.ts'
import type { FieldExpr, Stage } from '#lang/traceql/ast.ts'
import { parseField, parseTraceql } from '#lang/traceql/parser.ts'

export interface TimeRange {
  fromMs: number
  throughMs: number
}

const searchRangeMaxMs = 168 * 3_600_000

function seconds(form: URLSearchParams, name: string): number | undefined {
  const text = form.get(name)
  if (text === null || text === '') return undefined
  if (!/^\d+$/.test(text)) throw new BadDataError(`invalid ${name}: ${quote(text)} is no time in Unix seconds`)
  return Number(text) === 0 ? undefined : Number(text) * 1000
}

/** `start` and `end`, in Unix seconds: both or none. */
export function timeRange(form: URLSearchParams, isSearch: boolean): TimeRange {
  const start = seconds(form, 'start'),
    end = seconds(form, 'end')
  if (start !== undefined && end !== undefined) {
    if (end <= start)
      throw new BadDataError(
        `http parameter start must be before end. received start=${start / 1000} end=${end / 1000}`,
      )
    if (isSearch && end - start > searchRangeMaxMs)
      throw new BadDataError(
        `range specified by start and end (${(end - start) / 3_600_000}h) exceeds ${searchRangeMaxMs / 3_600_000}h`,
      )
  }
  return { fromMs: start ?? -Infinity, throughMs: end ?? Infinity }
}

export function countParam(form: URLSearchParams, name: string, fallback: number, most: number): number {
  const text = form.get(name)
  if (text === null || text === '') return fallback
  if (!/^\d+$/.test(text)) throw new BadDataError(`invalid ${name}: ${quote(text)} is no count`)
  if (Number(text) === 0) throw new BadDataError(`invalid ${name}: must be a positive number`)
  if (Number(text) > most) throw new BadDataError(`${name} ${text} exceeds max ${name} ${most}`)
  return Number(text)
}

/** Tempo's older way to search: key=value pairs in logfmt that spans or resources have, as parts of their values. */
export function legacyStages(form: URLSearchParams): Stage[] {
  const stages: Stage[] = []
  const tags = form.get('tags') ?? ''
  let condition: FieldExpr | undefined
  for (const [, key = '', quoted, bare = ''] of tags.matchAll(/([^\s=]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g)) {
    const value = quoted === undefined ? bare : quoted.replaceAll(/\\(.)/g, '$1')
    const one = key === 'status.code' ? statusCondition(value) : partOf(legacyFields.get(key) ?? attribute(key), value)
    condition = condition === undefined ? one : { kind: 'logic', op: '&&', left: condition, right: one }
  }
  for (const [name, op] of [
    ['minDuration', '>='],
    ['maxDuration', '<='],
  ] as const) {
    const text = form.get(name)
    if (text === null || text === '') continue
    const ms = parseDurationMs(text)
    if (ms === undefined) throw new BadDataError(`invalid ${name}: time: invalid duration ${quote(text)}`)
    const one: FieldExpr = {
      kind: 'compare',
      op,
      left: { kind: 'field', field: parseField('traceDuration') },
      right: { kind: 'literal', literal: { type: 'duration', value: ms * 1e6 } },
    }
    condition = condition === undefined ? one : { kind: 'logic', op: '&&', left: condition, right: one }
  }
  stages.push({ kind: 'filter', condition })
  return stages
}

/** Tags that are no attributes. */
const legacyFields: ReadonlyMap<string, string> = new Map([
  ['name', 'name'],
  ['root.name', 'rootName'],
  ['root.service.name', 'rootServiceName'],
])

function attribute(key: string): string {
  return `."${key.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function partOf(name: string, value: string): FieldExpr {
  const escaped = value.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&')
  return {
    kind: 'compare',
    op: '=~',
    left: { kind: 'field', field: parseField(name) },
    right: { kind: 'literal', literal: { type: 'string', value: `(?s).*${escaped}.*` } },
  }
}

function statusCondition(value: string): FieldExpr {
  const code = ['unset', 'ok', 'error'].indexOf(value)
  if (code < 0) throw new BadDataError(`invalid tags: the status ${quote(value)} is not known; error, ok and unset are`)
  return {
    kind: 'compare',
    op: '=',
    left: { kind: 'field', field: parseField('status') },
    right: { kind: 'literal', literal: { type: 'status', value: code } },
  }
}

/** What `q`, or the older parameters, ask for. */
export function searchQuery(form: URLSearchParams): {
  stages: Stage[]
  hints: ReadonlyMap<string, import('#lang/traceql/ast.ts').Literal>
} {
  const q = form.get('q') ?? ''
  const isLegacy = ['tags', 'minDuration', 'maxDuration'].some(name => (form.get(name) ?? '') !== '')
  if (q === '') return { stages: legacyStages(form), hints: new Map() }
  if (isLegacy && (form.get('tags') ?? '') !== '')
    throw new BadDataError("invalid request: can't specify tags and q in the same query")
  const parsed = parseTraceql(q)
  if (parsed.kind === 'metrics')
    throw new BadDataError('invalid TraceQL query: a metrics query is answered by /api/metrics/query_range')
  return { stages: parsed.stages, hints: parsed.hints }
}

export function traceId(text: string): Uint8Array {
  if (!/^[0-9a-fA-F]{1,32}$/.test(text))
    throw new BadDataError(`trace IDs can only contain hex characters, 32 at most: ${quote(text.slice(0, 100))}`)
  return Buffer.from(text.padStart(32, '0'), 'hex')
}
