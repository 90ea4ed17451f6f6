/** Traces: their engine, the push protocols, Tempo's API with its streams, Jaeger's API. */
import { jaegerDependencies, type Dependency } from '#api/jaeger/routes.ts'
import { tempoStatusRoutes } from '#api/tempo/routes.ts'
import { tempoStreams } from '#api/tempo/streams.ts'
import { defaultTenants } from '#api/tenancy.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Registry } from '#core/counter.ts'
import { traceProtocols } from '#ingest/trace-protocols.ts'
import type { Caller } from '#net/access.ts'
import type { GrpcMethod } from '#net/grpc.ts'
import type { HttpRequest } from '#net/route-table.ts'
import type { DamagedBlock } from '#store/damage.ts'
import { TracesEngine } from '#traces/engine.ts'
import { defaultDedicated, layoutOf, type BlockFormat, type BlockLayout } from '#traces/schema.ts'
import { withoutSpans } from '#wire/otlp/split-traces.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { defaultRuleTenants } from '#worker/rules.ts'
import { openBucket } from '../buckets.ts'
import type { Config } from '../config.ts'
import { countMemory, queryCounter, queryRoutes } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { version } from '../version.ts'
import type { ServingContext } from '../workers.ts'
import { shareOf } from '../world.ts'
import type { Deriving } from './deriving.ts'
import { registerBlocks, registerDamage, registerRequests, registerSignal } from './signal-metrics.ts'
import { refreshMsOf, signalOptions } from './signal-options.ts'
import { reloadOf } from './signal-reload.ts'

export interface TracesPart extends Part {
  engine: TracesEngine
  /** The signal's own bucket. */
  bucket: Bucket
  damaged: () => readonly DamagedBlock[]
}

const dayMs = 86_400_000
const headBytesMax = 192 * 1024 * 1024
const compactBytesMax = 128 * 1024 * 1024

function openEngine(context: ServingContext, bucket: Bucket): TracesEngine {
  const building = context.workers.tracesBuilding(bucket)
  const { config, world, limits } = context
  const refreshMs = refreshMsOf(context, bucket, 3_600_000)
  return new TracesEngine({
    ...signalOptions(context, 'traces', bucket, refreshMs),
    limits: {
      futureMs: Math.max(limits.futureMs, dayMs),
      traceBytesMax: config.bytes('limits.trace_size'),
      attributeBytesMax: config.bytes('limits.trace_attribute_size'),
      attributesMax: config.number('limits.trace_attributes'),
      requestSpansMax: config.number('limits.trace_request_spans'),
      liveTracesMax: config.number('limits.live_traces'),
    },
    layout: layoutFor(config),
    headBytesMax: shareOf(world, 1 / 10, headBytesMax),
    compactBytesMax: shareOf(world, 1 / 64, compactBytesMax),
    cacheBytes: shareOf(world, 1 / 8, config.bytes('traces.cache_size')),
    decode: decodeOtlpTraces,
    decodeSpan,
    encode: encodeOtlpTraces,
    withoutSpans,
    ...(building === undefined ? {} : { building }),
  })
}

function layoutFor(config: Config): BlockLayout {
  // The option has no other values: options.ts.
  return layoutOf(config.text('traces.block_version') as BlockFormat, defaultDedicated)
}

function register(registry: Registry, engine: TracesEngine): void {
  registerSignal(registry, engine)
  registerBlocks(registry, engine)
  const read: Registry['read'] = (...row) => {
    registry.read(...row)
  }
  read('tercet_spans_appended_total', 'Spans stored.', 'counter', () => engine.spansAppended)
  read('tercet_spans_refused_total', 'Spans refused for good.', 'counter', () => engine.spansRefused)
  read('tercet_live_traces', 'Traces that still get spans.', 'gauge', () => engine.liveTraces)
  read('tercet_trace_head_bytes', 'Bytes of live and idle traces in memory.', 'gauge', () => engine.headBytes)
  read(
    'tercet_trace_reads_total',
    'Objects and ranges of blocks that were read for queries.',
    'counter',
    () => engine.blockStats.reads,
  )
}

/** Jaeger's dependencies, from the metrics of the service graph. */
function dependenciesFrom({ tenancy, workers }: ServingContext) {
  const tenantOf = tenancy.of('metrics')
  return async (request: HttpRequest, endMs: number, lookbackMs: number): Promise<Dependency[]> => {
    const range = `${Math.max(1, Math.round(lookbackMs))}ms`
    // Anchored: calls are counted, not extrapolated.
    const expr = `sum by (client, server) (increase(traces_service_graph_request_total[${range}] anchored))`
    const samples = await workers.evaluate({ language: 'promql', expr }, endMs, {
      tenants: { ...defaultRuleTenants, metrics: [tenantOf(request)] },
      signal: request.signal,
    })
    return samples
      .map(({ labels, value }) => ({
        parent: labels.get('client') ?? '',
        child: labels.get('server') ?? '',
        callCount: Math.round(value),
      }))
      .filter(d => d.callCount > 0)
  }
}

/** The same calls, each counted when it comes. */
function counting(count: (caller: Caller) => void, methods: readonly GrpcMethod[]): GrpcMethod[] {
  return methods.map(method => ({
    ...method,
    handler: (message, caller, signal) => {
      count(caller)
      return method.handler(message, caller, signal)
    },
  }))
}

export async function makeTraces(context: ServingContext, deriving: Deriving): Promise<TracesPart> {
  const { config, world, tenancy, queries: queriesOf, workers } = context
  const { clock } = world
  const { decoder } = workers
  const bucket = await openBucket(config, world, 'traces')
  const engine = openEngine(context, bucket)
  countMemory(context, engine)
  workers.serveTraces(engine, layoutFor(config), bucket)
  const tenantOf = tenancy.of('traces')
  const pushes = traceProtocols({ appender: engine, tenantOf, clock, decoder, onStored: deriving.add })
  let incompleteAnswers = 0
  const onIncomplete = (): void => {
    incompleteAnswers++
  }
  const damaged = (): readonly DamagedBlock[] => engine.reader(defaultTenants.traces).damaged('all')
  const queries = [
    ...workers.answered(queriesOf.traces(engine, onIncomplete), onIncomplete),
    ...tempoStatusRoutes(version),
    ...jaegerDependencies({ clock, dependencies: dependenciesFrom(context) }),
  ]
  const countQuery = queryCounter(context, 'traces')
  const streams = tempoStreams(queriesOf.tempo, engine, tenancy.scopeOf('traces'))
  const part = makePart({
    name: 'traces',
    routes: [...queryRoutes(context, queries), ...pushes.routes],
    grpc: [...pushes.grpc, ...counting(countQuery, workers.answeredCalls(queriesOf.limitedCalls(streams)))],
    metrics: registry => {
      register(registry, engine)
      registerRequests(registry, engine, bucket)
      registerDamage(registry, engine, damaged, () => incompleteAnswers)
    },
    start: () => engine.open(),
    drain: () => {
      engine.drain()
    },
    stop: () => engine.close(),
    reload: reloadOf(engine, world.log),
    ready: () => engine.notReady,
    warning: () => engine.warning,
  })
  return { ...part, engine, bucket, damaged }
}
