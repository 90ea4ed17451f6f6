/** Delivery to a remote over a socket and the virtual clock: retries, Retry-After, refusals, outages, stops. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { plainClient } from '#lang/settings/http-client.ts'
import { HttpClient } from '#net/http-client.ts'
import { untilTrue } from '../../test/until.ts'
import { DiskQueue } from './disk-queue.ts'
import { packMessage, Remote, unpackMessage } from './remote.ts'

let server: Server
let url = ''
/** Answers in order, `status` or `status retry-after`; the last one stays. */
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
        const [status = '', retryAfter] = answer?.split(' ') ?? []
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

async function start(shards = 1): Promise<{ clock: VirtualClock; remote: Remote; queue: DiskQueue }> {
  const clock = new VirtualClock(0)
  const files = new MemoryFiles()
  const queue = new DiskQueue({ files, log: silentLog, directory: '/q', bytesMax: 1 << 26 })
  const client = new HttpClient(plainClient, { clock: systemClock, files, env: {}, directory: '/' })
  const limits = { timeoutMs: 5000, shards, minBackoffMs: 100, maxBackoffMs: 10_000 }
  const own = { name: 'r', url, client, queue, headers: { 'x-own': 'remote' } }
  const remote = new Remote({ clock, log: silentLog, ...own, ...limits })
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

test('Retry-After lengthens a pause, up to a minute', async () => {
  for (const [retryAfter, pauseMs] of [
    ['3', 3000],
    ['9999', 60_000],
    ['soon', 100],
  ] as const) {
    answers = [`503 ${retryAfter}`, '204']
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
    const client = new HttpClient(plainClient, { clock: systemClock, files, env: {}, directory: '/' })
    const limits = { timeoutMs: 5000, shards: 2, minBackoffMs: 100, maxBackoffMs: 1000 }
    const clock = new VirtualClock(0)
    const remote = new Remote({ clock, log: silentLog, name: 'r', url, client, queue, headers: {}, ...limits })
    await remote.start()
    return remote
  }
  const first = await make()
  for (const body of ['a', 'b', 'c']) await put(first.queue, body)
  await untilTrue(() => first.retries >= 2, 'tries')
  await first.stop()
  answers = ['204']
  received.length = 0
  const second = await make()
  await untilTrue(() => second.sent === 3, 'all of them')
  assert.deepEqual(received.map(r => r.body).sort(), ['a', 'b', 'c'])
  await second.stop()
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
    shards: 4,
    minBackoffMs: 100,
    maxBackoffMs: 10_000,
  })
  await remote.start()
  for (let i = 0; i < 480; i++) {
    await queue.put(packMessage({ headers: {} }, Buffer.from(String(i))))
    await clock.advance(15_000)
  }
  assert.deepEqual(got, [])
  assert.ok(remote.retries > 1000 && queue.bytes > 480 * 10)
  isAway = false
  for (let i = 0; i < 20; i++) await clock.advance(10_000)
  assert.deepEqual(
    got.map(Number).sort((a, b) => a - b),
    Array.from({ length: 480 }, (_, i) => i),
  )
  assert.equal(queue.bytes, 0)
  await remote.stop()
})
