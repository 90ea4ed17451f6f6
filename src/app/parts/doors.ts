/** What the addresses are warned of: who gets in, and who was refused by its name. Serves nothing. */
import { BlockList } from 'node:net'
import type { Context } from '../context.ts'
import type { OptionName } from '../options.ts'
import { makePart, type Part } from '../part.ts'
import { hostAndPort } from '../world.ts'

/** Not listen.health, which answers nothing that is worth a guard. */
const guarded: readonly OptionName[] = [
  'listen.http',
  'listen.otlp_http',
  'listen.aliases',
  'listen.otlp_grpc',
  'listen.loki_grpc',
  'listen.grpc_aliases',
  'listen.syslog_tcp',
  'listen.syslog_tls',
  'listen.syslog_udp',
]

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

function isLoopback(setting: string): boolean {
  const { host } = hostAndPort(setting)
  return host === 'localhost' || loopback.check(host, host.includes(':') ? 'ipv6' : 'ipv4')
}

/** Addresses that others reach, and nobody is asked at: `listen.http=0.0.0.0:8428`. */
function openAddresses({ config, security }: Pick<Context, 'config' | 'security'>): string[] {
  if (security.auth.isOn) return []
  return guarded.flatMap(name => {
    // With authorities of clients, TLS asks each for a certificate.
    if (security.tls?.clientCa !== undefined && !/syslog_(?:tcp|udp)$/.test(name)) return []
    const settings = config.list(name).filter(setting => setting !== 'off' && !isLoopback(setting))
    return settings.map(setting => `${name}=${setting}`)
  })
}

function openWarning(context: Pick<Context, 'config' | 'security'>): string | undefined {
  const addresses = openAddresses(context)
  if (addresses.length === 0) return undefined
  return (
    `whoever reaches ${addresses.join(', ')} may read, write and delete without a password: set auth.username and ` +
    'auth.password_file, or auth.bearer_token_file, ask clients for certificates (tls.client_ca_file), or listen at ' +
    '127.0.0.1'
  )
}

/** Why requests by these names were refused, and what changes it. */
function foreignHostsWarning({ security }: Pick<Context, 'security'>): string | undefined {
  const names = security.browsers.foreignHosts
  if (names.length === 0) return undefined
  return `requests by the names ${names.join(', ')} were refused: where one is this server's, name it in allowed_hosts`
}

export function makeDoors(context: Context): Part {
  const open = openWarning(context)
  return makePart({
    name: 'addresses',
    start: () => {
      if (open !== undefined) context.world.log.warn(open)
      return Promise.resolve()
    },
    warning: () => {
      const warnings = [open, foreignHostsWarning(context)].filter(warning => warning !== undefined)
      return warnings.length === 0 ? undefined : warnings.join('\n')
    },
  })
}
