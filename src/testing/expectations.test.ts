/** Expectations hold where they should, and fail with the telemetry where they should not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTercet, type Tercet } from '#library/instance.ts'
import { expectTelemetry } from './expectations.ts'
import { TelemetryAssertionError } from './failure.ts'

const startAt = '2026-01-01T00:00:00Z'
const traceId = (n: number): string => String(n).padStart(32, '0')
const spanId = (n: number): string => String(n).padStart(16, '0')

/** A request with so many queries of its database. */
async function addRequest(tercet: Tercet, n: number, queries: number): Promise<void> {
  const at = { traceId: traceId(n), service: 'shop' }
  await tercet.addSpans([
    { ...at, name: 'GET /cart', spanId: spanId(1), durationMs: 50, kind: 'server' },
    ...Array.from({ length: queries }, (_, i) => ({
      ...at,
      name: 'SELECT',
      spanId: spanId(i + 2),
      parentId: spanId(1),
      durationMs: 2,
      kind: 'client' as const,
      attributes: { 'db.system': 'postgresql', 'db.query.text': 'SELECT * FROM items WHERE id = ?' },
    })),
  ])
}

async function failureOf(work: Promise<void>): Promise<TelemetryAssertionError> {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof TelemetryAssertionError, String(error))
    return error
  }
  throw new Error('the expectation held')
}

test('metrics: values, bounds, absence, how many series', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await tercet.addMetrics([
    { name: 'http_requests_total', labels: { code: '200' }, value: 12 },
    { name: 'http_requests_total', labels: { code: '500' }, value: 3 },
  ])
  const expect = expectTelemetry(tercet)
  await expect.metric('http_requests_total{code="200"}').toBe(12)
  await expect.metric('http_requests_total').toBe({ atLeast: 3, atMost: 12 })
  await expect.metric('http_requests_total{code="404"}').toBeOrAbsent(0)
  await expect.metric('http_requests_total').toHaveSeries({ atMost: 2 })
  await expect.metric('http_requests_total').toExist()
  await expect.metric('nothing').toBeAbsent()
  const wrong = await failureOf(expect.metric('http_requests_total{code="500"}').toBe(0))
  assert.equal(
    wrong.message,
    'http_requests_total{code="500"}: expected 0, found 3\n' +
      '  http_requests_total{code="500"} 3 @2026-01-01T00:00:00.000Z',
  )
  assert.deepEqual([wrong.actual, wrong.expected], [3, 0])
  assert.match((await failureOf(expect.metric('nothing').toBe(0))).message, /expected 0, found no series/)
  assert.match(
    (await failureOf(expect.metric('rate(http_request_total[5m])').toExist())).message,
    /found none\n {2}no metric has the name http_request_total; the nearest of 1: http_requests_total/,
  )
  assert.match(
    (await failureOf(expect.metric('http_requests_total{code="404"}').toExist())).message,
    /series of http_requests_total:\n {2}\{"code":"200"\}\n {2}\{"code":"500"\}/,
  )
  assert.match((await failureOf(expect.metric('nothing').toBeOrAbsent(1))).message, /found no series/)
  assert.match((await failureOf(expect.metric('http_requests_total').toHaveSeries(1))).message, /found 2/)
  assert.match((await failureOf(expect.metric('http_requests_total').toBeAbsent())).message, /code="500"/)
})

test('traces: a loop of queries is found, and shown with its request', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await addRequest(tercet, 1, 3)
  await addRequest(tercet, 2, 3)
  const expect = expectTelemetry(tercet)
  const queries = '{ span.db.system = "postgresql" }'
  await expect.traces(queries).toHaveSpansPerTrace({ atMost: 3 })
  await expect.traces(queries).toHaveSpans(6)
  await expect.traces(queries).toHaveTraces(2)
  await expect.traces('{ status = error }').toBeEmpty()
  await addRequest(tercet, 3, 20)
  const { message } = await failureOf(expect.traces(queries).toHaveSpansPerTrace({ atMost: 3 }))
  assert.match(message, /expected at most 3 spans in each trace, found 20\n {2}trace 0{31}3\n/)
  assert.match(message, /\n {4}shop: GET \/cart {2}50\.00 ms\n/)
  assert.match(message, /\* shop: SELECT {2}2\.00 ms {2}db\.system="postgresql"/)
  assert.ok(!message.includes(traceId(1)), 'traces that are as expected are not shown')
  await failureOf(expect.traces(queries).toHaveSpans({ atMost: 6 }))
  assert.match(
    (await failureOf(expect.traces('{ name = "gone" }').toHaveTraces({ atLeast: 1 }))).message,
    /found 0\n {2}traces that have arrived:\n {2}3 × shop: GET \/cart$/,
  )
})

test('requests: their queries, failures and durations; a route without requests fails', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await addRequest(tercet, 1, 3)
  await addRequest(tercet, 2, 3)
  const expect = expectTelemetry(tercet)
  const cart = expect.requests('GET /cart')
  await cart.toMakeQueries({ atMost: 3 })
  await cart.toMakeCalls(0)
  await cart.toSucceed()
  await cart.toTake({ atMost: '50ms' })
  await addRequest(tercet, 3, 20)
  const { message } = await failureOf(cart.toMakeQueries({ atMost: 3 }))
  assert.match(message, /expected at most 3 queries a request, found 20; 20 × SELECT \* FROM items WHERE id = \?\n/)
  assert.match(message, /\* shop: GET \/cart {2}50\.00 ms/)
  const slow = await failureOf(cart.toTake({ atMost: 49, share: 0.5 }))
  assert.match(slow.message, /expected 50 % of 3 requests to take at most 49 ms, found 50 ms/)
  await tercet.addSpans([
    { name: 'GET /cart', service: 'shop', traceId: traceId(4), spanId: spanId(1), kind: 'server', status: 'error' },
  ])
  assert.match((await failureOf(cart.toSucceed())).message, /found 1 of 4\n {2}trace 0{31}4/)
  assert.match(
    (await failureOf(expect.requests('GET /basket').toSucceed())).message,
    /requests of GET \/basket: found none\n {2}traces that have arrived:\n {2}4 × shop: GET \/cart$/,
  )
})

test('requests: a failure that nobody has set a status for, and messages that are sent', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  const common = { service: 'shop', traceId: traceId(1) }
  const attributes = { 'http.request.method': 'GET', 'http.route': '/pay', 'http.response.status_code': 503 }
  const messaging = { 'messaging.system': 'kafka', 'messaging.destination.name': 'mails' }
  await tercet.addSpans([
    { ...common, name: 'GET /pay', spanId: spanId(1), kind: 'server', attributes },
    ...[2, 3].map(n => ({
      ...common,
      name: 'send mails',
      spanId: spanId(n),
      parentId: spanId(1),
      kind: 'producer' as const,
      attributes: messaging,
    })),
  ])
  const pay = expectTelemetry(tercet).requests('GET /pay')
  assert.match((await failureOf(pay.toSucceed())).message, /expected no failed request, found 1 of 1/)
  assert.match((await failureOf(pay.toMakeCalls({ atMost: 1 }))).message, /found 2; 2 × send mails/)
})

test('a bound that is none is refused, where it would always hold', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await addRequest(tercet, 1, 3)
  const expect = expectTelemetry(tercet)
  for (const bound of [{}, { atMost: NaN }, { atMost: undefined }, undefined, null, '3'] as unknown as {
    atMost: number
  }[]) {
    const works = [
      expect.metric('up').toBe(bound),
      expect.metric('up').toBeOrAbsent(bound),
      expect.metric('up').toHaveSeries(bound),
      expect.logs('{app="shop"}').toHaveLines(bound),
      expect.traces('{ }').toHaveSpansPerTrace(bound),
      expect.requests('GET /cart').toMakeQueries(bound),
    ]
    for (const work of works) await assert.rejects(work, /an expectation needs a number, atMost or atLeast/)
  }
  for (const share of [0, 90, NaN])
    await assert.rejects(expect.requests('GET /cart').toTake({ atMost: 1, share }), /is not between 0 and 1/)
})

test('logs: how many streams', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await tercet.addLogs([0, 1, 2, 2].map(user => ({ labels: { app: 'shop', user: String(user) }, line: 'hello' })))
  const logs = expectTelemetry(tercet).logs('{app="shop"}')
  await logs.toHaveStreams(3)
  assert.match((await failureOf(logs.toHaveStreams({ atMost: 1 }))).message, /expected at most 1 streams, found 3\n/)
})

test('logs: a line that should not be there is shown', async () => {
  await using tercet = await startTercet({ http: false, time: { startAt } })
  await tercet.addLogs([{ labels: { app: 'shop' }, line: 'panic: no stock' }])
  const expect = expectTelemetry(tercet)
  await expect.logs('{app="shop"} |= "fatal"').toBeEmpty()
  await expect.logs('{app="shop"}').toHaveLines(1)
  const { message } = await failureOf(expect.logs('{app="shop"} |= "panic"').toBeEmpty())
  assert.match(message, /expected 0 lines, found 1\n {2}2026-01-01T00:00:00\.000Z \{app="shop".*\} panic: no stock/)
  await failureOf(expect.logs('{app="shop"}').toHaveLines({ atLeast: 2 }))
  assert.match(
    (await failureOf(expect.logs('{app="cart"}').toHaveLines(1))).message,
    /found 0\n {2}the newest lines that have arrived:\n {2}.* panic: no stock$/,
  )
})

test('alerts: their state, and rules that fail', async () => {
  const rules = `groups: [{ name: g, interval: 30s, rules: [
    { alert: Down, expr: 'up == 0', for: 5m }, { alert: Broken, expr: 'a + on () b' } ] }]`
  await using tercet = await startTercet({ http: false, time: { startAt }, rules })
  const expect = expectTelemetry(tercet)
  await expect.alert('Down').toBeInactive()
  const down = async (minutes: number): Promise<void> => {
    for (let i = 0; i < minutes; i++) {
      await tercet.addMetrics([{ name: 'up', value: 0 }])
      await tercet.clock.advance('1m')
    }
  }
  await down(2)
  await expect.alert('Down').toBePending()
  assert.match((await failureOf(expect.alert('Down').toBeFiring())).message, /found pending\n.*\n {2}rule: up == 0/)
  await down(5)
  await expect.alert('Down').toBeFiring()
  await failureOf(expect.alert('Down').toBeInactive())
  assert.match((await failureOf(expect.alert('Dwon').toBeInactive())).message, /no rule has this name/)
  await tercet.addMetrics(['a', 'b'].flatMap(name => ['1', '2'].map(x => ({ name, labels: { x }, value: 1 }))))
  await tercet.clock.advance('1m')
  assert.match((await failureOf(expect.alert('Broken').toBeInactive())).message, /the rule fails: .*matching/)
})

test('a misspelt bound or option fails, and does not hold for everything', async () => {
  await using tercet = await startTercet({ http: false })
  await tercet.addMetrics([{ name: 'a', value: 1 }])
  await tercet.addLogs([{ labels: { app: 'a' }, line: 'a' }])
  const expect = expectTelemetry(tercet)
  const bound = { atleast: 5 } as never
  const said = /a bound has no "atleast"; the nearest is "atLeast"/
  await assert.rejects(expect.metric('a').toBe(bound), said)
  await assert.rejects(expect.metric('a').toHaveSeries(bound), said)
  await assert.rejects(expect.logs('{app="a"}').toHaveLines(bound), said)
  await assert.rejects(expect.traces('{}').toHaveTraces(bound), said)
  await assert.rejects(expect.logs('{app="a"}').toHaveLines({}), /needs a number, atMost or atLeast/)
  await assert.rejects(expect.requests('GET /').toTake({ atmost: '1s' } as never), /toTake has no "atmost"/)
  assert.throws(() => expectTelemetry(tercet, { wihtin: '5s' } as never), /expectTelemetry has no "wihtin"/)
})

test('what arrives late is waited for, and no longer than was asked', async () => {
  await using tercet = await startTercet({ http: false })
  const expect = expectTelemetry(tercet, { within: '20s' })
  const added = new Promise<void>((resolve, reject) => {
    setImmediate(() => {
      tercet.addMetrics([{ name: 'late', value: 1 }]).then(resolve, reject)
    })
  })
  await expect.metric('late').toBe(1)
  await added
  await failureOf(expectTelemetry(tercet, { within: 1 }).metric('never').toExist())
})
