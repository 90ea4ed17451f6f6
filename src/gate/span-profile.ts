/** The spans of a run by service and name: how many there are, how long they work themselves, and which failed. */
import type { Span } from '#library/results.ts'
import { SpanTree, type Request } from './requests.ts'
import { failureOf, isFailed } from './span-failure.ts'
import { nameOf } from './span-words.ts'

const groupsMax = 5000
const timesPerGroupMax = 500
const rawNamesMax = 2000
const failuresMax = 2000
const tracesPerFailureMax = 3

export interface SpanGroup {
  readonly service: string
  /** Without numbers and ids. */
  readonly name: string
  /** As one of them was sent. */
  readonly rawName: string
  /** How many the run had, as far as what was read shows it. */
  count: number
  /** Milliseconds without those of the spans below. */
  readonly ownMs: number[]
}

export interface FailureGroup {
  readonly service: string
  readonly span: string
  /** As one of them was sent. */
  readonly rawName: string
  readonly type: string
  readonly message: string
  /** The route of a request that it was in; empty where there was none. */
  readonly route: string
  /** Does the span itself have the status error? */
  readonly isByStatus: boolean
  count: number
  readonly traceIds: string[]
}

export function spanKey(service: string, name: string): string {
  return JSON.stringify([service, name])
}

export class SpanProfile {
  readonly groups = new Map<string, SpanGroup>()
  readonly failures = new Map<string, FailureGroup>()
  /** Names as they were sent, by service. */
  readonly rawNames = new Map<string, Set<string>>()
  spans = 0
  omitted = 0

  /** `weight`: how many traces of the run this one stands for. */
  addSpans(spans: readonly Span[], weight = 1): void {
    const below = childrenOf(spans)
    for (const span of spans) {
      this.spans++
      this.#addRawName(span)
      const group = this.#groupOf(span)
      if (group === undefined) {
        this.omitted++
        continue
      }
      group.count += weight
      if (group.ownMs.length < timesPerGroupMax) group.ownMs.push(ownMsOf(span, below.get(span) ?? []))
    }
  }

  /** The spans where failures began: those that failed, and none directly below them did. */
  addFailures(spans: readonly Span[], requests: readonly Request[], weight = 1): void {
    const routes = new Map<Span, string>()
    for (const { route, spans: own } of requests) for (const span of own) routes.set(span, route)
    const below = childrenOf(spans)
    for (const span of spans) {
      if (!isFailed(span) || below.get(span)?.some(isFailed) === true) continue
      this.#addFailure(span, routes.get(span) ?? '', weight)
    }
  }

  #addFailure(span: Span, route: string, weight: number): void {
    const { type, message } = failureOf(span)
    const name = nameOf(span)
    const key = JSON.stringify([span.service, name, type, message, route])
    let group = this.failures.get(key)
    if (group === undefined) {
      if (this.failures.size >= failuresMax) {
        this.omitted++
        return
      }
      const isByStatus = span.status === 'error'
      const words = { service: span.service, span: name, rawName: span.name, type, message, route, isByStatus }
      group = { ...words, count: 0, traceIds: [] }
      this.failures.set(key, group)
    }
    group.count += weight
    if (group.traceIds.length < tracesPerFailureMax && !group.traceIds.includes(span.traceId))
      group.traceIds.push(span.traceId)
  }

  #groupOf(span: Span): SpanGroup | undefined {
    const name = nameOf(span)
    const key = spanKey(span.service, name)
    const known = this.groups.get(key)
    if (known !== undefined || this.groups.size >= groupsMax) return known
    const made: SpanGroup = { service: span.service, name, rawName: span.name, count: 0, ownMs: [] }
    this.groups.set(key, made)
    return made
  }

  #addRawName({ service, name }: Span): void {
    let names = this.rawNames.get(service)
    if (names === undefined) {
      if (this.rawNames.size >= groupsMax) return
      this.rawNames.set(service, (names = new Set()))
    }
    if (names.size < rawNamesMax) names.add(name)
  }
}

function childrenOf(spans: readonly Span[]): Map<Span, Span[]> {
  const tree = new SpanTree(spans)
  const children = new Map<Span, Span[]>()
  for (const span of spans) {
    const parent = tree.parentOf(span)
    if (parent === undefined) continue
    const list = children.get(parent)
    if (list === undefined) children.set(parent, [span])
    else list.push(span)
  }
  return children
}

/** Milliseconds in which none of the children ran. */
function ownMsOf({ startNs, durationNs }: Span, children: readonly Span[]): number {
  const ordered = [...children].sort((a, b) => (a.startNs < b.startNs ? -1 : 1))
  let coveredNs = 0n
  let untilNs = startNs
  const endNs = startNs + durationNs
  for (const child of ordered) {
    const childEnd = child.startNs + child.durationNs
    const from = child.startNs > untilNs ? child.startNs : untilNs
    const to = childEnd < endNs ? childEnd : endNs
    if (to <= from) continue
    coveredNs += to - from
    untilNs = to
  }
  return Number(durationNs - coveredNs) / 1e6
}
