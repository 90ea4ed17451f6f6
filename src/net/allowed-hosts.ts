/**
 * The names that a server answers to. A page whose own name was made to lead here (DNS rebinding) is of the same
 * origin as this server for its browser, and may read and do everything: its Host header alone tells, and a page can't
 * set that.
 */
import { isIP } from 'node:net'

/**
 * Names below these are no one's to register: Kubernetes' services, RFC 6761, 6762 and 8375, and what ICANN does not
 * delegate. Whoever runs the name server of a network can still make them up there: see docs/security.md.
 */
const privateSuffixes = ['localhost', 'svc', 'local', 'internal', 'intranet', 'lan', 'home', 'localdomain', 'home.arpa']

/** The name in a Host header: in lower case, without its port and a dot at its end; undefined for what is no host. */
export function hostNameOf(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/\\@[\]]+))(?::\d*)?$/.exec(host.toLowerCase())
  const name = match?.[1] ?? match?.[2]?.replace(/\.$/, '')
  return name === '' ? undefined : name
}

/** Why an entry is no name of a host: `name`, `*.name`, or `*` for all; undefined: it is one. */
export function problemOfAllowedHost(entry: string): string | undefined {
  if (entry === '*') return undefined
  const name = entry.startsWith('*.') ? entry.slice(2) : entry
  const isName = !name.includes('*') && hostNameOf(isIP(name) === 6 ? `[${name}]` : name) !== undefined
  return isName && (isIP(name) === 6 || !name.includes(':'))
    ? undefined
    : `${JSON.stringify(entry)} is not the name of a host alone: tercet.example.net, *.example.net, or * for any`
}

export class AllowedHosts {
  readonly #isAny: boolean
  readonly #names = new Set<string>()
  readonly #suffixes: string[] = privateSuffixes.map(suffix => `.${suffix}`)

  /** Entries as `problemOfAllowedHost` takes them. */
  constructor(entries: readonly string[]) {
    this.#isAny = entries.includes('*')
    for (const entry of entries.map(one => one.toLowerCase()))
      if (entry.startsWith('*.')) this.#suffixes.push(entry.slice(1))
      else this.#names.add(entry.replace(/\.$/, ''))
  }

  /**
   * Whether a Host header is one of the server's. Any address is: a page can't be served at this address by another
   * server, and then be served by this one, as a name can. So is a name without a dot, which nobody can register, and
   * no header at all, which browsers always send.
   */
  has(host: string | undefined): boolean {
    if (this.#isAny || host === undefined || host === '') return true
    const name = hostNameOf(host)
    if (name === undefined) return false
    if (isIP(name) !== 0 || !name.includes('.') || this.#names.has(name)) return true
    return this.#suffixes.some(suffix => name.endsWith(suffix))
  }
}

/** What a refusal says is allowed. */
export const allowedByDefault =
  'addresses, localhost, names without a dot, the host of external_url and of listen.*, the name of the machine, and ' +
  `names below ${privateSuffixes.map(suffix => `.${suffix}`).join(', ')}`
