/** LogsQL over a logs reader. */
import type { Clock } from '#core/clock.ts'
import { createHash } from 'node:crypto'
import type { Limits } from '#core/limits.ts'
import type { LogsqlQuery } from '#lang/logsql/ast.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import type { Lines, LogsReader } from '#logs/select.ts'
import type { Labels } from '#model/labels.ts'
import { Budget } from '../budget.ts'
import { exclusion, openAhead, planChunks, type ChunkTask } from '../logql/scan.ts'
import { compileFilter, planFilter } from './filter.ts'
import { makePipe, type PipeContext, type Sink } from './pipes.ts'
import { LazyRow, streamNames, type Fields } from './row.ts'

export interface LogsqlRange {
  /** Inclusive and exclusive milliseconds; infinite for no bound. */
  fromMs: number
  toMs: number
}

const chunksAhead = 4
const rowsMax = 2_000_000
const oldestMs = 0

/** A stream's identity as text: 32 hexadecimal digits behind the tenant's. */
function streamId(labels: Labels): string { return `0000000000000000${createHash('md5').update(labels.key).digest('hex')}` }

export class LogsqlEngine {
  readonly #clock: Clock
  readonly #limits: Limits

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock
    this.#limits = limits
  }

  get nowMs(): number { return this.#clock.nowMs() }

  /** Rows in the order in which they are found; `last`: only so many of the newest, newest first. */
  async run(query: LogsqlQuery, range: LogsqlRange, reader: LogsReader, last: number | undefined, onRow: (row: Fields) => boolean, signal?: AbortSignal): Promise<void> {
    const plan = planFilter(query.filter)
    const fromMs = Math.max(oldestMs, range.fromMs, plan.fromMs), toMs = Math.min(this.#clock.nowMs() + 86_400_000, range.toMs, plan.toMs)
    const context: PipeContext = { nowMs: this.#clock.nowMs(), seconds: Math.max(1, (Math.min(toMs, this.#clock.nowMs()) - fromMs) / 1000), rowsMax }
    let sink: Sink = { write: onRow, end: () => {} }
    if (last !== undefined) sink = makePipe({ kind: 'sort', keys: [], isDescending: true, offset: 0, limit: last, rank: undefined, partitionBy: [] }, sink, context)
    for (const pipe of [...query.pipes].reverse()) sink = makePipe(pipe, sink, context)
    await this.#scan(query, fromMs, toMs, reader, sink, signal)
    sink.end()
  }

  async #scan(query: LogsqlQuery, fromMs: number, toMs: number, reader: LogsReader, sink: Sink, signal: AbortSignal | undefined): Promise<void> {
    if (fromMs >= toMs) return
    const plan = planFilter(query.filter)
    const test = compileFilter(query.filter)
    const budget = new Budget(this.#clock, this.#limits.querySamplesMax, this.#limits.queryTimeoutMs, signal)
    const only = plan.streams?.alternatives.length === 1 ? plan.streams.alternatives[0]!.map(m => makeMatcher(m.kind, m.name, m.value)) : []
    const { tasks } = await planChunks(reader, only, Math.floor(fromMs), Math.ceil(toMs), () => this.#clock.nowMs())
    tasks.sort((a, b) => a.chunk.fromMs - b.chunk.fromMs)
    const needles = plan.needles.map(text => Buffer.from(text))
    const row = new LazyRow()
    for await (const { task, opened } of openAhead(tasks, needles, chunksAhead)) {
      for (const block of opened.blocks) {
        if (block.maxMs < fromMs || block.minMs >= toMs || !needles.every(needle => block.mayContain(needle))) continue
        const lines = block.lines()
        if (needles.some(needle => !Buffer.from(lines.bytes.buffer, lines.bytes.byteOffset, lines.bytes.length).includes(needle))) continue
        if (!this.#scanLines(task, lines, opened.symbols, fromMs, toMs, row, test, sink)) return
        await budget.pause()
      }
    }
  }

  #scanLines(task: ChunkTask, lines: Lines, symbols: readonly string[], fromMs: number, toMs: number, row: LazyRow, test: (row: LazyRow) => boolean, sink: Sink): boolean {
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
