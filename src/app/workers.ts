/** The workers of a process: how many, how large, and what they are asked. */
import { availableParallelism } from 'node:os'
import { gated } from '#api/gated.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import type { Registry } from '#core/counter.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { LogsDoor } from '#logs/door.ts'
import type { MetricsDoor } from '#metrics/door.ts'
import type { Route } from '#net/route-table.ts'
import type { TracesDoor } from '#traces/door.ts'
import type { BlockLayout } from '#traces/schema.ts'
import type { MainCalls, WorkerCalls } from '#worker/calls.ts'
import { Costs } from '#worker/costs.ts'
import { mainHandlers } from '#worker/main-handlers.ts'
import { offloaded } from '#worker/offload.ts'
import { Pool, type ThreadHandle } from '#worker/pool.ts'
import { Queries } from '#worker/query-routes.ts'
import type { WorkerBucket, WorkerLogs, WorkerSettings, WorkerSignal, WorkerTraces } from '#worker/settings.ts'
import { startThread } from '#worker/start-thread.ts'
import type { Context } from './context.ts'
import { shareOf } from './world.ts'

/** A worker may use so much memory, where the machine has it. */
const workerBytesMax = 1024 * 1024 * 1024
/** A request ends by its own limit before this. */
const graceMs = 5000

/** What is needed to answer queries, beside the context of all parts. */
export interface ServingContext extends Context {
  queries: Queries
  workers: Workers
}

export function makeServingContext(context: Context, startWorker = startThread): ServingContext {
  const { world, limits, tenancy } = context
  return {
    ...context,
    queries: new Queries({ clock: world.clock, limits, tenancy }),
    workers: new Workers(context, startWorker),
  }
}

export class Workers {
  readonly #context: Context
  readonly #buckets = new Map<SignalName, Bucket>()
  readonly #places = new Map<SignalName, WorkerBucket>()
  #metrics: MetricsDoor | undefined
  #logs: LogsDoor | undefined
  #traces: { door: TracesDoor; layout: BlockLayout } | undefined
  readonly #pool: Pool<WorkerCalls, MainCalls> | undefined
  readonly #costs = new Costs()
  readonly #memoryBytesMax: number

  constructor(context: Context, startWorker: (settings: WorkerSettings) => ThreadHandle) {
    this.#context = context
    const { config, world } = context
    const wanted = config.text('workers')
    const threadsMax = wanted === 'auto' ? Math.max(1, availableParallelism() - 1) : Number(wanted)
    this.#memoryBytesMax = shareOf(world, 1 / (4 * Math.max(1, threadsMax)), workerBytesMax)
    if (threadsMax === 0) return
    this.#pool = new Pool<WorkerCalls, MainCalls>({
      clock: world.clock,
      log: world.log,
      threadsMax,
      memoryBytesMax: this.#memoryBytesMax,
      start: () => startWorker(this.#settings()),
      handlers: mainHandlers({
        bucket: signal => known(this.#buckets.get(signal)),
        metrics: () => known(this.#metrics),
        logs: () => known(this.#logs),
        traces: () => known(this.#traces).door,
        memoryShort: jobs => {
          this.#pool?.refuseMemory(jobs)
        },
      }),
    })
  }

  /** Queries of metrics are answered by workers from now on. */
  serveMetrics(door: MetricsDoor, bucket: Bucket): void {
    this.#metrics = door
    this.#buckets.set('metrics', bucket)
    this.#places.set('metrics', placeOf(bucket))
  }

  /** The same of logs. */
  serveLogs(door: LogsDoor, bucket: Bucket): void {
    this.#logs = door
    this.#buckets.set('logs', bucket)
    this.#places.set('logs', placeOf(bucket))
  }

  /** The same of traces; `served` is the bucket with what is staged for it, `bucket` the one below. */
  serveTraces(door: TracesDoor, layout: BlockLayout, bucket: Bucket, served: Bucket): void {
    this.#traces = { door, layout }
    this.#buckets.set('traces', served)
    this.#places.set('traces', placeOf(bucket))
  }

  /** The same routes; heavy ones are answered by workers where these serve the signal, and take their turns. */
  answered(signal: SignalName, routes: readonly Route[], onIncomplete: () => void): readonly Route[] {
    const { world, limits, gate } = this.#context
    const pool = this.#pool
    if (pool === undefined || !this.#buckets.has(signal)) return gated(gate, routes)
    const timeoutMs = limits.queryTimeoutMs + graceMs
    const options = { clock: world.clock, pool, costs: this.#costs, timeoutMs }
    return gated(gate, offloaded(routes, options, onIncomplete))
  }

  /** Read when a worker starts: all parts are there by then. */
  #settings(): WorkerSettings {
    const { limits, config } = this.#context
    return {
      limits,
      isTenancyOn: config.text('tenancy') === 'on',
      memoryBytesMax: this.#memoryBytesMax,
      metrics: this.#signalSettings('metrics'),
      logs: this.#logsSettings(),
      traces: this.#tracesSettings(),
    }
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
    const { layout } = known(this.#traces)
    return { ...settings, layout, cacheBytes: shareOf(world, 1 / 16, config.bytes('traces.cache_size')) }
  }

  #signalSettings(signal: SignalName): WorkerSignal | undefined {
    const bucket = this.#places.get(signal)
    if (bucket === undefined) return undefined
    return { bucket, retentionMs: this.#context.config.durationMs(`${signal}.retention`) }
  }

  register(registry: Registry): void {
    const pool = this.#pool
    if (pool === undefined) return
    const read: Registry['read'] = (...row) => {
      registry.read(...row)
    }
    read('tercet_workers', 'Worker threads that there are now.', 'gauge', () => pool.threads)
    read('tercet_worker_jobs_running', 'Jobs that workers are at.', 'gauge', () => pool.running)
    read('tercet_worker_jobs_total', 'Jobs that workers were given.', 'counter', () => pool.jobs)
    read('tercet_worker_jobs_repeated_total', 'Jobs that were done again.', 'counter', () => pool.repeated)
    const ended = 'Worker threads that were ended.'
    read('tercet_workers_ended_total', ended, 'counter', () => pool.endedForMemory, { reason: 'memory' })
    read('tercet_workers_ended_total', ended, 'counter', () => pool.endedForSilence, { reason: 'silence' })
  }

  close(): void {
    this.#pool?.close()
  }
}

/** What the parts have given. */
function known<T>(given: T | undefined): T {
  if (given === undefined) throw new Error('workers do not serve this signal')
  return given
}

function placeOf(bucket: Bucket): WorkerBucket {
  const { description } = bucket
  return { description, directory: bucket instanceof DirectoryBucket ? description : undefined }
}
