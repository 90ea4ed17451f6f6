/** What an identity provider says of somebody, and what that grants. */
import type { Grant } from '#net/access.ts'

/** The claims of a token. */
export type Claims = Readonly<Record<string, unknown>>

/** Grants something to whoever has a value among those of a claim; without a claim, to everybody. */
export interface ClaimRule {
  readonly claim: string
  readonly value: string
  readonly grant: Omit<Grant, 'name'>
}

export interface ClaimSettings {
  /** The claim that names people in the audit. */
  readonly nameClaim: string
  /** The claim that lists the tenants of a person; empty: the rules say which. */
  readonly tenantsClaim: string
  /** The first that fits decides. */
  readonly rules: readonly ClaimRule[]
}

/** Texts of a claim: one, a list, or one with blanks between words as `scope` has it. `a.b` is below `a`. */
export function textsOfClaim(claims: Claims, name: string): string[] {
  // Somebody may call themselves by another's address until it is verified.
  // Some providers say so by a text.
  if (name === 'email' && /^false$/i.test(String(claims['email_verified']))) return []
  const value = Object.hasOwn(claims, name) ? claims[name] : nested(claims, name.split('.'))
  if (typeof value === 'string') return name === 'scope' ? value.split(' ') : [value]
  if (typeof value === 'number' || typeof value === 'boolean') return [String(value)]
  return Array.isArray(value) ? value.filter(one => typeof one === 'string') : []
}

function nested(value: unknown, path: readonly string[]): unknown {
  const [first, ...rest] = path
  if (first === undefined) return value
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, first)) return undefined
  return nested((value as Claims)[first], rest)
}

/** Undefined: whoever it is, nothing is granted. */
export function grantOfClaims({ nameClaim, tenantsClaim, rules }: ClaimSettings, claims: Claims): Grant | undefined {
  const [name] = [...textsOfClaim(claims, nameClaim), ...textsOfClaim(claims, 'sub')]
  const rule = rules.find(({ claim, value }) => claim === '' || textsOfClaim(claims, claim).includes(value))
  if (name === undefined || rule === undefined) return undefined
  if (tenantsClaim === '') return { ...rule.grant, name }
  const own = textsOfClaim(claims, tenantsClaim)
  const { tenants } = rule.grant
  return { ...rule.grant, name, tenants: own.filter(tenant => tenants === undefined || tenants.includes(tenant)) }
}

/** The claims that decide over the grant, and no others: what a session keeps of them. */
export function decidingClaims({ nameClaim, tenantsClaim, rules }: ClaimSettings, claims: Claims): Claims {
  const names = [nameClaim, 'sub', tenantsClaim, ...rules.map(({ claim }) => claim)].filter(name => name !== '')
  return Object.fromEntries(names.map(name => [name, textsOfClaim(claims, name)]))
}
