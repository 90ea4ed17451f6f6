/** What requests cost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dollarsAMonth, sumsOf } from './request-prices.ts'
import { RequestCounts } from './store-requests.ts'

test('a put each second is thirteen dollars a month, a get a twelfth of that, a deletion nothing', () => {
  const none = { put: 0, get: 0, head: 0, list: 0, delete: 0 }
  const cents = (sums: Partial<typeof none>): number => Math.round(dollarsAMonth({ ...none, ...sums }, 60) * 100)
  assert.equal(cents({ put: 60 }), 1296)
  assert.equal(cents({ list: 60 }), 1296)
  assert.equal(cents({ get: 30, head: 30 }), 104)
  assert.equal(dollarsAMonth({ ...none, delete: 1000 }, 60), 0)
  assert.equal(dollarsAMonth({ ...none, put: 60 }, 0), 0)
})

test('each attempt counts, however it ended', () => {
  const counts = new RequestCounts()
  counts.add('put', 'ok', 0.1)
  counts.add('put', 'timeout', 15)
  counts.add('head', 'refused', 0.1)
  assert.deepEqual(sumsOf(counts), { put: 2, get: 0, head: 1, list: 0, delete: 0 })
})
