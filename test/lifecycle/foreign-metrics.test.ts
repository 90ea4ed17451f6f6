/**
 * Blocks that Prometheus wrote, in the layouts of those that keep them in buckets: at the root as Prometheus and
 * Thanos, below tenants as Mimir and Cortex have them, with their marks and indexes. Read only. Covers req-002,
 * req-066.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ReadOnlyBucket } from '#bucket/read-only.ts'
import { RootedBucket } from '#bucket/rooted.ts'
import { isUlid } from '#codec/ulid.ts'
import { defaultLimits } from '#core/limits.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import { PromqlEngine, type QueryResult } from '../../src/query/promql/engine.ts'
import { makeWorld, openMetrics, type World } from '../signal-worlds.ts'

const blocks = new URL('../../fixtures/prometheus/blocks/', import.meta.url)
const ids = readdirSync(blocks).sort()
interface Meta {
  minTime: number
  maxTime: number
  thanos?: unknown
}
const metaOf = (id: string): Meta => JSON.parse(readFileSync(new URL(`${id}/meta.json`, blocks), 'utf8')) as Meta
const lastMs = Math.max(...ids.map(id => metaOf(id).maxTime))
const minuteMs = 60_000

/** What the bucket was asked, and a bucket that counts it. */
class CountedBucket extends ReadOnlyBucket {
  readonly asked: string[] = []
  override get(key: string): Promise<Uint8Array> {
    this.asked.push(key)
    return super.get(key)
  }
}

/** Puts the golden blocks below a prefix. */
async function putBlock({ bucket }: World, prefix: string, id: string, thanos?: unknown, as = id): Promise<void> {
  const chunks = readdirSync(new URL(`${id}/chunks/`, blocks)).map(name => `chunks/${name}`)
  for (const name of ['index', ...chunks])
    await bucket.put(`${prefix}${as}/${name}`, readFileSync(new URL(`${id}/${name}`, blocks)))
  const meta = { ...metaOf(id), ulid: as, ...(thanos === undefined ? {} : { thanos }) }
  await bucket.put(`${prefix}${as}/meta.json`, Buffer.from(JSON.stringify(meta)))
}

async function put(world: World, key: string, text: string | Uint8Array): Promise<void> {
  await world.bucket.put(key, Buffer.from(text))
}

interface Opened {
  engine: MetricsEngine
  counted: CountedBucket
  ask: (query: string) => Promise<QueryResult>
}

async function open(world: World, tenant = 'anonymous'): Promise<Opened> {
  const counted = new CountedBucket(world.bucket, '')
  const bucket = new RootedBucket(counted, { tenant: 'anonymous', isBlock: isUlid })
  const engine = await openMetrics(world.clock, { ...world, bucket, readOnly: true, refreshMs: 50_000 })
  const promql = new PromqlEngine(world.clock, defaultLimits)
  return { engine, counted, ask: query => promql.instant(engine.reader(tenant), query, lastMs - 1) }
}

/** Of all series of the golden blocks. */
const countSeries = `count(last_over_time({__name__=~".+"}[30d]))`

async function seriesOf(opened: Opened): Promise<number> {
  const { series, warnings } = await opened.ask(countSeries)
  assert.deepEqual(warnings, [])
  return series[0]?.values[0] ?? 0
}

async function withBlocks(prefix: string): Promise<World> {
  const world = makeWorld(lastMs + 24 * 60 * minuteMs)
  for (const id of ids) await putBlock(world, prefix, id)
  return world
}

test('blocks at the root are served as those below the default tenant are', async () => {
  const below = await seriesOf(await open(await withBlocks('anonymous/')))
  assert.ok(below > 100, String(below))
  assert.equal(await seriesOf(await open(await withBlocks(''))), below)
  // Other things lie there, too.
  const world = await withBlocks('')
  await put(world, 'debug/metas/x.json', '{}')
  await put(world, 'wal/00000001', 'x')
  assert.equal(await seriesOf(await open(world)), below)
})

test('an empty bucket has no tenants yet; what comes is found by the next look, wherever it lies', async () => {
  for (const prefix of ['', 'anonymous/']) {
    const world = makeWorld(lastMs + minuteMs)
    const opened = await open(world)
    assert.equal(await seriesOf(opened), 0)
    for (const id of ids) await putBlock(world, prefix, id)
    await world.clock.advance(minuteMs)
    assert.ok((await seriesOf(opened)) > 100, prefix)
  }
})

for (const [name, prefix, markOf] of [
  ['Thanos', '', (id: string) => `${id}/deletion-mark.json`],
  ['Mimir', 'anonymous/', (id: string) => `anonymous/markers/${id}-deletion-mark.json`],
  ['Mimir, in the block alone', 'anonymous/', (id: string) => `anonymous/${id}/deletion-mark.json`],
] as const)
  test(`${name}: a block that is marked for deletion leaves the answers, at a start too`, async () => {
    const world = await withBlocks(prefix)
    const opened = await open(world)
    assert.equal(opened.engine.blockList().length, ids.length)
    await put(world, markOf(ids[0]!), JSON.stringify({ id: ids[0], version: 1, deletion_time: 1 }))
    await world.clock.advance(minuteMs)
    const left = (one: Opened): string[] => one.engine.blockList().map(({ id }) => id)
    assert.deepEqual(left(opened).sort(), ids.slice(1))
    assert.deepEqual(left(await open(world)).sort(), ids.slice(1))
    // Marks that say something else change nothing.
    await put(world, markOf(ids[1]!).replace('deletion-mark', 'no-compact-mark'), '{}')
    await world.clock.advance(minuteMs)
    assert.deepEqual(left(opened).sort(), ids.slice(1))
  })

test('labels that Thanos has of a block are labels of its series, in matchers and answers', async () => {
  const world = makeWorld(lastMs + minuteMs)
  const external = (replica: string): unknown => ({ labels: { replica, cluster: 'eu' }, downsample: { resolution: 0 } })
  const twin = (id: string): string => `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`
  for (const id of ids) {
    await putBlock(world, '', id, external('a'))
    await putBlock(world, '', id, external('b'), twin(id))
  }
  const opened = await open(world)
  const { ask } = opened
  const plain = await seriesOf(await open(await withBlocks('')))
  assert.equal(await seriesOf(opened), plain * 2)
  const by = await ask(`count by (replica, cluster) (last_over_time({__name__=~".+", replica=~"a|x"}[30d]))`)
  assert.deepEqual(
    by.series.map(({ labels, values }) => [labels.toObject(), values[0]]),
    [[{ cluster: 'eu', replica: 'a' }, plain]],
  )
  assert.equal((await ask(`count(last_over_time({__name__=~".+", replica="c"}[30d]))`)).series.length, 0)
  assert.equal((await ask(`count(last_over_time({__name__=~".+", cluster!="eu"}[30d]))`)).series.length, 0)
  const reader = opened.engine.reader('anonymous')
  assert.deepEqual(await reader.labelValues('replica', [], 0, lastMs), ['a', 'b'])
  assert.ok((await reader.labelNames([], 0, lastMs)).includes('cluster'))
  const found = await reader.series([], 0, lastMs)
  const keys = found.map(labels => labels.key)
  assert.equal(new Set(keys).size, keys.length)
})

test('labels of Mimir and Cortex say something of a block, and not of its series', async () => {
  const world = makeWorld(lastMs + minuteMs)
  for (const id of ids)
    await putBlock(world, 't/', id, { labels: { __org_id__: 't', __compactor_shard_id__: '1_of_2' } })
  const { engine } = await open(world)
  assert.ok(!(await engine.reader('t').labelNames([], 0, lastMs)).includes('__org_id__'))
})

test('downsampled blocks are not read; an answer says so where nothing else has their time', async () => {
  const world = await withBlocks('')
  const fiveMinutes = { labels: {}, downsample: { resolution: 300_000 } }
  const sampled = `${ids[0]!.slice(0, -1)}Z`
  await putBlock(world, '', ids[0]!, fiveMinutes, sampled)
  const opened = await open(world)
  assert.ok((await seriesOf(opened)) > 100)
  assert.equal(opened.engine.blockList().length, ids.length)
  // Only what was made of it is left.
  await put(world, `${ids[0]!}/deletion-mark.json`, '{}')
  await world.clock.advance(minuteMs)
  const { warnings } = await opened.ask(countSeries)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]!, new RegExp(`${sampled}.*downsampled`))
})

test("a start with many blocks asks the tenant's index, and goes without one that is damaged or late", async () => {
  const copies = 40
  const idOf = (n: number): string => `${ids[0]!.slice(0, -2)}${String(n).padStart(2, '0')}`
  const indexOf = (count: number): Uint8Array =>
    gzipSync(
      JSON.stringify({
        version: 1,
        blocks: Array.from({ length: count }, (_, n) => ({
          block_id: idOf(n),
          min_time: metaOf(ids[0]!).minTime,
          max_time: metaOf(ids[0]!).maxTime,
        })),
      }),
    )
  const cases: [string, Uint8Array | undefined, metas: number][] = [
    ['fresh', indexOf(copies), 0],
    ['late', indexOf(copies - 5), 5],
    ['damaged', Buffer.from('no gzip'), copies],
    ['of another form', gzipSync('{"blocks": [1, null, {"block_id": "../x"}]}'), copies],
    ['missing', undefined, copies],
  ]
  for (const [name, index, metas] of cases) {
    const world = makeWorld(lastMs + minuteMs)
    for (let n = 0; n < copies; n++) await putBlock(world, 'anonymous/', ids[0]!, undefined, idOf(n))
    if (index !== undefined) await put(world, 'anonymous/bucket-index.json.gz', index)
    const { engine, counted } = await open(world)
    assert.equal(engine.blockList().length, copies, name)
    assert.equal(counted.asked.filter(key => key.endsWith('meta.json')).length, metas, name)
    // Looks that find nothing new ask for no object.
    counted.asked.length = 0
    await world.clock.advance(4 * minuteMs)
    assert.deepEqual(counted.asked, [], name)
  }
})

test('a block that somebody is uploading is no damage; garbage is, and the rest is served', async () => {
  const world = await withBlocks('anonymous/')
  const opened = await open(world)
  const count = await seriesOf(opened)
  const young = `${ids[0]!.slice(0, -1)}Y`
  await put(world, `anonymous/${young}/index`, 'x')
  await world.clock.advance(minuteMs)
  assert.equal(await seriesOf(opened), count)
  await put(world, `anonymous/${young}/meta.json`, 'garbage')
  await world.clock.advance(minuteMs)
  const { series, warnings } = await opened.ask(countSeries)
  assert.equal(series[0]?.values[0], count)
  assert.match(warnings.join(), new RegExp(young))
})

test('a block that another program deletes between a look and a query costs no answer', async () => {
  const world = await withBlocks('anonymous/')
  const opened = await open(world)
  const count = await seriesOf(opened)
  // What was merged of all of them stands in their place; nobody has looked since.
  const merged = ids.map(id => `${id.slice(0, -1)}X`)
  for (const [i, id] of ids.entries()) await putBlock(world, 'anonymous/', id, undefined, merged[i])
  for (const key of Array.from(world.bucket.objects.keys()))
    if (ids.some(id => key.startsWith(`anonymous/${id}/`))) world.bucket.objects.delete(key)
  assert.equal(await seriesOf(opened), count)
  assert.deepEqual(
    opened.engine
      .blockList()
      .map(({ id }) => id)
      .sort(),
    merged,
  )
})

test('nothing is ever written, and what would be is refused', async () => {
  const world = await withBlocks('')
  const before = [...world.bucket.objects.keys()]
  const { engine, counted } = await open(world)
  await world.clock.advance(24 * 60 * minuteMs)
  await engine.flush()
  await engine.close()
  assert.deepEqual([...world.bucket.objects.keys()], before)
  await assert.rejects(counted.put(), /put failed: ReadOnly/)
  await assert.rejects(counted.putFile(), /ReadOnly/)
  await assert.rejects(counted.delete(), /delete failed: ReadOnly/)
})
