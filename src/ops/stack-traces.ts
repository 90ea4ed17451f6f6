/** `tercet check stack`: the traces. */
import { encodeOtlpTraces, parseOtlpTracesJson } from '#wire/otlp/traces.ts'
import { jsonOf, type Marker, type Reply, type StackCheck } from './stack-check.ts'

const serviceName = 'tercet-check-stack'

/** `otlp`: where spans are sent to, where that is known. */
export async function checkTraces(
  check: StackCheck,
  base: string,
  { marker, isAfter, otlp }: { marker: Marker; isAfter: boolean; otlp: string | undefined },
): Promise<void> {
  if (!(await check.isAlive('traces', base))) return
  const isTempo = (await check.ask(`${base}/api/echo`)).status === 200
  if (!isAfter) await sendSpan(check, otlp === undefined ? receiversOf(base, isTempo) : [otlp], marker)
  const path = isTempo ? `/api/traces/${marker.traceId}` : `/select/jaeger/api/traces/${marker.traceId}`
  await check.expectSoon(
    isAfter
      ? { rows: '#149', check: 'traces: kept over the restart' }
      : { rows: '#133 #151', check: 'traces: send, then by id' },
    () => check.ask(base + path, { headers: { accept: 'application/json' } }),
    reply => reply.status === 200 && reply.text.includes(marker.id),
    15_000,
  )
  if (isTempo) await askTempo(check, base, marker)
  else
    check.report(
      { rows: '#133', check: 'Grafana: health of the traces source' },
      'unseen',
      'no TraceQL here; Grafana asks as Jaeger',
    )
}

/** Tempo takes spans on a port of their own. */
function receiversOf(base: string, isTempo: boolean): string[] {
  const other = new URL(base)
  other.port = '4318'
  return isTempo ? [base, other.origin] : [`${base}/insert/opentelemetry`]
}

/** One span as OTLP's protobuf, which VictoriaTraces takes alone, to the first place that takes it. */
async function sendSpan(check: StackCheck, places: readonly string[], marker: Marker): Promise<void> {
  const span = {
    traceId: marker.traceId,
    spanId: marker.traceId.slice(0, 16),
    name: `check ${marker.id}`,
    kind: 2,
    startTimeUnixNano: `${marker.timeMs}000000`,
    endTimeUnixNano: `${marker.timeMs + 5}000000`,
  }
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: serviceName } }] }
  const trace = parseOtlpTracesJson(
    Buffer.from(JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] })),
  )
  const body = new Uint8Array(encodeOtlpTraces(trace))
  let reply: Reply = { status: 0, text: 'nowhere to send to', ms: 0 }
  for (const place of places) {
    reply = await check.post(`${place}/v1/traces`, body, { 'content-type': 'application/x-protobuf' })
    if (reply.status === 200) break
  }
  check.reportSent({ rows: '#126 #133', check: 'traces: OTLP' }, reply, 'a span was taken')
}

async function askTempo(check: StackCheck, base: string, { id, timeMs }: Marker): Promise<void> {
  await check.expect(
    { rows: '#29 #163', check: 'Grafana: health of the traces source' },
    { url: `${base}/api/echo` },
    value => String(value).includes('echo'),
  )
  const query = `{ resource.service.name = "${serviceName}" && name = "check ${id}" }`
  const start = Math.floor(timeMs / 1000) - 60
  const url = `${base}/api/search?q=${encodeURIComponent(query)}&start=${start}&end=${start + 120}`
  await check.expectSoon(
    { rows: '#151 #165', check: 'traces: found by TraceQL' },
    () => check.ask(url),
    reply => (jsonOf(reply) as { traces?: unknown[] } | undefined)?.traces?.length === 1,
    30_000,
  )
}
