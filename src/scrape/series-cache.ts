/**
 * The series of one target, by a hash of their text in its exposition: the labels that storage knows them by, and in
 * which scrape they were seen last. Columns of numbers: an agent holds a hundred thousand of them in little memory.
 */
import { KeyWriter, type BatchBuilder } from '#model/write-batch.ts'
import type { Labels } from '#model/labels.ts'
import { LabelTable } from './label-table.ts'

/** Numbers that grow. */
function grown(old: Uint32Array, size: number): Uint32Array<ArrayBuffer> {
  const fresh = new Uint32Array(size)
  fresh.set(old.subarray(0, Math.min(old.length, size)))
  return fresh
}

/** Finds a series by two hashes; series have small numbers, which a sweep gives again. */
export class SeriesCache {
  /** Open addressing: 0 is empty, else the series' number and one. A power of two long. */
  #slots = new Uint32Array(16)
  #hashA = new Uint32Array(8)
  #hashB = new Uint32Array(8)
  #from = new Uint32Array(8)
  /** 0: relabelling drops the series. */
  #to = new Uint32Array(8)
  /** Number of the scrape that had it last. 0: never. */
  #seen = new Uint32Array(8)
  /** And the one before that. */
  #before = new Uint32Array(8)
  /** Labels of all series, one series behind the other. */
  #labels = new Uint32Array(32)
  #labelCount = 0
  #count = 0
  /** Series that the last scrape did not have. */
  #idle = 0
  readonly #table: LabelTable

  constructor(table: LabelTable = new LabelTable()) {
    this.#table = table
  }

  get size(): number {
    return this.#count
  }

  /** -1: not known. */
  find(hashA: number, hashB: number): number {
    const mask = this.#slots.length - 1
    for (let slot = hashA & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1
      if (number < 0) return -1
      if (this.#hashA[number] === hashA && this.#hashB[number] === hashB) return number
    }
  }

  /** `labels` undefined: relabelling drops the series. */
  add(hashA: number, hashB: number, labels: Labels | undefined): number {
    const from = this.#labelCount
    if (labels !== undefined) this.#hold(labels)
    return this.#put(hashA, hashB, from, labels === undefined ? 0 : this.#labelCount)
  }

  #hold(labels: Labels): void {
    scratch.reset()
    scratch.writeLabels(labels)
    const { bytes, at: end } = scratch
    for (let from = 0; from < end;) {
      const to = labelEnd(bytes, from)
      this.#addLabel(this.#table.hold(bytes, from, to))
      from = to
    }
  }

  #addLabel(label: number): void {
    if (this.#labelCount === this.#labels.length) this.#labels = grown(this.#labels, this.#labelCount * 2)
    this.#labels[this.#labelCount++] = label
  }

  #put(hashA: number, hashB: number, from: number, to: number): number {
    const number = this.#count++
    if (number === this.#from.length) {
      const size = number * 2
      this.#hashA = grown(this.#hashA, size)
      this.#hashB = grown(this.#hashB, size)
      this.#from = grown(this.#from, size)
      this.#to = grown(this.#to, size)
      this.#seen = grown(this.#seen, size)
      this.#before = grown(this.#before, size)
    }
    this.#hashA[number] = hashA
    this.#hashB[number] = hashB
    this.#from[number] = from
    this.#to[number] = to
    this.#seen[number] = 0
    this.#before[number] = 0
    if (this.#count * 2 > this.#slots.length) {
      this.#slots = new Uint32Array(this.#slots.length * 2)
      for (let i = 0; i < number; i++) this.#link(i)
    }
    this.#link(number)
    return number
  }

  #link(number: number): void {
    const mask = this.#slots.length - 1
    let slot = this.#hashA[number]! & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = number + 1
  }

  isDropped(number: number): boolean {
    return this.#to[number] === 0
  }

  /** Adds the series to a batch; its number there. */
  addTo(builder: BatchBuilder, number: number): number {
    const { keys } = builder
    const start = keys.at
    for (let i = this.#from[number]!; i < this.#to[number]!; i++) this.#table.write(this.#labels[i]!, keys)
    return builder.addWritten(start)
  }

  /** Gives back the labels of all series; the cache is not used any more. */
  close(): void {
    for (let i = 0; i < this.#labelCount; i++) this.#table.release(this.#labels[i]!)
    this.#labelCount = 0
    this.#count = 0
  }

  see(number: number, scrape: number): void {
    if (this.#seen[number] === scrape) return
    this.#before[number] = this.#seen[number]!
    this.#seen[number] = scrape
  }

  /** Series that were in scrape `good` and are not in `now`; `now` 0: a scrape that failed, maybe half-way, or none. */
  vanished(good: number, now: number): number[] {
    const gone: number[] = []
    this.#idle = 0
    for (let i = 0; i < this.#count; i++) {
      if (this.#seen[i] !== now) this.#idle++
      if (this.#to[i] === 0 || good === 0 || good === now) continue
      if (this.#seen[i] === good || (now === 0 && this.#before[i] === good)) gone.push(i)
    }
    return gone
  }

  /** Forgets what was not in scrape `now`, when that is much; gives back room that nothing needs. */
  sweep(now: number): void {
    if (this.#idle < 500 || this.#idle * 2 < this.#count) {
      if (this.#labels.length > this.#labelCount * 1.25 + 256) this.#labels = grown(this.#labels, this.#labelCount)
      return
    }
    const old = {
      hashA: this.#hashA,
      hashB: this.#hashB,
      from: this.#from,
      to: this.#to,
      seen: this.#seen,
      labels: this.#labels,
      count: this.#count,
    }
    this.#labels = new Uint32Array(32)
    this.#labelCount = 0
    this.#count = 0
    this.#slots = new Uint32Array(16)
    this.#hashA = new Uint32Array(8)
    this.#hashB = new Uint32Array(8)
    this.#from = new Uint32Array(8)
    this.#to = new Uint32Array(8)
    this.#seen = new Uint32Array(8)
    this.#before = new Uint32Array(8)
    for (let i = 0; i < old.count; i++) {
      const isKept = old.seen[i] === now
      const start = this.#labelCount
      for (let at = old.from[i]!; at < old.to[i]!; at++)
        if (isKept) this.#addLabel(old.labels[at]!)
        else this.#table.release(old.labels[at]!)
      if (!isKept) continue
      const number = this.#put(old.hashA[i]!, old.hashB[i]!, start, old.to[i] === 0 ? 0 : this.#labelCount)
      // After `#put`, which may have made larger columns.
      this.#seen[number] = now
    }
  }
}

/** Where the labels of one series are written before they are looked up. */
const scratch = new KeyWriter(1024)

/** The end of the label that begins at `at`: `0A`, its length, and as many bytes. */
function labelEnd(bytes: Uint8Array, at: number): number {
  let length = 0
  let shift = 0
  for (at++; ; shift += 7) {
    const byte = bytes[at++]!
    length |= (byte & 127) << shift
    if (byte < 128) return at + length
  }
}
