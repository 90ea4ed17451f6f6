/** Who may do what: the files of credentials that the configuration names, read at the start and when they change. */
import { createHash } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import type { Credentials, User } from '#auth/credentials.ts'
import { FailedLogins } from '#auth/failed-logins.ts'
import { JsonWebTokens } from '#auth/json-web-tokens.ts'
import { loginPath, type Logins } from '#auth/login.ts'
import type { OidcSettings } from '#auth/oidc.ts'
import { hashLike, leastCost } from '#auth/password-hash.ts'
import { bearerTokens, clientCertificates, Passwords, type Login } from '#auth/schemes.ts'
import { Sessions } from '#auth/sessions.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Random } from '#core/random.ts'
import { Secret } from '#core/secret.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { everything } from '#net/access.ts'
import { Auth, oneToken, type Scheme } from '#net/auth.ts'
import { ClientAddresses } from '#net/client-addresses.ts'
import { HttpClient } from '#net/http-client.ts'
import type { Config } from './config.ts'
import type { Environment } from './environment.ts'
import { outgoingGuard } from './outgoing.ts'

/** What credentials need of the world. */
interface CredentialsWorld {
  readonly files: Files
  readonly clock: Clock
  readonly random: Random
  readonly env: Environment
}

/** What the files hold. */
interface Read {
  readonly username: string
  /** Those of the credentials file, and that of `auth.username`. */
  readonly users: ReadonlyMap<string, User>
  readonly bearerToken: string
  readonly sessionKey: string
  readonly credentials: Credentials | undefined
  /** Loaded where there is a provider. */
  readonly providers: typeof import('#auth/identity-provider.ts') | undefined
  /** Changes when a file changes. */
  readonly digest: string
}

/** Without a path it is empty. Throws BadDataError for a file that is empty: nobody would be asked who they are. */
async function textOf(path: string, files: Files): Promise<string> {
  if (path === '') return ''
  const text = await files.read(path).then(
    bytes => Buffer.from(bytes).toString('utf8'),
    (error: unknown) => {
      // The command line says which flag names it.
      if (error instanceof NotFoundError) throw error
      throw new BadDataError(`${path} can't be read: ${messageOf(error)}`, { cause: error })
    },
  )
  if (text.trim() === '') throw new BadDataError(`${path} is empty`)
  return text
}

export class OwnCredentials {
  readonly auth: Auth
  readonly failedLogins: FailedLogins
  /** Called for each password that was not remembered. */
  onLogin: (login: Login) => void = () => {}
  /** How people log in by a browser; undefined: not at all. */
  logins: Logins | undefined
  readonly #config: Config
  readonly #world: CredentialsWorld
  readonly #ownKey: Uint8Array
  #digest: string
  #refreshing: Promise<unknown> = Promise.resolve()

  private constructor(config: Config, world: CredentialsWorld, read: Read) {
    this.#config = config
    this.#world = world
    this.#ownKey = world.random.bytes(32)
    this.failedLogins = new FailedLogins(world.clock)
    this.#digest = read.digest
    this.auth = new Auth([], new ClientAddresses(config.list('trusted_proxies')))
    this.#use(read)
  }

  /** Throws BadDataError for what is wrong in a file, or missing. */
  static async open(config: Config, world: CredentialsWorld): Promise<OwnCredentials> {
    return new OwnCredentials(config, world, await readAll(config, world))
  }

  /** Reads the files again: true where one has changed. Throws BadDataError; what was read before stays then. */
  refresh(): Promise<boolean> {
    // Of two that read at a time, the one that began first might end last, and bring back what was taken back.
    const mine = this.#refreshing.then(() => this.#refresh())
    this.#refreshing = mine.catch(() => undefined)
    return mine
  }

  async #refresh(): Promise<boolean> {
    const read = await readAll(this.#config, this.#world)
    if (read.digest === this.#digest) return false
    this.#use(read)
    this.#digest = read.digest
    return true
  }

  #use(read: Read): void {
    const oidc = read.credentials?.oidc
    this.logins = oidc === undefined ? undefined : this.#loginsOf(oidc, read)
    this.auth.use(this.#schemesOf(read))
    this.auth.loginPath = oidc === undefined || oidc.clientId === '' ? undefined : loginPath
  }

  #loginsOf(settings: OidcSettings, { sessionKey, providers }: Read): Logins {
    const { clock, files, env } = this.#world
    const { clientId, clientSecret } = settings
    const basicAuth = clientSecret.isSet ? { username: new Secret(clientId), password: clientSecret } : undefined
    const directory = dirname(resolve(this.#config.text('auth.file')))
    const guard = outgoingGuard(this.#config)
    const world = { clock, files, env, directory, guard }
    const client = new HttpClient(settings.client, world)
    const tokenClient = new HttpClient({ ...settings.client, basicAuth }, world)
    const key = sessionKey === '' ? this.#ownKey : Buffer.from(sessionKey)
    return {
      provider: new providers!.IdentityProvider({ issuer: settings.issuer, client, tokenClient, clock }),
      settings,
      sessions: new Sessions(key, settings, clock),
      key,
    }
  }

  #schemesOf({ credentials, username, users, bearerToken }: Read): Scheme[] {
    const { clock, random } = this.#world
    const { logins } = this
    const onLogin = (login: Login): void => {
      this.onLogin(login)
    }
    const { tokens, certificates } = credentials ?? {}
    const passwords = users.size === 0 ? [] : [new Passwords(users, clock, random, this.failedLogins, onLogin)]
    return [
      // The first says what browsers are asked for.
      ...(username === '' ? [] : passwords),
      ...(bearerToken === '' ? [] : [oneToken(bearerToken)]),
      ...(tokens === undefined || tokens.size === 0 ? [] : [bearerTokens(tokens)]),
      ...(username === '' ? passwords : []),
      ...(certificates === undefined || certificates.size === 0 ? [] : [clientCertificates(certificates)]),
      ...(logins === undefined ? [] : [new JsonWebTokens(logins.provider, logins.settings, clock), logins.sessions]),
    ]
  }
}

/** The parser is loaded where there is a file: an agent's memory is small. */
async function parsed(text: string, file: string, config: Config): Promise<Credentials> {
  const { parseCredentials } = await import('#auth/credentials.ts')
  return parseCredentials(text, file, { hasTenancy: config.text('tenancy') === 'on', checkTenant: checkTenantName })
}

/** All who have a password. Throws BadDataError where two have one name. */
async function usersOf(
  username: string,
  password: string,
  listed: Credentials['users'],
  random: Random,
): Promise<Credentials['users']> {
  if (username === '') return listed
  if (listed.has(username))
    throw new BadDataError(`auth.username and a user of auth.file have one name, ${JSON.stringify(username)}`)
  const cost = [...listed.values()][0]?.hash.cost ?? leastCost
  const grant = { ...everything, name: username }
  return new Map([...listed, [username, { grant, hash: await hashLike(password, random.bytes(16), cost) }]])
}

async function readAll(config: Config, { files, random }: CredentialsWorld): Promise<Read> {
  const file = config.text('auth.file')
  const [text, password, bearerToken, sessionKey] = await Promise.all([
    textOf(file, files),
    textOf(config.text('auth.password_file'), files),
    textOf(config.text('auth.bearer_token_file'), files),
    textOf(config.text('auth.session_key_file'), files),
  ])
  if (sessionKey !== '' && sessionKey.length < 32)
    throw new BadDataError('auth.session_key_file has less than 32 bytes')
  const username = config.text('auth.username')
  if ((username === '') !== (password.trim() === ''))
    throw new BadDataError('auth.username and auth.password_file go together: one of them is missing or empty')
  if (username.includes(':'))
    throw new BadDataError('auth.username: a colon ends the name where it is sent with a password')
  const credentials = file === '' ? undefined : await parsed(text, file, config)
  return {
    username,
    users: await usersOf(username, password.trim(), credentials?.users ?? new Map(), random),
    bearerToken: bearerToken.trim(),
    sessionKey,
    credentials,
    providers: credentials?.oidc === undefined ? undefined : await import('#auth/identity-provider.ts'),
    digest: createHash('sha256')
      .update(JSON.stringify([text, password, bearerToken, sessionKey]))
      .digest('hex'),
  }
}
