/**
 * The log when more comes than it can write: what is refused, what is taken all the same, and that it goes on. Covers
 * req-014.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { ConflictError, UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { Wal } from './wal.ts'

test('a full log refuses, writes what waits, and takes records again; owed records are always taken', async () => {
  const clock = new VirtualClock(0)
  const wal = new Wal({
    clock,
    files: new MemoryFiles(),
    log: silentLog,
    bucket: new MemoryBucket(clock),
    bucketPrefix: 't/wal/',
    directory: '/wal',
    durability: 'local',
    syncAlways: false,
  })
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

/** A bucket that repeats a put by itself, because the first reply was lost: the second finds the first. */
class RepeatingBucket extends MemoryBucket {
  override async put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    await super.put(key, bytes, options)
    if (options?.ifAbsent === true) throw new ConflictError(`${key} is there already`)
  }
}

test("a segment whose reply was lost is ours; another writer's segment of that name fences us off", async () => {
  const clock = new VirtualClock(0),
    make = (bucket: MemoryBucket): Wal =>
      new Wal({
        clock,
        files: new MemoryFiles(),
        log: silentLog,
        bucket,
        bucketPrefix: 't/wal/',
        directory: '/wal',
        durability: 'bucket',
        syncAlways: false,
      })
  const driven = async (work: Promise<unknown>): Promise<void> => {
    let isDone = false
    const watched = work.finally(() => {
      isDone = true
    })
    watched.catch(() => {})
    while (!isDone) await clock.advance(50)
    await watched
  }
  const wal = make(new RepeatingBucket(clock))
  await wal.open(() => [])
  wal.append(1, new Uint8Array(8), ['a'])
  await driven(wal.commit())
  assert.equal(wal.fenced, undefined)
  const bucket = new MemoryBucket(clock)
  const first = make(bucket)
  const second = make(bucket)
  await first.open(() => [])
  await second.open(() => [])
  first.append(1, new Uint8Array([1]), ['a'])
  second.append(1, new Uint8Array([2]), ['a'])
  await driven(first.commit())
  await assert.rejects(driven(second.commit()), /another writer took over the bucket/)
})
