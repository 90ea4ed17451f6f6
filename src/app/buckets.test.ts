/** The bucket of a signal, before anything is asked of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { signals } from '#core/signal-name.ts'
import { openBucket, prefixOf, s3BucketOf } from './buckets.ts'
import { loadConfig } from './config.ts'
import { systemWorld } from './world.ts'

const flags = [
  'bucket.s3.bucket=b',
  'bucket.s3.endpoint=https://s3.example.net',
  'bucket.cache_size=0',
  'bucket.s3.access_key_id_file=/run/secrets/id',
  'bucket.s3.secret_access_key_file=/run/secrets/key',
]

test('a file of keys that can not be read ends the start, and says for whom (req-080)', async () => {
  const files = new MemoryFiles()
  const config = loadConfig({ environment: {}, flags })
  const world = { ...systemWorld(silentLog), files }
  const refused = (error: unknown): boolean => {
    assert.ok(error instanceof BadDataError)
    assert.match(error.message, /^bucket\.s3\.access_key_id_file \(logs\): .*chown.*chmod 0644/)
    return true
  }
  await assert.rejects(openBucket(config, world, 'logs'), refused)
  await files.writeAtomic('/run/secrets/id', new TextEncoder().encode('id\n'))
  await assert.rejects(openBucket(config, world, 'logs'), /secret_access_key_file/)
  await files.writeAtomic('/run/secrets/key', new TextEncoder().encode('key\n'))
  await openBucket(config, world, 'logs')
})

test("where a signal's objects lie: own settings first, then directories, traces never beside others", () => {
  const placeOf = (...more: string[]): string[] => {
    const config = loadConfig({ environment: {}, flags: ['bucket.s3.bucket=b', ...more] })
    return signals.map(signal => `${s3BucketOf(config, signal)}/${prefixOf(config, signal)}`)
  }
  assert.deepEqual(placeOf(), ['b/', 'b/', 'b/traces'])
  assert.deepEqual(placeOf('bucket.s3.prefix=/p/'), ['b/p', 'b/p', 'b/p/traces'])
  assert.deepEqual(placeOf('traces.bucket.s3.bucket=t', 'bucket.s3.prefix=p'), ['b/p', 'b/p', 't/p'])
  assert.deepEqual(placeOf('logs.bucket.s3.prefix=l', 'metrics.bucket.dir=/m'), ['/', 'b/l', 'b/traces'])
})
