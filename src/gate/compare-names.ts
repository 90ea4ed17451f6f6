/** Services, routes and spans that head does not have, and routes that base does not have. */
import { serviceQuery, spansQuery } from './evidence-queries.ts'
import type { Findings } from './finding.ts'
import type { Profile } from './profile.ts'
import { routeKey } from './request-profile.ts'
import type { Rules } from './rules.ts'

export function compareNames(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const [before, after] = [servicesOf(base), servicesOf(head)]
  for (const [service, spans] of before) {
    if (after.has(service)) continue
    findings.add({
      kind: 'vanished_services',
      subject: { service },
      sentence: `head has no spans of the service ${service}`,
      base: { spans: Math.round(spans) },
      head: { spans: 0 },
      evidence: { queries: [serviceQuery(service)] },
    })
  }
  findVanishedRoutes(base, head, after, rules, findings)
  findVanishedSpans(base, head, after, rules, findings)
  findNewRoutes(base, head, findings)
}

function servicesOf({ spans }: Profile): Map<string, number> {
  const services = new Map<string, number>()
  for (const { service, count } of spans.groups.values()) services.set(service, (services.get(service) ?? 0) + count)
  return services
}

type Services = ReadonlyMap<string, number>

function findVanishedRoutes(base: Profile, head: Profile, services: Services, rules: Rules, findings: Findings): void {
  const least = rules.threshold('vanished_routes', 'requests')
  for (const [key, { service, route, spanName, requests }] of base.requests.routes) {
    if (head.requests.routes.has(key) || requests < least || !services.has(service)) continue
    findings.add({
      kind: 'vanished_routes',
      subject: { service, route },
      sentence: `nothing asked ${route} (${service}) in head`,
      base: { requests: Math.round(requests) },
      head: { requests: 0 },
      evidence: { queries: [spansQuery(service, spanName)] },
    })
  }
}

function findVanishedSpans(base: Profile, head: Profile, services: Services, rules: Rules, findings: Findings): void {
  const least = rules.threshold('vanished_spans', 'count')
  for (const [key, { service, name, rawName, count }] of base.spans.groups) {
    if (head.spans.groups.has(key) || count < least || !services.has(service)) continue
    // A route is said once.
    if (base.requests.routes.has(routeKey({ service, route: name }))) continue
    findings.add({
      kind: 'vanished_spans',
      subject: { service, span: name },
      sentence: `head has no span ${name} of ${service}`,
      base: { spans: Math.round(count) },
      head: { spans: 0 },
      evidence: { queries: [spansQuery(service, rawName)] },
    })
  }
}

function findNewRoutes(base: Profile, head: Profile, findings: Findings): void {
  for (const [key, { service, route, spanName, requests }] of head.requests.routes) {
    if (base.requests.routes.has(key)) continue
    findings.add({
      kind: 'new_routes',
      subject: { service, route },
      sentence: `${route} (${service}) is a new route`,
      base: { requests: 0 },
      head: { requests: Math.round(requests) },
      evidence: { queries: [spansQuery(service, spanName)] },
    })
  }
}
