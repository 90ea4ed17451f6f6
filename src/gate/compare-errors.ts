/** Spans that fail in head, and did not in base, or did more seldom. */
import { failedSpansQuery, spansQuery } from './evidence-queries.ts'
import type { Evidence, Findings } from './finding.ts'
import { shareGrowthDeviations } from './noise.ts'
import type { Profile } from './profile.ts'
import { routeKey } from './request-profile.ts'
import type { Rules } from './rules.ts'
import { spanKey, type FailureGroup } from './span-profile.ts'

const deviationsMin = 3.3

/** Failures of a service, a span and a type of exception, whatever their messages are. */
interface Failures {
  readonly service: string
  readonly span: string
  readonly type: string
  readonly groups: readonly FailureGroup[]
  readonly count: number
  /** Spans of that name, failed or not; at least `count`. */
  readonly of: number
}

function failuresOf({ spans }: Profile): Map<string, Failures> {
  const lists = new Map<string, FailureGroup[]>()
  for (const group of spans.failures.values()) {
    const key = JSON.stringify([group.service, group.span, group.type])
    const list = lists.get(key)
    if (list === undefined) lists.set(key, [group])
    else list.push(group)
  }
  return new Map(
    [...lists].map(([key, groups]) => {
      const { service, span, type } = groups[0]!
      const count = countOf(groups)
      const of = Math.max(count, spans.groups.get(spanKey(service, span))?.count ?? 0)
      return [key, { service, span, type, groups: groups.sort((a, b) => b.count - a.count), count, of }]
    }),
  )
}

export function compareErrors(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const known = failuresOf(base)
  for (const [key, after] of failuresOf(head)) {
    const before = known.get(key)
    if (before === undefined) addNew(after, base, rules, findings)
    else if (isGrown(before, after, rules)) addGrowth(before, after, findings)
    else if (!addNewRoute(before, after, base, head, rules, findings)) addNewMessages(before, after, rules, findings)
  }
  findRefused(base, head, rules, findings)
}

/** Of a route that is refused most requests; tests ask for refusals, too. */
const refusedShare = 0.5

/** A 4xx is no failure of the server; that it answers nearly everybody so, and base nobody, is worth a look. */
function findRefused(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  for (const [key, { service, route, spanName, refusals, timed }] of head.requests.routes) {
    const before = base.requests.routes.get(key)
    if (before === undefined) continue
    for (const [status, { count, traceIds }] of refusals) {
      if (before.refusals.has(status) || count < timed.length * refusedShare) continue
      if (count < rules.threshold('new_errors', 'count')) continue
      findings.add({
        kind: 'new_errors',
        subject: { service, route, error: `status ${status}` },
        sentence:
          `${route} (${service}) answers ${status} to ${count} of ${timed.length} requests; in base to none of ` +
          `${before.timed.length}`,
        base: { refused: 0, requests: before.timed.length },
        head: { refused: count, requests: timed.length },
        evidence: { traceIds, queries: [spansQuery(service, spanName)] },
        isWeak: true,
      })
    }
  }
}

function addNew(after: Failures, base: Profile, rules: Rules, findings: Findings): void {
  const { service, span, count, of } = after
  const spansBefore = Math.round(base.spans.groups.get(spanKey(service, span))?.count ?? 0)
  const [group] = after.groups
  findings.add({
    kind: 'new_errors',
    subject: subjectOf(group!),
    sentence:
      `${span} (${service}) fails with ${shownError(group!)}: ${shownCount(after)}` +
      (spansBefore === 0 ? '; base has no such span' : `; in base none of ${spansBefore}`),
    base: { failed: 0, spans: spansBefore },
    head: figuresOf(after),
    evidence: evidenceOf(after),
    isWeak: isRare(count, of, rules),
  })
}

function isRare(count: number, of: number, rules: Rules): boolean {
  return count / of < rules.threshold('new_errors', 'share') && count < rules.threshold('new_errors', 'count')
}

function isGrown(before: Failures, after: Failures, rules: Rules): boolean {
  const [was, is] = [before.count / before.of, after.count / after.of]
  const more = after.count - was * after.of
  return (
    is >= was * rules.threshold('error_growth', 'factor') &&
    more >= rules.threshold('error_growth', 'count') &&
    shareGrowthDeviations(before.count, before.of, after.count, after.of) >= deviationsMin
  )
}

function addGrowth(before: Failures, after: Failures, findings: Findings): void {
  const [group] = after.groups
  findings.add({
    kind: 'error_growth',
    subject: subjectOf(group!),
    sentence:
      `${after.span} (${after.service}) fails more often with ${shownError(group!)}: ${shownCount(after)}, ` +
      `and ${shownCount(before)} in base`,
    base: figuresOf(before),
    head: figuresOf(after),
    evidence: evidenceOf(after),
  })
}

/**
 * A route in which the same failure is new, as of handlers that all have one name, where that is no chance. Returns
 * whether there is one.
 */
function addNewRoute(
  before: Failures,
  after: Failures,
  base: Profile,
  head: Profile,
  rules: Rules,
  findings: Findings,
): boolean {
  const { service, span } = after
  const known = new Set(before.groups.map(({ route }) => route))
  for (const route of new Set(after.groups.map(group => group.route))) {
    const key = routeKey({ service, route })
    const [was, is] = [base.requests.routes.get(key)?.requests, head.requests.routes.get(key)?.requests]
    if (known.has(route) || was === undefined || is === undefined) continue
    const groups = after.groups.filter(group => group.route === route)
    const failed = { ...after, groups, count: countOf(groups), of: Math.max(countOf(groups), is) }
    const isChance = shareGrowthDeviations(before.count, before.of, failed.count, failed.of) < deviationsMin
    if (failed.count < rules.threshold('new_errors', 'count') || isChance) continue
    findings.add({
      kind: 'new_errors',
      subject: subjectOf(groups[0]!),
      sentence:
        `${span} (${service}) fails with ${shownError(groups[0]!)} in ${route}, too: ${Math.round(failed.count)} of ` +
        `${Math.round(failed.of)} requests; in base none of ${Math.round(was)}`,
      base: { failed: 0, requests: Math.round(was) },
      head: { failed: Math.round(failed.count), requests: Math.round(failed.of) },
      evidence: evidenceOf(failed),
    })
    return true
  }
  return false
}

/**
 * Messages that base does not have: the same failure in other words mostly, and a warning at most. In many languages
 * the type of an exception says little (`Error`), so that a message of other words beside those of base is another
 * failure.
 */
function addNewMessages(before: Failures, after: Failures, rules: Rules, findings: Findings): void {
  const known = new Set(before.groups.map(({ message }) => message))
  const fresh = after.groups.filter(({ message }) => !known.has(message))
  if (fresh.length === 0) return
  const others = fresh.filter(({ message }) => before.groups.every(one => !isAlike(one.message, message)))
  const shown = others.length > 0 ? others : fresh
  const [group] = shown
  const count = countOf(shown)
  const isBeside = (after.count - countOf(fresh)) / after.of >= before.count / before.of / 2
  findings.add({
    kind: 'new_errors',
    subject: subjectOf(group!),
    sentence:
      `${after.span} (${after.service}) fails ${isBeside ? 'for one more' : 'as often as in base, and for another'} ` +
      `reason: ${shownError(group!)}, ${Math.round(count)} times`,
    base: figuresOf(before),
    head: figuresOf(after),
    evidence: evidenceOf({ ...after, groups: shown }),
    isWeak: others.length === 0 || !isBeside || isRare(count, after.of, rules),
  })
}

function countOf(groups: readonly FailureGroup[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0)
}

/** Do they share half of their words? */
function isAlike(message: string, other: string): boolean {
  const [words, otherWords] = [wordsOf(message), wordsOf(other)]
  const shared = [...words].filter(word => otherWords.has(word)).length
  return shared * 2 >= Math.min(words.size, otherWords.size)
}

function wordsOf(message: string): Set<string> {
  return new Set(message.toLowerCase().match(/[\p{L}_]{2,}/gu) ?? [])
}

function subjectOf({ service, span, route, type, message }: FailureGroup): Record<string, string> {
  const error = [type, message].filter(part => part !== '').join(': ')
  return route === '' ? { service, span, error } : { service, span, route, error }
}

function shownError({ type, message }: FailureGroup): string {
  return [type, message].filter(part => part !== '').join(': ') || 'no message'
}

function shownCount({ count, of }: Failures): string {
  return `${Math.round(count)} of ${Math.round(of)} spans`
}

function figuresOf({ count, of }: Failures): Record<string, number> {
  return { failed: Math.round(count), spans: Math.round(of) }
}

function evidenceOf({ service, groups }: Failures): Evidence {
  return {
    traceIds: groups.flatMap(({ traceIds }) => traceIds).slice(0, 3),
    lines: [...new Set(groups.map(shownError))].slice(0, 5),
    queries: [failedSpansQuery(service, groups[0]!.rawName, groups[0]!.isByStatus)],
  }
}
