/** What a thread without heads remembers of tenants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeOtlpTraces } from '#wire/otlp/traces.ts'
import { SpanLoad } from '../../bench/outage-load.ts'
import { tracesView } from '../distant-views.ts'
import { driving, makeWorld, openTraces } from '../signal-worlds.ts'
import { defaultDedicated, layoutOf } from '#traces/schema.ts'

const layout = layoutOf('vParquet5', defaultDedicated)

test('however many tenants are asked for, those that have no spans in memory are not remembered', async () => {
  const world = makeWorld(1_700_000_000_000)
  const { clock } = world
  const engine = await openTraces(clock, world)
  const [first] = new SpanLoad(20_000, 1000).messages(clock.nowMs())
  const trace = decodeOtlpTraces(first!.message, true)
  await driving(clock, engine.append('known', trace, first!.message))
  const view = tracesView(engine.door(), layout, { clock, bucket: engine.served, files: world.files })
  const found = async (tenant: string): Promise<number> =>
    (await driving(clock, view.reader(tenant).select(-Infinity, Infinity))).length
  assert.equal(await found('known'), 1)
  const early = view.reader('early')
  for (let i = 0; i < 5000; i++) view.reader(`none ${i}`)
  assert.ok(view.tenantCount <= 1000, String(view.tenantCount))
  assert.deepEqual([await found('known'), await found('none 7')], [1, 0])
  assert.deepEqual(await driving(clock, early.select(-Infinity, Infinity)), [])
})
