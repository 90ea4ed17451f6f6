/** What came in of each tenant of a signal, and what was asked: counters since the start, for so many tenants. */

export const refusalReasons = ['limit', 'invalid', 'deleted'] as const
/** `limit`: sending again later may help. `invalid`: refused for good. `deleted`: the tenant is being deleted. */
export type RefusalReason = (typeof refusalReasons)[number]

export interface TenantCounts {
  /** Samples, lines or spans that were stored. */
  received: number
  /** Of the log's records. */
  receivedBytes: number
  refused: Record<RefusalReason, number>
  queries: number
}

/** Counters of tenants beyond this are those of all others: a name costs some 200 B. */
const tenantsMax = 5000

function newCounts(): TenantCounts {
  return { received: 0, receivedBytes: 0, refused: { limit: 0, invalid: 0, deleted: 0 }, queries: 0 }
}

export class TenantUsage {
  readonly #counts = new Map<string, TenantCounts>()
  /** Of tenants that are not counted by name: too many, or names of which nothing was ever stored. */
  readonly others: TenantCounts = newCounts()

  /** Those of which something was stored, in order of their first. */
  named(): ReadonlyMap<string, TenantCounts> {
    return this.#counts
  }

  received(tenant: string, items: number, bytes: number): void {
    let own = this.#counts.get(tenant)
    if (own === undefined && this.#counts.size < tenantsMax) this.#counts.set(tenant, (own = newCounts()))
    own ??= this.others
    own.received += items
    own.receivedBytes += bytes
  }

  refused(tenant: string, reason: RefusalReason, items: number): void {
    this.#known(tenant).refused[reason] += items
  }

  queried(tenants: readonly string[]): void {
    for (const tenant of tenants) this.#known(tenant).queries++
  }

  /** It was deleted: who comes under its name is another one. */
  forget(tenant: string): void {
    this.#counts.delete(tenant)
  }

  /** Anybody may name tenants that are none. */
  #known(tenant: string): TenantCounts {
    return this.#counts.get(tenant) ?? this.others
  }
}
