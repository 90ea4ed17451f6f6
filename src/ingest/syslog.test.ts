/** Syslog: messages are gathered for a moment, stored together, and tried again while the store is away. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { sleep } from '#core/clock.ts'
import { UnavailableError } from '#core/errors.ts'
import { syslogWaitingBytesMax } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { LogsAppender, LogsAppendOutcome } from '#logs/append.ts'
import type { LogBatch } from '#model/log-batch.ts'
import { SyslogReceiver } from './syslog.ts'

const nowMs = Date.parse('2026-11-28T12:00:00Z')
const message = (text: string): string => `<34>1 2026-11-28T11:59:00Z host app 77 - - ${text}`

const peer = { certificate: undefined, end: () => {} }

class KeptBatches implements LogsAppender {
  readonly batches: string[][] = []
  attempts = 0
  /** Fails so many times. */
  failures = 0
  refused = 0
  /** Refuses so many batches for a limit that passes. */
  busy = 0

  append(tenant: string, batch: LogBatch): Promise<LogsAppendOutcome> {
    this.attempts++
    if (this.failures-- > 0) return Promise.reject(new UnavailableError('starting', 1))
    this.batches.push(
      Array.from({ length: batch.count }, (_, i) =>
        Buffer.from(batch.bytes.subarray(batch.lineFrom[i], batch.lineTo[i])).toString('utf8'),
      ),
    )
    assert.equal(tenant, 'fake')
    assert.equal(batch.isVerbatim, true)
    if (this.busy-- > 0)
      return Promise.resolve({ stored: 0, refused: 1, problems: [{ message: 'full', count: 1 }], status: 429 })
    const problems = this.refused === 0 ? [] : [{ message: 'too old', count: this.refused }]
    return Promise.resolve({ stored: batch.count - this.refused, refused: this.refused, problems, status: 400 })
  }
}

function receiving(): { clock: VirtualClock; store: KeptBatches; syslog: SyslogReceiver; logged: string[] } {
  const clock = new VirtualClock(nowMs)
  const store = new KeptBatches()
  const logged: string[] = []
  const note = (text: string): void => {
    logged.push(text)
  }
  const syslog = new SyslogReceiver(store, 'fake', clock, { ...silentLog, warn: note, error: note }, 1000)
  return { clock, store, syslog, logged }
}

test('messages of several connections and datagrams are stored together after a moment', async () => {
  const { clock, store, syslog } = receiving()
  const one = syslog.connect(peer)
  const two = syslog.connect(peer)
  const framed = message('one')
  one.data(Buffer.from(`${framed.length} ${framed.slice(0, 20)}`))
  two.data(Buffer.from(`${message('two')}\n${message('three')}`))
  one.data(Buffer.from(framed.slice(20)))
  syslog.datagram(Buffer.from(`${message('four')}\n`))
  // What a connection left unfinished counts when it closes.
  two.close()
  assert.equal(syslog.messages, 4)
  await clock.advance(49)
  assert.equal(store.batches.length, 0)
  await clock.advance(1)
  assert.deepEqual(
    store.batches.map(batch => batch.toSorted()),
    [['four', 'one', 'three', 'two']],
  )
})

test('many messages do not wait, and those that wait are stored when it closes', async () => {
  const { clock, store, syslog } = receiving()
  const connection = syslog.connect(peer)
  for (let i = 0; i < 2001; i++) connection.data(Buffer.from(`${message(String(i))}\n`))
  await clock.yield()
  assert.deepEqual(
    store.batches.map(batch => batch.length),
    [2000],
  )
  await syslog.close()
  assert.deepEqual(
    store.batches.map(batch => batch.length),
    [2000, 1],
  )
})

test('while messages are stored others gather, and the log does not wait where whole batches do', async () => {
  const { clock, store, syslog } = receiving()
  const intervalMs = 3000
  const asked: { count: number; isPart: boolean; atMs: number }[] = []
  const { append } = store
  store.append = async (tenant, batch) => {
    asked.push({ count: batch.count, isPart: batch.isPart, atMs: clock.nowMs() - nowMs })
    // As a log that is written once an interval.
    if (!batch.isPart) await sleep(clock, intervalMs)
    return append.call(store, tenant, batch)
  }
  const connection = syslog.connect(peer)
  let sent = 0
  const run = async (ms: number, perStep: number): Promise<void> => {
    for (let at = 0; at < ms; at += 100) {
      for (let i = 0; i < perStep; i++) connection.data(Buffer.from(`${message(String(sent++))}\n`))
      await clock.advance(100)
    }
  }
  await run(9000, 1)
  assert.ok(asked.length <= 4, `${asked.length} batches of few messages`)
  await run(9000, 200)
  await clock.advance(3 * intervalMs)
  assert.equal(store.batches.flat().length, sent)
  assert.ok(asked.some(({ isPart }) => isPart))
  const closed = syslog.close()
  await clock.advance(intervalMs)
  await closed
  assert.deepEqual(
    store.batches.flat(),
    Array.from({ length: sent }, (_, n) => String(n)),
  )
})

test('a store that is away gets the same messages again, in order, and later ones wait', async () => {
  const { clock, store, syslog } = receiving()
  store.failures = 3
  syslog.datagram(Buffer.from(message('first')))
  await clock.advance(50)
  syslog.datagram(Buffer.from(message('second')))
  await clock.advance(50)
  assert.deepEqual(store.batches, [])
  await clock.advance(100 + 200 + 400)
  assert.deepEqual(store.batches, [['first'], ['second']])
  assert.equal(syslog.lost, 0)
})

test('messages beyond a limit that passes are sent again', async () => {
  const { clock, store, syslog, logged } = receiving()
  store.busy = 2
  syslog.datagram(Buffer.from(message('waits')))
  await clock.advance(50 + 100 + 200)
  assert.deepEqual(store.batches, [['waits'], ['waits'], ['waits']])
  assert.deepEqual([syslog.lost, logged], [0, []])
})

test('messages that no attempt could store, and refused ones, are counted and logged', async () => {
  const { clock, store, syslog, logged } = receiving()
  store.failures = 21
  syslog.datagram(Buffer.from(message('given up')))
  await clock.advance(50 + 20 * 5000)
  assert.equal(store.attempts, 21)
  assert.equal(syslog.lost, 1)
  store.refused = 1
  syslog.datagram(Buffer.from(message('old')))
  await clock.advance(50)
  assert.equal(syslog.lost, 2)
  assert.deepEqual(logged, ['syslog messages were given up', 'syslog messages were refused'])
})

test('nothing is read from connections, and datagrams are dropped, while too much waits to be stored', async () => {
  const { clock, store, syslog, logged } = receiving()
  store.failures = 3
  const connection = syslog.connect(peer)
  const text = 'x'.repeat(900)
  const many = Buffer.from(`${message(text)}\n`.repeat(1000))
  let room: Promise<void> | undefined
  let sent = 0
  while (room === undefined) {
    room = connection.data(many)
    sent += 1000
    assert.ok(sent * text.length < 2 * syslogWaitingBytesMax, 'a bound is reached')
  }
  assert.ok(sent * (text.length + 300) > syslogWaitingBytesMax)
  let hasRoom = false
  const waiting = room.then(() => {
    hasRoom = true
  })
  syslog.datagram(Buffer.from(`${message('a')}\n${message('b')}`))
  syslog.datagram(Buffer.from(message('c')))
  assert.deepEqual([syslog.messages, syslog.lost, logged.length], [sent + 3, 3, 1])
  // Another connection waits too.
  const other = syslog.connect(peer).data(Buffer.from(`${message('d')}\n`))
  assert.ok(other !== undefined && !hasRoom)
  for (let i = 0; i < 100; i++) await clock.advance(1000)
  await Promise.all([waiting, other])
  syslog.datagram(Buffer.from(message('e')))
  await syslog.close()
  assert.equal(connection.data(Buffer.from(`${message('f')}\n`)), undefined)
  assert.equal(store.batches.flat().length, sent + 2)
  assert.equal(syslog.lost, 3)
})

test('a page that posts to the port of syslog stores nothing, however its request is cut', async () => {
  const { clock, store, syslog, logged } = receiving()
  const request = `POST / HTTP/1.1\r\nHost: 127.0.0.1:5140\r\n\r\n${message('evil')}\n${message('evil')}\n`
  for (const pieceLength of [1, 2, 7, request.length]) {
    let ends = 0
    const connection = syslog.connect({ ...peer, end: () => ends++ })
    for (let at = 0; at < request.length; at += pieceLength)
      connection.data(Buffer.from(request.slice(at, at + pieceLength)))
    connection.close()
    assert.ok(ends > 0)
  }
  await clock.advance(1000)
  assert.deepEqual(store.batches, [])
  assert.equal(syslog.messages, 0)
  assert.match(logged[0] ?? '', /began as HTTP does/)
  // Messages without a priority may begin alike.
  const lines = ['POST', 'GET /x took 3 ms', 'PUTTING', `GET /${'x'.repeat(900)}`, 'P']
  for (const line of lines)
    for (const pieceLength of [1, 1000]) {
      const connection = syslog.connect({ ...peer, end: () => assert.fail(line) })
      for (let at = 0; at < line.length; at += pieceLength)
        connection.data(Buffer.from(line.slice(at, at + pieceLength)))
      connection.close()
    }
  await clock.advance(1000)
  assert.deepEqual(store.batches.flat().toSorted(), lines.flatMap(line => [line, line]).toSorted())
})
