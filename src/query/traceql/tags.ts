/** Names and values of attributes, from the rows that a time touches. */
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'
import { textAt, type ColumnData } from '#codec/parquet/column-data.ts'
import type { Field, FieldExpr } from '#lang/traceql/ast.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { attributePaths, type TraceRows, type TracesReader } from '#traces/select.ts'
import { Budget } from '../budget.ts'
import { columnsOf, compileCondition, fieldsOf, ownerOf } from './evaluate.ts'
import { SpanTable, valueType, type Value } from './span-table.ts'

const prefixes = {
  resource: 'rs.Resource',
  span: 'rs.ss.Spans',
  event: 'rs.ss.Spans.Events',
  link: 'rs.ss.Spans.Links',
  instrumentation: 'rs.ss.Scope',
} as const
type TagScope = keyof typeof prefixes

export const intrinsicNames = [
  'duration',
  'event:name',
  'event:timeSinceStart',
  'instrumentation:name',
  'instrumentation:version',
  'kind',
  'link:spanID',
  'link:traceID',
  'name',
  'rootName',
  'rootServiceName',
  'span:duration',
  'span:id',
  'span:kind',
  'span:name',
  'span:parentID',
  'span:status',
  'span:statusMessage',
  'status',
  'statusMessage',
  'trace:duration',
  'trace:id',
  'trace:rootName',
  'trace:rootService',
  'traceDuration',
] as const

const valuesMax = 10_000
const typeNames = ['', 'string', 'int', 'float', 'bool', 'duration', 'keyword', 'keyword']

export class TagFinder {
  readonly #clock: Clock
  readonly #limits: Limits

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  async names(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    scope: string,
    signal?: AbortSignal,
  ): Promise<{ name: string; tags: string[] }[]> {
    const budget = new Budget(this.#clock, this.#limits.querySamplesMax, this.#limits.queryTimeoutMs, signal)
    const wanted = (Object.keys(prefixes) as TagScope[]).filter(s => scope === '' || scope === 'none' || scope === s)
    const found = new Map(wanted.map(s => [s, new Set<string>()]))
    if (wanted.length > 0) {
      for (const rows of await reader.select(range.fromMs, range.throughMs)) {
        const keys = await rows.columns([
          ...wanted.map(s => `${prefixes[s]}.Attrs.Key`),
          ...ownPaths(rows).map(p => p.path),
        ])
        for (const s of wanted)
          for (const name of namesIn(keys.get(`${prefixes[s]}.Attrs.Key`))) found.get(s)!.add(name)
        for (const { scope: own, name, path } of ownPaths(rows))
          if ((keys.get(path)?.valueCount ?? 0) > 0) found.get(own)?.add(name)
        await budget.pause()
      }
    }
    const scopes = wanted
      .map(s => ({ name: s as string, tags: [...found.get(s)!].sort() }))
      .filter(s => s.tags.length > 0)
    if (scope === '' || scope === 'none' || scope === 'intrinsic')
      scopes.push({ name: 'intrinsic', tags: [...intrinsicNames] })
    return scopes
  }

  async values(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    field: Field,
    q: string,
    signal?: AbortSignal,
  ): Promise<{ type: string; value: string }[]> {
    if (field.kind === 'intrinsic') {
      if (field.name === 'status') return ['error', 'ok', 'unset'].map(value => ({ type: 'keyword', value }))
      if (field.name === 'kind')
        return ['client', 'consumer', 'internal', 'producer', 'server', 'unspecified'].map(value => ({
          type: 'keyword',
          value,
        }))
      if (
        [
          'duration',
          'traceDuration',
          'event:timeSinceStart',
          'trace:id',
          'span:id',
          'span:parentID',
          'link:traceID',
          'link:spanID',
        ].includes(field.name)
      )
        return []
    }
    const budget = new Budget(this.#clock, this.#limits.querySamplesMax, this.#limits.queryTimeoutMs, signal)
    const condition = lenientFilter(q)
    const found = new Map<string, { type: string; value: string }>()
    for (const rows of await reader.select(range.fromMs, range.throughMs)) {
      const table = await SpanTable.open(rows)
      if (table === undefined) continue
      await table.load([field, ...fieldsOf(condition)])
      const add = (value: Value): void => {
        const text =
          value.type === valueType.string
            ? value.text
            : value.type === valueType.bool
              ? String(value.num === 1)
              : String(value.num)
        if (found.size < valuesMax) found.set(`${value.type} ${text}`, { type: typeNames[value.type]!, value: text })
      }
      const columns = columnsOf(table, field)
      if (condition === undefined) {
        for (const column of columns)
          for (let i = 0; i < column.type.length; i++) {
            const list = column.lists?.get(i)
            if (list !== undefined) list.forEach(add)
            else {
              const value = column.at(i)
              if (value !== undefined) add(value)
            }
          }
      } else {
        const test = compileCondition(condition, table)
        for (const column of columns) {
          const owner = ownerOf(table, column.level)
          for (let i = 0; i < table.spanCount; i++) {
            if (!test(i, -1, -1)) continue
            const from =
              column.level === 'event' ? table.eventFrom! : column.level === 'link' ? table.linkFrom! : undefined
            const owners =
              from === undefined
                ? [owner(i, -1, -1)]
                : Array.from({ length: from[i + 1]! - from[i]! }, (_, k) => from[i]! + k)
            for (const at of owners) {
              const list = column.lists?.get(at)
              if (list !== undefined) list.forEach(add)
              else {
                const value = column.at(at)
                if (value !== undefined) add(value)
              }
            }
          }
        }
      }
      await budget.pause()
    }
    return [...found.values()]
  }
}

function ownPaths(rows: TraceRows): { scope: TagScope; name: string; path: string }[] {
  const list: { scope: TagScope; name: string; path: string }[] = []
  const names: [TagScope, string][] = [
    ['resource', 'service.name'],
    ...rows.dedicated.map((d): [TagScope, string] => [d.scope, d.name]),
    ...['cluster', 'namespace', 'pod', 'container'].map((n): [TagScope, string] => ['resource', n]),
  ]
  for (const [scope, name] of names)
    for (const { path } of attributePaths(rows.dedicated, scope === 'instrumentation' ? 'scope' : scope, name))
      list.push({ scope, name, path })
  return list
}

function namesIn(data: ColumnData | undefined): Iterable<string> {
  if (data === undefined) return []
  if (data.indices === undefined) return new Set(Array.from({ length: data.valueCount }, (_, k) => textAt(data, k)))
  return Array.from({ length: data.texts!.count }, (_, i) => data.texts!.text(i))
}

/** A single filter; conditions that are not complete are left out, and what can't be read is no filter. */
function lenientFilter(q: string): FieldExpr | undefined {
  if (q.trim() === '') return undefined
  const attempts = [
    q,
    q
      .replaceAll(/(?:&&|\|\|)?\s*[^\s{}&|]+\s*(?:=~|!~|!=|>=|<=|=|>|<)\s*(?=}|&&|\|\|)/g, '')
      .replace(/{\s*(?:&&|\|\|)/, '{'),
  ]
  for (const attempt of attempts) {
    try {
      const parsed = parseTraceql(attempt)
      const [stage] = parsed.kind === 'search' ? parsed.stages : []
      if (parsed.kind === 'search' && parsed.stages.length === 1 && stage?.kind === 'filter') return stage.condition
    } catch {
      // The next attempt, or none.
    }
  }
  return undefined
}
