/** The web interface's own API: blocks, running queries, settings with their sources, the routes of an alert. */
import type { Alertmanagers } from '#alert/alertmanager/alertmanagers.ts'
import { Labels } from '#model/labels.ts'
import { administersProcess, known, readsAll, readsProcess, type Caller } from '#net/access.ts'
import { allowing, type GuardedRoute, type HttpReply } from '#net/route-table.ts'
import type { TenantOf } from '../tenancy.ts'
import type { RunningQueries } from './running-queries.ts'

export interface Setting {
  name: string
  value: string
  source: string
  help: string
}
/** A block as its signal lists it. */
export interface ListedBlock {
  signal: string
  tenant: string
  id: string
  startMs: number
  endMs: number
  bytes: number
  level: number
  count: number
  unit: string
}
/** A block that can't be read, or not wholly. */
export interface ListedDamage {
  signal: string
  tenant: string
  id: string
  reason: string
  isWhole: boolean
  isSetAside?: true
}
/** What is in the way of a signal. */
export interface ListedTrouble {
  signal: string
  /** Nothing can be written; undefined: it can. */
  problem: string | undefined
  /** Something does not work although all is accepted. */
  warning: string | undefined
}
/** What one account of the process' memory holds. */
export interface ListedMemory {
  account: string
  bytes: number
  bytesMax: number
  refused: number
}
/** What was asked of object stores since the start, and what that costs. */
export interface ListedRequests {
  seconds: number
  /** By signal; a signal whose bucket is a directory has none. */
  signals: { signal: string; put: number; get: number; head: number; list: number; delete: number }[]
  /** Of a month that goes on so, at AWS' prices; without storage. */
  dollarsAMonth: number
  /** The settings that decide most of it. */
  durability: string
  durabilityIntervalMs: number
}
export interface TercetApiOptions {
  requests: () => ListedRequests
  memory: () => ListedMemory[]
  trouble: () => ListedTrouble[]
  /** What does not work although the process is ready, beside what `trouble` has. */
  warnings: () => string[]
  blocks: () => ListedBlock[]
  damaged: () => ListedDamage[]
  settings: () => Setting[]
  running: RunningQueries
  alertmanagers: Alertmanagers | undefined
  tenantOf: TenantOf
  dashboards: (caller: Caller) => Promise<{ name: string; text: string }[]>
}

const blocksMax = 20_000
const json = (value: unknown, status = 200): HttpReply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

export function tercetRoutes({
  blocks,
  damaged,
  trouble,
  warnings,
  settings,
  running,
  alertmanagers,
  tenantOf,
  dashboards,
  memory,
  requests,
}: TercetApiOptions): GuardedRoute[] {
  return allowing(readsProcess, [
    {
      methods: ['GET'],
      path: '/api/tercet/blocks',
      handler: async () =>
        json({
          blocks: blocks()
            .sort((a, b) => b.endMs - a.endMs)
            .slice(0, blocksMax),
          damaged: damaged().slice(0, blocksMax),
        }),
    },
    {
      methods: ['GET'],
      path: '/api/tercet/trouble',
      handler: async () => json({ trouble: trouble(), warnings: warnings() }),
    },
    { methods: ['GET'], path: '/api/tercet/memory', handler: async () => json({ memory: memory() }) },
    { methods: ['GET'], path: '/api/tercet/requests', handler: async () => json(requests()) },
    { methods: ['GET'], path: '/api/tercet/settings', handler: async () => json({ settings: settings() }) },
    {
      methods: ['GET'],
      path: '/api/tercet/dashboards',
      access: known,
      handler: async request => json({ dashboards: await dashboards(request) }),
    },
    {
      methods: ['GET'],
      path: '/api/tercet/queries',
      handler: async () => json({ queries: running.list().map(({ startedMs: _startedMs, ...q }) => q) }),
    },
    {
      methods: ['DELETE'],
      path: '/api/tercet/queries/:id',
      access: administersProcess,
      handler: async ({ params }) =>
        running.cancel(Number(params['id']))
          ? { status: 204 }
          : json({ error: `no query ${params['id'] ?? ''} runs` }, 404),
    },
    {
      // Labels as parameters: ?alertname=Down&severity=page
      methods: ['GET'],
      path: '/api/tercet/route',
      access: readsAll('metrics'),
      handler: async request => {
        if (alertmanagers === undefined) return json({ error: 'no Alertmanager runs here' }, 404)
        const routes = alertmanagers.routesOf(tenantOf(request), Labels.from([...request.query.entries()]))
        return json({
          receivers: routes.map(r => ({
            receiver: r.receiver,
            groupBy: r.groupBy ?? ['all labels'],
            groupWaitMs: r.groupWaitMs,
            groupIntervalMs: r.groupIntervalMs,
            repeatIntervalMs: r.repeatIntervalMs,
          })),
        })
      },
    },
  ])
}
