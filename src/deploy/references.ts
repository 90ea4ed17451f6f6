/**
 * Does everything that a render names exist in it? Every URL, Secret, ConfigMap, ServiceAccount, claim, chart and
 * port either is among its objects, is made by a chart that is known to make it, or is declared external.
 */
import { selectorProblems } from './selectors.ts'
import type { KubeObject } from './tree.ts'
import { podOf, volumeProblems } from './workloads.ts'

export interface Known {
  /** Services that charts make: name to ports. */
  services: Readonly<Record<string, readonly number[]>>
  /**
   * Other objects that charts make, or that are there already: `Secret/name`, `Service/name:port`, `host:name` for
   * hosts outside.
   */
  external: readonly string[]
}

/** Kinds whose objects make another of the same name. */
const makers: Readonly<Record<string, string>> = { ExternalSecret: 'Secret', SealedSecret: 'Secret' }

class Resolver {
  readonly problems: string[] = []
  /** References that were looked up. */
  count = 0
  readonly #objects: ReadonlySet<string>
  /** Ports by name, and by namespace and name. */
  readonly #services = new Map<string, Set<number>>()
  readonly #external: ReadonlySet<string>
  readonly #isNamespace: (name: string) => boolean

  constructor(objects: readonly KubeObject[], known: Known) {
    this.#objects = new Set(objects.flatMap(namesOf))
    this.#external = new Set(known.external)
    const namespaces = new Set(
      objects.flatMap(o => [o.metadata.namespace, ...(o.kind === 'Namespace' ? [o.metadata.name] : [])]),
    )
    this.#isNamespace = name => namespaces.has(name) || this.#external.has(`Namespace/${name}`)
    for (const [name, ports] of Object.entries(known.services)) this.#addService(undefined, name, ports)
    for (const object of objects)
      if (object.kind === 'Service') this.#addService(object.metadata.namespace, object.metadata.name, portsOf(object))
    for (const text of known.external) {
      const [, name, port] = /^Service\/([^:]+):(\d+)$/.exec(text) ?? []
      if (name !== undefined) this.#addService(undefined, name, [Number(port)])
    }
  }

  /** Without a namespace it is in all of them: what a chart makes is known by its name alone. */
  #addService(namespace: string | undefined, name: string, ports: readonly number[]): void {
    for (const key of namespace === undefined ? [name, `*/${name}`] : [name, `${namespace}/${name}`])
      this.#services.set(key, new Set([...(this.#services.get(key) ?? []), ...ports]))
  }

  #portsOf(namespace: string | undefined, name: string): ReadonlySet<number> | undefined {
    if (namespace === undefined) return this.#services.get(name)
    return this.#services.get(`${namespace}/${name}`) ?? this.#services.get(`*/${name}`)
  }

  object(kind: string, name: unknown, where: string): void {
    if (typeof name !== 'string' || name === '') return
    this.count++
    if (!this.#objects.has(`${kind}/${name}`) && !this.#external.has(`${kind}/${name}`))
      this.problems.push(`${where}: ${kind} ${name} is neither rendered nor declared external`)
  }

  /** `http://host:port/...`, wherever it stands; `home`: the namespace that short names are of, where it is known. */
  urls(text: string, where: string, home: string | undefined): void {
    for (const [, scheme = '', host = '', port] of text.matchAll(
      /\b(https?|grpc):\/\/(?:[^\s/@'"]*@)?([a-zA-Z0-9.-]+)(?::(\d+))?/g,
    )) {
      this.count++
      const inside = this.#inside(host)
      if (inside !== undefined) this.#service(inside.name, inside.namespace ?? home, { scheme, host, port }, where)
      else if (!this.#external.has(`host:${host}`))
        this.problems.push(`${where}: the host ${host} is neither a Service of this render nor declared external`)
    }
  }

  /** `service`, `service.namespace`, `service.namespace.svc…`, and a pod's name before the last; undefined: outside. */
  #inside(host: string): { name: string; namespace: string | undefined } | undefined {
    const [before = '', ...domain] = host.replace(/\.$/, '').split(/\.(?=svc(?:\.|$))/)
    const parts = before.split('.')
    if (domain.length > 0) return { name: parts.at(-2) ?? before, namespace: parts.at(-1) }
    const [name = '', namespace, ...rest] = parts
    if (namespace === undefined) return { name, namespace: undefined }
    return rest.length === 0 && this.#isNamespace(namespace) ? { name, namespace } : undefined
  }

  #service(
    name: string,
    namespace: string | undefined,
    { scheme, host, port }: { scheme: string; host: string; port: string | undefined },
    where: string,
  ): void {
    if (host === 'localhost' || host === '127.0.0.1') return
    const ports = this.#portsOf(namespace, name)
    const number = port === undefined ? (scheme === 'https' ? 443 : 80) : Number(port)
    if (ports === undefined) {
      if (this.#external.has(`host:${host}`)) return
      const place = namespace !== undefined && this.#services.has(name) ? ` in the namespace ${namespace}` : ''
      this.problems.push(
        `${where}: no Service ${name}${place} for ${scheme}://${host}${port === undefined ? '' : `:${port}`}`,
      )
    } else if (!ports.has(number))
      this.problems.push(`${where}: the Service ${name} has no port ${number}; it has ${[...ports].join(', ')}`)
  }

  walk(value: unknown, key: string, where: string, home: string | undefined): void {
    if (typeof value === 'string') {
      this.urls(value, where, home)
      const kind = kindsByKey[key]
      if (kind !== undefined) this.object(kind, value, where)
      return
    }
    if (Array.isArray(value)) {
      for (const item of value) this.walk(item, key, where, home)
      return
    }
    if (typeof value !== 'object' || value === null) return
    const map = value as Record<string, unknown>
    this.#named(key, map, where)
    for (const [name, child] of Object.entries(map)) this.walk(child, name, where, home)
  }

  /** Maps with a name in them. */
  #named(key: string, map: Readonly<Record<string, unknown>>, where: string): void {
    const kind = kindsByMap[key]
    if (kind !== undefined && map['optional'] !== true) this.object(kind, map['name'], where)
    if (key === 'chartRef' || key === 'valuesFrom' || key === 'sourceRef' || key === 'roleRef')
      this.object(String(map['kind']), map['name'], where)
    if (key === 'secretStoreRef') this.object(String(map['kind']), map['name'], where)
    if (key === 'subjects' && map['kind'] === 'ServiceAccount') this.object('ServiceAccount', map['name'], where)
    // Values of our chart: Secrets by signal.
    if (key === 'secrets' && typeof map['metrics'] === 'string')
      for (const name of Object.values(map)) this.object('Secret', name, where)
  }
}

/** Keys whose text is the name of an object. */
const kindsByKey: Readonly<Record<string, string>> = {
  serviceAccountName: 'ServiceAccount',
  secretName: 'Secret',
  existingSecret: 'Secret',
  configSecret: 'Secret',
  existingClaim: 'PersistentVolumeClaim',
  claimName: 'PersistentVolumeClaim',
}

/** Keys whose map names an object. */
const kindsByMap: Readonly<Record<string, string>> = {
  secretRef: 'Secret',
  secretKeyRef: 'Secret',
  alertmanagerConfigSecret: 'Secret',
  configMapRef: 'ConfigMap',
  configMapKeyRef: 'ConfigMap',
  configMap: 'ConfigMap',
}

function namesOf({ kind, metadata }: KubeObject): string[] {
  const made = makers[kind]
  return [`${kind}/${metadata.name}`, ...(made === undefined ? [] : [`${made}/${metadata.name}`])]
}

function portsOf(service: KubeObject): number[] {
  return ((service['spec'] as { ports?: { port: number }[] } | undefined)?.ports ?? []).map(({ port }) => port)
}

/** One sentence a name that is not there, with the object that names it. */
export function findUnresolved(objects: readonly KubeObject[], known: Known): string[] {
  return resolve(objects, known).problems
}

/** With the number of references that were looked up. */
export function resolve(objects: readonly KubeObject[], known: Known): { problems: string[]; count: number } {
  const resolver = new Resolver(objects, known)
  for (const object of objects) {
    const where = `${object.kind}/${object.metadata.name}`
    // What a CustomResourceDefinition explains is no reference.
    if (object.kind === 'CustomResourceDefinition') continue
    resolver.walk(object, '', where, object.metadata.namespace)
    if (object.kind === 'StatefulSet')
      resolver.object('Service', (object['spec'] as { serviceName?: string }).serviceName, where)
    if (object.kind === 'Kustomization')
      for (const { name } of (object['spec'] as { dependsOn?: { name: string }[] } | undefined)?.dependsOn ?? [])
        resolver.object('Kustomization', name, where)
  }
  const pods = objects.flatMap(object => podOf(object) ?? [])
  const selectors = selectorProblems(objects, pods)
  const mounts = pods.flatMap(volumeProblems)
  return {
    problems: [...resolver.problems, ...selectors.problems, ...mounts],
    count: resolver.count + selectors.count + pods.length,
  }
}
