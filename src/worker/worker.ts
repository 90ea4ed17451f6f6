/** What a worker is made of, on either side of a port: a thread in a process, or an object in a simulation. */
import { Tenancy } from '#api/tenancy.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import { BucketOfTwo, DistantBucket, type BucketReads } from '#bucket/distant.ts'
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import { addAll } from '#core/lists.ts'
import type { SignalName } from '#core/signal-name.ts'
import { LogsView } from '#logs/view.ts'
import { MetricsView } from '#metrics/view.ts'
import type { Route } from '#net/route-table.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import { TracesView } from '#traces/view.ts'
import { decodeOtlpTraces, decodeSpan } from '#wire/otlp/traces.ts'
import { Link, type Port } from './link.ts'
import { Queries } from './query-routes.ts'
import { RequestServer } from './serve.ts'
import type { WorkerBucket, WorkerLogs, WorkerSettings, WorkerSignal, WorkerTraces } from './settings.ts'

export interface WorkerWorld {
  clock: Clock
  files: Files
  /** Memory that the worker holds now. */
  heldBytes: () => number
}

type MainLink = Link<MainCalls, WorkerCalls>

/** How often memory is looked at while jobs are under way. */
const lookEveryMs = 50

/** Answers what comes through the port. */
export function makeWorker(port: Port, settings: WorkerSettings, world: WorkerWorld): void {
  const { clock } = world
  let isLooking = false
  const look = (): void => {
    const jobs = server.jobs()
    isLooking = jobs.length > 0
    if (!isLooking) return
    if (world.heldBytes() > settings.memoryBytesMax) link.call('memoryShort', jobs).catch(() => {})
    clock.after(lookEveryMs, look)
  }
  const link: MainLink = new Link<MainCalls, WorkerCalls>(port, {
    ping: () => ({ answer: undefined }),
    cancel: id => {
      server.cancel(id)
      return { answer: undefined }
    },
    request: ask => {
      const answer = server.request(ask)
      if (!isLooking) look()
      return answer
    },
    pull: id => server.pull(id),
  })
  const server = new RequestServer(clock, routesOf(link, settings, world))
}

function routesOf(link: MainLink, settings: WorkerSettings, world: WorkerWorld): Route[] {
  const { limits, isTenancyOn, metrics, logs, traces } = settings
  const queries = new Queries({ clock: world.clock, limits, tenancy: new Tenancy(isTenancyOn) })
  const routes: Route[] = []
  // What an answer lacks is counted where it is sent.
  const onIncomplete = (): void => {}
  if (metrics !== undefined) addAll(routes, queries.metrics(metricsView(link, metrics, world), onIncomplete))
  if (logs !== undefined) addAll(routes, queries.logs(logsView(link, logs, world), onIncomplete))
  if (traces !== undefined) addAll(routes, queries.traces(tracesView(link, traces, world), onIncomplete))
  return routes
}

function metricsView(
  link: MainLink,
  { bucket, retentionMs }: WorkerSignal,
  { clock, files }: WorkerWorld,
): MetricsView {
  const opened = openBucket(link, 'metrics', bucket)
  return new MetricsView({ clock, files, bucket: opened, door: metricsDoor(link), retentionMs })
}

function logsView(link: MainLink, { bucket, ...options }: WorkerLogs, { clock, files }: WorkerWorld): LogsView {
  return new LogsView({
    ...options,
    clock,
    files,
    bucket: openBucket(link, 'logs', bucket),
    door: {
      plan: ask => link.call('logsPlan', ask),
      noteDamage: block => link.call('logsDamage', block),
    },
  })
}

function tracesView(link: MainLink, { bucket, ...options }: WorkerTraces, { clock }: WorkerWorld): TracesView {
  const reads = readsOf(link, 'traces')
  const { directory, description } = bucket
  return new TracesView({
    ...options,
    clock,
    // What is staged is with the main thread.
    bucket:
      directory === undefined
        ? new DistantBucket(description, reads)
        : new BucketOfTwo(new DirectoryBucket(directory), reads),
    door: {
      plan: ask => link.call('tracesPlan', ask),
      find: ask => link.call('tracesFind', ask),
      noteReadable: block => link.call('tracesReadable', block),
      noteDamage: note => link.call('tracesDamage', note),
      isReplaced: block => link.call('tracesReplaced', block),
    },
    decodeOutline: message => decodeOtlpTraces(message, true),
    decodeSpan,
  })
}

function openBucket(link: MainLink, signal: SignalName, { directory, description }: WorkerBucket): Bucket {
  return directory === undefined
    ? new DistantBucket(description, readsOf(link, signal))
    : new DirectoryBucket(directory)
}

function readsOf(link: MainLink, signal: SignalName): BucketReads {
  return {
    get: key => link.call('bucketGet', { signal, key }),
    getRange: (key, offset, length) => link.call('bucketRange', { signal, key, offset, length }),
    size: key => link.call('bucketSize', { signal, key }),
    list: key => link.call('bucketList', { signal, key }),
    listDirectories: key => link.call('bucketDirectories', { signal, key }),
    evict: key => link.call('bucketEvict', { signal, key }),
  }
}

function metricsDoor(link: MainLink): ConstructorParameters<typeof MetricsView>[0]['door'] {
  return {
    plan: ask => link.call('metricsPlan', ask),
    texts: ask => link.call('metricsTexts', ask),
    metas: (tenant, ids) => link.call('metricsMetas', { tenant, ids }),
    noteDamage: note => link.call('metricsDamage', note),
    lookAgain: (tenant, block) => link.call('metricsLookAgain', { tenant, block }),
  }
}
