/** Who calls whom, from the metrics that are made of spans. */
import { useMemo } from 'preact/hooks'
import { queryInstant, type Sample } from '../api.ts'
import { RangePicker, refreshOf } from '../components/range-picker.tsx'
import { Head, Status } from '../components/shell.tsx'
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
      const want = layer.get(client)! + 1
      if (client !== server && layer.get(server)! < want && want < names.length) {
        layer.set(server, want)
        hasMoved = true
      }
    }
    if (!hasMoved) break
  }
  const rows = new Map<number, number>(),
    out = new Map<string, { layer: number; row: number }>()
  for (const name of names.sort()) {
    const at = layer.get(name)!,
      row = rows.get(at) ?? 0
    rows.set(at, row + 1)
    out.set(name, { layer: at, row })
  }
  return out
}

export function Services() {
  const { params } = usePlace(),
    tick = useTick(refreshOf(params)),
    range = useRange(tick),
    window = `${Math.max(60, Math.round(range.seconds))}s`
  const loaded = useLoad(
    async signal => {
      const at = range.isNow ? undefined : range.end,
        ask = async (query: string): Promise<Sample[]> => (await queryInstant(query, at, signal)).result as Sample[]
      const [rates, failed, slow] = await Promise.all([
        ask(`sum by (client, server) (rate(traces_service_graph_request_total[${window}]))`),
        ask(`sum by (client, server) (rate(traces_service_graph_request_failed_total[${window}]))`),
        ask(
          `histogram_quantile(0.95, sum by (client, server, le) (rate(traces_service_graph_request_server_seconds_bucket[${window}])))`,
        ),
      ])
      const keyOf = (s: Sample): string => `${s.metric['client'] ?? ''}\n${s.metric['server'] ?? ''}`,
        errors = new Map(failed.map(s => [keyOf(s), Number(s.value[1])])),
        p95 = new Map(slow.map(s => [keyOf(s), Number(s.value[1])]))
      return rates
        .filter(s => Number(s.value[1]) > 0)
        .map((s): Edge => ({
          client: s.metric['client'] ?? '?',
          server: s.metric['server'] ?? '?',
          rate: Number(s.value[1]),
          errors: errors.get(keyOf(s)) ?? 0,
          p95: p95.get(keyOf(s)),
        }))
        .slice(0, 300)
    },
    [window, range.isNow ? tick : range.end],
  )
  const edges = loaded.data ?? [],
    places = useMemo(() => layersOf(edges), [loaded.data]),
    columns = Math.max(1, ...[...places.values()].map(p => p.layer + 1)),
    rows = Math.max(1, ...[...places.values()].map(p => p.row + 1)),
    width = columns * 240,
    height = rows * 74 + 20
  const point = (name: string): { x: number; y: number } => {
    const { layer, row } = places.get(name)!
    return { x: layer * 240 + 20, y: row * 74 + 20 }
  }
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
          <div class="scroll" tabIndex={0} role="region" aria-label="Graph">
            <svg
              class="graph"
              viewBox={`0 0 ${width} ${height}`}
              role="img"
              aria-label={`${places.size} services, ${edges.length} ways between them`}
            >
              {edges.map(e => {
                const a = point(e.client),
                  b = point(e.server),
                  x1 = a.x + 160,
                  x2 = b.x,
                  y1 = a.y + 22,
                  y2 = b.y + 22,
                  middle = (x1 + x2) / 2
                return (
                  <g key={`${e.client} ${e.server}`}>
                    <path
                      d={`M${x1} ${y1} C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`}
                      stroke-width={1 + Math.min(5, Math.log10(1 + e.rate * 60))}
                    />
                    <title>{`${e.client} → ${e.server}: ${short(e.rate)}/s`}</title>
                  </g>
                )
              })}
              {[...places.keys()].map(name => {
                const { x, y } = point(name),
                  own = edges.filter(e => e.server === name),
                  rate = own.reduce((s, e) => s + e.rate, 0),
                  errors = own.reduce((s, e) => s + e.errors, 0)
                return (
                  <g key={name}>
                    <rect x={x} y={y} width="160" height="46" rx="6" />
                    <text x={x + 8} y={y + 19}>
                      {name.length > 21 ? `${name.slice(0, 20)}…` : name}
                    </text>
                    <text x={x + 8} y={y + 37}>
                      {rate > 0
                        ? `${short(Number(rate.toPrecision(2)))}/s${errors > 0 ? `, ${short(Number(((errors / rate) * 100).toPrecision(2)))} % errors` : ''}`
                        : 'calls others'}
                    </text>
                  </g>
                )
              })}
            </svg>
          </div>
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col" class="num">
                  Calls
                </th>
                <th scope="col" class="num">
                  Errors
                </th>
                <th scope="col" class="num">
                  95 %
                </th>
                <th scope="col">More</th>
              </tr>
            </thead>
            <tbody>
              {edges.map(e => (
                <tr key={`${e.client} ${e.server}`}>
                  <td>
                    <bdi>{e.client}</bdi>
                  </td>
                  <td>
                    <bdi>{e.server}</bdi>
                  </td>
                  <td class="num">{short(e.rate)}/s</td>
                  <td class={`num ${e.errors > 0 ? 'bad' : ''}`}>
                    {short(e.rate === 0 ? 0 : (e.errors / e.rate) * 100)} %
                  </td>
                  <td class="num">{e.p95 === undefined || !Number.isFinite(e.p95) ? '' : duration(e.p95)}</td>
                  <td>
                    <a
                      href={linkTo('/ui/traces', {
                        q: `{ resource.service.name = ${JSON.stringify(e.server)} && kind = server }`,
                        range: range.text,
                      })}
                    >
                      traces
                    </a>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  )
}
