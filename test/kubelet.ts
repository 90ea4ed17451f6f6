/**
 * Runs rendered pods as processes of this machine: an address of the loopback network a pod, directories as volumes,
 * probes, the memory limit, restarts, Services as listeners in front of pods that are ready. Images are ours; what
 * listens on all addresses listens on the pod's.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { KubeObject } from '#deploy/tree.ts'

interface Probe {
  httpGet: { path: string; port: string | number }
  periodSeconds?: number
  failureThreshold?: number
  timeoutSeconds?: number
}
interface EnvVariable {
  name: string
  value?: string
  valueFrom?: { fieldRef?: { fieldPath: string }; secretKeyRef?: { name: string; key: string } }
}
interface Container {
  name: string
  args?: string[]
  env?: EnvVariable[]
  ports: { name: string; containerPort: number }[]
  startupProbe?: Probe
  readinessProbe: Probe
  livenessProbe: Probe
  resources: { limits: { memory: string } }
  volumeMounts: { name: string; mountPath: string }[]
}
interface Volume {
  name: string
  configMap?: { name: string }
  emptyDir?: object
  secret?: { secretName: string }
}
interface Template {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> }
  spec: { containers: Container[]; volumes?: Volume[] }
}
interface Workload extends KubeObject {
  spec: { template: Template; volumeClaimTemplates?: { metadata: { name: string } }[] }
}

export interface Cluster {
  objects: readonly KubeObject[]
  directory: string
  secrets?: Readonly<Record<string, Record<string, string>>>
  /** Paths as pods name them, of what is on no node. */ outside?: Readonly<Record<string, string>>
  env?: Readonly<Record<string, string>>
}

function bytesOf(quantity: string): number {
  const [, number = '0', unit = ''] = /^(\d+)(Ki|Mi|Gi)?$/.exec(quantity) ?? []
  return Number(number) * ({ Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 }[unit] ?? 1)
}

export class Pod {
  readonly name: string
  readonly ip: string
  readonly node: string
  readonly labels: Record<string, string>
  readonly container: Container
  readonly #cluster: Cluster
  readonly #volumes: readonly { mountPath: string; directory: string }[]
  readonly #hosts: Record<string, string>
  #child: ChildProcess | undefined
  #isStopping = false
  #watch: NodeJS.Timeout | undefined
  output = ''
  isReady = false
  restarts = 0
  peakBytes = 0
  readySeconds: number | undefined
  readonly killed: string[] = []

  constructor(
    workload: Workload,
    name: string,
    node: string,
    ip: string,
    cluster: Cluster,
    hosts: Record<string, string>,
  ) {
    this.name = name
    this.node = node
    this.ip = ip
    this.#cluster = cluster
    this.#hosts = hosts
    const { template, volumeClaimTemplates = [] } = workload.spec
    this.labels = template.metadata.labels
    this.container = template.spec.containers[0]!
    const claims = new Set(volumeClaimTemplates.map(c => c.metadata.name))
    this.#volumes = this.container.volumeMounts.map(mount => ({
      mountPath: mount.mountPath,
      directory: join(
        cluster.directory,
        claims.has(mount.name) ? `claim-${mount.name}-${name}` : `pod-${name}-${mount.name}`,
      ),
    }))
    for (const [i, mount] of this.container.volumeMounts.entries())
      this.#fill(
        this.#volumes[i]!.directory,
        template.spec.volumes?.find(v => v.name === mount.name),
      )
  }

  #fill(directory: string, volume: Volume | undefined): void {
    if (volume?.emptyDir !== undefined) rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true })
    const data =
      volume?.configMap !== undefined
        ? (
            this.#cluster.objects.find(
              o => o.kind === 'ConfigMap' && o.metadata.name === volume.configMap!.name,
            ) as unknown as { data: Record<string, string> }
          ).data
        : volume?.secret !== undefined
          ? (this.#cluster.secrets?.[volume.secret.secretName] ?? {})
          : {}
    for (const [name, text] of Object.entries(data)) writeFileSync(join(directory, name), this.#inPod(text))
  }

  /** Paths and addresses as they are outside of the pod. */
  #inPod(text: string): string {
    const outside = Object.entries(this.#cluster.outside ?? {}).map(([mountPath, directory]) => ({
      mountPath,
      directory,
    }))
    const paths = [...this.#volumes, ...outside].sort((x, y) => y.mountPath.length - x.mountPath.length)
    // Once, so that what was put in is not looked at again.
    return text
      .replaceAll('0.0.0.0:', `${this.ip}:`)
      .replaceAll(
        new RegExp(`(?<![a-zA-Z0-9_-])(${paths.map(p => p.mountPath).join('|')})(?![a-zA-Z0-9_-])`, 'g'),
        mount => paths.find(p => p.mountPath === mount)!.directory,
      )
  }

  start(): void {
    const { env = {} } = this.#cluster
    const own: Record<string, string> = {}
    for (const { name, value, valueFrom } of this.container.env ?? [])
      own[name] =
        valueFrom?.fieldRef?.fieldPath === 'spec.nodeName'
          ? this.node
          : valueFrom?.secretKeyRef !== undefined
            ? (this.#cluster.secrets?.[valueFrom.secretKeyRef.name]?.[valueFrom.secretKeyRef.key] ?? '')
            : this.#inPod(value ?? '')
    const child = spawn(
      process.execPath,
      ['src/app/main.ts', ...(this.container.args ?? []).map(a => this.#inPod(a))],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'],
          ...env,
          ...own,
          HOSTS: JSON.stringify(this.#hosts),
          NODE_OPTIONS: `--import=${join(process.cwd(), 'test/hosts-preload.ts')}`,
        },
      },
    )
    this.#child = child
    this.isReady = false
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString()
      })
    child.once('exit', () => {
      this.isReady = false
      if (!this.#isStopping && this.#child === child) {
        this.restarts++
        this.start()
      }
    })
    const startMs = performance.now()
    let failures = 0
    clearInterval(this.#watch)
    this.#watch = setInterval(() => {
      this.#limitMemory(child)
      const probe = this.isReady ? this.container.livenessProbe : this.container.readinessProbe
      this.#ask(probe).then(
        isFine => {
          if (isFine) {
            failures = 0
            if (!this.isReady) {
              this.isReady = true
              this.readySeconds ??= (performance.now() - startMs) / 1000
            }
          } else if (this.isReady && ++failures > 20) {
            this.killed.push('liveness')
            child.kill('SIGKILL')
          }
        },
        () => undefined,
      )
    }, 100)
  }

  #limitMemory(child: ChildProcess): void {
    try {
      const bytes =
        Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1] ?? '0') * 1024
      this.peakBytes = Math.max(this.peakBytes, bytes)
      if (bytes > bytesOf(this.container.resources.limits.memory)) {
        this.killed.push(`memory: ${bytes}`)
        child.kill('SIGKILL')
      }
    } catch {
      /* it has ended */
    }
  }

  portOf(port: string | number): number {
    return typeof port === 'number' ? port : this.container.ports.find(p => p.name === port)!.containerPort
  }

  async #ask(probe: Probe): Promise<boolean> {
    const reply = await fetch(`http://${this.ip}:${this.portOf(probe.httpGet.port)}${probe.httpGet.path}`, {
      signal: AbortSignal.timeout(2000),
    })
    await reply.arrayBuffer()
    return reply.ok
  }

  /** As the deletion of a pod: TERM, or KILL where the node is gone. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#isStopping = true
    clearInterval(this.#watch)
    const child = this.#child
    this.isReady = false
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise(resolve => {
      child.once('exit', resolve)
    })
    child.kill(signal)
    await ended
  }
}

export class Kubelet {
  readonly #cluster: Cluster
  readonly #network: string
  readonly #hosts: Record<string, string> = {}
  readonly #listeners: Server[] = []
  #next = 10
  pods: Pod[] = []

  /** `network`: the two middle numbers of its addresses, 127.a.b. */
  constructor(cluster: Cluster, network: string) {
    this.#cluster = cluster
    this.#network = network
  }

  /** Where a Service answers. */
  serviceUrl(name: string, port: number): string {
    return `http://${this.#hosts[name]!}:${port}`
  }

  async startServices(): Promise<void> {
    for (const service of this.#cluster.objects as readonly (KubeObject & {
      spec: {
        clusterIP?: string
        selector: Record<string, string>
        ports: { port: number; targetPort: string | number }[]
      }
    })[]) {
      if (service.kind !== 'Service' || service.spec.clusterIP === 'None') continue
      const ip = `127.${this.#network}.${this.#next++}`
      this.#hosts[service.metadata.name] = ip
      for (const { port, targetPort } of service.spec.ports) {
        const server = createServer(socket => {
          const pod = this.pods.find(
            p =>
              p.isReady && Object.entries(service.spec.selector).every(([label, value]) => p.labels[label] === value),
          )
          if (pod === undefined) {
            socket.destroy()
            return
          }
          const behind = connect(pod.portOf(targetPort), pod.ip)
          socket
            .on('error', () => {
              behind.destroy()
            })
            .on('close', () => {
              behind.destroy()
            })
          behind
            .on('error', () => {
              socket.destroy()
            })
            .on('close', () => {
              socket.destroy()
            })
          socket.pipe(behind).pipe(socket)
        })
        await new Promise<void>((resolve, reject) => {
          server.once('error', reject)
          server.listen(port, ip, resolve)
        })
        this.#listeners.push(server)
      }
    }
  }

  start(kind: 'StatefulSet' | 'DaemonSet', nodes: readonly string[]): Pod[] {
    const workload = this.#cluster.objects.find(o => o.kind === kind) as Workload
    const pods = nodes.map(
      (node, i) =>
        new Pod(
          workload,
          `${workload.metadata.name}-${i}`,
          node,
          `127.${this.#network}.${this.#next++}`,
          this.#cluster,
          this.#hosts,
        ),
    )
    for (const pod of pods) pod.start()
    this.pods.push(...pods)
    return pods
  }

  /** Deletes a pod and starts it again: volumes that are claims stay, the others are empty. */
  async replace(pod: Pod, kind: 'StatefulSet' | 'DaemonSet', signal: NodeJS.Signals): Promise<Pod> {
    await pod.stop(signal)
    this.pods = this.pods.filter(p => p !== pod)
    return this.start(kind, [pod.node])[0]!
  }

  async stop(): Promise<void> {
    for (const pod of this.pods) await pod.stop()
    for (const listener of this.#listeners)
      await new Promise<void>(resolve => {
        listener.close(() => {
          resolve()
        })
      })
  }
}
