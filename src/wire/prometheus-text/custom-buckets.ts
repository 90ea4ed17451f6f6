/**
 * Classic histograms of a body as native ones with custom buckets: their series become one, where it is wanted
 * instead of them, or beside them. Source of the rules: Prometheus' public documentation of
 * convert_classic_histograms_to_nhcb.
 */
import { keyOfTexts } from '#core/text.ts'
import { customBucketsSchema, FloatHistogram } from '#model/histogram.ts'
import type { Metadata } from '#model/write-batch.ts'
import { parseFloatText } from './parse.ts'
import { hashes, hashText, type Family, type ScrapedExemplar, type ScrapeSink } from './scan.ts'

/** A line's series: which part of which histogram, if it is one. */
interface Entry {
  hashB: number
  part: 'plain' | 'bucket' | 'count' | 'sum' | 'created'
  bound: number
  group: Group | undefined
  classic: number
}
interface Group {
  hashA: number
  hashB: number
  pairs: [string, string][]
}

const entriesKept = 50_000

/** Stands before a sink and turns classic histograms into native ones. Used again from body to body. */
export class CustomBuckets implements ScrapeSink {
  readonly #isClassicKept: boolean
  #sink!: ScrapeSink
  #isWithoutCreated = false
  #entries: Entry[] = []
  #byHash = new Map<number, number[]>()
  readonly #groups = new Map<string, Group>()
  // The histogram that is being collected.
  #group: Group | undefined
  #buckets: { bound: number; count: number }[] = []
  #count: number | undefined
  #sum = 0
  #timeMs: number | undefined
  #exemplars: ScrapedExemplar[] = []

  constructor(isClassicKept: boolean) {
    this.#isClassicKept = isClassicKept
  }

  /** What goes to `sink` is a body's content; `end` follows it. `isWithoutCreated`: times of creation are no series. */
  begin(sink: ScrapeSink, isWithoutCreated: boolean): this {
    this.#isWithoutCreated = isWithoutCreated
    this.#sink = sink
    this.#drop()
    if (this.#entries.length > entriesKept) {
      this.#entries = []
      this.#byHash.clear()
      this.#groups.clear()
    }
    return this
  }

  end(): void {
    this.#flush()
  }

  find(hashA: number, hashB: number): number {
    for (const number of this.#byHash.get(hashA) ?? []) {
      const entry = this.#entries[number]!
      if (entry.hashB !== hashB) continue
      if (entry.part === 'created' || (entry.group !== undefined && !this.#isClassicKept)) return number
      entry.classic = this.#sink.find(hashA, hashB)
      return entry.classic < 0 ? -1 : number
    }
    return -1
  }

  add(hashA: number, hashB: number, pairs: [string, string][], family: Family | undefined): number {
    const part = this.#partOf(pairs, family)
    const bound = part === 'bucket' ? parseFloatText(pairs.find(([n]) => n === 'le')?.[1] ?? '') : 0
    const group =
      part === 'plain' || part === 'created' || bound === undefined || Number.isNaN(bound)
        ? undefined
        : this.#groupOf(family!.metric, pairs)
    const classic =
      part !== 'created' && (group === undefined || this.#isClassicKept)
        ? this.#sink.add(hashA, hashB, pairs, family)
        : -1
    const known = this.#byHash.get(hashA) ?? []
    const entry: Entry = {
      hashB,
      part: group === undefined && part !== 'created' ? 'plain' : part,
      bound: bound ?? 0,
      group,
      classic,
    }
    const again = known.find(number => this.#entries[number]!.hashB === hashB)
    if (again !== undefined) {
      this.#entries[again] = entry
      return again
    }
    const number = this.#entries.push(entry) - 1
    known.push(number)
    this.#byHash.set(hashA, known)
    return number
  }

  #partOf(pairs: readonly [string, string][], family: Family | undefined): Entry['part'] {
    const name = pairs.find(([n]) => n === '__name__')?.[1] ?? ''
    if (family === undefined || !name.startsWith(`${family.metric}_`)) return 'plain'
    const suffix = name.slice(family.metric.length + 1)
    if (suffix === 'created')
      return this.#isWithoutCreated && ['counter', 'histogram', 'summary'].includes(family.type) ? 'created' : 'plain'
    return family.type === 'histogram' && (suffix === 'bucket' || suffix === 'count' || suffix === 'sum')
      ? suffix
      : 'plain'
  }

  #groupOf(histogram: string, pairs: readonly [string, string][]): Group {
    const own = pairs
      .filter(([n]) => n !== 'le')
      .map(([n, v]): [string, string] => (n === '__name__' ? [n, histogram] : [n, v]))
    const key = own.map(keyOfTexts).sort().join('')
    let group = this.#groups.get(key)
    if (group === undefined) {
      hashText(`\0${key}`)
      this.#groups.set(key, (group = { hashA: hashes[0]!, hashB: hashes[1]!, pairs: own }))
    }
    return group
  }

  sample(series: number, value: number, timeMs: number | undefined, exemplar: ScrapedExemplar | undefined): void {
    const { part, bound, group, classic } = this.#entries[series]!
    if (part === 'created') return
    if (group !== this.#group) this.#flush()
    if (group === undefined || this.#isClassicKept) this.#sink.sample(classic, value, timeMs, exemplar)
    if (group === undefined) return
    this.#group = group
    this.#timeMs = timeMs
    if (part === 'count') this.#count = value
    else if (part === 'sum') this.#sum = value
    else this.#buckets.push({ bound, count: value })
    // Exemplars without a time can't be distinguished from those of the last scrape.
    if (exemplar?.timeMs !== undefined) this.#exemplars.push(exemplar)
  }

  histogram(
    series: number,
    histogram: FloatHistogram,
    timeMs: number | undefined,
    exemplars: readonly ScrapedExemplar[],
  ): void {
    this.#flush()
    this.#sink.histogram(this.#entries[series]!.classic, histogram, timeMs, exemplars)
  }

  refuse(series: number, problem: string): void {
    this.#flush()
    this.#sink.refuse(this.#entries[series]!.classic, problem)
  }

  metadata(metadata: Metadata): void {
    this.#sink.metadata(metadata)
  }

  #drop(): void {
    this.#group = undefined
    this.#buckets = []
    this.#count = undefined
    this.#sum = 0
    this.#timeMs = undefined
    this.#exemplars = []
  }

  #flush(): void {
    if (this.#group === undefined) return
    const { hashA, hashB, pairs } = this.#group
    const histogram = customHistogram(this.#buckets, this.#count, this.#sum)
    if (histogram !== undefined) {
      const known = this.#sink.find(hashA, hashB)
      this.#sink.histogram(
        known >= 0 ? known : this.#sink.add(hashA, hashB, [...pairs], undefined),
        histogram,
        this.#timeMs,
        this.#exemplars,
      )
    }
    this.#drop()
  }
}

/** Cumulative buckets as a histogram; undefined where they contradict each other. */
export function customHistogram(
  cumulative: readonly { bound: number; count: number }[],
  total: number | undefined,
  sum: number,
): FloatHistogram | undefined {
  const sorted = [...cumulative].sort((a, b) => a.bound - b.bound)
  const last = sorted.at(-1)
  const count = total ?? last?.count ?? 0
  if (last?.bound !== Infinity) sorted.push({ bound: Infinity, count })
  const histogram = Object.assign(new FloatHistogram(), {
    schema: customBucketsSchema,
    count,
    sum,
    integer: Number.isInteger(count),
  })
  const bounds: number[] = []
  let before = 0
  let previous = -Infinity
  for (const { bound, count: here } of sorted) {
    if (!(here >= before) || (bound === previous && bounds.length > 0)) return undefined
    if (!Number.isInteger(here)) histogram.integer = false
    histogram.positive.index.push(bounds.length)
    histogram.positive.count.push(here - before)
    if (bound !== Infinity) bounds.push(bound)
    before = here
    previous = bound
  }
  if (before !== count) return undefined
  histogram.customValues = bounds
  return histogram.compact()
}
