/**
 * Whose data a request is about: the tenant that it names, as far as its credential grants it. Without tenancy each
 * signal has one tenant, under the name that the real system gives it.
 */
import { BadDataError, ForbiddenError, UnauthorizedError } from '#core/errors.ts'
import type { Scope } from '#core/scope.ts'
import type { SignalName } from '#core/signal-name.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import type { Caller, Grant } from '#net/access.ts'

/** The tenants of Mimir, Loki and Tempo without multitenancy. */
export const defaultTenants: Readonly<Record<SignalName, string>> = {
  metrics: 'anonymous',
  logs: 'fake',
  traces: 'single-tenant',
}

/** Whose data one caller writes, sets or deletes. */
export type TenantOf = (caller: Caller) => string

/** Whose data one caller reads, and what of it. */
export type ScopeOf = (caller: Caller) => Scope

/** The tenants whose parts of something a caller sees; undefined: it sees all. */
export type ShownTenants = readonly string[] | undefined

/** More tenants in one question are refused. */
const tenantsMax = 100

export class Tenancy {
  readonly isOn: boolean

  constructor(isOn: boolean) {
    this.isOn = isOn
  }

  /**
   * The one tenant that a request about a signal is for. Throws UnauthorizedError where one must be named and none is,
   * ForbiddenError where the credential is not for it, BadDataError for several and for what is no tenant's name.
   */
  of(signal: SignalName): TenantOf {
    return caller => {
      const [tenant, ...others] = this.#named(caller, signal)
      if (others.length > 0)
        throw new BadDataError('X-Scope-OrgID names several tenants; this request is for one: name one')
      return tenant!
    }
  }

  /** The same of a read, which may be of several: `X-Scope-OrgID: a|b`. */
  scopeOf(signal: SignalName): ScopeOf {
    return caller => ({ tenants: this.#named(caller, signal), labels: caller.grant.labels })
  }

  /**
   * Whose parts of what the process has a caller sees, such as its targets: of the tenants that it names, else of those
   * that its credential is for. Whoever may touch the data of all and names none sees all, as a browser's pages do.
   */
  shownTo(signal: SignalName): (caller: Caller) => ShownTenants {
    return caller => {
      if (!this.isOn) return undefined
      const isNamed = (caller.header('x-scope-orgid') ?? '') !== ''
      return isNamed ? this.#named(caller, signal) : caller.grant.tenants?.filter(isTenantName)
    }
  }

  /**
   * Throws ForbiddenError where a caller names a tenant that its credential is not for. Servers ask it before any
   * handler, so that none can forget it.
   */
  check({ header, grant }: Caller): void {
    const named = header('x-scope-orgid')
    if (!this.isOn || grant.tenants === undefined || named === undefined || named === '') return
    checkGranted(named.split('|'), grant)
  }

  /** Whose turn a query takes: its tenant's, the first of several; without tenancy that of the credential. */
  readonly ownerOf = ({ header, grant }: Caller): string => {
    if (!this.isOn) return grant.name
    const named = header('x-scope-orgid') ?? ''
    const own = named === '' && grant.tenants?.length === 1 ? grant.tenants[0]! : named
    return own.split('|').sort()[0]!
  }

  /** In order, each once; at least one. */
  #named({ header, grant }: Caller, signal: SignalName): string[] {
    if (!this.isOn) return [defaultTenants[signal]]
    const text = header('x-scope-orgid') ?? ''
    const own = text === '' && grant.tenants?.length === 1 ? grant.tenants : undefined
    if (text === '' && own === undefined)
      throw new UnauthorizedError('no org id: the X-Scope-OrgID header must name the tenant')
    // A tenant that a credential is for may come from a claim of a token, which nobody has checked.
    const tenants = [...new Set(own ?? text.split('|'))].sort()
    for (const tenant of tenants) checkTenantName(tenant)
    if (tenants.length > tenantsMax)
      throw new BadDataError(`X-Scope-OrgID names ${tenants.length} tenants, the limit is ${tenantsMax}`)
    checkGranted(tenants, grant)
    return tenants
  }
}

/** A claim of a token may be any text: such a one is of nobody, and no directory. */
function isTenantName(name: string): boolean {
  try {
    checkTenantName(name)
    return true
  } catch {
    return false
  }
}

function checkGranted(named: readonly string[], { name, tenants }: Grant): void {
  const other = named.find(tenant => tenants !== undefined && !tenants.includes(tenant))
  if (other !== undefined) throw new ForbiddenError(`${name} may not touch the data of tenant ${other}`)
}
