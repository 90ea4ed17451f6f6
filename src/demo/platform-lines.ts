/**
 * Log lines of what stands around the services, as Loki's push takes them: the edge writes JSON, the deployer and a
 * job of the warehouse write logfmt.
 */
import { seededRandom } from '#core/random.ts'
import { mixed, type Shop } from './shop.ts'
import type { DemoTrace } from './trace-builder.ts'

interface LokiStream {
  stream: Record<string, string>
  /** Nanoseconds as digits, and the line. */
  values: [string, string][]
}

const jobEverySeconds = 20

/** The body of a push, of the seconds from one to another, that one left out. */
export function platformLines(
  shop: Shop,
  traces: readonly DemoTrace[],
  fromSecond: number,
  toSecond: number,
): { streams: LokiStream[] } {
  const streams = [
    { stream: { app: 'edge', format: 'json' }, values: edgeLines(traces) },
    { stream: { app: 'deployer', format: 'logfmt' }, values: deployLines(shop, fromSecond, toSecond) },
    { stream: { app: 'warehouse-sync', format: 'logfmt' }, values: jobLines(fromSecond, toSecond) },
  ]
  return { streams: streams.filter(({ values }) => values.length > 0) }
}

const nanosOf = (ms: number): string => `${Math.floor(ms)}000000`

function edgeLines(traces: readonly DemoTrace[]): [string, string][] {
  const ended = traces.map(({ traceId, spans }) => ({ traceId, root: spans[0]! }))
  ended.sort((a, b) => a.root.endMs - b.root.endMs)
  return ended.map(({ traceId, root: { attributes, startMs, endMs } }) => {
    const line = {
      level: Number(attributes['http.response.status_code']) >= 500 ? 'error' : 'info',
      method: attributes['http.request.method'],
      path: attributes['url.path'],
      status: attributes['http.response.status_code'],
      duration_ms: Math.round(endMs - startMs),
      client: attributes['client.address'],
      agent: attributes['user_agent.original'],
      trace_id: traceId,
    }
    return [nanosOf(endMs), JSON.stringify(line)]
  })
}

function deployLines(shop: Shop, fromSecond: number, toSecond: number): [string, string][] {
  const lines: [string, string][] = []
  for (let second = fromSecond; second < toSecond; second++) {
    const before = shop.podsAt((second - 1) * 1000).payment
    const { version, instance } = shop.podsAt(second * 1000).payment
    if (instance === before.instance) continue
    const event = version > before.version ? 'deploy' : 'rollback'
    const level = event === 'deploy' ? 'info' : 'warn'
    const line = `level=${level} event=${event} service=payment from=${before.version} to=${version} pod=${instance}`
    lines.push([nanosOf(second * 1000), line])
  }
  return lines
}

function jobLines(fromSecond: number, toSecond: number): [string, string][] {
  const lines: [string, string][] = []
  for (let second = fromSecond; second < toSecond; second++) {
    if (second % jobEverySeconds !== 0) continue
    const random = seededRandom(mixed(second, jobEverySeconds))
    const items = 40 + (random.u32() % 200)
    const isSlow = random.u32() % 25 === 0
    const durationMs = isSlow ? 4000 + (random.u32() % 3000) : 120 + (random.u32() % 300)
    const level = isSlow ? 'warn' : 'info'
    const line = `level=${level} msg="counts synchronised" warehouse=ber items=${items} duration=${durationMs}ms`
    lines.push([nanosOf(second * 1000), line])
  }
  return lines
}
