/** Who may talk to the process: HTTP Basic with one user, or a bearer token. Texts are compared in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto'

export interface AuthOptions {
  username: string
  password: string
  bearerToken: string
}

/** Paths that answer without credentials: what probes ask. */
export const openPaths: ReadonlySet<string> = new Set(['/health', '/-/healthy', '/-/ready', '/ready'])

function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}

export class Auth {
  readonly #options: AuthOptions

  constructor(options: AuthOptions) {
    this.#options = options
  }

  get isOn(): boolean {
    return this.#options.username !== '' || this.#options.bearerToken !== ''
  }

  /** Why a request with this Authorization header is refused, or undefined. */
  refuses(path: string, authorization: string | undefined): string | undefined {
    const { username, password, bearerToken } = this.#options
    if (!this.isOn || openPaths.has(path)) return undefined
    const space = authorization?.indexOf(' ') ?? -1
    if (authorization === undefined || space < 0) return 'credentials are missing: send an Authorization header'
    const scheme = authorization.slice(0, space).toLowerCase(),
      given = authorization.slice(space + 1).trim()
    if (scheme === 'bearer' && bearerToken !== '')
      return isSame(given, bearerToken) ? undefined : 'the bearer token is wrong'
    if (scheme === 'basic' && username !== '')
      return isSame(Buffer.from(given, 'base64').toString('utf8'), `${username}:${password}`)
        ? undefined
        : 'the user name or the password is wrong'
    return `authorization by ${scheme} is not set up here`
  }

  /** What the WWW-Authenticate header says. */
  get challenge(): string {
    return this.#options.username !== '' ? 'Basic realm="tercet", charset="UTF-8"' : 'Bearer realm="tercet"'
  }
}
