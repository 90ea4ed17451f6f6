/**
 * Buckets that Tempo wrote and goes on writing, read only: its tenant index, compactions that are caught halfway,
 * blocks on their way. Covers req-066.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Bucket, ObjectInfo } from '#bucket/bucket.ts'
import { ReadOnlyBucket } from '#bucket/read-only.ts'
import type { TracesEngine } from '#traces/engine.ts'
import { driving, makeWorld, openTraces, type World } from '../signal-worlds.ts'

const golden = new URL('../../fixtures/tempo/bucket/', import.meta.url).pathname
const minuteMs = 60_000
const tenant = 'single-tenant'

function keysBelow(directory: string, prefix = ''): string[] {
  return readdirSync(directory).flatMap(name =>
    statSync(join(directory, name)).isDirectory()
      ? keysBelow(join(directory, name), `${prefix}${name}/`)
      : [prefix + name],
  )
}
const keys = keysBelow(golden)
const merged = keys.find(key => key.endsWith('/meta.json'))!.split('/')[1]!
const sources = keys.filter(key => key.endsWith('/meta.compacted.json')).map(key => key.split('/')[1]!)
const bytesOf = (key: string): Buffer => readFileSync(join(golden, key))

/** Its keys as objects, but for those of the blocks that are not named. */
async function worldOf(...blocks: string[]): Promise<World> {
  const world = makeWorld(1_800_000_000_000)
  for (const block of blocks) await putBlock(world, block)
  return world
}

/** A block as it was before it was merged. */
async function putBlock({ bucket }: World, block: string): Promise<void> {
  for (const key of keys.filter(one => one.includes(block)))
    await bucket.put(key.replace('meta.compacted.json', 'meta.json'), bytesOf(key))
}

async function retire({ bucket }: World, block: string): Promise<void> {
  await bucket.put(`${tenant}/${block}/meta.compacted.json`, await bucket.get(`${tenant}/${block}/meta.json`))
  await bucket.delete(`${tenant}/${block}/meta.json`)
}

class CountedBucket extends ReadOnlyBucket {
  readonly asked: string[] = []
  /** Called when a tenant was listed: what it does is not in that listing. */
  onListed: () => Promise<void> = () => Promise.resolve()
  override get(key: string): Promise<Uint8Array> {
    this.asked.push(key)
    return super.get(key)
  }
  override async list(prefix: string): Promise<ObjectInfo[]> {
    const found = await super.list(prefix)
    await this.onListed()
    return found
  }
}

function open(world: World, bucket: Bucket): Promise<TracesEngine> {
  return openTraces(world.clock, { ...world, bucket, readOnly: true, refreshMs: 50_000 })
}

const idsOf = (engine: TracesEngine): string[] =>
  engine
    .blockList()
    .map(({ id }) => id)
    .sort()

test('a block that is merged away is read no more, and one that Tempo keeps from compaction is', async () => {
  const world = await worldOf(merged, ...sources)
  for (const source of sources) await retire(world, source)
  await world.bucket.put(`${tenant}/${merged}/nocompact.flg`, new Uint8Array(0))
  await world.bucket.put('work.json', Buffer.from('{}'))
  const engine = await open(world, world.bucket)
  assert.deepEqual(idsOf(engine), [merged])
})

test('a compaction that is under way while the bucket is listed shows as before it or after it', async () => {
  const world = await worldOf(...sources)
  const bucket = new CountedBucket(world.bucket, '')
  const engine = await open(world, bucket)
  assert.deepEqual(idsOf(engine), [...sources].sort())
  // The block that was made is listed, and its sources are marked a moment later.
  await putBlock(world, merged)
  let listings = 0
  bucket.onListed = async () => {
    if (++listings === 1) for (const source of sources) await retire(world, source)
  }
  await driving(world.clock, engine.refresh())
  assert.deepEqual(idsOf(engine), [merged])
  assert.ok(listings > 1, String(listings))
})

test('sources that are listed as merged before the block that was made of them is listed', async () => {
  const world = await worldOf(...sources)
  let isHidden = true
  /** As a page that was fetched before the block came. */
  class StaleBucket extends CountedBucket {
    override async list(prefix: string): Promise<ObjectInfo[]> {
      const found = await super.list(prefix)
      if (!isHidden) return found
      isHidden = false
      return found.filter(({ key }) => !key.includes(merged))
    }
  }
  isHidden = false
  const engine = await open(world, new StaleBucket(world.bucket, ''))
  await putBlock(world, merged)
  for (const source of sources) await retire(world, source)
  isHidden = true
  await driving(world.clock, engine.refresh())
  assert.deepEqual(idsOf(engine), [merged])
})

test("a start with many blocks asks the tenant's index, and goes without one that is damaged or late", async () => {
  const copies = 40
  const idOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
  const metaOf = (n: number): object => ({
    ...(JSON.parse(bytesOf(`${tenant}/${merged}/meta.json`).toString()) as object),
    blockID: idOf(n),
  })
  const indexOf = (count: number): Uint8Array =>
    gzipSync(
      JSON.stringify({ created_at: 'x', meta: Array.from({ length: count }, (_, n) => metaOf(n)), compacted: [] }),
    )
  const cases: [string, Uint8Array | undefined, metas: number][] = [
    ['fresh', indexOf(copies), 0],
    ['late', indexOf(copies - 5), 5],
    ['damaged', Buffer.from('no gzip'), copies],
    ['of another form', gzipSync('{"meta": [1, null, {"blockID": 7}]}'), copies],
    ['missing', undefined, copies],
  ]
  for (const [name, index, metas] of cases) {
    const world = await worldOf()
    for (let n = 0; n < copies; n++)
      await world.bucket.put(`${tenant}/${idOf(n)}/meta.json`, Buffer.from(JSON.stringify(metaOf(n))))
    if (index !== undefined) await world.bucket.put(`${tenant}/index.json.gz`, index)
    const bucket = new CountedBucket(world.bucket, '')
    const engine = await open(world, bucket)
    assert.equal(engine.blockList().length, copies, name)
    assert.equal(bucket.asked.filter(key => key.endsWith('meta.json')).length, metas, name)
    bucket.asked.length = 0
    await world.clock.advance(4 * minuteMs)
    assert.deepEqual(bucket.asked, [], name)
  }
})

test('a block that is just uploaded is no damage at a start; garbage is, and the rest is served', async () => {
  const world = await worldOf(merged)
  const young = '11111111-0000-4000-8000-000000000000'
  await world.bucket.put(`${tenant}/${young}/data.parquet`, new Uint8Array(9))
  const engine = await open(world, world.bucket)
  const damaged = (): string[] =>
    engine
      .reader(tenant)
      .damaged('all')
      .map(({ id }) => id)
  assert.deepEqual(damaged(), [])
  await world.bucket.put(`${tenant}/${young}/meta.json`, Buffer.from('garbage'))
  await world.clock.advance(minuteMs)
  assert.deepEqual(damaged(), [young])
  assert.deepEqual(idsOf(engine), [merged])
})

test('an empty bucket has no tenants yet, and nothing is ever written', async () => {
  const world = await worldOf()
  const engine = await open(world, new ReadOnlyBucket(world.bucket, ''))
  assert.deepEqual(idsOf(engine), [])
  await putBlock(world, merged)
  await world.clock.advance(minuteMs)
  assert.deepEqual(idsOf(engine), [merged])
  const before = [...world.bucket.objects.keys()]
  await world.clock.advance(24 * 60 * minuteMs)
  assert.deepEqual([...world.bucket.objects.keys()], before)
})
