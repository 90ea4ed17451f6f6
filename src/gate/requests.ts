/** The requests of a trace: what a service was asked, with the queries and the calls that it made for it. */
import type { Span, Trace } from '#library/results.ts'
import { isFailed } from './span-failure.ts'
import { calleeOf, isCall, isQuery, refusalOf, routeOf, statementOf } from './span-words.ts'

export interface Request {
  readonly traceId: string
  readonly service: string
  /** `GET /users/:id`, the procedure, or the name of the span without numbers and ids. */
  readonly route: string
  /** The span that took the request in. */
  readonly span: Span
  readonly durationMs: number
  readonly isFailed: boolean
  /** The status that was answered, 4xx alone: others are failures, or none. */
  readonly refusal: string | undefined
  /** Spans that belong to it, itself among them, those of requests below it left out. */
  readonly spans: readonly Span[]
  /** Each as the statement without its values. */
  readonly queries: readonly string[]
  /** Requests to other processes: `GET api.example.com/users/<n>`. */
  readonly calls: readonly string[]
}

/** Parents by the id of the span; of a server and a client that share an id the server has the children. */
export class SpanTree {
  readonly #byId = new Map<string, Span>()

  constructor(spans: readonly Span[]) {
    for (const span of spans) if (!this.#byId.has(span.spanId) || isTakenIn(span)) this.#byId.set(span.spanId, span)
  }

  parentOf(span: Span): Span | undefined {
    const parent = span.parentId === '' ? undefined : this.#byId.get(span.parentId)
    return parent === span ? undefined : parent
  }
}

function isTakenIn({ kind }: Span): boolean {
  return kind === 'server' || kind === 'consumer'
}

/** Spans of servers and consumers, and roots, as those of jobs. A client's root belongs to who asks, not to us. */
function isEntry(span: Span): boolean {
  return isTakenIn(span) || (span.parentId === '' && span.kind !== 'client' && span.kind !== 'producer')
}

export function durationMsOf({ durationNs }: Pick<Span, 'durationNs'>): number {
  return Number(durationNs) / 1e6
}

export function requestsOf({ traceId, spans }: Pick<Trace, 'traceId' | 'spans'>): Request[] {
  const tree = new SpanTree(spans)
  const spansOf = new Map<Span, Span[]>()
  const entries = entriesOf(spans, tree)
  for (const [span, entry] of entries) {
    const list = spansOf.get(entry)
    if (list === undefined) spansOf.set(entry, [span])
    else list.push(span)
  }
  return [...spansOf].map(([entry, own]) => ({
    traceId,
    service: entry.service,
    route: routeOf(entry),
    span: entry,
    durationMs: durationMsOf(entry),
    isFailed: isFailed(entry),
    refusal: refusalOf(entry),
    spans: own,
    queries: innermost(own, tree, isQuery).map(statementOf),
    calls: innermost(own, tree, isCall).map(calleeOf),
  }))
}

/** A job of a trace that somebody else began, whose spans we do not have. */
function isOrphan(span: Span, tree: SpanTree): boolean {
  const isWork = span.kind === 'internal' || span.kind === 'unspecified'
  return isWork && span.parentId !== span.spanId && tree.parentOf(span) === undefined
}

/**
 * The request that each span belongs to: the nearest entry above it. Spans whose parents are missing have none, unless
 * the trace has no other entry.
 */
function entriesOf(spans: readonly Span[], tree: SpanTree): Map<Span, Span> {
  const entries = new Map<Span, Span>()
  const isHere = spans.some(isEntry) ? isEntry : (span: Span): boolean => isOrphan(span, tree)
  for (const span of spans) {
    const path = new Set<Span>()
    let at: Span | undefined = span
    // Parents in a circle are data that somebody made up: the second visit ends the walk.
    while (at !== undefined && !isHere(at) && !entries.has(at) && !path.has(at)) {
      path.add(at)
      at = tree.parentOf(at)
    }
    const entry = at === undefined || path.has(at) ? undefined : (entries.get(at) ?? at)
    if (entry === undefined) continue
    if (at === span) entries.set(span, entry)
    for (const passed of path) entries.set(passed, entry)
  }
  return entries
}

/**
 * Spans of a kind that have none of it below them: an ORM's span and the driver's below it are one query, and a
 * transaction around ten queries is ten.
 */
function innermost(spans: readonly Span[], tree: SpanTree, isOfKind: (span: Span) => boolean): Span[] {
  const own = new Set(spans)
  const found = spans.filter(isOfKind)
  const outer = new Set<Span>()
  for (const span of found) {
    const passed = new Set<Span>()
    for (let at = tree.parentOf(span); at !== undefined && own.has(at) && !passed.has(at); at = tree.parentOf(at)) {
      passed.add(at)
      if (!isOfKind(at) || at === span) continue
      outer.add(at)
      break
    }
  }
  return found.filter(span => !outer.has(span))
}
