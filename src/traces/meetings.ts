/**
 * Traces that two units have, memory or blocks: a sender that repeats a request puts its spans into both. They are
 * found by their ids, and kept for units that stay as they are.
 */
import { bytesAt, type ColumnData } from '#codec/parquet/column-data.ts'
import { isDamage } from '#core/omissions.ts'
import { ByteLru } from '#core/byte-lru.ts'
import { rowStarts } from './row-starts.ts'
import type { BlockLayout } from './schema.ts'
import { idKey } from './segment.ts'

/** Rows whose columns are read together. */
export interface UnitGroup {
  readonly rows: number
  /** All that there are. */
  readonly paths: readonly string[]
  columns(paths: readonly string[]): Promise<ReadonlyMap<string, ColumnData>>
}

/** Rows of memory that were laid out together, or a block. Units of one key have the same rows. */
export interface Unit {
  readonly key: string
  readonly isInMemory: boolean
  /** Milliseconds, both inclusive. */
  readonly fromMs: number
  readonly throughMs: number
  readonly layout: BlockLayout
  readonly groups: readonly UnitGroup[]
}

/** A row of a unit. */
export interface Place {
  readonly group: number
  readonly row: number
}

/** A trace that two rows have. */
export interface Meeting {
  /** As `idKey` gives it. */
  readonly id: string
  readonly a: Place
  readonly b: Place
  /** Whether a span is in both, and whether one row has all spans of the other. */
  readonly sharesSpans: boolean
  readonly aHasB: boolean
  readonly bHasA: boolean
}

const idPath = 'TraceID'
const spanPaths = ['rs.ss.Spans.SpanID', 'rs.ss.Spans.Kind'] as const

export class Meetings {
  /** Hashes of a unit's ids, in ascending order. */
  readonly #hashes: ByteLru<Float64Array>
  readonly #found: ByteLru<readonly Meeting[]>

  constructor(cacheBytes: number) {
    this.#hashes = new ByteLru((cacheBytes * 3) / 4)
    this.#found = new ByteLru(cacheBytes / 4)
  }

  get bytes(): number {
    return this.#hashes.bytes + this.#found.bytes
  }

  /** Returns how many bytes became free. */
  release(bytes: number): number {
    const freed = this.#hashes.release(bytes)
    return freed < bytes ? freed + this.#found.release(bytes - freed) : freed
  }

  /** Traces of both units; of one unit with itself: those that have several rows there. Damaged ids meet nothing. */
  async of(a: Unit, b: Unit, pause: () => Promise<void>): Promise<readonly Meeting[]> {
    const key = `${a.key} ${b.key}`
    const known = this.#found.get(key)
    if (known !== undefined) return known
    try {
      const found = await this.#find(a, b, pause)
      this.#found.set(key, found, 100 + key.length + found.length * 170)
      return found
    } catch (error) {
      if (!isDamage(error)) throw error
      return []
    }
  }

  async #find(a: Unit, b: Unit, pause: () => Promise<void>): Promise<readonly Meeting[]> {
    const common =
      a === b
        ? repeated(await this.#hashesOf(a, pause))
        : shared(await this.#hashesOf(a, pause), await this.#hashesOf(b, pause))
    if (common.size === 0) return []
    const inA = await placesOf(a, common, pause)
    const inB = a === b ? inA : await placesOf(b, common, pause)
    const found: Meeting[] = []
    const spansOfA = new SpansOfRows(a)
    const spansOfB = a === b ? spansOfA : new SpansOfRows(b)
    for (const [id, places] of inA) {
      const others = inB.get(id) ?? []
      for (const [i, one] of places.entries())
        for (const other of a === b ? others.slice(i + 1) : others) {
          const spans = new Set(await spansOfA.of(one))
          const otherSpans = new Set(await spansOfB.of(other))
          const common = spans.intersection(otherSpans).size
          const aHasB = common === otherSpans.size
          found.push({ id, a: one, b: other, sharesSpans: common > 0, aHasB, bHasA: common === spans.size })
        }
      await pause()
    }
    return found
  }

  async #hashesOf(unit: Unit, pause: () => Promise<void>): Promise<Float64Array> {
    const known = this.#hashes.get(unit.key)
    if (known !== undefined) return known
    const hashes = new Float64Array(unit.groups.reduce((sum, { rows }) => sum + rows, 0))
    let at = 0
    for (const group of unit.groups) {
      const ids = (await group.columns([idPath])).get(idPath)
      for (let row = 0; ids !== undefined && row < group.rows; row++) hashes[at++] = hashOf(bytesAt(ids, row))
      await pause()
    }
    const sorted = hashes.subarray(0, at).sort()
    this.#hashes.set(unit.key, sorted, 100 + hashes.byteLength)
    return sorted
  }
}

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!

/** 53 bits of an id of 16 bytes. Half of them are zeros in ids of older senders. */
function hashOf(id: Uint8Array): number {
  const a = word(id, 0)
  const b = word(id, 4)
  const c = word(id, 8)
  const d = word(id, 12)
  const low = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35) ^ d
  const high = Math.imul(b ^ d, 0x27d4eb2f) ^ a ^ c
  return (high >>> 11) * 4_294_967_296 + (low >>> 0)
}

function repeated(sorted: Float64Array): Set<number> {
  const found = new Set<number>()
  for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) found.add(sorted[i]!)
  return found
}

/** Values of both lists; of two that differ much in length, the shorter one is looked up in the longer. */
function shared(a: Float64Array, b: Float64Array): Set<number> {
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  const found = new Set<number>()
  if (long.length > short.length * muchLonger) {
    let from = 0
    for (const value of short) {
      from = firstFrom(long, value, from)
      if (long[from] === value) found.add(value)
    }
    return found
  }
  for (let i = 0, j = 0; i < short.length && j < long.length;) {
    const x = short[i]!
    const y = long[j]!
    if (x === y) found.add(x)
    if (x <= y) i++
    if (y <= x) j++
  }
  return found
}
const muchLonger = 16

/** Where the first value lies that is not less, from a place on before which all are. */
function firstFrom(sorted: Float64Array, value: number, from: number): number {
  let step = 1
  while (from + step < sorted.length && sorted[from + step]! < value) step *= 2
  let low = from
  let high = Math.min(sorted.length, from + step + 1)
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Rows whose ids have one of the hashes, by id. */
async function placesOf(
  unit: Unit,
  hashes: ReadonlySet<number>,
  pause: () => Promise<void>,
): Promise<Map<string, Place[]>> {
  const found = new Map<string, Place[]>()
  for (const [group, { rows, columns }] of unit.groups.entries()) {
    const ids = (await columns([idPath])).get(idPath)
    for (let row = 0; ids !== undefined && row < rows; row++) {
      const id = bytesAt(ids, row)
      if (!hashes.has(hashOf(id))) continue
      const key = idKey(id)
      const places = found.get(key)
      if (places === undefined) found.set(key, [{ group, row }])
      else places.push({ group, row })
    }
    await pause()
  }
  return found
}

/** The spans of a unit's rows: each as its id and its kind, which is what tells two spans apart. */
class SpansOfRows {
  readonly #unit: Unit
  readonly #groups = new Map<number, Promise<(row: number) => string[]>>()

  constructor(unit: Unit) {
    this.#unit = unit
  }

  async of({ group, row }: Place): Promise<string[]> {
    let reader = this.#groups.get(group)
    if (reader === undefined) this.#groups.set(group, (reader = spansReader(this.#unit.groups[group]!)))
    return (await reader)(row)
  }
}

async function spansReader({ rows, columns }: UnitGroup): Promise<(row: number) => string[]> {
  const read = await columns(spanPaths)
  const [ids, kinds] = spanPaths.map(path => read.get(path))
  if (ids === undefined || kinds === undefined) return () => []
  const { values } = rowStarts(ids, rows)
  return row => {
    const spans: string[] = []
    for (let k = values[row]!; k < values[row + 1]!; k++)
      spans.push(`${idKey(bytesAt(ids, k))} ${String(kinds.longs?.[k] ?? kinds.ints?.[k])}`)
    return spans
  }
}
