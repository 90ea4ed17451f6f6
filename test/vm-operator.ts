/**
 * What the VictoriaMetrics operator makes of its objects, as far as others name it (its documentation, version 0.74):
 * workloads and Services `vmsingle-<name>`, labels by kind and name, a claim for `spec.storage`.
 */
import type { KubeObject } from '#deploy/tree.ts'

interface Kind {
  prefix: string
  workload: 'Deployment' | 'StatefulSet'
  port: number
}

const kinds: Readonly<Record<string, Kind>> = {
  VMSingle: { prefix: 'vmsingle', workload: 'Deployment', port: 8428 },
  VMAgent: { prefix: 'vmagent', workload: 'Deployment', port: 8429 },
  VMAlert: { prefix: 'vmalert', workload: 'Deployment', port: 8080 },
  VMAlertmanager: { prefix: 'vmalertmanager', workload: 'StatefulSet', port: 9093 },
}

interface OperatorSpec {
  port?: string
  replicaCount?: number
  storage?: unknown
  resources?: unknown
  securityContext?: Record<string, unknown>
}

/** Objects that appear beside those of a render. */
export function madeByOperator(objects: readonly KubeObject[]): KubeObject[] {
  return objects.flatMap(object => {
    const kind = kinds[object.kind]
    return kind === undefined ? [] : makeOf(object, kind)
  })
}

function makeOf({ metadata, ...rest }: KubeObject, { prefix, workload, port: standardPort }: Kind): KubeObject[] {
  const spec = rest['spec'] as OperatorSpec
  const { namespace } = metadata
  const name = `${prefix}-${metadata.name}`
  const port = Number(spec.port ?? standardPort)
  const labels = {
    'app.kubernetes.io/name': prefix,
    'app.kubernetes.io/instance': metadata.name,
    'app.kubernetes.io/component': 'monitoring',
    'managed-by': 'vm-operator',
  }
  const own = { name, ...(namespace === undefined ? {} : { namespace }), labels }
  const hasClaim = spec.storage !== undefined
  const container = {
    name: prefix,
    ports: [{ name: 'http', containerPort: port }],
    resources: spec.resources,
    ...(hasClaim ? { volumeMounts: [{ name: 'data', mountPath: '/victoria-metrics-data' }] } : {}),
  }
  const volumes = hasClaim ? [{ name: 'data', persistentVolumeClaim: { claimName: name } }] : []
  return [
    {
      apiVersion: 'apps/v1',
      kind: workload,
      metadata: own,
      spec: {
        replicas: spec.replicaCount ?? 1,
        ...(workload === 'StatefulSet' ? { serviceName: name } : {}),
        template: { metadata: { labels }, spec: { containers: [container], volumes } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: own,
      spec: { selector: labels, ports: [{ name: 'http', port, targetPort: 'http' }] },
    },
    ...(hasClaim ? [{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: own }] : []),
  ]
}
