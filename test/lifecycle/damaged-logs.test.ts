/** Indexes, chunks and filters of logs that are missing, cut short or flipped: the rest is served, answers say so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { defaultLimits } from '#core/limits.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom } from '#core/random.ts'
import { parseLogql, parseLogQuery } from '#lang/logql/parser.ts'
import { parseLogsql } from '#lang/logsql/parser.ts'
import { nsOfMs } from '#lang/logsql/times.ts'
import type { LogsEngine, LogsOptions } from '#logs/engine.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import { LogqlEngine, metricOf } from '../../src/query/logql/engine.ts'
import { HiddenLines } from '../../src/query/logql/scan.ts'
import { LogsqlEngine, allTime } from '../../src/query/logsql/engine.ts'
import { driving, makeWorld, openLogs, type World } from '../signal-worlds.ts'

const startMs = 1_700_006_400_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs

function opened(world: World, options: Partial<LogsOptions> = {}): Promise<LogsEngine> {
  return openLogs(world.clock, { ...world, ...options })
}

async function append(world: World, engine: LogsEngine, app: string, lines: readonly string[]): Promise<void> {
  const builder = new LogBatchBuilder()
  lines.forEach((line, i) => {
    builder.add(Labels.fromObject({ app }), world.clock.nowMs() + i, 0, line)
  })
  await driving(world.clock, engine.append('fake', builder.build()))
}

interface Found {
  lines: string[]
  warnings: string[]
}

function logql(world: World): LogqlEngine {
  return new LogqlEngine(world.clock, defaultLimits, { seriesMax: 500, stepsMax: 11_000 })
}

async function lines(world: World, engine: LogsEngine, query: string): Promise<Found> {
  const reader = engine.reader('fake')
  const bounds = {
    fromMs: world.clock.nowMs() - 7 * dayMs,
    fromSubNs: 0,
    toMs: world.clock.nowMs() + hourMs,
    toSubNs: 0,
  }
  const asked = { bounds, limit: 1000, isBackward: false, intervalNs: 0 }
  const found = await logql(world).lines(parseLogQuery(query), asked, reader)
  return { lines: found.lines.map(l => l.line), warnings: reader.omissions.texts() }
}

/** A chunk of `damaged` and one of `whole`; the keys of the first's objects. */
async function twoChunks(world: World, engine: LogsEngine): Promise<{ chunk: string; table: string; index: string }> {
  await append(world, engine, 'damaged', ['first needle line', 'second line'])
  await driving(world.clock, engine.flush())
  const keys = [...world.bucket.objects.keys()]
  const table = keys.find(key => key.startsWith('fake/tercet/tables/'))!
  const chunk = keys.find(key => key.startsWith('fake/') && !key.startsWith('fake/tercet/'))!
  const index = keys.find(key => key.startsWith('index/'))!
  await world.clock.advance(26 * hourMs)
  await append(world, engine, 'whole', ['third needle line'])
  await driving(world.clock, engine.flush())
  return { table, chunk, index }
}

function change(world: World, key: string, edit: (bytes: Uint8Array) => Uint8Array): void {
  const object = world.bucket.objects.get(key)
  assert.ok(object !== undefined, key)
  object.bytes = edit(object.bytes)
}
const flipped =
  (share: number) =>
  (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, i) => (i === Math.floor((bytes.length - 1) * share) ? byte ^ 0x91 : byte))
const cut =
  (length: number) =>
  (bytes: Uint8Array): Uint8Array =>
    bytes.slice(0, length)

const edits: [name: string, edit: ((bytes: Uint8Array) => Uint8Array) | undefined][] = [
  ['missing', undefined],
  ['empty', cut(0)],
  ['cut short', bytes => bytes.slice(0, bytes.length - 3)],
  ['cut in the middle', bytes => bytes.slice(0, bytes.length >> 1)],
  ['flipped near its end', flipped(0.97)],
  ['flipped at its end', flipped(1)],
  ['flipped at its start', flipped(0)],
  ['zeroes', bytes => new Uint8Array(bytes.length)],
]

function damage(world: World, key: string, edit: ((bytes: Uint8Array) => Uint8Array) | undefined): void {
  if (edit === undefined) world.bucket.objects.delete(key)
  else change(world, key, edit)
}

for (const object of ['chunk', 'index'] as const)
  for (const [name, edit] of edits)
    test(`${object} ${name}: the rest is served, with a warning that names it`, async () => {
      const world = makeWorld(startMs)
      let engine = await opened(world)
      const keys = await twoChunks(world, engine)
      // Nothing but a search of all chunks could know of an index that is missing at the start.
      engine = await opened(world, { readOnly: true })
      damage(world, keys[object], edit)
      for (let round = 0; round < 2; round++) {
        const { lines: found, warnings } = await lines(world, engine, '{app=~".+"}')
        assert.deepEqual(found, ['third needle line'])
        assert.equal(warnings.length, 1, String(warnings))
        assert.ok(warnings[0]!.startsWith(`the results are incomplete: block ${keys[object]}: `), warnings.join())
      }
      assert.deepEqual(
        engine
          .reader('fake')
          .damaged()
          .map(d => d.id),
        [keys[object]],
      )
      const reader = engine.reader('fake')
      const expr = metricOf(parseLogql('sum(count_over_time({app=~".+"}[7d]))'))
      const { series } = await logql(world).instant(expr, world.clock.nowMs() + 1, 0, reader, false)
      // Lines of a chunk that can't be read are counted by its table.
      assert.deepEqual([...series[0]!.values], [object === 'chunk' ? 3 : 1])
      assert.equal(reader.omissions.isEmpty, object === 'chunk')
      const other = engine.reader('fake')
      const rows: string[] = []
      await new LogsqlEngine(world.clock, defaultLimits).run(
        parseLogsql('*', nsOfMs(world.clock.nowMs())),
        allTime,
        other,
        undefined,
        row => rows.push(row.get('_msg') ?? '') > 0,
      )
      assert.deepEqual(rows, ['third needle line'])
      assert.equal(other.omissions.isEmpty, false)
    })

for (const [name, edit] of [
  ...edits,
  ['with a bit lost', flipped(0.5)] as const,
  ['with all bits lost', noBits] as const,
  ['of a newer version', newerVersion] as const,
])
  test(`a table ${name} hides no line`, async () => {
    const world = makeWorld(startMs)
    const { table } = await twoChunks(world, await opened(world))
    damage(world, table, edit)
    const engine = await opened(world)
    const { lines: found, warnings } = await lines(world, engine, '{app=~".+"} |= "needle line"')
    assert.deepEqual(found, ['first needle line', 'third needle line'])
    assert.deepEqual(warnings, [])
  })

function newerVersion(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, i) => (i === 4 ? byte + 1 : byte))
}

function noBits(bytes: Uint8Array): Uint8Array {
  return bytes.slice().fill(0, 8, bytes.length - 4)
}

test('a part of a chunk that is damaged costs that part', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const random = Array.from(
    { length: 3000 },
    (_, i) => `${'x'.repeat(150)} ${Math.imul(i, 0x9e3779b1) >>> 0} line ${i}`,
  )
  await append(world, engine, 'a', random)
  await driving(world.clock, engine.flush())
  const key = [...world.bucket.objects.keys()].find(k => k.startsWith('fake/') && !k.includes('tercet'))!
  change(world, key, flipped(0.3))
  const { lines: found, warnings } = await lines(world, await opened(world), '{app="a"}')
  assert.ok(found.length > 500 && found.length <= 1000, String(found.length))
  assert.equal(warnings.length, 1)
})

test('a damaged index stays when the day is written again, and comes back when it is whole', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const { index } = await twoChunks(world, engine)
  const whole = world.bucket.objects.get(index)!.bytes
  change(world, index, flipped(0.97))
  const again = await opened(world)
  await lines(world, again, '{app=~".+"}')
  const builder = new LogBatchBuilder()
  builder.add(Labels.fromObject({ app: 'late' }), startMs + 1000, 0, 'late line')
  await driving(world.clock, again.append('fake', builder.build()))
  await driving(world.clock, again.flush())
  await world.clock.advance(hourMs)
  await driving(world.clock, again.maintain())
  assert.ok(world.bucket.objects.has(index))
  const { lines: found, warnings } = await lines(world, again, '{app=~".+"}')
  assert.deepEqual(found, ['late line', 'third needle line'])
  assert.equal(warnings.length, 1)
  world.bucket.objects.get(index)!.bytes = whole
  const third = await lines(world, await opened(world), '{app=~".+"}')
  assert.deepEqual(third.lines.sort(), ['first needle line', 'late line', 'second line', 'third needle line'])
  assert.deepEqual(third.warnings, [])
})

test('an index that another compactor replaced is no damage', async () => {
  const world = makeWorld(startMs)
  const { index } = await twoChunks(world, await opened(world))
  const reading = await opened(world, { readOnly: true })
  const object = world.bucket.objects.get(index)!
  world.bucket.objects.delete(index)
  await world.bucket.put(
    index.replace(/(\d+)-compactor/, (_, n: string) => `${BigInt(n) + 1n}-compactor`),
    object.bytes,
  )
  const { lines: found, warnings } = await lines(world, reading, '{app=~".+"}')
  assert.equal(found.length, 3)
  assert.deepEqual(warnings, [])
})

test('a bucket that fails for the moment is no damage', async () => {
  const world = makeWorld(startMs)
  await twoChunks(world, await opened(world))
  const engine = await opened(world)
  const get = world.bucket.get.bind(world.bucket)
  world.bucket.get = () => Promise.reject(new BucketError('get', 'memory', 'SlowDown', true))
  await assert.rejects(lines(world, engine, '{app=~".+"}'), /SlowDown/)
  world.bucket.get = get
  assert.equal((await lines(world, engine, '{app=~".+"}')).lines.length, 3)
  assert.deepEqual(engine.reader('fake').damaged(), [])
})

test('a deletion that meets a damaged chunk leaves it, erases the others, and goes on hiding its lines', async () => {
  const world = makeWorld(startMs)
  const { chunk } = await twoChunks(world, await opened(world))
  const engine = await opened(world, {
    deletionDelayMs: 0,
    hides: notices => new HiddenLines(notices, () => world.clock.nowMs()),
  })
  change(world, chunk, flipped(0.97))
  await engine.requestDeletion('fake', '{app=~".+"} |= "needle"', startMs - dayMs, world.clock.nowMs() + dayMs)
  await world.clock.advance(hourMs)
  await driving(world.clock, engine.maintain())
  assert.ok(world.bucket.objects.has(chunk))
  assert.deepEqual((await lines(world, engine, '{app=~".+"}')).lines, [])
  assert.equal(engine.reader('fake').deletions().length, 1)
})

for (const object of ['chunk', 'index', 'table'] as const)
  test(`whichever byte of the ${object} is flipped, an answer is whole or says that it is not`, async () => {
    const world = makeWorld(startMs)
    const keys = await twoChunks(world, await opened(world))
    const held = world.bucket.objects.get(keys[object])!
    const { bytes } = held
    const queries = ['{app=~".+"}', '{app=~".+"} |= "needle line"', '{app="damaged"} |~ "first"']
    const counted = metricOf(parseLogql('sum(count_over_time({app=~".+"}[7d]))'))
    const ask = async (): Promise<Found[]> => {
      const engine = await opened(world, { readOnly: true })
      const found: Found[] = []
      for (const query of queries) found.push(await lines(world, engine, query))
      const reader = engine.reader('fake')
      const { series } = await logql(world).instant(counted, world.clock.nowMs() + 1, 0, reader, false)
      found.push({
        lines: series.flatMap(({ values }) => Array.from(values, String)),
        warnings: reader.omissions.texts(),
      })
      return found
    }
    const whole = await ask()
    const random = seededRandom(5)
    let warned = 0
    for (let round = 0; round < 150; round++) {
      const at = below(random, bytes.length)
      held.bytes = bytes.map((byte, i) => (i === at ? byte ^ (1 << below(random, 8)) : byte))
      ;(await ask()).forEach((answer, i) => {
        const expected = whole[i]!.lines
        if (answer.warnings.length > 0) warned++
        else assert.deepEqual(answer.lines, expected, `byte ${at} of ${bytes.length}`)
        for (const line of i < queries.length ? answer.lines : [])
          assert.ok(expected.includes(line), `byte ${at}: ${line}`)
      })
    }
    if (object !== 'table') assert.ok(warned > 10, String(warned))
  })

test('damage is found before a query meets it', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const { chunk } = await twoChunks(world, engine)
  change(world, chunk, flipped(0.97))
  for (let i = 0; i < 60; i++) {
    await world.clock.advance(60_000)
    await driving(world.clock, engine.maintain())
  }
  assert.deepEqual(
    engine
      .reader('fake')
      .damaged()
      .map(d => d.id),
    [chunk],
  )
})

test('a damaged list of deletions does not end the start: answers say so, and it is kept', async () => {
  const world = makeWorld(startMs)
  const first = await opened(world)
  await twoChunks(world, first)
  await first.requestDeletion('fake', '{app="damaged"}', 0, world.clock.nowMs())
  const key = 'fake/tercet/deletions.json'
  const torn = world.bucket.objects.get(key)!.bytes.slice(0, 20)
  change(world, key, () => torn)
  change(world, 'fake/tercet/deletions-000000001.json', () => torn)
  assert.equal((await opened(world)).deletionRequests('fake').length, 1, 'the disk has a copy')
  const engine = await opened({ ...world, files: new MemoryFiles() })
  const { warnings } = await lines(world, engine, '{app=~".+"}')
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]!, /lines that were to be deleted may show/)
  await engine.requestDeletion('fake', '{app="damaged"}', 0, world.clock.nowMs())
  assert.deepEqual(world.bucket.objects.get(`${key}.damaged`)!.bytes, torn)
  assert.equal(engine.deletionRequests('fake').length, 1)
})
