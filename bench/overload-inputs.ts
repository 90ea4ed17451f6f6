/** Inputs that once ended a process, for overload.ts: each sends something hostile and tells how it was answered. */
import { connect, type Socket } from 'node:net'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { WebSocket } from 'ws'
import { postWrite, writeBody, type TestSeries } from '../test/write-request.ts'

/** Statuses, and errors of the connection, with how often each came. */
export type Outcomes = Map<string, number>

export interface Input {
  name: string
  /** `scale` 1 is the size that ended a process of 3 GiB. */
  run(url: string, scale: number): Promise<Outcomes>
}

const json = { 'content-type': 'application/json' }

function note(outcomes: Outcomes, what: string): void {
  outcomes.set(what, (outcomes.get(what) ?? 0) + 1)
}

async function send(outcomes: Outcomes, url: string, init: RequestInit = {}): Promise<void> {
  try {
    const reply = await fetch(url, init)
    await reply.arrayBuffer()
    note(outcomes, String(reply.status))
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    note(outcomes, cause?.code ?? 'failed')
  }
}

/** `{},{},…` of so many bytes inside the list that a format has. */
function empties(bytes: number, before: string, after: string): Buffer {
  const count = Math.floor(bytes / 3)
  return Buffer.from(`${before}${'{},'.repeat(count)}{}${after}`)
}

/** What takes lists of JSON objects, and what stands around them. */
const jsonPaths: readonly (readonly [path: string, before: string, after: string])[] = [
  ['/v1/logs', '{"resourceLogs":[', ']}'],
  ['/v1/metrics', '{"resourceMetrics":[', ']}'],
  ['/v1/traces', '{"resourceSpans":[', ']}'],
  ['/loki/api/v1/push', '{"streams":[', ']}'],
  ['/api/v2/spans', '[', ']'],
  ['/api/v2/alerts', '[', ']'],
]

/** The same for formats of one object a line. */
const linePaths = ['/insert/jsonline', '/insert/elasticsearch/_bulk', '/api/v1/import'] as const

const bodyBytes = 120e6

const jsonBodies: Input = {
  name: '120 MB of {},{},… in gzip, every JSON path',
  async run(url, scale) {
    const outcomes: Outcomes = new Map()
    for (const [path, before, after] of jsonPaths) {
      const body = gzipSync(empties(bodyBytes * scale, before, after))
      await send(outcomes, url + path, { method: 'POST', body, headers: { ...json, 'content-encoding': 'gzip' } })
    }
    for (const path of linePaths) {
      const body = gzipSync(Buffer.from('{}\n'.repeat((bodyBytes * scale) / 3)))
      await send(outcomes, url + path, { method: 'POST', body, headers: { ...json, 'content-encoding': 'gzip' } })
    }
    return outcomes
  },
}

const manyJsonBodies: Input = {
  name: '12 of these at once',
  async run(url, scale) {
    const outcomes: Outcomes = new Map()
    const body = gzipSync(empties(bodyBytes * scale, '{"resourceLogs":[', ']}'))
    const headers = { ...json, 'content-encoding': 'gzip' }
    await Promise.all(
      Array.from({ length: 12 }, () => send(outcomes, `${url}/v1/logs`, { method: 'POST', body, headers })),
    )
    return outcomes
  },
}

const protobufBodies: Input = {
  name: '120 MB of empty messages in gzip and zstd',
  async run(url, scale) {
    const outcomes: Outcomes = new Map()
    // Field 1, length 0.
    const empty = Buffer.alloc(Math.floor((bodyBytes * scale) / 2) * 2, Uint8Array.of(0x0a, 0))
    const type = { 'content-type': 'application/x-protobuf' }
    for (const path of ['/v1/logs', '/v1/metrics', '/v1/traces'])
      await send(outcomes, url + path, {
        method: 'POST',
        body: gzipSync(empty),
        headers: { ...type, 'content-encoding': 'gzip' },
      })
    await send(outcomes, `${url}/api/v1/write`, {
      method: 'POST',
      body: zstdCompressSync(empty),
      headers: { ...type, 'content-encoding': 'zstd' },
    })
    return outcomes
  },
}

const plainBody: Input = {
  name: 'a plain body of 31 MB of {},{},…',
  async run(url, scale) {
    const outcomes: Outcomes = new Map()
    const body = empties(31e6 * scale, '{"streams":[', ']}')
    await send(outcomes, `${url}/loki/api/v1/push`, { method: 'POST', body: Buffer.from(body), headers: json })
    return outcomes
  },
}

const tails: Input = {
  name: '10 tails that never read, 200 MB of lines of 20 kB',
  async run(url, scale) {
    const outcomes: Outcomes = new Map()
    const query = encodeURIComponent('{app="tail"}')
    let isOver = false
    const sockets = Array.from(
      { length: 10 },
      () => new WebSocket(`${url.replace('http', 'ws')}/loki/api/v1/tail?query=${query}`),
    )
    await Promise.all(
      sockets.map(
        socket =>
          new Promise<void>(resolve => {
            socket.on('error', () => {})
            socket.once('close', () => {
              if (!isOver) note(outcomes, 'tail closed')
            })
            socket.once('open', () => {
              socket.pause()
              resolve()
            })
          }),
      ),
    )
    const text = 'x'.repeat(20_000)
    for (let i = 0; i < 200e6 * scale; i += 50 * 20_000) {
      const now = Date.now() * 1e6
      const values = Array.from({ length: 50 }, (_, k) => [String(now + k), `${i + k} ${text}`])
      const body = JSON.stringify({ streams: [{ stream: { app: 'tail' }, values }] })
      await send(outcomes, `${url}/loki/api/v1/push`, { method: 'POST', body, headers: json })
    }
    isOver = true
    for (const socket of sockets) socket.terminate()
    return outcomes
  },
}

/** Series of the store that queries are asked over, and samples of each, a second apart. */
const storedSeries = 20_000
const storedSamples = 480
const storedSinceMs = Math.floor(Date.now() / 1000) * 1000 - storedSamples * 1000

/** Fills the store that queries are asked over. */
export async function fillSeries(url: string, scale: number): Promise<void> {
  const count = Math.floor(storedSeries * scale)
  for (let from = 0; from < count; from += 200) {
    const series = Array.from({ length: Math.min(200, count - from) }, (_, i): TestSeries => {
      const samples = Array.from({ length: storedSamples }, (_sample, k): [number, number] => [
        storedSinceMs + k * 1000,
        k,
      ])
      return {
        labels: [
          ['__name__', 'm'],
          ['instance', `host-${from + i}`],
        ],
        samples,
      }
    })
    const { status } = await postWrite(url, writeBody(series))
    if (status >= 300 && status !== 503) throw new Error(`a write was answered with ${status}`)
  }
}

function rangePath(query: string): string {
  const [start, end] = [storedSinceMs / 1000, storedSinceMs / 1000 + storedSamples]
  return `/api/v1/query_range?query=${encodeURIComponent(query)}&start=${start}&end=${end}&step=1`
}

/** A client that asks and reads nothing but the status of the answer. */
function askWithoutReading(url: string, path: string, outcomes: Outcomes): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {
    note(outcomes, 'reset')
  })
  socket.once('data', (head: Buffer) => {
    socket.pause()
    note(outcomes, head.toString('latin1').slice(9, 12))
  })
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)
  return socket
}

const unreadAnswers: Input = {
  name: '20 answers of query_range over all series that nobody reads',
  async run(url) {
    const outcomes: Outcomes = new Map()
    const sockets = Array.from({ length: 20 }, () => askWithoutReading(url, rangePath('m'), outcomes))
    for (let waited = 0; waited < 90 && [...outcomes.values()].reduce((a, b) => a + b, 0) < 20; waited++)
      await new Promise(resolve => setTimeout(resolve, 1000))
    // Within this time the server disconnects the clients for which it still holds an answer.
    await new Promise(resolve => setTimeout(resolve, 12_000))
    for (const socket of sockets) socket.destroy()
    return outcomes
  },
}

const sums: Input = {
  name: '20 times sum(m) over all series at once, then 200',
  async run(url) {
    const outcomes: Outcomes = new Map()
    for (const count of [20, 200])
      await Promise.all(Array.from({ length: count }, () => send(outcomes, url + rangePath('sum(m)'))))
    return outcomes
  },
}

export const inputs: readonly Input[] = [
  jsonBodies,
  manyJsonBodies,
  protobufBodies,
  plainBody,
  tails,
  unreadAnswers,
  sums,
]
