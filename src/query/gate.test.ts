/** The queue of queries: order, time, whoever goes away, and what they hold of the memory. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { CanceledError, LimitError, TimeoutError, UnavailableError } from '#core/errors.ts'
import { MemoryBudget } from '#core/memory-budget.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { Budget } from './budget.ts'
import { QueryGate } from './gate.ts'

const limits = { queryConcurrencyMax: 2, queryQueueMax: 3, queryTimeoutMs: 1000 }
const one = { heads: 1, caches: 1, bodies: 1, queries: 1, answers: 1, tails: 1, other: 1 }

/** Work that ends when it is told to; `started` has the names in the order in which they began. */
class Works {
  readonly started: string[] = []
  readonly #ends = new Map<string, () => void>()
  readonly signals = new Map<string, AbortSignal>()

  of(name: string): (signal: AbortSignal) => Promise<string> {
    return signal => {
      this.started.push(name)
      this.signals.set(name, signal)
      return new Promise(resolve => {
        this.#ends.set(name, () => {
          resolve(name)
        })
      })
    }
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)!()
    await new Promise(setImmediate)
  }
}

test('so many run, others wait in order of arrival, rules in front of them; too many are refused', async () => {
  const clock = new VirtualClock(0)
  const gate = new QueryGate(clock, limits)
  const works = new Works()
  const runs = ['a', 'b', 'c', 'd', 'e'].map(name => gate.run(undefined, Infinity, works.of(name)))
  await new Promise(setImmediate)
  assert.deepEqual([works.started, gate.running, gate.waiting], [['a', 'b'], 2, 3])
  await assert.rejects(
    gate.run(undefined, Infinity, works.of('f')),
    (error: unknown) => error instanceof UnavailableError && /limit is 3.*limits.query_queue/.test(error.message),
  )
  assert.equal(gate.refused, 1)
  const rule = gate.run(undefined, Infinity, works.of('rule'), { isFirst: true })
  await clock.advance(100)
  for (const name of ['b', 'rule', 'a', 'c', 'd', 'e']) await works.end(name)
  assert.deepEqual(works.started, ['a', 'b', 'rule', 'c', 'd', 'e'])
  assert.deepEqual(await Promise.all([...runs, rule]), ['a', 'b', 'c', 'd', 'e', 'rule'])
  assert.deepEqual([gate.running, gate.waiting, gate.queued], [0, 0, 4])
  assert.ok(Math.abs(gate.queueSeconds - 0.4) < 1e-9)
})

test('who has fewer queries running is next, and has its share of the places of those that wait', async () => {
  const gate = new QueryGate(new VirtualClock(0), { ...limits, queryQueueMax: 4 })
  const works = new Works()
  const ended: string[] = []
  const run = (owner: string, n: number): void => {
    gate.run(undefined, Infinity, works.of(`${owner}${n}`), { owner }).then(
      name => ended.push(name),
      (error: unknown) => {
        assert.ok(error instanceof UnavailableError && /2 queries run and 4 wait/.test(error.message))
        ended.push(`${owner}${n} refused`)
      },
    )
  }
  for (let n = 0; n < 7; n++) run('many', n)
  await new Promise(setImmediate)
  assert.deepEqual([works.started, ended], [['many0', 'many1'], ['many6 refused']])
  for (let n = 0; n < 4; n++) run('few', n)
  await new Promise(setImmediate)
  // Of four places each has two: the last of the others' are given up.
  assert.deepEqual(
    ended.sort(),
    ['few2', 'few3', 'many4', 'many5', 'many6'].map(name => `${name} refused`),
  )
  assert.deepEqual([gate.waiting, gate.refused], [4, 5])
  for (const name of ['many0', 'many1', 'few0', 'few1', 'many2', 'many3']) await works.end(name)
  assert.deepEqual(works.started, ['many0', 'many1', 'few0', 'many2', 'few1', 'many3'])
  assert.deepEqual([gate.running, gate.waiting], [0, 0])
})

test('work that fails makes room as well', async () => {
  const gate = new QueryGate(new VirtualClock(0), { ...limits, queryConcurrencyMax: 1 })
  const works = new Works()
  const failing = gate.run(undefined, Infinity, () => Promise.reject(new Error('broken')))
  const next = gate.run(undefined, Infinity, works.of('next'))
  await assert.rejects(failing, /broken/)
  await new Promise(setImmediate)
  await works.end('next')
  assert.equal(await next, 'next')
})

test('the time in the queue is a part of the time of the query', async () => {
  const clock = new VirtualClock(0)
  const gate = new QueryGate(clock, { ...limits, queryConcurrencyMax: 1 })
  const works = new Works()
  const first = gate.run(undefined, Infinity, works.of('first'))
  const short = gate.run(undefined, 300, works.of('short'))
  const second = gate.run(undefined, 700, works.of('second'))
  short.catch(() => {})
  second.catch(() => {})
  await clock.advance(300)
  await assert.rejects(short, TimeoutError)
  assert.equal(gate.waiting, 1)
  await clock.advance(100)
  await works.end('first')
  await first
  // It came at 0 and began at 400: at 700 its time is over.
  const signal = works.signals.get('second')!
  const budget = new Budget(clock, 10, Infinity, signal)
  await clock.advance(299)
  await budget.pause()
  await clock.advance(1)
  await assert.rejects(budget.pause(), TimeoutError)
  // The limit holds where the request names no time.
  await works.end('second')
  await gate.run(undefined, Infinity, async own => {
    await clock.advance(1000)
    assert.ok(own.reason instanceof TimeoutError)
  })
  assert.deepEqual(works.started, ['first', 'second'])
})

test('whoever goes away leaves the queue, or is told where it runs', async () => {
  const gate = new QueryGate(new VirtualClock(0), { ...limits, queryConcurrencyMax: 1 })
  const works = new Works()
  const asker = new AbortController()
  const waiter = new AbortController()
  const running = gate.run(asker.signal, Infinity, works.of('running'))
  const waiting = gate.run(waiter.signal, Infinity, works.of('waiting'))
  await new Promise(setImmediate)
  assert.deepEqual([gate.isWaiting(asker.signal), gate.isWaiting(waiter.signal)], [false, true])
  waiter.abort()
  await assert.rejects(waiting, CanceledError)
  assert.equal(gate.waiting, 0)
  asker.abort()
  assert.ok(works.signals.get('running')!.aborted)
  await works.end('running')
  await running
  await assert.rejects(gate.run(AbortSignal.abort(), Infinity, works.of('late')), CanceledError)
  assert.deepEqual(works.started, ['running'])
})

test('what queries count is held until they end; no further one begins while half of it is held', async () => {
  const clock = new VirtualClock(0)
  const memory = new MemoryBudget(16_000, { ...one, queries: 0.5 })
  const account = memory.account('queries')
  const gate = new QueryGate(clock, limits, account)
  const works = new Works()
  const large = gate.run(undefined, Infinity, async signal => {
    const budget = new Budget(clock, 1e9, Infinity, signal)
    budget.take(300)
    budget.give(10)
    budget.takeBytes(160)
    await works.of('large')(signal)
  })
  await new Promise(setImmediate)
  assert.equal(account.heldBytes, 300 * 16)
  const next = gate.run(undefined, Infinity, works.of('next'))
  await new Promise(setImmediate)
  assert.equal(gate.waiting, 1)
  await works.end('large')
  await large
  assert.deepEqual([account.heldBytes, works.started], [0, ['large', 'next']])
  await works.end('next')
  await next
  await gate.run(undefined, Infinity, async signal => {
    const budget = new Budget(clock, 1e9, Infinity, signal)
    assert.throws(
      () => budget.take(501),
      (error: unknown) => error instanceof LimitError && error.status === 422,
    )
    memory.account('heads').take(10_000)
    assert.throws(() => budget.take(400), UnavailableError)
  })
  assert.equal(account.heldBytes, 0)
})
