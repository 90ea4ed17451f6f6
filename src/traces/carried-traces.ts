/**
 * Traces of memory on their way to another thread: their spans stay where they lie in shared messages, and columns say
 * which are whose.
 */
import type { Span, Trace } from '#model/trace.ts'
import { treeOf, type HeldSpans, type IdleTraces, type LiveTrace, type SpanDecoder } from './segment.ts'

/** All of it can be cloned. */
export interface CarriedTraces {
  count: number
  /** Sixteen bytes a trace. */
  ids: Uint8Array
  /** Spans held of trace i are [heldFrom[i], heldFrom[i + 1]). */
  heldFrom: Uint32Array
  /** By held spans: their message, and which of its resources and scopes they have. */
  message: Uint32Array
  resourceAt: Uint32Array
  scopeAt: Uint32Array
  /** Their ranges of the message are ranges[rangesFrom[i]] ... before rangesFrom[i + 1]. */
  rangesFrom: Uint32Array
  ranges: Uint32Array
  /** Spans that have no bytes, by number of the held spans. */
  own: ReadonlyMap<number, readonly Span[]>
  messages: readonly Uint8Array[]
}

/** Traces as they are at one moment: spans that come later do not show, however long it takes to pack them. */
export interface TakenTraces {
  readonly traces: readonly LiveTrace[]
  /** How many of a trace's held spans there were. */
  readonly heldCounts: Uint32Array
}

export function takeTraces(traces: readonly LiveTrace[]): TakenTraces {
  const heldCounts = new Uint32Array(traces.length)
  for (let i = 0; i < traces.length; i++) heldCounts[i] = traces[i]!.held.length
  return { traces, heldCounts }
}

/** Traces between pauses. */
const packedAtOnce = 256

/** Of these traces; their ids have sixteen bytes. */
export async function packTraces(taken: TakenTraces, pause: () => Promise<void>): Promise<CarriedTraces> {
  const { traces, heldCounts } = taken
  const packed = await roomFor(taken, pause)
  const numbers = new Map<Uint8Array, number>()
  const own = new Map<number, readonly Span[]>()
  let at = 0
  let rangeAt = 0
  for (let i = 0; i < traces.length; i++) {
    const { id, held } = traces[i]!
    packed.ids.set(id, 16 * i)
    for (let k = 0; k < heldCounts[i]!; k++) {
      const { message, resourceAt, scopeAt, ranges, spans } = held[k]!
      let number = numbers.get(message)
      if (number === undefined) numbers.set(message, (number = numbers.size))
      packed.message[at] = number
      packed.resourceAt[at] = resourceAt
      packed.scopeAt[at] = scopeAt
      packed.ranges.set(ranges, rangeAt)
      rangeAt += ranges.length
      if (spans !== undefined) own.set(at, spans)
      packed.rangesFrom[++at] = rangeAt
    }
    packed.heldFrom[i + 1] = at
    if (i % packedAtOnce === packedAtOnce - 1) await pause()
  }
  return { ...packed, own, messages: [...numbers.keys()] }
}

async function roomFor(
  { traces, heldCounts }: TakenTraces,
  pause: () => Promise<void>,
): Promise<Omit<CarriedTraces, 'own' | 'messages'>> {
  let heldCount = 0
  let rangeCount = 0
  for (let i = 0; i < traces.length; i++) {
    heldCount += heldCounts[i]!
    for (let k = 0; k < heldCounts[i]!; k++) rangeCount += traces[i]!.held[k]!.ranges.length
    if (i % packedAtOnce === packedAtOnce - 1) await pause()
  }
  return {
    count: traces.length,
    ids: new Uint8Array(16 * traces.length),
    heldFrom: new Uint32Array(traces.length + 1),
    message: new Uint32Array(heldCount),
    resourceAt: new Uint32Array(heldCount),
    scopeAt: new Uint32Array(heldCount),
    rangesFrom: new Uint32Array(heldCount + 1),
    ranges: new Uint32Array(rangeCount),
  }
}

/** Reads the resources and scopes of a message; spans of what it returns are not looked at. */
export type FrameDecoder = (message: Uint8Array) => Trace

/** Traces that were carried: each is put together when it is asked for. */
export class CarriedIdleTraces implements IdleTraces {
  readonly #carried: CarriedTraces
  readonly #framesOf: FrameDecoder
  readonly #decode: SpanDecoder
  /** By message. */
  readonly #frames: (Trace | undefined)[] = []

  constructor(carried: CarriedTraces, framesOf: FrameDecoder, decode: SpanDecoder) {
    this.#carried = carried
    this.#framesOf = framesOf
    this.#decode = decode
  }

  get count(): number {
    return this.#carried.count
  }

  get spans(): number {
    let spans = this.#carried.ranges.length / 2
    for (const own of this.#carried.own.values()) spans += own.length
    return spans
  }

  idOf(i: number): Uint8Array {
    return this.#carried.ids.subarray(16 * i, 16 * (i + 1))
  }

  liveAt(i: number): LiveTrace {
    const { heldFrom } = this.#carried
    const held: HeldSpans[] = []
    let spans = 0
    for (let at = heldFrom[i]!; at < heldFrom[i + 1]!; at++) {
      const one = this.#heldAt(at)
      held.push(one)
      spans += one.ranges.length / 2 + (one.spans?.length ?? 0)
    }
    return { id: this.idOf(i).slice(), held, spans, bytes: 0, createdMs: 0, lastMs: 0 }
  }

  rawTree(live: LiveTrace, more?: readonly LiveTrace[]): Trace {
    return treeOf(live, this.#decode, true, more)
  }

  #heldAt(at: number): HeldSpans {
    const { message: numbers, resourceAt, scopeAt, rangesFrom, ranges, own, messages } = this.#carried
    const number = numbers[at]!
    const message = messages[number]!
    const frames = (this.#frames[number] ??= this.#framesOf(message))
    const { resource, schemaUrl, scopes } = frames.resources[resourceAt[at]!]!
    const { scope, schemaUrl: scopeUrl } = scopes[scopeAt[at]!]!
    return {
      resource,
      schemaUrl,
      scope,
      scopeUrl,
      message,
      resourceAt: resourceAt[at]!,
      scopeAt: scopeAt[at]!,
      ranges: listOf(ranges, rangesFrom[at]!, rangesFrom[at + 1]!),
      spans: own.get(at)?.slice(),
    }
  }
}

function listOf(numbers: Uint32Array, from: number, to: number): number[] {
  const list: number[] = []
  for (let i = from; i < to; i++) list.push(numbers[i]!)
  return list
}

/** All of the traces again. */
export function unpackTraces(carried: CarriedTraces, framesOf: FrameDecoder, decode: SpanDecoder): LiveTrace[] {
  const idle = new CarriedIdleTraces(carried, framesOf, decode)
  return Array.from({ length: idle.count }, (_, i) => idle.liveAt(i))
}
