/** Syslog over TCP, TLS and UDP, into the logs of the default tenant: three listeners, one receiver. */
import type { Registry } from '#core/counter.ts'
import { BadDataError } from '#core/errors.ts'
import { SyslogReceiver } from '#ingest/syslog.ts'
import type { LogsAppender } from '#logs/append.ts'
import { listenTcp, listenUdp } from '#net/byte-streams.ts'
import type { Context } from '../context.ts'
import type { Listener } from '../part.ts'
import { defaultTenants } from '#api/tenancy.ts'
import { hostAndPort } from '../world.ts'

interface Server {
  address: string
  stop(): Promise<void>
}

type SyslogName = 'syslog_tcp' | 'syslog_tls' | 'syslog_udp'

function openServer(context: Context, name: SyslogName, receiver: SyslogReceiver): Promise<Server> {
  const { config, security } = context
  const { host, port } = hostAndPort(config.text(`listen.${name}`))
  if (name === 'syslog_udp') return listenUdp(host, port, receiver.datagram)
  if (name === 'syslog_tcp') return listenTcp(host, port, undefined, receiver.connect)
  if (security.tls === undefined) throw new BadDataError('listen.syslog_tls needs tls.cert_file and tls.key_file')
  return listenTcp(host, port, security.tls.of(name), receiver.connect)
}

function makeListener(context: Context, name: SyslogName, receiver: SyslogReceiver): Listener {
  let server: Server | undefined
  const isOff = context.isReader || context.config.text(`listen.${name}`) === 'off'
  return {
    name,
    open: async () => {
      if (isOff) return undefined
      server = await openServer(context, name, receiver)
      return server.address
    },
    close: async () => {
      await server?.stop()
      server = undefined
    },
  }
}

/** `close` stores what was received; the listeners are closed before that. */
export function makeSyslog(
  context: Context,
  appender: LogsAppender,
): { listeners: Listener[]; metrics: (registry: Registry) => void; close: () => Promise<void> } {
  const { clock, log } = context.world
  const lineBytesMax = context.config.bytes('limits.log_line_size')
  const receiver = new SyslogReceiver(appender, defaultTenants.logs, clock, log, lineBytesMax)
  const names: readonly SyslogName[] = ['syslog_tcp', 'syslog_tls', 'syslog_udp']
  return {
    listeners: names.map(name => makeListener(context, name, receiver)),
    metrics: registry => {
      const counter = (name: string, help: string, read: () => number): void => {
        registry.read(name, help, 'counter', read)
      }
      counter('tercet_syslog_messages_total', 'Syslog messages received.', () => receiver.messages)
      counter('tercet_syslog_messages_lost_total', 'Syslog messages refused or given up.', () => receiver.lost)
    },
    close: () => receiver.close(),
  }
}
