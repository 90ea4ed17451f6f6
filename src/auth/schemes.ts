/** The ways in that a credentials file describes: passwords, bearer tokens, client certificates. */
import { hash } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import type { Random } from '#core/random.ts'
import type { Grant } from '#net/access.ts'
import { authorizationOf, basicChallenge, bearerChallenge, type Admission, type Scheme } from '#net/auth.ts'
import type { Credentials } from './credentials.ts'
import type { FailedLogins } from './failed-logins.ts'
import { isPasswordOf, nobodysHash, type PasswordHash } from './password-hash.ts'

/** A password that was right is not hashed again while it is used as often as this. */
const rememberMs = 600_000
const rememberedMax = 10_000
/** Of one password; more are asked to wait where others tried from there. */
const addressesMax = 1000
/** Passwords that are hashed at a time, and that may wait for it. */
const hashingMax = 2
const waitingMax = 100

const wrong: Admission = { status: 401, reason: 'the user name or the password is wrong' }

interface Remembered {
  readonly grant: Grant
  untilMs: number
  /** Addresses that it came from while nothing was in the way. */
  readonly from: Set<string>
}

/** Somebody has sent a password that was not remembered. */
export interface Login {
  readonly name: string
  readonly from: string
  readonly isRight: boolean
}

/**
 * Remembers who was right, by a keyed digest of what was sent, so that a request costs no hashing. An address that has
 * to wait may go on with what was right from there before, and with nothing else: whoever tries passwords would find
 * those that are remembered.
 */
export class Passwords implements Scheme {
  readonly challenge = basicChallenge
  readonly #users: Credentials['users']
  readonly #clock: Clock
  readonly #failed: FailedLogins
  readonly #onLogin: (login: Login) => void
  readonly #key: string
  readonly #nobody: PasswordHash
  readonly #right = new Map<string, Remembered>()
  /** What is being checked: a client's first requests come together. */
  readonly #pending = new Map<string, Promise<Admission>>()
  #hashing = 0
  readonly #waiting: (() => void)[] = []

  constructor(
    users: Credentials['users'],
    clock: Clock,
    random: Random,
    failed: FailedLogins,
    onLogin: (login: Login) => void = () => {},
  ) {
    this.#users = users
    this.#clock = clock
    this.#failed = failed
    this.#onLogin = onLogin
    this.#key = Buffer.from(random.bytes(32)).toString('hex')
    this.#nobody = nobodysHash([...users.values()][0]?.hash)
  }

  readonly admit: Scheme['admit'] = ({ authorization, remoteAddress = '' }) => {
    const sent = authorizationOf(authorization)
    if (sent?.scheme !== 'basic') return undefined
    const digest = hash('sha256', this.#key + sent.given)
    const known = this.#right.get(digest)
    if (known !== undefined && known.untilMs > this.#clock.monotonicMs()) return this.#known(known, remoteAddress)
    const pending = this.#pending.get(digest)
    if (pending !== undefined) return pending.then(admission => this.#shared(admission, digest, remoteAddress))
    const text = Buffer.from(sent.given, 'base64').toString('utf8')
    const checked = this.#check(text, digest, remoteAddress).finally(() => this.#pending.delete(digest))
    this.#pending.set(digest, checked)
    return checked
  }

  #known(remembered: Remembered, address: string): Admission {
    const { grant, from } = remembered
    const seconds = from.has(address) ? 0 : this.#failed.waitSeconds(address, grant.name)
    if (seconds > 0) return tooMany(seconds)
    if (from.size < addressesMax) from.add(address)
    // Whoever is in stays in while others try passwords from the same address.
    remembered.untilMs = this.#clock.monotonicMs() + rememberMs
    return grant
  }

  /** What another request was answered that had sent the same, meanwhile. */
  #shared(admission: Admission, digest: string, address: string): Admission {
    const known = this.#right.get(digest)
    return known === undefined ? admission : this.#known(known, address)
  }

  async #check(text: string, digest: string, address: string): Promise<Admission> {
    const colon = text.indexOf(':')
    if (colon < 0) return wrong
    const name = text.slice(0, colon)
    const seconds = this.#failed.waitSeconds(address, name)
    if (seconds > 0) return tooMany(seconds)
    if (this.#waiting.length >= waitingMax) return tooMany(1)
    return this.#inTurn(async () => {
      // Many may have come together, before any of them was wrong.
      const secondsNow = this.#failed.waitSeconds(address, name)
      if (secondsNow > 0) return tooMany(secondsNow)
      const user = this.#users.get(name)
      const isRight = await isPasswordOf(text.slice(colon + 1), user?.hash ?? this.#nobody)
      this.#onLogin({ name, from: address, isRight: isRight && user !== undefined })
      if (!isRight || user === undefined) {
        this.#failed.note(address, name)
        return wrong
      }
      this.#remember(digest, user.grant, address)
      return user.grant
    })
  }

  #remember(digest: string, grant: Grant, address: string): void {
    const [oldest] = this.#right.keys()
    if (this.#right.size >= rememberedMax && oldest !== undefined) this.#right.delete(oldest)
    this.#right.delete(digest)
    const untilMs = this.#clock.monotonicMs() + rememberMs
    this.#right.set(digest, { grant, untilMs, from: new Set([address]) })
  }

  /** Hashing takes a core and 32 MiB: whoever tries passwords gets no more than so many at a time. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#hashing >= hashingMax) await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#hashing++
    try {
      return await work()
    } finally {
      this.#hashing--
      this.#waiting.shift()?.()
    }
  }
}

function tooMany(seconds: number): Admission {
  return {
    status: 429,
    reason: `too many wrong passwords; try again in ${seconds} s`,
    headers: { 'retry-after': String(seconds) },
  }
}

/** Tokens are random and long: their digest is looked up, and nobody finds one by trying. */
export function bearerTokens(tokens: Credentials['tokens']): Scheme {
  return {
    challenge: bearerChallenge,
    admit: ({ authorization }) => {
      const sent = authorizationOf(authorization)
      if (sent?.scheme !== 'bearer') return undefined
      const grant = tokens.get(hash('sha256', sent.given))
      return grant ?? { status: 401, reason: 'the bearer token is wrong' }
    },
  }
}

/** A certificate that is of nobody here grants nothing by itself, and is no reason to refuse a password. */
export function clientCertificates(certificates: Credentials['certificates']): Scheme {
  return {
    challenge: undefined,
    admit: ({ clientSubject }) => (clientSubject === undefined ? undefined : certificates.get(clientSubject)),
  }
}
