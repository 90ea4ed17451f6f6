/** Requests that workers answer: whole answers, long ones in parts, errors in the dialect, what is cheap stays here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadQueryError, CanceledError, LimitError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { everything } from '#net/access.ts'
import {
  heavy,
  inDialect,
  route,
  type ErrorReplies,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'
import { fakeThread, type FakeThread } from '../../test/worker-threads.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import { Costs } from './costs.ts'
import { Link } from './link.ts'
import { offloaded } from './offload.ts'
import { Pool } from './pool.ts'
import { RequestServer } from './serve.ts'
import { UnderWay } from './under-way.ts'

const saying = (status: number) => (): HttpReply => ({ status, body: `status ${status}` })
const dialect = {
  'bad-data': saying(400),
  'bad-query': saying(400),
  canceled: saying(499),
  conflict: saying(409),
  'corrupt-data': saying(500),
  evaluation: saying(500),
  execution: saying(422),
  limit: error => saying(error.status)(),
  forbidden: saying(403),
  'not-found': saying(404),
  timeout: saying(504),
  unauthorized: saying(401),
  unavailable: saying(503),
  unknown: saying(500),
} satisfies ErrorReplies

interface Stage {
  clock: VirtualClock
  threads: FakeThread[]
  /** Where handlers ran, and what went on there. */
  events: string[]
  incomplete: () => number
  pool: Pool<WorkerCalls, MainCalls>
  ask: (path: string, options?: Partial<HttpRequest>) => Promise<HttpReply>
}

/** `handlers` by path; they get the side on which they run. */
function stage(handlers: Readonly<Record<string, (side: string, events: string[]) => Handler>>): Stage {
  const clock = new VirtualClock(0)
  const threads: FakeThread[] = []
  const events: string[] = []
  let incomplete = 0
  const routesOn = (side: string): Route[] =>
    heavy(
      inDialect(
        dialect,
        Object.entries(handlers).map(([path, make]) => route(['GET', 'POST'], path, make(side, events))),
      ),
    )
  const start = (): FakeThread => {
    const thread = fakeThread(port => {
      const underWay = new UnderWay()
      const server = new RequestServer(clock, routesOn('worker'), underWay)
      // What requests do not ask is not here.
      const calls = {
        ping: () => ({ answer: undefined }),
        cancel: (id: number) => {
          events.push('cancel')
          underWay.cancel(id)
          return { answer: undefined }
        },
        request: (ask: WorkerCalls['request']['ask']) => server.request(ask),
        pull: (id: number) => server.pull(id),
      }
      void new Link<MainCalls, WorkerCalls>(port, calls as never)
    })
    threads.push(thread)
    return thread
  }
  const pool = new Pool<WorkerCalls, MainCalls>({
    clock,
    log: silentLog,
    threadsMax: 1,
    start,
    // Workers ask nothing here.
    handlers: {} as never,
    memoryBytesMax: 64 * 1024 * 1024,
  })
  const options = { clock, pool, costs: new Costs(), timeoutMs: 10_000 }
  const routes = offloaded(routesOn('main'), options, () => {
    incomplete++
  })
  const ask: Stage['ask'] = (path, more = {}) => {
    const handler = routes.find(one => one.path === path)?.handler
    assert.ok(handler !== undefined)
    const query = new URLSearchParams('query=up')
    const nothing = (): Promise<Uint8Array> => Promise.resolve(new Uint8Array(0))
    return handler({
      method: 'GET',
      path,
      params: {},
      query,
      header: () => undefined,
      grant: everything,
      body: nothing,
      rawBody: nothing,
      form: () => Promise.resolve(query),
      signal: new AbortController().signal,
      ...more,
    })
  }
  return { clock, threads, events, incomplete: () => incomplete, pool, ask }
}

async function textOf({ body }: HttpReply): Promise<string> {
  if (body === undefined || typeof body === 'string') return body ?? ''
  if (body instanceof Uint8Array) return Buffer.from(body).toString()
  let text = ''
  for await (const piece of body) text += typeof piece === 'string' ? piece : Buffer.from(piece).toString()
  return text
}

const echo =
  (side: string, events: string[]): Handler =>
  async request => {
    events.push(side)
    const form = await request.form()
    const body = Buffer.from(await request.body()).toString()
    const facts = [request.method, request.path, form.get('query'), request.header('x-scope-orgid'), body]
    return { status: 200, headers: { 'x-tercet-warning': 'lacking' }, body: JSON.stringify(facts) }
  }

test('a worker gets the request as it is, and its answer is the reply', async () => {
  const { ask, events, incomplete } = stage({ '/echo': echo })
  const got = await ask('/echo', { header: name => (name === 'x-scope-orgid' ? 'me' : undefined) })
  assert.deepEqual([got.status, got.isText, await textOf(got)], [200, true, '["GET","/echo","up","me",""]'])
  const form = (): Promise<URLSearchParams> => Promise.resolve(new URLSearchParams('query=down'))
  const header = (name: string): string | undefined =>
    name === 'content-type' ? 'application/x-www-form-urlencoded' : undefined
  assert.equal(await textOf(await ask('/echo', { method: 'POST', header, form })), '["POST","/echo","down",null,""]')
  const body = (): Promise<Uint8Array> => Promise.resolve(Buffer.from('bytes'))
  assert.equal(await textOf(await ask('/echo', { method: 'POST', body })), '["POST","/echo","up",null,"bytes"]')
  assert.deepEqual([events, incomplete()], [['worker', 'worker', 'worker'], 3])
})

test('an answer in pieces is cheap too when it holds little', async () => {
  const piecesOf =
    (heldBytes: number): ((side: string, seen: string[]) => Handler) =>
    (side, seen) =>
    async () => {
      seen.push(side)
      return { status: 200, body: ['a', 'b'], heldBytes }
    }
  const small = stage({ '/q': piecesOf(1000) })
  for (let i = 0; i < 4; i++) await small.ask('/q')
  assert.deepEqual(small.events, ['worker', 'worker', 'main', 'main'])
  const large = stage({ '/q': piecesOf(1_000_000) })
  for (let i = 0; i < 4; i++) await large.ask('/q')
  assert.deepEqual(large.events, ['worker', 'worker', 'main', 'worker'])
})

test('what was cheap twice is answered where it came in', async () => {
  const { ask, events } = stage({
    '/q': (side, seen) => async () => {
      seen.push(side)
      return { status: 200, body: 'done' }
    },
  })
  for (let i = 0; i < 5; i++) await ask('/q')
  assert.deepEqual(events, ['worker', 'worker', 'main', 'main', 'main'])
})

test('what was answered from what a worker had kept is not taken for cheap', async () => {
  const { ask, events } = stage({
    '/q': (side, seen) => async () => {
      seen.push(side)
      return { status: 200, body: 'done', isKept: true }
    },
  })
  for (let i = 0; i < 4; i++) await ask('/q')
  assert.deepEqual(events, ['worker', 'worker', 'worker', 'worker'])
})

test('what turns out to be dear where it came in is given up there, and asked of a worker', async () => {
  let isDear = false
  const { ask, events, clock } = stage({
    '/q': (side, seen) => async request => {
      seen.push(side)
      if (side === 'main' && isDear) await clock.advance(50)
      request.signal.throwIfAborted()
      return { status: 200, body: side }
    },
  })
  for (let i = 0; i < 3; i++) await ask('/q')
  isDear = true
  assert.equal(await textOf(await ask('/q')), 'worker')
  await ask('/q')
  assert.deepEqual(events, ['worker', 'worker', 'main', 'main', 'worker', 'worker'])
})

test('errors are answered in the dialect, whoever throws them', async () => {
  const { ask, threads } = stage({
    '/wrong': () => () => Promise.reject(new BadQueryError('no', 0, 1)),
    '/large': () => () => Promise.reject(new LimitError('too much', 422)),
    '/never': () => () => new Promise(() => {}),
  })
  assert.equal((await ask('/wrong')).status, 400)
  assert.equal((await ask('/large')).status, 422)
  const never = ask('/never')
  await new Promise(setImmediate)
  threads[0]!.end({ reason: 'memory', message: 'too much' })
  assert.equal((await never).status, 422)
  const failed = ask('/never')
  await new Promise(setImmediate)
  threads[1]!.end({ reason: 'failure', message: 'a bug' })
  assert.equal((await failed).status, 503)
})

const partBytes = 256 * 1024

/** Parts of letters, each made when it is asked for. */
const parts =
  (count: number, heldBytes = 0): ((side: string, events: string[]) => Handler) =>
  (_side, events) =>
  async () => ({
    status: 200,
    heldBytes,
    body: (function* () {
      try {
        for (let i = 0; i < count; i++) {
          events.push(`made ${i}`)
          yield String.fromCharCode(97 + i).repeat(partBytes)
        }
      } finally {
        events.push('ended')
      }
    })(),
  })

test('a long body comes in parts, each made when the one before it was taken', async () => {
  const { ask, events } = stage({ '/long': parts(5) })
  const { body } = await ask('/long')
  assert.ok(typeof body === 'object' && Symbol.asyncIterator in body)
  await new Promise(setImmediate)
  assert.deepEqual(events, ['made 0', 'made 1'])
  const seen: string[] = []
  for await (const piece of body) {
    seen.push(`${String.fromCharCode((piece as Uint8Array)[0]!)}${piece.length}`)
    await new Promise(setImmediate)
    assert.ok(events.length <= seen.length + 3, `${events.length} events after ${seen.length} parts`)
  }
  assert.deepEqual(
    seen,
    ['a', 'b', 'c', 'd', 'e'].map(letter => `${letter}${partBytes}`),
  )
  assert.equal(events.at(-1), 'ended')
})

test('a reader that goes away ends the making of the body', async () => {
  const { ask, events } = stage({ '/long': parts(50) })
  const { body } = await ask('/long')
  assert.ok(typeof body === 'object' && Symbol.asyncIterator in body)
  for await (const piece of body) if (piece.length > 0) break
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
  assert.deepEqual([events.includes('cancel'), events.at(-1), events.length < 8], [true, 'ended', true])
})

test('a request that waits for memory is answered when it was done again, not with its first end', async () => {
  const release: (() => void)[] = []
  const { ask, pool, events } = stage({
    '/slow': (_side, seen) => async request => {
      seen.push('begun')
      await new Promise<void>((resolve, reject) => {
        release.push(resolve)
        request.signal.addEventListener('abort', () => {
          reject(new CanceledError('the request was canceled'))
        })
      })
      return { status: 200, body: 'done' }
    },
  })
  const first = ask('/slow')
  const second = ask('/slow')
  while (release.length < 2) await new Promise(setImmediate)
  pool.refuseMemory([1, 2])
  while (!events.includes('cancel')) await new Promise(setImmediate)
  await new Promise(setImmediate)
  release[0]!()
  assert.equal((await first).status, 200)
  while (release.length < 3) await new Promise(setImmediate)
  release[2]!()
  assert.deepEqual([(await second).status, pool.parked], [200, 1])
})

test('an answer that nobody reads, or that there is no memory for, is not made on', async () => {
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await new Promise(setImmediate)
  }
  const { ask, events } = stage({ '/long': parts(50), '/held': parts(50, 1 << 20) })
  const { drop } = await ask('/long')
  drop?.()
  await turns()
  assert.deepEqual([events.includes('cancel'), events.at(-1), events.length < 8], [true, 'ended', true])
  events.length = 0
  const holdAnswer = (): never => {
    throw new LimitError('no memory', 422)
  }
  assert.equal((await ask('/held', { holdAnswer })).status, 422)
  await turns()
  assert.deepEqual([events.includes('cancel'), events.at(-1), events.length < 8], [true, 'ended', true])
})

test('a body that fails in its middle fails for its reader, and is not taken for whole', async () => {
  const { ask } = stage({
    '/torn': () => async () => ({
      status: 200,
      body: (function* () {
        yield 'a'.repeat(partBytes)
        throw new LimitError('too much', 422)
      })(),
    }),
  })
  await assert.rejects(async () => textOf(await ask('/torn')), /too much/)
})
