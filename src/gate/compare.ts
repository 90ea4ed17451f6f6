/** Two runs in, a report out. */
import { seededRandom } from '#core/random.ts'
import { compareCardinality } from './compare-cardinality.ts'
import { compareErrors } from './compare-errors.ts'
import { compareFewRequests } from './compare-few-requests.ts'
import { compareLatency, compareRuns } from './compare-latency.ts'
import { compareLogs } from './compare-logs.ts'
import { compareMetrics } from './compare-metrics.ts'
import { compareNames } from './compare-names.ts'
import { compareCounts, findRepeated } from './compare-requests.ts'
import { Findings, type Finding } from './finding.ts'
import type { Profile, RunCounts } from './profile.ts'
import type { Rules } from './rules.ts'

export interface RunSummary {
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
  readonly counts: RunCounts
  /** What was not read of it, or was not whole. */
  readonly notes: readonly string[]
}

export interface Report {
  /** Of this shape; it grows where fields change their meaning or go. */
  readonly version: 1
  readonly verdict: 'pass' | 'fail'
  readonly base: RunSummary
  readonly head: RunSummary
  /** Those that fail first. */
  readonly findings: readonly Finding[]
  /** What the comparison leaves out. */
  readonly notes: readonly string[]
}

/** The same report for the same runs: what is drawn by chance is drawn from the same seed. */
export function compareProfiles(base: Profile, head: Profile, rules: Rules): Report {
  const findings = new Findings(rules)
  compareErrors(base, head, rules, findings)
  compareCounts('queries', base, head, rules, findings)
  compareCounts('calls', base, head, rules, findings)
  findRepeated(base, head, rules, findings)
  compareLatency('latency', base, head, rules, seededRandom(1), findings)
  compareLatency('latency_tail', base, head, rules, seededRandom(2), findings)
  compareFewRequests(base, head, rules, findings)
  compareRuns(base, head, rules, findings)
  compareLogs(base, head, rules, findings)
  compareMetrics(base, head, rules, findings)
  compareCardinality(base, head, rules, findings)
  compareNames(base, head, rules, findings)
  const list = findings.sorted()
  return {
    version: 1,
    verdict: list.some(({ severity }) => severity === 'fail') ? 'fail' : 'pass',
    base: summaryOf(base),
    head: summaryOf(head),
    findings: list,
    notes: [...findings.notes(), ...absences(base, head)],
  }
}

function summaryOf({ name, fromMs, toMs, counts, notes }: Profile): RunSummary {
  return { name, fromMs, toMs, counts, notes }
}

/** Signals that are in neither run are compared with nothing, which is no agreement. */
function absences({ counts: base }: Profile, { counts: head }: Profile): string[] {
  const notes: string[] = []
  if (base.traces + head.traces === 0)
    notes.push('neither run has traces: requests, errors and latency are not compared')
  if (base.metrics + head.metrics === 0) notes.push('neither run has metrics')
  return notes
}
