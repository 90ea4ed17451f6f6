/** Own metrics by tenant: of so many tenants by name, of the others together. */
import type { Clock } from '#core/clock.ts'
import type { LabelValues, Registry } from '#core/counter.ts'
import { tenantLabelsMax } from '#core/limits.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { Signal, TenantRow, TenantRows } from '#store/signal.ts'
import { refusalReasons } from '#store/tenant-usage.ts'

/** No tenant can have this name. */
export const otherTenants = 'other tenants'

/** One exposition asks several times. */
const freshMs = 250

const activeNames = {
  metrics: ['tercet_tenant_active_series', 'Series in memory.'],
  logs: ['tercet_tenant_log_streams', 'Log streams in memory.'],
  traces: ['tercet_tenant_live_traces', 'Traces that still get spans.'],
} as const satisfies Record<SignalName, readonly [string, string]>

/**
 * At most so many rows with names, and one more for all others. Beside the tenants that are labelled there are some of
 * which nothing came in since the start: what they have is no counter, and may go over to the others.
 */
export function boundedRows({ rows, others, labelled }: TenantRows, most = tenantLabelsMax): TenantRow[] {
  const named = rows.filter(({ tenant }) => labelled.has(tenant))
  let rest = others
  for (const row of rows) {
    if (labelled.has(row.tenant)) continue
    if (named.length < most && !isCounted(row)) named.push(row)
    else rest = sumOf(rest, row)
  }
  return [...named, { ...rest, tenant: otherTenants }]
}

function isCounted({ received, queries, refused }: TenantRow): boolean {
  return received > 0 || queries > 0 || refusalReasons.some(reason => refused[reason] > 0)
}

function sumOf(a: TenantRow, b: TenantRow): TenantRow {
  const refused = { ...a.refused }
  for (const reason of refusalReasons) refused[reason] += b.refused[reason]
  return {
    tenant: a.tenant,
    active: a.active + b.active,
    received: a.received + b.received,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    refused,
    queries: a.queries + b.queries,
    blocks: a.blocks + b.blocks,
    blockBytes: a.blockBytes + b.blockBytes,
  }
}

/** Registers what each signal has of its tenants. */
export function registerTenants(registry: Registry, clock: Clock, signals: readonly Signal[]): void {
  for (const signal of signals) {
    const rows = remembered(clock, () => {
      return boundedRows(signal.tenantRows())
    })
    registerSignal(registry, signal.name, rows)
  }
}

function remembered<T>(clock: Clock, read: () => T): () => T {
  let last: { value: T; atMs: number } | undefined
  return () => {
    const nowMs = clock.monotonicMs()
    if (last === undefined || nowMs - last.atMs > freshMs) last = { value: read(), atMs: nowMs }
    return last.value
  }
}

function registerSignal(registry: Registry, signal: SignalName, rows: () => readonly TenantRow[]): void {
  const family = (
    name: string,
    help: string,
    type: 'counter' | 'gauge',
    valueOf: (row: TenantRow) => number,
    more: LabelValues = { signal },
  ): void => {
    registry.readMany(name, help, type, () =>
      rows().map(row => ({ labels: { ...more, tenant: row.tenant }, value: valueOf(row) })),
    )
  }
  const [activeName, activeHelp] = activeNames[signal]
  family(activeName, `${activeHelp} By tenant.`, 'gauge', row => row.active, {})
  family('tercet_tenant_received_total', 'Samples, lines or spans stored, by tenant.', 'counter', row => row.received)
  family(
    'tercet_tenant_received_bytes_total',
    "Bytes of the log's records, by tenant.",
    'counter',
    row => row.receivedBytes,
  )
  for (const reason of refusalReasons)
    family(
      'tercet_tenant_refused_total',
      'Samples, lines or spans refused, by tenant and reason.',
      'counter',
      row => row.refused[reason],
      { signal, reason },
    )
  family('tercet_tenant_queries_total', 'Queries, by tenant.', 'counter', row => row.queries)
  family('tercet_tenant_blocks', 'Blocks, or indexes of logs, by tenant.', 'gauge', row => row.blocks)
  family('tercet_tenant_blocks_bytes', 'Bytes of these, by tenant.', 'gauge', row => row.blockBytes)
}
