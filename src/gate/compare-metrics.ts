/** Metrics and labels that are gone, of another type, new, or of many more series. */
import { seriesByLabelQuery, seriesQuery } from './evidence-queries.ts'
import type { Findings } from './finding.ts'
import type { MetricProfile } from './metric-profile.ts'
import type { Profile } from './profile.ts'
import type { Rules } from './rules.ts'

type Metrics = ReadonlyMap<string, MetricProfile>

/** A histogram's series have three names, and are one metric: `http_request_duration_seconds`. */
function familyOf(name: string, metrics: Metrics): string {
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
  findCardinality(base, head, rules, findings)
  const fresh = new Set([...head.keys()].filter(name => !base.has(name)).map(name => familyOf(name, head)))
  for (const metric of [...fresh].sort())
    findings.add({
      kind: 'new_metrics',
      subject: { metric },
      sentence: `${metric} is a new metric`,
      base: { series: 0 },
      head: { series: seriesOf(metric, head) },
      evidence: { queries: [seriesQuery(queriedName(metric, head))] },
    })
}

/** The family's own name, or that of its buckets or counts. */
function queriedName(family: string, metrics: Metrics): string {
  return [family, `${family}_bucket`, `${family}_count`].find(name => metrics.has(name)) ?? family
}

function seriesOf(family: string, metrics: Metrics): number {
  return metrics.get(queriedName(family, metrics))?.series ?? 0
}

function findVanished(base: Metrics, head: Metrics, findings: Findings): void {
  const gone = new Set([...base.keys()].filter(name => !head.has(name)).map(name => familyOf(name, base)))
  for (const metric of [...gone].sort())
    findings.add({
      kind: 'vanished_metrics',
      subject: { metric },
      sentence: `the metric ${metric} is gone: panels and alerts that ask for it get nothing`,
      base: { series: seriesOf(metric, base) },
      head: { series: 0 },
      evidence: { queries: [seriesQuery(queriedName(metric, base))] },
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
    findings.add({
      kind: 'changed_types',
      subject: { metric },
      sentence: `the metric ${metric} is a ${after.type}, and a ${before.type} in base`,
      base: { series: before.series },
      head: { series: after.series },
      evidence: { queries: [seriesQuery(name)] },
    })
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

function findCardinality(base: Metrics, head: Metrics, rules: Rules, findings: Findings): void {
  const factor = rules.threshold('cardinality', 'factor')
  const increase = rules.threshold('cardinality', 'increase')
  const worst = new Map<string, MetricProfile>()
  for (const [name, after] of head) {
    const was = base.get(name)?.series ?? 0
    if (after.series - was < increase || after.series < was * factor) continue
    const metric = familyOf(name, head)
    if (after.series > (worst.get(metric)?.series ?? 0)) worst.set(metric, after)
  }
  for (const [metric, after] of worst) addCardinality(metric, base.get(after.name), after, findings)
}

function addCardinality(
  metric: string,
  before: MetricProfile | undefined,
  after: MetricProfile,
  findings: Findings,
): void {
  const [label, grown] = mostGrown(before, after)
  const most = after.isCut ? `${after.series} series and more` : `${after.series} series`
  const was = before?.series ?? 0
  const values = grown === undefined ? 0 : (before?.labels.get(label)?.values ?? 0)
  findings.add({
    kind: 'cardinality',
    subject: label === '' ? { metric } : { metric, label },
    sentence:
      `the metric ${metric} has ${most}, and ${was} in base` +
      (grown === undefined
        ? ''
        : `: the label ${label} has ${grown.values} values, and ${values} in base (${grown.samples.join(', ')}, …)`),
    base: { series: was, values },
    head: { series: after.series, values: grown?.values ?? 0 },
    evidence: {
      lines: grown?.samples.map(value => `${label}=${JSON.stringify(value)}`) ?? [],
      queries: [seriesByLabelQuery(after.name, label === '' ? '__name__' : label)],
    },
  })
}

/** The label with the most more values. */
function mostGrown(
  before: MetricProfile | undefined,
  after: MetricProfile,
): readonly [string, { values: number; samples: readonly string[] } | undefined] {
  const growth = (label: string, values: number): number => values - (before?.labels.get(label)?.values ?? 0)
  let best: readonly [string, { values: number; samples: readonly string[] } | undefined] = ['', undefined]
  let most = 0
  for (const [label, profile] of after.labels) {
    if (growth(label, profile.values) <= most) continue
    most = growth(label, profile.values)
    best = [label, profile]
  }
  return best
}
