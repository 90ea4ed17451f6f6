/** Alerts with what became of them over time, silences to make and to end, and where an alert would go. */
import { useState } from 'preact/hooks'
import { get, queryRange, send } from '../api.ts'
import { RangePicker } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
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

export function Alerts() {
  const tick = useTick(10),
    [again, setAgain] = useState(0),
    [draft, setDraft] = useState(''),
    range = useRange(tick)
  const alerts = useLoad(signal => get<Alert[]>('/api/v2/alerts', {}, signal), [tick, again]),
    silences = useLoad(signal => get<Silence[]>('/api/v2/silences', {}, signal), [tick, again])
  const pending = useLoad(
    async signal =>
      (
        await get<{
          data: {
            alerts: {
              labels: Record<string, string>
              state: string
              activeAt: string
              annotations: Record<string, string>
            }[]
          }
        }>('/api/v1/alerts', {}, signal)
      ).data.alerts.filter(a => a.state === 'pending'),
    [tick],
  )
  const refresh = (): void => {
      setAgain(a => a + 1)
    },
    list = alerts.data ?? []
  return (
    <>
      <Head title="Alerts and silences">
        <RangePicker />
      </Head>
      <div class="stack">
        <section class="panel">
          <h2>Alerts</h2>
          <Status
            error={alerts.error}
            isLoading={alerts.isLoading && alerts.data === undefined}
            isEmpty={list.length === 0 && (pending.data?.length ?? 0) === 0}
            empty="No alert is active."
          />
          {list.length > 0 && (
            <div class="scroll" tabIndex={0} role="region" aria-label="Alerts">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Alert</th>
                    <th scope="col">State</th>
                    <th scope="col">Since</th>
                    <th scope="col">Told to</th>
                    <th scope="col">What to do</th>
                  </tr>
                </thead>
                <tbody>
                  {list.map(a => (
                    <tr key={a.fingerprint}>
                      <td>
                        <b>
                          <bdi>{a.labels['alertname']}</bdi>
                        </b>{' '}
                        <bdi>{a.annotations['summary'] ?? a.annotations['description'] ?? ''}</bdi>
                        <div class="mono dim">
                          <bdi>{selectorOf(a.labels)}</bdi>
                        </div>
                      </td>
                      <td class={a.status.state === 'active' ? 'bad' : 'dim'}>
                        {a.status.state === 'active'
                          ? 'firing'
                          : a.status.silencedBy.length > 0
                            ? 'silenced'
                            : a.status.inhibitedBy.length > 0
                              ? 'inhibited'
                              : a.status.state}
                      </td>
                      <td>{ago(Date.parse(a.startsAt))}</td>
                      <td>{a.receivers.map(r => r.name).join(', ')}</td>
                      <td>
                        <div class="row">
                          <button
                            onClick={() => {
                              setDraft(
                                Object.entries(a.labels)
                                  .map(([n, v]) => `${n}=${JSON.stringify(v)}`)
                                  .join(', '),
                              )
                            }}
                          >
                            Silence
                          </button>
                          {a.annotations['runbook_url'] !== undefined &&
                            /^https?:/.test(a.annotations['runbook_url']) && (
                              <a href={a.annotations['runbook_url']} rel="noreferrer">
                                runbook
                              </a>
                            )}
                          <a
                            href={linkTo('/ui/metrics', {
                              q: `ALERTS{alertname=${JSON.stringify(a.labels['alertname'] ?? '')}}`,
                              range: '6h',
                            })}
                          >
                            graph
                          </a>
                          <a
                            href={linkTo('/ui/logs', {
                              q:
                                selectorOf(
                                  Object.fromEntries(
                                    Object.entries(a.labels).filter(([n]) =>
                                      ['job', 'app', 'service_name', 'namespace', 'pod'].includes(n),
                                    ),
                                  ),
                                ) === '{}'
                                  ? '{service_name=~".+"}'
                                  : selectorOf(
                                      Object.fromEntries(
                                        Object.entries(a.labels).filter(([n]) =>
                                          ['job', 'app', 'service_name', 'namespace', 'pod'].includes(n),
                                        ),
                                      ),
                                    ),
                              range: '30m',
                              end: String(Math.ceil(Date.parse(a.startsAt) / 1000) + 300),
                            })}
                          >
                            logs
                          </a>
                        </div>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
          {(pending.data?.length ?? 0) > 0 && (
            <>
              <h3>Pending</h3>
              <ul>
                {pending.data!.map((a, i) => (
                  <li key={i}>
                    <b class="warn">
                      <bdi>{a.labels['alertname']}</bdi>
                    </b>{' '}
                    <span class="mono">
                      <bdi>{selectorOf(a.labels)}</bdi>
                    </span>{' '}
                    <span class="dim">{ago(Date.parse(a.activeAt))}</span>
                  </li>
                ))}
              </ul>
            </>
          )}
        </section>
        <Timeline start={range.start} end={range.end} />
        <SilenceForm
          draft={draft}
          onDone={() => {
            setDraft('')
            refresh()
          }}
        />
        <section class="panel">
          <h2>Silences</h2>
          <Status
            error={silences.error}
            isLoading={silences.isLoading && silences.data === undefined}
            isEmpty={silences.data?.length === 0}
            empty="There are none."
          />
          {(silences.data?.length ?? 0) > 0 && (
            <div class="scroll" tabIndex={0} role="region" aria-label="Silences">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Silences</th>
                    <th scope="col">State</th>
                    <th scope="col">Until</th>
                    <th scope="col">By</th>
                    <th scope="col">End</th>
                  </tr>
                </thead>
                <tbody>
                  {silences.data!.map(s => (
                    <tr key={s.id}>
                      <td class="mono">
                        <bdi>{s.matchers.map(matcherText).join(', ')}</bdi>
                      </td>
                      <td class={s.status.state === 'active' ? 'warn' : 'dim'}>{s.status.state}</td>
                      <td>{dateTime(Date.parse(s.endsAt))}</td>
                      <td>
                        <bdi>
                          {s.createdBy}: {s.comment}
                        </bdi>
                      </td>
                      <td>
                        {s.status.state !== 'expired' && (
                          <button
                            onClick={() => {
                              send('DELETE', `/api/v2/silence/${encodeURIComponent(s.id)}`).then(refresh, refresh)
                            }}
                          >
                            Expire now
                          </button>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </section>
        <Routing />
      </div>
    </>
  )
}

/** When each alert was pending and firing, from the series that rules leave. */
function Timeline({ start, end }: { start: number; end: number }) {
  const step = stepFor(end - start, 120),
    from = Math.floor(start / step) * step,
    to = Math.floor(end / step) * step
  const loaded = useLoad(
      async signal => (await queryRange('max by (alertname, alertstate) (ALERTS)', from, to, step, signal)).result,
      [from, to, step],
    ),
    names = [...new Set((loaded.data ?? []).map(s => s.metric['alertname'] ?? ''))].sort()
  return (
    <section class="panel">
      <h2>States over time</h2>
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={names.length === 0}
        empty="No alert was pending or firing in this time."
      />
      {names.map(name => (
        <div key={name}>
          <bdi>{name}</bdi>
          <div class="timeline" role="img" aria-label={`${name} over time`}>
            {(loaded.data ?? [])
              .filter(s => s.metric['alertname'] === name)
              .flatMap(s =>
                s.values.map(([t]) => (
                  <i
                    key={`${s.metric['alertstate']} ${t}`}
                    class={s.metric['alertstate'] === 'firing' ? 'sw9' : 'sw4'}
                    title={`${s.metric['alertstate'] ?? ''} ${dateTime(t * 1000)}`}
                    style={{
                      left: `${((t - from) / Math.max(1, to - from + step)) * 100}%`,
                      width: `${(step / Math.max(1, to - from + step)) * 100}%`,
                    }}
                  />
                )),
              )}
          </div>
        </div>
      ))}
    </section>
  )
}

function SilenceForm({ draft, onDone }: { draft: string; onDone: () => void }) {
  const [matchers, setMatchers] = useState(''),
    [until, setUntil] = useState('2h'),
    [by, setBy] = useState(''),
    [comment, setComment] = useState(''),
    [error, setError] = useState<string | undefined>(undefined),
    [seen, setSeen] = useState('')
  if (draft !== seen) {
    setSeen(draft)
    if (draft !== '') setMatchers(draft)
  }
  const create = async (): Promise<void> => {
    setError(undefined)
    try {
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
      setMatchers('')
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
        <label class="grow">
          Matchers{' '}
          <input
            class="grow mono"
            value={matchers}
            placeholder={'alertname="Down", job=~"a|b"'}
            onInput={e => {
              setMatchers(e.currentTarget.value)
            }}
          />
        </label>
        <label>
          For{' '}
          <input
            size={5}
            value={until}
            onInput={e => {
              setUntil(e.currentTarget.value)
            }}
          />
        </label>
        <label>
          By{' '}
          <input
            size={10}
            value={by}
            onInput={e => {
              setBy(e.currentTarget.value)
            }}
          />
        </label>
        <label>
          Why{' '}
          <input
            value={comment}
            onInput={e => {
              setComment(e.currentTarget.value)
            }}
          />
        </label>
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
              {duration(r.groupWaitMs / 1000)}, tells changes after {duration(r.groupIntervalMs / 1000)}, repeats after{' '}
              {duration(r.repeatIntervalMs / 1000)}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
