/**
 * What pages may do here with a visitor's browser. Programs are not asked: they send no Origin.
 *
 * - A request by a name that is not this server's is refused: see allowed-hosts.ts. One that has another method than
 *   GET and HEAD, and no Origin, is a program's, whatever name it has for this server: browsers send Origin with all
 *   of them.
 * - A page of another origin may send nothing but GET and HEAD, and reads no answer to these, unless it is listed.
 * - gRPC needs none of this: browsers do not speak it, and its servers take no content type that needs no preflight.
 */
import { AllowedHosts, allowedByDefault, hostNameOf } from './allowed-hosts.ts'

export interface BrowserRulesOptions {
  /** Beside what is always allowed. */
  allowedHosts: readonly string[]
  /** Origins whose pages may do what this server's own may; `*`: all may read and send telemetry. */
  corsOrigins: readonly string[]
  /** Where people reach this server, if it is known. */
  externalUrl?: string
  /** Called with each name that was refused, once, for the first of them. */
  onForeignHost?: (name: string) => void
}

type HeaderOf = (name: string) => string | undefined

/** Headers of every answer. */
const guards = {
  // Nothing is a script, a style or a page because it looks like one.
  'x-content-type-options': 'nosniff',
  // No page of another origin shows it, as an image or in a frame.
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  // Queries stand in addresses.
  'referrer-policy': 'same-origin',
} as const

const corsMethods = 'GET, HEAD, POST, PUT, DELETE'
/** Not X-Forwarded-Host: see `isOwn`. */
const corsRequestHeaders = [
  'Accept, Authorization, Content-Encoding, Content-Type, X-Requested-With',
  'X-Scope-OrgID, AccountID, ProjectID, X-Api-Key, X-Faro-Session-Id',
  'Traceparent, Tracestate, Baggage, B3, X-B3-TraceId, X-B3-SpanId, X-B3-Sampled',
].join(', ')
const corsAnswerHeaders = 'Date, Retry-After, X-Tercet-Warning'
const preflightSeconds = '600'
/** Names that are noted: they come from outside. */
const foreignHostsMax = 20

const originForm = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+$/

/** As browsers write it, or undefined for what is no origin. */
function originOf(text: string): string | undefined {
  if (!originForm.test(text.toLowerCase()) || !URL.canParse(text)) return undefined
  const { origin } = new URL(text)
  return origin === 'null' ? text.toLowerCase() : origin
}

/** Why an entry of a list of origins is none; undefined: it is one, or `*`. */
export function problemOfOrigin(entry: string): string | undefined {
  return entry === '*' || originOf(entry) !== undefined
    ? undefined
    : `${JSON.stringify(entry)} is not an origin like https://app.example.net, or * for any`
}

/** What an answer is to have of headers, whatever it is; `name` in lower case. */
export function isGuard(name: string): boolean {
  return name in guards || name === 'vary' || name.startsWith('access-control-')
}

export class BrowserRules {
  readonly #hosts: AllowedHosts
  readonly #origins: ReadonlySet<string>
  readonly #ownOrigin: string | undefined
  readonly #isAnyOrigin: boolean
  readonly #foreignHosts = new Set<string>()
  readonly #onForeignHost: (name: string) => void

  constructor({ allowedHosts, corsOrigins, externalUrl = '', onForeignHost = () => {} }: BrowserRulesOptions) {
    this.#isAnyOrigin = corsOrigins.includes('*')
    this.#origins = new Set(corsOrigins.map(originOf).filter(origin => origin !== undefined))
    const external = URL.canParse(externalUrl) ? new URL(externalUrl) : undefined
    this.#ownOrigin = external?.origin
    const externalName = external === undefined ? undefined : hostNameOf(external.host)
    this.#hosts = new AllowedHosts([...allowedHosts, ...(externalName === undefined ? [] : [externalName])])
    this.#onForeignHost = onForeignHost
  }

  /** Names that were refused since the start, the first of them. */
  get foreignHosts(): readonly string[] {
    return [...this.#foreignHosts]
  }

  /** Why a request with this Host header is refused, or undefined. */
  refusesHost(method: string, header: HeaderOf): string | undefined {
    const host = header('host')
    if (this.#hosts.has(host)) return undefined
    const isReading = method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
    if (!isReading && header('origin') === undefined) return undefined
    const name = (host ?? '').slice(0, 260)
    this.#note(hostNameOf(name) ?? name)
    return (
      `this server does not answer to the name ${JSON.stringify(name)}, so that no page of that name reads it ` +
      `through a browser. It answers to ${allowedByDefault}; more names are in allowed_hosts, * stands for any`
    )
  }

  #note(name: string): void {
    if (this.#foreignHosts.size >= foreignHostsMax || this.#foreignHosts.has(name)) return
    this.#foreignHosts.add(name)
    this.#onForeignHost(name)
  }

  /**
   * Why a request that may change something, or a WebSocket, is refused because of the page that it comes from.
   * `isAction`: it is neither a question nor telemetry; `*` does not stand for these.
   */
  refusesOrigin(header: HeaderOf, isAction: boolean): string | undefined {
    const origin = header('origin')
    if (origin === undefined) {
      const site = header('sec-fetch-site')
      if (site !== 'cross-site' && site !== 'same-site') return undefined
    } else if (this.#isOwn(origin, header) || this.#origins.has(origin) || (this.#isAnyOrigin && !isAction))
      return undefined
    return (
      `a page of another origin${origin === undefined ? '' : ` (${JSON.stringify(origin.slice(0, 300))})`} may ` +
      'not do this here; origins that may are in cors_origins. Behind a proxy, set external_url, or let the proxy ' +
      'pass the Host header on, or X-Forwarded-Host'
    )
  }

  /**
   * X-Forwarded-Host is a proxy's: a page sets no such header without a preflight, which allows none of that name, and
   * a page that needs no preflight has the Host of its own origin, which `refusesHost` looks at.
   */
  #isOwn(origin: string, header: HeaderOf): boolean {
    if (origin === this.#ownOrigin) return true
    if (!URL.canParse(origin)) return false
    const { host } = new URL(origin)
    const forwarded = (header('x-forwarded-host') ?? '').split(',').map(one => one.trim())
    return host !== '' && [header('host'), ...forwarded].includes(host)
  }

  #isListed(origin: string | undefined): origin is string {
    return origin !== undefined && (this.#isAnyOrigin || this.#origins.has(origin))
  }

  /** Headers of every answer to a request. Pages of listed origins read it; they never send cookies along. */
  headersOf(header: HeaderOf): Readonly<Record<string, string>> {
    if (this.#origins.size === 0 && !this.#isAnyOrigin) return guards
    const vary = { vary: 'origin' }
    const origin = header('origin')
    if (!this.#isListed(origin)) return { ...guards, ...vary }
    const allowed = this.#origins.has(origin) ? origin : '*'
    return {
      ...guards,
      ...vary,
      'access-control-allow-origin': allowed,
      'access-control-expose-headers': corsAnswerHeaders,
    }
  }

  /** The headers of an answer to a preflight, or undefined: it is refused. */
  preflightOf(header: HeaderOf): Readonly<Record<string, string>> | undefined {
    if (!this.#isListed(header('origin'))) return undefined
    const asksPrivate = header('access-control-request-private-network') === 'true'
    return {
      'access-control-allow-methods': corsMethods,
      'access-control-allow-headers': corsRequestHeaders,
      'access-control-max-age': preflightSeconds,
      ...(asksPrivate ? { 'access-control-allow-private-network': 'true' } : {}),
    }
  }
}

/** Nobody is asked, no page of another origin reads anything: of servers that have nothing to guard. */
export const guardHeaders: Readonly<Record<string, string>> = guards
