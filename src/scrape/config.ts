/**
 * prometheus.yml and files of scrape configurations: jobs, their discoveries, remotes and Alertmanagers. Source:
 * Prometheus' public configuration documentation.
 */
import { BadDataError, messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { quote } from '#core/text.ts'
import { readRelabelRules, type RelabelRule } from '#lang/relabel/relabel.ts'
import { readHttpClient, type HttpClientSettings } from '#lang/settings/http-client.ts'
import { parseSettings, type Section, type Setting } from '#lang/settings/section.ts'
import { checkUrl, readDiscoveries, type DiscoverySettings } from './discovery/settings.ts'

/** Forms of a target's answer that can be asked for. */
export const scrapeProtocols = [
  'PrometheusProto',
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
] as const
/** One of them. */
export type ScrapeProtocol = (typeof scrapeProtocols)[number]
const defaultProtocols: readonly ScrapeProtocol[] = [
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
]
const histogramProtocols: readonly ScrapeProtocol[] = ['PrometheusProto', ...defaultProtocols]

/** Which names of metrics and labels are right: every text, or letters, digits, underscores and colons. */
export type NameValidation = 'utf8' | 'legacy'
const validations: readonly NameValidation[] = ['utf8', 'legacy']
/** How a target is asked to write names that are not of the legacy kind. */
export type NameEscaping = 'allow-utf-8' | 'underscores' | 'dots' | 'values'
const escapings: readonly NameEscaping[] = ['allow-utf-8', 'underscores', 'dots', 'values']

/** A scrape_config with defaults filled in. Times are milliseconds, sizes bytes; a limit of 0 is none. */
export interface ScrapeJob {
  jobName: string
  /** Whose its series are; empty: it does not say so. */
  tenant: string
  /** Relabelling can't give a target to another tenant. */
  isTenantFixed: boolean
  intervalMs: number
  timeoutMs: number
  protocols: readonly ScrapeProtocol[]
  fallbackProtocol: ScrapeProtocol | undefined
  nativeHistograms: boolean
  classicHistograms: boolean
  /** Classic histograms become native ones with custom buckets. */
  customBuckets: boolean
  /** Native histograms with more buckets lose resolution; 0: no limit. */
  histogramBucketLimit: number
  /** Native histograms of higher schemas lose resolution. */
  histogramSchemaMax: number
  nameValidation: NameValidation
  nameEscaping: NameEscaping
  /** Series of the scrape's own limits beside `up`. */
  extraMetrics: boolean
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

/** An entry of `alerting.alertmanagers`. */
export interface AlertmanagerTarget {
  timeoutMs: number
  pathPrefix: string
  scheme: string
  client: HttpClientSettings
  relabelRules: RelabelRule[]
  alertRelabelRules: RelabelRule[]
  discoveries: DiscoverySettings[]
}

/** queue_config of a remote; times are milliseconds. */
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
/** Messages of remote write 1 and 2. */
export const remoteWriteMessages = ['prometheus.WriteRequest', 'io.prometheus.write.v2.Request'] as const
/** One of them. */
export type RemoteWriteMessage = (typeof remoteWriteMessages)[number]
/** An entry of remote_write; an empty URL, written as such, is a remote that is off. */
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

/** A whole prometheus.yml. */
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
  /** Settings that are understood and have no effect. */
  warnings: string[]
}

interface Globals {
  intervalMs: number
  timeoutMs: number
  protocols: readonly ScrapeProtocol[]
  nativeHistograms: boolean
  classicHistograms: boolean
  customBuckets: boolean
  /** Refuses what is wrong in it when a job asks. */
  names: () => Names
  extraMetrics: boolean
  limits: Record<'body' | 'sample' | 'label' | 'labelName' | 'labelValue' | 'target' | 'keepDropped', number>
}

const isProtocol = (text: string): text is ScrapeProtocol => scrapeProtocols.some(p => p === text)

function protocolsOf(section: Section, fallback: readonly ScrapeProtocol[]): readonly ScrapeProtocol[] {
  const named = section.texts('scrape_protocols')
  if (named.length === 0) return fallback
  const found = new Set<ScrapeProtocol>()
  for (const name of named) {
    if (!isProtocol(name))
      return section.refuse(`unknown scrape protocol ${name}, supported: ${scrapeProtocols.join(', ')}`)
    if (found.has(name)) section.refuse(`duplicated protocol in scrape_protocols: ${name}`)
    found.add(name)
  }
  return [...found]
}

type Names = Pick<ScrapeJob, 'nameValidation' | 'nameEscaping'>

/** What a section says of names, on top of what holds without it; `where` names it in errors. */
function namesOf(section: Section, base: Partial<Names>, where: string): Names {
  const validation = section.text('metric_name_validation_scheme')
  const nameValidation =
    validation === ''
      ? (base.nameValidation ?? 'utf8')
      : (validations.find(scheme => scheme === validation) ??
        section.refuse(
          `unknown ${where} name validation method specified, must be either '', 'legacy' or 'utf8', got ${validation}`,
        ))
  const escaping = section.text('metric_name_escaping_scheme')
  const nameEscaping =
    escaping === ''
      ? (base.nameEscaping ?? (nameValidation === 'legacy' ? 'underscores' : 'allow-utf-8'))
      : (escapings.find(scheme => scheme === escaping) ??
        section.refuse(
          `unknown ${where} name escaping method specified, must be one of 'allow-utf-8', 'underscores', 'dots', or ` +
            `'values', got ${quote(escaping)}`,
        ))
  return { nameValidation, nameEscaping }
}

/** The names that a job takes. */
function namesOfJob(section: Section, globals: Globals): Names {
  const names = namesOf(section, globals.names(), 'scrape config')
  if (names.nameEscaping === 'allow-utf-8' && names.nameValidation === 'legacy')
    section.refuse('utf8 metric names requested but validation scheme is not set to UTF8')
  return names
}

/** The highest schema whose buckets grow by at least this factor; 8 for none. */
function schemaOf(bucketFactor: number): number {
  return bucketFactor <= 1 ? 8 : Math.min(8, Math.max(-4, Math.floor(0 - Math.log2(Math.log2(bucketFactor)))))
}

function limitsOf(section: Section, base: Globals['limits']): Globals['limits'] {
  return {
    body: section.bytes('body_size_limit', base.body),
    sample: section.count('sample_limit', base.sample),
    label: section.count('label_limit', base.label),
    labelName: section.count('label_name_length_limit', base.labelName),
    labelValue: section.count('label_value_length_limit', base.labelValue),
    target: section.count('target_limit', base.target),
    keepDropped: section.count('keep_dropped_targets', base.keepDropped),
  }
}

function readJob(setting: Setting, globals: Globals, warnings: string[], hasTenants = false): ScrapeJob {
  const section = setting.section()
  const jobName = section.text('job_name')
  if (jobName === '') section.refuse('job_name is empty')
  const intervalMs = section.durationMs('scrape_interval', 0) || globals.intervalMs
  let timeoutMs = section.durationMs('scrape_timeout', 0)
  if (timeoutMs > intervalMs)
    section.refuse(`scrape timeout greater than scrape interval for scrape config with job name ${quote(jobName)}`)
  if (timeoutMs === 0) timeoutMs = Math.min(globals.timeoutMs, intervalMs)
  const limits = limitsOf(section, globals.limits)
  const fallbackText = section.text('fallback_scrape_protocol')
  const fallbackProtocol = scrapeProtocols.find(p => p === fallbackText)
  if (fallbackText !== '' && fallbackProtocol === undefined)
    section.refuse(`invalid fallback_scrape_protocol: ${fallbackText}`)
  const scheme = section.text('scheme', 'http')
  const nativeHistograms = section.isOn('scrape_native_histograms', globals.nativeHistograms)
  const job: ScrapeJob = {
    jobName,
    tenant: hasTenants ? readTenant(section) : '',
    isTenantFixed: false,
    intervalMs,
    timeoutMs,
    protocols: protocolsOf(
      section,
      globals.protocols === defaultProtocols && nativeHistograms ? histogramProtocols : globals.protocols,
    ),
    fallbackProtocol,
    nativeHistograms,
    classicHistograms: section.isOn(
      'always_scrape_classic_histograms',
      section.isOn('scrape_classic_histograms', globals.classicHistograms),
    ),
    customBuckets: section.isOn('convert_classic_histograms_to_nhcb', globals.customBuckets),
    histogramBucketLimit: section.count('native_histogram_bucket_limit', 0),
    histogramSchemaMax: schemaOf(section.get('native_histogram_min_bucket_factor')?.number() ?? 0),
    ...namesOfJob(section, globals),
    extraMetrics: section.isOn('extra_scrape_metrics', globals.extraMetrics),
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
  section.notDone(['scrape_failure_log_file', ...(hasTenants ? [] : ['tenant'])])
  section.finish()
  return job
}

function readTenant(section: Section): string {
  const tenant = section.text('tenant')
  try {
    if (section.has('tenant')) checkTenantName(tenant)
  } catch (error) {
    section.get('tenant')!.refuse(messageOf(error))
  }
  return tenant
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
  section.notDone(['sigv4'])
  section.finish()
  return target
}

function readQueue(section: Section | undefined): QueueSettings {
  const settings: QueueSettings = {
    capacity: section?.whole('capacity', 10_000) ?? 10_000,
    maxShards: section?.whole('max_shards', 50) ?? 50,
    minShards: section?.whole('min_shards', 1) ?? 1,
    maxSamplesPerSend: section?.whole('max_samples_per_send', 2000) ?? 2000,
    batchSendDeadlineMs: section?.durationMs('batch_send_deadline', 5000) ?? 5000,
    minBackoffMs: section?.durationMs('min_backoff', 30) ?? 30,
    maxBackoffMs: section?.durationMs('max_backoff', 5000) ?? 5000,
    retryOnRateLimit: section?.isOn('retry_on_http_429', false) ?? false,
    sampleAgeLimitMs: section?.durationMs('sample_age_limit', 0) ?? 0,
  }
  section?.finish()
  return settings
}

/** Headers that a remote's configuration may not set. */
const reservedHeaders = [
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
]

function readHeaders(section: Section): [string, string][] {
  const headers = section.textMap('headers')
  for (const [header] of headers) {
    const name = header.toLowerCase()
    if (name === 'authorization')
      section.refuse(
        'authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or ' +
          'google_iam parameter',
      )
    if (reservedHeaders.includes(name)) section.refuse(`${name} is a reserved header. It must not be changed`)
  }
  return headers
}

function readRemoteWrite(setting: Setting): RemoteWriteSettings {
  const section = setting.section()
  const named = section.text('protobuf_message', 'prometheus.WriteRequest')
  const metadata = section.section('metadata_config')
  metadata?.notDone(['send', 'send_interval', 'max_samples_per_send'])
  metadata?.finish()
  const settings: RemoteWriteSettings = {
    url: section.text('url') === '' && section.stands('url') ? '' : checkUrl(section, section.text('url')),
    name: section.text('name'),
    timeoutMs: section.durationMs('remote_timeout', 30_000),
    headers: readHeaders(section),
    writeRelabelRules: readRelabelRules(section.list('write_relabel_configs')),
    sendExemplars: section.isOn('send_exemplars', false),
    sendNativeHistograms: section.isOn('send_native_histograms', false),
    protobufMessage:
      remoteWriteMessages.find(m => m === named) ??
      section.refuse(`unknown remote write protobuf message ${named}, supported: ${remoteWriteMessages.join(', ')}`),
    queue: readQueue(section.section('queue_config')),
    client: readHttpClient(section),
  }
  section.notDone(['sigv4', 'azuread', 'google_iam', 'round_robin_dns'])
  section.finish()
  return settings
}

/** `env`: variables that texts of the configuration may name. */
export interface ReadOptions {
  env: Readonly<Record<string, string | undefined>>
  /** Jobs may say whose their series are; else the key is noted as not carried out. */
  hasTenants?: boolean
}

const defaultGlobals: Globals = {
  intervalMs: 60_000,
  timeoutMs: 10_000,
  protocols: defaultProtocols,
  nativeHistograms: false,
  classicHistograms: false,
  customBuckets: false,
  names: () => ({ nameValidation: 'utf8', nameEscaping: 'allow-utf-8' }),
  extraMetrics: false,
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
    names: () => namesOf(section, {}, 'global'),
    extraMetrics: section.isOn('extra_scrape_metrics', false),
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
  section.ignore('metric_name_validation_scheme', 'metric_name_escaping_scheme')
  section.notDone(['query_log_file', 'scrape_failure_log_file'])
  section.section('runtime')?.notDone(['gogc'], 'there is no garbage collector of Go here')
  section.finish()
  return { globals, externalLabels, evaluationIntervalMs, ruleQueryOffsetMs }
}

function refuseDuplicates(jobs: readonly ScrapeJob[], file: string): void {
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
  { env, hasTenants }: ReadOptions,
  more: readonly { file: string; text: string }[] = [],
): PrometheusConfig {
  const setting = parseSettings(text, file, env)
  const section = setting.section()
  const warnings: string[] = []
  const { globals, externalLabels, evaluationIntervalMs, ruleQueryOffsetMs } = globalsOf(section.section('global'), env)
  const jobs = section.list('scrape_configs').map(job => readJob(job, globals, warnings, hasTenants))
  for (const { file: own, text: content } of more) {
    const read = parseSettings(content, own, env)
    const root = read.section()
    addAll(
      jobs,
      root.list('scrape_configs').map(job => readJob(job, globals, warnings, hasTenants)),
    )
    root.finish()
    addAll(warnings, read.notes)
  }
  refuseDuplicates(jobs, file)
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
  section.notDone(['storage'], "Tercet's own settings say how long and in what order samples are taken: metrics.*")
  section.notDone(['otlp'], "Tercet's own settings say how OTLP becomes series: metrics.otlp.*")
  section.notDone(['runtime'])
  section.finish()
  addAll(warnings, setting.notes)
  return config
}
