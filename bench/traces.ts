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
import { below, seededRandom } from '#core/random.ts'
import type { Attribute, ResourceSpans, Span } from '#model/trace.ts'
import { encodeOtlpTraces } from '#wire/otlp/traces.ts'

const option = (name: string, fallback: number): number =>
  Number(process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback)
const wanted = option('spans', 200_000)
const random = seededRandom(3)
const pick = <T>(list: readonly T[]): T => list[below(random, list.length)]!
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => 1 + below(random, 255))
const services = ['frontend', 'cart', 'checkout', 'payments', 'inventory', 'users-db'] as const
const text = (key: string, value: string): Attribute => ({ key, value: { kind: 'string', value } })
const int = (key: string, value: number): Attribute => ({ key, value: { kind: 'int', value: BigInt(value) } })
const none = new Uint8Array(0)

function makeTrace(startNs: bigint): ResourceSpans[] {
  const traceId = bytes(16)
  const byService = new Map<string, Span[]>()
  const ids: Uint8Array[] = []
  for (let i = 0; i < 5 + below(random, 12); i++) {
    const service = i === 0 ? 'frontend' : pick(services)
    const at = startNs + BigInt(below(random, 200_000_000))
    const status = pick([200, 200, 200, 200, 404, 500])
    const id = bytes(8)
    const span: Span = {
      traceId,
      spanId: id,
      parentSpanId: i === 0 ? none : pick(ids),
      traceState: '',
      flags: 1,
      name: pick(['GET /api/v1/users', 'POST /api/v1/orders', 'SELECT', 'charge', 'publish']),
      kind: 1 + below(random, 5),
      startNs: at,
      endNs: at + BigInt(below(random, 400_000_000)),
      attributes: [
        text('http.method', pick(['GET', 'POST'])),
        int('http.status_code', status),
        text('http.route', pick(['/api/v1/users', '/api/v1/orders'])),
        text('http.url', `http://${service}.local/x?id=${below(random, 1000)}`),
        text('user.id', `u${below(random, 5000)}`),
        int('retry', below(random, 3)),
        text('db.system', pick(['postgresql', 'redis'])),
      ],
      droppedAttributes: 0,
      events:
        below(random, 10) === 0
          ? [{ timeNs: at, name: 'exception', attributes: [text('exception.type', 'TimeoutError')], dropped: 0 }]
          : [],
      droppedEvents: 0,
      links: [],
      droppedLinks: 0,
      statusCode: status === 500 ? 2 : 0,
      statusMessage: '',
    }
    ids.push(id)
    const list = byService.get(service)
    if (list === undefined) byService.set(service, [span])
    else list.push(span)
  }
  return [...byService].map(([service, spans]) => ({
    resource: {
      attributes: [
        text('service.name', service),
        text('k8s.cluster.name', 'c1'),
        text('k8s.pod.name', `${service}-${below(random, 3)}`),
        text('deployment.environment', 'prod'),
      ],
      dropped: 0,
    },
    schemaUrl: '',
    scopes: [{ scope: { name: `otel-${service}`, version: '1.0', attributes: [], dropped: 0 }, schemaUrl: '', spans }],
  }))
}

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
  let spans = 0
  let size = 0
  let oneId = ''
  const bodies: Uint8Array[] = []
  while (spans < wanted) {
    const resources: ResourceSpans[] = []
    for (let own = 0; own < 500;) {
      const trace = makeTrace(BigInt(Math.floor(startMs + (spans / wanted) * 2_900_000)) * 1_000_000n)
      resources.push(...trace)
      const count = trace.reduce((sum, r) => sum + r.scopes[0]!.spans.length, 0)
      own += count
      spans += count
      if (spans > wanted / 2 && oneId === '')
        oneId = Buffer.from(trace[0]!.scopes[0]!.spans[0]!.traceId).toString('hex')
    }
    bodies.push(encodeOtlpTraces({ resources }))
    size += bodies.at(-1)!.length
  }
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
  const range = { start: String(Math.floor(startMs / 1000)), end: String(Math.ceil(endMs / 1000)) }
  const searches = [
    '{ }',
    '{ status = error }',
    '{ resource.service.name = "checkout" && span.http.status_code >= 500 }',
    '{ kind = server && duration > 350ms }',
    '{ span.http.method =~ "P.*" }',
    '{ span.user.id = "u77" }',
    '{ span.user.id = "nobody" }',
    '{ .db.system = "redis" && span.retry > 1 }',
    '{ event:name = "exception" && status = error }',
    '{ name = "charge" } >> { name = "SELECT" }',
    '{ resource.service.name = "frontend" } > { status = error }',
    '{ } | count() > 15',
    '{ status = error } | avg(duration) > 350ms',
    '{ resource.service.name = "cart" } | by(span.http.route)',
    '{ nestedSetParent < 0 && duration > 390ms }',
  ]
  const metrics = [
    '{ } | rate() by (resource.service.name)',
    '{ status = error } | count_over_time()',
    '{ } | quantile_over_time(duration, .5, .99) by (resource.service.name)',
    '{ } | histogram_over_time(duration)',
    '{ span.http.status_code >= 500 } | rate() by (span.http.route)',
  ]
  const paths: [string, string][] = [
    ...searches.map((q): [string, string] => [
      q,
      `/api/search?${new URLSearchParams({ q, ...range, limit: '20' }).toString()}`,
    ]),
    ...metrics.map((q): [string, string] => [
      q,
      `/api/metrics/query_range?${new URLSearchParams({ q, ...range, step: '60s' }).toString()}`,
    ]),
    ['by id', `/api/traces/${oneId}`],
  ]
  for (const round of process.argv.includes('--ingest') ? [] : ['cold', 'warm']) {
    const from = cpuOf(pid)
    const at = performance.now()
    const parts: string[] = []
    for (const [name, path] of paths) {
      const c = cpuOf(pid)
      const w = performance.now()
      const reply = await fetch(`${url}${path}`)
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
