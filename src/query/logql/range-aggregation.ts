/**
 * Lines to numbers: every line that passes becomes a sample of a series, and each step takes those of its window.
 * Counts and sizes need no samples: each line is added where its windows begin and taken away where they end.
 */
import { ExecutionError, LimitError } from '#core/errors.ts'
import { compileMatchers } from '#lang/logql/parser.ts'
import type { Grouping, RangeAggregation, Stage } from '#lang/logql/ast.ts'
import type { LineBlock, LogsReader, OpenedChunk } from '#logs/select.ts'
import { Labels } from '#model/labels.ts'
import type { Budget } from '../budget.ts'
import { toBytes, toDurationSeconds, toFloat } from './conversions.ts'
import { Entry, errorLabel } from './entry.ts'
import { Pipeline } from './pipeline.ts'
import { addCounts, countAhead, type LineCounts } from './counted-lines.ts'
import { labelName } from './json-line.ts'
import { exclusion, openAhead, planChunks, releaseLines, type ChunkTask } from './scan.ts'
import { labelsOf, makeSeries, type Grid, type Series, type Vector } from './series.ts'
import type { QueryStats } from './stats.ts'
import { sortSamples } from './sample-sort.ts'
import { overWindows } from './sliding-windows.ts'

/** What the parts of a metric query share. */
export interface RangeContext {
  reader: LogsReader
  grid: Grid
  budget: Budget
  stats: QueryStats
  nowMs: () => number
  seriesMax: number
  /** Beyond the limit: stop adding series instead of failing, and note it. */
  onTooManySeries: () => void
}

/** `pushed`: the grouping of a sum around this. `isCounted`: does the limit of series count what comes of it? */
export async function evaluateRange(
  expr: RangeAggregation,
  pushed: Grouping | undefined,
  isCounted: boolean,
  context: RangeContext,
): Promise<Vector> {
  const { grid, budget, stats, nowMs } = context
  const isAbsent = expr.op === 'absent_over_time'
  const grouping = expr.grouping ?? pushed
  const hasNoLabels = isAbsent || (grouping !== undefined && !grouping.isWithout && grouping.labels.length === 0)
  const readsLine = expr.op === 'bytes_over_time' || expr.op === 'bytes_rate'
  const pipeline = new Pipeline(expr.log, { grouping, unwrap: expr.unwrap, hasNoLabels, readsLine }, nowMs, budget)
  const windows = new Windows(grid, expr.rangeMs, expr.offsetNs)
  const collector = new SampleCollector(
    expr,
    windows,
    hasNoLabels ? { isWithout: false, labels: [] } : grouping,
    isCounted,
    context,
  )
  const { fromMs, toMs } = windows
  const { tasks, streams } = await planChunks(context.reader, compileMatchers(expr.log.matchers), fromMs, toMs, nowMs)
  stats.streams += streams
  const scan = new RangeScan(expr, pipeline, windows, collector, context)
  if (pipeline.readsLabelsOnly && !collector.needsSamples) await scan.count(tasks)
  else await scan.read(tasks)
  stats.add(pipeline)
  const series = await collector.finish()
  return isAbsent ? [absentSeries(expr, series, grid)] : series
}

/** Brings the lines of chunks to the collector. */
class RangeScan {
  readonly #pipeline: Pipeline
  readonly #windows: Windows
  readonly #collector: SampleCollector
  readonly #context: RangeContext
  readonly #isPlain: boolean

  constructor(
    expr: RangeAggregation,
    pipeline: Pipeline,
    windows: Windows,
    collector: SampleCollector,
    context: RangeContext,
  ) {
    this.#pipeline = pipeline
    this.#windows = windows
    this.#collector = collector
    this.#context = context
    this.#isPlain = pipeline.isEmpty && expr.unwrap === undefined
  }

  async read(tasks: readonly ChunkTask[]): Promise<void> {
    const { stats } = this.#context
    for await (const { task, opened } of openAhead(tasks, this.#pipeline.needles)) {
      stats.chunks++
      for (const block of opened.blocks) await this.#readBlock(task, opened, block)
    }
  }

  /** Lines of chunks that have columns are counted; those that columns don't answer are read. */
  async count(tasks: readonly ChunkTask[]): Promise<void> {
    const { stats, budget } = this.#context
    const pipeline = this.#pipeline
    const collector = this.#collector
    const windows = this.#windows
    const into: LineCounts<Accumulator> = {
      seriesOf: ({ labels }, sent) => {
        const pairs = sent.map((text, p) => (p % 2 === 0 ? labelName(text) : text))
        const entry = pipeline.entryOf(labels, pairs)
        return entry === undefined ? undefined : collector.seriesOf(entry)
      },
      count: (series, first, end, lines, bytes) => {
        collector.count(series, first, end, lines, bytes)
      },
    }
    const totals = { lines: 0, bytes: 0, passed: 0 }
    for await (const chunk of countAhead(tasks, windows, collector.needsSums, budget)) {
      const { task, counts, opened } = chunk
      stats.chunks++
      await addCounts(chunk, windows, into, totals, budget)
      await budget.pause()
      for (const [b, block] of (opened?.blocks ?? []).entries())
        if (counts.length === 0 || counts[b]!.kind === 'read') await this.#readBlock(task, opened!, block)
    }
    pipeline.linesSeen += totals.lines
    pipeline.bytesSeen += totals.bytes
    pipeline.linesPassed += totals.passed
  }

  async #readBlock(task: ChunkTask, { symbols }: OpenedChunk, block: LineBlock): Promise<void> {
    const { stats, budget } = this.#context
    const pipeline = this.#pipeline
    const collector = this.#collector
    const { fromMs, fromSubNs, toMs, toSubNs } = this.#windows
    if (block.maxMs < fromMs || block.minMs > toMs) return
    if (!pipeline.needles.every(needle => block.mayContain(needle))) {
      stats.blocksSkipped++
      return
    }
    const lines = block.lines()
    const isExcluded = exclusion(task, lines, symbols)
    const bounds = { fromMs, fromSubNs, toMs, toSubNs }
    if (this.#isPlain)
      pipeline.scanPlain(lines, symbols, bounds, isExcluded, (i, pairs) => {
        const size = lines.lineTo[i]! - lines.lineFrom[i]!
        collector.addPlain(task.labels, pairs, lines.timesMs[i]!, lines.subNs[i]!, size)
      })
    else {
      const visit = (entry: Entry): boolean => {
        collector.add(entry, pipeline)
        return true
      }
      await pipeline.scanPaced(task.labels, lines, symbols, { bounds, isBackward: false, isExcluded, visit }, budget)
    }
    releaseLines(task, block)
    await budget.pause()
  }
}

/** Windows of the steps: a line at time t is in those of steps k with k·step - range < t - origin <= k·step. */
class Windows {
  readonly steps: number
  readonly areWholeSeconds: boolean
  readonly #originMs: number
  readonly #originSubNs: number
  readonly stepNs: number
  readonly rangeNs: number
  /** Lines of [from, to) are in some window. */
  readonly fromMs: number
  readonly fromSubNs: number
  readonly toMs: number
  readonly toSubNs: number

  constructor(grid: Grid, rangeMs: number, offsetNs: number) {
    this.steps = grid.steps
    // A single step has no distance to the next, so whatever it is does not matter.
    this.stepNs = (grid.steps === 1 ? 1 : grid.stepMs) * 1e6
    this.rangeNs = rangeMs * 1e6
    const offsetMs = Math.floor(offsetNs / 1e6)
    let originMs = grid.startMs - offsetMs
    let originSubNs = grid.startSubNs - (offsetNs - offsetMs * 1e6)
    if (originSubNs < 0) {
      originSubNs += 1e6
      originMs--
    }
    this.#originMs = originMs
    this.#originSubNs = originSubNs
    const isWholeStep = grid.steps === 1 || grid.stepMs % 1000 === 0
    this.areWholeSeconds = originSubNs === 0 && originMs % 1000 === 0 && isWholeStep && rangeMs % 1000 === 0
    // (a, b] in whole nanoseconds is [a + 1, b + 1).
    const carry = originSubNs + 1 >= 1e6 ? 1 : 0
    this.fromMs = originMs - rangeMs + carry
    this.fromSubNs = carry === 1 ? 0 : originSubNs + 1
    this.toMs = originMs + (grid.steps - 1) * grid.stepMs + carry
    this.toSubNs = this.fromSubNs
  }

  /** Nanoseconds from the first step. */
  relative(ms: number, subNs: number): number {
    return (ms - this.#originMs) * 1e6 + subNs - this.#originSubNs
  }
  firstStep(relativeNs: number): number {
    return Math.max(0, Math.ceil(relativeNs / this.stepNs))
  }
  /** Exclusive. */
  endStep(relativeNs: number): number {
    return Math.min(this.steps, Math.ceil((relativeNs + this.rangeNs) / this.stepNs))
  }
  /** Is a time that lies between the ends in the window of a step? Between two of them no line makes a series. */
  has(relativeNs: number): boolean {
    return this.rangeNs >= this.stepNs || this.firstStep(relativeNs) < this.endStep(relativeNs)
  }
}

/** A series under way: differences by step, or samples. */
class Accumulator {
  readonly labels: Labels
  /** Differences by step; empty where samples are kept. */
  readonly counts: Float64Array
  readonly sums: Float64Array | undefined
  times = new Float64Array(16)
  values = new Float64Array(16)
  count = 0
  inOrder = true

  constructor(labels: Labels, steps: number, needsSums: boolean, needsSamples: boolean) {
    this.labels = labels
    this.counts = new Float64Array(needsSamples ? 0 : steps + 1)
    this.sums = needsSums ? new Float64Array(steps + 1) : undefined
    if (!needsSamples) this.times = this.values = new Float64Array(0)
  }

  addSample(time: number, value: number): void {
    if (this.count === this.times.length) {
      const times = new Float64Array(this.count * 2)
      const values = new Float64Array(this.count * 2)
      times.set(this.times)
      values.set(this.values)
      this.times = times
      this.values = values
    }
    if (this.count > 0 && this.times[this.count - 1]! > time) this.inOrder = false
    this.times[this.count] = time
    this.values[this.count++] = value
  }

  async sort(budget: Budget): Promise<void> {
    if (this.inOrder) return
    const { times, values } = await sortSamples(this, this.count, budget)
    this.times = times
    this.values = values
    this.inOrder = true
  }
}

/** Series by the values of the labels that are grouped by, one after another; undefined: a line does not have it. */
interface ValueNode {
  next: Map<string | undefined, ValueNode>
  series: Accumulator | undefined
}

function nextOf(node: ValueNode, value: string | undefined): ValueNode {
  let next = node.next.get(value)
  if (next === undefined) node.next.set(value, (next = { next: new Map(), series: undefined }))
  return next
}

const countsOnly: ReadonlySet<string> = new Set(['count_over_time', 'rate', 'absent_over_time'])
const sizes: ReadonlySet<string> = new Set(['bytes_over_time', 'bytes_rate'])

/** Behind a stage that takes labels away or renames them, those without text are not shown. */
function changesNames(stage: Stage): boolean {
  const isRename = stage.kind === 'label-format' && stage.formats.some(({ from }) => from !== undefined)
  return stage.kind === 'keep' || stage.kind === 'drop' || isRename
}

class SampleCollector {
  readonly #expr: RangeAggregation
  readonly #windows: Windows
  readonly #grouping: Grouping | undefined
  readonly #without: ReadonlySet<string>
  readonly #keepsErrors: boolean
  /** Are labels without text shown beside others? */
  readonly #showsEmpty: boolean
  readonly #context: RangeContext
  readonly #isCounted: boolean
  /** Are values of lines kept, and not their count alone? */
  readonly needsSamples: boolean
  /** Are bytes of lines summed up? */
  readonly needsSums: boolean
  readonly #byKey = new Map<string, Accumulator>()
  /** The series of lines that have nothing but their stream's labels and one combination of metadata. */
  #plainOf = new Map<readonly string[], Accumulator | undefined>()
  #plainBase: Labels | undefined
  #isFull = false

  constructor(
    expr: RangeAggregation,
    windows: Windows,
    grouping: Grouping | undefined,
    isCounted: boolean,
    context: RangeContext,
  ) {
    this.#isCounted = isCounted
    this.#expr = expr
    this.#windows = windows
    this.#grouping = grouping
    this.#without = new Set(grouping?.isWithout === true ? grouping.labels : [])
    this.#keepsErrors = grouping?.isWithout === false && grouping.labels.includes(errorLabel)
    this.#context = context
    this.#showsEmpty = grouping === undefined && !expr.log.stages.some(changesNames)
    this.needsSums = sizes.has(expr.op)
    this.needsSamples = !this.needsSums && (expr.unwrap !== undefined || !countsOnly.has(expr.op))
  }

  add(entry: Entry, pipeline: Pipeline): void {
    const time = this.#windows.relative(entry.ms, entry.subNs)
    // Between the windows of two steps no line makes a series, or an error.
    if (!this.#windows.has(time)) return
    const { unwrap } = this.#expr
    let value = 1
    if (entry.hasNumber) value = entry.number
    else if (unwrap !== undefined) {
      const text = entry.get(unwrap.label)
      if (text === undefined || text === '') return
      const converted =
        unwrap.conversion === ''
          ? toFloat(text)
          : unwrap.conversion === 'bytes'
            ? toBytes(text)
            : toDurationSeconds(text)
      if (typeof converted === 'number') value = converted
      else if (entry.error === '') entry.fail('SampleExtractionErr', converted.error)
      if (!pipeline.passesUnwrap(entry)) return
      this.#refuseError(entry)
      if (this.#grouping === undefined || this.#grouping.isWithout || !this.#grouping.labels.includes(unwrap.label))
        entry.remove(unwrap.label)
    }
    this.#refuseError(entry)
    if (this.needsSamples) this.#addSample(entry, time, value)
    else this.#addCount(entry, time)
  }

  #addSample(entry: Entry, time: number, value: number): void {
    const series = this.#seriesOf(entry)
    if (series === undefined) return
    this.#context.budget.take(1)
    series.addSample(time, value)
  }

  #addCount(entry: Entry, time: number): void {
    const first = this.#windows.firstStep(time)
    const end = this.#windows.endStep(time)
    if (first >= end) return
    const series = this.#seriesOf(entry)
    if (series !== undefined) this.count(series, first, end, 1, this.needsSums ? entry.lineBytes : 0)
  }

  /** Throws PipelineError for a line with an error, where the query does not group by errors. */
  #refuseError(entry: Entry): void {
    const error = entry.anyError
    if (error !== '' && !(this.#keepsErrors && entry.error !== '')) this.#failPipeline(entry, error)
  }

  #failPipeline(entry: Entry, error: string): never {
    const names: string[] = []
    const values: string[] = []
    entry.forEachLabel((name, value) => {
      names.push(name)
      values.push(value)
    })
    throw new PipelineError(
      `pipeline error: '${error}' for series: '${labelsOf(names, values).toString()}'.\n` +
        `Use a label filter to intentionally skip this error. (e.g | __error__!="${error}").\n` +
        'To skip all potential errors you can match empty errors.(e.g __error__="")\n' +
        'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n',
    )
  }

  #seriesOf(entry: Entry): Accumulator | undefined {
    if (entry.parsedCount > 0 || entry.hidden.length > 0 || entry.error !== '') return this.#lookUp(entry)
    return this.#plainSeries(entry.base, entry.pairs, entry)
  }

  /**
   * The series of lines that have nothing but their stream's labels and one combination of metadata, which is one
   * list.
   */
  #plainSeries(base: Labels, pairs: readonly string[], entry: Entry): Accumulator | undefined {
    if (this.#plainBase !== base) {
      this.#plainBase = base
      this.#plainOf = new Map()
    }
    const known = this.#plainOf.get(pairs)
    if (known !== undefined) return known
    if (entry.base !== base || entry.pairs !== pairs) entry.reset(base, entry.bytes, 0, 0, 0, 0, pairs)
    this.#refuseError(entry)
    const series = this.#lookUp(entry)
    if (this.#plainOf.size < 4096) this.#plainOf.set(pairs, series)
    return series
  }

  /** A line of a pipeline without stages. */
  addPlain(base: Labels, pairs: readonly string[], ms: number, subNs: number, size: number): void {
    const time = this.#windows.relative(ms, subNs)
    const first = this.#windows.firstStep(time)
    const end = this.#windows.endStep(time)
    if (first >= end) return
    const series = this.#plainSeries(base, pairs, this.#plainEntry)
    if (series !== undefined) this.count(series, first, end, 1, size)
  }
  readonly #plainEntry = new Entry()

  /** The series of lines with these labels; undefined where there are too many. Throws PipelineError. */
  seriesOf(entry: Entry): Accumulator | undefined {
    this.#refuseError(entry)
    return this.#seriesOf(entry)
  }

  /** Counts lines and their bytes in the windows of the steps [first, end). */
  count({ counts, sums }: Accumulator, first: number, end: number, lines: number, bytes: number): void {
    counts[first]! += lines
    counts[end]! -= lines
    if (sums !== undefined) {
      sums[first]! += bytes
      sums[end]! -= bytes
    }
  }

  #lookUp(entry: Entry): Accumulator | undefined {
    if (this.#grouping === undefined || this.#grouping.isWithout) return this.#lookUpLabels(entry)
    const { labels } = this.#grouping
    let node: ValueNode | undefined = this.#byValues
    for (let i = 0; i < labels.length && node !== undefined; i++) node = node.next.get(entry.get(labels[i]!))
    if (node?.series !== undefined) return node.series
    const series = this.#lookUpLabels(entry)
    if (series !== undefined) {
      node = this.#byValues
      for (const name of labels) node = nextOf(node, entry.get(name))
      node.series = series
    }
    return series
  }
  readonly #byValues: ValueNode = { next: new Map(), series: undefined }

  #lookUpLabels(entry: Entry): Accumulator | undefined {
    const names: string[] = []
    const values: string[] = []
    if (this.#grouping !== undefined && !this.#grouping.isWithout) {
      for (const name of this.#grouping.labels) {
        const value = name === '__error_details__' ? entry.errorDetails || undefined : entry.get(name)
        if (value !== undefined && !names.includes(name)) {
          names.push(name)
          values.push(value)
        }
      }
    } else
      entry.forEachLabel((name, value) => {
        if (!this.#without.has(name) && (value !== '' || this.#showsEmpty)) {
          names.push(name)
          values.push(value)
        }
      })
    const labels = labelsOf(names, values)
    let series = this.#byKey.get(labels.key)
    if (series !== undefined) return series
    const { grid, seriesMax, onTooManySeries } = this.#context
    if (this.#byKey.size >= seriesMax) {
      if (this.#isCounted) {
        if (!this.#isFull) onTooManySeries()
        this.#isFull = true
        return undefined
      }
      // Nothing else bounds what series hold that do not count.
      this.#context.budget.take(grid.steps)
    }
    this.#byKey.set(labels.key, (series = new Accumulator(labels, grid.steps, this.needsSums, this.needsSamples)))
    return series
  }

  async finish(): Promise<Vector> {
    const result: Series[] = []
    for (const accumulator of this.#byKey.values()) {
      const series = makeSeries(accumulator.labels, this.#windows.steps)
      if (this.needsSamples) await this.#overWindows(accumulator, series)
      else this.#fromDifferences(accumulator, series)
      if (series.present.includes(1)) result.push(series)
      if (this.#context.budget.worked(64 + this.#windows.steps)) await this.#context.budget.pause()
    }
    return result
  }

  #fromDifferences({ counts, sums }: Accumulator, series: Series): void {
    const seconds = this.#expr.op === 'rate' || this.#expr.op === 'bytes_rate' ? this.#windows.rangeNs / 1e9 : 1
    let count = 0
    let sum = 0
    for (let step = 0; step < series.values.length; step++) {
      count += counts[step]!
      if (sums !== undefined) sum += sums[step]!
      if (count === 0) continue
      series.present[step] = 1
      series.values[step] = (sums === undefined ? count : sum) / seconds
    }
  }

  async #overWindows(accumulator: Accumulator, series: Series): Promise<void> {
    const { budget } = this.#context
    await accumulator.sort(budget)
    await overWindows(this.#expr.op, this.#expr.parameter ?? 0, accumulator, this.#windows, series, budget)
  }
}

/** A line with an error that nothing filtered: the query can't give a number. */
export class PipelineError extends ExecutionError {
  override name = 'PipelineError'
}

/** The error of a query with too many series. */
export function tooManySeries(seriesMax: number): LimitError {
  return new LimitError(
    `maximum number of series (${seriesMax}) reached for a single query; consider reducing query cardinality ` +
      'by adding more specific stream selectors, reducing the time range, or aggregating results with functions ' +
      'like sum(), count() or topk()',
    400,
  )
}

function absentSeries(expr: RangeAggregation, found: Vector, grid: Grid): Series {
  const equal = expr.log.matchers.filter(
    m => m.kind === '=' && m.value !== '' && expr.log.matchers.filter(o => o.name === m.name).length === 1,
  )
  const series = makeSeries(
    labelsOf(
      equal.map(m => m.name),
      equal.map(m => m.value),
    ),
    grid.steps,
  )
  for (let step = 0; step < grid.steps; step++) {
    if (found.some(s => s.present[step] === 1)) continue
    series.present[step] = 1
    series.values[step] = 1
  }
  return series
}
