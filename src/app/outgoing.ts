/** The guards of outgoing connections, as the configuration has them. */
import { linkLocalNetworks, OutgoingGuard } from '#net/outgoing-guard.ts'
import type { Config } from './config.ts'

/** For scrapes, discovery, other Alertmanagers and an agent's remotes. */
export function outgoingGuard(config: Config): OutgoingGuard {
  return new OutgoingGuard({ allow: config.list('outgoing.allow'), deny: config.list('outgoing.deny') })
}

/** For the receivers of alertmanager.yml. */
export function notificationGuard(config: Config): OutgoingGuard {
  const isLinkLocalAllowed = config.isOn('limits.notify_link_local')
  return new OutgoingGuard({
    allow: [...config.list('outgoing.allow'), ...(isLinkLocalAllowed ? linkLocalNetworks : [])],
    deny: config.list('outgoing.deny'),
    allowedBy: 'outgoing.allow or limits.notify_link_local',
  })
}
