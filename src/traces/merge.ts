/** Rows of several sources into row groups, in order of trace id: a trace that several have becomes one row. */
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { bytesAt } from '#codec/parquet/column-data.ts'
import { combineTraces } from '#model/trace.ts'
import { RowAssembler } from './assemble.ts'
import type { BlockLayout } from './schema.ts'
import type { Segment } from './segment.ts'
import { Follower, TraceShredder, type RowSource } from './shred.ts'

const groupBytes = 24 * 1024 * 1024

interface RowPlace {
  source: number
  row: number
  id: Uint8Array
}

/** By row, where a column's entries and values begin; one more at the end. */
function rowStarts(
  { rep, def, count, column }: ColumnData,
  rows: number,
): { entries: Uint32Array; values: Uint32Array } {
  const entries = new Uint32Array(rows + 1),
    values = new Uint32Array(rows + 1)
  let row = 0,
    k = 0
  for (let i = 0; i < count; i++) {
    if (rep === undefined || rep[i] === 0) {
      entries[row] = i
      values[row++] = k
    }
    if (def === undefined || def[i] === column.maxDef) k++
  }
  entries[rows] = count
  values[rows] = k
  return { entries, values }
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
  const leaders = leadersOf(sources)
  const starts = sources.map(({ rows, columns }) =>
    columns.map((column, c) => (leaders[c] === undefined ? rowStarts(column, rows) : undefined)),
  )
  // Room for all, or for a group that is full.
  const begin = (): TraceShredder => {
    const fresh = new TraceShredder(layout)
    const held = sources.reduce((sum, { columns }) => sum + columns.reduce((s, c) => s + c.count, 0), 0) * 3
    const part = Math.min(1, (groupBytes * 1.1) / Math.max(1, held))
    fresh.builders.forEach((builder, c) => {
      builder.reserve(
        Math.ceil(part * sources.reduce((sum, s) => sum + s.columns[c]!.count, 0)),
        Math.ceil(part * sources.reduce((sum, s) => sum + s.columns[c]!.valueCount, 0)),
      )
    })
    return fresh
  }
  let group = begin()
  const followersOf = ({ builders }: TraceShredder): Follower[] =>
    leaders.flatMap((leader, c) => (leader === undefined ? [] : [new Follower(builders[c]!, builders[leader]!)]))
  let followers = followersOf(group)
  let numbers = numbersOf(sources)
  let ids: Uint8Array[] = []
  const end = (): void => {
    if (group.rows === 0) return
    for (const follower of followers) follower.catchUp()
    onGroup(group, ids)
    group = begin()
    followers = followersOf(group)
    numbers = numbersOf(sources)
    ids = []
  }
  for (let p = 0; p < places.length;) {
    let next = p + 1
    while (next < places.length && Buffer.compare(places[next]!.id, places[p]!.id) === 0) next++
    const { id, source, row } = places[p]!
    ids.push(Uint8Array.from(id))
    if (next === p + 1) {
      const { builders } = group,
        own = starts[source]!,
        { columns } = sources[source]!
      for (let c = 0; c < builders.length; c++) {
        const start = own[c]
        if (start !== undefined)
          builders[c]!.copy(
            columns[c]!,
            start.entries[row]!,
            start.entries[row + 1]!,
            start.values[row]!,
            start.values[row + 1]!,
            numbers[source]![c],
          )
      }
      group.noteRow()
    } else {
      const parts = places
        .slice(p, next)
        .map(place => new RowAssembler(sources[place.source]!.columns, layout.dedicated).row(place.row).trace)
      for (const follower of followers) follower.catchUp()
      group.add(ids.at(-1)!, combineTraces(parts))
      for (const follower of followers) follower.skip()
    }
    p = next
    if (group.rows % 256 === 0) {
      if (group.heldBytes >= groupBytes) end()
      await pause()
    }
  }
  end()
}

/** Idle traces into row groups, in order of trace id, each trace once. Times are those of the spans. */
export async function shredSegments(
  segments: readonly Segment[],
  layout: BlockLayout,
  onGroup: (group: TraceShredder, ids: readonly Uint8Array[]) => void,
  pause: () => Promise<void>,
): Promise<{ startNs: bigint; endNs: bigint }> {
  const all = segments.flatMap(segment => segment.traces.map(live => ({ live, segment })))
  all.sort((a, b) => Buffer.compare(a.live.id, b.live.id))
  const group = new TraceShredder(layout)
  let ids: Uint8Array[] = []
  let startNs = -1n,
    endNs = 0n
  const end = (): void => {
    if (group.rows === 0) return
    if (startNs < 0n || group.startNs < startNs) startNs = group.startNs
    if (group.endNs > endNs) endNs = group.endNs
    onGroup(group, ids)
    group.reset()
    ids = []
  }
  for (let i = 0; i < all.length;) {
    const { live, segment } = all[i]!
    let next = i + 1
    while (next < all.length && Buffer.compare(all[next]!.live.id, live.id) === 0) next++
    group.add(
      live.id,
      segment.rawTree(live, next === i + 1 ? undefined : all.slice(i + 1, next).map(other => other.live)),
    )
    ids.push(live.id)
    i = next
    if (group.rows % 64 === 0) {
      if (group.heldBytes >= groupBytes) end()
      await pause()
    }
  }
  end()
  return { startNs, endNs }
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
