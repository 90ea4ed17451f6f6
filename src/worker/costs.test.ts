/** Which requests count as the same, and when they are cheap. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Costs } from './costs.ts'

const asked = (query: string, form?: string, body?: Uint8Array): Parameters<Costs['keyOf']>[0] => ({
  method: 'GET',
  path: '/api/v1/query_range',
  query,
  form,
  body,
})

test('requests that differ by their time alone are the same, those of a longer time are not', () => {
  const costs = new Costs()
  const key = (query: string): string => costs.keyOf(asked(query))
  const hour = key('query=up&start=1000&end=4600&step=15')
  assert.equal(key('query=up&start=2000&end=5600&step=15'), hour)
  assert.notEqual(key('query=up&start=0&end=5600&step=15'), hour)
  assert.notEqual(key('query=up&start=1000&end=4600&step=1'), hour)
  assert.notEqual(key('query=down&start=1000&end=4600&step=15'), hour)
  assert.equal(
    key('query=up&start=2026-01-01T00:00:00Z&end=2026-01-01T01:00:00Z'),
    key('query=up&start=2026-01-02T00:00:00Z&end=2026-01-02T01:00:00Z'),
  )
  assert.equal(key('query=up&time=1'), key('query=up&time=2'))
})

test('what has a body, or a long text, is never cheap', () => {
  const costs = new Costs()
  for (const long of [asked('query=up', undefined, Uint8Array.of(1)), asked(`query=${'a'.repeat(3000)}`)]) {
    const key = costs.keyOf(long)
    for (let i = 0; i < 5; i++) costs.note(key, 0, true)
    assert.equal(costs.isCheap(key), false)
  }
})

test('a request is cheap after two cheap answers, and no more after a dear or a long one', () => {
  const costs = new Costs()
  const key = costs.keyOf(asked('query=up'))
  costs.note(key, 1, true)
  assert.equal(costs.isCheap(key), false)
  costs.note(key, 1, true)
  assert.equal(costs.isCheap(key), true)
  costs.note(key, 100, true)
  assert.equal(costs.isCheap(key), false)
  for (let i = 0; i < 2; i++) costs.note(key, 1, true)
  costs.note(key, 1, false)
  assert.equal(costs.isCheap(key), false)
})

test('one answer that took a little longer, as on a busy machine, is forgiven where many were cheap', () => {
  const costs = new Costs()
  const key = costs.keyOf(asked('query=up'))
  for (let i = 0; i < 5; i++) costs.note(key, 1, true)
  costs.note(key, 12, true)
  assert.equal(costs.isCheap(key), true)
  costs.note(key, 12, true)
  assert.equal(costs.isCheap(key), false)
})

test('of many requests the ones that were asked last are remembered', () => {
  const costs = new Costs()
  const keys = Array.from({ length: 5000 }, (_, i) => costs.keyOf(asked(`query=m${i}`)))
  for (const key of keys) for (let i = 0; i < 2; i++) costs.note(key, 1, true)
  assert.equal(costs.isCheap(keys[0]!), false)
  assert.equal(costs.isCheap(keys[4999]!), true)
})
