/** The series of one head: label sets as symbol numbers, found by their key bytes, indexed by postings. */
import { BadDataError, LimitError } from '#core/errors.ts'
import type { Limits } from '#core/limits.ts'
import { metricName } from '#core/names.ts'
import { compareBytes, decodeUtf8, encodeUtf8, quote } from '#core/text.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { Labels } from '#model/labels.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { Postings } from './postings.ts'
import { hashBytes, SymbolTable } from './symbols.ts'

/** Where the labels of a key lie in its bytes. */
interface Label { nameFrom: number; nameTo: number; valueFrom: number; valueTo: number }

export class SeriesTable {
  readonly #seed: number
  readonly #limits: Limits
  readonly symbols: SymbolTable
  readonly postings = new Postings()
  #slots = new Uint32Array(4096)
  #hash = new Uint32Array(1024)
  #labelFrom = new Uint32Array(1025)
  #labels = new Uint32Array(16384)
  readonly #canonical = new KeyWriter()
  count = 0

  constructor(seed: number, limits: Limits) {
    this.#seed = seed
    this.#limits = limits
    this.symbols = new SymbolTable(seed ^ 0x5bd1e995)
  }

  /** The series with this key, made when there is none. Throws BadDataError or LimitError for labels that can't be stored. */
  resolve(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(bytes, from, to, this.#seed)
    const found = this.#find(bytes, from, to, hash)
    if (found >= 0) return found
    return this.#resolveNew(bytes, from, to, hash)
  }

  #find(bytes: Uint8Array, from: number, to: number, hash: number): number {
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const series = this.#slots[slot]! - 1
      if (series < 0) return -1
      if (this.#hash[series] === hash && this.#matches(series, bytes, from, to)) return series
    }
  }

  /** Does the key spell exactly the labels of the series, in order? */
  #matches(series: number, bytes: Uint8Array, from: number, to: number): boolean {
    let at = from
    const end = this.#labelFrom[series + 1]!
    for (let i = this.#labelFrom[series]!; i < end; i += 2) {
      if (at >= to) return false
      at++
      while (bytes[at++]! >= 128);
      at++
      let length = bytes[at++]!
      if (length >= 128) { length = length & 127 | bytes[at++]! << 7; if (bytes[at - 1]! >= 128) return false }
      if (!this.symbols.equals(this.#labels[i]!, bytes, at, at + length)) return false
      at += length + 1
      length = bytes[at++]!
      if (length >= 128) { length = length & 127 | bytes[at++]! << 7; if (bytes[at - 1]! >= 128) return false }
      if (!this.symbols.equals(this.#labels[i + 1]!, bytes, at, at + length)) return false
      at += length
    }
    return at === to
  }

  #resolveNew(bytes: Uint8Array, from: number, to: number, hash: number): number {
    const labels = parseKey(bytes, from, to)
    const inOrder = this.#check(bytes, labels)
    if (!inOrder || keyLength(labels) !== to - from) {
      // Spelled anew, sorted and without empty values: a sender that writes it another way must find the same series.
      this.#canonical.reset()
      for (const l of labels) if (l.valueTo > l.valueFrom) this.#canonical.writeLabelBytes(bytes.subarray(l.nameFrom, l.nameTo), bytes.subarray(l.valueFrom, l.valueTo))
      return this.resolve(this.#canonical.bytes.slice(0, this.#canonical.at), 0, this.#canonical.at)
    }
    if (this.count >= this.#limits.activeSeriesMax) throw new LimitError(`the series limit of ${this.#limits.activeSeriesMax} active series is reached; raise limits.active_series or send fewer series`, 429)
    return this.#add(bytes, labels, hash)
  }

  /** Checks the labels, and sorts them. True when they were in order, names before values, none empty. */
  #check(bytes: Uint8Array, labels: Label[]): boolean {
    const limits = this.#limits
    if (labels.length > limits.labelsPerSeriesMax) throw new BadDataError(`the series has ${labels.length} labels, the limit is ${limits.labelsPerSeriesMax}: ${describe(bytes, labels)}`)
    let inOrder = labels.length > 0
    for (let i = 0; i < labels.length; i++) {
      const l = labels[i]!
      const nameBytes = l.nameTo - l.nameFrom, valueBytes = l.valueTo - l.valueFrom
      if (nameBytes === 0) throw new BadDataError(`a label name is empty: ${describe(bytes, labels)}`)
      if (!isUtf8(bytes, l.nameFrom, l.nameTo)) throw new BadDataError(`a label name is not UTF-8: ${describe(bytes, labels)}`)
      if (!isUtf8(bytes, l.valueFrom, l.valueTo)) throw new BadDataError(`the value of label ${nameOf(bytes, l)} is not UTF-8: ${describe(bytes, labels)}`)
      if (nameBytes > limits.labelNameBytesMax) throw new BadDataError(`label name ${nameOf(bytes, l).slice(0, 40)}… has ${nameBytes} bytes, the limit is ${limits.labelNameBytesMax}`)
      if (valueBytes > limits.labelValueBytesMax) throw new BadDataError(`the value of label ${nameOf(bytes, l)} has ${valueBytes} bytes, the limit is ${limits.labelValueBytesMax}`)
      if (valueBytes === 0 || l.valueFrom < l.nameFrom || (i > 0 && compareNames(bytes, labels[i - 1]!, l) >= 0)) inOrder = false
    }
    if (inOrder) return true
    labels.sort((a, b) => compareNames(bytes, a, b))
    for (let i = 1; i < labels.length; i++) {
      if (compareNames(bytes, labels[i - 1]!, labels[i]!) === 0) throw new BadDataError(`label ${nameOf(bytes, labels[i]!)} stands twice: ${describe(bytes, labels)}`)
    }
    if (labels.every(l => l.valueFrom === l.valueTo)) throw new BadDataError('the series has no labels')
    return false
  }

  #add(bytes: Uint8Array, labels: readonly Label[], hash: number): number {
    const series = this.count++
    if (series + 1 >= this.#labelFrom.length) {
      this.#labelFrom = grow(this.#labelFrom, Math.ceil(series * 1.5) + 2)
      this.#hash = grow(this.#hash, Math.ceil(series * 1.5) + 2)
    }
    let at = this.#labelFrom[series]!
    if (at + labels.length * 2 > this.#labels.length) this.#labels = grow(this.#labels, Math.ceil(this.#labels.length * 1.5) + labels.length * 2)
    for (const l of labels) {
      const name = this.symbols.intern(bytes, l.nameFrom, l.nameTo)
      const value = this.symbols.intern(bytes, l.valueFrom, l.valueTo)
      this.#labels[at++] = name
      this.#labels[at++] = value
      this.postings.add(name, value, series)
    }
    this.#labelFrom[series + 1] = at
    this.#hash[series] = hash
    if (this.count * 2 > this.#slots.length) this.#rehash()
    else this.#place(this.#slots, series)
    return series
  }

  #place(slots: Uint32Array, series: number): void {
    const mask = slots.length - 1
    let slot = this.#hash[series]! & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = series + 1
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    for (let series = 0; series < this.count; series++) this.#place(slots, series)
    this.#slots = slots
  }

  /** Symbol numbers name, value, name, value …: a view. */
  labelSymbols(series: number): Uint32Array {
    return this.#labels.subarray(this.#labelFrom[series]!, this.#labelFrom[series + 1]!)
  }

  labels(series: number): Labels {
    const pairs: string[] = []
    for (let i = this.#labelFrom[series]!; i < this.#labelFrom[series + 1]!; i++) pairs.push(this.symbols.text(this.#labels[i]!))
    return new Labels(pairs)
  }

  /** The series that satisfy every matcher, ascending. */
  select(matchers: readonly Matcher[]): Uint32Array {
    const plan = matchers.map(matcher => ({ matcher, name: this.#findSymbol(matcher.name), memo: new Map<number, boolean>() }))
    let start: Uint32Array | undefined
    for (const { matcher, name } of plan) {
      if (matcher.matchesEmpty) continue
      if (name < 0) return new Uint32Array(0)
      if (matcher.kind === '=' || (matcher.kind === '=~' && matcher.alternatives !== undefined)) {
        const lists: Uint32Array[] = []
        for (const text of matcher.kind === '=' ? [matcher.value] : matcher.alternatives!) {
          const value = this.#findSymbol(text)
          if (value >= 0) lists.push(this.postings.list(name, value))
        }
        const list = lists.length === 1 ? lists[0]! : union(lists)
        if (start === undefined || list.length < start.length) start = list
      }
    }
    if (start === undefined) {
      const first = plan.find(p => !p.matcher.matchesEmpty)
      if (first !== undefined) {
        const lists: Uint32Array[] = []
        this.postings.forEachValue(first.name, (value, list) => { if (first.matcher.matches(this.symbols.text(value))) lists.push(list) })
        start = union(lists)
      } else start = Uint32Array.from({ length: this.count }, (_, i) => i)
    }
    const kept = new Uint32Array(start.length)
    let count = 0
    for (let i = 0; i < start.length; i++) if (this.#satisfies(start[i]!, plan)) kept[count++] = start[i]!
    return kept.subarray(0, count)
  }

  #satisfies(series: number, plan: readonly { matcher: Matcher; name: number; memo: Map<number, boolean> }[]): boolean {
    const from = this.#labelFrom[series]!, to = this.#labelFrom[series + 1]!
    for (const { matcher, name, memo } of plan) {
      let value = -1
      for (let i = from; i < to; i += 2) if (this.#labels[i] === name) { value = this.#labels[i + 1]!; break }
      let result = memo.get(value)
      if (result === undefined) memo.set(value, result = matcher.matches(value < 0 ? '' : this.symbols.text(value)))
      if (!result) return false
    }
    return true
  }

  #findSymbol(text: string): number {
    const bytes = encodeUtf8(text)
    return this.symbols.find(bytes, 0, bytes.length)
  }

  labelNames(): string[] { return this.postings.names().map(name => this.symbols.text(name)) }

  labelValues(name: string): string[] {
    const symbol = this.#findSymbol(name)
    const values: string[] = []
    if (symbol >= 0) this.postings.forEachValue(symbol, value => { values.push(this.symbols.text(value)) })
    return values
  }

  /** How many series each metric name has. */
  seriesByMetric(): Map<string, number> {
    const counts = new Map<string, number>()
    const symbol = this.#findSymbol(metricName)
    if (symbol >= 0) this.postings.forEachValue(symbol, (value, list) => { counts.set(this.symbols.text(value), list.length) })
    return counts
  }
}

function grow(from: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  const to = new Uint32Array(size)
  to.set(from)
  return to
}

function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! >= 128) return decodeUtf8(bytes, from, to) !== undefined
  return true
}

function nameOf(bytes: Uint8Array, label: Label): string { return quote(decodeUtf8(bytes, label.nameFrom, label.nameTo) ?? '') }

/** Bytes that the labels take when every length is spelled in as few as it needs. */
function keyLength(labels: readonly Label[]): number {
  const spelled = (length: number): number => (length < 128 ? 1 : length < 16384 ? 2 : 3) + length
  let total = 0
  for (const l of labels) total += 1 + spelled(2 + spelled(l.nameTo - l.nameFrom) + spelled(l.valueTo - l.valueFrom))
  return total
}

function compareNames(bytes: Uint8Array, a: Label, b: Label): number {
  return compareBytes(bytes, a.nameFrom, a.nameTo, bytes, b.nameFrom, b.nameTo)
}

/** Disjoint or overlapping ascending lists into one. */
function union(lists: readonly Uint32Array[]): Uint32Array {
  let total = 0
  for (const list of lists) total += list.length
  const all = new Uint32Array(total)
  let at = 0
  for (const list of lists) { all.set(list, at); at += list.length }
  all.sort()
  let count = 0
  for (let i = 0; i < total; i++) if (i === 0 || all[i] !== all[i - 1]) all[count++] = all[i]!
  return all.subarray(0, count)
}

/** Where each label of a key lies. Throws BadDataError for bytes that are no key. */
function parseKey(bytes: Uint8Array, from: number, to: number): Label[] {
  const labels: Label[] = []
  let at = from
  const uvarint = (end: number): number => {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (at >= end) throw new BadDataError('a label is cut off')
      const byte = bytes[at++]!
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
    throw new BadDataError('a label length is malformed')
  }
  while (at < to) {
    if (bytes[at++] !== 0x0a) throw new BadDataError('a label is malformed')
    const end = uvarint(to) + at
    if (end > to) throw new BadDataError('a label is cut off')
    const label: Label = { nameFrom: at, nameTo: at, valueFrom: at, valueTo: at }
    while (at < end) {
      const tag = bytes[at++]!
      if ((tag & 7) !== 2) throw new BadDataError('a label is malformed')
      const length = uvarint(end)
      if (at + length > end) throw new BadDataError('a label is cut off')
      if (tag === 0x0a) { label.nameFrom = at; label.nameTo = at + length }
      else if (tag === 0x12) { label.valueFrom = at; label.valueTo = at + length }
      at += length
    }
    labels.push(label)
  }
  return labels
}

function describe(bytes: Uint8Array, labels: readonly Label[]): string {
  const name = labels.find(l => decodeUtf8(bytes, l.nameFrom, l.nameTo) === metricName)
  return name === undefined ? 'a series without a name' : `series ${quote(Buffer.from(bytes.subarray(name.valueFrom, name.valueTo)).toString('utf8').slice(0, 80))}`
}
