/** From what `deploy render` writes to containers that run: compose's services, and the pods of charts. */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { objectsOf, render } from '#deploy/render.ts'
import { readStack, type Engine, type Stack, type Target } from '#deploy/stack.ts'
import type { FileTree, KubeObject } from '#deploy/tree.ts'
import { ownChart } from '#ops/render-tree.ts'
import { cephKeys } from '../ceph.ts'
import { objectsOfText } from '../kube-objects.ts'
import { programPath } from '../peers.ts'
import { cortexConfig, mimirTenant } from './cortex.ts'
import { makeVolume, Pod, type Mount, type PodSpec } from './pod.ts'
import { PodNetwork } from './pod-network.ts'
import { chartPath, enginePath } from './programs.ts'

/** What an image runs, by the last part of its name; Cortex stands in for Mimir. */
const programs: Readonly<Record<string, { program: string; ready: PodSpec['ready'] }>> = {
  loki: { program: 'loki', ready: { port: 3100, path: '/ready' } },
  tempo: { program: 'tempo', ready: { port: 3200, path: '/ready' } },
  mimir: { program: 'cortex', ready: { port: 8080, path: '/ready' } },
  'victoria-metrics': { program: 'victoria-metrics', ready: { port: 8428, path: '/health' } },
  'victoria-logs': { program: 'victoria-logs', ready: { port: 9428, path: '/health' } },
  'victoria-traces': { program: 'victoria-traces', ready: { port: 10428, path: '/health' } },
}

/** Of all these images, and of rendered pods. */
const podUser = 10001
const keys = { S3_ACCESS_KEY_ID: cephKeys.accessKeyId, S3_SECRET_ACCESS_KEY: cephKeys.secretAccessKey }

export async function renderStack(
  text: string,
  engine: Engine,
  target: Target,
): Promise<{ stack: Stack; tree: FileTree }> {
  const stack = readStack(text, 'stack.yaml', engine)
  const seal = (): Promise<undefined> => Promise.resolve(undefined)
  const { tree } = await render({ stack, target, ownChart: ownChart(), seal, configText: text })
  return { stack, tree }
}

/** What a test changes in the configuration of an engine, by path, so that a day passes in seconds. */
export type Changes = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** A specification of a pod with the rest of what runs it. */
export interface Container extends PodSpec {
  labels: Readonly<Record<string, string>>
  portNames: Readonly<Record<string, number>>
  /** Other names that lead to it. */
  aliases: readonly string[]
}

const imageName = (image: string): string => /([^/:]+)(:[^/]*)?$/.exec(image)![1]!

function isMimir(program: string): boolean {
  return program.endsWith('/cortex')
}

/** The file for Cortex where it was Mimir's, with a test's changes. */
function engineFile(name: string, text: string, changes: Changes): string {
  const own = changes[name] ?? {}
  if (name === 'mimir') return stringify(cortexConfig(parse(text) as Record<string, unknown>, own))
  if (Object.keys(own).length === 0) return text
  const config = parse(text) as Record<string, unknown>
  for (const [path, value] of Object.entries(own)) {
    const steps = path.split('.')
    const last = steps.pop()!
    let at = config
    for (const step of steps) at = (at[step] ??= {}) as Record<string, unknown>
    at[last] = value
  }
  return stringify(config)
}

interface ComposeService {
  image: string
  command: string[]
  read_only?: boolean
  tmpfs?: string[]
  volumes: string[]
  env_file?: { path: string }[]
  environment?: Record<string, string>
  ports?: string[]
  networks: Record<string, { aliases?: string[] }>
}

/** Every engine of a compose.yaml. `directory`: where its named volumes are. */
export function composeContainers(tree: FileTree, directory: string, changes: Changes = {}): Container[] {
  const { services } = parse(tree.get('compose.yaml')!) as { services: Record<string, ComposeService> }
  return Object.entries(services).flatMap(([name, service]) => {
    const known = programs[imageName(service.image)]
    if (known === undefined) return []
    if (service.read_only !== true) throw new Error(`${name} has a root that can be written`)
    const mountOf = (text: string): Mount => {
      const [source = '', path = ''] = text.split(':')
      if (!source.startsWith('./'))
        return { path, kind: 'directory', directory: makeVolume(join(directory, source), podUser) }
      const file = tree.get(source.slice(2))
      if (file !== undefined) return { path, kind: 'file', text: engineFile(name, file, changes) }
      const below = [...tree].filter(([key]) => key.startsWith(`${source.slice(2)}/`))
      return {
        path,
        kind: 'files',
        files: Object.fromEntries(below.map(([key, content]) => [key.slice(source.length - 1), content])),
      }
    }
    const firstPort = Number(service.ports?.[0]?.split(':').at(-1) ?? known.ready.port)
    return [
      {
        name,
        program: enginePath(known.program)!,
        args: service.command,
        env: { ...service.environment, ...(service.env_file === undefined ? {} : keys) },
        user: podUser,
        mounts: [
          ...service.volumes.map(mountOf),
          ...(service.tmpfs ?? []).map(path => volume(path, join(directory, `tmpfs-${name}`))),
        ],
        ready: { ...known.ready, port: firstPort },
        labels: {},
        portNames: {},
        aliases: Object.values(service.networks).flatMap(network => network.aliases ?? []),
      },
    ]
  })
}

function volume(path: string, directory: string): Mount {
  return { path, kind: 'directory', directory: makeVolume(directory, podUser) }
}

/** What the real chart makes of the values of a release. */
export function helmTemplate(chart: string, release: string, namespace: string, values: unknown): KubeObject[] {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-chart-'))
  try {
    // Charts that are switched off are not here, and schemas that lie elsewhere can't be had.
    cpSync(chartPath(chart)!, join(directory, 'chart'), { recursive: true, dereference: true, filter: existsSync })
    const path = join(directory, 'chart', 'Chart.yaml')
    const { dependencies = [], ...rest } = parse(readFileSync(path, 'utf8')) as { dependencies?: { name: string }[] }
    const there = dependencies.filter(({ name }) => chartPath(`${chart}/charts/${name}`) !== undefined)
    writeFileSync(path, stringify({ ...rest, dependencies: there }))
    for (const name of ['Chart.lock', 'values.schema.json', ...there.map(d => `charts/${d.name}/values.schema.json`)])
      rmSync(join(directory, 'chart', name), { force: true })
    writeFileSync(join(directory, 'values.yaml'), stringify(values))
    const args = ['template', release, 'chart', '--namespace', namespace, '--values', 'values.yaml']
    const run = spawnSync(programPath('helm')!, [...args, '--kube-version', '1.33.0'], {
      cwd: directory,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 ** 2,
    })
    if (run.status !== 0) throw new Error(`helm template ${chart}: ${run.stderr}`)
    return objectsOfText(run.stdout)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

interface HelmRelease extends KubeObject {
  spec: { values: Record<string, unknown> }
}

/** Everything that the charts of a Flux tree make, and what stands beside them. */
export function clusterObjects(tree: FileTree, charts: Readonly<Record<string, string>>): KubeObject[] {
  const objects = objectsOf(tree)
  const made = objects
    .filter(
      (object): object is HelmRelease => object.kind === 'HelmRelease' && charts[object.metadata.name] !== undefined,
    )
    .flatMap(({ metadata: { name }, spec }) => helmTemplate(charts[name]!, name, 'monitoring', spec.values))
  return [...objects, ...made]
}

interface KubeContainer {
  image: string
  args?: string[]
  env?: { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } }[] | null
  envFrom?: object[]
  ports?: { name: string; containerPort: number }[]
  volumeMounts?: { name: string; mountPath: string; subPath?: string }[]
  securityContext?: { readOnlyRootFilesystem?: boolean; runAsUser?: number }
}

interface Workload extends KubeObject {
  spec: {
    template: {
      metadata: { labels: Record<string, string> }
      spec: {
        containers: KubeContainer[]
        securityContext?: { runAsUser?: number }
        volumes?: { name: string; configMap?: { name: string }; emptyDir?: object }[]
      }
    }
  }
}

/** The pods of workloads whose programs are here. `directory`: where their volumes are. */
export function kubeContainers(objects: readonly KubeObject[], directory: string, changes: Changes = {}): Container[] {
  const workloads = objects.filter((o): o is Workload => ['StatefulSet', 'Deployment'].includes(o.kind))
  return workloads.flatMap(workload => {
    const { metadata, spec } = workload.spec.template
    const container = spec.containers[0]!
    const known = programs[imageName(container.image)]
    if (known === undefined) return []
    const { name } = workload.metadata
    if (container.securityContext?.readOnlyRootFilesystem !== true)
      throw new Error(`${name} has a root that can be written`)
    const env = Object.fromEntries(
      (container.env ?? []).map(({ name: key, value, valueFrom }) => [
        key,
        valueFrom?.fieldRef?.fieldPath === 'status.podIP' ? '$(POD_IP)' : (value ?? ''),
      ]),
    )
    const portNames = Object.fromEntries((container.ports ?? []).map(p => [p.name, p.containerPort]))
    return [
      {
        name: `${name}-0`,
        program: enginePath(known.program)!,
        args: container.args ?? [],
        env: { ...env, ...(container.envFrom === undefined ? {} : keys) },
        user: container.securityContext.runAsUser ?? spec.securityContext?.runAsUser ?? 0,
        mounts: (container.volumeMounts ?? []).map(mount => kubeMount(workload, mount, objects, directory, changes)),
        ready: { ...known.ready, port: portNames['http'] ?? known.ready.port },
        labels: metadata.labels,
        portNames,
        aliases: [],
      },
    ]
  })
}

function kubeMount(
  workload: Workload,
  { name, mountPath: path, subPath }: NonNullable<KubeContainer['volumeMounts']>[number],
  objects: readonly KubeObject[],
  directory: string,
  changes: Changes,
): Mount {
  const owner = workload.metadata.name
  const configMap = workload.spec.template.spec.volumes?.find(v => v.name === name)?.configMap
  if (configMap === undefined) return volume(path, join(directory, `${owner}-${name}`))
  const found = objects.find(o => o.kind === 'ConfigMap' && o.metadata.name === configMap.name) as
    | (KubeObject & { data: Record<string, string> })
    | undefined
  if (found === undefined) throw new Error(`the ConfigMap ${configMap.name} is not there`)
  const main = ['config.yaml', 'tempo.yaml', 'mimir.yaml']
  const files = Object.fromEntries(
    Object.entries(found.data).map(([key, text]) => [
      key,
      main.includes(key) ? engineFile(owner, text, changes) : text,
    ]),
  )
  return subPath === undefined ? { path, kind: 'files', files } : { path, kind: 'file', text: files[subPath]! }
}

interface KubeService extends KubeObject {
  spec: {
    clusterIP?: string
    selector: Record<string, string>
    ports: { port: number; targetPort?: string | number; protocol?: string }[]
  }
}

/** Containers that run, and their network. */
export class RunningStack {
  readonly network: PodNetwork
  readonly pods: readonly Pod[]

  private constructor(network: PodNetwork, pods: readonly Pod[]) {
    this.network = network
    this.pods = pods
  }

  /** Starts all, and waits for all. `objects`: those of a cluster, whose Services lead to pods. */
  static async start(
    containers: readonly Container[],
    directory: string,
    { objects = [], s3Port }: { objects?: readonly KubeObject[]; s3Port?: number | undefined } = {},
  ): Promise<RunningStack> {
    const network = await PodNetwork.open()
    const pods: Pod[] = []
    const stack = new RunningStack(network, pods)
    try {
      if (s3Port !== undefined) await network.addOutside('s3.example.net', 9000, s3Port)
      for (const container of containers) {
        const pod = await Pod.prepare(container, network, mkdtempSync(join(directory, `pod-${container.name}-`)))
        pods.push(pod)
        for (const alias of container.aliases) await stack.#addAlias(alias, pod)
      }
      for (const object of objects)
        if (object.kind === 'Service') await stack.#addService(object as KubeService, containers)
      for (const pod of pods) pod.start()
      for (const pod of pods) await pod.ready()
      return stack
    } catch (error) {
      await stack.stop()
      throw error
    }
  }

  async #addAlias(alias: string, { ip, spec }: Pod): Promise<void> {
    if (!isMimir(spec.program)) this.network.hosts.set(alias, ip)
    else
      await this.network.addService(
        alias,
        [{ port: spec.ready.port, to: { host: ip, port: spec.ready.port } }],
        mimirTenant,
      )
  }

  async #addService({ metadata: { name }, spec }: KubeService, containers: readonly Container[]): Promise<void> {
    const { selector, ports, clusterIP } = spec
    const i = containers.findIndex(({ labels }) =>
      Object.entries(selector).every(([key, value]) => labels[key] === value),
    )
    const pod = this.pods[i]
    if (pod === undefined) return
    const names = [name]
    if (clusterIP === 'None') {
      // Each pod has a name of its own below that of a headless Service.
      names.push(`${pod.spec.name}.${name}`)
      for (const known of names) this.network.hosts.set(known, pod.ip)
    } else {
      const { portNames } = containers[i]!
      const numbered = ports
        .filter(p => p.protocol !== 'UDP')
        .map(({ port, targetPort = port }) => ({
          port,
          to: { host: pod.ip, port: typeof targetPort === 'number' ? targetPort : portNames[targetPort]! },
        }))
      await this.network.addService(name, numbered, isMimir(pod.spec.program) ? mimirTenant : undefined)
    }
    for (const known of names)
      for (const domain of ['monitoring', 'monitoring.svc', 'monitoring.svc.cluster.local'])
        this.network.hosts.set(`${known}.${domain}`, this.network.hosts.get(known)!)
  }

  pod(name: string): Pod {
    return this.pods.find(({ spec }) => spec.name === name || spec.name === `${name}-0`)!
  }

  async stop(): Promise<void> {
    this.network.dropConnections()
    await Promise.all(this.pods.map(pod => pod.stop()))
    await this.network.close()
  }
}
