/** Names and values of attributes, from the rows that a time touches. */
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import { workAhead } from '#core/parallel.ts'
import type { Field, FieldExpr, Intrinsic } from '#lang/traceql/ast.ts'
import { fieldKey } from '#lang/traceql/fields.ts'
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
import {
  columnsOf,
  compileCondition,
  compileWithin,
  fieldsOf,
  ownerOf,
  type SpanTest,
  type ValueTest,
} from './evaluate.ts'
import { mentionsOf } from './shown.ts'
import {
  firstChild,
  hasOwn,
  namesOf,
  scopePaths,
  SpanTable,
  valueType,
  type FieldColumn,
  type AttributeLevel,
  type Level,
  type TagScope,
  type Value,
} from './span-table.ts'
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

  /**
   * Names of a scope, of all for '' and 'none'; of spans that fit the filter `q` where that can be read. Throws
   * LimitError, TimeoutError and CanceledError.
   */
  names(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    scope: string,
    q: string,
    signal?: AbortSignal,
  ): Promise<FoundTags[]> {
    return planningAgain(() => this.#namesOnce(reader, range, scope, q, signal))
  }

  async #namesOnce(
    reader: TracesReader,
    range: { fromMs: number; throughMs: number },
    scope: string,
    q: string,
    signal: AbortSignal | undefined,
  ): Promise<FoundTags[]> {
    const budget = this.#budgets.begin(signal)
    const condition = lenientFilter(q)
    const wanted = tagScopes.filter(s => scope === '' || scope === 'none' || scope === s)
    const found = wanted.map((s): ScopeNames => ({ scope: s, names: new Set() }))
    if (wanted.length > 0) {
      const open = async (rows: TraceRows) => ({
        rows,
        opened: await unlessDamaged(rows, () => openNames(rows, found, condition)),
      })
      const selected = await reader.select(range.fromMs, range.throughMs, 'parted')
      for await (const { rows, opened } of workAhead(selected, rowsAhead, open)) {
        if (opened === undefined) continue
        if (opened.table !== undefined && condition !== undefined)
          addNamesWhere(found, opened.columns, opened.table, condition)
        else addNames(found, rows, opened.columns)
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
    const found = new FoundValues()
    const open = (rows: TraceRows): Promise<SpanTable | undefined> =>
      unlessDamaged(rows, async () => {
        const fields = [field, ...scopedInstrumentation(field), ...fieldsOf(condition)]
        const opened = await SpanTable.open(rows, fields)
        await opened?.load(fields)
        return opened
      })
    const selected = await reader.select(range.fromMs, range.throughMs, 'parted')
    for await (const table of workAhead(selected, rowsAhead, open)) {
      if (table === undefined) continue
      for (const column of tagColumns(table, field)) {
        if (condition === undefined) await addAll(found, column, table, budget)
        else await addWhere(found, column, table, condition, valueFilter(condition, field), budget)
      }
      await budget.pause()
    }
    return found.all()
  }
}

interface ScopeNames {
  scope: TagScope
  names: Set<string>
}

type Columns = Awaited<ReturnType<TraceRows['columns']>>

const keyPath = (scope: TagScope): string => `${scopePaths[scope]}.Attrs.Key`

async function openNames(
  rows: TraceRows,
  found: readonly ScopeNames[],
  condition: FieldExpr | undefined,
): Promise<{ columns: Columns; table: SpanTable | undefined }> {
  const own = ownPaths(rows)
  const columns = await rows.columns([...found.map(f => keyPath(f.scope)), ...own.map(p => p.path)])
  if (condition === undefined) return { columns, table: undefined }
  const table = await SpanTable.open(rows)
  const places: readonly Intrinsic[] = ['event:name', 'link:spanID']
  const fields = places.map((name): Field => ({ kind: 'intrinsic', name, text: name }))
  await table?.load([...fieldsOf(condition), ...fields])
  return { columns, table }
}

function addNames(found: readonly ScopeNames[], rows: TraceRows, columns: Columns): void {
  for (const { scope, names } of found) for (const name of textsIn(columns.get(keyPath(scope)))) names.add(name)
  for (const { scope, name, path } of ownPaths(rows))
    if ((columns.get(path)?.valueCount ?? 0) > 0) found.find(f => f.scope === scope)?.names.add(name)
}

/** Names that spans which fit the test have, or their resources, scopes, events and links. */
function addNamesWhere(found: readonly ScopeNames[], columns: Columns, table: SpanTable, condition: FieldExpr): void {
  const test = compileCondition(condition, table)
  const within = compileWithin(condition, table)
  const fitting: number[] = []
  for (let i = 0; i < table.spanCount; i++) if (test(i, -1, -1)) fitting.push(i)
  const own = ownPaths(table.rows)
  for (const { scope, names } of found) {
    const level: AttributeLevel = scope === 'instrumentation' ? 'scope' : scope
    const owners = ownersOf(table, level, fitting, within)
    const key = columns.get(keyPath(scope))
    if (key !== undefined) for (const name of namesOf(key, level, owners)) names.add(name)
    for (const { name, path } of own.filter(o => o.scope === scope)) {
      const data = columns.get(path)
      if (data !== undefined && data.valueCount > 0 && hasOwn(data, level, owners)) names.add(name)
    }
  }
}

/** By owner of the level: 1 when it belongs to one of the spans; an event or a link has to pass `within`, too. */
function ownersOf(table: SpanTable, level: AttributeLevel, spans: readonly number[], within: SpanTest): Uint8Array {
  const from = childrenOf(table, level)
  const owners = new Uint8Array(table.countOf(level))
  const owner = ownerOf(table, level)
  for (const i of spans) {
    if (from === undefined) owners[owner(i, -1, -1)] = 1
    else for (let at = from[i]!; at < from[i + 1]!; at++) if (fitsWithin(table, level, i, at, within)) owners[at] = 1
  }
  return owners
}

function childrenOf(table: SpanTable, level: Level): Int32Array | undefined {
  return level === 'event' ? table.eventFrom : level === 'link' ? table.linkFrom : undefined
}

/** Whether the condition holds of event or link `at` of a span. */
function fitsWithin(table: SpanTable, level: Level, i: number, at: number, within: SpanTest): boolean {
  const e = level === 'event' ? at : firstChild(table.eventFrom, i)
  const l = level === 'link' ? at : firstChild(table.linkFrom, i)
  return within(i, e, l)
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

async function addAll(found: FoundValues, column: FieldColumn, table: SpanTable, budget: Budget): Promise<void> {
  const { spanFrom } = table
  for (let owner = 0; owner < column.type.length; owner++) {
    // A trace none of whose spans is shown has no root either, whose name would be empty.
    const isShown = column.level !== 'trace' || spanFrom[owner]! < spanFrom[owner + 1]!
    if (isShown) addValues(found, column, owner)
    if (budget.worked(unitsOfValue)) await budget.pause()
  }
}

/** An attribute without scope is one of the instrumentation's too, as far as names and values are asked for. */
function scopedInstrumentation(field: Field): Field[] {
  return field.kind === 'attribute' && field.scope === 'any' ? [{ ...field, scope: 'instrumentation' }] : []
}

function tagColumns(table: SpanTable, field: Field): FieldColumn[] {
  return [...columnsOf(table, field), ...scopedInstrumentation(field).map(one => table.column(one))]
}

/** Where the condition compares the field itself, only values that fit are wanted. */
function valueFilter(condition: FieldExpr, field: Field): ValueTest | undefined {
  const own = mentionsOf([{ kind: 'filter', condition }]).find(m => fieldKey(m.field) === fieldKey(field))
  if (own === undefined || own.isWhole || own.isSelected || own.tests.length === 0) return undefined
  return (type, num, text) => own.tests.some(fits => fits(type, num, text))
}

/** Values of spans that fit the condition; of those of their events and links that do. */
async function addWhere(
  found: FoundValues,
  column: FieldColumn,
  table: SpanTable,
  condition: FieldExpr,
  fits: ValueTest | undefined,
  budget: Budget,
): Promise<void> {
  const owner = ownerOf(table, column.level)
  const { level } = column
  const from = childrenOf(table, level)
  const test = compileCondition(condition, table)
  const within = compileWithin(condition, table)
  for (let i = 0; i < table.spanCount; i++) {
    if (budget.worked(unitsOfValue)) await budget.pause()
    if (!test(i, -1, -1)) continue
    if (from === undefined) addValues(found, column, owner(i, -1, -1), fits)
    else
      for (let at = from[i]!; at < from[i + 1]!; at++)
        if (fitsWithin(table, level, i, at, within)) addValues(found, column, at, fits)
  }
}

function addValues(found: FoundValues, column: FieldColumn, owner: number, fits?: ValueTest): void {
  const list = column.lists?.get(owner)
  if (list === undefined) addFitting(found, column.type[owner]!, column.num[owner]!, column.text[owner] ?? '', fits)
  else for (const { type, num, text } of list) addFitting(found, type, num, text, fits)
}

function addFitting(found: FoundValues, type: number, num: number, text: string, fits: ValueTest | undefined): void {
  if (type !== valueType.none && (fits === undefined || fits(type, num, text))) found.add(type, num, text)
}

/** Different values, in the order in which they were found. */
class FoundValues {
  readonly #values = new Map<string, TagValue>()
  readonly #texts = new Set<string>()
  /** By type, numbers that need no digits. */
  readonly #numbers: (Set<number> | undefined)[] = []

  add(type: number, num: number, text: string): void {
    if (this.#values.size >= valuesMax) return
    if (type === valueType.string) {
      if (this.#texts.has(text)) return
      this.#texts.add(text)
    } else if (text === '') {
      const numbers = (this.#numbers[type] ??= new Set())
      if (numbers.has(num)) return
      numbers.add(num)
    }
    const value = textOf({ type, num, text })
    this.#values.set(`${type} ${value}`, { type: typeNames[type] ?? '', value })
  }

  all(): TagValue[] {
    return [...this.#values.values()]
  }
}

function textOf({ type, num, text }: Value): string {
  if (type === valueType.string) return text
  if (type === valueType.bool) return String(num === 1)
  return type === valueType.float ? floatText(num) : numberText({ num, text })
}

/** A double that is whole shows that it is none of the integers. */
function floatText(num: number): string {
  const text = String(num).replace(/e([+-])(\d)$/, 'e$10$2')
  return /^-?\d+$/.test(text) ? `${text}.0` : text
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
      const others = parsed.kind === 'search' ? parsed.stages.slice(1) : []
      if (stage?.kind === 'filter' && others.every(other => other.kind !== 'filter')) return stage.condition
    } catch {
      // The next attempt, or none.
    }
  }
  return undefined
}
