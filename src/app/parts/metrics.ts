/** Metrics: their engine, the push protocols, PromQL and Prometheus' API, import and export. */
import { prometheusOperatorRoutes } from '#api/prometheus/operator-routes.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { CachedBucket } from '#bucket/cache.ts'
import type { Registry } from '#core/counter.ts'
import { metricsProtocols } from '#ingest/metrics-protocols.ts'
import { MetricsEngine } from '#metrics/engine.ts'
import type { DamagedBlock } from '#store/damage.ts'
import { openBucket } from '../buckets.ts'
import { countMemory, queryRoutes } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { version } from '../version.ts'
import type { ServingContext } from '../workers.ts'
import { registerBlocks, registerDamage, registerRequests, registerSignal } from './signal-metrics.ts'
import { refreshMsOf, signalOptions } from './signal-options.ts'
import { reloadOf } from './signal-reload.ts'

export interface MetricsPart extends Part {
  engine: MetricsEngine
  /** The signal's own bucket; the Alertmanager keeps a copy of its state there. */
  bucket: Bucket
  damaged: () => readonly DamagedBlock[]
}

function openEngine(context: ServingContext, bucket: Bucket): MetricsEngine {
  const building = context.workers.metricsBuilding(bucket)
  const { config, limits, hashSeed } = context
  const refreshMs = refreshMsOf(context, bucket, 3_600_000)
  return new MetricsEngine({
    ...signalOptions(context, 'metrics', bucket, refreshMs),
    hashSeed,
    limits,
    blockMs: config.durationMs('metrics.block_duration'),
    outOfOrderMs: config.durationMs('metrics.out_of_order_window'),
    retentionBytesMax: config.bytes('metrics.retention_size') || Infinity,
    ...(building === undefined ? {} : { building }),
  })
}

function register(registry: Registry, engine: MetricsEngine, bucket: Bucket): void {
  registerSignal(registry, engine)
  registerBlocks(registry, engine)
  const signal = { signal: 'metrics' }
  const read: Registry['read'] = (...row) => {
    registry.read(...row)
  }
  read('tercet_samples_appended_total', 'Samples stored.', 'counter', () => engine.samplesAppended, signal)
  read('tercet_samples_refused_total', 'Samples refused for good.', 'counter', () => engine.samplesRefused, signal)
  read('tercet_head_series', 'Series in memory.', 'gauge', () => engine.seriesCount)
  read('tercet_head_series_created_total', 'Series that were new.', 'counter', () => engine.seriesCreated)
  if (!(bucket instanceof CachedBucket)) return
  read('tercet_cache_bytes', 'Local copies of objects of the bucket.', 'gauge', () => bucket.bytes, signal)
  read('tercet_cache_hits_total', 'Pages that were read from the local copy.', 'counter', () => bucket.hits, signal)
  read('tercet_cache_misses_total', 'Pages that had to be fetched.', 'counter', () => bucket.misses, signal)
}

export async function makeMetrics(context: ServingContext): Promise<MetricsPart> {
  const { config, world, limits, tenancy, kernel, startedMs, queries: queriesOf, workers } = context
  const { clock } = world
  const { decoder } = workers
  const bucket = await openBucket(config, world, 'metrics')
  const engine = openEngine(context, bucket)
  workers.serveMetrics(engine, bucket)
  countMemory(context, engine)
  const tenantOf = tenancy.of('metrics')
  const pushes = metricsProtocols({ appender: engine, tenantOf, clock, kernel, limits, decoder })
  let incompleteAnswers = 0
  const onIncomplete = (): void => {
    incompleteAnswers++
  }
  const damaged = (): DamagedBlock[] => engine.tenants().flatMap(tenant => [...engine.reader(tenant).damaged()])
  const queries = [
    ...workers.answered(queriesOf.metrics(engine, onIncomplete), onIncomplete),
    ...prometheusOperatorRoutes({
      clock,
      store: engine,
      tenantOf,
      scopeOf: tenancy.scopeOf('metrics'),
      version,
      startedMs,
      flags: config.shown(),
      configText: config.describe(),
      retention: config.text('metrics.retention'),
    }),
  ]
  const part = makePart({
    name: 'metrics',
    routes: [...queryRoutes(context, queries), ...pushes.routes],
    grpc: pushes.grpc,
    metrics: registry => {
      register(registry, engine, bucket)
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
