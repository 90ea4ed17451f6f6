/** Alerts and their states over time, silences to make and to end, and the route of an alert. */
import { useState } from 'preact/hooks'
import { get, queryRange, send, type Series } from '../api.ts'
import { LogsLink, logQueriesOf } from '../components/logs-link.tsx'
import { RangePicker } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
import { ago, dateTime, duration, secondsOf, selectorOf } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'
import { linkTo } from '../router.ts'
import { stepFor, useRange } from '../time.ts'

interface Alert {
  labels: Record<string, string>
  annotations: Record<string, string>
  startsAt: string
  fingerprint: string
  status: { state: string; silencedBy: string[]; inhibitedBy: string[] }
  receivers: { name: string }[]
  generatorURL?: string
}
interface Matcher {
  name: string
  value: string
  isRegex: boolean
  isEqual: boolean
}
interface Silence {
  id: string
  matchers: Matcher[]
  startsAt: string
  endsAt: string
  createdBy: string
  comment: string
  status: { state: string }
}

const signOf = ({ isRegex, isEqual }: Matcher): string => (isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=')
const matcherText = (m: Matcher): string => `${m.name}${signOf(m)}${JSON.stringify(m.value)}`

/** `a="b", c=~"d.*"`; throws where it is none. */
export function matchersOf(text: string): Matcher[] {
  const found: Matcher[] = []
  let rest = text
    .trim()
    .replace(/^\{|\}$/g, '')
    .trim()
  while (rest !== '') {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:.]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^,"\s]+))\s*(?:,\s*|$)/.exec(
      rest,
    )
    if (match === null) throw new Error(`no matcher at ${JSON.stringify(rest.slice(0, 40))}; name="value" was expected`)
    const value = match[3] === undefined ? match[4]! : (JSON.parse(`"${match[3]}"`) as string)
    found.push({ name: match[1]!, value, isRegex: match[2]!.endsWith('~'), isEqual: match[2]!.startsWith('=') })
    rest = rest.slice(match[0].length)
  }
  if (found.length === 0) throw new Error('a silence has one matcher at least')
  return found
}

function stateOf({ status }: Alert): string {
  if (status.state === 'active') return 'firing'
  if (status.silencedBy.length > 0) return 'silenced'
  return status.inhibitedBy.length > 0 ? 'inhibited' : status.state
}

function graphOf({ labels }: Alert): string {
  return linkTo('/ui/metrics', { q: `ALERTS{alertname=${JSON.stringify(labels['alertname'] ?? '')}}`, range: '6h' })
}

function AlertActions({ alert, onSilence }: { alert: Alert; onSilence: (matchers: string) => void }) {
  const runbook = alert.annotations['runbook_url']
  return (
    <div class="row">
      <button
        onClick={() => {
          const matchers = Object.entries(alert.labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
          onSilence(matchers.join(', '))
        }}
      >
        Silence
      </button>
      {runbook !== undefined && /^https?:/.test(runbook) && (
        <a href={runbook} rel="noreferrer">
          runbook
        </a>
      )}
      <a href={graphOf(alert)}>graph</a>
      <LogsLink
        queries={logQueriesOf(alert.labels)}
        minutes={30}
        end={Math.ceil(Date.parse(alert.startsAt) / 1000) + 300}
      >
        logs
      </LogsLink>
    </div>
  )
}

function alertColumns(onSilence: (matchers: string) => void): Column<Alert>[] {
  return [
    {
      title: 'Alert',
      cell: ({ labels, annotations }) => (
        <>
          <b>
            <bdi>{labels['alertname']}</bdi>
          </b>{' '}
          <bdi>{annotations['summary'] ?? annotations['description'] ?? ''}</bdi>
          <div class="mono dim">
            <bdi>{selectorOf(labels)}</bdi>
          </div>
        </>
      ),
    },
    { title: 'State', look: a => (a.status.state === 'active' ? 'bad' : 'dim'), cell: stateOf },
    { title: 'Since', cell: a => ago(Date.parse(a.startsAt)) },
    { title: 'Notified', cell: a => a.receivers.map(r => r.name).join(', ') },
    { title: 'What to do', cell: alert => <AlertActions alert={alert} onSilence={onSilence} /> },
  ]
}

interface RuleAlert {
  labels: Record<string, string>
  annotations: Record<string, string>
  state: string
  activeAt: string
}

function Pending({ alerts }: { alerts: readonly RuleAlert[] }) {
  return (
    <>
      <h3>Pending</h3>
      <ul>
        {alerts.map((alert, i) => (
          <li key={i}>
            <b class="warn">
              <bdi>{alert.labels['alertname']}</bdi>
            </b>{' '}
            <span class="mono">
              <bdi>{selectorOf(alert.labels)}</bdi>
            </span>{' '}
            <span class="dim">{ago(Date.parse(alert.activeAt))}</span>
          </li>
        ))}
      </ul>
    </>
  )
}

interface ActiveProps {
  tick: number
  again: number
  onSilence: (matchers: string) => void
}

/** Alerts of the Alertmanager, and those of rules that are pending. */
function Active({ tick, again, onSilence }: ActiveProps) {
  const alerts = useLoad(signal => get<Alert[]>('/api/v2/alerts', {}, signal), [tick, again])
  const pending = useLoad(
    async signal => {
      const { data } = await get<{ data: { alerts: RuleAlert[] } }>('/api/v1/alerts', {}, signal)
      return data.alerts.filter(alert => alert.state === 'pending')
    },
    [tick],
  )
  const list = alerts.data ?? []
  const waiting = pending.data ?? []
  return (
    <section class="panel">
      <h2>Alerts</h2>
      <Status
        error={alerts.error}
        isLoading={alerts.isLoading && alerts.data === undefined}
        isEmpty={list.length === 0 && waiting.length === 0}
        empty="No alert is active."
      />
      {list.length > 0 && (
        <Table columns={alertColumns(onSilence)} rows={list} keyOf={a => a.fingerprint} label="Alerts" />
      )}
      {waiting.length > 0 && <Pending alerts={waiting} />}
    </section>
  )
}

function silenceColumns(onChange: () => void): Column<Silence>[] {
  const expire = (id: string): void => {
    send('DELETE', `/api/v2/silence/${encodeURIComponent(id)}`).then(onChange, onChange)
  }
  return [
    { title: 'Silences', look: 'mono', cell: s => <bdi>{s.matchers.map(matcherText).join(', ')}</bdi> },
    { title: 'State', look: s => (s.status.state === 'active' ? 'warn' : 'dim'), cell: s => s.status.state },
    { title: 'Until', cell: s => dateTime(Date.parse(s.endsAt)) },
    {
      title: 'By',
      cell: s => (
        <bdi>
          {s.createdBy}: {s.comment}
        </bdi>
      ),
    },
    {
      title: 'End',
      cell: s =>
        s.status.state !== 'expired' && (
          <button
            onClick={() => {
              expire(s.id)
            }}
          >
            Expire now
          </button>
        ),
    },
  ]
}

function Silences({ tick, again, onChange }: { tick: number; again: number; onChange: () => void }) {
  const silences = useLoad(signal => get<Silence[]>('/api/v2/silences', {}, signal), [tick, again])
  const list = silences.data ?? []
  return (
    <section class="panel">
      <h2>Silences</h2>
      <Status
        error={silences.error}
        isLoading={silences.isLoading && silences.data === undefined}
        isEmpty={silences.data?.length === 0}
        empty="There are none."
      />
      {list.length > 0 && <Table columns={silenceColumns(onChange)} rows={list} keyOf={s => s.id} label="Silences" />}
    </section>
  )
}

export function Alerts() {
  const tick = useTick(10)
  const [again, setAgain] = useState(0)
  const [draft, setDraft] = useState('')
  const range = useRange(tick)
  const refresh = (): void => {
    setAgain(a => a + 1)
  }
  return (
    <>
      <Head title="Alerts and silences">
        <RangePicker />
      </Head>
      <div class="stack">
        <Active tick={tick} again={again} onSilence={setDraft} />
        <Timeline start={range.start} end={range.end} />
        <SilenceForm
          draft={draft}
          onDone={() => {
            setDraft('')
            refresh()
          }}
        />
        <Silences tick={tick} again={again} onChange={refresh} />
        <Routing />
      </div>
    </>
  )
}

/** When each alert was pending and firing, from the series that rules write. */
function Timeline({ start, end }: { start: number; end: number }) {
  const step = stepFor(end - start, 120)
  const from = Math.floor(start / step) * step
  const to = Math.floor(end / step) * step
  const loaded = useLoad(
    async signal => (await queryRange('max by (alertname, alertstate) (ALERTS)', from, to, step, signal)).result,
    [from, to, step],
  )
  const series = loaded.data ?? []
  const names = [...new Set(series.map(s => s.metric['alertname'] ?? ''))].sort()
  return (
    <section class="panel">
      <h2>States over time</h2>
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={names.length === 0}
        empty="No alert was pending or firing in this time."
      />
      {names.map(name => {
        const own = series.filter(s => s.metric['alertname'] === name)
        return <AlertLine key={name} name={name} series={own} from={from} to={to} step={step} />
      })}
    </section>
  )
}

interface AlertLineProps {
  name: string
  series: readonly Series[]
  /** Seconds since the epoch. */
  from: number
  to: number
  step: number
}

function AlertLine({ name, series, from, to, step }: AlertLineProps) {
  const whole = Math.max(1, to - from + step)
  return (
    <div>
      <bdi>{name}</bdi>
      <div class="timeline" role="img" aria-label={`${name} over time`}>
        {series.flatMap(({ metric, values }) =>
          values.map(([time]) => (
            <i
              key={`${metric['alertstate'] ?? ''} ${time}`}
              class={metric['alertstate'] === 'firing' ? 'sw9' : 'sw4'}
              title={`${metric['alertstate'] ?? ''} ${dateTime(time * 1000)}`}
              style={{ left: `${((time - from) / whole) * 100}%`, width: `${(step / whole) * 100}%` }}
            />
          )),
        )}
      </div>
    </div>
  )
}

interface FieldProps {
  label: string
  value: string
  onInput: (value: string) => void
  size?: number
  placeholder?: string
  isWide?: boolean
}

function Field({ label, value, onInput, size, placeholder, isWide = false }: FieldProps) {
  return (
    <label class={isWide ? 'grow' : ''}>
      {label}{' '}
      <input
        class={isWide ? 'grow mono' : ''}
        value={value}
        {...(size === undefined ? {} : { size })}
        {...(placeholder === undefined ? {} : { placeholder })}
        onInput={e => {
          onInput(e.currentTarget.value)
        }}
      />
    </label>
  )
}

interface NewSilence {
  matchers: string
  until: string
  by: string
  comment: string
}

/** Throws where the form is not complete. */
async function createSilence({ matchers, until, by, comment }: NewSilence): Promise<void> {
  const seconds = secondsOf(until)
  if (Number.isNaN(seconds) || seconds === 0) throw new Error(`${JSON.stringify(until)} is no duration like 2h`)
  if (by.trim() === '') throw new Error('say who you are')
  await send('POST', '/api/v2/silences', {
    matchers: matchersOf(matchers),
    startsAt: new Date().toISOString(),
    endsAt: new Date(Date.now() + seconds * 1000).toISOString(),
    createdBy: by,
    comment: comment.trim() || 'made in the web interface',
  })
}

function SilenceForm({ draft, onDone }: { draft: string; onDone: () => void }) {
  const [form, setForm] = useState<NewSilence>({ matchers: '', until: '2h', by: '', comment: '' })
  const [error, setError] = useState<string | undefined>(undefined)
  const [seen, setSeen] = useState('')
  const set = (change: Partial<NewSilence>): void => {
    setForm(before => ({ ...before, ...change }))
  }
  if (draft !== seen) {
    setSeen(draft)
    if (draft !== '') set({ matchers: draft })
  }
  const create = async (): Promise<void> => {
    setError(undefined)
    try {
      await createSilence(form)
      set({ matchers: '' })
      onDone()
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason))
    }
  }
  return (
    <section class="panel">
      <h2>New silence</h2>
      <form
        class="row"
        onSubmit={e => {
          e.preventDefault()
          void create()
        }}
      >
        <Field
          label="Matchers"
          value={form.matchers}
          onInput={matchers => {
            set({ matchers })
          }}
          placeholder={'alertname="Down", job=~"a|b"'}
          isWide
        />
        <Field
          label="For"
          value={form.until}
          onInput={until => {
            set({ until })
          }}
          size={5}
        />
        <Field
          label="By"
          value={form.by}
          onInput={by => {
            set({ by })
          }}
          size={10}
        />
        <Field
          label="Why"
          value={form.comment}
          onInput={comment => {
            set({ comment })
          }}
        />
        <button class="primary">Create</button>
      </form>
      {error !== undefined && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
    </section>
  )
}

interface RouteAnswer {
  receivers: {
    receiver: string
    groupBy: string[]
    groupWaitMs: number
    groupIntervalMs: number
    repeatIntervalMs: number
  }[]
}

function Routing() {
  const [labels, setLabels] = useState('alertname="Down", severity="page"'),
    [answer, setAnswer] = useState<RouteAnswer | undefined>(undefined),
    [error, setError] = useState<string | undefined>(undefined)
  const look = async (): Promise<void> => {
    setError(undefined)
    try {
      setAnswer(
        await get<RouteAnswer>('/api/tercet/route', Object.fromEntries(matchersOf(labels).map(m => [m.name, m.value]))),
      )
    } catch (reason) {
      setAnswer(undefined)
      setError(reason instanceof Error ? reason.message : String(reason))
    }
  }
  return (
    <section class="panel">
      <h2>Where would it go?</h2>
      <form
        class="row"
        onSubmit={e => {
          e.preventDefault()
          void look()
        }}
      >
        <label class="grow">
          Labels{' '}
          <input
            class="grow mono"
            value={labels}
            onInput={e => {
              setLabels(e.currentTarget.value)
            }}
          />
        </label>
        <button>Ask</button>
      </form>
      {error !== undefined && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      {answer !== undefined && (
        <ul aria-live="polite">
          {answer.receivers.map((r, i) => (
            <li key={i}>
              <b>{r.receiver}</b>, grouped by {r.groupBy.join(', ') || 'nothing'}; waits{' '}
              {duration(r.groupWaitMs / 1000)}, notifies of changes after {duration(r.groupIntervalMs / 1000)}, repeats
              after {duration(r.repeatIntervalMs / 1000)}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
