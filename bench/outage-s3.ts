/**
 * The bucket away under load, metrics alone, in real time: node bench/outage-s3.ts [minutes away] [samples a second]. A
 * real S3 server (tools/s3-server.sh) stands behind a proxy that is switched off for that time. Prints backlog and
 * memory every minute; at the end everything that was acknowledged must be there, in the process and in one that has
 * nothing but the bucket.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { costOf } from './process-cost.ts'
import { listeningUrl } from '../test/listening-url.ts'
import { bodies, labelBytes } from './load.ts'
import { urlOf } from '../test/url.ts'
import { freePort } from '../test/free-port.ts'

const awayMinutes = Number(process.argv[2] ?? 30)
const rate = Number(process.argv[3] ?? 2000)
const directory = mkdtempSync(join(tmpdir(), 'bench-outage-'))
const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

const s3Port = await freePort()
const server = spawn('bash', ['tools/s3-server.sh', `${directory}/ceph`, String(s3Port)], {
  stdio: ['ignore', 'pipe', 'ignore'],
})
await new Promise<void>((resolve, reject) => {
  server.stdout.on('data', (chunk: Buffer) => {
    if (chunk.toString().includes('ready')) resolve()
  })
  server.once('exit', code => {
    reject(new Error(`the S3 server ended with ${code}`))
  })
})
const client = new S3Client({
  endpoint: `http://127.0.0.1:${s3Port}`,
  region: 'us-east-1',
  forcePathStyle: true,
  credentials: { accessKeyId: 'test', secretAccessKey: 'testtesttest' },
})
await client.send(new CreateBucketCommand({ Bucket: 'outage' }))
client.destroy()

/** The way to the S3 server: while it is closed, connections end at once. */
let isOpen = true
const open = new Set<Socket>()
const proxy = createServer(socket => {
  socket.on('error', () => {})
  if (!isOpen) {
    socket.destroy()
    return
  }
  const upstream = connect(s3Port, '127.0.0.1')
  upstream.on('error', () => socket.destroy())
  for (const one of [socket, upstream]) {
    open.add(one)
    one.once('close', () => open.delete(one))
  }
  socket.pipe(upstream).pipe(socket)
})
await new Promise<void>(resolve => {
  proxy.listen(0, '127.0.0.1', resolve)
})
const proxyAddress = proxy.address()
const endpoint = `http://127.0.0.1:${typeof proxyAddress === 'object' && proxyAddress !== null ? proxyAddress.port : 0}`

async function startTercet(name: string): Promise<{ url: string; pid: number; stop: () => Promise<void> }> {
  const child = spawn(
    process.execPath,
    [
      'src/app/main.ts',
      'up',
      `--data_dir=${directory}/${name}`,
      '--listen.http=127.0.0.1:0',
      '--listen.otlp_http=off',
      '--listen.otlp_grpc=off',
      '--self_scrape=false',
      '--metrics.block_duration=10m',
      '--log.level=error',
      `--bucket.s3.endpoint=${endpoint}`,
      '--bucket.s3.allow_insecure=true',
      '--bucket.s3.bucket=outage',
      '--bucket.s3.access_key_id=test',
      '--bucket.s3.secret_access_key=testtesttest',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const url = await listeningUrl(child)
  return {
    url,
    pid: child.pid!,
    stop: async () => {
      const ended = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
    },
  }
}

const tercet = await startTercet('first')
const metric = async (name: string): Promise<number> =>
  Number(
    new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(
      await (await fetch(`${tercet.url}/metrics`)).text(),
    )?.[1] ?? NaN,
  )
const rssMib = (): string => (costOf(tercet.pid).rssBytes / 2 ** 20).toFixed(0)
const keys = Array.from({ length: rate }, (_, i) => labelBytes(i))
let acknowledged = 0
let refused = 0
let loading = true
const firstMs = Math.floor(Date.now() / 1000) * 1000
const load = (async () => {
  for (let second = 0; loading; second++) {
    const dueMs = firstMs + second * 1000
    if (Date.now() < dueMs) await wait(dueMs - Date.now())
    for (const body of bodies(keys, { series: rate, seriesPerBody: 1000, startMs: firstMs, stepMs: 1000 }, second)) {
      const reply = await fetch(`${tercet.url}/api/v1/write`, {
        method: 'POST',
        body: Buffer.from(body),
        headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
      })
      await reply.text()
      if (reply.ok) acknowledged += Math.min(1000, rate)
      else refused++
    }
  }
})()
const report = async (phase: string): Promise<void> => {
  console.log(
    `${new Date().toISOString().slice(11, 19)} ${phase}: ${(acknowledged / 1e6).toFixed(2)} M samples, ` +
      `${refused} requests refused, backlog ${((await metric('tercet_backlog_bytes')) / 1e6).toFixed(1)} ` +
      `MB, ${await metric('tercet_upload_blocks_waiting')} blocks wait, RSS ${rssMib()} MiB`,
  )
}
await wait(60_000)
await report('before')
isOpen = false
for (const socket of open) socket.destroy()
for (let minute = 0; minute < awayMinutes; minute++) {
  await wait(60_000)
  await report('away')
}
isOpen = true
const backMs = Date.now()
for (let i = 0; i < 90 && (await metric('tercet_upload_blocks_waiting')) > 0; i++) {
  await wait(2000)
  if (i % 15 === 14) await report('back')
}
console.log(`blocks drained ${((Date.now() - backMs) / 1000).toFixed(0)} s after the bucket came back`)
await wait(90_000)
await report('back')
loading = false
await load
const total = async (url: string): Promise<number> => {
  const endMs = Date.now() + 10_000
  const reply = await fetch(
    urlOf(url, '/api/v1/query', {
      query: `sum(count_over_time({__name__=~"bench_.+"}[${Math.ceil((endMs - firstMs) / 1000) + 5}s]))`,
      time: String(endMs / 1000),
    }),
  )
  return Number(
    ((await reply.json()) as { data: { result: { value: [number, string] }[] } }).data.result[0]?.value[1] ?? 0,
  )
}
console.log(`acknowledged ${acknowledged}, in the process ${await total(tercet.url)}`)
await fetch(`${tercet.url}/-/flush`, { method: 'POST' })
await report('flushed')
await tercet.stop()
const second = await startTercet('second')
console.log(`in a process with nothing but the bucket ${await total(second.url)}`)
await second.stop()
proxy.close()
const ended = new Promise(resolve => server.once('exit', resolve))
server.kill('SIGTERM')
await ended
rmSync(directory, { recursive: true, force: true })
