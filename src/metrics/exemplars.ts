/** The latest exemplars, in a ring: they are not part of blocks. */
import type { Labels } from '#model/labels.ts'
import type { ExemplarSample } from '#model/write-batch.ts'

interface Kept { series: number; labels: Labels; value: number; timeMs: number }

export class ExemplarStore {
  readonly #ring: Kept[] = []
  readonly #size: number
  #next = 0
  readonly #latestOf = new Map<number, Kept>()

  constructor(size: number) {
    this.#size = size
  }

  /** False for one that is there already or older than the series' latest. */
  add(series: number, exemplar: ExemplarSample): boolean {
    const latest = this.#latestOf.get(series)
    if (latest !== undefined && exemplar.timeMs <= latest.timeMs) return latest.timeMs === exemplar.timeMs && latest.value === exemplar.value
    const kept = { series, labels: exemplar.labels, value: exemplar.value, timeMs: exemplar.timeMs }
    this.#ring[this.#next] = kept
    this.#next = (this.#next + 1) % this.#size
    this.#latestOf.set(series, kept)
    return true
  }

  select(fromMs: number, toMs: number): { series: number; exemplars: Kept[] }[] {
    const bySeries = new Map<number, Kept[]>()
    for (const kept of this.#ring) {
      if (kept.timeMs < fromMs || kept.timeMs > toMs) continue
      const list = bySeries.get(kept.series)
      if (list === undefined) bySeries.set(kept.series, [kept])
      else list.push(kept)
    }
    return [...bySeries].map(([series, exemplars]) => ({ series, exemplars: exemplars.sort((a, b) => a.timeMs - b.timeMs) }))
  }
}
