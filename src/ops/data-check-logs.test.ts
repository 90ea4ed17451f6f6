/** Chunks that Loki wrote get tables; such as have a form from which none is made are left as they are. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { writeTime } from '#codec/log-time.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { chunkKey, codecs, encodeChunkObject } from '#logs/chunk.ts'
import { TableHead } from '#logs/table.ts'
import { tableKeyOf } from '#logs/tables.ts'
import { Labels } from '#model/labels.ts'
import { checkLogs } from './data-check-logs.ts'
import type { DataFinding } from './data-check.ts'

const fixture = 'fixtures/loki-s3/bucket'

async function lokiBucket(clock: VirtualClock): Promise<MemoryBucket> {
  const bucket = new MemoryBucket(clock)
  for (const entry of readdirSync(fixture, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) await bucket.put(relative(fixture, path), new Uint8Array(readFileSync(path)))
  }
  return bucket
}

async function check(bucket: MemoryBucket, clock: VirtualClock, isRepair: boolean): Promise<DataFinding[]> {
  const findings: DataFinding[] = []
  await checkLogs({
    bucket,
    files: new MemoryFiles(),
    random: seededRandom(1),
    nowMs: clock.nowMs(),
    pause: () => Promise.resolve(),
    isRepair,
    isBase64: false,
    workDirectory: 'work',
    onFinding: finding => findings.push(finding),
  })
  return findings
}

const shown = (findings: readonly DataFinding[]): unknown[] => findings.map(({ kind, done }) => [kind, done])

test('chunks of Loki get a table for each index, which the next check finds whole', async () => {
  const clock = new VirtualClock(1_800_000_000_000)
  const bucket = await lokiBucket(clock)
  const each = (done: string | undefined): unknown[] => Array.from({ length: 2 }, () => ['note', done])
  assert.deepEqual(shown(await check(bucket, clock, false)), each(undefined))
  assert.deepEqual(shown(await check(bucket, clock, true)), each('rebuilt'))
  const tables = [...bucket.objects.keys()].filter(key => key.startsWith('fake/tercet/tables/'))
  const pause = (): Promise<void> => Promise.resolve()
  const heads = await Promise.all(tables.map(key => TableHead.read(bucket.objects.get(key)!.bytes, pause)))
  const chunks = heads.flatMap(head => head.chunks)
  assert.equal(chunks.length, 6)
  assert.ok(chunks.some(({ whole }) => whole !== undefined))
  assert.deepEqual(await check(bucket, clock, false), [])
  // A damaged one is made again.
  bucket.objects.get(tables[0]!)!.bytes[60]! ^= 1
  assert.deepEqual(shown(await check(bucket, clock, true)), [
    ['damaged', 'removed; made again of the chunks'],
    ['note', 'rebuilt'],
  ])
  assert.deepEqual(await check(bucket, clock, false), [])
})

test('a table that no index has goes when it is old', async () => {
  const clock = new VirtualClock(1_800_000_000_000)
  const bucket = await lokiBucket(clock)
  await check(bucket, clock, true)
  const [table] = [...bucket.objects.keys()].filter(key => key.startsWith('fake/tercet/tables/'))
  const orphan = tableKeyOf('index/index_20777/fake/1-compactor-2-3-4.tsdb.gz')!
  await bucket.put(orphan, bucket.objects.get(table!)!.bytes)
  assert.deepEqual(await check(bucket, clock, true), [])
  await clock.advance(25 * 3_600_000)
  assert.deepEqual(shown(await check(bucket, clock, true)), [['orphan', 'removed']])
  assert.equal(bucket.objects.has(orphan), false)
  assert.ok(bucket.objects.has(table!))
})

/** A chunk of format 3: its lines have no metadata. */
function chunkOfFormat3(): Uint8Array {
  const block = new ByteWriter()
  writeTime(block, 1_795_218_400_000, 0)
  block.writeUvarint(200)
  block.writeBytes(new Uint8Array(200).fill(120))
  const out = new ByteWriter()
  out.writeU32(0x012ee56a)
  out.writeU8(3)
  out.writeU8(codecs.none)
  const from = out.at
  out.writeBytes(block.bytes())
  out.writeU32(crc32c(out.buffer, from, out.at))
  const metasAt = out.at
  out.writeUvarint(1)
  out.writeUvarint(1)
  writeTime(out, 1_795_218_400_000, 0)
  writeTime(out, 1_795_218_400_000, 0)
  for (const number of [from, 200, block.at]) out.writeUvarint(number)
  out.writeU32(crc32c(out.buffer, metasAt, out.at))
  out.writeU64(metasAt)
  return out.copy()
}

test('a chunk of an older format is listed where it is missing, and nothing is made beside it', async () => {
  const clock = new VirtualClock(1_800_000_000_000)
  const bucket = new MemoryBucket(clock)
  const [fromMs, throughMs] = [1_795_218_400_000, 1_795_218_400_000]
  const labels = Labels.fromObject({ app: 'old' })
  const { bytes, checksum } = encodeChunkObject('fake', 0xa1n, labels, fromMs, throughMs, chunkOfFormat3())
  await bucket.put(chunkKey('fake', { fingerprint: 'a1', fromMs, throughMs, checksum }, false), bytes)
  assert.deepEqual(shown(await check(bucket, clock, true)), [['missing', 'listed']])
  assert.deepEqual(await check(bucket, clock, true), [])
})
