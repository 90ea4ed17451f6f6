/**
 * OpenTelemetry's SDK for JavaScript sends traces unchanged: over HTTP (JSON, protobuf) and gRPC, and again when
 * Tercet was away. Covers req-126.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { TracerProvider, SimpleSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace'
import { urlOf } from '../url.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { until } from '../until.ts'

let run: Running
before(async () => {
  run = await runTercet(['listen.otlp_grpc=127.0.0.1:0'])
})
after(async () => {
  await run.stop()
})

interface Found {
  traceID: string
  rootServiceName: string
  rootTraceName: string
  spanSet: { matched: number; spans: { attributes?: { key: string; value: Record<string, unknown> }[] }[] }
}
function found(url: string, q: string): Promise<Found[]> {
  return until(async () => {
    const reply = await fetch(urlOf(url, '/api/search', { q, spss: '10' }))
    const { traces } = (await reply.json()) as { traces: Found[] }
    return traces.length > 0 ? traces : undefined
  }, q)
}

/** A request with a call inside that fails. */
function work(exporter: SpanExporter, service: string): { traceId: string; end: () => Promise<void> } {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  })
  const tracer = provider.getTracer('lib', '2.0')
  const root = tracer.startSpan('GET /cart', {
    kind: SpanKind.SERVER,
    attributes: { 'http.request.method': 'GET', 'http.response.status_code': 500, tags: ['a', 'b'] },
  })
  root.addEvent('exception', { 'exception.type': 'Oops' })
  root.setStatus({ code: SpanStatusCode.ERROR, message: 'it failed' })
  const { traceId } = root.spanContext()
  root.end()
  return { traceId, end: () => provider.shutdown() }
}

const exporters: [string, () => SpanExporter][] = [
  ['http-json', () => new JsonExporter({ url: `${run.url}/v1/traces` })],
  ['http-proto', () => new ProtoExporter({ url: `${run.url}/v1/traces` })],
  [
    'grpc',
    () => new GrpcExporter({ url: `http://${run.tercet.addresses.find(a => a.name === 'otlp_grpc')!.address}` }),
  ],
]
for (const [name, make] of exporters) {
  test(`OpenTelemetry's ${name} exporter`, async () => {
    const { traceId, end } = work(make(), `sdk-${name}`)
    const [trace] = await found(
      run.url,
      `{ resource.service.name = "sdk-${name}" && span.http.response.status_code = 500 && status = error ` +
        '&& event.exception.type = "Oops" && span.tags = "b" && instrumentation:name = "lib" }',
    )
    assert.equal(trace!.traceID, traceId.replace(/^0+/, ''))
    assert.equal(trace!.rootTraceName, 'GET /cart')
    // Of an array a search shows what fits.
    const tags = trace!.spanSet.spans[0]!.attributes!.find(a => a.key === 'tags')
    assert.deepEqual(tags?.value, { stringValue: 'b' })
    await end()
  })
}

test('an exporter tries again while Tercet restarts', async () => {
  const directory = temporaryDirectory()
  const first = await runTercet([], directory)
  const address = first.tercet.addresses.find(a => a.name === 'http')!.address
  await first.tercet.close()
  const { traceId, end } = work(new ProtoExporter({ url: `http://${address}/v1/traces` }), 'again')
  const second = await runTercet([`listen.http=${address}`], directory)
  try {
    const [trace] = await found(second.url, '{ resource.service.name = "again" }')
    assert.equal(trace!.traceID, traceId.replace(/^0+/, ''))
    await end()
  } finally {
    await second.stop()
  }
})
