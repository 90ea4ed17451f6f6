/**
 * prometheus.yml, and files of scrape configurations: what is to be scraped, how, and found where. Source:
 * Prometheus' public configuration documentation.
 */
import { BadDataError } from '#core/errors.ts'

import { quote } from '#core/text.ts'
import { readRelabelRules, type RelabelRule } from '#lang/relabel/relabel.ts'
import { readHttpClient, type HttpClientSettings } from '#lang/settings/http-client.ts'
import { parseSettings, type Section, type Setting } from '#lang/settings/section.ts'

export interface StaticGroup {
  targets: string[]
  labels: [string, string][]
}
export type DiscoverySettings =
  | { kind: 'static'; groups: StaticGroup[] }
  | { kind: 'file'; files: string[]; refreshMs: number }
  | { kind: 'http'; url: string; refreshMs: number; client: HttpClientSettings }
  | { kind: 'dns'; names: string[]; type: 'SRV' | 'A' | 'AAAA' | 'MX' | 'NS'; port: number; refreshMs: number }
  | KubernetesSettings
  | {
      kind: 'docker'
      host: string
      port: number
      hostNetworkingHost: string
      matchFirstNetwork: boolean
      filters: [string, string[]][]
      refreshMs: number
      client: HttpClientSettings
    }
  | {
      kind: 'consul'
      url: string
      token: string
      datacenter: string
      namespace: string
      partition: string
      tagSeparator: string
      services: string[]
      tags: string[]
      nodeMeta: [string, string][]
      filter: string
      allowStale: boolean
      refreshMs: number
      client: HttpClientSettings
    }

export const kubernetesRoles = ['node', 'pod', 'service', 'endpoints', 'endpointslice', 'ingress'] as const
export type KubernetesRole = (typeof kubernetesRoles)[number]
export interface KubernetesSettings {
  kind: 'kubernetes'
  role: KubernetesRole
  /** Empty: the cluster that the process runs in. */
  apiServer: string
  kubeconfigFile: string
  namespaces: string[]
  ownNamespace: boolean
  selectors: { role: string; label: string; field: string }[]
  attachNode: boolean
  attachNamespace: boolean
  client: HttpClientSettings
}

export const scrapeProtocols = [
  'PrometheusProto',
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
] as const
export type ScrapeProtocol = (typeof scrapeProtocols)[number]
const defaultProtocols: readonly ScrapeProtocol[] = [
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
]
const histogramProtocols: readonly ScrapeProtocol[] = ['PrometheusProto', ...defaultProtocols]

export interface ScrapeJob {
  jobName: string
  intervalMs: number
  timeoutMs: number
  protocols: readonly ScrapeProtocol[]
  fallbackProtocol: ScrapeProtocol | undefined
  nativeHistograms: boolean
  classicHistograms: boolean
  /** Classic histograms become native ones with custom buckets. */
  customBuckets: boolean
  metricsPath: string
  scheme: string
  params: [string, string[]][]
  honorLabels: boolean
  honorTimestamps: boolean
  trackTimestampsStaleness: boolean
  enableCompression: boolean
  /** 0: no limit. */
  bodySizeLimit: number
  sampleLimit: number
  labelLimit: number
  labelNameLengthLimit: number
  labelValueLengthLimit: number
  targetLimit: number
  keepDroppedTargets: number
  client: HttpClientSettings
  relabelRules: RelabelRule[]
  metricRelabelRules: RelabelRule[]
  discoveries: DiscoverySettings[]
}

export interface AlertmanagerTarget {
  timeoutMs: number
  pathPrefix: string
  scheme: string
  client: HttpClientSettings
  relabelRules: RelabelRule[]
  alertRelabelRules: RelabelRule[]
  discoveries: DiscoverySettings[]
}

export interface QueueSettings {
  capacity: number
  maxShards: number
  minShards: number
  maxSamplesPerSend: number
  batchSendDeadlineMs: number
  minBackoffMs: number
  maxBackoffMs: number
  retryOnRateLimit: boolean
  sampleAgeLimitMs: number
}
export const remoteWriteMessages = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'] as const
export type RemoteWriteMessage = (typeof remoteWriteMessages)[number]
export interface RemoteWriteSettings {
  url: string
  name: string
  timeoutMs: number
  headers: [string, string][]
  writeRelabelRules: RelabelRule[]
  sendExemplars: boolean
  sendNativeHistograms: boolean
  protobufMessage: RemoteWriteMessage
  queue: QueueSettings
  client: HttpClientSettings
}

export interface PrometheusConfig {
  evaluationIntervalMs: number
  ruleQueryOffsetMs: number
  externalLabels: [string, string][]
  jobs: ScrapeJob[]
  /** Globs, relative to the file's directory. */
  ruleFiles: string[]
  scrapeConfigFiles: string[]
  alertRelabelRules: RelabelRule[]
  alertmanagers: AlertmanagerTarget[]
  remoteWrite: RemoteWriteSettings[]
  /** What is understood and not done. */
  warnings: string[]
}

const otherDiscoveries = [
  'azure',
  'digitalocean',
  'dockerswarm',
  'ec2',
  'eureka',
  'gce',
  'hetzner',
  'ionos',
  'kuma',
  'lightsail',
  'linode',
  'marathon',
  'nerve',
  'nomad',
  'openstack',
  'ovhcloud',
  'puppetdb',
  'scaleway',
  'serverset',
  'stackit',
  'triton',
  'uyuni',
  'vultr',
  'aws',
]

interface Globals {
  intervalMs: number
  timeoutMs: number
  protocols: readonly ScrapeProtocol[]
  nativeHistograms: boolean
  classicHistograms: boolean
  customBuckets: boolean
  limits: Record<'body' | 'sample' | 'label' | 'labelName' | 'labelValue' | 'target' | 'keepDropped', number>
}

function protocolsOf(section: Section, fallback: readonly ScrapeProtocol[]): readonly ScrapeProtocol[] {
  const named = section.texts('scrape_protocols')
  if (named.length === 0) return fallback
  const seen = new Set<string>()
  for (const name of named) {
    if (!scrapeProtocols.some(p => p === name))
      section.refuse(`unknown scrape protocol ${name}, supported: ${scrapeProtocols.join(', ')}`)
    if (seen.has(name)) section.refuse(`duplicated protocol in scrape_protocols: ${name}`)
    seen.add(name)
  }
  return named as ScrapeProtocol[]
}

function limitsOf(section: Section, base: Globals['limits']): Globals['limits'] {
  return {
    body: section.bytes('body_size_limit', base.body),
    sample: section.whole('sample_limit', base.sample),
    label: section.whole('label_limit', base.label),
    labelName: section.whole('label_name_length_limit', base.labelName),
    labelValue: section.whole('label_value_length_limit', base.labelValue),
    target: section.whole('target_limit', base.target),
    keepDropped: section.whole('keep_dropped_targets', base.keepDropped),
  }
}

function kubernetes(section: Section): KubernetesSettings {
  const roleText = section.text('role')
  const role =
    kubernetesRoles.find(r => r === roleText) ??
    section.refuse(
      roleText === ''
        ? `role missing (one of: ${kubernetesRoles.join(', ')})`
        : `unknown Kubernetes SD role ${quote(roleText)}`,
    )
  const namespaces = section.section('namespaces')
  const attach = section.section('attach_metadata')
  const settings: KubernetesSettings = {
    kind: 'kubernetes',
    role,
    apiServer: section.text('api_server'),
    kubeconfigFile: section.text('kubeconfig_file'),
    namespaces: namespaces?.texts('names') ?? [],
    ownNamespace: namespaces?.isOn('own_namespace', false) ?? false,
    selectors: section.list('selectors').map(setting => {
      const s = setting.section()
      const one = { role: s.text('role'), label: s.text('label'), field: s.text('field') }
      s.finish()
      return one
    }),
    attachNode: attach?.isOn('node', false) ?? false,
    attachNamespace: attach?.isOn('namespace', false) ?? false,
    client: readHttpClient(section),
  }
  namespaces?.finish()
  attach?.finish()
  if (settings.kubeconfigFile !== '' && settings.apiServer !== '')
    section.refuse("cannot use 'kubeconfig_file' and 'api_server' simultaneously")
  if (
    settings.kubeconfigFile !== '' &&
    ['basic_auth', 'authorization', 'oauth2', 'tls_config', 'bearer_token', 'bearer_token_file', 'proxy_url'].some(
      name => section.has(name),
    )
  )
    section.refuse('cannot use a custom HTTP client configuration together with "kubeconfig_file"')
  if (settings.kubeconfigFile !== '' && settings.ownNamespace)
    section.refuse('cannot use "kubeconfig_file" and "namespaces.own_namespace" simultaneously')
  for (const selector of settings.selectors)
    if (!(kubernetesRoles as readonly string[]).includes(selector.role))
      section.refuse(`invalid role ${quote(selector.role)} in selectors`)
  section.finish()
  return settings
}

function checkUrl(section: Section, text: string): string {
  if (!/^https?:\/\/[^/]+/.test(text) || !URL.canParse(text))
    section.refuse(
      text === '' ? 'URL is missing' : `URL scheme must be 'http' or 'https', and a host named: ${quote(text)}`,
    )
  return text
}

export function readStaticGroup(setting: Setting): StaticGroup {
  const section = setting.section()
  const group: StaticGroup = { targets: section.texts('targets'), labels: section.textMap('labels') }
  for (const target of group.targets)
    if (target.includes('/')) section.refuse(`${quote(target)} is not a valid hostname`)
  section.finish()
  return group
}

function readDiscoveries(section: Section, warnings: string[], owner: string): DiscoverySettings[] {
  const found: DiscoverySettings[] = []
  const groups = section.list('static_configs').map(readStaticGroup)
  if (groups.length > 0) found.push({ kind: 'static', groups })
  const each = (name: string, read: (s: Section) => DiscoverySettings): void => {
    for (const setting of section.list(`${name}_sd_configs`)) {
      const s = setting.section()
      found.push(read(s))
      s.finish()
    }
  }
  each('file', s => {
    const files = s.texts('files')
    if (files.length === 0) s.refuse('file service discovery config must contain at least one path name')
    for (const file of files)
      if (!/^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$/.test(file))
        s.refuse(`path name ${quote(file)} is not valid for file discovery`)
    return { kind: 'file', files, refreshMs: s.durationMs('refresh_interval', 300_000) }
  })
  each('http', s => ({
    kind: 'http',
    url: checkUrl(s, s.text('url')),
    refreshMs: s.durationMs('refresh_interval', 60_000),
    client: readHttpClient(s),
  }))
  each('dns', s => {
    const names = s.texts('names')
    const type = s.text('type', 'SRV').toUpperCase()
    const port = s.whole('port', 0)
    if (names.length === 0) s.refuse('DNS-SD config must contain at least one SRV record name')
    if (!['SRV', 'A', 'AAAA', 'MX', 'NS'].includes(type)) s.refuse(`invalid DNS-SD records type ${type}`)
    if (type !== 'SRV' && port === 0) s.refuse('a port is required in DNS-SD configs for all record types except SRV')
    return { kind: 'dns', names, type: type as 'SRV', port, refreshMs: s.durationMs('refresh_interval', 30_000) }
  })
  each('kubernetes', kubernetes)
  each('docker', s => {
    const host = s.text('host')
    if (host === '') s.refuse('host missing')
    const filters = s.list('filters').map((f): [string, string[]] => {
      const one = f.section()
      const pair: [string, string[]] = [one.text('name'), one.texts('values')]
      one.finish()
      return pair
    })
    return {
      kind: 'docker',
      host,
      port: s.whole('port', 80),
      hostNetworkingHost: s.text('host_networking_host', 'localhost'),
      matchFirstNetwork: s.isOn('match_first_network', true),
      filters,
      refreshMs: s.durationMs('refresh_interval', 60_000),
      client: readHttpClient(s),
    }
  })
  each('consul', s => {
    s.ignore('username', 'password')
    return {
      kind: 'consul',
      url: `${s.text('scheme', 'http')}://${s.text('server', 'localhost:8500')}${s.text('path_prefix')}`,
      token: s.text('token'),
      datacenter: s.text('datacenter'),
      namespace: s.text('namespace'),
      partition: s.text('partition'),
      tagSeparator: s.text('tag_separator', ','),
      services: s.texts('services'),
      tags: s.texts('tags'),
      nodeMeta: s.textMap('node_meta'),
      filter: s.text('filter'),
      allowStale: s.isOn('allow_stale', true),
      refreshMs: s.durationMs('refresh_interval', 30_000),
      client: readHttpClient(s),
    }
  })
  for (const name of otherDiscoveries)
    if (section.has(`${name}_sd_configs`))
      warnings.push(
        `${owner}: ${name}_sd_configs is not supported and finds nothing; static, file, http, dns, kubernetes, ` +
          'docker and consul are',
      )
  return found
}

const isProtocol = (text: string): text is ScrapeProtocol => scrapeProtocols.some(p => p === text)

function readJob(setting: Setting, globals: Globals, warnings: string[]): ScrapeJob {
  const section = setting.section()
  const jobName = section.text('job_name')
  if (jobName === '') section.refuse('job_name is empty')
  const intervalMs = section.durationMs('scrape_interval', 0) || globals.intervalMs
  let timeoutMs = section.durationMs('scrape_timeout', 0)
  if (timeoutMs > intervalMs)
    section.refuse(`scrape timeout greater than scrape interval for scrape config with job name ${quote(jobName)}`)
  if (timeoutMs === 0) timeoutMs = Math.min(globals.timeoutMs, intervalMs)
  const limits = limitsOf(section, globals.limits)
  const fallback = section.text('fallback_scrape_protocol')
  if (fallback !== '' && !isProtocol(fallback)) section.refuse(`invalid fallback_scrape_protocol: ${fallback}`)
  const scheme = section.text('scheme', 'http')
  const nativeHistograms = section.isOn('scrape_native_histograms', globals.nativeHistograms)
  const job: ScrapeJob = {
    jobName,
    intervalMs,
    timeoutMs,
    protocols: protocolsOf(
      section,
      globals.protocols === defaultProtocols && nativeHistograms ? histogramProtocols : globals.protocols,
    ),
    fallbackProtocol: fallback === '' ? undefined : (fallback as ScrapeProtocol),
    nativeHistograms,
    classicHistograms: section.isOn(
      'always_scrape_classic_histograms',
      section.isOn('scrape_classic_histograms', globals.classicHistograms),
    ),
    customBuckets: section.isOn('convert_classic_histograms_to_nhcb', globals.customBuckets),
    metricsPath: section.text('metrics_path', '/metrics'),
    scheme,
    params: (section.get('params')?.entries() ?? []).map(([name, values]) => [name, values.texts()]),
    honorLabels: section.isOn('honor_labels', false),
    honorTimestamps: section.isOn('honor_timestamps', true),
    trackTimestampsStaleness: section.isOn('track_timestamps_staleness', false),
    enableCompression: section.isOn('enable_compression', true),
    bodySizeLimit: limits.body,
    sampleLimit: limits.sample,
    labelLimit: limits.label,
    labelNameLengthLimit: limits.labelName,
    labelValueLengthLimit: limits.labelValue,
    targetLimit: limits.target,
    keepDroppedTargets: limits.keepDropped,
    client: readHttpClient(section),
    relabelRules: readRelabelRules(section.list('relabel_configs')),
    metricRelabelRules: readRelabelRules(section.list('metric_relabel_configs')),
    discoveries: readDiscoveries(section, warnings, `scrape config ${quote(jobName)}`),
  }
  section.ignore(
    'scrape_failure_log_file',
    'metric_name_validation_scheme',
    'metric_name_escaping_scheme',
    'native_histogram_bucket_limit',
    'native_histogram_min_bucket_factor',
  )
  section.finish()
  return job
}

function readAlertmanager(setting: Setting, warnings: string[]): AlertmanagerTarget {
  const section = setting.section()
  const target: AlertmanagerTarget = {
    timeoutMs: section.durationMs('timeout', 10_000),
    pathPrefix: section.text('path_prefix').replace(/\/+$/, ''),
    scheme: section.text('scheme', 'http'),
    client: readHttpClient(section),
    relabelRules: readRelabelRules(section.list('relabel_configs')),
    alertRelabelRules: readRelabelRules(section.list('alert_relabel_configs')),
    discoveries: readDiscoveries(section, warnings, 'alertmanagers'),
  }
  const version = section.text('api_version', 'v2')
  if (version !== 'v2') section.refuse(`expected Alertmanager api version to be one of [v2], got ${version}`)
  section.ignore('sigv4')
  section.finish()
  return target
}

function readRemoteWrite(setting: Setting): RemoteWriteSettings {
  const section = setting.section()
  const named = section.text('protobuf_message', 'prometheus.WriteRequest')
  const queue = section.section('queue_config')
  const metadata = section.section('metadata_config')
  metadata?.ignore('send', 'send_interval', 'max_samples_per_send')
  metadata?.finish()
  const settings: RemoteWriteSettings = {
    url: section.text('url') === '' && section.stands('url') ? '' : checkUrl(section, section.text('url')),
    name: section.text('name'),
    timeoutMs: section.durationMs('remote_timeout', 30_000),
    headers: section.textMap('headers'),
    writeRelabelRules: readRelabelRules(section.list('write_relabel_configs')),
    sendExemplars: section.isOn('send_exemplars', false),
    sendNativeHistograms: section.isOn('send_native_histograms', false),
    protobufMessage:
      remoteWriteMessages.find(m => m === named) ??
      section.refuse(`unknown remote write protobuf message ${named}, supported: ${remoteWriteMessages.join(', ')}`),
    queue: {
      capacity: queue?.whole('capacity', 10_000) ?? 10_000,
      maxShards: queue?.whole('max_shards', 50) ?? 50,
      minShards: queue?.whole('min_shards', 1) ?? 1,
      maxSamplesPerSend: queue?.whole('max_samples_per_send', 2000) ?? 2000,
      batchSendDeadlineMs: queue?.durationMs('batch_send_deadline', 5000) ?? 5000,
      minBackoffMs: queue?.durationMs('min_backoff', 30) ?? 30,
      maxBackoffMs: queue?.durationMs('max_backoff', 5000) ?? 5000,
      retryOnRateLimit: queue?.isOn('retry_on_http_429', false) ?? false,
      sampleAgeLimitMs: queue?.durationMs('sample_age_limit', 0) ?? 0,
    },
    client: readHttpClient(section),
  }
  queue?.finish()
  section.ignore('sigv4', 'azuread', 'google_iam', 'round_robin_dns')
  for (const name of settings.headers.map(([header]) => header.toLowerCase()))
    if (
      [
        'authorization',
        'host',
        'content-encoding',
        'content-length',
        'content-type',
        'x-prometheus-remote-write-version',
        'user-agent',
        'connection',
        'keep-alive',
        'proxy-authenticate',
        'proxy-authorization',
        'www-authenticate',
        'accept-encoding',
        'x-amz-date',
        'x-amz-security-token',
        'x-amz-content-sha256',
      ].includes(name)
    )
      section.refuse(
        name === 'authorization'
          ? 'authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter'
          : `${name} is a reserved header. It must not be changed`,
      )
  section.finish()
  return settings
}

export interface ReadOptions {
  env: Readonly<Record<string, string | undefined>>
}

const defaultGlobals: Globals = {
  intervalMs: 60_000,
  timeoutMs: 10_000,
  protocols: defaultProtocols,
  nativeHistograms: false,
  classicHistograms: false,
  customBuckets: false,
  limits: { body: 0, sample: 0, label: 0, labelName: 0, labelValue: 0, target: 0, keepDropped: 0 },
}

function globalsOf(
  section: Section | undefined,
  env: ReadOptions['env'],
): { globals: Globals; externalLabels: [string, string][]; evaluationIntervalMs: number; ruleQueryOffsetMs: number } {
  if (section === undefined)
    return { globals: defaultGlobals, externalLabels: [], evaluationIntervalMs: 60_000, ruleQueryOffsetMs: 0 }
  const intervalMs = section.durationMs('scrape_interval', 0) || 60_000
  const given = section.durationMs('scrape_timeout', 0)
  if (given > intervalMs) section.refuse('global scrape timeout greater than scrape interval')
  const nativeHistograms = section.isOn('scrape_native_histograms', false)
  const globals: Globals = {
    intervalMs,
    timeoutMs: given || Math.min(10_000, intervalMs),
    protocols: protocolsOf(section, defaultProtocols),
    nativeHistograms,
    classicHistograms: section.isOn('always_scrape_classic_histograms', false),
    customBuckets: section.isOn('convert_classic_histograms_to_nhcb', false),
    limits: limitsOf(section, defaultGlobals.limits),
  }
  const externalLabels = section.textMap('external_labels').map(([name, value]): [string, string] => {
    if (name === '') section.refuse('an external label has no name')
    return [
      name,
      value.replaceAll(/\$\{(\w+)\}|\$(\w+)|\$\$/g, (whole, braced: string | undefined, bare: string | undefined) =>
        whole === '$$' ? '$' : (env[braced ?? bare ?? ''] ?? ''),
      ),
    ]
  })
  const evaluationIntervalMs = section.durationMs('evaluation_interval', 0) || 60_000
  const ruleQueryOffsetMs = section.durationMs('rule_query_offset', 0)
  section.ignore(
    'query_log_file',
    'scrape_failure_log_file',
    'metric_name_validation_scheme',
    'metric_name_escaping_scheme',
    'extra_scrape_metrics',
  )
  section.section('runtime')?.ignore('gogc')
  section.finish()
  return { globals, externalLabels, evaluationIntervalMs, ruleQueryOffsetMs }
}

function refuseDoubles(jobs: readonly ScrapeJob[], file: string): void {
  const seen = new Set<string>()
  for (const { jobName } of jobs) {
    if (seen.has(jobName))
      throw new BadDataError(`${file}: found multiple scrape configs with job name ${quote(jobName)}`)
    seen.add(jobName)
  }
}

/**
 * Throws BadDataError with the place of what is wrong. `more`: the texts of the files that scrape_config_files names.
 */
export function readPrometheusConfig(
  text: string,
  file: string,
  { env }: ReadOptions,
  more: readonly { file: string; text: string }[] = [],
): PrometheusConfig {
  const setting = parseSettings(text, file, env)
  const section = setting.section()
  const warnings: string[] = []
  const { globals, externalLabels, evaluationIntervalMs, ruleQueryOffsetMs } = globalsOf(section.section('global'), env)
  const jobs = section.list('scrape_configs').map(job => readJob(job, globals, warnings))
  for (const { file: own, text: content } of more) {
    const root = parseSettings(content, own, env).section()
    jobs.push(...root.list('scrape_configs').map(job => readJob(job, globals, warnings)))
    root.finish()
  }
  refuseDoubles(jobs, file)
  const alerting = section.section('alerting')
  const config: PrometheusConfig = {
    evaluationIntervalMs,
    ruleQueryOffsetMs,
    externalLabels,
    jobs,
    ruleFiles: section.texts('rule_files'),
    scrapeConfigFiles: section.texts('scrape_config_files'),
    alertRelabelRules: readRelabelRules(alerting?.list('alert_relabel_configs') ?? []),
    alertmanagers: (alerting?.list('alertmanagers') ?? []).map(a => readAlertmanager(a, warnings)),
    remoteWrite: section.list('remote_write').map(readRemoteWrite),
    warnings,
  }
  alerting?.finish()
  const names = config.remoteWrite.map(r => r.name).filter(Boolean)
  if (new Set(names).size < names.length) section.refuse('found multiple remote write configs with the same name')
  if (section.list('remote_read').length > 0)
    warnings.push("remote_read is not done: queries read this process' own bucket")
  if (section.has('tracing')) warnings.push('tracing is not done: own requests are traced into own store')
  section.ignore('storage', 'runtime', 'otlp')
  section.finish()
  return config
}
