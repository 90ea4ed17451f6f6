/** Warnings and infos that accompany a result. Texts follow the reference implementation's. */
import { positionOf } from '#lang/promql/parser.ts'
import { formatG } from '#model/histogram.ts'

/** A warning or an information, with its place in the query. */
export interface Annotation {
  level: 'warning' | 'info'
  text: string
  from: number
}

export type HistogramOperation = 'addition' | 'subtraction' | 'aggregation'

/** How the cumulative counts of one classic histogram had to be changed so that they rise. */
export interface Forced {
  minBound: number
  maxBound: number
  maxFall: number
}

/** The same for all the histograms of a metric at all instants. */
interface AllForced extends Forced {
  firstMs: number
  lastMs: number
  count: number
}

/** Annotations without repetition: of equal ones the last one's place counts. */
export class Annotations {
  readonly #byText = new Map<string, Annotation>()
  /** What was repaired, by the text of the annotation that says so. */
  readonly #forced = new Map<string, AllForced>()
  /** How often starts overlapped, by the text. */
  readonly #overlaps = new Map<string, number>()
  #namesExtreme = false

  #add(level: Annotation['level'], text: string, from: number): void {
    const known = this.#byText.get(text)
    if (known === undefined) this.#byText.set(text, { level, text: `PromQL ${level}: ${text}`, from })
    else known.from = from
  }
  #warn(text: string, at: { from: number }): void {
    this.#add('warning', text, at.from)
  }
  #info(text: string, at: { from: number }): void {
    this.#add('info', text, at.from)
  }

  /** Texts of a level, with their places in the query. */
  textsOf(level: Annotation['level'], query: string): string[] {
    return this.all.filter(a => a.level === level).map(a => `${a.text} (${positionOf(query, a.from)})`)
  }

  /** Does a text go by what was found at several steps? It is another one where fewer are evaluated. */
  get isOfAllSteps(): boolean {
    return this.#namesExtreme || this.#forced.size > 0 || this.#overlaps.size > 0
  }

  get all(): Annotation[] {
    return Array.from(this.#byText, ([text, annotation]) => {
      const forced = this.#forced.get(text)
      if (forced !== undefined) return { ...annotation, text: annotation.text + detailsOf(forced) }
      const overlaps = this.#overlaps.get(text) ?? 0
      return overlaps > 1 ? { ...annotation, text: `${annotation.text} (${overlaps} occurrences)` } : annotation
    })
  }

  /** A text names the most extreme value of all steps. */
  extremeNamed(): void {
    this.#namesExtreme = true
  }

  invalidQuantile(q: number, at: { from: number }): void {
    this.#warn(`quantile value should be between 0 and 1, got ${formatG(q)}`, at)
  }
  invalidRatio(ratio: number, cappedTo: number, at: { from: number }): void {
    this.#warn(`ratio value should be between -1 and 1, got ${formatG(ratio)}, capping to ${formatG(cappedTo)}`, at)
  }
  badBucketLabel(metric: string, value: string, at: { from: number }): void {
    this.#warn(
      `bucket label "le" is missing or has a malformed value of ${JSON.stringify(value)}${forMetric(metric)}`,
      at,
    )
  }
  mixedFloatsHistograms(metric: string, at: { from: number }): void {
    this.#warn(`encountered a mix of histograms and floats for metric name ${JSON.stringify(metric)}`, at)
  }
  mixedFloatsHistogramsInAggregation(at: { from: number }): void {
    this.#warn('encountered a mix of histograms and floats for aggregation', at)
  }
  mixedClassicNative(metric: string, at: { from: number }): void {
    this.#warn(`vector contains a mix of classic and native histograms${forMetric(metric)}`, at)
  }
  notCounter(metric: string, at: { from: number }): void {
    this.#warn(`this native histogram metric is not a counter: ${JSON.stringify(metric)}`, at)
  }
  notGauge(metric: string, at: { from: number }): void {
    this.#warn(`this native histogram metric is not a gauge: ${JSON.stringify(metric)}`, at)
  }
  mixedSchemas(metric: string, at: { from: number }): void {
    this.#warn(
      'vector contains a mix of histograms with exponential and custom buckets schemas for metric name ' +
        `${JSON.stringify(metric)}`,
      at,
    )
  }
  counterResetCollision(operation: HistogramOperation, at: { from: number }): void {
    this.#warn(`conflicting counter resets during histogram ${operation}`, at)
  }
  mismatchedBounds(operation: HistogramOperation, at: { from: number }): void {
    this.#info(`mismatched custom buckets were reconciled during ${operation}`, at)
  }
  incompatibleLayout(op: string, at: { from: number }): void {
    this.#warn(`incompatible bucket layout encountered for binary operator ${op}`, at)
  }

  possibleNonCounter(metric: string, at: { from: number }): void {
    this.#info(
      `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${JSON.stringify(metric)}`,
      at,
    )
  }
  possibleNonCounterType(metric: string, type: string, at: { from: number }): void {
    this.#info(
      `metric might not be a counter, __type__ label is not set to "counter", got ${JSON.stringify(type)}: ` +
        `${JSON.stringify(metric)}`,
      at,
    )
  }
  /** A histogram at an instant whose cumulative counts fell; what is said of one metric becomes one annotation. */
  forcedMonotonicity(metric: string, forced: Forced, atMs: number, at: { from: number }): void {
    const text =
      'input to histogram_quantile needed to be fixed for monotonicity (see ' +
      'https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)' +
      forMetric(metric)
    const known = this.#forced.get(text)
    if (known === undefined) {
      this.#info(text, at)
      this.#forced.set(text, { ...forced, firstMs: atMs, lastMs: atMs, count: 1 })
      return
    }
    known.firstMs = Math.min(known.firstMs, atMs)
    known.lastMs = Math.max(known.lastMs, atMs)
    known.minBound = Math.min(known.minBound, forced.minBound)
    known.maxBound = Math.max(known.maxBound, forced.maxBound)
    known.maxFall = Math.max(known.maxFall, forced.maxFall)
    known.count++
  }
  /** A series of the metric, at an instant, that has overlapping start timestamps. */
  startOverlap(metric: string, at: { from: number }): void {
    const text =
      'sample has start time that overlaps with previous sample timestamp for metric ' + JSON.stringify(metric)
    const known = this.#overlaps.get(text) ?? 0
    if (known === 0) this.#warn(text, at)
    this.#overlaps.set(text, known + 1)
  }
  sortInRange(at: { from: number }): void {
    this.#warn('sort is ineffective for range queries since results are always ordered by labels', at)
  }
  incompatibleTypes(left: string, op: string, right: string, at: { from: number }): void {
    this.#info(
      `incompatible sample types encountered for binary operator ${JSON.stringify(op)}: ${left} ${op} ${right}`,
      at,
    )
  }
  histogramIgnoredInAggregation(op: string, at: { from: number }): void {
    this.#info(`ignored histogram in ${op} aggregation`, at)
  }
  histogramIgnoredInMixedRange(metric: string, at: { from: number }): void {
    this.#info(
      `ignored histograms in a range containing both floats and histograms for metric name ${JSON.stringify(metric)}`,
      at,
    )
  }
  quantileNaNResult(metric: string, at: { from: number }): void {
    this.#info(`input to histogram_quantile has NaN observations, result is NaN${forMetric(metric)}`, at)
  }
  quantileNaNSkew(metric: string, at: { from: number }): void {
    this.#info(`input to histogram_quantile has NaN observations, result is skewed higher${forMetric(metric)}`, at)
  }
  fractionNaNs(metric: string, at: { from: number }): void {
    this.#info(
      `input to histogram_fraction has NaN observations, which are excluded from all fractions${forMetric(metric)}`,
      at,
    )
  }
}

/** Names the metric, where it has a name. */
function forMetric(metric: string): string {
  return metric === '' ? '' : ` for metric name ${JSON.stringify(metric)}`
}

function detailsOf({ minBound, maxBound, maxFall, count, firstMs, lastMs }: AllForced): string {
  const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
  return (
    `, from buckets ${formatG(minBound)} to ${formatG(maxBound)}, with a max diff of ${twoDigits(maxFall)}, over ` +
    `${count} samples from ${time(firstMs)} to ${time(lastMs)}`
  )
}

/** Go's %.2g. */
function twoDigits(value: number): string {
  if (!Number.isFinite(value)) return formatG(value)
  const [mantissa, exponentText] = value.toExponential(1).split('e') as [string, string]
  const exponent = Number(exponentText)
  if (exponent >= -4 && exponent < 2) return String(Number(value.toPrecision(2)))
  const sign = exponent < 0 ? '-' : '+'
  return `${Number(mantissa)}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
}
