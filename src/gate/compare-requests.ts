/** More queries or calls for each request of a route: the typical request, and the most expensive tenth. */
import { callsBelow, queriesBelow, spansQuery } from './evidence-queries.ts'
import type { Findings } from './finding.ts'
import { shareGrowthDeviations, sorted } from './noise.ts'
import type { Profile } from './profile.ts'
import type { Counts, RouteProfile } from './request-profile.ts'
import type { Rules } from './rules.ts'

/** Beyond this chance is no reason. */
const deviationsMin = 3.3
const tailRequestsMin = 20
const tailCountMin = 5

export type CountKind = 'queries' | 'calls'

/** The quantile as a value that is there. */
function countAt(perRequest: readonly number[], share: number): number {
  return sorted(perRequest)[Math.floor((perRequest.length - 1) * share)] ?? 0
}

function atLeast(perRequest: readonly number[], least: number): number {
  return perRequest.filter(count => count >= least).length
}

interface Growth {
  from: number
  to: number
  isTypical: boolean
  /** Too little for a failure: by one query, or in a request or two. */
  isWeak: boolean
}

interface Least {
  increase: number
  factor: number
  requests: number
}

/** What a count must reach to have grown. */
function leastFrom(count: number, { increase, factor }: Least): number {
  return Math.max(count + increase, count * factor, 1)
}

/** Does so large a part of head's requests reach a count that base's seldom do? */
function growthOf(before: Counts, after: Counts, least: Least): Growth | undefined {
  const [base, head] = [before.perRequest, after.perRequest]
  if (base.length === 0 || head.length === 0) return undefined
  if (Math.min(base.length, head.length) < least.requests) return growthOfFew(before, after, least)
  const [from, to] = [countAt(base, 0.5), countAt(head, 0.5)]
  if (to >= leastFrom(from, least) && isOften(base, head, leastFrom(from, least)))
    return { from, to, isTypical: true, isWeak: false }
  return tailGrowthOf(base, head, least) ?? smallGrowthOf(before, after, least)
}

/** One request says less than three: it fails where it grows by twice as much, or asks a statement again and again. */
function growthOfFew(before: Counts, after: Counts, least: Least): Growth | undefined {
  const [from, to] = [countAt(before.perRequest, 0.5), countAt(after.perRequest, 0.5)]
  if (to <= from) return undefined
  const { increase, factor } = least
  const isLarge = to >= leastFrom(from, least)
  const isSure =
    isLarge &&
    (to >= leastFrom(from, { ...least, increase: 2 * increase, factor: 2 * factor }) ||
      isRepeated(before, after, increase + 1, increase))
  return isLarge || isRepeated(before, after, 2, 0.9) ? { from, to, isTypical: true, isWeak: !isSure } : undefined
}

/** Is there a statement that head asks so often for a request, and so much more often than base? */
function isRepeated(before: Counts, after: Counts, times: number, more: number): boolean {
  const culprit = culpritOf(before, after)
  return culprit !== undefined && culprit.to >= times && culprit.to - culprit.from >= more
}

/** One in ten requests of head against nearly all of base's. */
function tailGrowthOf(base: readonly number[], head: readonly number[], least: Least): Growth | undefined {
  if (base.length < tailRequestsMin || head.length < tailRequestsMin) return undefined
  const tailLeast = leastFrom(countAt(base, 0.98), least)
  const to = countAt(head, 0.9)
  const isGrown = to >= tailLeast && atLeast(head, tailLeast) >= tailCountMin
  return isGrown && isOften(base, head, tailLeast)
    ? { from: countAt(base, 0.9), to, isTypical: false, isWeak: false }
    : undefined
}

/**
 * From one query to two, or one more of a statement that is repeated: a loop over the little data of a test looks so.
 */
function smallGrowthOf(before: Counts, after: Counts, least: Least): Growth | undefined {
  const [base, head] = [before.perRequest, after.perRequest]
  const [from, to] = [countAt(base, 0.5), countAt(head, 0.5)]
  if (to <= from || to >= leastFrom(from, least) || !isOften(base, head, to)) return undefined
  return to >= from * least.factor || isRepeated(before, after, 2, 0.9)
    ? { from, to, isTypical: true, isWeak: true }
    : undefined
}

/** A route with two kinds of requests has a median that jumps between them: how many reach the count decides. */
function isOften(base: readonly number[], head: readonly number[], least: number): boolean {
  const before = atLeast(base, least)
  return before === 0 || shareGrowthDeviations(before, base.length, atLeast(head, least), head.length) >= deviationsMin
}

interface Culprit {
  text: string
  /** For a request, on average. */
  from: number
  to: number
  most: number
  traceId: string
}

/** The statement or the other process of which there is the most more for a request. */
function culpritOf(base: Counts, head: Counts): Culprit | undefined {
  let worst: Culprit | undefined
  for (const [text, { total, most, traceId }] of head.texts) {
    const to = total / head.perRequest.length
    const from = (base.texts.get(text)?.total ?? 0) / Math.max(1, base.perRequest.length)
    if (worst === undefined || to - from > worst.to - worst.from) worst = { text, from, to, most, traceId }
  }
  return worst
}

const words = {
  queries: ['query', 'queries'],
  calls: ['call of other processes', 'calls of other processes'],
} as const

export function compareCounts(kind: CountKind, base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const least = {
    increase: rules.threshold(kind, 'increase'),
    factor: rules.threshold(kind, 'factor'),
    requests: rules.threshold(kind, 'requests'),
  }
  for (const [key, after] of head.requests.routes) {
    const before = base.requests.routes.get(key)
    if (before === undefined) continue
    const growth = growthOf(before[kind], after[kind], least)
    if (growth !== undefined) addGrowth(kind, before, after, growth, findings)
  }
}

function addGrowth(
  kind: CountKind,
  before: RouteProfile,
  after: RouteProfile,
  { from, to, isTypical, isWeak }: Growth,
  findings: Findings,
): void {
  const { service, route, spanName } = after
  const culprit = culpritOf(before[kind], after[kind])
  const counted = words[kind][to === 1 ? 0 : 1]
  const who = isTypical ? 'a typical request' : 'one in ten requests'
  const more =
    culprit === undefined
      ? ''
      : `; most of them are ${culprit.text} (up to ${culprit.most} times in one request, ` +
        `${rounded(culprit.to)} on average against ${rounded(culprit.from)})`
  findings.add({
    kind,
    subject: { service, route },
    sentence: `${who} of ${route} (${service}) makes ${to} ${counted}, and ${from} in base${more}`,
    base: { perRequest: from, requests: before[kind].perRequest.length },
    head: { perRequest: to, requests: after[kind].perRequest.length },
    evidence: {
      traceIds: culprit === undefined ? [] : [culprit.traceId],
      lines: culprit === undefined ? [] : [culprit.text],
      queries: [(kind === 'queries' ? queriesBelow : callsBelow)(service, spanName, to)],
    },
    isWeak,
  })
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(3)))
}

/** Routes that base does not have, whose requests ask one statement again and again. */
export function findRepeated(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const repeats = rules.threshold('repeated_queries', 'repeats')
  const requests = rules.threshold('repeated_queries', 'requests')
  for (const [key, after] of head.requests.routes) {
    const { service, route, spanName, queries } = after
    if (base.requests.routes.has(key) || queries.perRequest.length < requests) continue
    const culprit = culpritOf({ perRequest: [], texts: new Map() }, queries)
    if (culprit === undefined || culprit.to < repeats || countAt(queries.perRequest, 0.5) < repeats) continue
    findings.add({
      kind: 'repeated_queries',
      subject: { service, route },
      sentence:
        `${route} (${service}), which base does not have, asks ${culprit.text} ${rounded(culprit.to)} times ` +
        `for a request, up to ${culprit.most} times`,
      base: {},
      head: { perRequest: culprit.to, most: culprit.most, requests: queries.perRequest.length },
      evidence: { traceIds: [culprit.traceId], lines: [culprit.text], queries: [spansQuery(service, spanName)] },
    })
  }
}
