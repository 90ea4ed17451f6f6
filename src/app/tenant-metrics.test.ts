import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tenantLabelsMax } from '#core/limits.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import type { Signal } from '#store/signal.ts'
import { openStore, StoreWorld } from '../../test/numbered-stores.ts'
import { driving, openMetrics } from '../../test/signal-worlds.ts'
import { boundedRows, otherTenants } from './tenant-metrics.ts'

function received(signal: Signal): Map<string, number> {
  return new Map(boundedRows(signal.tenantRows()).map(row => [row.tenant, row.received]))
}

test('no counter goes back when a tenant is deleted, whether it is shown by itself or not', async () => {
  const world = new StoreWorld()
  const engine = await openMetrics(world.clock, { ...world.options(), tenantsMax: 1000 })
  const send = (tenant: string): Promise<unknown> => {
    const builder = new BatchBuilder()
    builder.add(Labels.fromObject({ __name__: 'm' }), world.clock.nowMs(), 1)
    return driving(world.clock, engine.append(tenant, builder.batch))
  }
  const count = tenantLabelsMax + 5
  for (let i = 0; i < count; i++) await send(`t${i}`)
  assert.equal(received(engine).get(otherTenants), 5)
  assert.equal(received(engine).size, tenantLabelsMax + 1)
  for (const tenant of ['t0', `t${count - 1}`]) {
    await driving(world.clock, engine.deleteTenant(tenant))
    for (let i = 0; i < 20; i++) await driving(world.clock, engine.maintain())
    assert.ok(engine.tenantDeletion(tenant)?.finishedMs !== undefined)
    assert.equal(received(engine).get(otherTenants), 5, `${tenant} was deleted`)
    assert.ok(!received(engine).has(tenant))
  }
  // A place among those that are shown is for one that comes then.
  await send('new')
  assert.equal(received(engine).get('new'), 1)
  assert.equal(received(engine).get(otherTenants), 5)
})

test('tenants of which there are blocks alone are shown where there is room', async () => {
  const world = new StoreWorld()
  const before = await openStore.metrics(world)
  for (const [i, tenant] of ['a', 'b', 'c'].entries()) await driving(world.clock, before.send([{ n: i }], tenant))
  await driving(world.clock, before.signal.flush())
  const { signal, send } = await openStore.metrics(world)
  await driving(world.clock, send([{ n: 9 }], 'c'))
  const rows = boundedRows(signal.tenantRows(), 2)
  assert.deepEqual(
    rows.map(({ tenant, blocks, received: samples }) => [tenant, blocks, samples]),
    [
      ['c', 1, 1],
      ['a', 1, 0],
      [otherTenants, 1, 0],
    ],
  )
})
