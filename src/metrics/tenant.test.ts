/** A tenant with little data takes little memory. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '#core/clock.ts'
import { defaultLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { Labels } from '#model/labels.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { Tenant } from './tenant.ts'

const seed = { a: 1, b: 2, c: 3, d: 4 }
const hourMs = 3_600_000

function tenantWithOneSeries(name: string): Tenant {
  const tenant = new Tenant(name, {
    seed,
    limits: defaultLimits,
    clock: systemClock,
    log: silentLog,
    blockMs: 2 * hourMs,
    outOfOrderMs: hourMs,
  })
  const key = new KeyWriter()
  key.writeLabels(Labels.fromObject({ __name__: 'up', instance: name, job: 'node' }))
  const series = tenant.head.table.resolveShown(key.bytes, 0, key.at)
  tenant.reserve()
  // Two chunks are finished, a third one is open.
  for (let i = 0; i < 300; i++) tenant.head.showReplayed(series, i * 1000, 0, i)
  return tenant
}

test('a tenant with one series takes some KiB of buffers, and no memory of its own for hashing', () => {
  const before = process.memoryUsage().external
  const tenants = Array.from({ length: 300 }, (_, i) => tenantWithOneSeries(`tenant ${i}`))
  const each = (process.memoryUsage().external - before) / tenants.length
  assert.ok(each < 60 * 1024, `${each} bytes`)
  assert.ok(tenants[0]!.head.heldBytes < 10_000, String(tenants[0]!.head.heldBytes))
  assert.deepEqual(
    tenants.map(({ head }) => head.table.liveCount),
    tenants.map(() => 1),
  )
})

test('series that are gone hold little, since others get their places', () => {
  const { head } = tenantWithOneSeries('a')
  const key = new KeyWriter()
  const make = (): void => {
    for (let i = 0; i < 10_000; i++) {
      key.reset()
      key.writeLabels(Labels.fromObject({ __name__: 'm', i: `${i}` }))
      head.table.resolveShown(key.bytes, 0, key.at)
    }
    head.reserve()
  }
  make()
  const full = head.heldBytes
  const gone = new Uint8Array(head.table.count).fill(1)
  gone[0] = 0
  head.table.retire(gone, 0)
  assert.ok(head.heldBytes < full / 5, `${head.heldBytes} of ${full}`)
  head.table.freeRested(hourMs)
  make()
  assert.equal(head.heldBytes, full)
})
