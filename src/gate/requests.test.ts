/** Requests of traces: which spans are requests, what belongs to them, what counts as a query. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AttributeMap, Span, SpanKind } from '#library/results.ts'
import { requestsOf } from './requests.ts'

interface Given {
  id: string
  parent?: string
  name?: string
  kind?: SpanKind
  service?: string
  attributes?: AttributeMap
}

function traceOf(...given: Given[]): { traceId: string; spans: Span[] } {
  const spans = given.map(
    ({ id, parent = '', name = id, kind = 'internal', service = 'shop', attributes = {} }, i) => ({
      traceId: 't',
      spanId: id,
      parentId: parent,
      name,
      service,
      kind,
      status: 'unset' as const,
      statusMessage: '',
      startNs: BigInt(i) * 1_000_000n,
      durationNs: 5_000_000n,
      attributes,
      resource: {},
      events: [],
    }),
  )
  return { traceId: 't', spans }
}

const select = (id: number): AttributeMap => ({
  'db.system': 'postgresql',
  'db.statement': `SELECT * FROM items WHERE id = ${id}`,
})

test('a request has the queries below it, without their values, in both sets of conventions', () => {
  const [request] = requestsOf(
    traceOf(
      { id: 'a', kind: 'server', attributes: { 'http.request.method': 'GET', 'http.route': '/items/:id' } },
      { id: 'b', parent: 'a' },
      { id: 'c', parent: 'b', kind: 'client', attributes: select(1) },
      {
        id: 'd',
        parent: 'b',
        kind: 'client',
        attributes: { 'db.system.name': 'postgresql', 'db.query.text': "SELECT * FROM items WHERE id = 'x'" },
      },
    ),
  )
  assert.equal(request?.route, 'GET /items/:id')
  assert.deepEqual(request.queries, ['SELECT * FROM items WHERE id = ?', 'SELECT * FROM items WHERE id = ?'])
  assert.equal(request.durationMs, 5)
  assert.equal(request.spans.length, 4)
})

test('an ORM and its driver are one query, and a transaction is as many as are in it', () => {
  const [request] = requestsOf(
    traceOf(
      { id: 'a', kind: 'server', name: 'GET /x' },
      { id: 'orm', parent: 'a', attributes: select(1) },
      { id: 'between', parent: 'orm' },
      { id: 'driver', parent: 'between', kind: 'client', attributes: select(1) },
      { id: 'transaction', parent: 'a', attributes: { 'db.system': 'postgresql', 'db.operation': 'transaction' } },
      { id: 'q1', parent: 'transaction', kind: 'client', attributes: select(2) },
      { id: 'q2', parent: 'transaction', kind: 'client', attributes: select(3) },
      { id: 'pool', parent: 'a', name: 'pg-pool.connect', attributes: { 'db.system': 'postgresql' } },
    ),
  )
  assert.equal(request?.queries.length, 3)
})

test('each server of a trace has a request of its own, and calls are counted where they are made', () => {
  const requests = requestsOf(
    traceOf(
      { id: 'a', kind: 'server', name: 'GET /cart', service: 'web' },
      { id: 'b', parent: 'a', kind: 'client', service: 'web', attributes: { 'http.url': 'http://stock:80/items/17' } },
      { id: 'c', parent: 'b', kind: 'server', name: 'GET /items/17', service: 'stock' },
      { id: 'd', parent: 'c', kind: 'client', service: 'stock', attributes: select(1) },
    ),
  )
  assert.deepEqual(
    requests.map(({ service, route, queries, calls }) => [service, route, queries.length, calls]),
    [
      ['web', 'GET /cart', 0, ['stock/items/<n>']],
      ['stock', 'GET /items/<n>', 1, []],
    ],
  )
})

test('a root that is a job is a request, and one without its parent where there is no other; a client is none', () => {
  const routes = (...given: Given[]): string[] => requestsOf(traceOf(...given)).map(({ route }) => route)
  assert.deepEqual(routes({ id: 'nightly job' }), ['nightly job'])
  assert.deepEqual(routes({ id: 'GET', kind: 'client' }), [])
  assert.deepEqual(routes({ id: 'GET', kind: 'client' }, { id: 'x', kind: 'server', parent: 'GET' }), ['x'])
  assert.deepEqual(routes({ id: 'x', parent: 'gone' }), ['x'])
  assert.deepEqual(routes({ id: 'x', parent: 'gone', kind: 'client' }), [])
  assert.deepEqual(routes({ id: 'a', kind: 'server' }, { id: 'x', parent: 'gone' }), ['a'])
  assert.deepEqual(routes({ id: 'x', parent: 'gone', kind: 'server' }), ['x'])
  assert.deepEqual(routes({ id: 'x', parent: 'gone', kind: 'consumer' }), ['x'])
})

test('parents in a circle, and spans that are their own parents, end the walk', () => {
  assert.deepEqual(
    requestsOf(traceOf({ id: 'a', parent: 'b' }, { id: 'b', parent: 'a' }, { id: 'c', parent: 'c' })),
    [],
  )
})

test('of a client and a server with one id the server has what is below', () => {
  const [request] = requestsOf(
    traceOf(
      { id: 'a', kind: 'client', name: 'call' },
      { id: 'a', kind: 'server', name: 'GET /x', parent: 'root' },
      { id: 'b', parent: 'a', attributes: select(1) },
    ),
  )
  assert.deepEqual([request?.route, request?.queries.length], ['GET /x', 1])
})

test('100,000 spans below each other are one request', () => {
  const chain = Array.from({ length: 100_000 }, (_, i) => ({
    id: `s${i}`,
    ...(i === 0 ? {} : { parent: `s${i - 1}` }),
  }))
  const { traceId, spans } = traceOf(...chain.slice(0, 1))
  const all = chain.map(({ id, parent = '' }: Given) => ({ ...spans[0]!, spanId: id, parentId: parent }))
  const [request] = requestsOf({ traceId, spans: all.reverse() })
  assert.equal(request?.spans.length, 100_000)
})
