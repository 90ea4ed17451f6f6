/** What Jaeger's own interface finds and counts: tags in the logs of spans, dependencies as whole numbers of calls. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

const attribute = (key: string, value: object): object => ({ key, value })
const text = (key: string, stringValue: string): object => attribute(key, { stringValue })

suite("Jaeger's API", () => {
  let run: Running
  const nowNs = BigInt(Date.now()) * 1_000_000n
  const span = (trace: string, id: string, parentSpanId: string, name: string, kind: number, more = {}): object => ({
    traceId: trace.padStart(32, '0'),
    spanId: id.padStart(16, '0'),
    parentSpanId: parentSpanId === '' ? '' : parentSpanId.padStart(16, '0'),
    name,
    kind,
    startTimeUnixNano: String(nowNs - 2_000_000n),
    endTimeUnixNano: String(nowNs),
    ...more,
  })
  const send = async (service: string | undefined, spans: object[], more: object[] = []): Promise<void> => {
    const attributes = [...(service === undefined ? [] : [text('service.name', service)]), ...more]
    const reply = await fetch(`${run.url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resourceSpans: [{ resource: { attributes }, scopeSpans: [{ spans }] }] }),
    })
    assert.deepEqual([reply.status, await reply.json()], [200, {}])
  }
  const ask = async <T>(path: string, params: Record<string, string> = {}): Promise<T> => {
    const reply = await fetch(`${run.url}/select/jaeger/api/${path}?${new URLSearchParams(params).toString()}`)
    assert.equal(reply.status, 200, JSON.stringify(params))
    return ((await reply.json()) as { data: T }).data
  }

  before(async () => {
    run = await runTercet(['metrics.scrape_interval=100ms'])
    const events = [
      {
        timeUnixNano: String(nowNs),
        name: 'exception',
        attributes: [
          text('exception.type', 'T'),
          attribute('n', { intValue: '5' }),
          attribute('fatal', { boolValue: true }),
          attribute('ratio', { doubleValue: 0.5 }),
        ],
      },
      { timeUnixNano: String(nowNs), name: 'retry', attributes: [text('exception.type', 'U')] },
    ]
    await send(
      'logged',
      [span('e1', 'a1', '', 'op', 1, { events, attributes: [text('http.method', 'GET')] })],
      [text('host', 'h1')],
    )
    await send('logged', [span('e2', 'a1', '', 'op', 1)], [text('host', 'h2')])
    for (const [client, server, trace] of [
      ['one', 'two', 'c1'],
      ['one', 'three', 'c2'],
      ['one', 'three', 'c3'],
    ] as const) {
      await send(client, [span(trace, 'a1', '', 'call', 3)])
      await send(server, [span(trace, 'a2', 'a1', 'serve', 2)])
    }
    // Neither half has an edge where one of them has no service.
    await send(undefined, [span('c4', 'a1', '', 'call', 3)])
    await send('four', [span('c4', 'a2', 'a1', 'serve', 2)])
    await send('one', [span('c5', 'a1', '', 'call', 3)])
    await send(undefined, [span('c5', 'a2', 'a1', 'serve', 2)])
  })
  after(() => run.stop())

  for (const from of ['memory', 'blocks'] as const)
    test(`tags lie in the span, its process or its logs, each in another place, from ${from}`, async () => {
      if (from === 'blocks') await run.tercet.flush()
      const cases: [tags: Record<string, string>, found: boolean][] = [
        [{ 'exception.type': 'T' }, true],
        [{ 'exception.type': 'U' }, true],
        [{ 'exception.type': 'V' }, false],
        [{ n: '5' }, true],
        [{ n: '6' }, false],
        [{ fatal: 'true' }, true],
        [{ ratio: '0.5' }, true],
        [{ event: 'exception' }, true],
        [{ event: 'retry' }, true],
        [{ event: 'other' }, false],
        [{ 'exception.type': 'T', 'http.method': 'GET', host: 'h1' }, true],
        [{ 'exception.type': 'T', 'http.method': 'PUT' }, false],
        [{ 'exception.type': 'T', host: 'h2' }, false],
        [{ 'exception.type': 'U', n: '5', event: 'retry' }, true],
      ]
      const time = { start: String(nowNs / 1000n - 60_000_000n), end: String(nowNs / 1000n + 60_000_000n), limit: '20' }
      for (const [tags, found] of cases) {
        const traces = await ask<{ traceID: string }[]>('traces', {
          service: 'logged',
          tags: JSON.stringify(tags),
          ...time,
        })
        assert.deepEqual(
          traces.map(t => t.traceID),
          found ? ['e1'.padStart(32, '0')] : [],
          JSON.stringify(tags),
        )
      }
    })

  test('dependencies are whole numbers of calls, between services that have names', async () => {
    const dependencies = (): Promise<{ parent: string; child: string; callCount: number }[]> =>
      ask('dependencies', { endTs: String(Date.now()), lookback: '3600000' })
    await untilTrue(async () => (await dependencies()).length >= 2, 'two dependencies', 10)
    const found = (await dependencies()).map(d => `${d.parent} ${d.child} ${d.callCount}`)
    assert.deepEqual(found.sort(), ['one three 2', 'one two 1'])
    assert.deepEqual((await ask<string[]>('services')).toSorted(), ['four', 'logged', 'one', 'three', 'two'])
  })
})
