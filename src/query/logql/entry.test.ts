/** One line on its way: what the next one must not inherit. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from '#model/labels.ts'
import { Entry } from './entry.ts'

test('after a changed line the next is as it is stored: its bytes count, not those of its text', () => {
  const entry = new Entry(),
    // Not UTF-8: its text has three bytes for the one that is none.
    stored = Uint8Array.of(0x61, 0xff, 0x62)
  entry.reset(Labels.empty, stored, 0, stored.length, 1, 0)
  assert.equal(entry.lineBytes, 3)
  entry.line = 'changed'
  assert.equal(entry.isStored, false)
  assert.equal(entry.lineBytes, 7)
  entry.reset(Labels.empty, stored, 0, stored.length, 2, 0)
  assert.equal(entry.isStored, true)
  assert.equal(entry.lineBytes, 3)
})

test('labels, errors and what filters decided begin again', () => {
  const entry = new Entry()
  entry.reset(Labels.empty, new Uint8Array(0), 0, 0, 1, 0, ['a', '1', 'b', '2'])
  assert.equal(entry.metaCount, 2)
  entry.error = 'JSONParserErr'
  entry.isOut = true
  entry.hidden.push('app')
  entry.reset(Labels.empty, new Uint8Array(0), 0, 0, 2, 0)
  assert.deepEqual([entry.metaCount, entry.error, entry.isOut, entry.hidden], [0, '', false, []])
})
