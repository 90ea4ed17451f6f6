/**
 * What the SDK in each pod counts: durations as histograms, orders as counters, and gauges, all from the start of the
 * pod on. A pod that is replaced takes its counts with it.
 */
import type { Attributes, DemoSpan, DemoTrace, Pod } from './trace-builder.ts'

/** Bounds in seconds, as the conventions advise for HTTP; those of databases are the same but for the first one. */
export const durationBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

export interface DemoExemplar {
  timeMs: number
  value: number
  traceId: string
  spanId: string
}

export interface HistogramPoint {
  attributes: Attributes
  /** One more than there are bounds. */
  counts: number[]
  sum: number
  count: number
  /** Of the newest request since the last look, where its trace is kept. */
  exemplar: DemoExemplar | undefined
}

export interface NumberPoint {
  attributes: Attributes
  value: number
}

export interface DemoMetric<Point> {
  name: string
  unit: string
  description: string
  points: Point[]
}

/** What a pod says of itself at a moment. */
export interface PodMetrics {
  pod: Pod
  timeMs: number
  histograms: DemoMetric<HistogramPoint>[]
  sums: DemoMetric<NumberPoint>[]
  gauges: DemoMetric<NumberPoint>[]
}

type Histograms = Map<string, HistogramPoint>

/** Counts of one pod. */
class PodTotals {
  readonly requests: Histograms = new Map()
  readonly queries: Histograms = new Map()
  orders = 0
  revenue = 0
  requestsSinceLook = 0
}

export class Totals {
  readonly #byInstance = new Map<string, PodTotals>()

  /** `isKept`: the trace is sent, so that points may lead to it. */
  add(trace: DemoTrace, isKept: boolean): void {
    const { orders, revenue, traceId } = trace
    for (const span of trace.spans) {
      const totals = this.#of(span.pod)
      if (span.kind === 'server') {
        totals.requestsSinceLook++
        count(totals.requests, requestAttributes(span), span, isKept ? traceId : undefined)
      } else if (span.attributes['db.system.name'] !== undefined)
        count(totals.queries, queryAttributes(span), span, isKept ? traceId : undefined)
    }
    const shop = this.#of(trace.spans[0]!.pod)
    shop.orders += orders
    shop.revenue += revenue
  }

  #of({ instance }: Pod): PodTotals {
    let totals = this.#byInstance.get(instance)
    if (totals === undefined) this.#byInstance.set(instance, (totals = new PodTotals()))
    return totals
  }

  /** What a pod says now; exemplars are said once. */
  look(pod: Pod, timeMs: number): PodMetrics {
    const totals = this.#of(pod)
    const histograms = [
      {
        name: 'http.server.request.duration',
        unit: 's',
        description: 'Duration of HTTP server requests.',
        points: taken(totals.requests),
      },
    ]
    if (pod.service === 'stock')
      histograms.push({
        name: 'db.client.operation.duration',
        unit: 's',
        description: 'Duration of database client operations.',
        points: taken(totals.queries),
      })
    const perSecond = totals.requestsSinceLook / lookSeconds
    totals.requestsSinceLook = 0
    return { pod, timeMs, histograms, sums: sumsOf(pod, totals), gauges: gaugesOf(pod, timeMs, perSecond) }
  }
}

/** Pods are looked at so often. */
export const lookSeconds = 15

function requestAttributes({ attributes }: DemoSpan): Attributes {
  const { 'http.request.method': method, 'http.route': route } = attributes
  const own: Attributes = { 'http.request.method': method!, 'http.route': route!, 'url.scheme': 'http' }
  own['http.response.status_code'] = attributes['http.response.status_code']!
  if (attributes['error.type'] !== undefined) own['error.type'] = attributes['error.type']
  return own
}

function queryAttributes({ attributes }: DemoSpan): Attributes {
  const names = ['db.system.name', 'db.namespace', 'db.collection.name', 'db.operation.name'] as const
  return Object.fromEntries(names.map(name => [name, attributes[name]!]))
}

function count(into: Histograms, attributes: Attributes, span: DemoSpan, traceId: string | undefined): void {
  const key = Object.values(attributes).join('\n')
  let point = into.get(key)
  if (point === undefined) {
    const counts = Array.from({ length: durationBounds.length + 1 }, () => 0)
    into.set(key, (point = { attributes, counts, sum: 0, count: 0, exemplar: undefined }))
  }
  const value = (span.endMs - span.startMs) / 1000
  const bucket = durationBounds.findIndex(bound => value <= bound)
  point.counts[bucket < 0 ? durationBounds.length : bucket]!++
  point.sum += value
  point.count++
  if (traceId !== undefined) point.exemplar = { timeMs: span.endMs, value, traceId, spanId: span.spanId }
}

function taken(histograms: Histograms): HistogramPoint[] {
  return Array.from(histograms.values(), point => {
    const copy = { ...point, counts: [...point.counts] }
    point.exemplar = undefined
    return copy
  })
}

function sumsOf({ service }: Pod, { orders, revenue }: PodTotals): DemoMetric<NumberPoint>[] {
  if (service !== 'shop') return []
  const attributes = { 'order.currency': 'EUR' }
  return [
    {
      name: 'shop.orders',
      unit: '{order}',
      description: 'Orders that were placed.',
      points: [{ attributes, value: orders }],
    },
    { name: 'shop.revenue', unit: 'EUR', description: 'What they cost.', points: [{ attributes, value: revenue }] },
  ]
}

const connections = 10

function gaugesOf({ service, sinceMs }: Pod, timeMs: number, perSecond: number): DemoMetric<NumberPoint>[] {
  const megabytes = { shop: 140, payment: 310, stock: 48 }[service]
  // A saw of the garbage collector, over what requests need.
  const saw = ((timeMs - sinceMs) / 90_000) % 1
  const memory = Math.round((megabytes * (1 + saw * 0.25) + perSecond * 3) * 1024 * 1024)
  const gauges = [
    {
      name: 'process.memory.usage',
      unit: 'By',
      description: 'The amount of physical memory in use.',
      points: [{ attributes: {} as Attributes, value: memory }],
    },
  ]
  if (service !== 'stock') return gauges
  const used = Math.min(connections, 1 + Math.round(perSecond / 2))
  const state = 'db.client.connection.state'
  gauges.push({
    name: 'db.client.connection.count',
    unit: '{connection}',
    description: 'Connections of the pool, by state.',
    points: [
      { attributes: { [state]: 'used', 'db.client.connection.pool.name': 'inventory' }, value: used },
      { attributes: { [state]: 'idle', 'db.client.connection.pool.name': 'inventory' }, value: connections - used },
    ],
  })
  return gauges
}
