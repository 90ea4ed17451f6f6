/**
 * Settings of discoveries, as `*_sd_configs` of a job or of `alertmanagers` have them. Source: Prometheus' public
 * configuration documentation.
 */
import { maskUrls, Secret } from '#core/secret.ts'
import { quote } from '#core/text.ts'
import { readHttpClient, type HttpClientSettings } from '#lang/settings/http-client.ts'
import type { Section, Setting } from '#lang/settings/section.ts'
import { isObjectName } from './kube-access.ts'

/** Addresses with labels that they share. */
export interface StaticGroup {
  targets: string[]
  labels: [string, string][]
}
/** One entry of a `*_sd_configs` list, by kind. Times are milliseconds. */
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
      token: Secret
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

/** Settings of one kind. */
export type SettingsOf<Kind extends DiscoverySettings['kind']> = Extract<DiscoverySettings, { kind: Kind }>

/** Kinds of objects that become targets. */
export const kubernetesRoles = ['node', 'pod', 'service', 'endpoints', 'endpointslice', 'ingress'] as const
/** One of them. */
export type KubernetesRole = (typeof kubernetesRoles)[number]
/** `namespaces` empty and not `ownNamespace`: all namespaces. */
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

/** Kinds that Prometheus has and Tercet does not. */
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

/** The text, when it is the URL of an HTTP server; else it is refused. */
export function checkUrl(section: Section, text: string): string {
  if (!/^https?:\/\/[^/]+/.test(text) || !URL.canParse(text))
    section.refuse(
      text === ''
        ? 'URL is missing'
        : `URL scheme must be 'http' or 'https', and a host named: ${quote(maskUrls(text))}`,
    )
  return text
}

/** A target group, as static_configs and files of targets have it. */
export function readStaticGroup(setting: Setting): StaticGroup {
  const section = setting.section()
  const group: StaticGroup = { targets: section.texts('targets'), labels: section.textMap('labels') }
  for (const target of group.targets)
    if (target.includes('/')) section.refuse(`${quote(target)} is not a valid hostname`)
  section.finish()
  return group
}

const isRole = (text: string): text is KubernetesRole => kubernetesRoles.some(role => role === text)

function readKubernetes(section: Section): KubernetesSettings {
  const role = section.text('role')
  if (!isRole(role))
    return section.refuse(
      role === ''
        ? `role missing (one of: ${kubernetesRoles.join(', ')})`
        : `unknown Kubernetes SD role ${quote(role)}`,
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
  for (const name of settings.namespaces)
    if (!isObjectName(name)) section.refuse(`${quote(name)} is not the name of a namespace`)
  namespaces?.finish()
  attach?.finish()
  checkKubernetes(section, settings)
  return settings
}

const clientKeys = [
  'basic_auth',
  'authorization',
  'oauth2',
  'tls_config',
  'bearer_token',
  'bearer_token_file',
  'proxy_url',
]

/** Refuses settings that contradict each other. */
function checkKubernetes(
  section: Section,
  { kubeconfigFile, apiServer, ownNamespace, selectors }: KubernetesSettings,
): void {
  if (kubeconfigFile !== '') {
    if (apiServer !== '') section.refuse("cannot use 'kubeconfig_file' and 'api_server' simultaneously")
    if (clientKeys.some(name => section.has(name)))
      section.refuse('cannot use a custom HTTP client configuration together with "kubeconfig_file"')
    if (ownNamespace) section.refuse('cannot use "kubeconfig_file" and "namespaces.own_namespace" simultaneously')
  }
  for (const selector of selectors)
    if (!isRole(selector.role)) section.refuse(`invalid role ${quote(selector.role)} in selectors`)
}

function readFile(section: Section): DiscoverySettings {
  const files = section.texts('files')
  if (files.length === 0) section.refuse('file service discovery config must contain at least one path name')
  for (const file of files)
    if (!/^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$/.test(file))
      section.refuse(`path name ${quote(file)} is not valid for file discovery`)
  return { kind: 'file', files, refreshMs: section.durationMs('refresh_interval', 300_000) }
}

function readHttp(section: Section): DiscoverySettings {
  return {
    kind: 'http',
    url: checkUrl(section, section.text('url')),
    refreshMs: section.durationMs('refresh_interval', 60_000),
    client: readHttpClient(section),
  }
}

const recordTypes = ['SRV', 'A', 'AAAA', 'MX', 'NS'] as const

function readDns(section: Section): DiscoverySettings {
  const names = section.texts('names')
  const typeText = section.text('type', 'SRV').toUpperCase()
  const port = section.whole('port', 0)
  if (names.length === 0) section.refuse('DNS-SD config must contain at least one SRV record name')
  const type = recordTypes.find(t => t === typeText) ?? section.refuse(`invalid DNS-SD records type ${typeText}`)
  if (type !== 'SRV' && port === 0)
    section.refuse('a port is required in DNS-SD configs for all record types except SRV')
  return { kind: 'dns', names, type, port, refreshMs: section.durationMs('refresh_interval', 30_000) }
}

function readDocker(section: Section): DiscoverySettings {
  const host = section.text('host')
  if (host === '') section.refuse('host missing')
  const filters = section.list('filters').map((filter): [string, string[]] => {
    const s = filter.section()
    const pair: [string, string[]] = [s.text('name'), s.texts('values')]
    s.finish()
    return pair
  })
  return {
    kind: 'docker',
    host,
    port: section.whole('port', 80),
    hostNetworkingHost: section.text('host_networking_host', 'localhost'),
    matchFirstNetwork: section.isOn('match_first_network', true),
    filters,
    refreshMs: section.durationMs('refresh_interval', 60_000),
    client: readHttpClient(section),
  }
}

function readConsul(section: Section): DiscoverySettings {
  section.notDone(['username', 'password'], 'use basic_auth')
  const server = section.text('server', 'localhost:8500')
  return {
    kind: 'consul',
    url: `${section.text('scheme', 'http')}://${server}${section.text('path_prefix')}`,
    token: new Secret(section.text('token')),
    datacenter: section.text('datacenter'),
    namespace: section.text('namespace'),
    partition: section.text('partition'),
    tagSeparator: section.text('tag_separator', ','),
    services: section.texts('services'),
    tags: section.texts('tags'),
    nodeMeta: section.textMap('node_meta'),
    filter: section.text('filter'),
    allowStale: section.isOn('allow_stale', true),
    refreshMs: section.durationMs('refresh_interval', 30_000),
    client: readHttpClient(section),
  }
}

const readers = {
  file: readFile,
  http: readHttp,
  dns: readDns,
  kubernetes: readKubernetes,
  docker: readDocker,
  consul: readConsul,
} as const satisfies Record<Exclude<DiscoverySettings['kind'], 'static'>, (section: Section) => DiscoverySettings>

/** Kinds of discoveries, as their keys begin. */
export const supportedDiscoveries: readonly string[] = ['static', ...Object.keys(readers)]

/** Every discovery of a section; unsupported kinds become `warnings` that name their `owner`. */
export function readDiscoveries(section: Section, warnings: string[], owner: string): DiscoverySettings[] {
  const found: DiscoverySettings[] = []
  const groups = section.list('static_configs').map(readStaticGroup)
  if (groups.length > 0) found.push({ kind: 'static', groups })
  for (const [name, read] of Object.entries(readers))
    for (const setting of section.list(`${name}_sd_configs`)) {
      const own = setting.section()
      found.push(read(own))
      own.finish()
    }
  for (const name of otherDiscoveries)
    if (section.has(`${name}_sd_configs`))
      warnings.push(
        `${owner}: ${name}_sd_configs is not supported and finds nothing; static, file, http, dns, kubernetes, ` +
          'docker and consul are',
      )
  return found
}
