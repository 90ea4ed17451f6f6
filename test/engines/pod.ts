/**
 * One container of a pod, or of compose, as a process of this machine: its own root that can't be written, volumes
 * where they are mounted and nowhere else, the user that it has there, no rights, an address of its own.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { until } from '../until.ts'
import type { PodNetwork } from './pod-network.ts'

/** What is mounted at a path: files by name, one file, or a directory that can be written. */
export type Mount = { path: string } & (
  | { kind: 'files'; files: Readonly<Record<string, string>> }
  | { kind: 'file'; text: string }
  | { kind: 'directory'; directory: string }
)

export interface PodSpec {
  name: string
  /** Path of the program on this machine. */
  program: string
  /** `$(POD_IP)` is the pod's address. */
  args: readonly string[]
  env: Readonly<Record<string, string>>
  user: number
  mounts: readonly Mount[]
  ready: { port: number; path: string }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

/** A directory as a volume is: for the user, and of nobody else. */
export function makeVolume(directory: string, user: number): string {
  mkdirSync(directory, { recursive: true })
  chownSync(directory, user, user)
  chmodSync(directory, 0o770)
  return directory
}

export class Pod {
  readonly spec: PodSpec
  readonly ip: string
  readonly #child: ChildProcess
  readonly #network: PodNetwork
  readonly #hostsPath: string
  output = ''

  private constructor(spec: PodSpec, ip: string, child: ChildProcess, network: PodNetwork, hostsPath: string) {
    this.spec = spec
    this.ip = ip
    this.#child = child
    this.#network = network
    this.#hostsPath = hostsPath
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString()
      })
  }

  get pid(): number {
    return this.#child.pid!
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** It has an address and waits: `start` lets it go, when what it names is there. */
  static async prepare(spec: PodSpec, network: PodNetwork, directory: string): Promise<Pod> {
    mkdirSync(join(directory, 'root'), { recursive: true })
    const child = spawn('unshare', ['--net', '--mount', 'bash', '-c', 'echo waits; read -r file; . "$file"'], {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    await new Promise(resolve => child.stdout.once('data', resolve))
    const ip = network.join(child.pid!)
    network.hosts.set(spec.name, ip)
    const pod = new Pod(spec, ip, child, network, join(directory, 'hosts'))
    writeFileSync(join(directory, 'start'), pod.#script(directory))
    return pod
  }

  start(): void {
    this.writeHosts()
    this.#child.stdin!.write(`${join(dirname(this.#hostsPath), 'start')}\n`)
  }

  /** Names that came later. */
  writeHosts(): void {
    const lines = [...this.#network.hosts].map(([name, ip]) => `${ip} ${name}\n`)
    writeFileSync(this.#hostsPath, `127.0.0.1 localhost\n${lines.join('')}`)
  }

  #script(directory: string): string {
    const { args, env, mounts, program, user } = this.spec
    const inside = (text: string): string => text.replaceAll('$(POD_IP)', this.ip)
    const root = join(directory, 'root')
    writeFileSync(this.#hostsPath, '')
    const bind = (source: string, path: string, isDirectory: boolean, isWritable = false): string[] => [
      `mkdir -p ${quoted(root + (isDirectory ? path : dirname(path)))}`,
      ...(isDirectory ? [] : [`touch ${quoted(root + path)}`]),
      `mount --bind ${quoted(source)} ${quoted(root + path)}`,
      ...(isWritable ? [] : [`mount -o remount,bind,ro ${quoted(root + path)}`]),
    ]
    const engine = `/engine/${basename(program)}`
    const variables = Object.entries(env).map(([name, value]) => quoted(`${name}=${inside(value)}`))
    return [
      'set -eu',
      `mount -t tmpfs -o mode=755,size=16m pod ${quoted(root)}`,
      ...bind('/usr', '/usr', true),
      `for name in bin lib lib64 sbin; do ln -s usr/$name ${quoted(root)}/$name; done`,
      ...['null', 'zero', 'random', 'urandom'].flatMap(name => bind(`/dev/${name}`, `/dev/${name}`, false, true)),
      ...bind('/proc', '/proc', true, true),
      ...bind(this.#hostsPath, '/etc/hosts', false),
      ...bind(program, engine, false),
      ...mounts.flatMap((mount, i) => this.#bindMount(mount, join(directory, `mount-${i}`), bind)),
      `mount -o remount,ro ${quoted(root)}`,
      'cd /',
      `exec chroot ${quoted(root)} /usr/bin/env -i PATH=/usr/bin ${variables.join(' ')} setpriv --reuid=${user} ` +
        `--regid=${user} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- ` +
        `${engine} ${args.map(inside).map(quoted).join(' ')}`,
      '',
    ].join('\n')
  }

  #bindMount(
    mount: Mount,
    place: string,
    bind: (source: string, path: string, isDirectory: boolean, isWritable?: boolean) => string[],
  ): string[] {
    if (mount.kind === 'directory') return bind(mount.directory, mount.path, true, true)
    if (mount.kind === 'file') {
      writeFileSync(place, mount.text)
      return bind(place, mount.path, false)
    }
    for (const [name, text] of Object.entries(mount.files)) {
      mkdirSync(dirname(join(place, name)), { recursive: true })
      writeFileSync(join(place, name), text)
    }
    mkdirSync(place, { recursive: true })
    return bind(place, mount.path, true)
  }

  /** Until it says that it is ready; throws with what it said where it ended. */
  async ready(seconds = 90): Promise<void> {
    const { name, ready } = this.spec
    const door = await this.#network.door(name, ready.port)
    const look = async (): Promise<true | undefined> => {
      if (!this.isRunning) return true
      const reply = await fetch(`http://${door}${ready.path}`)
      await reply.arrayBuffer()
      return reply.ok ? true : undefined
    }
    await until(look, `${name} is ready`, seconds).catch((error: unknown) => {
      throw new Error(this.output.slice(-3000), { cause: error })
    })
    if (!this.isRunning) throw new Error(`${name} ended: ${this.output.slice(-3000)}`)
  }

  /** As the deletion of a pod: killed when its time is over. Its exit code, or the signal that ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 12_000): Promise<number | string> {
    const ended = new Promise<number | string>(resolve => {
      if (!this.isRunning) resolve(this.#child.exitCode ?? this.#child.signalCode ?? '')
      this.#child.once('exit', (code, by) => {
        resolve(code ?? by ?? '')
      })
    })
    if (this.isRunning) this.#child.kill(signal)
    const killing = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    return ended.finally(() => {
      clearTimeout(killing)
    })
  }
}
