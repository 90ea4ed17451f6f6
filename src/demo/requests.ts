/**
 * What one request does in the shop: `shop` answers people, and asks `payment`, which asks a bank, and `stock`, which
 * asks its database. Names of spans and attributes are those of OpenTelemetry's semantic conventions.
 */
import { badVersion } from './story.ts'
import type { Attributes, DemoSpan, Pod, ServiceName, TraceBuilder } from './trace-builder.ts'

export type Pods = Readonly<Record<ServiceName, Pod>>

const ports: Readonly<Record<ServiceName, number>> = { shop: 8080, payment: 8081, stock: 8082 }
const products = ['teapot', 'kettle', 'mug', 'sieve', 'matcha', 'oolong', 'sencha', 'assam']
const agents = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1',
  'curl/8.14.1',
]
/** How often a charge fails, by version. */
const failures = { usual: 0.004, bad: 0.3 }

interface Step {
  b: TraceBuilder
  pods: Pods
}

/** An exchange by HTTP: who asks whom for what. */
interface Call {
  from: DemoSpan
  to: ServiceName
  method: string
  route: string
  path: string
}

/** What a service does with a request: when it is done, and its status. */
type Work = (step: Step, span: DemoSpan, startMs: number) => { endMs: number; status: number }

/** One request of a person that begins at a moment; all of its spans lie behind that. */
export function makeRequest(b: TraceBuilder, pods: Pods, startMs: number): void {
  const { method, route, work } = b.weighted(pages)
  const path = route.replace('{id}', b.pick(products))
  const root = b.begin(pods.shop, 'server', `${method} ${route}`, undefined, startMs, {
    ...serverAttributes('shop', method, route, path),
    'user_agent.original': b.pick(agents),
    'client.address': `203.0.113.${1 + Math.floor(b.unit() * 250)}`,
  })
  const { endMs, status } = work({ b, pods }, root, startMs + b.spread(2))
  finish(root, endMs + b.spread(1), status)
  logAnswer(b, root, method, path, status)
}

function serverAttributes(service: ServiceName, method: string, route: string, path: string): Attributes {
  return {
    'http.request.method': method,
    'http.route': route,
    'url.path': path,
    'url.scheme': 'http',
    'server.address': service,
    'server.port': ports[service],
    'network.protocol.version': '1.1',
  }
}

function finish(span: DemoSpan, endMs: number, status: number): void {
  span.endMs = endMs
  span.attributes['http.response.status_code'] = status
  const isFailure = span.kind === 'server' ? status >= 500 : status >= 400
  if (!isFailure) return
  span.hasFailed = true
  span.attributes['error.type'] = String(status)
}

function logAnswer(b: TraceBuilder, span: DemoSpan, method: string, path: string, status: number): void {
  const durationMs = Math.round(span.endMs - span.startMs)
  const severity = status >= 500 ? 'ERROR' : durationMs > 800 ? 'WARN' : 'INFO'
  b.log(span, span.endMs, severity, `${method} ${path} ${status} in ${durationMs} ms`, {
    'http.response.status_code': status,
  })
}

/** A client's span, and within it the span of the service that is asked. */
function call(step: Step, { from, to, method, route, path }: Call, startMs: number, work: Work): Answer {
  const { b, pods } = step
  const address = { 'server.address': to, 'server.port': ports[to], 'http.request.method': method }
  const url = { 'url.full': `http://${to}:${ports[to]}${path}` }
  const client = b.begin(from.pod, 'client', method, from, startMs, { ...address, ...url })
  const arrivedMs = startMs + b.spread(0.6)
  const server = b.begin(pods[to], 'server', `${method} ${route}`, client, arrivedMs, {
    ...serverAttributes(to, method, route, path),
  })
  const { endMs, status } = work(step, server, arrivedMs + b.spread(0.8))
  finish(server, endMs + b.spread(0.4), status)
  if (to !== 'stock') logAnswer(b, server, method, path, status)
  finish(client, server.endMs + b.spread(0.6), status)
  return { endMs: client.endMs, status }
}

type Answer = ReturnType<Work>

/** A query of stock's database; when it is done. */
function query({ b }: Step, parent: DemoSpan, startMs: number, sql: Sql, medianMs: number): number {
  const { operation, table, text } = sql
  const span = b.begin(parent.pod, 'client', `${operation} ${table}`, parent, startMs, {
    'db.system.name': 'postgresql',
    'db.namespace': 'inventory',
    'db.collection.name': table,
    'db.operation.name': operation,
    'db.query.text': text,
    'server.address': 'inventory-db',
    'server.port': 5432,
  })
  span.endMs = startMs + b.spread(medianMs)
  return span.endMs
}

interface Sql {
  operation: string
  table: string
  text: string
}

const select: Sql = {
  operation: 'SELECT',
  table: 'items',
  text: 'SELECT id, name, price, available FROM items WHERE id = $1',
}
const search: Sql = {
  operation: 'SELECT',
  table: 'items',
  text: 'SELECT id, name, price FROM items WHERE name ILIKE $1 ORDER BY sold DESC LIMIT 20',
}
const reserve: Sql = {
  operation: 'UPDATE',
  table: 'items',
  text: 'UPDATE items SET available = available - $2 WHERE id = $1 AND available >= $2',
}
const insert: Sql = {
  operation: 'INSERT',
  table: 'reservations',
  text: 'INSERT INTO reservations (item, amount, until) VALUES ($1, $2, $3)',
}

const showItem: Work = (step, span, startMs) => ({ endMs: query(step, span, startMs, select, 3), status: 200 })

const reserveItem: Work = (step, span, startMs) => {
  const { b } = step
  const endMs = query(step, span, startMs, reserve, 5)
  if (b.unit() < 0.02) {
    b.log(span, endMs, 'WARN', 'not enough in stock', { item: b.pick(products) })
    return { endMs, status: 409 }
  }
  return { endMs: query(step, span, endMs + b.spread(0.5), insert, 4), status: 201 }
}

/** `payment`'s only route: the one that the new version breaks. */
const charge: Work = (step, span, startMs) => {
  const { b } = step
  const isBad = span.pod.version === badVersion
  const check = b.begin(span.pod, 'internal', 'check fraud rules', span, startMs, { 'fraud.rules': 14 })
  check.endMs = startMs + b.spread(4)
  const askedMs = check.endMs + b.spread(0.3)
  const bank = b.begin(span.pod, 'client', 'POST', span, askedMs, {
    'http.request.method': 'POST',
    'server.address': 'bank.example',
    'server.port': 443,
    'url.full': 'https://bank.example/v2/charges',
  })
  const hasFailed = b.unit() < (isBad ? failures.bad : failures.usual)
  const endMs = askedMs + (hasFailed ? 1500 + b.spread(20) : b.spread(isBad ? 420 : 70))
  if (!hasFailed) {
    finish(bank, endMs, 201)
    return { endMs, status: 201 }
  }
  bank.endMs = endMs
  bank.hasFailed = true
  bank.attributes['error.type'] = 'java.net.http.HttpTimeoutException'
  span.exception = timeout(span.pod.version)
  b.log(span, endMs, 'ERROR', 'the bank did not answer within 1500 ms', {
    'exception.type': span.exception.type,
    'exception.message': span.exception.message,
  })
  return { endMs, status: 503 }
}

function timeout(version: string): NonNullable<DemoSpan['exception']> {
  const type = 'java.net.http.HttpTimeoutException'
  const message = 'request timed out'
  // In the new version the client of the bank has lost its pool of connections.
  const line =
    version === badVersion ? 'BankClient.openConnection(BankClient.java:88)' : 'BankClient.charge(BankClient.java:61)'
  return {
    type,
    message,
    stack: `${type}: ${message}\n\tat shop.payment.${line}\n\tat shop.payment.Charges.create(Charges.java:34)`,
  }
}

const itemCall = (from: DemoSpan, path: string): Call => ({
  from,
  to: 'stock',
  method: 'GET',
  route: '/items/{id}',
  path,
})

const showHome: Work = (step, span, startMs) => {
  const render = step.b.begin(span.pod, 'internal', 'render home', span, startMs, { 'template.name': 'home' })
  render.endMs = startMs + step.b.spread(6)
  return { endMs: render.endMs, status: 200 }
}

const showProduct: Work = (step, span, startMs) => {
  const { b } = step
  if (b.unit() < 0.015) return { endMs: startMs + b.spread(2), status: 404 }
  const path = `/items/${b.pick(products)}`
  const { endMs } = call(step, itemCall(span, path), startMs, showItem)
  return { endMs: endMs + b.spread(3), status: 200 }
}

const searchProducts: Work = (step, span, startMs) => {
  const found: Call = { from: span, to: 'stock', method: 'GET', route: '/items', path: '/items' }
  return call(step, found, startMs, (own, server, ms) => ({ endMs: query(own, server, ms, search, 14), status: 200 }))
}

const fillCart: Work = (step, span, startMs) => {
  const { b } = step
  const { endMs } = call(step, itemCall(span, `/items/${b.pick(products)}`), startMs, showItem)
  b.log(span, endMs, 'INFO', 'an item was put into a cart', { 'cart.items': 1 + Math.floor(b.unit() * 4) })
  return { endMs: endMs + b.spread(2), status: 201 }
}

const checkOut: Work = (step, span, startMs) => {
  const { b } = step
  const reservation: Call = { from: span, to: 'stock', method: 'POST', route: '/reservations', path: '/reservations' }
  const reserved = call(step, reservation, startMs, reserveItem)
  if (reserved.status >= 400) return reserved
  const payment: Call = { from: span, to: 'payment', method: 'POST', route: '/charge', path: '/charge' }
  const paid = call(step, payment, reserved.endMs + b.spread(1), charge)
  const order = { 'order.amount': Math.round(900 + b.unit() * 9000) / 100, 'order.currency': 'EUR' }
  if (paid.status >= 400) {
    b.log(span, paid.endMs, 'ERROR', 'an order was lost: payment answered 503', order)
    return { endMs: paid.endMs, status: 502 }
  }
  b.trace.orders++
  b.trace.revenue += order['order.amount']
  b.log(span, paid.endMs, 'INFO', 'an order was placed', order)
  return { endMs: paid.endMs + b.spread(2), status: 201 }
}

const pages: readonly { method: string; route: string; weight: number; work: Work }[] = [
  { method: 'GET', route: '/', weight: 24, work: showHome },
  { method: 'GET', route: '/products/{id}', weight: 34, work: showProduct },
  { method: 'GET', route: '/search', weight: 12, work: searchProducts },
  { method: 'POST', route: '/cart', weight: 12, work: fillCart },
  { method: 'POST', route: '/checkout', weight: 18, work: checkOut },
]
