/** The series of one target, by their text in its exposition: the keys that storage knows them by, and in which scrape they were seen last. */
import { KeyWriter } from '#model/write-batch.ts'
import type { Labels } from '#model/labels.ts'

export class SeriesCache {
  #byText = new Map<string, number>()
  #keys = new KeyWriter()
  #from: number[] = []
  #to: number[] = []
  /** Number of the scrape that had it last. 0: never. */
  #seen: number[] = []
  /** And the one before that. */
  #before: number[] = []
  /** Series that the last scrape did not have. */
  #idle = 0

  get size(): number { return this.#from.length }

  /** -1: not known. */
  find(text: string): number { return this.#byText.get(text) ?? -1 }

  /** `labels` undefined: relabelling drops the series. */
  add(text: string, labels: Labels | undefined): number {
    const number = this.#from.length
    const from = labels === undefined ? 0 : this.#keys.writeLabels(labels)
    this.#from.push(from)
    this.#to.push(labels === undefined ? 0 : this.#keys.at)
    this.#seen.push(0)
    this.#before.push(0)
    this.#byText.set(text, number)
    return number
  }

  isDropped(number: number): boolean { return this.#to[number] === 0 }
  key(number: number): { bytes: Uint8Array; from: number; to: number } { return { bytes: this.#keys.bytes, from: this.#from[number]!, to: this.#to[number]! } }
  see(number: number, scrape: number): void {
    if (this.#seen[number] === scrape) return
    this.#before[number] = this.#seen[number]!
    this.#seen[number] = scrape
  }

  /** Series that were in scrape `good` and are not in `now`; `now` 0: a scrape that failed, maybe half-way, or none. */
  vanished(good: number, now: number): number[] {
    const gone: number[] = []
    this.#idle = 0
    for (let i = 0; i < this.#seen.length; i++) {
      if (this.#seen[i] !== now) this.#idle++
      if (this.#to[i] === 0 || good === 0 || good === now) continue
      if (this.#seen[i] === good || (now === 0 && this.#before[i] === good)) gone.push(i)
    }
    return gone
  }

  /** Forgets what was not in scrape `now`, when that is much. */
  sweep(now: number): void {
    if (this.#idle < 500 || this.#idle * 2 < this.#from.length) return
    const texts = this.#byText, keys = this.#keys, from = this.#from, to = this.#to, seen = this.#seen
    this.#byText = new Map()
    this.#keys = new KeyWriter()
    this.#from = []
    this.#to = []
    this.#seen = []
    this.#before = []
    for (const [text, old] of texts) {
      if (seen[old] !== now) continue
      this.#byText.set(text, this.#from.length)
      const at = to[old] === 0 ? 0 : this.#keys.writeKey(keys.bytes, from[old]!, to[old]!)
      this.#from.push(at)
      this.#to.push(to[old] === 0 ? 0 : this.#keys.at)
      this.#seen.push(now)
      this.#before.push(0)
    }
  }
}
