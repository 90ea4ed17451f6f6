/**
 * Append -> crash -> replay -> cut -> compact -> retain -> select, on a disk and a bucket in memory and a clock that
 * is moved by hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { MetricsEngine, type MetricsOptions } from '#metrics/engine.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { Fence } from '#store/fencing.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { driving, makeMetrics, makeWorld, type World } from '../signal-worlds.ts'

const hourMs = 3_600_000
const startMs = 1_700_006_400_000

let seed = 1
function makeEngine(world: World, options: Partial<MetricsOptions> = {}): MetricsEngine {
  return makeMetrics(world.clock, {
    ...world,
    random: seededRandom(seed++),
    defaultTenant: 'anonymous',
    ...options,
  })
}

/** Opens while the virtual time moves on, as timers may be waited for. */
async function opened(world: World, options: Partial<MetricsOptions> = {}): Promise<MetricsEngine> {
  const engine = makeEngine(world, options)
  await driving(world.clock, engine.open())
  return engine
}

async function append(
  world: World,
  engine: MetricsEngine,
  name: string,
  timeMs: number,
  value: number,
): Promise<ReturnType<MetricsEngine['append']>> {
  const builder = new BatchBuilder()
  builder.add(Labels.fromObject({ __name__: name, job: 'test' }), timeMs, value)
  return driving(world.clock, engine.append('anonymous', builder.batch))
}

async function samples(engine: MetricsEngine, name: string): Promise<[number, number][]> {
  const set = await engine.reader('anonymous').select([makeMatcher('=', '__name__', name)], -Infinity, Infinity)
  const out: [number, number][] = []
  const columns = new SampleColumns()
  await set.load(0, set.labels.length)
  for (let i = 0; i < set.labels.length; i++) {
    columns.clear()
    set.read(i, columns)
    for (let k = 0; k < columns.count; k++) out.push([columns.timesMs[k]!, columns.values[k]!])
  }
  return out
}

for (const durability of ['local', 'bucket'] as const) {
  test(`${durability}: what was acknowledged is there after a crash, once (req-012, req-040, req-093)`, async () => {
    const world = makeWorld(startMs)
    let engine = await opened(world, { durability })
    const expected: [number, number][] = []
    for (let i = 0; i < 50; i++) {
      const timeMs = world.clock.nowMs()
      await append(world, engine, 'm', timeMs, i)
      expected.push([timeMs, i])
      await world.clock.advance(15_000)
      if (i % 17 === 16) {
        // The old one is simply forgotten; in bucket mode its disk is too.
        if (durability === 'bucket') world.files.entries.clear()
        engine = await opened(world, { durability })
      }
    }
    assert.deepEqual(await samples(engine, 'm'), expected)
  })
}

test('cut, upload, compact: every sample once at each stage, levels and sources as the readers expect', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  const expected: [number, number][] = []
  for (let i = 0; i < 30 * 12; i++) {
    const timeMs = world.clock.nowMs()
    await append(world, engine, 'm', timeMs, i)
    expected.push([timeMs, i])
    await world.clock.advance(300_000)
  }
  await driving(world.clock, engine.maintain())
  assert.deepEqual(await samples(engine, 'm'), expected)
  const metas = [...world.bucket.objects]
    .filter(([key]) => key.endsWith('meta.json'))
    .map(
      ([, object]) =>
        JSON.parse(Buffer.from(object.bytes).toString()) as {
          minTime: number
          maxTime: number
          compaction: { level: number; sources: string[] }
        },
    )
  assert.ok(
    metas.some(meta => meta.compaction.level > 1),
    'nothing was compacted',
  )
  for (const meta of metas) {
    assert.ok(meta.compaction.sources.length > 0)
    assert.ok(
      Math.floor(meta.minTime / (24 * hourMs)) === Math.floor((meta.maxTime - 1) / (24 * hourMs)),
      'a block crosses a day',
    )
  }
  engine = await opened(world)
  assert.deepEqual(await samples(engine, 'm'), expected)
  // With the disk gone, the bucket has all that was shipped.
  await driving(world.clock, engine.flush())
  world.files.entries.clear()
  engine = await opened(world)
  assert.deepEqual(await samples(engine, 'm'), expected)
})

test('a merged block that only the disk has does not remove the blocks that it was made of', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world, { durability: 'bucket' })
  const expected: [number, number][] = []
  for (let i = 0; i < 4; i++) {
    // Each block reaches back over the one before it.
    for (const timeMs of [world.clock.nowMs(), world.clock.nowMs() - 600_000 + i]) {
      expected.push([timeMs, i])
      await append(world, engine, 'm', timeMs, i)
    }
    await driving(world.clock, engine.flush())
    await world.clock.advance(60_000)
  }
  expected.sort(([a], [b]) => a - b)
  // Their range is over.
  await world.clock.advance(4 * hourMs)
  expected.push([world.clock.nowMs(), 9])
  await append(world, engine, 'm', world.clock.nowMs(), 9)
  // Blocks of one range are merged; what the merge made does not reach the bucket before the process is killed.
  const { putFile } = world.bucket
  world.bucket.putFile = () => Promise.reject(new BucketError('put', 'b', 'SlowDown', true))
  const merging = engine.maintain()
  merging.catch(() => {})
  for (let i = 0; i < 50; i++) await world.clock.advance(100)
  assert.ok([...world.files.entries.keys()].some(path => path.includes('/staging/')))
  engine = makeEngine(world, { durability: 'bucket' })
  await driving(world.clock, engine.open())
  for (let i = 0; i < 5; i++) await world.clock.advance(20_000)
  world.bucket.putFile = putFile
  world.files.entries.clear()
  engine = await opened(world, { durability: 'bucket' })
  assert.deepEqual(await samples(engine, 'm'), expected)
})

test('out of order, repeated, conflicting, too old, in the future (req-035)', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const now = world.clock.nowMs()
  assert.equal((await append(world, engine, 'm', now, 1)).refused, 0)
  assert.equal((await append(world, engine, 'm', now, 1)).refused, 0)
  assert.match((await append(world, engine, 'm', now, 2)).problems[0]?.message ?? '', /^duplicate sample for timestamp/)
  assert.equal((await append(world, engine, 'm', now - 1_800_000, 0.5)).refused, 0)
  assert.match((await append(world, engine, 'm', now - 2 * hourMs, 0)).problems[0]?.message ?? '', /^too old sample/)
  assert.match((await append(world, engine, 'm', now + hourMs, 0)).problems[0]?.message ?? '', /^out of bounds/)
  assert.deepEqual(await samples(engine, 'm'), [
    [now - 1_800_000, 0.5],
    [now, 1],
  ])
  await driving(world.clock, engine.flush())
  assert.deepEqual(await samples(engine, 'm'), [
    [now - 1_800_000, 0.5],
    [now, 1],
  ])
})

test('retention by time and by size (req-037, req-168)', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world, { retentionMs: 48 * hourMs })
  for (let i = 0; i < 72; i++) {
    await append(world, engine, 'm', world.clock.nowMs(), i)
    await world.clock.advance(hourMs)
  }
  await driving(world.clock, engine.maintain())
  const kept = await samples(engine, 'm')
  assert.ok(kept[0]![0] >= world.clock.nowMs() - 49 * hourMs)
  assert.equal(kept.at(-1)![1], 71)
  const oldest = Math.min(
    ...[...world.bucket.objects]
      .filter(([key]) => key.endsWith('meta.json'))
      .map(([, o]) => (JSON.parse(Buffer.from(o.bytes).toString()) as { maxTime: number }).maxTime),
  )
  assert.ok(oldest > world.clock.nowMs() - 73 * hourMs)
})

test('deleted series stay deleted, through a restart and a rewrite', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  await append(world, engine, 'gone', world.clock.nowMs(), 1)
  await append(world, engine, 'kept', world.clock.nowMs(), 2)
  await driving(
    world.clock,
    engine.deleteSeries('anonymous', [makeMatcher('=', '__name__', 'gone')], -Infinity, 2 ** 53),
  )
  assert.deepEqual(await samples(engine, 'gone'), [])
  assert.equal((await samples(engine, 'kept')).length, 1)
  engine = await opened(world)
  assert.deepEqual(await samples(engine, 'gone'), [])
  await driving(world.clock, engine.cleanTombstones())
  assert.deepEqual(await samples(engine, 'gone'), [])
  assert.equal((await samples(engine, 'kept')).length, 1)
  assert.ok(![...world.bucket.objects.keys()].some(key => key.endsWith('tombstones')))
})

test('what was deleted after a merge does not come back with what the merge replaced', async () => {
  for (const isAllGone of [false, true]) {
    const world = makeWorld(startMs)
    await world.clock.advance(1_200_000)
    let engine = await opened(world)
    for (let i = 0; i < 3; i++) {
      for (const agoMs of [0, 600_000 - i])
        for (const name of isAllGone ? ['gone'] : ['gone', 'kept'])
          await append(world, engine, name, world.clock.nowMs() - i - agoMs, i)
      await driving(world.clock, engine.flush())
    }
    await driving(world.clock, engine.maintain())
    const metas = (): string[] => [...world.bucket.objects.keys()].filter(key => key.endsWith('/meta.json'))
    assert.equal(metas().length, 4, 'three blocks and what they were merged into')
    const gone = [makeMatcher('=', '__name__', 'gone')]
    await driving(world.clock, engine.deleteSeries('anonymous', gone, -Infinity, 2 ** 53))
    await driving(world.clock, engine.cleanTombstones())
    assert.equal(metas().length, isAllGone ? 0 : 1)
    for (const isRestarted of [false, true]) {
      if (isRestarted) engine = await opened(world)
      await world.clock.advance(hourMs)
      await driving(world.clock, engine.maintain())
      await driving(world.clock, engine.refresh())
      assert.deepEqual(await samples(engine, 'gone'), [])
      assert.equal((await samples(engine, 'kept')).length, isAllGone ? 0 : 6)
    }
    assert.deepEqual(
      [...world.bucket.objects.keys()].filter(key => key.endsWith('deletion-mark.json')),
      [],
    )
  }
})

test('deletions one after the other stay, also when the request of an earlier one arrives again', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  const names = Array.from({ length: 9 }, (_, i) => `gone_${i}`)
  for (const name of [...names, 'kept']) await append(world, engine, name, world.clock.nowMs(), 1)
  await driving(world.clock, engine.flush())
  const remove = (name: string): Promise<void> =>
    driving(world.clock, engine.deleteSeries('anonymous', [makeMatcher('=', '__name__', name)], -Infinity, 2 ** 53))
  await remove(names[0]!)
  const key = [...world.bucket.objects.keys()].find(name => name.endsWith('/tombstones'))!
  const first = await world.bucket.get(key)
  for (const name of names.slice(1)) await remove(name)
  await world.bucket.put(key, first)
  for (const one of [engine, (engine = await opened(world)), await opened(world, { readOnly: true })]) {
    for (const name of names) assert.deepEqual(await samples(one, name), [])
    assert.equal((await samples(one, 'kept')).length, 1)
  }
  await driving(world.clock, engine.cleanTombstones())
  assert.ok(![...world.bucket.objects.keys()].some(name => name.includes('tombstones')))
  for (const name of names) assert.deepEqual(await samples(engine, name), [])
})

test('a merged block that arrives when more was deleted from its parents than it knows goes itself', async () => {
  const world = makeWorld(startMs)
  const first = await opened(world, { durability: 'bucket' })
  for (let i = 0; i < 4; i++) {
    for (const name of ['gone', 'kept'])
      for (const agoMs of [0, 600_000 - i]) await append(world, first, name, world.clock.nowMs() - agoMs, i)
    await driving(world.clock, first.flush())
    await world.clock.advance(60_000)
  }
  const copyOf = (): Map<string, Uint8Array> =>
    new Map([...world.bucket.objects].map(([key, { bytes }]) => [key, bytes]))
  await world.clock.advance(4 * hourMs)
  await append(world, first, 'kept', world.clock.nowMs(), 9)
  const parents = copyOf()
  await driving(world.clock, first.maintain())
  // What the merge wrote was still on its way when its process was killed.
  const late = [...copyOf()].filter(([key]) => !parents.has(key) && /^anonymous\/[0-9A-Z]{26}\//.test(key))
  assert.ok(late.some(([key]) => key.endsWith('/meta.json')))
  world.bucket.objects.clear()
  for (const [key, bytes] of parents) await world.bucket.put(key, bytes)
  world.files.entries.clear()
  const engine = await opened(world, { durability: 'bucket' })
  const gone = [makeMatcher('=', '__name__', 'gone')]
  await driving(world.clock, engine.deleteSeries('anonymous', gone, -Infinity, 2 ** 53))
  for (const [key, bytes] of late) if (!key.endsWith('deletion-mark.json')) await world.bucket.put(key, bytes)
  await driving(world.clock, engine.flush())
  await driving(world.clock, engine.refresh())
  for (const one of [engine, await opened({ ...world, files: new MemoryFiles() }, { readOnly: true })]) {
    assert.deepEqual(await samples(one, 'gone'), [])
    assert.equal((await samples(one, 'kept')).length, 9)
  }
})

test('a process that is replaced while it starts takes nothing in, and says what its answers lack', async () => {
  const world = makeWorld(startMs)
  await append(world, await opened(world, { durability: 'bucket' }), 'm', world.clock.nowMs(), 1)
  world.files.entries.clear()
  const { bucket } = world
  const put = bucket.put.bind(bucket)
  let successor: MetricsEngine | undefined
  bucket.put = async (key, bytes, how) => {
    if (key.endsWith('.wal') && successor === undefined) {
      successor = makeEngine({ ...world, files: new MemoryFiles() }, { durability: 'bucket' })
      await successor.open()
    }
    await put(key, bytes, how)
  }
  const late = await opened(world, { durability: 'bucket' })
  assert.match(late.notReady ?? '', /another writer \(epoch \d+\) took over the bucket/)
  await assert.rejects(append(world, late, 'm', world.clock.nowMs(), 2), /another writer/)
  assert.match(late.reader('anonymous').omissions.texts().join(), /replaced while it started/)
  assert.equal((await samples(successor!, 'm')).length, 1)
})

test('a deletion whose first attempt failed on the way, and arrived, is done with the second', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  for (const name of ['a', 'b', 'kept']) await append(world, engine, name, world.clock.nowMs(), 1)
  await driving(world.clock, engine.flush())
  const { bucket } = world
  const put = bucket.put.bind(bucket)
  bucket.put = async (key, bytes, options) => {
    await put(key, bytes, options)
    if (key.includes('tombstones')) throw new BucketError('put', 'memory', 'ECONNRESET', true)
  }
  const remove = (name: string): Promise<void> =>
    driving(world.clock, engine.deleteSeries('anonymous', [makeMatcher('=', '__name__', name)], -Infinity, 2 ** 53))
  await assert.rejects(remove('a'), BucketError)
  bucket.put = put
  await remove('b')
  for (const one of [engine, await opened(world)]) {
    assert.deepEqual(await samples(one, 'b'), [])
    assert.equal((await samples(one, 'kept')).length, 1)
  }
})

test('what a flush could not write, the next one writes; a deletion reaches it too', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'm', world.clock.nowMs(), 1)
  await append(world, engine, 'gone', world.clock.nowMs(), 1)
  const { files } = world
  const open = files.openAppend.bind(files)
  files.openAppend = path =>
    path.includes('/staging/')
      ? Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }))
      : open(path)
  await assert.rejects(driving(world.clock, engine.flush()), /EIO/)
  const gone = [makeMatcher('=', '__name__', 'gone')]
  await assert.rejects(driving(world.clock, engine.deleteSeries('anonymous', gone, -Infinity, 2 ** 53)), /EIO/)
  files.openAppend = open
  await driving(world.clock, engine.flush())
  const reader = await opened({ ...world, files: new MemoryFiles() }, { readOnly: true })
  assert.equal((await samples(reader, 'm')).length, 1)
  await driving(world.clock, engine.deleteSeries('anonymous', gone, -Infinity, 2 ** 53))
  assert.deepEqual(await samples(engine, 'gone'), [])
})

test('a damaged block is left out and reported, the rest is served (req-164)', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  await append(world, engine, 'm', world.clock.nowMs(), 1)
  await driving(world.clock, engine.flush())
  await world.clock.advance(4 * hourMs)
  await append(world, engine, 'm', world.clock.nowMs(), 2)
  await driving(world.clock, engine.flush())
  const index = [...world.bucket.objects].find(([key]) => key.endsWith('/index'))!
  index[1].bytes[index[1].bytes.length - 20]! ^= 255
  engine = await opened(world)
  assert.equal((await samples(engine, 'm')).length, 1)
  assert.equal(engine.quarantined, 1)
})

test('the bucket away: accepted, served, visible in the backlog, drained afterwards (req-155)', async () => {
  const world = makeWorld(startMs)
  const { bucket } = world
  const engine = await opened(world)
  const putFile = bucket.putFile.bind(bucket)
  const put = bucket.put.bind(bucket)
  bucket.putFile = () => Promise.reject(new Error('503'))
  bucket.put = () => Promise.reject(new Error('503'))
  const expected: [number, number][] = []
  for (let i = 0; i < 120; i++) {
    const timeMs = world.clock.nowMs()
    await append(world, engine, 'm', timeMs, i)
    expected.push([timeMs, i])
    await world.clock.advance(120_000)
  }
  assert.ok(engine.status().backlogBytes > 0)
  assert.deepEqual(await samples(engine, 'm'), expected)
  bucket.putFile = putFile
  bucket.put = put
  await driving(world.clock, engine.flush())
  await world.clock.advance(300_000)
  await driving(world.clock, engine.maintain())
  assert.deepEqual(await samples(engine, 'm'), expected)
  world.files.entries.clear()
  assert.deepEqual(await samples(await opened(world), 'm'), expected)
})

test('a query that began while a block was staged ends when the block has moved to the bucket', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'm', world.clock.nowMs(), 1)
  const { bucket } = world
  const putFile = bucket.putFile.bind(bucket)
  bucket.putFile = () => Promise.reject(new Error('503'))
  const flushed = engine.flush()
  flushed.catch(() => {})
  await world.clock.advance(100)
  const set = await engine.reader('anonymous').select([makeMatcher('=', '__name__', 'm')], -Infinity, Infinity)
  bucket.putFile = putFile
  await driving(world.clock, flushed)
  assert.deepEqual(await world.files.listDirectories('data/staging/anonymous'), [])
  await set.load(0, 1)
  const columns = new SampleColumns()
  set.read(0, columns)
  assert.equal(columns.count, 1)
})

test('a full disk: 503 with Retry-After, and on again when there is room', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world, { freeBytesMin: 1000 })
  world.files.free = 10
  await driving(world.clock, engine.maintain())
  await assert.rejects(
    append(world, engine, 'm', world.clock.nowMs(), 1),
    /^UnavailableError: the disk of data has 10 bytes free, 1000 are kept free/,
  )
  world.files.free = 10_000
  await driving(world.clock, engine.maintain())
  assert.equal((await append(world, engine, 'm', world.clock.nowMs(), 1)).stored, 1)
})

test('a second writer fences off the first', async () => {
  const world = makeWorld(startMs)
  const first = await opened(world)
  await append(world, first, 'm', world.clock.nowMs(), 1)
  const files = new MemoryFiles()
  await opened({ ...world, files })
  await driving(world.clock, first.maintain())
  await assert.rejects(
    append(world, first, 'm', world.clock.nowMs() + 1, 2),
    /another writer \(epoch 2\) took over the bucket/,
  )
})

test('flush of a writer that was replaced rejects at once, also when another takes over while it uploads', async () => {
  const world = makeWorld(startMs)
  const first = await opened(world)
  await append(world, first, 'm', world.clock.nowMs(), 1)
  await opened({ ...world, files: new MemoryFiles() })
  await assert.rejects(
    driving(world.clock, first.flush()),
    /^UnavailableError: another writer \(epoch 2\) took over the bucket/,
  )
  const away = makeWorld(startMs)
  const second = await opened(away)
  await append(away, second, 'm', away.clock.nowMs(), 1)
  away.bucket.putFile = () => Promise.reject(new Error('the bucket is away'))
  const flushed = second.flush()
  flushed.catch(() => {})
  await away.clock.advance(10_000)
  await opened({ ...away, files: new MemoryFiles() })
  await assert.rejects(driving(away.clock, flushed), /another writer \(epoch 2\) took over the bucket/)
})

test('a hand-over that fails changes nothing; after one that succeeds another does nothing (req-176)', async () => {
  const world = makeWorld(startMs)
  const put = world.bucket.put.bind(world.bucket)
  const engine = await opened(world)
  await append(world, engine, 'm', world.clock.nowMs(), 1)
  world.bucket.put = (key, bytes, options) =>
    key.includes('/epoch/') ? Promise.reject(new Error('not now')) : put(key, bytes, options)
  await assert.rejects(driving(world.clock, engine.handOver('Mimir')), /not now/)
  await append(world, engine, 'm', world.clock.nowMs() + 1, 2)
  world.bucket.put = put
  await driving(world.clock, engine.handOver('Mimir'))
  await assert.rejects(append(world, engine, 'm', world.clock.nowMs() + 2, 3), /handed over to Mimir/)
  const before = world.bucket.objects.size
  await driving(world.clock, engine.handOver('Mimir'))
  await driving(world.clock, engine.maintain())
  assert.equal(world.bucket.objects.size, before, 'nothing is written any more')
  assert.equal((await samples(engine, 'm')).length, 2, 'and queries are answered')
  assert.equal(await Fence.successorOf(world.bucket, 'anonymous/tercet/epoch/'), 'Mimir')
})

test('native histograms, stale markers and both kinds beside each other survive the block', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const builder = new BatchBuilder()
  const series = builder.addSeries(Labels.fromObject({ __name__: 'h' }))
  const now = world.clock.nowMs()
  for (let i = 0; i < 5; i++) {
    const histogram = new FloatHistogram()
    histogram.integer = i < 3
    histogram.count = 3 + i
    histogram.sum = 1.5 * i
    histogram.positive = { index: [1, 3], count: [1 + i, 2] }
    builder.batch.histograms.push({ series, timeMs: now + i * 1000, startMs: 0, histogram })
  }
  const stale = new FloatHistogram()
  stale.stale = true
  builder.batch.histograms.push({ series, timeMs: now + 5000, startMs: 0, histogram: stale })
  builder.batch.addSampleWords(builder.addSeries(Labels.fromObject({ __name__: 'f' })), now, 0x7ff00000, 2)
  await driving(world.clock, engine.append('anonymous', builder.batch))
  const read = async (): Promise<string> => {
    const shown: string[] = []
    for (const name of ['h', 'f']) {
      const set = await engine.reader('anonymous').select([makeMatcher('=', '__name__', name)], -Infinity, Infinity)
      await set.load(0, set.labels.length)
      const columns = new SampleColumns()
      set.read(0, columns)
      for (let i = 0; i < columns.count; i++) {
        const value = columns.isStale(i) ? 'stale' : String(columns.histograms?.[i] ?? columns.values[i])
        shown.push(`${columns.timesMs[i]! - now} ${value}`)
      }
    }
    return shown.join('\n')
  }
  const before = await read()
  assert.match(before, /stale/)
  await driving(world.clock, engine.flush())
  assert.equal(await read(), before)
})

test('series without samples leave the memory, their numbers go to others, and nothing of them is lost', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  const expected = new Map<string, [number, number][]>()
  // A series lives two hours; one stays. Each wave has new label values, as deployments do.
  for (let wave = 0; wave < 12; wave++) {
    for (let step = 0; step < 8; step++) {
      const timeMs = world.clock.nowMs()
      for (const name of ['steady', ...Array.from({ length: 10 }, (_, i) => `wave_${wave}_${i}`)]) {
        await append(world, engine, name, timeMs, wave * 100 + step)
        expected.set(name, [...(expected.get(name) ?? []), [timeMs, wave * 100 + step]])
      }
      await world.clock.advance(900_000)
      await driving(world.clock, engine.maintain())
    }
    if (wave === 7) engine = await opened(world)
  }
  const { series, labelPairs } = engine.headStats('anonymous')
  assert.ok(series <= 50, `${series} series are in memory, 121 were made`)
  assert.ok(labelPairs <= 51, `${labelPairs} label pairs are in memory`)
  for (const [name, wanted] of expected) assert.deepEqual(await samples(engine, name), wanted, name)
  const reader = engine.reader('anonymous')
  assert.equal((await reader.labelValues('__name__', [], -Infinity, Infinity)).length, 121)
  // One that left comes back, under whatever number.
  const now = world.clock.nowMs()
  await append(world, engine, 'wave_0_3', now, 7)
  await append(world, engine, 'never_seen', now, 8)
  assert.deepEqual(await samples(engine, 'wave_0_3'), [...expected.get('wave_0_3')!, [now, 7]])
  engine = await opened(world)
  assert.deepEqual(await samples(engine, 'wave_0_3'), [...expected.get('wave_0_3')!, [now, 7]])
  assert.deepEqual(await samples(engine, 'never_seen'), [[now, 8]])
  assert.deepEqual(await samples(engine, 'steady'), expected.get('steady'))
})

test('a query that began before a range left the memory reads all of it', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const now = world.clock.nowMs()
  for (let i = 0; i < 20; i++) await append(world, engine, 'm', now + i * 1000, i)
  const set = await engine.reader('anonymous').select([makeMatcher('=', '__name__', 'm')], -Infinity, Infinity)
  await driving(world.clock, engine.flush())
  await set.load(0, 1)
  const columns = new SampleColumns()
  set.read(0, columns)
  assert.equal(columns.count, 20)
})

test('exemplars and metadata are there after a restart', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  const now = world.clock.nowMs()
  const builder = new BatchBuilder()
  const series = builder.addSeries(Labels.fromObject({ __name__: 'm_total', job: 'x' }))
  builder.batch.addSample(series, now, 1)
  builder.batch.exemplars.push({ series, labels: Labels.fromObject({ trace_id: 'abc' }), value: 0.5, timeMs: now })
  builder.batch.metadata.push({ metric: 'm_total', type: 'counter', help: 'What it counts.', unit: 'things' })
  assert.equal((await driving(world.clock, engine.append('anonymous', builder.batch))).exemplars, 1)
  for (let round = 0; round < 2; round++) {
    const [found] = engine.exemplars('anonymous', [[makeMatcher('=', 'job', 'x')]], -Infinity, Infinity)
    assert.deepEqual(
      found?.exemplars.map(e => [e.labels.get('trace_id'), e.value, e.timeMs]),
      [['abc', 0.5, now]],
    )
    assert.equal(String(found?.labels), 'm_total{job="x"}')
    assert.deepEqual(engine.metadata('anonymous').get('m_total'), {
      metric: 'm_total',
      type: 'counter',
      help: 'What it counts.',
      unit: 'things',
    })
    engine = await opened(world)
  }
})
