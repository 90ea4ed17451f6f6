/** What a thread without heads remembers of tenants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { metricsView } from '../../test/distant-views.ts'
import { driving, makeWorld, openMetrics } from '../../test/signal-worlds.ts'

test('however many tenants are asked for, those that have no blocks are not remembered', async () => {
  const world = makeWorld(1_700_000_000_000)
  const engine = await openMetrics(world.clock, world)
  const builder = new BatchBuilder()
  builder.add(Labels.fromObject({ __name__: 'a' }), world.clock.nowMs(), 1)
  await driving(world.clock, engine.append('known', builder.batch))
  await driving(world.clock, engine.flush())
  const view = metricsView(engine.door(), world)
  const found = async (tenant: string): Promise<number> =>
    (await driving(world.clock, view.reader(tenant).series([], -Infinity, Infinity))).length
  assert.equal(await found('known'), 1)
  const early = view.reader('early')
  for (let i = 0; i < 5000; i++) view.reader(`none ${i}`)
  assert.ok(view.tenantCount <= 1000, String(view.tenantCount))
  assert.deepEqual([await found('known'), await found('none 7')], [1, 0])
  assert.deepEqual(await driving(world.clock, early.series([], -Infinity, Infinity)), [])
})
