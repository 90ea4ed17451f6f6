import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { get, queryLogMetric, queryLogs, type Series, type StreamLines } from '../api.ts'
import { Chart } from '../components/chart.tsx'
import type { Line } from '../components/plot.ts'
import { Editor, placeOf } from '../components/editor.tsx'
import { LogList, type LogLine } from '../components/log-list.tsx'
import { HistoryPicker, useQueryHistory } from '../components/query-history.tsx'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { bytes, dateTime, duration, seriesName, short } from '../format.ts'
import { useLoad, useRested, useTick } from '../hooks.ts'
import { go, usePlace, withParams } from '../router.ts'
import { rangeText, stepFor, useRange } from '../time.ts'

export function linesOf(streams: readonly StreamLines[]): LogLine[] {
  return streams.flatMap(({ stream, values }) =>
    values.map(([timeNs, text, third]): LogLine => ({
      timeMs: Number(timeNs.slice(0, -6)),
      timeNs,
      text,
      stream,
      metadata: (third as { structuredMetadata?: Record<string, string> } | undefined)?.structuredMetadata ?? {},
    })),
  )
}
const byTime = (a: LogLine, b: LogLine): number =>
  a.timeNs.length - b.timeNs.length || (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0)

/** A query that gives numbers, not lines. */
const isMetric = (query: string): boolean =>
  /^\s*(sum|avg|min|max|count|topk|bottomk|rate|bytes_rate|bytes_over_time|count_over_time|quantile_over_time|\w+_over_time|vector|label_replace|sort|sort_desc|stddev|stdvar|\(|\d)/.test(
    query,
  ) && !/^\s*\{/.test(query)
/** The stream selector at a query's beginning. */
const selectorIn = (query: string): string =>
  /^\s*\{(?:[^"}`]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\}/.exec(query)?.[0].trim() ?? ''
/** Texts of line filters, to be marked. */
const wordsIn = (query: string): string[] =>
  [...query.matchAll(/\|=\s*"((?:[^"\\]|\\.)*)"/g)].map(m => {
    try {
      return JSON.parse(`"${m[1]!}"`) as string
    } catch {
      return ''
    }
  })

const levelColors: Readonly<Record<string, number>> = {
  error: 9,
  critical: 6,
  fatal: 6,
  warn: 4,
  warning: 4,
  info: 2,
  debug: 0,
  trace: 5,
}
const lineMax = 1000
const tailMax = 5000

export function Logs() {
  const { params } = usePlace(),
    query = params.get('q') ?? '',
    view = params.get('view') ?? 'lines',
    isForward = params.get('order') === 'oldest',
    limit = Math.min(5000, Number(params.get('limit')) || lineMax),
    isTailing = params.get('live') === '1'
  const tick = useTick(refreshOf(params)),
    [again, setAgain] = useState(0),
    range = useRange(tick + again),
    step = stepFor(range.seconds, 100),
    start = Math.floor(range.start),
    end = Math.ceil(range.end),
    metric = isMetric(query),
    selector = selectorIn(query),
    draft = useRef(query),
    [typed, setTyped] = useState(query),
    rested = selectorIn(useRested(typed, 400))
  useEffect(() => {
    draft.current = query
    setTyped(query)
  }, [query])
  const history = useQueryHistory('logql'),
    [context, setContext] = useState<LogLine | undefined>(undefined)
  const run = (text: string): void => {
    const trimmed = text.trim()
    history.add(trimmed)
    if (trimmed === query) setAgain(a => a + 1)
    else go(withParams({ q: trimmed }))
  }
  const answer = useLoad(
    async signal => {
      if (query === '' || isTailing) return undefined
      const begun = performance.now(),
        { resultType, result } = await (metric
          ? queryLogMetric(query, start, end, step, signal).then(series => ({
              resultType: 'matrix',
              result: series as Series[] | StreamLines[],
            }))
          : queryLogs(query, start, end, limit, isForward ? 'forward' : 'backward', signal))
      const lines =
        resultType === 'streams'
          ? linesOf(result as StreamLines[]).sort((a, b) => (isForward ? byTime(a, b) : byTime(b, a)))
          : []
      return { lines, series: resultType === 'matrix' ? (result as Series[]) : [], ms: performance.now() - begun }
    },
    [query, start, end, limit, isForward, isTailing, again],
  )
  const volume = useLoad(
    async signal =>
      query === '' || metric || isTailing
        ? []
        : queryLogMetric(
            `sum by (detected_level) (count_over_time(${query} [${step}s]))`,
            Math.floor(start / step) * step,
            Math.floor(end / step) * step,
            step,
            signal,
          ),
    [query, start, end, isTailing, again],
  )
  const cost = useLoad(
    async signal =>
      rested === ''
        ? undefined
        : get<{ streams: number; chunks: number; entries: number; bytes: number }>(
            '/loki/api/v1/index/stats',
            { query: rested, start: `${start}000000000`, end: `${end}000000000` },
            signal,
          ),
    [rested, range.text, range.isNow ? 0 : end],
  )
  const filter = (name: string, value: string): void => {
    run(
      selector === ''
        ? `{${name}=${JSON.stringify(value)}}`
        : answer.data?.lines.some(l => l.stream[name] === value) === true && !query.includes('|')
          ? query.replace(/\}\s*$/, `, ${name}=${JSON.stringify(value)}}`)
          : `${query} | ${name}=${JSON.stringify(value)}`,
    )
  }
  const lines = answer.data?.lines ?? [],
    volumeLines = useMemo(
      (): Line[] =>
        (volume.data ?? [])
          .map(s => {
            const name = s.metric['detected_level'] ?? 'lines'
            return { name, values: s.values, labels: s.metric, color: levelColors[name] ?? 7 }
          })
          .sort((a, b) => a.color - b.color),
      [volume.data],
    )
  const metricLines = useMemo(
    (): Line[] =>
      (answer.data?.series ?? [])
        .slice(0, 500)
        .map(s => ({ name: seriesName(s.metric), values: s.values, labels: s.metric })),
    [answer.data],
  )
  const base = Math.floor(start / step) * step,
    top = Math.floor(end / step) * step
  return (
    <>
      <Head title="Logs">
        <RangePicker
          onRefresh={() => {
            setAgain(a => a + 1)
          }}
        />
      </Head>
      <div class="stack">
        <div class="row">
          <Editor
            language="logql"
            label="LogQL query"
            value={query}
            onRun={run}
            onChange={text => {
              draft.current = text
              setTyped(text)
            }}
            error={placeOf(answer.error, query)}
          />
          <button
            class="primary"
            onClick={() => {
              run(draft.current)
            }}
          >
            Run
          </button>
        </div>
        <div class="row">
          <div class="tabs" role="group" aria-label="View">
            {(['lines', 'patterns', 'json'] as const).map(v => (
              <button
                key={v}
                aria-pressed={v === view}
                onClick={() => {
                  go(withParams({ view: v === 'lines' ? undefined : v }))
                }}
              >
                {v}
              </button>
            ))}
          </div>
          <button
            aria-pressed={isTailing}
            disabled={query === '' || metric}
            onClick={() => {
              go(withParams({ live: isTailing ? undefined : '1' }))
            }}
          >
            {isTailing ? 'Stop following' : 'Follow live'}
          </button>
          <label>
            Order{' '}
            <select
              value={isForward ? 'oldest' : ''}
              onChange={e => {
                go(withParams({ order: e.currentTarget.value }))
              }}
            >
              <option value="">newest first</option>
              <option value="oldest">oldest first</option>
            </select>
          </label>
          <label>
            Lines{' '}
            <select
              value={String(limit)}
              onChange={e => {
                go(withParams({ limit: e.currentTarget.value }))
              }}
            >
              {[100, 1000, 5000].map(n => (
                <option key={n} value={String(n)}>
                  {n}
                </option>
              ))}
            </select>
          </label>
          <HistoryPicker past={history.past} onRun={run} />
          <button
            onClick={() => {
              void navigator.clipboard?.writeText(location.href)
            }}
          >
            Copy link
          </button>
        </div>
        <p class="dim" aria-live="polite">
          {cost.data === undefined || cost.data.chunks === 0
            ? ''
            : `${rested === selector ? 'reads' : 'would read'} at most ${short(cost.data.chunks)} chunks of ${short(cost.data.streams)} streams, ${bytes(cost.data.bytes)}`}
          {answer.data === undefined
            ? ''
            : `${cost.data === undefined || cost.data.chunks === 0 ? '' : '; '}${metric ? `${answer.data.series.length} series` : `${lines.length} lines`} in ${duration(answer.data.ms / 1000)}`}
        </p>
        {query === '' && <Streams onRun={run} />}
        {isTailing ? (
          <Tail query={query} onFilter={filter} />
        ) : (
          <>
            <Status
              error={answer.error}
              isLoading={answer.isLoading && query !== ''}
              isEmpty={query !== '' && lines.length === 0 && metricLines.length === 0}
              empty="No line of this time fits."
            />
            {metricLines.length > 0 && (
              <Chart
                lines={metricLines}
                start={base}
                end={top}
                step={step}
                label={`Graph of ${query}`}
                onZoom={(from, to) => {
                  go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
                }}
              />
            )}
            {volumeLines.length > 0 && !metric && (
              <Chart
                lines={volumeLines}
                start={base}
                end={top}
                step={step}
                isBars
                isStacked
                height={120}
                label="Lines by level over time"
                onZoom={(from, to) => {
                  go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
                }}
              />
            )}
            {view === 'patterns' && !metric && query !== '' && (
              <Patterns selector={selector} start={start} end={end} onRun={run} query={query} />
            )}
            {view === 'json' && (
              <pre tabIndex={0}>
                {JSON.stringify(metric ? answer.data?.series.slice(0, 100) : lines.slice(0, 200), null, 1).slice(
                  0,
                  200_000,
                )}
              </pre>
            )}
            {view === 'lines' && lines.length > 0 && (
              <div class="split">
                <Fields query={query} selector={selector} start={start} end={end} onFilter={filter} />
                <LogList
                  lines={lines}
                  words={wordsIn(query)}
                  label={`${lines.length} log lines`}
                  onFilter={filter}
                  onContext={setContext}
                />
              </div>
            )}
            {lines.length >= limit && (
              <p class="warn">
                Only the {isForward ? 'oldest' : 'newest'} {limit} lines; narrow the query or the time for the rest.
              </p>
            )}
          </>
        )}
        {context !== undefined && (
          <Context
            line={context}
            onClose={() => {
              setContext(undefined)
            }}
          />
        )}
      </div>
    </>
  )
}

/** New lines as they come, over the WebSocket that Loki has. */
function Tail({ query, onFilter }: { query: string; onFilter: (name: string, value: string) => void }) {
  const [lines, setLines] = useState<LogLine[]>([]),
    [state, setState] = useState('connecting'),
    [isPaused, setPaused] = useState(false),
    paused = useRef(false)
  paused.current = isPaused
  useEffect(() => {
    setLines([])
    const socket = new WebSocket(
      `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/loki/api/v1/tail?${new URLSearchParams({ query, limit: '100' }).toString()}`,
    )
    let waiting: LogLine[] = []
    // A flood is drawn a few times a second, not for every line.
    const timer = setInterval(() => {
      if (waiting.length === 0 || paused.current) return
      const more = waiting
      waiting = []
      setLines(before => [...before, ...more].slice(-tailMax))
    }, 200)
    socket.onopen = () => {
      setState('following')
    }
    socket.onmessage = event => {
      waiting.push(
        ...linesOf((JSON.parse(String(event.data)) as { streams?: StreamLines[] }).streams ?? []).sort(byTime),
      )
      if (waiting.length > tailMax) waiting = waiting.slice(-tailMax)
    }
    socket.onclose = event => {
      setState(event.reason === '' ? 'ended' : `ended: ${event.reason}`)
    }
    return () => {
      clearInterval(timer)
      socket.close()
    }
  }, [query])
  return (
    <div class="stack">
      <div class="row">
        <span class="badge" aria-live="polite">
          {state}
        </span>
        <span class="dim">{lines.length} lines</span>
        <button
          aria-pressed={isPaused}
          onClick={() => {
            setPaused(p => !p)
          }}
        >
          {isPaused ? 'Go on' : 'Pause'}
        </button>
      </div>
      <LogList
        lines={lines}
        words={wordsIn(query)}
        label="Lines as they come"
        isFollowing={!isPaused}
        onFilter={onFilter}
        onContext={() => undefined}
      />
    </div>
  )
}

interface Field {
  label: string
  type: string
  cardinality: number
}

function Fields({
  query,
  selector,
  start,
  end,
  onFilter,
}: {
  query: string
  selector: string
  start: number
  end: number
  onFilter: (name: string, value: string) => void
}) {
  const [open, setOpen] = useState<string | undefined>(undefined),
    time = { start: `${start}000000000`, end: `${end}000000000` }
  const fields = useLoad(
    async signal => {
      const [labels, detected] = await Promise.all([
        get<{ detectedLabels?: { label: string; cardinality: number }[] }>(
          '/loki/api/v1/detected_labels',
          { query: selector, ...time },
          signal,
        ),
        get<{ fields?: Field[] }>('/loki/api/v1/detected_fields', { query, ...time }, signal),
      ])
      return { labels: labels.detectedLabels ?? [], fields: detected.fields ?? [] }
    },
    [query, selector, start, end],
  )
  const values = useLoad(
    async signal =>
      open === undefined
        ? []
        : open.startsWith('label ')
          ? ((
              await get<{ data?: string[] }>(
                `/loki/api/v1/label/${encodeURIComponent(open.slice(6))}/values`,
                { query: selector, ...time },
                signal,
              )
            ).data ?? [])
          : ((
              await get<{ values?: string[] }>(
                `/loki/api/v1/detected_field/${encodeURIComponent(open.slice(6))}/values`,
                { query, ...time },
                signal,
              )
            ).values ?? []),
    [open, query, start, end],
  )
  const entry = (kind: 'label' | 'field', name: string, count: number) => (
    <li key={`${kind} ${name}`}>
      <button
        class="link"
        aria-expanded={open === `${kind} ${name}`}
        onClick={() => {
          setOpen(o => (o === `${kind} ${name}` ? undefined : `${kind} ${name}`))
        }}
      >
        <bdi>{name}</bdi>
      </button>{' '}
      <span class="dim">{count}</span>
      {open === `${kind} ${name}` && (
        <ul>
          {(values.data ?? []).slice(0, 50).map(v => (
            <li key={v}>
              <button
                class="link"
                onClick={() => {
                  onFilter(name, v)
                }}
              >
                <bdi>{v.slice(0, 120) || '(empty)'}</bdi>
              </button>
            </li>
          ))}
        </ul>
      )}
    </li>
  )
  return (
    <aside class="panel" aria-label="Fields">
      <h2>Labels</h2>
      <Status
        error={fields.error}
        isLoading={fields.isLoading && fields.data === undefined}
        isEmpty={fields.data === undefined}
        empty=""
      />
      <ul class="fields" tabIndex={0}>
        {(fields.data?.labels ?? []).map(f => entry('label', f.label, f.cardinality))}
        {(fields.data?.fields ?? []).length > 0 && <li class="dim">in the lines</li>}
        {(fields.data?.fields ?? []).map(f => entry('field', f.label, f.cardinality))}
      </ul>
    </aside>
  )
}

function Patterns({
  selector,
  start,
  end,
  query,
  onRun,
}: {
  selector: string
  start: number
  end: number
  query: string
  onRun: (text: string) => void
}) {
  const found = useLoad(
    async signal =>
      (
        (
          await get<{ data?: { pattern: string; samples: [number, number][] }[] }>(
            '/loki/api/v1/patterns',
            { query: selector, start: `${start}000000000`, end: `${end}000000000` },
            signal,
          )
        ).data ?? []
      )
        .map(p => ({ pattern: p.pattern, count: p.samples.reduce((sum, [, n]) => sum + n, 0) }))
        .sort((a, b) => b.count - a.count),
    [selector, start, end],
  )
  return (
    <div>
      <Status error={found.error} isLoading={found.isLoading} isEmpty={found.data?.length === 0} empty="No patterns." />
      {(found.data?.length ?? 0) > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col" class="num">
                Lines
              </th>
              <th scope="col">Pattern</th>
              <th scope="col">
                <span class="dim">Filter</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.data!.slice(0, 200).map(p => (
              <tr key={p.pattern}>
                <td class="num">{short(p.count)}</td>
                <td class="mono">
                  <bdi>{p.pattern}</bdi>
                </td>
                <td>
                  <button
                    onClick={() => {
                      onRun(`${query} |> ${JSON.stringify(p.pattern)}`)
                    }}
                  >
                    only
                  </button>{' '}
                  <button
                    onClick={() => {
                      onRun(`${query} !> ${JSON.stringify(p.pattern)}`)
                    }}
                  >
                    without
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  )
}

/** Lines of the same stream just before and after one. */
function Context({ line, onClose }: { line: LogLine; onClose: () => void }) {
  const selector = `{${Object.entries(line.stream)
    .filter(([name]) => name !== 'detected_level')
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ')}}`
  const around = useLoad(
    async signal => {
      const at = line.timeMs / 1000,
        [before, after] = await Promise.all([
          queryLogs(selector, at - 3600, at + 0.001, 15, 'backward', signal),
          queryLogs(selector, at, at + 3600, 15, 'forward', signal),
        ])
      const all = [...linesOf(before.result as StreamLines[]), ...linesOf(after.result as StreamLines[])].sort(byTime),
        seen = new Set<string>()
      return all.filter(l => {
        const key = `${l.timeNs} ${l.text}`
        if (seen.has(key)) return false
        seen.add(key)
        return true
      })
    },
    [line],
  )
  return (
    <section class="panel" aria-label="Lines around it">
      <div class="row">
        <h2 class="grow">Around {dateTime(line.timeMs)}</h2>
        <button onClick={onClose}>Close</button>
      </div>
      <Status error={around.error} isLoading={around.isLoading} isEmpty={around.data?.length === 0} />
      {(around.data?.length ?? 0) > 0 && (
        <LogList
          lines={around.data!}
          words={[line.text.slice(0, 200)]}
          label="Lines around it"
          onFilter={() => undefined}
          onContext={() => undefined}
        />
      )}
    </section>
  )
}

function Streams({ onRun }: { onRun: (text: string) => void }) {
  const labels = useLoad(async signal => {
    const names =
        (
          await get<{ data?: string[] }>(
            '/loki/api/v1/labels',
            { start: `${Date.now() - 86_400_000}000000`, end: `${Date.now()}000000` },
            signal,
          )
        ).data ?? [],
      wanted = ['service_name', 'app', 'job', 'namespace'].filter(n => names.includes(n)).slice(0, 2)
    return Promise.all(
      wanted.map(async name => ({
        name,
        values:
          (
            await get<{ data?: string[] }>(
              `/loki/api/v1/label/${name}/values`,
              { start: `${Date.now() - 86_400_000}000000`, end: `${Date.now()}000000` },
              signal,
            )
          ).data ?? [],
      })),
    )
  }, [])
  return (
    <section class="panel">
      <h2>Streams of the last day</h2>
      <Status
        error={labels.error}
        isLoading={labels.isLoading}
        isEmpty={labels.data?.length === 0}
        empty="None yet: the overview shows how to send."
      />
      {labels.data?.map(({ name, values }) => (
        <div key={name}>
          <h3>{name}</h3>
          <div class="row">
            {values.slice(0, 100).map(v => (
              <button
                key={v}
                class="link mono"
                onClick={() => {
                  onRun(`{${name}=${JSON.stringify(v)}}`)
                }}
              >
                <bdi>{v}</bdi>
              </button>
            ))}
          </div>
        </div>
      ))}
    </section>
  )
}
