/** Rows of several sources into row groups, in order of trace id: a trace that several have becomes one row. */
import { isPoison } from '#core/poison.ts'
import { bytesAt } from '#codec/parquet/column-data.ts'
import { combineTraces } from '#model/trace-combiner.ts'
import type { Trace } from '#model/trace.ts'
import { RowAssembler } from './assemble.ts'
import { rowStarts } from './row-starts.ts'
import type { BlockLayout } from './schema.ts'
import { idKey, type IdleTraces, type Segment } from './segment.ts'
import { Follower, TraceShredder, type RowSource } from './shred.ts'

const groupBytes = 24 * 1024 * 1024

interface RowPlace {
  source: number
  row: number
  id: Uint8Array
}

/** Row groups of about the same size, each handed on when it is full. `pause` gives way to other work. */
export async function mergeRows(
  sources: readonly RowSource[],
  layout: BlockLayout,
  onGroup: (group: TraceShredder, ids: readonly Uint8Array[]) => void,
  pause: () => Promise<void>,
): Promise<void> {
  const places: RowPlace[] = []
  sources.forEach(({ rows, columns }, source) => {
    for (let row = 0; row < rows; row++) places.push({ source, row, id: bytesAt(columns[0]!, row) })
  })
  places.sort((a, b) => Buffer.compare(a.id, b.id) || a.source - b.source || a.row - b.row)
  const merger = new RowMerger(sources, layout, onGroup)
  for (let p = 0; p < places.length;) {
    let next = p + 1
    while (next < places.length && Buffer.compare(places[next]!.id, places[p]!.id) === 0) next++
    if (next === p + 1) merger.copy(places[p]!)
    else merger.combine(places.slice(p, next))
    p = next
    if (merger.rows % 256 === 0) {
      if (merger.isFull) merger.endGroup()
      await pause()
    }
  }
  merger.endGroup()
}

/** The row group that is being filled from several sources. */
class RowMerger {
  readonly #sources: readonly RowSource[]
  readonly #layout: BlockLayout
  readonly #onGroup: (group: TraceShredder, ids: readonly Uint8Array[]) => void
  readonly #leaders: readonly (number | undefined)[]
  /** By source and column: where its rows begin; undefined where a leader stands for the column. */
  readonly #starts: readonly (readonly (ReturnType<typeof rowStarts> | undefined)[])[]
  #group: TraceShredder
  #followers: readonly Follower[]
  /** By source and column: the group's number of each text of a dictionary. */
  #numbers: readonly (readonly (Int32Array | undefined)[])[]
  #ids: Uint8Array[] = []

  constructor(
    sources: readonly RowSource[],
    layout: BlockLayout,
    onGroup: (group: TraceShredder, ids: readonly Uint8Array[]) => void,
  ) {
    this.#sources = sources
    this.#layout = layout
    this.#onGroup = onGroup
    const leaders = leadersOf(sources)
    this.#leaders = leaders
    this.#starts = sources.map(({ rows, columns }) =>
      columns.map((column, c) => (leaders[c] === undefined ? rowStarts(column, rows) : undefined)),
    )
    this.#group = this.#newGroup()
    this.#followers = this.#followersOf(this.#group)
    this.#numbers = numbersOf(sources)
  }

  get rows(): number {
    return this.#group.rows
  }
  get isFull(): boolean {
    return this.#group.heldBytes >= groupBytes
  }

  /** With room for all rows, or for a group that is full. */
  #newGroup(): TraceShredder {
    const sources = this.#sources
    const group = new TraceShredder(this.#layout)
    const held = sources.reduce((sum, { columns }) => sum + columns.reduce((s, c) => s + c.count, 0), 0) * 3
    const part = Math.min(1, (groupBytes * 1.1) / Math.max(1, held))
    group.builders.forEach((builder, c) => {
      builder.reserve(
        Math.ceil(part * sources.reduce((sum, s) => sum + s.columns[c]!.count, 0)),
        Math.ceil(part * sources.reduce((sum, s) => sum + s.columns[c]!.valueCount, 0)),
      )
    })
    return group
  }

  #followersOf({ builders }: TraceShredder): Follower[] {
    return this.#leaders.flatMap((leader, c) =>
      leader === undefined ? [] : [new Follower(builders[c]!, builders[leader]!)],
    )
  }

  /** A trace that only one source has: its row is copied. */
  copy({ id, source, row }: RowPlace): void {
    this.#ids.push(Uint8Array.from(id))
    const { builders } = this.#group
    const starts = this.#starts[source]!
    const numbers = this.#numbers[source]!
    const { columns } = this.#sources[source]!
    for (let c = 0; c < builders.length; c++) {
      const start = starts[c]
      if (start === undefined) continue
      const { entries, values } = start
      builders[c]!.copy(columns[c]!, entries[row]!, entries[row + 1]!, values[row]!, values[row + 1]!, numbers[c])
    }
    this.#group.noteRow()
  }

  /** A trace that stands in several rows becomes one. */
  combine(places: readonly RowPlace[]): void {
    const id = Uint8Array.from(places[0]!.id)
    this.#ids.push(id)
    const parts = places.map(place => this.#traceAt(place))
    for (const follower of this.#followers) follower.catchUp()
    this.#group.add(id, combineTraces(parts))
    for (const follower of this.#followers) follower.skip()
  }

  /** Rows of a source mostly come in ascending order: its columns are gone over once. */
  #traceAt({ source, row }: RowPlace): Trace {
    let held = this.#assemblers[source]
    if (held === undefined || row <= held.row) {
      const assembler = new RowAssembler(this.#sources[source]!.columns, this.#layout.dedicated)
      this.#assemblers[source] = held = { assembler, row: -1 }
    }
    held.row = row
    return held.assembler.row(row).trace
  }
  readonly #assemblers: ({ assembler: RowAssembler; row: number } | undefined)[] = []

  /** Hands the group on, when it has rows, and begins another. */
  endGroup(): void {
    if (this.#group.rows === 0) return
    for (const follower of this.#followers) follower.catchUp()
    this.#onGroup(this.#group, this.#ids)
    this.#group = this.#newGroup()
    this.#followers = this.#followersOf(this.#group)
    this.#numbers = numbersOf(this.#sources)
    this.#ids = []
  }
}

/** A trace among those of several lists. */
interface IdlePlace {
  list: IdleTraces
  i: number
  id: Uint8Array
  /** The first six bytes of the id, by which most are told apart. */
  head: number
}

/** All of them in the order of their ids, those of one id in the order of the lists. */
function inOrder(idle: readonly IdleTraces[], leftOut: ReadonlySet<string>): IdlePlace[] {
  const places: IdlePlace[] = []
  for (const list of idle)
    for (let i = 0; i < list.count; i++) {
      const id = list.idOf(i)
      if (leftOut.size > 0 && leftOut.has(idKey(id))) continue
      const head = ((id[0]! << 16) | (id[1]! << 8) | id[2]!) * 0x1000000 + ((id[3]! << 16) | (id[4]! << 8) | id[5]!)
      places.push({ list, i, id, head })
    }
  return places.sort((a, b) => a.head - b.head || Buffer.compare(a.id, b.id))
}

/** Idle traces into row groups, in order of trace id, each trace once. Times are those of the spans. */
export async function shredIdle(
  idle: readonly IdleTraces[],
  layout: BlockLayout,
  onGroup: (group: TraceShredder, ids: readonly Uint8Array[]) => void,
  pause: () => Promise<void>,
  leftOut: ReadonlySet<string> = new Set(),
): Promise<{ startNs: bigint; endNs: bigint }> {
  const all = inOrder(idle, leftOut)
  const group = new TraceShredder(layout)
  let ids: Uint8Array[] = []
  let startNs = -1n
  let endNs = 0n
  const end = (): void => {
    if (group.rows === 0) return
    if (startNs < 0n || group.startNs < startNs) startNs = group.startNs
    if (group.endNs > endNs) endNs = group.endNs
    onGroup(group, ids)
    group.reset()
    ids = []
  }
  for (let at = 0; at < all.length;) {
    const { list, i, id } = all[at]!
    let next = at + 1
    while (next < all.length && Buffer.compare(all[next]!.id, id) === 0) next++
    const more = next === at + 1 ? undefined : all.slice(at + 1, next).map(other => other.list.liveAt(other.i))
    group.add(id, list.rawTree(list.liveAt(i), more))
    ids.push(id)
    at = next
    if (group.rows % 64 === 0) {
      if (group.heldBytes >= groupBytes) end()
      await pause()
    }
  }
  end()
  return { startNs, endNs }
}

/** Traces that no block can hold, each tried by itself, by the key of its id. */
export async function findPoison(
  segments: readonly Segment[],
  layout: BlockLayout,
  pause: () => Promise<void>,
): Promise<Map<string, Error>> {
  const found = new Map<string, Error>()
  let group = new TraceShredder(layout)
  for (const segment of segments)
    for (const live of segment.traces) {
      try {
        group.add(live.id, segment.rawTree(live))
        for (const builder of group.builders) builder.encode()
        group.reset()
      } catch (error) {
        if (!isPoison(error)) throw error
        found.set(idKey(live.id), error)
        group = new TraceShredder(layout)
      }
      await pause()
    }
  return found
}

/** By column: another one with the same levels in every source, where neither has a value in any. Those are many. */
function leadersOf(sources: readonly RowSource[]): (number | undefined)[] {
  const isEmpty = (c: number): boolean => sources.every(({ columns }) => columns[c]!.valueCount === 0)
  const isSame = (a: number, b: number): boolean =>
    sources.every(
      ({ columns }) => isSameLevels(columns[a]!.rep, columns[b]!.rep) && isSameLevels(columns[a]!.def, columns[b]!.def),
    )
  const first: number[] = []
  return (sources[0]?.columns ?? []).map((_column, c) => {
    if (!isEmpty(c)) return undefined
    const leader = first.find(other => isSame(other, c))
    if (leader === undefined) first.push(c)
    return leader
  })
}
function isSameLevels(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}

function numbersOf(sources: readonly RowSource[]): (Int32Array | undefined)[][] {
  return sources.map(({ columns }) =>
    columns.map(column => (column.indices === undefined ? undefined : new Int32Array(column.texts!.count).fill(-1))),
  )
}
