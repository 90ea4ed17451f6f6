/**
 * A trace of which several units of a selection have spans, as one row: in the first of them, and empty in the others.
 * Else a span that was sent twice would count twice, until the blocks that have it are merged.
 */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { ColumnBuilder } from '#codec/parquet/column-builder.ts'
import { isDamage, type Omissions } from '#core/omissions.ts'
import { isPoison } from '#core/poison.ts'
import { combineTraces } from '#model/trace-combiner.ts'
import type { Trace } from '#model/trace.ts'
import { RowAssembler } from './assemble.ts'
import type { Meetings, Place, Unit } from './meetings.ts'
import { rowStarts } from './row-starts.ts'
import { plainPath } from './schema.ts'
import { TraceShredder, type RowSource } from './shred.ts'

/** The blocks that a unit is compared with: the following ones that have spans of the same time. */
const neighboursMax = 16
/** Traces of two units that are joined though no span is in both, where one of the units is memory. */
const partedMax = 64
/** Traces of one unit that are put together for one query. */
const joinedMax = 5000

interface UnitPlace extends Place {
  readonly unit: number
}
/** All rows of one trace, in the order of the units. */
interface Parts {
  readonly id: string
  readonly places: readonly UnitPlace[]
  /** One that has the spans of all others, which are empty then: nothing is put together. */
  readonly whole: UnitPlace | undefined
}
/** Two rows of one trace. */
interface Touch {
  readonly a: UnitPlace
  readonly b: UnitPlace
  readonly aHasB: boolean
  readonly bHasA: boolean
}
/** Traces that were put together, and the row of each there. */
interface Joined {
  readonly source: RowSource
  readonly rowOf: ReadonlyMap<string, number>
}
/** By row of a group: the row among the joined ones that takes its place; -1: it is empty. */
type Replacements = ReadonlyMap<number, number>

/** The units of one selection, newest first. What they have in common is looked for when rows of them are read. */
export class JoinedRows {
  readonly #units: readonly Unit[]
  readonly #meetings: Meetings
  readonly #pause: () => Promise<void>
  readonly #omissions: Omissions
  readonly #neighbours: readonly (readonly number[])[]
  readonly #parts = new Map<number, Promise<ReadonlyMap<string, Parts>>>()
  readonly #touching = new Map<number, Promise<ReadonlyMap<string, Touch[]>>>()
  readonly #joined = new Map<number, Promise<Joined | undefined>>()
  readonly #replaced = new Map<number, Promise<ReadonlyMap<number, Replacements>>>()

  constructor(units: readonly Unit[], meetings: Meetings, pause: () => Promise<void>, omissions: Omissions) {
    this.#units = units
    this.#meetings = meetings
    this.#pause = pause
    this.#omissions = omissions
    this.#neighbours = neighboursOf(units)
  }

  /** Columns of a group of a unit. */
  async columns(unit: number, group: number, paths: readonly string[]): Promise<ReadonlyMap<string, ColumnData>> {
    const own = this.#units[unit]!.groups[group]!
    if (this.#neighbours[unit]!.length === 0) return own.columns(paths)
    const reading = own.columns(paths)
    reading.catch(() => {})
    const replaced = (await this.#replacedIn(unit)).get(group)
    const read = await reading
    if (replaced === undefined) return read
    const joined = await this.#joinedIn(unit)
    return new Map(Array.from(read, ([path, data]) => [path, withReplaced(path, data, own.rows, replaced, joined)]))
  }

  /** By id: rows of the unit, and of its neighbours, that are one trace. */
  #touchingOf(unit: number): Promise<ReadonlyMap<string, Touch[]>> {
    let found = this.#touching.get(unit)
    if (found === undefined) this.#touching.set(unit, (found = this.#findTouching(unit)))
    return found
  }

  async #findTouching(unit: number): Promise<ReadonlyMap<string, Touch[]>> {
    const touching = new Map<string, Touch[]>()
    for (const other of this.#neighbours[unit]!) {
      const [first, second] = unit < other ? [unit, other] : [other, unit]
      const a = this.#units[first]!
      const b = this.#units[second]!
      const meetings = await this.#meetings.of(a, b, this.#pause)
      const parted = meetings.reduce((count, { sharesSpans }) => count + (sharesSpans ? 0 : 1), 0)
      const joinsParted = parted <= partedMax && (a.isInMemory || b.isInMemory)
      for (const { id, a: inA, b: inB, sharesSpans, aHasB, bHasA } of meetings) {
        if (!sharesSpans && !joinsParted) continue
        let touches = touching.get(id)
        if (touches === undefined) touching.set(id, (touches = []))
        touches.push({ a: { unit: first, ...inA }, b: { unit: second, ...inB }, aHasB, bHasA })
      }
    }
    return touching
  }

  #partsIn(unit: number): Promise<ReadonlyMap<string, Parts>> {
    let found = this.#parts.get(unit)
    if (found === undefined) this.#parts.set(unit, (found = this.#findParts(unit)))
    return found
  }

  /** Goes on from neighbour to neighbour: the same parts, whichever of the units one begins with. */
  async #findParts(unit: number): Promise<ReadonlyMap<string, Parts>> {
    const parts = new Map<string, Parts>()
    for (const id of (await this.#touchingOf(unit)).keys()) {
      const touches: Touch[] = []
      const units = new Set([unit])
      for (const next of units)
        for (const touch of (await this.#touchingOf(next)).get(id) ?? []) {
          touches.push(touch)
          units.add(touch.a.unit).add(touch.b.unit)
        }
      parts.set(id, partsOf(id, touches))
    }
    return parts
  }

  #joinedIn(unit: number): Promise<Joined | undefined> {
    let joined = this.#joined.get(unit)
    if (joined === undefined) this.#joined.set(unit, (joined = this.#join(unit)))
    return joined
  }

  /** Puts the traces together that stand in a row of the unit. Undefined where a part of them is damaged. */
  async #join(unit: number): Promise<Joined | undefined> {
    const all = [...(await this.#partsIn(unit)).values()].filter(
      ({ places, whole }) => whole === undefined && places[0]!.unit === unit,
    )
    if (all.length === 0) return undefined
    const own = all.slice(0, joinedMax)
    if (own.length < all.length)
      this.#omissions.add(
        this.#units[unit]!.key,
        `${all.length} traces are there in several parts, and ${joinedMax} were put together: spans of others that ` +
          'were sent twice count twice',
      )
    try {
      const traces = await this.#tracesOf(own)
      const group = new TraceShredder(this.#units[unit]!.layout)
      const rowOf = new Map<string, number>()
      for (const { id } of own) {
        rowOf.set(id, group.rows)
        group.add(Buffer.from(id, 'latin1'), combineTraces(traces.get(id)!))
        await this.#pause()
      }
      return { source: { rows: group.rows, columns: group.builders.map(builder => builder.data()) }, rowOf }
    } catch (error) {
      if (!isDamage(error) && !isPoison(error)) throw error
      return undefined
    }
  }

  /** The parts of each trace, in order. A group of rows is gone over once. */
  async #tracesOf(all: readonly Parts[]): Promise<ReadonlyMap<string, Trace[]>> {
    const traces = new Map<string, Trace[]>()
    const places = all.flatMap(({ id, places }) => places.map(place => ({ id, place })))
    places.sort((a, b) => byPlace(a.place, b.place))
    let assembler: RowAssembler | undefined
    let at: UnitPlace | undefined
    for (const { id, place } of places) {
      if (assembler === undefined || at?.unit !== place.unit || at.group !== place.group) {
        const { groups, layout } = this.#units[place.unit]!
        const { columns, paths } = groups[place.group]!
        assembler = new RowAssembler([...(await columns(paths)).values()], layout.dedicated)
      }
      at = place
      const { trace } = assembler.row(place.row)
      const parts = traces.get(id)
      if (parts === undefined) traces.set(id, [trace])
      else parts.push(trace)
      await this.#pause()
    }
    return traces
  }

  #replacedIn(unit: number): Promise<ReadonlyMap<number, Replacements>> {
    let replaced = this.#replaced.get(unit)
    if (replaced === undefined) this.#replaced.set(unit, (replaced = this.#findReplaced(unit)))
    return replaced
  }

  async #findReplaced(unit: number): Promise<ReadonlyMap<number, Replacements>> {
    const byGroup = new Map<number, Map<number, number>>()
    for (const { id, places, whole } of (await this.#partsIn(unit)).values()) {
      const joined = whole === undefined ? (await this.#joinedIn(places[0]!.unit))?.rowOf.get(id) : -1
      if (joined === undefined) continue
      for (const [i, place] of places.entries()) {
        if (place.unit !== unit || place === whole) continue
        const { group, row } = place
        let rows = byGroup.get(group)
        if (rows === undefined) byGroup.set(group, (rows = new Map()))
        rows.set(row, i === 0 ? joined : -1)
      }
    }
    return byGroup
  }
}

function keyOf({ unit, group, row }: UnitPlace): string {
  return `${unit} ${group} ${row}`
}

/** The same, in whatever order the touches come. */
function partsOf(id: string, touches: readonly Touch[]): Parts {
  const places = new Map<string, UnitPlace>()
  /** By row, the rows whose spans it has. */
  const covered = new Map<string, Set<string>>()
  const cover = (by: string, other: string): void => {
    const known = covered.get(by)
    if (known === undefined) covered.set(by, new Set([other]))
    else known.add(other)
  }
  for (const { a, b, aHasB, bHasA } of touches) {
    const [keyA, keyB] = [keyOf(a), keyOf(b)]
    places.set(keyA, a)
    places.set(keyB, b)
    if (aHasB) cover(keyA, keyB)
    if (bHasA) cover(keyB, keyA)
  }
  const sorted = [...places.values()].sort(byPlace)
  const whole = sorted.find(place => covered.get(keyOf(place))?.size === sorted.length - 1)
  return { id, places: sorted, whole }
}

function byPlace(a: UnitPlace, b: UnitPlace): number {
  return a.unit - b.unit || a.group - b.group || a.row - b.row
}

/** By unit: those that may have spans of its traces, of both sides alike. Memory may have a trace twice by itself. */
function neighboursOf(units: readonly Unit[]): number[][] {
  const neighbours: number[][] = units.map(({ isInMemory }, i) => (isInMemory ? [i] : []))
  for (const [i, unit] of units.entries()) {
    let blocks = 0
    for (let j = i + 1; j < units.length && blocks < neighboursMax; j++) {
      const other = units[j]!
      if (other.fromMs > unit.throughMs || other.throughMs < unit.fromMs) {
        // Blocks come in the order of their ends.
        if (!other.isInMemory && other.throughMs < unit.fromMs) break
        continue
      }
      if (!other.isInMemory) blocks++
      neighbours[i]!.push(j)
      neighbours[j]!.push(i)
    }
  }
  return neighbours
}

/** A column of a group whose rows are replaced. What stands in no list stays: a row that is empty has no spans. */
function withReplaced(
  path: string,
  data: ColumnData,
  rows: number,
  replaced: Replacements,
  joined: Joined | undefined,
): ColumnData {
  const { column } = data
  const own = rowStarts(data, rows)
  const other = joined?.source.columns.find(c => plainPath(c.column.path) === path)
  const others = other === undefined ? undefined : rowStarts(other, joined!.source.rows)
  const builder = new ColumnBuilder(column)
  const numbers = numbersOf(data)
  const otherNumbers = other === undefined ? undefined : numbersOf(other)
  const copy = (from: ColumnData, { entries, values }: typeof own, row: number, to: number, of?: Int32Array): void => {
    builder.copy(from, entries[row]!, entries[to]!, values[row]!, values[to]!, of)
  }
  let row = 0
  for (const at of [...replaced.keys()].sort((a, b) => a - b)) {
    copy(data, own, row, at, numbers)
    const joinedRow = replaced.get(at)!
    if (joinedRow >= 0 && other !== undefined && others !== undefined)
      copy(other, others, joinedRow, joinedRow + 1, otherNumbers)
    else if (column.maxRep > 0) builder.addNull(0, 0)
    else copy(data, own, at, at + 1, numbers)
    row = at + 1
  }
  copy(data, own, row, rows, numbers)
  return builder.data()
}

function numbersOf({ indices, texts }: ColumnData): Int32Array | undefined {
  return indices === undefined || texts === undefined ? undefined : new Int32Array(texts.count).fill(-1)
}
