/** One application of a stack: a chart with values, its Secret, and what stands beside it. */
import type { SignalName } from '#core/signal-name.ts'
import type { Stack } from './stack.ts'
import type { KubeObject } from './tree.ts'
import type { Chart } from './versions.ts'

/** A Secret that a release reads. */
export interface SecretSpec {
  name: string
  /** What it has to have. */
  keys: readonly string[]
  /** Its content, where stack.yaml itself has it; otherwise it is given beside it, or there already. */
  content?: Readonly<Record<string, string>>
}

export interface Release {
  /** Name of the HelmRelease, of its directory, and of what depends on it. */
  name: string
  /** Where it runs, if not in the namespace of the stack. */
  namespace?: string
  chart: Chart | 'tercet'
  values: Record<string, unknown>
  secrets: readonly SecretSpec[]
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

/** For charts whose containers have a user of their own, which would win over the pod's. */
export const ownUserSecurity = {
  ...containerSecurity,
  runAsNonRoot: true,
  runAsUser: podSecurity.runAsUser,
  runAsGroup: podSecurity.runAsGroup,
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

/** As Kubernetes has it, as far as we need it. */
export interface LabelSelector {
  matchLabels: Readonly<Record<string, string>>
  matchExpressions?: readonly { key: string; operator: 'In'; values: readonly string[] }[]
}

/** What may come in and go out; DNS always may. */
function networkPolicyOf(stack: Stack, name: string, selector: LabelSelector, ports: readonly number[]): KubeObject {
  const { fromNamespaces, toCidrs } = stack.networkPolicy
  const namespace = (text: string): object => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': text } },
  })
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec: {
      podSelector: selector,
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
  selector: LabelSelector,
  ports: readonly number[],
): Release['objects'] {
  return stack.networkPolicy.isOn ? { 'networkpolicy.yaml': [networkPolicyOf(stack, name, selector, ports)] } : {}
}

/** The Secret of a signal's keys, where there is a store. */
export function secretsOf({ s3 }: Stack, signal: SignalName): Release['secrets'] {
  return s3 === undefined ? [] : [{ name: s3.secrets[signal], keys: ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'] }]
}

/** The credentials that the API asks for. */
export function authSecretsOf({ authSecret }: Stack): Release['secrets'] {
  return authSecret === '' ? [] : [{ name: authSecret, keys: ['username', 'password'] }]
}

/** Host and port of an endpoint, as servers in Go like it. */
export function hostOf(endpoint: string): string {
  return endpoint.replace(/^https?:\/\//, '').replace(/\/+$/, '')
}
