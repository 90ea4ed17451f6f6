import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { blocksIn, get, queryExemplars, queryInstant, queryRange, type Sample, type Series } from '../api.ts'
import { Chart } from '../components/chart.tsx'
import type { Dot, Line } from '../components/plot.ts'
import { Editor, placeOf } from '../components/editor.tsx'
import { Heatmap } from '../components/heatmap.tsx'
import { HistoryPicker, useQueryHistory } from '../components/query-history.tsx'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { bytes, dateTime, duration, selectorOf, seriesName, short, visible } from '../format.ts'
import { useLoad, useRested, useTick } from '../hooks.ts'
import { go, linkTo, usePlace, withParams } from '../router.ts'
import { rangeText, stepFor, useRange } from '../time.ts'

const views = ['graph', 'table', 'heatmap', 'json'] as const
const seriesMax = 1000

/** Labels of a series that logs and spans of the same thing are likely to have. */
export function relatedLinks(labels: Record<string, string>, time: number): { logs: string; traces: string } {
  const kept = Object.entries(labels).filter(([name]) =>
      ['job', 'app', 'service', 'service_name', 'namespace', 'pod', 'container'].includes(name),
    ),
    end = String(Math.round(time + 300))
  const service = labels['service_name'] ?? labels['service'] ?? labels['job'] ?? labels['app']
  return {
    logs: linkTo('/ui/logs', {
      q: kept.length === 0 ? '{service_name=~".+"}' : selectorOf(Object.fromEntries(kept)),
      range: '10m',
      end,
    }),
    traces: linkTo('/ui/traces', {
      q: service === undefined ? '{ }' : `{ resource.service.name = ${JSON.stringify(service)} }`,
      range: '10m',
      end,
    }),
  }
}

export function Metrics() {
  const { params } = usePlace(),
    expr = params.get('q') ?? '',
    view = views.find(v => v === params.get('view')) ?? 'graph',
    isStacked = params.get('stacked') === '1',
    hasExemplars = params.get('exemplars') === '1'
  const tick = useTick(refreshOf(params)),
    [again, setAgain] = useState(0),
    range = useRange(tick + again),
    step = Number(params.get('step')) || stepFor(range.seconds, 240),
    start = Math.floor(range.start / step) * step,
    end = Math.floor(range.end / step) * step
  const history = useQueryHistory('promql'),
    [picked, setPicked] = useState<{ line: Line; time: number } | undefined>(undefined)
  const draft = useRef(expr),
    [typed, setTyped] = useState(expr),
    rested = useRested(typed, 400)
  useEffect(() => {
    draft.current = expr
    setTyped(expr)
  }, [expr])
  const run = (text: string): void => {
    const trimmed = text.trim()
    history.add(trimmed)
    setPicked(undefined)
    if (trimmed === expr) setAgain(a => a + 1)
    else go(withParams({ q: trimmed }))
  }
  const answer = useLoad(
    async signal => {
      if (expr === '') return undefined
      const begun = performance.now()
      if (view === 'table') {
        const { resultType, result } = await queryInstant(expr, range.isNow ? undefined : range.end, signal)
        return {
          series: [] as Series[],
          table:
            resultType === 'vector' || resultType === 'matrix'
              ? (result as Sample[])
              : [{ metric: {}, value: result as [number, string] }],
          warnings: [] as string[],
          ms: performance.now() - begun,
          dots: [] as Dot[],
        }
      }
      const [{ result, warnings }, exemplars] = await Promise.all([
        queryRange(expr, start, end, step, signal),
        hasExemplars ? queryExemplars(expr, start, end, signal) : [],
      ])
      const dots = exemplars.flatMap(e =>
        e.exemplars.map((x): Dot => ({
          time: x.timestamp,
          value: Number(x.value),
          labels: x.labels,
          seriesLabels: e.seriesLabels,
        })),
      )
      return { series: result, table: [] as Sample[], warnings, ms: performance.now() - begun, dots }
    },
    [expr, view, start, end, step, hasExemplars, again],
  )
  const lines = useMemo(
    (): Line[] =>
      (answer.data?.series ?? [])
        .filter(s => s.values.length > 0)
        .slice(0, seriesMax)
        .map(s => ({ name: seriesName(s.metric), values: s.values, labels: s.metric })),
    [answer.data],
  )
  const cost = useLoad(
    async signal => {
      // Before it runs: what it reads, for an expression that is whole.
      if (rested.trim() === '') return undefined
      const selectors = selectorsOf(
        (
          await get<{ data: unknown }>('/api/v1/format_query', { query: rested }, signal).then(() =>
            get<{ data: unknown }>('/api/v1/parse_query', { query: rested }, signal),
          )
        ).data,
      )
      const counts = await Promise.all(
        selectors.map(async s =>
          Number(
            ((await queryInstant(`count(${s})`, range.isNow ? undefined : range.end, signal)).result as Sample[])[0]
              ?.value[1] ?? 0,
          ),
        ),
      )
      return {
        selectors,
        series: counts.reduce((sum, n) => sum + n, 0),
        blocks: await blocksIn('metrics', start, end, signal),
      }
    },
    [rested, range.isNow ? 0 : range.end],
  )
  const links = picked === undefined ? undefined : relatedLinks(picked.line.labels, picked.time),
    count = view === 'table' ? answer.data?.table.length : answer.data?.series.length
  return (
    <>
      <Head title="Metrics">
        <RangePicker
          onRefresh={() => {
            setAgain(a => a + 1)
          }}
        />
      </Head>
      <div class="stack">
        <div class="row">
          <Editor
            language="promql"
            label="PromQL expression"
            value={expr}
            onRun={run}
            onChange={text => {
              draft.current = text
              setTyped(text)
            }}
            error={placeOf(answer.error, expr)}
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
            {views.map(v => (
              <button
                key={v}
                aria-pressed={v === view}
                onClick={() => {
                  go(withParams({ view: v === 'graph' ? undefined : v }))
                }}
              >
                {v}
              </button>
            ))}
          </div>
          {view === 'graph' && (
            <>
              <label>
                <input
                  type="checkbox"
                  checked={isStacked}
                  onChange={e => {
                    go(withParams({ stacked: e.currentTarget.checked ? '1' : undefined }))
                  }}
                />
                stacked
              </label>
              <label>
                <input
                  type="checkbox"
                  checked={hasExemplars}
                  onChange={e => {
                    go(withParams({ exemplars: e.currentTarget.checked ? '1' : undefined }))
                  }}
                />
                exemplars
              </label>
            </>
          )}
          <label>
            Step{' '}
            <input
              size={5}
              value={params.get('step') ?? ''}
              placeholder={`${step} s`}
              aria-label="Step in seconds"
              onChange={e => {
                go(withParams({ step: e.currentTarget.value }))
              }}
            />
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
          {answer.data !== undefined ? `${count ?? 0} series in ${duration(answer.data.ms / 1000)}` : ''}
          {cost.data !== undefined && cost.error === undefined && cost.data.selectors.length > 0
            ? `. ${rested === expr ? 'Reads' : 'Would read'} about ${short(cost.data.series)} series of ${cost.data.selectors.join(', ')}, ${short(cost.data.series * Math.max(1, (end - start) / step))} points, in memory and ${cost.data.blocks.count} blocks (${bytes(cost.data.blocks.bytes)})`
            : ''}
          {range.isNow ? '' : `; until ${dateTime(range.end * 1000)}`}
        </p>
        {expr === '' && <Examples onRun={run} />}
        <Status
          error={answer.error}
          isLoading={answer.isLoading && expr !== ''}
          isEmpty={expr !== '' && (count ?? 0) === 0}
          empty="The expression is right, and nothing has that in this time."
        />
        {answer.data?.warnings.map(w => (
          <p class="warn" key={w}>
            {w}
          </p>
        ))}
        {view === 'graph' && lines.length > 0 && (
          <Chart
            lines={lines}
            start={start}
            end={end}
            step={step}
            isStacked={isStacked}
            dots={answer.data?.dots ?? []}
            label={`Graph of ${expr}`}
            height={340}
            onZoom={(from, to) => {
              go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
            }}
            onPick={(line, time) => {
              setPicked({ line, time })
            }}
            onDot={dot => {
              const id = dot.labels['trace_id'] ?? dot.labels['traceID'] ?? dot.labels['traceId']
              if (id !== undefined) go(`/ui/trace/${encodeURIComponent(id)}`)
            }}
          />
        )}
        {view === 'graph' && answer.data !== undefined && answer.data.series.length > 0 && lines.length === 0 && (
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
        )}
        {view === 'heatmap' &&
          answer.data !== undefined &&
          answer.data.series.length > 0 &&
          (answer.data.series.some(s => s.metric['le'] !== undefined || s.histograms !== undefined) ? (
            <Heatmap series={answer.data.series} start={start} end={end} step={step} label={`Heat map of ${expr}`} />
          ) : (
            <p class="empty">
              A heat map wants native histograms, or series with the label le: sum by (le)
              (rate(request_duration_seconds_bucket[5m]))
            </p>
          ))}
        {(answer.data?.series.length ?? 0) > seriesMax && (
          <p class="warn">
            The first {seriesMax} of {answer.data!.series.length} series are drawn; aggregate, or take topk.
          </p>
        )}
        {picked !== undefined && links !== undefined && (
          <p class="panel">
            {picked.line.name} at {dateTime(picked.time * 1000)}: <a href={links.logs}>logs</a> ·{' '}
            <a href={links.traces}>traces</a> of the same labels and time{' '}
            <button
              onClick={() => {
                setPicked(undefined)
              }}
            >
              Close
            </button>
          </p>
        )}
        {view === 'table' && answer.data !== undefined && answer.data.table.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="Values">
            <table>
              <thead>
                <tr>
                  <th scope="col">Series</th>
                  <th scope="col" class="num">
                    Value
                  </th>
                </tr>
              </thead>
              <tbody>
                {answer.data.table.slice(0, 1000).map((s, i) => (
                  <tr key={i}>
                    <td class="mono">
                      <bdi>{visible(seriesName(s.metric))}</bdi>
                    </td>
                    <td class="num" title={s.value?.[1]}>
                      {s.value !== undefined
                        ? short(Number(s.value[1]))
                        : s.histogram === undefined
                          ? ''
                          : `count ${short(Number(s.histogram[1].count))}, sum ${short(Number(s.histogram[1].sum))}`}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {view === 'json' && answer.data !== undefined && (
          <pre tabIndex={0}>{JSON.stringify(answer.data.series.slice(0, 200), null, 1).slice(0, 200_000)}</pre>
        )}
      </div>
    </>
  )
}

interface Tree {
  type?: string
  name?: string
  matchers?: { name: string; type: string; value: string }[]
}
/** Selectors of a tree: what has to be read. */
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
