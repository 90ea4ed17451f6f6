/** Routes that are slower than the noise of both runs explains. The statistics and their reasons: docs/ci-gate.md. */
import type { Random } from '#core/random.ts'
import { slowSpansQuery } from './evidence-queries.ts'
import type { Findings } from './finding.ts'
import { deviationsOf, median, quantile, quantileError, sorted, spreadOf } from './noise.ts'
import type { Profile } from './profile.ts'
import type { RouteProfile } from './request-profile.ts'
import type { Rules } from './rules.ts'

type LatencyKind = 'latency' | 'latency_tail'
const shares = { latency: 0.5, latency_tail: 0.9 } as const
const names = { latency: 'median', latency_tail: 'p90' } as const

/** Below this a duration is more of the clock than of the code. */
const leastMs = 0.1
const comparedSpansMin = 10
/** That spans of less than this take twice as long is of no interest. */
const worthSayingMs = 2
const comparedNamesMin = 3
const evenNamesMin = 5
const evenSpreadMax = 0.2
/** Where a slower machine can't be told from slower code. */
const blindNoiseFactor = 4
/** By how much a run took longer than another, whatever it did: the speed of its machine, mostly. */
export interface SharedShift {
  /** As a logarithm: the median over the names of spans that are in both runs. */
  readonly log: number
  /** Did nearly all of them change by as much? A machine does that, and better code seldom. */
  readonly isEven: boolean
}

/** Undefined where too few names of spans are in both runs. */
export function sharedShift(
  base: Profile,
  head: Profile,
  { spansMin = comparedSpansMin, leastOwnMs = 2 * leastMs } = {},
): SharedShift | undefined {
  const shifts: number[] = []
  for (const [key, after] of head.spans.groups) {
    const before = base.spans.groups.get(key)
    if (before === undefined || Math.min(before.ownMs.length, after.ownMs.length) < spansMin) continue
    const was = median(before.ownMs)
    // Times of the span itself: a slow statement makes each span around it slow, too, and counts once.
    if (was >= leastOwnMs) shifts.push(Math.log(Math.max(median(after.ownMs), leastMs) / was))
  }
  if (shifts.length < comparedNamesMin) return undefined
  return { log: median(shifts), isEven: shifts.length >= evenNamesMin && spreadOf(shifts) <= evenSpreadMax }
}

/** Slower machines excuse a route; faster ones accuse it only where it is sure that it was the machine. */
function excusedShift(shared: SharedShift | undefined): number {
  return shared === undefined || (shared.log < 0 && !shared.isEven) ? 0 : shared.log
}

export interface Slowness {
  wasMs: number
  isMs: number
  /** Head against base, as a logarithm, less what the whole run is slower. */
  shift: number
  /** How much of it chance explains at most. */
  band: number
  /** What the whole run is slower, as far as it excuses the route. */
  shared: number
}

export function compareLatency(
  kind: LatencyKind,
  base: Profile,
  head: Profile,
  rules: Rules,
  random: Random,
  findings: Findings,
): void {
  const requests = rules.threshold(kind, 'requests')
  const pairs = [...head.requests.routes].flatMap(([key, after]) => {
    const before = base.requests.routes.get(key)
    return before === undefined || Math.min(before.timed.length, after.timed.length) < requests
      ? []
      : [[before, after] as const]
  })
  const shared = sharedShift(base, head)
  const noise = rules.threshold(kind, 'noise') * (shared === undefined ? blindNoiseFactor : 1)
  const deviations = deviationsOf(rules.threshold(kind, 'chance') / Math.max(1, pairs.length))
  for (const [before, after] of pairs) {
    const slowness = slownessOf(kind, before, after, excusedShift(shared), { noise, deviations, random })
    if (isSlow(kind, slowness, rules)) addSlow(kind, before, after, slowness, findings)
  }
}

function slownessOf(
  kind: LatencyKind,
  before: RouteProfile,
  after: RouteProfile,
  shared: number,
  { noise, deviations, random }: { noise: number; deviations: number; random: Random },
): Slowness {
  const share = shares[kind]
  const [was, is] = [logsOf(before), logsOf(after)]
  const [from, to] = [quantile(sorted(was), share), quantile(sorted(is), share)]
  const errors = [quantileError(was, share, random), quantileError(is, share, random), noise]
  return {
    wasMs: Math.exp(from),
    isMs: Math.exp(to),
    shift: to - from - shared,
    band: deviations * Math.hypot(...errors),
    shared,
  }
}

/** Logarithms: noise of machines multiplies durations. */
export function logsOf({ timed }: RouteProfile): number[] {
  return timed.map(({ durationMs }) => Math.log(Math.max(durationMs, leastMs)))
}

function isSlow(kind: LatencyKind, { wasMs, shift, band }: Slowness, rules: Rules): boolean {
  const moreMs = wasMs * (Math.exp(shift) - 1)
  return (
    shift > band &&
    shift >= Math.log(rules.threshold(kind, 'factor')) &&
    moreMs >= rules.threshold(kind, 'milliseconds')
  )
}

export function addSlow(
  kind: LatencyKind,
  before: RouteProfile,
  after: RouteProfile,
  { wasMs, isMs, band, shared }: Slowness,
  findings: Findings,
  isWeak = false,
): void {
  const { service, route, spanName, timed } = after
  if (kind === 'latency_tail' && findings.has('latency', { service, route })) return
  const slowest = [...timed].sort((a, b) => b.durationMs - a.durationMs)
  // Those in the middle of the slow part are as the finding says; the slowest may be a pause.
  const shown = slowest.slice(Math.floor(slowest.length * (1 - shares[kind])), Math.floor(slowest.length / 2) + 3)
  findings.add({
    kind,
    subject: { service, route },
    sentence:
      `the ${names[kind]} of ${route} (${service}) is ${shownMs(isMs)}, and ${shownMs(wasMs)} in base; ` +
      `noise explains up to ${shownMs(wasMs * Math.exp(band + shared))}` +
      (Math.abs(shared) < 0.1 ? '' : `, as the whole run took ${Math.exp(shared).toFixed(2)} times as long`),
    base: figuresOf(before),
    head: figuresOf(after),
    evidence: {
      traceIds: shown.slice(0, 3).map(({ traceId }) => traceId),
      queries: [slowSpansQuery(service, spanName, (wasMs + isMs) / 2)],
    },
    isWeak,
  })
}

function figuresOf({ timed }: RouteProfile): Record<string, number> {
  const ordered = sorted(timed.map(({ durationMs }) => durationMs))
  return {
    medianMs: Number(quantile(ordered, 0.5).toPrecision(4)),
    p90Ms: Number(quantile(ordered, 0.9).toPrecision(4)),
    requests: timed.length,
  }
}

export function shownMs(ms: number): string {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`
  return `${ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3)} ms`
}

/** Says that everything took longer, which excuses routes that are slower by as much. */
export function compareRuns(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const shift = sharedShift(base, head, { leastOwnMs: worthSayingMs })?.log
  if (shift === undefined || shift < Math.log(rules.threshold('slower_run', 'factor'))) return
  const factor = Math.exp(shift).toFixed(1)
  findings.add({
    kind: 'slower_run',
    subject: {},
    sentence:
      `half of all spans took ${factor} times as long as in base, or longer: the machine was slower, or code that ` +
      `all share; routes are compared after that`,
    base: {},
    head: { factor: Number(factor) },
  })
}
