/** Data of a newer program: every role refuses it before anything is changed, and records are written afterwards. */
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import test from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { defaultTenants } from '#api/tenancy.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { encodeFormatRecord, nextFormatRecord, type FormatRecord } from '#store/format-record.ts'
import { encodeHeader, headerBytes } from '#store/wal-segment.ts'
import { FormatRecords } from './format-records.ts'

const signals = ['metrics', 'logs', 'traces'] as const
const clock = new VirtualClock(0)
const keyOf = (signal: (typeof signals)[number]): string => `${defaultTenants[signal]}/tercet/formats.json`

function recordsOf(files: MemoryFiles, role = 'all', program = '0.1.0'): FormatRecords {
  return new FormatRecords({ files, log: silentLog }, { dataDirectory: '/d', role, program })
}

/** As a newer program would have left it: the format at one version more than is read. */
function newerRecord(place: 'server' | 'agent' | (typeof signals)[number], name: string): FormatRecord {
  const record = nextFormatRecord(undefined, place, '0.9.0')
  const { version, neededBy } = record.formats.get(name)!
  record.formats.set(name, { version: version + 1, neededBy })
  return record
}

/** A whole segment header of another version. */
function headerOf(version: number): Uint8Array {
  const bytes = encodeHeader({ writer: '0'.repeat(26), losses: 0, generation: 0, firstRecord: 0 })
  for (const at of [0, headerBytes / 2]) {
    bytes[at + 4] = version
    const copy = bytes.subarray(at, at + headerBytes / 2 - 4)
    new DataView(bytes.buffer).setUint32(at + copy.length, crc32(copy))
  }
  return bytes
}

const contentOf = (files: MemoryFiles): string[] =>
  [...files.entries].map(
    ([path, { bytes, length }]) => `${path} ${Buffer.from(bytes.subarray(0, length)).toString('hex')}`,
  )

async function refuses(work: () => Promise<void>, files: MemoryFiles): Promise<void> {
  const before = contentOf(files)
  await assert.rejects(work(), NewerFormatError)
  assert.deepEqual(contentOf(files), before)
}

test('a directory without a record, and one of this version, are taken', async () => {
  const files = new MemoryFiles()
  await files.writeAtomic('/d/logs/wal/0000000000.wal', headerOf(3))
  await recordsOf(files).checkDirectory()
  await recordsOf(files).noteStarted()
  await recordsOf(files).checkDirectory()
  assert.match(Buffer.from(await files.read('/d/formats.json')).toString(), /"program": "0.1.0"/)
})

test('the record of a newer program in the directory refuses it', async () => {
  for (const name of ['log-segment', 'alertmanager-state', 'staged-blocks', 'traces-records']) {
    const files = new MemoryFiles()
    await files.writeAtomic('/d/formats.json', encodeFormatRecord(newerRecord('server', name)))
    await refuses(() => recordsOf(files).checkDirectory(), files)
  }
})

for (const signal of signals) {
  test(`${signal}: a segment of a newer version in a directory without a record refuses it`, async () => {
    const files = new MemoryFiles()
    await files.writeAtomic(`/d/${signal}/wal/${'0'.repeat(26)}-0000000000.wal`, headerOf(3))
    await files.writeAtomic(`/d/${signal}/wal/${'0'.repeat(26)}-0000000001.wal`, headerOf(4))
    await refuses(() => recordsOf(files).checkDirectory(), files)
    const damaged = headerOf(4)
    damaged[10]! ^= 1
    damaged[headerBytes / 2 + 10]! ^= 1
    await files.writeAtomic(`/d/${signal}/wal/${'0'.repeat(26)}-0000000001.wal`, damaged)
    await recordsOf(files).checkDirectory()
  })

  test(`${signal}: the record of a newer program refuses the bucket, and whoever joins it writes one`, async () => {
    const files = new MemoryFiles()
    const bucket = new MemoryBucket(clock)
    await bucket.put(keyOf(signal), encodeFormatRecord(newerRecord(signal, 'log-segment')))
    const before = await bucket.get(keyOf(signal))
    await assert.rejects(recordsOf(files).checkBucket(signal, bucket), NewerFormatError)
    await recordsOf(files, 'query').checkBucket(signal, bucket)
    assert.deepEqual(await bucket.get(keyOf(signal)), before)
    await bucket.delete(keyOf(signal))
    const records = recordsOf(files)
    await records.checkBucket(signal, bucket)
    records.noteJoined(signal, bucket)
    assert.equal(bucket.objects.size, 0, 'not before the start has succeeded')
    await records.noteStarted()
    assert.deepEqual([...bucket.objects.keys()], [keyOf(signal)])
  })
}

test('who only reads refuses what it would read, looks at no directory, and writes nothing', async () => {
  const files = new MemoryFiles()
  const bucket = new MemoryBucket(clock)
  await files.writeAtomic('/d/formats.json', encodeFormatRecord(newerRecord('server', 'log-segment')))
  await bucket.put(keyOf('logs'), encodeFormatRecord(newerRecord('logs', 'deletions')))
  const before = contentOf(files)
  const records = recordsOf(files, 'query')
  await records.checkDirectory()
  await assert.rejects(records.checkBucket('logs', bucket), NewerFormatError)
  await records.checkBucket('traces', bucket)
  await records.noteStarted()
  assert.deepEqual(contentOf(files), before)
  assert.equal(bucket.objects.size, 1)
})

test('an agent refuses the queue of a newer one, with and without a record', async () => {
  const files = new MemoryFiles()
  await files.writeAtomic('/d/agent/loki-1/0000000001.queue', Buffer.from('TQ01 and more'))
  await recordsOf(files, 'agent').checkDirectory()
  await files.writeAtomic('/d/agent/loki-1/0000000002.queue', Buffer.from('TQ02 and more'))
  await refuses(() => recordsOf(files, 'agent').checkDirectory(), files)
  const recorded = new MemoryFiles()
  await recorded.writeAtomic('/d/formats.json', encodeFormatRecord(newerRecord('agent', 'agent-queue')))
  await refuses(() => recordsOf(recorded, 'agent').checkDirectory(), recorded)
})

test('a damaged record is written again; one that says it all already is not', async () => {
  const files = new MemoryFiles()
  await files.writeAtomic('/d/formats.json', Buffer.from('{"rec'))
  await recordsOf(files).checkDirectory()
  await recordsOf(files).noteStarted()
  let writes = 0
  files.onOperation = operation => {
    if (operation === 'write') writes++
  }
  await recordsOf(files).noteStarted()
  assert.equal(writes, 0)
  await recordsOf(files, 'all', '0.2.0').noteStarted()
  assert.equal(writes, 1)
})

test('a bucket that was away is asked again when it is there, and gets its record then', async () => {
  const files = new MemoryFiles()
  const bucket = new MemoryBucket(clock)
  const records = recordsOf(files)
  bucket.get = () => Promise.reject(new BucketError('get', 'memory', 'SlowDown', true))
  await assert.rejects(records.checkBucket('metrics', bucket), BucketError)
  await records.noteStarted()
  bucket.get = key => MemoryBucket.prototype.get.call(bucket, key)
  await records.checkBucket('metrics', bucket)
  records.noteJoined('metrics', bucket)
  for (let i = 0; i < 20; i++) await Promise.resolve()
  assert.deepEqual([...bucket.objects.keys()], [keyOf('metrics')])
})

test('a full disk keeps no process from starting', async () => {
  const files = new MemoryFiles()
  files.onOperation = operation => {
    if (operation === 'write') throw new Error('ENOSPC: no space left on device')
  }
  await recordsOf(files).noteStarted()
  assert.equal(files.entries.size, 0)
})
