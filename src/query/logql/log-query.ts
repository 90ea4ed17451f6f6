/** Lines as an answer: the newest or oldest that pass, by stream. */
import { compileMatchers } from '#lang/logql/parser.ts'
import type { LogExpr } from '#lang/logql/ast.ts'
import type { LogsReader } from '#logs/select.ts'
import type { Budget } from '../budget.ts'
import { pacedSort } from '#core/paced-sort.ts'
import type { Entry } from './entry.ts'
import { Pipeline, type TimeBounds } from './pipeline.ts'
import { exclusion, openAhead, planChunks, releaseLines } from './scan.ts'
import { QueryStats } from './stats.ts'

/** A line of an answer; labels by where they come from, names and values in turn, sorted. */
export interface FoundLine {
  ms: number
  subNs: number
  line: string
  stream: readonly string[]
  metadata: readonly string[]
  parsed: readonly string[]
}

/** Which of the lines that pass are wanted. */
export interface LogQuery {
  bounds: TimeBounds
  limit: number
  isBackward: boolean
  /** Least distance between lines, nanoseconds; 0 = none. */
  intervalNs: number
}

export interface LogResult {
  lines: FoundLine[]
  stats: QueryStats
}

const hourMs = 3_600_000

/** Throws LimitError, TimeoutError and CanceledError, and BadQueryError for a stage that can't be made. */
export async function runLogQuery(
  expr: LogExpr,
  query: LogQuery,
  reader: LogsReader,
  budget: Budget,
  nowMs: () => number,
): Promise<LogResult> {
  const stats = new QueryStats()
  const { bounds, isBackward } = query
  const pipeline = new Pipeline(expr, undefined, nowMs, budget)
  if (bounds.fromMs > bounds.toMs || (bounds.fromMs === bounds.toMs && bounds.fromSubNs >= bounds.toSubNs))
    return { lines: [], stats }
  const { tasks, streams } = await planChunks(reader, compileMatchers(expr.matchers), bounds.fromMs, bounds.toMs, nowMs)
  stats.streams = streams
  tasks.sort(isBackward ? (a, b) => b.chunk.throughMs - a.chunk.throughMs : (a, b) => a.chunk.fromMs - b.chunk.fromMs)
  const found = new Collector(query.intervalNs > 0 ? Infinity : query.limit, isBackward, budget)
  for await (const { task, opened } of openAhead(tasks, pipeline.needles)) {
    // The next chunks begin no earlier (or end no later) than this one: none of them can have a wanted line.
    if (found.isFull && (isBackward ? task.chunk.throughMs < found.edgeMs : task.chunk.fromMs > found.edgeMs)) break
    stats.chunks++
    const blocks = isBackward ? [...opened.blocks].reverse() : opened.blocks
    for (const block of blocks) {
      if (block.maxMs < bounds.fromMs || block.minMs > bounds.toMs) continue
      if (found.isFull && (isBackward ? block.maxMs < found.edgeMs : block.minMs > found.edgeMs)) continue
      if (!pipeline.needles.every(needle => block.mayContain(needle))) {
        stats.blocksSkipped++
        continue
      }
      const lines = block.lines()
      const moment = new Moment()
      const visit = (entry: Entry): boolean => {
        if (found.isFull && (isBackward ? entry.ms < found.edgeMs : entry.ms > found.edgeMs)) return false
        const line = describe(entry)
        if (moment.isNew(line)) found.add(line)
        return true
      }
      const isExcluded = exclusion(task, lines, opened.symbols)
      await pipeline.scanPaced(task.labels, lines, opened.symbols, { bounds, isBackward, isExcluded, visit }, budget)
      releaseLines(task, block)
      await budget.pause()
    }
  }
  let lines = await found.finish()
  if (query.intervalNs > 0) lines = thinOut(lines, query.intervalNs, isBackward).slice(0, query.limit)
  stats.add(pipeline)
  stats.entriesReturned = lines.length
  return { lines, stats }
}

function sortedPairs(names: readonly string[], values: readonly string[]): string[] {
  if (names.length === 0) return []
  const order = names.map((_, i) => i).sort((a, b) => (names[a]! < names[b]! ? -1 : 1))
  return order.flatMap(i => [names[i]!, values[i]!])
}

/** Copies an entry out of its pipeline. */
export function describe(entry: Entry): FoundLine {
  const stream: string[] = []
  const { pairs } = entry.base
  for (let i = 0; i < pairs.length; i += 2) if (!entry.isHidden(pairs[i]!)) stream.push(pairs[i]!, pairs[i + 1]!)
  const names = entry.parsedNames.slice(0, entry.parsedCount)
  const values = entry.parsedValues.slice(0, entry.parsedCount)
  if (entry.error !== '') {
    names.push('__error__')
    values.push(entry.error)
  }
  if (entry.errorDetails !== '') {
    names.push('__error_details__')
    values.push(entry.errorDetails)
  }
  return {
    ms: entry.ms,
    subNs: entry.subNs,
    line: entry.line,
    stream,
    metadata: sortedPairs(entry.metaNames.slice(0, entry.metaCount), entry.metaValues),
    parsed: sortedPairs(names, values),
  }
}

/** The lines of one moment of a stream: what stages made equal is one line, as in Loki. */
class Moment {
  #lines: FoundLine[] = []

  isNew(line: FoundLine): boolean {
    const first = this.#lines[0]
    if (first?.ms !== line.ms || first.subNs !== line.subNs) {
      this.#lines = [line]
      return true
    }
    if (this.#lines.some(other => isSame(other, line))) return false
    // Comparing ends where nobody would have equal lines.
    if (this.#lines.length < linesOfMomentMax) this.#lines.push(line)
    return true
  }
}

const linesOfMomentMax = 64

function isSame(a: FoundLine, b: FoundLine): boolean {
  return a.line === b.line && isList(a.parsed, b.parsed) && isList(a.metadata, b.metadata) && isList(a.stream, b.stream)
}

function isList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i])
}

/** So many lines are sorted at once, by their times: 2 ms. */
const sortedAtOnce = 16_384

/** Keeps the lines at one end of time, up to a limit. */
class Collector {
  readonly #limit: number
  readonly #budget: Budget
  readonly #compare: (a: FoundLine, b: FoundLine) => number
  #lines: FoundLine[] = []
  /** Time of the worst line that is kept, once there are enough. */
  edgeMs = 0
  isFull = false

  constructor(limit: number, isBackward: boolean, budget: Budget) {
    this.#limit = limit
    this.#budget = budget
    this.#compare = isBackward
      ? (a, b): number => b.ms - a.ms || b.subNs - a.subNs
      : (a, b): number => a.ms - b.ms || a.subNs - b.subNs
  }

  add(line: FoundLine): void {
    this.#lines.push(line)
    this.#budget.takeBytes(bytesOf(line))
    if (this.#lines.length >= this.#limit * 2 || (!this.isFull && this.#lines.length === this.#limit)) this.#trim()
  }

  #trim(): void {
    this.#lines.sort(this.#compare)
    this.#cut()
  }

  /** Forgets the lines beyond the limit, when all are in order. */
  #cut(): void {
    let bytes = 0
    for (let i = this.#limit; i < this.#lines.length; i++) bytes += bytesOf(this.#lines[i]!)
    this.#budget.giveBytes(bytes)
    if (this.#lines.length > this.#limit) this.#lines.length = this.#limit
    const last = this.#lines.at(-1)
    if (last !== undefined && this.#lines.length === this.#limit) {
      this.isFull = true
      this.edgeMs = last.ms
    }
  }

  async finish(): Promise<FoundLine[]> {
    if (this.#lines.length <= sortedAtOnce) this.#trim()
    else {
      await pacedSort(this.#lines, this.#compare, this.#budget)
      this.#cut()
    }
    return this.#lines
  }
}

/** Memory of a line: a byte for each character, and its object with the lists of its labels. */
function bytesOf(line: FoundLine): number {
  return line.line.length + 200 + 32 * (line.stream.length + line.metadata.length + line.parsed.length)
}

/** Lines that lie far enough apart; the distance is not kept across the start of an hour. */
function thinOut(lines: readonly FoundLine[], intervalNs: number, isBackward: boolean): FoundLine[] {
  const kept: FoundLine[] = []
  let last: FoundLine | undefined
  for (const line of lines) {
    if (last !== undefined && Math.floor(last.ms / hourMs) === Math.floor(line.ms / hourMs)) {
      const distance = ((line.ms - last.ms) * 1e6 + line.subNs - last.subNs) * (isBackward ? -1 : 1)
      if (distance < intervalNs) continue
    }
    kept.push(line)
    last = line
  }
  return kept
}
