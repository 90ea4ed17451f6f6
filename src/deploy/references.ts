/**
 * Does everything that a render names exist in it? Every URL, Secret, ConfigMap, ServiceAccount, claim, chart and
 * port either is among its objects, is made by a chart that is known to make it, or is declared external.
 */
import type { KubeObject } from './tree.ts'

export interface Known {
  /** Services that charts make: name to ports. */
  services: Readonly<Record<string, readonly number[]>>
  /**
   * Other objects that charts make, or that are there already: `Secret/name`, `Service/name:port`, `host:name` for
   * hosts outside.
   */
  external: readonly string[]
}

interface PodSpec {
  serviceAccountName?: string
  containers?: { name: string; ports?: { name?: string; containerPort: number }[] }[]
}
interface Workload extends KubeObject {
  spec: {
    template?: { metadata?: { labels?: Record<string, string> }; spec?: PodSpec }
    serviceName?: string
    jobTemplate?: { spec: Workload['spec'] }
  }
}
interface ServiceObject extends KubeObject {
  spec: { selector?: Record<string, string>; ports?: { name?: string; port: number; targetPort?: number | string }[] }
}

const workloads = ['StatefulSet', 'DaemonSet', 'Deployment', 'Job', 'CronJob']

class Resolver {
  readonly problems: string[] = []
  readonly #objects: ReadonlySet<string>
  readonly #services = new Map<string, Set<number>>()
  readonly #external: ReadonlySet<string>
  readonly #isNamespace: (name: string) => boolean

  constructor(objects: readonly KubeObject[], known: Known) {
    this.#objects = new Set(objects.map(o => `${o.kind}/${o.metadata.name}`))
    this.#external = new Set(known.external)
    const namespaces = new Set(
      objects.flatMap(o => [o.metadata.namespace, ...(o.kind === 'Namespace' ? [o.metadata.name] : [])]),
    )
    this.#isNamespace = name => namespaces.has(name) || this.#external.has(`Namespace/${name}`)
    for (const [name, ports] of Object.entries(known.services)) this.#addService(name, ports)
    for (const object of objects)
      if (object.kind === 'Service')
        this.#addService(
          object.metadata.name,
          ((object as ServiceObject).spec.ports ?? []).map(p => p.port),
        )
    for (const text of known.external) {
      const match = /^Service\/([^:]+):(\d+)$/.exec(text)
      const [, name, port] = match ?? []
      if (name !== undefined) this.#addService(name, [Number(port)])
    }
  }

  #addService(name: string, ports: readonly number[]): void {
    this.#services.set(name, new Set([...(this.#services.get(name) ?? []), ...ports]))
  }

  object(kind: string, name: unknown, where: string): void {
    if (typeof name !== 'string' || name === '') return
    if (!this.#objects.has(`${kind}/${name}`) && !this.#external.has(`${kind}/${name}`))
      this.problems.push(`${where}: ${kind} ${name} is neither rendered nor declared external`)
  }

  /** `http://host:port/...`, wherever it stands. */
  urls(text: string, where: string): void {
    for (const [, scheme, host = '', port] of text.matchAll(/\b(https?|grpc|s3):\/\/([a-zA-Z0-9.-]+)(?::(\d+))?/g)) {
      if (scheme === 's3') continue
      const [name = '', namespace, ...rest] = host.split('.')
      const isInside =
        namespace === undefined || rest[0] === 'svc' || (rest.length === 0 && this.#isNamespace(namespace))
      if (!isInside) {
        if (!this.#external.has(`host:${host}`))
          this.problems.push(`${where}: the host ${host} is neither a Service of this render nor declared external`)
        continue
      }
      if (host === 'localhost') continue
      const ports = this.#services.get(name)
      const number = port === undefined ? (scheme === 'https' ? 443 : 80) : Number(port)
      if (ports === undefined)
        this.problems.push(
          `${where}: no Service ${name} for ${scheme}://${host}${port === undefined ? '' : `:${port}`}`,
        )
      else if (!ports.has(number))
        this.problems.push(`${where}: the Service ${name} has no port ${number}; it has ${[...ports].join(', ')}`)
    }
  }

  walk(value: unknown, key: string, parent: Record<string, unknown>, where: string): void {
    if (typeof value === 'string') {
      this.urls(value, where)
      if (key === 'serviceAccountName') this.object('ServiceAccount', value, where)
      if (key === 'secretName' || key === 'existingSecret') this.object('Secret', value, where)
      if (key === 'existingClaim' || key === 'claimName') this.object('PersistentVolumeClaim', value, where)
      return
    }
    if (Array.isArray(value)) {
      for (const item of value) this.walk(item, key, parent, where)
      return
    }
    if (typeof value !== 'object' || value === null) return
    const map = value as Record<string, unknown>
    if ((key === 'secretRef' || key === 'secretKeyRef') && map['optional'] !== true)
      this.object('Secret', map['name'], where)
    if (key === 'configMapRef' || key === 'configMapKeyRef') this.object('ConfigMap', map['name'], where)
    if (key === 'configMap' && typeof map['name'] === 'string') this.object('ConfigMap', map['name'], where)
    if (key === 'chartRef' || key === 'valuesFrom' || key === 'sourceRef')
      this.object(String(map['kind']), map['name'], where)
    if (key === 'roleRef') this.object(String(map['kind']), map['name'], where)
    if (key === 'subjects' && map['kind'] === 'ServiceAccount') this.object('ServiceAccount', map['name'], where)
    // Values of our chart.
    if (key === 'secrets' && typeof map['metrics'] === 'string')
      for (const name of Object.values(map)) this.object('Secret', name, where)
    for (const [name, child] of Object.entries(map)) this.walk(child, name, map, where)
  }
}

function podsOf(object: KubeObject): { labels: Record<string, string>; spec: PodSpec } | undefined {
  if (!workloads.includes(object.kind)) return undefined
  const spec = (object as Workload).spec
  const template = (spec.jobTemplate?.spec ?? spec).template
  return template === undefined ? undefined : { labels: template.metadata?.labels ?? {}, spec: template.spec ?? {} }
}

/** A Service finds pods of the render, and each of its ports is one of theirs. */
function serviceProblems(objects: readonly KubeObject[]): string[] {
  const pods = objects.flatMap(o => podsOf(o) ?? [])
  const problems: string[] = []
  if (pods.length === 0) return problems
  for (const object of objects) {
    if (object.kind !== 'Service') continue
    const { selector = {}, ports = [] } = (object as ServiceObject).spec
    const found = pods.filter(p => Object.entries(selector).every(([name, value]) => p.labels[name] === value))
    if (found.length === 0) {
      problems.push(`Service/${object.metadata.name}: its selector finds no pods`)
      continue
    }
    for (const { port, targetPort = port } of ports) {
      if (
        !found.every(p =>
          (p.spec.containers ?? []).some(c =>
            (c.ports ?? []).some(own => own.name === targetPort || own.containerPort === targetPort),
          ),
        )
      )
        problems.push(`Service/${object.metadata.name}: no container has the port ${targetPort}`)
    }
  }
  return problems
}

/** One sentence a name that is not there, with the object that names it. */
export function findUnresolved(objects: readonly KubeObject[], known: Known): string[] {
  const resolver = new Resolver(objects, known)
  for (const object of objects) {
    const where = `${object.kind}/${object.metadata.name}`
    resolver.walk(object, '', {}, where)
    if (object.kind === 'StatefulSet') resolver.object('Service', (object as Workload).spec.serviceName, where)
    if (object.kind === 'Kustomization')
      for (const { name } of (object as unknown as { spec?: { dependsOn?: { name: string }[] } }).spec?.dependsOn ?? [])
        resolver.object('Kustomization', name, where)
  }
  return [...resolver.problems, ...serviceProblems(objects)]
}
