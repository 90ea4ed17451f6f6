/**
 * Logging in to the web interface with an identity provider: OpenID Connect's authorization code with PKCE. Sources:
 * OpenID Connect Core 1.0, RFC 7636, RFC 9700.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf, UnauthorizedError, UnavailableError } from '#core/errors.ts'
import type { Random } from '#core/random.ts'
import { known, login as anybody } from '#net/access.ts'
import { allowing, route, type GuardedRoute, type HttpReply, type HttpRequest } from '#net/route-table.ts'
import { grantOfClaims, textsOfClaim } from './claims.ts'
import type { IdentityProvider } from './identity-provider.ts'
import type { OidcSettings } from './oidc.ts'
import { cookieOf, sessionCookie, Signer, type Sessions } from './sessions.ts'

export const loginPath = '/auth/login'
const callbackPath = '/auth/callback'
const loginCookie = 'tercet_login'
/** So long somebody may be at the provider's page. */
const loginMs = 600_000

/** What the process has of logins: changes with the file of credentials. */
export interface Logins {
  readonly provider: IdentityProvider
  readonly settings: OidcSettings
  readonly sessions: Sessions
  readonly key: Uint8Array
}

export interface LoginOptions {
  clock: Clock
  random: Random
  /** Where people reach this process, without a slash at the end. */
  externalUrl: string
  /** Whoever asks names a tenant. */
  hasTenancy: boolean
  /** Undefined: nobody logs in here. */
  logins: () => Logins | undefined
  /** Called for each login. */
  onLogin: (login: { name: string; from: string; isRight: boolean }) => void
}

/** What a browser keeps while somebody is at the provider's page. */
interface Begun {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly next: string
  readonly untilMs: number
}

const plain = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' } as const

export function loginRoutes(options: LoginOptions): GuardedRoute[] {
  const logins = new LoginApi(options)
  return [
    ...allowing(anybody, [route(['GET'], loginPath, logins.begin), route(['GET'], callbackPath, logins.finish)]),
    ...allowing(known, [route(['POST'], '/auth/logout', logins.end), route(['GET'], '/auth/whoami', logins.whoami)]),
  ]
}

/** A path of this process; anything else is its first page. */
export function pathOfNext(next: string | null): string {
  const base = 'http://tercet.invalid'
  if (next === null || !next.startsWith('/') || !URL.canParse(next, base)) return '/'
  const url = new URL(next, base)
  // Browsers take what begins with two slashes for the name of a host: `/.//example.net` has them once it is resolved.
  const isHere = url.origin === base && !url.pathname.startsWith('//')
  return isHere ? `${url.pathname}${url.search}` : '/'
}

class LoginApi {
  readonly #options: LoginOptions

  constructor(options: LoginOptions) {
    this.#options = options
  }

  #text(bytes: number): string {
    return Buffer.from(this.#options.random.bytes(bytes)).toString('base64url')
  }

  #cookie(name: string, value: string, path: string, site: 'Lax' | 'Strict', seconds: number): string {
    const secure = this.#options.externalUrl.startsWith('https:') ? '; Secure' : ''
    return `${name}=${value}; Path=${path}; Max-Age=${seconds}; HttpOnly; SameSite=${site}${secure}`
  }

  /** To the provider's page. */
  readonly begin = async ({ query }: HttpRequest): Promise<HttpReply> => {
    const logins = this.#options.logins()
    if (logins === undefined) return { status: 404, headers: plain, body: 'no identity provider is set up here\n' }
    const { provider, settings, key } = logins
    const begun: Begun = {
      state: this.#text(16),
      nonce: this.#text(16),
      verifier: this.#text(32),
      next: pathOfNext(query.get('next')),
      untilMs: this.#options.clock.nowMs() + loginMs,
    }
    let location: URL
    try {
      location = new URL((await provider.places()).authorization)
    } catch (error) {
      return this.#failed(error)
    }
    const asked = {
      response_type: 'code',
      client_id: settings.clientId,
      redirect_uri: `${this.#options.externalUrl}${callbackPath}`,
      scope: settings.scopes.join(' '),
      state: begun.state,
      nonce: begun.nonce,
      code_challenge: createHash('sha256').update(begun.verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(asked)) location.searchParams.set(name, value)
    const sealed = new Signer(key, 'login').seal(begun)
    return {
      status: 302,
      headers: {
        location: location.href,
        'cache-control': 'no-store',
        // The provider's page leads back here: a strict cookie would not come with that.
        'set-cookie': this.#cookie(loginCookie, sealed, '/auth', 'Lax', loginMs / 1000),
      },
    }
  }

  /** Back from the provider's page. */
  readonly finish = async (request: HttpRequest): Promise<HttpReply> => {
    const logins = this.#options.logins()
    if (logins === undefined) return { status: 404, headers: plain, body: 'no identity provider is set up here\n' }
    const from = request.remoteAddress ?? ''
    try {
      const begun = this.#begun(request, logins)
      const claims = await this.#claims(request, logins, begun)
      const { settings } = logins
      const grant = grantOfClaims(settings, claims)
      const [shown = ''] = [settings.nameClaim, 'sub'].flatMap(name => textsOfClaim(claims, name))
      this.#options.onLogin({ name: shown, from, isRight: grant !== undefined })
      if (grant === undefined)
        return { status: 403, headers: plain, body: `${shown} is known to the provider, and is granted nothing here\n` }
      const { sessions } = logins
      const cookie = this.#cookie(sessionCookie, sessions.begin(claims), '/', 'Strict', sessions.durationMs / 1000)
      return {
        status: 200,
        headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'set-cookie': cookie },
        body: pageThatLeadsTo(begun.next),
      }
    } catch (error) {
      if (!(error instanceof UnavailableError)) this.#options.onLogin({ name: '', from, isRight: false })
      return this.#failed(error)
    }
  }

  #begun(request: HttpRequest, { key }: Logins): Begun {
    const sealed = cookieOf(request.header('cookie'), loginCookie)
    const begun = new Signer(key, 'login').open(sealed) as Begun | undefined
    if (begun === undefined || begun.untilMs <= this.#options.clock.nowMs())
      throw new BadDataError('this login was not begun here, or took too long: begin again at /auth/login')
    if (request.query.get('state') !== begun.state)
      throw new BadDataError('this login was begun elsewhere: begin again at /auth/login')
    const problem = request.query.get('error')
    if (problem !== null) throw new UnauthorizedError(`the identity provider said: ${problem.slice(0, 200)}`)
    return begun
  }

  async #claims({ query }: HttpRequest, { provider, settings }: Logins, { nonce, verifier }: Begun) {
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      code: query.get('code') ?? '',
      redirect_uri: `${this.#options.externalUrl}${callbackPath}`,
      client_id: settings.clientId,
      code_verifier: verifier,
    })
    const claims = await provider.verify(await provider.exchange(form), [settings.clientId])
    if (claims['nonce'] !== nonce) throw new UnauthorizedError('the identity token is of another login')
    return claims
  }

  #failed(error: unknown): HttpReply {
    const status = error instanceof UnavailableError ? 503 : error instanceof BadDataError ? 400 : 401
    return { status, headers: plain, body: `${messageOf(error)}\n` }
  }

  readonly end = (): Promise<HttpReply> =>
    Promise.resolve({
      status: 204,
      headers: { 'set-cookie': this.#cookie(sessionCookie, '', '/', 'Strict', 0), 'cache-control': 'no-store' },
    })

  /** Who somebody is here, for the web interface. */
  readonly whoami = ({ grant, header }: HttpRequest): Promise<HttpReply> => {
    const { name, verbs, signals, tenants, labels } = grant
    const { hasTenancy } = this.#options
    const hasSession = cookieOf(header('cookie'), sessionCookie) !== undefined
    return Promise.resolve({
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: JSON.stringify({ name, verbs, signals, tenants: tenants ?? null, labels, hasSession, tenancy: hasTenancy }),
    })
  }
}

/**
 * A page in place of a redirect: the browser takes a redirect from the provider's page for a step of that site, and
 * would not send a strict cookie with it.
 */
function pageThatLeadsTo(path: string): string {
  const escaped = path.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
  return `<!doctype html><meta http-equiv="refresh" content="0;url=${escaped}"><title>Tercet</title>\n`
}
