/** What is deployed: one file (stack.yaml), whatever the engine and the target are. */
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'
import { maskUrls } from '#core/secret.ts'
import { signals, type SignalName } from '#core/signal-name.ts'
import { parseSettings, type Section } from '#lang/settings/section.ts'
import { tercetVersion } from './versions.ts'

export const engines = ['tercet', 'victoria', 'lgtm'] as const
export type Engine = (typeof engines)[number]
export const targets = ['helm', 'flux', 'compose', 'grafana'] as const
export type Target = (typeof targets)[number]

export interface Resources {
  requests: { cpu: string; memory: string }
  limits: { memory: string; cpu?: string }
}

/** `digest` (sha256:…) goes before the tag; the tag stays for readers. */
export interface StackImage {
  repository: string
  tag: string
  digest: string
}

/**
 * Where Flux takes Tercet's chart from: a registry; a path in a Git repository, with a branch, tag or commit; or a path
 * in the very repository that the tree is for, to which the chart is rendered.
 */
export type ChartSource =
  | { from: 'oci'; url: string; version: string }
  | { from: 'git'; url: string; ref: GitRef; path: string }
  | { from: 'path'; path: string }
export type GitRef = { branch: string } | { tag: string } | { commit: string }

/** Either `gateway` (an HTTPRoute) or `ingressClass` (an Ingress); '' for what is not there. */
export interface Expose {
  host: string
  gateway: string
  gatewayNamespace: string
  ingressClass: string
  /** Certificate of an Ingress. */
  tlsSecret: string
}

/** alertmanager.yml as text, or the Secret that has it. */
export interface Alerting {
  config: string
  secret: { name: string; key: string } | undefined
}

/** The object store, and a bucket and a Secret of its keys a signal. */
export interface StackS3 {
  endpoint: string
  region: string
  allowInsecure: boolean
  buckets: Record<SignalName, string>
  secrets: Record<SignalName, string>
}

export interface Stack {
  engine: Engine
  name: string
  namespace: string
  /** Where the tree of applications begins. */
  root: string
  image: StackImage
  chart: ChartSource
  s3: StackS3 | undefined
  retention: Record<SignalName, string>
  scrape: { interval: string; timeout: string }
  persistence: { isOn: boolean; size: string; storageClass: string }
  /** `hasKubelet`: scrapes the kubelet and cAdvisor of its node. */
  agent: { isOn: boolean; isFollowingLogs: boolean; hasKubelet: boolean }
  signals: readonly SignalName[]
  grafana: {
    isOn: boolean
    tag: string
    namespace: string
    orgId: string
    /** How data sources and dashboards are handed to a Grafana that is there. */
    objects: 'configmap' | 'operator'
  }
  /** Compose: a development S3 beside it. */
  developmentS3: {
    isOn: boolean
    image: string
    command: string[]
    environment: [string, string][]
    port: number
    healthcheck: string[]
  }
  networkPolicy: { isOn: boolean; fromNamespaces: string[]; toCidrs: string[] }
  alerting: Alerting
  /** Where the Secrets come from: files sealed for age, or objects of the External Secrets operator. */
  externalSecrets: { store: string; kind: string; prefix: string } | undefined
  /** Host name under which the API is reached from outside the cluster, and what leads there; '' for none. */
  expose: Expose
  /** Secret (kubernetes.io/basic-auth) with the credentials that the API asks for; '' where nobody is asked. */
  authSecret: string
  /** Services under the names that the documents use for other engines. */
  hasAliases: boolean
  /** node exporter and kube-state-metrics beside it. */
  hasExporters: boolean
  /** ServiceMonitors and PrometheusRules, which need the Prometheus operator's CustomResourceDefinitions. */
  hasMonitors: boolean
  isMeshed: boolean
  ageRecipients: string[]
  /** Objects that are there already: `Secret/name`, `Service/name:port`. */
  external: string[]
  flux: { sourceName: string; interval: string; decryptionSecret: string }
}

const bucketNames: Readonly<Record<Engine, Record<SignalName, string>>> = {
  tercet: { metrics: 'mimir-blocks', logs: 'loki-chunks', traces: 'tempo-traces' },
  victoria: { metrics: 'victoriametrics-data', logs: 'victorialogs-data', traces: 'victoriatraces-data' },
  lgtm: { metrics: 'mimir-blocks', logs: 'loki-chunks', traces: 'tempo-traces' },
}
/** `{component}-s3-secret`. */
const secretNames: Readonly<Record<Engine, Record<SignalName, string>>> = {
  tercet: { metrics: 'metrics-s3-secret', logs: 'logs-s3-secret', traces: 'traces-s3-secret' },
  victoria: {
    metrics: 'victoriametrics-s3-secret',
    logs: 'victorialogs-s3-secret',
    traces: 'victoriatraces-s3-secret',
  },
  lgtm: { metrics: 'mimir-s3-secret', logs: 'loki-s3-secret', traces: 'tempo-s3-secret' },
}

const retentionForm = /^[0-9]+(h|d|w|y)$/

function retentionOf(section: Section, name: string): string {
  const value = section.text(name, '30d')
  if (!retentionForm.test(value))
    section.refuse(
      `${name}: ${JSON.stringify(value)} is no retention; hours, days, weeks or years like 30d were expected ` +
        '(1m would be a month for some and a minute for others)',
    )
  return value
}

/** Hours of a retention that was read. */
export function hoursOf(retention: string): number {
  return (parseDurationMs(retention) ?? NaN) / 3_600_000
}

/** One unit, as every engine's chart takes it. */
function secondsOf(text: string): number {
  return /^\d+(s|m|h)$/.test(text) ? (parseDurationMs(text) ?? NaN) / 1000 : NaN
}

function isSignal(name: string): name is SignalName {
  return signals.some(signal => signal === name)
}

/** The documents' Victoria stack has no traces. */
function readSignals(top: Section, engine: Engine): SignalName[] {
  if (!top.has('signals')) return engine === 'victoria' ? ['metrics', 'logs'] : [...signals]
  const named = top.texts('signals')
  const unknown = named.find(name => !isSignal(name))
  if (unknown !== undefined || named.length === 0)
    top.refuse(
      `signals: ${unknown === undefined ? 'none is named' : JSON.stringify(unknown)}; ` +
        `some of ${signals.join(', ')} were expected`,
    )
  if (engine === 'tercet' && named.length < signals.length)
    top.refuse('signals: the engine tercet has all three in one process')
  return signals.filter(signal => named.includes(signal))
}

/** Reads a section, an empty one where it is left out, and refuses keys of it that are not known. */
type ReadSection = <T>(name: string, read: (section: Section) => T) => T

function sectionReader(top: Section, path: string): ReadSection {
  return (name, read) => {
    const section = top.section(name) ?? parseSettings('{}', path).section()
    const value = read(section)
    section.finish()
    return value
  }
}

function readScrape(top: Section, readSection: ReadSection, engine: Engine): Stack['scrape'] {
  const scrape = readSection('scrape', section => ({
    interval: section.text('interval', '') || (engine === 'tercet' ? '15s' : '30s'),
    timeout: section.text('timeout', '10s'),
  }))
  for (const [name, value] of Object.entries(scrape))
    if (Number.isNaN(secondsOf(value))) top.refuse(`scrape.${name}: ${JSON.stringify(value)} is no duration like 15s`)
  if (secondsOf(scrape.timeout) > secondsOf(scrape.interval))
    top.refuse(`scrape.timeout ${scrape.timeout} is longer than scrape.interval ${scrape.interval}`)
  return scrape
}

function readBySignal(
  section: Section | undefined,
  fallback: Readonly<Record<SignalName, string>>,
): Record<SignalName, string> {
  const textOf = (signal: SignalName): string => section?.text(signal, fallback[signal]) ?? fallback[signal]
  const all = { metrics: textOf('metrics'), logs: textOf('logs'), traces: textOf('traces') }
  section?.finish()
  return all
}

/** What is rendered from the address is in clear; a user alone, as `git@`, is no credential of SSH. */
function refuseUser(section: Section, name: string, url: string): void {
  if (/^[a-z0-9+.-]+:\/\/[^/?#\s]*@/i.test(url) && !/^ssh:\/\/[^/:@]*@/i.test(url))
    section.refuse(`${name}: ${JSON.stringify(maskUrls(url))} has credentials, which belong into a Secret`)
}

function readS3(section: Section, engine: Engine): StackS3 {
  const buckets = section.section('buckets')
  const secrets = section.section('secrets')
  const endpoint = section.text('endpoint')
  const allowInsecure = section.isOn('allow_insecure', false)
  if (endpoint.startsWith('http://') && !allowInsecure)
    section.refuse(`endpoint ${endpoint} has no TLS; use https://, or allow it with allow_insecure: true`)
  refuseUser(section, 'endpoint', endpoint)
  if (endpoint !== '' && !URL.canParse(endpoint))
    section.refuse(`endpoint ${JSON.stringify(endpoint)} is no URL; https://host was expected`)
  return {
    endpoint,
    region: section.text('region', 'us-east-1'),
    allowInsecure,
    buckets: readBySignal(buckets, bucketNames[engine]),
    secrets: readBySignal(secrets, secretNames[engine]),
  }
}

function readDevelopmentS3(section: Section): Stack['developmentS3'] {
  return {
    isOn: section.isOn('enabled', false),
    image: section.text('image'),
    command: section.texts('command'),
    environment: section.textMap('environment'),
    port: section.whole('port', 9000),
    healthcheck: section.texts('healthcheck'),
  }
}

function readEngine(top: Section, given: string | undefined): Engine {
  const name = given ?? top.text('engine', 'tercet')
  const engine = engines.find(known => known === name)
  if (given !== undefined) top.ignore('engine')
  if (engine === undefined) throw new BadDataError(`engine ${JSON.stringify(name)} is not one of ${engines.join(', ')}`)
  return engine
}

function readChoice<T extends string>(section: Section, name: string, known: readonly [T, ...T[]]): T {
  const text = section.text(name, known[0])
  return (
    known.find(choice => choice === text) ??
    section.refuse(`${name}: ${JSON.stringify(text)} is not one of ${known.join(', ')}`)
  )
}

const publishedChart = 'oci://ghcr.io/tercet/charts/tercet'

function readChartSource(section: Section): ChartSource {
  const git = section.section('git')
  const source = git === undefined ? readPlainSource(section) : readGitSource(git)
  git?.finish()
  if (git !== undefined && (section.has('oci') || section.has('path')))
    section.refuse('one of oci, git and path was expected')
  return source
}

function readPlainSource(section: Section): ChartSource {
  const path = section.text('path')
  const url = section.text('oci', publishedChart)
  const version = section.text('version', tercetVersion)
  if (path !== '' && section.has('oci')) section.refuse('one of oci, git and path was expected')
  if (path !== '') {
    if (path.startsWith('/') || path.split('/').includes('..'))
      section.refuse(`path ${JSON.stringify(path)} is not below the root of the repository`)
    return { from: 'path', path: path.replace(/^\.\//, '').replace(/\/+$/, '') }
  }
  refuseUser(section, 'oci', url)
  if (!/^oci:\/\/[^/]+\/.+/.test(url))
    section.refuse(`oci: ${JSON.stringify(url)} is no address of a chart in a registry; oci://host/path was expected`)
  return { from: 'oci', url: url.replace(/\/+$/, ''), version }
}

function readGitSource(git: Section): ChartSource {
  const url = git.text('url')
  refuseUser(git, 'url', url)
  if (!/^(https?|ssh):\/\//.test(url))
    git.refuse(`url: ${JSON.stringify(url)} is no repository; https://host/path or ssh://host/path was expected`)
  return {
    from: 'git',
    url,
    ref: gitRefOf(git.text('ref', `v${tercetVersion}`)),
    path: git.text('path', 'deploy/chart'),
  }
}

/** A commit by its form, a version as a tag, anything else a branch; `branch:x` and `tag:x` say it. */
function gitRefOf(text: string): GitRef {
  const [, kind, name] = /^(branch|tag|commit):(.+)$/.exec(text) ?? []
  if (name !== undefined)
    return kind === 'tag' ? { tag: name } : kind === 'commit' ? { commit: name } : { branch: name }
  if (/^[0-9a-f]{40}$/.test(text)) return { commit: text }
  return /^v?\d+\.\d+/.test(text) ? { tag: text } : { branch: text }
}

function readImage(section: Section): StackImage {
  const digest = section.text('digest')
  if (digest !== '' && !/^sha256:[0-9a-f]{64}$/.test(digest))
    section.refuse(`digest: ${JSON.stringify(digest)} is no digest; sha256: and 64 hexadecimal digits were expected`)
  return {
    repository: section.text('repository', 'ghcr.io/tercet/tercet'),
    tag: section.text('tag', tercetVersion),
    digest,
  }
}

/** The image as a container names it. */
export function imageOf({ repository, tag, digest }: StackImage): string {
  return `${repository}:${tag}${digest === '' ? '' : `@${digest}`}`
}

function readAlerting(section: Section): Alerting {
  const config = section.text('alertmanager_config')
  const secret = section.section('secret')
  if (secret === undefined) return { config, secret: undefined }
  const named = { name: secret.text('name'), key: secret.text('key', 'alertmanager.yml') }
  secret.finish()
  if (named.name === '') section.refuse('secret: its name was expected')
  if (config !== '') section.refuse('alertmanager_config and secret are the same thing twice; name one')
  return { config, secret: named }
}

function readExternalSecrets(section: Section): Stack['externalSecrets'] {
  const store = section.text('store')
  const kind = readChoice(section, 'kind', ['ClusterSecretStore', 'SecretStore'])
  if (store === '') section.refuse('store: the name of a ClusterSecretStore or SecretStore was expected')
  return { store, kind, prefix: section.text('prefix') }
}

function readExpose(section: Section): Expose {
  const expose = {
    host: section.text('host'),
    gateway: section.text('gateway'),
    gatewayNamespace: section.text('gateway_namespace'),
    ingressClass: section.text('ingress_class'),
    tlsSecret: section.text('tls_secret'),
  }
  if (expose.host === '' && Object.values(expose).some(text => text !== ''))
    section.refuse('host: a host name was expected beside its gateway or ingress_class')
  if (expose.host !== '' && (expose.gateway === '') === (expose.ingressClass === ''))
    section.refuse('either gateway (for an HTTPRoute) or ingress_class (for an Ingress) was expected beside host')
  return expose
}

/** How the pieces of the stack run, and where. */
function readDeployment(
  top: Section,
  readSection: ReadSection,
  engine: Engine,
): Pick<Stack, 'persistence' | 'agent' | 'signals' | 'grafana' | 'developmentS3' | 'networkPolicy'> {
  return {
    // The documents want no volume with Tercet, which needs none with a bucket; the others lose data that is not in
    // theirs yet.
    persistence: readSection('persistence', section => ({
      isOn: section.isOn('enabled', engine !== 'tercet' || !top.has('s3')),
      size: section.text('size', '10Gi'),
      storageClass: section.text('storage_class'),
    })),
    agent: readSection('agent', section => ({
      isOn: section.isOn('enabled', true),
      isFollowingLogs: section.isOn('logs', false),
      hasKubelet: section.isOn('kubelet', true),
    })),
    signals: readSignals(top, engine),
    grafana: readSection('grafana', section => ({
      isOn: section.isOn('enabled', false),
      tag: section.text('tag', '13.2.0'),
      namespace: section.text('namespace', '') || top.text('namespace', 'monitoring'),
      orgId: section.text('org_id'),
      objects: readChoice(section, 'objects', ['configmap', 'operator']),
    })),
    developmentS3: readSection('development_s3', readDevelopmentS3),
    networkPolicy: readSection('network_policy', section => ({
      isOn: section.isOn('enabled', false),
      fromNamespaces: section.texts('from_namespaces'),
      toCidrs: section.texts('to_cidrs'),
    })),
  }
}

/** `engineGiven` goes before the file's. Throws BadDataError with file, line and column. */
export function readStack(text: string, path: string, engineGiven?: string): Stack {
  const top = parseSettings(text.trim() === '' ? '{}' : text, path).section()
  const engine = readEngine(top, engineGiven)
  const readSection = sectionReader(top, path)
  const stack: Stack = {
    engine,
    scrape: readScrape(top, readSection, engine),
    name: top.text('name', 'tercet'),
    namespace: top.text('namespace', 'monitoring'),
    root: top.text('root', 'kubernetes/apps'),
    image: readSection('image', readImage),
    chart: readSection('chart', readChartSource),
    s3: top.has('s3') ? readSection('s3', section => readS3(section, engine)) : undefined,
    retention: readSection('retention', section => ({
      metrics: retentionOf(section, 'metrics'),
      logs: retentionOf(section, 'logs'),
      traces: retentionOf(section, 'traces'),
    })),
    ...readDeployment(top, readSection, engine),
    alerting: readSection('alerting', readAlerting),
    externalSecrets: top.has('external_secrets') ? readSection('external_secrets', readExternalSecrets) : undefined,
    expose: readSection('expose', readExpose),
    authSecret: top.text('auth_secret'),
    hasAliases: top.isOn('aliases', false),
    hasExporters: top.isOn('exporters', false),
    hasMonitors: top.isOn('monitors', engine === 'lgtm'),
    isMeshed: top.isOn('mesh', false),
    ageRecipients: top.texts('age_recipients'),
    external: top.texts('external'),
    flux: readSection('flux', section => ({
      sourceName: section.text('source', 'flux-system'),
      interval: section.text('interval', '1h'),
      decryptionSecret: section.text('decryption_secret', 'sops-age'),
    })),
  }
  top.finish()
  refuseUnusable(stack, path)
  return stack
}

/** What only some engines can have is refused, not left out. */
function refuseForEngine({ engine, authSecret, expose, hasAliases, hasExporters }: Stack, path: string): void {
  const refuse = (key: string, why: string): never => {
    throw new BadDataError(`${path}: ${key}: ${why}`)
  }
  if (hasExporters && engine === 'victoria') refuse('exporters', 'the chart of the Victoria stack brings them already')
  if (engine === 'tercet') return
  if (authSecret !== '')
    refuse('auth_secret', `the engine ${engine} asks nobody who he is; have a proxy before it that does`)
  if (expose.host !== '')
    refuse('expose', `the engine ${engine} asks nobody who he is; have Grafana alone reached from outside`)
  if (hasAliases && engine === 'victoria') refuse('aliases', 'its Services have the names of the documents already')
}

/** Lines that are followed need a store for them, and agents of Tercet one for what they scrape. */
function refuseLogsWithoutStore({ engine, agent, signals }: Stack, path: string): void {
  if (!agent.isFollowingLogs) return
  const needed: SignalName[] = engine === 'lgtm' ? ['logs', 'metrics'] : ['logs']
  const missing = needed.filter(signal => !signals.includes(signal))
  if (missing.length > 0)
    throw new BadDataError(`${path}: agent.logs: the stack has no ${missing.join(' and no ')}; name it in signals`)
}

function refuseUnusable(stack: Stack, path: string): void {
  refuseForEngine(stack, path)
  refuseLogsWithoutStore(stack, path)
  if (stack.developmentS3.isOn && stack.developmentS3.image === '')
    throw new BadDataError(
      `${path}: development_s3.image: name the image of an S3 server; there is none that suits everybody`,
    )
  for (const recipient of stack.ageRecipients)
    if (!/^age1[0-9a-z]+$/.test(recipient))
      throw new BadDataError(`${path}: age_recipients: ${JSON.stringify(recipient)} is no age recipient (age1…)`)
  if (stack.image.tag === 'latest')
    throw new BadDataError(`${path}: image.tag is "latest"; name a version, so that a restart does not change it`)
}
