/** `tercet up`: runs the process. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { isSea } from 'node:sea'
import { getHeapStatistics } from 'node:v8'
import type { Config } from '#app/config.ts'
import { optionNames } from '#app/options.ts'
import type { Tercet } from '#app/tercet.ts'
import { compileCacheDirectory, isBuilt, version } from '#app/version.ts'
import type { World } from '#app/world.ts'
import { BucketError } from '#bucket/bucket.ts'
import { sleep } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import { collectGarbage, countBuffersAsHeap } from '#core/garbage.ts'
import { heapBytesMax } from '#core/limits.ts'
import { greatest } from '#core/lists.ts'
import { maskUrls } from '#core/secret.ts'
import { AskedSignals } from './asked-signals.ts'
import { configFlag, configPathOf, readQuietly, worldOf } from './configuration.ts'
import { failureOf } from './failure.ts'
import { makeVerb } from './verb.ts'

export const up = makeVerb({
  name: 'up',
  summary: 'Runs the process until SIGTERM or SIGINT, which drain and stop it. SIGHUP reads its files again.',
  flags: [configFlag],
  configuration: 'shown',
  examples: [
    'tercet up',
    'tercet up --data_dir=/var/lib/tercet --metrics.retention=90d',
    'tercet up --bucket.s3.endpoint=https://minio:9000 --bucket.s3.bucket=metrics --durability=bucket',
  ],
  async run(given) {
    const config = readQuietly(given)
    try {
      return await runProcess(config, configPathOf(given))
    } catch (error) {
      const { text, exitCode } = failureOf(error, value => placeOf(config, value))
      process.stderr.write(`tercet: ${maskUrls(text)}${flagHint(config, text)}\n`)
      return exitCode
    }
  },
})

/**
 * `flag --tls.cert_file`: where the key stands whose value is the path or the address, or a directory around the
 * path.
 */
function placeOf(config: Config, value: string): string | undefined {
  const names = optionNames.filter(name => config.text(name) !== '')
  const name = names.find(n => config.text(n) === value) ?? names.find(n => value.startsWith(`${config.text(n)}/`))
  if (name === undefined) return undefined
  const place = config.placeOf(name)
  return place.endsWith(name) ? place : `${name} (${place})`
}

/** ` (--listen.http=…)`: the flag to choose another address or directory by, where this one is taken. */
function flagHint(config: Config, text: string): string {
  if (text.includes('is in use by')) return ' (--data_dir=…)'
  const taken = /can't listen at (\S+): another process/.exec(text)?.[1]
  const name = taken === undefined ? undefined : optionNames.find(n => config.text(n).split(',').includes(taken))
  return name === undefined ? '' : ` (--${name}=…)`
}

interface Running {
  reload(): Promise<void>
  close(): Promise<void>
}

/** Ends when the process is stopped; the exit code. */
async function runProcess(config: Config, configPath: string | undefined): Promise<number> {
  const isAgent = config.text('role') === 'agent'
  const world = worldOf(config)
  const memoryBytes = config.memory('memory_limit', world.memoryBytes)
  const heapFlags = heapFlagsOf(memoryBytes)
  if (isAgent) await becomeSmall(heapFlags)
  else if (heapFlags.length > 0) replaceProcess(heapFlags, { MALLOC_ARENA_MAX: '2', ...returningBuffers })
  if (!isAgent && memoryBytes >= roomyBytes) countBuffersAsHeap()
  // Once: a process that is replaced reads its configuration again.
  for (const warning of config.warnings) world.log.warn('the configuration has something unknown', { warning })
  const dataDir = config.text('data_dir')
  const pidFile = `${dataDir}/tercet.pid`
  mkdirSync(dataDir, { recursive: true })
  // Before the process says that it is ready: whoever reads that finds its number.
  const onStarted = (): void => {
    writeFileSync(pidFile, `${process.pid}\n`)
  }
  const signals = new AskedSignals(process)
  let running: Running
  try {
    const source = configPath === undefined ? '' : `Configuration from ${configPath}\n`
    const start = (isAgent ? startAgent : startServer)(config, world, { onStarted, source })
    running = await unlessStopped(start, world, { signals, pidFile })
  } catch (error) {
    if (!isOfBucket(error)) throw error
    // Nobody may sit before the terminal when a store refuses: it is told like all else that happens to a process.
    world.log.error('could not start', { reason: messageOf(error) })
    process.exit(1)
  }
  const exitCode = await untilStopped(running, world, { signals, pidFile })
  process.exit(exitCode)
}

/** A server with this much memory has room for buffers that are collected later. */
const roomyBytes = 2 * 1024 * 1024 * 1024

/** The file may be another's by now. */
function removeOwn(pidFile: string): void {
  try {
    if (Number(readFileSync(pidFile, 'utf8')) === process.pid) rmSync(pidFile, { force: true })
  } catch {
    // There is none.
  }
}

/** Is it the store that did not do what the start needs? */
function isOfBucket(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error instanceof BucketError || isOfBucket(error.cause)
}

/** A start that goes on for so long after a signal to stop is given up, as if the process had been killed. */
const startGraceMs = 5000

interface StopOptions {
  readonly signals: AskedSignals
  readonly pidFile: string
}

async function unlessStopped(
  start: Promise<Running>,
  { clock, log }: World,
  { signals, pidFile }: StopOptions,
): Promise<Running> {
  let isDone = false
  const giveUp = async (): Promise<void> => {
    const signal = await signals.stop
    await sleep(clock, startGraceMs)
    if (isDone) return
    // What came in is in the log, and is read back by the next start.
    log.info('stopped', { signal })
    removeOwn(pidFile)
    process.exit(0)
  }
  void giveUp()
  try {
    return await start
  } finally {
    isDone = true
  }
}

/** The exit code. */
async function untilStopped(running: Running, { log }: World, { signals, pidFile }: StopOptions): Promise<number> {
  signals.onReload(() => {
    running.reload().catch((error: unknown) => {
      log.error('reload failed', { error: messageOf(error) })
    })
  })
  log.info('stopping', { signal: await signals.stop })
  try {
    // Not forever: data that is not in the bucket by then is in the local log.
    await running.close()
  } catch (error) {
    log.error('the stop was not clean', { error: messageOf(error) })
    return 1
  }
  removeOwn(pidFile)
  log.info('stopped')
  return 0
}

/**
 * An agent runs beside the programs that it watches: its process is replaced by one with the same pid and with
 * settings that a running one can't change, which keep it small: one malloc arena, a small young generation, one
 * compiler thread, and code that is compiled already, so that no compiler is loaded.
 */
async function becomeSmall(heapFlags: readonly string[]): Promise<void> {
  if (process.env['SMALL_TERCET'] !== undefined || !canBeReplaced()) return
  if (!isBuilt) await compileAgent()
  const isSet = process.execArgv.some(a => a.includes('semi-space'))
  replaceProcess([...(isSet ? [] : smallFlags), ...heapFlags], {
    MALLOC_ARENA_MAX: '1',
    ...returningBuffers,
    SMALL_TERCET: '1',
    ...(isBuilt ? {} : { NODE_COMPILE_CACHE: compileCacheDirectory }),
  })
}

/**
 * Buffers of some size go back to the system when they are free, whatever lies behind them. Without it a server under a
 * steady load keeps 200 MiB of them; it is for a process that is replaced anyway, and images set it (Dockerfile).
 */
const returningBuffers = { MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '131072' } as const

/** Helpers of the collector would only use up what the process may have of a processor. */
const smallFlags = ['--max-semi-space-size=2', '--v8-pool-size=1', '--single-threaded-gc']

/** Leaves the compiled code of an agent's modules for the process that follows. */
async function compileAgent(): Promise<void> {
  const { flushCompileCache } = await import('node:module')
  await import('#app/tercet.ts')
  await (await import('#app/roles.ts')).loadAgent()
  flushCompileCache()
}

function canBeReplaced(): boolean {
  return typeof process.execve === 'function' && process.platform !== 'win32'
}

/** V8 counts the young generation too: a heap that is larger by this is as it should be. */
const heapSlackBytes = 128 * 1024 * 1024

/**
 * The flag that keeps the heap within the memory that the process may use; none where it is small enough already (V8
 * looks at the container itself) or was set by somebody.
 */
function heapFlagsOf(memoryBytes: number): string[] {
  const wanted = heapBytesMax(memoryBytes)
  const isSet = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].some(a => /max.old.space/.test(a))
  if (isSet || getHeapStatistics().heap_size_limit <= wanted + heapSlackBytes) return []
  return [`--max-old-space-size=${Math.ceil(wanted / 1024 ** 2)}`]
}

/** The same program with more flags of Node's and variables of the environment, in the same process. */
function replaceProcess(flags: readonly string[], environment: Readonly<Record<string, string>>): void {
  if (!canBeReplaced()) return
  const env: NodeJS.ProcessEnv = { ...process.env, ...environment }
  if (isSea()) process.execve!(process.execPath, executableArguments(), { ...env, ...nodeOptions(flags) })
  else
    process.execve!(process.execPath, [process.execPath, ...process.execArgv, ...flags, ...process.argv.slice(1)], env)
}

/** A single executable takes no flags of Node's on its command line, and has no script there. */
function executableArguments(): string[] {
  return [process.execPath, ...process.argv.slice(2)]
}

/** It takes those that Node allows in the environment. */
function nodeOptions(flags: readonly string[]): { NODE_OPTIONS: string } {
  const allowed = flags.filter(flag => process.allowedNodeEnvironmentFlags.has(flag.split('=')[0] ?? ''))
  return { NODE_OPTIONS: [process.env['NODE_OPTIONS'] ?? '', ...allowed].join(' ').trim() }
}

interface Start {
  /** Is called before the process says that it is ready. */
  onStarted: () => void
  /** A line about the file of the configuration; empty where there is none. */
  source: string
}

async function startAgent(config: Config, world: World, { onStarted, source }: Start): Promise<Running> {
  const { startTercet } = await import('#app/tercet.ts')
  const agent = await startTercet(config, world)
  onStarted()
  // What the start itself took is given back before targets are asked.
  collectGarbage(true)
  const remotes = agent.remotes.map(remote => `  ${remote.name}`).join('\n')
  process.stdout.write(
    `Tercet ${version} is ready, as an agent.\n\n${addressLines(agent)}\n\n${source}It sends to:\n` +
      `${remotes || '  nobody: name agent.remote_write, agent.loki or agent.otlp'}\n`,
  )
  return agent
}

async function startServer(config: Config, world: World, { onStarted, source }: Start): Promise<Running> {
  const { startTercet } = await import('#app/tercet.ts')
  const tercet = await startTercet(config, world)
  onStarted()
  // What the start itself took is given back: a tenth of the memory of an idle process.
  collectGarbage(true)
  const { url, signals } = tercet
  const stats = signals.map(signal => signal.stats())
  const records = stats.reduce((sum, { replayedRecords }) => sum + replayedRecords, 0)
  const seconds = greatest(stats.map(({ replaySeconds }) => replaySeconds))
  process.stdout.write(`Tercet ${version} is ready (${records} log records replayed in ${seconds.toFixed(2)} s).

${addressLines(tercet)}

In a browser: ${url}
${placeOfData(config)}${source}
Try next:
${triesOf(config, tercet)}  Grafana data sources: Prometheus, Loki and Tempo, all at ${url}
`)
  return tercet
}

/** A process that only reads has nothing of its own to lose. */
function placeOfData(config: Config): string {
  if (config.text('role') === 'query') return ''
  return `Data in ${resolve(config.text('data_dir'))}; Ctrl-C stops the process, and the data stays.\n`
}

/**
 * A first query, and how something is sent. A process that serves queries alone takes nothing, and has no metrics of
 * its own: names are what any bucket has.
 */
function triesOf(config: Config, { url, addresses }: Pick<Tercet, 'url' | 'addresses'>): string {
  const curl = `  curl ${loginOf(config)}`
  if (config.text('role') === 'query') return `${curl}'${url}/api/v1/label/__name__/values'\n`
  const line = `{"streams":[{"stream":{"app":"try"},"values":[["'$(date +%s%N)'","hello"]]}]}`
  const otlp = addresses.find(({ name }) => name === 'otlp_http')
  const endpoint = otlp === undefined ? url : `${new URL(url).protocol}//${otlp.address}`
  return `${config.isOn('self_scrape') ? `${curl}'${url}/api/v1/query?query=up'\n` : ''}\
  OpenTelemetry SDKs: OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
  prometheus remote_write url: ${url}/api/v1/write
${curl}-H 'content-type: application/json' '${url}/loki/api/v1/push' -d '${line}'
`
}

/** What curl needs where credentials are asked for; passwords and tokens are not shown. */
function loginOf(config: Config): string {
  const user = config.text('auth.username')
  if (user !== '') return `-u ${user} `
  const tokenFile = config.text('auth.bearer_token_file')
  return tokenFile === '' ? '' : `-H "authorization: Bearer $(cat ${tokenFile})" `
}

function addressLines({
  url,
  addresses,
}: {
  url: string
  addresses: readonly { name: string; address: string }[]
}): string {
  const { protocol } = new URL(url)
  const shown = ({ name, address }: { name: string; address: string }): string => {
    if (name === 'otlp_grpc') return address
    return `${name === 'health' ? 'http:' : protocol}//${address}`
  }
  return addresses.map(one => `  ${one.name.padEnd(10)} ${shown(one)}`).join('\n')
}
