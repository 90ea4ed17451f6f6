/** Bearer tokens that an identity provider has signed. */
import { hash } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import type { Grant } from '#net/access.ts'
import { authorizationOf, bearerChallenge, type Admission, type Scheme } from '#net/auth.ts'
import { grantOfClaims, type ClaimSettings } from './claims.ts'
import type { IdentityProvider } from './identity-provider.ts'

/** A token that was right is not verified again for so long, nor beyond its end. */
const rememberMs = 60_000
const rememberedMax = 10_000
/** Longer ones are not looked at. */
const tokenLengthMax = 16_384
const shape = /^[\w-]+\.[\w-]+\.[\w-]+$/

export interface TokenSettings extends ClaimSettings {
  /** Whom tokens must be for: one of these. */
  readonly audience: readonly string[]
}

export class JsonWebTokens implements Scheme {
  readonly challenge = bearerChallenge
  readonly #provider: IdentityProvider
  readonly #settings: TokenSettings
  readonly #clock: Clock
  readonly #right = new Map<string, { grant: Grant; untilMs: number }>()

  constructor(provider: IdentityProvider, settings: TokenSettings, clock: Clock) {
    this.#provider = provider
    this.#settings = settings
    this.#clock = clock
  }

  readonly admit: Scheme['admit'] = ({ authorization }) => {
    const sent = authorizationOf(authorization)
    if (sent?.scheme !== 'bearer' || sent.given.length > tokenLengthMax || !shape.test(sent.given)) return undefined
    const digest = hash('sha256', sent.given)
    const known = this.#right.get(digest)
    if (known !== undefined && known.untilMs > this.#clock.nowMs()) return known.grant
    return this.#verify(sent.given, digest)
  }

  async #verify(token: string, digest: string): Promise<Admission> {
    try {
      const claims = await this.#provider.verify(token, this.#settings.audience)
      const grant = grantOfClaims(this.#settings, claims)
      if (grant === undefined) return { status: 401, reason: 'the token is of somebody who is granted nothing here' }
      this.#remember(digest, grant, Number(claims['exp']) * 1000)
      return grant
    } catch (error) {
      if (error instanceof UnavailableError)
        return { status: 503, reason: error.message, headers: { 'retry-after': String(error.retryAfterSeconds) } }
      return { status: 401, reason: messageOf(error) }
    }
  }

  #remember(digest: string, grant: Grant, endMs: number): void {
    const [oldest] = this.#right.keys()
    if (this.#right.size >= rememberedMax && oldest !== undefined) this.#right.delete(oldest)
    this.#right.delete(digest)
    this.#right.set(digest, { grant, untilMs: Math.min(endMs, this.#clock.nowMs() + rememberMs) })
  }
}
