/** Limits and retention of single tenants, in all three signals: they hold for that tenant alone, and may change. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LimitError } from '#core/errors.ts'
import { Overrides, type TenantOverrides } from '#core/overrides.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { openStore, StoreWorld, type NumberedItem, type NumberedStore } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const hourMs = 3_600_000
const minuteMs = 60_000
const tenants = ['a', 'ab', 'fake'] as const

function table(own: Record<string, TenantOverrides>, others: TenantOverrides = {}) {
  return { tenants: new Map(Object.entries(own)), others }
}

/** Blocks and chunks of a tenant in the bucket. */
function dataOf({ bucket }: StoreWorld, tenant: string): string[] {
  return [...bucket.objects.keys()].filter(key => key.startsWith(`${tenant}/`) && !key.includes('/tercet/'))
}

async function rounds({ clock }: StoreWorld, { signal }: NumberedStore, ms: number): Promise<void> {
  for (let i = 0; i < ms / (30 * minuteMs); i++) {
    await clock.advance(30 * minuteMs)
    await driving(clock, signal.maintain())
  }
}

for (const name of signals) {
  test(`${name}: each tenant has its own retention, which may change, and nobody else loses anything`, async () => {
    const world = new StoreWorld()
    const { clock } = world
    const overrides = new Overrides(table({ a: { retentionMs: { [name]: 24 * hourMs } } }))
    const store = await openStore[name](world, { retentionMs: 100 * hourMs, overrides })
    for (const tenant of tenants) await driving(clock, store.send([{ n: 1 }], tenant))
    await driving(clock, store.signal.flush())
    const first = new Map(tenants.map(tenant => [tenant, dataOf(world, tenant)]))
    const isThere = (tenant: (typeof tenants)[number]): boolean[] => {
      const now = new Set(dataOf(world, tenant))
      return [...new Set(first.get(tenant)!.map(key => now.has(key)))]
    }
    await rounds(world, store, 60 * hourMs)
    assert.deepEqual(tenants.map(isThere), [[false], [true], [true]])
    for (const tenant of tenants) await driving(clock, store.send([{ n: 2, group: 'b' }], tenant))
    await driving(clock, store.signal.flush())
    // Queries go by it at once.
    const shown = async (): Promise<number[][]> => {
      const found: number[][] = []
      for (const tenant of tenants) found.push(await driving(clock, store.shown(tenant)))
      return found
    }
    assert.deepEqual(await shown(), [[2], [1, 2], [1, 2]])
    // The other way round, with the other signals' retention beside it, which is nothing to this one.
    const otherSignal: SignalName = name === 'metrics' ? 'logs' : 'metrics'
    const ofOther = { [otherSignal]: hourMs }
    overrides.use(table({ ab: { retentionMs: { ...ofOther, [name]: 24 * hourMs } }, a: { retentionMs: ofOther } }))
    assert.deepEqual(await shown(), [[2], [2], [1, 2]])
    // The next round follows: what is due is no more listed, and leaves the bucket with what was given up before.
    await driving(clock, store.signal.maintain())
    if (name !== 'logs')
      assert.deepEqual(store.signal.blockList().filter(({ tenant }) => tenant === 'ab').length, 1, 'after one round')
    await rounds(world, store, 5 * hourMs)
    assert.deepEqual(tenants.map(isThere), [[false], [false], [true]])
    assert.deepEqual(await shown(), [[2], [2], [1, 2]])
    overrides.use(table({}, { retentionMs: { [name]: Infinity } }))
    await rounds(world, store, 60 * hourMs)
    assert.deepEqual(await shown(), [[2], [2], [1, 2]])
    await driving(clock, store.signal.close())
  })
}

const oneOf: Readonly<Record<SignalName, TenantOverrides>> = {
  metrics: { activeSeriesMax: 1 },
  logs: { logStreamsMax: 1 },
  traces: { liveTracesMax: 1 },
}

async function refusedOf({ clock }: StoreWorld, store: NumberedStore, item: NumberedItem, tenant: string) {
  try {
    return (await driving(clock, store.send([item], tenant))).refused
  } catch (error) {
    assert.ok(error instanceof LimitError, String(error))
    return 1
  }
}

for (const name of signals)
  test(`${name}: a limit of one tenant is that tenant's, and holds as it is now`, async () => {
    const world = new StoreWorld()
    const overrides = new Overrides(table({ a: oneOf[name] }))
    const store = await openStore[name](world, { overrides })
    const refused: number[] = []
    const send = async (n: number, group: string): Promise<void> => {
      for (const tenant of tenants) refused.push(await refusedOf(world, store, { n, group }, tenant))
    }
    await send(1, 'a')
    await send(2, 'b')
    assert.deepEqual(refused.splice(0), [0, 0, 0, 1, 0, 0])
    overrides.use(table({}, oneOf[name]))
    await send(3, 'c')
    assert.deepEqual(refused.splice(0), [1, 1, 1])
    overrides.use(table({ a: {} }))
    await send(4, 'c')
    assert.deepEqual(refused, [0, 0, 0])
    await driving(world.clock, store.signal.close())
  })

test('logs: a rate of one tenant; traces: a size of one', async () => {
  const world = new StoreWorld()
  const { clock } = world
  const overrides = new Overrides(table({ a: { logRateBytes: 2, traceBytesMax: 100 } }))
  const logs = await openStore.logs(world, { overrides })
  const rates: number[] = []
  // The first one may be as large as it is.
  for (const tenant of ['a', 'ab', 'a', 'ab']) rates.push(await refusedOf(world, logs, { n: 1_000_000 }, tenant))
  assert.deepEqual(rates, [0, 0, 1, 0])
  await driving(clock, logs.signal.close())
  const others = new StoreWorld()
  const traces = await openStore.traces(others, { overrides })
  const sizes: number[] = []
  for (let n = 1; n < 5; n++)
    for (const tenant of ['a', 'ab']) sizes.push(await refusedOf(others, traces, { n }, tenant))
  assert.deepEqual(
    sizes.filter((_, i) => i % 2 === 1),
    [0, 0, 0, 0],
  )
  assert.deepEqual(sizes.filter((_, i) => i % 2 === 0).at(-1), 1)
  await driving(others.clock, traces.signal.close())
})
