/**
 * Scrape jobs from the objects of the Prometheus and VictoriaMetrics operators, as those operators would write them
 * into a configuration: ServiceMonitor, PodMonitor, Probe, ScrapeConfig, VMServiceScrape, VMPodScrape. Source: the
 * operators' public API references.
 */
import { addAll } from '#core/lists.ts'
import type { KubeObject } from '../discovery/kube-watch.ts'
import { labelName } from '../discovery/label-name.ts'

type Json = Readonly<Record<string, unknown>>
/** A scrape_config as prometheus.yml has it. */
export type JobObject = Record<string, unknown>
/** Reads a key of a Secret or ConfigMap beside the object. */
export type ReadReference = (
  kind: 'secrets' | 'configmaps',
  namespace: string,
  name: string,
  key: string,
) => Promise<string>

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : [])
const text = (value: unknown): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : [])
const escaped = (value: string): string => value.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&')

interface Relabel {
  source_labels?: string[]
  separator?: string
  regex?: string
  target_label?: string
  replacement?: string
  action?: string
  modulus?: number
}

/** A selector over labels as relabelling: targets that it does not select are dropped. */
export function selectorRules(selector: unknown, prefix: string): Relabel[] {
  const { matchLabels, matchExpressions } = object(selector)
  const sources = (key: string): string[] => [
    `${prefix}_label_${labelName(key)}`,
    `${prefix}_labelpresent_${labelName(key)}`,
  ]
  const rules: Relabel[] = Object.entries(object(matchLabels))
    .sort()
    .map(([key, value]) => ({ action: 'keep', source_labels: sources(key), regex: `(${escaped(text(value))});true` }))
  for (const { key, operator, values } of list(matchExpressions)) {
    const own = sources(text(key))
    const present = own.slice(1)
    const either = `(${texts(values).map(escaped).join('|')});true`
    switch (operator) {
      case 'In':
        rules.push({ action: 'keep', source_labels: own, regex: either })
        break
      case 'NotIn':
        rules.push({ action: 'drop', source_labels: own, regex: either })
        break
      case 'Exists':
        rules.push({ action: 'keep', source_labels: present, regex: 'true' })
        break
      case 'DoesNotExist':
        rules.push({ action: 'drop', source_labels: present, regex: 'true' })
        break
      default:
    }
  }
  return rules
}

/** Custom relabelling: one operator writes camel case, the other the file's own names. */
function customRules(value: unknown): Relabel[] {
  return list(value).map(rule => {
    const pick = (camel: string, snake: string): unknown => rule[camel] ?? rule[snake]
    const regex = rule['regex']
    return {
      ...(pick('sourceLabels', 'source_labels') === undefined
        ? {}
        : { source_labels: texts(pick('sourceLabels', 'source_labels')) }),
      ...(rule['separator'] === undefined ? {} : { separator: text(rule['separator']) }),
      ...(pick('targetLabel', 'target_label') === undefined
        ? {}
        : { target_label: text(pick('targetLabel', 'target_label')) }),
      ...(regex === undefined ? {} : { regex: Array.isArray(regex) ? texts(regex).join('|') : text(regex) }),
      ...(typeof rule['modulus'] === 'number' && rule['modulus'] > 0 ? { modulus: rule['modulus'] } : {}),
      ...(rule['replacement'] === undefined ? {} : { replacement: text(rule['replacement']) }),
      ...(rule['action'] === undefined ? {} : { action: text(rule['action']).toLowerCase() }),
    }
  })
}

async function referenced(
  read: ReadReference,
  namespace: string,
  selector: unknown,
  kind: 'secrets' | 'configmaps' = 'secrets',
): Promise<string> {
  const { name, key } = object(selector)
  return text(name) === '' ? '' : read(kind, namespace, text(name), text(key))
}

/** A text that a selector of `secret` or `configMap` names. */
async function secretOrConfigMap(selector: Json, namespace: string, read: ReadReference): Promise<string> {
  return (
    (await referenced(read, namespace, selector['secret'])) ||
    (await referenced(read, namespace, selector['configMap'], 'configmaps'))
  )
}

async function oauth2Of(oauth2: Json, namespace: string, read: ReadReference): Promise<JobObject> {
  const id = object(oauth2['clientId'] ?? oauth2['client_id'])
  return {
    client_id: await secretOrConfigMap(id, namespace, read),
    client_secret: await referenced(read, namespace, oauth2['clientSecret'] ?? oauth2['client_secret']),
    token_url: text(oauth2['tokenUrl'] ?? oauth2['token_url']),
    scopes: texts(oauth2['scopes']),
    endpoint_params: object(oauth2['endpointParams'] ?? oauth2['endpoint_params']),
  }
}

/** Certificates and keys as texts where objects have them, else as names of files. */
async function tlsOf(tls: Json, namespace: string, read: ReadReference): Promise<JobObject> {
  const config: JobObject = { insecure_skip_verify: tls['insecureSkipVerify'] === true }
  const put = (name: string, value: string): void => {
    if (value !== '') config[name] = value
  }
  const putEither = (name: string, content: string, file: unknown): void => {
    if (content === '') put(`${name}_file`, text(file))
    else put(name, content)
  }
  put('server_name', text(tls['serverName']))
  putEither('ca', await secretOrConfigMap(object(tls['ca']), namespace, read), tls['caFile'])
  putEither('cert', await secretOrConfigMap(object(tls['cert']), namespace, read), tls['certFile'])
  putEither('key', await referenced(read, namespace, tls['keySecret']), tls['keyFile'])
  return config
}

/** Credentials, TLS, proxies of an endpoint. */
async function clientOf(endpoint: Json, namespace: string, read: ReadReference): Promise<JobObject> {
  const client: JobObject = {}
  const { basicAuth: basic, authorization, oauth2, tlsConfig: tls } = endpoint
  if (basic !== undefined)
    client['basic_auth'] = {
      username: await referenced(read, namespace, object(basic)['username']),
      password: await referenced(read, namespace, object(basic)['password']),
    }
  if (authorization !== undefined)
    client['authorization'] = {
      type: text(object(authorization)['type']) || 'Bearer',
      credentials: await referenced(read, namespace, object(authorization)['credentials']),
    }
  if (text(endpoint['bearerTokenFile']) !== '')
    client['authorization'] = { credentials_file: text(endpoint['bearerTokenFile']) }
  const bearer = await referenced(read, namespace, endpoint['bearerTokenSecret'])
  if (bearer !== '') client['authorization'] = { credentials: bearer }
  if (oauth2 !== undefined) client['oauth2'] = await oauth2Of(object(oauth2), namespace, read)
  if (tls !== undefined) client['tls_config'] = await tlsOf(object(tls), namespace, read)
  const proxyUrl = text(endpoint['proxyUrl'] ?? endpoint['proxyURL'])
  if (proxyUrl !== '') client['proxy_url'] = proxyUrl
  const followRedirects = endpoint['followRedirects'] ?? endpoint['follow_redirects']
  if (followRedirects !== undefined) client['follow_redirects'] = followRedirects
  return client
}

/** Settings that every kind of object has. */
function commonOf(endpoint: Json, spec: Json): JobObject {
  const job: JobObject = {}
  const put = (name: string, value: unknown): void => {
    if (value !== undefined && value !== '' && value !== 0) job[name] = value
  }
  put('scrape_interval', text(endpoint['interval'] ?? endpoint['scrape_interval']))
  put('scrape_timeout', text(endpoint['scrapeTimeout']))
  put('metrics_path', text(endpoint['path'] ?? endpoint['metricsPath']))
  put('scheme', text(endpoint['scheme']).toLowerCase())
  if (endpoint['params'] !== undefined)
    put(
      'params',
      Object.fromEntries(Object.entries(object(endpoint['params'])).map(([name, values]) => [name, texts(values)])),
    )
  put('honor_labels', endpoint['honorLabels'])
  put('honor_timestamps', endpoint['honorTimestamps'])
  put('track_timestamps_staleness', endpoint['trackTimestampsStaleness'])
  put('scrape_protocols', spec['scrapeProtocols'])
  put('fallback_scrape_protocol', spec['fallbackScrapeProtocol'])
  put('scrape_native_histograms', spec['scrapeNativeHistograms'])
  put('always_scrape_classic_histograms', spec['scrapeClassicHistograms'])
  for (const [camel, snake] of [
    ['sampleLimit', 'sample_limit'],
    ['targetLimit', 'target_limit'],
    ['labelLimit', 'label_limit'],
    ['labelNameLengthLimit', 'label_name_length_limit'],
    ['labelValueLengthLimit', 'label_value_length_limit'],
    ['keepDroppedTargets', 'keep_dropped_targets'],
    ['bodySizeLimit', 'body_size_limit'],
  ] as const)
    put(snake, spec[camel] ?? endpoint[camel])
  const metricRules = customRules(endpoint['metricRelabelings'] ?? endpoint['metricRelabelConfigs'])
  if (metricRules.length > 0) job['metric_relabel_configs'] = metricRules
  return job
}

/** Namespaces that a selector means; undefined: all. */
function namespacesOf(selector: unknown, own: string): string[] | undefined {
  const { any, matchNames } = object(selector)
  if (any === true) return undefined
  const names = texts(matchNames)
  return names.length > 0 ? names : [own]
}

function kubernetes(role: string, spec: Json, own: string): JobObject {
  const names = namespacesOf(spec['namespaceSelector'], own)
  const attach = object(spec['attachMetadata'] ?? spec['attach_metadata'])
  return {
    role,
    ...(names === undefined ? {} : { namespaces: { names } }),
    ...(attach['node'] === true ? { attach_metadata: { node: true } } : {}),
  }
}

const copy = (source: string, target: string): Relabel => ({ source_labels: [source], target_label: target })
const dropFinished: Relabel = {
  action: 'drop',
  source_labels: ['__meta_kubernetes_pod_phase'],
  regex: '(Failed|Succeeded)',
}

/** Keeps targets whose label has that value. */
const keep = (label: string, value: string): Relabel => ({ action: 'keep', source_labels: [label], regex: value })

/** Copies a label when it is not empty. */
const copyPresent = (source: string, target: string): Relabel => ({
  source_labels: [source],
  target_label: target,
  regex: '(.+)',
  replacement: '${1}',
})

/** Keeps the container port that a monitor means: by number, or by name. */
function keepContainerPort(port: string | number): Relabel {
  const by = typeof port === 'number' ? 'number' : 'name'
  return keep(`__meta_kubernetes_pod_container_port_${by}`, String(port))
}

/** The node or pod that an address belongs to, as labels of that name. `end`: the prefix of an endpoint's labels. */
const addressTargetRules = (end: string): Relabel[] =>
  (
    [
      ['Node', 'node'],
      ['Pod', 'pod'],
    ] as const
  ).map(([kind, label]) => ({
    source_labels: [`${end}_address_target_kind`, `${end}_address_target_name`],
    separator: ';',
    regex: `${kind};(.*)`,
    replacement: '${1}',
    target_label: label,
  }))

/** Labels of the object become labels of the series. */
const labelRules = (object: 'service' | 'pod', names: unknown): Relabel[] =>
  texts(names).map(name => copyPresent(`__meta_kubernetes_${object}_label_${labelName(name)}`, labelName(name)))

/** `jobLabel` names the label whose value is the job; the last rules are the endpoint's own. */
function closingRules(object: 'service' | 'pod', spec: Json, endpoint: Json, port: string): Relabel[] {
  const jobLabel = text(spec['jobLabel'])
  return [
    ...(jobLabel === '' ? [] : [copyPresent(`__meta_kubernetes_${object}_label_${labelName(jobLabel)}`, 'job')]),
    ...(port === '' ? [] : [{ target_label: 'endpoint', replacement: port }]),
    ...customRules(endpoint['relabelings'] ?? endpoint['relabelConfigs']),
  ]
}

/** Relabelling of an endpoint of a ServiceMonitor; `end`: the prefix of the endpoint's labels. */
function serviceRules(spec: Json, endpoint: Json, end: string): Relabel[] {
  const port = text(endpoint['port'])
  const targetPort = endpoint['targetPort']
  const rules = [copy('job', '__tmp_prometheus_job_name')]
  addAll(rules, selectorRules(spec['selector'], '__meta_kubernetes_service'))
  if (port !== '') rules.push(keep(`${end}_port_name`, port))
  else if (typeof targetPort === 'number' || (typeof targetPort === 'string' && targetPort !== ''))
    rules.push(keepContainerPort(targetPort))
  addAll(rules, [
    ...addressTargetRules(end),
    copy('__meta_kubernetes_namespace', 'namespace'),
    copy('__meta_kubernetes_service_name', 'service'),
    copy('__meta_kubernetes_pod_name', 'pod'),
    copy('__meta_kubernetes_pod_container_name', 'container'),
    ...(endpoint['filterRunning'] === false ? [] : [dropFinished]),
    ...labelRules('service', spec['targetLabels']),
    ...labelRules('pod', spec['podTargetLabels']),
    { source_labels: ['__meta_kubernetes_service_name'], target_label: 'job', replacement: '${1}' },
    ...closingRules('service', spec, endpoint, port || text(targetPort)),
  ])
  return rules
}

/** Relabelling of an endpoint of a PodMonitor. */
function podRules({ namespace = '', name }: KubeObject['metadata'], spec: Json, endpoint: Json): Relabel[] {
  const { portNumber, targetPort } = endpoint
  const port = text(endpoint['port'])
  const rules = [copy('job', '__tmp_prometheus_job_name')]
  if (endpoint['filterRunning'] !== false) rules.push(dropFinished)
  addAll(rules, selectorRules(spec['selector'], '__meta_kubernetes_pod'))
  if (port !== '') rules.push(keepContainerPort(port))
  else if (typeof portNumber === 'number') rules.push(keepContainerPort(portNumber))
  else if (targetPort !== undefined)
    rules.push(keepContainerPort(typeof targetPort === 'number' ? targetPort : text(targetPort)))
  addAll(rules, [
    copy('__meta_kubernetes_namespace', 'namespace'),
    copy('__meta_kubernetes_pod_container_name', 'container'),
    copy('__meta_kubernetes_pod_name', 'pod'),
    ...labelRules('pod', spec['podTargetLabels']),
    { target_label: 'job', replacement: `${namespace}/${name}` },
    ...closingRules('pod', spec, endpoint, port || text(portNumber) || text(targetPort)),
  ])
  return rules
}

/** One job for every endpoint of a monitor. */
async function endpointJobs(
  kindName: string,
  { name, namespace = '' }: KubeObject['metadata'],
  spec: Json,
  endpoints: readonly Json[],
  role: string,
  rulesOf: (endpoint: Json) => Relabel[],
  read: ReadReference,
): Promise<JobObject[]> {
  return Promise.all(
    endpoints.map(async (endpoint, i) => ({
      job_name: `${kindName}/${namespace}/${name}/${i}`,
      ...commonOf(endpoint, spec),
      ...(await clientOf(endpoint, namespace, read)),
      kubernetes_sd_configs: [kubernetes(role, spec, namespace)],
      relabel_configs: rulesOf(endpoint),
    })),
  )
}

async function serviceJobs(
  kindName: string,
  { metadata, spec: specValue }: KubeObject,
  read: ReadReference,
): Promise<JobObject[]> {
  const spec = object(specValue)
  const isSlice =
    spec['serviceDiscoveryRole'] === 'EndpointSlice' ||
    spec['discoveryRole'] === 'endpointslice' ||
    spec['discoveryRole'] === 'endpointslices'
  const role = isSlice ? 'endpointslice' : 'endpoints'
  const end = isSlice ? '__meta_kubernetes_endpointslice' : '__meta_kubernetes_endpoint'
  const rulesOf = (endpoint: Json): Relabel[] => serviceRules(spec, endpoint, end)
  return endpointJobs(kindName, metadata, spec, list(spec['endpoints']), role, rulesOf, read)
}

async function podJobs(
  kindName: string,
  { metadata, spec: specValue }: KubeObject,
  read: ReadReference,
): Promise<JobObject[]> {
  const spec = object(specValue)
  const rulesOf = (endpoint: Json): Relabel[] => podRules(metadata, spec, endpoint)
  return endpointJobs(kindName, metadata, spec, list(spec['podMetricsEndpoints']), 'pod', rulesOf, read)
}

async function probeJobs({ metadata, spec: specValue }: KubeObject, read: ReadReference): Promise<JobObject[]> {
  const spec = object(specValue)
  const { name, namespace = '' } = metadata
  const prober = object(spec['prober'])
  const targets = object(spec['targets'])
  const fixed = object(targets['staticConfig'])
  const ingress = object(targets['ingress'])
  const rules: Relabel[] = [copy('job', '__tmp_prometheus_job_name')]
  const job: JobObject = {
    job_name: `probe/${namespace}/${name}`,
    ...commonOf(
      {
        ...spec,
        path: text(prober['path']) || '/probe',
        scheme: text(prober['scheme']) || 'http',
        metricRelabelings: spec['metricRelabelings'],
      },
      spec,
    ),
    ...(await clientOf({ ...spec, proxyUrl: prober['proxyUrl'] }, namespace, read)),
  }
  if (text(spec['module']) !== '') job['params'] = { module: [text(spec['module'])] }
  if (text(spec['jobName']) !== '') rules.push({ target_label: 'job', replacement: text(spec['jobName']) })
  if (targets['staticConfig'] !== undefined) {
    // Targets of probes are URLs: they go into the parameter, not into the address.
    job['static_configs'] = texts(fixed['static']).map(target => ({
      targets: [text(prober['url'])],
      labels: { ...object(fixed['labels']), namespace, __param_target: target },
    }))
    addAll(rules, [copy('__param_target', 'instance'), ...customRules(fixed['relabelingConfigs'])])
  } else {
    job['kubernetes_sd_configs'] = [
      kubernetes('ingress', { namespaceSelector: ingress['namespaceSelector'] }, namespace),
    ]
    addAll(rules, [
      ...selectorRules(ingress['selector'], '__meta_kubernetes_ingress'),
      {
        source_labels: ['__meta_kubernetes_ingress_scheme', '__address__', '__meta_kubernetes_ingress_path'],
        separator: ';',
        regex: '(.+);(.+);(.+)',
        target_label: '__param_target',
        replacement: '${1}://${2}${3}',
      },
      copy('__meta_kubernetes_namespace', 'namespace'),
      copy('__meta_kubernetes_ingress_name', 'ingress'),
      copy('__param_target', 'instance'),
      { target_label: '__address__', replacement: text(prober['url']) },
      ...customRules(ingress['relabelingConfigs']),
    ])
  }
  job['relabel_configs'] = rules
  return [job]
}

/** ScrapeConfig: the scrape_config of the file, in camel case. */
async function scrapeConfigJobs({ metadata, spec: specValue }: KubeObject, read: ReadReference): Promise<JobObject[]> {
  const spec = object(specValue)
  const { name, namespace = '' } = metadata
  const job: JobObject = {
    job_name: `scrapeConfig/${namespace}/${name}`,
    ...commonOf({ ...spec, interval: spec['scrapeInterval'] }, spec),
    ...(await clientOf(spec, namespace, read)),
  }
  const snake = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(snake)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value).map(([key, inner]) => [
              key.replaceAll(/[A-Z]/g, c => `_${c.toLowerCase()}`),
              key === 'labels' ? inner : snake(inner),
            ]),
          )
        : value
  for (const [camel, file] of [
    ['staticConfigs', 'static_configs'],
    ['fileSDConfigs', 'file_sd_configs'],
    ['httpSDConfigs', 'http_sd_configs'],
    ['dnsSDConfigs', 'dns_sd_configs'],
    ['consulSDConfigs', 'consul_sd_configs'],
    ['dockerSDConfigs', 'docker_sd_configs'],
  ] as const)
    if (spec[camel] !== undefined) job[file] = snake(spec[camel])
  if (spec['kubernetesSDConfigs'] !== undefined)
    job['kubernetes_sd_configs'] = list(snake(spec['kubernetesSDConfigs'])).map(sd => ({
      ...sd,
      role: text(sd['role']).toLowerCase(),
    }))
  const rules: Relabel[] = [copy('job', '__tmp_prometheus_job_name')]
  if (text(spec['jobName']) !== '') rules.push({ target_label: 'job', replacement: text(spec['jobName']) })
  job['relabel_configs'] = [...rules, ...customRules(spec['relabelings'])]
  return [job]
}

/** The kinds that are followed, with the paths of their lists. */
export const operatorKinds = [
  { kind: 'ServiceMonitor', path: '/apis/monitoring.coreos.com/v1/servicemonitors' },
  { kind: 'PodMonitor', path: '/apis/monitoring.coreos.com/v1/podmonitors' },
  { kind: 'Probe', path: '/apis/monitoring.coreos.com/v1/probes' },
  { kind: 'ScrapeConfig', path: '/apis/monitoring.coreos.com/v1alpha1/scrapeconfigs' },
  { kind: 'PrometheusRule', path: '/apis/monitoring.coreos.com/v1/prometheusrules' },
  { kind: 'VMServiceScrape', path: '/apis/operator.victoriametrics.com/v1beta1/vmservicescrapes' },
  { kind: 'VMPodScrape', path: '/apis/operator.victoriametrics.com/v1beta1/vmpodscrapes' },
  { kind: 'VMRule', path: '/apis/operator.victoriametrics.com/v1beta1/vmrules' },
] as const
/** One of them. */
export type OperatorKind = (typeof operatorKinds)[number]['kind']

/** The jobs that an object asks for; none for rules. */
export function jobsOf(kind: OperatorKind, found: KubeObject, read: ReadReference): Promise<JobObject[]> {
  switch (kind) {
    case 'ServiceMonitor':
      return serviceJobs('serviceMonitor', found, read)
    case 'VMServiceScrape':
      return serviceJobs('serviceScrape', found, read)
    case 'PodMonitor':
      return podJobs('podMonitor', found, read)
    case 'VMPodScrape':
      return podJobs('podScrape', found, read)
    case 'Probe':
      return probeJobs(found, read)
    case 'ScrapeConfig':
      return scrapeConfigJobs(found, read)
    default:
      return Promise.resolve([])
  }
}
