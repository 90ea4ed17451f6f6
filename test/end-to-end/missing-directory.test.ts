/** The directory of a bucket is deleted under a running process: every API says so, and nothing is made up. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

const traceId = '00000000000000000000000000000001'

/** Those that can't be answered without the blocks. */
const reading = [
  '/api/v1/query?query=m',
  '/prometheus/api/v1/query_range?query=m&start=now&end=now&step=60',
  '/federate?match[]=m',
  '/api/v1/export?match[]=m',
  '/loki/api/v1/query_range?query={app="a"}',
  '/loki/api/v1/query?query=count_over_time({app="a"}[1h])',
  '/select/logsql/query?query=*',
  `/api/traces/${traceId}`,
  `/api/v2/traces/${traceId}`,
  '/api/search?q={}',
  '/api/metrics/query_range?q={}|rate()&start=ago&end=now&step=60s',
]

let running: Running
let first: Running

async function post(path: string, body: unknown): Promise<Response> {
  const isText = typeof body === 'string'
  return fetch(running.url + path, {
    method: 'POST',
    headers: { 'content-type': isText ? 'text/plain' : 'application/json' },
    body: isText ? body : JSON.stringify(body),
  })
}

async function push(n: number): Promise<number[]> {
  const nowMs = Date.now()
  const span = {
    traceId: String(n).padStart(32, '0'),
    spanId: String(n).padStart(16, '0'),
    name: `s${n}`,
    // Metrics of traces leave out the last moments.
    startTimeUnixNano: `${nowMs - 120_000}000000`,
    endTimeUnixNano: `${nowMs - 119_999}000000`,
  }
  const replies = [
    await post('/api/v1/import/prometheus', `m{n="${n}"} ${n} ${nowMs}\n`),
    await post('/loki/api/v1/push', { streams: [{ stream: { app: 'a' }, values: [[`${nowMs}000000`, `line ${n}`]] }] }),
    await post('/v1/traces', { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
  ]
  return replies.map(({ status }) => status)
}

async function ask(path: string): Promise<{ status: number; text: string; retry: string | null }> {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const url = running.url + path.replaceAll('now', String(nowSeconds + 60)).replaceAll('ago', String(nowSeconds - 600))
  const reply = await fetch(url)
  return { status: reply.status, text: await reply.text(), retry: reply.headers.get('retry-after') }
}

const bucketOf = (of: Running): string => `${of.directory}/data/bucket`

before(async () => {
  first = running = await runTercet()
  assert.deepEqual(await push(1), [204, 204, 200])
  assert.equal((await post('/-/flush', '')).status, 204)
  await first.tercet.close()
  // Nothing of the blocks is in memory.
  running = await runTercet([], first.directory)
})
after(async () => {
  await running.stop()
})

test('503 while it is gone; the same data when it is back; an empty one gets what is in memory', async () => {
  const bucket = bucketOf(running)
  renameSync(bucket, `${bucket}-unmounted`)
  for (const path of reading) {
    const { status, text, retry } = await ask(path)
    assert.equal(status, 503, `${path}: ${text}`)
    assert.match(text, /directory was there and is gone/, path)
    assert.ok(retry !== null || path.includes('select'), path)
  }
  assert.deepEqual(await push(2), [204, 204, 200])
  assert.match((await ask('/-/ready')).text, /warning: metrics: the bucket is away: .*directory was there and is gone/)
  assert.equal(existsSync(bucket), false)

  renameSync(`${bucket}-unmounted`, bucket)
  assert.equal((await post('/-/flush', '')).status, 204)
  for (const path of reading) assert.equal((await ask(path)).status, 200, path)
  assert.match((await ask('/api/v1/query?query=count(m)')).text, /"2"\]/)

  assert.deepEqual(await push(3), [204, 204, 200])
  renameSync(bucket, `${bucket}-lost`)
  for (const signal of ['metrics', 'logs', 'traces']) mkdirSync(`${bucket}/${signal}`, { recursive: true })
  assert.equal((await post('/-/flush', '')).status, 204)
  assert.match((await ask('/api/v1/query?query=m')).text, /"n":"3"/)
  assert.doesNotMatch((await ask('/-/ready')).text, /another writer/)
})
