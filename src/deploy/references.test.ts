/** What a render names and is not there. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { findUnresolved } from './references.ts'
import type { KubeObject } from './tree.ts'

const object = (kind: string, name: string, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name },
  ...more,
})
const pods = (ports: object[], labels = { app: 'a' }): object => ({
  spec: { template: { metadata: { labels }, spec: { containers: [{ name: 'c', ports }] } } },
})
const service = (port: number, targetPort: number | string, selector: object = { app: 'a' }): KubeObject =>
  object('Service', 'store', { spec: { selector, ports: [{ port, targetPort }] } })

const config = (text: string): KubeObject => object('ConfigMap', 'config', { data: { 'x.yaml': text } })
const known = {
  services: { charted: [8428] },
  external: ['Secret/made', 'Service/by-hand:9090', 'host:s3.example.net'],
}

const cases: readonly (readonly [name: string, objects: readonly KubeObject[], problems: readonly string[]])[] = [
  ['nothing', [], []],
  ['a Service of a chart, at its port', [config('http://charted:8428/api')], []],
  ['a Service by hand', [config('url: http://by-hand:9090')], []],
  ['a Service of this render', [config('http://store:80'), service(80, 8428)], []],
  ['a host that is declared', [config('https://s3.example.net/bucket')], []],
  ['an address of S3 is no host', [config('s3://mimir-blocks')], []],
  ['this pod itself', [config('http://localhost:1')], []],
  [
    'a Service that is not there',
    [config('http://nobody:80/x')],
    ['ConfigMap/config: no Service nobody for http://nobody:80'],
  ],
  [
    'another port',
    [config('http://charted:9090')],
    ['ConfigMap/config: the Service charted has no port 9090; it has 8428'],
  ],
  [
    'the port of the scheme',
    [config('https://charted')],
    ['ConfigMap/config: the Service charted has no port 443; it has 8428'],
  ],
  [
    'a host outside',
    [config('https://elsewhere.example.net')],
    ['ConfigMap/config: the host elsewhere.example.net is neither a Service of this render nor declared external'],
  ],
  [
    'a Secret',
    [
      object('Pod', 'p', {
        spec: { volumes: [{ secret: { secretName: 'gone' } }, { secret: { secretName: 'made' } }] },
      }),
    ],
    ['Pod/p: Secret gone is neither rendered nor declared external'],
  ],
  [
    'an optional Secret',
    [object('Pod', 'p', { spec: { env: [{ valueFrom: { secretKeyRef: { name: 'gone', optional: true } } }] } })],
    [],
  ],
  [
    'an account and a claim',
    [
      object('Pod', 'p', {
        spec: { serviceAccountName: 'a', volumes: [{ persistentVolumeClaim: { claimName: 'b' } }] },
      }),
    ],
    [
      'Pod/p: ServiceAccount a is neither rendered nor declared external',
      'Pod/p: PersistentVolumeClaim b is neither rendered nor declared external',
    ],
  ],
  [
    'an application that another one waits for',
    [object('Kustomization', 'k', { spec: { dependsOn: [{ name: 'k' }, { name: 'gone' }] } })],
    ['Kustomization/k: Kustomization gone is neither rendered nor declared external'],
  ],
  ['a Service finds its pods', [service(80, 8428), object('Deployment', 'd', pods([{ containerPort: 8428 }]))], []],
  [
    'by the name of a port',
    [service(80, 'http'), object('Deployment', 'd', pods([{ name: 'http', containerPort: 1 }]))],
    [],
  ],
  [
    'a selector of no pods',
    [service(80, 8428, { app: 'b' }), object('Deployment', 'd', pods([{ containerPort: 8428 }]))],
    ['Service/store: its selector finds no pods'],
  ],
  [
    'a port that no container has',
    [service(80, 9090), object('Deployment', 'd', pods([{ containerPort: 8428 }]))],
    ['Service/store: no container has the port 9090'],
  ],
]
for (const [name, objects, problems] of cases)
  test(`${name}: ${problems.length === 0 ? 'is there' : 'is missed'}`, () => {
    assert.deepEqual(findUnresolved(objects, known), problems)
  })
