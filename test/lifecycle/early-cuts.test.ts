/** Heads that are nearly full are cut before their time: nobody is refused, and everything is answered. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countMemory } from '#app/context.ts'
import { measureMemory } from '#app/parts/memory.ts'
import { UnavailableError } from '#core/errors.ts'
import { defaultLimits } from '#core/limits.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { QueryGate } from '#query/gate.ts'
import { openStore, StoreWorld, type NumberedStore } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const whole = { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 }
const itemsASecond = 200
const seconds = 300

/** Bytes for heads: less than a third of what comes in. */
const headsMax: Readonly<Record<SignalName, number>> = { metrics: 150_000, logs: 400_000, traces: 900_000 }

interface Stage {
  world: StoreWorld
  memory: MemoryBudget
  store: NumberedStore
  sent: number[]
}

async function stage(name: SignalName): Promise<Stage> {
  const world = new StoreWorld()
  const memory = new MemoryBudget(headsMax[name], whole)
  const admitMemory = (): void => {
    memory.account('heads').admit()
  }
  return { world, memory, store: await openStore[name](world, { admitMemory }), sent: [] }
}

/** Sends for some minutes; the memory is measured every second, as it is in a process. */
async function sendMuch({ world, memory, store, sent }: Stage): Promise<void> {
  const gate = new QueryGate(world.clock, defaultLimits)
  for (let second = 0; second < seconds; second++) {
    const items = Array.from({ length: itemsASecond }, (_, i) => {
      const n = second * itemsASecond + i
      return { n, group: `g${Math.floor(n / 997) % 10}` }
    })
    await driving(world.clock, store.send(items))
    for (const { n } of items) sent.push(n)
    await world.clock.advance(1000)
    measureMemory({ memory, gate })
  }
}

for (const name of signals) {
  test(`${name}: heads that are nearly full are cut early, nobody is refused, and all is answered`, async () => {
    const one = await stage(name)
    countMemory(one, one.store.signal)
    await sendMuch(one)
    const heads = one.memory.account('heads')
    assert.equal(heads.refused, 0)
    assert.ok(one.store.signal.stats().earlyCuts > 1)
    assert.ok(heads.heldBytes <= heads.bytesMax)
    assert.deepEqual(await driving(one.world.clock, one.store.shown()), one.sent)
    await driving(one.world.clock, one.store.signal.close())
    // What was cut early is not taken in twice from the log.
    const again = await openStore[name](one.world)
    const more = Array.from({ length: 10 }, (_, g) => ({ n: one.sent.length + g, group: `g${g}` }))
    await driving(one.world.clock, again.send(more))
    const all = [...one.sent, ...more.map(({ n }) => n)]
    assert.deepEqual(await driving(one.world.clock, again.shown()), all)
  })

  test(`${name}: so much is refused where heads are not cut early`, async () => {
    const one = await stage(name)
    one.memory.account('heads').measured(() => one.store.signal.headBytes)
    await assert.rejects(sendMuch(one), UnavailableError)
  })
}
