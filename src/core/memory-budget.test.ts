/** The memory of the process: who gets some, who is refused, and who gives back before that. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { LimitError, UnavailableError } from './errors.ts'
import { heapBytesMax, memoryBudgetBytes, memoryShares, workerShares } from './limits.ts'
import { memoryAccounts, MemoryBudget } from './memory-budget.ts'

const none = { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 }
const mebibyte = 1024 ** 2

test('accounts draw on one total, and a refusal is counted and names the limit', () => {
  const budget = new MemoryBudget(100 * mebibyte, none)
  budget.account('bodies').take(60 * mebibyte)
  assert.throws(
    () => budget.account('queries').take(41 * mebibyte),
    (error: unknown) =>
      error instanceof UnavailableError &&
      error.retryAfterSeconds > 0 &&
      /queries that run: the process holds 60 MiB of 100 MiB and 41 MiB more .* memory_limit/.test(error.message),
  )
  budget.account('queries').take(40 * mebibyte)
  assert.equal(budget.heldBytes, 100 * mebibyte)
  assert.deepEqual(
    budget.all().map(({ refused }) => refused),
    memoryAccounts.map(name => (name === 'queries' ? 1 : 0)),
  )
  budget.account('bodies').give(60 * mebibyte)
  budget.account('answers').take(60 * mebibyte)
})

test('no account takes more than its share, so that the others have some', () => {
  const budget = new MemoryBudget(100, { ...none, answers: 0.1 })
  budget.account('answers').take(10)
  assert.throws(() => budget.account('answers').take(1), UnavailableError)
  budget.account('bodies').take(90)
})

test('caches give back before anybody is refused, and only what is missing', () => {
  const budget = new MemoryBudget(100, none)
  let cached = 80
  const asked: number[] = []
  budget.account('caches').measured(() => cached)
  budget.account('caches').onShortage(bytes => {
    asked.push(bytes)
    cached -= bytes
  })
  budget.measure()
  budget.account('bodies').take(50)
  assert.deepEqual([asked, cached], [[30], 50])
  cached = 0
  // What is held is asked for again before somebody is refused.
  budget.account('bodies').take(50)
  assert.equal(budget.heldBytes, 100)
})

test('an account whose holders keep more than its share admits nothing until they have less', () => {
  const budget = new MemoryBudget(100, { ...none, heads: 0.5 })
  const heads = budget.account('heads')
  let held = 51
  heads.measured(() => held)
  budget.measure()
  assert.throws(() => heads.admit(), /what came in and is not in a block yet/)
  held = 50
  heads.admit()
})

test('a hold gives all back at once; what no account could ever have is refused for good', () => {
  const budget = new MemoryBudget(100, none)
  const hold = budget.account('bodies').hold()
  hold.take(40)
  hold.take(20)
  assert.throws(
    () => hold.take(41),
    (error: unknown) => error instanceof LimitError && error.status === 413,
  )
  hold.give(10)
  assert.equal(hold.bytes, 50)
  hold.close()
  hold.close()
  hold.take(5)
  assert.equal(budget.heldBytes, 0)
})

test('the budget fits its container, with the heap beside the buffers', () => {
  for (const limit of [128, 512, 1024, 3072, 24_576].map(size => size * mebibyte)) {
    for (const threads of [0, 1, 63]) {
      const total = memoryBudgetBytes(limit, threads)
      assert.ok(total >= limit / 4 && total <= limit * 0.75, `${limit}: ${total}`)
    }
    assert.ok(memoryBudgetBytes(limit, 1) <= memoryBudgetBytes(limit, 0))
    assert.ok(heapBytesMax(limit) <= limit / 2)
  }
  for (const name of memoryAccounts) {
    assert.ok(memoryShares[name] > 0 && memoryShares[name] < 1)
    const parts = Object.values(workerShares).flatMap(({ account, part }) => (account === name ? part : []))
    assert.ok(parts.reduce((sum, part) => sum + part, 0) <= 1)
  }
})
