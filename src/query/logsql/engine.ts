/** LogsQL over a logs reader. */
import { keyOfTexts } from '#core/text.ts'
import type { Clock } from '#core/clock.ts'
import { LimitError, PlanStaleError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import type { Filter, LogsqlQuery, Pipe } from '#lang/logsql/ast.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { LineBlock, Lines, LogsReader, OpenedChunk } from '#logs/select.ts'
import { Budgets } from '../budget.ts'
import { countAhead } from '../logql/counted-lines.ts'
import { exclusion, openAhead, planChunks, releaseLines, type ChunkTask } from '../logql/scan.ts'
import { leastNs, mostNs, nsOfMs } from '#lang/logsql/times.ts'
import { compareValues } from './compare.ts'
import { rowCounter, type RowBounds, type RowCounter } from './counted-rows.ts'
import { compileFilter, planFilter } from './filter.ts'
import { fieldsReadBy, makePipe } from './pipes.ts'
import type { PipeOf } from './change.ts'
import { fieldOf, LazyRow, streamNames, timeLater, type Fields } from './row.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { afterRow, bytesOfRow, catchUp, type PipeContext, type Sink } from './sink.ts'

/** The time that a request names: nanoseconds, both inclusive; the least and the most for no bound. */
export interface LogsqlRange {
  fromNs: bigint
  throughNs: bigint
}

export const allTime: LogsqlRange = { fromNs: leastNs, throughNs: mostNs }

/** Milliseconds, which may have a fraction; the end is not included. */
export function rangeOfMs(fromMs: number, toMs: number): LogsqlRange {
  return { fromNs: nsOfMs(fromMs), throughNs: toMs === Infinity ? mostNs : nsOfMs(toMs) - 1n }
}

const rowsMax = 2_000_000
/** The most results of a query within a query. */
const innerRowsMax = 200_000
/** The most matches that stream_context shows the neighbours of. */
const contextRowsMax = 20_000
const dayNs = 86_400_000_000_000n

async function eachOf<T, R>(list: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const out: R[] = []
  for (const item of list) out.push(await work(item))
  return out
}

/** Answers LogsQL queries. */
export class LogsqlEngine {
  readonly #budgets: Budgets

  constructor(clock: Clock, limits: Limits) {
    this.#budgets = new Budgets(clock, limits)
  }

  /** The time that queries see. */
  get nowMs(): number {
    return this.#budgets.nowMs
  }

  /** The same in nanoseconds. */
  get nowNs(): bigint {
    return nsOfMs(this.nowMs)
  }

  /**
   * Calls `onRow` for every row in the order in which rows are found, until it returns false; `last`: only for so many
   * of the newest, newest first. Throws BadQueryError, LimitError, TimeoutError and
   * CanceledError, and PlanStaleError when data was replaced after the first row.
   */
  run(
    query: LogsqlQuery,
    named: LogsqlRange,
    reader: LogsReader,
    last: number | undefined,
    onRow: (row: Fields) => boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    let hasRows = false
    const write = (row: Fields): boolean => {
      hasRows = true
      return onRow(row)
    }
    const once = (): Promise<void> => this.#runOnce(query, named, reader, last, write, signal)
    return once().catch((error: unknown) => {
      // What was handed on can't be taken back.
      if (hasRows || !(error instanceof PlanStaleError)) throw error
      return once()
    })
  }

  async #runOnce(
    query: LogsqlQuery,
    named: LogsqlRange,
    reader: LogsReader,
    last: number | undefined,
    onRow: (row: Fields) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const budget = this.#budgets.begin(signal)
    const source: Source = { range: named, reader, signal }
    const resultsOf = new Map<LogsqlQuery, readonly Fields[]>()
    const answered = await this.#answerInner(query, source, resultsOf)
    const plan = planFilter(answered.filter)
    const range = query.ignoresRequestTime ? allTime : named
    const fromNs = greater(range.fromNs, plan.fromNs)
    const throughNs = lesser(range.throughNs, plan.throughNs)
    const isBounded = fromNs !== leastNs && throughNs !== mostNs
    const context: PipeContext = {
      nowMs: this.nowMs,
      seconds: isBounded ? Number(throughNs - fromNs + 1n) / 1e9 : undefined,
      rowsMax,
      resultsOf,
      budget,
      waiting: [],
    }
    const latestNs = this.nowNs + dayNs
    const scanned: Source = {
      range: { fromNs: greater(fromNs, 0n), throughNs: lesser(throughNs, latestNs) },
      reader,
      signal,
    }
    const keepRow = (row: Fields): boolean => {
      budget.takeBytes(bytesOfRow(row))
      return onRow(row)
    }
    const [first, ...rest] = answered.pipes
    const sink = sinkOf(first?.kind === 'stream-context' ? rest : answered.pipes, last, keepRow, context)
    if (first?.kind === 'stream-context') await this.#scanContext(first, answered.filter, scanned, sink, context)
    else await this.#scan(answered.filter, scanned, sink, context, first)
    await catchUp(context)
    await sink.end()
  }

  /** The rows of a query within a query. Throws LimitError when there are too many. */
  async #rowsOf(query: LogsqlQuery, { range, reader, signal }: Source): Promise<Fields[]> {
    const rows: Fields[] = []
    const onRow = (row: Fields): boolean => {
      if (rows.push(row) > innerRowsMax)
        throw new LimitError(`a query within the query has more than ${innerRowsMax} results, which is the limit`, 422)
      return true
    }
    await this.run(query, range, reader, undefined, onRow, signal)
    return rows
  }

  /**
   * The query with the values of inner queries in its filters; the results that its pipes need go into `resultsOf`.
   */
  async #answerInner(
    query: LogsqlQuery,
    source: Source,
    resultsOf: Map<LogsqlQuery, readonly Fields[]>,
  ): Promise<LogsqlQuery> {
    const pipes = await eachOf(query.pipes, async (pipe): Promise<Pipe> => {
      if (pipe.kind === 'join' || pipe.kind === 'union')
        resultsOf.set(pipe.query, await this.#rowsOf(pipe.query, source))
      return this.#fillPipe(pipe, source)
    })
    return { ...query, filter: await this.#fillIn(query.filter, source), pipes }
  }

  /** The pipe with the values of inner queries in its filter, and in its conditions. */
  async #fillPipe(pipe: Pipe, source: Source): Promise<Pipe> {
    const filled = async (filter: Filter | undefined): Promise<Filter | undefined> =>
      filter === undefined ? undefined : this.#fillIn(filter, source)
    if (pipe.kind === 'filter') return { kind: 'filter', filter: await this.#fillIn(pipe.filter, source) }
    if ('calls' in pipe) {
      const calls = await eachOf(pipe.calls, async call => ({ ...call, condition: await filled(call.condition) }))
      return { ...pipe, calls }
    }
    return 'condition' in pipe ? { ...pipe, condition: await filled(pipe.condition) } : pipe
  }

  async #fillIn(filter: Filter, source: Source): Promise<Filter> {
    switch (filter.kind) {
      case 'and':
      case 'or':
        return { kind: filter.kind, parts: await eachOf(filter.parts, part => this.#fillIn(part, source)) }
      case 'not':
        return { kind: 'not', inner: await this.#fillIn(filter.inner, source) }
      case 'in-query': {
        const rows = await this.#rowsOf(filter.query, source)
        const values = [...new Set(rows.map(row => fieldOf(row, filter.from)))]
        return { kind: filter.as, field: filter.field, values }
      }
      default:
        return filter
    }
  }

  /** The matching rows, each with its stream's rows before and after it. */
  async #scanContext(
    pipe: PipeOf<'stream-context'>,
    filter: Filter,
    source: Source,
    sink: Sink,
    context: PipeContext,
  ): Promise<void> {
    const matches = await this.#contextMatches(filter, source, context)
    for (const [id, match] of matches) {
      const range = rangeOfMs(Math.floor(match.fromMs - pipe.windowMs), Math.ceil(match.throughMs + pipe.windowMs) + 1)
      const rows = await this.#streamRows(id, { ...source, range }, context)
      const groups = groupsOf(rows, match.keys, pipe)
      const isParted = matches.size > 1 || groups.length > 1
      for (const { from, through } of groups) {
        const shown = rows.slice(from, through + 1)
        if (isParted) shown.push(dividerBehind(rows[through]!))
        for (const row of shown) {
          if (!sink.write(row)) return
          const rest = afterRow(context)
          if (rest !== undefined) await rest
        }
      }
      for (const row of rows) context.budget.giveBytes(bytesOfRow(row))
    }
  }

  /** By stream id, which rows match and the time that they span. Throws LimitError when there are too many. */
  async #contextMatches(filter: Filter, source: Source, context: PipeContext): Promise<Map<string, StreamMatches>> {
    const found = new Map<string, StreamMatches>()
    let count = 0
    const write = (row: Fields): boolean => {
      if (++count > contextRowsMax)
        throw new LimitError(
          `stream_context is asked for more than ${contextRowsMax} rows, which is the limit; narrow the filter`,
          422,
        )
      const id = fieldOf(row, '_stream_id')
      const ms = Date.parse(fieldOf(row, '_time'))
      const stream = found.get(id)
      if (stream === undefined) found.set(id, { keys: new Set([rowKey(row)]), fromMs: ms, throughMs: ms })
      else {
        stream.keys.add(rowKey(row))
        stream.fromMs = Math.min(stream.fromMs, ms)
        stream.throughMs = Math.max(stream.throughMs, ms)
      }
      return true
    }
    await this.#scan(filter, source, { write, end: () => Promise.resolve() }, context)
    return found
  }

  /** A stream's rows in the order of time. Throws LimitError when there are too many. */
  async #streamRows(id: string, source: Source, context: PipeContext): Promise<Fields[]> {
    const rows: Fields[] = []
    const write = (row: Fields): boolean => {
      context.budget.takeBytes(bytesOfRow(row))
      if (rows.push(row) > rowsMax)
        throw new LimitError(
          `stream_context looks at more than ${rowsMax} rows of a stream, which is the limit; set a smaller ` +
            'time_window',
          422,
        )
      return true
    }
    await this.#scan({ kind: 'stream-id', ids: [id] }, source, { write, end: () => Promise.resolve() }, context)
    await pacedSort(rows, (a, b) => compareValues(fieldOf(a, '_time'), fieldOf(b, '_time')), context.budget)
    return rows
  }

  /** `first`: the pipe that the rows go into; undefined where it may read all of them. */
  async #scan(
    filter: Filter,
    { range, reader }: Source,
    sink: Sink,
    context: PipeContext,
    first?: Pipe,
  ): Promise<void> {
    if (range.fromNs > range.throughNs) return
    const bounds = boundsOf(range)
    const fromMs = bounds.from.ms
    const toMs = bounds.through.ms + 1
    const plan = planFilter(filter)
    const test = compileFilter(filter)
    const { budget } = context
    const [set, ...otherSets] = plan.streams?.alternatives ?? []
    const only = otherSets.length === 0 ? (set ?? []).map(m => makeMatcher(m.kind, m.name, m.value)) : []
    const { tasks } = await planChunks(reader, only, fromMs, toMs, () => this.nowMs)
    tasks.sort((a, b) => a.chunk.fromMs - b.chunk.fromMs)
    const needles = plan.needles.map(text => Buffer.from(text))
    const wanted = fieldsReadBy(first)
    const row = new LazyRow()
    const read = async (task: ChunkTask, { symbols }: OpenedChunk, block: LineBlock): Promise<boolean> => {
      if (block.maxMs < fromMs || block.minMs >= toMs || !needles.every(needle => block.mayContain(needle))) return true
      const lines = block.lines()
      const text = Buffer.from(lines.bytes.buffer, lines.bytes.byteOffset, lines.bytes.length)
      if (needles.some(needle => !text.includes(needle))) return true
      if (!(await scanLines(task, lines, symbols, bounds, row, test, sink, context, wanted))) return false
      releaseLines(task, block)
      await budget.pause()
      return true
    }
    const counter = sink.writeTimes === undefined ? undefined : rowCounter(filter, first, bounds)
    if (counter !== undefined) {
      await countRows(counter, tasks, read, sink, context)
      return
    }
    for await (const { task, opened } of openAhead(tasks, needles))
      for (const block of opened.blocks) if (!(await read(task, opened, block))) return
  }
}

/** Rows are counted by what lies beside the chunks; `read` makes those of blocks that it says too little of. */
async function countRows(
  counter: RowCounter,
  tasks: readonly ChunkTask[],
  read: (task: ChunkTask, opened: OpenedChunk, block: LineBlock) => Promise<boolean>,
  sink: Sink,
  context: PipeContext,
): Promise<void> {
  const writeTimes = (row: Fields, times: number): void => sink.writeTimes!(row, times)
  for await (const chunk of countAhead(tasks, counter.windows, false, context.budget)) {
    await counter.add(chunk, writeTimes, context)
    const { task, counts, opened } = chunk
    for (const [b, block] of (opened?.blocks ?? []).entries())
      if (counts.length === 0 || counts[b]!.kind === 'read') await read(task, opened!, block)
    await context.budget.pause()
  }
}

const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const greater = (a: bigint, b: bigint): bigint => (a > b ? a : b)

function boundsOf({ fromNs, throughNs }: LogsqlRange): RowBounds {
  const [from, through] = [fromNs, throughNs].map(ns => {
    const ms = Math.floor(Number(ns / 1_000_000n) - (ns < 0n ? 1 : 0))
    return { ms, subNs: Number(ns - BigInt(ms) * 1_000_000n) }
  })
  return { from: from!, through: through! }
}

/** Where rows come from. */
interface Source {
  range: LogsqlRange
  reader: LogsReader
  signal: AbortSignal | undefined
}

/** Rows of one stream that a filter found. */
interface StreamMatches {
  keys: Set<string>
  fromMs: number
  throughMs: number
}

/** A key of a row within its stream. */
function rowKey(row: Fields): string {
  return keyOfTexts([fieldOf(row, '_time'), fieldOf(row, '_msg')])
}

/** Numbers of rows, both inclusive. */
interface RowGroup {
  from: number
  through: number
}

/** The neighbours of each match, without those that were in the group before. */
function groupsOf(
  rows: readonly Fields[],
  keys: ReadonlySet<string>,
  { before, after }: PipeOf<'stream-context'>,
): RowGroup[] {
  const groups: RowGroup[] = []
  rows.forEach((row, i) => {
    if (!keys.has(rowKey(row))) return
    const through = Math.min(rows.length - 1, i + after)
    const from = Math.max(0, i - before, (groups.at(-1)?.through ?? -1) + 1)
    if (from <= through) groups.push({ from, through })
  })
  return groups
}

/** Parts the groups of an answer. */
function dividerBehind(row: Fields): Fields {
  return new Map([
    ['_time', timeLater(fieldOf(row, '_time'), 1)],
    ['_stream_id', fieldOf(row, '_stream_id')],
    ['_stream', fieldOf(row, '_stream')],
    ['_msg', '---'],
  ])
}

const timeKey = { field: '_time', isDescending: false }

function sinkOf(
  pipes: readonly Pipe[],
  last: number | undefined,
  onRow: (row: Fields) => boolean,
  context: PipeContext,
): Sink {
  let sink: Sink = { write: onRow, end: () => Promise.resolve() }
  if (last !== undefined)
    sink = makePipe(
      { kind: 'sort', keys: [timeKey], isDescending: true, offset: 0, limit: last, rank: undefined, partitionBy: [] },
      sink,
      context,
    )
  for (const pipe of [...pipes].reverse()) sink = makePipe(pipe, sink, context)
  return sink
}

/** Returns false when the sink wants no more rows. */
async function scanLines(
  task: ChunkTask,
  lines: Lines,
  symbols: readonly string[],
  { from, through }: RowBounds,
  row: LazyRow,
  test: (row: LazyRow) => boolean,
  sink: Sink,
  context: PipeContext,
  wanted: ReadonlySet<string> | undefined,
): Promise<boolean> {
  const excluded = exclusion(task, lines, symbols)
  const stream = streamNames(task.labels)
  for (let i = 0; i < lines.count; i++) {
    const ms = lines.timesMs[i]!
    if (ms < from.ms || ms > through.ms || excluded?.(i) === true) continue
    if (ms === from.ms && lines.subNs[i]! < from.subNs) continue
    if (ms === through.ms && lines.subNs[i]! > through.subNs) continue
    row.reset(stream, lines, i, symbols)
    if (test(row) && !sink.write(row.fields(wanted))) return false
    context.budget.did(lines.lineTo[i]! - lines.lineFrom[i]!)
    const rest = afterRow(context)
    if (rest !== undefined) await rest
  }
  return true
}
