/**
 * The longest wait for /health beside long bodies of each format, which worker threads decode: three bodies of a format
 * one after the other, the first of which brings new series and streams.
 *
 *     node bench/long-bodies.ts [--mib=30] [--root=another checkout] [part of a name]
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { encodeSnappy } from '#codec/snappy.ts'
import { Labels } from '#model/labels.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { encodeWriteRequest, encodeWriteRequestV2 } from '#wire/remote-write/encode.ts'
import { logsRequest, metricsRequest, tracesRequest } from '../test/otlp-schema.ts'
import { protobuf } from '../test/protobuf.ts'
import type { Probed } from './overload-probe.ts'

const option = (name: string): string | undefined =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.slice(name.length + 3)
const bytesWanted = Number(option('mib') ?? 30) * 1024 * 1024
const root = option('root') ?? join(import.meta.dirname, '..')
const wanted = process.argv
  .slice(2)
  .find(a => !a.startsWith('--'))
  ?.toLowerCase()

interface Format {
  name: string
  path: string
  headers: Record<string, string>
  /** With so many items; times lie before `nowMs`. */
  body: (count: number, nowMs: number) => Uint8Array
}

const json = { 'content-type': 'application/json' }
const protobufType = { 'content-type': 'application/x-protobuf' }
const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const jsonOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))
const attribute = (key: string, text: string) => ({ key, value: { stringValue: text } })
const line = (i: number): string => `level=info caller=http.go:${i % 900} msg="request ${i} done" path=/api/${i % 77}`

const resourceOf = (r: number) => ({ attributes: [attribute('service.name', `s${r % 20}`), attribute('pod', `p${r}`)] })

function otlpLogs(count: number, nowMs: number): Record<string, unknown> {
  return {
    resourceLogs: many(20, r => ({
      resource: resourceOf(r),
      scopeLogs: [
        {
          logRecords: many(Math.ceil(count / 20), i => ({
            timeUnixNano: `${nowMs - 1000 + (i % 1000)}000000`,
            body: { stringValue: line(i) },
            attributes: [attribute('thread', `t${i % 9}`), attribute('request', `${i}`)],
          })),
        },
      ],
    })),
  }
}

function otlpMetrics(count: number, nowMs: number): Record<string, unknown> {
  return {
    resourceMetrics: many(20, r => ({
      resource: resourceOf(r),
      scopeMetrics: [
        {
          metrics: many(50, m => ({
            name: `requests.${m}`,
            sum: {
              aggregationTemporality: 2,
              isMonotonic: true,
              dataPoints: many(Math.ceil(count / 1000), i => ({
                timeUnixNano: `${nowMs}000000`,
                asDouble: i,
                attributes: [attribute('path', `/api/${i}`), attribute('method', 'GET')],
              })),
            },
          })),
        },
      ],
    })),
  }
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '1')

function otlpTraces(count: number, nowMs: number): Record<string, unknown> {
  return {
    resourceSpans: many(20, r => ({
      resource: resourceOf(r),
      scopeSpans: [
        {
          spans: many(Math.ceil(count / 20), i => ({
            traceId: hex((nowMs % 100_000) * 1000 + (i >> 3), 32),
            spanId: hex(r * 1_000_000 + i, 16),
            name: `GET /api/${i % 77}`,
            kind: 2,
            startTimeUnixNano: `${nowMs - 1000}000000`,
            endTimeUnixNano: `${nowMs}000000`,
            attributes: [attribute('http.path', `/api/${i}`), attribute('thread', `t${i % 9}`)],
          })),
        },
      ],
    })),
  }
}

function lokiStreams(count: number, nowMs: number): Record<string, unknown> {
  return {
    streams: many(100, s => ({
      stream: { app: `a${s}`, namespace: 'default' },
      values: many(Math.ceil(count / 100), i => [`${nowMs - 1000 + (i % 1000)}000000`, line(i), { request: `${i}` }]),
    })),
  }
}

/** A field of protobuf with these bytes. */
function field(number: number, ...parts: readonly Uint8Array[]): Buffer {
  const inner = Buffer.concat(parts)
  const head: number[] = [number * 8 + 2]
  let length = inner.length
  for (; length >= 128; length >>>= 7) head.push((length & 127) | 128)
  return Buffer.concat([Buffer.from([...head, length]), inner])
}

function varint(number: number, value: number): Buffer {
  const head: number[] = [number * 8]
  for (; value >= 128; value = Math.floor(value / 128)) head.push((value % 128) | 128)
  return Buffer.from([...head, value])
}

function lokiMessage(count: number, nowMs: number): Uint8Array {
  const time = field(1, varint(1, Math.floor(nowMs / 1000)))
  const entries = many(Math.ceil(count / 100), i => field(2, time, field(2, Buffer.from(line(i)))))
  return Buffer.concat(many(100, s => field(1, field(1, Buffer.from(`{app="a${s}"}`)), ...entries)))
}

function writeRequest(count: number, nowMs: number): BatchBuilder['batch'] {
  const builder = new BatchBuilder()
  for (let i = 0; i * 10 < count; i++) {
    const labels = { __name__: `requests_${i % 50}`, job: 'bench', instance: `host-${i}`, path: `/api/${i % 77}` }
    const series = builder.addSeries(Labels.fromObject(labels))
    for (let k = 0; k < 10; k++) builder.batch.addSample(series, nowMs - 1000 + k * 100, i + k)
  }
  return builder.batch
}

const encoding = { labelsOf: undefined, added: [], isWithHistograms: true, isWithExemplars: true }
const version1 = (count: number, nowMs: number): Uint8Array =>
  encodeWriteRequest(writeRequest(count, nowMs), encoding).bytes
const version2 = (count: number, nowMs: number): Uint8Array =>
  encodeWriteRequestV2(writeRequest(count, nowMs), encoding).bytes
const version2Type = { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }

function zipkin(count: number, nowMs: number): Uint8Array {
  return jsonOf(
    many(count, i => ({
      traceId: hex((nowMs % 100_000) * 1000 + (i >> 3), 32),
      id: hex(i, 16),
      name: `get /api/${i % 77}`,
      timestamp: nowMs * 1000,
      duration: 1000,
      localEndpoint: { serviceName: `s${i % 20}` },
      tags: { path: `/api/${i}` },
    })),
  )
}

/** A Batch of Thrift's binary form. */
function jaeger(count: number, nowMs: number): Uint8Array {
  const text = (number: number, value: string): Buffer => {
    const head = Buffer.alloc(7)
    head[0] = 0x0b
    head.writeUInt16BE(number, 1)
    head.writeUInt32BE(value.length, 3)
    return Buffer.concat([head, Buffer.from(value, 'latin1')])
  }
  const long = (number: number, value: bigint): Buffer => {
    const field = Buffer.alloc(11)
    field[0] = 0x0a
    field.writeUInt16BE(number, 1)
    field.writeBigInt64BE(value, 3)
    return field
  }
  const end = Buffer.of(0)
  const spans = many(count, i =>
    Buffer.concat([
      long(1, BigInt((nowMs % 100_000) * 1000 + (i >> 3))),
      long(2, 1n),
      long(3, BigInt(i + 1)),
      text(5, `GET /api/${i % 77}`),
      long(8, BigInt(nowMs - 1000) * 1000n),
      long(9, 1000n),
      end,
    ]),
  )
  const process = Buffer.concat([Buffer.from([0x0c, 0, 1]), text(1, 'shop'), end])
  const list = Buffer.from([0x0f, 0, 2, 0x0c, 0, 0, 0, 0])
  list.writeUInt32BE(count, 4)
  return Buffer.concat([process, list, ...spans, end])
}

const formats: Format[] = [
  {
    name: 'remote write 1',
    path: '/api/v1/write',
    headers: protobufType,
    body: (n, t) => encodeSnappy(version1(n, t)),
  },
  {
    name: 'remote write 2',
    path: '/api/v1/write',
    headers: version2Type,
    body: (n, t) => encodeSnappy(version2(n, t)),
  },
  {
    name: 'OTLP metrics, protobuf',
    path: '/v1/metrics',
    headers: protobufType,
    body: (n, t) => protobuf(metricsRequest, otlpMetrics(n, t)),
  },
  { name: 'OTLP metrics, JSON', path: '/v1/metrics', headers: json, body: (n, t) => jsonOf(otlpMetrics(n, t)) },
  {
    name: 'Loki push, protobuf',
    path: '/loki/api/v1/push',
    headers: protobufType,
    body: (n, t) => encodeSnappy(lokiMessage(n, t)),
  },
  { name: 'Loki push, JSON', path: '/loki/api/v1/push', headers: json, body: (n, t) => jsonOf(lokiStreams(n, t)) },
  {
    name: 'OTLP logs, protobuf',
    path: '/v1/logs',
    headers: protobufType,
    body: (n, t) => protobuf(logsRequest, otlpLogs(n, t)),
  },
  { name: 'OTLP logs, JSON', path: '/v1/logs', headers: json, body: (n, t) => jsonOf(otlpLogs(n, t)) },
  {
    name: 'OTLP traces, protobuf',
    path: '/v1/traces',
    headers: protobufType,
    body: (n, t) => protobuf(tracesRequest, otlpTraces(n, t)),
  },
  { name: 'OTLP traces, JSON', path: '/v1/traces', headers: json, body: (n, t) => jsonOf(otlpTraces(n, t)) },
  { name: 'Zipkin', path: '/api/v2/spans', headers: json, body: zipkin },
  { name: 'Jaeger, Thrift', path: '/api/traces', headers: { 'content-type': 'application/x-thrift' }, body: jaeger },
]

const directory = mkdtempSync(join(tmpdir(), 'long-bodies-'))
const port = 20_000 + (process.pid % 10_000)
const url = `http://127.0.0.1:${port}`
const server = spawn(
  process.execPath,
  [
    '--max-old-space-size=4096',
    join(root, 'src/app/main.ts'),
    'up',
    `--data_dir=${directory}`,
    `--listen.http=127.0.0.1:${port}`,
    '--listen.otlp_http=off',
    '--listen.otlp_grpc=off',
    '--log.level=error',
    '--limits.trace_request_spans=1000000',
    '--limits.live_traces=1000000',
  ],
  { stdio: ['ignore', 'ignore', 'inherit'] },
)

server.once('exit', (code, signal) => {
  console.error(`the server ended with ${code ?? signal}`)
  process.exit(1)
})
process.once('exit', () => server.kill())

async function untilHealthy(): Promise<void> {
  for (let i = 0; i < 300; i++) {
    const isUp = await fetch(`${url}/ready`).then(
      reply => reply.ok,
      () => false,
    )
    if (isUp) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error('the server does not start')
}

await untilHealthy()
const probe = new Worker(new URL('overload-probe.ts', import.meta.url), { workerData: { url, pid: server.pid! } })
const take = (): Promise<Probed> =>
  new Promise(resolve => {
    probe.once('message', resolve)
    probe.postMessage('')
  })

/** As many items as make a body of the wanted size when unpacked: told by one of 2,000. */
const sizes: Partial<Record<string, number>> = {
  'remote write 1': version1(2000, Date.now()).length,
  'remote write 2': version2(2000, Date.now()).length,
  'Loki push, protobuf': lokiMessage(2000, Date.now()).length,
}

/** What a body of this format may hold. */
function mostItems(name: string): number {
  if (name.startsWith('remote')) return 1_000_000
  return name.startsWith('OTLP') && name.endsWith('JSON') ? 80_000 : 200_000
}

/** A push that gets no answer is a result, too: status 0, and why. */
async function push(
  path: string,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<{ status: number; text: string }> {
  try {
    const reply = await fetch(url + path, { method: 'POST', headers, body })
    return { status: reply.status, text: await reply.text() }
  } catch (error) {
    const { message, cause } = error as Error
    return { status: 0, text: `${message}: ${String(cause)}` }
  }
}

console.log('format | MB | answers | s | /health max of each | peak MiB')
for (const { name, path, headers, body } of formats) {
  if (wanted !== undefined && !name.toLowerCase().includes(wanted)) continue
  const each = (sizes[name] ?? body(2000, Date.now()).length) / 2000
  const count = Math.min(mostItems(name), Math.floor(bytesWanted / each))
  const cells: string[] = []
  let peak = 0
  let bytes = 0
  for (let i = 0; i < 3; i++) {
    const sent = body(count, Date.now())
    bytes = sent.length
    await new Promise(resolve => setTimeout(resolve, 1000))
    await take()
    const started = performance.now()
    const { status, text } = await push(path, headers, sent)
    const tookMs = performance.now() - started
    await new Promise(resolve => setTimeout(resolve, 500))
    const { health, peakBytes } = await take()
    peak = Math.max(peak, peakBytes)
    cells.push(
      `${status}${status >= 200 && status < 300 ? '' : ` ${text.slice(0, 300)}`} ${(tookMs / 1000).toFixed(1)} s`,
    )
    cells.push(`${Math.round(Math.max(...health))} ms`)
  }
  console.log(`${name} ${count} | ${(bytes / 1e6).toFixed(0)} | ${cells.join(' ')} | ${Math.round(peak / 1048576)}`)
}
await probe.terminate()
server.removeAllListeners('exit')
// It flushes, and writes into its directory, until it has ended.
const ended = new Promise(resolve => server.once('exit', resolve))
server.kill()
await ended
rmSync(directory, { recursive: true, force: true })
process.exit(0)
