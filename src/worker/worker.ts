/** What a worker is made of, on either side of a port: a thread in a process, or an object in a simulation. */
import { Tenancy } from '#api/tenancy.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { DirectoryBucket } from '#bucket/directory.ts'
import { DistantBucket } from '#bucket/distant.ts'
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import { addAll } from '#core/lists.ts'
import type { SignalName } from '#core/signal-name.ts'
import { LogsView } from '#logs/view.ts'
import { MetricsView } from '#metrics/view.ts'
import type { Route } from '#net/route-table.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import { Link, type Port } from './link.ts'
import { Queries } from './query-routes.ts'
import { RequestServer } from './serve.ts'
import type { WorkerBucket, WorkerSettings } from './settings.ts'

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

function routesOf(link: MainLink, settings: WorkerSettings, { clock, files }: WorkerWorld): Route[] {
  const { limits, isTenancyOn, metrics, logs } = settings
  const queries = new Queries({ clock, limits, tenancy: new Tenancy(isTenancyOn) })
  const routes: Route[] = []
  // What an answer lacks is counted where it is sent.
  const onIncomplete = (): void => {}
  if (metrics !== undefined) {
    const view = new MetricsView({
      clock,
      files,
      bucket: openBucket(link, 'metrics', metrics.bucket),
      door: metricsDoor(link),
      retentionMs: metrics.retentionMs,
    })
    addAll(routes, queries.metrics(view, onIncomplete))
  }
  if (logs !== undefined) {
    const view = new LogsView({
      clock,
      files,
      bucket: openBucket(link, 'logs', logs.bucket),
      isBase64: logs.isBase64,
      cacheBytes: logs.cacheBytes,
      door: {
        plan: ask => link.call('logsPlan', ask),
        noteDamage: block => link.call('logsDamage', block),
      },
      retentionMs: logs.retentionMs,
    })
    addAll(routes, queries.logs(view, onIncomplete))
  }
  return routes
}

function openBucket(link: MainLink, signal: SignalName, { directory, description }: WorkerBucket): Bucket {
  if (directory !== undefined) return new DirectoryBucket(directory)
  return new DistantBucket(description, {
    get: key => link.call('bucketGet', { signal, key }),
    getRange: (key, offset, length) => link.call('bucketRange', { signal, key, offset, length }),
    size: key => link.call('bucketSize', { signal, key }),
    list: key => link.call('bucketList', { signal, key }),
    listDirectories: key => link.call('bucketDirectories', { signal, key }),
    evict: key => link.call('bucketEvict', { signal, key }),
  })
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
