/**
 * Does what rendered objects name exist among them? Volumes and mounts, ports of probes, policies and routes, files
 * that configurations name, Services that monitors choose. Beside `findUnresolved`, which knows no more than names.
 */
import { findUnresolved } from '#deploy/references.ts'
import type { KubeObject } from '#deploy/tree.ts'

interface Named {
  name: string
}
interface Port extends Named {
  containerPort: number
}
interface Probe {
  httpGet: { path: string; port: string }
}
export interface Container extends Named {
  image: string
  args?: string[]
  env?: (Named & { value?: string; valueFrom?: Record<string, { name?: string; key?: string; fieldPath?: string }> })[]
  envFrom?: object[]
  ports: Port[]
  startupProbe: Probe
  readinessProbe: Probe
  livenessProbe: Probe
  resources: object
  volumeMounts: (Named & { mountPath: string; subPath?: string })[]
}
interface ProjectedSource {
  secret?: Named
  configMap?: Named
}
export interface Volume extends Named {
  configMap?: Named
  secret?: { secretName: string; items?: { key: string; path: string }[] }
  projected?: { sources: ProjectedSource[] }
  emptyDir?: object
}
export interface PodSpec {
  serviceAccountName: string
  automountServiceAccountToken: boolean
  containers: Container[]
  volumes: Volume[]
  imagePullSecrets?: Named[]
}
export interface Workload extends KubeObject {
  spec: {
    template: { metadata: { labels: Record<string, string> }; spec: PodSpec }
    selector: { matchLabels: Record<string, string> }
    volumeClaimTemplates?: { metadata: Named }[]
  }
}
interface Service extends KubeObject {
  spec: { selector: Record<string, string>; ports: (Named & { port: number })[] }
}

const isWorkload = (object: KubeObject): object is Workload => ['StatefulSet', 'DaemonSet'].includes(object.kind)
const isService = (object: KubeObject): object is Service => object.kind === 'Service'
const hasAll = (labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([name, value]) => labels[name] === value)

function volumeProblems(workload: Workload): string[] {
  const { template, volumeClaimTemplates = [] } = workload.spec
  const problems: string[] = []
  const there = [...template.spec.volumes.map(v => v.name), ...volumeClaimTemplates.map(c => c.metadata.name)]
  const mounts = template.spec.containers.flatMap(c => c.volumeMounts)
  for (const [i, name] of there.entries()) if (there.indexOf(name) !== i) problems.push(`two volumes ${name}`)
  for (const { name } of mounts) if (!there.includes(name)) problems.push(`the mount ${name} has no volume`)
  for (const name of there) if (!mounts.some(m => m.name === name)) problems.push(`the volume ${name} is not mounted`)
  for (const { volumeMounts } of template.spec.containers) {
    const paths = volumeMounts.map(m => m.mountPath)
    for (const [i, path] of paths.entries()) if (paths.indexOf(path) !== i) problems.push(`two mounts at ${path}`)
  }
  return problems
}

function portProblems({ spec }: Workload): string[] {
  const problems: string[] = []
  for (const { startupProbe, readinessProbe, livenessProbe, ports, env = [] } of spec.template.spec.containers) {
    for (const { httpGet } of [startupProbe, readinessProbe, livenessProbe])
      if (!ports.some(p => p.name === httpGet.port)) problems.push(`no port ${httpGet.port} for ${httpGet.path}`)
    const names = env.map(e => e.name)
    for (const [i, name] of names.entries()) if (names.indexOf(name) !== i) problems.push(`${name} is set twice`)
  }
  if (!hasAll(spec.template.metadata.labels, spec.selector.matchLabels)) problems.push('the selector finds no pods')
  return problems
}

/** Every file that the pod's configuration names lies below one of its mounts. */
function fileProblems(workload: Workload, objects: readonly KubeObject[]): string[] {
  const { volumes, containers, automountServiceAccountToken } = workload.spec.template.spec
  const names = volumes.flatMap(v => v.configMap?.name ?? [])
  const texts = objects
    .filter(o => o.kind === 'ConfigMap' && names.includes(o.metadata.name))
    .flatMap(o => Object.values(o['data'] as Record<string, string>))
  const own = containers.flatMap(c => [...(c.args ?? []), ...(c.env ?? []).map(e => e.value ?? '')])
  const mounts = containers.flatMap(c => c.volumeMounts.map(m => m.mountPath))
  if (automountServiceAccountToken) mounts.push('/var/run/secrets/kubernetes.io/serviceaccount')
  const paths = [...texts, ...own].flatMap(text => text.match(/\/(etc\/tercet|var\/run\/secrets)[^\s"',]*/g) ?? [])
  return paths
    .filter(path => !mounts.some(mount => path === mount || path.startsWith(`${mount}/`)))
    .map(path => `nothing is mounted for ${path}`)
}

function secretProblems({ spec }: Workload, objects: readonly KubeObject[]): string[] {
  const isThere = (kind: string, name: string): boolean =>
    objects.some(o => o.kind === kind && o.metadata.name === name)
  const sources = spec.template.spec.volumes.flatMap(v => v.projected?.sources ?? [])
  return sources.flatMap(({ secret, configMap }) => [
    ...(secret !== undefined && !isThere('Secret', secret.name) ? [`no Secret ${secret.name}`] : []),
    ...(configMap !== undefined && !isThere('ConfigMap', configMap.name) ? [`no ConfigMap ${configMap.name}`] : []),
  ])
}

interface PolicySpec {
  podSelector: { matchLabels: Record<string, string> }
  ingress: { ports: { port: string }[] }[]
}

function policyProblems(policy: KubeObject, workloads: readonly Workload[]): string[] {
  const { podSelector, ingress } = policy['spec'] as PolicySpec
  const pod = workloads.find(w => hasAll(w.spec.template.metadata.labels, podSelector.matchLabels))
  if (pod === undefined) return ['the selector finds no pods']
  const ports = pod.spec.template.spec.containers.flatMap(c => c.ports.map(p => p.name))
  return ingress.flatMap(rule => rule.ports.filter(p => !ports.includes(p.port)).map(p => `no port ${p.port}`))
}

function monitorProblems(monitor: KubeObject, services: readonly Service[]): string[] {
  const { selector, endpoints } = monitor['spec'] as {
    selector: { matchLabels: Record<string, string> }
    endpoints: { port: string }[]
  }
  const found = services.filter(s => hasAll(s.metadata.labels ?? {}, selector.matchLabels))
  if (found.length !== 1) return [`it chooses ${found.length} Services`]
  return endpoints.filter(e => !found[0]!.spec.ports.some(p => p.name === e.port)).map(e => `no port ${e.port}`)
}

/** `name` and `port` of every backend. */
function backendsOf(object: KubeObject): { name: string; port: string | number }[] {
  if (object.kind === 'Ingress') {
    const { rules } = object['spec'] as {
      rules: { http: { paths: { backend: { service: { name: string; port: { name: string } } } }[] } }[]
    }
    return rules.flatMap(r => r.http.paths.map(p => p.backend.service)).map(s => ({ name: s.name, port: s.port.name }))
  }
  const { rules } = object['spec'] as { rules: { backendRefs?: { name: string; port: number }[] }[] }
  return rules.flatMap(r => r.backendRefs ?? [])
}

function backendProblems(object: KubeObject, services: readonly Service[]): string[] {
  return backendsOf(object)
    .filter(({ name, port }) => {
      const service = services.find(s => s.metadata.name === name)
      return service?.spec.ports.some(p => p.name === port || p.port === port) !== true
    })
    .map(({ name, port }) => `no Service ${name} with the port ${port}`)
}

function problemsOf(object: KubeObject, objects: readonly KubeObject[]): string[] {
  const workloads = objects.filter(isWorkload)
  const services = objects.filter(isService)
  if (isWorkload(object))
    return [
      ...volumeProblems(object),
      ...portProblems(object),
      ...fileProblems(object, objects),
      ...secretProblems(object, objects),
    ]
  switch (object.kind) {
    case 'NetworkPolicy':
      return policyProblems(object, workloads)
    case 'ServiceMonitor':
    case 'VMServiceScrape':
      return monitorProblems(object, services)
    case 'Ingress':
    case 'HTTPRoute':
      return backendProblems(object, services)
    default:
      return []
  }
}

/** A sentence for each; names that begin with `their-` are of objects that are there already. */
export function chartProblems(objects: readonly KubeObject[]): string[] {
  const names = objects.map(o => `${o.kind}/${o.metadata.name}`)
  const twice = names.filter((name, i) => names.indexOf(name) !== i).map(name => `${name} is there twice`)
  const own = objects.flatMap(object =>
    problemsOf(object, objects).map(problem => `${object.kind}/${object.metadata.name}: ${problem}`),
  )
  // Every namespace has an account of that name.
  const external = [
    'ServiceAccount/default',
    'host:s3.example.net',
    'host:tercet.example.net',
    'host:elsewhere.example.net',
  ]
  return [...twice, ...own, ...findUnresolved(objects, { services: {}, external })].filter(
    problem => !/\btheir-/.test(problem),
  )
}
