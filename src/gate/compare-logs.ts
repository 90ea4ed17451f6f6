/** Patterns of log lines that are new in head, or more frequent. */
import { keyOfTexts } from '#core/text.ts'
import { linesQuery } from './evidence-queries.ts'
import type { Evidence, Findings, Found } from './finding.ts'
import { mergedPatterns, type LogLevel, type LogPattern, type LogProfile } from './log-patterns.ts'
import { countGrowthDeviations } from './noise.ts'
import type { Profile } from './profile.ts'
import type { Rules } from './rules.ts'

const deviationsMin = 3.3

/** Patterns by their merged text. */
function gathered(profile: LogProfile, merged: ReadonlyMap<string, string>): Map<string, LogPattern> {
  const found = new Map<string, LogPattern>()
  for (const [key, one] of profile.patterns) {
    const pattern = merged.get(key) ?? one.pattern
    const mergedKey = keyOfTexts([one.service, one.level, pattern])
    const known = found.get(mergedKey)
    if (known === undefined) {
      found.set(mergedKey, { ...one, pattern })
      continue
    }
    known.count += one.count
  }
  return found
}

const newKinds = { error: 'new_log_errors', warn: 'new_log_warnings' } as const satisfies Record<LogLevel, string>

export function compareLogs(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const merged = mergedPatterns([base.logs, head.logs])
  const known = gathered(base.logs, merged)
  for (const [key, after] of gathered(head.logs, merged)) {
    const before = known.get(key)
    if (before === undefined) {
      if (after.count >= rules.threshold(newKinds[after.level], 'count')) findings.add(newPattern(after))
    } else if (isGrown(before, after, base, head, rules)) findings.add(grownPattern(before, after))
  }
}

function newPattern(after: LogPattern): Found {
  const { service, level, pattern, count } = after
  return {
    kind: newKinds[level],
    subject: { service, pattern },
    sentence: `${service} logs a new ${level === 'error' ? 'error' : 'warning'}, ${times(count)}: ${pattern}`,
    base: { lines: 0 },
    head: { lines: count },
    evidence: evidenceOf(after),
  }
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}

/** More lines because there were more requests are none. */
function isGrown(before: LogPattern, after: LogPattern, base: Profile, head: Profile, rules: Rules): boolean {
  const [baseOf, headOf] = base.spans.spans > 0 && head.spans.spans > 0 ? [base.spans.spans, head.spans.spans] : [1, 1]
  const expected = (before.count * headOf) / baseOf
  return (
    after.count >= expected * rules.threshold('log_growth', 'factor') &&
    after.count - expected >= rules.threshold('log_growth', 'count') &&
    countGrowthDeviations(before.count, baseOf, after.count, headOf) >= deviationsMin
  )
}

function grownPattern(before: LogPattern, after: LogPattern): Found {
  const { service, level, pattern, count } = after
  return {
    kind: 'log_growth',
    subject: { service, pattern },
    sentence:
      `${service} logs ${level === 'error' ? 'an error' : 'a warning'} ${count} times, ` +
      `and ${before.count} times in base: ${pattern}`,
    base: { lines: before.count },
    head: { lines: count },
    evidence: evidenceOf(after),
  }
}

function evidenceOf({ service, pattern, samples, traceIds }: LogPattern): Partial<Evidence> {
  return { lines: samples, traceIds: [...new Set(traceIds)], queries: [linesQuery(service, pattern)] }
}
