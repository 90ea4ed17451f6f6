/** Calls between services, from the metrics of spans. */
import { useMemo } from 'preact/hooks'
import { queryInstant, type Sample } from '../api.ts'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
import { Table, type Column } from '../components/table.tsx'
import { greatest } from '../extremes.ts'
import { duration, short } from '../format.ts'
import { useLoad, useTick } from '../hooks.ts'
import { linkTo, usePlace } from '../router.ts'
import { useRange } from '../time.ts'

interface Edge {
  client: string
  server: string
  rate: number
  errors: number
  p95: number | undefined
}

/** Columns by the longest way from a root; a cycle stops counting. */
export function layersOf(
  edges: readonly Pick<Edge, 'client' | 'server'>[],
): Map<string, { layer: number; row: number }> {
  const names = [...new Set(edges.flatMap(e => [e.client, e.server]))],
    layer = new Map(names.map(n => [n, 0]))
  for (let round = 0; round < names.length; round++) {
    let hasMoved = false
    for (const { client, server } of edges) {
      const want = (layer.get(client) ?? 0) + 1
      if (client !== server && (layer.get(server) ?? 0) < want && want < names.length) {
        layer.set(server, want)
        hasMoved = true
      }
    }
    if (!hasMoved) break
  }
  const rows = new Map<number, number>(),
    out = new Map<string, { layer: number; row: number }>()
  for (const name of names.sort()) {
    const at = layer.get(name) ?? 0
    const row = rows.get(at) ?? 0
    rows.set(at, row + 1)
    out.set(name, { layer: at, row })
  }
  return out
}

const edgesMax = 300

const keyOf = ({ metric }: Sample): string => `${metric['client'] ?? ''}\n${metric['server'] ?? ''}`
const byKey = (samples: readonly Sample[]): Map<string, number> =>
  new Map(samples.map(sample => [keyOf(sample), Number(sample.value[1])]))

/** Calls between services in the window before `at` (seconds since the epoch; undefined: now). */
async function loadEdges(window: string, at: number | undefined, signal: AbortSignal): Promise<Edge[]> {
  const ask = async (query: string): Promise<Sample[]> => (await queryInstant(query, at, signal)).result as Sample[]
  const rate = (metric: string): string => `rate(traces_service_graph_request_${metric}[${window}])`
  const [rates, failed, slow] = await Promise.all([
    ask(`sum by (client, server) (${rate('total')})`),
    ask(`sum by (client, server) (${rate('failed_total')})`),
    ask(`histogram_quantile(0.95, sum by (client, server, le) (${rate('server_seconds_bucket')}))`),
  ])
  const errors = byKey(failed)
  const p95 = byKey(slow)
  return rates
    .filter(sample => Number(sample.value[1]) > 0)
    .map((sample): Edge => ({
      client: sample.metric['client'] ?? '?',
      server: sample.metric['server'] ?? '?',
      rate: Number(sample.value[1]),
      errors: errors.get(keyOf(sample)) ?? 0,
      p95: p95.get(keyOf(sample)),
    }))
    .slice(0, edgesMax)
}

type Places = ReturnType<typeof layersOf>
interface Point {
  x: number
  y: number
}

/** Pixels between columns and rows, and the size of a service's box. */
const columnPixels = 240
const rowPixels = 74
const boxWidth = 160
const boxHeight = 46

function pointOf(places: Places, name: string): Point {
  const { layer = 0, row = 0 } = places.get(name) ?? {}
  return { x: layer * columnPixels + 20, y: row * rowPixels + 20 }
}

function Way({ edge, places }: { edge: Edge; places: Places }) {
  const from = pointOf(places, edge.client)
  const to = pointOf(places, edge.server)
  const x1 = from.x + boxWidth
  const y1 = from.y + 22
  const y2 = to.y + 22
  const middle = (x1 + to.x) / 2
  return (
    <g>
      <path
        d={`M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${to.x} ${y2}`}
        stroke-width={1 + Math.min(5, Math.log10(1 + edge.rate * 60))}
      />
      <title>{`${edge.client} → ${edge.server}: ${short(edge.rate)}/s`}</title>
    </g>
  )
}

/** Calls a second into a service, and how many of them fail. */
function callsText(edges: readonly Edge[]): string {
  const rate = edges.reduce((sum, e) => sum + e.rate, 0)
  const errors = edges.reduce((sum, e) => sum + e.errors, 0)
  if (rate === 0) return 'calls others'
  const two = (value: number): string => short(Number(value.toPrecision(2)))
  return `${two(rate)}/s${errors > 0 ? `, ${two((errors / rate) * 100)} % errors` : ''}`
}

function Service({ name, edges, places }: { name: string; edges: readonly Edge[]; places: Places }) {
  const { x, y } = pointOf(places, name)
  return (
    <g>
      <rect x={x} y={y} width={boxWidth} height={boxHeight} rx="6" />
      <text x={x + 8} y={y + 19}>
        {name.length > 21 ? `${name.slice(0, 20)}…` : name}
      </text>
      <text x={x + 8} y={y + 37}>
        {callsText(edges.filter(e => e.server === name))}
      </text>
    </g>
  )
}

function Graph({ edges, places }: { edges: readonly Edge[]; places: Places }) {
  const columns = greatest([1, ...[...places.values()].map(place => place.layer + 1)])
  const rows = greatest([1, ...[...places.values()].map(place => place.row + 1)])
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Graph">
      <svg
        class="graph"
        viewBox={`0 0 ${columns * columnPixels} ${rows * rowPixels + 20}`}
        role="img"
        aria-label={`${places.size} services, ${edges.length} ways between them`}
      >
        {edges.map(edge => (
          <Way key={`${edge.client} ${edge.server}`} edge={edge} places={places} />
        ))}
        {[...places.keys()].map(name => (
          <Service key={name} name={name} edges={edges} places={places} />
        ))}
      </svg>
    </div>
  )
}

function columnsFor(range: string): Column<Edge>[] {
  const tracesOf = (edge: Edge): string =>
    linkTo('/ui/traces', { q: `{ resource.service.name = ${JSON.stringify(edge.server)} && kind = server }`, range })
  return [
    { title: 'From', cell: e => <bdi>{e.client}</bdi> },
    { title: 'To', cell: e => <bdi>{e.server}</bdi> },
    { title: 'Calls', isNumber: true, cell: e => `${short(e.rate)}/s` },
    {
      title: 'Errors',
      isNumber: true,
      look: e => (e.errors > 0 ? 'bad' : ''),
      cell: e => `${short(e.rate === 0 ? 0 : (e.errors / e.rate) * 100)} %`,
    },
    {
      title: '95 %',
      isNumber: true,
      cell: e => (e.p95 === undefined || !Number.isFinite(e.p95) ? '' : duration(e.p95)),
    },
    { title: 'More', cell: e => <a href={tracesOf(e)}>traces</a> },
  ]
}

export function Services() {
  const { params } = usePlace()
  const tick = useTick(refreshOf(params))
  const range = useRange(tick)
  const window = `${Math.max(60, Math.round(range.seconds))}s`
  const loaded = useLoad(
    signal => loadEdges(window, range.isNow ? undefined : range.end, signal),
    [window, range.isNow ? tick : range.end],
  )
  const edges = loaded.data ?? []
  const places = useMemo(() => layersOf(edges), [loaded.data])
  return (
    <>
      <Head title="Service graph">
        <RangePicker />
      </Head>
      <Status
        error={loaded.error}
        isLoading={loaded.isLoading && loaded.data === undefined}
        isEmpty={edges.length === 0}
        empty="No calls between services in this time: spans of kind client and server make them."
      />
      {edges.length > 0 && (
        <div class="stack">
          <Graph edges={edges} places={places} />
          <Table columns={columnsFor(range.text)} rows={edges} keyOf={e => `${e.client} ${e.server}`} />
        </div>
      )}
    </>
  )
}
