/** Fixed targets, and targets from files, HTTP and DNS. Names of labels as Prometheus documents them. */
import { BadDataError, NotFoundError } from '#core/errors.ts'
import { maskUrl } from '#core/secret.ts'
import { parseSettings } from '#lang/settings/section.ts'
import { PollingDiscovery, type Discovery, type DiscoveryWorld, type TargetGroup } from './discovery.ts'
import { fetchJson } from './fetch-json.ts'
import { readStaticGroup, type SettingsOf, type StaticGroup } from './settings.ts'

/** Files are read at least this often, whatever the refresh interval is: a change shows soon. */
const filePollMs = 5000

function groupOf({ targets, labels }: StaticGroup, source: string, more: [string, string][] = []): TargetGroup {
  return { source, targets: targets.map(address => [['__address__', address]]), labels: [...labels, ...more] }
}

/** Targets of static_configs. */
export function staticDiscovery({ groups }: SettingsOf<'static'>): Discovery {
  return {
    start: onGroups => {
      onGroups(groups.map((group, i) => groupOf(group, String(i))))
    },
    stop: () => Promise.resolve(),
  }
}

/** Paths that a pattern names; a star may stand in its last part. */
export async function filesOf(world: Pick<DiscoveryWorld, 'files' | 'directory'>, pattern: string): Promise<string[]> {
  const whole = pattern.startsWith('/') ? pattern : `${world.directory}/${pattern}`
  if (!whole.includes('*') && !whole.includes('?')) return [whole]
  const at = whole.lastIndexOf('/')
  const directory = whole.slice(0, at)
  const [before = '', ...rest] = whole.slice(at + 1).split('*')
  const last = rest.at(-1) ?? ''
  return (await world.files.list(directory))
    .filter(name => name.startsWith(before) && name.endsWith(last) && name.length >= before.length + last.length)
    .map(name => `${directory}/${name}`)
}

/** Targets of JSON and YAML files. A file that can't be read keeps its last targets; a missing one has none. */
export function fileDiscovery({ files, refreshMs }: SettingsOf<'file'>, world: DiscoveryWorld): Discovery {
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
        world.log.warn('a file of targets is wrong; its last targets stay', { file: path, error: error.message })
      }
    }
    return [...good.values()].flat()
  })
}

/** Targets that a URL answers with, as JSON. */
export function httpDiscovery(
  { url, refreshMs, client: settings }: SettingsOf<'http'>,
  world: DiscoveryWorld,
): Discovery {
  const client = world.client(settings)
  const shown = maskUrl(url)
  return new PollingDiscovery(
    world,
    `http ${shown}`,
    refreshMs,
    async () => {
      const groups = await fetchJson(client, url, { 'x-prometheus-refresh-interval-seconds': String(refreshMs / 1000) })
      if (!Array.isArray(groups)) throw new BadDataError(`${shown}: a list of target groups was expected`)
      return groups.map((group: { targets?: unknown; labels?: unknown }, i) => {
        if (!Array.isArray(group.targets) || !group.targets.every(t => typeof t === 'string'))
          throw new BadDataError(`${shown}: the targets of group ${i} are no list of texts`)
        return groupOf(
          { targets: group.targets, labels: Object.entries((group.labels ?? {}) as Record<string, string>) },
          `${shown}:${i}`,
          [['__meta_url', shown]],
        )
      })
    },
    () => client.close(),
  )
}

/** Targets of DNS records, one group a name. */
export function dnsDiscovery({ names, type, port, refreshMs }: SettingsOf<'dns'>, world: DiscoveryWorld): Discovery {
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
