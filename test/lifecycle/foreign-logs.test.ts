/**
 * Buckets that Loki wrote and goes on writing, read only: prefixes of periods, keys of schema v11, tables of
 * boltdb-shipper beside others, indexes that are merged. Covers req-006, req-066.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LogsEngine } from '#logs/engine.ts'
import { dayMs, parseIndexKey } from '#logs/index-catalogue.ts'
import type { LogsReader } from '#logs/select.ts'
import { makeWorld, openLogs, type World } from '../signal-worlds.ts'

const golden = new URL('../../fixtures/loki-s3/bucket/', import.meta.url).pathname
const minuteMs = 60_000
const days = [20777, 20778]
const startMs = 20777 * dayMs
const endMs = 20779 * dayMs

function keysBelow(directory: string, prefix = ''): string[] {
  return readdirSync(directory).flatMap(name =>
    statSync(join(directory, name)).isDirectory()
      ? keysBelow(join(directory, name), `${prefix}${name}/`)
      : [prefix + name],
  )
}
const keys = keysBelow(golden)

/** The golden bucket, each key as `rename` has it; undefined: left out. */
async function worldOf(rename: (key: string) => string | undefined = key => key): Promise<World> {
  const world = makeWorld(endMs)
  for (const key of keys) {
    const name = rename(key)
    if (name !== undefined) await world.bucket.put(name, readFileSync(join(golden, key)))
  }
  return world
}

const open = (world: World): Promise<LogsEngine> =>
  openLogs(world.clock, { ...world, readOnly: true, refreshMs: 50_000 })

async function linesOf(reader: LogsReader, fromMs = startMs, throughMs = endMs): Promise<number> {
  const names = new Set<string>()
  let lines = 0
  for (const { chunks } of await reader.select([], fromMs, throughMs))
    for (const chunk of chunks) {
      const opened = await chunk.open()
      assert.ok(opened !== undefined)
      names.add(`${chunk.fromMs} ${chunk.throughMs}`)
      lines += opened.blocks.reduce((sum, { entries }) => sum + entries, 0)
    }
  return lines
}

async function served(world: World): Promise<{ lines: number; omissions: string[] }> {
  const reader = (await open(world)).reader('fake')
  const lines = await linesOf(reader)
  return { lines, omissions: reader.omissions.list().map(({ block, reason }) => `${block}: ${reason}`) }
}

const whole = await served(await worldOf())

test('the golden bucket itself', () => {
  assert.ok(whole.lines > 500, String(whole.lines))
  assert.deepEqual(whole.omissions, [])
})

test('a period has any prefix of tables, and digits may end it', async () => {
  for (const prefix of ['loki_index_', 'tsdb', 'p2', 'loki_v13_index_'])
    assert.deepEqual(await served(await worldOf(key => key.replace('index/index_', `index/${prefix}`))), whole, prefix)
  assert.equal(parseIndexKey('index/p120777/fake/1-a.tsdb.gz')?.day, 20777)
  assert.equal(parseIndexKey('index/delete_requests/delete_requests.gz'), undefined)
})

test('chunks have the keys of schema v11, alone and before others of v12', async () => {
  const old = (key: string): string => key.replace(/^(fake\/[0-9a-f]+)\//, '$1:')
  assert.deepEqual(await served(await worldOf(old)), whole)
  const mixed = (key: string): string => (key.includes('1a1fb5a') ? old(key) : key)
  assert.deepEqual(await served(await worldOf(mixed)), whole)
})

test("a table of boltdb-shipper is named by answers about its day, and other days' are whole", async () => {
  const world = await worldOf(key =>
    key.startsWith('index/index_20777/') ? 'index/index_20777/compactor-1795221382.gz' : key,
  )
  await world.bucket.put('index/delete_requests/delete_requests.gz', new Uint8Array(8))
  const engine = await open(world)
  const first = engine.reader('fake')
  await first.select([], startMs, startMs + dayMs - 1)
  assert.deepEqual(
    first.omissions.list().map(({ block }) => block),
    ['index/index_20777'],
  )
  assert.match(first.omissions.list()[0]!.reason, /boltdb-shipper's, which is not read/)
  const second = engine.reader('fake')
  assert.ok((await linesOf(second, startMs + dayMs, endMs)) > 0)
  assert.deepEqual(second.omissions.list(), [])
})

test("an index of one tenant's boltdb-shipper is no matter of another tenant", async () => {
  const world = await worldOf()
  await world.bucket.put('index/index_20777/other/compactor-1795221382.gz', new Uint8Array(8))
  assert.deepEqual(await served(world), whole)
})

test('what is flushed is found within a minute; an index that was merged away meanwhile costs nothing', async () => {
  const world = await worldOf(key => (key.includes('index_20778') ? undefined : key))
  const engine = await open(world)
  const before = await linesOf(engine.reader('fake'))
  assert.ok(before < whole.lines)
  for (const key of keys.filter(one => one.includes('index_20778')))
    await world.bucket.put(key, readFileSync(join(golden, key)))
  await world.clock.advance(minuteMs)
  assert.equal(await linesOf(engine.reader('fake')), whole.lines)
  engine.releaseCaches(Infinity)
  // Nobody has looked since the compactor wrote another one.
  for (const day of days) {
    const key = keys.find(one => one.includes(`index_${day}`))!
    await world.bucket.put(
      key.replace(/\/(\d+)-compactor/, '/9795221382521877297-compactor'),
      readFileSync(join(golden, key)),
    )
    world.bucket.objects.delete(key)
  }
  const fresh = await open(world)
  assert.equal(await linesOf(fresh.reader('fake')), whole.lines)
  await world.clock.advance(11 * minuteMs)
  const reader = engine.reader('fake')
  assert.equal(await linesOf(reader), whole.lines)
  assert.deepEqual(reader.omissions.list(), [])
})

test('an index that is garbage is named, and the rest is served; nothing is ever written', async () => {
  const world = await worldOf()
  await world.bucket.put('index/index_20777/fake/5-garbage.tsdb.gz', Buffer.from('garbage'))
  const before = [...world.bucket.objects.keys()]
  const { lines, omissions } = await served(world)
  assert.equal(lines, whole.lines)
  assert.match(omissions.join(), /5-garbage/)
  await world.clock.advance(24 * 60 * minuteMs)
  assert.deepEqual([...world.bucket.objects.keys()], before)
})
