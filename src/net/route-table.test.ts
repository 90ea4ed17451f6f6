/** Routes as data: prefixes, owners, and the reply to each kind of error. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError, errorKinds, UnavailableError } from '#core/errors.ts'
import { known } from './access.ts'
import { ask, errorOfEachKind, repliesByKind, requestOf } from './handler-kit.ts'
import {
  allowing,
  answering,
  at,
  inDialect,
  replyTo,
  route,
  RouteTable,
  under,
  whenReady,
  type ByErrorKind,
  type Handler,
} from './route-table.ts'

const ok: Handler = () => Promise.resolve({ status: 200, body: 'ok' })
const failing: Handler = () => Promise.reject(new BadDataError('no'))
const shown = (routes: readonly { methods: readonly string[]; path: string }[]): string[] =>
  routes.map(({ methods, path }) => `${methods.join(',')} ${path}`)

/** Each kind is answered by its own name. */
const names: ByErrorKind<string> = {
  'bad-data': () => 'bad-data',
  'bad-query': ({ from, to }) => `bad-query at ${from} to ${to}`,
  canceled: () => 'canceled',
  conflict: () => 'conflict',
  'corrupt-data': () => 'corrupt-data',
  evaluation: () => 'evaluation',
  execution: () => 'execution',
  forbidden: () => 'forbidden',
  limit: ({ status }) => `limit ${status}`,
  'not-found': () => 'not-found',
  timeout: () => 'timeout',
  unauthorized: () => 'unauthorized',
  unavailable: ({ retryAfterSeconds }) => `unavailable for ${retryAfterSeconds} s`,
  unknown: error => `unknown: ${String(error)}`,
}
// Every kind has its entry: TypeScript can't know it of entries.
const replies = Object.fromEntries(
  [...errorKinds, 'unknown'].map(kind => [
    kind,
    (error: Error) => ({ status: 400, body: `${kind}: ${error.message}` }),
  ]),
) as unknown as ByErrorKind<{ status: number; body: string }>

test('every route stands once below each prefix, and the root is a prefix', () => {
  const routes = [route(['GET', 'POST'], '/query', ok), route(['GET'], '/labels', ok)]
  assert.deepEqual(shown(under(['', '/prometheus'], routes)), [
    'GET,POST /query',
    'GET /labels',
    'GET,POST /prometheus/query',
    'GET /prometheus/labels',
  ])
  assert.deepEqual(shown(under(['/a', '/b'], under(['/x'], routes.slice(1)))), ['GET /a/x/labels', 'GET /b/x/labels'])
  assert.deepEqual(under([], routes), [])
  assert.deepEqual(shown(at(['PUT'], ['/one', '/two'], ok)), ['PUT /one', 'PUT /two'])
})

test('a method and path that two owners claim is refused, with both names', () => {
  const table = new RouteTable()
  table.add('metrics', allowing(known, [route(['GET', 'POST'], '/query', ok)]))
  table.add('logs', allowing(known, [route(['PUT'], '/query', ok), route(['GET'], '/tail', ok)]))
  assert.throws(() => {
    table.add('traces', allowing(known, [route(['POST'], '/query', ok)]))
  }, /^Error: POST \/query belongs to metrics and to traces$/)
  assert.throws(() => {
    table.add('logs', allowing(known, [route(['GET'], '/tail', ok)]))
  }, /GET \/tail belongs to logs and to logs/)
  assert.deepEqual(shown(table.routes), ['GET,POST /query', 'PUT /query', 'GET /tail'])
})

test('an error gets the reply of its kind, a subclass that of its parent, anything else that of unknown', () => {
  class Special extends BadDataError {}
  const cases: [error: unknown, reply: string][] = [
    [errorOfEachKind['bad-data'], 'bad-data'],
    [new Special('x'), 'bad-data'],
    [errorOfEachKind['bad-query'], 'bad-query at 0 to 1'],
    [errorOfEachKind.canceled, 'canceled'],
    [errorOfEachKind.conflict, 'conflict'],
    [errorOfEachKind['corrupt-data'], 'corrupt-data'],
    [errorOfEachKind.evaluation, 'evaluation'],
    [errorOfEachKind.execution, 'execution'],
    [errorOfEachKind['limit 429'], 'limit 429'],
    [errorOfEachKind['not-found'], 'not-found'],
    [errorOfEachKind.timeout, 'timeout'],
    [errorOfEachKind.unauthorized, 'unauthorized'],
    [errorOfEachKind.unavailable, 'unavailable for 7 s'],
    [new TypeError('a bug'), 'unknown: TypeError: a bug'],
    [Object.assign(new Error('foreign'), { kind: 'of another library' }), 'unknown: Error: foreign'],
    [{ kind: 'timeout' }, 'unknown: [object Object]'],
    ['text', 'unknown: text'],
    [undefined, 'unknown: undefined'],
  ]
  for (const [error, reply] of cases) assert.equal(replyTo(error, names), reply)
  assert.deepEqual(
    errorKinds.filter(kind => !(kind in errorOfEachKind)),
    [],
  )
})

test('handlers of a dialect answer what they throw, and hand on what they reply', async () => {
  assert.deepEqual(await ask(answering(replies, failing)), { status: 400, headers: {}, body: 'bad-data: no' })
  const [first, second] = inDialect(replies, [route(['GET'], '/a', ok), route(['GET'], '/b', failing)])
  assert.equal((await ask(first!.handler)).body, 'ok')
  assert.equal((await ask(second!.handler)).body, 'bad-data: no')
  assert.equal((await repliesByKind(replies)).length, errorKinds.length + 4)
})

test('until a store is open its routes throw UnavailableError, and none of its handlers runs', async () => {
  const store = { ready: false }
  let runs = 0
  const [guarded] = whenReady(store, [
    route(['GET'], '/a', () => {
      runs++
      return ok(requestOf())
    }),
  ])
  assert.equal((await ask(answering(replies, guarded!.handler))).body, 'unavailable: the process is starting')
  assert.throws(() => guarded!.handler(requestOf()), UnavailableError)
  assert.equal(runs, 0)
  store.ready = true
  assert.equal((await ask(guarded!.handler)).body, 'ok')
  assert.equal(runs, 1)
})
