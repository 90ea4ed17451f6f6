/** The metrics of a run: their series, the values of their labels, their types. */
import type { Labels } from '#library/results.ts'

/** Labels with more values are compared by their number alone. */
const valuesKeptMax = 30

export interface LabelProfile {
  /** Different values. */
  values: number
  /** The first of them. */
  readonly samples: readonly string[]
}

export interface MetricProfile {
  readonly name: string
  readonly series: number
  /** There are more series than were counted. */
  readonly isCut: boolean
  readonly labels: ReadonlyMap<string, LabelProfile>
  /** `counter`, `gauge`, `histogram`, …; undefined where nobody said it. */
  readonly type: string | undefined
  /** What a counter, or the count of a histogram, counted in the run; undefined where that is not known. */
  readonly total: number | undefined
}

/** Do the samples hold all values? */
export function isFewValues({ values, samples }: LabelProfile): boolean {
  return values === samples.length
}

export function labelProfileOf(values: ReadonlySet<string>): LabelProfile {
  return { values: values.size, samples: [...values].slice(0, valuesKeptMax) }
}

/** From the label sets of a metric's series. */
export function metricProfileOf(
  name: string,
  series: readonly Labels[],
  { type, isCut = false, total }: { type?: string | undefined; isCut?: boolean; total?: number | undefined } = {},
): MetricProfile {
  const values = new Map<string, Set<string>>()
  for (const labels of series)
    for (const [label, value] of Object.entries(labels)) {
      if (label === '__name__') continue
      const known = values.get(label)
      if (known === undefined) values.set(label, new Set([value]))
      else known.add(value)
    }
  const labels = [...values].map(([label, set]) => [label, labelProfileOf(set)] as const)
  return { name, series: series.length, isCut, labels: new Map(labels), type, total }
}
