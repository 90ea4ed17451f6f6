/** Values of metric expressions: series over the steps of a query. */
import { Labels } from '#model/labels.ts'

/** The instants of a query. The first may lie between milliseconds; steps are whole milliseconds. */
export interface Grid {
  startMs: number
  startSubNs: number
  stepMs: number
  steps: number
}

/** One series over the steps of a query. */
export interface Series {
  /** Sorted by name. Unlike elsewhere a value may be empty: a parsed label without text is not the same as none. */
  labels: Labels
  values: Float64Array
  /** 1 where there is a value. */
  present: Uint8Array
}

export type Vector = Series[]
export type Evaluated = { kind: 'scalar'; value: number } | { kind: 'vector'; series: Vector }

/** A series without values. */
export function makeSeries(labels: Labels, steps: number): Series {
  return { labels, values: new Float64Array(steps), present: new Uint8Array(steps) }
}

/** Labels from names and values in any order. */
export function labelsOf(names: readonly string[], values: readonly string[]): Labels {
  const order = names.map((_, i) => i).sort((a, b) => (names[a]! < names[b]! ? -1 : 1))
  return new Labels(order.flatMap(i => [names[i]!, values[i]!]))
}
