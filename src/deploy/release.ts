/** One application of a stack: a chart with values, its Secret, and what stands beside it. */
import type { SignalName } from '#core/signal-name.ts'
import type { Stack } from './stack.ts'
import type { KubeObject } from './tree.ts'

export interface Release {
  /** Name of the HelmRelease, of its directory, and of what depends on it. */
  name: string
  chart: { name: string; url: string; version: string }
  values: Record<string, unknown>
  /** Secrets with S3 credentials that it reads, by signal. */
  secrets: readonly { name: string; signal: SignalName }[]
  dependsOn: readonly string[]
  /** Services that the chart makes with these values: name to ports. What it makes is known, not rendered here. */
  services: Readonly<Record<string, readonly number[]>>
  /** Secrets and ConfigMaps that the chart makes, as `Kind/name`. */
  makes: readonly string[]
  /** Objects beside the chart, one file each: file name to objects. */
  objects: Readonly<Record<string, readonly KubeObject[]>>
}

export interface Plan {
  releases: readonly Release[]
  /** What a reader must know before it is applied: a name, and a sentence. */
  warnings: readonly { name: string; text: string }[]
}

/** Charts and their versions, as tried (specs/deploy.md 3.1). */
export const charts = {
  tercet: { name: 'tercet', url: 'oci://ghcr.io/tercet/charts/tercet', version: '0.1.0' },
  k8sStack: {
    name: 'victoria-metrics-k8s-stack',
    url: 'oci://ghcr.io/victoriametrics/helm-charts/victoria-metrics-k8s-stack',
    version: '0.91.2',
  },
  logsCluster: {
    name: 'victoria-logs-cluster',
    url: 'oci://ghcr.io/victoriametrics/helm-charts/victoria-logs-cluster',
    version: '0.2.8',
  },
  tracesSingle: {
    name: 'victoria-traces-single',
    url: 'oci://ghcr.io/victoriametrics/helm-charts/victoria-traces-single',
    version: '0.1.11',
  },
  loki: { name: 'loki', url: 'oci://ghcr.io/grafana-community/helm-charts/loki', version: '18.11.0' },
  tempo: { name: 'tempo', url: 'oci://ghcr.io/grafana-community/helm-charts/tempo', version: '2.2.4' },
  grafana: { name: 'grafana', url: 'oci://ghcr.io/grafana-community/helm-charts/grafana', version: '12.11.1' },
  appTemplate: { name: 'app-template', url: 'oci://ghcr.io/bjw-s-labs/helm/app-template', version: '5.1.0' },
} as const

export const resources = (
  cpu: string,
  memory: string,
  limit: string,
): { requests: { cpu: string; memory: string }; limits: { memory: string } } => ({
  requests: { cpu, memory },
  limits: { memory: limit },
})

/** The restricted pod security standard. */
export const podSecurity = {
  runAsNonRoot: true,
  runAsUser: 10001,
  runAsGroup: 10001,
  fsGroup: 10001,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
} as const
export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const

/** The abstract names, constant across engines. */
export const storeServices: Readonly<Record<SignalName, string>> = {
  metrics: 'metrics-store',
  logs: 'logs-store',
  traces: 'traces-store',
}

/**
 * Where clients send and Grafana asks. These URLs are the same with tercet and lgtm, so that no client is changed:
 * Mimir takes samples at /api/v1/push and queries below /prometheus, which Tercet does too.
 */
export function clientUrls(stack: Stack): Record<SignalName, { push: string; query: string }> {
  if (stack.engine === 'victoria') {
    return {
      metrics: { push: 'http://metrics-store:8428/api/v1/write', query: 'http://metrics-store:8428' },
      logs: { push: 'http://logs-store:9481/insert/loki/api/v1/push', query: 'http://vlselect:9471' },
      traces: {
        push: 'http://traces-store:10428/insert/opentelemetry/v1/traces',
        query: 'http://traces-store:10428/select/jaeger',
      },
    }
  }
  return {
    metrics: { push: 'http://metrics-store:8428/api/v1/push', query: 'http://metrics-store:8428/prometheus' },
    logs: { push: 'http://logs-store:3100/loki/api/v1/push', query: 'http://logs-store:3100' },
    traces: { push: 'http://traces-store:4318', query: 'http://traces-store:3200' },
  }
}

/** A Service by an abstract name in front of somebody else's pods. */
export function storeService(
  signal: SignalName,
  selector: Record<string, string>,
  ports: readonly { name: string; port: number; targetPort: number }[],
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: storeServices[signal],
      labels: { 'app.kubernetes.io/name': storeServices[signal], 'app.kubernetes.io/part-of': 'observability' },
    },
    spec: {
      type: 'ClusterIP',
      selector,
      ports: ports.map(p => ({ name: p.name, port: p.port, targetPort: p.targetPort })),
    },
  }
}

/** What may come in and go out; DNS always may. */
function networkPolicyOf(
  stack: Stack,
  name: string,
  selector: Record<string, string>,
  ports: readonly number[],
): KubeObject {
  const { fromNamespaces, toCidrs } = stack.networkPolicy
  const namespace = (text: string): object => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': text } },
  })
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec: {
      podSelector: { matchLabels: selector },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          from: [{ podSelector: {} }, ...fromNamespaces.map(namespace)],
          ports: ports.map(port => ({ port, protocol: 'TCP' })),
        },
      ],
      egress: [
        {
          to: [namespace('kube-system')],
          ports: [
            { port: 53, protocol: 'UDP' },
            { port: 53, protocol: 'TCP' },
          ],
        },
        { to: [{ podSelector: {} }] },
        ...(toCidrs.length === 0 ? [{}] : [{ to: toCidrs.map(cidr => ({ ipBlock: { cidr } })) }]),
      ],
    },
  }
}

/** The file of a release's network policy, where there is to be one. */
export function policyOf(
  stack: Stack,
  name: string,
  selector: Record<string, string>,
  ports: readonly number[],
): Release['objects'] {
  return stack.networkPolicy.isOn ? { 'networkpolicy.yaml': [networkPolicyOf(stack, name, selector, ports)] } : {}
}

/** The Secret of a signal's keys, where there is a store. */
export function secretsOf({ s3 }: Stack, signal: SignalName): Release['secrets'] {
  return s3 === undefined ? [] : [{ signal, name: s3.secrets[signal] }]
}

/** Host and port of an endpoint, as servers in Go like it. */
export function hostOf(endpoint: string): string {
  return endpoint.replace(/^https?:\/\//, '').replace(/\/+$/, '')
}
