/** Batches that are filled again and again: columns of a large body are not kept for small ones. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from './labels.ts'
import { LogBatch } from './log-batch.ts'
import { WriteBatch } from './write-batch.ts'

const rows = 300_000

test('columns are kept from body to body, but for those of a body far above the usual', () => {
  const lines = new LogBatch()
  const samples = new WriteBatch()
  const fill = (count: number): void => {
    lines.clear(Buffer.from('line'))
    lines.beginStream(Labels.fromObject({ a: 'b' }))
    samples.clear()
    for (let i = 0; i < count; i++) {
      lines.addLine(i, i % 10, 0, 4)
      samples.addSampleWords(samples.addSeries(0, 4), i, 1, i)
    }
    assert.deepEqual([lines.count, samples.sampleCount, samples.seriesCount], [count, count, count])
    assert.equal(lines.timesMs[count - 1], count - 1)
    assert.equal(samples.words[2 * (count - 1)], count - 1)
  }
  fill(10_000)
  const { timesMs, keyTo } = { timesMs: lines.timesMs, keyTo: samples.keyTo }
  fill(10)
  assert.ok(lines.timesMs === timesMs && samples.keyTo === keyTo)
  fill(rows)
  assert.ok(lines.timesMs.length >= rows && samples.values.length >= rows)
  fill(10)
  for (const column of [lines.lineTo, lines.pairsFrom, samples.sampleSeries, samples.keyFrom, samples.values])
    assert.ok(column.length <= 256)
})
