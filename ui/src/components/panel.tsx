/** One panel of a dashboard: what it asks for, and how that is shown. */
import { queryInstant, queryLogs, queryRange, type Sample, type Series, type StreamLines } from '../api.ts'
import { inUnit, seriesName } from '../format.ts'
import { colorAt, fill, legendOf, type Panel, type Target, type Values } from '../grafana.ts'
import { useLoad } from '../hooks.ts'
import { linesOf } from '../pages/logs.tsx'
import { go, withParams } from '../router.ts'
import { rangeText, stepFor, type TimeRange } from '../time.ts'
import { Chart } from './chart.tsx'
import { Heatmap } from './heatmap.tsx'
import { LogList, type LogLine } from './log-list.tsx'
import type { Line } from './plot.ts'
import { Status } from './shell.tsx'

interface PanelProps {
  panel: Panel
  values: Values
  range: TimeRange
  tick: number
}

export function PanelView({ panel, values, range, tick }: PanelProps) {
  const step = stepFor(range.seconds, 160),
    frame = { start: Math.floor(range.start / step) * step, end: Math.floor(range.end / step) * step, step },
    title = fill(panel.title ?? '', values, '', step),
    targets = (panel.targets ?? []).filter(t => t.hide !== true && (t.expr ?? t.query ?? '') !== '')
  const { data, error, isLoading } = useLoad(
    signal =>
      load(panel, targets, {
        ...frame,
        range,
        signal,
        fillIn: text => fill(text, values, `${Math.round(range.seconds)}s`, step),
      }),
    [JSON.stringify([targets, values]), frame.start, frame.end, step, tick],
  )
  if (panel.type === 'text')
    return (
      <section class="panel">
        <h2>{title}</h2>
        <p>{panel.options?.content ?? ''}</p>
      </section>
    )
  const isEmpty = data !== undefined && data.lines.length + data.series.length + data.samples.length === 0
  return (
    <section class="panel" aria-label={title}>
      <h2 title={panel.description}>{title}</h2>
      <Status error={error} isLoading={isLoading && data === undefined} isEmpty={isEmpty} empty="No data." />
      {targets.length === 0 && <p class="dim">A panel of the type {panel.type} is not shown here.</p>}
      {data !== undefined && !isEmpty && <Body panel={panel} data={data} title={title} frame={frame} />}
    </section>
  )
}

/** What the targets of a panel answered; what a kind of panel does not ask for is empty. */
interface PanelData {
  lines: LogLine[]
  series: Series[]
  /** Of instant queries, with the name that the legend gives. */
  samples: { name: string; sample: Sample }[]
  /** The series as lines, with the names that the legend gives. */
  named: Line[]
}

interface Asked {
  start: number
  end: number
  step: number
  range: TimeRange
  signal: AbortSignal
  fillIn: (text: string) => string
}

const nothing: PanelData = { lines: [], series: [], samples: [], named: [] }

function load(panel: Panel, targets: readonly Target[], asked: Asked): Promise<PanelData> {
  if (isLogs(panel) && panel.type === 'logs') return loadLines(targets, asked)
  const isInstant = panel.type === 'table' || targets.every(t => t.instant === true)
  return isInstant ? loadSamples(targets, asked) : loadSeries(targets, asked)
}

const isLogs = (panel: Panel): boolean => {
  const source = panel.datasource ?? panel.targets?.[0]?.datasource,
    type = typeof source === 'object' && source !== null ? (source.type ?? '') : (source ?? '')
  return panel.type === 'logs' || /loki/i.test(type)
}

const exprOf = (target: Target): string => target.expr ?? target.query ?? ''

async function loadLines(targets: readonly Target[], { range, signal, fillIn }: Asked): Promise<PanelData> {
  const answers = await Promise.all(
    targets.map(t => queryLogs(fillIn(exprOf(t)), range.start, range.end, 500, 'backward', signal)),
  )
  const lines = answers.flatMap(r => linesOf(r.result as StreamLines[])).sort((a, b) => b.timeMs - a.timeMs)
  return { ...nothing, lines }
}

async function loadSamples(targets: readonly Target[], { range, signal, fillIn }: Asked): Promise<PanelData> {
  const at = range.isNow ? undefined : range.end
  const samples = await Promise.all(
    targets.map(async ({ legendFormat, ...target }) => {
      const { resultType, result } = await queryInstant(fillIn(exprOf(target)), at, signal)
      if (resultType === 'scalar')
        return [{ name: legendFormat ?? '', sample: { metric: {}, value: result as [number, string] } }]
      return (result as Sample[]).map(sample => ({
        name: legendOf(legendFormat, sample.metric, seriesName(sample.metric)),
        sample,
      }))
    }),
  )
  return { ...nothing, samples: samples.flat() }
}

async function loadSeries(targets: readonly Target[], { start, end, step, signal, fillIn }: Asked): Promise<PanelData> {
  const answers = await Promise.all(
    targets.map(async ({ legendFormat, ...target }) => {
      const { result } = await queryRange(fillIn(exprOf(target)), start, end, step, signal)
      return { legendFormat, series: result }
    }),
  )
  const named = answers.flatMap(({ legendFormat, series }) =>
    series.map((s): Line => ({
      name: legendOf(legendFormat, s.metric, seriesName(s.metric)),
      values: s.values,
      labels: s.metric,
    })),
  )
  return { ...nothing, series: answers.flatMap(a => a.series), named }
}

interface BodyProps {
  panel: Panel
  data: PanelData
  title: string
  frame: { start: number; end: number; step: number }
}

function Body({ panel, data, title, frame }: BodyProps) {
  const height = Math.max(90, (panel.gridPos?.h ?? 8) * 30 - 50)
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
      return <Stats panel={panel} data={data} />
    case 'gauge':
    case 'bargauge':
      return <Gauge panel={panel} data={data} title={title} />
    case 'table':
      return <SampleTable panel={panel} data={data} title={title} height={height} />
    case 'heatmap':
      return <Heatmap series={data.series} {...frame} height={height} label={title} />
    default:
      return data.named.length === 0 ? (
        <p class="stat">{textOf(lastOf(data), unitOf(panel))}</p>
      ) : (
        <PanelChart panel={panel} data={data} title={title} frame={frame} height={height} />
      )
  }
}

const unitOf = (panel: Panel): string => panel.fieldConfig?.defaults?.unit ?? panel.yaxes?.[0]?.format ?? ''

/** The last value of the first line, or the first sample's. */
function lastOf(data: PanelData): number | undefined {
  const last = data.named[0]?.values.at(-1)?.[1] ?? data.samples[0]?.sample.value[1]
  return last === undefined ? undefined : Number(last)
}

const textOf = (value: number | undefined, unit: string): string => (value === undefined ? '' : inUnit(value, unit))

function Stats({ panel, data }: { panel: Panel; data: PanelData }) {
  const values =
      data.named.length > 0
        ? data.named.map(l => ({ name: l.name, value: Number(l.values.at(-1)?.[1]) }))
        : data.samples.map(s => ({ name: s.name, value: Number(s.sample.value[1]) })),
    shown = values.slice(0, 12),
    steps = panel.fieldConfig?.defaults?.thresholds?.steps
  return (
    <div class="row">
      {shown.map((v, i) => (
        <div key={i} class={`stat ${colorAt(steps, v.value)}`}>
          {inUnit(v.value, unitOf(panel))}
          {shown.length > 1 && (
            <div class="dim">
              <small>{v.name}</small>
            </div>
          )}
        </div>
      ))}
    </div>
  )
}

function Gauge({ panel, data, title }: Omit<BodyProps, 'frame'>) {
  const { min = 0, max = 100, thresholds } = panel.fieldConfig?.defaults ?? {},
    unit = unitOf(panel),
    value = lastOf(data)
  if (value === undefined) return null
  return (
    <div>
      <div class={`stat ${colorAt(thresholds?.steps, value)}`}>{inUnit(value, unit)}</div>
      <meter
        min={min}
        max={unit === 'percentunit' && max === 100 ? 1 : max}
        value={value}
        aria-label={title}
        style={{ width: '100%' }}
      />
    </div>
  )
}

function SampleTable({ panel, data, title, height }: Omit<BodyProps, 'frame'> & { height: number }) {
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
              <td class="num">{inUnit(Number(s.sample.value[1]), unitOf(panel))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function PanelChart({ panel, data, title, frame, height }: BodyProps & { height: number }) {
  const { custom } = panel.fieldConfig?.defaults ?? {}
  return (
    <Chart
      lines={data.named}
      {...frame}
      unit={unitOf(panel)}
      isStacked={custom?.stacking?.mode === 'normal' || panel.stack === true}
      isBars={custom?.drawStyle === 'bars'}
      height={height}
      label={title}
      onZoom={(from, to) => {
        go(withParams({ range: rangeText(to - from), end: String(Math.round(to)) }))
      }}
    />
  )
}
