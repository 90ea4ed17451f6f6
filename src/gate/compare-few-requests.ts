/** Routes that a test asks a few times: too few for the statistics of compare-latency.ts. */
import { addSlow, logsOf, sharedShift, type Slowness } from './compare-latency.ts'
import type { Findings } from './finding.ts'
import { quantile, sorted } from './noise.ts'
import type { Profile } from './profile.ts'
import type { RouteProfile } from './request-profile.ts'
import type { Rules } from './rules.ts'

/** Routes with fewer than these warn of half a second alone: one slow request is no rarity. */
const fewRequestsMin = 3
/** Fewer than these only warn. */
const sureRequestsMin = 5
const fewFactor = 3
/** Where nothing says how fast the machine was. */
const blindFewFactor = 6
/** Of the least that counts as slower. */
const fewMillisecondsFactor = 5
const loneMillisecondsFactor = 25
const loneFactor = 8

/** Each of head's requests is slower than all of base's, by far: a pause or a cold start slows some of them. */
export function compareFewRequests(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const requests = rules.threshold('latency', 'requests')
  const shared = sharedShift(base, head, { spansMin: 1 })
  const excused = Math.max(0, shared?.log ?? 0)
  const factor = Math.max(rules.threshold('latency', 'factor'), shared === undefined ? blindFewFactor : fewFactor)
  for (const [key, after] of head.requests.routes) {
    const before = base.requests.routes.get(key)
    const count = Math.min(before?.timed.length ?? 0, after.timed.length)
    if (before === undefined || count === 0 || count >= requests) continue
    const isLone = count < fewRequestsMin
    const slowness = slownessOfFew(before, after, excused, isLone ? Math.max(factor, loneFactor) : factor)
    const more = isLone ? loneMillisecondsFactor : fewMillisecondsFactor
    const leastMs = more * rules.threshold('latency', 'milliseconds')
    if (slowness === undefined || slowness.wasMs * (Math.exp(slowness.shift) - 1) < leastMs) continue
    addSlow('latency', before, after, slowness, findings, count < sureRequestsMin)
  }
}

/** Undefined where the requests of both overlap, or lie nearer than the factor. */
function slownessOfFew(
  before: RouteProfile,
  after: RouteProfile,
  excused: number,
  factor: number,
): Slowness | undefined {
  const [was, is] = [sorted(logsOf(before)), sorted(logsOf(after))]
  const [from, to, band] = [quantile(was, 0.5), quantile(is, 0.5), Math.log(factor)]
  const isApart = is[0]! - excused > was[was.length - 1]!
  const shift = to - from - excused
  return isApart && shift >= band
    ? { wasMs: Math.exp(from), isMs: Math.exp(to), shift, band, shared: excused }
    : undefined
}
