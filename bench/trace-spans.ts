/** Spans of a shop with six services, as OTLP requests, made from a seed. */
import { below, type Random, seededRandom } from '#core/random.ts'
import type { Attribute, ResourceSpans, Span } from '#model/trace.ts'
import { encodeOtlpTraces } from '#wire/otlp/traces.ts'

const services = ['frontend', 'cart', 'checkout', 'payments', 'inventory', 'users-db'] as const
const text = (key: string, value: string): Attribute => ({ key, value: { kind: 'string', value } })
const int = (key: string, value: number): Attribute => ({ key, value: { kind: 'int', value: BigInt(value) } })
const none = new Uint8Array(0)

function makeTrace(random: Random, startNs: bigint): ResourceSpans[] {
  const pick = <T>(list: readonly T[]): T => list[below(random, list.length)]!
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => 1 + below(random, 255))
  const traceId = bytes(16)
  const byService = new Map<string, Span[]>()
  const ids: Uint8Array[] = []
  for (let i = 0; i < 5 + below(random, 12); i++) {
    const service = i === 0 ? 'frontend' : pick(services)
    const at = startNs + BigInt(below(random, 200_000_000))
    const status = pick([200, 200, 200, 200, 404, 500])
    const id = bytes(8)
    const span: Span = {
      traceId,
      spanId: id,
      parentSpanId: i === 0 ? none : pick(ids),
      traceState: '',
      flags: 1,
      name: pick(['GET /api/v1/users', 'POST /api/v1/orders', 'SELECT', 'charge', 'publish']),
      kind: 1 + below(random, 5),
      startNs: at,
      endNs: at + BigInt(below(random, 400_000_000)),
      attributes: [
        text('http.method', pick(['GET', 'POST'])),
        int('http.status_code', status),
        text('http.route', pick(['/api/v1/users', '/api/v1/orders'])),
        text('http.url', `http://${service}.local/x?id=${below(random, 1000)}`),
        text('user.id', `u${below(random, 5000)}`),
        int('retry', below(random, 3)),
        text('db.system', pick(['postgresql', 'redis'])),
      ],
      droppedAttributes: 0,
      events:
        below(random, 10) === 0
          ? [{ timeNs: at, name: 'exception', attributes: [text('exception.type', 'TimeoutError')], dropped: 0 }]
          : [],
      droppedEvents: 0,
      links: [],
      droppedLinks: 0,
      statusCode: status === 500 ? 2 : 0,
      statusMessage: '',
    }
    ids.push(id)
    const list = byService.get(service)
    if (list === undefined) byService.set(service, [span])
    else list.push(span)
  }
  return [...byService].map(([service, spans]) => ({
    resource: {
      attributes: [
        text('service.name', service),
        text('k8s.cluster.name', 'c1'),
        text('k8s.pod.name', `${service}-${below(random, 3)}`),
        text('deployment.environment', 'prod'),
      ],
      dropped: 0,
    },
    schemaUrl: '',
    scopes: [{ scope: { name: `otel-${service}`, version: '1.0', attributes: [], dropped: 0 }, schemaUrl: '', spans }],
  }))
}
export interface SpanLoad {
  /** OTLP, 500 spans and a little more in each. */
  bodies: Uint8Array[]
  spans: number
  traces: number
  bytes: number
  /** Of a trace in the middle, in hexadecimal digits. */
  oneId: string
}

const spansPerBody = 500
const countOf = (trace: readonly ResourceSpans[]): number =>
  trace.reduce((sum, { scopes }) => sum + scopes[0]!.spans.length, 0)

/** Traces one after another, from startMs on until endMs. */
export function spanLoad(wanted: number, startMs: number, endMs: number): SpanLoad {
  const random = seededRandom(3)
  const load: SpanLoad = { bodies: [], spans: 0, traces: 0, bytes: 0, oneId: '' }
  while (load.spans < wanted) {
    const resources: ResourceSpans[] = []
    for (let own = 0; own < spansPerBody;) {
      const atMs = Math.floor(startMs + (load.spans / wanted) * (endMs - startMs))
      const trace = makeTrace(random, BigInt(atMs) * 1_000_000n)
      resources.push(...trace)
      load.traces++
      own += countOf(trace)
      load.spans += countOf(trace)
      if (load.spans > wanted / 2 && load.oneId === '')
        load.oneId = Buffer.from(trace[0]!.scopes[0]!.spans[0]!.traceId).toString('hex')
    }
    const body = encodeOtlpTraces({ resources })
    load.bodies.push(body)
    load.bytes += body.length
  }
  return load
}
