/** Batches as text, for tests: one line a sample, histogram, exemplar, metadata entry or log line. */
import type { LogBatch } from '#model/log-batch.ts'
import { Labels } from '#model/labels.ts'
import type { WriteBatch } from '#model/write-batch.ts'
import { keyPairs } from '#wire/remote-write/encode.ts'

/** `series value @ms`, `series {histogram} @ms`, `series # {labels} value @ms`, `# metric type unit help`. */
export function showWriteBatch(batch: WriteBatch): string[] {
  const series = (i: number): string =>
    Labels.from(keyPairs(batch.bytes, batch.keyFrom[i]!, batch.keyTo[i]!)).toString()
  const lines: string[] = []
  for (let i = 0; i < batch.sampleCount; i++) {
    const isStale = batch.words[2 * i] === 2 && batch.words[2 * i + 1] === 0x7ff00000
    lines.push(`${series(batch.sampleSeries[i]!)} ${isStale ? 'stale' : batch.values[i]!} @${batch.timesMs[i]!}`)
  }
  for (const { series: s, histogram, timeMs } of batch.histograms)
    lines.push(`${series(s)} ${histogram.stale ? 'stale' : histogram.toString()} @${timeMs}`)
  for (const { series: s, labels, value, timeMs } of batch.exemplars)
    lines.push(`${series(s)} # ${labels.toString()} ${value} @${timeMs}`)
  for (const { metric, type, unit, help } of batch.metadata)
    lines.push(['#', metric, type, unit, help].filter(part => part !== '').join(' '))
  return lines
}

/** `{stream} @ms+ns line name=value …`. */
export function showLogBatch(batch: LogBatch): string[] {
  const lines: string[] = []
  batch.streams.forEach((stream, s) => {
    for (let i = batch.startOf[s]!; i < batch.startOf[s + 1]!; i++) {
      const line = Buffer.from(batch.bytes.subarray(batch.lineFrom[i], batch.lineTo[i])).toString('utf8')
      const pairs: string[] = []
      for (let p = batch.pairsFrom[i]!; p < batch.pairsTo[i]!; p += 2)
        pairs.push(`${batch.pairs[p]!}=${batch.pairs[p + 1]!}`)
      lines.push([stream.toString(), `@${batch.timesMs[i]!}+${batch.subNs[i]!}`, line, ...pairs].join(' '))
    }
  })
  return lines
}
