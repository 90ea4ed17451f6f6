/** Targets from a Kubernetes API, by role. Names of labels as Prometheus documents them. */
import type { Timer } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { KubernetesRole, KubernetesSettings } from './settings.ts'
import type { Discovery, DiscoveryWorld, TargetGroup } from './discovery.ts'
import { accessOf, readKubeconfig, serviceAccountDirectory } from './kube-access.ts'
import { labelName } from './label-name.ts'
import { KubeWatch, type KubeObject, type WatchWorld } from './kube-watch.ts'

type Pairs = [string, string][]
type Kind = KubernetesRole | 'namespace'

const paths: Readonly<Record<Kind, (namespace: string) => string>> = {
  node: () => '/api/v1/nodes',
  namespace: () => '/api/v1/namespaces',
  pod: ns => `/api/v1/${within(ns)}pods`,
  service: ns => `/api/v1/${within(ns)}services`,
  endpoints: ns => `/api/v1/${within(ns)}endpoints`,
  endpointslice: ns => `/apis/discovery.k8s.io/v1/${within(ns)}endpointslices`,
  ingress: ns => `/apis/networking.k8s.io/v1/${within(ns)}ingresses`,
}
function within(namespace: string): string {
  return namespace === '' ? '' : `namespaces/${namespace}/`
}

/** Changes come in bursts: targets are made again when nothing has changed for this long. */
const quietMs = 200

const address = (host: string, port: number | string): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** Labels and annotations of an object, each with a twin that says it is there. */
function described(prefix: string, { metadata }: KubeObject): Pairs {
  const pairs: Pairs = []
  for (const [kind, values] of [
    ['label', metadata.labels],
    ['annotation', metadata.annotations],
  ] as const) {
    for (const [name, value] of Object.entries(values ?? {}))
      pairs.push(
        [`__meta_kubernetes_${prefix}_${kind}_${labelName(name)}`, value],
        [`__meta_kubernetes_${prefix}_${kind}present_${labelName(name)}`, 'true'],
      )
  }
  return pairs
}

interface Container {
  name: string
  image?: string
  ports?: { name?: string; containerPort: number; protocol?: string }[]
  restartPolicy?: string
}
interface Pod extends KubeObject {
  spec?: { nodeName?: string; containers?: Container[]; initContainers?: Container[] }
  status?: {
    podIP?: string
    phase?: string
    hostIP?: string
    conditions?: { type: string; status: string }[]
    containerStatuses?: ContainerStatus[]
    initContainerStatuses?: ContainerStatus[]
  }
}
interface ContainerStatus {
  name: string
  containerID?: string
}
interface Node extends KubeObject {
  spec?: { providerID?: string }
  status?: { addresses?: { type: string; address: string }[]; daemonEndpoints?: { kubeletEndpoint?: { Port: number } } }
}
interface Service extends KubeObject {
  spec?: {
    type?: string
    clusterIP?: string
    externalName?: string
    loadBalancerIP?: string
    ports?: { name?: string; port: number; protocol?: string }[]
  }
}
interface ObjectReference {
  kind?: string
  name?: string
  namespace?: string
}
interface Endpoints extends KubeObject {
  subsets?: {
    addresses?: EndpointAddress[]
    notReadyAddresses?: EndpointAddress[]
    ports?: { name?: string; port: number; protocol?: string; appProtocol?: string }[]
  }[]
}
interface EndpointAddress {
  ip: string
  hostname?: string
  nodeName?: string
  targetRef?: ObjectReference
}
interface EndpointConditions {
  ready?: boolean
  serving?: boolean
  terminating?: boolean
}
interface EndpointSlice extends KubeObject {
  addressType?: string
  ports?: { name?: string; port?: number; protocol?: string; appProtocol?: string }[]
  endpoints?: {
    addresses: string[]
    conditions?: EndpointConditions
    hostname?: string
    nodeName?: string
    zone?: string
    targetRef?: ObjectReference
    deprecatedTopology?: Record<string, string>
  }[]
}
interface Ingress extends KubeObject {
  spec?: {
    ingressClassName?: string
    tls?: { hosts?: string[] }[]
    rules?: { host?: string; http?: { paths?: { path?: string }[] } }[]
  }
}

/** The pair, unless there is no value. */
const present = (name: string, value: string | undefined): Pairs => (value === undefined ? [] : [[name, value]])

/** The object behind an address. */
const targetLabels = (prefix: string, target: ObjectReference | undefined): Pairs =>
  target === undefined
    ? []
    : [
        [`__meta_kubernetes_${prefix}_address_target_kind`, target.kind ?? ''],
        [`__meta_kubernetes_${prefix}_address_target_name`, target.name ?? ''],
      ]

/** The conditions that an endpoint states. */
const conditionLabels = (conditions: EndpointConditions | undefined): Pairs =>
  (['ready', 'serving', 'terminating'] as const).flatMap(name => {
    const value = conditions?.[name]
    return present(
      `__meta_kubernetes_endpointslice_endpoint_conditions_${name}`,
      value === undefined ? undefined : String(value === true),
    )
  })

/** Objects of a cluster as targets of one role; `get` lists the objects of a kind. */
export class KubernetesTargets {
  readonly #role: KubernetesRole
  readonly #attachNode: boolean
  readonly #attachNamespace: boolean
  readonly #get: (kind: Kind) => Iterable<KubeObject>
  #nodes = new Map<string, Node>()
  #namespaces = new Map<string, KubeObject>()

  constructor(
    role: KubernetesRole,
    attachNode: boolean,
    attachNamespace: boolean,
    get: (kind: Kind) => Iterable<KubeObject>,
  ) {
    this.#role = role
    this.#attachNode = attachNode
    this.#attachNamespace = attachNamespace
    this.#get = get
  }

  groups(): TargetGroup[] {
    if (this.#attachNode) this.#nodes = new Map([...this.#get('node')].map(n => [n.metadata.name, n as Node]))
    if (this.#attachNamespace) this.#namespaces = new Map([...this.#get('namespace')].map(n => [n.metadata.name, n]))
    const all = [...this.#get(this.#role)]
    // Objects have the form that the API documents for their kind.
    switch (this.#role) {
      case 'node':
        return all.map(o => this.#node(o as Node))
      case 'pod':
        return all.map(o => this.#pod(o as Pod))
      case 'service':
        return all.map(o => this.#service(o as Service))
      case 'ingress':
        return all.map(o => this.#ingress(o as Ingress))
      case 'endpoints': {
        const more = this.#related()
        return all.map(o => this.#endpoints(o as Endpoints, more))
      }
      case 'endpointslice': {
        const more = this.#related()
        return all.map(o => this.#endpointSlice(o as EndpointSlice, more))
      }
    }
  }

  #group(kind: string, { metadata }: KubeObject, targets: Pairs[], labels: Pairs): TargetGroup {
    const namespace = metadata.namespace ?? ''
    const common: Pairs = namespace === '' ? [] : [['__meta_kubernetes_namespace', namespace]]
    const owner = this.#namespaces.get(namespace)
    if (owner !== undefined) addAll(common, described('namespace', owner))
    return { source: `${kind}/${namespace}/${metadata.name}`, targets, labels: [...common, ...labels] }
  }

  #node(node: Node): TargetGroup {
    const { name } = node.metadata
    const addresses = node.status?.addresses ?? []
    const host = ['InternalIP', 'InternalDNS', 'ExternalIP', 'ExternalDNS', 'LegacyHostIP', 'Hostname']
      .map(type => addresses.find(a => a.type === type)?.address)
      .find(a => a !== undefined)
    const labels: Pairs = [
      ['__meta_kubernetes_node_name', name],
      ['__meta_kubernetes_node_provider_id', node.spec?.providerID ?? ''],
      ...described('node', node),
    ]
    const own: Pairs =
      host === undefined
        ? []
        : [
            ['__address__', address(host, node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? 10250)],
            ['instance', name],
          ]
    const seen = new Set<string>()
    for (const { type, address: text } of addresses)
      if (!seen.has(type)) {
        seen.add(type)
        own.push([`__meta_kubernetes_node_address_${labelName(type)}`, text])
      }
    return this.#group('node', node, host === undefined ? [] : [own], labels)
  }

  #ofNode(name: string | undefined): Pairs {
    const node = this.#attachNode && name !== undefined ? this.#nodes.get(name) : undefined
    return node === undefined ? [] : [['__meta_kubernetes_node_name', node.metadata.name], ...described('node', node)]
  }

  #podLabels(pod: Pod): Pairs {
    const { metadata, status, spec } = pod
    const owner = metadata.ownerReferences?.find(o => o.controller === true)
    return [
      ['__meta_kubernetes_pod_name', metadata.name],
      ['__meta_kubernetes_pod_ip', status?.podIP ?? ''],
      [
        '__meta_kubernetes_pod_ready',
        status?.conditions?.find(c => c.type === 'Ready')?.status.toLowerCase() ?? 'unknown',
      ],
      ['__meta_kubernetes_pod_phase', status?.phase ?? ''],
      ['__meta_kubernetes_pod_node_name', spec?.nodeName ?? ''],
      ['__meta_kubernetes_pod_host_ip', status?.hostIP ?? ''],
      ['__meta_kubernetes_pod_uid', metadata.uid ?? ''],
      ...present('__meta_kubernetes_pod_controller_kind', owner?.kind),
      ...present('__meta_kubernetes_pod_controller_name', owner?.name),
      ...described('pod', pod),
    ]
  }

  #containerLabels(pod: Pod, container: Container, isInit: boolean): Pairs {
    const id =
      [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find(
        s => s.name === container.name,
      )?.containerID ?? ''
    return [
      ['__meta_kubernetes_pod_container_name', container.name],
      ['__meta_kubernetes_pod_container_id', id],
      ['__meta_kubernetes_pod_container_image', container.image ?? ''],
      ['__meta_kubernetes_pod_container_init', String(isInit)],
    ]
  }

  #portLabels(port: { name?: string; containerPort: number; protocol?: string }): Pairs {
    return [
      ['__meta_kubernetes_pod_container_port_name', port.name ?? ''],
      ['__meta_kubernetes_pod_container_port_number', String(port.containerPort)],
      ['__meta_kubernetes_pod_container_port_protocol', port.protocol ?? 'TCP'],
    ]
  }

  #pod(pod: Pod): TargetGroup {
    const ip = pod.status?.podIP ?? ''
    const targets: Pairs[] = []
    if (ip !== '') {
      for (const [list, isInit] of [
        [pod.spec?.containers, false],
        [pod.spec?.initContainers, true],
      ] as const) {
        for (const container of list ?? []) {
          const labels = this.#containerLabels(pod, container, isInit)
          if ((container.ports ?? []).length === 0)
            targets.push([['__address__', ip.includes(':') ? `[${ip}]` : ip], ...labels])
          for (const port of container.ports ?? [])
            targets.push([['__address__', address(ip, port.containerPort)], ...labels, ...this.#portLabels(port)])
        }
      }
    }
    return this.#group('pod', pod, targets, [...this.#podLabels(pod), ...this.#ofNode(pod.spec?.nodeName)])
  }

  #serviceLabels(service: Service | undefined): Pairs {
    return service === undefined
      ? []
      : [['__meta_kubernetes_service_name', service.metadata.name], ...described('service', service)]
  }

  #service(service: Service): TargetGroup {
    const { spec, metadata } = service
    const targets = (spec?.ports ?? []).map((port): Pairs => [
      ['__address__', `${metadata.name}.${metadata.namespace ?? ''}.svc:${port.port}`],
      ['__meta_kubernetes_service_port_name', port.name ?? ''],
      ['__meta_kubernetes_service_port_number', String(port.port)],
      ['__meta_kubernetes_service_port_protocol', port.protocol ?? 'TCP'],
      ['__meta_kubernetes_service_type', spec?.type ?? ''],
      spec?.type === 'ExternalName'
        ? ['__meta_kubernetes_service_external_name', spec.externalName ?? '']
        : ['__meta_kubernetes_service_cluster_ip', spec?.clusterIP ?? ''],
      ...present(
        '__meta_kubernetes_service_loadbalancer_ip',
        spec?.type === 'LoadBalancer' ? (spec.loadBalancerIP ?? '') : undefined,
      ),
    ])
    return this.#group('svc', service, targets, this.#serviceLabels(service))
  }

  /** Services and pods by namespace and name. */
  #related(): { services: Map<string, Service>; pods: Map<string, Pod> } {
    const byName = (list: Iterable<KubeObject>): Map<string, KubeObject> =>
      new Map([...list].map(o => [`${o.metadata.namespace ?? ''}/${o.metadata.name}`, o]))
    return {
      services: byName(this.#get('service')) as Map<string, Service>,
      pods: byName(this.#get('pod')) as Map<string, Pod>,
    }
  }

  /** What the pod behind an endpoint says, and the container that has the port. */
  #behind(
    reference: ObjectReference | undefined,
    namespace: string,
    pods: Map<string, Pod>,
    port: number | undefined,
  ): { labels: Pairs; pod: Pod | undefined } {
    const pod =
      reference?.kind === 'Pod' ? pods.get(`${reference.namespace ?? namespace}/${reference.name ?? ''}`) : undefined
    if (pod === undefined) return { labels: [], pod }
    const labels = this.#podLabels(pod)
    for (const container of pod.spec?.containers ?? []) {
      const found = container.ports?.find(p => p.containerPort === port)
      if (found !== undefined) {
        addAll(labels, [...this.#containerLabels(pod, container, false), ...this.#portLabels(found)])
        break
      }
    }
    return { labels, pod }
  }

  /** Ports of the pods behind that the object doesn't name are targets too. */
  #otherPorts(pods: Map<Pod, Set<number>>, more: Pairs): Pairs[] {
    const targets: Pairs[] = []
    for (const [pod, known] of pods) {
      for (const container of pod.spec?.containers ?? []) {
        for (const port of container.ports ?? [])
          if (!known.has(port.containerPort))
            targets.push([
              ['__address__', address(pod.status?.podIP ?? '', port.containerPort)],
              ...this.#podLabels(pod),
              ...this.#containerLabels(pod, container, false),
              ...this.#portLabels(port),
              ...this.#ofNode(pod.spec?.nodeName),
              ...more,
            ])
      }
    }
    return targets
  }

  #endpoints(
    endpoints: Endpoints,
    { services, pods }: { services: Map<string, Service>; pods: Map<string, Pod> },
  ): TargetGroup {
    const { name, namespace = '' } = endpoints.metadata
    const targets: Pairs[] = []
    const behind = new Map<Pod, Set<number>>()
    for (const { addresses = [], notReadyAddresses = [], ports = [] } of endpoints.subsets ?? []) {
      for (const [list, isReady] of [
        [addresses, 'true'],
        [notReadyAddresses, 'false'],
      ] as const) {
        for (const one of list) {
          for (const port of ports) {
            const { labels, pod } = this.#behind(one.targetRef, namespace, pods, port.port)
            if (pod !== undefined) behind.set(pod, (behind.get(pod) ?? new Set()).add(port.port))
            targets.push([
              ['__address__', address(one.ip, port.port)],
              ['__meta_kubernetes_endpoint_port_name', port.name ?? ''],
              ['__meta_kubernetes_endpoint_port_protocol', port.protocol ?? 'TCP'],
              ['__meta_kubernetes_endpoint_ready', isReady],
              ['__meta_kubernetes_endpoint_node_name', one.nodeName ?? ''],
              ['__meta_kubernetes_endpoint_hostname', one.hostname ?? ''],
              ...targetLabels('endpoint', one.targetRef),
              ...labels,
              ...this.#ofNode(one.nodeName ?? pod?.spec?.nodeName),
            ])
          }
        }
      }
    }
    addAll(targets, this.#otherPorts(behind, []))
    return this.#group('endpoints', endpoints, targets, [
      ['__meta_kubernetes_endpoints_name', name],
      ...described('endpoints', endpoints),
      ...this.#serviceLabels(services.get(`${namespace}/${name}`)),
    ])
  }

  #endpointSlice(
    slice: EndpointSlice,
    { services, pods }: { services: Map<string, Service>; pods: Map<string, Pod> },
  ): TargetGroup {
    const { name, namespace = '', labels: own = {} } = slice.metadata
    const targets: Pairs[] = []
    const behind = new Map<Pod, Set<number>>()
    for (const port of slice.ports ?? []) {
      for (const endpoint of slice.endpoints ?? []) {
        for (const ip of endpoint.addresses) {
          const { labels, pod } = this.#behind(endpoint.targetRef, namespace, pods, port.port)
          if (pod !== undefined) behind.set(pod, (behind.get(pod) ?? new Set()).add(port.port ?? 0))
          targets.push([
            ['__address__', port.port === undefined ? ip : address(ip, port.port)],
            ['__meta_kubernetes_endpointslice_port_name', port.name ?? ''],
            ['__meta_kubernetes_endpointslice_port_protocol', port.protocol ?? 'TCP'],
            ['__meta_kubernetes_endpointslice_port', port.port === undefined ? '' : String(port.port)],
            ['__meta_kubernetes_endpointslice_port_app_protocol', port.appProtocol ?? ''],
            ['__meta_kubernetes_endpointslice_address_type', slice.addressType ?? ''],
            ...conditionLabels(endpoint.conditions),
            ['__meta_kubernetes_endpointslice_endpoint_hostname', endpoint.hostname ?? ''],
            ['__meta_kubernetes_endpointslice_endpoint_node_name', endpoint.nodeName ?? ''],
            ['__meta_kubernetes_endpointslice_endpoint_zone', endpoint.zone ?? ''],
            ...targetLabels('endpointslice', endpoint.targetRef),
            ...labels,
            ...this.#ofNode(endpoint.nodeName ?? pod?.spec?.nodeName),
          ])
        }
      }
    }
    addAll(targets, this.#otherPorts(behind, []))
    return this.#group('endpointslice', slice, targets, [
      ['__meta_kubernetes_endpointslice_name', name],
      ...described('endpointslice', slice),
      ...this.#serviceLabels(services.get(`${namespace}/${own['kubernetes.io/service-name'] ?? ''}`)),
    ])
  }

  #ingress(ingress: Ingress): TargetGroup {
    const secure = new Set((ingress.spec?.tls ?? []).flatMap(t => t.hosts ?? []))
    const isSecure = (host: string): boolean => secure.has(host) || secure.has(`*${host.slice(host.indexOf('.'))}`)
    const targets = (ingress.spec?.rules ?? []).flatMap(rule =>
      (rule.http?.paths ?? [{ path: '/' }]).map((path): Pairs => [
        ['__address__', rule.host ?? ''],
        ['__meta_kubernetes_ingress_scheme', isSecure(rule.host ?? '') ? 'https' : 'http'],
        ['__meta_kubernetes_ingress_host', rule.host ?? ''],
        ['__meta_kubernetes_ingress_path', path.path ?? '/'],
      ]),
    )
    return this.#group('ingress', ingress, targets, [
      ['__meta_kubernetes_ingress_name', ingress.metadata.name],
      ['__meta_kubernetes_ingress_class_name', ingress.spec?.ingressClassName ?? ''],
      ...described('ingress', ingress),
    ])
  }
}

class KubernetesDiscovery implements Discovery {
  readonly #settings: KubernetesSettings
  readonly #world: DiscoveryWorld
  readonly #watches: { kind: Kind; watch: KubeWatch }[] = []
  #timer: Timer | undefined
  #isStopped = false
  #close: () => Promise<void> = () => Promise.resolve()

  constructor(settings: KubernetesSettings, world: DiscoveryWorld) {
    this.#settings = settings
    this.#world = world
  }

  start(onGroups: (groups: readonly TargetGroup[]) => void): void {
    void this.#open(onGroups).catch((error: unknown) => {
      this.#world.log.error("a Kubernetes API can't be asked for targets", { error: messageOf(error) })
    })
  }

  async #open(onGroups: (groups: readonly TargetGroup[]) => void): Promise<void> {
    const { role, attachNode, attachNamespace, selectors, ownNamespace } = this.#settings
    const { kubeconfigFile } = this.#settings
    const path =
      kubeconfigFile === '' || kubeconfigFile.startsWith('/')
        ? kubeconfigFile
        : `${this.#world.directory}/${kubeconfigFile}`
    const { apiServer, client: settings } =
      path === ''
        ? accessOf(this.#settings.apiServer, this.#settings.client, this.#world.env)
        : readKubeconfig(Buffer.from(await this.#world.files.read(path)).toString('utf8'), path)
    const client = this.#world.client(settings)
    this.#close = () => client.close()
    const world: WatchWorld = { clock: this.#world.clock, log: this.#world.log, client, apiServer }
    const namespaces = [...this.#settings.namespaces]
    if (ownNamespace)
      namespaces.push(
        Buffer.from(await this.#world.files.read(`${serviceAccountDirectory(this.#world.env)}/namespace`))
          .toString('utf8')
          .trim(),
      )
    const kinds: Kind[] = role === 'endpoints' || role === 'endpointslice' ? [role, 'service', 'pod'] : [role]
    if (attachNode && role !== 'node') kinds.push('node')
    if (attachNamespace) kinds.push('namespace')
    const targets = new KubernetesTargets(role, attachNode, attachNamespace, kind =>
      this.#watches.filter(w => w.kind === kind).flatMap(w => [...w.watch.objects.values()]),
    )
    const changed = (): void => {
      if (this.#isStopped || !this.#watches.every(w => w.watch.isSynced)) return
      this.#timer?.cancel()
      this.#timer = this.#world.clock.after(quietMs, () => {
        if (!this.#isStopped) onGroups(targets.groups())
      })
    }
    for (const kind of kinds) {
      const selector = selectors.find(s => s.role === kind) ?? { label: '', field: '' }
      for (const namespace of kind === 'node' || kind === 'namespace' || namespaces.length === 0 ? [''] : namespaces)
        this.#watches.push({ kind, watch: new KubeWatch(world, paths[kind](namespace), selector, changed) })
    }
    if (this.#isStopped) return
    for (const { watch } of this.#watches) watch.start()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await Promise.all(this.#watches.map(({ watch }) => watch.stop()))
    await this.#close()
  }
}

/** Watches the objects of a role, and those whose labels its targets get. */
export function kubernetesDiscovery(settings: KubernetesSettings, world: DiscoveryWorld): Discovery {
  return new KubernetesDiscovery(settings, world)
}
