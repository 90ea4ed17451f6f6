import assert from 'node:assert/strict'
import test from 'node:test'
import { grown } from './grown.ts'

test('what was there stands at the beginning, and what the room was filled with behind it', () => {
  const room = new Int32Array(5).fill(-1)
  assert.equal(grown(Int32Array.of(7, 8), room), room)
  assert.deepEqual([...room], [7, 8, -1, -1, -1])
  assert.deepEqual([...grown(BigInt64Array.of(1n), new BigInt64Array(2))], [1n, 0n])
})
