/** A door for samples that keeps them as text, for tests of whatever appends. */
import type { MetricsAppender, MetricsAppendOutcome } from '#metrics/append.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import type { WriteBatch } from '#model/write-batch.ts'

/** Keeps each sample as `name{a="b"} value @ms`; a staleness marker's value is `stale`. */
export class KeptSamples implements MetricsAppender {
  #samples: string[] = []
  /** Every native histogram. */
  readonly histograms: FloatHistogram[] = []
  batches = 0
  failure: Error | undefined
  /** Why every sample is refused. */
  refusal: string | undefined

  append(_tenant: string, batch: WriteBatch): Promise<MetricsAppendOutcome> {
    if (this.failure !== undefined) {
      this.batches++
      return Promise.reject(this.failure)
    }
    if (this.refusal !== undefined) {
      const problems = [{ message: this.refusal, count: batch.sampleCount }]
      return Promise.resolve({ stored: 0, histograms: 0, exemplars: 0, refused: batch.sampleCount, problems })
    }
    for (let i = 0; i < batch.sampleCount; i++) {
      const isStale = batch.words[2 * i] === 2 && batch.words[2 * i + 1] === 0x7ff00000
      const value = isStale ? 'stale' : String(batch.values[i])
      this.#samples.push(`${labelsOf(batch, batch.sampleSeries[i]!).toString()} ${value} @${batch.timesMs[i]}`)
    }
    for (const { histogram } of batch.histograms) this.histograms.push(histogram)
    this.batches++
    return Promise.resolve({ stored: batch.sampleCount, histograms: 0, exemplars: 0, refused: 0, problems: [] })
  }

  /** What was kept since the last call, sorted; `isWanted` leaves series out by their text. */
  take(isWanted: (sample: string) => boolean = () => true): string[] {
    const samples = this.#samples.filter(isWanted).sort()
    this.#samples = []
    return samples
  }
}

/** Labels of a series' key, whose parts are shorter than 128 bytes. */
function labelsOf(batch: WriteBatch, series: number): Labels {
  const pairs: [string, string][] = []
  let at = batch.keyFrom[series]!
  const text = (): string => {
    const from = at + 2
    at = from + batch.bytes[at + 1]!
    return Buffer.from(batch.bytes.subarray(from, at)).toString('utf8')
  }
  while (at < batch.keyTo[series]!) {
    at += 2
    pairs.push([text(), text()])
  }
  return Labels.from(pairs)
}
