import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { get } from '../api.ts'
import { Head, Status } from '../components/shell.tsx'
import { dateTime, duration, visible } from '../format.ts'
import { useLoad } from '../hooks.ts'
import { go, linkTo, usePlace, withParams } from '../router.ts'
import { treeOf, type OtlpTrace, type SpanRow, type TraceTree } from '../trace-tree.ts'

const rowHeight = 26
const seconds = (ns: bigint): number => Number(ns) / 1e9

export function TracePage() {
  const { path, params } = usePlace(),
    id = decodeURIComponent(path.slice('/ui/trace/'.length)),
    chosenId = params.get('span') ?? '',
    view = params.get('view') ?? 'waterfall'
  const loaded = useLoad(
      async signal => treeOf(await get<OtlpTrace>(`/api/traces/${encodeURIComponent(id)}`, {}, signal)),
      [id],
    ),
    tree = loaded.data,
    chosen = tree?.rows.find(r => r.id === chosenId)
  const choose = (span: SpanRow | undefined): void => {
    go(withParams({ span: span?.id }), true)
  }
  const errors = tree?.rows.filter(r => r.isError).length ?? 0,
    startMs = tree === undefined ? 0 : Number(tree.startNs / 1_000_000n),
    root = tree?.rows[0]
  return (
    <>
      <Head title={root === undefined ? 'Trace' : `${root.service}: ${root.name}`} />
      <div class="stack">
        <p class="mono dim">
          <bdi>{id}</bdi>
        </p>
        <Status
          error={loaded.error}
          isLoading={loaded.isLoading}
          isEmpty={tree?.rows.length === 0}
          empty="The trace has no spans."
        />
        {tree !== undefined && tree.rows.length > 0 && (
          <>
            <div class="row">
              <span>{dateTime(startMs)}</span>
              <span class="badge">{duration(seconds(tree.endNs - tree.startNs))}</span>
              <span class="badge">{tree.rows.length} spans</span>
              <span class="badge">{tree.services.length} services</span>
              {errors > 0 && <span class="badge bad">{errors} errors</span>}
              <a
                href={linkTo('/ui/logs', {
                  q: `{service_name=~".+"} |= ${JSON.stringify(id)}`,
                  range: '15m',
                  end: String(Math.ceil(startMs / 1000) + 600),
                })}
              >
                Logs of this trace
              </a>
              <div class="tabs" role="group" aria-label="View">
                {(['waterfall', 'flame', 'json'] as const).map(v => (
                  <button
                    key={v}
                    aria-pressed={v === view}
                    onClick={() => {
                      go(withParams({ view: v === 'waterfall' ? undefined : v }), true)
                    }}
                  >
                    {v}
                  </button>
                ))}
              </div>
            </div>
            {view === 'waterfall' && <Waterfall tree={tree} chosen={chosen} onChoose={choose} />}
            {view === 'flame' && <Flame tree={tree} chosen={chosen} onChoose={choose} />}
            {view === 'json' && (
              <pre tabIndex={0}>
                {JSON.stringify(
                  tree.rows.slice(0, 500).map(({ children: _children, ...r }) => r),
                  (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
                  1,
                ).slice(0, 300_000)}
              </pre>
            )}
            {chosen !== undefined && (
              <SpanDetail
                span={chosen}
                tree={tree}
                traceId={id}
                onClose={() => {
                  choose(undefined)
                }}
              />
            )}
          </>
        )}
      </div>
    </>
  )
}

/** Ten thousand rows, of which only those in sight are in the page. */
function Waterfall({
  tree,
  chosen,
  onChoose,
}: {
  tree: TraceTree
  chosen: SpanRow | undefined
  onChoose: (span: SpanRow) => void
}) {
  const box = useRef<HTMLDivElement | null>(null),
    [view, setView] = useState({ top: 0, height: 600 }),
    [closed, setClosed] = useState<ReadonlySet<string>>(new Set()),
    [isPath, setPath] = useState(false)
  const rows = useMemo(() => {
    const shown: SpanRow[] = []
    let below = Infinity
    for (const row of tree.rows) {
      if (row.depth > below) continue
      below = closed.has(row.id) ? row.depth : Infinity
      if (!isPath || row.isOnPath) shown.push(row)
    }
    return shown
  }, [tree, closed, isPath])
  useEffect(() => {
    const element = box.current
    if (element !== null) setView({ top: element.scrollTop, height: element.clientHeight })
  }, [])
  const first = Math.max(0, Math.floor(view.top / rowHeight) - 10),
    last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + 10),
    whole = Math.max(1, Number(tree.endNs - tree.startNs))
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step === 0 || rows.length === 0) return
    event.preventDefault()
    const at = Math.max(0, Math.min(rows.length - 1, (chosen === undefined ? -1 : rows.indexOf(chosen)) + step))
    onChoose(rows[at]!)
    const element = box.current
    if (
      element !== null &&
      (at * rowHeight < element.scrollTop || (at + 1) * rowHeight > element.scrollTop + element.clientHeight)
    )
      element.scrollTop = at * rowHeight - element.clientHeight / 2
  }
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
            setClosed(c =>
              c.size > 0
                ? new Set()
                : new Set(tree.rows.filter(r => r.depth === 1 && r.children.length > 0).map(r => r.id)),
            )
          }}
        >
          {closed.size > 0 ? 'Open all' : 'Close all'}
        </button>
        <span class="dim">arrow keys move</span>
      </div>
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
          {rows.slice(first, last).map((row, i) => {
            const left = (Number(row.startNs - tree.startNs) / whole) * 100,
              width = Math.max(0, (Number(row.endNs - row.startNs) / whole) * 100),
              color = tree.services.indexOf(row.service) % 10
            return (
              <div
                key={row.id + String(first + i)}
                class={`span ${row === chosen ? 'chosen' : ''}`}
                style={{ top: `${(first + i) * rowHeight}px` }}
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
                      aria-label={closed.has(row.id) ? 'Open' : 'Close'}
                      onClick={e => {
                        e.stopPropagation()
                        setClosed(c => {
                          const next = new Set(c)
                          if (!next.delete(row.id)) next.add(row.id)
                          return next
                        })
                      }}
                    >
                      {closed.has(row.id) ? '▸' : '▾'}
                    </button>
                  ) : null}
                  <button class="pick" tabIndex={-1} aria-pressed={row === chosen}>
                    {row.isError && <b class="bad">! </b>}
                    <span class="dim">{row.service}</span> <bdi>{visible(row.name)}</bdi>
                  </button>
                </span>
                <span class="track">
                  <span
                    class={`bar sw${color} ${row.isOnPath ? 'path' : ''}`}
                    style={{ left: `${left}%`, width: `${width}%` }}
                  />
                  <span
                    class={`time ${left + width > 75 && left < 25 ? 'inside' : ''}`}
                    style={
                      left + width > 75
                        ? left < 25
                          ? { right: `${Math.max(0, 100 - left - width)}%` }
                          : { right: `${100 - left}%` }
                        : { left: `${left + width}%` }
                    }
                  >
                    {duration(seconds(row.endNs - row.startNs))}
                  </span>
                </span>
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

/** Depth downwards, time to the right; drawn, so that many spans cost nothing. */
function Flame({
  tree,
  chosen,
  onChoose,
}: {
  tree: TraceTree
  chosen: SpanRow | undefined
  onChoose: (span: SpanRow) => void
}) {
  const canvas = useRef<HTMLCanvasElement | null>(null),
    depth = Math.min(200, Math.max(...tree.rows.map(r => r.depth)) + 1),
    height = depth * 20,
    whole = Math.max(1, Number(tree.endNs - tree.startNs))
  useEffect(() => {
    const element = canvas.current,
      context = element?.getContext('2d')
    if (element === null || context === null || context === undefined) return
    const scale = devicePixelRatio || 1,
      width = element.clientWidth,
      css = getComputedStyle(document.documentElement)
    element.width = width * scale
    element.height = height * scale
    context.scale(scale, scale)
    context.font = '11px system-ui'
    for (const row of tree.rows) {
      const x = (Number(row.startNs - tree.startNs) / whole) * width,
        w = Math.max(1, (Number(row.endNs - row.startNs) / whole) * width - 0.5)
      context.fillStyle = css.getPropertyValue(`--c${tree.services.indexOf(row.service) % 10}`)
      context.globalAlpha = row === chosen ? 1 : 0.75
      context.fillRect(x, row.depth * 20, w, 18)
      if (w > 40) {
        context.globalAlpha = 1
        context.fillStyle = css.getPropertyValue('--bg')
        context.fillText(row.name.slice(0, Math.floor(w / 6)), x + 3, row.depth * 20 + 13)
      }
    }
  })
  const pick = (event: MouseEvent): void => {
    const bounds = canvas.current!.getBoundingClientRect(),
      level = Math.floor((event.clientY - bounds.top) / 20),
      at = tree.startNs + BigInt(Math.round(((event.clientX - bounds.left) / bounds.width) * whole)),
      found = tree.rows.find(r => r.depth === level && r.startNs <= at && r.endNs >= at)
    if (found !== undefined) onChoose(found)
  }
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Flame view">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${tree.rows.length} spans by depth and time`}
        style={{ width: '100%', height: `${height}px` }}
        onClick={pick}
      />
    </div>
  )
}

function SpanDetail({
  span,
  tree,
  traceId,
  onClose,
}: {
  span: SpanRow
  tree: TraceTree
  traceId: string
  onClose: () => void
}) {
  const at = Number(span.startNs / 1_000_000n) / 1000,
    list = (map: Record<string, string>) =>
      Object.entries(map).map(([name, value]) => (
        <>
          <dt>{visible(name)}</dt>
          <dd>{visible(value)}</dd>
        </>
      )),
    service = JSON.stringify(span.service)
  return (
    <section class="panel" aria-label="Span">
      <div class="row">
        <h2 class="grow">
          <bdi>
            {span.service}: {span.name}
          </bdi>
        </h2>
        <button onClick={onClose}>Close</button>
      </div>
      <p>
        <span class="badge">{duration(seconds(span.endNs - span.startNs))}</span>{' '}
        <span class="badge">{span.kind || 'unspecified'}</span>{' '}
        {span.isError ? (
          <span class="badge bad">error{span.statusMessage === '' ? '' : `: ${span.statusMessage}`}</span>
        ) : null}{' '}
        <span class="dim">
          +{duration(seconds(span.startNs - tree.startNs))} after the beginning, {span.children.length} children
        </span>
      </p>
      <p>
        <a
          href={linkTo('/ui/logs', {
            q: `{service_name=${service}} |= ${JSON.stringify(traceId)}`,
            range: '15m',
            end: String(Math.ceil(at) + 600),
          })}
        >
          Its logs
        </a>{' '}
        ·{' '}
        <a href={linkTo('/ui/logs', { q: `{service_name=${service}}`, range: '5m', end: String(Math.ceil(at) + 120) })}>
          all logs of the service then
        </a>{' '}
        ·{' '}
        <a
          href={linkTo('/ui/metrics', {
            q: `sum by (span_name) (rate(traces_spanmetrics_calls_total{service=${service}}[5m]))`,
            range: '1h',
            end: String(Math.ceil(at) + 1800),
          })}
        >
          rate
        </a>{' '}
        ·{' '}
        <a
          href={linkTo('/ui/metrics', {
            q: `sum(rate(traces_spanmetrics_calls_total{service=${service}, status_code="STATUS_CODE_ERROR"}[5m])) / sum(rate(traces_spanmetrics_calls_total{service=${service}}[5m]))`,
            range: '1h',
            end: String(Math.ceil(at) + 1800),
          })}
        >
          errors
        </a>{' '}
        ·{' '}
        <a
          href={linkTo('/ui/metrics', {
            q: `histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{service=${service}}[5m])))`,
            range: '1h',
            end: String(Math.ceil(at) + 1800),
          })}
        >
          duration
        </a>{' '}
        of the service
      </p>
      <h3>Attributes</h3>
      <dl>{list(span.attributes)}</dl>
      <h3>Resource</h3>
      <dl>
        {list(span.resource)}
        {span.scope !== '' && (
          <>
            <dt>scope</dt>
            <dd>{span.scope}</dd>
          </>
        )}
        <dt>span id</dt>
        <dd class="mono">{span.id}</dd>
      </dl>
      {span.events.length > 0 && (
        <>
          <h3>Events</h3>
          {span.events.map((e, i) => (
            <details key={i}>
              <summary>
                +{duration(seconds(e.timeNs - span.startNs))} <bdi>{e.name}</bdi>
              </summary>
              <dl>{list(e.attributes)}</dl>
            </details>
          ))}
        </>
      )}
      {span.links.length > 0 && (
        <>
          <h3>Links</h3>
          <ul>
            {span.links.map((l, i) => (
              <li key={i}>
                <a class="mono" href={linkTo(`/ui/trace/${l.traceId}`, { span: l.spanId })}>
                  {l.traceId}
                </a>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  )
}
