/** What a scope makes of the matchers of a selector: its constraints are added, its tenants are chosen. */
import type { LabelConstraint } from '#core/scope.ts'
import type { Matcher } from './matcher.ts'
import { makeMatcher } from './regex.ts'

/** In an answer about several tenants, whose it is. As Mimir and Loki name it. */
export const tenantLabel = '__tenant_id__'
/** What was there under that name. */
export const originalTenantLabel = 'original___tenant_id__'

/** The constraints as matchers. Throws BadRegexError for an expression that does not compile. */
export function matchersOf(labels: readonly LabelConstraint[]): Matcher[] {
  return labels.map(({ name, op, value }) => makeMatcher(op, name, value))
}

/** Those of the tenants that the matchers are about, and the matchers that are left for their own data. */
export function chooseTenants<Part extends { readonly tenant: string }>(
  parts: readonly Part[],
  matchers: readonly Matcher[],
): { chosen: readonly Part[]; rest: readonly Matcher[] } {
  const about = matchers.filter(({ name }) => name === tenantLabel)
  const chosen = parts.filter(({ tenant }) => about.every(matcher => matcher.matches(tenant)))
  const others = about.length === 0 ? matchers : matchers.filter(({ name }) => name !== tenantLabel)
  return { chosen, rest: others.map(matcher => renamed(matcher)) }
}

/** What is asked of the label that was there before is asked of it under its own name. */
function renamed(matcher: Matcher): Matcher {
  return matcher.name === originalTenantLabel ? makeMatcher(matcher.kind, tenantLabel, matcher.value) : matcher
}
