/** `durability: bucket`: how often the log is written, what is acknowledged when, and what a kill in between leaves. */
import '../simulation/synchronous-zlib.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { MemoryBucket } from '#bucket/memory.ts'
import { UnavailableError } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { RecordLine } from '#store/record-line.ts'
import { Wal } from '#store/wal.ts'
import type { LogsEngine } from '#logs/engine.ts'
import type { MetricsEngine } from '#metrics/engine.ts'
import { send } from '../../src/ingest/ingest-kit.ts'
import { logProtocols } from '../../src/ingest/log-protocols.ts'
import { metricsProtocols } from '../../src/ingest/metrics-protocols.ts'
import { openStore, StoreWorld } from '../numbered-stores.ts'
import { driving } from '../signal-worlds.ts'

const intervalMs = 3000

/** What a log is written to; nothing that a dead process asks of it is done. */
class World {
  readonly clock = new VirtualClock(0)
  readonly bucket = new MemoryBucket(this.clock)
  readonly shown: string[] = []
  readonly read: string[] = []
  #writers = 0

  make(isDead = (): boolean => false): Wal {
    const { clock, bucket } = this
    const ofProcess: MemoryBucket = Object.create(bucket) as MemoryBucket
    ofProcess.put = (...given) => (isDead() ? new Promise(() => {}) : bucket.put(...given))
    const confirm = (): Promise<void> => Promise.resolve()
    return new Wal({
      clock,
      bucket: ofProcess,
      files: new MemoryFiles(),
      log: silentLog,
      bucketPrefix: 't/tercet/wal/',
      directory: '/wal',
      durability: 'bucket',
      commitIntervalMs: intervalMs,
      writer: String(this.#writers++).padStart(26, '0'),
      syncAlways: false,
      confirmPrefix: confirm,
      confirmKept: confirm,
      onLost: () => {},
    })
  }

  async replay(wal: Wal): Promise<void> {
    const visit = ({ payload }: { payload: Uint8Array }): { scopes: string[]; missing: number } => {
      this.read.push(Buffer.from(payload).toString())
      return { scopes: ['a'], missing: 0 }
    }
    await wal.openLocal(visit)
    await wal.openRemote(visit)
  }

  async driven<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const watched = work.finally(() => (isDone = true))
    watched.catch(() => {})
    while (!isDone) await this.clock.advance(50)
    return watched
  }
}

/** An open log, when links of it were put, and a push that gives the time of its acknowledgement. */
async function pacedLog(isDead?: () => boolean) {
  const world = new World()
  const { bucket, clock, shown } = world
  const wal = world.make(isDead)
  await world.driven(world.replay(wal))
  const puts: number[] = []
  const put = bucket.put.bind(bucket)
  bucket.put = async (key, bytes, options) => {
    await put(key, bytes, options)
    if (/\/\d{10}\.wal$/.test(key)) puts.push(clock.nowMs())
  }
  const push = async (text: string): Promise<number> => {
    wal.append(1, Buffer.from(text), ['a'], payload => shown.push(Buffer.from(payload).toString()))
    await wal.commit()
    return clock.nowMs()
  }
  return { world, wal, puts, push }
}

test('a lone push is written at once, and a steady load once an interval', async () => {
  const { world, wal, puts, push } = await pacedLog()
  const { clock } = world
  await clock.advance(10_000)
  const startMs = clock.nowMs()
  const lone = push('lone')
  await clock.advance(0)
  assert.equal(await lone, startMs)
  await clock.advance(60_000)
  puts.length = 0
  const acknowledged: Promise<number>[] = []
  for (let i = 0; i < 300; i++) {
    acknowledged.push(push(String(i)))
    await clock.advance(100)
  }
  assert.deepEqual(
    puts,
    Array.from({ length: 11 }, (_, i) => startMs + 60_000 + i * intervalMs),
  )
  await clock.advance(intervalMs)
  const waits = await Promise.all(acknowledged.map(async (at, i) => (await at) - startMs - 60_000 - i * 100))
  assert.equal(Math.max(...waits), intervalMs)
  await world.driven(wal.close())
})

test('nothing is shown before its write, a full group does not wait, and neither does the end', async () => {
  const { world, wal, puts, push } = await pacedLog()
  const { clock } = world
  await world.driven(push('first'))
  const startMs = clock.nowMs()
  puts.length = 0
  world.shown.length = 0
  const second = push('second')
  await clock.advance(2000)
  assert.deepEqual([puts, world.shown], [[], []])
  const megabyte = 'x'.repeat(1024 * 1024)
  const large = Array.from({ length: 17 }, () => push(megabyte))
  await clock.advance(0)
  assert.equal(await second, startMs + 2000)
  assert.equal(puts.length, 1)
  const last = wal.close()
  await clock.advance(0)
  await last
  await Promise.all(large)
  assert.equal(clock.nowMs(), startMs + 2000)
  assert.equal(puts.length, 2)
})

test('a process that stops waits for no interval, neither for what waits nor for what still comes', async () => {
  const { world, wal, puts, push } = await pacedLog()
  const { clock } = world
  await world.driven(push('first'))
  const startMs = clock.nowMs()
  puts.length = 0
  const before = push('before')
  await clock.advance(1000)
  wal.drain()
  await clock.advance(0)
  assert.deepEqual(puts, [startMs + 1000])
  await clock.advance(100)
  const behind = push('behind')
  await clock.advance(0)
  assert.deepEqual(puts, [startMs + 1000, startMs + 1100])
  assert.deepEqual([await before, await behind], puts)
  await world.driven(wal.close())
})

test('a long append waits for one interval at most, not for one with each of its parts', async () => {
  const { world, wal, puts, push } = await pacedLog()
  const { clock } = world
  await world.driven(push('first'))
  const startMs = clock.nowMs()
  puts.length = 0
  const line = new RecordLine(wal, clock)
  const megabyte = Buffer.alloc(1024 * 1024)
  let isWhole = false
  const long = async (): Promise<void> => {
    for (let i = 0; i < 28; i++) await line.put(1, megabyte, ['a'])
    await wal.commit()
    isWhole = true
  }
  const appended = long()
  while (!isWhole && clock.nowMs() - startMs < 60_000) await clock.advance(50)
  await appended
  assert.ok(clock.nowMs() - startMs <= intervalMs + 50, `${clock.nowMs() - startMs} ms`)
  assert.ok(puts.length <= 7, `${puts.length} writes`)
  await world.driven(wal.close())
})

test('what is behind the end of a generation waits no longer than an interval', async () => {
  const { world, wal, puts, push } = await pacedLog()
  const { clock } = world
  await world.driven(push('first'))
  const startMs = clock.nowMs()
  puts.length = 0
  const before = push('before')
  await clock.advance(1000)
  wal.beginGeneration()
  const behind = push('behind')
  await clock.advance(0)
  assert.equal(await before, startMs + 1000)
  await clock.advance(intervalMs)
  assert.equal(await behind, startMs + 1000 + intervalMs)
  assert.equal(puts.length, 2)
  await world.driven(wal.close())
})

test('a process that is killed while records wait has acknowledged none of them, and none is read back', async () => {
  let isDead = false
  const { world, push } = await pacedLog(() => isDead)
  const { clock } = world
  await world.driven(push('kept'))
  let isAcknowledged = false
  const acknowledged = (): void => {
    isAcknowledged = true
  }
  push('waits').then(acknowledged, acknowledged)
  await clock.advance(intervalMs - 500)
  isDead = true
  await clock.advance(intervalMs)
  assert.equal(isAcknowledged, false)
  const next = world.make()
  await world.driven(world.replay(next))
  assert.deepEqual(world.read, ['kept'])
  await world.driven(next.close())
})

test('a write that the bucket refuses loses what waited for it, and nothing of it shows', async () => {
  const { world, wal, push } = await pacedLog()
  const { bucket, clock, shown } = world
  await world.driven(push('kept'))
  const put = bucket.put
  bucket.put = () => Promise.reject(new Error('no'))
  const first = assert.rejects(push('one'), UnavailableError)
  await clock.advance(1000)
  const second = assert.rejects(push('two'), UnavailableError)
  await clock.advance(60_000)
  await Promise.all([first, second])
  bucket.put = put
  await world.driven(push('three'))
  assert.deepEqual(shown, ['kept', 'three'])
  await world.driven(wal.close())
})

const limits = { decodedBytesMax: 64_000_000 }
const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })

/** How long the answers to a request take whose body has 45,000 samples or lines, directly after another one. */
async function longPush(name: 'metrics' | 'logs', path: string, line: (n: number) => string): Promise<number> {
  const world = new StoreWorld()
  const { clock } = world
  const store = await openStore[name](world, { durability: 'bucket', commitIntervalMs: intervalMs })
  const push = { tenantOf: () => 'fake', clock, kernel, limits }
  const served =
    name === 'metrics'
      ? metricsProtocols({ ...push, appender: store.signal as MetricsEngine })
      : logProtocols({ ...push, appender: store.signal as LogsEngine, log: silentLog })
  await driving(clock, store.send([{ n: 1 }]))
  const startMs = clock.nowMs()
  const body = Array.from({ length: 45_000 }, (_, n) => line(n)).join('\n')
  let endMs = NaN
  const sent = send(served, { path, body }).then(answer => {
    endMs = clock.nowMs()
    return answer
  })
  while (Number.isNaN(endMs) && clock.nowMs() - startMs < 60_000) await clock.advance(50)
  const { status, body: text } = await sent
  assert.ok(status < 300, `${status} ${text}`)
  await driving(clock, store.signal.close())
  return endMs - startMs
}

test('a request that is stored in several parts waits for one interval, not for one with each of them', async () => {
  const atMs = new StoreWorld().clock.nowMs()
  const times = {
    influx: await longPush('metrics', '/write', n => `m,g=${n} v=${n} ${atMs}000000`),
    text: await longPush('metrics', '/api/v1/import/prometheus', n => `m{g="${n}"} ${n} ${atMs}`),
    json: await longPush('metrics', '/api/v1/import', n =>
      JSON.stringify({ metric: { __name__: 'm', g: String(n) }, values: [n], timestamps: [atMs] }),
    ),
    lines: await longPush('logs', '/insert/jsonline', n => `{"_msg":"${n}"}`),
  }
  for (const [what, ms] of Object.entries(times)) assert.ok(ms <= intervalMs + 1000, `${what}: ${ms} ms`)
})
