/**
 * OTLP metrics as Prometheus series. Source: the public "Prometheus and OpenMetrics Compatibility" specification of
 * OpenTelemetry and the behaviour of Prometheus' OTLP endpoint (underscore escaping with suffixes).
 */
import { isRawNumber } from '#core/json.ts'
import { staleHigh, staleLow } from '#model/sample-columns.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { BatchBuilder, MetricType } from '#model/write-batch.ts'
import { namelessAttribute, type Attributes, type AttributeValue } from './message.ts'
import type { OtlpExemplar, OtlpMetric, OtlpPoint, OtlpResource } from './metrics.ts'

/** In maps: an object would also have the members of every object, and a unit may be named as one of them. */
const units = new Map(
  Object.entries({
    d: 'days',
    h: 'hours',
    min: 'minutes',
    s: 'seconds',
    ms: 'milliseconds',
    us: 'microseconds',
    ns: 'nanoseconds',
    By: 'bytes',
    KiBy: 'kibibytes',
    MiBy: 'mebibytes',
    GiBy: 'gibibytes',
    TiBy: 'tibibytes',
    KBy: 'kilobytes',
    MBy: 'megabytes',
    GBy: 'gigabytes',
    TBy: 'terabytes',
    m: 'meters',
    V: 'volts',
    A: 'amperes',
    J: 'joules',
    W: 'watts',
    g: 'grams',
    Cel: 'celsius',
    Hz: 'hertz',
    '1': '',
    '%': 'percent',
  }),
)
const perUnits = new Map(
  Object.entries({
    s: 'second',
    m: 'minute',
    h: 'hour',
    d: 'day',
    w: 'week',
    mo: 'month',
    y: 'year',
  }),
)
const flagNoValue = 1
const delta = 1
const cumulative = 2

/** The unit as words of the name: the unit itself, and the one behind the slash. Annotations in braces are no units. */
function unitWords(unit: string): { main: string; per: string } {
  const slash = unit.indexOf('/')
  const word = (text: string, words: ReadonlyMap<string, string>): string => {
    const code = text.trim()
    if (code === '' || /[{}]/.test(code)) return ''
    const known = words.get(code) ?? code
    return known
      .replace(/[^a-zA-Z0-9:]/g, '_')
      .replace(/_{2,}/g, '_')
      .replace(/^_/, '')
  }
  return slash < 0
    ? { main: word(unit, units), per: '' }
    : { main: word(unit.slice(0, slash), units), per: word(unit.slice(slash + 1), perUnits) }
}

/** The unit in metadata: seconds, bytes_per_second. */
function unitText(unit: string): string {
  const { main, per } = unitWords(unit)
  return [main, per === '' ? '' : `per_${per}`].filter(Boolean).join('_')
}

/** The name of the metric in Prometheus: words joined by underscores, unit and `total` at the end. */
export function metricNameOf(metric: OtlpMetric): string {
  const parts = metric.name.split(/[^a-zA-Z0-9:]+/).filter(Boolean)
  const { main, per } = unitWords(metric.unit)
  const wantsMain = main !== '' && !parts.includes(main)
  const wantsPer = per !== '' && !parts.includes(per)
  if (wantsMain) parts.push(wantsPer ? main.replace(/_$/, '') : main)
  if (wantsPer) parts.push('per', per)
  const isCounter = metric.kind === 'sum' && metric.monotonic
  if (isCounter) {
    const at = parts.indexOf('total')
    if (at >= 0) parts.splice(at, 1)
    parts.push('total')
  }
  if (metric.kind === 'gauge' && metric.unit === '1') {
    const at = parts.indexOf('ratio')
    if (at >= 0) parts.splice(at, 1)
    parts.push('ratio')
  }
  const name = parts.join('_')
  return /^\d/.test(name) ? `_${name}` : name
}

function labelName(name: string): string {
  const text = name.replace(/[^a-zA-Z0-9_]/g, '_')
  if (/^\d/.test(text)) return `key_${text}`
  // One underscore in front is no name that Prometheus' label rules give out; two mark its own labels.
  return /^_(?!_)/.test(text) ? `key${text}` : text
}

function valueText(value: AttributeValue): string {
  if (typeof value === 'string') return value
  if (value === null) return ''
  if (isRawNumber(value)) return value.rawJSON
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Several attributes that become one label are joined. */
function toLabels(attributes: Attributes, extra: readonly (readonly [string, string])[]): Map<string, string> {
  const labels = new Map<string, string>()
  for (const [name, value] of [...attributes].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    const label = labelName(name)
    const before = labels.get(label)
    labels.set(label, before === undefined ? valueText(value) : `${before};${valueText(value)}`)
  }
  for (const [name, value] of extra) if (value !== '') labels.set(name, value)
  return labels
}

const typeOf: Record<OtlpMetric['kind'], MetricType> = {
  gauge: 'gauge',
  sum: 'gauge',
  histogram: 'histogram',
  exponential: 'histogram',
  summary: 'summary',
}

/** What became of the points of a request. */
export interface TranslatedPoints {
  /** Points that are refused, by reason. */
  refused: Map<string, number>
  /** What was left out of points that are kept. */
  notes: Set<string>
  /** Points that are in the batch. */
  count: number
  /** By series of the batch: the number of its point; -1 for what describes a resource. */
  pointOf: number[]
}

/** Adds everything to the batch that can be translated. */
export function translateOtlp(
  resources: readonly OtlpResource[],
  builder: BatchBuilder,
  nowMs: number,
): TranslatedPoints {
  const out: TranslatedPoints = { refused: new Map(), notes: new Set(), count: 0, pointOf: [] }
  for (const resource of resources) translateResource(resource, builder, nowMs, out)
  return out
}

function refusePoints(out: TranslatedPoints, reason: string, count: number): void {
  out.refused.set(reason, (out.refused.get(reason) ?? 0) + count)
}

function translateResource(resource: OtlpResource, builder: BatchBuilder, nowMs: number, out: TranslatedPoints): void {
  const attributes = named(resource.attributes, out)
  const attribute = (name: string): string => valueText(attributes.find(([n]) => n === name)?.[1] ?? '')
  const service = attribute('service.name')
  const namespace = attribute('service.namespace')
  const identity: [string, string][] = [
    ['job', namespace === '' ? service : service === '' ? '' : `${namespace}/${service}`],
    ['instance', attribute('service.instance.id')],
  ]
  let latestMs = 0
  for (const scope of resource.scopes) {
    for (const metric of scope.metrics) {
      const problem = problemOfMetric(metric)
      if (problem !== undefined) {
        // A metric without points is one thing that the sender must hear of.
        refusePoints(out, problem, Math.max(1, metric.points.length))
        continue
      }
      const name = metricNameOf(metric)
      addMetadata(metric, name, builder, out)
      for (const point of metric.points) {
        if (!addPoint({ metric, name, point, identity, builder, nowMs, out })) continue
        out.count++
        latestMs = Math.max(latestMs, point.timeMs)
      }
    }
  }
  const info = attributes.filter(
    ([n]) => n !== 'service.name' && n !== 'service.namespace' && n !== 'service.instance.id',
  )
  if (info.length === 0 || (identity[0]![1] === '' && identity[1]![1] === '') || latestMs === 0) return
  const labels = toLabels(info, [...identity, ['__name__', 'target_info']])
  const bad = problemOfLabels(labels)
  if (bad !== undefined) out.notes.add(`target_info was left out: ${bad}`)
  else {
    builder.add(Labels.from(labels), latestMs, 1)
    out.pointOf.push(-1)
  }
}

/** Why none of its points can be kept. */
function problemOfMetric({ name, kind, temporality, points }: OtlpMetric): string | undefined {
  const [first] = points
  if (name === '') return first?.problem ?? 'a metric has no name'
  const shown = `metric ${JSON.stringify(name)}`
  if (!name.isWellFormed()) return `${shown}: its name is not UTF-8`
  if (kind === 'gauge' || kind === 'summary' || temporality === cumulative) return undefined
  return temporality === delta
    ? `${shown} has delta temporality; cumulative is needed`
    : `${shown} has no aggregation temporality (${temporality}); cumulative is needed`
}

function addMetadata(metric: OtlpMetric, name: string, builder: BatchBuilder, out: TranslatedPoints): void {
  const isReadable = metric.description.isWellFormed() && metric.unit.isWellFormed()
  if (!isReadable) out.notes.add(`metric ${name}: a description or unit that is not UTF-8 was left out`)
  builder.batch.metadata.push({
    metric: name,
    type: metric.kind === 'sum' && metric.monotonic ? 'counter' : typeOf[metric.kind],
    help: isReadable ? metric.description : '',
    unit: isReadable ? unitText(metric.unit) : '',
  })
}

/** The attributes that have a name. */
function named(attributes: Attributes, out: TranslatedPoints): Attributes {
  if (attributes.every(([name]) => name !== '')) return attributes
  out.notes.add(namelessAttribute)
  return attributes.filter(([name]) => name !== '')
}

/** The label that is not UTF-8, if one is. */
function problemOfLabels(labels: ReadonlyMap<string, string>): string | undefined {
  for (const [name, value] of labels)
    if (!name.isWellFormed() || !value.isWellFormed()) return `the value of label ${name} is not UTF-8`
  return undefined
}

interface PointInput {
  metric: OtlpMetric
  /** In Prometheus. */
  name: string
  point: OtlpPoint
  identity: [string, string][]
  builder: BatchBuilder
  nowMs: number
  out: TranslatedPoints
}

/** False where the point is refused. */
function addPoint({ metric, name, point, identity, builder, nowMs, out }: PointInput): boolean {
  const base = toLabels(named(point.attributes, out), identity)
  const badNames = point.attributes.find(([n]) => !n.isWellFormed())
  const problem =
    point.problem ??
    (badNames === undefined ? problemOfLabels(base) : `the attribute name ${JSON.stringify(badNames[0])} is not UTF-8`)
  if (problem !== undefined) {
    refusePoints(out, `metric ${name}: ${problem}`, 1)
    return false
  }
  const timeMs = point.timeMs === 0 ? nowMs : point.timeMs
  const noValue = (point.flags & flagNoValue) !== 0
  const series = (suffix: string, extra?: readonly [string, string]): number => {
    const labels = new Map(base)
    labels.set('__name__', name + suffix)
    if (extra !== undefined) labels.set(extra[0], extra[1])
    out.pointOf.push(out.count)
    return builder.addSeries(Labels.from(labels))
  }
  const add = (i: number, value: number): void => {
    if (noValue) builder.batch.addSampleWords(i, timeMs, staleHigh, staleLow)
    else builder.batch.addSample(i, timeMs, value)
  }
  const addExemplars = (i: number, from: number, to: number): void => {
    for (const e of point.exemplars) {
      if (!(e.value > from && e.value <= to)) continue
      const labels = exemplarLabels(e, name, out)
      if (labels !== undefined) builder.batch.exemplars.push({ series: i, labels, value: e.value, timeMs: e.timeMs })
    }
  }
  addValues(metric, point, { series, add, addExemplars, builder, timeMs, noValue })
  return true
}

/** Undefined where the exemplar is left out. */
function exemplarLabels(e: OtlpExemplar, name: string, out: TranslatedPoints): Labels | undefined {
  const isNone = (id: string): boolean => /^0*$/.test(id)
  const fits = (id: string, digits: number): boolean => isNone(id) || (id.length === digits && /^[0-9a-f]+$/.test(id))
  const labels = toLabels(named(e.attributes, out), [
    ['trace_id', isNone(e.traceId) ? '' : e.traceId],
    ['span_id', isNone(e.spanId) ? '' : e.spanId],
  ])
  const problem = fits(e.traceId, 32) && fits(e.spanId, 16) ? problemOfLabels(labels) : 'an id of wrong length'
  if (problem === undefined) return Labels.from(labels)
  out.notes.add(`metric ${name}: an exemplar was left out: ${problem}`)
  return undefined
}

interface PointOutput {
  series: (suffix: string, extra?: readonly [string, string]) => number
  add: (series: number, value: number) => void
  /** Those whose value lies above `from`, and up to `to`. */
  addExemplars: (series: number, from: number, to: number) => void
  builder: BatchBuilder
  timeMs: number
  noValue: boolean
}

function addValues(
  metric: OtlpMetric,
  point: OtlpPoint,
  { series, add, addExemplars, builder, timeMs, noValue }: PointOutput,
): void {
  switch (metric.kind) {
    case 'gauge':
    case 'sum': {
      const i = series('')
      add(i, point.value)
      if (metric.monotonic) addExemplars(i, -Infinity, Infinity)
      return
    }
    case 'histogram': {
      if (point.sum !== undefined) add(series('_sum'), point.sum)
      add(series('_count'), point.count)
      let total = 0
      for (let b = 0; b < point.bounds.length; b++) {
        total += point.bucketCounts[b] ?? 0
        const i = series('_bucket', ['le', String(point.bounds[b])])
        add(i, total)
        addExemplars(i, b === 0 ? -Infinity : point.bounds[b - 1]!, point.bounds[b]!)
      }
      const i = series('_bucket', ['le', '+Inf'])
      add(i, point.count)
      addExemplars(i, point.bounds.at(-1) ?? -Infinity, Infinity)
      return
    }
    case 'summary':
      add(series('_sum'), point.sum ?? 0)
      add(series('_count'), point.count)
      for (const { quantile, value } of point.quantiles) add(series('', ['quantile', String(quantile)]), value)
      return
    case 'exponential': {
      const i = series('')
      builder.batch.addHistogram(i, timeMs, point.startMs, exponentialHistogram(point, noValue))
      addExemplars(i, -Infinity, Infinity)
    }
  }
}

/** OTLP's bucket i holds (base^i, base^(i+1)]; ours of that index ends at base^index. Scales above 8 are lowered. */
function exponentialHistogram(point: OtlpPoint, stale: boolean): FloatHistogram {
  const h = new FloatHistogram()
  h.integer = true
  h.stale = stale
  if (stale) return h
  h.schema = point.scale
  h.count = point.count
  h.sum = point.sum ?? 0
  h.zeroCount = point.zeroCount
  h.zeroThreshold = point.zeroThreshold === 0 ? 1e-128 : point.zeroThreshold
  for (const [side, source] of [
    [h.positive, point.positive],
    [h.negative, point.negative],
  ] as const) {
    source.counts.forEach((count, k) => {
      if (count !== 0) {
        side.index.push(source.offset + k + 1)
        side.count.push(count)
      }
    })
  }
  return h.schema > 8 ? h.reduceTo(8) : h
}
