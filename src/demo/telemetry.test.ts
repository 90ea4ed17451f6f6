/** The shop of the demo: the same for the same seed, and as well-formed as what real services send. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { platformLines } from './platform-lines.ts'
import { Shop } from './shop.ts'
import { badVersion, goodVersion, requestsPerSecond, Story } from './story.ts'
import { Telemetry, type DemoBodies } from './telemetry.ts'
import type { DemoSpan, DemoTrace } from './trace-builder.ts'

const deployMs = Date.parse('2026-03-02T12:00:00Z')
const deploySecond = deployMs / 1000
const minute = 60
const shopOf = (seed: number): Shop => new Shop(seed, new Story(deployMs), deployMs - 3_600_000)
const telemetryOf = (seed: number): Telemetry => new Telemetry(shopOf(seed))
const tracesOf = (shop: Shop, from: number, to: number): DemoTrace[] =>
  Array.from({ length: to - from }, (_, i) => shop.requestsOf(from + i)).flat()

test('the same seed gives the same telemetry, however it is cut into pieces; another one gives another', () => {
  const from = deploySecond - minute
  const whole = JSON.stringify(telemetryOf(7).between(from, from + 90, 1))
  assert.equal(JSON.stringify(telemetryOf(7).between(from, from + 90, 1)), whole)
  assert.notEqual(JSON.stringify(telemetryOf(8).between(from, from + 90, 1)), whole)
  const cut = telemetryOf(7)
  const pieces = [0, 13, 45, 90]
  const bodies = pieces.slice(1).map((end, i) => cut.between(from + pieces[i]!, from + end, 1))
  const spansOf = ({ traces }: DemoBodies): string[] =>
    [...JSON.stringify(traces).matchAll(/"spanId":"\w+"/g)].map(String)
  const all = spansOf(telemetryOf(7).between(from, from + 90, 1))
  assert.ok(all.length > 500)
  assert.deepEqual(bodies.flatMap(spansOf).sort(), all.sort())
  const last = (JSON.parse(whole) as DemoBodies).metrics as { resourceMetrics: object[] }
  const lastOfCut = bodies[2]!.metrics as { resourceMetrics: object[] }
  assert.deepEqual(JSON.parse(JSON.stringify(lastOfCut.resourceMetrics.at(-1))), last.resourceMetrics.at(-1))
})

test('spans have parents in their trace, lie within them, and ids are their own', () => {
  const ids = new Set<string>()
  let spans = 0
  for (const { traceId, spans: own } of tracesOf(shopOf(1), deploySecond - 300, deploySecond + 600)) {
    assert.match(traceId, /^[0-9a-f]{32}$/)
    assert.equal(ids.has(traceId), false)
    ids.add(traceId)
    assert.deepEqual(
      own.map(span => own.indexOf(span.parent as DemoSpan)).filter(at => at < 0),
      [-1],
      'one root',
    )
    for (const [i, span] of own.entries()) {
      spans++
      assert.match(span.spanId, /^[0-9a-f]{16}$/)
      assert.equal(ids.has(span.spanId), false)
      ids.add(span.spanId)
      assert.ok(span.endMs > span.startMs, span.name)
      const { parent } = span
      if (parent === undefined) continue
      assert.ok(own.indexOf(parent) < i)
      assert.ok(span.startMs >= parent.startMs && span.endMs <= parent.endMs, `${span.name} within ${parent.name}`)
      if (parent.pod.service !== span.pod.service) assert.deepEqual([parent.kind, span.kind], ['client', 'server'])
    }
    assert.ok(own[0]!.endMs - own[0]!.startMs < 3000)
  }
  assert.ok(spans > 10_000)
})

test('lines belong to spans of their trace, and the edge names traces that there are', () => {
  const shop = shopOf(2)
  const traces = tracesOf(shop, deploySecond, deploySecond + 120)
  const ids = new Set(traces.map(({ traceId }) => traceId))
  for (const { spans, logs } of traces) {
    assert.ok(logs.length > 0)
    for (const { span, timeMs } of logs) {
      assert.ok(spans.includes(span))
      assert.ok(timeMs >= span.startMs && timeMs <= spans[0]!.endMs)
    }
  }
  const { streams } = platformLines(shop, traces, deploySecond, deploySecond + 120)
  const edge = streams.find(({ stream }) => stream['app'] === 'edge')!.values
  assert.equal(edge.length, traces.length)
  for (const [, line] of edge) assert.ok(ids.has((JSON.parse(line) as { trace_id: string }).trace_id))
  for (const { values } of streams)
    assert.deepEqual(
      values.map(([time]) => time).sort(),
      values.map(([time]) => time),
    )
})

test('a failed charge has an exception, and fails all the way up', () => {
  const failed = tracesOf(shopOf(3), deploySecond, deploySecond + 300).filter(({ spans }) =>
    spans.some(({ exception }) => exception !== undefined),
  )
  assert.ok(failed.length > 20)
  for (const { spans, orders } of failed) {
    assert.equal(orders, 0)
    const charge = spans.find(({ exception }) => exception !== undefined)!
    assert.equal(charge.name, 'POST /charge')
    assert.match(charge.exception!.stack, /\n\tat shop\.payment\./)
    for (let span: DemoSpan | undefined = charge; span !== undefined; span = span.parent) assert.ok(span.hasFailed)
    assert.equal(spans[0]!.attributes['http.response.status_code'], 502)
  }
})

test('the story: a deploy every ten minutes, six minutes of it, each with a pod of its own', () => {
  const story = new Story(deployMs)
  const at = (minutes: number): string => story.paymentAt(deployMs + minutes * 60_000).version
  assert.deepEqual([-0.1, 0, 5.9, 6, 9.9, 10, 16].map(at), [
    goodVersion,
    badVersion,
    badVersion,
    goodVersion,
    goodVersion,
    badVersion,
    goodVersion,
  ])
  const shop = shopOf(1)
  const pods = [-1, 1, 7, 11, 17].map(minutes => shop.podsAt(deployMs + minutes * 60_000).payment.instance)
  assert.equal(new Set(pods).size, 5)
  const { streams } = platformLines(shop, [], deploySecond - 60, deploySecond + 660)
  const lines = streams.find(({ stream }) => stream['app'] === 'deployer')!.values.map(([, line]) => line)
  assert.deepEqual(
    lines.map(line => /event=\w+ service=payment from=\S+ to=\S+/.exec(line)?.[0]),
    [
      'event=deploy service=payment from=v1.4.1 to=v1.4.2',
      'event=rollback service=payment from=v1.4.2 to=v1.4.1',
      'event=deploy service=payment from=v1.4.1 to=v1.4.2',
    ],
  )
})

test('load is highest in the afternoon and lowest at night', () => {
  const hour = (h: number): number => requestsPerSecond(Date.parse('2026-03-02T00:00:00Z') + h * 3_600_000)
  assert.ok(hour(15) > 1.7 * hour(3))
  for (let h = 0; h < 24; h++) assert.ok(hour(h) > 2 && hour(h) < 7)
})

test('of the history a part of the traces is kept, every failed one, and metrics count them all', () => {
  const from = deploySecond
  const all = JSON.stringify(telemetryOf(4).between(from, from + 300, 1))
  const part = JSON.stringify(telemetryOf(4).between(from, from + 300, 10))
  const roots = (text: string): number => [...text.matchAll(/"template.name"/g)].length
  const exceptions = (text: string): number => [...text.matchAll(/"name":"exception"/g)].length
  assert.ok(roots(part) > 0 && roots(part) < roots(all) / 4)
  assert.equal(exceptions(part), exceptions(all))
  const counts = (text: string): string =>
    JSON.stringify((JSON.parse(text) as DemoBodies).metrics).replaceAll(/,"exemplars":\[[^\]]*\]/g, '')
  assert.equal(counts(part), counts(all))
})
