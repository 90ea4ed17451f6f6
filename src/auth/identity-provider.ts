/**
 * An OpenID Connect provider: what it says of itself, its keys, and the exchange of codes. Keys are fetched when they
 * are needed, and again when a token names one that is not known: providers change them. Sources: OpenID Connect Core
 * and Discovery 1.0, RFC 7636, RFC 9068.
 */
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose'
import type { Clock } from '#core/clock.ts'
import { messageOf, UnauthorizedError, UnavailableError } from '#core/errors.ts'
import type { HttpClient } from '#net/http-client.ts'
import type { Claims } from './claims.ts'

/** Signatures by a key that the provider alone has: never by one that we have, too. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const timeoutMs = 10_000
const bodyBytesMax = 512 * 1024
/** Keys are looked at again after so long; those that are known serve until then, and where the provider is away. */
const freshMs = 600_000
/** A key that is not known makes us ask again, but no more often. */
const againMs = 10_000
const clockToleranceSeconds = 60
/** Codes that are exchanged at a time: anybody may come with one. */
const exchangesMax = 20

/** What a provider says of itself. */
export interface ProviderPlaces {
  readonly authorization: string
  readonly token: string
  readonly keys: string
}

interface KnownKeys {
  readonly find: ReturnType<typeof createLocalJWKSet>
  readonly ids: ReadonlySet<string>
  readonly readMs: number
}

export interface ProviderOptions {
  readonly issuer: string
  /** Without credentials: the provider may keep its keys elsewhere. */
  readonly client: HttpClient
  /** With the credentials of the client, for the exchange of codes. */
  readonly tokenClient: HttpClient
  readonly clock: Clock
}

export class IdentityProvider {
  readonly issuer: string
  readonly #client: HttpClient
  readonly #tokenClient: HttpClient
  readonly #clock: Clock
  #places: ProviderPlaces | undefined
  #asking: Promise<ProviderPlaces> | undefined
  #exchanges = 0
  #keys: KnownKeys | undefined
  #reading: Promise<KnownKeys> | undefined
  #askedMs = -Infinity

  constructor({ issuer, client, tokenClient, clock }: ProviderOptions) {
    this.issuer = issuer
    this.#client = client
    this.#tokenClient = tokenClient
    this.#clock = clock
  }

  /**
   * Throws UnavailableError where the provider is away, or says something else than was configured. It is asked once at
   * a time: anybody may begin a login.
   */
  async places(): Promise<ProviderPlaces> {
    return (
      this.#places ??
      (this.#asking ??= this.#askForPlaces().finally(() => {
        this.#asking = undefined
      }))
    )
  }

  async #askForPlaces(): Promise<ProviderPlaces> {
    const base = this.issuer.replace(/\/$/, '')
    const found = await this.#json(`${base}/.well-known/openid-configuration`)
    if (found['issuer'] !== this.issuer)
      throw new UnavailableError(`the provider calls itself ${String(found['issuer'])}, not ${this.issuer}`, 60)
    const place = (name: string): string => {
      const url = found[name]
      // A provider over TLS does not send people elsewhere.
      if (typeof url === 'string' && URL.canParse(url) && isAsSafe(url, this.issuer)) return url
      throw new UnavailableError(`the provider names no ${name} over the protocol of ${this.issuer}`, 60)
    }
    return (this.#places = {
      authorization: place('authorization_endpoint'),
      token: place('token_endpoint'),
      keys: place('jwks_uri'),
    })
  }

  async #json(url: string, form?: URLSearchParams): Promise<Record<string, unknown>> {
    const sent =
      form === undefined
        ? {}
        : {
            method: 'POST' as const,
            headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
            body: form.toString(),
          }
    let body: Uint8Array
    let status: number
    try {
      const client = form === undefined ? this.#client : this.#tokenClient
      ;({ status, body } = await client.send(url, { ...sent, timeoutMs, bodyBytesMax }))
    } catch (error) {
      throw new UnavailableError(`the identity provider does not answer: ${messageOf(error)}`, 10, { cause: error })
    }
    if (form !== undefined && status >= 400 && status < 500)
      throw new UnauthorizedError(`the identity provider refused the login: status ${status}`)
    if (status !== 200) throw new UnavailableError(`the identity provider answered ${status}`, 10)
    return objectOf(body)
  }

  /** The claims of a token. Throws UnauthorizedError for one that is wrong, UnavailableError without keys. */
  async verify(token: string, audience: readonly string[]): Promise<Claims> {
    const keys = await this.#keysFor(idOf(token))
    try {
      const { payload } = await jwtVerify(token, keys.find, {
        issuer: this.issuer,
        audience: [...audience],
        algorithms,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(this.#clock.nowMs()),
        requiredClaims: ['exp'],
      })
      return payload
    } catch (error) {
      throw new UnauthorizedError(`the token is wrong: ${messageOf(error)}`)
    }
  }

  async #keysFor(id: string | undefined): Promise<KnownKeys> {
    const nowMs = this.#clock.monotonicMs()
    const known = this.#keys
    if (known !== undefined) {
      const isOld = nowMs - known.readMs >= freshMs
      const isStrange = id !== undefined && !known.ids.has(id)
      if ((!isOld && !isStrange) || nowMs - this.#askedMs < againMs) return known
    }
    try {
      return await (this.#reading ??= this.#readKeys().finally(() => {
        this.#reading = undefined
      }))
    } catch (error) {
      if (known !== undefined) return known
      throw error
    }
  }

  async #readKeys(): Promise<KnownKeys> {
    this.#askedMs = this.#clock.monotonicMs()
    const { keys: url } = await this.places()
    const found = await this.#json(url)
    if (!Array.isArray(found['keys'])) throw new UnavailableError('the identity provider has no list of keys', 10)
    const set = found as unknown as JSONWebKeySet
    const ids = new Set(set.keys.map(({ kid }) => kid).filter(kid => kid !== undefined))
    return (this.#keys = { find: createLocalJWKSet(set), ids, readMs: this.#clock.monotonicMs() })
  }

  /** The identity token for a code. Throws UnauthorizedError, UnavailableError. */
  async exchange(form: URLSearchParams): Promise<string> {
    const { token } = await this.places()
    if (this.#exchanges >= exchangesMax)
      throw new UnavailableError(`${exchangesMax} logins wait for the identity provider, the limit; log in again`, 1)
    this.#exchanges++
    try {
      const answer = await this.#json(token, form)
      const identity = answer['id_token']
      if (typeof identity !== 'string') throw new UnauthorizedError('the identity provider gave no identity token')
      return identity
    } finally {
      this.#exchanges--
    }
  }
}

function isAsSafe(url: string, issuer: string): boolean {
  return new URL(url).protocol === 'https:' || new URL(issuer).protocol === 'http:'
}

function objectOf(body: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    // Refused below.
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new UnavailableError('the identity provider did not answer with a JSON object', 10)
}

/** The id of the key that a token names. */
function idOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid
  } catch (error) {
    throw new UnauthorizedError(`the token is wrong: ${messageOf(error)}`)
  }
}
