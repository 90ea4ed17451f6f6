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
