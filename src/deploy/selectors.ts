/** Do selectors find what they are for: pods, Services, ports? */
import type { KubeObject } from './tree.ts'
import type { Pod } from './workloads.ts'

interface Selector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}
interface ServicePort {
  name?: string
  port: number
  targetPort?: number | string
}
interface ServiceSpec {
  type?: string
  selector?: Record<string, string>
  ports?: ServicePort[]
}

function matches({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Readonly<Record<string, string>>) {
  return (
    Object.entries(matchLabels).every(([name, value]) => labels[name] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key]
      if (operator === 'Exists') return value !== undefined
      if (operator === 'DoesNotExist') return value === undefined
      const isIn = value !== undefined && values.includes(value)
      return operator === 'In' ? isIn : !isIn
    })
  )
}

const isSameNamespace = (a: string | undefined, b: string | undefined): boolean =>
  a === undefined || b === undefined || a === b

/** Nothing is said of selectors where no pods are rendered: charts make them. */
export function selectorProblems(
  objects: readonly KubeObject[],
  pods: readonly Pod[],
): { problems: string[]; count: number } {
  const problems: string[] = []
  let count = 0
  if (pods.length === 0) return { problems, count }
  for (const object of objects) {
    const found = problemsOf(object, objects, pods)
    if (found === undefined) continue
    count++
    for (const problem of found) problems.push(`${object.kind}/${object.metadata.name}: ${problem}`)
  }
  return { problems, count }
}

/** Undefined for objects that select nothing. */
function problemsOf(object: KubeObject, objects: readonly KubeObject[], pods: readonly Pod[]): string[] | undefined {
  const near = pods.filter(pod => isSameNamespace(pod.namespace, object.metadata.namespace))
  switch (object.kind) {
    case 'Service':
      return serviceProblems(object['spec'] as ServiceSpec, near)
    case 'NetworkPolicy':
      return findsNoPods((object['spec'] as { podSelector?: Selector }).podSelector, near)
    case 'PodDisruptionBudget':
      return findsNoPods((object['spec'] as { selector?: Selector }).selector, near)
    case 'ServiceMonitor':
    case 'VMServiceScrape':
      return monitorProblems(object, objects)
    case 'Ingress':
    case 'HTTPRoute':
      return backendProblems(object, objects)
    default:
      return undefined
  }
}

function findsNoPods(selector: Selector | undefined, pods: readonly Pod[]): string[] {
  return selector === undefined || pods.some(pod => matches(selector, pod.labels)) ? [] : ['its selector finds no pods']
}

/** A Service finds pods of the render, and each of its ports is one of theirs. */
function serviceProblems({ selector, ports = [], type }: ServiceSpec, pods: readonly Pod[]): string[] {
  if (selector === undefined || type === 'ExternalName') return []
  const found = pods.filter(pod => matches({ matchLabels: selector }, pod.labels))
  if (found.length === 0) return ['its selector finds no pods']
  return ports
    .map(({ port, targetPort = port }) => targetPort)
    .filter(target => !found.every(pod => hasPort(pod, target)))
    .map(target => `no container has the port ${target}`)
}

/** Containers may leave ports out that have no name: they listen all the same, and charts do so. */
function hasPort({ containers }: Pod, target: number | string): boolean {
  return containers.some(({ ports = [] }) =>
    ports.some(({ name, containerPort }) => name === target || containerPort === target),
  )
}

interface MonitorSpec {
  selector?: Selector
  namespaceSelector?: { any?: boolean; matchNames?: string[] }
  endpoints?: { port?: string; targetPort?: number | string }[]
}

function monitorProblems(monitor: KubeObject, objects: readonly KubeObject[]): string[] {
  const { selector = {}, namespaceSelector, endpoints = [] } = monitor['spec'] as MonitorSpec
  const isNear = (namespace: string | undefined): boolean =>
    namespaceSelector?.any === true ||
    (namespaceSelector?.matchNames?.includes(namespace ?? '') ?? isSameNamespace(namespace, monitor.metadata.namespace))
  const services = objects.filter(
    o => o.kind === 'Service' && isNear(o.metadata.namespace) && matches(selector, o.metadata.labels ?? {}),
  )
  if (services.length === 0) return ['its selector finds no Services']
  const names = new Set(services.flatMap(o => ((o['spec'] as ServiceSpec).ports ?? []).map(port => port.name)))
  return endpoints
    .filter(({ port }) => port !== undefined && !names.has(port))
    .map(({ port }) => `no Service that it finds has a port ${port}`)
}

interface Backend {
  name: string
  port?: number | { name?: string; number?: number }
}

function backendProblems(object: KubeObject, objects: readonly KubeObject[]): string[] {
  return backendsIn(object['spec']).flatMap(({ name, port }) => {
    const service = objects.find(
      o =>
        o.kind === 'Service' &&
        o.metadata.name === name &&
        isSameNamespace(o.metadata.namespace, object.metadata.namespace),
    )
    if (service === undefined) return [`no Service ${name}`]
    const wanted = typeof port === 'object' ? (port.name ?? port.number) : port
    const ports = (service['spec'] as ServiceSpec).ports ?? []
    const isThere = wanted === undefined || ports.some(own => own.name === wanted || own.port === wanted)
    return isThere ? [] : [`the Service ${name} has no port ${wanted}`]
  })
}

/** `service: { name, port }` of an Ingress, `backendRefs` of an HTTPRoute. */
function backendsIn(value: unknown, key = ''): Backend[] {
  if (Array.isArray(value)) return value.flatMap(item => backendsIn(item, key))
  if (typeof value !== 'object' || value === null) return []
  if ((key === 'service' || key === 'backendRefs') && 'name' in value) return [value as Backend]
  return Object.entries(value).flatMap(([name, child]) => backendsIn(child, name))
}
