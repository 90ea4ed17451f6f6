/**
 * Rendered pods as processes, with what test/kubelet.ts leaves out: volumes of Secrets and projected ones as the
 * kubelet writes them (links to a directory that is exchanged), probes over HTTPS and at other ports.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { KubeObject } from '#deploy/tree.ts'
import { one } from './render.ts'
import type { Container, Volume, Workload } from './references.ts'

type Files = Readonly<Record<string, string>>

export interface World {
  objects: readonly KubeObject[]
  /** Volumes lie below it. */
  directory: string
  /** What is no object of the render: `Secret/name` and `ConfigMap/name`, with their keys. */
  external: Readonly<Record<string, Files>>
  /** More directories that paths in pods stand for. */
  outside: Readonly<Record<string, string>>
  env: Readonly<Record<string, string>>
  /** Addresses of Services, by name; filled by `Services`. */
  hosts: Record<string, string>
}

interface Probe {
  httpGet: { path: string; port: string; scheme?: string }
}

/** Exchanges the content in one step, as the kubelet does. */
export function writeVolume(directory: string, files: Files): void {
  mkdirSync(directory, { recursive: true })
  const version = `..${process.hrtime.bigint()}`
  mkdirSync(join(directory, version))
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, version, name), text)
    rmSync(join(directory, name), { force: true })
    symlinkSync(join('..data', name), join(directory, name))
  }
  symlinkSync(version, join(directory, '..new'))
  renameSync(join(directory, '..new'), join(directory, '..data'))
}

export class MountedPod {
  readonly #world: World
  readonly #container: Container
  readonly #mounts: readonly { path: string; directory: string }[]
  readonly labels: Readonly<Record<string, string>>
  readonly ip: string
  #child: ChildProcess | undefined
  output = ''

  constructor(world: World, kind: 'StatefulSet' | 'DaemonSet', ip: string) {
    const workload = one<Workload>(world.objects, kind)
    const { spec, metadata } = workload.spec.template
    this.#world = world
    this.#container = spec.containers[0]!
    this.labels = metadata.labels
    this.ip = ip
    // The first of two at the same path: a directory of the node's is one that is given.
    this.#mounts = Object.entries(world.outside)
      .map(([path, directory]) => ({ path, directory }))
      .concat(this.#container.volumeMounts.map(m => ({ path: m.mountPath, directory: this.directoryOf(m.name) })))
      .sort((x, y) => y.path.length - x.path.length)
    for (const { name } of this.#container.volumeMounts) mkdirSync(this.directoryOf(name), { recursive: true })
    for (const volume of spec.volumes) this.#fill(volume)
  }

  directoryOf(volume: string): string {
    return join(this.#world.directory, `${this.ip}-${volume}`)
  }

  #filesOf(kind: string, name: string): Files {
    const own = this.#world.objects.find(o => o.kind === kind && o.metadata.name === name)
    const files = (own?.['data'] as Files | undefined) ?? this.#world.external[`${kind}/${name}`]
    if (files === undefined) throw new Error(`there is no ${kind} ${name}`)
    return files
  }

  #fill({ name, configMap, secret, projected }: Volume): void {
    const sources = [
      ...(configMap === undefined ? [] : [{ files: this.#filesOf('ConfigMap', configMap.name), ...configMap }]),
      ...(secret === undefined ? [] : [{ files: this.#filesOf('Secret', secret.secretName), ...secret }]),
      ...(projected?.sources ?? []).map(source => ({
        files: this.#filesOf(
          source.secret === undefined ? 'ConfigMap' : 'Secret',
          (source.secret ?? source.configMap)!.name,
        ),
        ...(source.secret ?? source.configMap),
      })),
    ]
    if (sources.length > 0) writeVolume(this.directoryOf(name), Object.assign({}, ...sources.map(s => this.#chosen(s))))
  }

  #chosen({ files, items }: { files: Files; items?: { key: string; path: string }[] }): Files {
    const chosen = items?.map(({ key, path }) => {
      if (files[key] === undefined) throw new Error(`there is no key ${key}`)
      return [path, files[key]] as const
    })
    return Object.fromEntries((chosen ?? Object.entries(files)).map(([name, text]) => [name, this.inPod(text)]))
  }

  /** Paths and addresses as they are outside of the pod. */
  inPod(text: string): string {
    const paths = this.#mounts.map(m => m.path).join('|')
    return text
      .replaceAll('0.0.0.0:', `${this.ip}:`)
      .replaceAll(
        new RegExp(`(?<![a-zA-Z0-9_-])(${paths})(?![a-zA-Z0-9_-])`, 'g'),
        path => this.#mounts.find(m => m.path === path)!.directory,
      )
  }

  #environment(): Record<string, string> {
    return Object.fromEntries(
      (this.#container.env ?? []).map(({ name, value = '', valueFrom }) => {
        const key = valueFrom?.['secretKeyRef']
        if (key !== undefined) return [name, this.#filesOf('Secret', key.name!)[key.key!]!]
        return [name, valueFrom?.['fieldRef'] === undefined ? this.inPod(value) : 'n1']
      }),
    )
  }

  start(): void {
    const args = ['src/app/main.ts', ...(this.#container.args ?? []).map(a => this.inPod(a))]
    this.#child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        ...this.#world.env,
        ...this.#environment(),
        HOSTS: JSON.stringify(this.#world.hosts),
        NODE_OPTIONS: `--import=${join(process.cwd(), 'test/hosts-preload.ts')}`,
      },
    })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString()
      })
  }

  portOf(name: string): number {
    return this.#container.ports.find(p => p.name === name)!.containerPort
  }

  /** Its probe, as the kubelet asks: over HTTPS without a look at the certificate, and without one of its own. */
  isFine(probe: 'startupProbe' | 'readinessProbe' | 'livenessProbe'): Promise<boolean> {
    const { path, port, scheme } = (this.#container[probe] as Probe).httpGet
    const options = { host: this.ip, port: this.portOf(port), path, timeout: 2000, rejectUnauthorized: false }
    return new Promise(resolve => {
      const asked = (scheme === 'HTTPS' ? requestTls : requestPlain)(options, reply => {
        reply.resume()
        resolve((reply.statusCode ?? 500) < 400)
      })
      asked.on('error', () => {
        resolve(false)
      })
      asked.end()
    })
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => {
      child.once('exit', resolve)
    })
    child.kill('SIGTERM')
    await ended
  }
}

interface ServiceObject extends KubeObject {
  spec: {
    clusterIP?: string
    selector: Record<string, string>
    ports: { port: number; targetPort: string }[]
  }
}

/** Every Service of the render at an address of its own, in front of the pods that it chooses. */
export class Services {
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()

  async start(world: World, pods: readonly MountedPod[], addressOf: (index: number) => string): Promise<void> {
    const services = world.objects.filter(o => o.kind === 'Service') as ServiceObject[]
    for (const [i, { metadata, spec }] of services.filter(s => s.spec.clusterIP !== 'None').entries()) {
      const ip = addressOf(i)
      world.hosts[metadata.name] = ip
      const pod = pods.find(p => Object.entries(spec.selector).every(([name, value]) => p.labels[name] === value))!
      for (const { port, targetPort } of spec.ports) await this.#forward(ip, port, pod.ip, pod.portOf(targetPort))
    }
  }

  async #forward(ip: string, port: number, podIp: string, podPort: number): Promise<void> {
    const server = createServer(socket => {
      const behind = connect(podPort, podIp)
      for (const [from, to] of [
        [socket, behind],
        [behind, socket],
      ] as const) {
        this.#sockets.add(from)
        from.on('error', () => to.destroy()).on('close', () => to.destroy())
        from.pipe(to)
      }
    })
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, ip, resolve)
    })
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    for (const server of this.#servers)
      await new Promise(resolve => {
        server.close(resolve)
      })
  }
}
