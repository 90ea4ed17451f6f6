import assert from 'node:assert/strict'
import test from 'node:test'
import { ByteLru } from './byte-lru.ts'

test('what was used least recently makes room', () => {
  const lru = new ByteLru<string>(30)
  for (const key of ['a', 'b', 'c']) lru.set(key, key, 10)
  assert.equal(lru.get('a'), 'a')
  lru.set('d', 'd', 10)
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map(key => lru.get(key)),
    ['a', undefined, 'c', 'd'],
  )
  assert.deepEqual([lru.bytes, lru.hits, lru.misses], [30, 4, 1])
})

test('a key that is set again counts once, with its new bytes', () => {
  const lru = new ByteLru<number>(30)
  for (let n = 0; n < 10; n++) lru.set('a', n, 20)
  assert.equal(lru.bytes, 20)
  assert.equal(lru.get('a'), 9)
  lru.set('a', 10, 5)
  assert.equal(lru.bytes, 5)
})

test('what is larger than all of the cache is not kept, and what it replaces is gone', () => {
  const lru = new ByteLru<string>(30)
  lru.set('a', 'small', 10)
  lru.set('a', 'large', 31)
  assert.equal(lru.get('a'), undefined)
  assert.equal(lru.bytes, 0)
})

test('deleted entries give their bytes back', () => {
  const lru = new ByteLru<string>(30)
  lru.set('a', 'a', 10)
  lru.set('b', 'b', 10)
  lru.delete('a')
  lru.delete('nosuch')
  assert.equal(lru.bytes, 10)
  lru.clear()
  assert.equal(lru.bytes, 0)
  assert.equal(lru.get('b'), undefined)
})

test('what was used least recently is let go of until so many bytes are free', () => {
  const lru = new ByteLru<string>(30)
  for (const key of ['a', 'b', 'c']) lru.set(key, key, 10)
  lru.get('a')
  assert.equal(lru.release(11), 20)
  assert.deepEqual([lru.bytes, lru.get('a'), lru.get('b')], [10, 'a', undefined])
  assert.equal(lru.release(100), 10)
  assert.equal(lru.bytes, 0)
})
