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
import { urlOf } from '../test/url.ts'
import { lineLoad } from './log-lines.ts'
import { logqlRequest, logQueries } from './log-queries.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const megabytes = option('mb', 243)
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
  const { bodies, bytes, lines } = lineLoad(megabytes * 1e6, startMs)
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
  for (const round of process.argv.includes('--ingest') ? [] : ['cold', 'warm']) {
    const from = cpuOf(pid)
    const at = performance.now()
    const parts: string[] = []
    for (const query of logQueries) {
      const c = cpuOf(pid)
      const w = performance.now()
      const { path, parameters } = logqlRequest(query, startMs / 1000, endMs / 1000)
      const reply = await fetch(urlOf(url, path, parameters))
      const text = await reply.text()
      if (reply.status !== 200) throw new Error(`${query.logql}: ${text}`)
      parts.push(`${query.name} ${(performance.now() - w).toFixed(0)} ms/${(cpuOf(pid) - c).toFixed(2)}`)
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
