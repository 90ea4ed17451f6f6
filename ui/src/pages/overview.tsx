/**
 * What comes in, how the bucket is, what fires, what went wrong lately; and, where nothing has come yet, how to send.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { get, number, ownMetrics, queryLogs, queryRange, sumOf, type StreamLines } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { Sparkline } from '../components/sparkline.tsx'
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

export function Overview() {
  const tick = useTick(3),
    slow = useTick(15),
    { now, rate, error } = useRates(tick),
    sum = (name: string, label?: string): number | undefined =>
      now === undefined ? undefined : sumOf(now, name, label)
  const history = useLoad(
    async signal => {
      const end = Math.floor(Date.now() / 15000) * 15,
        names = {
          samples: 'sum(rate(tercet_samples_appended_total[1m]))',
          lines: 'sum(rate(tercet_log_lines_appended_total[1m]))',
          spans: 'sum(rate(tercet_spans_appended_total[1m]))',
          stored: 'sum(tercet_blocks_bytes)',
        }
      const found = await Promise.all(
        Object.entries(names).map(
          async ([key, query]) =>
            [key, hourOf((await queryRange(query, end - 3600, end, 60, signal)).result[0]?.values ?? [], end)] as const,
        ),
      )
      return Object.fromEntries(found) as Record<keyof typeof names, (number | null)[]>
    },
    [slow],
  )
  const alerts = useLoad(
    async signal => (await get<{ data: { alerts: Alert[] } }>('/api/v1/alerts', {}, signal)).data.alerts,
    [slow],
  )
  const errors = useLoad(
    async signal => {
      const end = Date.now() / 1000
      return (
        await queryLogs(
          '{service_name=~".+"} | detected_level=~"error|critical|fatal"',
          end - 3600,
          end,
          8,
          'backward',
          signal,
        )
      ).result as StreamLines[]
    },
    [slow],
  )
  const services = useLoad(
    async signal =>
      (
        (await get<{ tagValues?: unknown[] }>('/api/v2/search/tag/resource.service.name/values', {}, signal))
          .tagValues ?? []
      ).length,
    [slow],
  )
  const growth = useLoad(signal => number('sum(deriv(tercet_blocks_bytes[1h]))', signal), [slow])
  const settings = useLoad(
    async signal => (await get<{ data: Record<string, string> }>('/api/v1/status/flags', {}, signal)).data,
    [],
  )
  const retentionDays = /^(\d+)d$/.exec(settings.data?.['metrics.retention'] ?? '')?.[1]
  const incoming = [
    ['samples', 'Samples', 'tercet_samples_appended_total', history.data?.samples],
    ['lines', 'Log lines', 'tercet_log_lines_appended_total', history.data?.lines],
    ['spans', 'Spans', 'tercet_spans_appended_total', history.data?.spans],
  ] as const
  const backlog = sum('tercet_backlog_bytes'),
    failures = sum('tercet_upload_failures_total'),
    stored = sum('tercet_blocks_bytes'),
    waiting = sum('tercet_upload_blocks_waiting'),
    firing = alerts.data?.filter(a => a.state === 'firing') ?? []
  const lines = (errors.data ?? [])
    .flatMap(s => s.values.map(([time, line]) => ({ time: Number(time.slice(0, -6)), line, stream: s.stream })))
    .sort((a, b) => b.time - a.time)
    .slice(0, 8)
  return (
    <>
      <Head title="Overview" />
      <div class="stack">
        <Status error={error} isLoading={false} />
        <section aria-label="Incoming" class="cards">
          {incoming.map(([key, name, metric, values]) => (
            <div class="card" key={key}>
              <div class="what">{name}</div>
              <div class="big">{perSecond(rate(metric))}</div>
              <Sparkline values={values ?? []} label={`${name} a second in the last hour`} />
            </div>
          ))}
          <div class="card">
            <div class="what">Active series</div>
            <div class="big">{short(sum('tercet_head_series') ?? 0)}</div>
            <div class="dim">
              <a href="/ui/cardinality">by metric and label</a>
            </div>
          </div>
          <div class="card">
            <div class="what">Log streams</div>
            <div class="big">{short(sum('tercet_log_streams') ?? 0)}</div>
            <div class="dim">
              <a href="/ui/logs">lines</a>
            </div>
          </div>
          <div class="card">
            <div class="what">Live traces</div>
            <div class="big">{short(sum('tercet_live_traces') ?? 0)}</div>
            <div class="dim">
              of {services.data ?? '…'} <a href="/ui/services">services</a>
            </div>
          </div>
        </section>
        <section aria-label="Bucket" class="cards">
          <div class="card">
            <div class="what">Waits for the bucket</div>
            <div class={`big ${backlog !== undefined && backlog > 1 << 30 ? 'warn' : ''}`}>
              {backlog === undefined ? '…' : bytes(backlog)}
            </div>
            <div class="dim">{short(waiting ?? 0)} finished blocks</div>
          </div>
          <div class="card">
            <div class="what">Uploads</div>
            <div class={`big ${(failures ?? 0) > 0 ? 'warn' : 'good'}`}>
              {(failures ?? 0) === 0 ? 'fine' : `${short(failures!)} failed`}
            </div>
            <div class="dim">{short(sum('tercet_uploads_total') ?? 0)} since the start</div>
          </div>
          <div class="card">
            <div class="what">Stored in blocks</div>
            <div class="big">{stored === undefined ? '…' : bytes(stored)}</div>
            <div class="dim">
              {growth.data !== undefined && Number.isFinite(growth.data) && growth.data > 0 ? (
                `grows ${bytes(growth.data * 86400)} a day${retentionDays === undefined ? '' : `; about ${bytes(growth.data * 86400 * Number(retentionDays))} at ${retentionDays} days`}`
              ) : (
                <a href="/ui/blocks">blocks on a time line</a>
              )}
            </div>
          </div>
          <div class="card">
            <div class="what">Firing alerts</div>
            <div class={`big ${firing.length > 0 ? 'bad' : 'good'}`}>
              {alerts.data === undefined ? '…' : firing.length}
            </div>
            <div class="dim">
              <a href="/ui/alerts">alerts and silences</a>
            </div>
          </div>
        </section>
        {firing.length > 0 && (
          <section class="panel">
            <h2>Firing</h2>
            <ul>
              {firing.slice(0, 10).map((a, i) => (
                <li key={i}>
                  <b class="bad">{a.labels['alertname']}</b>{' '}
                  {a.annotations['summary'] ?? a.annotations['description'] ?? ''}{' '}
                  <span class="dim">{ago(Date.parse(a.activeAt))}</span>
                </li>
              ))}
            </ul>
          </section>
        )}
        <section class="panel">
          <h2>Recent errors</h2>
          <Status
            error={errors.error}
            isLoading={errors.isLoading}
            isEmpty={lines.length === 0}
            empty="No line of the last hour has the level error."
          />
          {lines.length > 0 && (
            <table>
              <thead>
                <tr>
                  <th scope="col">Time</th>
                  <th scope="col">Where</th>
                  <th scope="col">Line</th>
                </tr>
              </thead>
              <tbody>
                {lines.map((l, i) => (
                  <tr key={i}>
                    <td class="mono">{dateTime(l.time)}</td>
                    <td>{l.stream['service_name'] ?? l.stream['app'] ?? l.stream['job'] ?? ''}</td>
                    <td class="mono">
                      <bdi>{visible(l.line.slice(0, 300))}</bdi>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </section>
        <Senders />
        {settings.data !== undefined && (
          <p class="dim">
            Kept: metrics {settings.data['metrics.retention']}, logs {settings.data['logs.retention']}, traces{' '}
            {settings.data['traces.retention']}. Up for{' '}
            {duration(Math.max(0, Date.now() / 1000 - (sum('process_start_time_seconds') || Date.now() / 1000)))}.{' '}
            <a href="/ui/settings">Configuration</a>
          </p>
        )}
      </div>
    </>
  )
}

/** What others send with, filled with this server's own addresses, and whether it has come. */
function Senders() {
  const [chosen, setChosen] = useState(0),
    tick = useTick(5),
    snippet = snippets(location)[chosen]!
  const arrived = useLoad(
    async signal => {
      if (snippet.signal === 'metrics') {
        const n = await number('count({__name__=~".+", job!="tercet", __name__!~"traces_.*|ALERTS.*"})', signal)
        return n === undefined || n === 0 ? undefined : `${short(n)} series have arrived`
      }
      if (snippet.signal === 'logs') {
        const streams =
          (
            await get<{ data?: Record<string, string>[] }>(
              '/loki/api/v1/series',
              { 'match[]': '{service_name=~".+"}', start: `${Date.now() - 3_600_000}000000` },
              signal,
            )
          ).data ?? []
        return streams.length === 0 ? undefined : `${streams.length} streams have arrived`
      }
      const services = (
        (await get<{ tagValues?: { value: string }[] }>('/api/v2/search/tag/resource.service.name/values', {}, signal))
          .tagValues ?? []
      )
        .map(v => v.value)
        .filter(v => v !== 'tercet')
      return services.length === 0 ? undefined : `spans of ${services.slice(0, 5).join(', ')} have arrived`
    },
    [tick, chosen],
  )
  return (
    <section class="panel">
      <h2>Send something</h2>
      <div class="tabs" role="tablist" aria-label="Senders">
        {snippets(location).map((s, i) => (
          <button
            key={s.name}
            role="tab"
            id={`sender-${i}`}
            aria-controls="sender"
            aria-selected={i === chosen}
            onClick={() => {
              setChosen(i)
            }}
          >
            {s.name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="sender" aria-labelledby={`sender-${chosen}`}>
        <p class="dim">{snippet.note}</p>
        <pre tabIndex={0}>{snippet.text}</pre>
        <div class="row">
          <button
            onClick={() => {
              void navigator.clipboard?.writeText(snippet.text)
            }}
          >
            Copy
          </button>
          <span aria-live="polite">
            {arrived.data === undefined ? (
              <span class="dim">{snippet.signal}: nothing from others yet</span>
            ) : (
              <span class="good">✓ {arrived.data}</span>
            )}{' '}
            <a href={linkTo(`/ui/${snippet.signal}`, {})}>look</a>
          </span>
        </div>
      </div>
    </section>
  )
}
