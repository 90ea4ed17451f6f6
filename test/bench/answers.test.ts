import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Answer, differences, prometheusAnswer, tempoAnswer, victoriaLogsAnswer } from '../../bench/answers.ts'

const data = (resultType: string, result: unknown): string =>
  JSON.stringify({ status: 'success', data: { resultType, result } })

describe('what an answer holds', () => {
  test('series, points and sum of a matrix, a vector, and lines of streams', () => {
    const matrix = data('matrix', [
      {
        values: [
          [1, '2'],
          [2, '3'],
        ],
      },
      { values: [[1, 'NaN']] },
    ])
    assert.deepEqual(prometheusAnswer(matrix, 'sum'), { count: 2, points: 2, sum: 5, compares: 'sum' })
    assert.equal(prometheusAnswer(data('vector', [{ value: [1, '7'] }, { value: [1, '-2'] }]), 'mean').sum, 9)
    const streams = data('streams', [
      {
        values: [
          ['1', 'a'],
          ['2', 'b'],
        ],
      },
      { values: [['3', 'c']] },
    ])
    assert.deepEqual(prometheusAnswer(streams, 'sum'), { count: 3, points: 0, sum: 0, compares: 'count' })
  })

  test('groups of stats in LogsQL are series, whatever their time; without a value, lines are counted', () => {
    const rows = '{"_time":"1","app":"a","n":"2"}\n{"_time":"2","app":"a","n":"3"}\n{"_time":"1","app":"b","n":"5"}\n'
    assert.deepEqual(victoriaLogsAnswer(rows, 'sum', 'n'), { count: 2, points: 3, sum: 10, compares: 'sum' })
    assert.equal(victoriaLogsAnswer(rows, 'count').count, 3)
  })

  test('traces, series, values and spans of Tempo', () => {
    assert.equal(tempoAnswer('{"traces":[{},{}],"metrics":{}}').count, 2)
    assert.equal(tempoAnswer('{"traces":[],"metrics":{}}').count, 0)
    assert.equal(tempoAnswer('{"tagValues":[{},{},{}]}').count, 3)
    assert.equal(tempoAnswer('{"batches":[{"scopeSpans":[{"spans":[{},{}]},{"spans":[{}]}]}]}').count, 3)
    const series = tempoAnswer('{"series":[{"samples":[{"value":1.5},{}]},{"samples":[{"value":2}]}]}')
    assert.deepEqual(series, { count: 2, points: 3, sum: 3.5, compares: 'sum' })
  })
})

describe('answers that differ', () => {
  const answer = (part: Partial<Answer>): Answer => ({ count: 2, points: 10, sum: 100, compares: 'sum', ...part })

  test('in the number of series, or in the sum, are named with both', () => {
    const found = differences(
      'by app',
      new Map([
        ['tercet', answer({})],
        ['loki', answer({ sum: 110 })],
      ]),
    )
    assert.deepEqual(found, ['by app: Tercet 2 of 10 points, sum 100; Loki 2 of 10 points, sum 110'])
    assert.equal(
      differences(
        'q',
        new Map([
          ['tercet', answer({})],
          ['loki', answer({ count: 1 })],
        ]),
      ).length,
      1,
    )
  })

  test('by no more than the tolerance are equal; means do not see how many points there are', () => {
    assert.deepEqual(
      differences(
        'q',
        new Map([
          ['tercet', answer({})],
          ['loki', answer({ sum: 101 })],
        ]),
      ),
      [],
    )
    const half: Answer = answer({ points: 5, sum: 50, compares: 'mean' })
    assert.deepEqual(
      differences(
        'q',
        new Map([
          ['tercet', answer({ compares: 'mean' })],
          ['prometheus', half],
        ]),
      ),
      [],
    )
    assert.equal(
      differences(
        'q',
        new Map([
          ['tercet', answer({})],
          ['prometheus', { ...half, compares: 'sum' }],
        ]),
      ).length,
      1,
    )
  })
})
