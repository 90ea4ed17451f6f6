/**
 * Which addresses connections may go to that a configuration, or an object of another system, asks for. The decision is
 * about the very address that the socket connects to: a name is resolved once, by the connection itself, and what it
 * resolved to is what was looked at.
 *
 * Not guarded are the addresses that are the program's own, since no input names them: the bucket, with the instance
 * role that the store's client asks at 169.254.169.254 (bucket/s3.ts), Unix sockets, and the server that somebody
 * names to a verb of the command line.
 */
import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { BadDataError } from '#core/errors.ts'
import { embeddedIpv4, isInNetwork, parseIpAddress, parseIpNetwork, type IpNetwork } from '#core/ip-address.ts'

/** What nobody means who names a target or a receiver, with the reason. */
const refusedByDefault: readonly (readonly [reason: string, ...networks: string[]])[] = [
  ['an unspecified address, which reaches this machine itself', '0.0.0.0/8', '::/128'],
  ['a link-local address, where clouds have their metadata', '169.254.0.0/16', 'fe80::/10'],
  [
    'an address of a cloud\u2019s metadata',
    // AWS, GCE, Oracle (both families), Alibaba, Azure, Scaleway.
    'fd00:ec2::/32',
    'fd20:ce::254',
    'fd00:c1::a9fe:a9fe',
    '192.0.0.192',
    '100.100.100.200',
    '168.63.129.16',
    'fd00:42::42',
  ],
  ['a multicast address', '224.0.0.0/4', 'ff00::/8'],
  ['the broadcast address', '255.255.255.255'],
]

/** What the key limits.notify_link_local allows: what was refused for notifications before there was outgoing.allow. */
export const linkLocalNetworks: readonly string[] = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32', '100.100.100.200']

export interface OutgoingRules {
  /** Networks that may be connected to although they are refused by default. */
  allow?: readonly string[]
  /** Networks that are refused in any case. */
  deny?: readonly string[]
  /** The keys that allow more, for messages. */
  allowedBy?: string
  /** As node:dns has it. */
  lookup?: Lookup
}
export type Lookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export class OutgoingGuard {
  readonly #allow: readonly IpNetwork[]
  readonly #deny: readonly IpNetwork[]
  readonly #default: readonly { reason: string; networks: IpNetwork[] }[]
  readonly #allowedBy: string
  readonly #lookup: Lookup

  /** Throws BadDataError for a text that is no network. */
  constructor({ allow = [], deny = [], allowedBy = 'outgoing.allow', lookup = systemLookup }: OutgoingRules = {}) {
    this.#allow = allow.map(parseIpNetwork)
    this.#deny = deny.map(parseIpNetwork)
    this.#default = refusedByDefault.map(([reason, ...networks]) => ({
      reason,
      networks: networks.map(parseIpNetwork),
    }))
    this.#allowedBy = allowedBy
    this.#lookup = lookup
  }

  /** Why an address is not connected to; undefined: it may be. What is no address is refused. */
  refusalOf(address: string): string | undefined {
    const whole = parseIpAddress(address)
    if (whole === undefined) return `${address} is no address`
    const all = [whole, ...embeddedIpv4(whole)]
    const isIn = (networks: readonly IpNetwork[], one: Uint8Array): boolean =>
      networks.some(network => isInNetwork(one, network))
    if (all.some(one => isIn(this.#deny, one))) return `${address} is refused by outgoing.deny`
    if (isIn(this.#allow, whole)) return undefined
    for (const one of all.filter(each => !isIn(this.#allow, each))) {
      const found = this.#default.find(({ networks }) => isIn(networks, one))
      if (found === undefined) continue
      const carried = one === whole ? '' : `${one.join('.')}, `
      return `${address} is ${carried}${found.reason}; ${this.#allowedBy} allows it`
    }
    return undefined
  }

  /** Looks at a host that is written as an address; a name is looked at by `lookup`. Throws BadDataError. */
  checkHost(host: string): void {
    const plain = host.replace(/^\[|\]$/g, '')
    if (isIP(plain) === 0) return
    const problem = this.refusalOf(plain)
    if (problem !== undefined) throw new BadDataError(`no connection to ${host}: ${problem}`)
  }

  /** Resolves a name to those of its addresses that may be connected to; for a socket, which takes no others. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, '', 0)
        return
      }
      const allowed = addresses.filter(({ address }) => this.refusalOf(address) === undefined)
      const [first] = allowed
      if (first === undefined) callback(this.#refusalOfName(hostname, addresses), '', 0)
      else if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }

  /**
   * Looks at a host that a proxy is asked to connect to. The proxy resolves the name, to any of its addresses: all of
   * them must be allowed. A name that is known to the proxy alone is its business. Throws BadDataError.
   */
  async checkBehindProxy(host: string): Promise<void> {
    this.checkHost(host)
    if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) return
    const addresses = await new Promise<LookupAddress[]>(resolve => {
      this.#lookup(host, { all: true }, (error, found) => {
        resolve(error === null ? found : [])
      })
    })
    const refused = addresses.filter(({ address }) => this.refusalOf(address) !== undefined)
    if (refused.length > 0) throw this.#refusalOfName(host, refused)
  }

  #refusalOfName(hostname: string, [first]: readonly LookupAddress[]): BadDataError {
    const reason = first === undefined ? 'it has no address' : (this.refusalOf(first.address) ?? '')
    return new BadDataError(`no connection to ${hostname}: ${reason}`)
  }
}
