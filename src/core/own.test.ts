/** Names that every object has already. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ownOf, setOwn } from './own.ts'

test('only members of the table itself are found', () => {
  const table = { a: 1 }
  assert.equal(ownOf(table, 'a'), 1)
  for (const name of ['b', 'constructor', 'toString', '__proto__', 'hasOwnProperty'])
    assert.equal(ownOf<number>(table, name), undefined, name)
})

test('a member named __proto__ is set as any other, and written as JSON', () => {
  const object: Record<string, string> = {}
  setOwn(object, '__proto__', 'x')
  setOwn(object, 'a', 'y')
  assert.equal(JSON.stringify(object), '{"__proto__":"x","a":"y"}')
  assert.equal(Object.getPrototypeOf(object), Object.prototype)
})
