/**
 * Counts lines without reading them, where a chunk has columns beside it (logs/line-columns.ts): a block that lies in
 * the same windows as a whole by its sums, another one by the time and the metadata of each line.
 */
import { isDamage } from '#core/omissions.ts'
import { workAhead } from '#core/parallel.ts'
import type { ChunkColumns, CountedBlock, CountedCombination, OpenedChunk, WholeChunk } from '#logs/select.ts'
import type { Budget } from '../budget.ts'
import { chunksAhead, type ChunkTask } from './scan.ts'

/** In which windows a line is. Times are nanoseconds from the first step; the end is exclusive. */
export interface StepWindows {
  /** Do windows begin and end with whole seconds? */
  readonly areWholeSeconds: boolean
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
  /** What is counted: all of the chunk as one block, or its blocks. */
  source: CountSource | undefined
  /** By block of the source; empty without one: then all are read. */
  counts: readonly BlockCount[]
  /** Undefined where nothing is to be read, or can be. */
  opened: OpenedChunk | undefined
}

/** Blocks that are counted, and the metadata of their lines by number. */
export interface CountSource {
  readonly combinations: readonly (readonly string[])[]
  readonly blocks: readonly CountedBlock[]
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
    const isCounted = task.hidden === undefined
    const whole = isCounted ? countWhole(await task.chunk.whole?.(), task, windows) : undefined
    if (whole !== undefined) return whole
    const columns = isCounted && task.chunk.entries <= countedLinesMax ? await task.chunk.columns?.() : undefined
    const counts = columns === undefined ? undefined : await countsOf(columns, task, windows, needsLengths, budget)
    if (counts?.every(({ kind }) => kind !== 'read') === true)
      return { task, source: columns, counts, opened: undefined }
    const opened = await task.chunk.open()
    // Columns of other blocks say nothing of these.
    if (opened !== undefined && counts?.length !== opened.blocks.length)
      return { task, source: undefined, counts: [], opened }
    return { task, source: columns, counts: counts ?? [], opened }
  })
}

/** All lines of a chunk that are in the same windows; undefined when they are not. */
function countWhole(whole: WholeChunk | undefined, task: ChunkTask, windows: StepWindows): CountedChunk | undefined {
  if (whole === undefined) return undefined
  const { block, combinations } = whole
  const count = block.entries === task.chunk.entries ? boundsCount(block, task, windows) : undefined
  if (count === undefined || count.kind === 'read') return undefined
  return { task, source: { combinations, blocks: [block] }, counts: [count], opened: undefined }
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
    for (const [b, block] of columns.blocks.entries()) {
      const count = boundsCount(block, task, windows) ?? countLines(columns, b, windows, needsLengths)
      counts.push(count)
      if (budget.worked(64 + (count.kind === 'lines' ? block.entries : 0))) await budget.pause()
    }
    return counts
  } catch (error) {
    if (!isDamage(error)) throw error
    return undefined
  }
}

/** What the bounds of a block say; undefined when it is up to its lines. */
function boundsCount(block: CountedBlock, { duplicates }: ChunkTask, windows: StepWindows): BlockCount | undefined {
  const { minMs, minSubNs, maxMs, maxSubNs } = block
  if (maxMs < windows.fromMs || minMs > windows.toMs) return { kind: 'outside' }
  if (!block.hasColumns || (duplicates.isNeeded && duplicates.touches(minMs, maxMs))) return { kind: 'read' }
  const from = windows.relative(minMs, minSubNs)
  const to = windows.relative(maxMs, maxSubNs)
  const first = windows.firstStep(from)
  const end = windows.endStep(from)
  return first === windows.firstStep(to) && end === windows.endStep(to) ? { kind: 'whole', first, end } : undefined
}

function countLines(columns: ChunkColumns, b: number, windows: StepWindows, needsLengths: boolean): BlockCount {
  const { timesMs: times, numbers } = columns.moments(b)
  if (!areClear(times, windows)) return { kind: 'read' }
  return { kind: 'lines', times, numbers, lengths: needsLengths ? columns.lengths(b) : undefined }
}

/** Is no line within a second in which a window begins or ends? Those that are at its beginning don't count. */
function areClear(times: Float64Array, windows: StepWindows): boolean {
  // Windows end with their last moment, which is the first of a second.
  if (windows.areWholeSeconds) return true
  let last = -1
  for (let i = 0; i < times.length; i++) {
    const ms = times[i]!
    if (ms === last || ms % 1000 === 0) continue
    last = ms
    const from = windows.relative(ms - 1, 1)
    const to = windows.relative(ms + 998, 999_999)
    if (windows.firstStep(from) !== windows.firstStep(to) || windows.endStep(from) !== windows.endStep(to)) return false
  }
  return true
}

/** Where counts go: series of lines by their metadata. */
export interface LineCounts<S> {
  /** The series of a chunk's lines that have this metadata, as it was sent; undefined: they are not counted. */
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
  { task, source, counts }: CountedChunk,
  windows: StepWindows,
  into: LineCounts<S>,
  totals: CountedTotals,
  budget: Budget,
): Promise<void> {
  if (source === undefined) return
  const known = new Map<number, S | undefined>()
  const seriesOf = (number: number): S | undefined => {
    if (known.has(number)) return known.get(number)
    const series = into.seriesOf(task, source.combinations[number]!)
    known.set(number, series)
    return series
  }
  for (let b = 0; b < counts.length; b++) {
    const count = counts[b]!
    if (count.kind === 'whole') addWhole(source.blocks[b]!, count, seriesOf, into, totals)
    else if (count.kind === 'lines') addLines(count, windows, seriesOf, into, totals)
    else continue
    if (budget.worked(64 + (count.kind === 'lines' ? count.times.length : 0))) await budget.pause()
  }
}

function addWhole<S>(
  { combinations }: { combinations: readonly CountedCombination[] },
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

/** Lines in order of time: stretches of them are in the same windows. */
function addLines<S>(
  { times, numbers, lengths }: BlockCount & { kind: 'lines' },
  windows: StepWindows,
  seriesOf: (number: number) => S | undefined,
  into: LineCounts<S>,
  totals: CountedTotals,
): void {
  for (let from = 0; from < times.length;) {
    const time = windows.relative(times[from]!, 0)
    const first = windows.firstStep(time)
    const end = windows.endStep(time)
    const to = endOfStretch(times, from, windows, first, end)
    if (first < end) {
      const stretch = sumsOf(numbers, lengths, from, to)
      addWhole(stretch, { first, end }, seriesOf, into, totals)
    }
    from = to
  }
}

/** The end of the lines from `from` on that are in the windows of the steps [first, end), as that line is. */
function endOfStretch(times: Float64Array, from: number, windows: StepWindows, first: number, end: number): number {
  const isSame = (i: number): boolean => {
    const time = windows.relative(times[i]!, 0)
    return windows.firstStep(time) === first && windows.endStep(time) === end
  }
  let low = from
  let high = times.length
  if (isSame(high - 1)) return high
  // The line at `low` is in these windows, the one at `high` is not.
  while (low + 1 < high) {
    const middle = (low + high) >>> 1
    if (isSame(middle)) low = middle
    else high = middle
  }
  return low + 1
}

/** Lines and bytes of the lines [from, to), by the number of their combination. */
function sumsOf(
  numbers: Uint8Array,
  lengths: Float64Array | undefined,
  from: number,
  to: number,
): { combinations: CountedCombination[] } {
  const lines = new Uint32Array(256)
  const bytes = new Float64Array(256)
  for (let i = from; i < to; i++) lines[numbers[i]!]!++
  if (lengths !== undefined) for (let i = from; i < to; i++) bytes[numbers[i]!]! += lengths[i]!
  const combinations: CountedCombination[] = []
  for (let number = 0; number < 256; number++)
    if (lines[number]! > 0) combinations.push({ number, lines: lines[number]!, bytes: bytes[number]! })
  return { combinations }
}
