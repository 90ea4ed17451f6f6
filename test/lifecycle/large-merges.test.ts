/** A merge that needs more memory than its worker may use holds up nothing else, and is not tried again and again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerMemoryError } from '#core/errors.ts'
import { LocalBuilding as MetricsBuilding } from '#metrics/block-building.ts'
import { LocalBuilding as TracesBuilding } from '#traces/block-building.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const hourMs = 3_600_000
const pause = (): Promise<void> => Promise.resolve()

for (const name of ['metrics', 'traces'] as const)
  test(`${name}: blocks whose merge needs too much memory stay as they are, and the rounds go on`, async () => {
    const world = new StoreWorld()
    const { clock, files, bucket } = world
    const building =
      name === 'metrics' ? new MetricsBuilding({ files, bucket, pause }) : new TracesBuilding({ bucket, pause })
    let merges = 0
    building.merge = () => {
      merges++
      return Promise.reject(new WorkerMemoryError('too much', 60))
    }
    const options = { leaseMs: 0, retentionMs: 24 * hourMs, building }
    const store = await openStore[name](world, options)
    for (let n = 1; n <= 4; n++) {
      await driving(clock, store.send([{ n }]))
      await driving(clock, store.signal.flush())
    }
    await clock.advance(14 * hourMs)
    await driving(clock, store.send([{ n: 5 }]))
    await driving(clock, store.signal.flush())
    await driving(clock, store.signal.maintain())
    const tried = merges
    assert.ok(tried > 0)
    for (let i = 0; i < 30; i++) await driving(clock, store.signal.maintain())
    assert.equal(merges, tried)
    assert.deepEqual(await driving(clock, store.shown()), [1, 2, 3, 4, 5])
    // Retention comes after merging in a round.
    await clock.advance(26 * hourMs)
    await driving(clock, store.signal.maintain())
    assert.deepEqual(await driving(clock, store.shown()), [])
    assert.equal(store.signal.status().blocks, 0)
  })
