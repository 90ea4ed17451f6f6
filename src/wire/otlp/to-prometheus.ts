/**
 * OTLP metrics as Prometheus series. Source: the public "Prometheus and OpenMetrics Compatibility" specification of
 * OpenTelemetry and the behaviour of Prometheus' OTLP endpoint (underscore escaping with suffixes).
 */
import { isRawNumber } from '#core/json.ts'
import { staleHigh, staleLow } from '#model/sample-columns.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { BatchBuilder, MetricType } from '#model/write-batch.ts'
import type { Attributes, AttributeValue } from './message.ts'
import type { OtlpMetric, OtlpPoint, OtlpResource } from './metrics.ts'

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

/** Adds everything to the batch; returns what could not be translated, one text for each metric. */
export function translateOtlp(resources: readonly OtlpResource[], builder: BatchBuilder, nowMs: number): string[] {
  const problems: string[] = []
  for (const resource of resources) {
    const attribute = (name: string): string => valueText(resource.attributes.find(([n]) => n === name)?.[1] ?? '')
    const service = attribute('service.name')
    const namespace = attribute('service.namespace')
    const identity: [string, string][] = [
      ['job', namespace === '' ? service : service === '' ? '' : `${namespace}/${service}`],
      ['instance', attribute('service.instance.id')],
    ]
    let latestMs = 0
    for (const scope of resource.scopes) {
      for (const metric of scope.metrics) {
        if (metric.kind !== 'gauge' && metric.kind !== 'summary' && metric.temporality === delta) {
          problems.push(`metric ${JSON.stringify(metric.name)} has delta temporality; cumulative is needed`)
          continue
        }
        if (metric.name === '') {
          problems.push('a metric has no name')
          continue
        }
        const name = metricNameOf(metric)
        builder.batch.metadata.push({
          metric: name,
          type: metric.kind === 'sum' && metric.monotonic ? 'counter' : typeOf[metric.kind],
          help: metric.description,
          unit: unitText(metric.unit),
        })
        for (const point of metric.points) {
          latestMs = Math.max(latestMs, point.timeMs)
          addPoint(metric, name, point, identity, builder, nowMs)
        }
      }
    }
    const info = resource.attributes.filter(
      ([n]) => n !== 'service.name' && n !== 'service.namespace' && n !== 'service.instance.id',
    )
    if (info.length > 0 && (identity[0]![1] !== '' || identity[1]![1] !== '') && latestMs > 0) {
      builder.add(Labels.from(toLabels(info, [...identity, ['__name__', 'target_info']])), latestMs, 1)
    }
  }
  return problems
}

function addPoint(
  metric: OtlpMetric,
  name: string,
  point: OtlpPoint,
  identity: [string, string][],
  builder: BatchBuilder,
  nowMs: number,
): void {
  const timeMs = point.timeMs === 0 ? nowMs : point.timeMs
  const noValue = (point.flags & flagNoValue) !== 0
  const base = toLabels(point.attributes, identity)
  const series = (suffix: string, extra?: readonly [string, string]): number => {
    const labels = new Map(base)
    labels.set('__name__', name + suffix)
    if (extra !== undefined) labels.set(extra[0], extra[1])
    return builder.addSeries(Labels.from(labels))
  }
  const add = (i: number, value: number): void => {
    if (noValue) builder.batch.addSampleWords(i, timeMs, staleHigh, staleLow)
    else builder.batch.addSample(i, timeMs, value)
  }
  const addExemplars = (i: number, from: number, to: number): void => {
    for (const e of point.exemplars) {
      if (!(e.value > from && e.value <= to)) continue
      const labels = toLabels(e.attributes, [
        ['trace_id', e.traceId],
        ['span_id', e.spanId],
      ])
      builder.batch.exemplars.push({ series: i, labels: Labels.from(labels), value: e.value, timeMs: e.timeMs })
    }
  }
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
