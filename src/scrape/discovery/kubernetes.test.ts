/** Objects of a Kubernetes API, as it answers them, and the targets of each role. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parse } from 'yaml'
import type { KubeObject } from './kube-watch.ts'
import { KubernetesTargets } from './kubernetes.ts'
import type { KubernetesRole } from './settings.ts'

const objects: Readonly<Record<string, readonly string[]>> = {
  node: [
    `
metadata: { name: n1, labels: { kubernetes.io/arch: amd64 } }
spec: { providerID: p }
status: { addresses: [{ type: Hostname, address: host }, { type: InternalIP, address: 10.0.0.1 }],
  daemonEndpoints: { kubeletEndpoint: { Port: 10251 } } }
`,
    'metadata: { name: n2 }',
  ],
  pod: [
    `
metadata: { name: web-1, namespace: shop, uid: u, labels: { app: web }, annotations: { a/b: c },
  ownerReferences: [{ kind: ReplicaSet, name: web, controller: true }] }
spec: { nodeName: n1, containers: [
  { name: app, image: img, ports: [{ name: http, containerPort: 80 }, { containerPort: 81 }] },
  { name: side }],
  initContainers: [{ name: init, ports: [{ containerPort: 9 }] }] }
status: { podIP: 10.1.0.1, phase: Running, hostIP: 10.0.0.1, conditions: [{ type: Ready, status: 'True' }],
  containerStatuses: [{ name: app, containerID: 'containerd://1' }] }
`,
    'metadata: { name: pending, namespace: shop }\nspec: { containers: [{ name: app }] }\nstatus: { phase: Pending }',
  ],
  service: [
    `
metadata: { name: web, namespace: shop, labels: { app: web } }
spec: { type: LoadBalancer, clusterIP: 10.2.0.1, loadBalancerIP: 1.2.3.4,
  ports: [{ name: http, port: 80, protocol: TCP }] }
`,
  ],
  endpoints: [
    `
metadata: { name: web, namespace: shop }
subsets: [{ addresses: [{ ip: 10.1.0.1, nodeName: n1, targetRef: { kind: Pod, name: web-1, namespace: shop } }],
  notReadyAddresses: [{ ip: 10.1.0.2, hostname: h }], ports: [{ name: http, port: 80 }] }]
`,
  ],
  endpointslice: [
    `
metadata: { name: web-x, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: http, port: 80, appProtocol: h2c }]
endpoints: [{ addresses: [10.1.0.1], conditions: { ready: true, serving: false }, nodeName: n1, zone: z,
  targetRef: { kind: Pod, name: web-1, namespace: shop } }]
`,
  ],
  ingress: [
    `
metadata: { name: i, namespace: shop }
spec: { ingressClassName: nginx, tls: [{ hosts: ['*.example'] }],
  rules: [{ host: a.example, http: { paths: [{ path: /x }, {}] } }, { host: plain }] }
`,
  ],
  namespace: ['metadata: { name: shop, labels: { team: t } }'],
}

/** Every target of a role as its labels without their common prefix; labels of metadata only where `isWanted`. */
function targetsOf(role: KubernetesRole, attachNode = false, attachNamespace = false): Record<string, string>[] {
  const targets = new KubernetesTargets(role, attachNode, attachNamespace, kind =>
    (objects[kind] ?? []).map(text => parse(text) as KubeObject),
  )
  return targets
    .groups()
    .flatMap(group =>
      group.targets.map(target =>
        Object.fromEntries(
          [...group.labels, ...target].map(([name, value]) => [name.replace('__meta_kubernetes_', ''), value]),
        ),
      ),
    )
}
/** The values of some labels of each target, in one line. */
const shown = (targets: Record<string, string>[], ...names: string[]): string[] =>
  targets.map(target => names.map(name => target[name] ?? '-').join(' '))

test('node: one target, at the first address by preference, with the port of its kubelet', () => {
  const nodes = targetsOf('node')
  assert.deepEqual(
    shown(nodes, '__address__', 'instance', 'node_name', 'node_provider_id', 'node_label_kubernetes_io_arch'),
    ['10.0.0.1:10251 n1 n1 p amd64'],
  )
  assert.deepEqual(shown(nodes, 'node_address_Hostname', 'node_labelpresent_kubernetes_io_arch'), ['host true'])
})

test('pod: a target for every port of every container, one where it has none; none without an address', () => {
  const pods = targetsOf('pod', true)
  assert.deepEqual(shown(pods, '__address__', 'pod_container_name', 'pod_container_port_name', 'pod_container_init'), [
    '10.1.0.1:80 app http false',
    '10.1.0.1:81 app  false',
    '10.1.0.1 side - false',
    '10.1.0.1:9 init  true',
  ])
  const [first] = pods
  assert.deepEqual(
    shown(
      first === undefined ? [] : [first],
      'namespace',
      'pod_name',
      'pod_ready',
      'pod_phase',
      'pod_controller_kind',
      'pod_label_app',
      'pod_annotation_a_b',
      'pod_container_id',
      'node_name',
    ),
    ['shop web-1 true Running ReplicaSet web c containerd://1 n1'],
  )
})

test('service: a target for every port, by its name in the cluster', () => {
  assert.deepEqual(
    shown(
      targetsOf('service', false, true),
      '__address__',
      'service_type',
      'service_cluster_ip',
      'service_loadbalancer_ip',
      'namespace_label_team',
    ),
    ['web.shop.svc:80 LoadBalancer 10.2.0.1 1.2.3.4 t'],
  )
})

test('endpoints: addresses by port, ready or not, with their pods; other ports of those pods too', () => {
  const names = [
    '__address__',
    'endpoint_ready',
    'endpoint_port_name',
    'endpoint_hostname',
    'pod_name',
    'service_label_app',
  ]
  assert.deepEqual(shown(targetsOf('endpoints'), ...names), [
    '10.1.0.1:80 true http  web-1 web',
    '10.1.0.2:80 false http h - web',
    '10.1.0.1:81 - - - web-1 web',
  ])
})

test('endpointslice: addresses by port, with the conditions that it states', () => {
  const conditions = ['ready', 'serving', 'terminating'].map(name => `endpointslice_endpoint_conditions_${name}`)
  const names = [
    '__address__',
    ...conditions,
    'endpointslice_port_app_protocol',
    'service_name',
    'endpointslice_address_target_kind',
  ]
  assert.deepEqual(shown(targetsOf('endpointslice'), ...names), [
    '10.1.0.1:80 true false - h2c web Pod',
    '10.1.0.1:81 - - - - web -',
  ])
})

test('ingress: a target for every path of every host, secure where a certificate covers the host', () => {
  const names = ['__address__', 'ingress_scheme', 'ingress_path', 'ingress_class_name']
  assert.deepEqual(shown(targetsOf('ingress'), ...names), [
    'a.example https /x nginx',
    'a.example https / nginx',
    'plain http / nginx',
  ])
})
