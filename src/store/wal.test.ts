/** The log when more comes than it can write: what is refused, what is taken all the same, and that it goes on. Covers req-014. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { Wal } from './wal.ts'

test('a log that is full refuses, writes what waits without being asked, and takes records again; what the process owes is taken always', async () => {
  const clock = new VirtualClock(0)
  const wal = new Wal({ clock, files: new MemoryFiles(), log: silentLog, bucket: new MemoryBucket(clock), bucketPrefix: 't/wal/', directory: '/wal', durability: 'local', syncAlways: false })
  await wal.open(() => [])
  const record = new Uint8Array(8 * 1024 * 1024)
  for (let i = 0; i < 8; i++) wal.append(1, record, ['a'])
  assert.throws(() => wal.append(1, record, ['a']), UnavailableError)
  assert.equal(wal.append(1, record, ['a'], true), 8)
  // Nobody called commit.
  for (let i = 0; i < 200; i++) await Promise.resolve()
  assert.equal(wal.append(1, record, ['a']), 9)
  await wal.commit()
  await wal.close()
})
