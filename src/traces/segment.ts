/**
 * Traces of a tenant that wait together for their block: kept as the bytes that they came in, laid out as rows when
 * asked for.
 */
import { TraceCombiner } from '#model/trace-combiner.ts'
import type { Resource, Scope, Span, Trace } from '#model/trace.ts'
import type { ColumnData } from '#codec/parquet/column-data.ts'
import { isPoison } from '#core/poison.ts'
import type { BlockLayout } from './schema.ts'
import { TraceShredder, type RowSource } from './shred.ts'

/**
 * Spans of one scope that came in one message: as the bytes that they came in, which take a tenth of what their trees
 * take.
 */
export interface HeldSpans {
  resource: Resource
  schemaUrl: string
  scope: Scope
  scopeUrl: string
  /** Shared memory. */
  message: Uint8Array
  /** Which of the message's resources, and which of its scopes, these are. */
  resourceAt: number
  scopeAt: number
  /** [from, to) of each, one after another. */
  ranges: number[]
  /** What has no bytes of its own. */
  spans: Span[] | undefined
}

/** `isRaw`: attributes may be left where they are. */
export type SpanDecoder = (message: Uint8Array, from: number, to: number, isRaw?: boolean) => Span

export interface LiveTrace {
  readonly id: Uint8Array
  readonly held: HeldSpans[]
  spans: number
  bytes: number
  readonly createdMs: number
  lastMs: number
}

/** Traces that become a block together: in memory one by one, or, where they are carried, in columns. */
export interface IdleTraces {
  readonly count: number
  readonly spans: number
  /** Sixteen bytes. */
  idOf(i: number): Uint8Array
  liveAt(i: number): LiveTrace
  /** For a shredder: attributes of spans may lie in the message still. `more`: parts of the trace that came later. */
  rawTree(live: LiveTrace, more?: readonly LiveTrace[]): Trace
}

export function idKey(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1')
}

let nextNumber = 1

/** Used from trace to trace. */
let combiner = new TraceCombiner()

/** A live trace as a tree, each resource and scope once. `more`: parts of it that came later. */
export function treeOf(live: LiveTrace, decode: SpanDecoder, isRaw = false, more: readonly LiveTrace[] = []): Trace {
  try {
    addTo(combiner, live, decode, isRaw)
    for (const part of more) addTo(combiner, part, decode, isRaw)
    return combiner.finish()
  } catch (error) {
    // What it has of this trace must not get into the next one.
    combiner = new TraceCombiner()
    throw error
  }
}

function addTo(into: TraceCombiner, live: LiveTrace, decode: SpanDecoder, isRaw: boolean): void {
  for (const { resource, schemaUrl, scope, scopeUrl, message, ranges, spans } of live.held) {
    const target = into.scope(resource, schemaUrl, scope, scopeUrl)
    for (let i = 0; i < ranges.length; i += 2) into.add(target, decode(message, ranges[i]!, ranges[i + 1]!, isRaw))
    if (spans !== undefined) for (const span of spans) into.add(target, span)
  }
}

/**
 * Idle traces, as the bytes that their spans came in, until the block is cut. A query lays them out as rows; without a
 * query they become rows once, in the order of the block.
 */
export class Segment implements IdleTraces {
  /** No other segment of this thread has it. */
  readonly number = nextNumber++
  readonly traces: LiveTrace[] = []
  spans = 0
  bytes = 0
  readonly #byId = new Map<string, LiveTrace[]>()
  readonly #layout: BlockLayout
  readonly #decode: SpanDecoder
  #shredder: TraceShredder | undefined
  /** Traces that have been through the shredder. */
  #laidOut = 0
  /** Those that could not be laid out, and why. */
  readonly poisoned = new Map<LiveTrace, Error>()
  #data: readonly ColumnData[] | undefined
  #dataRows = 0

  constructor(layout: BlockLayout, decode: SpanDecoder) {
    this.#layout = layout
    this.#decode = decode
  }

  get heldBytes(): number {
    return this.bytes + (this.#shredder?.heldBytes ?? 0)
  }

  add(live: LiveTrace): void {
    const key = idKey(live.id)
    const known = this.#byId.get(key)
    if (known === undefined) this.#byId.set(key, [live])
    else known.push(live)
    this.traces.push(live)
    this.spans += live.spans
    this.bytes += live.bytes
  }

  get count(): number {
    return this.traces.length
  }
  idOf(i: number): Uint8Array {
    return this.traces[i]!.id
  }
  liveAt(i: number): LiveTrace {
    return this.traces[i]!
  }

  /** Its parts of a trace. */
  find(id: Uint8Array): Trace[] {
    return this.partsOf(id).map(live => treeOf(live, this.#decode))
  }

  /** The same as they are held. */
  partsOf(id: Uint8Array): readonly LiveTrace[] {
    return this.partsBy(idKey(id))
  }
  partsBy(key: string): readonly LiveTrace[] {
    return this.#byId.get(key) ?? []
  }

  rawTree(live: LiveTrace, more?: readonly LiveTrace[]): Trace {
    return treeOf(live, this.#decode, true, more)
  }

  /** Rows for what has none yet. */
  async layOut(pause: () => Promise<void>): Promise<void> {
    for (let n = 0; this.#laidOut < this.traces.length; n++) {
      this.#layOutNext()
      if (n % 32 === 31) await pause()
    }
  }

  /** A trace that can't be laid out is left out; what it left of itself in the columns goes with them. */
  #layOutNext(): void {
    const shredder = (this.#shredder ??= new TraceShredder(this.#layout))
    const live = this.traces[this.#laidOut++]!
    if (this.poisoned.has(live)) return
    try {
      shredder.add(live.id, this.rawTree(live))
    } catch (error) {
      if (!isPoison(error)) throw error
      this.poisoned.set(live, error)
      this.#shredder = undefined
      this.#laidOut = 0
    }
  }

  /** The first `count` traces as rows, laid out a little at a time. `onLaidOut` hears of the segment that has them. */
  async sourceOf(count: number, pause: () => Promise<void>, onLaidOut: (segment: Segment) => void): Promise<RowSource> {
    await this.layOut(pause)
    if (this.traces.length === count) {
      onLaidOut(this)
      return this.source()
    }
    // It grew meanwhile: its rows have what the caller has elsewhere.
    const own = new Segment(this.#layout, this.#decode)
    for (const live of this.traces.slice(0, count)) own.add(live)
    return own.sourceOf(count, pause, onLaidOut)
  }

  /** What it has now; traces that are added later do not show. */
  source(): RowSource {
    while (this.#laidOut < this.traces.length) this.#layOutNext()
    const shredder = (this.#shredder ??= new TraceShredder(this.#layout))
    if (this.#data === undefined || this.#dataRows !== shredder.rows) {
      this.#data = shredder.builders.map(b => b.data())
      this.#dataRows = shredder.rows
    }
    return { rows: this.#dataRows, columns: this.#data }
  }
}
