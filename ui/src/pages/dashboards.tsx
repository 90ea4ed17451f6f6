/** Dashboards of Grafana, read-only: those that are shipped, and any that is dropped here. */
import { useEffect, useMemo, useState } from 'preact/hooks'
import { get, queryInstant, queryLogs, queryRange, type Sample, type Series, type StreamLines } from '../api.ts'
import { Chart } from '../components/chart.tsx'
import type { Line } from '../components/plot.ts'
import { Heatmap } from '../components/heatmap.tsx'
import { LogList } from '../components/log-list.tsx'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { inUnit, seriesName } from '../format.ts'
import {
  colorAt,
  fill,
  laidOut,
  legendOf,
  readDashboard,
  valuesOf,
  type Dashboard,
  type Panel,
  type Values,
} from '../grafana.ts'
import { remember, remembered, useLoad, useTick } from '../hooks.ts'
import { go, usePlace, withParams } from '../router.ts'
import { rangeText, stepFor, useRange, type TimeRange } from '../time.ts'
import { linesOf } from './logs.tsx'
import kubernetes from '../dashboards/kubernetes.json?raw'
import node from '../dashboards/node.json?raw'
import opentelemetry from '../dashboards/opentelemetry.json?raw'
import tercet from '../dashboards/tercet.json?raw'

const shipped: readonly (readonly [string, string])[] = [
  ['tercet', tercet],
  ['node', node],
  ['kubernetes', kubernetes],
  ['opentelemetry', opentelemetry],
]

export function Dashboards() {
  const { path } = usePlace(),
    name = decodeURIComponent(path.slice('/ui/dashboards/'.length)),
    [own, setOwn] = useState<Record<string, string>>(() => remembered('dashboards', {})),
    [error, setError] = useState<string | undefined>(undefined),
    [isOver, setOver] = useState(false)
  const served = useLoad(
      async signal =>
        (
          await get<{ dashboards: { name: string; text: string }[] }>('/api/tercet/dashboards', {}, signal)
        ).dashboards.map(d => [d.name, d.text] as const),
      [],
    ),
    text = own[name] ?? served.data?.find(([n]) => n === name)?.[1] ?? shipped.find(([n]) => n === name)?.[1]
  const dashboard = useMemo(() => {
    try {
      return text === undefined ? undefined : readDashboard(text)
    } catch {
      return undefined
    }
  }, [text])
  const take = (files: FileList | null | undefined): void => {
    for (const file of files ?? [])
      file
        .text()
        .then(content => {
          const read = readDashboard(content),
            key = (read.uid ?? read.title).replaceAll(/[^a-zA-Z0-9_-]+/g, '-')
          setOwn(before => {
            const next = { ...before, [key]: content }
            remember('dashboards', next)
            return next
          })
          setError(undefined)
          go(`/ui/dashboards/${key}`)
        })
        .catch((reason: unknown) => {
          setError(`${file.name}: ${reason instanceof Error ? reason.message : String(reason)}`)
        })
  }
  if (dashboard !== undefined) return <DashboardView key={name} dashboard={dashboard} />
  return (
    <>
      <Head title="Dashboards" />
      <div class="stack">
        <ul>
          {[...shipped, ...(served.data ?? []), ...Object.entries(own)].map(([key, content]) => (
            <li key={key}>
              <a href={`/ui/dashboards/${key}`}>{titleOf(content)}</a>
              {own[key] !== undefined && (
                <>
                  {' '}
                  <button
                    onClick={() => {
                      setOwn(before => {
                        const { [key]: _gone, ...rest } = before
                        remember('dashboards', rest)
                        return rest
                      })
                    }}
                  >
                    Forget
                  </button>
                </>
              )}
            </li>
          ))}
        </ul>
        <div
          class={`drop ${isOver ? 'over' : ''}`}
          onDragOver={e => {
            e.preventDefault()
            setOver(true)
          }}
          onDragLeave={() => {
            setOver(false)
          }}
          onDrop={e => {
            e.preventDefault()
            setOver(false)
            take(e.dataTransfer?.files)
          }}
        >
          <p>Drop a dashboard of Grafana here, as JSON. It stays in this browser.</p>
          <label>
            or choose a file{' '}
            <input
              class="file"
              type="file"
              accept="application/json,.json"
              onChange={e => {
                take(e.currentTarget.files)
              }}
            />
          </label>
        </div>
        {error !== undefined && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        {name !== '' && text === undefined && !served.isLoading && (
          <p class="error">There is no dashboard {JSON.stringify(name)} here.</p>
        )}
      </div>
    </>
  )
}

function titleOf(content: string): string {
  try {
    return readDashboard(content).title
  } catch {
    return 'unreadable'
  }
}

function DashboardView({ dashboard }: { dashboard: Dashboard }) {
  const { params } = usePlace(),
    tick = useTick(refreshOf(params)),
    [again, setAgain] = useState(0),
    range = useRange(tick + again),
    variables = (dashboard.templating?.list ?? []).filter(v => v.type !== 'datasource' && v.type !== 'adhoc')
  const [values, setValues] = useState<Values>({}),
    [choices, setChoices] = useState<Record<string, string[]>>({}),
    [error, setError] = useState<string | undefined>(undefined)
  const asked = params.toString()
  useEffect(() => {
    const control = new AbortController()
    void (async () => {
      // One after the other: a later one may name an earlier one.
      const found: Record<string, readonly string[]> = {},
        all: Record<string, string[]> = {}
      for (const variable of variables) {
        try {
          all[variable.name] = (await valuesOf(variable, found, control.signal)).slice(0, 2000)
        } catch (reason) {
          if (control.signal.aborted) return
          setError(`${variable.name}: ${reason instanceof Error ? reason.message : String(reason)}`)
          all[variable.name] = []
        }
        const chosen = params.getAll(`var-${variable.name}`),
          current = [variable.current?.value ?? []].flat(),
          known = all[variable.name]!
        const wanted =
          chosen.length > 0
            ? chosen
            : current.length > 0 && current.every(v => known.includes(v) || v === '$__all')
              ? current
              : variable.includeAll === true
                ? ['$__all']
                : known.slice(0, 1)
        found[variable.name] =
          wanted.includes('$__all') || wanted.includes('All')
            ? variable.allValue != null && variable.allValue !== ''
              ? [variable.allValue]
              : known.length === 0
                ? ['.*']
                : known
            : wanted
      }
      if (!control.signal.aborted) {
        setChoices(all)
        setValues(found)
      }
    })()
    return () => {
      control.abort()
    }
  }, [asked, dashboard])
  const panels = laidOut(dashboard.panels, values),
    isReady = variables.every(v => values[v.name] !== undefined)
  return (
    <>
      <Head title={dashboard.title}>
        <RangePicker
          onRefresh={() => {
            setAgain(a => a + 1)
          }}
        />
      </Head>
      <div class="stack">
        <p>
          <a href="/ui/dashboards">All dashboards</a>
        </p>
        {variables.some(v => v.hide !== 2) && (
          <div class="row">
            {variables
              .filter(v => v.hide !== 2)
              .map(v => (
                <label key={v.name}>
                  {v.label ?? v.name}{' '}
                  {v.type === 'textbox' ? (
                    <input
                      value={values[v.name]?.[0] ?? ''}
                      onChange={e => {
                        go(withParams({ [`var-${v.name}`]: e.currentTarget.value }))
                      }}
                    />
                  ) : (
                    <select
                      value={
                        params.get(`var-${v.name}`) ??
                        (v.includeAll === true && (values[v.name]?.length ?? 0) !== 1
                          ? '$__all'
                          : (values[v.name]?.[0] ?? ''))
                      }
                      onChange={e => {
                        go(withParams({ [`var-${v.name}`]: e.currentTarget.value }))
                      }}
                    >
                      {v.includeAll === true && <option value="$__all">All</option>}
                      {(choices[v.name] ?? []).map(c => (
                        <option key={c} value={c}>
                          {c}
                        </option>
                      ))}
                    </select>
                  )}
                </label>
              ))}
          </div>
        )}
        <Status error={error} isLoading={!isReady} isEmpty={!isReady} />
        {isReady && (
          <div class="grid24">
            {panels.map(({ panel, values: own }) => (
              <div
                key={panel.id}
                style={{ gridColumn: `span ${panel.type === 'row' ? 24 : Math.min(24, panel.gridPos?.w ?? 12)}` }}
              >
                {panel.type === 'row' ? (
                  <h2>{fill(panel.title ?? '', own, '', 1)}</h2>
                ) : (
                  <PanelView panel={panel} values={own} range={range} tick={tick + again} />
                )}
              </div>
            ))}
          </div>
        )}
      </div>
    </>
  )
}

const isLogs = (panel: Panel): boolean => {
  const source = panel.datasource ?? panel.targets?.[0]?.datasource,
    type = typeof source === 'object' && source !== null ? (source.type ?? '') : (source ?? '')
  return panel.type === 'logs' || /loki/i.test(type)
}

function PanelView({ panel, values, range, tick }: { panel: Panel; values: Values; range: TimeRange; tick: number }) {
  const {
      unit = panel.yaxes?.[0]?.format ?? '',
      min = 0,
      max = 100,
      thresholds,
      custom,
    } = panel.fieldConfig?.defaults ?? {},
    step = stepFor(range.seconds, 160),
    start = Math.floor(range.start / step) * step,
    end = Math.floor(range.end / step) * step,
    height = Math.max(90, (panel.gridPos?.h ?? 8) * 30 - 50),
    title = fill(panel.title ?? '', values, '', step)
  const targets = (panel.targets ?? []).filter(t => t.hide !== true && (t.expr ?? t.query ?? '') !== ''),
    key = JSON.stringify([targets, values])
  const loaded = useLoad(
    async signal => {
      const fillIn = (text: string): string => fill(text, values, `${Math.round(range.seconds)}s`, step)
      if (isLogs(panel) && panel.type === 'logs')
        return {
          lines: (
            await Promise.all(
              targets.map(t => queryLogs(fillIn(t.expr ?? t.query!), range.start, range.end, 500, 'backward', signal)),
            )
          )
            .flatMap(r => linesOf(r.result as StreamLines[]))
            .sort((a, b) => b.timeMs - a.timeMs),
          series: [] as Series[],
          samples: [] as { name: string; sample: Sample }[],
          named: [] as Line[],
        }
      const isInstant = panel.type === 'table' || targets.every(t => t.instant === true)
      if (isInstant) {
        const answers = await Promise.all(
          targets.map(async t => ({
            t,
            answer: await queryInstant(fillIn(t.expr ?? t.query!), range.isNow ? undefined : range.end, signal),
          })),
        )
        return {
          lines: [],
          series: [],
          named: [],
          samples: answers.flatMap(({ t, answer }) =>
            answer.resultType === 'scalar'
              ? [{ name: t.legendFormat ?? '', sample: { metric: {}, value: answer.result as [number, string] } }]
              : (answer.result as Sample[]).map(sample => ({
                  name: legendOf(t.legendFormat, sample.metric, seriesName(sample.metric)),
                  sample,
                })),
          ),
        }
      }
      const answers = await Promise.all(
        targets.map(async t => ({
          t,
          series: (await queryRange(fillIn(t.expr ?? t.query!), start, end, step, signal)).result,
        })),
      )
      return {
        lines: [],
        samples: [],
        series: answers.flatMap(a => a.series),
        named: answers.flatMap(({ t, series }) =>
          series.map((s): Line => ({
            name: legendOf(t.legendFormat, s.metric, seriesName(s.metric)),
            values: s.values,
            labels: s.metric,
          })),
        ),
      }
    },
    [key, start, end, step, tick],
  )
  const { data } = loaded,
    last = data?.named[0]?.values.at(-1)?.[1] ?? data?.samples[0]?.sample.value[1],
    number = last === undefined ? undefined : Number(last)
  const isEmpty = data !== undefined && data.lines.length + data.series.length + data.samples.length === 0
  const body = () => {
    if (data === undefined || isEmpty) return null
    switch (panel.type) {
      case 'logs':
        return (
          <LogList
            lines={data.lines}
            words={[]}
            label={`Lines of ${title}`}
            onFilter={() => undefined}
            onContext={() => undefined}
          />
        )
      case 'stat':
      case 'singlestat':
        return (
          <div class="row">
            {(data.named.length > 0
              ? data.named.map(l => ({ name: l.name, value: Number(l.values.at(-1)?.[1]) }))
              : data.samples.map(s => ({ name: s.name, value: Number(s.sample.value[1]) }))
            )
              .slice(0, 12)
              .map((v, i, all) => (
                <div key={i} class={`stat ${colorAt(thresholds?.steps, v.value)}`}>
                  {inUnit(v.value, unit)}
                  {all.length > 1 && (
                    <div class="dim">
                      <small>{v.name}</small>
                    </div>
                  )}
                </div>
              ))}
          </div>
        )
      case 'gauge':
      case 'bargauge':
        return number === undefined ? null : (
          <div>
            <div class={`stat ${colorAt(thresholds?.steps, number)}`}>{inUnit(number, unit)}</div>
            <meter
              min={min}
              max={unit === 'percentunit' && max === 100 ? 1 : max}
              value={number}
              aria-label={title}
              style={{ width: '100%' }}
            />
          </div>
        )
      case 'table':
        return (
          <div
            class="scroll"
            tabIndex={0}
            role="region"
            aria-label={`Values of ${title}`}
            style={{ maxHeight: `${height}px` }}
          >
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
                {data.samples.slice(0, 500).map((s, i) => (
                  <tr key={i}>
                    <td class="mono">
                      <bdi>{s.name}</bdi>
                    </td>
                    <td class="num">{inUnit(Number(s.sample.value[1]), unit)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      case 'heatmap':
        return <Heatmap series={data.series} start={start} end={end} step={step} height={height} label={title} />
      default:
        return data.named.length > 0 ? (
          <Chart
            lines={data.named}
            start={start}
            end={end}
            step={step}
            unit={unit}
            isStacked={custom?.stacking?.mode === 'normal' || panel.stack === true}
            isBars={custom?.drawStyle === 'bars'}
            height={height}
            label={title}
            onZoom={(from, to) => {
              go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
            }}
          />
        ) : (
          <p class="stat">{number === undefined ? '' : inUnit(number, unit)}</p>
        )
    }
  }
  if (panel.type === 'text')
    return (
      <section class="panel">
        <h2>{title}</h2>
        <p>{panel.options?.content ?? ''}</p>
      </section>
    )
  return (
    <section class="panel" aria-label={title}>
      <h2 title={panel.description}>{title}</h2>
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && data === undefined}
        isEmpty={isEmpty}
        empty="No data."
      />
      {targets.length === 0 && <p class="dim">A panel of the type {panel.type} is not shown here.</p>}
      {body()}
    </section>
  )
}
