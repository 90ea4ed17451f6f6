/**
 * A steady load of all signals on an S3 store, in real time: memory of the process, and the bytes that it puts for each
 * byte of lines that came in.
 *
 *   node bench/soak.ts [--minutes=20] [--rate=1] [--durability=local] [--json] [--KEY=VALUE …]
 *
 * `rate` 1 is 10,000 samples, 1 MB of lines and 500 spans a second. The store is one in this process, on loopback: it
 * answers at once, and keeps what it gets in memory.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { costOf } from './process-cost.ts'
import { listeningUrl } from '../test/listening-url.ts'
import { S3Server } from '../test/s3-server.ts'
import { bodies, labelBytes } from './load.ts'
import { lokiPush } from './loki-push.ts'
import { LineLoad, SpanLoad } from './outage-load.ts'
import { printRows, type ResultRow } from './result-row.ts'

const text = (name: string, fallback: string): string =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback
const own = ['minutes', 'rate', 'durability']
const minutes = Number(text('minutes', '20'))
const rate = Number(text('rate', '1'))
const durability = text('durability', 'local')
const settings = process.argv.filter(a => /^--[^=]+=/.test(a) && !own.includes(a.slice(2).split('=')[0]!))
const scrapeSeconds = 15
const bytesOfSpan = 190
const textBytes = 64e6
const stepMs = 1000

const store = await S3Server.open()
const put = { all: 0, log: 0, count: 0 }
store.trouble = ({ method, key, bytes }) => {
  if (method === 'PUT') {
    put.count++
    put.all += bytes
    if (key.endsWith('.wal')) put.log += bytes
  }
  // Nobody reads the requests of the run.
  store.requests.length = 0
  return undefined
}

const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-soak-'))
const child = spawn(
  process.execPath,
  [
    'src/app/main.ts',
    'up',
    `--data_dir=${directory}`,
    '--listen.http=127.0.0.1:0',
    '--listen.otlp_http=off',
    '--listen.otlp_grpc=off',
    `--durability=${durability}`,
    '--log.level=warn',
    ...store.flags.map(flag => `--${flag}`),
    ...settings,
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
)
const url = await listeningUrl(child)

const mebibytes = (kind: 'rssBytes' | 'peakBytes'): number => costOf(child.pid!)[kind] / 2 ** 20
const cpuSeconds = (): number => costOf(child.pid!).cpuSeconds

const refused: string[] = []

async function send(path: string, body: Uint8Array, headers: Record<string, string>): Promise<void> {
  try {
    const reply = await fetch(url + path, { method: 'POST', body: Buffer.from(body), headers })
    await reply.arrayBuffer()
    if (!reply.ok) refused.push(`${path}: ${reply.status}`)
  } catch (error) {
    refused.push(`${path}: ${String(error)}`)
  }
}

const protobuf = { 'content-type': 'application/x-protobuf' }
const series = Math.round(10_000 * rate * scrapeSeconds)
const keys = Array.from({ length: series }, (_, i) => labelBytes(i))
const lines = new LineLoad(rate * 1e6 * (stepMs / 1000), textBytes)
const spans = new SpanLoad(500 * rate * bytesOfSpan * (stepMs / 1000), stepMs)
let lineBytes = 0

/** What came in one second; nobody waits for what was sent before. */
function step(n: number, timeMs: number): void {
  const part = n % scrapeSeconds
  const [from, to] = [part, part + 1].map(i => Math.round((series * i) / scrapeSeconds))
  const shape = { series: to! - from!, seriesPerBody: 2000, startMs: timeMs, stepMs: 0 }
  for (const body of bodies(keys.slice(from, to), shape, Math.floor(n / scrapeSeconds)))
    void send('/api/v1/write', body, { ...protobuf, 'content-encoding': 'snappy' })
  const batch = lines.batch(timeMs, stepMs)
  for (let i = 0; i < batch.count; i++) lineBytes += batch.lineTo[i]! - batch.lineFrom[i]!
  void send('/loki/api/v1/push', lokiPush(batch), protobuf)
  for (const { message } of spans.messages(timeMs)) void send('/v1/traces', message, protobuf)
}

const startedMs = Date.now()
const rss: number[] = []
for (let n = 0; n < minutes * 60; n++) {
  const dueMs = startedMs + n * stepMs
  const behindMs = dueMs - Date.now()
  if (behindMs > 0) await new Promise(resolve => setTimeout(resolve, behindMs))
  step(n, dueMs)
  rss.push(mebibytes('rssBytes'))
  if (n % 60 === 59)
    console.error(
      `${(n + 1) / 60} min: RSS ${rss.at(-1)!.toFixed(0)} MiB, ${cpuSeconds()} CPU-s, ${refused.length} refused`,
    )
}
const during = { ...put }
const { memory } = (await (await fetch(`${url}/api/tercet/memory`)).json()) as {
  memory: { account: string; bytes: number }[]
}
const accounts = memory.map(({ account, bytes }) => `${account} ${(bytes / 1024 ** 2).toFixed(0)}`).join(', ')
const peak = mebibytes('peakBytes')
const end = rss.slice(-60).reduce((sum, one) => sum + one, 0) / Math.min(60, rss.length)
if (refused.length > 0) console.error(`${refused.length} refused: ${refused[0]!}`)
const row = (work: string, unit: string, value: number, note = ''): ResultRow => ({
  work,
  unit,
  values: { tercet: value },
  note,
})
printRows(
  [
    row('RSS at the peak', 'MiB', peak, `${cpuSeconds()} CPU-s`),
    row('RSS in the last minute', 'MiB', end, `MiB of accounts: ${accounts}`),
    row('bytes put', 'bytes a byte of lines', during.all / lineBytes, `${during.count} puts`),
    row('of these log', 'bytes a byte of lines', during.log / lineBytes),
  ],
  `${minutes} minutes at ${rate} times the load, durability ${durability}`,
)
const ended = new Promise(resolve => child.once('exit', resolve))
child.kill('SIGTERM')
await ended
await store.close()
rmSync(directory, { recursive: true, force: true })
process.exit()
