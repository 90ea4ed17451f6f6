/** What is kept of blocks for queries is counted, and given back when it is asked for; answers stay the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#core/random.ts'
import type { SignalName } from '#core/signal-name.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { Budget } from '../../src/query/budget.ts'
import { runLogQuery } from '../../src/query/logql/log-query.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving, makeWorld, openLogs } from '../signal-worlds.ts'

/** As every engine has it. */
interface Caches {
  readonly cacheBytes: number
  readonly headBytes: number
  releaseCaches(bytes: number): void
}

const names: readonly SignalName[] = ['metrics', 'logs', 'traces']

for (const name of names)
  test(`${name}: caches are counted, and give back as much as is asked for`, async () => {
    const world = new StoreWorld()
    const store = await openStore[name](world)
    const numbers = Array.from({ length: 200 }, (_, n) => n)
    await driving(world.clock, store.send(numbers.map(n => ({ n, group: `g${n % 20}` }))))
    // Engines are signals that count what they hold.
    const engine = store.signal as typeof store.signal & Caches
    assert.ok(engine.headBytes > 0)
    await driving(world.clock, store.signal.flush())
    assert.equal(engine.cacheBytes, 0)
    assert.deepEqual(await driving(world.clock, store.shown()), numbers)
    const kept = engine.cacheBytes
    assert.ok(kept > 0)
    engine.releaseCaches(1)
    assert.ok(engine.cacheBytes < kept)
    engine.releaseCaches(Infinity)
    assert.equal(engine.cacheBytes, 0)
    assert.deepEqual(await driving(world.clock, store.shown()), numbers)
    assert.ok(engine.cacheBytes > 0)
  })

test('a query of lines that reads more than the caches hold finds a part of it when it is asked again', async () => {
  const startMs = 1_700_006_400_000
  const world = makeWorld(startMs)
  const engine = await openLogs(world.clock, { ...world, cacheBytes: 1_000_000 })
  const random = seededRandom(4)
  const builder = new LogBatchBuilder()
  for (let i = 0; i < 6000; i++)
    builder.add(
      Labels.fromObject({ app: `app${i % 60}` }),
      startMs + i,
      0,
      `${i} ${Buffer.from(random.bytes(180)).toString('latin1')}`,
    )
  await driving(world.clock, engine.append('fake', builder.build()))
  await driving(world.clock, engine.flush())
  const budget = (): Budget => new Budget(world.clock, 1e9, 1e9)
  const fetchedBy = async (query: string, count: number): Promise<number> => {
    const before = engine.chunkStats.fetched
    const bounds = { fromMs: startMs, fromSubNs: 0, toMs: startMs + 10_000, toSubNs: 0 }
    const asked = { bounds, limit: 10_000, isBackward: false, intervalNs: 0 }
    const nowMs = (): number => world.clock.nowMs()
    const reader = engine.reader('fake')
    const found = await driving(world.clock, runLogQuery(parseLogQuery(query), asked, reader, budget(), nowMs))
    assert.equal(found.lines.length, count)
    return engine.chunkStats.fetched - before
  }
  assert.equal(await fetchedBy('{app=~".+"}', 6000), 60)
  const again = await fetchedBy('{app=~".+"}', 6000)
  assert.ok(again > 0 && again < 60, `${again} chunks were fetched again`)
  // What others read last is kept, too: they find room.
  await fetchedBy('{app="app59"}', 100)
  assert.equal(await fetchedBy('{app="app59"}', 100), 0)
})
