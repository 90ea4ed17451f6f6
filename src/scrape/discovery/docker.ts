/** Targets from Docker's API: containers by port and network. Names of labels as Prometheus documents them. */
import { BadDataError } from '#core/errors.ts'
import { maskUrls } from '#core/secret.ts'
import { quote } from '#core/text.ts'
import { PollingDiscovery, type Discovery, type DiscoveryWorld, type TargetGroup } from './discovery.ts'
import { fetchJson } from './fetch-json.ts'
import { labelName } from './label-name.ts'
import type { SettingsOf } from './settings.ts'

type Pairs = [string, string][]

/** The part of the API's answers that is read. Source: the public reference of Docker's Engine API. */
interface DockerContainer {
  Id: string
  Names: string[]
  Labels: Record<string, string> | null
  HostConfig: { NetworkMode: string }
  NetworkSettings: { Networks: Record<string, { NetworkID: string; IPAddress: string }> } | null
  Ports: DockerPort[] | null
}
interface DockerPort {
  IP?: string
  PrivatePort: number
  PublicPort?: number
  Type: string
}
interface DockerNetwork {
  Id: string
  Name: string
  Scope: string
  Internal: boolean
  Ingress: boolean
  Labels: Record<string, string> | null
}

/** Asks the API at `host` every `refreshMs`. Throws BadDataError when the host's scheme is unknown. */
export function dockerDiscovery(settings: SettingsOf<'docker'>, world: DiscoveryWorld): Discovery {
  const { host, filters } = settings
  const socketPath = host.startsWith('unix://') ? host.slice('unix://'.length) : undefined
  const client = world.client({ ...settings.client, socketPath })
  const scheme = settings.client.tls === undefined ? 'http:' : 'https:'
  const base = socketPath === undefined ? host.replace(/^tcp:/, scheme) : 'http://docker'
  if (!/^https?:/.test(base))
    throw new BadDataError(
      `docker_sd_configs: host ${quote(maskUrls(host))} is not reached: unix://, tcp://, http:// and https:// are`,
    )
  const query = new URLSearchParams({ filters: JSON.stringify(Object.fromEntries(filters)) }).toString()
  const look = async (): Promise<TargetGroup[]> => {
    // The API is trusted to answer in its documented form.
    const networks = (await fetchJson(client, `${base}/networks`)) as DockerNetwork[]
    const containersUrl = `${base}/containers/json${filters.length === 0 ? '' : `?${query}`}`
    const containers = (await fetchJson(client, containersUrl)) as DockerContainer[]
    const byId = new Map(networks.map(network => [network.Id, network]))
    const targets = containers.flatMap(container => targetsOf(container, byId, settings))
    return [{ source: 'docker', targets, labels: [] }]
  }
  return new PollingDiscovery(world, `docker ${host}`, settings.refreshMs, look, () => client.close())
}

/** A target for every TCP port of a container in each of its networks; without ports, one for each network. */
function targetsOf(
  container: DockerContainer,
  networks: ReadonlyMap<string, DockerNetwork>,
  { matchFirstNetwork, hostNetworkingHost, port: defaultPort }: SettingsOf<'docker'>,
): Pairs[] {
  const { NetworkMode: mode } = container.HostConfig
  const nameOf = (id: string): string => networks.get(id)?.Name ?? ''
  const joined = Object.values(container.NetworkSettings?.Networks ?? {}).sort((a, b) =>
    nameOf(a.NetworkID).localeCompare(nameOf(b.NetworkID)),
  )
  const ports = (container.Ports ?? []).filter(port => port.Type === 'tcp')
  const targets: Pairs[] = []
  for (const { NetworkID: id, IPAddress: ip } of matchFirstNetwork ? joined.slice(0, 1) : joined) {
    const labels = [...containerLabels(container), ...networkLabels(id, ip, networks.get(id))]
    for (const port of ports) targets.push([...labels, ...portLabels(ip, port)])
    if (ports.length === 0)
      targets.push([...labels, ['__address__', mode === 'host' ? hostNetworkingHost : `${ip}:${defaultPort}`]])
  }
  return targets
}

function containerLabels({ Id: id, Names: names, HostConfig: host, Labels: labels }: DockerContainer): Pairs {
  return [
    ['__meta_docker_container_id', id],
    ['__meta_docker_container_name', names[0] ?? ''],
    ['__meta_docker_container_network_mode', host.NetworkMode],
    ...prefixed('__meta_docker_container_label_', labels),
  ]
}

function networkLabels(id: string, ip: string, network: DockerNetwork | undefined): Pairs {
  return [
    ['__meta_docker_network_id', id],
    ['__meta_docker_network_name', network?.Name ?? ''],
    ['__meta_docker_network_ip', ip],
    ['__meta_docker_network_scope', network?.Scope ?? ''],
    ['__meta_docker_network_internal', String(network?.Internal ?? false)],
    ['__meta_docker_network_ingress', String(network?.Ingress ?? false)],
    ...prefixed('__meta_docker_network_label_', network?.Labels),
  ]
}

function portLabels(ip: string, port: DockerPort): Pairs {
  const labels: Pairs = [
    ['__address__', `${ip}:${port.PrivatePort}`],
    ['__meta_docker_port_private', String(port.PrivatePort)],
  ]
  if (port.PublicPort !== undefined)
    labels.push(['__meta_docker_port_public', String(port.PublicPort)], ['__meta_docker_port_public_ip', port.IP ?? ''])
  return labels
}

function prefixed(prefix: string, values: Readonly<Record<string, string>> | null | undefined): Pairs {
  return Object.entries(values ?? {}).map(([name, value]) => [`${prefix}${labelName(name)}`, value])
}
