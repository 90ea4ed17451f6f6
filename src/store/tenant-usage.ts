/** What came in of each tenant of a signal, and what was asked: counters since the start, for so many tenants. */
import { tenantLabelsMax } from '#core/limits.ts'

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
const tenantsMax = 20_000

function newCounts(): TenantCounts {
  return { received: 0, receivedBytes: 0, refused: { limit: 0, invalid: 0, deleted: 0 }, queries: 0 }
}

function addCounts(to: TenantCounts, counts: TenantCounts): void {
  to.received += counts.received
  to.receivedBytes += counts.receivedBytes
  to.queries += counts.queries
  for (const reason of refusalReasons) to.refused[reason] += counts.refused[reason]
}

export class TenantUsage {
  readonly #counts = new Map<string, TenantCounts>()
  readonly #labelled = new Set<string>()
  /** Of tenants that are not counted by name: too many, or names of which nothing was ever stored. */
  readonly others: TenantCounts = newCounts()

  /** Those of which something was stored, in order of their first. */
  named(): ReadonlyMap<string, TenantCounts> {
    return this.#counts
  }

  /**
   * Those of which something was stored first, whose counters are shown by themselves: those of the others are one sum.
   * A tenant that was counted in the sum stays there: counters don't go back.
   */
  labelled(): ReadonlySet<string> {
    return this.#labelled
  }

  received(tenant: string, items: number, bytes: number): void {
    let own = this.#counts.get(tenant)
    if (own === undefined && this.#counts.size < tenantsMax) {
      this.#counts.set(tenant, (own = newCounts()))
      if (this.#labelled.size < tenantLabelsMax) this.#labelled.add(tenant)
    }
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
    const own = this.#counts.get(tenant)
    this.#counts.delete(tenant)
    // What it has in the sum of the others stays in it.
    if (!this.#labelled.delete(tenant) && own !== undefined) addCounts(this.others, own)
  }

  /** Anybody may name tenants that are none. */
  #known(tenant: string): TenantCounts {
    return this.#counts.get(tenant) ?? this.others
  }
}
