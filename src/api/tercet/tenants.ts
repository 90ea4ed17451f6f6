/** What each tenant has, and what came of it: of the tenants and signals that the caller may read. */
import { ForbiddenError } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import { known, lackOf, readsAll } from '#net/access.ts'
import { allowing, at, type GuardedRoute } from '#net/route-table.ts'

/** A tenant as a signal lists it. */
export interface ListedTenant {
  readonly signal: SignalName
  readonly tenant: string
  /** Series, streams or live traces in memory. */
  readonly active: number
  /** Samples, lines or spans, and bytes of log records, since the start. */
  readonly received: number
  readonly receivedBytes: number
  /** Refused, by reason. */
  readonly refused: Readonly<Record<string, number>>
  readonly queries: number
  readonly blocks: number
  readonly blockBytes: number
}

/** Of the answer: it says how many it leaves off. */
const rowsMax = 20_000

/**
 * Whoever has a credential sees those tenants of those signals that it reads as a whole: counts can't be kept to label
 * constraints.
 */
export function tenantRoutes(rows: () => readonly ListedTenant[]): GuardedRoute[] {
  return allowing(
    known,
    at(['GET'], ['/api/tercet/tenants'], ({ grant }) => {
      const lacks = new Map(
        (['metrics', 'logs', 'traces'] as const).map(signal => [signal, lackOf(readsAll(signal), grant)]),
      )
      const [lack] = lacks.values()
      if (lack !== undefined && [...lacks.values()].every(one => one !== undefined)) throw new ForbiddenError(lack)
      const found = rows()
        .filter(({ signal, tenant }) => lacks.get(signal) === undefined && grant.tenants?.includes(tenant) !== false)
        .sort((a, b) => (a.tenant < b.tenant ? -1 : a.tenant > b.tenant ? 1 : 0))
      return Promise.resolve({
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ tenants: found.slice(0, rowsMax), leftOff: Math.max(0, found.length - rowsMax) }),
      })
    }),
  )
}
