/** Values as Prometheus' JSON has them. */
import type { Labels } from '#model/labels.ts'
import type { Bucket, FloatHistogram } from '#model/histogram.ts'
import type { QueryResult, ResultSeries } from '#query/promql/engine.ts'

/** The shortest digits; an exponent of two digits below 1e-6 and from 1e21 on. */
export function formatValue(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const text = String(value)
  const e = text.indexOf('e')
  if (e < 0) return text
  const sign = text[e + 1]!
  const digits = text.slice(e + 2)
  return `${text.slice(0, e)}e${sign}${digits.padStart(2, '0')}`
}

/** Seconds, with three decimals where there are any. */
export function formatTime(timeMs: number): string {
  const whole = Math.trunc(timeMs / 1000)
  const rest = Math.abs(timeMs % 1000)
  const sign = timeMs < 0 && whole === 0 ? '-' : ''
  return rest === 0 ? `${sign}${whole}` : `${sign}${whole}.${String(rest).padStart(3, '0')}`
}

export function formatLabels(labels: Labels): string {
  let out = '{'
  for (let i = 0; i < labels.pairs.length; i += 2)
    out += `${i > 0 ? ',' : ''}${JSON.stringify(labels.pairs[i])}:${JSON.stringify(labels.pairs[i + 1])}`
  return `${out}}`
}

export function formatHistogram(h: FloatHistogram): string {
  const buckets = h
    .buckets()
    .filter(b => b.count !== 0)
    .map(b => `[${boundaries(b)},"${formatValue(b.lower)}","${formatValue(b.upper)}","${formatValue(b.count)}"]`)
  const list = buckets.length === 0 ? '' : `,"buckets":[${buckets.join(',')}]`
  return `{"count":"${formatValue(h.count)}","sum":"${formatValue(h.sum)}"${list}}`
}

/** 0 open left, 1 open right, 2 open both, 3 closed both. */
function boundaries(b: Bucket): number {
  if (b.lowerInclusive) return b.upperInclusive ? 3 : 1
  return b.upperInclusive ? 0 : 2
}

const pieceChars = 65536

/** The `data` of a query answer, in pieces, without its last brace: statistics may follow. */
export function* formatResult(result: QueryResult): Generator<string> {
  yield `{"resultType":"${result.type}","result":`
  if (result.type === 'scalar') {
    const series = result.series[0]!
    yield `[${formatTime(series.timesMs[0]!)},"${formatValue(series.values[0]!)}"]`
  } else if (result.type === 'string') yield `[${formatTime(result.startMs)},${JSON.stringify(result.text)}]`
  else {
    let piece = '['
    let first = true
    for (const series of result.series) {
      piece += `${first ? '' : ','}{"metric":${formatLabels(series.labels)}`
      first = false
      piece += result.type === 'vector' ? formatInstant(series) : ''
      if (result.type === 'matrix') {
        if (series.timesMs.length > 0) {
          piece += ',"values":['
          for (let i = 0; i < series.timesMs.length; i++) {
            piece += `${i > 0 ? ',' : ''}[${formatTime(series.timesMs[i]!)},"${formatValue(series.values[i]!)}"]`
            if (piece.length > pieceChars) {
              yield piece
              piece = ''
            }
          }
          piece += ']'
        }
        if (series.histogramTimesMs.length > 0) piece += `,"histograms":[${formatHistograms(series).join(',')}]`
      }
      piece += '}'
      if (piece.length > pieceChars) {
        yield piece
        piece = ''
      }
    }
    yield `${piece}]`
  }
}

/** A time and a histogram each. */
function formatHistograms({ histogramTimesMs, histograms }: ResultSeries): string[] {
  return histograms.map((h, i) => `[${formatTime(histogramTimesMs[i]!)},${formatHistogram(h)}]`)
}

function formatInstant(series: ResultSeries): string {
  const [histogram] = formatHistograms(series)
  if (histogram !== undefined) return `,"histogram":${histogram}`
  return `,"value":[${formatTime(series.timesMs[0]!)},"${formatValue(series.values[0]!)}"]`
}
