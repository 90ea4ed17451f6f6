/**
 * Lines over time with uPlot: zoom by dragging, a legend that filters, stacking, exemplars as dots, a tip under the
 * pointer.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import 'uplot/dist/uPlot.min.css'
import { dateTime, inUnit } from '../format.ts'
import { useWidth } from '../hooks.ts'
import { drawPlot, type Dot, type Line, type Nearest, type PlotActions } from './plot.ts'

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

/** How often the theme has changed: colours are read when a plot is drawn. */
function useTheme(): number {
  const [theme, setTheme] = useState(0)
  useEffect(() => {
    const onTheme = (): void => {
      setTheme(t => t + 1)
    }
    addEventListener('tercet-theme', onTheme)
    return () => {
      removeEventListener('tercet-theme', onTheme)
    }
  }, [])
  return theme
}

const noDots: readonly Dot[] = []

export function Chart(props: ChartProps) {
  const { lines, start, end, step, unit = '', isStacked = false, isBars = false, height = 280 } = props
  const { dots = noDots, label } = props
  const [box, width] = useWidth()
  const canvas = useRef<HTMLDivElement | null>(null)
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set())
  const [tip, setTip] = useState<Nearest | undefined>(undefined)
  const theme = useTheme()
  const shown = useMemo(
    () => lines.map((line, i) => ({ line, i })).filter(({ line }) => !hidden.has(line.name)),
    [lines, hidden],
  )
  const { onZoom, onPick, onDot } = props
  const actions = useRef<PlotActions>({ onHover: setTip })
  actions.current = { onZoom, onPick, onDot, onHover: setTip }
  useEffect(() => {
    const element = canvas.current
    if (element === null || width === 0) return undefined
    const view = { shown, start, end, step, unit, isStacked, isBars, height, dots, width }
    const remove = drawPlot(element, view, () => actions.current)
    return () => {
      remove()
      setTip(undefined)
    }
  }, [shown, start, end, step, width, height, unit, isStacked, isBars, dots, theme])
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
      {tip !== undefined && <Tip tip={tip} unit={unit} width={width} />}
      {lines.length > 1 && <Legend lines={lines} hidden={hidden} setHidden={setHidden} />}
      {lines.length > legendMax && <p class="dim">and {lines.length - legendMax} more series</p>}
    </div>
  )
}

function Tip({ tip, unit, width }: { tip: Nearest; unit: string; width: number }) {
  const left = Math.min(tip.x + 70, Math.max(0, width - 240))
  return (
    <div class="tip" style={{ left: `${left}px`, top: `${tip.y + 12}px` }}>
      <b>{inUnit(tip.value ?? NaN, unit)}</b> <span class="dim">{dateTime(tip.time * 1000)}</span>
      <br />
      {tip.line.name}
    </div>
  )
}

const legendMax = 300

/** The hidden lines after a click on a name: it alone is shown, or, a second time, all are; with Ctrl it is toggled. */
function hiddenAfter(
  before: ReadonlySet<string>,
  lines: readonly Line[],
  name: string,
  isSolo: boolean,
): ReadonlySet<string> {
  if (isSolo) {
    const others = lines.filter(line => line.name !== name).map(line => line.name)
    return others.every(other => before.has(other)) ? new Set() : new Set(others)
  }
  const next = new Set(before)
  if (!next.delete(name)) next.add(name)
  return next
}

interface LegendProps {
  lines: readonly Line[]
  hidden: ReadonlySet<string>
  setHidden: (change: (before: ReadonlySet<string>) => ReadonlySet<string>) => void
}

function Legend({ lines, hidden, setHidden }: LegendProps) {
  return (
    <ul class="legend" aria-label="Series" tabIndex={0}>
      {lines.slice(0, legendMax).map((line, i) => (
        <li key={line.name}>
          <button
            aria-pressed={!hidden.has(line.name)}
            title="Click: this one alone; with Ctrl: on and off"
            onClick={e => {
              const isSolo = !(e.ctrlKey || e.metaKey)
              setHidden(before => hiddenAfter(before, lines, line.name, isSolo))
            }}
          >
            <span class={`swatch sw${(line.color ?? i) % 10}`} aria-hidden="true" />
            <span class={`name ${hidden.has(line.name) ? 'off' : ''}`}>{line.name}</span>
          </button>
        </li>
      ))}
    </ul>
  )
}
