/** Warnings and infos that accompany a result. Texts follow the reference implementation's. */
import { formatG } from '#model/histogram.ts'

/** A warning or an information, with its place in the query. */
export interface Annotation {
  level: 'warning' | 'info'
  text: string
  from: number
}

export type HistogramOperation = 'addition' | 'subtraction' | 'aggregation'

/** Annotations without repetition. */
export class Annotations {
  readonly #byText = new Map<string, Annotation>()

  #add(level: Annotation['level'], text: string, from: number): void {
    if (!this.#byText.has(text)) this.#byText.set(text, { level, text: `PromQL ${level}: ${text}`, from })
  }
  #warn(text: string, at: { from: number }): void {
    this.#add('warning', text, at.from)
  }
  #info(text: string, at: { from: number }): void {
    this.#add('info', text, at.from)
  }

  get all(): Annotation[] {
    return [...this.#byText.values()]
  }

  invalidQuantile(q: number, at: { from: number }): void {
    this.#warn(`quantile value should be between 0 and 1, got ${formatG(q)}`, at)
  }
  invalidRatio(ratio: number, cappedTo: number, at: { from: number }): void {
    this.#warn(`ratio value should be between -1 and 1, got ${formatG(ratio)}, capping to ${formatG(cappedTo)}`, at)
  }
  badBucketLabel(metric: string, value: string, at: { from: number }): void {
    this.#warn(
      `bucket label "le" is missing or has a malformed value of ${JSON.stringify(value)} for metric name ` +
        `${JSON.stringify(metric)}`,
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
    this.#warn(`vector contains a mix of classic and native histograms for metric name ${JSON.stringify(metric)}`, at)
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
  forcedMonotonicity(metric: string, at: { from: number }): void {
    this.#info(
      'input to histogram_quantile needed to be fixed for monotonicity (see ' +
        'https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name ' +
        `${JSON.stringify(metric)}`,
      at,
    )
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
    this.#info(
      `input to histogram_quantile has NaN observations, result is NaN for metric name ${JSON.stringify(metric)}`,
      at,
    )
  }
  quantileNaNSkew(metric: string, at: { from: number }): void {
    this.#info(
      'input to histogram_quantile has NaN observations, result is skewed higher for metric name ' +
        `${JSON.stringify(metric)}`,
      at,
    )
  }
  fractionNaNs(metric: string, at: { from: number }): void {
    this.#info(
      'input to histogram_fraction has NaN observations, which are excluded from all fractions for metric name ' +
        `${JSON.stringify(metric)}`,
      at,
    )
  }
}
