import { useEffect, useMemo, useState } from 'preact/hooks'
import { blocksIn, get, queryExemplars, queryInstant, queryRange, type Sample, type Series } from '../api.ts'
import { Chart } from '../components/chart.tsx'
import type { Dot, Line } from '../components/plot.ts'
import { Editor, placeOf } from '../components/editor.tsx'
import { Heatmap } from '../components/heatmap.tsx'
import { LogsLink, logQueriesOf } from '../components/logs-link.tsx'
import { HistoryPicker, useQueryHistory } from '../components/query-history.tsx'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
import { bytes, dateTime, duration, seriesName, short, visible } from '../format.ts'
import { useLoad, useRested, useTick } from '../hooks.ts'
import { go, linkTo, usePlace, withParams } from '../router.ts'
import { rangeText, stepFor, useRange } from '../time.ts'

const views = ['graph', 'table', 'heatmap', 'json'] as const
const seriesMax = 1000

/** Traces of the service that a series is of. */
function tracesOf(labels: Readonly<Record<string, string>>, end: number): string {
  const service = labels['service_name'] ?? labels['service'] ?? labels['job'] ?? labels['app']
  return linkTo('/ui/traces', {
    q: service === undefined ? '{ }' : `{ resource.service.name = ${JSON.stringify(service)} }`,
    range: '10m',
    end: String(end),
  })
}

/** The question of the address: times are seconds since the epoch, on steps. */
interface Question {
  expr: string
  view: (typeof views)[number]
  start: number
  end: number
  step: number
  /** Where an instant query looks; undefined: now. */
  at: number | undefined
  hasExemplars: boolean
}

interface Answer {
  series: Series[]
  table: Sample[]
  warnings: readonly string[]
  dots: Dot[]
  ms: number
}

async function ask(question: Question, signal: AbortSignal): Promise<Answer | undefined> {
  const { expr, view, start, end, step, at, hasExemplars } = question
  if (expr === '') return undefined
  const begun = performance.now()
  if (view === 'table') {
    const { resultType, result } = await queryInstant(expr, at, signal)
    const isSeries = resultType === 'vector' || resultType === 'matrix'
    const table = isSeries ? (result as Sample[]) : [{ metric: {}, value: result as [number, string] }]
    return { series: [], table, warnings: [], dots: [], ms: performance.now() - begun }
  }
  const [{ result, warnings }, exemplars] = await Promise.all([
    queryRange(expr, start, end, step, signal),
    hasExemplars ? queryExemplars(expr, start, end, signal) : [],
  ])
  const dots = exemplars.flatMap(({ exemplars: own, seriesLabels }) =>
    own.map(({ timestamp, value, labels }): Dot => ({ time: timestamp, value: Number(value), labels, seriesLabels })),
  )
  return { series: result, table: [], warnings, dots, ms: performance.now() - begun }
}

interface Cost {
  selectors: string[]
  series: number
  blocks: { count: number; bytes: number }
}

/** What an expression reads before it runs; undefined for an expression that is not whole. */
async function costOf(expr: string, { start, end, at }: Question, signal: AbortSignal): Promise<Cost | undefined> {
  if (expr.trim() === '') return undefined
  // An error of the expression ends it here.
  await get('/api/v1/format_query', { query: expr }, signal)
  const tree = await get<{ data: unknown }>('/api/v1/parse_query', { query: expr }, signal)
  const selectors = selectorsOf(tree.data)
  const counts = await Promise.all(
    selectors.map(async selector => {
      const { result } = await queryInstant(`count(${selector})`, at, signal)
      return Number((result as Sample[])[0]?.value?.[1] ?? 0)
    }),
  )
  return {
    selectors,
    series: counts.reduce((sum, n) => sum + n, 0),
    blocks: await blocksIn('metrics', start, end, signal),
  }
}

function costText(cost: Cost, { start, end, step }: Question, isRun: boolean): string {
  const points = cost.series * Math.max(1, (end - start) / step)
  return [
    `${isRun ? 'Reads' : 'Would read'} about ${short(cost.series)} series of ${cost.selectors.join(', ')}`,
    `${short(points)} points`,
    `in memory and ${cost.blocks.count} blocks (${bytes(cost.blocks.bytes)})`,
  ].join(', ')
}

interface SummaryProps {
  question: Question
  answer: Answer | undefined
  /** As it is being typed. */
  typed: string
}

function Summary({ question, answer, typed }: SummaryProps) {
  const rested = useRested(typed, 400)
  const { expr, view, at } = question
  const cost = useLoad(signal => costOf(rested, question, signal), [rested, at ?? 0])
  const count = (view === 'table' ? answer?.table.length : answer?.series.length) ?? 0
  const isCostKnown = cost.data !== undefined && cost.error === undefined && cost.data.selectors.length > 0
  const said = [
    answer === undefined ? '' : `${count} series in ${duration(answer.ms / 1000)}`,
    isCostKnown && cost.data !== undefined ? costText(cost.data, question, rested === expr) : '',
  ].filter(text => text !== '')
  return (
    <p class="dim" aria-live="polite">
      {said.join('. ')}
      {at === undefined ? '' : `; until ${dateTime(at * 1000)}`}
    </p>
  )
}

function Check({ name, label }: { name: string; label: string }) {
  const { params } = usePlace()
  return (
    <label>
      <input
        type="checkbox"
        checked={params.get(name) === '1'}
        onChange={e => {
          go(withParams({ [name]: e.currentTarget.checked ? '1' : undefined }))
        }}
      />
      {label}
    </label>
  )
}

function Options({ question, past, onRun }: { question: Question; past: readonly string[]; onRun: Run }) {
  const { params } = usePlace()
  return (
    <div class="row">
      <div class="tabs" role="group" aria-label="View">
        {views.map(view => (
          <button
            key={view}
            aria-pressed={view === question.view}
            onClick={() => {
              go(withParams({ view: view === 'graph' ? undefined : view }))
            }}
          >
            {view}
          </button>
        ))}
      </div>
      {question.view === 'graph' && (
        <>
          <Check name="stacked" label="stacked" />
          <Check name="exemplars" label="exemplars" />
        </>
      )}
      <label>
        Step{' '}
        <input
          size={5}
          value={params.get('step') ?? ''}
          placeholder={`${question.step} s`}
          aria-label="Step in seconds"
          onChange={e => {
            go(withParams({ step: e.currentTarget.value }))
          }}
        />
      </label>
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

type Run = (text: string) => void

interface Picked {
  line: Line
  time: number
}

function PickedLine({ picked, onClose }: { picked: Picked; onClose: () => void }) {
  const { labels, name } = picked.line
  const end = Math.round(picked.time + 300)
  return (
    <p class="panel">
      {name} at {dateTime(picked.time * 1000)}:{' '}
      <LogsLink queries={logQueriesOf(labels)} minutes={10} end={end}>
        logs
      </LogsLink>{' '}
      · <a href={tracesOf(labels, end)}>traces</a> of the same labels and time <button onClick={onClose}>Close</button>
    </p>
  )
}

function openTrace({ labels }: Dot): void {
  const id = labels['trace_id'] ?? labels['traceID'] ?? labels['traceId']
  if (id !== undefined) go(`/ui/trace/${encodeURIComponent(id)}`)
}

interface ViewProps {
  question: Question
  answer: Answer
  onPick: (picked: Picked) => void
}

function Graph({ question: { expr, start, end, step }, answer, onPick }: ViewProps) {
  const { params } = usePlace()
  const lines = useMemo(
    (): Line[] =>
      answer.series
        .filter(s => s.values.length > 0)
        .slice(0, seriesMax)
        .map(s => ({ name: seriesName(s.metric), values: s.values, labels: s.metric })),
    [answer],
  )
  if (lines.length === 0) return answer.series.length > 0 ? <NativeOnly /> : null
  return (
    <Chart
      lines={lines}
      start={start}
      end={end}
      step={step}
      isStacked={params.get('stacked') === '1'}
      dots={answer.dots}
      label={`Graph of ${expr}`}
      height={340}
      onZoom={(from, to) => {
        go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
      }}
      onPick={(line, time) => {
        onPick({ line, time })
      }}
      onDot={openTrace}
    />
  )
}

function NativeOnly() {
  return (
    <p class="empty">
      These are native histograms:{' '}
      <button
        class="link"
        onClick={() => {
          go(withParams({ view: 'heatmap' }))
        }}
      >
        look at them as a heat map
      </button>
      , or take histogram_quantile(0.95, …).
    </p>
  )
}

function HeatmapView({ question: { expr, start, end, step }, answer: { series } }: ViewProps) {
  if (series.length === 0) return null
  if (series.some(s => s.metric['le'] !== undefined || s.histograms !== undefined))
    return <Heatmap series={series} start={start} end={end} step={step} label={`Heat map of ${expr}`} />
  return (
    <p class="empty">
      A heat map wants native histograms, or series with the label le: sum by (le)
      (rate(request_duration_seconds_bucket[5m]))
    </p>
  )
}

function valueText({ value, histogram }: Sample): string {
  if (value !== undefined) return short(Number(value[1]))
  if (histogram === undefined) return ''
  return `count ${short(Number(histogram[1].count))}, sum ${short(Number(histogram[1].sum))}`
}

const valueColumns: readonly Column<Sample>[] = [
  { title: 'Series', look: 'mono', cell: s => <bdi>{visible(seriesName(s.metric))}</bdi> },
  { title: 'Value', isNumber: true, cell: s => <span title={s.value?.[1]}>{valueText(s)}</span> },
]

function ValuesView({ answer: { table } }: ViewProps) {
  if (table.length === 0) return null
  return <Table columns={valueColumns} rows={table} keyOf={(_s, i) => i} label="Values" rowsMax={seriesMax} />
}

function JsonView({ answer: { series } }: ViewProps) {
  return <pre tabIndex={0}>{JSON.stringify(series.slice(0, 200), null, 1).slice(0, 200_000)}</pre>
}

const viewOf = { graph: Graph, table: ValuesView, heatmap: HeatmapView, json: JsonView } as const

function Results({ question, answer }: { question: Question; answer: Answer }) {
  const [picked, setPicked] = useState<Picked | undefined>(undefined)
  useEffect(() => {
    setPicked(undefined)
  }, [question.expr])
  const View = viewOf[question.view]
  return (
    <>
      {answer.warnings.map(warning => (
        <p class="warn" key={warning}>
          {warning}
        </p>
      ))}
      <View question={question} answer={answer} onPick={setPicked} />
      {answer.series.length > seriesMax && (
        <p class="warn">
          The first {seriesMax} of {answer.series.length} series are drawn; aggregate, or take topk.
        </p>
      )}
      {picked !== undefined && (
        <PickedLine
          picked={picked}
          onClose={() => {
            setPicked(undefined)
          }}
        />
      )}
    </>
  )
}

/** The question that the address asks; `again` counts how often it was asked. */
function useQuestion(again: number): Question {
  const { params } = usePlace()
  const range = useRange(useTick(refreshOf(params)) + again)
  const step = Number(params.get('step')) || stepFor(range.seconds, 240)
  return {
    expr: params.get('q') ?? '',
    view: views.find(v => v === params.get('view')) ?? 'graph',
    start: Math.floor(range.start / step) * step,
    end: Math.floor(range.end / step) * step,
    step,
    at: range.isNow ? undefined : range.end,
    hasExemplars: params.get('exemplars') === '1',
  }
}

export function Metrics() {
  const [again, setAgain] = useState(0)
  const question = useQuestion(again)
  const { expr, view, start, end, step, hasExemplars } = question
  const history = useQueryHistory('promql')
  const [typed, setTyped] = useState(expr)
  useEffect(() => {
    setTyped(expr)
  }, [expr])
  const runAgain = (): void => {
    setAgain(a => a + 1)
  }
  const run = (text: string): void => {
    const trimmed = text.trim()
    history.add(trimmed)
    if (trimmed === expr) runAgain()
    else go(withParams({ q: trimmed }))
  }
  const answer = useLoad(signal => ask(question, signal), [expr, view, start, end, step, hasExemplars, again])
  const count = (view === 'table' ? answer.data?.table.length : answer.data?.series.length) ?? 0
  return (
    <>
      <Head title="Metrics">
        <RangePicker onRefresh={runAgain} />
      </Head>
      <div class="stack">
        <div class="row">
          <Editor
            language="promql"
            label="PromQL expression"
            value={expr}
            onRun={run}
            onChange={setTyped}
            error={placeOf(answer.error, expr)}
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
        {expr === '' && <Examples onRun={run} />}
        <Status
          error={answer.error}
          isLoading={answer.isLoading && expr !== ''}
          isEmpty={expr !== '' && count === 0}
          empty="The expression is right, and nothing has that in this time."
        />
        {answer.data !== undefined && <Results question={question} answer={answer.data} />}
      </div>
    </>
  )
}

interface Tree {
  type?: string
  name?: string
  matchers?: { name: string; type: string; value: string }[]
}
/** Selectors of a tree: the series that have to be read. */
function selectorsOf(tree: unknown): string[] {
  const found: string[] = []
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, name, matchers } = node as Tree
    if (type === 'vectorSelector' || type === 'matrixSelector') {
      const rest = (matchers ?? [])
        .filter(m => m.name !== '__name__')
        .map(m => `${m.name}${m.type}${JSON.stringify(m.value)}`)
      found.push(`${name ?? ''}${rest.length === 0 ? '' : `{${rest.join(', ')}}`}`)
    }
    for (const child of Object.values(node)) walk(child)
  }
  walk(tree)
  return [...new Set(found)].slice(0, 6)
}

function Examples({ onRun }: { onRun: (text: string) => void }) {
  const names = useLoad(
      async signal => (await get<{ data: string[] }>('/api/v1/label/__name__/values', {}, signal)).data,
      [],
    ),
    [filter, setFilter] = useState('')
  const shown = (names.data ?? []).filter(n => n.includes(filter)).slice(0, 200)
  return (
    <section class="panel">
      <h2>Metrics that are here</h2>
      <Status error={names.error} isLoading={names.isLoading} isEmpty={names.data?.length === 0} empty="None yet." />
      <p>
        <input
          aria-label="Filter metrics"
          placeholder="filter"
          value={filter}
          onInput={e => {
            setFilter(e.currentTarget.value)
          }}
        />{' '}
        <span class="dim">{names.data?.length ?? 0} names</span>
      </p>
      <div class="row">
        {shown.map(n => (
          <button
            key={n}
            class="link mono"
            onClick={() => {
              onRun(/_(total|count|sum|bucket)$/.test(n) ? `rate(${n}[5m])` : n)
            }}
          >
            {n}
          </button>
        ))}
      </div>
    </section>
  )
}
