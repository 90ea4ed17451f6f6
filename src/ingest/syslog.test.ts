/** Syslog: messages are gathered for a moment, stored together, and tried again while the store is away. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { sleep } from '#core/clock.ts'
import { UnavailableError } from '#core/errors.ts'
import { parseIpNetwork } from '#core/ip-address.ts'
import { syslogWaitingBytesMax } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { LogsAppender, LogsAppendOutcome } from '#logs/append.ts'
import type { LogBatch } from '#model/log-batch.ts'
import { everything, type Grant } from '#net/access.ts'
import type { Admission } from '#net/auth.ts'
import { SyslogDoor, type SyslogDoorOptions } from './syslog-door.ts'
import { SyslogReceiver, type SyslogListener } from './syslog.ts'

const nowMs = Date.parse('2026-11-28T12:00:00Z')
const message = (text: string): string => `<34>1 2026-11-28T11:59:00Z host app 77 - - ${text}`

const peer = { certificate: undefined, address: '127.0.0.1', end: () => {} }

/** Lets everybody in; all is of one tenant. */
const openDoor: SyslogDoorOptions = {
  name: 'syslog_tcp',
  allow: [],
  admit: undefined,
  isOpen: false,
  hasTenancy: false,
  tenant: 'fake',
  isTenantGiven: false,
  tenantField: undefined,
}
/** With tenancy. */
const tenantsDoor: SyslogDoorOptions = { ...openDoor, hasTenancy: true, tenantField: 'hostname' }

class KeptBatches implements LogsAppender {
  readonly batches: string[][] = []
  /** Of each batch. */
  readonly tenants: string[] = []
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
    this.tenants.push(tenant)
    assert.equal(batch.isVerbatim, true)
    if (this.busy-- > 0)
      return Promise.resolve({ stored: 0, refused: 1, problems: [{ message: 'full', count: 1 }], status: 429 })
    const problems = this.refused === 0 ? [] : [{ message: 'too old', count: this.refused }]
    return Promise.resolve({ stored: batch.count - this.refused, refused: this.refused, problems, status: 400 })
  }
}

interface Receiving {
  clock: VirtualClock
  store: KeptBatches
  syslog: Pick<SyslogListener, 'connect'> & { datagram: (bytes: Uint8Array) => void; close: () => Promise<void> }
  counts: SyslogReceiver
  at: (door: SyslogDoorOptions) => SyslogListener
  logged: string[]
}

function receiving(door: SyslogDoorOptions = openDoor): Receiving {
  const clock = new VirtualClock(nowMs)
  const store = new KeptBatches()
  const logged: string[] = []
  const note = (text: string): void => {
    logged.push(text)
  }
  const log = { ...silentLog, warn: note, error: note }
  const counts = new SyslogReceiver({
    appender: store,
    clock,
    log,
    messageBytesMax: 1000,
    hasTenancy: door.hasTenancy,
    tenantsMax: 4,
  })
  const at = (options: SyslogDoorOptions): SyslogListener => counts.listener(new SyslogDoor(options))
  const { connect, datagram } = at(door)
  const syslog = {
    connect,
    datagram: (bytes: Uint8Array): void => {
      datagram(bytes, '127.0.0.1')
    },
    close: () => counts.close(),
  }
  return { clock, store, syslog, counts, at, logged }
}

test('messages of several connections and datagrams are stored together after a moment', async () => {
  const { clock, store, syslog, counts } = receiving()
  const one = syslog.connect(peer)
  const two = syslog.connect(peer)
  const framed = message('one')
  one.data(Buffer.from(`${framed.length} ${framed.slice(0, 20)}`))
  two.data(Buffer.from(`${message('two')}\n${message('three')}`))
  one.data(Buffer.from(framed.slice(20)))
  syslog.datagram(Buffer.from(`${message('four')}\n`))
  // What a connection left unfinished counts when it closes.
  two.close()
  assert.equal(counts.messages, 4)
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
  const { clock, store, syslog, counts } = receiving()
  store.failures = 3
  syslog.datagram(Buffer.from(message('first')))
  await clock.advance(50)
  syslog.datagram(Buffer.from(message('second')))
  await clock.advance(50)
  assert.deepEqual(store.batches, [])
  await clock.advance(100 + 200 + 400)
  assert.deepEqual(store.batches, [['first'], ['second']])
  assert.equal(counts.lost, 0)
})

test('messages beyond a limit that passes are sent again', async () => {
  const { clock, store, syslog, counts, logged } = receiving()
  store.busy = 2
  syslog.datagram(Buffer.from(message('waits')))
  await clock.advance(50 + 100 + 200)
  assert.deepEqual(store.batches, [['waits'], ['waits'], ['waits']])
  assert.deepEqual([counts.lost, logged], [0, []])
})

test('messages that no attempt could store, and refused ones, are counted and logged', async () => {
  const { clock, store, syslog, counts, logged } = receiving()
  store.failures = 21
  syslog.datagram(Buffer.from(message('given up')))
  await clock.advance(50 + 20 * 5000)
  assert.equal(store.attempts, 21)
  assert.equal(counts.lost, 1)
  store.refused = 1
  syslog.datagram(Buffer.from(message('old')))
  await clock.advance(50)
  assert.equal(counts.lost, 2)
  assert.deepEqual(logged, ['syslog messages were given up', 'syslog messages were refused'])
})

test('nothing is read from connections, and datagrams are dropped, while too much waits to be stored', async () => {
  const { clock, store, syslog, counts, logged } = receiving()
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
  assert.deepEqual([counts.messages, counts.lost, logged.length], [sent + 3, 3, 1])
  // Another connection waits too.
  const other = syslog.connect(peer).data(Buffer.from(`${message('d')}\n`))
  assert.ok(other !== undefined && !hasRoom)
  for (let i = 0; i < 100; i++) await clock.advance(1000)
  await Promise.all([waiting, other])
  syslog.datagram(Buffer.from(message('e')))
  await syslog.close()
  assert.equal(connection.data(Buffer.from(`${message('f')}\n`)), undefined)
  assert.equal(store.batches.flat().length, sent + 2)
  assert.equal(counts.lost, 3)
})

test('a page that posts to the port of syslog stores nothing, however its request is cut', async () => {
  const { clock, store, syslog, counts, logged } = receiving()
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
  assert.equal(counts.messages, 0)
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

const from = (host: string, text: string): Buffer =>
  Buffer.from(`<34>1 2026-11-28T11:59:00Z ${host} app 77 - [who@32473 tenant="by-data"] ${text}\n`)

/** What each tenant has, in order. */
function byTenant({ tenants, batches }: KeptBatches): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const [i, tenant] of tenants.entries()) (found[tenant] ??= []).push(...batches[i]!)
  return found
}

test('a field of the message names the tenant; what names none is lost, unless the listener has one', async () => {
  const { clock, store, syslog, counts, at, logged } = receiving(tenantsDoor)
  const names = ['a', 'b', 'index', '..', '-', 'a|b', 'a']
  for (const name of names) syslog.datagram(from(name, `of ${name}`))
  await clock.advance(50)
  assert.deepEqual(byTenant(store), { a: ['of a', 'of a'], b: ['of b'] })
  assert.deepEqual([counts.messages, counts.lost, logged.length], [7, 4, 1])
  assert.match(logged[0]!, /of no tenant/)
  const withTenant = at({ ...tenantsDoor, tenant: 'given', isTenantGiven: true })
  for (const name of names.slice(1)) withTenant.datagram(from(name, name), '127.0.0.1')
  const byData = at({ ...tenantsDoor, tenantField: 'who@32473.tenant' })
  byData.datagram(from('a', 'x'), '127.0.0.1')
  await clock.advance(50)
  const found = byTenant(store)
  assert.deepEqual([found['given'], found['by-data']], [['index', '..', '-', 'a|b'], ['x']])
  assert.equal(counts.lost, 4)
})

test('without tenancy all is of one tenant, whatever a message says', async () => {
  const { clock, store, syslog } = receiving({ ...tenantsDoor, hasTenancy: false })
  syslog.datagram(from('a', 'x'))
  await clock.advance(50)
  assert.deepEqual(byTenant(store), { fake: ['x'] })
})

test('a certificate says for which tenants its holder writes, also when that changes', async () => {
  const grantOf = (tenants: string[] | undefined): Grant => ({ ...everything, name: 'shipper', tenants })
  let admission: Admission = grantOf(['a', 'b'])
  const { clock, store, syslog, counts, at } = receiving({ ...tenantsDoor, admit: () => admission })
  let ends = 0
  const connection = syslog.connect({ ...peer, end: () => ends++ })
  for (const host of ['a', 'b', 'c', '-']) connection.data(from(host, host))
  await clock.advance(50)
  assert.deepEqual(byTenant(store), { a: ['a'], b: ['b'] })
  assert.deepEqual([counts.lost, ends], [2, 0])
  // One that is for one tenant need not name it, and may not name another.
  admission = grantOf(['c'])
  for (const host of ['a', 'c', '-', 'index']) connection.data(from(host, host))
  await clock.advance(50)
  assert.deepEqual(byTenant(store)['c'], ['c', '-', 'index'])
  assert.equal(counts.lost, 3)
  admission = { status: 401, reason: 'credentials are missing' }
  connection.data(from('c', 'taken back'))
  connection.data(from('c', 'and more'))
  connection.close()
  await clock.advance(50)
  assert.deepEqual([byTenant(store)['c']?.length, counts.refused, ends], [3, 1, 1])
  // A door that is open takes strangers, and no known one who may not write.
  const open = at({ ...tenantsDoor, isOpen: true, admit: () => admission })
  open.datagram(from('d', 'stranger'), '127.0.0.1')
  admission = { status: 403, reason: 'reader may not do this', name: 'reader' }
  open.datagram(from('d', 'reader'), '127.0.0.1')
  await clock.advance(50)
  assert.deepEqual(byTenant(store)['d'], ['stranger'])
  assert.equal(counts.refused, 2)
})

test('messages are taken from allowed addresses alone', async () => {
  const allow = ['10.0.0.0/8', 'fd00::/8'].map(parseIpNetwork)
  const { clock, store, counts, at } = receiving()
  const listener = at({ ...openDoor, allow })
  const addresses = ['10.1.2.3', '::ffff:10.1.2.4', 'fd00::1', '11.0.0.1', '::ffff:11.0.0.1', '::1', '']
  for (const address of addresses) listener.datagram(Buffer.from(message(address)), address)
  for (const address of addresses) {
    let isEnded = false
    const connection = listener.connect({ ...peer, address, end: () => (isEnded = true) })
    connection.data(Buffer.from(`${message(`tcp ${address}`)}\n`))
    connection.close()
    assert.equal(isEnded, !addresses.slice(0, 3).includes(address), address)
  }
  await clock.advance(50)
  assert.deepEqual(
    store.batches.flat(),
    ['', 'tcp '].flatMap(kind => addresses.slice(0, 3).map(address => kind + address)),
  )
  assert.equal(counts.refused, 8)
})

test('a tenant whose limits are reached stops no other, and more tenants than may be wait for none', async () => {
  const { clock, store, syslog, counts, logged } = receiving(tenantsDoor)
  const { append } = store
  store.append = (tenant, batch) =>
    tenant === 'full'
      ? Promise.resolve({ stored: 0, refused: 1, problems: [{ message: 'full', count: 1 }], status: 429 })
      : append.call(store, tenant, batch)
  const one = syslog.connect(peer)
  const other = syslog.connect(peer)
  other.data(from('b', 'first'))
  const many = Buffer.concat(Array.from({ length: 1000 }, () => from('full', 'x'.repeat(800))))
  let room: Promise<void> | undefined
  let pushes = 0
  while (room === undefined) {
    room = one.data(many)
    assert.ok(++pushes * many.length < syslogWaitingBytesMax, 'it has a part of the room')
  }
  for (let i = 0; i < 50; i++) {
    assert.equal(other.data(from('b', String(i))), undefined)
    await clock.advance(50)
  }
  assert.equal(byTenant(store)['b']?.length, 51)
  // Datagrams of the full one are dropped, others are not.
  const { lost } = counts
  syslog.datagram(from('full', 'y'))
  syslog.datagram(from('b', 'y'))
  assert.equal(counts.lost, lost + 1)
  for (const name of ['c', 'd', 'e', 'f']) syslog.datagram(from(name, name))
  await clock.advance(50)
  assert.deepEqual(Object.keys(byTenant(store)), ['b', 'c', 'd'])
  assert.equal(counts.lost, lost + 3)
  assert.ok(logged.some(line => line.includes('of no tenant')))
  for (let i = 0; i < 300 && counts.lost < pushes * 100; i++) await clock.advance(5000)
  await room
})
