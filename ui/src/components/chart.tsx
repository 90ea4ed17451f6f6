/**
 * Lines over time with uPlot: zoom by dragging, a legend that filters, stacking, exemplars as dots, a tip under the
 * pointer.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { clockTime, dateTime, inUnit } from '../format.ts'
import { useWidth } from '../hooks.ts'

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
export interface ChartProps {
  lines: readonly Line[]
  start: number
  end: number
  step: number
  unit?: string
  isStacked?: boolean
  isBars?: boolean
  height?: number
  dots?: readonly Dot[]
  label: string
  onZoom?: (start: number, end: number) => void
  onPick?: (line: Line, time: number) => void
  onDot?: (dot: Dot) => void
}

const colorOf = (i: number): string =>
  getComputedStyle(document.documentElement)
    .getPropertyValue(`--c${i % 10}`)
    .trim()
const varOf = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** One column of times for all, and a hole where a line has no value. */
export function columnsOf(
  lines: readonly Line[],
  start: number,
  end: number,
  step: number,
): (Float64Array | (number | null)[])[] {
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
function stacked(columns: (Float64Array | (number | null)[])[]): (Float64Array | (number | null)[])[] {
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

export function Chart({
  lines,
  start,
  end,
  step,
  unit = '',
  isStacked = false,
  isBars = false,
  height = 280,
  dots = [],
  label,
  onZoom,
  onPick,
  onDot,
}: ChartProps) {
  const [box, width] = useWidth(),
    canvas = useRef<HTMLDivElement | null>(null),
    [hidden, setHidden] = useState<ReadonlySet<string>>(new Set()),
    [tip, setTip] = useState<{ x: number; y: number; time: number; line: Line; text: string } | undefined>(undefined),
    [theme, setTheme] = useState(0)
  useEffect(() => {
    const look = (): void => {
      setTheme(t => t + 1)
    }
    addEventListener('tercet-theme', look)
    return () => {
      removeEventListener('tercet-theme', look)
    }
  }, [])
  const shown = useMemo(
    () => lines.map((line, i) => ({ line, i })).filter(({ line }) => !hidden.has(line.name)),
    [lines, hidden],
  )
  const actions = useRef({ onZoom, onPick, onDot })
  actions.current = { onZoom, onPick, onDot }
  useEffect(() => {
    const element = canvas.current
    if (element === null || width === 0) return undefined
    const inOrder = columnsOf(
        shown.map(s => s.line),
        start,
        end,
        step,
      ),
      sums = isStacked ? stacked(inOrder) : inOrder
    // What lies on top is drawn first, or it would hide what is below.
    const turn = <T,>(list: T[]): T[] => (isStacked ? [list[0]!, ...list.slice(1).reverse()] : list),
      drawn = isStacked ? [...shown].reverse() : shown,
      raw = turn(inOrder),
      data = turn(sums)
    const grid = varOf('--line'),
      text = varOf('--dim'),
      bars = uPlot.paths.bars?.({ size: [0.9, 100] })
    const nearest = (u: uPlot): { line: Line; at: number } | undefined => {
      const { idx, top = 0 } = u.cursor as { idx: number | null; top?: number }
      if (idx === null || idx === undefined) return undefined
      let best: { line: Line; at: number } | undefined,
        distance = Infinity
      for (let s = 1; s < data.length; s++) {
        const value = data[s]![idx]
        if (value === null || value === undefined) continue
        const far = Math.abs(u.valToPos(value, 'y') - top)
        if (far < distance) {
          distance = far
          best = { line: drawn[s - 1]!.line, at: idx }
        }
      }
      return best
    }
    const plot = new uPlot(
      {
        width,
        height,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
        scales: { x: { range: [start, end] } },
        series: [
          {},
          ...drawn.map(({ line, i }) => {
            const color = colorOf(line.color ?? i)
            return {
              stroke: color,
              width: 1.5,
              spanGaps: false,
              points: { show: false },
              ...(isBars && bars !== undefined
                ? { paths: bars, fill: color }
                : isStacked
                  ? { fill: `${color}40` }
                  : {}),
            }
          }),
        ],
        axes: [
          {
            stroke: text,
            grid: { stroke: grid, width: 0.5 },
            ticks: { stroke: grid },
            values: (_u, ticks) =>
              ticks.map(t =>
                end - start > 172800
                  ? dateTime(t * 1000).slice(5, 16)
                  : clockTime(t * 1000).slice(0, end - start < 600 ? 8 : 5),
              ),
          },
          {
            stroke: text,
            grid: { stroke: grid, width: 0.5 },
            ticks: { stroke: grid },
            size: 64,
            values: (_u, ticks) => ticks.map(t => inUnit(t, unit)),
          },
        ],
        hooks: {
          setSelect: [
            u => {
              const from = u.posToVal(u.select.left, 'x'),
                to = u.posToVal(u.select.left + u.select.width, 'x')
              if (u.select.width > 4) actions.current.onZoom?.(from, to)
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            },
          ],
          setCursor: [
            u => {
              const found = nearest(u)
              if (found === undefined) {
                setTip(undefined)
                return
              }
              const value = raw[drawn.findIndex(s => s.line === found.line) + 1]![found.at]!
              setTip({
                x: (u.cursor.left ?? 0) + 70,
                y: (u.cursor.top ?? 0) + 12,
                time: (raw[0] as Float64Array)[found.at]!,
                line: found.line,
                text: inUnit(value, unit),
              })
            },
          ],
          draw: [
            u => {
              const { ctx } = u
              ctx.save()
              ctx.fillStyle = varOf('--c6')
              for (const dot of dots) {
                const x = u.valToPos(dot.time, 'x', true),
                  y = u.valToPos(dot.value, 'y', true)
                if (
                  x < u.bbox.left ||
                  x > u.bbox.left + u.bbox.width ||
                  y < u.bbox.top ||
                  y > u.bbox.top + u.bbox.height
                )
                  continue
                ctx.beginPath()
                ctx.moveTo(x, y - 5)
                ctx.lineTo(x + 5, y)
                ctx.lineTo(x, y + 5)
                ctx.lineTo(x - 5, y)
                ctx.fill()
              }
              ctx.restore()
            },
          ],
        },
      },
      data as uPlot.AlignedData,
      element,
    )
    const click = (event: MouseEvent): void => {
      const bounds = plot.over.getBoundingClientRect(),
        x = event.clientX - bounds.left,
        y = event.clientY - bounds.top
      const dot = dots.find(d => Math.hypot(plot.valToPos(d.time, 'x') - x, plot.valToPos(d.value, 'y') - y) < 8)
      if (dot !== undefined) {
        actions.current.onDot?.(dot)
        return
      }
      const found = nearest(plot)
      if (found !== undefined) actions.current.onPick?.(found.line, (raw[0] as Float64Array)[found.at]!)
    }
    plot.over.addEventListener('click', click)
    return () => {
      plot.destroy()
      setTip(undefined)
    }
  }, [shown, start, end, step, width, height, unit, isStacked, isBars, dots, theme])
  const toggle = (name: string, isSolo: boolean): void => {
    setHidden(before => {
      if (isSolo) {
        const others = lines.filter(l => l.name !== name).map(l => l.name)
        return others.every(o => before.has(o)) ? new Set() : new Set(others)
      }
      const next = new Set(before)
      if (!next.delete(name)) next.add(name)
      return next
    })
  }
  return (
    <div class="chart" ref={box}>
      <div
        ref={canvas}
        role="img"
        aria-label={label}
        style={{ minHeight: `${height}px` }}
        onMouseLeave={() => {
          setTip(undefined)
        }}
      />
      {tip !== undefined && (
        <div class="tip" style={{ left: `${Math.min(tip.x, Math.max(0, width - 240))}px`, top: `${tip.y}px` }}>
          <b>{tip.text}</b> <span class="dim">{dateTime(tip.time * 1000)}</span>
          <br />
          {tip.line.name}
        </div>
      )}
      {lines.length > 1 && (
        <ul class="legend" aria-label="Series" tabIndex={0}>
          {lines.slice(0, 300).map((line, i) => (
            <li key={line.name}>
              <button
                aria-pressed={!hidden.has(line.name)}
                title="Click: this one alone; with Ctrl: on and off"
                onClick={e => {
                  toggle(line.name, !(e.ctrlKey || e.metaKey))
                }}
              >
                <span class={`swatch sw${(line.color ?? i) % 10}`} aria-hidden="true" />
                <span class={`name ${hidden.has(line.name) ? 'off' : ''}`}>{line.name}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {lines.length > 300 && <p class="dim">and {lines.length - 300} more series</p>}
    </div>
  )
}
