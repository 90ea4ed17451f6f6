/** Both halves of a call with one id, as Zipkin's instrumentations send them: two spans, one below the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

interface ShownSpan {
  name: string
  spanId: string
  parentSpanId?: string
}
interface Shown {
  batches: { scopeSpans: { spans: ShownSpan[] }[] }[]
}
type Call = [name: string, kind: string, service: string, id: string, parent: string, isShared?: boolean]

const calls: Call[] = [
  ['in', 'SERVER', 'front', '5a', ''],
  ['call', 'CLIENT', 'front', 'a1', '5a'],
  ['serve', 'SERVER', 'back', 'a1', '5a', true],
  ['db', 'CLIENT', 'back', 'a2', 'a1'],
  ['own', '', 'front', 'a3', 'a1'],
]
const parents = { in: '', call: 'in', serve: 'call', db: 'serve', own: 'call' }
const nowUs = (Date.now() - 30_000) * 1000

async function post(run: Running, path: string, body: object): Promise<void> {
  const reply = await fetch(`${run.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.ok(reply.ok, `${reply.status} ${await reply.text()}`)
}

function zipkin(traceId: string, list: readonly Call[]): object[] {
  return list.map(([name, kind, serviceName, id, parentId, shared], i) => ({
    traceId,
    id: id.padStart(16, '0'),
    ...(parentId === '' ? {} : { parentId: parentId.padStart(16, '0') }),
    name,
    ...(kind === '' ? {} : { kind }),
    ...(shared === true ? { shared } : {}),
    timestamp: nowUs + i * 1000,
    duration: 500,
    localEndpoint: { serviceName },
  }))
}

function otlp(traceId: string, list: readonly Call[]): object {
  return {
    resourceSpans: list.map(([name, kind, service, id, parentId]) => ({
      resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId: traceId.padStart(32, '0'),
              spanId: id.padStart(16, '0'),
              parentSpanId: parentId === '' ? '' : parentId.padStart(16, '0'),
              name,
              kind: { SERVER: 2, CLIENT: 3 }[kind] ?? 1,
              startTimeUnixNano: `${nowUs}000`,
              endTimeUnixNano: `${nowUs + 500}000`,
            },
          ],
        },
      ],
    })),
  }
}

/** Names of the parents by name of the span; every span has an id of its own. */
function treeOf(spans: readonly ShownSpan[]): Record<string, string> {
  assert.equal(new Set(spans.map(s => s.spanId)).size, spans.length, JSON.stringify(spans))
  const nameOf = new Map(spans.map(s => [s.spanId, s.name]))
  return Object.fromEntries(spans.map(s => [s.name, nameOf.get(s.parentSpanId ?? '') ?? '']))
}

async function checkShown(run: Running, trace: string, about: string): Promise<void> {
  for (const version of ['/api/traces', '/api/v2/traces']) {
    const body = (await (await fetch(`${run.url}${version}/${trace}`)).json()) as Shown & {
      trace?: { resourceSpans: Shown['batches'] }
    }
    const spans = (body.trace?.resourceSpans ?? body.batches).flatMap(b => b.scopeSpans.flatMap(s => s.spans))
    assert.deepEqual(treeOf(spans), parents, `${about}, ${version}`)
  }
  const jaeger = (await (await fetch(`${run.url}/select/jaeger/api/traces/${trace}`)).json()) as {
    data: { spans: { spanID: string; operationName: string; references: { spanID: string }[] }[] }[]
  }
  const spans = jaeger.data[0]!.spans.map(s => ({
    name: s.operationName,
    spanId: s.spanID,
    parentSpanId: s.references[0]?.spanID ?? '',
  }))
  assert.deepEqual(treeOf(spans), parents, `${about}, Jaeger`)
}

async function checkStructure(run: Running, trace: string, about: string): Promise<void> {
  for (const q of ['{ name = "in" } > { name = "call" }', '{ name = "call" } > { name = "serve" }'].concat(
    ['{ name = "serve" } > { name = "db" }', '{ name = "in" } >> { name = "db" }'],
    ['{ name = "call" } > { name = "own" }', '{ name = "serve" } !> { name = "own" }'],
  )) {
    const own = q.replaceAll('}', `&& trace:id = "${trace}" }`)
    const reply = await fetch(`${run.url}/api/search?${new URLSearchParams({ q: own }).toString()}`)
    const { traces } = (await reply.json()) as { traces: object[] }
    assert.equal(traces.length, 1, `${about}: ${q}`)
  }
}

test('halves of a call that share an id, in whatever requests they come', async t => {
  const run = await runTercet([])
  t.after(() => run.stop())
  const orders = { together: [calls], apart: calls.map(c => [c]), backwards: calls.toReversed().map(c => [c]) }
  for (const [about, order] of Object.entries(orders)) {
    const trace = `f${Object.keys(orders).indexOf(about)}`
    for (const list of order) await post(run, '/api/v2/spans', zipkin(trace, list))
    await checkShown(run, trace, about)
    await checkStructure(run, trace, about)
  }
  for (const split of [1, 2, 3, 4]) {
    const [early, late] = [calls.slice(0, split), calls.slice(split)]
    for (const [n, [first, second]] of [[early, late] as const, [late, early] as const].entries()) {
      const trace = `e${split}${n}`
      const about = `${first.map(c => c[0]).join(' ')} in a block`
      await post(run, '/api/v2/spans', zipkin(trace, first))
      await run.tercet.flush()
      await post(run, '/api/v2/spans', zipkin(trace, second))
      await checkShown(run, trace, about)
      await checkStructure(run, trace, about)
    }
  }
  await run.tercet.flush()
  for (const [i, about] of Object.keys(orders).entries()) {
    await checkShown(run, `f${i}`, `${about}, in a block`)
    await checkStructure(run, `f${i}`, `${about}, in a block`)
  }
  for (const split of [1, 2, 3, 4]) await checkShown(run, `e${split}0`, `in two blocks from ${split} on`)
})

test('halves of a call that share an id and come as OTLP have ids of their own where a trace is shown', async t => {
  const run = await runTercet([])
  t.after(() => run.stop())
  await post(run, '/v1/traces', otlp('0a', calls))
  await checkShown(run, 'a', 'in memory')
  for (const one of calls.toReversed()) await post(run, '/v1/traces', otlp('0b', [one]))
  await checkShown(run, 'b', 'apart')
  await run.tercet.flush()
  await checkShown(run, 'a', 'in a block')
  // The server's half is sent again: it is still one span.
  await post(run, '/v1/traces', otlp('0a', calls.slice(2, 3)))
  await checkShown(run, 'a', 'in a block, and once more in memory')
})

test('the service graph has an edge for each call, whichever half comes first, also over a flush', async t => {
  const run = await runTercet(['metrics.scrape_interval=100ms'])
  t.after(() => run.stop())
  const sinceUs = Date.now() * 1000 - nowUs
  const now = (trace: string, one: Call): object[] =>
    zipkin(trace, [one]).map(span => ({ ...span, timestamp: nowUs + sinceUs }))
  for (const [i, order] of [calls, calls.toReversed()].entries()) {
    for (const one of order.filter(c => c[0] === 'call' || c[0] === 'serve')) {
      await post(run, '/api/v2/spans', now(`d${i}`, one))
      await run.tercet.flush()
    }
  }
  const dependencies = async (): Promise<string[]> => {
    const params = new URLSearchParams({ endTs: String(Date.now()), lookback: '3600000' }).toString()
    const reply = await fetch(`${run.url}/select/jaeger/api/dependencies?${params}`)
    const { data } = (await reply.json()) as { data: { parent: string; child: string; callCount: number }[] }
    return data.map(d => `${d.parent} ${d.child} ${d.callCount}`)
  }
  await untilTrue(async () => (await dependencies()).includes('front back 2'), 'two calls', 10)
})
