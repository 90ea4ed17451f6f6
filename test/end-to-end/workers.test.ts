/**
 * Processes with workers and without answer alike, from memory and from the bucket, and go on when somebody's query is
 * given up.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { startProcess, type Started } from '../run-process.ts'
import { untilTrue } from '../until.ts'
import { temporaryDirectory } from '../run-tercet.ts'

const minuteMs = 60_000
/** The end of the last whole minute: what is asked does not depend on when. */
const nowMs = Math.floor(Date.now() / minuteMs) * minuteMs - minuteMs
const seconds = (ms: number): string => String(ms / 1000)
const nanoseconds = (ms: number): string => `${ms}000000`
const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

/** More series, spans and bytes of a chunk than are written without a worker. */
const seriesCount = 1200
const spanCount = 1500
const lateCount = 2500

async function post(url: string, type: string, body: string): Promise<void> {
  const reply = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body })
  assert.ok(reply.ok, `${url}: ${reply.status} ${await reply.text()}`)
}

function samples(): string {
  const lines: string[] = []
  for (let i = 0; i < seriesCount; i++)
    for (let k = 5; k > 0; k--)
      lines.push(`m{app="a${i % 7}",pod="p${i}"} ${i * k} ${nowMs - k * minuteMs + (i % 3) * 1000}`)
  // Out of order.
  for (let i = 0; i < 50; i++) lines.push(`m{app="a${i % 7}",pod="p${i}"} ${i} ${nowMs - 4.5 * minuteMs}`)
  return `${lines.join('\n')}\n`
}

function streams(): string {
  const all = Array.from({ length: 6 }, (_, s) => ({
    stream: { app: `x${s % 2}`, pod: `p${s}` },
    values: Array.from({ length: 200 }, (_line, i) => [
      nanoseconds(nowMs - 5 * minuteMs + i * 1000 + s),
      `level=${i % 5 === 0 ? 'error' : 'info'} msg="line ${i}" took=${i % 13}`,
      ...(s === 0 ? [{ traceID: hex(i, 32) }] : []),
    ]),
  }))
  return JSON.stringify({ streams: all })
}

/** Half of the lines of a stream: both halves have more than a block, over the same time. */
function lateLines(half: number): string {
  const values = Array.from({ length: lateCount }, (_, i) => [
    nanoseconds(nowMs - 5 * minuteMs + i * 100 + half * 50),
    `half=${half} number=${i} ${'some text '.repeat(20)}`,
  ])
  return JSON.stringify({ streams: [{ stream: { app: 'late' }, values }] })
}

function spans(): string {
  const scopeSpans = [
    {
      scope: { name: 'test' },
      spans: Array.from({ length: spanCount }, (_, i) => ({
        traceId: hex(Math.floor(i / 3) + 1, 32),
        spanId: hex(i + 1, 16),
        parentSpanId: i % 3 === 0 ? '' : hex(i, 16),
        name: `op${i % 3}`,
        kind: 2,
        startTimeUnixNano: nanoseconds(nowMs - 5 * minuteMs + i * 10),
        endTimeUnixNano: nanoseconds(nowMs - 5 * minuteMs + i * 10 + 5),
        attributes: [{ key: 'http.status_code', value: { intValue: String(200 + (i % 4)) } }],
      })),
    },
  ]
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'shop' } }] }
  return JSON.stringify({ resourceSpans: [{ resource, scopeSpans }] })
}

const range = `start=${seconds(nowMs - 6 * minuteMs)}&end=${seconds(nowMs)}`
const inRange = (query: string): string => `query=${encodeURIComponent(query)}&${range}&step=30`
const logRange = `start=${nanoseconds(nowMs - 6 * minuteMs)}&end=${nanoseconds(nowMs)}`
const q = (text: string): string => encodeURIComponent(text)

/** Each of them heavy as far as the process knows: they go to workers where there are some. */
const requests = [
  `/api/v1/query_range?${inRange('sum by (app) (m)')}`,
  `/api/v1/query_range?${inRange('m{pod=~"p1.."}')}`,
  `/api/v1/query_range?${inRange('topk(3, rate(m[2m]))')}`,
  `/api/v1/query?query=${q('count_values("v", m)')}&time=${seconds(nowMs)}`,
  `/api/v1/query?query=${q('m{pod="p7"}[10m]')}&time=${seconds(nowMs)}`,
  `/api/v1/query?query=${q('m + on (nosuch) m')}&time=${seconds(nowMs)}`,
  `/api/v1/query?query=${q('sum(')}`,
  `/api/v1/series?match[]=${q('m{app="a3"}')}&${range}`,
  `/api/v1/labels?${range}`,
  `/api/v1/label/pod/values?${range}`,
  `/api/v1/export?match[]=${q('m{app="a1"}')}&${range}`,
  `/prometheus/api/v1/format_query?query=${q('sum by(a)(b)')}`,
  `/loki/api/v1/query_range?query=${q('{app="x1"} |= "line 17"')}&${logRange}&limit=1000`,
  `/loki/api/v1/query_range?query=${q('sum by (level) (rate({app=~"x."} | logfmt [1m]))')}&${logRange}&step=30`,
  `/loki/api/v1/query_range?query=${q('{app="x0"} | line_format "{{.nosuch')}&${logRange}`,
  `/loki/api/v1/query_range?query=${q('{app="late"} |~ "number=12.?4 "')}&${logRange}&limit=1000`,
  `/loki/api/v1/query_range?query=${q('sum by (half) (rate({app="late"} | logfmt [1m]))')}&${logRange}&step=30`,
  `/loki/api/v1/series?${logRange}`,
  `/loki/api/v1/index/volume?query=${q('{app=~".+"}')}&${logRange}`,
  `/select/logsql/query?query=${q('error | stats by (app) count() c | sort by (app)')}&${range}`,
  `/select/logsql/field_values?query=${q('*')}&field=app&${range}`,
  `/api/search?q=${q('{ span.http.status_code = 203 }')}&${range}&limit=200`,
  `/api/traces/${hex(7, 32)}`,
  `/api/v2/search/tag/span.http.status_code/values?${range}`,
  `/api/metrics/query_range?q=${q('{} | rate() by (name)')}&${range}&step=60s`,
  `/jaeger/api/traces?service=shop&limit=3&start=${nowMs - 6 * minuteMs}000&end=${nowMs}000`,
  '/api/search?q=%7B',
]

/** Without what is measured: how long it took. */
function comparable(text: string): string {
  return text
    .replaceAll(/"(execTime|totalTime|[a-zA-Z]*[Ss]econds|queueTime)":[\d.e-]+/g, '"$1":0')
    .replaceAll(/"(bytesProcessedPerSecond|linesProcessedPerSecond)":[\d.e+-]+/g, '"$1":0')
    .replaceAll(/"inspectedBytes":"?\d+"?/g, '"inspectedBytes":0')
}

/** Answers to all requests; traces of a search have no order of their own. */
async function answers({ url }: Started): Promise<string[]> {
  const all: string[] = []
  for (const path of requests) {
    const reply = await fetch(url + path)
    all.push(`${path}\n${reply.status} ${reply.headers.get('content-type')}\n${comparable(await reply.text())}`)
  }
  return all
}

async function jobsOf({ url }: Started): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^tercet_worker_jobs_total (\d+)/m.exec(text)?.[1] ?? 0)
}

/** Bytes that workers for queries hold: without queries on the main thread nobody else is in this account. */
async function heldByQueries({ url }: Started): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return Number(/^tercet_memory_bytes\{account="queries"\} (\d+)/m.exec(text)![1])
}

/** Deletes every tenth of the late lines, and waits until the bucket is rid of them. A worker does that. */
async function eraseNumbers(process: Started): Promise<void> {
  const jobs = await jobsOf(process)
  const url = `${process.url}/loki/api/v1/delete`
  const asked = await fetch(
    `${url}?query=${q('{app="late"} |~ "number=.*4 "')}&start=${seconds(nowMs - 60 * minuteMs)}`,
    { method: 'POST' },
  )
  assert.equal(asked.status, 204)
  await untilTrue(async () => {
    const [request] = (await (await fetch(url)).json()) as { status: string }[]
    return request!.status === 'processed'
  }, 'the lines are deleted')
  assert.ok((await jobsOf(process)) > jobs)
  const found = await fetch(`${process.url}${requests.find(path => path.includes('late'))!}`)
  assert.deepEqual(((await found.json()) as { data: { result: unknown[] } }).data.result, [])
}

async function stop({ child }: Started): Promise<void> {
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  assert.equal(await ended, 0)
}

test('answers are the same with workers and without, from memory and from the bucket', async () => {
  const directory = temporaryDirectory()
  const start = (workers: number): Promise<Started> =>
    startProcess(directory, 'local', { flags: [`--workers=${workers}`, '--logs.deletion_delay=0s'] })
  let process = await start(0)
  try {
    await post(`${process.url}/api/v1/import/prometheus`, 'text/plain', samples())
    await post(`${process.url}/loki/api/v1/push`, 'application/json', streams())
    for (const half of [0, 1]) await post(`${process.url}/loki/api/v1/push`, 'application/json', lateLines(half))
    await post(`${process.url}/v1/traces`, 'application/json', spans())
    const fromMemory = await answers(process)
    assert.deepEqual([await jobsOf(process), await heldByQueries(process)], [0, 0])
    for (const text of fromMemory) assert.doesNotMatch(text, /\n5\d\d /)
    await stop(process)
    process = await start(1)
    assert.deepEqual(await answers(process), fromMemory)
    assert.ok((await jobsOf(process)) >= requests.length)
    await untilTrue(async () => (await heldByQueries(process)) > 0, 'what workers hold is counted')
    await post(`${process.url}/-/flush`, 'text/plain', '')
    const fromBucket = await answers(process)
    // Asked again: what a worker has opened is the same.
    assert.deepEqual(await answers(process), fromBucket)
    await eraseNumbers(process)
    const erased = await answers(process)
    await stop(process)
    process = await start(0)
    assert.deepEqual(await answers(process), erased)
    await stop(process)
  } finally {
    process.child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
})
