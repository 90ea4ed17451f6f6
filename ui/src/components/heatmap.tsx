/** Buckets of a histogram over time, darker where there is more. */
import { useEffect, useRef } from 'preact/hooks'
import type { Series } from '../api.ts'
import { greatest } from '../extremes.ts'
import { useWidth } from '../hooks.ts'

/** Native histograms, all added up: a row for each upper bound, with the count of its own bucket. */
function nativeRows(series: readonly Series[]): Series[] {
  const rows = new Map<string, Map<number, number>>()
  for (const { histograms = [] } of series)
    for (const [time, { buckets = [] }] of histograms)
      for (const [, , upper, count] of buckets) {
        const row = rows.get(upper) ?? new Map<number, number>()
        row.set(time, (row.get(time) ?? 0) + Number(count))
        rows.set(upper, row)
      }
  return [...rows]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([le, row]) => ({
      metric: { le },
      values: [...row].map(([time, count]): [number, string] => [time, String(count)]),
    }))
}

/** Series with a bound, from the lowest on. */
function classicRows(series: readonly Series[]): Series[] {
  const boundOf = ({ metric }: Series): number => (metric['le'] === '+Inf' ? Infinity : Number(metric['le']))
  return series.filter(s => s.metric['le'] !== undefined).sort((a, b) => boundOf(a) - boundOf(b))
}

interface HeatmapProps {
  series: readonly Series[]
  /** Seconds since the epoch. */
  start: number
  end: number
  /** Seconds. */
  step: number
  height?: number
  label: string
}

/** A row of counts for each bound, by step. `isCumulative`: a bucket counts the ones below it, too. */
function cellsOf(rows: readonly Series[], isCumulative: boolean, { start, end, step }: HeatmapProps): Float64Array[] {
  const columns = Math.max(1, Math.round((end - start) / step) + 1)
  const cells = rows.map(row => {
    const cell = new Float64Array(columns)
    for (const [time, value] of row.values) {
      const at = Math.round((time - start) / step)
      if (at >= 0 && at < columns) cell[at] = Number(value)
    }
    return cell
  })
  for (let r = isCumulative ? cells.length - 1 : 0; r > 0; r--) {
    const [below, own] = [cells[r - 1], cells[r]]
    if (below === undefined || own === undefined) continue
    for (let c = 0; c < columns; c++) own[c] = Math.max(0, own[c]! - below[c]!)
  }
  return cells
}

/** Room for the bounds, in pixels. */
const leftPixels = 60
const rowTextPixels = 14

function drawCells(context: CanvasRenderingContext2D, cells: readonly Float64Array[], width: number, height: number) {
  const columns = cells[0]?.length ?? 1
  const most = Math.max(1e-12, greatest(cells.map(greatest)))
  const cellWidth = (width - leftPixels) / columns
  const cellHeight = height / Math.max(1, cells.length)
  for (const [r, cell] of cells.entries())
    for (const [c, count] of cell.entries()) {
      if (count <= 0) continue
      context.globalAlpha = 0.08 + 0.92 * Math.sqrt(count / most)
      const y = height - (r + 1) * cellHeight
      context.fillRect(leftPixels + c * cellWidth, y, Math.max(1, cellWidth - 0.5), Math.max(1, cellHeight - 0.5))
    }
  context.globalAlpha = 1
}

function drawBounds(context: CanvasRenderingContext2D, rows: readonly Series[], height: number) {
  const cellHeight = height / Math.max(1, rows.length)
  const every = Math.max(1, Math.ceil(rowTextPixels / cellHeight))
  context.font = '11px system-ui'
  for (const [r, { metric }] of rows.entries()) {
    if (r % every !== 0) continue
    const bound = metric['le'] === '+Inf' ? '+Inf' : String(Number(Number(metric['le']).toPrecision(3)))
    context.fillText(bound, 2, height - r * cellHeight - cellHeight / 2 + 4)
  }
}

export function Heatmap(props: HeatmapProps) {
  const { series, height = 260, label } = props
  const [box, width] = useWidth()
  const canvas = useRef<HTMLCanvasElement | null>(null)
  const native = nativeRows(series)
  const isNative = native.length > 0
  const rows = isNative ? native : classicRows(series)
  useEffect(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    if (element === null || context === null || context === undefined || width === 0) return
    const scale = devicePixelRatio || 1
    const css = getComputedStyle(document.documentElement)
    element.width = width * scale
    element.height = height * scale
    context.scale(scale, scale)
    context.clearRect(0, 0, width, height)
    context.fillStyle = css.getPropertyValue('--c0')
    drawCells(context, cellsOf(rows, !isNative, props), width, height)
    context.fillStyle = css.getPropertyValue('--dim')
    drawBounds(context, rows, height)
  })
  return (
    <div ref={box}>
      <canvas ref={canvas} role="img" aria-label={label} style={{ width: '100%', height: `${height}px` }} />
    </div>
  )
}
