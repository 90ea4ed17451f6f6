/** Garbage is collected when it is asked for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collectGarbage } from './garbage.ts'

test('what nobody holds is gone afterwards, what somebody holds is not', async () => {
  const held = { name: 'held' }
  const kept = new WeakRef(held)
  const lost = new WeakRef(makeObject())
  // A WeakRef keeps its target until the turn in which it was made is over.
  await new Promise(setImmediate)
  for (const isThorough of [false, true]) collectGarbage(isThorough)
  assert.equal(kept.deref()?.name, 'held')
  assert.equal(lost.deref(), undefined)
  assert.equal(held.name, 'held')
})

function makeObject(): object {
  return { text: 'lost'.repeat(10) }
}
