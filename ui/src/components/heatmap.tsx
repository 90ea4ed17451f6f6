/** Buckets of a histogram over time, darker where there is more. */
import { useEffect, useRef } from 'preact/hooks'
import type { Series } from '../api.ts'
import { useWidth } from '../hooks.ts'

/** Native histograms, all added up: a row for each upper bound, with what is in the bucket alone. */
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

export function Heatmap({
  series,
  start,
  end,
  step,
  height = 260,
  label,
}: {
  series: readonly Series[]
  start: number
  end: number
  step: number
  height?: number
  label: string
}) {
  const [box, width] = useWidth(),
    canvas = useRef<HTMLCanvasElement | null>(null)
  const native = nativeRows(series),
    rows =
      native.length > 0
        ? native
        : [...series]
            .filter(s => s.metric['le'] !== undefined)
            .sort(
              (a, b) =>
                Number(a.metric['le'] === '+Inf' ? Infinity : a.metric['le']) -
                Number(b.metric['le'] === '+Inf' ? Infinity : b.metric['le']),
            )
  useEffect(() => {
    const element = canvas.current,
      context = element?.getContext('2d')
    if (element === null || context === null || context === undefined || width === 0) return
    const scale = devicePixelRatio || 1,
      columns = Math.max(1, Math.round((end - start) / step) + 1),
      css = getComputedStyle(document.documentElement)
    element.width = width * scale
    element.height = height * scale
    context.scale(scale, scale)
    context.clearRect(0, 0, width, height)
    const cells = rows.map(row => {
      const cell = new Float64Array(columns)
      for (const [t, v] of row.values) {
        const at = Math.round((t - start) / step)
        if (at >= 0 && at < columns) cell[at] = Number(v)
      }
      return cell
    })
    // Cumulative buckets: what is between one bound and the next.
    for (let r = native.length > 0 ? 0 : cells.length - 1; r > 0; r--)
      for (let c = 0; c < columns; c++) cells[r]![c] = Math.max(0, cells[r]![c]! - cells[r - 1]![c]!)
    const most = Math.max(1e-12, ...cells.map(c => Math.max(...c))),
      left = 60,
      cellWidth = (width - left) / columns,
      cellHeight = height / Math.max(1, rows.length)
    context.fillStyle = css.getPropertyValue('--c0')
    for (const [r, cell] of cells.entries())
      for (let c = 0; c < columns; c++) {
        if (cell[c]! <= 0) continue
        context.globalAlpha = 0.08 + 0.92 * Math.sqrt(cell[c]! / most)
        context.fillRect(
          left + c * cellWidth,
          height - (r + 1) * cellHeight,
          Math.max(1, cellWidth - 0.5),
          Math.max(1, cellHeight - 0.5),
        )
      }
    context.globalAlpha = 1
    context.fillStyle = css.getPropertyValue('--dim')
    context.font = '11px system-ui'
    const every = Math.max(1, Math.ceil(14 / cellHeight))
    for (const [r, row] of rows.entries())
      if (r % every === 0)
        context.fillText(
          row.metric['le'] === '+Inf' ? '+Inf' : String(Number(Number(row.metric['le']).toPrecision(3))),
          2,
          height - r * cellHeight - cellHeight / 2 + 4,
        )
  })
  return (
    <div ref={box}>
      <canvas ref={canvas} role="img" aria-label={label} style={{ width: '100%', height: `${height}px` }} />
    </div>
  )
}
