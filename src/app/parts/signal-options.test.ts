/** What the configuration says of all signals. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DirectoryBucket } from '#bucket/directory.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { loadConfig } from '../config.ts'
import { commitIntervalMsOf } from './signal-options.ts'

test('a log in an object store is written each three seconds, one in a directory more often, and as it is set', () => {
  const store = new MemoryBucket(new VirtualClock(0))
  const directory = new DirectoryBucket('/nowhere')
  const intervals = (...flags: string[]): number[] => {
    const config = loadConfig({ environment: {}, flags })
    return [store, directory].map(bucket => commitIntervalMsOf(config, bucket))
  }
  assert.deepEqual(intervals(), [3000, 200])
  assert.deepEqual(intervals('durability_interval=500ms'), [500, 500])
  assert.deepEqual(intervals('durability_interval=0s'), [0, 0])
  assert.throws(() => intervals('durability_interval=inf'), /^BadDataError: durability_interval: .* one minute/)
})
