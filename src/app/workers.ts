/** The workers of a process: how many, how large, and what they are asked. */
import type { RuleSample } from '#alert/rules.ts'
import { gated } from '#api/gated.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import type { Registry } from '#core/counter.ts'
import { WorkerMemoryError } from '#core/errors.ts'
import { workerShares } from '#core/limits.ts'
import type { SignalName } from '#core/signal-name.ts'
import { yieldEvery } from '#core/yield.ts'
import type { BlockBuilding as LogsBuilding } from '#logs/block-building.ts'
import type { LogsEngine } from '#logs/engine.ts'
import { LocalBuilding, type BlockBuilding as MetricsBuilding } from '#metrics/block-building.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import type { GrpcMethod } from '#net/grpc.ts'
import type { Route } from '#net/route-table.ts'
import { LocalBuilding as LocalTracesBuilding, type BlockBuilding as TracesBuilding } from '#traces/block-building.ts'
import type { TracesEngine } from '#traces/engine.ts'
import type { BlockLayout } from '#traces/schema.ts'
import type { BodyDecoder } from '#wire/decode-body.ts'
import { WorkerLogsBuilding, WorkerMetricsBuilding, WorkerTracesBuilding } from '#worker/building.ts'
import type { MainCalls, WorkerCalls } from '#worker/calls.ts'
import { Costs } from '#worker/costs.ts'
import { decodingMemoryError, WorkerDecoding } from '#worker/decoding.ts'
import { mainHandlers } from '#worker/main-handlers.ts'
import { offloaded } from '#worker/offload.ts'
import { Pool, type PoolOptions, type ThreadHandle } from '#worker/pool.ts'
import { Queries } from '#worker/query-routes.ts'
import {
  defaultRuleTenants,
  evaluateRule,
  ruleReaders,
  unpackSample,
  type RuleQuery,
  type RuleTenants,
} from '#worker/rules.ts'
import type {
  WorkerBucket,
  WorkerLogs,
  WorkerMetrics,
  WorkerSettings,
  WorkerSignal,
  WorkerTraces,
} from '#worker/settings.ts'
import { startThread } from '#worker/start-thread.ts'
import { retentionMsOf } from './buckets.ts'
import { queryThreadsOf, type Context } from './context.ts'
import { compileCacheDirectory } from './version.ts'
import { shareOf } from './world.ts'

/** A worker may use so much memory for queries, where the machine has it. */
const queryBytesMax = 1024 * 1024 * 1024
/** A query holds so much or more where it is not cheap: no more of them share a worker than it has room for. */
const jobBytes = 32 * 1024 * 1024
const jobsOfWorker = { least: 2, most: 16 }
/** So much is needed for any work, however small the container. */
const workerBytesMin = 64 * 1024 * 1024
/** A request ends by its own limit before this. */
const graceMs = 5000

/** What is needed to answer queries, beside the context of all parts. */
export interface ServingContext extends Context {
  queries: Queries
  workers: Workers
}

export function makeServingContext(context: Context, startWorker = startThread): ServingContext {
  const { world, limits, overrides, tenancy } = context
  const keptAnswerBytes = keptAnswerBytesOf(context)
  const queries = new Queries({ clock: world.clock, limits, overrides, tenancy, keptAnswerBytes })
  const caches = context.memory.account('caches')
  caches.measured(() => queries.keptAnswers.bytes)
  caches.onShortage(() => {
    queries.keptAnswers.clear()
  })
  return { ...context, queries, workers: new Workers(context, queries, startWorker) }
}

/** What each thread may keep of answers of PromQL. */
function keptAnswerBytesOf({ world, config }: Pick<Context, 'world' | 'config'>): number {
  return shareOf(world, 1 / 64, config.bytes('metrics.answer_cache_size'))
}

type WorkerKind = keyof typeof workerShares
type OwnOptions = PoolOptions<MainCalls>

/** What all workers of a kind may hold, by their share. */
function workersBytes({ memory }: Context, kind: WorkerKind): number {
  const { account, part } = workerShares[kind]
  return memory.account(account).bytesMax * part
}

/** Bytes that one of so many threads may hold. */
function workerBytesMax(context: Context, kind: WorkerKind, threads: number): number {
  const bytesMax = Math.max(workerBytesMin, Math.floor(workersBytes(context, kind) / threads))
  return kind === 'queries' ? Math.min(bytesMax, queryBytesMax) : bytesMax
}

/**
 * What workers hold counts where their work belongs; their garbage is what they can give back. What they hold beyond
 * their share, in a small container, is nobody's fault: nobody is refused for it.
 */
function countWorkers(context: Context, kind: WorkerKind, pool: Pool<WorkerCalls, MainCalls>): void {
  const account = context.memory.account(workerShares[kind].account)
  const bytesMax = workersBytes(context, kind)
  account.measured(() => Math.min(pool.heldBytes, bytesMax))
  account.onShortage(() => {
    pool.collectGarbage()
  })
}

/** The engines whose queries workers answer. */
interface Served {
  metrics?: MetricsEngine
  logs?: LogsEngine
  traces?: TracesEngine
}

/** How a query without a request is asked. */
export interface Evaluation {
  tenants?: RuleTenants
  signal?: AbortSignal
  /** It does not wait behind people's queries. */
  isFirst?: boolean
}

export class Workers {
  readonly #context: Context
  readonly #queries: Queries
  readonly #served: Served = {}
  /** As the main thread reads them, and where workers find them. */
  readonly #buckets = new Map<SignalName, Bucket>()
  readonly #places = new Map<SignalName, WorkerBucket>()
  #layout: BlockLayout | undefined
  readonly #pool: Pool<WorkerCalls, MainCalls> | undefined
  /** For work in the background: it has a thread of its own, so that queries do not share its memory. */
  readonly #builders: Pool<WorkerCalls, MainCalls> | undefined
  /** For long bodies: pushes do not wait behind queries, and no query ends because of a body. */
  readonly #decoders: Pool<WorkerCalls, MainCalls> | undefined
  /** Decodes long bodies; undefined where there are no workers. */
  readonly decoder: BodyDecoder | undefined
  readonly #costs = new Costs()

  constructor(context: Context, queries: Queries, startWorker: (settings: WorkerSettings) => ThreadHandle) {
    this.#context = context
    this.#queries = queries
    const { config, world } = context
    const threadsMax = queryThreadsOf(config)
    if (threadsMax === 0) return
    const handlers = mainHandlers({
      bucket: signal => known(this.#buckets.get(signal)),
      metrics: () => known(this.#served.metrics).door(),
      logs: () => known(this.#served.logs).door(),
      traces: () => known(this.#served.traces).door(),
    })
    const pool = (
      kind: WorkerKind,
      own: Pick<OwnOptions, 'memoryError' | 'isUncancelable' | 'jobsPerThread'>,
      threads = 1,
    ) => {
      const memoryBytesMax = workerBytesMax(context, kind, threads)
      const start = (): ThreadHandle => startWorker(this.#settings(memoryBytesMax))
      const options = { clock: world.clock, log: world.log, start, handlers, threadsMax: threads, memoryBytesMax }
      const made = new Pool<WorkerCalls, MainCalls>({ ...options, ...own })
      countWorkers(context, kind, made)
      return made
    }
    const jobs = Math.floor(workerBytesMax(context, 'queries', threadsMax) / jobBytes)
    const jobsPerThread = Math.max(jobsOfWorker.least, Math.min(jobsOfWorker.most, jobs))
    this.#pool = pool('queries', { jobsPerThread }, threadsMax)
    // What is to become a block is not at fault: it is tried again.
    const memoryError = (): Error =>
      new WorkerMemoryError('a worker that builds blocks used more memory than it may; raise memory_limit', 60)
    this.#builders = pool('builders', { memoryError, isUncancelable: true })
    this.#decoders = pool('decoders', { memoryError: decodingMemoryError, isUncancelable: true })
    const { limits, hashSeed: seed } = context
    this.decoder = new WorkerDecoding(this.#decoders, () => ({
      nowMs: world.clock.nowMs(),
      decodedBytesMax: limits.decodedBytesMax,
      seed,
    }))
  }

  /** Queries of metrics are answered by workers from now on. */
  serveMetrics(engine: MetricsEngine, bucket: Bucket): void {
    this.#served.metrics = engine
    this.#serve('metrics', bucket, bucket)
  }

  serveLogs(engine: LogsEngine, bucket: Bucket): void {
    this.#served.logs = engine
    this.#serve('logs', bucket, bucket)
  }

  serveTraces(engine: TracesEngine, layout: BlockLayout, bucket: Bucket): void {
    this.#served.traces = engine
    this.#layout = layout
    // What is staged for the bucket is served with it.
    this.#serve('traces', bucket, engine.served)
  }

  #serve(signal: SignalName, bucket: Bucket, served: Bucket): void {
    this.#buckets.set(signal, served)
    const { description, gapBytes } = bucket
    const directory = bucket instanceof DirectoryBucket ? description : undefined
    this.#places.set(signal, { description, directory, gapBytes })
  }

  // --- Work ---

  /** The same routes: heavy ones are answered by workers, queries take their turns. */
  answered<R extends Route>(routes: readonly R[], onIncomplete: () => void): readonly R[] {
    const { world, gate, tenancy } = this.#context
    const pool = this.#pool
    if (pool === undefined) return gated(gate, routes, tenancy.ownerOf)
    const options = { clock: world.clock, pool, costs: this.#costs, timeoutMs: this.#timeoutMs }
    return gated(gate, offloaded(routes, options, onIncomplete), tenancy.ownerOf)
  }

  /** The same of gRPC calls. */
  answeredCalls(methods: readonly GrpcMethod[]): GrpcMethod[] {
    const { gate, tenancy } = this.#context
    return methods.map(one => {
      const { method, handler } = one
      const answer: GrpcMethod['handler'] = (message, caller, signal) => {
        if (this.#pool === undefined) return handler(message, caller, signal)
        const carried = { method, message, tenant: caller.header('x-scope-orgid'), grant: caller.grant }
        return this.#pool.run((link, id) => link.call('grpc', { ...carried, id }), {
          signal,
          timeoutMs: this.#timeoutMs,
        })
      }
      return {
        ...one,
        handler: (message, caller, signal) =>
          gate.run(signal, Infinity, own => answer(message, caller, own), { owner: tenancy.ownerOf(caller) }),
      }
    })
  }

  /** Samples of a query at a moment, as rules want them. Throws what the engines throw. */
  evaluate(query: RuleQuery, atMs: number, evaluation: Evaluation = {}): Promise<RuleSample[]> {
    const { tenants = defaultRuleTenants, signal, isFirst = false } = evaluation
    return this.#context.gate.run(signal, Infinity, own => this.#evaluate(query, atMs, tenants, own), { isFirst })
  }

  async #evaluate(query: RuleQuery, atMs: number, tenants: RuleTenants, signal: AbortSignal): Promise<RuleSample[]> {
    if (this.#pool !== undefined) {
      const samples = await this.#pool.run((link, id) => link.call('rule', { id, query, atMs, tenants }), {
        signal,
        timeoutMs: this.#timeoutMs,
      })
      return samples.map(unpackSample)
    }
    const { metrics, logs, traces } = this.#served
    const readers = ruleReaders({ metrics, logs, traces }, tenants)
    this.#queries.limitRule(query, tenants, signal)
    return evaluateRule(query, atMs, readers, this.#queries, signal)
  }

  get #timeoutMs(): number {
    return this.#context.limits.queryTimeoutMs + graceMs
  }

  /** Who writes blocks of metrics: workers, but for small ones. Undefined where there are none. */
  metricsBuilding(bucket: Bucket): MetricsBuilding | undefined {
    if (this.#builders === undefined) return undefined
    const { clock, files } = this.#context.world
    return new WorkerMetricsBuilding(this.#builders, new LocalBuilding({ files, bucket, pause: yieldEvery(clock) }))
  }

  /** The same of the indexes and chunks of logs; `local`: this thread. */
  logsBuilding(local: LogsBuilding): LogsBuilding {
    return this.#builders === undefined ? local : new WorkerLogsBuilding(this.#builders, local)
  }

  /** The same of traces. */
  tracesBuilding(bucket: Bucket): TracesBuilding | undefined {
    if (this.#builders === undefined) return undefined
    const pause = yieldEvery(this.#context.world.clock)
    return new WorkerTracesBuilding(this.#builders, new LocalTracesBuilding({ bucket, pause }), pause)
  }

  // --- What a worker is started with: read then, when all parts are there ---

  #settings(memoryBytesMax: number): WorkerSettings {
    const { limits, overrides, config } = this.#context
    return {
      compileCacheDirectory,
      limits,
      overrides: overrides.table,
      isTenancyOn: config.text('tenancy') === 'on',
      memoryBytesMax,
      metrics: this.#metricsSettings(),
      logs: this.#logsSettings(),
      traces: this.#tracesSettings(),
    }
  }

  #metricsSettings(): WorkerMetrics | undefined {
    const settings = this.#signalSettings('metrics')
    return settings && { ...settings, cacheBytes: keptAnswerBytesOf(this.#context) }
  }

  #logsSettings(): WorkerLogs | undefined {
    const settings = this.#signalSettings('logs')
    if (settings === undefined) return undefined
    const { config, world } = this.#context
    const cacheBytes = shareOf(world, 1 / 16, config.bytes('logs.cache_size'))
    return { ...settings, isBase64: settings.bucket.directory !== undefined, cacheBytes }
  }

  #tracesSettings(): WorkerTraces | undefined {
    const settings = this.#signalSettings('traces')
    if (settings === undefined) return undefined
    const { config, world } = this.#context
    const cacheBytes = shareOf(world, 1 / 16, config.bytes('traces.cache_size'))
    return { ...settings, layout: known(this.#layout), cacheBytes }
  }

  #signalSettings(signal: SignalName): WorkerSignal | undefined {
    const bucket = this.#places.get(signal)
    if (bucket === undefined) return undefined
    return { bucket, retentionMs: retentionMsOf(this.#context.config, signal) }
  }

  /** Limits and retention of single tenants are others than before. */
  noteOverrides(): void {
    const { table } = this.#context.overrides
    // What is kept was made within other limits.
    this.#queries.keptAnswers.clear()
    this.#pool?.tellAll(link => link.call('overrides', table))
  }

  register(registry: Registry): void {
    const pool = this.#pool
    if (pool === undefined) return
    const pools = [pool, this.#builders, this.#decoders].filter(one => one !== undefined)
    const sum = (of: (one: Pool<WorkerCalls, MainCalls>) => number) => () =>
      pools.reduce((total, one) => total + of(one), 0)
    const read: Registry['read'] = (...row) => {
      registry.read(...row)
    }
    read(
      'tercet_workers',
      'Worker threads that there are now.',
      'gauge',
      sum(one => one.threads),
    )
    read(
      'tercet_worker_jobs_running',
      'Jobs that workers are at.',
      'gauge',
      sum(one => one.running),
    )
    read(
      'tercet_worker_jobs_total',
      'Jobs that workers were given.',
      'counter',
      sum(one => one.jobs),
    )
    read('tercet_worker_jobs_repeated_total', 'Jobs that were done again.', 'counter', () => pool.repeated)
    read('tercet_worker_jobs_parked_total', 'Jobs that had to wait for memory.', 'counter', () => pool.parked)
    const ended = 'Worker threads that were ended.'
    read('tercet_workers_ended_total', ended, 'counter', () => pool.endedForMemory, { reason: 'memory' })
    read('tercet_workers_ended_total', ended, 'counter', () => pool.endedForSilence, { reason: 'silence' })
  }

  /** Blocks that are being built are given up: the log has what would be in them. */
  endBuilding(): void {
    this.#builders?.close()
  }

  close(): void {
    this.#pool?.close()
    this.#builders?.close()
    this.#decoders?.close()
  }
}

/** What the parts have given. */
function known<T>(given: T | undefined): T {
  if (given === undefined) throw new Error('workers do not serve this signal')
  return given
}
