/** LogsQL over a logs reader. */
import { keyOfTexts } from '#core/text.ts'
import type { Clock } from '#core/clock.ts'
import { createHash } from 'node:crypto'
import { LimitError, PlanStaleError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import type { Filter, LogsqlQuery, Pipe } from '#lang/logsql/ast.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { Lines, LogsReader } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { Budgets } from '../budget.ts'
import { exclusion, openAhead, planChunks, type ChunkTask } from '../logql/scan.ts'
import { compareValues, compileFilter, planFilter } from './filter.ts'
import { makePipe } from './pipes.ts'
import type { PipeOf } from './change.ts'
import { fieldOf, LazyRow, streamNames, type Fields } from './row.ts'
import { pacedSort } from '#core/paced-sort.ts'
import { afterRow, bytesOfRow, catchUp, type PipeContext, type Sink } from './sink.ts'

/** The time that a request names. */
export interface LogsqlRange {
  /** Inclusive and exclusive milliseconds; infinite for no bound. */
  fromMs: number
  toMs: number
}

const rowsMax = 2_000_000
/** The most results of a query within a query. */
const innerRowsMax = 200_000
/** The most matches that stream_context shows the neighbours of. */
const contextRowsMax = 20_000
const dayMs = 86_400_000
const oldestMs = 0

/** The field _stream_id: 16 digits of the tenant, always 0, and 32 of the labels' MD5. */
function streamId(labels: Labels): string {
  // The separator of a key becomes U+FFFD in bytes: where that is part of a text, lengths tell the texts apart.
  const text = labels.key.includes('\ufffd') ? keyOfTexts(labels.pairs) : labels.key
  return `0000000000000000${createHash('md5').update(text).digest('hex')}`
}

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

  /**
   * Calls `onRow` for every row in the order in which rows are found, until it returns false; `last`: only for so many
   * of the newest, newest first. Throws BadQueryError, LimitError, TimeoutError and
   * CanceledError, and PlanStaleError when data was replaced after the first row.
   */
  run(
    query: LogsqlQuery,
    range: LogsqlRange,
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
    const once = (): Promise<void> => this.#runOnce(query, range, reader, last, write, signal)
    return once().catch((error: unknown) => {
      // What was handed on can't be taken back.
      if (hasRows || !(error instanceof PlanStaleError)) throw error
      return once()
    })
  }

  async #runOnce(
    query: LogsqlQuery,
    range: LogsqlRange,
    reader: LogsReader,
    last: number | undefined,
    onRow: (row: Fields) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const budget = this.#budgets.begin(signal)
    const source: Source = { range, reader, signal }
    const resultsOf = new Map<LogsqlQuery, readonly Fields[]>()
    const answered = await this.#answerInner(query, source, resultsOf)
    const plan = planFilter(answered.filter)
    const nowMs = this.nowMs
    const fromMs = Math.max(oldestMs, range.fromMs, plan.fromMs)
    const toMs = Math.min(nowMs + dayMs, range.toMs, plan.toMs)
    const context: PipeContext = {
      nowMs,
      seconds: Math.max(1, (Math.min(toMs, nowMs) - fromMs) / 1000),
      rowsMax,
      resultsOf,
      budget,
      waiting: [],
    }
    const scanned: Source = { range: { fromMs, toMs }, reader, signal }
    const keepRow = (row: Fields): boolean => {
      budget.takeBytes(bytesOfRow(row))
      return onRow(row)
    }
    const [first, ...rest] = answered.pipes
    const sink = sinkOf(first?.kind === 'stream-context' ? rest : answered.pipes, last, keepRow, context)
    if (first?.kind === 'stream-context') await this.#scanContext(first, answered.filter, scanned, sink, context)
    else await this.#scan(answered.filter, scanned, sink, context)
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
      return pipe.kind === 'filter' ? { kind: 'filter', filter: await this.#fillIn(pipe.filter, source) } : pipe
    })
    return { filter: await this.#fillIn(query.filter, source), pipes }
  }

  async #fillIn(filter: Filter, source: Source): Promise<Filter> {
    switch (filter.kind) {
      case 'and':
      case 'or':
        return { kind: filter.kind, parts: await eachOf(filter.parts, part => this.#fillIn(part, source)) }
      case 'not':
        return { kind: 'not', inner: await this.#fillIn(filter.inner, source) }
      case 'in-query': {
        // The values are those of the query's last field; without them nothing matches.
        const rows = await this.#rowsOf(filter.query, source)
        const values = [...new Set(rows.map(row => [...row.values()].at(-1) ?? ''))]
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
    for (const [id, match] of await this.#contextMatches(filter, source, context)) {
      const range = { fromMs: match.fromMs - pipe.windowMs, toMs: match.throughMs + pipe.windowMs + 1 }
      const rows = await this.#streamRows(id, { ...source, range }, context)
      for (const i of aroundMatches(rows, match.keys, pipe)) {
        if (!sink.write(rows[i]!)) return
        const rest = afterRow(context)
        if (rest !== undefined) await rest
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

  async #scan(filter: Filter, { range, reader }: Source, sink: Sink, context: PipeContext): Promise<void> {
    const { fromMs, toMs } = range
    if (fromMs >= toMs) return
    const plan = planFilter(filter)
    const test = compileFilter(filter)
    const { budget } = context
    const [set, ...otherSets] = plan.streams?.alternatives ?? []
    const only = otherSets.length === 0 ? (set ?? []).map(m => makeMatcher(m.kind, m.name, m.value)) : []
    const { tasks } = await planChunks(reader, only, Math.floor(fromMs), Math.ceil(toMs), () => this.nowMs)
    tasks.sort((a, b) => a.chunk.fromMs - b.chunk.fromMs)
    const needles = plan.needles.map(text => Buffer.from(text))
    const row = new LazyRow()
    for await (const { task, opened } of openAhead(tasks, needles)) {
      for (const block of opened.blocks) {
        if (block.maxMs < fromMs || block.minMs >= toMs || !needles.every(needle => block.mayContain(needle))) continue
        const lines = block.lines()
        const text = Buffer.from(lines.bytes.buffer, lines.bytes.byteOffset, lines.bytes.length)
        if (needles.some(needle => !text.includes(needle))) continue
        if (!(await scanLines(task, lines, opened.symbols, range, row, test, sink, context))) return
        await budget.pause()
      }
    }
  }
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

/** Numbers of the rows whose keys match and of their neighbours, ascending. */
function aroundMatches(
  rows: readonly Fields[],
  keys: ReadonlySet<string>,
  { before, after }: { before: number; after: number },
): number[] {
  const wanted = new Set<number>()
  rows.forEach((row, i) => {
    if (!keys.has(rowKey(row))) return
    const through = Math.min(rows.length - 1, i + after)
    for (let k = Math.max(0, i - before); k <= through; k++) wanted.add(k)
  })
  return [...wanted].sort((a, b) => a - b)
}

function sinkOf(
  pipes: readonly Pipe[],
  last: number | undefined,
  onRow: (row: Fields) => boolean,
  context: PipeContext,
): Sink {
  let sink: Sink = { write: onRow, end: () => Promise.resolve() }
  if (last !== undefined)
    sink = makePipe(
      { kind: 'sort', keys: [], isDescending: true, offset: 0, limit: last, rank: undefined, partitionBy: [] },
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
  { fromMs, toMs }: LogsqlRange,
  row: LazyRow,
  test: (row: LazyRow) => boolean,
  sink: Sink,
  context: PipeContext,
): Promise<boolean> {
  const excluded = exclusion(task, lines, symbols)
  const stream = streamNames(task.labels, streamId)
  for (let i = 0; i < lines.count; i++) {
    const ms = lines.timesMs[i]! + lines.subNs[i]! / 1e6
    if (ms < fromMs || ms >= toMs || excluded?.(i) === true) continue
    row.reset(stream, lines, i, symbols)
    if (test(row) && !sink.write(row.fields())) return false
    context.budget.did(lines.lineTo[i]! - lines.lineFrom[i]!)
    const rest = afterRow(context)
    if (rest !== undefined) await rest
  }
  return true
}
