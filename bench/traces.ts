/**
 * Traces: CPU to take in spans until they are in the bucket, bytes stored, and CPU of twenty-one queries over them.
 *
 *   node bench/traces.ts [--spans=200000] [--ingest] [--keep]     PROFILE=dir writes a CPU profile of the process
 *
 * One process is started, spans are sent as OTLP protobuf in batches of 500, then flushed, then queried twice.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { urlOf } from '../test/url.ts'
import { traceQueries } from './trace-queries.ts'
import { spanLoad } from './trace-spans.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const wanted = option('spans', 200_000)
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
  const endMs = Date.now()
  const startMs = endMs - 3_000_000
  const { bodies, spans, bytes: size, oneId } = spanLoad(wanted, startMs, endMs - 100_000)
  console.log(`${spans} spans, ${(size / 1e6).toFixed(1)} MB of OTLP, ${bodies.length} requests`)
  const cpu0 = cpuOf(pid)
  const wall0 = performance.now()
  for (const body of bodies) {
    const send = (): Promise<Response> =>
      fetch(`${url}/v1/traces`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: Buffer.from(body),
      })
    let reply = await send()
    // Too fast for the log: as an exporter does, later again.
    while (reply.status === 503) {
      await reply.arrayBuffer()
      await new Promise(resolve => setTimeout(resolve, 1000))
      reply = await send()
    }
    if (reply.status !== 200) throw new Error(`${reply.status}: ${await reply.text()}`)
    await reply.arrayBuffer()
  }
  const cpu1 = cpuOf(pid)
  const wall1 = performance.now()
  await fetch(`${url}/-/flush`, { method: 'POST' })
  const cpu2 = cpuOf(pid)
  const wall2 = performance.now()
  console.log(
    `in: ${(((cpu1 - cpu0) / spans) * 1e6).toFixed(1)} CPU-s per M spans, ` +
      `${(size / 1e6 / ((wall1 - wall0) / 1000)).toFixed(1)} MB/s`,
  )
  console.log(
    `until in the bucket: ${(((cpu2 - cpu0) / spans) * 1e6).toFixed(1)} CPU-s per M spans; ` +
      `flush ${((wall2 - wall1) / 1000).toFixed(2)} s; ` +
      `stored ${(sizeOf(join(directory, 'bucket/traces')) / spans).toFixed(0)} bytes a span; ` +
      `peak RSS ${rssOf(pid).toFixed(0)} MiB`,
  )
  const queries = traceQueries(Math.floor(startMs / 1000), Math.ceil(endMs / 1000), oneId)
  for (const round of process.argv.includes('--ingest') ? [] : ['cold', 'warm']) {
    const from = cpuOf(pid)
    const at = performance.now()
    const parts: string[] = []
    for (const { name, path, parameters } of queries) {
      const c = cpuOf(pid)
      const w = performance.now()
      const reply = await fetch(urlOf(url, path, parameters))
      const body = await reply.text()
      if (reply.status !== 200) throw new Error(`${name}: ${body}`)
      parts.push(`${(performance.now() - w).toFixed(0).padStart(5)} ms ${(cpuOf(pid) - c).toFixed(2)} ${name}`)
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
