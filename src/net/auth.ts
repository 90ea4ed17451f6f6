/**
 * Who may talk to the process. Each way of proving who one is, is a `Scheme`: HTTP Basic, bearer tokens, sessions in
 * cookies, client certificates. The servers ask `Auth` for the grant of whoever asks, and compare it with the access
 * of the route (access.ts).
 */
import { hash, timingSafeEqual } from 'node:crypto'
import { everything, lackOf, nobody, type Access, type Grant } from './access.ts'
import { ClientAddresses } from './client-addresses.ts'

/** Whoever asks, as a server sees it. */
export interface Asking {
  readonly authorization: string | undefined
  readonly cookie?: string | undefined
  /** Subject of the certificate that the client has shown, and that an authority of ours has signed. */
  readonly clientSubject?: string | undefined
  /** For limits on failed logins. */
  readonly remoteAddress?: string | undefined
}

/** Why nobody gets in with this; 403: with this credential, to this route. */
export interface Refusal {
  readonly status: 401 | 403 | 429 | 503
  readonly reason: string
  /** Whose credential is not enough. */
  readonly name?: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Admission = Grant | Refusal

export function isRefusal(admission: Admission): admission is Refusal {
  return 'reason' in admission
}

/** One way in. */
export interface Scheme {
  /** What WWW-Authenticate says of it; undefined where programs can't be challenged to it: cookies, certificates. */
  readonly challenge: string | undefined
  /** Undefined: the request does not try this way. Refused: it tries, and is wrong. */
  admit(asking: Asking): Admission | undefined | Promise<Admission | undefined>
}

/** Is a text this secret? Compared in constant time. */
function secretTest(secret: string): (given: string) => boolean {
  const digest = hash('sha256', secret, 'buffer')
  return given => timingSafeEqual(hash('sha256', given, 'buffer'), digest)
}

/** The scheme of an Authorization header, in lower case, and what follows it; undefined: there is none. */
export function authorizationOf(header: string | undefined): { scheme: string; given: string } | undefined {
  const space = header?.indexOf(' ') ?? -1
  if (header === undefined || space < 0) return undefined
  return { scheme: header.slice(0, space).toLowerCase(), given: header.slice(space + 1).trim() }
}

export const basicChallenge = 'Basic realm="tercet", charset="UTF-8"'
export const bearerChallenge = 'Bearer realm="tercet"'

/** One token that may do everything: `auth.bearer_token_file`. */
export function oneToken(token: string): Scheme {
  const grant: Grant = { ...everything, name: 'auth.bearer_token_file' }
  const isRight = secretTest(token)
  return {
    challenge: bearerChallenge,
    admit: ({ authorization }) => {
      const sent = authorizationOf(authorization)
      if (sent?.scheme !== 'bearer') return undefined
      return isRight(sent.given) ? grant : { status: 401, reason: 'the bearer token is wrong' }
    },
  }
}

/** An answer that goes on while its client wants it: a tail, events. */
interface Lasting {
  readonly access: Access
  readonly asking: Asking
  /** What it was begun with. */
  readonly grant: Grant
  /** Ends it: the credential was taken back, is over, or grants something else by now. */
  end(): void
}

export class Auth {
  #schemes: readonly Scheme[]
  readonly #lasting = new Set<Lasting>()
  /** Whom requests come from, for limits on failed logins and the audit. */
  readonly addresses: ClientAddresses
  /** Where a browser without credentials is sent; undefined: nowhere. */
  loginPath: string | undefined

  /** Without schemes everybody may do everything. */
  constructor(schemes: readonly Scheme[], addresses = new ClientAddresses()) {
    this.#schemes = schemes
    this.addresses = addresses
  }

  /** From now on these decide: the files of credentials have changed. */
  use(schemes: readonly Scheme[]): void {
    this.#schemes = schemes
  }

  get isOn(): boolean {
    return this.#schemes.length > 0
  }

  /** The grant of whoever asks for something of this access. */
  enter(access: Access, asking: Asking): Admission | Promise<Admission> {
    if (!this.isOn) return everything
    if (access.kind === 'login') return nobody
    if (access.kind === 'open') return this.#recognise(asking)
    const admission = this.admit(asking)
    return admission instanceof Promise
      ? admission.then(admitted => withinGrant(access, admitted))
      : withinGrant(access, admission)
  }

  /** Who it is where nobody is refused. */
  #recognise(asking: Asking): Grant | Promise<Grant> {
    const admission = this.admit(asking)
    return admission instanceof Promise ? admission.then(grantOrNone) : grantOrNone(admission)
  }

  /** The first scheme that grants something decides; where none does, the refusal that is not about the credential. */
  admit(asking: Asking): Admission | Promise<Admission> {
    if (!this.isOn) return everything
    let refused: Refusal | undefined
    for (const [i, scheme] of this.#schemes.entries()) {
      const admission = scheme.admit(asking)
      if (admission instanceof Promise) return this.#admitRest(i, admission, refused, asking)
      if (admission === undefined) continue
      if (!isRefusal(admission)) return admission
      refused = foremost(refused, admission)
    }
    return refused ?? nothingTried(asking)
  }

  /** The same from a scheme on that has to wait. */
  async #admitRest(
    from: number,
    first: Promise<Admission | undefined>,
    refused: Refusal | undefined,
    asking: Asking,
  ): Promise<Admission> {
    let found = refused
    for (const [i, scheme] of this.#schemes.entries()) {
      if (i < from) continue
      const admission = await (i === from ? first : scheme.admit(asking))
      if (admission === undefined) continue
      if (!isRefusal(admission)) return admission
      found = foremost(found, admission)
    }
    return found ?? nothingTried(asking)
  }

  /** Keeps an answer in mind for `recheck`; returns what forgets it. */
  attend(lasting: Lasting): () => void {
    // Of a connection that is gone there is no certificate any more.
    const kept = { ...lasting, asking: { ...lasting.asking } }
    this.#lasting.add(kept)
    return () => {
      this.#lasting.delete(kept)
    }
  }

  /** Ends the answers under way that would not be given now; where nobody can say so at the moment, they go on. */
  async recheck(): Promise<void> {
    for (const one of this.#lasting) {
      const admission = await this.enter(one.access, one.asking)
      const isUnknown = isRefusal(admission) && (admission.status === 429 || admission.status === 503)
      if (isUnknown || isSameGrant(admission, one.grant) || !this.#lasting.delete(one)) continue
      one.end()
    }
  }

  /** What the WWW-Authenticate header says. */
  get challenge(): string {
    const challenges = this.#schemes.map(scheme => scheme.challenge).filter(text => text !== undefined)
    return challenges[0] ?? bearerChallenge
  }
}

function grantOrNone(admission: Admission): Grant {
  return isRefusal(admission) ? nobody : admission
}

function withinGrant(access: Access, admission: Admission): Admission {
  if (isRefusal(admission)) return admission
  const reason = lackOf(access, admission)
  return reason === undefined ? admission : { status: 403, reason, name: admission.name }
}

/**
 * What a scheme could not look at (429, 503) may be right: another that does not know it says nothing of that. Else the
 * first is answered.
 */
function foremost(before: Refusal | undefined, refusal: Refusal): Refusal {
  return before === undefined || (before.status === 401 && refusal.status !== 401) ? refusal : before
}

function isSameGrant(admission: Admission, grant: Grant): boolean {
  return !isRefusal(admission) && JSON.stringify(admission) === JSON.stringify(grant)
}

function nothingTried({ authorization }: Asking): Refusal {
  const sent = authorizationOf(authorization)
  const reason =
    sent === undefined
      ? 'credentials are missing: send an Authorization header'
      : `authorization by ${sent.scheme} is not set up here`
  return { status: 401, reason }
}

/** For servers without credentials. */
export const noAuth = new Auth([])
