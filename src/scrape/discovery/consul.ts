/** Targets from Consul's catalogue: instances by service. Names of labels as Prometheus documents them. */
import { PollingDiscovery, type Discovery, type DiscoveryWorld, type TargetGroup } from './discovery.ts'
import { fetchJson } from './fetch-json.ts'
import { labelName } from './label-name.ts'
import type { SettingsOf } from './settings.ts'

/** The part of the API's answers that is read. Source: the public reference of Consul's HTTP API. */
interface ConsulInstance {
  Node: {
    ID: string
    Node: string
    Address: string
    Datacenter: string
    Meta: Record<string, string> | null
    TaggedAddresses: Record<string, string> | null
    Partition?: string
  }
  Service: {
    ID: string
    Service: string
    Tags: string[] | null
    Address: string
    Port: number
    Meta: Record<string, string> | null
    TaggedAddresses?: Record<string, { Address: string; Port: number }> | null
    Namespace?: string
    Partition?: string
  }
  Checks: { Status: string }[]
}
/** Tags of each service, by its name. */
type ConsulCatalogue = Readonly<Record<string, readonly string[] | null>>

/** Asks the catalogue every `refreshMs`, then for the instances of each wanted service. */
export function consulDiscovery(settings: SettingsOf<'consul'>, world: DiscoveryWorld): Discovery {
  const client = world.client(settings.client)
  const headers: Record<string, string> = settings.token.isSet ? { 'x-consul-token': settings.token.reveal() } : {}
  const get = (path: string, own: [string, string][]): Promise<unknown> =>
    fetchJson(client, `${settings.url}${path}?${queryOf(settings, own)}`, headers)
  const look = async (): Promise<TargetGroup[]> => {
    const filter: [string, string][] = settings.filter === '' ? [] : [['filter', settings.filter]]
    const tags = settings.tags.map((tag): [string, string] => ['tag', tag])
    // The API is trusted to answer in its documented form.
    const catalogue = (await get('/v1/catalog/services', filter)) as ConsulCatalogue
    const groups: TargetGroup[] = []
    for (const name of wantedServices(catalogue, settings)) {
      const instances = (await get(`/v1/health/service/${encodeURIComponent(name)}`, tags)) as ConsulInstance[]
      groups.push({
        source: name,
        labels: [['__meta_consul_service', name]],
        targets: instances.map(instance => labelsOf(instance, settings.tagSeparator)),
      })
    }
    return groups
  }
  return new PollingDiscovery(world, `consul ${settings.url}`, settings.refreshMs, look, () => client.close())
}

function queryOf(settings: SettingsOf<'consul'>, own: [string, string][]): string {
  const query = new URLSearchParams(own)
  if (settings.datacenter !== '') query.set('dc', settings.datacenter)
  if (settings.namespace !== '') query.set('ns', settings.namespace)
  if (settings.partition !== '') query.set('partition', settings.partition)
  if (settings.allowStale) query.set('stale', '')
  for (const [name, value] of settings.nodeMeta) query.append('node-meta', `${name}:${value}`)
  return query.toString()
}

/** Names of the services that are asked for and have all tags, sorted. */
function wantedServices(catalogue: ConsulCatalogue, { services, tags }: SettingsOf<'consul'>): string[] {
  return Object.entries(catalogue)
    .filter(
      ([name, own]) =>
        (services.length === 0 || services.includes(name)) && tags.every(tag => own?.includes(tag) === true),
    )
    .map(([name]) => name)
    .sort()
}

function labelsOf(
  { Node: node, Service: service, Checks: checks }: ConsulInstance,
  separator: string,
): [string, string][] {
  const host = service.Address === '' ? node.Address : service.Address
  const labels: [string, string][] = [
    ['__address__', `${host.includes(':') ? `[${host}]` : host}:${service.Port}`],
    ['__meta_consul_address', node.Address],
    ['__meta_consul_node', node.Node],
    ['__meta_consul_dc', node.Datacenter],
    ['__meta_consul_tags', `${separator}${(service.Tags ?? []).join(separator)}${separator}`],
    ['__meta_consul_service_address', service.Address],
    ['__meta_consul_service_port', String(service.Port)],
    ['__meta_consul_service_id', service.ID],
    ['__meta_consul_health', healthOf(checks)],
    ['__meta_consul_namespace', service.Namespace ?? ''],
    ['__meta_consul_partition', service.Partition ?? ''],
  ]
  for (const [prefix, values] of [
    ['__meta_consul_metadata_', node.Meta],
    ['__meta_consul_service_metadata_', service.Meta],
    ['__meta_consul_tagged_address_', node.TaggedAddresses],
  ] as const)
    for (const [name, value] of Object.entries(values ?? {})) labels.push([`${prefix}${labelName(name)}`, value])
  return labels
}

/** The worst status of all checks. */
function healthOf(checks: readonly { Status: string }[]): string {
  return (
    ['maintenance', 'critical', 'warning', 'passing'].find(status => checks.some(c => c.Status === status)) ?? 'passing'
  )
}
