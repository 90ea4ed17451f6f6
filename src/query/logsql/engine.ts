/** LogsQL over a logs reader. */
import type { Clock } from '#core/clock.ts'
import { createHash } from 'node:crypto'
import { LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import type { Filter, LogsqlQuery, Pipe } from '#lang/logsql/ast.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { Lines, LogsReader } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { Budget } from '../budget.ts'
import { exclusion, openAhead, planChunks, type ChunkTask } from '../logql/scan.ts'
import { compareValues, compileFilter, planFilter } from './filter.ts'
import { makePipe } from './pipes.ts'
import { LazyRow, streamNames, type Fields } from './row.ts'
import type { PipeContext, Sink } from './sink.ts'

export interface LogsqlRange {
  /** Inclusive and exclusive milliseconds; infinite for no bound. */
  fromMs: number
  toMs: number
}

const chunksAhead = 4
const rowsMax = 2_000_000
/** Results of a query within a query, and rows that stream_context starts from. */
const innerRowsMax = 200_000
const contextRowsMax = 20_000
const oldestMs = 0

/** A stream's identity as text: 32 hexadecimal digits behind the tenant's. */
function streamId(labels: Labels): string {
  return `0000000000000000${createHash('md5').update(labels.key).digest('hex')}`
}

async function eachOf<T, R>(list: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const out: R[] = []
  for (const item of list) out.push(await work(item))
  return out
}

export class LogsqlEngine {
  readonly #clock: Clock
  readonly #limits: Limits

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  get nowMs(): number {
    return this.#clock.nowMs()
  }

  /** Rows in the order in which they are found; `last`: only so many of the newest, newest first. */
  async run(
    query: LogsqlQuery,
    range: LogsqlRange,
    reader: LogsReader,
    last: number | undefined,
    onRow: (row: Fields) => boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const resultsOf = new Map<LogsqlQuery, readonly Fields[]>()
    query = await this.#answerInner(query, range, reader, resultsOf, signal)
    const plan = planFilter(query.filter)
    const fromMs = Math.max(oldestMs, range.fromMs, plan.fromMs),
      toMs = Math.min(this.#clock.nowMs() + 86_400_000, range.toMs, plan.toMs)
    const context: PipeContext = {
      nowMs: this.#clock.nowMs(),
      seconds: Math.max(1, (Math.min(toMs, this.#clock.nowMs()) - fromMs) / 1000),
      rowsMax,
      resultsOf,
    }
    let sink: Sink = { write: onRow, end: () => {} }
    if (last !== undefined)
      sink = makePipe(
        { kind: 'sort', keys: [], isDescending: true, offset: 0, limit: last, rank: undefined, partitionBy: [] },
        sink,
        context,
      )
    const [first] = query.pipes
    const pipes = first?.kind === 'stream-context' ? query.pipes.slice(1) : query.pipes
    for (const pipe of [...pipes].reverse()) sink = makePipe(pipe, sink, context)
    if (first?.kind === 'stream-context') await this.#scanContext(first, query, fromMs, toMs, reader, sink, signal)
    else await this.#scan(query, fromMs, toMs, reader, sink, signal)
    sink.end()
  }

  async #rowsOf(
    query: LogsqlQuery,
    range: LogsqlRange,
    reader: LogsReader,
    signal: AbortSignal | undefined,
  ): Promise<Fields[]> {
    const rows: Fields[] = []
    await this.run(
      query,
      range,
      reader,
      undefined,
      row => {
        if (rows.push(row) > innerRowsMax)
          throw new LimitError(
            `a query within the query has more than ${innerRowsMax} results, which is the limit`,
            422,
          )
        return true
      },
      signal,
    )
    return rows
  }

  /** The query with what its filters ask of other queries filled in; results that its pipes need are left in `resultsOf`. */
  async #answerInner(
    query: LogsqlQuery,
    range: LogsqlRange,
    reader: LogsReader,
    resultsOf: Map<LogsqlQuery, readonly Fields[]>,
    signal: AbortSignal | undefined,
  ): Promise<LogsqlQuery> {
    const fill = async (filter: Filter): Promise<Filter> => {
      switch (filter.kind) {
        case 'and':
        case 'or':
          return { kind: filter.kind, parts: await eachOf(filter.parts, fill) }
        case 'not':
          return { kind: 'not', inner: await fill(filter.inner) }
        case 'in-query': {
          // The values are those of the query's last field; without them nothing matches.
          const rows = await this.#rowsOf(filter.query, range, reader, signal)
          return {
            kind: filter.as,
            field: filter.field,
            values: [...new Set(rows.map(row => [...row.values()].at(-1) ?? ''))],
          }
        }
        default:
          return filter
      }
    }
    const pipes = await eachOf(query.pipes, async (pipe): Promise<Pipe> => {
      if (pipe.kind === 'join' || pipe.kind === 'union')
        resultsOf.set(pipe.query, await this.#rowsOf(pipe.query, range, reader, signal))
      return pipe.kind === 'filter' ? { kind: 'filter', filter: await fill(pipe.filter) } : pipe
    })
    return { filter: await fill(query.filter), pipes }
  }

  /** The matching rows, each with its stream's rows before and after it. */
  async #scanContext(
    pipe: Pipe & { kind: 'stream-context' },
    query: LogsqlQuery,
    fromMs: number,
    toMs: number,
    reader: LogsReader,
    sink: Sink,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const found = new Map<string, { times: Set<string>; fromMs: number; toMs: number }>()
    let count = 0
    await this.#scan(
      query,
      fromMs,
      toMs,
      reader,
      {
        write(row) {
          if (++count > contextRowsMax)
            throw new LimitError(
              `stream_context is asked for more than ${contextRowsMax} rows, which is the limit; narrow the filter`,
              422,
            )
          const id = row.get('_stream_id')!,
            time = row.get('_time')!,
            ms = Date.parse(time)
          const stream = found.get(id)
          if (stream === undefined)
            found.set(id, { times: new Set([`${time}\0${row.get('_msg')!}`]), fromMs: ms, toMs: ms })
          else {
            stream.times.add(`${time}\0${row.get('_msg')!}`)
            stream.fromMs = Math.min(stream.fromMs, ms)
            stream.toMs = Math.max(stream.toMs, ms)
          }
          return true
        },
        end() {},
      },
      signal,
    )
    for (const [id, { times, fromMs: firstMs, toMs: lastMs }] of found) {
      const rows: Fields[] = []
      const write = (row: Fields): boolean => {
        if (rows.push(row) > rowsMax)
          throw new LimitError(
            `stream_context looks at more than ${rowsMax} rows of a stream, which is the limit; set a smaller time_window`,
            422,
          )
        return true
      }
      await this.#scan(
        { filter: { kind: 'stream-id', ids: [id] }, pipes: [] },
        firstMs - pipe.windowMs,
        lastMs + pipe.windowMs + 1,
        reader,
        { write, end() {} },
        signal,
      )
      rows.sort((a, b) => compareValues(a.get('_time')!, b.get('_time')!))
      const wanted = new Set<number>()
      rows.forEach((row, i) => {
        if (times.has(`${row.get('_time')!}\0${row.get('_msg')!}`))
          for (let k = Math.max(0, i - pipe.before); k <= Math.min(rows.length - 1, i + pipe.after); k++) wanted.add(k)
      })
      for (const i of [...wanted].sort((a, b) => a - b)) if (!sink.write(rows[i]!)) return
    }
  }

  async #scan(
    query: LogsqlQuery,
    fromMs: number,
    toMs: number,
    reader: LogsReader,
    sink: Sink,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (fromMs >= toMs) return
    const plan = planFilter(query.filter)
    const test = compileFilter(query.filter)
    const budget = new Budget(this.#clock, this.#limits.querySamplesMax, this.#limits.queryTimeoutMs, signal)
    const only =
      plan.streams?.alternatives.length === 1
        ? plan.streams.alternatives[0]!.map(m => makeMatcher(m.kind, m.name, m.value))
        : []
    const { tasks } = await planChunks(reader, only, Math.floor(fromMs), Math.ceil(toMs), () => this.#clock.nowMs())
    tasks.sort((a, b) => a.chunk.fromMs - b.chunk.fromMs)
    const needles = plan.needles.map(text => Buffer.from(text))
    const row = new LazyRow()
    for await (const { task, opened } of openAhead(tasks, needles, chunksAhead)) {
      for (const block of opened.blocks) {
        if (block.maxMs < fromMs || block.minMs >= toMs || !needles.every(needle => block.mayContain(needle))) continue
        const lines = block.lines()
        if (
          needles.some(
            needle => !Buffer.from(lines.bytes.buffer, lines.bytes.byteOffset, lines.bytes.length).includes(needle),
          )
        )
          continue
        if (!this.#scanLines(task, lines, opened.symbols, fromMs, toMs, row, test, sink)) return
        await budget.pause()
      }
    }
  }

  #scanLines(
    task: ChunkTask,
    lines: Lines,
    symbols: readonly string[],
    fromMs: number,
    toMs: number,
    row: LazyRow,
    test: (row: LazyRow) => boolean,
    sink: Sink,
  ): boolean {
    const excluded = exclusion(task, lines, symbols)
    const stream = streamNames(task.labels, streamId)
    for (let i = 0; i < lines.count; i++) {
      const ms = lines.timesMs[i]! + lines.subNs[i]! / 1e6
      if (ms < fromMs || ms >= toMs || excluded?.(i) === true) continue
      row.reset(stream, lines, i, symbols)
      if (test(row) && !sink.write(row.fields())) return false
    }
    return true
  }
}
