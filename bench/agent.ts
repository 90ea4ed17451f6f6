/**
 * Memory and CPU of an agent: targets with as many series each, scraped at an interval, forwarded by remote write to
 * a server that takes everything.
 *
 *   node bench/agent.ts [--targets=200] [--series=500] [--interval=15] [--minutes=10]     flags of node go on to the
 * agent
 */
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const targets = option('targets', 200)
const series = option('series', 500)
const interval = option('interval', 15)
const minutes = option('minutes', 10)
let scrapes = 0
let written = 0
const server = createServer((request, reply) => {
  if (request.method === 'POST') {
    request
      .on('data', (part: Buffer) => {
        written += part.length
      })
      .on('end', () => {
        reply.writeHead(204).end()
      })
    return
  }
  scrapes++
  let body = '# HELP bench_requests_total Requests.\n# TYPE bench_requests_total counter\n'
  for (let i = 0; i < series; i++)
    body +=
      `bench_requests_total{path="/api/v1/resource/${i % 50}",method="GET",code="${200 + (i % 5)}",` +
      `handler="handler_${i}"} ` +
      `${scrapes * 7 + i}\n`
  reply.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(body)
})
await new Promise<void>(resolve => {
  server.listen(0, '127.0.0.1', () => {
    resolve()
  })
})
const { port } = server.address() as { port: number }
const directory = mkdtempSync(join(tmpdir(), 'tercet-bench-agent-'))
writeFileSync(
  `${directory}/prometheus.yml`,
  `global: { scrape_interval: ${interval}s, external_labels: { cluster: bench } }\n` +
    `remote_write: [{ url: 'http://127.0.0.1:${port}/write' }]\n` +
    'scrape_configs:\n' +
    Array.from({ length: targets }, (_, i) => jobOf(i)).join(''),
)

function jobOf(i: number): string {
  return (
    `  - { job_name: job-${i}, metrics_path: /m/${i}, ` + `static_configs: [{ targets: ['127.0.0.1:${port}'] }] }\n`
  )
}

const child = spawn(
  process.execPath,
  [
    ...process.execArgv,
    'src/app/main.ts',
    'up',
    '--role=agent',
    '--listen.http=127.0.0.1:0',
    '--listen.otlp_http=off',
    `--scrape_config_file=${directory}/prometheus.yml`,
    `--data_dir=${directory}/data`,
  ],
  { stdio: ['ignore', 'inherit', 'inherit'] },
)
const status = (name: string): number =>
  Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${child.pid!}/status`, 'utf8'))?.[1] ?? 0) / 1024
const cpu = (): number => {
  const parts = readFileSync(`/proc/${child.pid!}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(parts[11]) + Number(parts[12])) / 100
}
try {
  for (let minute = 0; minute <= minutes; minute++) {
    if (minute > 0) await new Promise(resolve => setTimeout(resolve, 60_000))
    else await new Promise(resolve => setTimeout(resolve, 3000))
    console.log(
      `${String(minute).padStart(3)} min: RSS ${status('VmRSS').toFixed(0)} MiB, ` +
        `peak ${status('VmHWM').toFixed(0)} MiB, CPU ${cpu().toFixed(1)} s, ${scrapes} scrapes, ` +
        `${(written / 1e6).toFixed(1)} MB sent`,
    )
  }
} finally {
  child.kill('SIGTERM')
  await new Promise(resolve => child.once('exit', resolve))
  server.close()
  server.closeAllConnections()
  rmSync(directory, { recursive: true, force: true })
}
