/** Spans that fail in head, and did not in base, or did more seldom. */
import { failedSpansQuery } from './evidence-queries.ts'
import type { Evidence, Findings } from './finding.ts'
import { shareGrowthDeviations } from './noise.ts'
import type { Profile } from './profile.ts'
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
      const count = groups.reduce((sum, group) => sum + group.count, 0)
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
    else addNewMessages(before, after, findings)
  }
}

function addNew(after: Failures, base: Profile, rules: Rules, findings: Findings): void {
  const { service, span, count, of } = after
  const isRare = count / of < rules.threshold('new_errors', 'share') && count < rules.threshold('new_errors', 'count')
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
    isWeak: isRare,
  })
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

/** Another reason for as many failures: it can be the same one in other words, and is a warning at most. */
function addNewMessages(before: Failures, after: Failures, findings: Findings): void {
  const known = new Set(before.groups.map(({ message }) => message))
  const fresh = after.groups.filter(({ message }) => !known.has(message))
  const [group] = fresh
  if (group === undefined) return
  findings.add({
    kind: 'new_errors',
    subject: subjectOf(group),
    sentence:
      `${group.span} (${group.service}) fails as often as in base, and for another reason: ${shownError(group)}, ` +
      `${Math.round(group.count)} times`,
    base: figuresOf(before),
    head: figuresOf(after),
    evidence: evidenceOf({ ...after, groups: fresh }),
    isWeak: true,
  })
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
    lines: groups.slice(0, 5).map(shownError),
    queries: [failedSpansQuery(service, groups[0]!.rawName)],
  }
}
