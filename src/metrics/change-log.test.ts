/** What has changed since a version, against a list of all changes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { ChangeLog } from './change-log.ts'

test('the earliest change since any version is found', () => {
  const random = seededRandom(5)
  const log = new ChangeLog(1000)
  const changes: { after: number; atMs: number }[] = []
  const versions = [log.since(undefined).version]
  for (let i = 0; i < 300; i++) {
    for (let more = below(random, 4); more > 0; more--) {
      const atMs = i * 10 - below(random, below(random, 5) === 0 ? 2000 : 15)
      log.note(atMs)
      changes.push({ after: versions.length, atMs })
    }
    const at = below(random, versions.length)
    const { version, fromMs } = log.since(versions[at])
    const since = changes.filter(change => change.after > at).map(change => change.atMs)
    assert.equal(fromMs, Math.min(Infinity, ...since))
    versions.push(version)
  }
})

test('who knows no version, or one of an earlier log, is told that all has changed', () => {
  const log = new ChangeLog(1000)
  assert.equal(log.since(undefined).fromMs, -Infinity)
  assert.equal(log.since(999).fromMs, -Infinity)
  assert.equal(log.since(1000).fromMs, Infinity)
})

interface Shown {
  meta: { minTime: number }
  deletions: number
}

/** Blocks as a tenant has them; those that `leftOut` names are not served. */
function blocksOf(...shown: { id: string; minTime: number; deletions?: number }[]) {
  const leftOut = new Set<string>()
  const readers = new Map(
    shown.map(({ id, minTime, deletions = 0 }): [string, Shown] => [id, { meta: { minTime }, deletions }]),
  )
  return { readers, downsampled: new Map<string, { minTime: number }>(), leftOut, isLeftOut: leftOut.has.bind(leftOut) }
}

test('blocks that come, go, are replaced, or show something else have changed their time', () => {
  const log = new ChangeLog(0)
  const blocks = blocksOf({ id: 'a', minTime: 100, deletions: 1 }, { id: 'b', minTime: 200 })
  let version = 0
  const changedFrom = (): number => {
    log.look(blocks)
    const { version: now, fromMs } = log.since(version)
    version = now
    return fromMs
  }
  assert.equal(changedFrom(), 100)
  assert.equal(changedFrom(), Infinity)
  blocks.readers.get('b')!.deletions++
  assert.equal(changedFrom(), 200)
  blocks.leftOut.add('a')
  assert.equal(changedFrom(), 100)
  blocks.leftOut.clear()
  assert.equal(changedFrom(), 100)
  blocks.downsampled.set('c', { minTime: 150 })
  assert.equal(changedFrom(), 150)
  assert.equal(changedFrom(), Infinity)
  blocks.downsampled.delete('c')
  assert.equal(changedFrom(), 150)
  blocks.readers.delete('b')
  assert.equal(changedFrom(), 200)
  // It was taken away and came back, with other deletions of which as many are known, between two looks.
  blocks.readers.set('a', { meta: { minTime: 100 }, deletions: 1 })
  assert.equal(changedFrom(), 100)
  assert.equal(changedFrom(), Infinity)
  blocks.readers.set('d', { meta: { minTime: 300 }, deletions: 0 })
  assert.equal(changedFrom(), 300)
  blocks.readers.delete('a')
  blocks.readers.set('a', { meta: { minTime: 250 }, deletions: 1 })
  assert.equal(changedFrom(), 100)
})

test('of very many changes the oldest are told as reaching further back, never less', () => {
  const log = new ChangeLog(0)
  const versions: number[] = []
  for (let i = 0; i < 3000; i++) {
    versions.push(log.since(undefined).version)
    log.note(i)
  }
  for (const [i, version] of versions.entries()) {
    const { fromMs } = log.since(version)
    assert.ok(fromMs <= i, `${fromMs} at ${i}`)
    if (i > 2600) assert.equal(fromMs, i)
  }
})
