/** Answers of Prometheus' API, and of Loki's where it gives numbers, as results. */
import { labelsOf, listOf, mapOf, numberOf, textOf, textsOf, type JsonMap } from './json.ts'
import { WrongAnswerError } from './telemetry.ts'
import type {
  Alert,
  Histogram,
  HistogramBucket,
  MetricsAnswer,
  Point,
  RangeAnswer,
  Rule,
  Sample,
  Series,
} from './results.ts'

function bucketOf(value: unknown): HistogramBucket {
  const [boundaries, lower, upper, count] = listOf(value)
  const kind = numberOf(boundaries)
  return {
    lower: numberOf(lower),
    upper: numberOf(upper),
    isLowerIn: kind === 1 || kind === 3,
    isUpperIn: kind === 0 || kind === 3,
    count: numberOf(count),
  }
}

function histogramOf(value: unknown): Histogram {
  const { count, sum, buckets } = mapOf(value)
  return { count: numberOf(count), sum: numberOf(sum), buckets: listOf(buckets).map(bucketOf) }
}

/** Seconds are whole milliseconds in all answers. */
function pointOf(pair: unknown): Point {
  const [seconds, value] = listOf(pair)
  return { timeMs: Math.round(numberOf(seconds) * 1000), value: numberOf(value) }
}

function histogramPointOf(pair: unknown): Point {
  const [seconds, value] = listOf(pair)
  return { timeMs: Math.round(numberOf(seconds) * 1000), value: NaN, histogram: histogramOf(value) }
}

function sampleOf(item: unknown): Sample {
  const { metric, value, histogram } = mapOf(item)
  const point = histogram === undefined ? pointOf(value) : histogramPointOf(histogram)
  return { labels: labelsOf(metric), ...point }
}

function seriesOf(item: unknown): Series {
  const { metric, values, histograms } = mapOf(item)
  const points = [...listOf(values).map(pointOf), ...listOf(histograms).map(histogramPointOf)]
  return { labels: labelsOf(metric), points: points.sort((a, b) => a.timeMs - b.timeMs) }
}

/** Warnings before remarks. */
function warningsOf({ warnings, infos }: JsonMap): string[] {
  return [...textsOf(warnings), ...textsOf(infos)]
}

export function metricsAnswerOf(json: unknown): MetricsAnswer {
  const body = mapOf(json)
  const { resultType, result } = mapOf(body['data'])
  const warnings = warningsOf(body)
  if (resultType === 'vector') return { samples: listOf(result).map(sampleOf), warnings }
  if (resultType === 'scalar') return { samples: [{ labels: {}, ...pointOf(result) }], warnings }
  if (resultType === 'matrix') throw new WrongAnswerError('it gives series over a time: ask for a range')
  throw new WrongAnswerError(`it gives a ${textOf(resultType)}, where numbers are expected`)
}

export function rangeAnswerOf(json: unknown): RangeAnswer {
  const body = mapOf(json)
  const { resultType, result } = mapOf(body['data'])
  if (resultType === 'streams') throw new WrongAnswerError('it gives lines, and no numbers: ask with logql')
  if (resultType !== 'matrix') throw new WrongAnswerError(`it gives a ${textOf(resultType)}, where series are expected`)
  return { series: listOf(result).map(seriesOf), warnings: warningsOf(body) }
}

export function alertsOf(json: unknown): Alert[] {
  return listOf(mapOf(mapOf(json)['data'])['alerts']).map(item => {
    const { labels, annotations, state, activeAt, value } = mapOf(item)
    const names = labelsOf(labels)
    return {
      name: names['alertname'] ?? '',
      state: state === 'firing' ? 'firing' : 'pending',
      labels: names,
      annotations: labelsOf(annotations),
      activeMs: Date.parse(textOf(activeAt)),
      value: numberOf(value),
    }
  })
}

export function rulesOf(json: unknown): Rule[] {
  return listOf(mapOf(mapOf(json)['data'])['groups']).flatMap(item => {
    const { name: group, file, rules } = mapOf(item)
    return listOf(rules).map(rule => ruleOf(mapOf(rule), textOf(group), textOf(file)))
  })
}

function ruleOf({ name, type, query, health, lastError, state }: JsonMap, group: string, file: string): Rule {
  return {
    name: textOf(name),
    group,
    file,
    kind: type === 'recording' ? 'recording' : 'alerting',
    query: textOf(query),
    health: health === 'ok' || health === 'err' ? health : 'unknown',
    error: textOf(lastError),
    state: state === 'inactive' || state === 'pending' || state === 'firing' ? state : undefined,
  }
}
