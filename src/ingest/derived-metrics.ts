/** Span metrics and service graphs, named as Tempo's generator names them. Bounded in the number of series. */
import type { Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { keyOfTexts } from '#core/text.ts'
import { yieldEvery } from '#core/yield.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import { Labels } from '#model/labels.ts'
import { serviceNameOf, type Attribute, type Span, type Trace } from '#model/trace.ts'
import { BatchBuilder } from '#model/write-batch.ts'

const latencyBounds = [
  0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
] as const
const graphBounds = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8] as const
const kinds = [
  'SPAN_KIND_UNSPECIFIED',
  'SPAN_KIND_INTERNAL',
  'SPAN_KIND_SERVER',
  'SPAN_KIND_CLIENT',
  'SPAN_KIND_PRODUCER',
  'SPAN_KIND_CONSUMER',
] as const
const statuses = ['STATUS_CODE_UNSET', 'STATUS_CODE_OK', 'STATUS_CODE_ERROR'] as const
/** What makes a span a call of a database, and what the database is called, the first of them that is there. */
const databaseMarks = ['db.namespace', 'db.name', 'db.system.name', 'db.system'] as const
const databaseNames = [
  'db.namespace',
  'db.name',
  'server.address',
  'net.peer.name',
  'db.system.name',
  'db.system',
] as const
/** A peer by its name: a mere address is no node. */
const peerNames = ['peer.service'] as const

/** A span that ended longer ago is history: it is stored, and not counted. */
const slackMs = 30_000
/** How long one half of an edge waits for the other, and how many do. */
const edgeWaitMs = 10_000
const edgesMax = 20_000
const idleMs = 900_000

/** What is counted of one tenant. */
interface TenantCounts {
  readonly spans: Map<string, SpanSeries>
  readonly edges: Map<string, EdgeSeries>
  /** Halves of edges that wait for the other one. */
  halves: number
}

class Histogram {
  readonly counts: number[]
  sum = 0
  count = 0
  exemplar: { traceId: string; value: number; timeMs: number; bucket: number } | undefined

  constructor(bounds: readonly number[]) {
    this.counts = bounds.map(() => 0)
  }

  add(bounds: readonly number[], value: number, traceId: string, timeMs: number): void {
    let bucket = 0
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++
    if (bucket < bounds.length) this.counts[bucket]!++
    this.sum += value
    this.count++
    this.exemplar = { traceId, value, timeMs, bucket }
  }
}

interface SpanSeries {
  labels: [string, string][]
  calls: number
  size: number
  latency: Histogram
  isNew: boolean
  usedMs: number
}
interface EdgeSeries {
  labels: [string, string][]
  total: number
  failed: number
  client: Histogram
  server: Histogram
  isNew: boolean
  usedMs: number
}
interface Half {
  service: string
  seconds: number
  failed: boolean
  traceId: string
  expiresMs: number
  isClient: boolean
  peer: string
  isRoot: boolean
  isMessaging: boolean
}

const textOf = (attributes: readonly Attribute[], names: readonly string[]): string => {
  for (const name of names) {
    const found = attributes.find(a => a.key === name)
    if (found?.value.kind === 'string' && found.value.value !== '') return found.value.value
  }
  return ''
}
const hex = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex')

export interface DerivedMetricsOptions {
  clock: Clock
  log: Log
  metrics: MetricsAppender
  /** Label sets of both kinds, of all tenants together. */
  seriesMax: number
  /** There may be several tenants: each leaves as much to the others as it has itself. */
  hasTenancy: boolean
  /** Is the tenant being deleted? Then nothing is counted for it. Default: none is. */
  isDeleted?: (tenant: string) => boolean
  /** Bytes of a span as OTLP has it. */
  sizeOf: (span: Span) => number
  /** The whole span of an outline. */
  decode: (message: Uint8Array, from: number, to: number) => Span
}

export class DerivedMetrics {
  readonly #options: DerivedMetricsOptions
  readonly #tenants = new Map<string, TenantCounts>()
  readonly #halves = new Map<string, { tenant: string; half: Half }>()
  #seriesCount = 0
  /** Spans and edges that found no room. */
  dropped = 0

  constructor(options: DerivedMetricsOptions) {
    this.#options = options
  }

  get series(): number {
    return this.#seriesCount
  }

  /** The tenant is deleted: nothing of it is stored any more. */
  forget(tenant: string): void {
    const own = this.#tenants.get(tenant)
    if (own === undefined) return
    this.#seriesCount -= own.spans.size + own.edges.size
    this.#tenants.delete(tenant)
    // It may just be written: the rest of it is not.
    own.spans.clear()
    own.edges.clear()
    for (const [key, one] of this.#halves) if (one.tenant === tenant) this.#halves.delete(key)
  }

  #countsOf(tenant: string): TenantCounts {
    let own = this.#tenants.get(tenant)
    if (own === undefined) this.#tenants.set(tenant, (own = { spans: new Map(), edges: new Map(), halves: 0 }))
    return own
  }

  /** Is there room for one more where the tenant has so many of so many? */
  #hasRoom(own: number, all: number, most: number): boolean {
    return this.#options.hasTenancy ? own < most - all : all < most
  }

  /** Counts spans that were stored for the metrics' tenant. */
  readonly add = (tenant: string, trace: Trace, message: Uint8Array): void => {
    if (this.#options.isDeleted?.(tenant) === true) return
    const nowMs = this.#options.clock.nowMs()
    for (const { resource, scopes } of trace.resources) {
      const service = serviceNameOf(resource)
      for (const { spans } of scopes) {
        for (const span of spans) {
          const endMs = Number(span.endNs / 1_000_000n)
          if (endMs < nowMs - slackMs || endMs > nowMs + slackMs) continue
          this.#addSpan(tenant, service, span, nowMs)
          this.#addHalf(tenant, service, span, message, nowMs)
        }
      }
    }
  }

  #addSpan(tenant: string, service: string, span: Span, nowMs: number): void {
    const kind = kinds[span.kind] ?? kinds[0],
      status = statuses[span.statusCode] ?? statuses[0]
    const key = keyOfTexts([service, span.name, kind, status])
    const own = this.#countsOf(tenant)
    const series = this.#seriesOf(own, own.spans, key, (): SpanSeries => ({
      labels: [
        ['service', service],
        ['span_name', span.name],
        ['span_kind', kind],
        ['status_code', status],
      ],
      calls: 0,
      size: 0,
      latency: new Histogram(latencyBounds),
      isNew: true,
      usedMs: nowMs,
    }))
    if (series === undefined) return
    series.calls++
    series.size += this.#options.sizeOf(span)
    series.usedMs = nowMs
    series.latency.add(latencyBounds, secondsOf(span), hex(span.traceId), nowMs)
  }

  #seriesOf<T>({ spans, edges }: TenantCounts, own: Map<string, T>, key: string, make: () => T): T | undefined {
    let series = own.get(key)
    if (series === undefined) {
      if (!this.#hasRoom(spans.size + edges.size, this.#seriesCount, this.#options.seriesMax)) {
        this.dropped++
        return undefined
      }
      this.#seriesCount++
      own.set(key, (series = make()))
    }
    return series
  }

  #addHalf(tenant: string, service: string, span: Span, message: Uint8Array, nowMs: number): void {
    const isClient = span.kind === 3 || span.kind === 4,
      isServer = span.kind === 2 || span.kind === 5
    if ((!isClient && !isServer) || service === '') return
    const traceId = hex(span.traceId)
    const attributes =
      isClient && span.isOutline === true
        ? this.#options.decode(message, span.wireFrom!, span.wireTo!).attributes
        : span.attributes
    const half: Half = {
      service,
      seconds: secondsOf(span),
      failed: span.statusCode === 2,
      traceId,
      expiresMs: nowMs + edgeWaitMs,
      isClient,
      peer: textOf(attributes, peerNames),
      isRoot: span.parentSpanId.length === 0,
      isMessaging: span.kind >= 4,
    }
    if (isClient) {
      if (textOf(attributes, databaseMarks) !== '') {
        const database = textOf(attributes, databaseNames)
        this.#addEdge(tenant, service, database, 'database', half, half, nowMs)
        return
      }
    }
    const key = `${tenant} ${traceId} ${hex(isClient ? span.spanId : span.parentSpanId)}`
    const other = this.#halves.get(key)
    if (other !== undefined && other.half.isClient !== isClient) {
      this.#takeHalf(key, tenant)
      const [client, server] = isClient ? [half, other.half] : [other.half, half]
      this.#addEdge(
        tenant,
        client.service,
        server.service,
        client.isMessaging || server.isMessaging ? 'messaging_system' : '',
        client,
        server,
        nowMs,
      )
    } else this.#keepHalf(half.isRoot && isServer ? `${key} ${hex(span.spanId)}` : key, tenant, half)
  }

  #keepHalf(key: string, tenant: string, half: Half): void {
    const own = this.#countsOf(tenant)
    const isThere = this.#halves.has(key)
    if (!isThere && !this.#hasRoom(own.halves, this.#halves.size, edgesMax)) {
      this.dropped++
      return
    }
    if (!isThere) own.halves++
    this.#halves.set(key, { tenant, half })
  }

  #takeHalf(key: string, tenant: string): void {
    this.#halves.delete(key)
    this.#countsOf(tenant).halves--
  }

  #addEdge(
    tenant: string,
    client: string,
    server: string,
    type: string,
    clientHalf: Half,
    serverHalf: Half,
    nowMs: number,
  ): void {
    const own = this.#countsOf(tenant)
    const series = this.#seriesOf(own, own.edges, keyOfTexts([client, server, type]), (): EdgeSeries => ({
      labels: [
        ['client', client],
        ['server', server],
        ['connection_type', type],
      ],
      total: 0,
      failed: 0,
      client: new Histogram(graphBounds),
      server: new Histogram(graphBounds),
      isNew: true,
      usedMs: nowMs,
    }))
    if (series === undefined) return
    series.total++
    if (clientHalf.failed || serverHalf.failed) series.failed++
    series.usedMs = nowMs
    series.client.add(graphBounds, clientHalf.seconds, clientHalf.traceId, nowMs)
    series.server.add(graphBounds, serverHalf.seconds, serverHalf.traceId, nowMs)
  }

  /** Halves that waited long enough: calls to what sends no spans, and requests from outside. */
  #expire(nowMs: number): void {
    for (const [key, { tenant, half }] of this.#halves) {
      if (half.expiresMs > nowMs) continue
      this.#takeHalf(key, tenant)
      if (half.isClient && half.peer !== '')
        this.#addEdge(tenant, half.service, half.peer, 'virtual_node', half, half, nowMs)
      else if (!half.isClient && half.isRoot)
        this.#addEdge(tenant, 'user', half.service, 'virtual_node', half, half, nowMs)
    }
  }

  /** Stores what was counted so far, as samples of now. 5,000 series take some hundred milliseconds, with pauses. */
  async store(): Promise<void> {
    const { clock, metrics, log } = this.#options
    const nowMs = clock.nowMs()
    this.#expire(nowMs)
    const stored: Promise<unknown>[] = []
    for (const [tenant, own] of this.#tenants) {
      const { builder } = await this.#samplesOf(own, nowMs)
      // It was deleted meanwhile.
      if (this.#tenants.get(tenant) !== own) continue
      if (own.spans.size + own.edges.size + own.halves === 0) this.#tenants.delete(tenant)
      if (builder.batch.sampleCount === 0) continue
      builder.batch.isFrozen = true
      // Tenants wait for the log together.
      const storing = metrics.append(tenant, builder.batch).catch((error: unknown) => {
        log.warn('metrics of spans could not be stored', { tenant, error: messageOf(error) })
      })
      stored.push(storing)
    }
    await Promise.all(stored)
  }

  async #samplesOf({ spans, edges }: TenantCounts, nowMs: number): Promise<Samples> {
    const out = new Samples(nowMs)
    await this.#eachUsed(spans, nowMs, series => {
      out.counter('traces_spanmetrics_calls_total', series.labels, series.calls, series.isNew)
      out.counter('traces_spanmetrics_size_total', series.labels, series.size, series.isNew)
      out.histogram('traces_spanmetrics_latency', series.labels, latencyBounds, series.latency, series.isNew)
    })
    await this.#eachUsed(edges, nowMs, series => {
      const { labels, isNew } = series
      out.counter('traces_service_graph_request_total', labels, series.total, isNew)
      out.counter('traces_service_graph_request_failed_total', labels, series.failed, isNew)
      out.histogram('traces_service_graph_request_client_seconds', labels, graphBounds, series.client, isNew)
      out.histogram('traces_service_graph_request_server_seconds', labels, graphBounds, series.server, isNew)
    })
    return out
  }

  /** Those that nothing was counted for in a while are forgotten instead. */
  async #eachUsed<T extends { usedMs: number; isNew: boolean }>(
    all: Map<string, T>,
    nowMs: number,
    write: (series: T) => void,
  ): Promise<void> {
    const pause = yieldEvery(this.#options.clock)
    for (const [key, series] of all) {
      if (series.usedMs < nowMs - idleMs) {
        all.delete(key)
        this.#seriesCount--
        continue
      }
      write(series)
      series.isNew = false
      await pause()
    }
  }
}

function secondsOf(span: Span): number {
  return Math.max(0, Number(span.endNs - span.startNs) / 1e9)
}

class Samples {
  readonly builder = new BatchBuilder()
  readonly #nowMs: number

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  /** A counter that is new begins at nothing, a moment before: its first increase shows in rates. */
  counter(name: string, labels: readonly [string, string][], value: number, isNew: boolean): number {
    const all = Labels.from([['__name__', name], ...labels])
    const series = this.builder.addSeries(all)
    if (isNew) this.builder.batch.addSample(series, this.#nowMs - 1000, 0)
    this.builder.batch.addSample(series, this.#nowMs, value)
    return series
  }

  histogram(
    name: string,
    labels: readonly [string, string][],
    bounds: readonly number[],
    histogram: Histogram,
    isNew: boolean,
  ): void {
    const { exemplar } = histogram
    let sum = 0
    for (let i = 0; i <= bounds.length; i++) {
      sum = i === bounds.length ? histogram.count : sum + histogram.counts[i]!
      const series = this.counter(
        `${name}_bucket`,
        [...labels, ['le', i === bounds.length ? '+Inf' : String(bounds[i])]],
        sum,
        isNew,
      )
      if (exemplar !== undefined && exemplar.bucket === i)
        this.builder.batch.exemplars.push({
          series,
          labels: Labels.from([['traceID', exemplar.traceId]]),
          value: exemplar.value,
          timeMs: exemplar.timeMs,
        })
    }
    this.counter(`${name}_sum`, labels, histogram.sum, isNew)
    this.counter(`${name}_count`, labels, histogram.count, isNew)
    histogram.exemplar = undefined
  }
}
