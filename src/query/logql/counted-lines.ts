/**
 * Counts lines without reading them, where a chunk has columns beside it (logs/line-columns.ts): a block that lies in
 * the same windows as a whole by its sums, another one by the time and the metadata of each line.
 */
import { isDamage } from '#core/omissions.ts'
import { workAhead } from '#core/parallel.ts'
import type { ChunkColumns, CountedBlock, OpenedChunk } from '#logs/select.ts'
import type { Budget } from '../budget.ts'
import { labelName } from './json-line.ts'
import { chunksAhead, type ChunkTask } from './scan.ts'

/** In which windows a line is. Times are nanoseconds from the first step; the end is exclusive. */
export interface StepWindows {
  readonly fromMs: number
  readonly toMs: number
  relative(ms: number, subNs: number): number
  firstStep(relativeNs: number): number
  endStep(relativeNs: number): number
}

/** What a block's lines are counted by. `whole`: all of them are in the windows of the steps [first, end). */
type BlockCount =
  | { kind: 'outside' | 'read' }
  | { kind: 'whole'; first: number; end: number }
  | { kind: 'lines'; times: Float64Array; numbers: Uint8Array; lengths: Float64Array | undefined }

/** A chunk whose lines are counted, or read where that can't be. */
export interface CountedChunk {
  task: ChunkTask
  columns: ChunkColumns | undefined
  /** By block; empty without columns: then all are read. */
  counts: readonly BlockCount[]
  /** Undefined where nothing is to be read, or can be. */
  opened: OpenedChunk | undefined
}

/** Columns of more lines would take tens of megabytes, for several chunks at once: such a chunk is read. */
export const countedLinesMax = 500_000

/**
 * Fetches the columns of the next chunks while one is counted, and opens the chunks of which lines must be read. Throws
 * what `pause` of the budget throws.
 */
export function countAhead(
  tasks: readonly ChunkTask[],
  windows: StepWindows,
  needsLengths: boolean,
  budget: Budget,
): AsyncGenerator<CountedChunk> {
  return workAhead(tasks, chunksAhead, async task => {
    // What a deletion hides is known of lines alone.
    const isCounted = task.hidden === undefined && task.chunk.entries <= countedLinesMax
    const columns = isCounted ? await task.chunk.columns?.() : undefined
    const counts = columns === undefined ? undefined : await countsOf(columns, task, windows, needsLengths, budget)
    if (counts?.every(({ kind }) => kind !== 'read') === true) return { task, columns, counts, opened: undefined }
    const opened = await task.chunk.open()
    // Columns of other blocks say nothing of these.
    if (opened !== undefined && counts?.length !== opened.blocks.length)
      return { task, columns: undefined, counts: [], opened }
    return { task, columns, counts: counts ?? [], opened }
  })
}

/** Undefined when the columns turn out to be damaged. */
async function countsOf(
  columns: ChunkColumns,
  task: ChunkTask,
  windows: StepWindows,
  needsLengths: boolean,
  budget: Budget,
): Promise<BlockCount[] | undefined> {
  const counts: BlockCount[] = []
  try {
    for (const block of columns.blocks) {
      const count = countOf(columns, block, task, windows, needsLengths)
      counts.push(count)
      if (budget.worked(64 + (count.kind === 'lines' ? block.entries : 0))) await budget.pause()
    }
    return counts
  } catch (error) {
    if (!isDamage(error)) throw error
    return undefined
  }
}

function countOf(
  columns: ChunkColumns,
  block: CountedBlock,
  { duplicates }: ChunkTask,
  windows: StepWindows,
  needsLengths: boolean,
): BlockCount {
  const { minMs, minSubNs, maxMs, maxSubNs } = block
  if (maxMs < windows.fromMs || minMs > windows.toMs) return { kind: 'outside' }
  if (!block.hasColumns || (duplicates.isNeeded && duplicates.touches(minMs, maxMs))) return { kind: 'read' }
  const from = windows.relative(minMs, minSubNs)
  const to = windows.relative(maxMs, maxSubNs)
  const first = windows.firstStep(from)
  const end = windows.endStep(from)
  if (first === windows.firstStep(to) && end === windows.endStep(to)) return { kind: 'whole', first, end }
  const times = columns.times(block)
  if (!block.isWholeMs && !areClear(times, windows)) return { kind: 'read' }
  const lengths = needsLengths ? columns.lengths(block) : undefined
  return { kind: 'lines', times, numbers: columns.numbers(block), lengths }
}

/** The most nanoseconds within a millisecond. */
const lastSubNs = 999_999

/** Is no line within a millisecond in which a window begins or ends? */
function areClear(times: Float64Array, windows: StepWindows): boolean {
  for (let i = 0; i < times.length; i++) {
    const from = windows.relative(times[i]!, 0)
    const to = from + lastSubNs
    if (windows.firstStep(from) !== windows.firstStep(to) || windows.endStep(from) !== windows.endStep(to)) return false
  }
  return true
}

/** Where counts go: series of lines by their metadata. */
export interface LineCounts<S> {
  /** The series of a chunk's lines that have this metadata; undefined: they are not counted. */
  seriesOf(task: ChunkTask, pairs: readonly string[]): S | undefined
  /** Adds lines, and bytes of lines, in the windows of the steps [first, end). */
  count(series: S, first: number, end: number, lines: number, bytes: number): void
}

/** How many lines and bytes were counted, and how many of the lines belong to a series. */
export interface CountedTotals {
  lines: number
  bytes: number
  passed: number
}

/** Counts what the columns of a chunk answer. */
export async function addCounts<S>(
  { task, columns, counts }: CountedChunk,
  windows: StepWindows,
  into: LineCounts<S>,
  totals: CountedTotals,
  budget: Budget,
): Promise<void> {
  if (columns === undefined) return
  const known = new Map<number, S | undefined>()
  const seriesOf = (number: number): S | undefined => {
    if (known.has(number)) return known.get(number)
    const pairs = columns.combinations[number]!.map((text, p) => (p % 2 === 0 ? labelName(text) : text))
    const series = into.seriesOf(task, pairs)
    known.set(number, series)
    return series
  }
  for (let b = 0; b < counts.length; b++) {
    const count = counts[b]!
    if (count.kind === 'whole') addWhole(columns.blocks[b]!, count, seriesOf, into, totals)
    else if (count.kind === 'lines') addLines(count, windows, seriesOf, into, totals)
    else continue
    if (budget.worked(64 + (count.kind === 'lines' ? count.times.length : 0))) await budget.pause()
  }
}

function addWhole<S>(
  { combinations }: CountedBlock,
  { first, end }: { first: number; end: number },
  seriesOf: (number: number) => S | undefined,
  into: LineCounts<S>,
  totals: CountedTotals,
): void {
  if (first >= end) return
  for (const { number, lines, bytes } of combinations) {
    totals.lines += lines
    totals.bytes += bytes
    const series = seriesOf(number)
    if (series === undefined) continue
    totals.passed += lines
    into.count(series, first, end, lines, bytes)
  }
}

function addLines<S>(
  { times, numbers, lengths }: BlockCount & { kind: 'lines' },
  windows: StepWindows,
  seriesOf: (number: number) => S | undefined,
  into: LineCounts<S>,
  totals: CountedTotals,
): void {
  const byNumber: (S | undefined)[] = []
  const isKnown = new Uint8Array(256)
  for (let i = 0; i < times.length; i++) {
    const time = windows.relative(times[i]!, 0)
    const first = windows.firstStep(time)
    const end = windows.endStep(time)
    if (first >= end) continue
    const number = numbers[i]!
    if (isKnown[number] === 0) {
      isKnown[number] = 1
      byNumber[number] = seriesOf(number)
    }
    const bytes = lengths === undefined ? 0 : lengths[i]!
    totals.lines++
    totals.bytes += bytes
    const series = byNumber[number]
    if (series === undefined) continue
    totals.passed++
    into.count(series, first, end, 1, bytes)
  }
}
