/**
 * Discoveries that look again now and then: fixed targets, files, HTTP, DNS, Docker, Consul. Names of labels as
 * Prometheus documents them.
 */
import { BadDataError, NotFoundError } from '#core/errors.ts'
import type { HttpClient } from '#net/http-client.ts'
import { parseSettings } from '#lang/settings/section.ts'
import { quote } from '#core/text.ts'
import { readStaticGroup, type DiscoverySettings, type StaticGroup } from '../config.ts'
import { PollingDiscovery, type Discovery, type DiscoveryWorld, type TargetGroup } from './discovery.ts'

type Settings<K extends DiscoverySettings['kind']> = Extract<DiscoverySettings, { kind: K }>

const replyBytesMax = 64 * 1024 * 1024
/** Files are looked at this often, whatever the refresh interval is: a change shows soon. */
const filePollMs = 5000

function groupOf({ targets, labels }: StaticGroup, source: string, more: [string, string][] = []): TargetGroup {
  return { source, targets: targets.map(address => [['__address__', address]]), labels: [...labels, ...more] }
}

export function staticDiscovery({ groups }: Settings<'static'>): Discovery {
  return {
    start: onGroups => {
      onGroups(groups.map((group, i) => groupOf(group, String(i))))
    },
    stop: () => Promise.resolve(),
  }
}

/** Files that a pattern names: a star in the last part only. */
export async function filesOf(world: Pick<DiscoveryWorld, 'files' | 'directory'>, pattern: string): Promise<string[]> {
  const whole = pattern.startsWith('/') ? pattern : `${world.directory}/${pattern}`
  if (!whole.includes('*') && !whole.includes('?')) return [whole]
  const at = whole.lastIndexOf('/')
  const directory = whole.slice(0, at)
  const [before, ...rest] = whole.slice(at + 1).split('*')
  const last = rest.at(-1) ?? ''
  return (await world.files.list(directory))
    .filter(name => name.startsWith(before!) && name.endsWith(last) && name.length >= before!.length + last.length)
    .map(name => `${directory}/${name}`)
}

export function fileDiscovery({ files, refreshMs }: Settings<'file'>, world: DiscoveryWorld): Discovery {
  const good = new Map<string, TargetGroup[]>()
  return new PollingDiscovery(world, `file ${files.join(', ')}`, Math.min(refreshMs, filePollMs), async () => {
    const paths = (await Promise.all(files.map(pattern => filesOf(world, pattern)))).flat()
    for (const path of good.keys()) if (!paths.includes(path)) good.delete(path)
    for (const path of paths) {
      try {
        const text = Buffer.from(await world.files.read(path)).toString('utf8')
        good.set(
          path,
          parseSettings(text, path)
            .list()
            .map((setting, i) => groupOf(readStaticGroup(setting), `${path}:${i}`, [['__meta_filepath', path]])),
        )
      } catch (error) {
        if (error instanceof NotFoundError) {
          good.delete(path)
          continue
        }
        if (!(error instanceof BadDataError)) throw error
        world.log.warn('a file of targets is wrong; what it had before stays', { file: path, error: error.message })
      }
    }
    return [...good.values()].flat()
  })
}

async function json(client: HttpClient, url: string, headers: Record<string, string> = {}): Promise<unknown> {
  const reply = await client.send(url, {
    headers: { accept: 'application/json', ...headers },
    timeoutMs: 30_000,
    bodyBytesMax: replyBytesMax,
  })
  if (reply.status !== 200) throw new BadDataError(`${url} answered ${reply.status}`)
  try {
    return JSON.parse(Buffer.from(reply.body).toString('utf8'))
  } catch {
    throw new BadDataError(`${url} did not answer with JSON`)
  }
}

export function httpDiscovery(
  { url, refreshMs, client: settings }: Settings<'http'>,
  world: DiscoveryWorld,
): Discovery {
  const client = world.client(settings)
  return new PollingDiscovery(
    world,
    `http ${url}`,
    refreshMs,
    async () => {
      const groups = await json(client, url, { 'x-prometheus-refresh-interval-seconds': String(refreshMs / 1000) })
      if (!Array.isArray(groups)) throw new BadDataError(`${url}: a list of target groups was expected`)
      return groups.map((group: { targets?: unknown; labels?: unknown }, i) => {
        if (!Array.isArray(group.targets) || !group.targets.every(t => typeof t === 'string'))
          throw new BadDataError(`${url}: the targets of group ${i} are no list of texts`)
        return groupOf(
          { targets: group.targets, labels: Object.entries((group.labels ?? {}) as Record<string, string>) },
          `${url}:${i}`,
          [['__meta_url', url]],
        )
      })
    },
    () => client.close(),
  )
}

export function dnsDiscovery({ names, type, port, refreshMs }: Settings<'dns'>, world: DiscoveryWorld): Discovery {
  const { resolve } = world
  const address = (host: string, own: number): string =>
    host.includes(':') ? `[${host}]:${own}` : `${host.replace(/\.$/, '')}:${own}`
  return new PollingDiscovery(world, `dns ${names.join(', ')}`, refreshMs, async () => {
    const groups: TargetGroup[] = []
    for (const name of names) {
      const targets: [string, string][][] = []
      const add = (host: string, own: number, more: [string, string][] = []): void => {
        targets.push([['__address__', address(host, own)], ['__meta_dns_name', name], ...more])
      }
      if (type === 'SRV')
        for (const { name: host, port: own } of await resolve.srv(name))
          add(host, own, [
            ['__meta_dns_srv_record_target', `${host.replace(/\.$/, '')}.`],
            ['__meta_dns_srv_record_port', String(own)],
          ])
      else if (type === 'MX')
        for (const host of await resolve.mx(name)) add(host, port, [['__meta_dns_mx_record_target', host]])
      else if (type === 'NS')
        for (const host of await resolve.ns(name)) add(host, port, [['__meta_dns_ns_record_target', host]])
      else for (const host of await resolve.addresses(name, type === 'A' ? 4 : 6)) add(host, port)
      groups.push({ source: name, targets, labels: [] })
    }
    return groups
  })
}

const labelName = (text: string): string => text.replaceAll(/[^a-zA-Z0-9_]/g, '_')

interface DockerContainer {
  Id: string
  Names: string[]
  Labels: Record<string, string> | null
  HostConfig: { NetworkMode: string }
  NetworkSettings: { Networks: Record<string, { NetworkID: string; IPAddress: string }> } | null
  Ports: { IP?: string; PrivatePort: number; PublicPort?: number; Type: string }[] | null
}

/** Containers by port and network. */
export function dockerDiscovery(settings: Settings<'docker'>, world: DiscoveryWorld): Discovery {
  const socketPath = settings.host.startsWith('unix://') ? settings.host.slice('unix://'.length) : undefined
  const client = world.client({ ...settings.client, socketPath })
  const base =
    socketPath === undefined
      ? settings.host.replace(/^tcp:/, settings.client.tls === undefined ? 'http:' : 'https:')
      : 'http://docker'
  if (!/^https?:/.test(base))
    throw new BadDataError(
      `docker_sd_configs: host ${quote(settings.host)} is not reached: unix://, tcp://, http:// and https:// are`,
    )
  const query = (filters: [string, string[]][]): string =>
    filters.length === 0
      ? ''
      : `?${new URLSearchParams({ filters: JSON.stringify(Object.fromEntries(filters)) }).toString()}`
  return new PollingDiscovery(
    world,
    `docker ${settings.host}`,
    settings.refreshMs,
    async () => {
      const networks = new Map(
        (
          (await json(client, `${base}/networks`)) as {
            Id: string
            Name: string
            Scope: string
            Internal: boolean
            Ingress: boolean
            Labels: Record<string, string> | null
          }[]
        ).map(n => [n.Id, n]),
      )
      const containers = (await json(client, `${base}/containers/json${query(settings.filters)}`)) as DockerContainer[]
      const targets: [string, string][][] = []
      for (const container of containers) {
        const common: [string, string][] = [
          ['__meta_docker_container_id', container.Id],
          ['__meta_docker_container_name', container.Names[0] ?? ''],
          ['__meta_docker_container_network_mode', container.HostConfig.NetworkMode],
        ]
        for (const [name, value] of Object.entries(container.Labels ?? {}))
          common.push([`__meta_docker_container_label_${labelName(name)}`, value])
        let list = Object.values(container.NetworkSettings?.Networks ?? {}).sort((a, b) =>
          (networks.get(a.NetworkID)?.Name ?? '').localeCompare(networks.get(b.NetworkID)?.Name ?? ''),
        )
        if (settings.matchFirstNetwork) list = list.slice(0, 1)
        for (const { NetworkID: id, IPAddress: ip } of list) {
          const network = networks.get(id)
          const own: [string, string][] = [
            ...common,
            ['__meta_docker_network_id', id],
            ['__meta_docker_network_name', network?.Name ?? ''],
            ['__meta_docker_network_ip', ip],
            ['__meta_docker_network_scope', network?.Scope ?? ''],
            ['__meta_docker_network_internal', String(network?.Internal ?? false)],
            ['__meta_docker_network_ingress', String(network?.Ingress ?? false)],
          ]
          for (const [name, value] of Object.entries(network?.Labels ?? {}))
            own.push([`__meta_docker_network_label_${labelName(name)}`, value])
          const ports = (container.Ports ?? []).filter(p => p.Type === 'tcp')
          for (const port of ports)
            targets.push([
              ...own,
              ['__address__', `${ip}:${port.PrivatePort}`],
              ['__meta_docker_port_private', String(port.PrivatePort)],
              ...(port.PublicPort === undefined
                ? []
                : ([
                    ['__meta_docker_port_public', String(port.PublicPort)],
                    ['__meta_docker_port_public_ip', port.IP ?? ''],
                  ] as [string, string][])),
            ])
          if (ports.length === 0)
            targets.push([
              ...own,
              [
                '__address__',
                container.HostConfig.NetworkMode === 'host' ? settings.hostNetworkingHost : `${ip}:${settings.port}`,
              ],
            ])
        }
      }
      return [{ source: 'docker', targets, labels: [] }]
    },
    () => client.close(),
  )
}

interface ConsulService {
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

function consulHealth(checks: readonly { Status: string }[]): string {
  return (
    ['maintenance', 'critical', 'warning', 'passing'].find(status => checks.some(c => c.Status === status)) ?? 'passing'
  )
}

export function consulDiscovery(settings: Settings<'consul'>, world: DiscoveryWorld): Discovery {
  const client = world.client(settings.client)
  const headers: Record<string, string> = settings.token === '' ? {} : { 'x-consul-token': settings.token }
  const get = (path: string, more: [string, string][]): Promise<unknown> => {
    const query = new URLSearchParams(more)
    if (settings.datacenter !== '') query.set('dc', settings.datacenter)
    if (settings.namespace !== '') query.set('ns', settings.namespace)
    if (settings.partition !== '') query.set('partition', settings.partition)
    if (settings.allowStale) query.set('stale', '')
    for (const [name, value] of settings.nodeMeta) query.append('node-meta', `${name}:${value}`)
    return json(client, `${settings.url}${path}?${query.toString()}`, headers)
  }
  return new PollingDiscovery(
    world,
    `consul ${settings.url}`,
    settings.refreshMs,
    async () => {
      const catalogue = (await get(
        '/v1/catalog/services',
        settings.filter === '' ? [] : [['filter', settings.filter]],
      )) as Record<string, string[] | null>
      const wanted = Object.entries(catalogue)
        .filter(
          ([name, tags]) =>
            (settings.services.length === 0 || settings.services.includes(name)) &&
            settings.tags.every(tag => tags?.includes(tag) === true),
        )
        .map(([name]) => name)
        .sort()
      const groups: TargetGroup[] = []
      for (const name of wanted) {
        const entries = (await get(
          `/v1/health/service/${encodeURIComponent(name)}`,
          settings.tags.map(tag => ['tag', tag]),
        )) as ConsulService[]
        groups.push({
          source: name,
          labels: [['__meta_consul_service', name]],
          targets: entries.map(({ Node: node, Service: service, Checks: checks }) => {
            const address = service.Address === '' ? node.Address : service.Address
            const separator = settings.tagSeparator
            const labels: [string, string][] = [
              ['__address__', `${address.includes(':') ? `[${address}]` : address}:${service.Port}`],
              ['__meta_consul_address', node.Address],
              ['__meta_consul_node', node.Node],
              ['__meta_consul_dc', node.Datacenter],
              ['__meta_consul_tags', `${separator}${(service.Tags ?? []).join(separator)}${separator}`],
              ['__meta_consul_service_address', service.Address],
              ['__meta_consul_service_port', String(service.Port)],
              ['__meta_consul_service_id', service.ID],
              ['__meta_consul_health', consulHealth(checks)],
              ['__meta_consul_namespace', service.Namespace ?? ''],
              ['__meta_consul_partition', service.Partition ?? ''],
            ]
            for (const [key, value] of Object.entries(node.Meta ?? {}))
              labels.push([`__meta_consul_metadata_${labelName(key)}`, value])
            for (const [key, value] of Object.entries(service.Meta ?? {}))
              labels.push([`__meta_consul_service_metadata_${labelName(key)}`, value])
            for (const [key, value] of Object.entries(node.TaggedAddresses ?? {}))
              labels.push([`__meta_consul_tagged_address_${labelName(key)}`, value])
            return labels
          }),
        })
      }
      return groups
    },
    () => client.close(),
  )
}
