/** The plot of a chart: uPlot's options and columns, from lines and what the page does with them. */
import uPlot from 'uplot'
import { clockTime, dateTime, inUnit } from '../format.ts'

export interface Line {
  name: string
  values: readonly [number, string][]
  labels: Record<string, string>
  color?: number
}
export interface Dot {
  time: number
  value: number
  labels: Record<string, string>
  seriesLabels: Record<string, string>
}
const varOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const colorOf = (i: number): string => varOf(`--c${i % 10}`)

type Column = Float64Array | (number | null)[]

/** One column of times for all, and a hole where a line has no value. */
export function columnsOf(lines: readonly Line[], start: number, end: number, step: number): Column[] {
  const count = Math.max(1, Math.floor((end - start) / step + 1e-6) + 1),
    times = new Float64Array(count)
  for (let i = 0; i < count; i++) times[i] = start + i * step
  return [
    times,
    ...lines.map(line => {
      const column = Array.from({ length: count }, (): number | null => null)
      for (const [time, text] of line.values) {
        const at = Math.round((time - start) / step),
          value = text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text)
        if (at >= 0 && at < count && Number.isFinite(value)) column[at] = value
      }
      return column
    }),
  ]
}

/** Each line on top of those before it. */
function stacked(columns: Column[]): Column[] {
  const sums = Array.from({ length: columns[0]!.length }, () => 0)
  return columns.map((column, i) =>
    i === 0
      ? column
      : (column as (number | null)[]).map((v, k) => {
          if (v === null) return null
          sums[k]! += v
          return sums[k]!
        }),
  )
}

/** Exemplars are hit within so many pixels. */
const dotPixels = 8
const twoDays = 172_800

/** A line that is shown, with its place among all lines, by which it has its colour. */
export interface ShownLine {
  line: Line
  i: number
}

/** The line nearest to the pointer, and the step. */
export interface Nearest {
  line: Line
  /** Seconds since the epoch. */
  time: number
  value: number | null
  x: number
  y: number
}

export interface PlotActions {
  onZoom?: ((start: number, end: number) => void) | undefined
  onPick?: ((line: Line, time: number) => void) | undefined
  onDot?: ((dot: Dot) => void) | undefined
  /** Undefined: no line is near. */
  onHover: (nearest: Nearest | undefined) => void
}

export interface PlotView {
  shown: readonly ShownLine[]
  /** Seconds since the epoch. */
  start: number
  end: number
  /** Seconds. */
  step: number
  unit: string
  isStacked: boolean
  isBars: boolean
  dots: readonly Dot[]
  /** Pixels. */
  width: number
  height: number
}

/** Draws into `element`; returns what removes it. `actions` is read when something happens. */
export function drawPlot(element: HTMLElement, view: PlotView, actions: () => PlotActions): () => void {
  const { isStacked, shown, start, end, step } = view
  const inOrder = columnsOf(
    shown.map(s => s.line),
    start,
    end,
    step,
  )
  const sums = isStacked ? stacked(inOrder) : inOrder
  // The line on top is drawn first, or it would hide the lines below.
  const turn = (list: Column[]): Column[] => (isStacked ? [...list.slice(0, 1), ...list.slice(1).reverse()] : list)
  const drawn = isStacked ? [...shown].reverse() : shown
  const data = turn(sums)
  const near = nearestIn(drawn, turn(inOrder), data)
  const plot = new uPlot(optionsOf(view, drawn, near, actions), data as uPlot.AlignedData, element)
  const onClick = (event: MouseEvent): void => {
    const bounds = plot.over.getBoundingClientRect()
    const dot = dotAt(plot, view.dots, event.clientX - bounds.left, event.clientY - bounds.top)
    const found = dot === undefined ? near(plot) : undefined
    if (dot !== undefined) actions().onDot?.(dot)
    else if (found !== undefined) actions().onPick?.(found.line, found.time)
  }
  plot.over.addEventListener('click', onClick)
  return () => {
    plot.destroy()
  }
}

function dotAt(plot: uPlot, dots: readonly Dot[], x: number, y: number): Dot | undefined {
  return dots.find(dot => Math.hypot(plot.valToPos(dot.time, 'x') - x, plot.valToPos(dot.value, 'y') - y) < dotPixels)
}

/** Finds the line nearest to the pointer. `raw` has the values, `data` the heights at which they are drawn. */
function nearestIn(drawn: readonly ShownLine[], raw: readonly Column[], data: readonly Column[]) {
  return (plot: uPlot): Nearest | undefined => {
    const { idx, top = 0, left = 0 } = plot.cursor
    if (idx === null || idx === undefined) return undefined
    let best = 0
    let distance = Infinity
    for (let s = 1; s < data.length; s++) {
      const value = data[s]?.[idx]
      if (value === null || value === undefined) continue
      const far = Math.abs(plot.valToPos(value, 'y') - top)
      if (far >= distance) continue
      distance = far
      best = s
    }
    const line = drawn[best - 1]?.line
    if (line === undefined) return undefined
    return { line, time: raw[0]?.[idx] ?? 0, value: raw[best]?.[idx] ?? null, x: left, y: top }
  }
}

function optionsOf(
  view: PlotView,
  drawn: readonly ShownLine[],
  near: (plot: uPlot) => Nearest | undefined,
  actions: () => PlotActions,
): uPlot.Options {
  const { width, height, start, end, dots } = view
  return {
    width,
    height,
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    scales: { x: { range: [start, end] } },
    series: [{}, ...drawn.map(shown => seriesOf(shown, view))],
    axes: axesOf(view),
    hooks: {
      setSelect: [
        plot => {
          const { left, width: selected } = plot.select
          if (selected > 4) actions().onZoom?.(plot.posToVal(left, 'x'), plot.posToVal(left + selected, 'x'))
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        },
      ],
      setCursor: [
        plot => {
          actions().onHover(near(plot))
        },
      ],
      draw: [
        plot => {
          drawDots(plot, dots)
        },
      ],
    },
  }
}

function seriesOf({ line, i }: ShownLine, { isBars, isStacked }: PlotView): uPlot.Series {
  const color = colorOf(line.color ?? i)
  const bars = uPlot.paths.bars?.({ size: [0.9, 100] })
  const base: uPlot.Series = { stroke: color, width: 1.5, spanGaps: false, points: { show: false } }
  if (isBars && bars !== undefined) return { ...base, paths: bars, fill: color }
  return isStacked ? { ...base, fill: `${color}40` } : base
}

function axesOf({ start, end, unit }: PlotView): uPlot.Axis[] {
  const line = varOf('--line')
  const look = { stroke: varOf('--dim'), grid: { stroke: line, width: 0.5 }, ticks: { stroke: line } }
  const timeText = (seconds: number): string =>
    end - start > twoDays
      ? dateTime(seconds * 1000).slice(5, 16)
      : clockTime(seconds * 1000).slice(0, end - start < 600 ? 8 : 5)
  return [
    { ...look, values: (_plot, ticks) => ticks.map(timeText) },
    { ...look, size: 64, values: (_plot, ticks) => ticks.map(tick => inUnit(tick, unit)) },
  ]
}

/** Exemplars, as small diamonds inside the plot. */
function drawDots(plot: uPlot, dots: readonly Dot[]): void {
  const { ctx, bbox } = plot
  ctx.save()
  ctx.fillStyle = varOf('--c6')
  for (const dot of dots) {
    const x = plot.valToPos(dot.time, 'x', true)
    const y = plot.valToPos(dot.value, 'y', true)
    if (x < bbox.left || x > bbox.left + bbox.width || y < bbox.top || y > bbox.top + bbox.height) continue
    ctx.beginPath()
    ctx.moveTo(x, y - 5)
    ctx.lineTo(x + 5, y)
    ctx.lineTo(x, y + 5)
    ctx.lineTo(x - 5, y)
    ctx.fill()
  }
  ctx.restore()
}
