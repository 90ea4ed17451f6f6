/** The metrics of a run: their series, the values of their labels, their types. */
import type { Labels } from '#library/results.ts'

const valuesKeptMax = 3

export interface LabelProfile {
  /** Different values. */
  values: number
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
}

/** From the label sets of a metric's series. */
export function metricProfileOf(
  name: string,
  series: readonly Labels[],
  { type, isCut = false }: { type?: string | undefined; isCut?: boolean } = {},
): MetricProfile {
  const values = new Map<string, Set<string>>()
  for (const labels of series)
    for (const [label, value] of Object.entries(labels)) {
      if (label === '__name__') continue
      const known = values.get(label)
      if (known === undefined) values.set(label, new Set([value]))
      else known.add(value)
    }
  const labels = [...values].map(
    ([label, set]) => [label, { values: set.size, samples: [...set].slice(0, valuesKeptMax) }] as const,
  )
  return { name, series: series.length, isCut, labels: new Map(labels), type }
}
