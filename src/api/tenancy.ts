/**
 * Whose data a request is about. Without tenancy each signal has one tenant, under the name that the real system
 * gives it.
 */
import { UnauthorizedError } from '#core/errors.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import type { SignalName } from '#core/signal-name.ts'
import type { HttpRequest } from '#net/route-table.ts'

/** The tenants of Mimir, Loki and Tempo without multitenancy. */
export const defaultTenants: Readonly<Record<SignalName, string>> = {
  metrics: 'anonymous',
  logs: 'fake',
  traces: 'single-tenant',
}

export class Tenancy {
  readonly #isOn: boolean

  constructor(isOn: boolean) {
    this.#isOn = isOn
  }

  /**
   * The tenant that X-Scope-OrgID names. Throws UnauthorizedError where one must be named and none is, BadDataError
   * where the name is none of a tenant.
   */
  named(header: string | undefined, signal: SignalName): string {
    if (!this.#isOn) return defaultTenants[signal]
    const tenant = header ?? ''
    if (tenant === '') throw new UnauthorizedError('no org id: the X-Scope-OrgID header must name the tenant')
    checkTenantName(tenant)
    return tenant
  }

  /** The same for requests about one signal. */
  of(signal: SignalName): (request: HttpRequest) => string {
    return request => this.named(request.header('x-scope-orgid'), signal)
  }

  /** The same for gRPC calls and sockets, which bring the header alone. */
  ofHeader(signal: SignalName): (header: string | undefined) => string {
    return header => this.named(header, signal)
  }
}
