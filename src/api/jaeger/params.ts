/** Parameters of Jaeger's query service, as conditions of TraceQL. */
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import type { FieldExpr, Literal, Stage } from '#lang/traceql/ast.ts'
import { parseField } from '#lang/traceql/parser.ts'
import type { SearchRequest } from '#query/traceql/search.ts'

const defaultLimit = 20
const limitMax = 1500
const defaultLookbackMs = 3_600_000

/** In the order of their numbers. */
export const spanKinds: readonly string[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

/** The search that the parameters of /api/traces ask for. Throws BadDataError. */
export function readSearch(query: URLSearchParams, nowMs: number): SearchRequest {
  // Each condition may hold in another place of the span: in its attributes, its resource's, or one of its events.
  const stages = conditionsOf(query).map((condition): Stage => ({ kind: 'filter', condition }))
  const throughMs = microsParam(query, 'end') ?? nowMs
  const fromMs = microsParam(query, 'start') ?? throughMs - defaultLookbackMs
  if (fromMs > throughMs) throw new BadDataError("'start' must be before 'end'")
  return {
    stages,
    hints: new Map(),
    fromMs,
    throughMs,
    limit: limitParam(query),
    spansPerSet: 1,
  }
}

function conditionsOf(query: URLSearchParams): [FieldExpr, ...FieldExpr[]] {
  const service = query.get('service') ?? ''
  const operation = query.get('operation') ?? ''
  if (service === '') throw new BadDataError("parameter 'service' is required")
  const conditions: [FieldExpr, ...FieldExpr[]] = [
    compare('resource.service.name', '=', { type: 'string', value: service }),
    ...tagsOf(query).map(([key, value]) => tagCondition(key, value)),
  ]
  if (operation !== '' && operation !== 'all')
    conditions.push(compare('name', '=', { type: 'string', value: operation }))
  const least = durationParam(query, 'minDuration')
  const most = durationParam(query, 'maxDuration')
  if (least !== undefined) conditions.push(compare('duration', '>=', { type: 'duration', value: least }))
  if (most !== undefined) conditions.push(compare('duration', '<=', { type: 'duration', value: most }))
  return conditions
}

function limitParam(query: URLSearchParams): number {
  const text = query.get('limit') ?? ''
  if (text !== '' && !/^\d+$/.test(text))
    throw new BadDataError(`unable to parse param 'limit': ${quote(text)} is no count`)
  return Math.min(limitMax, text === '' || text === '0' ? defaultLimit : Number(text))
}

function compare(name: string, op: '=' | '!=' | '>=' | '<=', literal: Literal): FieldExpr {
  return {
    kind: 'compare',
    op,
    left: { kind: 'field', field: parseField(name) },
    right: { kind: 'literal', literal },
  }
}

function joined(op: '||', [first, ...rest]: readonly [FieldExpr, ...FieldExpr[]]): FieldExpr {
  return rest.reduce<FieldExpr>((left, right) => ({ kind: 'logic', op, left, right }), first)
}

/** A tag's value is asked for as a text, whatever the attribute's type is. */
function tagCondition(key: string, value: string): FieldExpr {
  const kind = spanKinds.indexOf(value)
  if (key === 'error' && (value === 'true' || value === 'false'))
    return compare('status', value === 'true' ? '=' : '!=', { type: 'status', value: 2 })
  if (key === 'span.kind' && kind >= 0) return compare('kind', '=', { type: 'kind', value: kind })
  if (key === 'otel.status_code') return compare('status', '=', { type: 'status', value: statusCode(value) })
  if (key === 'otel.status_description') return compare('statusMessage', '=', { type: 'string', value })
  if (key === 'otel.scope.name') return compare('instrumentation:name', '=', { type: 'string', value })
  return attributeCondition(key, value)
}

function statusCode(name: string): number {
  return { ERROR: 2, OK: 1 }[name.toUpperCase()] ?? 0
}

/** The text, or the number or boolean that it spells. */
function attributeCondition(key: string, value: string): FieldExpr {
  const quoted = `"${key.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  const places = [`.${quoted}`, `event.${quoted}`]
  const typed: Literal[] = []
  if (/^-?\d{1,19}$/.test(value)) typed.push({ type: 'int', value: Number(value), ...digitsOf(value) })
  if (/^-?\d{1,15}(\.\d+)?$/.test(value)) typed.push({ type: 'float', value: Number(value) })
  if (value === 'true' || value === 'false') typed.push({ type: 'bool', value: value === 'true' })
  const literals: Literal[] = [{ type: 'string', value }, ...typed]
  const [first, ...rest] = places.flatMap(place => literals.map(literal => compare(place, '=', literal)))
  const all: [FieldExpr, ...FieldExpr[]] = [first!, ...rest]
  // Jaeger's name for that of an event.
  return joined('||', key === 'event' ? [...all, compare('event:name', '=', { type: 'string', value })] : all)
}

/** Of a whole number that a double is not. */
function digitsOf(text: string): { digits?: string } {
  return Number.isSafeInteger(Number(text)) ? {} : { digits: String(BigInt(text)) }
}

function microsParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  if (!/^\d+$/.test(text))
    throw new BadDataError(`unable to parse param '${name}': ${quote(text)} is no time in microseconds`)
  return Number(text) / 1000
}

function durationParam(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  const ms = parseDurationMs(text)
  if (ms === undefined) throw new BadDataError(`unable to parse param '${name}': ${quote(text)} is no duration`)
  return ms * 1e6
}

/** `tag=key:value`, several times, and `tags={"key":"value"}`. */
function tagsOf(query: URLSearchParams): [string, string][] {
  const pairs = query.getAll('tag').map((pair): [string, string] => {
    const colon = pair.indexOf(':')
    if (colon <= 0) throw new BadDataError(`malformed 'tag' parameter, expecting key:value, received: ${pair}`)
    return [pair.slice(0, colon), pair.slice(colon + 1)]
  })
  const objects = query.getAll('tags').filter(text => text !== '')
  return [...pairs, ...objects.flatMap(tagsOfObject)]
}

function tagsOfObject(text: string): [string, string][] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new BadDataError(`malformed 'tags' parameter, cannot unmarshal JSON: ${messageOf(error)}`)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new BadDataError(`malformed 'tags' parameter: a JSON object of texts was expected, ${quote(text)} is none`)
  return Object.entries(json).map(([key, value]) => [key, String(value)])
}
