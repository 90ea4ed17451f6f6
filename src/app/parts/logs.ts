/** Logs: their engine, the push protocols and syslog, Loki's API with its live tail, VictoriaLogs' API. */
import { lokiOperatorRoutes } from '#api/loki/routes.ts'
import { tailRoutes } from '#api/loki/tail.ts'
import { defaultTenants } from '#api/tenancy.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import type { Registry } from '#core/counter.ts'
import { yieldEvery } from '#core/yield.ts'
import { logProtocols } from '#ingest/log-protocols.ts'
import { LocalBuilding, type HidingTest } from '#logs/block-building.ts'
import { LogsEngine } from '#logs/engine.ts'
import { HiddenLines } from '#query/logql/scan.ts'
import type { DamagedBlock } from '#store/damage.ts'
import { openBucket } from '../buckets.ts'
import { countMemory, queryRoutes } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { version } from '../version.ts'
import type { ServingContext } from '../workers.ts'
import { shareOf } from '../world.ts'
import { registerDamage, registerRequests, registerSignal } from './signal-metrics.ts'
import { refreshMsOf, signalOptions } from './signal-options.ts'
import { reloadOf } from './signal-reload.ts'
import { makeSyslog } from './syslog.ts'

export interface LogsPart extends Part {
  engine: LogsEngine
  /** The signal's own bucket; groups of rules lie there, too. */
  bucket: Bucket
  damaged: () => readonly DamagedBlock[]
}

const labelNameBytesMax = 1024
const labelValueBytesMax = 2048
const headBytesMax = 256 * 1024 * 1024

function openEngine(context: ServingContext, bucket: Bucket): LogsEngine {
  const { config, world, limits, workers } = context
  const { clock, files } = world
  const isBase64 = bucket instanceof DirectoryBucket
  const hides: HidingTest = notices => new HiddenLines(notices, () => clock.nowMs())
  const local = new LocalBuilding({ files, bucket, isBase64, hides, pause: yieldEvery(clock) })
  const refreshMs = refreshMsOf(context, bucket, 3_600_000)
  const outOfOrderMs = config.durationMs('logs.out_of_order_window')
  return new LogsEngine({
    ...signalOptions(context, 'logs', bucket, refreshMs),
    isBase64,
    deletionDelayMs: config.durationMs('logs.deletion_delay'),
    hides,
    building: workers.logsBuilding(local),
    admission: {
      // Without an out-of-order window, lines of any age are taken.
      maxAgeMs: outOfOrderMs === Infinity ? Infinity : limits.logMaxAgeMs,
      futureMs: limits.futureMs,
      outOfOrderMs,
      lineBytesMax: config.bytes('limits.log_line_size'),
      labelsPerStreamMax: limits.logLabelsMax,
      labelNameBytesMax,
      labelValueBytesMax,
      metadataPairsMax: limits.logMetadataPairsMax,
      metadataBytesMax: limits.logMetadataBytesMax,
    },
    streamsMax: config.number('limits.log_streams'),
    rateBytes: config.bytes('limits.log_rate') || Infinity,
    tailBytesMax: limits.tailBytesMax,
    tailMemory: context.memory.account('tails'),
    headBytesMax: shareOf(world, 1 / 8, headBytesMax),
    cacheBytes: shareOf(world, 1 / 8, config.bytes('logs.cache_size')),
  })
}

function register(registry: Registry, engine: LogsEngine): void {
  registerSignal(registry, engine)
  const counter = (name: string, help: string, read: () => number): void => {
    registry.read(name, help, 'counter', read)
  }
  const gauge = (name: string, help: string, read: () => number): void => {
    registry.read(name, help, 'gauge', read)
  }
  counter('tercet_log_lines_appended_total', 'Log lines stored.', () => engine.linesAppended)
  counter('tercet_log_lines_refused_total', 'Log lines refused for good.', () => engine.linesRefused)
  counter('tercet_log_bytes_appended_total', 'Bytes of log records.', () => engine.bytesAppended)
  gauge('tercet_log_streams', 'Log streams in memory.', () => engine.streamCount)
  gauge('tercet_log_head_bytes', 'Bytes of chunks in memory.', () => engine.headBytes)
  counter('tercet_log_chunks_uploaded_total', 'Chunks put into the bucket.', () => engine.chunkStats.uploads)
  counter(
    'tercet_log_chunks_fetched_total',
    'Chunks read from the bucket for queries.',
    () => engine.chunkStats.fetched,
  )
  counter('tercet_log_chunks_skipped_total', 'Chunks that a token filter ruled out.', () => engine.chunkStats.skipped)
  gauge('tercet_log_cache_bytes', 'Chunks and blocks kept in memory for queries.', () => engine.cacheStats.bytes)
}

export async function makeLogs(context: ServingContext): Promise<LogsPart> {
  const { config, world, limits, tenancy, kernel, isInsertOnly, queries: queriesOf, workers } = context
  const { clock, log } = world
  const { decoder } = workers
  const bucket = await openBucket(config, world, 'logs')
  const engine = openEngine(context, bucket)
  countMemory(context, engine)
  workers.serveLogs(engine, bucket)
  if (!context.isReader) context.audit.keepIn(engine)
  const tenantOf = tenancy.of('logs')
  const pushes = logProtocols({ appender: engine, tenantOf, clock, log, kernel, limits, decoder })
  const syslog = makeSyslog(context, engine)
  let incompleteAnswers = 0
  const onIncomplete = (): void => {
    incompleteAnswers++
  }
  const damaged = (): readonly DamagedBlock[] => engine.reader(defaultTenants.logs).damaged('all')
  const memory = context.memory.account('tails')
  const tails = { running: 0, max: limits.tailsMax, omissions: 0 }
  const queries = [
    ...workers.answered(queriesOf.logs(engine, onIncomplete), onIncomplete),
    ...queriesOf.logsTail(engine, onIncomplete, {
      gate: context.gate,
      tails,
      tailBytesMax: limits.tailBytesMax,
      memory,
    }),
    ...lokiOperatorRoutes({ clock, store: engine, tenantOf, version, entriesMax: limits.logQueryEntriesMax }),
  ]
  const sockets = tailRoutes({
    clock,
    engine: queriesOf.logql,
    gate: context.gate,
    store: engine,
    scopeOf: tenancy.scopeOf('logs'),
    tails,
    bytesMax: limits.tailBytesMax,
    memory,
  })
  const part = makePart({
    name: 'logs',
    routes: [...queryRoutes(context, queries), ...pushes.routes],
    sockets: isInsertOnly ? [] : sockets,
    grpc: pushes.grpc,
    listeners: syslog.listeners,
    metrics: registry => {
      register(registry, engine)
      registerRequests(registry, engine, bucket)
      registerDamage(registry, engine, damaged, () => incompleteAnswers)
      registry.read(
        'tercet_log_tail_omissions_total',
        'Notices to readers of live tails that lines were left out, each for a line or for lines of a stream.',
        'counter',
        () => tails.omissions,
      )
      syslog.metrics(registry)
    },
    start: () => engine.open(),
    drain: () => {
      engine.drain()
    },
    stop: async () => {
      await syslog.close()
      await engine.close()
    },
    reload: reloadOf(engine, world.log),
    ready: () => engine.notReady,
    warning: () => engine.warning,
  })
  return { ...part, engine, bucket, damaged }
}
