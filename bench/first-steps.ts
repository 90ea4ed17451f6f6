/**
 * From an empty directory, with Node alone, to the first answers: how long each step takes, and what it leaves on the
 * disk. The tarball is what `npm pack` makes here; npm's cache is empty, and no registry is asked.
 *
 *   node bench/first-steps.ts [--runs=3]
 */
import { spawn, spawnSync } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '3' } } })

/** Ports that the system chooses: others may run here, too. */
const addresses = ['http', 'otlp_http', 'otlp_grpc'].map(name => `--listen.${name}=127.0.0.1:0`)

interface Step {
  name: string
  seconds: number
}

function megabytes(directory: string): string {
  const files = globSync('**/*', { cwd: directory, withFileTypes: true }).filter(entry => entry.isFile())
  // npx may end before what it started: that still puts files in their places.
  const sizes = files.map(({ parentPath, name }) => statSync(join(parentPath, name), { throwIfNoEntry: false })?.size)
  const bytes = sizes.reduce<number>((sum, size = 0) => sum + size, 0)
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function pack(directory: string): string {
  const { status, stderr } = spawnSync('npm', ['pack', '--silent', '--pack-destination', directory], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return globSync(join(directory, '*.tgz'))[0] ?? ''
}

/** Asks until the answer is as expected; the seconds that it took. */
async function untilAnswered(url: string, isAnswer: (body: string) => boolean): Promise<number> {
  const startMs = performance.now()
  for (;;) {
    const reply = await fetch(url).catch(() => undefined)
    const body = (await reply?.text()) ?? ''
    if (reply?.ok === true && isAnswer(body)) return (performance.now() - startMs) / 1000
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

async function send(url: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${await reply.text()}`)
}

const span = (startMs: number): object => ({
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  name: 'GET /cart',
  kind: 2,
  startTimeUnixNano: `${startMs}000000`,
  endTimeUnixNano: `${startMs + 20}000000`,
})

async function firstAnswers(url: string, steps: Step[]): Promise<void> {
  const nowMs = Date.now()
  const promql = await untilAnswered(`${url}/api/v1/query?query=up`, body => body.includes('"job":"tercet"'))
  steps.push({ name: 'first PromQL answer (own metrics)', seconds: promql })
  const logsMs = performance.now()
  const values = [[`${nowMs}000000`, 'hello']]
  await send(`${url}/loki/api/v1/push`, { streams: [{ stream: { app: 'first' }, values }] })
  const query = encodeURIComponent('{app="first"}')
  await untilAnswered(`${url}/loki/api/v1/query_range?query=${query}`, body => body.includes('hello'))
  steps.push({ name: 'a line in, first LogQL answer', seconds: (performance.now() - logsMs) / 1000 })
  const tracesMs = performance.now()
  await send(`${url}/v1/traces`, { resourceSpans: [{ scopeSpans: [{ spans: [span(nowMs - 1000)] }] }] })
  await untilAnswered(`${url}/api/search?q=${encodeURIComponent('{ }')}`, body => body.includes('GET /cart'))
  steps.push({ name: 'a span in, first TraceQL answer', seconds: (performance.now() - tracesMs) / 1000 })
}

async function runOnce(tarball: string, work: string, isFirst: boolean): Promise<Step[]> {
  const directory = join(work, 'empty')
  mkdirSync(directory, { recursive: true })
  const steps: Step[] = []
  const startMs = performance.now()
  const relative = join('..', tarball.slice(dirname(tarball).length + 1))
  const child = spawn('npx', ['--yes', relative, 'up', ...addresses], {
    cwd: directory,
    env: { ...process.env, npm_config_cache: join(work, 'cache'), npm_config_offline: 'true' },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  const ended = new Promise(resolve => child.once('exit', resolve))
  let out = ''
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', code => {
      reject(new Error(`npx ended with ${code}`))
    })
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
      const found = out.includes('Try next') ? /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0] : undefined
      if (found !== undefined) resolve(found)
    })
  })
  const seconds = (performance.now() - startMs) / 1000
  steps.push({ name: `npx … up, ready (${isFirst ? 'npm has nothing yet' : 'npm has it'})`, seconds })
  await firstAnswers(url, steps)
  process.kill(-(child.pid ?? 0), 'SIGTERM')
  await ended
  return steps
}

const work = mkdtempSync(join(tmpdir(), 'tercet-first-steps-'))
try {
  const tarball = pack(work)
  console.log(`tarball: ${(statSync(tarball).size / 1e6).toFixed(1)} MB`)
  for (let run = 0; run < Number(values.runs); run++) {
    const steps = await runOnce(tarball, work, run === 0)
    for (const { name, seconds } of steps) console.log(`  ${seconds.toFixed(2).padStart(6)} s  ${name}`)
    if (run > 0) continue
    const [unpacked, data] = [join(work, 'cache/_npx'), join(work, 'empty')].map(megabytes)
    console.log(`  npm unpacked ${unpacked}; the data directory has ${data}`)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
