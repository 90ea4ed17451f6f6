import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Tenancy } from '#api/tenancy.ts'
import { BucketError } from '#bucket/bucket.ts'
import { silentLog } from '#core/log.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import type { Signal } from '#store/signal.ts'
import { openStore, StoreWorld } from '../../../test/numbered-stores.ts'
import { driving } from '../../../test/signal-worlds.ts'
import { systemWorld } from '../world.ts'
import { makeTenantDeletions } from './tenant-deletions.ts'

/** The three signals, each with a bucket of its own. */
class Process {
  readonly worlds = { metrics: new StoreWorld(), logs: new StoreWorld(), traces: new StoreWorld() }
  readonly clock = this.worlds.metrics.clock
  readonly forgotten: string[] = []
  failure: Error | undefined

  removeNothing(): void {
    for (const { bucket } of Object.values(this.worlds))
      bucket.delete = () => Promise.reject(new BucketError('delete', 'b', 'ECONNREFUSED', true))
  }

  /** `isFirst`: each gets something of two tenants into its bucket. */
  async start(isFirst = false): Promise<Record<SignalName, Signal>> {
    const open = async (name: SignalName): Promise<Signal> => {
      const world = this.worlds[name]
      const { signal, send } = await openStore[name](world)
      if (!isFirst) return signal
      for (const tenant of ['a', 'only-metrics']) await driving(world.clock, send([{ n: 1 }], tenant))
      await driving(world.clock, signal.flush())
      return signal
    }
    return { metrics: await open('metrics'), logs: await open('logs'), traces: await open('traces') }
  }

  part(opened: Record<SignalName, Signal>): ReturnType<typeof makeTenantDeletions> {
    const world = { ...systemWorld(silentLog), clock: this.clock }
    const forget = (tenant: string): Promise<void> => {
      if (this.failure !== undefined) return Promise.reject(this.failure)
      this.forgotten.push(tenant)
      return Promise.resolve()
    }
    const context = { world, tenancy: new Tenancy(true), isReader: false }
    return makeTenantDeletions(context, { signals: opened, onDeleted: [forget] })
  }
}

test('a process that dies when a deletion is noted has the next one forget rules and alerts, once', async () => {
  const process = new Process()
  const first = await process.start(true)
  process.removeNothing()
  for (const name of signals) {
    await driving(process.worlds[name].clock, first[name].deleteTenant('a'))
    // Of metrics alone: its rules stay.
    if (name === 'metrics') await driving(process.clock, first.metrics.deleteTenant('only-metrics'))
  }
  process.failure = new Error('the bucket is away')
  const part = process.part(await process.start())
  await part.start()
  assert.deepEqual(process.forgotten, [])
  process.failure = undefined
  await process.clock.advance(60_000)
  assert.deepEqual(process.forgotten, ['a'])
  await part.stop()
})
