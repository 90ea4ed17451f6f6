/**
 * Sessions of the web interface: a signed cookie that says who somebody is, as the identity provider has said it, and
 * until when. What that grants is decided anew with every request, by the rules as they are then.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import type { Scheme } from '#net/auth.ts'
import { decidingClaims, grantOfClaims, type Claims, type ClaimSettings } from './claims.ts'

export const sessionCookie = 'tercet_session'

/** The value of a cookie of a request. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const equals = part.indexOf('=')
    if (equals >= 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim()
  }
  return undefined
}

/** Texts that only this process, or whoever has its key, can have made. `purpose` tells kinds of them apart. */
export class Signer {
  readonly #key: Uint8Array
  readonly #purpose: string

  constructor(key: Uint8Array, purpose: string) {
    this.#key = key
    this.#purpose = purpose
  }

  #signature(payload: string): string {
    return createHmac('sha256', this.#key).update(`${this.#purpose}\n${payload}`).digest('base64url')
  }

  seal(value: unknown): string {
    const payload = Buffer.from(JSON.stringify(value)).toString('base64url')
    return `${payload}.${this.#signature(payload)}`
  }

  /** The value; undefined for what was not sealed so, to the last letter. */
  open(text: string | undefined): unknown {
    const dot = text?.lastIndexOf('.') ?? -1
    if (text === undefined || dot < 0) return undefined
    const payload = text.slice(0, dot)
    const given = Buffer.from(text.slice(dot + 1))
    const wanted = Buffer.from(this.#signature(payload))
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined
    return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as unknown
  }
}

interface Session {
  readonly claims: Claims
  readonly begunMs: number
}

/** Who says who somebody is, whom it says that to, and for how long that holds. */
export interface SessionSettings extends ClaimSettings {
  readonly issuer: string
  readonly clientId: string
  readonly sessionMs: number
}

export class Sessions implements Scheme {
  readonly challenge = undefined
  readonly durationMs: number
  readonly #signer: Signer
  readonly #settings: SessionSettings
  readonly #clock: Clock

  /**
   * `key`: of all processes that are to know the session. It is over where another provider, or another client of it,
   * is set up.
   */
  constructor(key: Uint8Array, settings: SessionSettings, clock: Clock) {
    const { issuer, clientId, sessionMs } = settings
    this.#signer = new Signer(key, JSON.stringify(['session', issuer, clientId]))
    this.durationMs = sessionMs
    this.#settings = settings
    this.#clock = clock
  }

  /** The value of the cookie. */
  begin(claims: Claims): string {
    const session: Session = { claims: decidingClaims(this.#settings, claims), begunMs: this.#clock.nowMs() }
    return this.#signer.seal(session)
  }

  /**
   * A session that is over, or of another key, is none; nor is one that does not have a claim by which the rules decide
   * since then: a rule that gives less might pass it by.
   */
  readonly admit: Scheme['admit'] = ({ cookie }) => {
    const value = cookieOf(cookie, sessionCookie)
    if (value === undefined) return undefined
    const session = this.#signer.open(value) as Session | undefined
    if (session === undefined || session.begunMs + this.durationMs <= this.#clock.nowMs()) return undefined
    const isWhole = Object.keys(decidingClaims(this.#settings, {})).every(name => Object.hasOwn(session.claims, name))
    return isWhole ? grantOfClaims(this.#settings, session.claims) : undefined
  }
}
