/** Bytes that are given back are gone; those of Node's pool, and what other threads have, stay. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freeBytes } from './freed-bytes.ts'
import { sharedBytes } from './shared-bytes.ts'

test('large bytes are gone at once, small and shared ones stay', () => {
  const large = new Uint8Array(Buffer.poolSize * 2)
  const part = large.subarray(10)
  freeBytes(large)
  assert.deepEqual([large.length, part.length], [0, 0])
  for (const kept of [Buffer.from('in the pool'), Buffer.allocUnsafe(1000), sharedBytes(Buffer.poolSize * 2)]) {
    const { length } = kept
    freeBytes(kept)
    assert.equal(kept.length, length)
  }
})
