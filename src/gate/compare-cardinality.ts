/** Many more series, streams of log lines, names of metrics and spans, or values of resources, and what makes them. */
import { seriesByLabelQuery, serviceQuery, spansQuery, streamsByLabelQuery, tracesQuery } from './evidence-queries.ts'
import type { EvidenceQuery, Findings, Found } from './finding.ts'
import { familyOf } from './compare-metrics.ts'
import { labelProfileOf, type LabelProfile, type MetricProfile } from './metric-profile.ts'
import type { Profile } from './profile.ts'
import type { Rules } from './rules.ts'
import { isVariable, metricShape, withoutVariables } from './variable-parts.ts'

const samplesShown = 3
/** A test with a few users shows a label with their ids, too: it had a value at most, and has so many. */
const idsMin = 10
const idsShare = 0.8

export function compareCardinality(base: Profile, head: Profile, rules: Rules, findings: Findings): void {
  const isMany = manyBy(rules)
  for (const [metric, [before, after]] of worstOf(base, head, isMany))
    findings.add(grownSeries(`the metric ${metric} has`, 'series', { metric }, before, after, seriesByLabelQuery))
  const { streams } = head
  if (isBomb(base.streams, streams, isMany))
    findings.add(grownSeries('the log lines have', 'streams', {}, base.streams, streams, streamsByLabelQuery))
  findManyMetrics(base, head, isMany, findings)
  findManySpans(base, head, isMany, findings)
  findManyResources(base, head, isMany, findings)
}

type IsMany = (was: number, is: number) => boolean

function manyBy(rules: Rules): IsMany {
  const factor = rules.threshold('cardinality', 'factor')
  const increase = rules.threshold('cardinality', 'increase')
  return (was, is) => is - was >= increase && is >= was * factor
}

/** Of the names of a histogram the one with the most series. */
function worstOf(
  base: Profile,
  head: Profile,
  isMany: IsMany,
): Map<string, readonly [MetricProfile | undefined, MetricProfile]> {
  const worst = new Map<string, readonly [MetricProfile | undefined, MetricProfile]>()
  for (const [name, after] of head.metrics) {
    const before = base.metrics.get(name)
    if (!isBomb(before, after, isMany)) continue
    const metric = familyOf(name, head.metrics)
    if (after.series > (worst.get(metric)?.[1].series ?? 0)) worst.set(metric, [before, after])
  }
  return worst
}

function isBomb(before: MetricProfile | undefined, after: MetricProfile, isMany: IsMany): boolean {
  return isMany(before?.series ?? 0, after.series) || idLabelOf(before, after) !== undefined
}

/** Labels of these names have as many values as there are users, requests, … */
const idNames = /(?:^|[_.-])(?:id|uuid|guid|user|username|e?mail|session|token)$/i

/** The label that had a value at most, and has ids; of a metric that base does not have its name must say so, too. */
function idLabelOf(before: MetricProfile | undefined, after: MetricProfile): string | undefined {
  for (const [label, is] of after.labels)
    if (hasMany(before?.labels.get(label), is) && (idNames.test(label) || (before !== undefined && areVariable(is))))
      return label
  return undefined
}

/** Many values where there was one or none. */
function hasMany(was: LabelProfile | undefined, { values }: LabelProfile): boolean {
  return values >= idsMin && (was?.values ?? 0) <= 1
}

/** Are nearly all of them numbers or ids? */
function areVariable({ samples }: LabelProfile): boolean {
  return samples.filter(isVariable).length >= samples.length * idsShare
}

function areIds(was: LabelProfile | undefined, is: LabelProfile): boolean {
  return hasMany(was, is) && areVariable(is)
}

function grownSeries(
  who: string,
  what: string,
  subject: Found['subject'],
  before: MetricProfile | undefined,
  after: MetricProfile,
  queryBy: (name: string, label: string) => EvidenceQuery,
): Found {
  const label = idLabelOf(before, after) ?? mostGrown(before, after)
  const grown = after.labels.get(label)
  const was = before?.series ?? 0
  const values = before?.labels.get(label)?.values ?? 0
  const samples = grown?.samples.slice(0, samplesShown) ?? []
  return {
    kind: 'cardinality',
    subject: label === '' ? subject : { ...subject, label },
    sentence:
      `${who} ${after.series} ${what}${after.isCut ? ' and more' : ''}, and ${was} in base` +
      (grown === undefined
        ? ''
        : `: the label ${label} has ${grown.values} values, and ${values} in base (${samples.join(', ')}, …)`),
    base: { series: was, values },
    head: { series: after.series, values: grown?.values ?? 0 },
    evidence: {
      lines: samples.map(value => `${label}=${JSON.stringify(value)}`),
      queries: [queryBy(after.name, label === '' ? '__name__' : label)],
    },
  }
}

/** The label with the most more values; empty where none has more. */
function mostGrown(before: MetricProfile | undefined, after: MetricProfile): string {
  let best = ''
  let most = 0
  for (const [label, { values }] of after.labels) {
    const growth = values - (before?.labels.get(label)?.values ?? 0)
    if (growth <= most) continue
    most = growth
    best = label
  }
  return best
}

/** Ids in the names of metrics: each is a metric of its own. */
function findManyMetrics(base: Profile, head: Profile, isMany: IsMany, findings: Findings): void {
  const [before, after] = [namesByShape(base), namesByShape(head)]
  for (const [shape, names] of after) {
    const was = before.get(shape)?.size ?? 0
    if (names.size >= idsMin && was <= 1)
      findings.add(grownNames({ metric: shape }, `there are ${names.size} metrics of the form ${shape}`, was, names))
  }
  const fresh = [...head.metrics.keys()].filter(name => !base.metrics.has(name))
  const isSaid = findings.hasAny('cardinality', ({ metric }) => metric !== undefined && after.has(metric))
  if (!isMany(base.metrics.size, head.metrics.size) || isSaid) return
  const text = `there are ${head.metrics.size} names of metrics`
  findings.add(grownNames({ label: '__name__' }, text, base.metrics.size, new Set(fresh), head.metrics.size))
}

function namesByShape({ metrics }: Profile): Map<string, Set<string>> {
  const shapes = new Map<string, Set<string>>()
  for (const name of metrics.keys()) {
    const shape = metricShape(name)
    const names = shapes.get(shape)
    if (names === undefined) shapes.set(shape, new Set([name]))
    else names.add(name)
  }
  return shapes
}

function grownNames(
  subject: Found['subject'],
  text: string,
  was: number,
  names: ReadonlySet<string>,
  count = names.size,
): Found {
  const samples = [...names].slice(-samplesShown)
  return {
    kind: 'cardinality',
    subject,
    sentence: `${text}, and ${was} in base (${samples.join(', ')}, …): what varies belongs into labels`,
    base: { names: was },
    head: { names: count },
    evidence: { lines: samples },
  }
}

/** Ids in the names of spans are as dear as ids in labels: metrics of spans have the name as a label. */
function findManySpans(base: Profile, head: Profile, isMany: IsMany, findings: Findings): void {
  for (const [service, names] of head.spans.rawNames) {
    const known = base.spans.rawNames.get(service) ?? new Set<string>()
    const bomb = isMany(known.size, names.size) ? { names, was: known.size } : bombedShape(known, names)
    if (bomb === undefined) continue
    const samples = [...bomb.names].slice(-samplesShown)
    findings.add({
      kind: 'cardinality',
      subject: { service, label: 'span:name' },
      sentence:
        `the spans of ${service} have ${bomb.names.size} different names, and ${bomb.was} in base ` +
        `(${samples.join(', ')}, …): what varies belongs into attributes`,
      base: { names: bomb.was },
      head: { names: bomb.names.size },
      evidence: { lines: samples, queries: [serviceQuery(service), spansQuery(service, samples[0]!)] },
    })
  }
}

/** Names that are equal but for ids, of which base has one at most. */
function bombedShape(
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
): { names: Set<string>; was: number } | undefined {
  const [known, shapes] = [shapesOf(before), shapesOf(after)]
  for (const [shape, names] of shapes) {
    const was = known.get(shape)?.size ?? 0
    if (areIds(labelProfileOf(known.get(shape) ?? new Set()), labelProfileOf(names))) return { names, was }
  }
  return undefined
}

function shapesOf(names: ReadonlySet<string>): Map<string, Set<string>> {
  const shapes = new Map<string, Set<string>>()
  for (const name of names) {
    const shape = withoutVariables(name)
    shapes.set(shape, (shapes.get(shape) ?? new Set()).add(name))
  }
  return shapes
}

/** Resources are programs: an attribute with as many values as there are users is one of spans. */
function findManyResources(base: Profile, head: Profile, isMany: IsMany, findings: Findings): void {
  for (const [name, is] of head.resources) {
    const was = base.resources.get(name)
    if (!isMany(was?.values ?? 0, is.values) && !areIds(was, is)) continue
    const samples = is.samples.slice(0, samplesShown)
    findings.add({
      kind: 'cardinality',
      subject: { label: `resource.${name}` },
      sentence:
        `the attribute ${name} of resources has ${is.values} values, and ${was?.values ?? 0} in base ` +
        `(${samples.join(', ')}, …): what varies belongs into attributes of spans`,
      base: { values: was?.values ?? 0 },
      head: { values: is.values },
      evidence: { lines: samples, queries: [tracesQuery(name, samples[0] ?? '')] },
    })
  }
}
