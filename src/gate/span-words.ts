/**
 * What spans say of themselves, in the names of OpenTelemetry's semantic conventions: those that are stable now, and
 * those before them, which many instrumentations still write.
 */
import type { AttributeMap, Span } from '#library/results.ts'
import { statementShape, withoutVariables } from './variable-parts.ts'

/** Attributes of spans that anything here looks at: who reads spans for it asks for these. */
export const readAttributes = [
  'http.route',
  'http.request.method',
  'http.method',
  'http.response.status_code',
  'http.status_code',
  'http.url',
  'http.target',
  'url.full',
  'url.path',
  'url.template',
  'server.address',
  'net.peer.name',
  'peer.service',
  'rpc.system',
  'rpc.system.name',
  'rpc.service',
  'rpc.method',
  'rpc.grpc.status_code',
  'rpc.response.status_code',
  'messaging.system',
  'messaging.operation',
  'messaging.operation.type',
  'messaging.destination.name',
  'messaging.destination',
  'db.system.name',
  'db.system',
  'db.query.text',
  'db.statement',
  'db.operation.name',
  'db.operation',
  'db.collection.name',
  'db.sql.table',
  'db.mongodb.collection',
  'error.type',
] as const

type ReadAttribute = (typeof readAttributes)[number] | 'exception.type' | 'exception.message'

/** The first of these attributes that the span has, as text. */
export function attributeOf({ attributes }: Pick<Span, 'attributes'>, ...names: ReadAttribute[]): string | undefined {
  return textOf(attributes, names)
}

/** The first of these attributes that is there, as text. */
export function textOf(attributes: AttributeMap, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (value !== undefined && typeof value !== 'object' && value !== '') return String(value)
  }
  return undefined
}

/** `GET /users/:id`, `cart.Cart/AddItem`, or the span's name without numbers and ids. */
export function routeOf(span: Span): string {
  const route = attributeOf(span, 'http.route')
  const method = attributeOf(span, 'http.request.method', 'http.method')
  if (route !== undefined) return method === undefined ? route : `${method} ${route}`
  return procedureOf(span) ?? nameOf(span)
}

/** The 4xx that a server has answered. */
export function refusalOf(span: Span): string | undefined {
  const status = attributeOf(span, 'http.response.status_code', 'http.status_code')
  return span.kind === 'server' && status !== undefined && /^4\d\d$/.test(status) ? status : undefined
}

/** `cart.Cart/AddItem`: in the newest conventions the method has the service in it. */
function procedureOf(span: Span): string | undefined {
  const service = attributeOf(span, 'rpc.service')
  const method = attributeOf(span, 'rpc.method')
  if (method === undefined) return undefined
  if (service !== undefined) return `${service}/${method}`
  return method.includes('/') ? method : undefined
}

function isMethodAlone(name: string, method: string): boolean {
  return name === method || name === `HTTP ${method}` || name === 'HTTP'
}

/** Of the URL, without what is asked for behind it. */
function pathOf(span: Span): string | undefined {
  const path = attributeOf(span, 'url.path', 'http.target')
  if (path !== undefined) return path.split(/[?#]/, 1)[0]
  return URL.parse(attributeOf(span, 'url.full', 'http.url') ?? '')?.pathname
}

/**
 * The span's name without numbers and ids. That of a client, and of a server without a framework's instrumentation, is
 * the method alone, which says nothing: they have the path, and clients the host.
 */
export function nameOf(span: Span): string {
  const method = attributeOf(span, 'http.request.method', 'http.method')
  if (method === undefined || !isMethodAlone(span.name, method)) return withoutVariables(span.name)
  if (span.kind === 'client') return calleeOf(span)
  const path = pathOf(span)
  return path === undefined ? withoutVariables(span.name) : withoutVariables(`${method} ${path}`)
}

export function isQuery(span: Span): boolean {
  if (attributeOf(span, 'db.system.name', 'db.system', 'db.query.text', 'db.statement') === undefined) return false
  // What takes a connection from a pool asks the database nothing.
  return statementAttribute(span) !== undefined || !/connect|pool/i.test(span.name)
}

function statementAttribute(span: Span): string | undefined {
  return attributeOf(span, 'db.query.text', 'db.statement', 'db.operation.name', 'db.operation')
}

/** The statement without its values; where the span has none, its operation and table, or its name. */
export function statementOf(span: Span): string {
  const text = attributeOf(span, 'db.query.text', 'db.statement')
  if (text !== undefined) return statementShape(text)
  const operation = attributeOf(span, 'db.operation.name', 'db.operation')
  const table = attributeOf(span, 'db.collection.name', 'db.sql.table', 'db.mongodb.collection')
  if (operation === undefined) return nameOf(span)
  return table === undefined ? operation : `${operation} ${table}`
}

/** A request that the span makes of another process, of HTTP or of a remote procedure, or a message that it sends. */
export function isCall(span: Span): boolean {
  if (isQuery(span)) return false
  const isMessage = attributeOf(span, 'messaging.system') !== undefined
  if (span.kind === 'producer') return isMessage
  if (span.kind !== 'client') return false
  const protocol = attributeOf(span, 'http.request.method', 'http.method', 'url.full', 'http.url')
  if (protocol !== undefined || attributeOf(span, 'rpc.system.name', 'rpc.system') !== undefined) return true
  // What asks for messages, or says that it has done its work, sends none.
  return isMessage && /^(?:send|publish|create)$/.test(messageOperationOf(span))
}

function messageOperationOf(span: Span): string {
  return attributeOf(span, 'messaging.operation.type', 'messaging.operation') ?? ''
}

/** `GET api.example.com/users/<n>`, `cart.Cart/AddItem`, `send mails` */
export function calleeOf(span: Span): string {
  const procedure = procedureOf(span)
  if (procedure !== undefined) return procedure
  const service = attributeOf(span, 'rpc.service')
  if (service !== undefined) return `${service}/`
  const destination = attributeOf(span, 'messaging.destination.name', 'messaging.destination')
  if (destination !== undefined) return withoutVariables(`${messageOperationOf(span) || 'send'} ${destination}`)
  const method = attributeOf(span, 'http.request.method', 'http.method') ?? ''
  const url = URL.parse(attributeOf(span, 'url.full', 'http.url') ?? '')
  const host = attributeOf(span, 'server.address', 'net.peer.name', 'peer.service') ?? url?.hostname ?? ''
  const path = attributeOf(span, 'url.template') ?? url?.pathname ?? attributeOf(span, 'http.target') ?? ''
  return host + path === '' ? withoutVariables(span.name) : withoutVariables(`${method} ${host}${path}`)
}
