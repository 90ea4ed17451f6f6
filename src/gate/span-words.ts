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
  'url.template',
  'server.address',
  'net.peer.name',
  'peer.service',
  'rpc.system',
  'rpc.service',
  'rpc.method',
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
  const service = attributeOf(span, 'rpc.service')
  const procedure = attributeOf(span, 'rpc.method')
  if (service !== undefined && procedure !== undefined) return `${service}/${procedure}`
  return nameOf(span)
}

/** The span's name without numbers and ids. */
export function nameOf({ name }: Pick<Span, 'name'>): string {
  return withoutVariables(name)
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

/** A request that the span makes of another process, of HTTP or of a remote procedure. */
export function isCall(span: Span): boolean {
  if (span.kind !== 'client' || isQuery(span)) return false
  return attributeOf(span, 'http.request.method', 'http.method', 'url.full', 'http.url', 'rpc.system') !== undefined
}

/** `GET api.example.com/users/<n>` */
export function calleeOf(span: Span): string {
  const service = attributeOf(span, 'rpc.service')
  if (service !== undefined) return `${service}/${attributeOf(span, 'rpc.method') ?? ''}`
  const method = attributeOf(span, 'http.request.method', 'http.method') ?? ''
  const url = URL.parse(attributeOf(span, 'url.full', 'http.url') ?? '')
  const host = attributeOf(span, 'server.address', 'net.peer.name', 'peer.service') ?? url?.hostname ?? ''
  const path = attributeOf(span, 'url.template') ?? url?.pathname ?? attributeOf(span, 'http.target') ?? ''
  return host + path === '' ? nameOf(span) : withoutVariables(`${method} ${host}${path}`)
}

export interface Failure {
  /** Class of an exception, or `error.type`; empty where the span has none. */
  readonly type: string
  /** Without numbers and ids. */
  readonly message: string
}

/** Why a span with the status error failed. */
export function failureOf(span: Span): Failure {
  const exception = span.events.findLast(event => event.name === 'exception')?.attributes ?? {}
  const type = textOf(exception, ['exception.type']) ?? attributeOf(span, 'error.type', 'exception.type')
  const message =
    textOf(exception, ['exception.message']) ?? attributeOf(span, 'exception.message') ?? span.statusMessage
  const status = attributeOf(span, 'http.response.status_code', 'http.status_code')
  const fallback = message === '' && status !== undefined ? `status ${status}` : message
  const line = fallback.trimStart().split('\n', 1)[0] ?? ''
  // A status is what the failure is, not a number that varies.
  return { type: type ?? '', message: /^status \d+$/.test(line) ? line : withoutVariables(line) }
}
