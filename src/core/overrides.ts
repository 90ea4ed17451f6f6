/** What tenants may have otherwise than the configuration says for all. Plain data, which goes to workers. */
import type { SignalName } from './signal-name.ts'

/** Undefined: as the configuration has it. */
export interface TenantOverrides {
  readonly activeSeriesMax?: number
  readonly logStreamsMax?: number
  /** Infinity: no limit. */
  readonly logRateBytes?: number
  readonly liveTracesMax?: number
  readonly traceBytesMax?: number
  readonly querySamplesMax?: number
  readonly ruleGroupsMax?: number
  /** Infinity keeps everything. */
  readonly retentionMs?: Partial<Readonly<Record<SignalName, number>>>
}

export interface OverridesTable {
  /** What is not set there is as `others` have it. */
  readonly tenants: ReadonlyMap<string, TenantOverrides>
  readonly others: TenantOverrides
}

const none: OverridesTable = { tenants: new Map(), others: {} }

export class Overrides {
  #table: OverridesTable

  constructor(table: OverridesTable = none) {
    this.#table = table
  }

  /** Another object whenever something may have changed. */
  get table(): OverridesTable {
    return this.#table
  }

  use(table: OverridesTable): void {
    this.#table = table
  }

  of(tenant: string): TenantOverrides {
    return this.#table.tenants.get(tenant) ?? this.#table.others
  }

  /** For how long data of the tenant is kept, where the configuration says `otherwiseMs`. */
  retentionMs(tenant: string, signal: SignalName, otherwiseMs: number): number {
    return this.of(tenant).retentionMs?.[signal] ?? otherwiseMs
  }

  /** The start of a query's time, moved to the retention of the tenant. */
  retainedFrom(tenant: string, signal: SignalName, otherwiseMs: number): (fromMs: number, nowMs: number) => number {
    return (fromMs, nowMs) => Math.max(fromMs, nowMs - this.retentionMs(tenant, signal, otherwiseMs))
  }

  /** Samples that a query of these tenants may hold: of several, the least. Undefined: as of all. */
  querySamplesMax(tenants: readonly string[], otherwise: number): number | undefined {
    const set = tenants.map(tenant => this.of(tenant).querySamplesMax)
    if (set.every(one => one === undefined)) return undefined
    return set.reduce<number>((least, one) => Math.min(least, one ?? otherwise), Infinity)
  }
}

/** Of engines that were made without any. */
export const noOverrides = new Overrides()
