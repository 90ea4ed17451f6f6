/** Which address a request comes from: of the connection, or what a proxy that is trusted says. */
import { isInNetwork, parseIpAddress, parseIpNetwork, type IpNetwork } from '#core/ip-address.ts'

export class ClientAddresses {
  readonly #proxies: readonly IpNetwork[]

  /** `proxies`: networks like `10.0.0.0/8`, and addresses. Throws BadDataError. */
  constructor(proxies: readonly string[] = []) {
    this.#proxies = proxies.map(parseIpNetwork)
  }

  /**
   * `peer`: of the connection. `forwarded`: `X-Forwarded-For`, to whose end each proxy adds whom it was asked by. What
   * comes before the first address that is no trusted proxy's may be made up by whoever has that address.
   */
  of(peer: string | undefined, forwarded: string | undefined): string | undefined {
    let from = peer
    if (forwarded === undefined || this.#proxies.length === 0) return from
    const hops = forwarded.split(',')
    while (from !== undefined && this.#isProxy(from)) {
      const before = hops.pop()
      const address = before === undefined ? undefined : addressOf(before.trim())
      if (address === undefined) break
      from = address
    }
    return from
  }

  #isProxy(text: string): boolean {
    const address = parseIpAddress(withoutMapping(text))
    return address !== undefined && this.#proxies.some(network => isInNetwork(address, network))
  }
}

/** A socket of both families has addresses of IPv4 in this form. */
function withoutMapping(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}

/** `10.0.0.1`, `10.0.0.1:80`, `::1`, `[::1]`, `[::1]:80`; undefined for what has no address. */
function addressOf(hop: string): string | undefined {
  const plain = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop
  return parseIpAddress(plain) === undefined ? undefined : plain
}
