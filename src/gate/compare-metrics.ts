/** Metrics, labels and their values that are gone, of another type, or new, and counters that count nothing. */
import { seriesByLabelQuery, seriesQuery } from './evidence-queries.ts'
import type { Findings } from './finding.ts'
import { isFewValues, type LabelProfile, type MetricProfile } from './metric-profile.ts'
import type { Profile } from './profile.ts'
import type { Rules } from './rules.ts'
import { metricShape } from './variable-parts.ts'

type Metrics = ReadonlyMap<string, MetricProfile>

/** Metrics of the collection of garbage: a short run has one, or none. */
const rareMetrics = /(?:^|[_.])gc[_.]/

/** A histogram's series have three names, and are one metric: `http_request_duration_seconds`. */
export function familyOf(name: string, metrics: Metrics): string {
  const stem = /^(.+)_(?:bucket|sum|count)$/.exec(name)?.[1]
  if (stem === undefined) return name
  const isWhole = metrics.has(`${stem}_sum`) && metrics.has(`${stem}_count`)
  return isWhole ? stem : name
}

export function compareMetrics(
  { metrics: base }: Profile,
  { metrics: head }: Profile,
  rules: Rules,
  findings: Findings,
): void {
  findVanished(base, head, findings)
  findChanged(base, head, findings)
  findStopped(base, head, rules, findings)
  findVanishedValues(base, head, findings)
  for (const metric of freshMetrics(base, head))
    findings.add({
      kind: 'new_metrics',
      subject: { metric },
      sentence: `${metric} is a new metric`,
      base: { series: 0 },
      head: { series: seriesOf(metric, head) },
      evidence: { queries: [seriesQuery(queriedName(metric, head))] },
    })
}

function familiesOf(metrics: Metrics): Map<string, string> {
  return new Map([...metrics.keys()].map(name => [familyOf(name, metrics), name]))
}

/** New names. Names that differ in an id alone are one. */
function freshMetrics(base: Metrics, head: Metrics): string[] {
  const known = familiesOf(base)
  const byShape = new Map<string, string>()
  for (const [family, name] of familiesOf(head))
    if (!base.has(name) && !known.has(family) && !byShape.has(metricShape(family)))
      byShape.set(metricShape(family), family)
  return [...byShape.values()].sort()
}

/** The family's own name, or that of its buckets or counts. */
function queriedName(family: string, metrics: Metrics): string {
  return [family, `${family}_bucket`, `${family}_count`].find(name => metrics.has(name)) ?? family
}

function seriesOf(family: string, metrics: Metrics): number {
  return metrics.get(queriedName(family, metrics))?.series ?? 0
}

/** `jobs_of_42_total` is the same metric as `jobs_of_43_total`, with an id that is another in each run. */
function findVanished(base: Metrics, head: Metrics, findings: Findings): void {
  const shapes = new Set([...head.keys()].filter(name => !base.has(name)).map(metricShape))
  const isGone = (name: string): boolean =>
    !head.has(name) && !rareMetrics.test(name) && !(metricShape(name) !== name && shapes.has(metricShape(name)))
  const families = familiesOf(head)
  const gone = new Map([...base.keys()].filter(isGone).map(name => [familyOf(name, base), name]))
  for (const [metric, name] of [...gone].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const other = families.get(metric)
    if (other !== undefined) {
      addChangedType(metric, base.get(name)!, head.get(other)!, findings)
      continue
    }
    findings.add({
      kind: 'vanished_metrics',
      subject: { metric },
      sentence: `the metric ${metric} is gone: panels and alerts that ask for it get nothing`,
      base: { series: seriesOf(metric, base) },
      head: { series: 0 },
      evidence: { queries: [seriesQuery(queriedName(metric, base))] },
    })
  }
}

function addChangedType(metric: string, before: MetricProfile, after: MetricProfile, findings: Findings): void {
  const [was, is] = [before, after].map(({ type }) => type ?? 'metric of another form')
  findings.add({
    kind: 'changed_types',
    subject: { metric },
    sentence: `the metric ${metric} is a ${is}, and a ${was} in base`,
    base: { series: before.series },
    head: { series: after.series },
    evidence: { queries: [seriesQuery(after.name)] },
  })
}

function findChanged(base: Metrics, head: Metrics, findings: Findings): void {
  const said = new Set<string>()
  for (const [name, before] of base) {
    const after = head.get(name)
    if (after === undefined) continue
    const metric = familyOf(name, base)
    for (const label of before.labels.keys())
      if (!after.labels.has(label) && !after.isCut && !said.has(JSON.stringify([metric, label]))) {
        said.add(JSON.stringify([metric, label]))
        addVanishedLabel(metric, label, before, after, findings)
      }
    if (before.type === undefined || after.type === undefined || before.type === after.type) continue
    if (said.has(metric)) continue
    said.add(metric)
    addChangedType(metric, before, after, findings)
  }
}

function addVanishedLabel(
  metric: string,
  label: string,
  before: MetricProfile,
  after: MetricProfile,
  findings: Findings,
): void {
  findings.add({
    kind: 'vanished_labels',
    subject: { metric, label },
    sentence: `the label ${label} of the metric ${metric} is gone`,
    base: { values: before.labels.get(label)?.values ?? 0, series: before.series },
    head: { values: 0, series: after.series },
    evidence: { queries: [seriesByLabelQuery(before.name, label)] },
  })
}

/** What counts failures is at 0 where they are mended, and comes and goes. */
const failureWords =
  /err|fail|exception|timeout|time_out|refus|reject|drop|abort|cancel|retr[iy]|panic|warn|miss|throttl/i
/** A counter that has so much less is as good as stopped. */
const stoppedFactor = 10

function findStopped(base: Metrics, head: Metrics, rules: Rules, findings: Findings): void {
  const least = rules.threshold('stopped_counters', 'count')
  for (const [name, before] of base) {
    const [was, is] = [before.total ?? 0, head.get(name)?.total]
    if (is === undefined || was < 1 || failureWords.test(name) || rareMetrics.test(name)) continue
    if (is > 0 && (was < least * stoppedFactor || is * stoppedFactor > was)) continue
    const metric = familyOf(name, base)
    findings.add({
      kind: 'stopped_counters',
      subject: { metric },
      sentence:
        is > 0
          ? `${metric} counts ${rounded(is)} in head, and ${rounded(was)} in base`
          : `${metric} counts nothing in head, and ${rounded(was)} in base`,
      base: { counted: was },
      head: { counted: is },
      evidence: { queries: [seriesQuery(name)] },
      isWeak: is > 0 || was < least,
    })
  }
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(3)))
}

/** What a runtime holds at the moment: kinds of handles, spaces, states of threads. */
const runtimeMetrics = /^(?:nodejs|v8js|process|jvm|go|python|cpython|ruby|dotnet|system)[_.]/

/** Bounds of buckets are settings, not what happened. */
const boundLabels: readonly string[] = ['le', 'quantile', 'vmrange']

/** Values that a label has in base and not in head, where it has others of them; each set of values once. */
function findVanishedValues(base: Metrics, head: Metrics, findings: Findings): void {
  const found = new Map<string, { metrics: Set<string>; label: string; gone: readonly string[] }>()
  for (const [name, before] of base) {
    const after = head.get(name)
    if (after === undefined || after.isCut || before.isCut || runtimeMetrics.test(name)) continue
    for (const [label, was] of before.labels) {
      const gone = goneValues(label, was, after.labels.get(label))
      if (gone.length === 0) continue
      const key = JSON.stringify([label, gone])
      const known = found.get(key) ?? { metrics: new Set(), label, gone }
      known.metrics.add(familyOf(name, base))
      found.set(key, known)
    }
  }
  for (const { metrics, label, gone } of found.values()) {
    const [metric = '', ...others] = metrics
    const more = others.length === 0 ? '' : ` and ${others.length} more`
    findings.add({
      kind: 'vanished_values',
      subject: { metric, label },
      sentence: `the label ${label} of ${metric}${more} no longer has the value ${gone.slice(0, 3).join(', ')}`,
      base: { values: gone.length },
      head: { values: 0 },
      evidence: {
        lines: gone.slice(0, 3).map(value => `${label}=${JSON.stringify(value)}`),
        queries: [seriesByLabelQuery(queriedName(metric, base), label)],
      },
    })
  }
}

/** Values with numbers and ids are others in each run, and so are all values of a name that a machine makes up. */
function goneValues(label: string, was: LabelProfile, is: LabelProfile | undefined): string[] {
  if (is === undefined || boundLabels.includes(label) || failureWords.test(label)) return []
  if (!isFewValues(was) || !isFewValues(is)) return []
  const gone = was.samples.filter(value => !is.samples.includes(value))
  if (gone.length === was.values) return []
  return gone.filter(value => !/\d/.test(value.replaceAll(/\bv\d\b/g, '')) && !failureWords.test(value))
}
