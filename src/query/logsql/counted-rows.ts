/**
 * Rows that are counted without being made: the pipe stats with nothing but counts, by labels, metadata and buckets of
 * time, behind a filter that looks at the same. Counts come from what lies beside the chunks (logql/counted-lines.ts).
 */
import { ByteWriter } from '#codec/byte-writer.ts'
import type { Filter, Pipe } from '#lang/logsql/ast.ts'
import type { Instant } from '#lang/logsql/numbers.ts'
import type { Lines } from '#logs/select.ts'
import { addCounts, type CountedChunk, type LineCounts, type StepWindows } from '../logql/counted-lines.ts'
import { wholeStepOf } from './buckets.ts'
import { compileFilter, type RowTest } from './filter.ts'
import { LazyRow, streamNames } from './row.ts'
import { afterRow, type PipeContext, type Sink } from './sink.ts'

/** The first and the last moment of a query's time. */
export interface RowBounds {
  from: Instant
  through: Instant
}

/** Rows of one chunk with the same metadata, by the bucket of their time. */
interface CountedSeries {
  pairs: readonly string[]
  byStep: Map<number, number>
}

/** Counts rows for a sink. */
export class RowCounter {
  readonly windows: StepWindows
  readonly #test: RowTest
  readonly #wanted: ReadonlySet<string>
  readonly #widthMs: number
  readonly #offsetMs: number
  readonly #row = new LazyRow()

  constructor(test: RowTest, wanted: ReadonlySet<string>, step: BucketStep, bounds: RowBounds) {
    this.#test = test
    this.#wanted = wanted
    this.#widthMs = step.widthMs
    this.#offsetMs = step.offsetMs
    this.windows = windowsOf(step, bounds)
  }

  /**
   * Writes what the chunk's columns answer to the sink. Nothing is held beyond the chunk: the sink knows how much it
   * may hold.
   */
  async add(chunk: CountedChunk, writeTimes: NonNullable<Sink['writeTimes']>, context: PipeContext): Promise<void> {
    const stream = streamNames(chunk.task.labels)
    const counted: CountedSeries[] = []
    const into: LineCounts<CountedSeries> = {
      seriesOf: (_, pairs) => {
        this.#row.reset(stream, lineWith(pairs, 0), 0, pairs)
        if (!this.#test(this.#row)) return undefined
        const series = { pairs, byStep: new Map<number, number>() }
        counted.push(series)
        return series
      },
      count: ({ byStep }, first, _end, lines) => {
        byStep.set(first, (byStep.get(first) ?? 0) + lines)
      },
    }
    await addCounts(chunk, this.windows, into, { lines: 0, bytes: 0, passed: 0 }, context.budget)
    for (const { pairs, byStep } of counted)
      for (const [step, rows] of byStep) {
        const ms = this.#widthMs === Infinity ? 0 : step * this.#widthMs + this.#offsetMs
        this.#row.reset(stream, lineWith(pairs, ms), 0, pairs)
        writeTimes(this.#row.fields(this.#wanted), rows)
        const rest = afterRow(context)
        if (rest !== undefined) await rest
      }
  }
}

/** An empty line with the metadata, whose texts are its symbols. */
function lineWith(pairs: readonly string[], ms: number): Lines {
  const out = new ByteWriter(16 + pairs.length * 2)
  out.writeUvarint(pairs.length / 2)
  for (let i = 0; i < pairs.length; i++) out.writeUvarint(i)
  const bytes = out.bytes()
  return {
    bytes,
    count: 1,
    timesMs: Float64Array.of(ms),
    subNs: Uint32Array.of(0),
    lineFrom: Uint32Array.of(0),
    lineTo: Uint32Array.of(0),
    pairsFrom: Uint32Array.of(0),
    pairsTo: Uint32Array.of(bytes.length),
  }
}

/** Buckets of time; of infinite width where there is one alone. */
interface BucketStep {
  widthMs: number
  offsetMs: number
}

const outside = Number.MAX_SAFE_INTEGER

/** A bucket is a step, and its own only window; what is out of the query's time is in none. */
function windowsOf({ widthMs, offsetMs }: BucketStep, { from, through }: RowBounds): StepWindows {
  const stepOf = (ms: number): number =>
    ms < from.ms
      ? -outside
      : ms > through.ms
        ? outside
        : widthMs === Infinity
          ? 0
          : Math.floor((ms - offsetMs) / widthMs)
  const areWholeBounds =
    from.subNs === 0 && from.ms % 1000 === 0 && through.subNs === 999_999 && (through.ms + 1) % 1000 === 0
  const areWholeBuckets = widthMs === Infinity || (widthMs % 1000 === 0 && offsetMs % 1000 === 0)
  return {
    areWholeSeconds: areWholeBounds && areWholeBuckets,
    fromMs: from.ms,
    toMs: through.ms,
    // Half a millisecond off: what the bound leaves out of its own millisecond.
    relative: (ms, subNs) =>
      ms === from.ms && subNs < from.subNs ? ms - 0.5 : ms === through.ms && subNs > through.subNs ? ms + 0.5 : ms,
    firstStep: stepOf,
    endStep: ms => {
      const step = stepOf(ms)
      return Math.abs(step) === outside ? step : step + 1
    },
  }
}

/** A counter of the rows that the filter finds, where the pipe needs no more of them; undefined where it does. */
export function rowCounter(filter: Filter, pipe: Pipe | undefined, bounds: RowBounds): RowCounter | undefined {
  if (pipe?.kind !== 'stats' || !areCounts(pipe)) return undefined
  const rest = withoutTime(filter)
  if (!readsLabelsOnly(rest)) return undefined
  let step: BucketStep = { widthMs: Infinity, offsetMs: 0 }
  for (const { field, bucket } of pipe.by) {
    if (field === '_time') {
      const own = bucket === undefined ? undefined : wholeStepOf(bucket)
      if (own === undefined || step.widthMs !== Infinity) return undefined
      step = own
    } else if (isOfLine(field)) return undefined
  }
  return new RowCounter(compileFilter(rest), new Set(pipe.by.map(({ field }) => field)), step, bounds)
}

function areCounts(pipe: Pipe & { kind: 'stats' }): boolean {
  return pipe.calls.every(
    ({ name, args, condition }) => name === 'count' && args.includes('*') && condition === undefined,
  )
}

/** Does each line have its own? */
function isOfLine(field: string): boolean {
  return field === '' || field === '_msg' || field === '_time' || field.endsWith('*')
}

/** The filter without the bounds of time that all rows have to keep: they are those of the query. */
function withoutTime(filter: Filter): Filter {
  if (filter.kind === 'time') return { kind: 'any' }
  return filter.kind === 'and' ? { kind: 'and', parts: filter.parts.map(withoutTime) } : filter
}

function readsLabelsOnly(filter: Filter): boolean {
  switch (filter.kind) {
    case 'any':
    case 'stream':
    case 'stream-id':
      return true
    case 'and':
    case 'or':
      return filter.parts.every(readsLabelsOnly)
    case 'not':
      return readsLabelsOnly(filter.inner)
    case 'phrase':
    case 'prefix':
    case 'exact':
    case 'exact-prefix':
    case 'substring':
    case 'regex':
    case 'in':
    case 'contains-all':
    case 'contains-any':
    case 'range':
    case 'string-range':
      return !isOfLine(filter.field)
    default:
      return false
  }
}
