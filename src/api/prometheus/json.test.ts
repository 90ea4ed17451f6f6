/** Values, times and results as Prometheus prints them. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from '#model/labels.ts'
import type { QueryResult, ResultSeries } from '#query/promql/engine.ts'
import { formatLabels, formatResult, formatTime, formatValue } from './json.ts'

test('values have the shortest digits, and an exponent of two digits where Go has one', () => {
  const cases: [value: number, text: string][] = [
    [0, '0'],
    [-0, '-0'],
    [1.5, '1.5'],
    [0.1 + 0.2, '0.30000000000000004'],
    [1e20, '100000000000000000000'],
    [1e21, '1e+21'],
    [1.5e-7, '1.5e-07'],
    [5e-324, '5e-324'],
    [1e300, '1e+300'],
    [0.000001, '0.000001'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
    [NaN, 'NaN'],
  ]
  for (const [value, text] of cases) assert.equal(formatValue(value), text)
})

test('times are seconds, with three decimals where there are any', () => {
  const cases: [ms: number, text: string][] = [
    [0, '0'],
    [1000, '1'],
    [1001, '1.001'],
    [1_732_788_000_120, '1732788000.120'],
    [-500, '-0.500'],
    [-1500, '-1.500'],
  ]
  for (const [ms, text] of cases) assert.equal(formatTime(ms), text)
})

function series(labels: Record<string, string>, samples: readonly (readonly [number, number])[]): ResultSeries {
  return {
    labels: Labels.fromObject(labels),
    timesMs: samples.map(([timeMs]) => timeMs),
    values: samples.map(([, value]) => value),
    histogramTimesMs: [],
    histograms: [],
  }
}

function result(type: QueryResult['type'], list: ResultSeries[], text = ''): string {
  const stats = { seconds: 0, parseSeconds: 0, samples: 0, peakSamples: 0 }
  return [...formatResult({ type, startMs: 2500, series: list, text, warnings: [], infos: [], stats })].join('') + '}'
}

test('each type of result has its form', () => {
  assert.equal(formatLabels(Labels.fromObject({ b: '"\n', a: 'ä' })), '{"a":"ä","b":"\\"\\n"}')
  const cases: [type: QueryResult['type'], list: ResultSeries[], json: string][] = [
    ['scalar', [series({}, [[1500, 2]])], '{"resultType":"scalar","result":[1.500,"2"]}'],
    ['vector', [], '{"resultType":"vector","result":[]}'],
    [
      'vector',
      [series({ a: '1' }, [[1000, 2]]), series({ a: '2' }, [[1000, NaN]])],
      '{"resultType":"vector","result":[{"metric":{"a":"1"},"value":[1,"2"]},{"metric":{"a":"2"},"value":[1,"NaN"]}]}',
    ],
    [
      'matrix',
      [
        series({ a: '1' }, [
          [1000, 2],
          [2000, 3],
        ]),
        series({}, []),
      ],
      '{"resultType":"matrix","result":[{"metric":{"a":"1"},"values":[[1,"2"],[2,"3"]]},{"metric":{}}]}',
    ],
  ]
  for (const [type, list, json] of cases) {
    assert.equal(result(type, list), json)
    JSON.parse(json)
  }
  assert.equal(result('string', [], 'a "text"'), '{"resultType":"string","result":[2.500,"a \\"text\\""]}')
})

test('a long result comes in pieces that are one text of JSON', () => {
  const many = Array.from({ length: 3 }, (_, s) =>
    series(
      { s: String(s) },
      Array.from({ length: 10_000 }, (_item, i) => [i * 1000, i] as const),
    ),
  )
  const stats = { seconds: 0, parseSeconds: 0, samples: 0, peakSamples: 0 }
  const pieces = [
    ...formatResult({ type: 'matrix', startMs: 0, series: many, text: '', warnings: [], infos: [], stats }),
  ]
  assert.ok(pieces.length > 5)
  assert.ok(pieces.every(piece => piece.length < 70_000))
  const parsed = JSON.parse(`${pieces.join('')}}`) as {
    result: { metric: { s: string }; values: [number, string][] }[]
  }
  assert.deepEqual(
    parsed.result.map(({ metric, values }) => `${metric.s} ${values.length} ${values.at(-1)?.join(' ')}`),
    ['0 10000 9999 9999', '1 10000 9999 9999', '2 10000 9999 9999'],
  )
})
