import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { duration, secondsOfNs, visible } from '../format.ts'
import type { SpanRow, TraceTree } from '../trace-tree.ts'

const rowHeight = 26

interface WaterfallProps {
  tree: TraceTree
  chosen: SpanRow | undefined
  onChoose: (span: SpanRow) => void
}

/** The spans of a trace as rows over time. Ten thousand rows are one page: only those in sight are drawn. */
export function Waterfall({ tree, chosen, onChoose }: WaterfallProps) {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set()),
    [isPath, setPath] = useState(false)
  const rows = useMemo(() => rowsShown(tree, closed, isPath), [tree, closed, isPath])
  return (
    <div>
      <div class="row">
        <label>
          <input
            type="checkbox"
            checked={isPath}
            onChange={e => {
              setPath(e.currentTarget.checked)
            }}
          />
          only what the end waited for (critical path)
        </label>
        <button
          onClick={() => {
            setClosed(c => (c.size > 0 ? new Set() : firstLevel(tree)))
          }}
        >
          {closed.size > 0 ? 'Open all' : 'Close all'}
        </button>
        <span class="dim">arrow keys move</span>
      </div>
      <Rows
        tree={tree}
        rows={rows}
        chosen={chosen}
        closed={closed}
        onChoose={onChoose}
        onTwist={row => {
          setClosed(c => toggled(c, row.id))
        }}
      />
    </div>
  )
}

/** The rows that are drawn: none below a closed one, and with `isPath` only those of the critical path. */
function rowsShown(tree: TraceTree, closed: ReadonlySet<string>, isPath: boolean): SpanRow[] {
  const shown: SpanRow[] = []
  let below = Infinity
  for (const row of tree.rows) {
    if (row.depth > below) continue
    below = closed.has(row.id) ? row.depth : Infinity
    if (!isPath || row.isOnPath) shown.push(row)
  }
  return shown
}

const firstLevel = (tree: TraceTree): Set<string> =>
  new Set(tree.rows.filter(r => r.depth === 1 && r.children.length > 0).map(r => r.id))

function toggled(set: ReadonlySet<string>, id: string): Set<string> {
  const next = new Set(set)
  if (!next.delete(id)) next.add(id)
  return next
}

interface RowsProps extends WaterfallProps {
  rows: readonly SpanRow[]
  closed: ReadonlySet<string>
  onTwist: (row: SpanRow) => void
}

function Rows({ tree, rows, chosen, closed, onChoose, onTwist }: RowsProps) {
  const box = useRef<HTMLDivElement | null>(null),
    [view, setView] = useState({ top: 0, height: 600 })
  useEffect(() => {
    const element = box.current
    if (element !== null) setView({ top: element.scrollTop, height: element.clientHeight })
  }, [])
  const first = Math.max(0, Math.floor(view.top / rowHeight) - 10),
    last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + 10)
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step === 0 || rows.length === 0) return
    event.preventDefault()
    const at = Math.max(0, Math.min(rows.length - 1, (chosen === undefined ? -1 : rows.indexOf(chosen)) + step))
    onChoose(rows[at]!)
    scrollTo(box.current, at)
  }
  return (
    <div
      class="waterfall"
      style={{ maxHeight: `${rows.length * rowHeight + 4}px` }}
      ref={box}
      tabIndex={0}
      role="region"
      aria-label={`${rows.length} spans`}
      onKeyDown={move}
      onScroll={e => {
        setView({ top: e.currentTarget.scrollTop, height: e.currentTarget.clientHeight })
      }}
    >
      <div class="spacer" style={{ height: `${rows.length * rowHeight}px` }}>
        {rows.slice(first, last).map((row, i) => (
          <Row
            key={row.id + String(first + i)}
            tree={tree}
            row={row}
            top={(first + i) * rowHeight}
            isChosen={row === chosen}
            isClosed={closed.has(row.id)}
            onChoose={onChoose}
            onTwist={onTwist}
          />
        ))}
      </div>
    </div>
  )
}

/** Brings the row `at` into sight. */
function scrollTo(element: HTMLElement | null, at: number): void {
  const top = at * rowHeight
  if (element === null) return
  if (top < element.scrollTop || top + rowHeight > element.scrollTop + element.clientHeight)
    element.scrollTop = top - element.clientHeight / 2
}

interface RowProps {
  tree: TraceTree
  row: SpanRow
  /** In pixels. */
  top: number
  isChosen: boolean
  isClosed: boolean
  onChoose: (span: SpanRow) => void
  onTwist: (row: SpanRow) => void
}

function Row({ tree, row, top, isChosen, isClosed, onChoose, onTwist }: RowProps) {
  return (
    <div
      class={`span ${isChosen ? 'chosen' : ''}`}
      style={{ top: `${top}px` }}
      onClick={() => {
        onChoose(row)
      }}
    >
      <span
        class="label"
        style={{ paddingLeft: `${Math.min(row.depth, 24) * 11 + 4}px` }}
        title={`${row.service}: ${row.name}`}
      >
        {row.children.length > 0 ? (
          <button
            class="twist"
            tabIndex={-1}
            aria-label={isClosed ? 'Open' : 'Close'}
            onClick={e => {
              e.stopPropagation()
              onTwist(row)
            }}
          >
            {isClosed ? '▸' : '▾'}
          </button>
        ) : null}
        <button class="pick" tabIndex={-1} aria-pressed={isChosen}>
          {row.isError && <b class="bad">! </b>}
          <span class="dim">{row.service}</span> <bdi>{visible(row.name)}</bdi>
        </button>
      </span>
      <Bar tree={tree} row={row} />
    </div>
  )
}

/** The time of a span as a part of its trace's, with its duration beside it. */
function Bar({ tree, row }: { tree: TraceTree; row: SpanRow }) {
  const whole = Math.max(1, Number(tree.endNs - tree.startNs)),
    left = (Number(row.startNs - tree.startNs) / whole) * 100,
    width = Math.max(0, (Number(row.endNs - row.startNs) / whole) * 100),
    color = tree.services.indexOf(row.service) % 10
  return (
    <span class="track">
      <span class={`bar sw${color} ${row.isOnPath ? 'path' : ''}`} style={{ left: `${left}%`, width: `${width}%` }} />
      <span class={`time ${left + width > 75 && left < 25 ? 'inside' : ''}`} style={timeStyle(left, width)}>
        {duration(secondsOfNs(row.endNs - row.startNs))}
      </span>
    </span>
  )
}

/** Where the duration of a bar fits: right of it, within a wide one, or left of one at the end. In percent. */
function timeStyle(left: number, width: number): Record<string, string> {
  if (left + width <= 75) return { left: `${left + width}%` }
  return { right: `${left < 25 ? Math.max(0, 100 - left - width) : 100 - left}%` }
}
