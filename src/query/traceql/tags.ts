/** Names and values of attributes, from the rows that a time touches. */
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import { workAhead } from '#core/parallel.ts'
import type { Field, FieldExpr, Intrinsic } from '#lang/traceql/ast.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import {
  attributePaths,
  fixedAttributes,
  rowsAhead,
  unlessDamaged,
  type TraceRows,
  type TracesReader,
} from '#traces/select.ts'
import { Budgets, type Budget } from '../budget.ts'
import { textsIn } from './columns.ts'
import { columnsOf, compileCondition, fieldsOf, ownerOf, type SpanTest } from './evaluate.ts'
import { scopePaths, SpanTable, valueType, type FieldColumn, type TagScope, type Value } from './span-table.ts'
import { numberText } from './whole.ts'

/** Names of intrinsics as APIs list them. */
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

/** The names of one scope, sorted. */
export interface FoundTags {
  /** The scope. */
  name: string
  tags: string[]
}

/** A value as text, and the name of its type. */
export interface TagValue {
  type: string
  value: string
}

const valuesMax = 10_000
/** Units of work (Budget.worked) of a value that is read and looked up. */
const unitsOfValue = 16
/** By type of value. */
const typeNames = ['', 'string', 'int', 'float', 'bool', 'duration', 'keyword', 'keyword']

const tagScopes = Object.keys(scopePaths) as TagScope[]

/** Answers which attributes there are, and with which values. */
export class TagFinder {
  readonly #budgets: Budgets

  constructor(clock: Clock, limits: Limits) {
    this.#budgets = new Budgets(clock, limits)
  }

  /** Names of a scope, of all for '' and 'none'. Throws LimitError, TimeoutError and CanceledError. */
  names(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    scope: string,
    signal?: AbortSignal,
  ): Promise<FoundTags[]> {
    return planningAgain(() => this.#namesOnce(reader, range, scope, signal))
  }

  async #namesOnce(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    scope: string,
    signal: AbortSignal | undefined,
  ): Promise<FoundTags[]> {
    const budget = this.#budgets.begin(signal)
    const wanted = tagScopes.filter(s => scope === '' || scope === 'none' || scope === s)
    const found = wanted.map(s => ({ scope: s, path: `${scopePaths[s]}.Attrs.Key`, names: new Set<string>() }))
    if (wanted.length > 0) {
      const open = async (rows: TraceRows) => ({
        rows,
        columns: await unlessDamaged(rows, () =>
          rows.columns([...found.map(f => f.path), ...ownPaths(rows).map(p => p.path)]),
        ),
      })
      const selected = await reader.select(range.fromMs, range.throughMs)
      for await (const { rows, columns } of workAhead(selected, rowsAhead, open)) {
        if (columns === undefined) continue
        for (const { path, names } of found) for (const name of textsIn(columns.get(path))) names.add(name)
        for (const { scope: own, name, path } of ownPaths(rows))
          if ((columns.get(path)?.valueCount ?? 0) > 0) found.find(f => f.scope === own)?.names.add(name)
        await budget.pause()
      }
    }
    const scopes = found
      .map(({ scope: name, names }): FoundTags => ({ name, tags: [...names].sort() }))
      .filter(s => s.tags.length > 0)
    if (scope === '' || scope === 'none' || scope === 'intrinsic')
      scopes.push({ name: 'intrinsic', tags: [...intrinsicNames] })
    return scopes
  }

  /**
   * Values of a field, 10,000 at most; of spans that fit the filter `q` where that can be read. Throws LimitError,
   * TimeoutError and CanceledError.
   */
  values(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    field: Field,
    q: string,
    signal?: AbortSignal,
  ): Promise<TagValue[]> {
    return planningAgain(() => this.#valuesOnce(reader, range, field, q, signal))
  }

  async #valuesOnce(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    field: Field,
    q: string,
    signal: AbortSignal | undefined,
  ): Promise<TagValue[]> {
    const fixed = field.kind === 'intrinsic' ? fixedValues.get(field.name) : undefined
    if (fixed !== undefined) return fixed.map(value => ({ type: 'keyword', value }))
    const budget = this.#budgets.begin(signal)
    const condition = lenientFilter(q)
    const found = new Map<string, TagValue>()
    const open = (rows: TraceRows): Promise<SpanTable | undefined> =>
      unlessDamaged(rows, async () => {
        const opened = await SpanTable.open(rows)
        await opened?.load([field, ...fieldsOf(condition)])
        return opened
      })
    const selected = await reader.select(range.fromMs, range.throughMs)
    for await (const table of workAhead(selected, rowsAhead, open)) {
      if (table === undefined) continue
      const test = condition === undefined ? undefined : compileCondition(condition, table)
      for (const column of columnsOf(table, field)) {
        if (test === undefined) await addAll(found, column, budget)
        else await addWhere(found, column, table, test, budget)
      }
      await budget.pause()
    }
    return [...found.values()]
  }
}

/** Intrinsics with a fixed list of values; none for those whose values are different for almost every span. */
const fixedValues: ReadonlyMap<Intrinsic, readonly string[]> = new Map<Intrinsic, readonly string[]>([
  ['status', ['error', 'ok', 'unset']],
  ['kind', ['client', 'consumer', 'internal', 'producer', 'server', 'unspecified']],
  ['duration', []],
  ['traceDuration', []],
  ['event:timeSinceStart', []],
  ['trace:id', []],
  ['span:id', []],
  ['span:parentID', []],
  ['link:traceID', []],
  ['link:spanID', []],
])

async function addAll(found: Map<string, TagValue>, column: FieldColumn, budget: Budget): Promise<void> {
  for (let owner = 0; owner < column.type.length; owner++) {
    addValues(found, column, owner)
    if (budget.worked(unitsOfValue)) await budget.pause()
  }
}

/** Values of spans that fit the test; of all their events or links. */
async function addWhere(
  found: Map<string, TagValue>,
  column: FieldColumn,
  table: SpanTable,
  test: SpanTest,
  budget: Budget,
): Promise<void> {
  const owner = ownerOf(table, column.level)
  const from = column.level === 'event' ? table.eventFrom : column.level === 'link' ? table.linkFrom : undefined
  for (let i = 0; i < table.spanCount; i++) {
    if (budget.worked(unitsOfValue)) await budget.pause()
    if (!test(i, -1, -1)) continue
    if (from === undefined) addValues(found, column, owner(i, -1, -1))
    else for (let at = from[i]!; at < from[i + 1]!; at++) addValues(found, column, at)
  }
}

function addValues(found: Map<string, TagValue>, column: FieldColumn, owner: number): void {
  const list = column.lists?.get(owner)
  if (list !== undefined) {
    for (const value of list) addValue(found, value)
    return
  }
  const value = column.at(owner)
  if (value !== undefined) addValue(found, value)
}

function addValue(found: Map<string, TagValue>, value: Value): void {
  const text = textOf(value)
  if (found.size < valuesMax) found.set(`${value.type} ${text}`, { type: typeNames[value.type] ?? '', value: text })
}

function textOf({ type, num, text }: Value): string {
  if (type === valueType.string) return text
  return type === valueType.bool ? String(num === 1) : numberText({ num, text })
}

/** Attributes that may have columns of their own. */
function ownPaths(rows: TraceRows): { scope: TagScope; name: string; path: string }[] {
  const list: { scope: TagScope; name: string; path: string }[] = []
  const names: (readonly [TagScope, string])[] = [
    ['resource', 'service.name'],
    ...rows.dedicated.map(d => [d.scope, d.name] as const),
    ...fixedAttributes,
  ]
  for (const [scope, name] of names)
    for (const { path } of attributePaths(rows.dedicated, scope === 'instrumentation' ? 'scope' : scope, name))
      list.push({ scope, name, path })
  return list
}

/** The condition of a single filter, without comparisons that are not complete; undefined where it can't be read. */
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
