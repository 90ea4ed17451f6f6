/** The routes of a run: how long their requests took, and how many queries and calls each made. */
import type { Request } from './requests.ts'

/** What is kept of a run; what comes beyond is counted and not kept. */
const routesMax = 2000
const requestsPerRouteMax = 4000
const textsPerRouteMax = 300
const refusalTracesMax = 3

export interface TimedRequest {
  readonly startMs: number
  readonly durationMs: number
  readonly traceId: string
}

/** A statement, or another process that was called, in all requests of a route. */
export interface Repeated {
  total: number
  /** In one request. */
  most: number
  /** The trace of that request. */
  traceId: string
}

/** Queries or calls. */
export interface Counts {
  /** Of each request. */
  readonly perRequest: number[]
  readonly texts: Map<string, Repeated>
}

export interface RouteProfile {
  readonly service: string
  readonly route: string
  /** The name of such a span, as it was sent. */
  readonly spanName: string
  /** How many requests the run had, as far as what was read shows it. */
  requests: number
  /** Those that were kept, in the order of time once the run is read. */
  readonly timed: TimedRequest[]
  readonly queries: Counts
  readonly calls: Counts
  /** Requests by the 4xx that they were answered with, of those that were kept. */
  readonly refusals: Map<string, { count: number; traceIds: string[] }>
}

/** The key of a route in a profile. */
export function routeKey({ service, route }: { service: string; route: string }): string {
  return JSON.stringify([service, route])
}

export class RequestProfile {
  readonly routes = new Map<string, RouteProfile>()
  /** Requests of routes beyond those that are kept. */
  omitted = 0

  /** `weight`: how many requests of the run this one stands for. */
  add(request: Request, weight = 1): void {
    const route = this.#routeOf(request)
    if (route === undefined) {
      this.omitted++
      return
    }
    route.requests += weight
    if (route.timed.length >= requestsPerRouteMax) return
    const startMs = Number(request.span.startNs / 1000n) / 1000
    route.timed.push({ startMs, durationMs: request.durationMs, traceId: request.traceId })
    addCounts(route.queries, request.queries, request.traceId)
    addCounts(route.calls, request.calls, request.traceId)
    if (request.refusal === undefined) return
    const known = route.refusals.get(request.refusal) ?? { count: 0, traceIds: [] }
    known.count++
    if (known.traceIds.length < refusalTracesMax) known.traceIds.push(request.traceId)
    route.refusals.set(request.refusal, known)
  }

  /** Once all requests are there. */
  finish(): void {
    for (const { timed } of this.routes.values()) timed.sort((a, b) => a.startMs - b.startMs)
  }

  #routeOf(request: Request): RouteProfile | undefined {
    const key = routeKey(request)
    const known = this.routes.get(key)
    if (known !== undefined || this.routes.size >= routesMax) return known
    const made: RouteProfile = {
      service: request.service,
      route: request.route,
      spanName: request.span.name,
      requests: 0,
      timed: [],
      queries: { perRequest: [], texts: new Map() },
      calls: { perRequest: [], texts: new Map() },
      refusals: new Map(),
    }
    this.routes.set(key, made)
    return made
  }
}

function addCounts({ perRequest, texts }: Counts, found: readonly string[], traceId: string): void {
  perRequest.push(found.length)
  for (const [text, count] of countsOf(found)) {
    const known = texts.get(text)
    if (known === undefined) {
      if (texts.size < textsPerRouteMax) texts.set(text, { total: count, most: count, traceId })
      continue
    }
    known.total += count
    if (count <= known.most) continue
    known.most = count
    known.traceId = traceId
  }
}

/** How often each text is there. */
export function countsOf(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}
