/**
 * A network of pods on this machine, as a cluster has it: a network namespace a pod with an address of its own, a
 * bridge between them, Services by name, and doors from the test's own loopback addresses to them. What is rendered
 * runs there without a change: ports, host names and paths are those of the files. Needs root and Linux' namespaces.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { listening } from '../listening.ts'
import { forward, type Order, type Place } from './gate.ts'

/** Why there can be no network of pods here; undefined: there can. */
export function missingForPods(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux'
  const tried = spawnSync('unshare', [
    '--net',
    '--mount',
    'sh',
    '-c',
    'ip link add br0 type bridge && ip link add veth0 type veth peer name eth0 && mount -t tmpfs pod /mnt',
  ])
  return tried.status === 0 ? undefined : 'namespaces of Linux, or ip'
}

const router = '10.88.0.1'

function run(program: string, args: readonly string[]): void {
  const done = spawnSync(program, args, { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.stderr}`)
}

export class PodNetwork {
  /** Addresses by name, of what pods reach by name. */
  readonly hosts = new Map<string, string>()
  readonly #gate: ChildProcess
  readonly #lines: Interface
  readonly #ended: Promise<never>
  #last: Promise<unknown> = Promise.resolve()
  readonly #directory = mkdtempSync(join(tmpdir(), 'tercet-pods-'))
  readonly #servers: Server[] = []
  readonly #connections = new Set<Socket>()
  #next = 10
  #sockets = 0

  private constructor(gate: ChildProcess) {
    this.#gate = gate
    this.#lines = createInterface({ input: gate.stdout! })
    this.#ended = new Promise((_, reject) => {
      gate.once('exit', code => {
        reject(new Error(`the network of pods ended with ${code}`))
      })
    })
    this.#ended.catch(() => undefined)
  }

  static async open(): Promise<PodNetwork> {
    const up =
      `ip link set lo up && ip link add br0 type bridge && ip addr add ${router}/16 dev br0 && ` +
      `ip link set br0 up && exec "$0" "$1" run`
    const gate = spawn('unshare', ['--net', 'sh', '-c', up, process.execPath, join(import.meta.dirname, 'gate.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const network = new PodNetwork(gate)
    // The first order is carried out when everything is up.
    await network.socketTo({ host: router, port: 1 })
    return network
  }

  /** The network namespace of a waiting process gets an address in this network. */
  join(pid: number): string {
    const n = this.#next++
    const ip = `10.88.1.${n}`
    const inRouter = ['--target', String(this.#gate.pid), '--net']
    const link = ['ip', 'link', 'add', `veth${n}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid)]
    run('nsenter', [...inRouter, ...link])
    run('nsenter', [...inRouter, 'ip', 'link', 'set', `veth${n}`, 'master', 'br0', 'up'])
    const up =
      `ip link set lo up && ip addr add ${ip}/16 dev eth0 && ip link set eth0 up && ` +
      `ip route add default via ${router}`
    run('nsenter', ['--target', String(pid), '--net', 'sh', '-c', up])
    return ip
  }

  /** A name with ports in front of another address, as a Service has them. */
  async addService(
    name: string,
    ports: readonly { port: number; to: Place }[],
    headers?: Readonly<Record<string, string>>,
  ): Promise<void> {
    const host = `10.88.2.${this.#next++}`
    run('nsenter', ['--target', String(this.#gate.pid), '--net', 'ip', 'addr', 'add', `${host}/16`, 'dev', 'br0'])
    this.hosts.set(name, host)
    for (const { port, to } of ports)
      await this.#order({ from: { host, port }, to, ...(headers === undefined ? {} : { headers }) })
  }

  /** A name inside for a port of this machine's loopback address. */
  async addOutside(name: string, port: number, outsidePort: number): Promise<void> {
    const path = this.#socketPath()
    const server = forward({ host: '127.0.0.1', port: outsidePort })
    await new Promise<void>(resolve => {
      server.listen(path, resolve)
    })
    this.#servers.push(server)
    const host = `10.88.2.${this.#next++}`
    run('nsenter', ['--target', String(this.#gate.pid), '--net', 'ip', 'addr', 'add', `${host}/16`, 'dev', 'br0'])
    this.hosts.set(name, host)
    await this.#order({ from: { host, port }, to: { path } })
  }

  /** Where the test reaches a name's port: `127.0.0.1:port`. */
  async door(name: string, port: number): Promise<string> {
    const host = this.hosts.get(name)
    if (host === undefined) throw new Error(`nothing in the network is called ${name}`)
    const server = forward({ path: await this.socketTo({ host, port }) })
    await listening(server)
    server.on('connection', socket => {
      this.#connections.add(socket)
      socket.once('close', () => this.#connections.delete(socket))
    })
    this.#servers.push(server)
    return `127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** A URL as pods have it, for the test. */
  async outsideUrl(url: string): Promise<string> {
    const { hostname, port, pathname, protocol } = new URL(url)
    return `${protocol}//${await this.door(hostname, Number(port || '80'))}${pathname === '/' ? '' : pathname}`
  }

  /** A socket file that leads to an address inside. */
  async socketTo(to: Place): Promise<string> {
    const path = this.#socketPath()
    await this.#order({ from: { path }, to })
    return path
  }

  /** Connections that the test holds open. */
  dropConnections(): void {
    for (const socket of this.#connections) socket.destroy()
  }

  #socketPath(): string {
    return join(this.#directory, `s${this.#sockets++}`)
  }

  /** One after the other: answers have no names. */
  #order(order: Order): Promise<void> {
    const done = this.#last.then(() => this.#carryOut(order))
    this.#last = done.catch(() => undefined)
    return done
  }

  async #carryOut(order: Order): Promise<void> {
    const answer = new Promise<string>(resolve => this.#lines.once('line', resolve))
    this.#gate.stdin!.write(`${JSON.stringify(order)}\n`)
    const text = await Promise.race([answer, this.#ended])
    if (text !== 'listens') throw new Error(`${JSON.stringify(order)}: ${text}`)
  }

  async close(): Promise<void> {
    for (const server of this.#servers) server.close()
    const ended = new Promise(resolve => this.#gate.once('exit', resolve))
    this.#gate.stdin!.end()
    await ended
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
