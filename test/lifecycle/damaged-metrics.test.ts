/** Blocks of metrics whose objects are missing, cut short or flipped: the rest is served, and answers say so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BucketError } from '#bucket/bucket.ts'
import { defaultLimits } from '#core/limits.ts'
import { below, seededRandom } from '#core/random.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { PromqlEngine, type QueryResult } from '../../src/query/promql/engine.ts'
import { driving, makeWorld, openMetrics, type World } from '../signal-worlds.ts'

const hourMs = 3_600_000
const startMs = 1_700_006_400_000
const seriesCount = 30

function opened(world: World): Promise<MetricsEngine> {
  return openMetrics(world.clock, { ...world, defaultTenant: 'anonymous' })
}

async function append(world: World, engine: MetricsEngine, name: string, count = seriesCount): Promise<void> {
  const builder = new BatchBuilder()
  for (let i = 0; i < count; i++)
    builder.add(Labels.fromObject({ __name__: name, i: String(i) }), world.clock.nowMs(), i)
  await driving(world.clock, engine.append('anonymous', builder.batch))
}

function query(world: World, engine: MetricsEngine, text: string): Promise<QueryResult> {
  return new PromqlEngine(world.clock, defaultLimits).instant(engine.reader('anonymous'), text, world.clock.nowMs())
}

async function count(world: World, engine: MetricsEngine, name: string): Promise<[number, string[]]> {
  const { series, warnings } = await query(world, engine, `count(last_over_time(${name}[1d]))`)
  return [series[0]?.values[0] ?? 0, warnings]
}

/** A block of `w` and, four hours later, one of `other`; returns the prefix of the first. */
async function twoBlocks(world: World, engine: MetricsEngine): Promise<string> {
  await append(world, engine, 'w')
  await driving(world.clock, engine.flush())
  const prefix = prefixesOf(world)[0]!
  await world.clock.advance(4 * hourMs)
  await append(world, engine, 'other')
  await driving(world.clock, engine.flush())
  return prefix
}

function prefixesOf(world: World): string[] {
  const keys = [...world.bucket.objects.keys()].filter(key => /^anonymous\/[0-9A-Z]{26}\//.test(key))
  return [...new Set(keys.map(key => key.slice(0, key.lastIndexOf('/', key.indexOf('/') + 27) + 1)))]
}

function bytesOf(world: World, key: string): Uint8Array {
  const object = world.bucket.objects.get(key)
  assert.ok(object !== undefined, key)
  return object.bytes
}

const damage: [name: string, served: number, isWhole: boolean, act: (world: World, prefix: string) => void][] = [
  ['index missing', 0, true, ({ bucket }, p) => bucket.objects.delete(`${p}index`)],
  ['index cut short', 0, true, (world, p) => truncate(world, `${p}index`, 200)],
  ['index empty', 0, true, (world, p) => truncate(world, `${p}index`, 0)],
  ['index flipped', 0, true, (world, p) => flip(world, `${p}index`, 30)],
  ['contents of the index flipped', 0, true, (world, p) => flip(world, `${p}index`, -20)],
  ['chunks missing', 0, false, ({ bucket }, p) => bucket.objects.delete(`${p}chunks/000001`)],
  ['chunks empty', 0, false, (world, p) => truncate(world, `${p}chunks/000001`, 0)],
  ['last chunk cut off', seriesCount - 1, false, (world, p) => truncate(world, `${p}chunks/000001`, -1)],
  ['a chunk flipped', seriesCount - 1, false, (world, p) => flip(world, `${p}chunks/000001`, 30)],
  ["a chunk's length flipped", seriesCount - 1, false, (world, p) => flip(world, `${p}chunks/000001`, 8)],
  ['tombstones flipped', 0, true, (world, p) => void world.bucket.put(`${p}tombstones`, new Uint8Array(20))],
]

function truncate(world: World, key: string, length: number): void {
  const object = world.bucket.objects.get(key)!
  object.bytes = object.bytes.slice(0, length)
}
function flip(world: World, key: string, at: number): void {
  const bytes = bytesOf(world, key)
  bytes[at < 0 ? bytes.length + at : at]! ^= 0x91
}

// An index, and what was deleted, stay in memory when they were read.
for (const [name, served, isWhole, act] of damage)
  for (const when of ['at the start', 'while running', ...(isWhole ? [] : ['after it was read'])])
    test(`${name} ${when}: the rest is served, with a warning that names the block`, async () => {
      const world = makeWorld(startMs)
      let engine = await opened(world)
      const prefix = await twoBlocks(world, engine)
      const id = prefix.split('/')[1]!
      if (when === 'after it was read') assert.equal((await count(world, engine, 'w'))[0], seriesCount)
      act(world, prefix)
      if (when === 'at the start') engine = await opened(world)
      for (let round = 0; round < 2; round++) {
        const [found, warnings] = await count(world, engine, 'w')
        assert.equal(found, served)
        assert.equal(warnings.length, 1)
        assert.match(warnings[0]!, new RegExp(`^the results are incomplete: block ${id}: .`))
      }
      assert.equal((await count(world, engine, 'other'))[0], seriesCount)
      assert.deepEqual(
        engine
          .reader('anonymous')
          .damaged()
          .map(d => [d.tenant, d.id, d.isWhole]),
        [['anonymous', id, isWhole]],
      )
      assert.equal(engine.quarantined, 1)
      const reader = engine.reader('anonymous')
      assert.deepEqual(await reader.labelNames([], -Infinity, Infinity), ['__name__', 'i'])
      assert.deepEqual(reader.omissions.isEmpty, !isWhole)
    })

test('a query of another time does not speak of a damaged block', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const prefix = await twoBlocks(world, engine)
  world.bucket.objects.delete(`${prefix}index`)
  assert.equal((await count(world, engine, 'w'))[1].length, 1)
  assert.deepEqual((await query(world, engine, 'count(other)')).warnings, [])
})

const metaDamage: [name: string, act: (world: World, key: string) => void, reason: RegExp][] = [
  ['missing', ({ bucket }, key) => bucket.objects.delete(key), /meta\.json is missing/],
  ['cut short', (world, key) => truncate(world, key, 40), /meta\.json is not JSON/],
  ['with a changed digit', (world, key) => void flipText(world, key), /wrong checksum/],
  ['of another block', (world, key) => void flipText(world, key, false), /names another block/],
]

function flipText(world: World, key: string, isSealed = true): void {
  const { tercet, ...meta } = JSON.parse(Buffer.from(bytesOf(world, key)).toString()) as {
    ulid: string
    tercet: object
  }
  const ulid = `01AAAA${meta.ulid.slice(6)}`
  world.bucket.objects.get(key)!.bytes = Buffer.from(JSON.stringify({ ...meta, ulid, ...(isSealed ? { tercet } : {}) }))
}

for (const [name, act, reason] of metaDamage)
  test(`meta.json ${name}: the rest is served, with a warning`, async () => {
    const world = makeWorld(startMs)
    const prefix = await twoBlocks(world, await opened(world))
    act(world, `${prefix}meta.json`)
    const engine = await opened(world)
    const [found, warnings] = await count(world, engine, 'other')
    assert.equal(found, seriesCount)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, reason)
  })

test('a block whose upload was cut off lacks nothing: it never was one', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const put = world.bucket.putFile.bind(world.bucket)
  world.bucket.putFile = (key, path) =>
    key.endsWith('meta.json') ? Promise.reject(new BucketError('put', 'memory', 'SlowDown', true)) : put(key, path)
  await append(world, engine, 'w')
  void engine.flush().catch(() => {})
  await world.clock.advance(1000)
  assert.ok(
    [...world.bucket.objects.keys()].some(key => key.endsWith('/index')),
    'the upload began',
  )
  const reading = await openMetrics(world.clock, { ...world, defaultTenant: 'anonymous', readOnly: true })
  assert.deepEqual(await count(world, reading, 'other'), [0, []])
  assert.deepEqual(reading.reader('anonymous').damaged(), [])
})

test('a block that is whole again is served again after a refresh', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const prefix = await twoBlocks(world, engine)
  const index = world.bucket.objects.get(`${prefix}index`)!
  world.bucket.objects.delete(`${prefix}index`)
  assert.equal((await count(world, engine, 'w'))[0], 0)
  world.bucket.objects.set(`${prefix}index`, index)
  await engine.refresh()
  assert.deepEqual(await count(world, engine, 'w'), [seriesCount, []])
  assert.equal(engine.quarantined, 0)
})

test('a bucket that fails for the moment is no damage: the query fails, and the next one is whole', async () => {
  const world = makeWorld(startMs)
  let engine = await opened(world)
  await twoBlocks(world, engine)
  engine = await opened(world)
  const { bucket } = world
  for (const operation of ['get', 'getRange'] as const) {
    const real = bucket[operation].bind(bucket)
    bucket[operation] = () => Promise.reject(new BucketError('get', 'memory', 'SlowDown', true))
    await assert.rejects(count(world, engine, 'w'), /SlowDown/)
    bucket[operation] = real as never
    if (operation === 'get') continue
    assert.deepEqual(await count(world, engine, 'w'), [seriesCount, []])
  }
  assert.equal(engine.quarantined, 0)
})

test('a block that another compactor replaced is no damage: the query is planned again', async () => {
  const world = makeWorld(startMs)
  const writer = await opened(world)
  const first = await twoBlocks(world, writer)
  const reading = await openMetrics(world.clock, { ...world, defaultTenant: 'anonymous', readOnly: true })
  assert.deepEqual(await count(world, reading, 'w'), [seriesCount, []])
  // The block moves to another name, as a merge does.
  const id = first.split('/')[1]!
  const moved = `01${id.slice(2, 25)}${id.endsWith('0') ? '1' : '0'}`
  for (const [key, object] of Array.from(world.bucket.objects)) {
    if (!key.startsWith(first)) continue
    world.bucket.objects.delete(key)
    const { tercet: _ours, ...meta } = key.endsWith('meta.json')
      ? (JSON.parse(Buffer.from(object.bytes).toString().replaceAll(id, moved)) as { tercet: object })
      : { tercet: {} }
    const text = key.endsWith('meta.json') ? Buffer.from(JSON.stringify(meta)) : undefined
    await world.bucket.put(key.replace(id, moved), text ?? object.bytes)
  }
  for (const text of ['w', 'other']) assert.deepEqual(await count(world, reading, text), [seriesCount, []])
  assert.deepEqual((await reading.reader('anonymous').labelValues('i', [], -Infinity, Infinity)).length, seriesCount)
  assert.equal(reading.quarantined, 0)
})

for (const [name, act] of [
  ['a chunk is flipped', (world: World, p: string) => flip(world, `${p}chunks/000001`, 30)],
  ['the index is missing', (world: World, p: string) => void world.bucket.objects.delete(`${p}index`)],
  ['the chunks are missing', (world: World, p: string) => void world.bucket.objects.delete(`${p}chunks/000001`)],
] as const)
  test(`a merge goes on without a block of which ${name}, which stays`, async () => {
    const world = makeWorld(startMs)
    let engine = await opened(world)
    for (let i = 0; i < 9; i++) {
      await append(world, engine, 'w')
      await world.clock.advance(2 * hourMs)
    }
    await driving(world.clock, engine.flush())
    await driving(world.clock, engine.maintain())
    const before = prefixesOf(world)
    const damaged = before.at(-2)!
    act(world, damaged)
    engine = await opened(world)
    for (let i = 0; i < 9; i++) {
      await append(world, engine, 'w')
      await world.clock.advance(2 * hourMs)
      await driving(world.clock, engine.maintain())
    }
    await driving(world.clock, engine.flush())
    await driving(world.clock, engine.maintain())
    const after = prefixesOf(world)
    assert.ok(after.includes(damaged), 'the damaged block is kept')
    assert.ok(after.some(p => !before.includes(p)))
    const sum = await query(world, engine, 'sum(count_over_time(w{i="29"}[3d]))')
    assert.ok(sum.series[0]!.values[0]! >= 16, String(sum.series[0]!.values[0]))
    assert.equal((await query(world, engine, 'sum(count_over_time(w[3d]))')).warnings.length, 1)
  })

for (const name of ['index', 'chunks/000001', 'meta.json'])
  test(`whichever byte of ${name} is flipped, an answer is whole or says that it is not`, async () => {
    const world = makeWorld(startMs)
    const prefix = await twoBlocks(world, await opened(world))
    const object = world.bucket.objects.get(`${prefix}${name}`)!
    const { bytes } = object
    const ask = async (): Promise<{ values: string; names: string; warnings: string[][] }> => {
      const engine = await openMetrics(world.clock, { ...world, defaultTenant: 'anonymous', readOnly: true })
      const { series, warnings } = await query(world, engine, 'last_over_time({__name__=~"w|other"}[1d])')
      const reader = engine.reader('anonymous')
      const names = [
        ...(await reader.labelNames([], -Infinity, Infinity)),
        ...(await reader.labelValues('i', [], -Infinity, Infinity)),
      ]
      return {
        values: series.map(s => `${s.labels} ${s.values}`).join('\n'),
        names: names.join(),
        warnings: [warnings, reader.omissions.texts()],
      }
    }
    const whole = await ask()
    assert.deepEqual(whole.warnings, [[], []])
    const random = seededRandom(3)
    let warned = 0
    for (let round = 0; round < 200; round++) {
      const at = below(random, bytes.length)
      object.bytes = bytes.map((byte, i) => (i === at ? byte ^ (1 << below(random, 8)) : byte))
      const answer = await ask()
      assert.ok(answer.values === whole.values || answer.warnings[0]!.length > 0, `byte ${at}`)
      assert.ok(answer.names === whole.names || answer.warnings[1]!.length > 0, `byte ${at}`)
      for (const line of answer.values.split('\n')) assert.ok(whole.values.includes(line), `byte ${at}: ${line}`)
      if (answer.warnings[0]!.length > 0) warned++
    }
    assert.ok(warned > 10, String(warned))
  })

test('damage is found before a query meets it, and what is whole again is known to be', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  const prefix = await twoBlocks(world, engine)
  const maintain = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) {
      await world.clock.advance(60_000)
      await driving(world.clock, engine.maintain())
    }
  }
  flip(world, `${prefix}chunks/000001`, 30)
  await maintain()
  assert.deepEqual(
    engine
      .reader('anonymous')
      .damaged()
      .map(d => d.id),
    [prefix.split('/')[1]],
  )
  flip(world, `${prefix}chunks/000001`, 30)
  await maintain()
  assert.equal(engine.quarantined, 0)
})

test('files of no block are removed after a day', async () => {
  const world = makeWorld(startMs)
  await twoBlocks(world, await opened(world))
  const orphan = 'anonymous/01HF84E41804ZQ1FPYQKNN1N9Z/chunks/000001'
  const engine = await opened(world)
  await world.bucket.put(orphan, new Uint8Array(8))
  for (const [hours, isThere] of [
    [23, true],
    [2, false],
  ] as const) {
    await world.clock.advance(hours * hourMs)
    await driving(world.clock, engine.refresh())
    await driving(world.clock, engine.maintain())
    assert.equal(world.bucket.objects.has(orphan), isThere)
  }
  assert.deepEqual(engine.reader('anonymous').damaged(), [])
})

test('a damaged block on the disk does not end the start: the log has what it holds', async () => {
  const world = makeWorld(startMs)
  const engine = await opened(world)
  await append(world, engine, 'w')
  const { bucket } = world
  const putFile = bucket.putFile.bind(bucket)
  bucket.putFile = () => Promise.reject(new BucketError('put', 'memory', 'SlowDown', true))
  engine.flush().catch(() => {})
  await world.clock.advance(1000)
  const path = [...world.files.entries.keys()].find(key => /staging.*meta\.json$/.test(key))!
  await world.files.writeAtomic(path, (await world.files.read(path)).slice(0, 30))
  bucket.putFile = putFile
  const again = await opened(world)
  assert.deepEqual(await count(world, again, 'w'), [seriesCount, []])
  await driving(world.clock, again.flush())
  assert.deepEqual(await count(world, await opened(world), 'w'), [seriesCount, []])
})
