/** The blocks of the bucket, on a time line. */
import { get, type Block, type Requests, type TenantRow } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
import { greatest, least } from '../extremes.ts'
import { bytes, dateTime, duration, short } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'

const secondsOf = (block: Block): number => (block.endMs - block.startMs) / 1000
const keyOf = (block: Block): string => block.tenant + block.id

const columns: readonly Column<Block>[] = [
  { title: 'Block', look: 'mono', cell: b => b.id },
  { title: 'Tenant', cell: b => b.tenant },
  { title: 'From', look: 'mono', cell: b => dateTime(b.startMs) },
  { title: 'Covers', cell: b => duration(secondsOf(b)) },
  { title: 'Level', isNumber: true, cell: b => b.level },
  { title: 'Size', isNumber: true, cell: b => bytes(b.bytes) },
  { title: 'Holds', isNumber: true, cell: b => `${short(b.count)} ${b.unit}` },
]

interface Span {
  startMs: number
  endMs: number
}

/** The blocks of one level, each where its time is. */
function TimeLine({ signal, level, blocks, whole }: { signal: string; level: number; blocks: Block[]; whole: Span }) {
  const { startMs, endMs } = whole
  const wholeMs = Math.max(1, endMs - startMs)
  return (
    <div>
      <span class="dim">level {level}</span>
      <div
        class="timeline"
        role="img"
        aria-label={`Blocks of ${signal} of level ${level} from ${dateTime(startMs)} to ${dateTime(endMs)}`}
      >
        {blocks.map(block => (
          <i
            key={keyOf(block)}
            class={`sw${level % 10}`}
            title={[`${block.id}: ${dateTime(block.startMs)}`, duration(secondsOf(block)), bytes(block.bytes)].join(
              ', ',
            )}
            style={{
              left: `${((block.startMs - startMs) / wholeMs) * 100}%`,
              width: `${Math.max(0.3, ((block.endMs - block.startMs) / wholeMs) * 100)}%`,
            }}
          />
        ))}
      </div>
    </div>
  )
}

function SignalBlocks({ signal, blocks, whole }: { signal: string; blocks: readonly Block[]; whole: Span }) {
  const own = blocks.filter(b => b.signal === signal).sort((a, b) => b.startMs - a.startMs)
  const levels = [...new Set(own.map(b => b.level))].sort()
  if (own.length === 0) return null
  return (
    <section class="panel">
      <h2>
        {signal}{' '}
        <span class="dim">
          {own.length} blocks, {bytes(own.reduce((sum, b) => sum + b.bytes, 0))}
        </span>
      </h2>
      {levels.map(level => (
        <TimeLine key={level} signal={signal} level={level} blocks={own.filter(b => b.level === level)} whole={whole} />
      ))}
      <details>
        <summary>All</summary>
        <Table columns={columns} rows={own} keyOf={keyOf} label={`Blocks of ${signal}`} />
      </details>
    </section>
  )
}

type SignalRequests = Requests['signals'][number]

const requestColumns: readonly Column<SignalRequests>[] = [
  { title: 'Signal', cell: r => r.signal },
  { title: 'PUT', isNumber: true, cell: r => short(r.put) },
  { title: 'LIST', isNumber: true, cell: r => short(r.list) },
  { title: 'GET', isNumber: true, cell: r => short(r.get) },
  { title: 'HEAD', isNumber: true, cell: r => short(r.head) },
  { title: 'DELETE', isNumber: true, cell: r => short(r.delete) },
]

/** What the object store was asked, and what a month of that costs; nothing where buckets are directories. */
function StoreRequests() {
  const tick = useTick(60)
  const { data } = useLoad(signal => get<Requests>('/api/tercet/requests', {}, signal), [tick])
  if (data === undefined || data.signals.length === 0) return null
  const { seconds, signals, dollarsAMonth, durability, durabilityIntervalMs } = data
  return (
    <section class="panel">
      <h2>
        Requests to the store{' '}
        <span class="dim">
          {duration(seconds)}: ${dollarsAMonth.toFixed(2)} a month at this rate, without storage
        </span>
      </h2>
      <p class="dim">
        durability: {durability}
        {durability === 'bucket' && `, durability_interval: ${duration(durabilityIntervalMs / 1000)}`}
      </p>
      <Table columns={requestColumns} rows={signals} keyOf={r => r.signal} label="Requests to the store" />
    </section>
  )
}

const activeUnits: Record<string, [one: string, many: string]> = {
  metrics: ['series', 'series'],
  logs: ['stream', 'streams'],
  traces: ['live trace', 'live traces'],
}
const activeOf = ({ signal, active }: TenantRow): string =>
  `${short(active)} ${activeUnits[signal]?.[active === 1 ? 0 : 1] ?? ''}`
const refusedOf = ({ refused }: TenantRow): number => Object.values(refused).reduce((sum, one) => sum + one, 0)

const tenantColumns: readonly Column<TenantRow>[] = [
  { title: 'Tenant', cell: t => t.tenant },
  { title: 'Signal', cell: t => t.signal },
  { title: 'In memory', isNumber: true, cell: activeOf },
  { title: 'Received', isNumber: true, cell: t => `${short(t.received)}, ${bytes(t.receivedBytes)}` },
  {
    title: 'Refused',
    isNumber: true,
    look: t => (refusedOf(t) > 0 ? 'bad' : ''),
    cell: t => short(refusedOf(t)),
  },
  { title: 'Queries', isNumber: true, cell: t => short(t.queries) },
  { title: 'Blocks', isNumber: true, cell: t => short(t.blocks) },
  { title: 'Size', isNumber: true, cell: t => bytes(t.blockBytes) },
]

interface TenantRows {
  tenants: TenantRow[]
  /** So many more are not in the answer. */
  leftOff: number
}

/** What each tenant has and does; nothing where there is one alone. */
function Tenants() {
  const tick = useTick(60)
  const { data } = useLoad(signal => get<TenantRows>('/api/tercet/tenants', {}, signal), [tick])
  const tenants = data?.tenants ?? []
  const names = new Set(tenants.map(t => t.tenant))
  if (names.size < 2) return null
  return (
    <section class="panel">
      <h2>
        Tenants{' '}
        <span class="dim">
          {names.size}; what was received, refused and asked is since the start
          {data !== undefined && data.leftOff > 0 ? `; ${data.leftOff} rows are left off` : ''}
        </span>
      </h2>
      <Table columns={tenantColumns} rows={tenants} keyOf={t => `${t.signal} ${t.tenant}`} label="Tenants" />
    </section>
  )
}

export function Blocks() {
  const tick = useTick(60)
  const loaded = useLoad(signal => get<{ blocks: Block[] }>('/api/tercet/blocks', {}, signal), [tick])
  const blocks = loaded.data?.blocks ?? []
  const whole = {
    startMs: least(blocks.map(b => b.startMs)),
    endMs: greatest(blocks.map(b => b.endMs)),
  }
  return (
    <>
      <Head title="Blocks" />
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={blocks.length === 0}
        empty="Nothing is in blocks yet: they are cut every two hours, or at POST /-/flush."
      />
      <div class="stack">
        <StoreRequests />
        <Tenants />
        {['metrics', 'logs', 'traces'].map(signal => (
          <SignalBlocks key={signal} signal={signal} blocks={blocks} whole={whole} />
        ))}
      </div>
    </>
  )
}
