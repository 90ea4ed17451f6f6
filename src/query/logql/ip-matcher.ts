/** Addresses, networks and ranges of addresses, and where lines contain them. Source: docs/logs.md. */
import { BlockList, isIP, isIPv4 } from 'node:net'

/** A pattern that is no address, prefix or range. */
export class BadIpPattern extends Error {
  override name = 'BadIpPattern'
}

/** Throws BadIpPattern. */
export function compileIp(pattern: string): { testAddress(text: string): boolean; findIn(line: string): boolean } {
  const list = new BlockList()
  const fail = (): never => {
    throw new BadIpPattern(`ip: invalid pattern: ${JSON.stringify(pattern)}`)
  }
  const family = (text: string): 'ipv4' | 'ipv6' => (isIPv4(text) ? 'ipv4' : 'ipv6')
  try {
    const dash = pattern.indexOf('-')
    const slash = pattern.indexOf('/')
    if (dash >= 0)
      list.addRange(
        pattern.slice(0, dash).trim(),
        pattern.slice(dash + 1).trim(),
        family(pattern.slice(0, dash).trim()),
      )
    else if (slash >= 0)
      list.addSubnet(pattern.slice(0, slash), Number(pattern.slice(slash + 1)), family(pattern.slice(0, slash)))
    else if (isIP(pattern) !== 0) list.addAddress(pattern, family(pattern))
    else fail()
  } catch {
    fail()
  }
  const testAddress = (text: string): boolean => isIP(text) !== 0 && list.check(text, family(text))
  return { testAddress, findIn: line => scan(line, testAddress) }
}

const isDigit = (c: number): boolean => c >= 48 && c <= 57
const isHex = (c: number): boolean => isDigit(c) || (c >= 65 && c <= 70) || (c >= 97 && c <= 102)

function scan(line: string, test: (address: string) => boolean): boolean {
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at)
    let end = -1
    if (isDigit(code) && (line[at + 1] === '.' || line[at + 2] === '.' || line[at + 3] === '.')) {
      end = at
      while (end < line.length && (isDigit(line.charCodeAt(end)) || line[end] === '.')) end++
    } else if (isHex(code) || code === 58) {
      let digits = at
      while (digits < line.length && digits - at < 5 && isHex(line.charCodeAt(digits))) digits++
      const startsSix =
        code === 58 ? line[at + 1] === ':' && isHex(line.charCodeAt(at + 2)) : digits - at <= 4 && line[digits] === ':'
      if (startsSix) {
        end = at
        while (end < line.length && (isHex(line.charCodeAt(end)) || line[end] === ':' || line[end] === '.')) end++
      }
    }
    if (end < 0) continue
    if (test(line.slice(at, end))) return true
    at = end
  }
  return false
}
