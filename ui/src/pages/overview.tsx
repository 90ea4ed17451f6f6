/**
 * Incoming rates, the state of the bucket, firing alerts, recent errors; and, where nothing has arrived yet, how to
 * send.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { get, number, ownMetrics, queryLogs, queryRange, sumOf, type Damage, type StreamLines } from '../api.ts'
import { arrivedOf, isEmptyStore, loadServices } from '../arrivals.ts'
import { DemoOffer } from '../components/demo-offer.tsx'
import { Head, Status } from '../components/shell.tsx'
import { Sparkline } from '../components/sparkline.tsx'
import { Table, type Column } from '../components/table.tsx'
import { ago, bytes, dateTime, duration, short, visible } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'
import { linkTo } from '../router.ts'
import { snippets } from '../snippets.ts'

interface Alert {
  labels: Record<string, string>
  annotations: Record<string, string>
  state: string
  activeAt: string
}

/** Rates of counters between two looks at the process. */
function useRates(tick: number): {
  now: ReadonlyMap<string, number> | undefined
  rate: (name: string, label?: string) => number | undefined
  error: string | undefined
} {
  const before = useRef<{ at: number; metrics: ReadonlyMap<string, number> } | undefined>(undefined),
    [rates, setRates] = useState<
      { seconds: number; old: ReadonlyMap<string, number>; now: ReadonlyMap<string, number> } | undefined
    >(undefined)
  const { data, error } = useLoad(ownMetrics, [tick])
  useEffect(() => {
    if (data === undefined) return
    const at = performance.now(),
      last = before.current
    if (last !== undefined && last.metrics !== data)
      setRates({ seconds: (at - last.at) / 1000, old: last.metrics, now: data })
    before.current = { at, metrics: data }
  }, [data])
  return {
    now: data,
    error,
    rate: (name, label) =>
      rates === undefined
        ? undefined
        : Math.max(0, sumOf(rates.now, name, label) - sumOf(rates.old, name, label)) / rates.seconds,
  }
}

/** A value a minute; holes where there was none. */
function hourOf(values: readonly [number, string][], end: number): (number | null)[] {
  const hour = Array.from({ length: 61 }, (): number | null => null)
  for (const [time, text] of values) hour[60 - Math.round((end - time) / 60)] = Number(text)
  return hour
}

const perSecond = (value: number | undefined): string =>
  value === undefined ? '…' : `${short(Number(value.toPrecision(3)))}/s`

interface History {
  samples: (number | null)[]
  lines: (number | null)[]
  spans: (number | null)[]
}

const historyQueries: Readonly<Record<keyof History, string>> = {
  samples: 'sum(rate(tercet_samples_appended_total[1m]))',
  lines: 'sum(rate(tercet_log_lines_appended_total[1m]))',
  spans: 'sum(rate(tercet_spans_appended_total[1m]))',
}

/** What came in during the last hour, a value a minute. */
async function loadHistory(signal: AbortSignal): Promise<History> {
  const end = Math.floor(Date.now() / 15000) * 15
  const ask = async (query: string): Promise<(number | null)[]> => {
    const { result } = await queryRange(query, end - 3600, end, 60, signal)
    return hourOf(result[0]?.values ?? [], end)
  }
  const { samples, lines, spans } = historyQueries
  const [a, b, c] = await Promise.all([ask(samples), ask(lines), ask(spans)])
  return { samples: a, lines: b, spans: c }
}

async function loadAlerts(signal: AbortSignal): Promise<Alert[]> {
  return (await get<{ data: { alerts: Alert[] } }>('/api/v1/alerts', {}, signal)).data.alerts
}

async function loadFlags(signal: AbortSignal): Promise<Record<string, string>> {
  return (await get<{ data: Record<string, string> }>('/api/v1/status/flags', {}, signal)).data
}

interface CardProps {
  title: string
  big: string | number
  tone?: string
  children?: ComponentChildren
}

function Card({ title, big, tone = '', children }: CardProps) {
  return (
    <div class="card">
      <div class="what">{title}</div>
      <div class={`big ${tone}`}>{big}</div>
      <div class="dim">{children}</div>
    </div>
  )
}

/** Values of the process now, and their rates. */
type Own = ReturnType<typeof useRates> & { sum: (name: string, label?: string) => number | undefined }

const incoming = [
  ['samples', 'Samples', 'tercet_samples_appended_total'],
  ['lines', 'Log lines', 'tercet_log_lines_appended_total'],
  ['spans', 'Spans', 'tercet_spans_appended_total'],
] as const

function Incoming({ own, slow }: { own: Own; slow: number }) {
  const { rate, sum } = own
  const history = useLoad(loadHistory, [slow])
  const services = useLoad(loadServices, [slow])
  return (
    <section aria-label="Incoming" class="cards">
      {incoming.map(([key, name, metric]) => (
        <div class="card" key={key}>
          <div class="what">{name}</div>
          <div class="big">{perSecond(rate(metric))}</div>
          <Sparkline values={history.data?.[key] ?? []} label={`${name} a second in the last hour`} />
        </div>
      ))}
      <Card title="Active series" big={short(sum('tercet_head_series') ?? 0)}>
        <a href="/ui/cardinality">by metric and label</a>
      </Card>
      <Card title="Log streams" big={short(sum('tercet_log_streams') ?? 0)}>
        <a href="/ui/logs">lines</a>
      </Card>
      <Card title="Live traces" big={short(sum('tercet_live_traces') ?? 0)}>
        of {services.data?.length ?? '…'} <a href="/ui/services">services</a>
      </Card>
    </section>
  )
}

const daySeconds = 86_400
const backlogBytesMuch = 1 << 30

/** How much a day is stored, and how much that makes in the retention; undefined where nothing grows. */
function growthText(bytesPerSecond: number | undefined, retentionDays: string | undefined): string | undefined {
  if (bytesPerSecond === undefined || !Number.isFinite(bytesPerSecond) || bytesPerSecond <= 0) return undefined
  const aDay = bytesPerSecond * daySeconds
  const atEnd =
    retentionDays === undefined ? '' : `; about ${bytes(aDay * Number(retentionDays))} at ${retentionDays} days`
  return `grows ${bytes(aDay)} a day${atEnd}`
}

interface BucketProps {
  own: Own
  slow: number
  retention: string | undefined
  firing: number | undefined
}

function BucketCards({ own: { sum }, slow, retention, firing }: BucketProps) {
  const growth = useLoad(signal => number('sum(deriv(tercet_blocks_bytes[1h]))', signal), [slow])
  const retentionDays = /^(\d+)d$/.exec(retention ?? '')?.[1]
  const backlog = sum('tercet_backlog_bytes')
  const failures = sum('tercet_upload_failures_total') ?? 0
  const stored = sum('tercet_blocks_bytes')
  return (
    <section aria-label="Bucket" class="cards">
      <Card
        title="Waits for the bucket"
        big={backlog === undefined ? '…' : bytes(backlog)}
        tone={backlog !== undefined && backlog > backlogBytesMuch ? 'warn' : ''}
      >
        {short(sum('tercet_upload_blocks_waiting') ?? 0)} finished blocks
      </Card>
      <Card
        title="Uploads"
        big={failures === 0 ? 'fine' : `${short(failures)} failed`}
        tone={failures > 0 ? 'warn' : 'good'}
      >
        {short(sum('tercet_uploads_total') ?? 0)} since the start
      </Card>
      <Card title="Stored in blocks" big={stored === undefined ? '…' : bytes(stored)}>
        {growthText(growth.data, retentionDays) ?? <a href="/ui/blocks">blocks on a time line</a>}
      </Card>
      <Card title="Firing alerts" big={firing ?? '…'} tone={(firing ?? 0) > 0 ? 'bad' : 'good'}>
        <a href="/ui/alerts">alerts and silences</a>
      </Card>
    </section>
  )
}

const firingMax = 10

function Firing({ alerts }: { alerts: readonly Alert[] }) {
  return (
    <section class="panel">
      <h2>Firing</h2>
      <ul>
        {alerts.slice(0, firingMax).map((alert, i) => (
          <li key={i}>
            <a href={linkTo('/ui/alerts', {})}>
              <b class="bad">{alert.labels['alertname']}</b>
            </a>{' '}
            {alert.annotations['summary'] ?? alert.annotations['description'] ?? ''}{' '}
            <span class="dim">{ago(Date.parse(alert.activeAt))}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

const damageColumns: readonly Column<Damage>[] = [
  { title: 'Signal', cell: d => d.signal },
  { title: 'Tenant', cell: d => d.tenant },
  { title: 'Block', look: 'mono', cell: d => d.id },
  { title: 'Served', cell: d => (d.isWhole ? 'nothing of it' : 'the rest of it') },
  { title: 'Reason', cell: d => <bdi>{visible(d.reason)}</bdi> },
]
const damagedMax = 20

/** Blocks that answers lack; nothing where there are none. */
function Damaged({ slow }: { slow: number }) {
  const loaded = useLoad(signal => get<{ damaged: Damage[] }>('/api/tercet/blocks', {}, signal), [slow])
  const damaged = loaded.data?.damaged ?? []
  if (damaged.length === 0) return null
  return (
    <section class="panel" aria-label="Damaged blocks">
      <h2>
        Damaged blocks <span class="bad">{damaged.length}</span>
      </h2>
      <p class="dim">
        Answers that lack something of them say so. <code>tercet check data</code> looks at all, and repairs what can be
        made again.
      </p>
      <Table
        columns={damageColumns}
        rows={damaged.slice(0, damagedMax)}
        keyOf={d => d.signal + d.tenant + d.id}
        label="Damaged blocks"
      />
    </section>
  )
}

interface Trouble {
  signal: string
  problem?: string
  warning?: string
}

/** What is in the way of signals, and what else does not work as it should; nothing where all works. */
function Troubles({ slow }: { slow: number }) {
  const loaded = useLoad(
    signal => get<{ trouble: Trouble[]; warnings: string[] }>('/api/tercet/trouble', {}, signal),
    [slow],
  )
  const warnings = loaded.data?.warnings ?? []
  const troubles = (loaded.data?.trouble ?? []).filter(t => t.problem !== undefined || t.warning !== undefined)
  if (troubles.length === 0 && warnings.length === 0) return null
  return (
    <section class="panel" aria-label="Trouble">
      <h2>Trouble</h2>
      <ul>
        {troubles.map(({ signal, problem, warning }) => (
          <li key={signal}>
            <b class={problem === undefined ? 'warn' : 'bad'}>{signal}</b>{' '}
            {problem === undefined ? '' : `Nothing is written: ${problem}. `}
            {warning ?? ''}
          </li>
        ))}
        {warnings.map(warning => (
          <li key={warning}>
            <b class="warn">warning</b> {warning}
          </li>
        ))}
      </ul>
    </section>
  )
}

interface ErrorLine {
  timeMs: number
  line: string
  stream: Record<string, string>
}

const ofErrors = 'detected_level=~"error|critical|fatal"'
const errorQuery = `{service_name=~".+"} | ${ofErrors}`
const errorsMax = 8

async function loadErrors(signal: AbortSignal): Promise<ErrorLine[]> {
  const end = Date.now() / 1000
  const { result } = await queryLogs(errorQuery, end - 3600, end, errorsMax, 'backward', signal)
  return (result as StreamLines[])
    .flatMap(({ stream, values }) =>
      values.map(([time, line]) => ({ timeMs: Number(time.slice(0, -6)), line, stream })),
    )
    .sort((a, b) => b.timeMs - a.timeMs)
    .slice(0, errorsMax)
}

/** The service, with a link to its errors of the hour. */
function Where({ line: { stream } }: { line: ErrorLine }) {
  const service = stream['service_name']
  if (service === undefined) return <>{stream['app'] ?? stream['job'] ?? ''}</>
  const q = `{service_name=${JSON.stringify(service)}} | ${ofErrors}`
  return <a href={linkTo('/ui/logs', { q, range: '1h' })}>{service}</a>
}

const errorColumns: readonly Column<ErrorLine>[] = [
  { title: 'Time', look: 'mono', cell: l => dateTime(l.timeMs) },
  { title: 'Where', look: 'whole', cell: l => <Where line={l} /> },
  { title: 'Line', look: 'mono', cell: l => <bdi>{visible(l.line.slice(0, 300))}</bdi> },
]

function RecentErrors({ slow }: { slow: number }) {
  const errors = useLoad(loadErrors, [slow])
  const lines = errors.data ?? []
  return (
    <section class="panel">
      <h2>Recent errors</h2>
      <Status
        error={errors.error}
        isLoading={errors.isLoading}
        isEmpty={lines.length === 0}
        empty="No line of the last hour has the level error."
      />
      {lines.length > 0 && <Table columns={errorColumns} rows={lines} keyOf={(_line, i) => i} />}
    </section>
  )
}

export function Overview() {
  const tick = useTick(3)
  const slow = useTick(15)
  const rates = useRates(tick)
  const { now, error } = rates
  const sum = (name: string, label?: string): number | undefined =>
    now === undefined ? undefined : sumOf(now, name, label)
  const own = { ...rates, sum }
  const alerts = useLoad(loadAlerts, [slow])
  const flags = useLoad(loadFlags, []).data
  const isEmpty = useLoad(isEmptyStore, [slow]).data === true
  const firing = alerts.data?.filter(alert => alert.state === 'firing')
  const nowSeconds = Date.now() / 1000
  const startSeconds = sum('process_start_time_seconds') || nowSeconds
  return (
    <>
      <Head title="Overview" />
      <div class="stack">
        <Status error={error} isLoading={false} />
        {isEmpty && <DemoOffer />}
        <Incoming own={own} slow={slow} />
        <BucketCards own={own} slow={slow} retention={flags?.['metrics.retention']} firing={firing?.length} />
        <Troubles slow={slow} />
        <Damaged slow={slow} />
        {firing !== undefined && firing.length > 0 && <Firing alerts={firing} />}
        <RecentErrors slow={slow} />
        <Senders />
        {flags !== undefined && (
          <p class="dim">
            Kept: metrics {flags['metrics.retention']}, logs {flags['logs.retention']}, traces{' '}
            {flags['traces.retention']}. Up for {duration(Math.max(0, nowSeconds - startSeconds))}.{' '}
            <a href="/ui/settings">Configuration</a>
          </p>
        )}
      </div>
    </>
  )
}

/** How other programs send, filled with this server's own addresses, and whether something has arrived. */
function Senders() {
  const [chosen, setChosen] = useState(0)
  const tick = useTick(5)
  const all = snippets(location)
  const snippet = all[chosen] ?? all[0]
  const kind = snippet?.signal ?? ''
  const arrived = useLoad(signal => arrivedOf(kind, signal), [tick, chosen])
  if (snippet === undefined) return null
  return (
    <section class="panel">
      <h2>Send something</h2>
      <div class="tabs" role="tablist" aria-label="Senders">
        {all.map((sender, i) => (
          <button
            key={sender.name}
            role="tab"
            id={`sender-${i}`}
            aria-controls="sender"
            aria-selected={i === chosen}
            onClick={() => {
              setChosen(i)
            }}
          >
            {sender.name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="sender" aria-labelledby={`sender-${chosen}`}>
        <p class="dim">{snippet.note}</p>
        <pre tabIndex={0}>{snippet.text}</pre>
        <Arrival snippet={snippet} arrived={arrived.data} />
      </div>
    </section>
  )
}

type Snippet = ReturnType<typeof snippets>[number]

function Arrival({ snippet, arrived }: { snippet: Snippet; arrived: string | undefined }) {
  return (
    <div class="row">
      <button
        onClick={() => {
          void navigator.clipboard?.writeText(snippet.text)
        }}
      >
        Copy
      </button>
      <span aria-live="polite">
        {arrived === undefined ? (
          <span class="dim">{snippet.signal}: nothing from others yet</span>
        ) : (
          <span class="good">✓ {arrived}</span>
        )}{' '}
        <a href={linkTo(`/ui/${snippet.signal}`, {})}>look</a>
      </span>
    </div>
  )
}
