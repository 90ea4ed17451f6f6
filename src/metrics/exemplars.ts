/** The latest exemplars, in a ring: they are not part of blocks. */
import type { Labels } from '#model/labels.ts'
import type { ExemplarSample } from '#model/write-batch.ts'

export interface KeptExemplar {
  labels: Labels
  value: number
  timeMs: number
}
interface Kept extends KeptExemplar {
  /** Labels of the series. */ of: Labels
}

export class ExemplarStore {
  readonly #ring: Kept[] = []
  readonly #size: number
  #next = 0
  readonly #latestOf = new Map<number, Kept>()

  constructor(size: number) {
    this.#size = size
  }

  /** False for one that is there already or older than the series' latest. */
  isNew(series: number, timeMs: number): boolean {
    const latest = this.#latestOf.get(series)
    return latest === undefined || timeMs > latest.timeMs
  }

  /** Keeps one that is new. `labelsOf` is asked once a series. */
  add(series: number, exemplar: ExemplarSample, labelsOf: (series: number) => Labels): void {
    if (!this.isNew(series, exemplar.timeMs)) return
    const latest = this.#latestOf.get(series)
    const kept = {
      of: latest?.of ?? labelsOf(series),
      labels: exemplar.labels,
      value: exemplar.value,
      timeMs: exemplar.timeMs,
    }
    this.#ring[this.#next] = kept
    this.#next = (this.#next + 1) % this.#size
    this.#latestOf.set(series, kept)
  }

  /** The series' number goes to another one; its exemplars stay in the ring. */
  forget(series: number): void {
    this.#latestOf.delete(series)
  }

  /** All numbers of series go to others. */
  forgetSeries(): void {
    this.#latestOf.clear()
  }

  select(fromMs: number, throughMs: number): { labels: Labels; exemplars: KeptExemplar[] }[] {
    const bySeries = new Map<string, { labels: Labels; exemplars: KeptExemplar[] }>()
    for (const kept of this.#ring) {
      if (kept.timeMs < fromMs || kept.timeMs > throughMs) continue
      const found = bySeries.get(kept.of.key)
      if (found === undefined) bySeries.set(kept.of.key, { labels: kept.of, exemplars: [kept] })
      else found.exemplars.push(kept)
    }
    for (const { exemplars } of bySeries.values()) exemplars.sort((a, b) => a.timeMs - b.timeMs)
    return [...bySeries.values()]
  }
}
