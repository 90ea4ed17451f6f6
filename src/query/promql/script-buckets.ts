/** Native histograms with custom buckets from classic ones, for `load_with_nhcb`. */
import { greatest } from '#core/lists.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { parseNumber, type Point, type SeriesLine } from '#model/series-notation.ts'

interface ClassicHistogram {
  labels: Labels
  bounds: Map<number, Point[]>
  count: Point[] | undefined
  sum: Point[] | undefined
}

/** The series that Prometheus makes beside the classic series that were loaded. */
export function customBucketSeries(loaded: readonly SeriesLine[]): SeriesLine[] {
  return classicHistograms(loaded)
    .filter(histogram => histogram.bounds.size > 0)
    .map(histogram => ({ labels: histogram.labels, points: pointsOf(histogram) }))
}

function classicHistograms(loaded: readonly SeriesLine[]): ClassicHistogram[] {
  const groups = new Map<string, ClassicHistogram>()
  for (const series of loaded) {
    const [, name, part] = /^(.*)_(bucket|count|sum)$/.exec(series.labels.get('__name__')) ?? []
    if (name === undefined) continue
    const labels = series.labels.with('__name__', name).with('le', '')
    let group = groups.get(labels.key)
    if (group === undefined)
      groups.set(labels.key, (group = { labels, bounds: new Map(), count: undefined, sum: undefined }))
    if (part === 'bucket') group.bounds.set(parseNumber(series.labels.get('le')), series.points)
    else if (part === 'count') group.count = series.points
    else group.sum = series.points
  }
  return [...groups.values()]
}

function pointsOf({ bounds, count, sum }: ClassicHistogram): Point[] {
  const sorted = [...bounds].sort((a, b) => a[0] - b[0])
  const finite = sorted.filter(([bound]) => bound !== Infinity)
  const length = greatest(sorted.map(([, points]) => points.length))
  return Array.from({ length }, (_, i): Point => {
    const cumulative = sorted.map(([, points]) => points[i])
    if (cumulative.every(c => c === undefined)) return undefined
    if (cumulative.includes('stale')) return 'stale'
    const h = new FloatHistogram()
    h.schema = -53
    h.customValues = finite.map(([bound]) => bound)
    h.count = numberOr(count?.[i] ?? cumulative.at(-1), 0)
    h.sum = numberOr(sum?.[i], 0)
    const counts: number[] = []
    let before = 0
    for (const [, points] of finite) {
      const n = numberOr(points[i], before)
      counts.push(n - before)
      before = n
    }
    counts.push(h.count - before)
    h.positive = { index: counts.map((__, k) => k), count: counts }
    return h.compact()
  })
}

function numberOr(point: Point, otherwise: number): number {
  return typeof point === 'number' ? point : otherwise
}
