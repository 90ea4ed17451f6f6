/** Delivery to a remote over a socket and the virtual clock: retries, Retry-After, refusals, outages, stops. */
import assert from 'node:assert/strict'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { silentLog, type Log } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { below, seededRandom, type Random } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { HttpClient } from '#net/http-client.ts'
import { OutgoingGuard } from '#net/outgoing-guard.ts'
import { untilTrue } from '../../test/until.ts'
import { DiskQueue } from './disk-queue.ts'
import { packMessage, Remote, unpackMessage, type Lane } from './remote.ts'

let server: Server
let url = ''
/** Answers in order, `status` or `status|retry-after`; the last one stays. */
let answers: string[] = []
const received: { path: string; headers: Record<string, unknown>; body: string }[] = []

before(async () => {
  server = createServer((request, reply) => {
    const parts: Buffer[] = []
    request
      .on('data', (part: Buffer) => parts.push(part))
      .on('end', () => {
        received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts).toString() })
        const answer = answers.length > 1 ? answers.shift() : answers[0]
        const [status = '', retryAfter] = answer?.split('|') ?? []
        reply.writeHead(Number(status), retryAfter === undefined ? {} : { 'retry-after': retryAfter }).end('so it is')
      })
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(async () => {
  await new Promise(resolve => {
    server.close(resolve)
    server.closeAllConnections()
  })
})
beforeEach(() => {
  received.length = 0
})

async function start(
  shards = 1,
  log: Log = silentLog,
): Promise<{ clock: VirtualClock; remote: Remote; queue: DiskQueue }> {
  const clock = new VirtualClock(0)
  const files = new MemoryFiles()
  const queue = new DiskQueue({ files, log: silentLog, directory: '/q', bytesMax: 1 << 26 })
  const client = new HttpClient(plainClient, {
    clock: systemClock,
    files,
    env: {},
    guard: new OutgoingGuard(),
    directory: '/',
  })
  const limits = { timeoutMs: 5000, lanes: shards, minBackoffMs: 100, maxBackoffMs: 10_000 }
  const own = { name: 'r', url, client, queue, headers: { 'x-own': 'remote' } }
  const remote = new Remote({ clock, log, ...own, ...limits })
  await remote.start()
  return { clock, remote, queue }
}
const put = (queue: DiskQueue, body: string, head = {}): Promise<void> =>
  queue.put(packMessage({ headers: { 'x-message': '1' }, ...head }, Buffer.from(body)))

test('a message arrives at its path with its headers and those of the remote, and is counted', async () => {
  answers = ['204']
  const { remote, queue } = await start()
  await put(queue, 'hello', { path: '/push', samples: 7 })
  await untilTrue(() => remote.sent === 1, 'the message')
  const [first] = received
  assert.deepEqual([first?.path, first?.body], ['/push', 'hello'])
  assert.deepEqual([first?.headers['x-own'], first?.headers['x-message']], ['remote', '1'])
  assert.equal(remote.sentSamples, 7)
  await remote.stop()
  assert.equal(queue.bytes, 0)
})

test('429 and 5xx are tried again with growing pauses; other refusals drop the message', async () => {
  answers = ['500', '429', '503', '204']
  const { clock, remote, queue } = await start()
  await put(queue, 'a')
  for (const [retries, pauseMs] of [
    [1, 100],
    [2, 200],
    [3, 400],
  ] as const) {
    await untilTrue(() => remote.retries === retries, `try ${retries}`)
    await clock.advance(pauseMs - 1)
    assert.equal(received.length, retries, 'not before its pause')
    await clock.advance(1)
  }
  await untilTrue(() => remote.sent === 1, 'the message')
  assert.equal(remote.lastError, '')
  answers = ['400', '204']
  await put(queue, 'bad')
  await put(queue, 'good')
  await untilTrue(() => remote.sent === 2, 'the message after the refused one')
  assert.deepEqual([remote.refused, received.map(r => r.body).slice(-2)], [1, ['bad', 'good']])
  await remote.stop()
})

test('Retry-After lengthens a pause, up to half an hour', async () => {
  for (const [retryAfter, pauseMs] of [
    ['3', 3000],
    ['0.5', 500],
    ['9999', 1_800_000],
    ['Thu, 01 Jan 1970 00:00:10 GMT', 10_000],
    ['soon', 100],
    ['-5', 100],
  ] as const) {
    answers = [`503|${retryAfter}`, '204']
    received.length = 0
    const { clock, remote, queue } = await start()
    await put(queue, 'a')
    await untilTrue(() => remote.retries === 1, 'a try')
    assert.equal(remote.lastError, '503: so it is')
    await clock.advance(pauseMs - 1)
    assert.equal(received.length, 1, retryAfter)
    await clock.advance(1)
    await untilTrue(() => remote.sent === 1, 'the message')
    await remote.stop()
  }
})

test('what waits when a remote stops is sent by the next one', async () => {
  answers = ['503']
  const files = new MemoryFiles()
  const make = async (): Promise<Remote> => {
    const queue = new DiskQueue({ files, log: silentLog, directory: '/q', bytesMax: 1 << 20 })
    const client = new HttpClient(plainClient, {
      clock: systemClock,
      files,
      env: {},
      guard: new OutgoingGuard(),
      directory: '/',
    })
    const limits = { timeoutMs: 5000, lanes: 2, minBackoffMs: 100, maxBackoffMs: 1000 }
    const clock = new VirtualClock(0)
    const remote = new Remote({ clock, log: silentLog, name: 'r', url, client, queue, headers: {}, ...limits })
    await remote.start()
    return remote
  }
  const first = await make()
  for (const body of ['a', 'b', 'c']) await put(first.queue, body)
  await untilTrue(() => first.retries >= 1, 'tries')
  await first.stop()
  answers = ['204']
  received.length = 0
  const second = await make()
  await untilTrue(() => second.sent === 3, 'all of them')
  assert.deepEqual(
    received.map(r => r.body),
    ['a', 'b', 'c'],
  )
  await second.stop()
})

test('an answer that is long, damaged or cut off is one by its status: nothing is sent for ever', async () => {
  const bodies: ((reply: ServerResponse) => void)[] = [
    reply => reply.writeHead(200).end('x'.repeat(1 << 20)),
    reply => reply.writeHead(200, { 'content-encoding': 'gzip' }).end('this is no gzip'),
    reply => {
      reply.writeHead(200, { 'content-length': '1000' })
      reply.write('short')
      setImmediate(() => reply.destroy())
    },
  ]
  for (const respond of bodies) {
    let count = 0
    const own = createServer((request, reply) => {
      request.resume().on('end', () => {
        count++
        respond(reply)
      })
    })
    await new Promise<void>(resolve => {
      own.listen(0, '127.0.0.1', resolve)
    })
    const before = url
    url = `http://127.0.0.1:${(own.address() as AddressInfo).port}`
    const { remote, queue } = await start()
    url = before
    await put(queue, 'once')
    await untilTrue(() => remote.sent === 1, 'the message')
    await remote.stop()
    assert.deepEqual([count, remote.retries], [1, 0])
    await new Promise(resolve => {
      own.close(resolve)
      own.closeAllConnections()
    })
  }
})

test('a packed message is its head and its body', () => {
  const head = { path: '/x', headers: { a: 'ü' }, samples: 3 }
  const { head: unpacked, body } = unpackMessage(packMessage(head, Uint8Array.of(1, 2, 3)))
  assert.deepEqual([unpacked, [...body]], [head, [1, 2, 3]])
})

test('a remote that is away for two hours gets everything afterwards, each once', async () => {
  const clock = new VirtualClock(0)
  const queue = new DiskQueue({ files: new MemoryFiles(), log: silentLog, directory: '/q', bytesMax: 1 << 26 })
  let isAway = true
  const got: string[] = []
  const client = {
    send: (_url: string, { body }: { body: Uint8Array }) => {
      if (!isAway) got.push(Buffer.from(body).toString())
      return Promise.resolve({ status: isAway ? 503 : 204, header: () => undefined, body: new Uint8Array(0) })
    },
    close: () => Promise.resolve(),
    hide: (text: string) => text,
  } as unknown as HttpClient
  const remote = new Remote({
    clock,
    log: silentLog,
    name: 'r',
    url: 'http://r',
    client,
    queue,
    headers: {},
    timeoutMs: 1000,
    lanes: 4,
    minBackoffMs: 100,
    maxBackoffMs: 10_000,
  })
  await remote.start()
  for (let i = 0; i < 480; i++) {
    await queue.put(packMessage({ headers: {} }, Buffer.from(String(i))))
    await clock.advance(15_000)
  }
  assert.deepEqual(got, [])
  assert.ok(remote.retries > 500 && queue.bytes > 480 * 10)
  isAway = false
  for (let i = 0; i < 20; i++) await clock.advance(10_000)
  assert.deepEqual(
    got.map(Number),
    Array.from({ length: 480 }, (_, i) => i),
  )
  assert.equal(queue.bytes, 0)
  await remote.stop()
})

/** Messages of four lanes, of none, and in any order; the remote answers as it likes, and processes are killed. */
class Unreliable {
  readonly files = new MemoryFiles()
  readonly clock = new VirtualClock(0)
  readonly taken: string[] = []
  /** Not before this moment, the remote has said. */
  closedUntilMs = 0
  tooEarly = 0
  readonly #random: Random

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  async open(): Promise<Remote> {
    const queue = new DiskQueue({ files: this.files, log: silentLog, directory: '/q', bytesMax: 1 << 26 })
    const client = {
      send: (_url: string, { body, signal }: { body: Uint8Array; signal: AbortSignal }) =>
        this.#answer(Buffer.from(body).toString(), signal),
      close: () => Promise.resolve(),
      hide: (text: string) => text,
    } as unknown as HttpClient
    const own = { name: 'r', url: 'http://r', client, queue, headers: {}, timeoutMs: 1000, lanes: 4 }
    const remote = new Remote({ ...own, clock: this.clock, log: silentLog, minBackoffMs: 100, maxBackoffMs: 5000 })
    await remote.start()
    return remote
  }

  async #answer(body: string, signal: AbortSignal): Promise<unknown> {
    const random = this.#random
    if (this.clock.nowMs() < this.closedUntilMs) this.tooEarly++
    const kind = below(random, 8)
    await new Promise<void>(resolve => {
      this.clock.after(below(random, 400), resolve)
      signal.addEventListener('abort', () => {
        resolve()
      })
    })
    if (signal.aborted) throw new Error('gone')
    const reply = (status: number, retryAfter?: string): unknown => ({
      status,
      header: () => retryAfter,
      body: new Uint8Array(0),
    })
    if (kind === 0) {
      const seconds = 1 + below(random, 20)
      // Requests that are under way already may come.
      this.closedUntilMs = Math.max(this.closedUntilMs, this.clock.nowMs() + seconds * 1000)
      return reply(429, String(seconds))
    }
    if (kind === 1) return reply(503)
    if (kind === 2) throw new Error('connection refused')
    this.taken.push(body)
    return reply(204)
  }
}

test('order is kept in each lane, and for what has none, over refusals, pauses, failures and restarts', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed * 77)
    const world = new Unreliable(seed)
    let remote = await world.open()
    let count = 0
    for (let round = 0; round < 60; round++) {
      for (let i = below(random, 6); i > 0; i--) {
        const kind = below(random, 10)
        const lane: Lane | undefined = kind === 0 ? undefined : kind === 1 ? 'any' : [below(random, 4), 4]
        const name = lane === undefined ? 'alone' : lane === 'any' ? 'any' : String(lane[0])
        const head = lane === undefined ? { headers: {} } : { headers: {}, lane }
        await remote.queue.put(packMessage(head, Buffer.from(`${name} ${count++}`)))
      }
      await world.clock.advance(below(random, 3000))
      if (below(random, 10) === 0) {
        await remote.stop()
        // A new process has not been told.
        world.closedUntilMs = 0
        remote = await world.open()
      }
    }
    for (let i = 0; i < 2000 && remote.queue.bytes > 0; i++) await world.clock.advance(5000)
    const numbers = world.taken.map(body => Number(body.split(' ')[1]))
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
      `seed ${seed}: each once`,
    )
    world.taken.forEach((body, i) => {
      const [lane] = body.split(' ')
      if (lane === 'any') return
      const overtaken = world.taken.slice(0, i).find((before, k) => {
        const [other] = before.split(' ')
        return other !== 'any' && (lane === 'alone' || other === 'alone' || other === lane) && numbers[k]! > numbers[i]!
      })
      assert.equal(overtaken, undefined, `seed ${seed}: ${body} came late`)
    })
    assert.equal(world.tooEarly, 0, `seed ${seed}: nothing goes to a remote that asked to be left alone`)
    await remote.stop()
  }
})

test('what is refused for good is counted by its reason, with one line a minute', async () => {
  answers = ['400', '413', '400', '408', '204']
  const lines: Record<string, unknown>[] = []
  const log = {
    ...silentLog,
    error: (_text: string, fields?: Record<string, unknown>) => void lines.push(fields ?? {}),
  }
  const { clock, remote, queue } = await start(1, log)
  for (const body of ['a', 'b', 'c', 'd']) await put(queue, body, { samples: 10 })
  await queue.put(Buffer.from('no message'))
  await untilTrue(() => remote.retries === 1, 'a timeout of the remote')
  await clock.advance(100)
  await untilTrue(() => remote.sent === 1 && remote.refused === 4, 'all of them')
  assert.deepEqual([...remote.refusedBy].sort(), [
    ['400', 2],
    ['413', 1],
    ['damaged', 1],
  ])
  assert.deepEqual([remote.sentSamples, remote.refusedSamples], [10, 30])
  assert.deepEqual(
    lines.map(l => l['count']),
    [1],
  )
  await clock.advance(60_000)
  answers = ['400']
  await put(queue, 'e')
  await untilTrue(() => remote.refused === 5, 'one more')
  assert.deepEqual(
    lines.map(l => l['count']),
    [1, 4],
  )
  await remote.stop()
})
