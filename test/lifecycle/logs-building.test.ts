/** What is done in the background with indexes and chunks of logs, asked as another thread is asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { NotFoundError, UnavailableError } from '#core/errors.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { LocalBuilding, type BlockBuilding, type IndexPlan } from '#logs/block-building.ts'
import { packStreams, unpackStreams } from '#logs/carried-streams.ts'
import { chunkKey, openChunkObject } from '#logs/chunk.ts'
import { fingerprintOf } from '#logs/head.ts'
import { decodeIndexFile, parseIndexKey, type IndexFile } from '#logs/index-catalogue.ts'
import type { IndexedStream } from '#logs/index-file.ts'
import { chunkName } from '#logs/merge.ts'
import { OpenChunk } from '#logs/open-chunk.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { HiddenLines } from '../../src/query/logql/scan.ts'
import { distantLogsBuilding } from '../distant-building.ts'
import { driving, openLogs } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const tenant = 'fake'
const pause = (): Promise<void> => Promise.resolve()

interface World {
  clock: VirtualClock
  files: MemoryFiles
  bucket: MemoryBucket
  building: BlockBuilding
}

function makeWorld(): World {
  const clock = new VirtualClock(startMs)
  const files = new MemoryFiles()
  const bucket = new MemoryBucket(clock, files)
  const hides = (notices: ConstructorParameters<typeof HiddenLines>[0]): HiddenLines =>
    new HiddenLines(notices, () => clock.nowMs())
  return {
    clock,
    files,
    bucket,
    building: distantLogsBuilding(new LocalBuilding({ files, bucket, isBase64: false, hides, pause })),
  }
}

/** Streams of `count` chunks each, one a minute. */
function streamsOf(apps: readonly string[], count: number): IndexedStream[] {
  return apps.map((app, stream) => {
    const labels = Labels.fromObject({ app, pod: 'p' })
    const fingerprint = fingerprintOf(labels).toString(16)
    const chunks = Array.from({ length: count }, (_, i) => {
      const fromMs = startMs + i * 60_000
      return {
        fingerprint,
        fromMs,
        throughMs: fromMs + 59_999,
        checksum: 2 ** 32 - 1 - i,
        kilobytes: stream,
        entries: i,
      }
    })
    return { fingerprint, labels, chunks }
  })
}

async function planOf(added: readonly IndexedStream[], change: Partial<IndexPlan> = {}): Promise<IndexPlan> {
  return {
    tenant,
    files: [],
    added: await packStreams(added, pause),
    leftOut: new Set(),
    oldestMs: -Infinity,
    onlyExpired: false,
    ...change,
  }
}

/** Puts the index of these streams into the bucket. */
async function stored(
  { bucket, building }: World,
  name: string,
  streams: readonly IndexedStream[],
): Promise<IndexFile> {
  const outcome = await building.rewrite(await planOf(streams))
  assert.ok(outcome.kind === 'written' && outcome.index !== undefined)
  const key = `index/index_1/${tenant}/${name}-compactor-1-2-3.tsdb.gz`
  await bucket.put(key, outcome.index.packed)
  return parseIndexKey(key, outcome.index.packed.length)!
}

/** Apps and their chunks' names. */
function shown(streams: readonly IndexedStream[]): Record<string, string[]> {
  return Object.fromEntries(streams.map(({ labels, chunks }) => [labels.get('app'), chunks.map(chunkName)]))
}

test('streams are the same on the other side', async () => {
  const streams = [...streamsOf(['a', 'b'], 300), ...streamsOf(['none'], 0)]
  const carried = await packStreams(streams, pause)
  assert.deepEqual(carried.texts, ['app', 'a', 'pod', 'p', 'b', 'none'])
  assert.deepEqual(unpackStreams(structuredClone(carried)), streams)
})

test('an index is written from several and what is added, without what is left out or too old', async () => {
  const world = makeWorld()
  const files = [await stored(world, '1', streamsOf(['a', 'b'], 3)), await stored(world, '2', streamsOf(['b', 'c'], 3))]
  const [a] = streamsOf(['a'], 3)
  const leftOut = new Set([chunkName(a!.chunks[2]!)])
  const oldestMs = startMs + 60_000
  const plan = await planOf(streamsOf(['d'], 2), { files, leftOut, oldestMs, onlyExpired: true })
  const outcome = await world.building.rewrite(plan)
  assert.ok(outcome.kind === 'written' && outcome.index !== undefined)
  const index = (await decodeIndexFile(files[0]!, outcome.index.packed, pause)).get(tenant)!
  const kept = streamsOf(['a', 'b', 'c', 'd'], 3).map(stream => ({ ...stream, chunks: stream.chunks.slice(1) }))
  kept[0]!.chunks.pop()
  kept[3]!.chunks.pop()
  const byApp = (streams: readonly IndexedStream[]): Record<string, string[]> => {
    const found = shown(streams)
    return Object.fromEntries(
      Object.keys(found)
        .sort()
        .map(app => [app, found[app]!]),
    )
  }
  assert.deepEqual(byApp(index.streams), byApp(kept))
  assert.deepEqual([outcome.index.fromMs, outcome.index.throughMs], [startMs + 60_000, startMs + 179_999])
  const expired = streamsOf(['a', 'b', 'c'], 1).map(({ chunks }) => chunkKey(tenant, chunks[0]!, false))
  assert.deepEqual(outcome.expired.sort(), expired.sort())
  assert.deepEqual(outcome.poisoned, [])
  const again = await world.building.rewrite(await planOf([], { files, oldestMs: startMs, onlyExpired: true }))
  assert.deepEqual(again, { kind: 'unchanged' })
})

test('a file that can not be used is named, and so is a stream that no index can hold', async () => {
  const world = makeWorld()
  const file = await stored(world, '1', streamsOf(['a'], 1))
  const gone = parseIndexKey(`index/index_1/${tenant}/2-compactor-1-2-3.tsdb.gz`)!
  const torn = parseIndexKey(`index/index_1/${tenant}/3-compactor-1-2-3.tsdb.gz`)!
  await world.bucket.put(torn.key, Uint8Array.of(1, 2, 3))
  const unusable = { kind: 'unusable', keys: [gone.key, torn.key] }
  const files = [gone, file, torn]
  assert.deepEqual(await world.building.rewrite(await planOf([], { files })), unusable)
  const time = { fromMs: -Infinity, throughMs: Infinity }
  const question = { tenant, files, ...time, notice: undefined, skip: 0, limit: 10 }
  assert.deepEqual(await world.building.chunks(question), unusable)
  const [poison] = streamsOf(['poison'], 1)
  const added = [...streamsOf(['b'], 1), { ...poison!, fingerprint: 'not-hex' }]
  const outcome = await world.building.rewrite(await planOf(added, { files: [file] }))
  assert.ok(outcome.kind === 'written')
  assert.deepEqual(
    outcome.poisoned.map(({ at }) => at),
    [1],
  )
  const index = (await decodeIndexFile(file, outcome.index!.packed, pause)).get(tenant)!
  assert.deepEqual(Object.keys(shown(index.streams)).sort(), ['a', 'b'])
})

test('chunks are listed page by page, each once, and only those of the time and the streams', async () => {
  const world = makeWorld()
  const files = [await stored(world, '1', streamsOf(['a', 'b'], 7)), await stored(world, '2', streamsOf(['c'], 4))]
  const pages = async (limit: number, query: string | undefined, fromMs: number): Promise<string[]> => {
    const time = { fromMs, throughMs: startMs + 299_999 }
    const notice = query === undefined ? undefined : { id: '1', query, ...time }
    const found: string[] = []
    for (let skip = 0; ; skip += limit) {
      const answer = await world.building.chunks({ tenant, files, ...time, notice, skip, limit })
      assert.ok(answer.kind === 'listed')
      const page = unpackStreams(answer.streams).flatMap(({ chunks }) => chunks.map(chunkName))
      assert.ok(page.length <= limit)
      found.push(...page)
      if (!answer.hasMore) return found
      assert.equal(page.length, limit)
    }
  }
  const of = (apps: string[], count: number, from: number): string[] =>
    streamsOf(apps, count).flatMap(({ chunks }) => chunks.slice(from).map(chunkName))
  for (const limit of [1, 2, 5, 14, 100]) {
    const all = [...of(['a', 'b'], 5, 0), ...of(['c'], 4, 0)]
    assert.deepEqual((await pages(limit, undefined, startMs)).sort(), all.sort())
    assert.deepEqual(await pages(limit, '{app="b"} |= "x"', startMs + 120_000), of(['b'], 5, 2))
  }
})

/** Two blocks and more, each of which has lines of the whole time. */
function overlapping(): { open: OpenChunk; lines: number } {
  const open = new OpenChunk(startMs)
  const random = seededRandom(3)
  const lines = 6000
  for (let i = 0; i < lines; i++) {
    const line = Buffer.from(`${i % 4 === 0 ? 'secret' : 'public'} ${i} ${random.u32()} ${'text '.repeat(20)}`)
    open.append(startMs + below(random, 100_000), below(random, 3), line, 0, line.length, ['n', String(i % 3)])
  }
  return { open, lines }
}

test('a chunk whose blocks overlap has them in order afterwards, with the same lines; deleted lines go', async () => {
  const { bucket, building } = makeWorld()
  const labels = Labels.fromObject({ app: 'a' })
  const fingerprint = fingerprintOf(labels)
  const { open, lines } = overlapping()
  const closed = open.close(tenant, fingerprint, labels)
  assert.ok(closed.overlaps)
  const { bytes, kilobytes } = closed
  const ordered = await building.order({ tenant, fingerprint, labels: labels.pairs, bytes: bytes!, kilobytes })
  assert.deepEqual([ordered.overlaps, ordered.entries], [false, lines])
  assert.deepEqual({ ...ordered.ref, checksum: 0 }, { ...closed.ref, checksum: 0 })
  const { blocks } = openChunkObject(ordered.bytes!)
  assert.ok(blocks.length > 2)
  for (let i = 1; i < blocks.length; i++) assert.ok(blocks[i]!.minMs >= blocks[i - 1]!.maxMs)

  await bucket.put(chunkKey(tenant, ordered.ref, false), ordered.bytes!)
  const chunk = { ...ordered.ref, kilobytes, entries: lines }
  assert.deepEqual(await building.verify(tenant, chunk), { bytes: ordered.size, problem: undefined })
  const notice = { id: '1', query: '{app="a"} |= "secret"', fromMs: startMs, throughMs: startMs + 200_000 }
  const { hidden, rest } = await building.erase({ tenant, labels: labels.pairs, chunk, notice })
  assert.deepEqual([hidden, rest!.entries], [lines / 4, (lines / 4) * 3])
  const nothing = await building.erase({
    tenant,
    labels: labels.pairs,
    chunk,
    notice: { ...notice, throughMs: startMs - 1 },
  })
  assert.deepEqual(nothing, { hidden: 0, rest: undefined })
  const all = await building.erase({ tenant, labels: labels.pairs, chunk, notice: { ...notice, query: '{app="a"}' } })
  assert.deepEqual(all, { hidden: lines, rest: undefined })

  const damaged = ordered.bytes!.map((byte, i) => (i === 5000 ? byte ^ 1 : byte))
  await bucket.put(chunkKey(tenant, ordered.ref, false), damaged)
  assert.match((await building.verify(tenant, chunk)).problem!, /wrong checksum/)
  await bucket.delete(chunkKey(tenant, ordered.ref, false))
  await assert.rejects(building.verify(tenant, chunk), NotFoundError)
  await assert.rejects(building.erase({ tenant, labels: labels.pairs, chunk, notice }), NotFoundError)
})

test('while a chunk can not be put in order it waits in memory, and is answered from there', async () => {
  const { clock, files, bucket, building } = makeWorld()
  let isAway = true
  let refused = 0
  const engine = await openLogs(clock, {
    files,
    bucket,
    headBytesMax: 1,
    building: {
      ...building,
      order: chunk => {
        if (!isAway) return building.order(chunk)
        refused++
        return Promise.reject(new UnavailableError('a worker ended', 1))
      },
    },
  })
  const texts: string[] = []
  const random = seededRandom(4)
  const builder = new LogBatchBuilder()
  for (let i = 0; i < 4000; i++) {
    const line = `${i} ${random.u32()} ${'text '.repeat(30)}`
    texts.push(line)
    builder.add(Labels.fromObject({ app: 'a' }), startMs - below(random, 100_000), 0, line, [])
  }
  await driving(clock, engine.append(tenant, builder.build()))
  const found = async (): Promise<string[]> => {
    const all: string[] = []
    for (const { chunks } of await engine.reader(tenant).select([], 0, startMs))
      for (const chunk of chunks) {
        const opened = await chunk.open()
        for (const block of opened!.blocks) {
          const lines = block.lines()
          for (let i = 0; i < lines.count; i++)
            all.push(Buffer.from(lines.bytes.subarray(lines.lineFrom[i], lines.lineTo[i])).toString())
        }
      }
    return all.sort()
  }
  texts.sort()
  assert.deepEqual(await found(), texts)
  // The head is too large: it was cut by the append.
  assert.equal(engine.chunkStats.waiting, 1)
  await clock.advance(400_000)
  await driving(clock, engine.maintain())
  assert.ok(refused > 0)
  assert.deepEqual([engine.chunkStats.waiting, engine.chunkStats.uploads], [1, 0])
  assert.match(engine.warning!, /a worker ended/)
  assert.deepEqual(await found(), texts)
  isAway = false
  await driving(clock, engine.flush())
  assert.deepEqual([engine.chunkStats.waiting, engine.chunkStats.uploads], [0, 1])
  assert.deepEqual(await found(), texts)
  await driving(clock, engine.close())
})
