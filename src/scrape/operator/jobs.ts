/**
 * Scrape jobs from the objects of the Prometheus and VictoriaMetrics operators, as those operators would write them
 * into a configuration: ServiceMonitor, PodMonitor, Probe, ScrapeConfig, VMServiceScrape, VMPodScrape. Source: the
 * operators' public API references.
 */
import type { KubeObject } from '../discovery/kube-watch.ts'

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
const labelName = (name: string): string => name.replaceAll(/[^a-zA-Z0-9_]/g, '_')
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

/** A selector over labels as relabelling: what doesn't fit is dropped. */
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
    const either = `(${texts(values).map(escaped).join('|')});true`
    switch (operator) {
      case 'In':
        rules.push({ action: 'keep', source_labels: own, regex: either })
        break
      case 'NotIn':
        rules.push({ action: 'drop', source_labels: own, regex: either })
        break
      case 'Exists':
        rules.push({ action: 'keep', source_labels: [own[1]!], regex: 'true' })
        break
      case 'DoesNotExist':
        rules.push({ action: 'drop', source_labels: [own[1]!], regex: 'true' })
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

/** Credentials, TLS, proxies of an endpoint. */
async function clientOf(endpoint: Json, namespace: string, read: ReadReference): Promise<JobObject> {
  const client: JobObject = {}
  const basic = endpoint['basicAuth']
  const authorization = endpoint['authorization']
  const oauth2 = endpoint['oauth2']
  const tls = endpoint['tlsConfig']
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
  if (oauth2 !== undefined) {
    const own = object(oauth2)
    const id = object(own['clientId'] ?? own['client_id'])
    client['oauth2'] = {
      client_id:
        (await referenced(read, namespace, id['secret'])) ||
        (await referenced(read, namespace, id['configMap'], 'configmaps')),
      client_secret: await referenced(read, namespace, own['clientSecret'] ?? own['client_secret']),
      token_url: text(own['tokenUrl'] ?? own['token_url']),
      scopes: texts(own['scopes']),
      endpoint_params: object(own['endpointParams'] ?? own['endpoint_params']),
    }
  }
  if (tls !== undefined) {
    const own = object(tls)
    const ca = object(own['ca'])
    const cert = object(own['cert'])
    const caText =
      (await referenced(read, namespace, ca['secret'])) ||
      (await referenced(read, namespace, ca['configMap'], 'configmaps'))
    const certText =
      (await referenced(read, namespace, cert['secret'])) ||
      (await referenced(read, namespace, cert['configMap'], 'configmaps'))
    const keyText = await referenced(read, namespace, own['keySecret'])
    client['tls_config'] = {
      insecure_skip_verify: own['insecureSkipVerify'] === true,
      ...(text(own['serverName']) === '' ? {} : { server_name: text(own['serverName']) }),
      ...(caText === '' ? (text(own['caFile']) === '' ? {} : { ca_file: text(own['caFile']) }) : { ca: caText }),
      ...(certText === ''
        ? text(own['certFile']) === ''
          ? {}
          : { cert_file: text(own['certFile']) }
        : { cert: certText }),
      ...(keyText === '' ? (text(own['keyFile']) === '' ? {} : { key_file: text(own['keyFile']) }) : { key: keyText }),
    }
  }
  if (text(endpoint['proxyUrl'] ?? endpoint['proxyURL']) !== '')
    client['proxy_url'] = text(endpoint['proxyUrl'] ?? endpoint['proxyURL'])
  if (endpoint['followRedirects'] !== undefined || endpoint['follow_redirects'] !== undefined)
    client['follow_redirects'] = endpoint['followRedirects'] ?? endpoint['follow_redirects']
  return client
}

/** What every kind says of how to scrape. */
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

async function serviceJobs(
  kindName: string,
  { metadata, spec: specValue }: KubeObject,
  read: ReadReference,
): Promise<JobObject[]> {
  const spec = object(specValue)
  const { name, namespace = '' } = metadata
  const isSlice =
    spec['serviceDiscoveryRole'] === 'EndpointSlice' ||
    spec['discoveryRole'] === 'endpointslice' ||
    spec['discoveryRole'] === 'endpointslices'
  const end = isSlice ? '__meta_kubernetes_endpointslice' : '__meta_kubernetes_endpoint'
  return Promise.all(
    list(spec['endpoints']).map(async (endpoint, i): Promise<JobObject> => {
      const port = text(endpoint['port'])
      const targetPort = endpoint['targetPort']
      const rules: Relabel[] = [
        copy('job', '__tmp_prometheus_job_name'),
        ...selectorRules(spec['selector'], '__meta_kubernetes_service'),
      ]
      if (port !== '') rules.push({ action: 'keep', source_labels: [`${end}_port_name`], regex: port })
      else if (typeof targetPort === 'string' && targetPort !== '')
        rules.push({ action: 'keep', source_labels: ['__meta_kubernetes_pod_container_port_name'], regex: targetPort })
      else if (typeof targetPort === 'number')
        rules.push({
          action: 'keep',
          source_labels: ['__meta_kubernetes_pod_container_port_number'],
          regex: String(targetPort),
        })
      const target = `${end}_address_target`
      for (const [kind, label] of [
        ['Node', 'node'],
        ['Pod', 'pod'],
      ] as const)
        rules.push({
          source_labels: [`${target}_kind`, `${target}_name`],
          separator: ';',
          regex: `${kind};(.*)`,
          replacement: '${1}',
          target_label: label,
        })
      rules.push(
        copy('__meta_kubernetes_namespace', 'namespace'),
        copy('__meta_kubernetes_service_name', 'service'),
        copy('__meta_kubernetes_pod_name', 'pod'),
        copy('__meta_kubernetes_pod_container_name', 'container'),
      )
      if (endpoint['filterRunning'] !== false) rules.push(dropFinished)
      for (const label of texts(spec['targetLabels']))
        rules.push({
          source_labels: [`__meta_kubernetes_service_label_${labelName(label)}`],
          target_label: labelName(label),
          regex: '(.+)',
          replacement: '${1}',
        })
      for (const label of texts(spec['podTargetLabels']))
        rules.push({
          source_labels: [`__meta_kubernetes_pod_label_${labelName(label)}`],
          target_label: labelName(label),
          regex: '(.+)',
          replacement: '${1}',
        })
      rules.push({ source_labels: ['__meta_kubernetes_service_name'], target_label: 'job', replacement: '${1}' })
      const jobLabel = text(spec['jobLabel'])
      if (jobLabel !== '')
        rules.push({
          source_labels: [`__meta_kubernetes_service_label_${labelName(jobLabel)}`],
          target_label: 'job',
          regex: '(.+)',
          replacement: '${1}',
        })
      const shown = port || text(targetPort)
      if (shown !== '') rules.push({ target_label: 'endpoint', replacement: shown })
      rules.push(...customRules(endpoint['relabelings'] ?? endpoint['relabelConfigs']))
      return {
        job_name: `${kindName}/${namespace}/${name}/${i}`,
        ...commonOf(endpoint, spec),
        ...(await clientOf(endpoint, namespace, read)),
        kubernetes_sd_configs: [kubernetes(isSlice ? 'endpointslice' : 'endpoints', spec, namespace)],
        relabel_configs: rules,
      }
    }),
  )
}

async function podJobs(
  kindName: string,
  { metadata, spec: specValue }: KubeObject,
  read: ReadReference,
): Promise<JobObject[]> {
  const spec = object(specValue)
  const { name, namespace = '' } = metadata
  return Promise.all(
    list(spec['podMetricsEndpoints']).map(async (endpoint, i): Promise<JobObject> => {
      const port = text(endpoint['port'])
      const number = endpoint['portNumber']
      const targetPort = endpoint['targetPort']
      const rules: Relabel[] = [copy('job', '__tmp_prometheus_job_name')]
      if (endpoint['filterRunning'] !== false) rules.push(dropFinished)
      rules.push(...selectorRules(spec['selector'], '__meta_kubernetes_pod'))
      if (port !== '')
        rules.push({ action: 'keep', source_labels: ['__meta_kubernetes_pod_container_port_name'], regex: port })
      else if (typeof number === 'number')
        rules.push({
          action: 'keep',
          source_labels: ['__meta_kubernetes_pod_container_port_number'],
          regex: String(number),
        })
      else if (targetPort !== undefined)
        rules.push({
          action: 'keep',
          source_labels: [
            typeof targetPort === 'number'
              ? '__meta_kubernetes_pod_container_port_number'
              : '__meta_kubernetes_pod_container_port_name',
          ],
          regex: text(targetPort),
        })
      rules.push(
        copy('__meta_kubernetes_namespace', 'namespace'),
        copy('__meta_kubernetes_pod_container_name', 'container'),
        copy('__meta_kubernetes_pod_name', 'pod'),
      )
      for (const label of texts(spec['podTargetLabels']))
        rules.push({
          source_labels: [`__meta_kubernetes_pod_label_${labelName(label)}`],
          target_label: labelName(label),
          regex: '(.+)',
          replacement: '${1}',
        })
      rules.push({ target_label: 'job', replacement: `${namespace}/${name}` })
      const jobLabel = text(spec['jobLabel'])
      if (jobLabel !== '')
        rules.push({
          source_labels: [`__meta_kubernetes_pod_label_${labelName(jobLabel)}`],
          target_label: 'job',
          regex: '(.+)',
          replacement: '${1}',
        })
      const shown = port || text(number) || text(targetPort)
      if (shown !== '') rules.push({ target_label: 'endpoint', replacement: shown })
      rules.push(...customRules(endpoint['relabelings'] ?? endpoint['relabelConfigs']))
      return {
        job_name: `${kindName}/${namespace}/${name}/${i}`,
        ...commonOf(endpoint, spec),
        ...(await clientOf(endpoint, namespace, read)),
        kubernetes_sd_configs: [kubernetes('pod', spec, namespace)],
        relabel_configs: rules,
      }
    }),
  )
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
    rules.push(copy('__param_target', 'instance'), ...customRules(fixed['relabelingConfigs']))
  } else {
    job['kubernetes_sd_configs'] = [
      kubernetes('ingress', { namespaceSelector: ingress['namespaceSelector'] }, namespace),
    ]
    rules.push(
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
    )
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
