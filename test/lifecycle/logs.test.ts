/**
 * Append -> crash -> replay -> cut -> index -> retain -> select, on a disk and a bucket in memory and a clock that is
 * moved by hand. Covers req-051, req-052, req-053, req-144.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { NewerFormatError } from '#core/own-formats.ts'
import { defaultLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { below, seededRandom } from '#core/random.ts'
import { yieldEvery } from '#core/yield.ts'
import { parseLogql, parseLogQuery } from '#lang/logql/parser.ts'
import { LocalBuilding, type BlockBuilding, type HidingTest } from '#logs/block-building.ts'
import type { DeletionRequests } from '#logs/deletion.ts'
import { LogsDoor } from '#logs/door.ts'
import { LogsEngine, type LogsOptions } from '#logs/engine.ts'
import { IndexCatalogue } from '#logs/index-catalogue.ts'
import { TableHead } from '#logs/table.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import { Budget } from '../../src/query/budget.ts'
import { LogqlEngine, metricOf } from '../../src/query/logql/engine.ts'
import { HiddenLines } from '../../src/query/logql/scan.ts'
import { distantLogsBuilding, inTurns } from '../distant-building.ts'
import { runLogQuery } from '../../src/query/logql/log-query.ts'
import { driving, makeWorld, openLogs, type World } from '../signal-worlds.ts'

const hourMs = 3_600_000
const startMs = 1_700_006_400_000

let seed = 1
/** Every second piece of work in the background is done as by another thread. */
function opened(world: World, options: Partial<LogsOptions> = {}): Promise<LogsEngine> {
  const { files, bucket, clock } = world
  const hides: HidingTest = notices => new HiddenLines(notices, () => clock.nowMs())
  const local = new LocalBuilding({ files, bucket, isBase64: false, hides, pause: yieldEvery(clock) })
  return openLogs(clock, {
    ...world,
    random: seededRandom(seed++),
    hides,
    building: inTurns<BlockBuilding>(local, distantLogsBuilding(local)),
    ...options,
  })
}

async function append(
  world: World,
  engine: LogsEngine,
  app: string,
  entries: readonly (readonly [timeMs: number, line: string])[],
): Promise<void> {
  const builder = new LogBatchBuilder()
  for (const [ms, line] of entries) builder.add(Labels.fromObject({ app }), ms, 7, line, ['tid', line.slice(0, 3)])
  const result = await driving(world.clock, engine.append('fake', builder.build()))
  assert.deepEqual(result.problems, [])
}

async function lines(world: World, engine: LogsEngine, query: string): Promise<string[]> {
  const bounds = { fromMs: startMs - 1000 * hourMs, fromSubNs: 0, toMs: startMs + 1000 * hourMs, toSubNs: 0 }
  const found = await driving(
    world.clock,
    runLogQuery(
      parseLogQuery(query),
      { bounds, limit: 100_000, isBackward: false, intervalNs: 0 },
      engine.reader('fake'),
      new Budget(world.clock, 1e9, 1e9),
      () => world.clock.nowMs(),
    ),
  )
  return found.lines.map(l => l.line)
}

const keys = async (world: World, prefix: string): Promise<string[]> =>
  (await world.bucket.list(prefix)).map(o => o.key)
const numbered = (count: number, stepMs = 1000): [number, string][] =>
  Array.from({ length: count }, (_, i) => [startMs + i * stepMs, `line ${i}`])

for (const durability of ['local', 'bucket'] as const) {
  test(
    `${durability}: a crash loses nothing, a flush puts everything into the bucket, the log goes ` +
      '(req-051, req-053, req-144)',
    async () => {
      const world = makeWorld(startMs)
      let engine = await opened(world, { durability })
      await append(world, engine, 'a', numbered(50))
      // Crash: nothing is closed.
      engine = await opened(world, { durability })
      assert.deepEqual(
        await lines(world, engine, '{app="a"}'),
        numbered(50).map(e => e[1]),
      )
      await driving(world.clock, engine.flush())
      assert.deepEqual(await keys(world, 'fake/tercet/wal/'), ['fake/tercet/wal/released.json'])
      assert.equal((await keys(world, 'index/')).length, 1)
      assert.deepEqual(
        await lines(world, engine, '{app="a"}'),
        numbered(50).map(e => e[1]),
      )
      // Another machine, which has the bucket alone.
      const other = await opened({ ...world, files: new MemoryFiles() }, { durability })
      assert.deepEqual(
        await lines(world, other, '{app="a"} |= "line 4"'),
        numbered(50)
          .map(e => e[1])
          .filter(l => l.startsWith('line 4')),
      )
    },
  )
}

test('lines that a replay brings back beside their chunk appear once, in numbers too', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'a', numbered(30))
  const { files } = world
  const saved = await Promise.all(
    (await files.list('data/wal')).map(async name => ({ name, bytes: await files.read(`data/wal/${name}`) })),
  )
  await driving(world.clock, engine.flush())
  for (const { name, bytes } of saved) await files.writeAtomic(`data/wal/${name}`, bytes)
  const again = await opened(world)
  assert.deepEqual(
    await lines(world, again, '{app="a"}'),
    numbered(30).map(e => e[1]),
  )
  const counts = new LogqlEngine(world.clock, defaultLimits, { seriesMax: 500, stepsMax: 11_000 })
  const { series } = await driving(
    world.clock,
    counts.instant(
      metricOf(parseLogql('sum(count_over_time({app="a"}[1h]))')),
      startMs + hourMs - 1,
      0,
      again.reader('fake'),
      false,
    ),
  )
  assert.deepEqual(
    series.map(s => s.values[0]),
    [30],
  )
})

test("a chunk over midnight is in both days' indexes; a second flush makes one index of two", async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const midnight = Math.ceil(startMs / 86_400_000) * 86_400_000
  await append(world, engine, 'a', [
    [midnight - 1000, 'before'],
    [midnight + 1000, 'after'],
  ])
  await driving(world.clock, engine.flush())
  assert.equal((await keys(world, 'index/')).length, 2)
  await append(world, engine, 'a', [[midnight + 2000, 'later']])
  await driving(world.clock, engine.flush())
  // When the two were replaced depends on when their one was packed: a quarter of an hour later they go.
  for (let round = 0; round < 3 && (await keys(world, 'index/')).length > 2; round++) {
    await driving(world.clock, world.clock.advance(1_000_000))
    await driving(world.clock, engine.maintain())
  }
  assert.deepEqual(
    (await keys(world, 'index/')).map(key => key.split('/')[1]),
    [`index_${midnight / 86_400_000 - 1}`, `index_${midnight / 86_400_000}`],
  )
  assert.deepEqual(await lines(world, engine, '{app="a"}'), ['before', 'after', 'later'])
})

test('idle and old chunks are cut and the generation ends; small young ones are taken over', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'idle', [[startMs, 'idle one']])
  await driving(world.clock, world.clock.advance(20 * 60_000))
  await append(world, engine, 'young', [[startMs, 'young one']])
  // Half an hour after the start the idle chunk is due, and the generation too; the young chunk goes on.
  for (let i = 0; i < 80; i++) {
    await driving(world.clock, world.clock.advance(10_000))
    await driving(world.clock, engine.maintain())
  }
  assert.deepEqual((await lines(world, engine, '{app=~".+"}')).sort(), ['idle one', 'young one'])
  assert.equal((await keys(world, 'index/')).length, 1)
  // A crash now: what was taken over is in the log's new generation.
  const again = await opened(world)
  assert.deepEqual((await lines(world, again, '{app=~".+"}')).sort(), ['idle one', 'young one'])
})

test('what is past the retention leaves queries at once, then the bucket (req-052, req-172)', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world, { retentionMs: 48 * hourMs })
  await append(world, engine, 'a', [[startMs, 'old']])
  await driving(world.clock, engine.flush())
  await world.clock.advance(40 * hourMs)
  await append(world, engine, 'a', [[world.clock.nowMs(), 'new']])
  await driving(world.clock, engine.flush())
  await world.clock.advance(9 * hourMs)
  assert.deepEqual(await lines(world, engine, '{app="a"}'), ['new'])
  await driving(world.clock, engine.maintain())
  await world.clock.advance(3 * hourMs)
  await driving(world.clock, engine.maintain())
  assert.equal((await keys(world, 'fake/')).filter(key => !key.includes('tercet')).length, 1)
  assert.equal((await keys(world, 'index/')).length, 1)
})

test('many lines, blocks and chunks: all come back in order, also those that came out of order', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const random = seededRandom(3)
  const entries: [number, string][] = Array.from({ length: 20_000 }, (_, i) => [
    startMs + (i ^ (i % 7 === 0 ? 511 : 0)) * 10,
    `${i} ${Array.from({ length: 12 }, () => below(random, 1e9).toString(36)).join(' ')}`,
  ])
  for (let from = 0; from < entries.length; from += 1000)
    await append(world, engine, 'big', entries.slice(from, from + 1000))
  const expected = [...entries].sort((a, b) => a[0] - b[0]).map(e => e[1])
  assert.deepEqual(await lines(world, engine, '{app="big"}'), expected)
  await driving(world.clock, engine.flush())
  assert.deepEqual(await lines(world, engine, '{app="big"}'), expected)
})

test('a deletion hides lines at once, and a day later the bucket has them no more', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const dayBoundary = Math.floor(startMs / 86_400_000) * 86_400_000
  await append(world, engine, 'a', [
    [dayBoundary - 2000, 'keep one'],
    [dayBoundary - 1000, 'secret one'],
    [dayBoundary + 1000, 'secret two'],
    [dayBoundary + 2000, 'keep two'],
  ])
  await append(world, engine, 'b', [[dayBoundary, 'secret three']])
  await append(world, engine, 'c', [[dayBoundary, 'keep three']])
  await driving(world.clock, engine.flush())
  const before = [...world.bucket.objects.keys()].filter(
    key => key.startsWith('fake/') && !key.includes('/tercet/') && !key.endsWith('.tercet-tokens'),
  )
  await engine.requestDeletion('fake', '{app=~".+"} |= "secret"', dayBoundary - 5000, dayBoundary + 5000)
  assert.deepEqual((await lines(world, engine, '{app=~".+"}')).sort(), ['keep one', 'keep three', 'keep two'])
  await driving(world.clock, engine.maintain())
  assert.equal(engine.deletionRequests('fake')[0]!.status, 'received')
  await world.clock.advance(24 * hourMs)
  await driving(world.clock, engine.maintain())
  assert.equal(engine.deletionRequests('fake')[0]!.status, 'processed')
  assert.equal(await engine.cancelDeletion('fake', engine.deletionRequests('fake')[0]!.id), false)
  assert.deepEqual((await lines(world, engine, '{app=~".+"}')).sort(), ['keep one', 'keep three', 'keep two'])
  assert.deepEqual(engine.reader('fake').deletions(), [])
  await world.clock.advance(3 * hourMs)
  await driving(world.clock, engine.maintain())
  const after = [...world.bucket.objects.keys()].filter(
    key => key.startsWith('fake/') && !key.includes('/tercet/') && !key.endsWith('.tercet-tokens'),
  )
  // One chunk is as it was, one is new, one is gone.
  assert.equal(before.length, 3)
  assert.equal(after.length, 2)
  assert.equal(after.filter(key => before.includes(key)).length, 1)
  await driving(world.clock, engine.close())
  const again = await opened({ ...world, files: new MemoryFiles() })
  assert.deepEqual((await lines(world, again, '{app=~".+"}')).sort(), ['keep one', 'keep three', 'keep two'])
  await driving(world.clock, again.close())
})

test('flush of a writer that was replaced rejects at once', async () => {
  const world = makeWorld(startMs)
  const first = await opened(world)
  await append(world, first, 'a', [[startMs, 'one']])
  await opened({ ...world, files: new MemoryFiles() })
  await assert.rejects(
    driving(world.clock, first.flush()),
    /^UnavailableError: another writer \(epoch 2\) took over the bucket/,
  )
})

test('deletions that are asked for at once are all kept; a writer that was replaced takes none', async () => {
  const world = makeWorld(startMs)
  const first = await opened(world)
  await append(world, first, 'a', numbered(6))
  const ask = (engine: LogsEngine, n: number): Promise<void> =>
    engine.requestDeletion('fake', `{app="a"} |= "line ${n}"`, startMs, startMs + hourMs)
  await driving(world.clock, Promise.all([ask(first, 0), ask(first, 1), ask(first, 2)]))
  assert.equal(first.deletionRequests('fake').length, 3)
  await driving(world.clock, first.flush())
  const reading = await opened({ ...world, files: new MemoryFiles() }, { readOnly: true })
  const second = await opened({ ...world, files: new MemoryFiles() })
  await driving(world.clock, ask(second, 3))
  await assert.rejects(driving(world.clock, ask(first, 4)), /^UnavailableError: another writer/)
  await assert.rejects(driving(world.clock, first.cancelDeletion('fake', second.deletionRequests('fake')[0]!.id)))
  await assert.rejects(driving(world.clock, ask(reading, 4)), /^UnavailableError: this process serves queries only/)
  assert.deepEqual(await lines(world, second, '{app="a"}'), ['line 4', 'line 5'])
  // A process that only reads learns of it with its next look at the bucket.
  await driving(world.clock, reading.refresh())
  assert.deepEqual(await lines(world, reading, '{app="a"}'), ['line 4', 'line 5'])
})

test('an earlier list of deletions that arrives again hides no later one', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'a', numbered(6))
  await driving(world.clock, engine.flush())
  const key = 'fake/tercet/deletions.json'
  const ask = (n: number): Promise<void> =>
    driving(world.clock, engine.requestDeletion('fake', `{app="a"} |= "line ${n}"`, startMs, startMs + hourMs))
  await ask(0)
  const first = await world.bucket.get(key)
  for (const n of [1, 2, 3]) await ask(n)
  await world.bucket.put(key, first)
  assert.deepEqual(await lines(world, await opened(world), '{app="a"}'), ['line 4', 'line 5'])
  await world.bucket.put(key, first.slice(0, 20))
  assert.deepEqual(await lines(world, await opened(world), '{app="a"}'), ['line 4', 'line 5'], 'a torn one neither')
})

test('a list of deletions that a newer program wrote refuses the start, of who reads and of who writes', async () => {
  const world = makeWorld(startMs)
  const key = 'fake/tercet/deletions.json'
  const text = '{"version":2,"number":1,"requests":[]}'
  await world.bucket.put(key, Buffer.from(text))
  for (const readOnly of [true, false]) {
    await assert.rejects(opened({ ...world, files: new MemoryFiles() }, { readOnly }), NewerFormatError)
    assert.equal(Buffer.from(await world.bucket.get(key)).toString(), text)
  }
})

test('a deletion whose list could be written, but not noted as the newest, is kept', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'a', numbered(3))
  await driving(world.clock, engine.flush())
  const { bucket } = world
  const put = bucket.put.bind(bucket)
  bucket.put = (key, bytes, how) =>
    key.endsWith('/deletions.json')
      ? Promise.reject(new BucketError('put', 'memory', 'SlowDown', true))
      : put(key, bytes, how)
  for (const n of [0, 1])
    await driving(world.clock, engine.requestDeletion('fake', `{app="a"} |= "line ${n}"`, startMs, startMs + hourMs))
  const again = await opened({ ...world, files: new MemoryFiles() }, { readOnly: true })
  assert.deepEqual(await lines(world, again, '{app="a"}'), ['line 2'])
})

test('of the states of a list of deletions the newest are kept, and all requests', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  for (let n = 0; n < 70; n++)
    await driving(world.clock, engine.requestDeletion('fake', `{app="a"} |= "line ${n}"`, startMs, startMs + hourMs))
  const states = [...world.bucket.objects.keys()].filter(key => key.startsWith('fake/tercet/deletions-'))
  assert.equal(states.length, 64)
  assert.equal((await opened(world)).deletionRequests('fake').length, 70)
})

test('lines stay hidden when the process starts without the bucket', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'a', numbered(3))
  await driving(world.clock, engine.requestDeletion('fake', '{app="a"} |= "line 1"', startMs, startMs + hourMs))
  const away = (): Promise<never> => Promise.reject(new BucketError('get', 'memory', 'ECONNREFUSED', true))
  const bucket = Object.assign(new MemoryBucket(world.clock), {
    get: away,
    list: away,
    listDirectories: away,
    put: away,
  })
  const again = await opened({ ...world, bucket })
  assert.deepEqual(await lines(world, again, '{app="a"}'), ['line 0', 'line 2'])
})

test('a deletion that is due while its lines are in memory waits for them, and a kill brings none back', async () => {
  const world = makeWorld(startMs)
  const options = { deletionDelayMs: 0 }
  const engine = await opened(world, options)
  await append(world, engine, 'a', numbered(3))
  await append(world, engine, 'b', numbered(1))
  await driving(world.clock, engine.requestDeletion('fake', '{app="a"} |= "line 1"', startMs, startMs + hourMs))
  const { bucket } = world
  const put = bucket.put.bind(bucket)
  bucket.put = (key, bytes, how) =>
    key.includes('/tercet/') ? put(key, bytes, how) : Promise.reject(new BucketError('put', 'memory', 'SlowDown', true))
  await driving(world.clock, engine.maintain())
  assert.equal(engine.deletionRequests('fake')[0]!.status, 'received', 'the bucket does not take the lines')
  assert.deepEqual(await lines(world, engine, '{app="a"}'), ['line 0', 'line 2'])
  bucket.put = put
  await world.clock.advance(60_000)
  await driving(world.clock, engine.maintain())
  assert.equal(engine.deletionRequests('fake')[0]!.status, 'processed')
  for (const one of [engine, await opened(world, options)]) {
    assert.deepEqual(await lines(world, one, '{app="a"}'), ['line 0', 'line 2'])
    assert.deepEqual(await lines(world, one, '{app="b"}'), ['line 0'])
  }
})

test('finished chunks beyond 64 MiB wait on the disk with their token filters until the bucket has them', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const random = seededRandom(5)
  const { bucket } = world
  const put = bucket.put.bind(bucket)
  bucket.put = (key, bytes, how) =>
    key.includes('/tercet/') ? put(key, bytes, how) : Promise.reject(new BucketError('put', 'memory', 'SlowDown', true))
  const staged = (): string[] => [...world.files.entries.keys()].filter(path => path.includes('/staging/'))
  let count = 0
  for (; count < 60 && staged().length === 0; count++) {
    const line = Buffer.from(random.bytes(2_000_000)).toString('latin1')
    const parts = Array.from({ length: 20 }, (_, i) => line.slice(i * 100_000, (i + 1) * 100_000))
    await append(
      world,
      engine,
      'a',
      parts.map((part, i) => [world.clock.nowMs() + i, `${part} needle${count}`]),
    )
    await world.clock.advance(1000)
  }
  assert.ok(staged().some(path => path.endsWith('.tokens')))
  bucket.put = put
  await driving(world.clock, engine.flush())
  assert.deepEqual(staged(), [])
  const keys = [...bucket.objects.keys()]
  const chunks = keys.filter(key => key.startsWith('fake/') && !key.startsWith('fake/tercet/'))
  const tables = keys.filter(key => key.startsWith('fake/tercet/tables/')).map(key => bucket.objects.get(key)!.bytes)
  const heads = await Promise.all(tables.map(bytes => TableHead.read(bytes, () => Promise.resolve())))
  assert.equal(
    heads.map(head => head.chunks.length).reduce((a, b) => a + b),
    chunks.length,
  )
  const again = await opened({ ...world, files: new MemoryFiles() }, { readOnly: true })
  assert.equal((await lines(world, again, '{app="a"} |= "needle0"')).length, 20)
})

for (const end of ['goes on', 'crashes once they are listed'] as const)
  test(`lines that were erased and come again stay, where the process ${end}`, async () => {
    const world = makeWorld(startMs)
    let engine = await opened(world, { deletionDelayMs: 0 })
    const entries = numbered(20)
    const texts = entries.map(([, line]) => line)
    await append(world, engine, 'a', entries)
    await driving(world.clock, engine.flush())
    const chunks = async (): Promise<string[]> =>
      (await keys(world, 'fake/')).filter(key => !key.startsWith('fake/tercet/'))
    const before = await chunks()
    await driving(world.clock, engine.requestDeletion('fake', '{app="a"}', 0, startMs + hourMs))
    await driving(world.clock, world.clock.advance(10_000))
    await driving(world.clock, engine.maintain())
    assert.deepEqual(engine.deletionRequests('fake')[0]!.status, 'processed')
    assert.deepEqual(await lines(world, engine, '{app="a"}'), [])
    await append(world, engine, 'a', entries)
    await driving(world.clock, engine.flush())
    assert.deepEqual(await chunks(), before)
    if (end !== 'goes on') engine = await opened({ ...world, files: new MemoryFiles() }, { deletionDelayMs: 0 })
    for (let round = 0; round < 3; round++) {
      await driving(world.clock, world.clock.advance(hourMs))
      await driving(world.clock, engine.maintain())
      assert.deepEqual(await lines(world, engine, '{app="a"}'), texts)
    }
    assert.deepEqual(await chunks(), before)
    // Erased once more, it goes.
    await driving(world.clock, engine.requestDeletion('fake', '{app="a"}', 0, startMs + hourMs))
    for (let round = 0; round < 4; round++) {
      await driving(world.clock, world.clock.advance(hourMs))
      await driving(world.clock, engine.maintain())
    }
    assert.deepEqual(await chunks(), [])
  })

test('a writer that is replaced while it works removes nothing that the next one lists again', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world, { deletionDelayMs: 0 })
  const entries = numbered(20)
  await append(world, engine, 'a', entries)
  await driving(world.clock, engine.flush())
  await driving(world.clock, engine.requestDeletion('fake', '{app="a"}', 0, startMs + hourMs))
  await driving(world.clock, world.clock.advance(10_000))
  await driving(world.clock, engine.maintain())
  await append(world, engine, 'b', entries)
  const put = world.bucket.put.bind(world.bucket)
  let second: LogsEngine | undefined
  world.bucket.put = async (key, ...rest) => {
    if (/^fake\/[0-9a-f]+\//.test(key)) {
      world.bucket.put = put
      await world.clock.advance(2 * hourMs)
      second = await opened({ ...world, files: new MemoryFiles() }, { deletionDelayMs: 0 })
      await append(world, second, 'a', entries)
      await driving(world.clock, second.flush())
    }
    return put(key, ...rest)
  }
  // Half an hour later the other chunk is put into the bucket, by a round that removes what is due at its end.
  await driving(world.clock, world.clock.advance(40 * 60_000))
  await driving(world.clock, engine.maintain())
  assert.ok(second !== undefined)
  assert.equal((await lines(world, second, '{app="a"}')).length, 20)
})

test('a writer that was replaced does not note what it retired over the note of the next one', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world, { deletionDelayMs: 0 })
  const entries = numbered(20)
  await append(world, engine, 'a', entries)
  await driving(world.clock, engine.flush())
  await driving(world.clock, engine.requestDeletion('fake', '{app="a"}', 0, startMs + hourMs))
  // The index that was replaced is gone meanwhile, and noted still; the chunk is due later.
  for (let round = 0; round < 3; round++) {
    await driving(world.clock, world.clock.advance(10 * 60_000))
    await driving(world.clock, engine.maintain())
  }
  const second = await opened({ ...world, files: new MemoryFiles() }, { deletionDelayMs: 0 })
  await append(world, second, 'a', entries)
  await driving(world.clock, second.flush())
  await driving(world.clock, engine.close())
  const third = await opened({ ...world, files: new MemoryFiles() }, { deletionDelayMs: 0 })
  await driving(world.clock, world.clock.advance(3 * hourMs))
  await driving(world.clock, third.maintain())
  assert.equal((await lines(world, third, '{app="a"}')).length, 20)
})

test('a deletion that is done while a query reads an index hides its lines in the chunks that it lists', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world, { deletionDelayMs: 0 })
  await append(world, engine, 'a', numbered(20))
  await driving(world.clock, engine.flush())
  await driving(world.clock, engine.requestDeletion('fake', '{app="a"}', 0, startMs + hourMs))
  const get = world.bucket.get.bind(world.bucket)
  let isErased = false
  world.bucket.get = async key => {
    const bytes = await get(key)
    if (!key.startsWith('index/') || isErased) return bytes
    world.bucket.get = get
    await world.clock.advance(10_000)
    await engine.maintain()
    isErased = engine.deletionRequests('fake')[0]!.status === 'processed'
    return bytes
  }
  assert.deepEqual(await lines(world, engine, '{app="a"}'), [])
  assert.ok(isErased)
  assert.deepEqual(await lines(world, engine, '{app="a"}'), [])
})

test('a plan for another thread has the deletions of the moment when it was begun', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await driving(world.clock, engine.requestDeletion('fake', '{app="a"}', 0, startMs + hourMs))
  const [request] = engine.deletionRequests('fake')
  let requests = [request!]
  const door = new LogsDoor({
    clock: world.clock,
    // The deletion ends while streams are looked at.
    streams: () => {
      requests = [{ ...request!, status: 'processed' }]
      return []
    },
    catalogue: new IndexCatalogue(world.bucket, world.clock, silentLog),
    requests: { of: () => requests, problem: undefined } as unknown as DeletionRequests,
    requireReadable: () => {},
    notJoined: () => undefined,
  })
  const { deletions } = await door.plan({ tenant: 'fake', matchers: [], fromMs: 0, throughMs: Infinity })
  assert.deepEqual(
    deletions.map(({ id }) => id),
    [request!.id],
  )
})
