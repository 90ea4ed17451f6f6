/** Grafana's data sources, in every form that Grafana takes them. Their uids never change, whatever the engine is. */
import { authSecretsOf, clientUrls, resources, type Release } from './release.ts'
import type { Stack } from './stack.ts'
import { defined, documents, yamlText, type FileTree, type KubeObject } from './tree.ts'
import { charts } from './versions.ts'

/** Escaped for Grafana, which expands $NAME in provisioning files. */
const rawValue = '$$' + '{__value.raw}'
const noSubstitution = { 'kustomize.toolkit.fluxcd.io/substitute': 'disabled' } as const

export interface DataSource {
  name: string
  uid: string
  type: string
  access: 'proxy'
  url: string
  isDefault?: boolean
  editable: false
  jsonData: Record<string, unknown>
  basicAuth?: true
  basicAuthUser?: string
  secureJsonData?: Record<string, string>
}

/** Grafana expands them when it reads its data sources. */
const userVariable = 'TERCET_USERNAME'
const passwordVariable = 'TERCET_PASSWORD'

type Source = Pick<DataSource, 'name' | 'uid' | 'type' | 'url' | 'jsonData'> & { isDefault?: boolean }

/** URLs as the server has them; `rename` changes them for where Grafana is. */
export function dataSources(stack: Stack, rename: (url: string) => string = url => url): DataSource[] {
  const { orgId } = stack.grafana
  // A tenant goes along as a header whose value is no part of the URL; credentials are variables of Grafana's.
  const secure = {
    ...(orgId === '' ? {} : { httpHeaderValue1: orgId }),
    ...(stack.authSecret === '' ? {} : { basicAuthPassword: `$${passwordVariable}` }),
  }
  const sources = [metricsSource(stack), logsSource(stack), tracesSource(stack)].filter(s => s !== undefined)
  return sources.map(({ name, uid, type, url, isDefault, jsonData }) => ({
    name,
    uid,
    type,
    access: 'proxy',
    url: rename(url),
    ...(isDefault === true ? { isDefault } : {}),
    editable: false,
    ...(stack.authSecret === '' ? {} : { basicAuth: true as const, basicAuthUser: `$${userVariable}` }),
    jsonData: { ...defined(jsonData), ...(orgId === '' ? {} : { httpHeaderName1: 'X-Scope-OrgID' }) },
    ...(Object.keys(secure).length === 0 ? {} : { secureJsonData: secure }),
  }))
}

function metricsSource(stack: Stack): Source | undefined {
  if (!stack.signals.includes('metrics')) return undefined
  return {
    name: 'Metrics',
    uid: 'tercet-metrics',
    type: 'prometheus',
    url: clientUrls(stack).metrics.query,
    isDefault: true,
    jsonData: {
      httpMethod: 'POST',
      timeInterval: stack.scrape.interval,
      prometheusType: stack.engine === 'lgtm' ? 'Mimir' : 'Prometheus',
      exemplarTraceIdDestinations: stack.signals.includes('traces')
        ? exemplarLabels.map(name => ({ name, datasourceUid: 'tercet-traces' }))
        : undefined,
    },
  }
}

/** Labels of exemplars that hold a trace's id: of those that are sent, and of those that are made of spans. */
const exemplarLabels = ['trace_id', 'traceID'] as const

/** Makes a link to the trace of a line's trace id. */
const traceIdField = {
  name: 'trace_id',
  matcherType: 'regex',
  matcherRegex: '"?trace_?[iI][dD]"?[=:]\\s*"?(\\w+)',
  url: rawValue,
  urlDisplayLabel: 'View trace',
  datasourceUid: 'tercet-traces',
} as const

function logsSource(stack: Stack): Source | undefined {
  if (!stack.signals.includes('logs')) return undefined
  return {
    name: 'Logs',
    uid: 'tercet-logs',
    type: stack.engine === 'victoria' ? 'victoriametrics-logs-datasource' : 'loki',
    url: clientUrls(stack).logs.query,
    jsonData: { maxLines: 1000, derivedFields: stack.signals.includes('traces') ? [traceIdField] : undefined },
  }
}

const linkToLogs = {
  datasourceUid: 'tercet-logs',
  spanStartTimeShift: '-5m',
  spanEndTimeShift: '5m',
  tags: [{ key: 'service.name', value: 'service_name' }],
  filterByTraceID: true,
  filterBySpanID: false,
} as const
const linkToMetrics = {
  datasourceUid: 'tercet-metrics',
  spanStartTimeShift: '-5m',
  spanEndTimeShift: '5m',
  tags: [{ key: 'service.name', value: 'service' }],
  queries: [{ name: 'Rate', query: 'sum(rate(traces_spanmetrics_calls_total{$$__tags}[5m]))' }],
} as const

function tracesSource(stack: Stack): Source | undefined {
  if (!stack.signals.includes('traces')) return undefined
  const isJaeger = stack.engine === 'victoria'
  const hasMetrics = stack.signals.includes('metrics')
  return {
    name: 'Traces',
    uid: 'tercet-traces',
    type: isJaeger ? 'jaeger' : 'tempo',
    url: clientUrls(stack).traces.query,
    jsonData: {
      tracesToLogsV2: stack.signals.includes('logs') ? linkToLogs : undefined,
      tracesToMetrics: hasMetrics ? linkToMetrics : undefined,
      nodeGraph: { enabled: true },
      serviceMap: hasMetrics && !isJaeger ? { datasourceUid: 'tercet-metrics' } : undefined,
      search: isJaeger ? undefined : { hide: false },
    },
  }
}

/** What Grafana reads from /etc/grafana/provisioning/datasources. */
export function provisioning(stack: Stack, rename?: (url: string) => string): Record<string, unknown> {
  return { apiVersion: 1, prune: true, datasources: dataSources(stack, rename) }
}

/** In another namespace than the stores the short names don't resolve. */
function inNamespace(stack: Stack): (url: string) => string {
  return stack.grafana.namespace === stack.namespace
    ? url => url
    : url => url.replace(/^(https?:\/\/)([a-z0-9-]+)(?=[:/]|$)/, `$1$2.${stack.namespace}`)
}

/** For the sidecar of Grafana's chart, which loads ConfigMaps with this label. */
export function dataSourceConfigMap(stack: Stack): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'grafana-datasources-observability',
      namespace: stack.grafana.namespace,
      labels: { grafana_datasource: '1' },
      annotations: { ...noSubstitution },
    },
    data: { 'observability.yaml': yamlText(provisioning(stack, inNamespace(stack))) },
  }
}

/** Values of Grafana's chart. */
export function grafanaValues(stack: Stack): Record<string, unknown> {
  const { authSecret } = stack
  const key = (name: string): object => ({ secretKeyRef: { name: authSecret, key: name } })
  return {
    ...(authSecret === ''
      ? {}
      : { envValueFrom: { [userVariable]: key('username'), [passwordVariable]: key('password') } }),
    datasources: { 'datasources.yaml': provisioning(stack, inNamespace(stack)) },
  }
}

/** Objects of grafana-operator. */
export function operatorSources(stack: Stack): KubeObject[] {
  return dataSources(stack, inNamespace(stack)).map(source => ({
    apiVersion: 'grafana.integreatly.org/v1beta1',
    kind: 'GrafanaDatasource',
    metadata: { name: source.uid, namespace: stack.grafana.namespace, annotations: { ...noSubstitution } },
    // The operator hands them to Grafana's API, which expands nothing.
    spec: {
      instanceSelector: { matchLabels: { dashboards: 'grafana' } },
      uid: source.uid,
      datasource: unescaped({ ...withOperatorCredentials(source), uid: undefined }),
      ...credentialsOf(stack),
    },
  }))
}

/** The operator replaces `${key}` with what the Secret of the object's namespace has. */
function credentialsOf({ authSecret }: Stack): Record<string, unknown> {
  if (authSecret === '') return {}
  const from = (key: string): object => ({ secretKeyRef: { name: authSecret, key } })
  return {
    valuesFrom: [
      { targetPath: 'basicAuthUser', valueFrom: from('username') },
      { targetPath: 'secureJsonData.basicAuthPassword', valueFrom: from('password') },
    ],
  }
}

function withOperatorCredentials(source: DataSource): DataSource {
  if (source.basicAuth !== true) return source
  const secureJsonData = { ...source.secureJsonData, basicAuthPassword: '${password}' }
  return { ...source, basicAuthUser: '${username}', secureJsonData }
}

function unescaped(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$$', '$')
  if (Array.isArray(value)) return value.map(unescaped)
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(
        Object.entries(value)
          .filter(([, v]) => v !== undefined)
          .map(([k, v]) => [k, unescaped(v)]),
      )
    : value
}

/** Grafana itself, where the stack is to bring it. */
export function grafanaRelease(stack: Stack, dependsOn: readonly string[]): Release {
  return {
    name: 'grafana',
    namespace: stack.grafana.namespace,
    chart: charts.grafana,
    // In its own namespace it reads its own copy.
    secrets: stack.grafana.namespace === stack.namespace ? [] : authSecretsOf(stack),
    dependsOn,
    services: { grafana: [80] },
    makes: ['Secret/grafana'],
    objects: {},
    values: {
      fullnameOverride: 'grafana',
      // An umbrella has one namespace.
      ...(stack.grafana.namespace === stack.namespace ? {} : { namespaceOverride: stack.grafana.namespace }),
      image: { tag: stack.grafana.tag },
      replicas: 1,
      resources: resources('100m', '256Mi', '1Gi'),
      testFramework: { enabled: false },
      // Dashboards come in ConfigMaps: ours, and those of the Victoria stack.
      sidecar: {
        resources: resources('10m', '64Mi', '128Mi'),
        dashboards: { enabled: true, searchNamespace: stack.namespace },
      },
      'grafana.ini': { analytics: { reporting_enabled: false, check_for_updates: false } },
      ...(stack.engine === 'victoria' && stack.signals.includes('logs')
        ? { plugins: ['victoriametrics-logs-datasource'] }
        : {}),
      ...grafanaValues(stack),
    },
  }
}

/** Every form, for a Grafana that is there already. */
export function renderGrafana(stack: Stack): FileTree {
  const tree: FileTree = new Map()
  tree.set(
    'provisioning/datasources/observability.yaml',
    yamlText(
      provisioning(stack, inNamespace(stack)),
      'For /etc/grafana/provisioning/datasources of a Grafana that reaches these hosts.',
    ),
  )
  tree.set('chart-values.yaml', yamlText(grafanaValues(stack), 'Values for the chart grafana.'))
  tree.set(
    'configmap.yaml',
    yamlText(dataSourceConfigMap(stack), "For Grafana's sidecar, which loads ConfigMaps with this label."),
  )
  tree.set(
    'values-configmap.yaml',
    yamlText(
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {
          name: 'grafana-datasources-values',
          namespace: stack.grafana.namespace,
          annotations: { ...noSubstitution },
        },
        data: { 'values.yaml': yamlText(grafanaValues(stack)) },
      },
      'For `valuesFrom` of a HelmRelease: [{ kind: ConfigMap, name: grafana-datasources-values }].',
    ),
  )
  tree.set('grafanadatasources.yaml', documents(operatorSources(stack)))
  return tree
}
