/** Addresses of IPv4 and IPv6 as bytes, networks of them, and IPv4 addresses that an IPv6 address carries. */
import { BadDataError } from './errors.ts'
import { addAll } from './lists.ts'

/** Four bytes or sixteen; undefined for what is no address. A zone (`fe80::1%eth0`) is left out. */
export function parseIpAddress(text: string): Uint8Array | undefined {
  const plain = text.replace(/%.*$/, '')
  return plain.includes(':') ? parseIpv6(plain) : parseIpv4(plain)
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(part => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined
  return Uint8Array.from(parts, Number)
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [before, after] = halves.map(bytesOfGroups)
  if (before === undefined || (halves.length === 2 && after === undefined)) return undefined
  const gap = 16 - before.length - (after?.length ?? 0)
  // `::` stands for one group at least.
  if (halves.length === 2 ? gap < 2 : gap !== 0) return undefined
  const bytes = new Uint8Array(16)
  bytes.set(before)
  if (after !== undefined) bytes.set(after, 16 - after.length)
  return bytes
}

/** `fe80:1` or `ffff:10.0.0.1`; nothing is no bytes. */
function bytesOfGroups(text: string): number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  const groups = text.split(':')
  for (const [i, group] of groups.entries()) {
    const four = i === groups.length - 1 && group.includes('.') ? parseIpv4(group) : undefined
    if (four !== undefined) addAll(bytes, four)
    else if (/^[0-9a-f]{1,4}$/i.test(group))
      bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255)
    else return undefined
  }
  return bytes
}

/** All addresses whose first `bits` bits are those of `address`. */
export interface IpNetwork {
  address: Uint8Array
  bits: number
}

/** `169.254.0.0/16`, `fe80::/10`, or one address. Throws BadDataError. */
export function parseIpNetwork(text: string): IpNetwork {
  const [name = '', length, ...more] = text.split('/')
  const address = parseIpAddress(name)
  if (address === undefined || more.length > 0 || name.includes('%'))
    throw new BadDataError(`${JSON.stringify(text)} is no network like 10.0.0.0/8 or fd00::/8, and no address`)
  const most = address.length * 8
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Infinity
  if (bits > most) throw new BadDataError(`${JSON.stringify(text)}: the length of the prefix is at most ${most}`)
  return { address, bits }
}

/** An address of the other family is never part of a network. */
export function isInNetwork(address: Uint8Array, network: IpNetwork): boolean {
  if (address.length !== network.address.length) return false
  const whole = network.bits >> 3
  for (let i = 0; i < whole; i++) if (address[i] !== network.address[i]) return false
  const mask = 0xff & ~(0xff >> (network.bits & 7))
  return ((address[whole] ?? 0) & mask) === ((network.address[whole] ?? 0) & mask)
}

const startsWith = (bytes: Uint8Array, ...start: number[]): boolean => start.every((byte, i) => bytes[i] === byte)
const isZero = (bytes: Uint8Array): boolean => bytes.every(byte => byte === 0)

/**
 * The IPv4 addresses that packets to an IPv6 address may reach through a translator or a tunnel: mapped and compatible
 * ones (RFC 4291), SIIT (RFC 7915), NAT64 (RFC 6052, and 64:ff9b:1::/48 of RFC 8215, whose operator chooses the
 * prefix's length), 6to4 (RFC 3056), Teredo (RFC 4380: the server and the client) and ISATAP (RFC 5214).
 */
export function embeddedIpv4(address: Uint8Array): Uint8Array[] {
  if (address.length !== 16) return []
  const at = (...indexes: number[]): Uint8Array => Uint8Array.from(indexes, i => address[i]!)
  const last = at(12, 13, 14, 15)
  const head = address.subarray(0, 12)
  const found: Uint8Array[] = []
  // The unspecified address and loopback are no IPv4 addresses.
  if (isZero(head) && !startsWith(last, 0, 0, 0)) found.push(last)
  if (isZero(address.subarray(0, 10)) && startsWith(address.subarray(10), 0xff, 0xff)) found.push(last)
  if (isZero(address.subarray(0, 8)) && startsWith(address.subarray(8), 0xff, 0xff, 0, 0)) found.push(last)
  if (startsWith(address, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0)) found.push(last)
  if (startsWith(address, 0, 0x64, 0xff, 0x9b, 0, 1)) {
    const possible = [last, at(6, 7, 9, 10), at(7, 9, 10, 11), at(9, 10, 11, 12)]
    // Zeros are the part that another length of the prefix leaves out.
    const named = possible.filter(four => !startsWith(four, 0))
    addAll(found, named.length === 0 ? [last] : named)
  }
  if (startsWith(address, 0x20, 0x02)) found.push(at(2, 3, 4, 5))
  if (startsWith(address, 0x20, 0x01, 0, 0))
    found.push(
      at(4, 5, 6, 7),
      Uint8Array.from(last, byte => byte ^ 0xff),
    )
  if ((address[8]! & 0xfd) === 0 && startsWith(address.subarray(9), 0, 0x5e, 0xfe)) found.push(last)
  return found
}
