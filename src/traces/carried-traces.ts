/**
 * Traces of memory on their way to another thread: their spans stay where they lie in shared messages, and columns say
 * which are whose.
 */
import type { Span, Trace } from '#model/trace.ts'
import type { HeldSpans, LiveTrace } from './segment.ts'

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

/** The traces again; `outlineOf` reads the resources and scopes of a message. */
export function unpackTraces(carried: CarriedTraces, outlineOf: (message: Uint8Array) => Trace): LiveTrace[] {
  const { count, ids, heldFrom, message, resourceAt, scopeAt, rangesFrom, ranges, own, messages } = carried
  const outlines = new Map<number, Trace>()
  const heldOf = (at: number): HeldSpans => {
    const number = message[at]!
    let outline = outlines.get(number)
    if (outline === undefined) outlines.set(number, (outline = outlineOf(messages[number]!)))
    const { resource, schemaUrl, scopes } = outline.resources[resourceAt[at]!]!
    const { scope, schemaUrl: scopeUrl } = scopes[scopeAt[at]!]!
    return {
      resource,
      schemaUrl,
      scope,
      scopeUrl,
      message: messages[number]!,
      resourceAt: resourceAt[at]!,
      scopeAt: scopeAt[at]!,
      ranges: Array.from(ranges.subarray(rangesFrom[at], rangesFrom[at + 1])),
      spans: own.get(at)?.slice(),
    }
  }
  const traces: LiveTrace[] = []
  for (let i = 0; i < count; i++) {
    const held: HeldSpans[] = []
    let spans = 0
    for (let at = heldFrom[i]!; at < heldFrom[i + 1]!; at++) {
      const one = heldOf(at)
      held.push(one)
      spans += one.ranges.length / 2 + (one.spans?.length ?? 0)
    }
    traces.push({ id: ids.slice(16 * i, 16 * (i + 1)), held, spans, bytes: 0, createdMs: 0, lastMs: 0 })
  }
  return traces
}
