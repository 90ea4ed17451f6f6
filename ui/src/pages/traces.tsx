import { useMemo, useRef, useState } from 'preact/hooks'
import { blocksIn, get, searchTraces, type Series, type TraceRow } from '../api.ts'
import { Chart } from '../components/chart.tsx'
import type { Line } from '../components/plot.ts'
import { Editor, placeOf } from '../components/editor.tsx'
import { HistoryPicker, useQueryHistory } from '../components/query-history.tsx'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
import { greatest } from '../extremes.ts'
import { bytes, dateTime, duration, seriesName } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'
import { go, usePlace, withParams } from '../router.ts'
import { rangeText, stepFor, useRange, type TimeRange } from '../time.ts'

const metricFunctions = [
  'rate',
  'count_over_time',
  'sum_over_time',
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'quantile_over_time',
  'histogram_over_time',
  'compare',
]

/** A pipeline that ends in a metrics function gives numbers. */
function isMetric(query: string): boolean {
  return [...query.matchAll(/\|\s*(\w+)\s*\(/g)].some(([, name = '']) => metricFunctions.includes(name))
}

interface MetricSeries {
  labels: { key: string; value: Record<string, unknown> }[]
  promLabels?: string
  samples: { timestampMs: string; value?: number }[]
}

/** Times are seconds since the epoch; `start` and `end` lie on steps, `from` and `through` are the range itself. */
interface Question {
  query: string
  start: number
  end: number
  step: number
  from: number
  through: number
  limit: number
}

interface Answer {
  rows: TraceRow[]
  series: Series[]
  ms: number
}

function seriesOf({ labels, samples }: MetricSeries): Series {
  return {
    metric: Object.fromEntries(labels.map(({ key, value }) => [key, String(Object.values(value)[0] ?? '')])),
    values: samples.map(({ timestampMs, value }) => [Number(timestampMs) / 1000, String(value ?? 0)]),
  }
}

async function ask(question: Question, signal: AbortSignal): Promise<Answer> {
  const { query, start, end, step, from, through, limit } = question
  const begun = performance.now()
  if (!isMetric(query)) {
    const rows = await searchTraces(query, from, through, limit, signal)
    return { rows, series: [], ms: performance.now() - begun }
  }
  const parameters = { q: query, start: String(start), end: String(end), step: `${step}s` }
  const path = '/api/metrics/query_range'
  const { series = [] } = await get<{ series?: MetricSeries[] }>(path, parameters, signal)
  return { rows: [], series: series.map(seriesOf), ms: performance.now() - begun }
}

const examples = [
  ['All', '{ }'],
  ['Errors', '{ status = error }'],
  ['Slow', '{ duration > 500ms }'],
  ['Rate by service', '{ } | rate() by (resource.service.name)'],
  ['p99', '{ } | quantile_over_time(duration, .99) by (resource.service.name)'],
] as const

function Examples({ shown, onRun }: { shown: string; onRun: (query: string) => void }) {
  return (
    <>
      {examples.map(([name, text]) => (
        <button
          key={name}
          aria-pressed={shown === text}
          onClick={() => {
            onRun(text)
          }}
        >
          {name}
        </button>
      ))}
    </>
  )
}

function LimitPicker({ limit }: { limit: number }) {
  return (
    <label>
      Traces{' '}
      <select
        value={String(limit)}
        onChange={e => {
          go(withParams({ limit: e.currentTarget.value }))
        }}
      >
        {[20, 50, 200, 500].map(n => (
          <option key={n} value={String(n)}>
            {n}
          </option>
        ))}
      </select>
    </label>
  )
}

function columnsFor(longestMs: number): Column<TraceRow>[] {
  return [
    { title: 'Start', look: 'mono', cell: r => dateTime(Number(BigInt(r.startTimeUnixNano) / 1_000_000n)) },
    {
      title: 'Service and name',
      cell: r => (
        <bdi>
          {r.rootServiceName ?? '(root not seen yet)'}: {r.rootTraceName ?? ''}
        </bdi>
      ),
    },
    {
      title: 'Duration',
      cell: r => (
        <>
          <meter min={0} max={longestMs} value={r.durationMs ?? 0} aria-label="Duration beside the longest" />{' '}
          {r.durationMs === undefined || r.durationMs === 0 ? '< 1 ms' : duration(r.durationMs / 1000)}
        </>
      ),
    },
    {
      title: 'Spans found',
      isNumber: true,
      cell: r => (r.spanSets ?? []).reduce((sum, set) => sum + set.matched, 0),
    },
    { title: 'Trace', look: 'mono', cell: r => <a href={`/ui/trace/${r.traceID}`}>{r.traceID}</a> },
  ]
}

interface ResultProps {
  answer: Answer | undefined
  question: Question
}

function Results({ answer, question: { query, start, end, step } }: ResultProps) {
  const lines = useMemo(
    (): Line[] => (answer?.series ?? []).map(s => ({ name: seriesName(s.metric), values: s.values, labels: s.metric })),
    [answer],
  )
  const rows = answer?.rows ?? []
  const longestMs = greatest([1, ...rows.map(r => r.durationMs ?? 0)])
  return (
    <>
      {lines.length > 0 && (
        <Chart
          lines={lines}
          start={start}
          end={end}
          step={step}
          unit={/quantile|duration/.test(query) ? 's' : ''}
          label={`Graph of ${query}`}
          onZoom={(from, to) => {
            go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
          }}
        />
      )}
      {rows.length > 0 && <Table columns={columnsFor(longestMs)} rows={rows} keyOf={r => r.traceID} label="Traces" />}
    </>
  )
}

/** What a query of this time reads, and what the last one gave. */
function Summary({ answer, range }: { answer: Answer | undefined; range: TimeRange }) {
  const cost = useLoad(
    signal => blocksIn('traces', range.start, range.end, signal),
    [range.text, range.isNow ? 0 : range.end],
  ).data
  const reads = cost === undefined ? '' : `Reads live traces and at most ${cost.count} blocks, ${bytes(cost.bytes)}. `
  const count = answer?.series.length ? `${answer.series.length} series` : `${answer?.rows.length ?? 0} traces`
  return (
    <p class="dim" aria-live="polite">
      {reads}
      {answer === undefined ? '' : `${count} in ${duration(answer.ms / 1000)}`}
    </p>
  )
}

/** The query of the address, and how another one is run. */
function useTraceql(): { query: string; again: number; run: (text: string) => void; runAgain: () => void } {
  const { params } = usePlace()
  const query = params.get('q') ?? ''
  const [again, setAgain] = useState(0)
  const runAgain = (): void => {
    setAgain(a => a + 1)
  }
  const run = (text: string): void => {
    // An id alone is a trace.
    if (/^[0-9a-f]{16,32}$/i.test(text)) go(`/ui/trace/${text}`)
    else if (text === query) runAgain()
    else go(withParams({ q: text }))
  }
  return { query, again, run, runAgain }
}

export function Traces() {
  const { params } = usePlace()
  const { query, again, run, runAgain } = useTraceql()
  const limit = Number(params.get('limit')) || 50
  const tick = useTick(refreshOf(params))
  const range = useRange(tick + again)
  const step = stepFor(range.seconds, 120)
  const start = Math.floor(range.start / step) * step
  const end = Math.ceil(range.end / step) * step
  const draft = useRef(query)
  const history = useQueryHistory('traceql')
  const runText = (text: string): void => {
    const trimmed = text.trim()
    if (!/^[0-9a-f]{16,32}$/i.test(trimmed)) history.add(trimmed)
    run(trimmed)
  }
  const shown = query === '' ? '{ }' : query
  const question = { query: shown, start, end, step, from: range.start, through: range.end, limit }
  const answer = useLoad(signal => ask(question, signal), [shown, start, end, limit, again])
  const isEmpty = (answer.data?.rows.length ?? 0) === 0 && (answer.data?.series.length ?? 0) === 0
  return (
    <>
      <Head title="Traces">
        <RangePicker onRefresh={runAgain} />
      </Head>
      <div class="stack">
        <div class="row">
          <Editor
            language="traceql"
            label="TraceQL query, or a trace's id"
            value={query}
            onRun={runText}
            onChange={text => {
              draft.current = text
            }}
            error={placeOf(answer.error, query)}
          />
          <button
            class="primary"
            onClick={() => {
              runText(draft.current)
            }}
          >
            Run
          </button>
        </div>
        <div class="row">
          <Examples shown={shown} onRun={runText} />
          <LimitPicker limit={limit} />
          <HistoryPicker past={history.past} onRun={runText} />
        </div>
        <Summary answer={answer.data} range={range} />
        <Status
          error={answer.error}
          isLoading={answer.isLoading}
          isEmpty={isEmpty}
          empty="No trace of this time fits."
        />
        <Results answer={answer.data} question={question} />
      </div>
    </>
  )
}
