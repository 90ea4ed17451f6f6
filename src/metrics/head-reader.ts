/** A reader over one head alone: for queries before there are blocks, and for tests. */
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import type { Head } from './head.ts'
import type { MetricsReader, SeriesSet } from './select.ts'

export function headReader(head: Head): MetricsReader {
  const inTime = (matchers: readonly Matcher[], fromMs: number, toMs: number): number[] =>
    [...head.select(matchers)].filter(series => head.touches(series, fromMs, toMs))
  const labelsOf = (matchers: readonly Matcher[], fromMs: number, toMs: number): Labels[] =>
    inTime(matchers, fromMs, toMs).map(series => head.table.labels(series))
  return {
    async select(matchers, fromMs, toMs): Promise<SeriesSet> {
      const series = inTime(matchers, fromMs, toMs)
      return {
        labels: series.map(s => head.table.labels(s)),
        load: async () => {},
        read(i, into) {
          head.read(series[i]!, fromMs, toMs, into)
          into.normalize(fromMs, toMs)
        },
        release: () => {},
      }
    },
    series: async (matchers, fromMs, toMs) => labelsOf(matchers, fromMs, toMs),
    async labelNames(matchers, fromMs, toMs) {
      const names = new Set<string>()
      for (const labels of labelsOf(matchers, fromMs, toMs))
        for (let i = 0; i < labels.pairs.length; i += 2) names.add(labels.pairs[i]!)
      return [...names]
    },
    async labelValues(name, matchers, fromMs, toMs) {
      const values = new Set<string>()
      for (const labels of labelsOf(matchers, fromMs, toMs)) values.add(labels.get(name))
      values.delete('')
      return [...values]
    },
  }
}
