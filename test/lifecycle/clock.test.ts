/** A wall clock that was hours ahead and is set back: what is of now is taken, and the jump is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '#core/clock.ts'
import { silentLog, type Log } from '#core/log.ts'
import { signals as signalNames } from '#core/signal-name.ts'
import { openStore, StoreWorld, type NumberedItem } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const hourMs = 3_600_000

/** Everything in it happens by a clock that can be set. */
class WrongClockWorld extends StoreWorld {
  aheadMs = 0
  override timeOf(item: NumberedItem): number {
    // Numbers from 100 on are of the wrong clock; those from 50 on were on their way for some seconds.
    return super.timeOf(item) + (item.n >= 100 ? 3 * hourMs : item.n >= 50 ? -5000 : 0)
  }
  wallClock(): Clock {
    const { clock } = this
    return {
      nowMs: () => clock.nowMs() + this.aheadMs,
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, run) => clock.after(delayMs, run),
      yield: () => clock.yield(),
    }
  }
}

for (const name of signalNames)
  test(`${name}: three hours ahead and back: what is of now is kept, in one series and others`, async () => {
    const world = new WrongClockWorld()
    const warned: string[] = []
    const log: Log = { ...silentLog, warn: message => void warned.push(message) }
    const store = await openStore[name](world, { clock: world.wallClock(), log })
    const send = async (...items: NumberedItem[]): Promise<void> => {
      const { refused } = await driving(world.clock, store.send(items))
      assert.equal(refused, 0, items.map(item => item.n).join())
      await driving(world.clock, store.signal.maintain())
    }
    await send({ n: 1 }, { n: 2, group: 'b' })
    world.aheadMs = 3 * hourMs
    await send({ n: 101 }, { n: 102, group: 'b' })
    world.aheadMs = 0
    await send({ n: 3 }, { n: 4, group: 'b' }, { n: 5, group: 'c' })
    await world.clock.advance(60_000)
    await send({ n: 6 }, { n: 7, group: 'c' })
    assert.deepEqual(await store.shown(), [1, 2, 3, 4, 5, 6, 7, 101, 102])
    assert.equal(warned.filter(message => message.includes('clock jumped')).length, 2)
    await driving(world.clock, store.signal.flush())
    assert.deepEqual(await store.shown(), [1, 2, 3, 4, 5, 6, 7, 101, 102])
  })

const strict = {
  metrics: { outOfOrderMs: 0 },
  logs: {
    admission: {
      maxAgeMs: 7 * 24 * hourMs,
      futureMs: 600_000,
      outOfOrderMs: 0,
      lineBytesMax: 262_144,
      labelsPerStreamMax: 15,
      labelNameBytesMax: 1024,
      labelValueBytesMax: 2048,
      metadataPairsMax: 128,
      metadataBytesMax: 65_536,
    },
  },
  traces: {},
} as const

for (const name of signalNames) {
  const open = async (world: WrongClockWorld, own: object = {}) => {
    const store = await openStore[name](world, { clock: world.wallClock(), ...own })
    const send = async (...items: NumberedItem[]): Promise<void> => {
      const { refused } = await driving(world.clock, store.send(items))
      assert.equal(refused, 0, items.map(item => item.n).join())
      await driving(world.clock, store.signal.maintain())
    }
    return { store, send }
  }

  test(`${name}: the same without a window for what is out of order`, async () => {
    const world = new WrongClockWorld()
    const { store, send } = await open(world, strict[name])
    await send({ n: 1 })
    world.aheadMs = 3 * hourMs
    await send({ n: 101 })
    world.aheadMs = 0
    await world.clock.advance(60_000)
    await send({ n: 51 })
    await world.clock.advance(90 * 60_000)
    await send({ n: 52 }, { n: 53, group: 'c' })
    assert.deepEqual(await store.shown(), [1, 51, 52, 53, 101])
  })

  test(`${name}: senders are right while the clock here is three hours ahead, or behind`, async () => {
    const world = new WrongClockWorld()
    const { store, send } = await open(world, strict[name])
    await send({ n: 1 }, { n: 2, group: 'b' })
    world.aheadMs = 3 * hourMs
    // What this process writes itself has its own time.
    await send({ n: 101, group: 'self' })
    await world.clock.advance(20 * 60_000)
    await send({ n: 3 }, { n: 4, group: 'c' })
    world.aheadMs = 0
    await send({ n: 5 }, { n: 6, group: 'd' })
    await world.clock.advance(24 * hourMs)
    await send({ n: 7 })
    world.aheadMs = -3 * hourMs
    await send({ n: 8 }, { n: 9, group: 'e' })
    await world.clock.advance(20 * 60_000)
    await send({ n: 10 }, { n: 11, group: 'f' })
    world.aheadMs = 0
    await send({ n: 12 }, { n: 13, group: 'g' })
    assert.deepEqual(await store.shown(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 101])
  })
}

for (const name of signalNames)
  test(`${name}: a clock that is forty days ahead for a while deletes nothing; one that stays there does`, async () => {
    const world = new WrongClockWorld()
    const retentionMs = 30 * 24 * hourMs
    const store = await openStore[name](world, { clock: world.wallClock(), retentionMs })
    const { signal } = store
    await driving(world.clock, store.send([{ n: 1 }, { n: 2, group: 'b' }]))
    await driving(world.clock, signal.flush())
    const rounds = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await world.clock.advance(10 * 60_000)
        await driving(world.clock, signal.maintain())
      }
    }
    world.aheadMs = 40 * 24 * hourMs
    await rounds(5)
    assert.match(signal.status().warning ?? '', /the wall clock jumped ahead by 3456000 s within the last hour/)
    world.aheadMs = 0
    await rounds(5)
    assert.equal(signal.stats().clockJumps, 2)
    assert.deepEqual(await store.shown(), [1, 2])
    await rounds(7)
    assert.equal(signal.status().warning, undefined)
    const before = world.bucket.objects.size
    world.aheadMs = 40 * 24 * hourMs
    await rounds(24)
    assert.ok(world.bucket.objects.size < before)
    world.aheadMs = 0
    await driving(world.clock, signal.refresh())
    assert.deepEqual(await store.shown(), [])
  })
