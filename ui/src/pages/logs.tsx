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
import { useLoad, useRested, useTick, type Loaded } from '../hooks.ts'
import { go, usePlace, withParams } from '../router.ts'
import { rangeText, stepFor, useRange, type TimeRange } from '../time.ts'

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

const metricFunctions: ReadonlySet<string> = new Set(
  (
    'sum avg min max count topk bottomk rate bytes_rate vector label_replace sort sort_desc stddev stdvar ' +
    'rate_counter approx_topk'
  ).split(' '),
)

/** A query that gives numbers, not lines. */
function isMetric(query: string): boolean {
  const begin = /^\s*(\w+|\()/.exec(query)?.[1] ?? ''
  return begin === '(' || /^\d/.test(begin) || begin.endsWith('_over_time') || metricFunctions.has(begin)
}
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

/** The question of the address: times are seconds since the epoch. */
interface Question {
  query: string
  selector: string
  view: string
  isForward: boolean
  isTailing: boolean
  limit: number
  start: number
  end: number
  step: number
  range: TimeRange
}

interface Answer {
  lines: LogLine[]
  series: Series[]
  ms: number
}

type Run = (text: string) => void
type Filter = (name: string, value: string) => void

async function ask(question: Question, signal: AbortSignal): Promise<Answer | undefined> {
  const { query, start, end, step, limit, isForward, isTailing } = question
  if (query === '' || isTailing) return undefined
  const begun = performance.now()
  if (isMetric(query)) {
    const series = await queryLogMetric(query, start, end, step, signal)
    return { lines: [], series, ms: performance.now() - begun }
  }
  const direction = isForward ? 'forward' : 'backward'
  const { resultType, result } = await queryLogs(query, start, end, limit, direction, signal)
  const ms = performance.now() - begun
  if (resultType === 'matrix') return { lines: [], series: result as Series[], ms }
  const lines = linesOf(result as StreamLines[]).sort((a, b) => (isForward ? byTime(a, b) : byTime(b, a)))
  return { lines, series: [], ms }
}

/** First and last step of the question. */
function stepsOf({ start, end, step }: Question): { base: number; top: number } {
  return { base: Math.floor(start / step) * step, top: Math.floor(end / step) * step }
}

const zoom = (from: number, to: number): void => {
  go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
}

/** Lines by level over time. */
function Volume({ question, again }: { question: Question; again: number }) {
  const { query, step, start, end, isTailing } = question
  const { base, top } = stepsOf(question)
  const isAsked = query !== '' && !isMetric(query) && !isTailing
  const volumeQuery = `sum by (detected_level) (count_over_time(${query} [${step}s]))`
  const volume = useLoad(
    async signal => (isAsked ? queryLogMetric(volumeQuery, base, top, step, signal) : []),
    [query, start, end, isTailing, again],
  )
  const lines = useMemo(
    (): Line[] =>
      (volume.data ?? [])
        .map(s => {
          const name = s.metric['detected_level'] ?? 'lines'
          return { name, values: s.values, labels: s.metric, color: levelColors[name] ?? 7 }
        })
        .sort((a, b) => a.color - b.color),
    [volume.data],
  )
  if (lines.length === 0 || !isAsked) return null
  return (
    <Chart
      lines={lines}
      start={base}
      end={top}
      step={step}
      isBars
      isStacked
      height={120}
      label="Lines by level over time"
      onZoom={zoom}
    />
  )
}

const seriesMax = 500

function MetricGraph({ question, series }: { question: Question; series: readonly Series[] }) {
  const lines = useMemo(
    (): Line[] =>
      series.slice(0, seriesMax).map(s => ({ name: seriesName(s.metric), values: s.values, labels: s.metric })),
    [series],
  )
  const { base, top } = stepsOf(question)
  if (lines.length === 0) return null
  const label = `Graph of ${question.query}`
  return <Chart lines={lines} start={base} end={top} step={question.step} label={label} onZoom={zoom} />
}

interface IndexStats {
  streams: number
  chunks: number
  entries: number
  bytes: number
}

/** What the query reads, and what it gave. `typed` is the query as it is being typed. */
function Summary({ question, answer, typed }: { question: Question; answer: Answer | undefined; typed: string }) {
  const { query, selector, start, end, range } = question
  const rested = selectorIn(useRested(typed, 400))
  const cost = useLoad(
    async signal =>
      rested === ''
        ? undefined
        : get<IndexStats>(
            '/loki/api/v1/index/stats',
            { query: rested, start: `${start}000000000`, end: `${end}000000000` },
            signal,
          ),
    [rested, range.text, range.isNow ? 0 : end],
  ).data
  const parts: string[] = []
  if (cost !== undefined && cost.chunks > 0) {
    const reads = rested === selector ? 'reads' : 'would read'
    const chunks = `${short(cost.chunks)} chunks of ${short(cost.streams)} streams`
    parts.push(`${reads} at most ${chunks}, ${bytes(cost.bytes)}`)
  }
  if (answer !== undefined) {
    const count = isMetric(query) ? `${answer.series.length} series` : `${answer.lines.length} lines`
    parts.push(`${count} in ${duration(answer.ms / 1000)}`)
  }
  return (
    <p class="dim" aria-live="polite">
      {parts.join('; ')}
    </p>
  )
}

function Choice({ label, name, value, options }: ChoiceProps) {
  return (
    <label>
      {label}{' '}
      <select
        value={value}
        onChange={e => {
          go(withParams({ [name]: e.currentTarget.value }))
        }}
      >
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

interface ChoiceProps {
  label: string
  /** Of the parameter in the address. */
  name: string
  value: string
  options: readonly (readonly [value: string, text: string])[]
}

const orders = [
  ['', 'newest first'],
  ['oldest', 'oldest first'],
] as const
const limits = ['100', '1000', '5000'].map(limit => [limit, limit] as const)

function Options({ question, past, onRun }: { question: Question; past: readonly string[]; onRun: Run }) {
  const { query, view, isTailing, isForward, limit } = question
  return (
    <div class="row">
      <div class="tabs" role="group" aria-label="View">
        {['lines', 'patterns', 'json'].map(name => (
          <button
            key={name}
            aria-pressed={name === view}
            onClick={() => {
              go(withParams({ view: name === 'lines' ? undefined : name }))
            }}
          >
            {name}
          </button>
        ))}
      </div>
      <button
        aria-pressed={isTailing}
        disabled={query === '' || isMetric(query)}
        onClick={() => {
          go(withParams({ live: isTailing ? undefined : '1' }))
        }}
      >
        {isTailing ? 'Stop following' : 'Follow live'}
      </button>
      <Choice label="Order" name="order" value={isForward ? 'oldest' : ''} options={orders} />
      <Choice label="Lines" name="limit" value={String(limit)} options={limits} />
      <HistoryPicker past={past} onRun={onRun} />
      <button
        onClick={() => {
          void navigator.clipboard?.writeText(location.href)
        }}
      >
        Copy link
      </button>
    </div>
  )
}

interface LinesViewProps {
  question: Question
  lines: readonly LogLine[]
  onFilter: Filter
  onContext: (line: LogLine) => void
}

function LinesView({ question, lines, onFilter, onContext }: LinesViewProps) {
  const { query, selector, start, end } = question
  return (
    <div class="split">
      <Fields query={query} selector={selector} start={start} end={end} onFilter={onFilter} />
      <LogList
        lines={lines}
        words={wordsIn(query)}
        label={`${lines.length} log lines`}
        onFilter={onFilter}
        onContext={onContext}
      />
    </div>
  )
}

type ResultsProps = Omit<LinesViewProps, 'lines'> & { answer: Loaded<Answer | undefined>; again: number; onRun: Run }

function Results({ question, answer, again, onRun, onFilter, onContext }: ResultsProps) {
  const { query, selector, view, start, end, limit, isForward } = question
  const lines = answer.data?.lines ?? []
  const series = answer.data?.series ?? []
  const shown = isMetric(query) ? series.slice(0, 100) : lines.slice(0, 200)
  return (
    <>
      <Status
        error={answer.error}
        isLoading={answer.isLoading && query !== ''}
        isEmpty={query !== '' && lines.length === 0 && series.length === 0}
        empty="No line of this time fits."
      />
      <MetricGraph question={question} series={series} />
      <Volume question={question} again={again} />
      {view === 'patterns' && !isMetric(query) && query !== '' && (
        <Patterns selector={selector} start={start} end={end} onRun={onRun} query={query} />
      )}
      {view === 'json' && <pre tabIndex={0}>{JSON.stringify(shown, null, 1).slice(0, 200_000)}</pre>}
      {view === 'lines' && lines.length > 0 && (
        <LinesView question={question} lines={lines} onFilter={onFilter} onContext={onContext} />
      )}
      {lines.length >= limit && (
        <p class="warn">
          Only the {isForward ? 'oldest' : 'newest'} {limit} lines; narrow the query or the time for the rest.
        </p>
      )}
    </>
  )
}

/** The question that the address asks; `again` counts how often it was asked. */
function useQuestion(again: number): Question {
  const { params } = usePlace()
  const query = params.get('q') ?? ''
  const range = useRange(useTick(refreshOf(params)) + again)
  return {
    query,
    selector: selectorIn(query),
    view: params.get('view') ?? 'lines',
    isForward: params.get('order') === 'oldest',
    isTailing: params.get('live') === '1',
    limit: Math.min(5000, Number(params.get('limit')) || lineMax),
    start: Math.floor(range.start),
    end: Math.ceil(range.end),
    step: stepFor(range.seconds, 100),
    range,
  }
}

/** The query that also asks for a value of a field. */
function filtered({ query, selector }: Question, lines: readonly LogLine[], name: string, value: string): string {
  const match = `${name}=${JSON.stringify(value)}`
  if (selector === '') return `{${match}}`
  const isLabel = lines.some(line => line.stream[name] === value)
  return isLabel && !query.includes('|') ? query.replace(/\}\s*$/, `, ${match}}`) : `${query} | ${match}`
}

export function Logs() {
  const [again, setAgain] = useState(0)
  const question = useQuestion(again)
  const { query, start, end, limit, isForward, isTailing } = question
  const [typed, setTyped] = useState(query)
  useEffect(() => {
    setTyped(query)
  }, [query])
  const history = useQueryHistory('logql')
  const [context, setContext] = useState<LogLine | undefined>(undefined)
  const runAgain = (): void => {
    setAgain(a => a + 1)
  }
  const run = (text: string): void => {
    const trimmed = text.trim()
    history.add(trimmed)
    if (trimmed === query) runAgain()
    else go(withParams({ q: trimmed }))
  }
  const answer = useLoad(signal => ask(question, signal), [query, start, end, limit, isForward, isTailing, again])
  const filter = (name: string, value: string): void => {
    run(filtered(question, answer.data?.lines ?? [], name, value))
  }
  const closeContext = (): void => {
    setContext(undefined)
  }
  return (
    <>
      <Head title="Logs">
        <RangePicker onRefresh={runAgain} />
      </Head>
      <div class="stack">
        <div class="row">
          <Editor
            language="logql"
            label="LogQL query"
            value={query}
            onRun={run}
            onChange={setTyped}
            error={placeOf(answer.error, query)}
          />
          <button
            class="primary"
            onClick={() => {
              run(typed)
            }}
          >
            Run
          </button>
        </div>
        <Options question={question} past={history.past} onRun={run} />
        <Summary question={question} answer={answer.data} typed={typed} />
        {query === '' && <Streams onRun={run} />}
        {isTailing ? (
          <Tail query={query} onFilter={filter} />
        ) : (
          <Results
            question={question}
            answer={answer}
            again={again}
            onRun={run}
            onFilter={filter}
            onContext={setContext}
          />
        )}
        {context !== undefined && <Context line={context} onClose={closeContext} />}
      </div>
    </>
  )
}

interface TailFrame {
  streams?: StreamLines[]
  /** Lines that were left out, or streams of such lines. */
  dropped_entries?: unknown[]
}

/** New lines as they come, over the WebSocket that Loki has. */
function Tail({ query, onFilter }: { query: string; onFilter: (name: string, value: string) => void }) {
  const [lines, setLines] = useState<LogLine[]>([]),
    [state, setState] = useState('connecting'),
    [isPaused, setPaused] = useState(false),
    [omitted, setOmitted] = useState(0),
    paused = useRef(false)
  paused.current = isPaused
  useEffect(() => {
    setLines([])
    setOmitted(0)
    const protocol = location.protocol === 'https:' ? 'wss' : 'ws'
    const parameters = new URLSearchParams({ query, limit: '100' }).toString()
    const socket = new WebSocket(`${protocol}://${location.host}/loki/api/v1/tail?${parameters}`)
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
      const { streams = [], dropped_entries: dropped = [] } = JSON.parse(String(event.data)) as TailFrame
      const all = [...waiting, ...linesOf(streams).sort(byTime)]
      waiting = all.slice(-tailMax)
      const more = dropped.length + all.length - waiting.length
      if (more > 0) setOmitted(n => n + more)
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
        <span class="dim">
          {lines.length < tailMax ? '' : 'the last '}
          {lines.length} lines
        </span>
        {omitted > 0 && <span class="warn">at least {omitted} lines are missing: they came too fast</span>}
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

interface FieldsProps {
  query: string
  selector: string
  /** Seconds since the epoch. */
  start: number
  end: number
  onFilter: Filter
}

interface OpenField {
  kind: 'label' | 'field'
  name: string
}

async function loadFields({ query, selector, start, end }: FieldsProps, signal: AbortSignal) {
  const time = { start: `${start}000000000`, end: `${end}000000000` }
  const [labels, detected] = await Promise.all([
    get<{ detectedLabels?: { label: string; cardinality: number }[] }>(
      '/loki/api/v1/detected_labels',
      { query: selector, ...time },
      signal,
    ),
    get<{ fields?: Field[] }>('/loki/api/v1/detected_fields', { query, ...time }, signal),
  ])
  return { labels: labels.detectedLabels ?? [], fields: detected.fields ?? [] }
}

async function loadValues({ kind, name }: OpenField, props: FieldsProps, signal: AbortSignal): Promise<string[]> {
  const time = { start: `${props.start}000000000`, end: `${props.end}000000000` }
  const own = encodeURIComponent(name)
  if (kind === 'label') {
    const parameters = { query: props.selector, ...time }
    return (await get<{ data?: string[] }>(`/loki/api/v1/label/${own}/values`, parameters, signal)).data ?? []
  }
  const path = `/loki/api/v1/detected_field/${own}/values`
  return (await get<{ values?: string[] }>(path, { query: props.query, ...time }, signal)).values ?? []
}

interface FieldEntryProps {
  field: OpenField
  count: number
  /** Undefined: the entry is closed. */
  values: readonly string[] | undefined
  onToggle: (field: OpenField) => void
  onFilter: Filter
}

function FieldEntry({ field, count, values, onToggle, onFilter }: FieldEntryProps) {
  return (
    <li>
      <button
        class="link"
        aria-expanded={values !== undefined}
        onClick={() => {
          onToggle(field)
        }}
      >
        <bdi>{field.name}</bdi>
      </button>{' '}
      <span class="dim">{count}</span>
      {values !== undefined && (
        <ul>
          {values.slice(0, 50).map(value => (
            <li key={value}>
              <button
                class="link"
                onClick={() => {
                  onFilter(field.name, value)
                }}
              >
                <bdi>{value.slice(0, 120) || '(empty)'}</bdi>
              </button>
            </li>
          ))}
        </ul>
      )}
    </li>
  )
}

function Fields(props: FieldsProps) {
  const { query, selector, start, end, onFilter } = props
  const [open, setOpen] = useState<OpenField | undefined>(undefined)
  const fields = useLoad(signal => loadFields(props, signal), [query, selector, start, end])
  const values = useLoad(
    async signal => (open === undefined ? [] : loadValues(open, props, signal)),
    [open?.kind, open?.name, query, start, end],
  )
  const isOpen = (field: OpenField): boolean => open?.kind === field.kind && open.name === field.name
  const toggle = (field: OpenField): void => {
    setOpen(isOpen(field) ? undefined : field)
  }
  const entry = (kind: OpenField['kind'], { label: name, cardinality }: Pick<Field, 'label' | 'cardinality'>) => (
    <FieldEntry
      key={`${kind} ${name}`}
      field={{ kind, name }}
      count={cardinality}
      values={isOpen({ kind, name }) ? (values.data ?? []) : undefined}
      onToggle={toggle}
      onFilter={onFilter}
    />
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
        {(fields.data?.labels ?? []).map(label => entry('label', label))}
        {(fields.data?.fields ?? []).length > 0 && <li class="dim">in the lines</li>}
        {(fields.data?.fields ?? []).map(field => entry('field', field))}
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
