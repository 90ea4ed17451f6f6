import { get } from '../api.ts'
import { Flame } from '../components/flame.tsx'
import { Head, Status } from '../components/shell.tsx'
import { SpanDetail } from '../components/span-detail.tsx'
import { Waterfall } from '../components/waterfall.tsx'
import { dateTime, duration, secondsOfNs } from '../format.ts'
import { useLoad } from '../hooks.ts'
import { go, linkTo, usePlace, withParams } from '../router.ts'
import { treeOf, type OtlpTrace, type SpanRow, type TraceTree } from '../trace-tree.ts'

const views = ['waterfall', 'flame', 'json'] as const

export function TracePage() {
  const { path } = usePlace(),
    id = decodeURIComponent(path.slice('/ui/trace/'.length))
  const { data, error, isLoading } = useLoad(
    async signal => treeOf(await get<OtlpTrace>(`/api/traces/${encodeURIComponent(id)}`, {}, signal)),
    [id],
  )
  const root = data?.rows[0]
  return (
    <>
      <Head title={root === undefined ? 'Trace' : `${root.service}: ${root.name}`} />
      <div class="stack">
        <p class="mono dim">
          <bdi>{id}</bdi>
        </p>
        <Status error={error} isLoading={isLoading} isEmpty={data?.rows.length === 0} empty="The trace has no spans." />
        {data !== undefined && data.rows.length > 0 && <TraceView tree={data} traceId={id} />}
      </div>
    </>
  )
}

function TraceView({ tree, traceId }: { tree: TraceTree; traceId: string }) {
  const { params } = usePlace(),
    chosenId = params.get('span') ?? '',
    view = params.get('view') ?? 'waterfall',
    chosen = tree.rows.find(r => r.id === chosenId)
  const choose = (span: SpanRow | undefined): void => {
    go(withParams({ span: span?.id }), true)
  }
  return (
    <>
      <Summary tree={tree} traceId={traceId} view={view} />
      {view === 'waterfall' && <Waterfall tree={tree} chosen={chosen} onChoose={choose} />}
      {view === 'flame' && <Flame tree={tree} chosen={chosen} onChoose={choose} />}
      {view === 'json' && <pre tabIndex={0}>{jsonOf(tree)}</pre>}
      {chosen !== undefined && (
        <SpanDetail
          span={chosen}
          tree={tree}
          traceId={traceId}
          onClose={() => {
            choose(undefined)
          }}
        />
      )}
    </>
  )
}

function Summary({ tree, traceId, view }: { tree: TraceTree; traceId: string; view: string }) {
  const errors = tree.rows.filter(r => r.isError).length,
    startMs = Number(tree.startNs / 1_000_000n),
    logs = {
      q: `{service_name=~".+"} |= ${JSON.stringify(traceId)}`,
      range: '15m',
      end: String(Math.ceil(startMs / 1000) + 600),
    }
  return (
    <div class="row">
      <span>{dateTime(startMs)}</span>
      <span class="badge">{duration(secondsOfNs(tree.endNs - tree.startNs))}</span>
      <span class="badge">{tree.rows.length} spans</span>
      <span class="badge">{tree.services.length} services</span>
      {errors > 0 && <span class="badge bad">{errors} errors</span>}
      <a href={linkTo('/ui/logs', logs)}>Logs of this trace</a>
      <div class="tabs" role="group" aria-label="View">
        {views.map(v => (
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
  )
}

/** The first spans of a trace as they are shown as JSON: at most 500 spans and 300,000 characters. */
function jsonOf(tree: TraceTree): string {
  const rows = tree.rows.slice(0, 500).map(({ children: _children, ...r }) => r)
  return JSON.stringify(rows, (_key, v: unknown) => (typeof v === 'bigint' ? String(v) : v), 1).slice(0, 300_000)
}
