/**
 * A small shop: an HTTP server with spans, log lines and metrics, and the test that drives it, as one command that can
 * be recorded. Defects are named by SHOP_DEFECT, separated by commas; SHOP_REQUESTS says how many requests of each
 * route are made (default 20).
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes, type Context } from '@opentelemetry/api'
import { SeverityNumber } from '@opentelemetry/api-logs'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

const defects = new Set((process.env['SHOP_DEFECT'] ?? '').split(','))
const requests = Number(process.env['SHOP_REQUESTS'] ?? '20')
const url = process.env['TERCET_URL']
if (url === undefined) throw new Error('run it as: tercet record -- node test/gate/shop.ts')

const resource = resourceFromAttributes({ 'service.name': 'shop' })
// The addresses are those of the environment.
const spans = new TracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
})
const logs = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
})
const tracer = spans.getTracer('shop')
const logger = logs.getLogger('shop')

async function query(statement: string, context: Context): Promise<void> {
  const attributes = { 'db.system.name': 'sqlite', 'db.query.text': statement }
  const span = tracer.startSpan(statement.slice(0, 6), { kind: SpanKind.CLIENT, attributes }, context)
  await wait(1)
  span.end()
}

function say(severity: 'ERROR' | 'WARN', body: string): void {
  logger.emit({ severityNumber: SeverityNumber[severity], severityText: severity, body })
}

const routes: Readonly<Record<string, (id: number, context: Context) => Promise<void>>> = {
  '/products': async (_, context) => {
    await query('SELECT * FROM products', context)
    if (defects.has('slow')) await wait(300)
  },
  '/orders/:id': async (id, context) => {
    await query(`SELECT * FROM orders WHERE id = ${id}`, context)
    const lines = defects.has('queries') ? 8 : 1
    for (let line = 0; line < lines; line++) await query(`SELECT * FROM lines WHERE id = ${id + line}`, context)
  },
  '/checkout': async (id, context) => {
    await query(`INSERT INTO orders VALUES (${id})`, context)
    if (id % 7 === 0) say('WARN', `order ${id} waits for stock since ${new Date().toISOString()}`)
    if (defects.has('logs') && id % 5 === 0) say('ERROR', `order ${id} has no customer`)
    if (defects.has('errors') && id % 3 === 0) throw new TypeError(`order ${id} has no price`)
  },
}

async function answer(path: string, response: ServerResponse): Promise<void> {
  const [, name = '', id = '0'] = path.split('/')
  const route = Object.keys(routes).find(known => known.split('/')[1] === name) ?? ''
  const attributes: Attributes = { 'http.request.method': 'GET', 'http.route': route }
  const span = tracer.startSpan(`GET ${route}`, { kind: SpanKind.SERVER, attributes }, ROOT_CONTEXT)
  try {
    await routes[route]?.(Number(id), trace.setSpan(ROOT_CONTEXT, span))
    response.end('ok')
  } catch (error) {
    span.recordException(error as Error)
    span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message })
    response.writeHead(500).end()
  }
  span.end()
}

/** Prometheus' text, as an exporter of the shop would show it. */
function metricsText(): string {
  const users = defects.has('cardinality') ? requests * 20 : 2
  const lines = Object.keys(routes).map(route => `shop_requests_total{route="${route}",code="200"} ${requests}`)
  for (let user = 0; user < users; user++) lines.push(`shop_sessions{user="u${user}",shop="main"} 1`)
  if (!defects.has('metrics')) lines.push('shop_stock{item="tea"} 5', 'shop_stock{item="milk"} 7')
  return `${lines.join('\n')}\n`
}

const server = createServer((request, response) => {
  void answer(request.url ?? '/', response)
}).listen(0, '127.0.0.1')
await new Promise(resolve => server.once('listening', resolve))
const { port } = server.address() as AddressInfo
for (let id = 1; id <= requests; id++)
  for (const route of Object.keys(routes)) {
    const reply = await fetch(
      `http://127.0.0.1:${port}${route.replace(':id', '')}${route.endsWith(':id') ? id : `/${id}`}`,
    )
    await reply.arrayBuffer()
  }
await fetch(`${url}/api/v1/import/prometheus`, { method: 'POST', body: metricsText() })
server.close()
await spans.shutdown()
await logs.shutdown()
