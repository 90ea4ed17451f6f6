/** Values of expressions: rows over the steps of a query, as columns. */
import { assert } from '#core/assert.ts'
import { ExecutionError } from '#core/errors.ts'
import { metricName, typeLabel, unitLabel } from '#core/names.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { Budget } from '../budget.ts'

/** The instants at which a query is evaluated. One step for an instant query. */
export interface Grid {
  startMs: number
  intervalMs: number
  steps: number
  /** Where the range ends: after the last step, or at it. */
  endMs: number
}

/** Units of work (Budget.worked) of a row beside its steps: its labels, their key, its place in a table. */
export const unitsOfRow = 64

/** Units of work of a histogram, where a float has one. */
export const unitsOfHistogram = 32

/** The kinds of sample that a row has at a step. */
export const absent = 0
export const isFloat = 1
export const isHistogram = 2

/** One series of a result: at step i nothing, a float or a histogram, as `present[i]` says. */
export class Row {
  labels: Labels
  /** The name is to be removed when the whole query is done (delayed name removal). */
  dropName: boolean
  readonly present: Uint8Array
  readonly values: Float64Array
  histograms: (FloatHistogram | undefined)[] | undefined

  constructor(labels: Labels, dropName: boolean, steps: number, room?: RowMemory) {
    this.labels = labels
    this.dropName = dropName
    this.present = room === undefined ? new Uint8Array(steps) : room.present(steps)
    this.values = room === undefined ? new Float64Array(steps) : room.values(steps)
    this.histograms = undefined
  }

  setFloat(step: number, value: number): void {
    this.present[step] = isFloat
    this.values[step] = value
  }

  setHistogram(step: number, histogram: FloatHistogram): void {
    this.present[step] = isHistogram
    this.histograms ??= []
    this.histograms[step] = histogram
  }

  /** The histogram of a step where `present` says that there is one. */
  histogramAt(step: number): FloatHistogram {
    const histogram = this.histograms?.[step]
    assert(histogram !== undefined, 'a row has no histogram at a step that is marked so')
    return histogram
  }

  /** Copies the sample of a step from another row, to the same step unless another one is named. */
  copyStep(from: Row, step: number, to = step): void {
    this.present[to] = from.present[step]!
    this.values[to] = from.values[step]!
    if (from.present[step] === isHistogram) this.setHistogram(to, from.histogramAt(step))
  }

  /** The steps [first, end) of the row, in the same memory. */
  part(first: number, end: number): Row {
    const part = new Row(this.labels, this.dropName, end - first, {
      present: () => this.present.subarray(first, end),
      values: () => this.values.subarray(first, end),
    })
    part.histograms = this.histograms?.slice(first, end)
    return part
  }

  get isEmpty(): boolean {
    return !this.present.includes(isFloat) && !this.present.includes(isHistogram)
  }
}

/** Units of work of a step of the row. */
export function unitsOfStep(row: Row): number {
  return row.histograms === undefined ? 1 : unitsOfHistogram
}

/** Where a row's columns are: each is asked for once. */
export interface RowMemory {
  present(steps: number): Uint8Array
  values(steps: number): Float64Array
}

/** Rows that share a piece of memory: 64, fewer where they are long. */
const rowsAtOnce = 64
const pieceNumbersMax = 65_536

function rowsInPiece(steps: number): number {
  return Math.max(1, Math.min(rowsAtOnce, Math.floor(pieceNumbersMax / Math.max(1, steps))))
}

/**
 * Memory for many rows of one length, taken in large pieces: a piece of its own for each costs more than filling it.
 */
export class RowRoom implements RowMemory {
  #presence = new Uint8Array(0)
  #presenceAt = 0
  #numbers = new Float64Array(0)
  #numbersAt = 0

  present(steps: number): Uint8Array {
    if (this.#presenceAt + steps > this.#presence.length) {
      this.#presence = new Uint8Array(steps * rowsInPiece(steps))
      this.#presenceAt = 0
    }
    this.#presenceAt += steps
    return this.#presence.subarray(this.#presenceAt - steps, this.#presenceAt)
  }

  values(steps: number): Float64Array {
    if (this.#numbersAt + steps > this.#numbers.length) {
      this.#numbers = new Float64Array(steps * rowsInPiece(steps))
      this.#numbersAt = 0
    }
    this.#numbersAt += steps
    return this.#numbers.subarray(this.#numbersAt - steps, this.#numbersAt)
  }

  /** Takes the memory of the row that was made last, which nothing was written to, for the next one. */
  giveBack(row: Row): void {
    this.#presenceAt -= row.present.length
    this.#numbersAt -= row.values.length
  }
}

/** The value of an expression: scalars have a number a step, vectors rows. */
export type Value =
  | { kind: 'scalar'; values: Float64Array }
  | { kind: 'vector'; rows: Row[] }
  | { kind: 'string'; value: string }

const metadataLabels: ReadonlySet<string> = new Set([metricName, typeLabel, unitLabel])

/** Without the labels that describe the metric rather than the series: name, type, unit. */
export function withoutMetadata(labels: Labels): Labels {
  return labels.drop(metadataLabels)
}

/** `{a="b", c="d"}`, the name among the rest, as the reference prints a label set. */
export function asSet(labels: Labels): string {
  const parts: string[] = []
  for (let i = 0; i < labels.pairs.length; i += 2)
    parts.push(`${labels.pairs[i]}=${JSON.stringify(labels.pairs[i + 1])}`)
  return `{${parts.join(', ')}}`
}

export const sameLabelsetMessage = 'vector cannot contain metrics with the same labelset'

/** Rows by label set: rows with equal labels become one, and may not both have a sample at one step. */
export class RowMerger {
  readonly #byKey = new Map<string, Row>()
  readonly #room = new RowRoom()
  readonly #steps: number

  constructor(steps: number) {
    this.#steps = steps
  }

  /** The row for these labels, made when there is none. */
  row(labels: Labels, dropName: boolean): Row {
    const key = dropName ? `${labels.key}\ud801` : labels.key
    let row = this.#byKey.get(key)
    if (row === undefined) this.#byKey.set(key, (row = new Row(labels, dropName, this.#steps, this.#room)))
    return row
  }

  add(row: Row): void {
    const key = row.dropName ? `${row.labels.key}\ud801` : row.labels.key
    const known = this.#byKey.get(key)
    if (known === undefined) {
      this.#byKey.set(key, row)
      return
    }
    for (let step = 0; step < this.#steps; step++) {
      if (row.present[step] === absent) continue
      if (known.present[step] !== absent) throw new ExecutionError(sameLabelsetMessage)
      known.copyStep(row, step)
    }
  }

  get size(): number {
    return this.#byKey.size
  }

  get rows(): Row[] {
    return [...this.#byKey.values()]
  }
}

/** Removes names at the end of a query, where `dropName` asks for it; rows with equal labels are then merged. */
export async function finishNames(rows: Row[], steps: number, budget: Budget): Promise<Row[]> {
  const merger = new RowMerger(steps)
  for (const row of rows) {
    if (budget.worked(unitsOfRow + steps)) await budget.pause()
    if (row.dropName) {
      row.labels = withoutMetadata(row.labels)
      row.dropName = false
    }
    merger.add(row)
  }
  return merger.rows
}
