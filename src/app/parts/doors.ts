/** What the addresses are warned of: who gets in, and who was refused by its name. Serves nothing. */
import { BlockList } from 'node:net'
import { Repeater } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { Context } from '../context.ts'
import type { OptionName } from '../options.ts'
import { makePart, type Part } from '../part.ts'
import { tlsListeners } from '../tls-listeners.ts'
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

/** How often the files of certificates are read: they are small. */
const certificatesEveryMs = 10_000

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
    const listener = tlsListeners.find(one => name === `listen.${one}`)
    if (listener !== undefined && security.tls?.of(listener).clientAuth === 'required') return []
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

function certificateWarning({ security, world }: Pick<Context, 'security' | 'world'>): string | undefined {
  const { tls } = security
  if (tls === undefined) return undefined
  if (tls.problem !== undefined)
    return `the files of tls.* have changed and are not used, the certificates before them are: ${tls.problem}`
  const { notAfterMs } = tls.certificates
  return notAfterMs > world.clock.nowMs()
    ? undefined
    : `the certificate of tls.cert_file has ended at ${new Date(notAfterMs).toISOString()}`
}

/** Takes what is new in the files of certificates; says so, and what is wrong with them, once. */
async function lookAtCertificates({ security, world }: Pick<Context, 'security' | 'world'>): Promise<void> {
  const { tls } = security
  if (tls === undefined) return
  const { problem } = tls
  if (await tls.look())
    world.log.info('new certificates are used', { until: new Date(tls.certificates.notAfterMs).toISOString() })
  if (tls.problem !== undefined && tls.problem !== problem)
    world.log.error('the files of tls.* have changed and are not used', { error: tls.problem })
}

export function makeDoors(context: Context): Part {
  const { world, security } = context
  const open = openWarning(context)
  let repeater: Repeater | undefined
  return makePart({
    name: 'addresses',
    metrics: registry => {
      const { tls } = security
      if (tls === undefined) return
      const help = 'When the certificate of the servers ends, in seconds since 1970.'
      registry.read(
        'tercet_tls_certificate_end_timestamp_seconds',
        help,
        'gauge',
        () => tls.certificates.notAfterMs / 1000,
      )
    },
    start: () => {
      if (open !== undefined) world.log.warn(open)
      if (security.tls !== undefined)
        repeater = new Repeater(world.clock, certificatesEveryMs, () => lookAtCertificates(context))
      return Promise.resolve()
    },
    stop: async () => {
      await repeater?.stop()
    },
    reload: async () => {
      await lookAtCertificates(context)
      if (security.tls?.problem !== undefined) throw new BadDataError(`tls.*: ${security.tls.problem}`)
    },
    warning: () => {
      const warnings = [open, certificateWarning(context), foreignHostsWarning(context)]
      return warnings.filter(warning => warning !== undefined).join('\n') || undefined
    },
  })
}
