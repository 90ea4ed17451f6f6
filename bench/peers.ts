/** Starts Tercet and the real peers on free ports, each in a directory of its own, and reads what they cost. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../test/free-port.ts'
import { programPath } from '../test/peers.ts'
import { lokiConfig, type PeerPorts, prometheusConfig, tempoConfig } from './peer-configs.ts'
import { type Cost, costOf } from './process-cost.ts'
import { nodeFlags, programUnderTest } from './program.ts'

export type PeerName = 'tercet' | 'victoria-metrics' | 'prometheus' | 'victoria-logs' | 'loki' | 'tempo'

const readyWithinMs = 180_000
const stopWithinMs = 45_000

export function isInstalled(name: PeerName): boolean {
  return name === 'tercet' || programPath(name) !== undefined
}

interface Program {
  readyPath: string
  args: (directory: string, ports: PeerPorts) => readonly string[]
  /** Arguments that print its version. */
  version: readonly string[]
}

const addressOf = (ports: PeerPorts): string => `127.0.0.1:${ports.http}`

/** Flags of a Tercet that takes data of any age, and does nothing by itself. */
const quietFlags = ['--self_scrape=false', '--self_trace=false', '--log.level=warn']

const tercetArgs = (directory: string, ports: PeerPorts, flags: readonly string[]): readonly string[] => [
  programUnderTest(),
  'up',
  `--data_dir=${directory}`,
  `--listen.http=${addressOf(ports)}`,
  '--listen.otlp_http=off',
  '--listen.otlp_grpc=off',
  '--metrics.retention=inf',
  '--metrics.out_of_order_window=inf',
  '--logs.retention=inf',
  '--logs.out_of_order_window=inf',
  '--disk_free_min=0',
  ...flags,
]

/** Writes a configuration beside the data, and gives its path. */
function written(directory: string, name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

const programs: Readonly<Record<PeerName, Program>> = {
  tercet: {
    readyPath: '/-/ready',
    args: (directory, ports) => tercetArgs(directory, ports, quietFlags),
    get version() {
      return [programUnderTest(), 'version']
    },
  },
  'victoria-metrics': {
    readyPath: '/health',
    args: (directory, ports) => [
      `-storageDataPath=${directory}`,
      `-httpListenAddr=${addressOf(ports)}`,
      '-retentionPeriod=100y',
      '-loggerLevel=ERROR',
      '-search.maxUniqueTimeseries=3000000',
      '-search.latencyOffset=0s',
      '-search.resetRollupResultCacheOnStartup',
    ],
    version: ['-version'],
  },
  prometheus: {
    readyPath: '/-/ready',
    args: (directory, ports) => [
      `--config.file=${written(directory, 'empty.yml', prometheusConfig)}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=${addressOf(ports)}`,
      '--web.enable-remote-write-receiver',
      '--storage.tsdb.retention.time=10y',
      '--log.level=error',
    ],
    version: ['--version'],
  },
  'victoria-logs': {
    readyPath: '/health',
    args: (directory, ports) => [
      `-storageDataPath=${directory}`,
      `-httpListenAddr=${addressOf(ports)}`,
      '-retentionPeriod=100y',
      '-loggerLevel=ERROR',
    ],
    version: ['-version'],
  },
  loki: {
    readyPath: '/ready',
    args: (directory, ports) => [`-config.file=${written(directory, 'loki.yaml', lokiConfig(directory, ports))}`],
    version: ['-version'],
  },
  tempo: {
    readyPath: '/ready',
    args: (directory, ports) => [`-config.file=${written(directory, 'tempo.yaml', tempoConfig(directory, ports))}`],
    version: ['-version'],
  },
}

/** What a run sets for each peer, for whoever reads its figures. */
export function settingsOf(name: PeerName): string {
  const ports: PeerPorts = { http: 0, grpc: 0, otlp: 0, gossip: 0 }
  const directory = mkdtempSync(join(tmpdir(), 'bench-settings-'))
  const args = programs[name].args(directory, ports).map(arg => arg.replaceAll(directory, 'DIR'))
  rmSync(directory, { recursive: true, force: true })
  const file = { loki: lokiConfig, tempo: tempoConfig } as Partial<Record<PeerName, typeof lokiConfig>>
  const text = name === 'prometheus' ? prometheusConfig : file[name]?.('DIR', ports)
  return `${name} ${args.join(' ')}${text === undefined ? '' : `\n${text.trim()}`}`
}

/** The first line of what it says of its version. */
export function versionOf(name: PeerName): string {
  const command = name === 'tercet' ? process.execPath : name
  const { stdout, stderr } = spawnSync(command, programs[name].version, { encoding: 'utf8' })
  const [first = ''] = `${stdout}\n${stderr}`.trim().split('\n')
  return first === '' ? `${name} does not say its version` : first.trim()
}

export interface StartOptions {
  directory?: string
  /** In place of those of a Tercet that does nothing by itself. */
  tercetFlags?: readonly string[]
}

const running = new Set<ChildProcess>()

/** Whatever ends this process ends the child too. */
function remember(child: ChildProcess): void {
  running.add(child)
  const kill = (): boolean => child.kill('SIGKILL')
  const end = (): never => process.exit(1)
  process.on('exit', kill).on('SIGINT', end).on('SIGTERM', end)
  child.once('exit', () => {
    running.delete(child)
    process.off('exit', kill).off('SIGINT', end).off('SIGTERM', end)
  })
}

/** After a failure: nobody is left. */
export async function endAll(): Promise<void> {
  const ends = [...running].map(child => new Promise(resolve => child.once('exit', resolve)))
  for (const child of running) child.kill('SIGKILL')
  await Promise.all(ends)
}

/** One running server under test. */
export class Peer {
  readonly name: PeerName
  readonly directory: string
  readonly url: string
  /** From its start until it said that it is ready. */
  readonly readyMs: number
  readonly #otlpUrl: string
  readonly #child: ChildProcess

  private constructor(name: PeerName, directory: string, ports: PeerPorts, child: ChildProcess, readyMs: number) {
    this.name = name
    this.directory = directory
    this.url = `http://${addressOf(ports)}`
    this.#otlpUrl = name === 'tempo' ? `http://127.0.0.1:${ports.otlp}` : this.url
    this.#child = child
    this.readyMs = readyMs
  }

  static async start(name: PeerName, options: StartOptions = {}): Promise<Peer> {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), `bench-${name}-`))
    mkdirSync(directory, { recursive: true })
    const ports = { http: await freePort(), grpc: await freePort(), otlp: await freePort(), gossip: await freePort() }
    const startedMs = performance.now()
    const child = Peer.#spawn(name, directory, ports, options)
    remember(child)
    await untilReady(name, child, `http://${addressOf(ports)}${programs[name].readyPath}`)
    return new Peer(name, directory, ports, child, performance.now() - startedMs)
  }

  static #spawn(name: PeerName, directory: string, ports: PeerPorts, options: StartOptions): ChildProcess {
    if (name !== 'tercet')
      return spawn(name, programs[name].args(directory, ports), { stdio: 'ignore', cwd: directory })
    const args = tercetArgs(directory, ports, options.tercetFlags ?? quietFlags)
    return spawn(process.execPath, [...nodeFlags(), ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  }

  get writeUrl(): string {
    return `${this.url}/api/v1/write`
  }

  /** Where it takes lines as Loki does; VictoriaLogs is told to keep a line as a line. */
  get linesUrl(): string {
    return this.name === 'victoria-logs'
      ? `${this.url}/insert/loki/api/v1/push?disable_message_parsing=1`
      : `${this.url}/loki/api/v1/push`
  }

  get spansUrl(): string {
    return `${this.#otlpUrl}/v1/traces`
  }

  cost(): Cost {
    return costOf(this.#child.pid!)
  }

  async stop(keep = false): Promise<void> {
    const ended = new Promise<void>(resolve => this.#child.once('exit', () => resolve()))
    const late = setTimeout(() => this.#child.kill('SIGKILL'), stopWithinMs)
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM')
      await ended
    }
    clearTimeout(late)
    if (!keep) rmSync(this.directory, { recursive: true, force: true })
  }
}

async function untilReady(name: PeerName, child: ChildProcess, url: string): Promise<void> {
  const until = performance.now() + readyWithinMs
  while (performance.now() < until) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode} before it was ready`)
    try {
      if ((await fetch(url)).ok) return
    } catch {
      // Nothing listens there yet.
    }
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  child.kill('SIGKILL')
  throw new Error(`${name} did not get ready`)
}

/** Bytes of all files below a directory. */
export function directoryBytes(directory: string): number {
  let total = 0
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) total += statSync(join(entry.parentPath, entry.name)).size
  return total
}
