/** A pool of threads: whose fault an end is, who goes on, who is told what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CanceledError, LimitError, TimeoutError, UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { fakeThread, type FakeThread } from '../../test/worker-threads.ts'
import { Link } from './link.ts'
import { Pool, type ThreadCalls, type ThreadReports } from './pool.ts'

type WorkerCalls = ThreadCalls & { work: { ask: string; answer: string } }
type MainCalls = ThreadReports

interface Stage {
  clock: VirtualClock
  pool: Pool<WorkerCalls, MainCalls>
  threads: FakeThread[]
  /** By thread: the works that it began, and the jobs that it was told to stop. */
  begun: string[][]
  cancelled: number[][]
  /** The threads' own ends. */
  links: Link<MainCalls, WorkerCalls>[]
  /** Threads that were asked to collect their garbage. */
  collected: number[]
  run: (
    work: string,
    options?: { signal?: AbortSignal; timeoutMs?: number; isRepeatable?: () => boolean },
  ) => Promise<string>
}

/** Threads answer `quick` at once, and nothing else. */
function stage(threadsMax: number, isUncancelable = false, jobsPerThread?: number): Stage {
  const clock = new VirtualClock(0)
  const threads: FakeThread[] = []
  const begun: string[][] = []
  const cancelled: number[][] = []
  const links: Link<MainCalls, WorkerCalls>[] = []
  const collected: number[] = []
  const start = (): FakeThread => {
    const own: string[] = []
    const told: number[] = []
    begun.push(own)
    cancelled.push(told)
    const thread = fakeThread(port => {
      const link = new Link<MainCalls, WorkerCalls>(port, {
        ping: () => ({ answer: undefined }),
        collect: () => {
          collected.push(links.indexOf(link))
          return { answer: undefined }
        },
        cancel: id => {
          told.push(id)
          return { answer: undefined }
        },
        work: ask => {
          own.push(ask)
          return ask.startsWith('quick') ? { answer: `${ask} done` } : new Promise(() => {})
        },
      })
      links.push(link)
    })
    threads.push(thread)
    return thread
  }
  const pool = new Pool<WorkerCalls, MainCalls>({
    clock,
    log: silentLog,
    threadsMax,
    start,
    handlers: {},
    memoryBytesMax: 64 * 1024 * 1024,
    isUncancelable,
    ...(jobsPerThread === undefined ? {} : { jobsPerThread }),
  })
  return {
    clock,
    pool,
    threads,
    begun,
    cancelled,
    links,
    collected,
    run: (work, { timeoutMs = 60_000, ...options } = {}) =>
      pool.run(link => link.call('work', work), { ...options, timeoutMs }),
  }
}

/** What a promise came to by now. */
async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  let state: unknown = 'waiting'
  const note = (outcome: unknown): void => {
    state = outcome
  }
  promise.then(note, note)
  await new Promise(setImmediate)
  return state
}

const outOfMemory = { reason: 'memory', message: 'it used more memory than it may' } as const

test('threads are started on demand, and a second one only beside a busy one', async () => {
  const { pool, run, begun } = stage(2)
  assert.equal(pool.threads, 0)
  assert.equal(await run('quick a'), 'quick a done')
  assert.equal(await run('quick b'), 'quick b done')
  assert.equal(pool.threads, 1)
  void run('slow c').catch(() => {})
  assert.equal(await run('quick d'), 'quick d done')
  void run('slow e').catch(() => {})
  void run('slow f').catch(() => {})
  await new Promise(setImmediate)
  assert.deepEqual(begun, [
    ['quick a', 'quick b', 'slow c', 'slow f'],
    ['quick d', 'slow e'],
  ])
  pool.close()
})

test('a job that used too much memory alone is refused, with the limit', async () => {
  const { pool, run, threads } = stage(1)
  const job = run('slow')
  await new Promise(setImmediate)
  threads[0]!.end(outOfMemory)
  const error = await stateOf(job)
  assert.ok(error instanceof LimitError)
  assert.equal(error.status, 422)
  assert.match(error.message, /more than 64 MiB of memory; .* raise memory_limit \(/)
  assert.equal(await run('quick after'), 'quick after done')
  assert.deepEqual([pool.endedForMemory, threads.length], [1, 2])
})

test('of several jobs each is done again by itself: the one at fault fails, the others do not', async () => {
  const { run, threads, begun } = stage(1)
  const guilty = run('slow guilty')
  const innocent = run('slow innocent')
  await new Promise(setImmediate)
  threads[0]!.end(outOfMemory)
  await new Promise(setImmediate)
  assert.deepEqual(begun.slice(1), [['slow guilty'], ['slow innocent']])
  threads[1]!.end(outOfMemory)
  assert.ok((await stateOf(guilty)) instanceof LimitError)
  assert.equal(await stateOf(innocent), 'waiting')
})

test('what has been answered in part is not done again', async () => {
  const { run, threads } = stage(1)
  const first = run('slow first', { isRepeatable: () => false })
  void run('slow second').catch(() => {})
  await new Promise(setImmediate)
  threads[0]!.end({ reason: 'failure', message: 'a bug' })
  const error = await stateOf(first)
  assert.ok(error instanceof UnavailableError)
  assert.match(error.message, /a bug/)
})

test('a cancelled job fails at once; its thread lives when it listens', async () => {
  const { run, threads, cancelled, clock, pool } = stage(1)
  const control = new AbortController()
  const job = run('slow', { signal: control.signal })
  await new Promise(setImmediate)
  control.abort()
  assert.ok((await stateOf(job)) instanceof CanceledError)
  await clock.advance(5000)
  assert.deepEqual([cancelled[0], threads[0]!.isKilled, pool.running], [[1], false, 0])
  await assert.rejects(run('quick', { signal: control.signal }), CanceledError)
})

test('a job whose signal ends it because its time is over has timed out', async () => {
  const { run } = stage(1)
  const control = new AbortController()
  const job = run('slow', { signal: control.signal })
  await new Promise(setImmediate)
  control.abort(new TimeoutError('its turn came late'))
  assert.ok((await stateOf(job)) instanceof TimeoutError)
})

test('a thread that does not listen for a second is ended, and its other jobs go on elsewhere', async () => {
  const { run, threads, begun, clock, pool } = stage(1)
  const control = new AbortController()
  const deaf = run('slow deaf', { signal: control.signal })
  const other = run('slow other')
  await new Promise(setImmediate)
  threads[0]!.setDeaf(true)
  control.abort()
  assert.ok((await stateOf(deaf)) instanceof CanceledError)
  await clock.advance(1001)
  assert.equal(threads[0]!.isKilled, true)
  assert.equal(await stateOf(other), 'waiting')
  assert.deepEqual(begun[1], ['slow other'])
  assert.deepEqual([pool.endedForSilence, pool.repeated], [1, 1])
})

test('a job that takes too long fails with a timeout', async () => {
  const { run, clock } = stage(1)
  const job = run('slow', { timeoutMs: 3000 })
  await clock.advance(2999)
  assert.equal(await stateOf(job), 'waiting')
  await clock.advance(2)
  assert.ok((await stateOf(job)) instanceof TimeoutError)
})

test('while a thread is stuck others do what it did not begin, and what comes after', async () => {
  const { run, threads, begun, clock } = stage(1)
  void run('slow stuck').catch(() => {})
  await new Promise(setImmediate)
  threads[0]!.setDeaf(true)
  await clock.advance(1000)
  const waiting = run('quick waiting')
  await clock.advance(1000)
  assert.equal(await waiting, 'quick waiting done')
  assert.equal(await run('quick later'), 'quick later done')
  assert.deepEqual(begun, [['slow stuck'], ['quick waiting', 'quick later']])
})

test('a thread that has nothing to do ends after two minutes', async () => {
  const { run, threads, clock, pool } = stage(1)
  await run('quick')
  await clock.advance(119_000)
  assert.equal(pool.threads, 1)
  await run('quick again')
  await clock.advance(119_000)
  assert.equal(pool.threads, 1)
  await clock.advance(2000)
  await new Promise(setImmediate)
  assert.deepEqual([pool.threads, threads[0]!.isKilled], [0, true])
  assert.equal(await run('quick at last'), 'quick at last done')
})

test('too little memory for all: the last job waits until another is done, and one that is alone fails', async () => {
  const { run, clock, pool, begun, cancelled } = stage(1)
  const control = new AbortController()
  const first = run('slow first', { signal: control.signal })
  await clock.advance(10)
  const second = run('slow second')
  await new Promise(setImmediate)
  pool.refuseMemory([1, 2, 77])
  assert.deepEqual([await stateOf(first), await stateOf(second)], ['waiting', 'waiting'])
  assert.deepEqual([cancelled[0], begun[0], pool.parked], [[2], ['slow first', 'slow second'], 1])
  control.abort()
  assert.ok((await stateOf(first)) instanceof CanceledError)
  assert.deepEqual(begun[0], ['slow first', 'slow second', 'slow second'])
  // Begun again it has another number: what is left of its first attempt is not taken for it.
  pool.refuseMemory([2])
  assert.equal(await stateOf(second), 'waiting')
  pool.refuseMemory([3])
  assert.ok((await stateOf(second)) instanceof LimitError)
})

test('a job that waits for memory can be cancelled, and the next one takes its place', async () => {
  const { run, pool, begun } = stage(1)
  const control = new AbortController()
  const other = new AbortController()
  void run('slow first', { signal: control.signal }).catch(() => {})
  const second = run('slow second', { signal: other.signal })
  void run('slow third').catch(() => {})
  await new Promise(setImmediate)
  pool.refuseMemory([1, 2, 3])
  pool.refuseMemory([1, 2])
  other.abort()
  assert.ok((await stateOf(second)) instanceof CanceledError)
  control.abort()
  await new Promise(setImmediate)
  assert.deepEqual(begun[0]?.slice(3), ['slow third'])
  pool.close()
})

test('a pool that is closed ends its threads and refuses jobs', async () => {
  const { run, threads, pool } = stage(1)
  const job = run('slow')
  await new Promise(setImmediate)
  pool.close()
  assert.ok((await stateOf(job)) instanceof UnavailableError)
  assert.equal(threads[0]!.isKilled, true)
  await assert.rejects(run('quick'), UnavailableError)
})

test('what threads hold is what each said last, and nothing when it is gone', async () => {
  const { run, pool, links, threads, collected } = stage(2)
  void run('slow a').catch(() => {})
  void run('slow b').catch(() => {})
  await links[0]!.call('memoryHeld', 30 << 20)
  await links[1]!.call('memoryHeld', 20 << 20)
  assert.equal(pool.heldBytes, 50 << 20)
  await links[1]!.call('memoryHeld', 3 << 20)
  assert.equal(pool.heldBytes, 33 << 20)
  pool.collectGarbage()
  await new Promise(setImmediate)
  assert.deepEqual(collected, [0])
  threads[0]!.end({ reason: 'failure', message: 'a bug' })
  assert.equal(pool.heldBytes, 3 << 20)
  pool.close()
})

test('threads say of their own jobs that memory is short, not of those of another pool', async () => {
  const { run, pool, links, cancelled } = stage(1)
  const other = stage(1)
  const job = run('slow first')
  const foreign = other.run('slow first')
  await links[0]!.call('memoryShort', [1])
  assert.ok((await stateOf(job)) instanceof LimitError)
  assert.deepEqual([await stateOf(foreign), cancelled[0], other.cancelled[0]], ['waiting', [1], []])
  pool.close()
  other.pool.close()
})

test('a thread whose jobs can not be cancelled is ended when it has too little memory', async () => {
  const { run, pool, links, threads, begun } = stage(1, true)
  const first = run('slow first')
  const second = run('slow second')
  // Nothing is answered to a thread that is ended.
  void links[0]!.call('memoryShort', [])
  await new Promise(setImmediate)
  assert.deepEqual([threads[0]!.isKilled, begun.slice(1)], [true, [['slow first'], ['slow second']]])
  const failed = stateOf(first)
  void links[1]!.call('memoryShort', [])
  assert.ok((await failed) instanceof LimitError)
  assert.deepEqual([await stateOf(second), pool.endedForMemory], ['waiting', 2])
  pool.close()
})

test('a thread has no more jobs than it may, the others wait until one of them is done', async () => {
  const { pool, run, begun } = stage(2, false, 2)
  const first = Array.from({ length: 4 }, (_, i) => {
    const controller = new AbortController()
    run(`slow ${i}`, { signal: controller.signal }).catch(() => {})
    return controller
  })
  const gone = new AbortController()
  const canceled = run('quick gone', { signal: gone.signal })
  const fifth = run('quick fifth')
  const sixth = run('quick sixth')
  await new Promise(setImmediate)
  assert.deepEqual([begun.flat().length, pool.running], [4, 7])
  gone.abort()
  await assert.rejects(canceled, CanceledError)
  first[0]!.abort()
  assert.deepEqual(await Promise.all([fifth, sixth]), ['quick fifth done', 'quick sixth done'])
  assert.equal(begun.flat().includes('quick gone'), false)
  pool.close()
})

test('a job whose answer is being taken keeps no other one waiting, and has no limit of time', async () => {
  const { pool, run, begun, clock } = stage(1, false, 1)
  const ends: (() => void)[] = []
  const answered = pool.run(
    async (link, _id, attempt) => {
      await link.call('work', 'quick answer')
      attempt.answering()
      await new Promise<void>(resolve => ends.push(resolve))
      return 'taken'
    },
    { timeoutMs: 1000 },
  )
  assert.equal(await run('quick next'), 'quick next done')
  assert.deepEqual(begun, [['quick answer', 'quick next']])
  await clock.advance(100_000)
  ends[0]!()
  assert.equal(await answered, 'taken')
  assert.equal(pool.running, 0)
  pool.close()
})
