/** Starts Tercet and the real peers on free ports, each in a directory of its own, and reads what they cost. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../test/free-port.ts'

export type PeerName = 'tercet' | 'victoria-metrics' | 'prometheus'

export interface Cost {
  cpuSeconds: number
  peakBytes: number
  rssBytes: number
}

const clockTicks = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100

export function isInstalled(name: PeerName): boolean {
  return name === 'tercet' || spawnSync('which', [name]).status === 0
}

/** One running server under test. */
export class Peer {
  readonly name: PeerName
  readonly directory: string
  readonly url: string
  #child: ChildProcess

  private constructor(name: PeerName, directory: string, url: string, child: ChildProcess) {
    this.name = name
    this.directory = directory
    this.url = url
    this.#child = child
  }

  static async start(
    name: PeerName,
    directory = mkdtempSync(join(tmpdir(), `bench-${name}-`)),
    nodeFlags: readonly string[] = [],
  ): Promise<Peer> {
    const port = await freePort()
    const child = Peer.#spawn(name, directory, port, nodeFlags)
    const peer = new Peer(name, directory, `http://127.0.0.1:${port}`, child)
    await peer.#untilReady()
    return peer
  }

  static #spawn(name: PeerName, directory: string, port: number, nodeFlags: readonly string[]): ChildProcess {
    const address = `127.0.0.1:${port}`
    const stdio: ['ignore', 'ignore', 'inherit'] = ['ignore', 'ignore', 'inherit']
    switch (name) {
      case 'tercet':
        return spawn(
          process.execPath,
          [
            ...nodeFlags,
            'src/app/main.ts',
            'up',
            `--data_dir=${directory}`,
            `--listen.http=${address}`,
            '--listen.otlp_http=off',
            '--listen.otlp_grpc=off',
            '--self_scrape=false',
            '--metrics.retention=inf',
            '--metrics.out_of_order_window=inf',
            '--log.level=warn',
          ],
          { stdio },
        )
      case 'victoria-metrics':
        return spawn(
          name,
          [
            `-storageDataPath=${directory}`,
            `-httpListenAddr=${address}`,
            '-retentionPeriod=100y',
            '-loggerLevel=ERROR',
            '-search.maxUniqueTimeseries=3000000',
            '-search.latencyOffset=0s',
          ],
          { stdio: ['ignore', 'ignore', 'ignore'] },
        )
      case 'prometheus':
        writeFileSync(
          join(directory, 'empty.yml'),
          'global: {}\nstorage: { tsdb: { out_of_order_time_window: 10d } }\n',
        )
        return spawn(
          name,
          [
            `--config.file=${join(directory, 'empty.yml')}`,
            `--storage.tsdb.path=${join(directory, 'data')}`,
            `--web.listen-address=${address}`,
            '--web.enable-remote-write-receiver',
            '--storage.tsdb.retention.time=10y',
            '--log.level=error',
          ],
          { stdio: ['ignore', 'ignore', 'ignore'] },
        )
    }
  }

  async #untilReady(): Promise<void> {
    const path = this.name === 'victoria-metrics' ? '/health' : '/-/ready'
    for (let attempt = 0; attempt < 600; attempt++) {
      try {
        if ((await fetch(this.url + path)).ok) return
      } catch {
        /* not yet */
      }
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    throw new Error(`${this.name} did not get ready`)
  }

  get writeUrl(): string {
    return `${this.url}/api/v1/write`
  }

  /** CPU (user and system) since the start, and memory. */
  cost(): Cost {
    const pid = this.#child.pid!
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / clockTicks,
      peakBytes: kib('VmHWM'),
      rssBytes: kib('VmRSS'),
    }
  }

  async stop(keep = false): Promise<void> {
    const ended = new Promise(resolve => this.#child.once('exit', resolve))
    this.#child.kill('SIGTERM')
    await ended
    if (!keep) rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Bytes of all files below a directory. */
export function directoryBytes(directory: string): number {
  let total = 0
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    total += entry.isDirectory() ? directoryBytes(path) : statSync(path).size
  }
  return total
}
