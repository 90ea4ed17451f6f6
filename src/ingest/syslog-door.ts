/** One listener of syslog: from which addresses it takes messages, with what credential, and whose these are. */
import { isInNetwork, parseIpAddress, embeddedIpv4, type IpNetwork } from '#core/ip-address.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { everything, type Grant } from '#net/access.ts'
import type { Admission } from '#net/auth.ts'

/** Who sends, by a connection or a datagram. */
export interface SyslogPeer {
  readonly address: string | undefined
  /** Subject of the certificate that it has shown, and that an authority of ours has signed. */
  readonly clientSubject?: string | undefined
}

export interface SyslogDoorOptions {
  /** As the configuration names it: `syslog_tcp`. */
  readonly name: string
  /** None: from everywhere. */
  readonly allow: readonly IpNetwork[]
  /** Who may write logs, by the certificate. Undefined: credentials are off. */
  readonly admit: ((peer: SyslogPeer) => Admission) | undefined
  /** Whoever shows no certificate that is known here is let in, too. */
  readonly isOpen: boolean
  /** Without tenancy all messages are of `tenant`. */
  readonly hasTenancy: boolean
  readonly tenant: string
  /** The configuration names `tenant` for this listener: it takes what names no tenant by itself, too. */
  readonly isTenantGiven: boolean
  /** Field that names the tenant: `hostname`, or `id.name` of the structured data. Undefined: none does. */
  readonly tenantField: string | undefined
}

/** Why something is not taken. */
export interface SyslogRefusal {
  readonly reason: string
  /** Whose credential is not enough. */
  readonly name?: string | undefined
}

export class SyslogDoor {
  readonly #options: SyslogDoorOptions

  constructor(options: SyslogDoorOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  /** Looked at for each piece of a connection, since credentials may change: it is cheap. */
  enter(peer: SyslogPeer): Grant | SyslogRefusal {
    const { allow, admit, isOpen } = this.#options
    if (allow.length > 0 && !isAllowed(peer.address, allow))
      return { reason: `${peer.address ?? 'an unknown address'} is not in syslog.allow` }
    if (admit === undefined) return everything
    const admission = admit(peer)
    if (!('reason' in admission)) return admission
    const isUnknown = admission.name === undefined
    if (isUnknown && isOpen) return everything
    return { reason: reasonFor(peer, admission.reason, isUnknown), name: admission.name }
  }

  /**
   * Whose a message is, by its fields; else by the certificate, where that is for one tenant; else by the listener. A
   * message that should name a tenant, and names none that there can be, is nobody's unless one of them says whose.
   */
  tenantOf(fields: ReadonlyMap<string, string>, grant: Grant): string | SyslogRefusal {
    const { hasTenancy, tenant, isTenantGiven, tenantField } = this.#options
    if (!hasTenancy) return tenant
    const named = tenantField === undefined ? undefined : fields.get(tenantField)
    const problem = named === undefined ? undefined : problemOfName(named)
    if (named !== undefined && problem === undefined) return granted(named, grant)
    if (grant.tenants?.length === 1) return grant.tenants[0]!
    if (tenantField === undefined || isTenantGiven) return granted(tenant, grant)
    return { reason: problem ?? `it has no field ${tenantField}, which would name its tenant` }
  }
}

function reasonFor({ clientSubject }: SyslogPeer, reason: string, isUnknown: boolean): string {
  if (!isUnknown) return reason
  return clientSubject === undefined
    ? 'it has shown no certificate of a client'
    : `nobody in auth.file has the certificate ${clientSubject}`
}

function granted(tenant: string, { tenants, name }: Grant): string | SyslogRefusal {
  if (tenants === undefined || tenants.includes(tenant)) return tenant
  return { reason: `${name} may not touch the data of tenant ${tenant}`, name }
}

function problemOfName(name: string): string | undefined {
  try {
    checkTenantName(name)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** A socket for both families shows an IPv4 address as `::ffff:10.0.0.1`. */
function isAllowed(text: string | undefined, networks: readonly IpNetwork[]): boolean {
  const address = text === undefined ? undefined : parseIpAddress(text)
  if (address === undefined) return false
  const isMapped = text!.toLowerCase().startsWith('::ffff:')
  const all = isMapped ? [address, ...embeddedIpv4(address)] : [address]
  return all.some(one => networks.some(network => isInNetwork(one, network)))
}
