import { useMemo, useRef, useState } from 'preact/hooks'
import { blocksIn, get, searchTraces, type Series } from '../api.ts'
import { Chart } from '../components/chart.tsx'
import type { Line } from '../components/plot.ts'
import { Editor, placeOf } from '../components/editor.tsx'
import { HistoryPicker, useQueryHistory } from '../components/query-history.tsx'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { bytes, dateTime, duration, seriesName } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'
import { go, usePlace, withParams } from '../router.ts'
import { rangeText, stepFor, useRange } from '../time.ts'

/** A pipeline that ends in a metrics function gives numbers. */
const isMetric = (query: string): boolean =>
  /\|\s*(rate|count_over_time|sum_over_time|avg_over_time|min_over_time|max_over_time|quantile_over_time|histogram_over_time|compare)\s*\(/.test(
    query,
  )

interface MetricSeries {
  labels: { key: string; value: Record<string, unknown> }[]
  promLabels?: string
  samples: { timestampMs: string; value?: number }[]
}

export function Traces() {
  const { params } = usePlace(),
    query = params.get('q') ?? '',
    limit = Number(params.get('limit')) || 50,
    tick = useTick(refreshOf(params)),
    [again, setAgain] = useState(0),
    range = useRange(tick + again),
    step = stepFor(range.seconds, 120),
    start = Math.floor(range.start / step) * step,
    end = Math.ceil(range.end / step) * step,
    draft = useRef(query),
    history = useQueryHistory('traceql')
  const run = (text: string): void => {
    const trimmed = text.trim()
    // An id alone is a trace.
    if (/^[0-9a-f]{16,32}$/i.test(trimmed)) {
      go(`/ui/trace/${trimmed}`)
      return
    }
    history.add(trimmed)
    if (trimmed === query) setAgain(a => a + 1)
    else go(withParams({ q: trimmed }))
  }
  const shown = query === '' ? '{ }' : query
  const answer = useLoad(
    async signal => {
      const begun = performance.now()
      if (isMetric(shown)) {
        const { series = [] } = await get<{ series?: MetricSeries[] }>(
          '/api/metrics/query_range',
          { q: shown, start: String(start), end: String(end), step: `${step}s` },
          signal,
        )
        return {
          rows: [],
          series: series.map((s): Series => ({
            metric: Object.fromEntries(s.labels.map(l => [l.key, String(Object.values(l.value)[0] ?? '')])),
            values: s.samples.map(x => [Number(x.timestampMs) / 1000, String(x.value ?? 0)]),
          })),
          ms: performance.now() - begun,
        }
      }
      return {
        rows: await searchTraces(shown, range.start, range.end, limit, signal),
        series: [] as Series[],
        ms: performance.now() - begun,
      }
    },
    [shown, start, end, limit, again],
  )
  const cost = useLoad(
    signal => blocksIn('traces', range.start, range.end, signal),
    [range.text, range.isNow ? 0 : range.end],
  )
  const lines = useMemo(
      (): Line[] =>
        (answer.data?.series ?? []).map(s => ({ name: seriesName(s.metric), values: s.values, labels: s.metric })),
      [answer.data],
    ),
    rows = answer.data?.rows ?? []
  const longest = Math.max(1, ...rows.map(r => r.durationMs ?? 0))
  return (
    <>
      <Head title="Traces">
        <RangePicker
          onRefresh={() => {
            setAgain(a => a + 1)
          }}
        />
      </Head>
      <div class="stack">
        <div class="row">
          <Editor
            language="traceql"
            label="TraceQL query, or a trace's id"
            value={query}
            onRun={run}
            onChange={text => {
              draft.current = text
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
          {[
            ['All', '{ }'],
            ['Errors', '{ status = error }'],
            ['Slow', '{ duration > 500ms }'],
            ['Rate by service', '{ } | rate() by (resource.service.name)'],
            ['p99', '{ } | quantile_over_time(duration, .99) by (resource.service.name)'],
          ].map(([name, text]) => (
            <button
              key={name}
              aria-pressed={shown === text}
              onClick={() => {
                run(text!)
              }}
            >
              {name}
            </button>
          ))}
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
          <HistoryPicker past={history.past} onRun={run} />
        </div>
        <p class="dim" aria-live="polite">
          {cost.data === undefined
            ? ''
            : `Reads live traces and at most ${cost.data.count} blocks, ${bytes(cost.data.bytes)}. `}
          {answer.data === undefined
            ? ''
            : `${lines.length > 0 ? `${lines.length} series` : `${rows.length} traces`} in ${duration(answer.data.ms / 1000)}`}
        </p>
        <Status
          error={answer.error}
          isLoading={answer.isLoading}
          isEmpty={rows.length === 0 && lines.length === 0}
          empty="No trace of this time fits."
        />
        {lines.length > 0 && (
          <Chart
            lines={lines}
            start={start}
            end={end}
            step={step}
            unit={/quantile|duration/.test(shown) ? 's' : ''}
            label={`Graph of ${shown}`}
            onZoom={(from, to) => {
              go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
            }}
          />
        )}
        {rows.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="Traces">
            <table>
              <thead>
                <tr>
                  <th scope="col">Start</th>
                  <th scope="col">Service and name</th>
                  <th scope="col">Duration</th>
                  <th scope="col" class="num">
                    Spans found
                  </th>
                  <th scope="col">Trace</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(r => (
                  <tr key={r.traceID}>
                    <td class="mono">{dateTime(Number(BigInt(r.startTimeUnixNano) / 1_000_000n))}</td>
                    <td>
                      <bdi>
                        {r.rootServiceName ?? '(root not seen yet)'}: {r.rootTraceName ?? ''}
                      </bdi>
                    </td>
                    <td>
                      <meter min={0} max={longest} value={r.durationMs ?? 0} aria-label="Duration beside the longest" />{' '}
                      {duration((r.durationMs ?? 0) / 1000)}
                    </td>
                    <td class="num">{(r.spanSets ?? []).reduce((sum, s) => sum + s.matched, 0)}</td>
                    <td class="mono">
                      <a href={`/ui/trace/${r.traceID}`}>{r.traceID}</a>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
    </>
  )
}
