/** Bodies decoded by a thread: memory goes there and comes back, errors keep their kinds, a dead thread is noticed. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { systemClock } from '#core/clock.ts'
import { defaultLimits } from '#core/limits.ts'
import { silentLog } from '#core/log.ts'
import { samplesOf } from '#model/carried-batch.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { encodeWriteRequest } from '#wire/remote-write/encode.ts'
import { showWriteBatch } from '../../test/show-batch.ts'
import type { MainCalls, WorkerCalls } from './calls.ts'
import { decodingMemoryError, WorkerDecoding } from './decoding.ts'
import type { Handlers } from './link.ts'
import { Pool, type ThreadHandle } from './pool.ts'
import { startThread } from './start-thread.ts'

const settings = {
  limits: defaultLimits,
  isTenancyOn: false,
  memoryBytesMax: 256 << 20,
  metrics: undefined,
  logs: undefined,
  traces: undefined,
}
const options = { nowMs: 42, decodedBytesMax: 1 << 20, seed: { a: 1, b: 2, c: 3, d: 4 } }

function decoding(start: () => ThreadHandle): { decoder: WorkerDecoding; pool: Pool<WorkerCalls, MainCalls> } {
  const pool = new Pool<WorkerCalls, MainCalls>({
    clock: systemClock,
    log: silentLog,
    threadsMax: 1,
    start,
    // A thread that decodes asks nothing.
    handlers: {} as Handlers<MainCalls>,
    memoryBytesMax: settings.memoryBytesMax,
    memoryError: decodingMemoryError,
  })
  return { decoder: new WorkerDecoding(pool, () => options), pool }
}

function writeRequest(): Uint8Array {
  const builder = new BatchBuilder()
  for (let i = 0; i < 5000; i++) builder.add(Labels.fromObject({ __name__: 'm', i: `${i}` }), i, i)
  const encoding = { labelsOf: undefined, added: [], isWithHistograms: true, isWithExemplars: true }
  return new Uint8Array(encodeWriteRequest(builder.batch, encoding).bytes)
}

test('a thread takes the memory of a body, and gives back what it holds or why it is refused', async t => {
  const { decoder, pool } = decoding(() => startThread(settings))
  t.after(() => {
    pool.close()
  })
  const body = writeRequest()
  const decoded = await decoder.decode('remote-write-1', body)
  assert.equal(body.buffer.byteLength, 0)
  assert.ok(decoded.signal === 'metrics')
  const lines = showWriteBatch(samplesOf(decoded.batch))
  assert.deepEqual([lines.length, lines[4999]], [5000, 'm{i="4999"} 4999 @4999'])

  // A part of more is copied: the rest belongs to others.
  const part = Buffer.from('[{]} and more').subarray(0, 4)
  await assert.rejects(decoder.decode('zipkin', part), /^BadDataError: /)
  assert.equal(part.toString(), '[{]}')
  const many = Buffer.from(`[${'{},'.repeat(1_000_000)}{}]`)
  await assert.rejects(decoder.decode('zipkin', many), { name: 'LimitError', status: 400 })
  const long = Buffer.from('ffff7f00', 'hex')
  await assert.rejects(decoder.decode('remote-write-1-snappy', long), { name: 'LimitError', status: 413 })
  await assert.rejects(decoder.decode('otlp-logs', Buffer.from('0aff', 'hex')), /^CorruptDataError: /)
  assert.deepEqual([pool.running, pool.jobs], [0, 5])
})

test('a body whose thread ends is to be sent again, and the next one gets a new thread', async t => {
  const threads: ThreadHandle[] = []
  const { decoder, pool } = decoding(() => {
    const thread = startThread(settings)
    threads.push(thread)
    return thread
  })
  t.after(() => {
    pool.close()
  })
  const first = decoder.decode('remote-write-1', writeRequest())
  threads[0]!.kill()
  await assert.rejects(first, { name: 'UnavailableError', kind: 'unavailable' })
  assert.equal((await decoder.decode('remote-write-1', writeRequest())).signal, 'metrics')
  assert.equal(threads.length, 2)
})

/** Attributes of one record: short on the wire, objects in memory. */
const attributes = Array.from({ length: 500_000 }, () => '{"key":"a"}').join(',')
const largest = {
  'otlp-metrics-json': `{"resourceMetrics":[{"resource":{"attributes":[${attributes}]},"scopeMetrics":[]}]}`,
  'otlp-logs-json': `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[${attributes}]}]}]}]}`,
  'otlp-traces-json': `{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[${attributes}]}]}]}]}`,
} as const

test('a body that takes more memory than a thread has is refused, and ends nothing but the thread', async t => {
  const { decoder, pool } = decoding(() => startThread({ ...settings, memoryBytesMax: 8 << 20 }))
  t.after(() => {
    pool.close()
  })
  for (const kind of ['otlp-metrics-json', 'otlp-logs-json', 'otlp-traces-json'] as const)
    await assert.rejects(decoder.decode(kind, Buffer.from(largest[kind])), {
      kind: 'unavailable',
      retryAfterSeconds: 10,
      message:
        /^a worker that decodes bodies used more memory than it may; send smaller requests, or raise memory_limit$/,
    })
  assert.equal(pool.endedForMemory, 3)
  assert.equal((await decoder.decode('remote-write-1', writeRequest())).signal, 'metrics')
})
