/** TraceQL searches over the rows of memory and blocks. */
import { bytesAt, textAt, type ColumnData } from '#codec/parquet/column-data.ts'
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import { workAhead } from '#core/parallel.ts'
import type { Field, Hints, Stage } from '#lang/traceql/ast.ts'
import { rowsAhead, unlessDamaged, type TraceRows, type TracesReader } from '#traces/select.ts'
import { Budgets, type Budget } from '../budget.ts'
import { columnAt, intsOf, levelsOf, longsOf, traceIdText } from './columns.ts'
import { requiredTexts } from './required-texts.ts'
import { mentionsOf, shownReader, type Mention, type ShownValues } from './shown.ts'
import { SpanTable, valueType, type Required, type Value } from './span-table.ts'
import { compileStages, fieldsOfStages, type Spanset } from './spansets.ts'

/** A span of a result; `name` and attributes only where the query mentions them. */
export interface FoundSpan {
  id: string
  name: string | undefined
  startNs: bigint
  durationNs: number
  attributes: readonly ShownValues[]
}
/** A spanset of a result: `matched` counts the spans before they are cut to spansPerSet. */
export interface FoundSet {
  spans: FoundSpan[]
  matched: number
  attributes: readonly { key: string; value: Value | readonly Value[] | undefined }[]
}
/** A trace of a result; `id` is hexadecimal without leading zeros. */
export interface FoundTrace {
  id: string
  rootService: string
  rootName: string
  startNs: bigint
  endNs: bigint
  sets: FoundSet[]
  services: Map<string, { spans: number; errors: number }>
}

/** A search over a time. */
export interface SearchRequest {
  stages: readonly Stage[]
  hints: Hints
  /** Inclusive milliseconds; infinite for no bound. */
  fromMs: number
  throughMs: number
  limit: number
  spansPerSet: number
}

/** The traces, spans, bytes and row groups that a query read. */
export interface SearchStats {
  traces: number
  spans: number
  bytes: number
  blocks: number
}
export interface SearchResult {
  traces: FoundTrace[]
  stats: SearchStats
}

function addStats(into: SearchStats, more: SearchStats): void {
  into.traces += more.traces
  into.spans += more.spans
  into.bytes += more.bytes
  into.blocks += more.blocks
}

const timePaths = ['StartTimeUnixNano', 'EndTimeUnixNano']
/** What a search reads whatever it looks for. Ids tell rows that are one trace. */
const readPaths = [...timePaths, 'TraceID']

/** Fields that results show apart from the attributes. */
const shownApart: ReadonlySet<string> = new Set([
  'name',
  'duration',
  'traceDuration',
  'rootName',
  'rootServiceName',
  'trace:id',
  'span:id',
])

/** By the column of their starts: the rows of a row group, those that began last first. */
const orders = new WeakMap<BigInt64Array, Uint32Array>()

function newestFirst(starts: BigInt64Array): Uint32Array {
  let order = orders.get(starts)
  if (order !== undefined) return order
  // Doubles tell most times apart, and are compared much faster.
  const rough = Float64Array.from(starts, Number)
  order = Uint32Array.from(starts, (_, row) => row).sort(
    (a, b) => rough[b]! - rough[a]! || (starts[a]! === starts[b]! ? a - b : starts[a]! < starts[b]! ? 1 : -1),
  )
  orders.set(starts, order)
  return order
}

/** Traces of rows that match: memory may have several rows of one. */
class MatchedTraces {
  readonly #ids: ColumnData
  readonly #matched = new Set<string>()

  constructor(ids: ColumnData) {
    this.#ids = ids
  }

  get size(): number {
    return this.#matched.size
  }
  has(row: number): boolean {
    return this.#matched.has(traceIdText(this.#ids, row))
  }
  add(row: number): void {
    this.#matched.add(traceIdText(this.#ids, row))
  }
}

/** Answers TraceQL searches. */
export class TraceSearch {
  readonly #budgets: Budgets

  constructor(clock: Clock, limits: Limits) {
    this.#budgets = new Budgets(clock, limits)
  }

  /**
   * Traces that match, newest first: of the newest rows that have as many as the limit, or of all with the hint
   * `most_recent`. `onPart` is called with what each row group adds. Throws LimitError, TimeoutError and CanceledError.
   */
  run(
    request: SearchRequest,
    reader: TracesReader,
    signal?: AbortSignal,
    onPart?: (traces: readonly FoundTrace[]) => void,
  ): Promise<SearchResult> {
    return planningAgain(() => this.#runOnce(request, reader, signal, onPart))
  }

  async #runOnce(
    request: SearchRequest,
    reader: TracesReader,
    signal: AbortSignal | undefined,
    onPart: ((traces: readonly FoundTrace[]) => void) | undefined,
  ): Promise<SearchResult> {
    const budget = this.#budgets.begin(signal)
    const stats: SearchStats = { traces: 0, spans: 0, bytes: 0, blocks: 0 }
    const found = new Map<string, FoundTrace>()
    const isNewest = request.hints.get('most_recent')?.type === 'bool'
    const needed = fieldsOfStages(request.stages)
    const mentioned = mentionsOf(request.stages)
    const required = requiredTexts(request.stages)
    const search = async (rows: TraceRows): Promise<{ part: FoundTrace[]; own: SearchStats }> => {
      const own: SearchStats = { traces: 0, spans: 0, bytes: rows.toldBytes ?? rows.bytes, blocks: 1 }
      const part = await unlessDamaged(rows, () =>
        this.#searchRows(rows, request, needed, mentioned, required, own, budget),
      )
      return { part: part ?? [], own }
    }
    for await (const { part, own } of workAhead(
      await reader.select(request.fromMs, request.throughMs),
      rowsAhead,
      search,
    )) {
      addStats(stats, own)
      for (const trace of part) {
        const known = found.get(trace.id)
        found.set(trace.id, known === undefined ? trace : joined(known, trace, request.spansPerSet))
      }
      if (part.length > 0) onPart?.(part)
      await budget.pause()
      if (!isNewest && found.size >= request.limit) break
    }
    const traces = [...found.values()]
      .sort((a, b) => (a.startNs < b.startNs ? 1 : a.startNs > b.startNs ? -1 : a.id < b.id ? -1 : 1))
      .slice(0, request.limit)
    return { traces, stats }
  }

  async #searchRows(
    rows: TraceRows,
    request: SearchRequest,
    needed: readonly Field[],
    mentioned: readonly Mention[],
    required: readonly Required[],
    stats: SearchStats,
    budget: Budget,
  ): Promise<FoundTrace[]> {
    const table = await SpanTable.open(rows, needed, readPaths)
    if (table === undefined) return []
    if (!(await table.load(needed, required))) return []
    const times = await rows.columns(timePaths)
    const starts = longsOf(columnAt(times, 'StartTimeUnixNano'))
    const ends = longsOf(columnAt(times, 'EndTimeUnixNano'))
    const fromNs = request.fromMs === -Infinity ? undefined : BigInt(Math.floor(request.fromMs)) * 1_000_000n
    const throughNs = request.throughMs === Infinity ? undefined : BigInt(Math.ceil(request.throughMs)) * 1_000_000n
    const run = compileStages(request.stages, table)
    const matches: { row: number; sets: Spanset[] }[] = []
    const matched = rows.isInMemory
      ? new MatchedTraces(columnAt(await rows.columns(['TraceID']), 'TraceID'))
      : undefined
    for (const row of newestFirst(starts)) {
      if ((matched?.size ?? matches.length) >= request.limit) {
        if (matched === undefined) break
        if (!matched.has(row)) continue
      }
      if ((throughNs !== undefined && starts[row]! > throughNs) || (fromNs !== undefined && ends[row]! < fromNs))
        continue
      const from = table.spanFrom[row]!
      const to = table.spanFrom[row + 1]!
      if (from === to) continue
      stats.traces++
      stats.spans += to - from
      const sets = run(from, to)
      if (sets.length > 0) {
        budget.takeBytes(bytesOf(sets))
        matches.push({ row, sets })
        matched?.add(row)
      }
      if (budget.worked(unitsOfRow + unitsOfSpan * request.stages.length * (to - from))) await budget.pause()
    }
    if (matches.length === 0) return []
    matches.sort((a, b) => a.row - b.row)
    return this.#layOut(table, matches, mentioned, request.spansPerSet, starts, ends, budget)
  }

  async #layOut(
    table: SpanTable,
    matches: readonly { row: number; sets: Spanset[] }[],
    mentioned: readonly Mention[],
    spansPerSet: number,
    starts: BigInt64Array,
    ends: BigInt64Array,
    budget: Budget,
  ): Promise<FoundTrace[]> {
    await table.load(mentioned.map(m => m.field))
    const columns = await table.rows.columns(shownPaths)
    const ids = columnAt(columns, 'TraceID')
    const services = columnAt(columns, 'RootServiceName')
    const roots = columnAt(columns, 'RootSpanName')
    const statsOf = serviceStats(columns, table.rows.rows)
    const spanOf = spanReader(columns, table, mentioned)
    const found: FoundTrace[] = []
    for (const { row, sets } of matches) {
      const own = sets.map(({ spans, attributes }) => ({
        spans: spans.slice(0, spansPerSet).map(spanOf),
        matched: spans.length,
        attributes,
      }))
      const shown = own.reduce((sum, set) => sum + set.spans.length, 0)
      budget.takeBytes(bytesOfTrace + bytesOfSpan * shown)
      if (budget.worked(unitsOfShownSpan * (1 + shown))) await budget.pause()
      found.push({
        id: traceIdText(ids, row),
        rootService: textAt(services, row),
        rootName: textAt(roots, row),
        startNs: BigInt.asUintN(64, starts[row]!),
        endNs: BigInt.asUintN(64, ends[row]!),
        services: statsOf(row),
        sets: own,
      })
    }
    return found
  }
}

/** Units of work (Budget.worked) of a trace, of a span in a stage, and of a span of the answer. */
const unitsOfRow = 64
const unitsOfSpan = 16
const unitsOfShownSpan = 128
/** Memory of a trace and of a span of the answer, with the texts that they hold. */
const bytesOfTrace = 400
const bytesOfSpan = 400

/** Memory of spansets: eight bytes a span. */
function bytesOf(sets: readonly Spanset[]): number {
  let bytes = 0
  for (const { spans, attributes } of sets) bytes += 100 + 8 * spans.length + 100 * attributes.length
  return bytes
}

/** Columns of the results. */
const shownPaths = [
  'TraceID',
  'RootServiceName',
  'RootSpanName',
  'rs.ss.Spans.SpanID',
  'rs.ss.Spans.Name',
  'rs.ss.Spans.StartTimeUnixNano',
  'rs.ss.Spans.DurationNano',
  'ServiceStats.ServiceName',
  'ServiceStats.SpanCount',
  'ServiceStats.ErrorCount',
]

/** Reads a span of the results, with the fields that the query mentions. */
function spanReader(
  columns: ReadonlyMap<string, ColumnData>,
  table: SpanTable,
  mentioned: readonly Mention[],
): (i: number) => FoundSpan {
  const ids = columnAt(columns, 'rs.ss.Spans.SpanID')
  const names = columnAt(columns, 'rs.ss.Spans.Name')
  const starts = longsOf(columnAt(columns, 'rs.ss.Spans.StartTimeUnixNano'))
  const durations = longsOf(columnAt(columns, 'rs.ss.Spans.DurationNano'))
  const name = mentioned.find(({ field: f }) => f.kind === 'intrinsic' && f.name === 'name')
  const attributesOf = shownReader(
    mentioned.filter(({ field: f }) => f.kind === 'attribute' || !shownApart.has(f.name)),
    table,
  )
  return i => {
    const attributes = attributesOf(i)
    return {
      id: Buffer.from(bytesAt(ids, i)).toString('hex'),
      name: name === undefined ? undefined : shownName(name, textAt(names, i)),
      startNs: BigInt.asUintN(64, starts[i]!),
      durationNs: Number(durations[i]!),
      attributes,
    }
  }
}

/** The name, where the query asks for it. */
function shownName({ isWhole, isSelected, tests }: Mention, name: string): string | undefined {
  const isShown = isWhole || isSelected || tests.some(fits => fits(valueType.string, 0, name))
  return isShown ? name : undefined
}

type ServiceStats = Map<string, { spans: number; errors: number }>

/** Reads how many spans and errors each service has in a trace; older blocks have no such columns. */
function serviceStats(columns: ReadonlyMap<string, ColumnData>, rows: number): (row: number) => ServiceStats {
  const names = columns.get('ServiceStats.ServiceName')
  if (names === undefined) return () => new Map()
  const from = rowFrom(names, rows)
  const spans = intsOf(columnAt(columns, 'ServiceStats.SpanCount'))
  const errors = intsOf(columnAt(columns, 'ServiceStats.ErrorCount'))
  return row => {
    const stats: ServiceStats = new Map()
    for (let k = from[row]!; k < from[row + 1]!; k++)
      stats.set(textAt(names, k), { spans: spans[k]!, errors: errors[k]! })
    return stats
  }
}

/** By row, where its values begin. */
function rowFrom(data: ColumnData, rows: number): Int32Array {
  const { rep, def } = levelsOf(data)
  const from = new Int32Array(rows + 1)
  let row = -1
  let k = 0
  for (let i = 0; i < rep.length; i++) {
    if (rep[i] === 0) from[++row] = k
    if (def[i] === 1) k++
  }
  from[rows] = k
  return from
}

/** One trace of two parts that were found in different rows. */
function joined(a: FoundTrace, b: FoundTrace, spansPerSet: number): FoundTrace {
  const services = new Map(a.services)
  for (const [name, { spans, errors }] of b.services) {
    const own = services.get(name)
    services.set(
      name,
      own === undefined ? { spans, errors } : { spans: own.spans + spans, errors: own.errors + errors },
    )
  }
  const sets = a.sets.map(s => ({ ...s }))
  for (const set of b.sets) {
    const key = groupKey(set)
    const own = sets.find(s => groupKey(s) === key)
    if (own === undefined) {
      sets.push(set)
      continue
    }
    const known = new Set(own.spans.map(s => s.id))
    const fresh = set.spans.filter(s => !known.has(s.id))
    own.matched += set.matched - (set.spans.length - fresh.length)
    own.spans = [...own.spans, ...fresh].slice(0, spansPerSet)
  }
  return {
    id: a.id,
    rootService: a.rootService === '' ? b.rootService : a.rootService,
    rootName: a.rootName === '' ? b.rootName : a.rootName,
    startNs: a.startNs < b.startNs ? a.startNs : b.startNs,
    endNs: a.endNs > b.endNs ? a.endNs : b.endNs,
    sets,
    services,
  }
}

/** A key for the sets that by() makes of a trace. */
function groupKey(set: FoundSet): string {
  return JSON.stringify(set.attributes.map(x => [x.key, x.key.startsWith('by(') ? x.value : 0]))
}
