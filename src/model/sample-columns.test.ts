/** Columns of samples, and batches on their way in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { showLogBatch, showWriteBatch } from '../../test/show-batch.ts'
import { refuse, type AppendOutcome } from './append-outcome.ts'
import { FloatHistogram } from './histogram.ts'
import { Labels } from './labels.ts'
import { LogBatchBuilder } from './log-batch.ts'
import { SampleColumns } from './sample-columns.ts'
import { impliedService } from './service-name.ts'
import { BatchBuilder } from './write-batch.ts'

function show(columns: SampleColumns): string[] {
  return Array.from({ length: columns.count }, (_, i) => {
    const histogram = columns.histograms?.[i]
    const value = columns.isStale(i) ? 'stale' : histogram === undefined ? String(columns.values[i]) : 'histogram'
    const start = columns.startsMs?.[i] ?? 0
    return `${value} @${columns.timesMs[i]}${start === 0 ? '' : ` since ${start}`}`
  })
}

test('samples in order are cut to their range', () => {
  const columns = new SampleColumns()
  for (let i = 0; i < 600; i++) columns.pushFloat(i * 10, i)
  columns.normalize(15, 45)
  assert.deepEqual(show(columns), ['2 @20', '3 @30', '4 @40'])
  columns.clear()
  assert.equal(columns.count, 0)
})

test('samples out of order are sorted; of several at one time the first one stays', () => {
  const columns = new SampleColumns()
  columns.pushFloat(30, 3)
  columns.pushWords(10, 0x7ff00000, 2)
  columns.pushHistogram(20, new FloatHistogram())
  columns.pushFloat(10, 9)
  columns.pushHistogram(40, Object.assign(new FloatHistogram(), { stale: true }))
  columns.pushFloat(50, 5)
  columns.setStart(0, 7)
  columns.setStart(4, 8)
  columns.normalize(10, 40)
  assert.deepEqual(show(columns), ['stale @10', 'histogram @20', '3 @30 since 7', 'stale @40 since 8'])
  columns.normalize(20, 30)
  assert.deepEqual(show(columns), ['histogram @20', '3 @30 since 7'])
})

test('a batch of samples grows, and is used again', () => {
  const builder = new BatchBuilder()
  for (let round = 0; round < 2; round++) {
    builder.clear()
    const expected: string[] = []
    for (let i = 0; i < 1000; i++) {
      builder.add(Labels.fromObject({ __name__: 'up', i: String(i), long: 'x'.repeat(i) }), i, i / 2)
      expected.push(`up{i="${i}", long="${'x'.repeat(i)}"} ${i / 2} @${i}`)
    }
    // An empty value is no label.
    expected[0] = 'up{i="0"} 0 @0'
    assert.deepEqual(showWriteBatch(builder.batch), expected)
  }
})

test('log lines that come in any order of streams are laid out by stream', () => {
  const builder = new LogBatchBuilder()
  const [a, b] = [Labels.fromObject({ app: 'a' }), Labels.fromObject({ app: 'b' })]
  for (let i = 0; i < 600; i++) builder.add(i % 2 === 0 ? a : b, i, i * 2, `line ${i} ü`, ['n', String(i)])
  const lines = showLogBatch(builder.build())
  assert.deepEqual([lines.length, builder.count], [600, 600])
  assert.deepEqual(
    [lines[0], lines[1], lines[300]],
    ['{app="a"} @0+0 line 0 ü n=0', '{app="a"} @2+4 line 2 ü n=2', '{app="b"} @1+2 line 1 ü n=1'],
  )
})

test('refusals are counted by reason, and reasons have an end', () => {
  const outcome: AppendOutcome = { stored: 0, refused: 0, problems: [] }
  for (let i = 0; i < 5; i++) refuse(outcome, `reason ${i % 3}`, 2, 2)
  assert.deepEqual(outcome, {
    stored: 0,
    refused: 10,
    problems: [
      { message: 'reason 0', count: 4 },
      { message: 'reason 1', count: 4 },
    ],
  })
})

test('the service that other labels name', () => {
  const cases: [labels: Record<string, string>, service: string][] = [
    [{}, 'unknown_service'],
    [{ job: 'j', app: 'a' }, 'a'],
    [{ job: 'j' }, 'j'],
  ]
  for (const [labels, service] of cases) assert.equal(impliedService(Labels.fromObject(labels)), service)
})
