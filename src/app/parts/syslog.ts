/** Syslog over TCP, TLS and UDP, into the logs: three listeners with a door each, one receiver. */
import { defaultTenants } from '#api/tenancy.ts'
import type { Registry } from '#core/counter.ts'
import { BadDataError } from '#core/errors.ts'
import { parseIpNetwork } from '#core/ip-address.ts'
import { SyslogDoor, type SyslogPeer } from '#ingest/syslog-door.ts'
import { SyslogReceiver, type SyslogListener } from '#ingest/syslog.ts'
import type { LogsAppender } from '#logs/append.ts'
import { writes } from '#net/access.ts'
import type { Admission } from '#net/auth.ts'
import { listenTcp, listenUdp, type Listening } from '#net/byte-streams.ts'
import type { Context } from '../context.ts'
import type { Listener } from '../part.ts'
import { syslogListeners, type SyslogListenerName } from '../syslog-listeners.ts'
import { hostAndPort } from '../world.ts'

const access = writes('logs')

/** Throws BadDataError where nobody could be asked for credentials although they are set up. */
function openServer(context: Context, name: SyslogListenerName, listener: SyslogListener): Promise<Listening> {
  const { config, security } = context
  const { host, port } = hostAndPort(config.text(`listen.${name}`))
  requireAsking(context, name)
  if (name === 'syslog_udp') return listenUdp(host, port, listener.datagram)
  if (name === 'syslog_tcp') return listenTcp(host, port, undefined, listener.connect)
  if (security.tls === undefined) throw new BadDataError('listen.syslog_tls needs tls.cert_file and tls.key_file')
  return listenTcp(host, port, security.tls.of(name), listener.connect)
}

function requireAsking({ config, security }: Context, name: SyslogListenerName): void {
  if (!security.auth.isOn || config.list('syslog.without_credentials').includes(name)) return
  const isAsking = name === 'syslog_tls' && security.tls !== undefined && security.tls.of(name).clientAuth !== 'none'
  if (isAsking && config.text('auth.file') !== '') return
  const wanted = isAsking
    ? 'auth.file lists no certificates, since it is not set'
    : 'it asks nobody for a certificate, and syslog has no other credentials'
  throw new BadDataError(
    `listen.${name}: credentials are set up (auth.*), and ${wanted}; ` +
      `name it in syslog.without_credentials to take messages from whoever reaches it, or switch it off`,
  )
}

/** By the certificate; the schemes that read one decide at once. */
function admitOf({ security: { auth } }: Context): ((peer: SyslogPeer) => Admission) | undefined {
  if (!auth.isOn) return undefined
  return ({ clientSubject, address }) => {
    const admission = auth.enter(access, { authorization: undefined, clientSubject, remoteAddress: address })
    return admission instanceof Promise ? { status: 503, reason: 'its credential can not be looked up' } : admission
  }
}

function doorOf(context: Context, name: SyslogListenerName): SyslogDoor {
  const { config, tenancy } = context
  const given = config.list('syslog.tenants').find(entry => entry.startsWith(`${name}=`))
  return new SyslogDoor({
    name,
    allow: config.list('syslog.allow').map(parseIpNetwork),
    admit: admitOf(context),
    isOpen: config.list('syslog.without_credentials').includes(name),
    hasTenancy: tenancy.isOn,
    tenant: given?.slice(name.length + 1) ?? defaultTenants.logs,
    isTenantGiven: given !== undefined,
    tenantField: config.text('syslog.tenant_field') || undefined,
  })
}

function makeListener(context: Context, name: SyslogListenerName, receiver: SyslogReceiver): Listener {
  let server: Listening | undefined
  const isOff = context.isReader || context.config.text(`listen.${name}`) === 'off'
  return {
    name,
    access,
    open: async () => {
      if (isOff) return undefined
      server = await openServer(context, name, receiver.listener(doorOf(context, name)))
      return server.address
    },
    close: async () => {
      await server?.stop()
      server = undefined
    },
  }
}

/** Without tenancy there are no tenants to choose from. */
function requireTenancy({ config, tenancy }: Context): void {
  for (const key of ['syslog.tenants', 'syslog.tenant_field'] as const)
    if (!tenancy.isOn && config.text(key) !== '')
      throw new BadDataError(`${config.placeOf(key)}: ${key} needs tenancy: on`)
}

/** `close` stores what was received; the listeners are closed before that. */
export function makeSyslog(
  context: Context,
  appender: LogsAppender,
): { listeners: Listener[]; metrics: (registry: Registry) => void; close: () => Promise<void> } {
  requireTenancy(context)
  const { config, world, limits, audit, tenancy } = context
  const receiver = new SyslogReceiver({
    appender,
    clock: world.clock,
    log: world.log,
    messageBytesMax: config.bytes('limits.log_line_size'),
    hasTenancy: tenancy.isOn,
    tenantsMax: limits.tenantsMax,
    onForbidden: (who, listener, { address: from }) => {
      audit.noteForbidden({ who, method: 'write', path: listener, from })
    },
  })
  return {
    listeners: syslogListeners.map(name => makeListener(context, name, receiver)),
    metrics: registry => {
      const counter = (name: string, help: string, read: () => number): void => {
        registry.read(name, help, 'counter', read)
      }
      counter('tercet_syslog_messages_total', 'Syslog messages received.', () => receiver.messages)
      counter('tercet_syslog_messages_lost_total', 'Syslog messages refused or given up.', () => receiver.lost)
      counter(
        'tercet_syslog_senders_refused_total',
        'Connections and datagrams of syslog that were not let in, by address or credential.',
        () => receiver.refused,
      )
    },
    close: () => receiver.close(),
  }
}
