/** TraceQL searches over the rows of memory and blocks. */
import type { Clock } from '#core/clock.ts'
import type { Limits } from '#core/limits.ts'
import { bytesAt, textAt } from '#codec/parquet/column-data.ts'
import type { Field, Hints, Stage } from '#lang/traceql/ast.ts'
import { fieldKey } from '#lang/traceql/fields.ts'
import type { TraceRows, TracesReader } from '#traces/select.ts'
import { Budget } from '../budget.ts'
import { valuesReader } from './evaluate.ts'
import { SpanTable, type Value } from './span-table.ts'
import { compileStages, fieldsOfStages, type Spanset } from './spansets.ts'

export interface FoundSpan {
  id: string
  name: string | undefined
  startNs: bigint
  durationNs: number
  attributes: readonly { key: string; values: readonly Value[]; isArray: boolean }[]
}
export interface FoundSet {
  spans: FoundSpan[]
  matched: number
  attributes: readonly { key: string; value: Value | undefined }[]
}
export interface FoundTrace {
  id: string
  rootService: string
  rootName: string
  startNs: bigint
  endNs: bigint
  sets: FoundSet[]
  services: Map<string, { spans: number; errors: number }>
}

export interface SearchRequest {
  stages: readonly Stage[]
  hints: Hints
  /** Inclusive milliseconds; infinite for no bound. */
  fromMs: number
  throughMs: number
  limit: number
  spansPerSet: number
}

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

/** Fields that results show by themselves. */
const shownApart: ReadonlySet<string> = new Set([
  'name',
  'duration',
  'traceDuration',
  'rootName',
  'rootServiceName',
  'trace:id',
  'span:id',
])

/** Every field that the query mentions or selects. */
function mentionedFields(stages: readonly Stage[]): Field[] {
  const fields: Field[] = []
  const walk = (list: readonly Stage[]): void => {
    for (const stage of list) {
      if (stage.kind === 'combine') {
        walk(stage.left)
        walk(stage.right)
      } else if (stage.kind === 'select') fields.push(...stage.fields)
      else fields.push(...fieldsOfStages([stage]))
    }
  }
  walk(stages)
  const seen = new Set<string>()
  return fields.filter(f => {
    const key = fieldKey(f)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

export class TraceSearch {
  readonly #clock: Clock
  readonly #limits: Limits

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  async run(
    request: SearchRequest,
    reader: TracesReader,
    signal?: AbortSignal,
    onPart?: (traces: readonly FoundTrace[]) => void,
  ): Promise<SearchResult> {
    const budget = new Budget(this.#clock, this.#limits.querySamplesMax, this.#limits.queryTimeoutMs, signal)
    const stats: SearchStats = { traces: 0, spans: 0, bytes: 0, blocks: 0 }
    const found = new Map<string, FoundTrace>()
    const isNewest = request.hints.get('most_recent')?.type === 'bool'
    const needed = fieldsOfStages(request.stages)
    const mentioned = mentionedFields(request.stages)
    for (const rows of await reader.select(request.fromMs, request.throughMs)) {
      stats.blocks++
      stats.bytes += rows.bytes
      const part = await this.#searchRows(rows, request, needed, mentioned, stats, isNewest)
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
    mentioned: readonly Field[],
    stats: SearchStats,
    isNewest: boolean,
  ): Promise<FoundTrace[]> {
    const table = await SpanTable.open(rows)
    if (table === undefined) return []
    await table.load(needed)
    const times = await rows.columns(['StartTimeUnixNano', 'EndTimeUnixNano'])
    const starts = times.get('StartTimeUnixNano')!.longs!
    const ends = times.get('EndTimeUnixNano')!.longs!
    const fromNs = request.fromMs === -Infinity ? undefined : BigInt(Math.floor(request.fromMs)) * 1_000_000n
    const throughNs = request.throughMs === Infinity ? undefined : BigInt(Math.ceil(request.throughMs)) * 1_000_000n
    const run = compileStages(request.stages, table)
    const matches: { row: number; sets: Spanset[] }[] = []
    for (let row = 0; row < rows.rows; row++) {
      if ((throughNs !== undefined && starts[row]! > throughNs) || (fromNs !== undefined && ends[row]! < fromNs))
        continue
      stats.traces++
      const from = table.spanFrom[row]!
      const to = table.spanFrom[row + 1]!
      stats.spans += to - from
      const sets = run(from, to)
      if (sets.length > 0) matches.push({ row, sets })
    }
    if (matches.length === 0) return []
    // Only what can be among the results is laid out.
    if (matches.length > request.limit) {
      if (isNewest) matches.sort((a, b) => (starts[a.row]! < starts[b.row]! ? 1 : -1))
      matches.length = request.limit
    }
    return this.#layOut(table, matches, mentioned, request.spansPerSet, starts, ends)
  }

  async #layOut(
    table: SpanTable,
    matches: readonly { row: number; sets: Spanset[] }[],
    mentioned: readonly Field[],
    spansPerSet: number,
    starts: BigInt64Array,
    ends: BigInt64Array,
  ): Promise<FoundTrace[]> {
    await table.load(mentioned)
    const paths = [
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
    const columns = await table.rows.columns(paths)
    const [ids, services, roots, spanIds, names, spanStarts, durations, statNames, statSpans, statErrors] = paths.map(
      p => columns.get(p),
    ) as [NonNullable<ReturnType<typeof columns.get>>, ...NonNullable<ReturnType<typeof columns.get>>[]]
    const showsName = mentioned.some(f => f.kind === 'intrinsic' && f.name === 'name')
    const readers = mentioned
      .filter(f => f.kind === 'attribute' || !shownApart.has(f.name))
      .map(field => ({ key: field.name, read: valuesReader(table, field) }))
    const statFrom = statNames === undefined ? undefined : rowFrom(statNames.rep!, statNames.def!, table.rows.rows)
    const { eventFrom, linkFrom } = table
    const spanOf = (i: number): FoundSpan => {
      const attributes: FoundSpan['attributes'][number][] = []
      for (const { key, read } of readers) {
        const values = read(
          i,
          eventFrom !== undefined && eventFrom[i]! < eventFrom[i + 1]! ? eventFrom[i]! : -1,
          linkFrom !== undefined && linkFrom[i]! < linkFrom[i + 1]! ? linkFrom[i]! : -1,
        )
        if (values.length > 0) attributes.push({ key, values, isArray: values.length > 1 })
      }
      return {
        id: Buffer.from(bytesAt(spanIds!, i)).toString('hex'),
        name: showsName ? textAt(names!, i) : undefined,
        startNs: BigInt.asUintN(64, spanStarts!.longs![i]!),
        durationNs: Number(durations!.longs![i]!),
        attributes,
      }
    }
    return matches.map(({ row, sets }) => {
      const stats = new Map<string, { spans: number; errors: number }>()
      if (statFrom !== undefined)
        for (let k = statFrom[row]!; k < statFrom[row + 1]!; k++)
          stats.set(textAt(statNames!, k), { spans: statSpans!.ints![k]!, errors: statErrors!.ints![k]! })
      return {
        id: Buffer.from(bytesAt(ids, row))
          .toString('hex')
          .replace(/^0+(?=.)/, ''),
        rootService: textAt(services!, row),
        rootName: textAt(roots!, row),
        startNs: BigInt.asUintN(64, starts[row]!),
        endNs: BigInt.asUintN(64, ends[row]!),
        services: stats,
        sets: sets.map(({ spans, attributes }) => ({
          spans: spans.slice(0, spansPerSet).map(spanOf),
          matched: spans.length,
          attributes,
        })),
      }
    })
  }
}

/** By row, where its values begin. */
function rowFrom(rep: Uint8Array, def: Uint8Array, rows: number): Int32Array {
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

/** Two parts of one trace that were found apart. */
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
    const key = JSON.stringify(set.attributes.map(x => [x.key, x.key.startsWith('by(') ? x.value : 0]))
    const own = sets.find(
      s => JSON.stringify(s.attributes.map(x => [x.key, x.key.startsWith('by(') ? x.value : 0])) === key,
    )
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
