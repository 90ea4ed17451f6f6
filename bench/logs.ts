/**
 * Logs: CPU to take in and flush a day of lines, bytes stored, and CPU of sixteen queries over them.
 *
 *   node bench/logs.ts [--mb=243] [--keep]
 *
 * One process is started, lines are pushed as snappy protobuf in batches as senders do, then flushed, then queried
 * twice (cold and warm).
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ByteWriter } from '#codec/byte-writer.ts'
import { encodeSnappy } from '#codec/snappy.ts'
import { below, seededRandom } from '#core/random.ts'
import { encodeUtf8 } from '#core/text.ts'
import { urlOf } from '../test/url.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const megabytes = option('mb', 243)
const random = seededRandom(7)
const pick = <T>(list: readonly T[]): T => list[below(random, list.length)]!
const hex = (length: number): string => Array.from({ length }, () => below(random, 16).toString(16)).join('')
const apps = ['web', 'api', 'auth', 'cart', 'search', 'mail', 'worker', 'nginx'] as const
const levels = ['info', 'info', 'info', 'info', 'info', 'debug', 'warn', 'error'] as const

function line(app: string): string {
  const level = pick(levels)
  const ms = (below(random, 200_000) / 100).toFixed(2)
  const user = below(random, 50_000)
  if (app === 'api' || app === 'cart')
    return (
      `{"level":"${level}","msg":"${pick(['request done', 'cache miss', 'user logged in', 'retrying'])}",` +
      `"user":{"id":${user},"region":"${pick(['eu', 'us', 'ap'])}"},` +
      `"status":${pick([200, 200, 200, 301, 404, 500])},"latency_ms":${ms},"trace_id":"${hex(32)}"}`
    )
  if (app === 'nginx')
    return (
      `10.${below(random, 4)}.${below(random, 255)}.${below(random, 255)} - - [20/Nov/2026:10:00:00 +0000] ` +
      `"${pick(['GET', 'POST'])} /api/${pick(['orders', 'users', 'items'])}/${below(random, 1000)} ` +
      `HTTP/1.1" ${pick([200, 200, 304, 404, 500])} ${below(random, 20_000)} "-" "Mozilla/5.0"`
    )
  return (
    `level=${level} caller=${pick(['http.go', 'db.go', 'main.go'])}:${below(random, 400)} ` +
    `msg="${pick(['request done', 'query finished', 'job started', 'connection reset by peer'])}" ` +
    `method=${pick(['GET', 'POST'])} ` +
    `path=/api/${pick(['orders', 'users', 'items'])}/${below(random, 1000)} ` +
    `status=${pick([200, 200, 200, 404, 500])} duration=${ms}ms user=${user} req=${hex(16)}`
  )
}

function field(out: ByteWriter, tag: number, bytes: Uint8Array): void {
  out.writeU8(tag)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

function pushBody(streams: Map<string, { ms: number; text: string }[]>): Uint8Array {
  const out = new ByteWriter(1 << 20)
  const stream = new ByteWriter(1 << 18)
  const entry = new ByteWriter(1024)
  const time = new ByteWriter(32)
  for (const [labels, entries] of streams) {
    stream.reset()
    field(stream, 0x0a, encodeUtf8(labels))
    for (const { ms, text } of entries) {
      time.reset()
      time.writeU8(0x08)
      time.writeUvarint(Math.floor(ms / 1000))
      time.writeU8(0x10)
      time.writeUvarint((ms % 1000) * 1e6)
      entry.reset()
      field(entry, 0x0a, time.bytes())
      field(entry, 0x12, encodeUtf8(text))
      field(stream, 0x12, entry.bytes())
    }
    field(out, 0x0a, stream.bytes())
  }
  return encodeSnappy(out.bytes())
}

/** User and system seconds of a process. */
function cpuOf(pid: number): number {
  const parts = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(parts[11]) + Number(parts[12])) / 100
}
function rssOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}
function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).reduce(
    (sum, e) => sum + (e.isFile() ? statSync(join(e.parentPath, e.name)).size : 0),
    0,
  )
}

const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-'))
const child = spawn(
  process.execPath,
  [
    ...process.execArgv,
    ...(process.env['PROFILE'] === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${process.env['PROFILE']}`]),
    'src/app/main.ts',
    'up',
    `--data_dir=${directory}`,
    '--listen.http=127.0.0.1:0',
    '--listen.otlp_http=off',
    '--listen.otlp_grpc=off',
    '--self_scrape=false',
    '--self_trace=false',
    '--logs.out_of_order_window=inf',
    '--logs.retention=inf',
    '--disk_free_min=0',
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const url = await new Promise<string>(resolve => {
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    const found = /http +(http:\/\/\S+)/.exec(out)?.[1]
    if (found !== undefined) resolve(found)
  })
})
const pid = child.pid!
try {
  const endMs = Math.floor(Date.now() / 1000) * 1000
  const startMs = endMs - 86_400_000
  const wanted = megabytes * 1e6
  let bytes = 0
  let lines = 0
  const bodies: Uint8Array[] = []
  while (bytes < wanted) {
    const streams = new Map<string, { ms: number; text: string }[]>()
    for (let i = 0; i < 4000 && bytes < wanted; i++) {
      const app = pick(apps)
      const key = `{app="${app}", env="prod", pod="${app}-${below(random, 3)}"}`
      const text = line(app)
      const ms = startMs + Math.min(86_399_000, Math.floor((bytes / wanted) * 86_400_000))
      const list = streams.get(key)
      if (list === undefined) streams.set(key, [{ ms, text }])
      else list.push({ ms, text })
      bytes += text.length
      lines++
    }
    bodies.push(pushBody(streams))
  }
  console.log(
    `${(bytes / 1e6).toFixed(0)} MB in ${lines} lines of ${(bytes / lines).toFixed(0)} bytes, ` +
      `${bodies.length} requests`,
  )
  const cpu0 = cpuOf(pid)
  const wall0 = performance.now()
  for (const body of bodies) {
    const reply = await fetch(`${url}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: Buffer.from(body),
    })
    if (reply.status !== 204) throw new Error(`${reply.status}: ${await reply.text()}`)
  }
  const cpu1 = cpuOf(pid)
  const wall1 = performance.now()
  await fetch(`${url}/-/flush`, { method: 'POST' })
  const cpu2 = cpuOf(pid)
  const wall2 = performance.now()
  const stored = sizeOf(join(directory, 'bucket/logs'))
  console.log(
    `in: ${(cpu1 - cpu0).toFixed(2)} CPU-s, ${((wall1 - wall0) / 1000).toFixed(2)} s, ` +
      `${(bytes / 1e6 / ((wall1 - wall0) / 1000)).toFixed(0)} MB/s`,
  )
  console.log(
    `until flushed: ${(((cpu2 - cpu0) / bytes) * 1e9).toFixed(1)} CPU-s per GB; ` +
      `flush ${((wall2 - wall1) / 1000).toFixed(2)} s; ` +
      `stored ${(stored / bytes).toFixed(3)} of the line bytes; peak RSS ${rssOf(pid).toFixed(0)} MiB`,
  )
  const queries: [string, string][] = [
    ['needle', '{env="prod"} |= "deadbeefcafe4711"'],
    ['rare word', '{app="web"} |= "connection reset" |= "status=500"'],
    ['absent token', '{app="api"} |= "no-such-token-here"'],
    ['newest 100', '{env="prod"}'],
    ['regex', '{app="web"} |~ "path=/api/orders/99[0-9] status=5.."'],
    ['json filter', '{app="api"} | json | status>=500 | user_region="eu"'],
    ['logfmt filter', '{app="auth"} | logfmt | status="404" | duration>1900ms'],
    ['pattern', '{app="nginx"} | pattern `<ip> - - <_> "<method> <path> <_>" <status> <size> <_>` | status="500"'],
    ['count by level', 'sum by (detected_level) (count_over_time({env="prod"}[1h]))'],
    ['count by app', 'sum by (app) (count_over_time({env="prod"}[1h]))'],
    ['rate of errors', 'sum by (app) (rate({env="prod"} |= "error" [1h]))'],
    ['bytes', 'sum by (app) (bytes_over_time({env="prod"}[1h]))'],
    ['topk path', 'topk(5, sum by (method, status) (count_over_time({app="search"} | logfmt [24h])))'],
    ['status by json', 'sum by (status) (count_over_time({app="cart"} | json [1h]))'],
    ['quantile', 'quantile_over_time(0.95, {app="api"} | json | unwrap latency_ms [1h]) by (app)'],
    [
      'avg unwrap',
      'avg by (method) (avg_over_time({app="web"} | logfmt | unwrap duration(duration) [1h]) by (method))',
    ],
  ]
  for (const round of process.argv.includes('--ingest') ? [] : ['cold', 'warm']) {
    const from = cpuOf(pid)
    const at = performance.now()
    const parts: string[] = []
    for (const [name, query] of queries) {
      const c = cpuOf(pid)
      const w = performance.now()
      const reply = await fetch(
        urlOf(url, '/loki/api/v1/query_range', {
          query,
          start: String(startMs / 1000),
          end: String(endMs / 1000),
          step: '3600',
          limit: '100',
        }),
      )
      const text = await reply.text()
      if (reply.status !== 200) throw new Error(`${query}: ${text}`)
      parts.push(`${name} ${(performance.now() - w).toFixed(0)} ms/${(cpuOf(pid) - c).toFixed(2)}`)
    }
    console.log(
      `${round}: ${(cpuOf(pid) - from).toFixed(2)} CPU-s, ` +
        `${((performance.now() - at) / 1000).toFixed(2)} s\n` +
        `  ${parts.join('\n  ')}`,
    )
  }
  console.log(`peak RSS ${rssOf(pid).toFixed(0)} MiB`)
} finally {
  child.kill('SIGTERM')
  await new Promise(resolve => {
    child.once('exit', resolve)
  })
  if (!process.argv.includes('--keep')) rmSync(directory, { recursive: true, force: true })
}
