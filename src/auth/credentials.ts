/**
 * The file of `auth.file`: who may do what. A credential is a user, a bearer token or a client certificate; each names
 * what it grants: verbs, signals, tenants, labels.
 */
import { BadDataError } from '#core/errors.ts'
import type { LabelConstraint } from '#core/scope.ts'
import { signals as signalNames } from '#core/signal-name.ts'
import { quote } from '#core/text.ts'
import { parseSelector } from '#lang/promql/parser.ts'
import { plainClient, readHttpClient, secret } from '#lang/settings/http-client.ts'
import { parseSettings, type Section, type Setting } from '#lang/settings/section.ts'
import { verbs as allVerbs, type Grant } from '#net/access.ts'
import type { ClaimRule } from './claims.ts'
import { checkIssuer, type OidcSettings } from './oidc.ts'
import { parsePasswordHash, type PasswordHash } from './password-hash.ts'

export interface User {
  readonly grant: Grant
  readonly hash: PasswordHash
}

export interface Credentials {
  /** By name. */
  readonly users: ReadonlyMap<string, User>
  /** By the SHA-256 of the token, in hexadecimal digits. */
  readonly tokens: ReadonlyMap<string, Grant>
  /** By subject of the certificate, as `CN=agent,O=Acme`. */
  readonly certificates: ReadonlyMap<string, Grant>
  readonly oidc: OidcSettings | undefined
}

export interface CredentialRules {
  /** Requests name tenants: without that a credential can't be for some of them. */
  readonly hasTenancy: boolean
  /** Throws BadDataError for what can't be the name of a tenant. */
  readonly checkTenant: (name: string) => void
}

/** Throws BadDataError, with file, line and column; secrets are not shown. */
export function parseCredentials(text: string, file: string, rules: CredentialRules): Credentials {
  const root = parseSettings(text, file, null).section()
  const users = new Map<string, User>()
  const tokens = new Map<string, Grant>()
  const certificates = new Map<string, Grant>()
  const names = new Set<string>()
  const each = (key: string, read: (section: Section, grant: Grant) => void): void => {
    for (const setting of root.list(key)) {
      const section = setting.section()
      read(section, readGrant(setting, section, names, rules))
      section.finish()
    }
  }
  each('users', (section, grant) => {
    users.set(grant.name, { grant, hash: readHash(section) })
  })
  each('tokens', (section, grant) => {
    addOnce(tokens, section, 'sha256', readDigest(section), grant)
  })
  each('certificates', (section, grant) => {
    addOnce(certificates, section, 'subject', section.text('subject'), grant)
  })
  const oidc = readOidc(root.get('oidc'), rules)
  root.finish()
  if (users.size + tokens.size + certificates.size === 0 && oidc === undefined)
    throw new BadDataError(`${file}: nobody would get in: users, tokens, certificates or oidc were expected`)
  return { users, tokens, certificates, oidc }
}

function addOnce(map: Map<string, Grant>, section: Section, key: string, value: string, grant: Grant): void {
  if (value === '') section.refuse(`${key} is missing`)
  const other = map.get(value)
  if (other !== undefined) section.refuseKey(key, `${quote(grant.name)} has the same ${key} as ${quote(other.name)}`)
  map.set(value, grant)
}

function readHash(section: Section): PasswordHash {
  try {
    return parsePasswordHash(section.text('password_hash'))
  } catch (error) {
    return section.refuseKey('password_hash', error instanceof Error ? error.message : String(error))
  }
}

function readDigest(section: Section): string {
  const digest = section.text('sha256').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(digest))
    section.refuseKey('sha256', '64 hexadecimal digits were expected, the SHA-256 of the token; tercet auth token')
  return digest
}

/** What a credential grants. Unless it says otherwise, it reads all signals of all tenants. */
function readGrant(setting: Setting, section: Section, names: Set<string>, rules: CredentialRules): Grant {
  const name = section.text('name')
  if (name === '') setting.refuse('a credential needs a name')
  if (name.includes(':')) section.refuseKey('name', 'a colon ends the name where it is sent with a password')
  if (names.has(name)) section.refuseKey('name', `${quote(name)} is the name of another credential`)
  names.add(name)
  return { name, ...readGranted(section, rules) }
}

function readGranted(section: Section, rules: CredentialRules): Omit<Grant, 'name'> {
  const grant = {
    verbs: wordsOf(section, 'verbs', allVerbs, ['read']),
    signals: wordsOf(section, 'signals', signalNames, signalNames),
    tenants: tenantsOf(section, rules),
    labels: labelsOf(section),
  }
  checkLabels(section, grant)
  return grant
}

const sessionMs = 12 * 3_600_000

function readOidc(setting: Setting | undefined, rules: CredentialRules): OidcSettings | undefined {
  if (setting === undefined) return undefined
  const section = setting.section()
  const issuer = section.text('issuer')
  try {
    checkIssuer(issuer)
  } catch (error) {
    section.refuseKey('issuer', error instanceof Error ? error.message : String(error))
  }
  const clientId = section.text('client_id')
  const audience = section.texts('audience')
  if (clientId === '' && audience.length === 0) section.refuse('client_id, audience or both were expected')
  const tenantsClaim = section.text('tenants_claim')
  if (tenantsClaim !== '' && !rules.hasTenancy) section.refuseKey('tenants_claim', 'tenants need tenancy: on')
  const client = section.section('http_config')
  const found = {
    issuer,
    clientId,
    clientSecret: secret(section, 'client_secret'),
    audience: audience.length === 0 ? [clientId] : audience,
    scopes: section.has('scopes') ? section.texts('scopes') : ['openid', 'profile', 'email'],
    nameClaim: section.text('name_claim', 'email'),
    tenantsClaim,
    sessionMs: section.durationMs('session_duration', sessionMs),
    rules: section.list('grants').map(one => readRule(one, rules)),
    client: client === undefined ? plainClient : readHttpClient(client),
  }
  client?.finish()
  if (found.rules.length === 0) section.refuse('grants are missing: without them nobody is granted anything')
  section.finish()
  return found
}

function readRule(setting: Setting, rules: CredentialRules): ClaimRule {
  const section = setting.section()
  const claim = section.text('claim')
  const value = section.text('value')
  if ((claim === '') !== (value === '')) section.refuse('claim and value go together')
  const grant = readGranted(section, rules)
  section.finish()
  return { claim, value, grant }
}

/** What is left out stands for the default; what is there and names nothing was meant to be less, and is refused. */
function checkLeftOut<Value>(section: Section, key: string, fallback: Value): Value {
  if (section.stands(key)) section.refuseKey(key, 'it names none: name some, or leave it out')
  return fallback
}

function wordsOf<Word extends string>(
  section: Section,
  key: string,
  knownWords: readonly Word[],
  fallback: readonly Word[],
): readonly Word[] {
  const settings = section.list(key)
  if (settings.length === 0) return checkLeftOut(section, key, fallback)
  return settings.map(setting => {
    const word = knownWords.find(known => known === setting.text())
    return word ?? setting.refuse(`${quote(setting.text())} is not known; ${knownWords.join(', ')} are`)
  })
}

function tenantsOf(section: Section, { hasTenancy, checkTenant }: CredentialRules): readonly string[] | undefined {
  const settings = section.list('tenants')
  if (settings.length === 0) return checkLeftOut(section, 'tenants', undefined)
  if (!hasTenancy) section.refuseKey('tenants', 'a credential for some tenants needs tenancy: on')
  return settings.map(setting => {
    try {
      checkTenant(setting.text())
    } catch (error) {
      setting.refuse(error instanceof Error ? error.message : String(error))
    }
    return setting.text()
  })
}

/** A selector of PromQL without a metric name, as {team="a"}. */
function labelsOf(section: Section): LabelConstraint[] {
  const text = section.text('labels')
  if (text === '') return checkLeftOut(section, 'labels', [])
  let matchers: ReturnType<typeof parseSelector>
  try {
    matchers = parseSelector(text)
  } catch (error) {
    return section.refuseKey('labels', `a selector such as {team="a"} was expected: ${String(error)}`)
  }
  if (matchers.length === 0) return checkLeftOut(section, 'labels', [])
  return matchers.map(({ name, kind, value }) => {
    if (name === '__name__') section.refuseKey('labels', 'the name of the metric is no label of logs and traces')
    return { name, op: kind, value }
  })
}

/** Labels bind what is read. Whoever sets rules, or administers, reaches beyond them. */
function checkLabels(section: Section, { verbs, labels }: Pick<Grant, 'verbs' | 'labels'>): void {
  const reaching = verbs.filter(verb => verb === 'rules' || verb === 'admin')
  if (labels.length > 0 && reaching.length > 0)
    section.refuseKey('labels', `a credential that is bound to labels can't have the verb ${reaching.join(', ')}`)
}
