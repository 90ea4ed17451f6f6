/** The series of one head: label sets as numbers of pairs, found by the hash of their key, indexed by postings. */
import { SeriesKeys, type HashSeed } from '#codec/series-key.ts'
import { BadDataError, LimitError } from '#core/errors.ts'
import { grown } from '#core/grown.ts'
import type { Limits } from '#core/limits.ts'
import { metricName } from '#core/names.ts'
import { compareBytes, decodeUtf8, encodeUtf8, quote } from '#core/text.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { Labels } from '#model/labels.ts'
import { KeyWriter } from '#model/write-batch.ts'
import type { HeadColumnsBuilder } from './head-columns-builder.ts'
import { KeyTable } from './key-table.ts'
import { Postings } from './postings.ts'
import { textsOf, unionOf } from './series-lists.ts'
import { SymbolTable } from './symbols.ts'

/** Where the labels of a key lie in its bytes. */
interface Label {
  nameFrom: number
  nameTo: number
  valueFrom: number
  valueTo: number
}

/** A matcher, the symbol of its label's name (-1: no series has it), and what it said of values, by symbol. */
interface MatcherPlan {
  matcher: Matcher
  name: number
  memo: Map<number, boolean>
}

/** Series, and values, that are looked at between two pauses. */
const stepSeries = 1024
const stepValues = 256

/**
 * How long the number of a retired series rests before another gets it: longer than any query lives that may hold it.
 */
const restMs = 600_000
/** A tenant may have a series or two. */
const smallestPairs = 128
/** In the length of a series' stretch: it is not shown yet. */
const unshownBit = 0x8000

export class SeriesTable {
  readonly #limits: Limits
  readonly #seriesMax: () => number
  readonly #splitter: SeriesKeys
  readonly #keys = new KeyTable()
  readonly symbols: SymbolTable
  readonly postings: Postings
  /**
   * Numbers of label pairs, in stretches: by series, where its stretch begins and how long it is. Length 0: no series
   * has the number. With `unshownBit`: it can be found by its key alone, not by its labels.
   */
  #pairs = new Uint32Array(smallestPairs)
  #pairsUsed = 0
  #pairsLive = 0
  #from = new Uint32Array(32)
  #length = new Uint16Array(32)
  readonly #free: number[] = []
  /** Series that were made and, but for those shown meanwhile, wait for the log. */
  #made: number[] = []
  #unshown = 0
  #resting: { sinceMs: number; numbers: number[] }[] = []
  readonly #canonical = new KeyWriter()
  /** Numbers that were ever given: columns by series need this many places. */
  count = 0
  /** Series that have a number now. */
  liveCount = 0
  /** Series ever made. */
  created = 0

  /** `seriesMax`: as it is now. */
  constructor(seed: HashSeed, limits: Limits, seriesMax = () => limits.activeSeriesMax) {
    this.#limits = limits
    this.#seriesMax = seriesMax
    this.#splitter = SeriesKeys.shared(seed, limits.labelsPerSeriesMax)
    this.symbols = new SymbolTable(seed.a ^ 0x5bd1e995)
    this.postings = new Postings(this.symbols)
  }

  /** The series at hash words hashes[4i ... 4i+3] of its key, or -1. */
  find(hashes: Uint32Array, i: number): number {
    return this.#keys.find(hashes, i)
  }

  /** The series with this key, or -1. */
  findKey(bytes: Uint8Array, from: number, to: number): number {
    this.#splitter.hash(bytes, from, to)
    return this.#keys.find(this.#splitter.hashWords, 0)
  }

  /** The labels of a key as text, for messages. */
  describeKey(bytes: Uint8Array, from: number, to: number): string {
    try {
      const text = (at: number, end: number): string => Buffer.from(bytes.subarray(at, end)).toString('utf8')
      const texts = parseKey(bytes, from, to).flatMap(l => [text(l.nameFrom, l.nameTo), text(l.valueFrom, l.valueTo)])
      return new Labels(texts).toString()
    } catch (error) {
      if (!(error instanceof BadDataError)) throw error
      return 'a series whose labels are malformed'
    }
  }

  /** Numbers a key as `resolve` does, and shows the series. */
  resolveShown(bytes: Uint8Array, from: number, to: number): number {
    const series = this.resolve(bytes, from, to)
    this.show(series)
    return series
  }

  /**
   * The number of the series with this key, made when there is none: not shown then. Throws BadDataError or LimitError
   * for labels that can't be stored.
   */
  resolve(bytes: Uint8Array, from: number, to: number): number {
    this.#splitter.hash(bytes, from, to)
    const known = this.#keys.find(this.#splitter.hashWords, 0)
    return known >= 0 ? known : this.resolveNew(bytes, from, to, this.#splitter.hashWords.slice(), 0)
  }

  /** The same for a key whose hash is known, and not found by `find`. */
  resolveNew(bytes: Uint8Array, from: number, to: number, hashes: Uint32Array, i: number): number {
    const splitter = this.#splitter
    const labels = splitter.split(bytes, from, to)
    if (labels <= 0) return this.#resolveUnusual(bytes, from, to, hashes, i)
    const { places } = splitter
    const { labelNameBytesMax, labelValueBytesMax } = this.#limits
    for (let k = 0; k < labels; k++) {
      if (
        places[4 * k + 1]! - places[4 * k]! > labelNameBytesMax ||
        places[4 * k + 3]! - places[4 * k + 2]! > labelValueBytesMax
      )
        return this.#resolveUnusual(bytes, from, to, hashes, i)
    }
    // Throws for what is not UTF-8.
    if (splitter.hasHighBytes) this.#check(bytes, parseKey(bytes, from, to))
    return this.#add(bytes, from, labels, places, splitter.hashes, hashes, i)
  }

  /** Keys that are spelled another way, or can't be stored. */
  #resolveUnusual(bytes: Uint8Array, from: number, to: number, hashes: Uint32Array, i: number): number {
    const labels = parseKey(bytes, from, to)
    this.#check(bytes, labels)
    // Spelled again, sorted and without empty values: a sender that writes it another way must find the same series.
    const canonical = this.#canonical
    canonical.reset()
    for (const l of labels)
      if (l.valueTo > l.valueFrom)
        canonical.writeLabelBytes(bytes.subarray(l.nameFrom, l.nameTo), bytes.subarray(l.valueFrom, l.valueTo))
    const splitter = this.#splitter
    splitter.hash(canonical.bytes, 0, canonical.at)
    const canonicalHash = splitter.hashWords.slice()
    let series = this.#keys.find(canonicalHash, 0)
    if (series < 0) {
      const spelled = parseKey(canonical.bytes, 0, canonical.at)
      const places = new Uint32Array(spelled.length * 4)
      const pairHashes = new Uint32Array(spelled.length * 4)
      spelled.forEach((l, k) => {
        places.set([l.nameFrom, l.nameTo, l.valueFrom, l.valueTo], 4 * k)
        splitter.hash(canonical.bytes, l.nameFrom - 1 - spelledLength(l.nameTo - l.nameFrom), l.valueTo)
        pairHashes.set(splitter.hashWords, 4 * k)
      })
      series = this.#add(canonical.bytes, 0, spelled.length, places, pairHashes, canonicalHash, 0)
    }
    if (this.#keys.find(hashes, i) < 0) this.#keys.add(hashes, i, series)
    return series
  }

  /** Checks the labels, and sorts them. True when they were in order, names before values, none empty. */
  #check(bytes: Uint8Array, labels: Label[]): boolean {
    const limits = this.#limits
    if (labels.length > limits.labelsPerSeriesMax)
      throw new BadDataError(
        `the series has ${labels.length} labels, the limit is ${limits.labelsPerSeriesMax}: ${describe(bytes, labels)}`,
      )
    let inOrder = labels.length > 0
    for (let i = 0; i < labels.length; i++) {
      const l = labels[i]!
      const nameBytes = l.nameTo - l.nameFrom
      const valueBytes = l.valueTo - l.valueFrom
      if (nameBytes === 0) throw new BadDataError(`a label name is empty: ${describe(bytes, labels)}`)
      if (!isUtf8(bytes, l.nameFrom, l.nameTo))
        throw new BadDataError(`a label name is not UTF-8: ${describe(bytes, labels)}`)
      if (!isUtf8(bytes, l.valueFrom, l.valueTo))
        throw new BadDataError(`the value of label ${nameOf(bytes, l)} is not UTF-8: ${describe(bytes, labels)}`)
      if (nameBytes > limits.labelNameBytesMax)
        throw new BadDataError(
          `label name ${nameOf(bytes, l).slice(0, 40)}\u2026 has ${nameBytes} bytes, ` +
            `the limit is ${limits.labelNameBytesMax}`,
        )
      if (valueBytes > limits.labelValueBytesMax)
        throw new BadDataError(
          `the value of label ${nameOf(bytes, l)} has ${valueBytes} bytes, the limit is ${limits.labelValueBytesMax}`,
        )
      if (valueBytes === 0 || l.valueFrom < l.nameFrom || (i > 0 && compareNames(bytes, labels[i - 1]!, l) >= 0))
        inOrder = false
    }
    if (inOrder) return true
    labels.sort((a, b) => compareNames(bytes, a, b))
    for (let i = 1; i < labels.length; i++) {
      if (compareNames(bytes, labels[i - 1]!, labels[i]!) === 0)
        throw new BadDataError(`label ${nameOf(bytes, labels[i]!)} stands twice: ${describe(bytes, labels)}`)
    }
    if (labels.every(l => l.valueFrom === l.valueTo)) throw new BadDataError('the series has no labels')
    return false
  }

  /** `places` and `pairHashes` are by label, as SeriesKeys gives them. */
  #add(
    bytes: Uint8Array,
    base: number,
    labels: number,
    places: Uint32Array,
    pairHashes: Uint32Array,
    hashes: Uint32Array,
    i: number,
  ): number {
    if (this.liveCount >= this.#seriesMax())
      throw new LimitError(
        `the series limit of ${this.#seriesMax()} active series is reached; ` +
          'raise limits.active_series or send fewer series',
        429,
      )
    const series = this.#free.pop() ?? this.count++
    if (series >= this.#from.length) {
      const size = this.#from.length * 2
      this.#from = grown(this.#from, new Uint32Array(size))
      this.#length = grown(this.#length, new Uint16Array(size))
    }
    let at = this.#pairsUsed
    if (at + labels > this.#pairs.length)
      this.#pairs = grown(this.#pairs, new Uint32Array(Math.ceil(this.#pairs.length * 1.5) + labels))
    this.#from[series] = at
    this.#length[series] = labels | unshownBit
    const { postings } = this
    for (let k = 0; k < labels; k++) {
      let pair = postings.find(pairHashes, k)
      if (pair < 0)
        pair = postings.make(
          pairHashes,
          k,
          bytes,
          base + places[4 * k]!,
          base + places[4 * k + 1]!,
          base + places[4 * k + 2]!,
          base + places[4 * k + 3]!,
        )
      this.#pairs[at++] = pair
    }
    this.#made.push(series)
    this.#unshown++
    this.#pairsUsed = at
    this.#pairsLive += labels
    this.#keys.add(hashes, i, series)
    this.liveCount++
    this.created++
    return series
  }

  /** Lets the series be found by its labels: the log has it. */
  show(series: number): void {
    const length = this.#length[series]!
    if ((length & unshownBit) === 0) return
    this.#length[series] = length ^ unshownBit
    const from = this.#from[series]!
    const to = from + (length ^ unshownBit)
    for (let i = from; i < to; i++) this.postings.add(this.#pairs[i]!, series)
    if (--this.#unshown === 0) this.#made = []
  }

  isShown(series: number): boolean {
    const length = this.#length[series]!
    return length > 0 && (length & unshownBit) === 0
  }

  /** Forgets every series that is not shown: the log lost them. Their numbers are free at once. */
  takeBack(): void {
    const gone = new Uint8Array(this.count)
    for (const series of this.#made) if ((this.#length[series]! & unshownBit) !== 0) gone[series] = 1
    this.#made = []
    this.#unshown = 0
    for (const series of this.#forget(gone)) this.#free.push(series)
  }

  /**
   * Forgets the series marked in `gone`: their keys lead nowhere, and their numbers are given to others when they have
   * rested. Synchronous; about 0.1 s for a million series that stay.
   */
  retire(gone: Uint8Array, nowMs: number): void {
    const numbers = this.#forget(gone)
    if (numbers.length > 0) this.#resting.push({ sinceMs: nowMs, numbers })
  }

  /** Returns the numbers of the series that were marked. */
  #forget(gone: Uint8Array): number[] {
    const touched = new Uint8Array(this.postings.capacity)
    const numbers: number[] = []
    for (let series = 0; series < gone.length; series++) {
      if (gone[series] === 0) continue
      numbers.push(series)
      const pairs = this.labelPairs(series)
      for (const pair of pairs) touched[pair] = 1
      this.#pairsLive -= pairs.length
      this.#length[series] = 0
    }
    if (numbers.length === 0) return numbers
    this.#keys.remove(gone)
    this.postings.remove(gone, touched)
    this.liveCount -= numbers.length
    if (this.#pairsLive * 2 < this.#pairsUsed) this.#compactPairs()
    return numbers
  }

  /**
   * Gives numbers that have rested long enough to new series, and returns them: forget what else is kept by these
   * numbers.
   */
  freeRested(nowMs: number): number[] {
    const rested = this.#resting.filter(r => nowMs - r.sinceMs >= restMs).flatMap(r => r.numbers)
    this.#resting = this.#resting.filter(r => nowMs - r.sinceMs < restMs)
    for (const series of rested) this.#free.push(series)
    return rested
  }

  #compactPairs(): void {
    const pairs = new Uint32Array(Math.max(smallestPairs, Math.ceil(this.#pairsLive * 1.25)))
    let at = 0
    for (let series = 0; series < this.count; series++) {
      const length = this.#length[series]! & ~unshownBit
      if (length === 0) continue
      pairs.set(this.#pairs.subarray(this.#from[series]!, this.#from[series]! + length), at)
      this.#from[series] = at
      at += length
    }
    this.#pairs = pairs
    this.#pairsUsed = at
  }

  /** Numbers of the label pairs of a series, in the order of the names: a view. */
  labelPairs(series: number): Uint32Array {
    const from = this.#from[series]!
    return this.#pairs.subarray(from, from + (this.#length[series]! & ~unshownBit))
  }

  labels(series: number): Labels {
    const texts: string[] = []
    for (const pair of this.labelPairs(series))
      texts.push(this.symbols.text(this.postings.nameOf(pair)), this.symbols.text(this.postings.valueOf(pair)))
    return new Labels(texts)
  }

  /** Adds the labels of a series to the one that the columns have begun. */
  addLabels(series: number, into: HeadColumnsBuilder): void {
    const { postings, symbols } = this
    for (const pair of this.labelPairs(series))
      into.addPair(
        pair,
        () => symbols.bytes(postings.nameOf(pair)),
        () => symbols.bytes(postings.valueOf(pair)),
      )
  }

  /** The pair of a name and a value, or -1. */
  #findPair(name: string, value: string): number {
    const writer = this.#canonical
    writer.reset()
    const nameBytes = encodeUtf8(name)
    const valueBytes = encodeUtf8(value)
    writer.writeLabelBytes(nameBytes, valueBytes)
    const inner =
      2 + spelledLength(nameBytes.length) + nameBytes.length + spelledLength(valueBytes.length) + valueBytes.length
    this.#splitter.hash(writer.bytes, writer.at - inner, writer.at)
    return this.postings.find(this.#splitter.hashWords, 0)
  }

  /** The series that satisfy every matcher, ascending. */
  select(matchers: readonly Matcher[]): Uint32Array {
    const plan = this.#plan(matchers)
    const start = this.#candidates(plan)
    const kept = new Uint32Array(start.length)
    const count = this.#keep(start, 0, start.length, plan, kept, 0)
    return kept.subarray(0, count).sort()
  }

  /**
   * The same a little at a time, in no particular order: `onSome` gets the series that were found, `pause` lets other
   * work run in between. A series that is made or retired meanwhile may be among them or not.
   */
  async selectInSteps(
    matchers: readonly Matcher[],
    pause: () => Promise<void>,
    onSome: (series: Uint32Array) => void,
  ): Promise<void> {
    const plan = this.#plan(matchers)
    const checked = async (): Promise<void> => {
      const { version } = this.postings
      await pause()
      if (version !== this.postings.version) this.#renew(plan)
    }
    const found = this.#wanted(plan)
    // A copy: lists are changed where they are.
    const start = found === undefined ? await this.#scanInSteps(plan, checked) : found.slice()
    const kept = new Uint32Array(stepSeries)
    for (let from = 0; from < start.length; from += stepSeries) {
      const count = this.#keep(start, from, Math.min(from + stepSeries, start.length), plan, kept, 0)
      if (count > 0) onSome(kept.subarray(0, count))
      await checked()
    }
  }

  #plan(matchers: readonly Matcher[]): MatcherPlan[] {
    return matchers.map(matcher => ({
      matcher,
      name: this.#findSymbol(matcher.name),
      memo: new Map<number, boolean>(),
    }))
  }

  /** Symbols may stand for other texts now. */
  #renew(plan: readonly MatcherPlan[]): void {
    for (const one of plan) {
      one.name = this.#findSymbol(one.matcher.name)
      one.memo.clear()
    }
  }

  /** The shortest list of series that a matcher names by its values; undefined where none does. */
  #wanted(plan: readonly MatcherPlan[]): Uint32Array | undefined {
    const { postings } = this
    let start: Uint32Array | undefined
    for (const { matcher, name } of plan) {
      if (matcher.matchesEmpty) continue
      if (name < 0) return new Uint32Array(0)
      const wanted = textsOf(matcher)
      if (wanted === undefined) continue
      const lists: Uint32Array[] = []
      for (const text of wanted) {
        const pair = this.#findPair(matcher.name, text)
        if (pair >= 0) lists.push(postings.list(pair))
      }
      const list = lists.length === 1 ? lists[0]! : unionOf(lists)
      if (start === undefined || list.length < start.length) start = list
    }
    return start
  }

  /** Series of which all that satisfy the matchers are among. */
  #candidates(plan: readonly MatcherPlan[]): Uint32Array {
    const start = this.#wanted(plan)
    if (start !== undefined) return start
    const first = plan.find(p => !p.matcher.matchesEmpty)
    if (first === undefined) return this.#shownIn(0, this.count)
    const lists: Uint32Array[] = []
    for (const pair of this.postings.pairsOf(first.name)) this.#addMatching(first, pair, lists)
    return unionOf(lists)
  }

  /** The same where no matcher names its values: values and series are looked through. */
  async #scanInSteps(plan: readonly MatcherPlan[], pause: () => Promise<void>): Promise<Uint32Array> {
    const first = plan.find(p => !p.matcher.matchesEmpty)
    const lists: Uint32Array[] = []
    if (first === undefined) {
      for (let from = 0; from < this.count; from += stepSeries) {
        lists.push(this.#shownIn(from, Math.min(from + stepSeries, this.count)))
        await pause()
      }
    } else {
      let looked = 0
      for (const pair of this.postings.pairsOf(first.name)) {
        const known = lists.length
        this.#addMatching(first, pair, lists)
        // A list changes where it is while others work.
        if (lists.length > known) lists[known] = lists[known]!.slice()
        if (++looked % stepValues === 0) await pause()
      }
    }
    return unionOf(lists)
  }

  #addMatching({ matcher }: MatcherPlan, pair: number, lists: Uint32Array[]): void {
    const { postings } = this
    if (matcher.matches(this.symbols.text(postings.valueOf(pair)))) lists.push(postings.list(pair))
  }

  #shownIn(from: number, to: number): Uint32Array {
    const shown = new Uint32Array(to - from)
    let count = 0
    for (let series = from; series < to; series++) if (this.isShown(series)) shown[count++] = series
    return shown.subarray(0, count)
  }

  /** Puts those of start[from, to) that satisfy the plan into `kept` from `count` on; returns the new count. */
  #keep(
    start: Uint32Array,
    from: number,
    to: number,
    plan: readonly MatcherPlan[],
    kept: Uint32Array,
    count: number,
  ): number {
    for (let i = from; i < to; i++) if (this.#satisfies(start[i]!, plan)) kept[count++] = start[i]!
    return count
  }

  #satisfies(series: number, plan: readonly MatcherPlan[]): boolean {
    const { postings } = this
    const from = this.#from[series]!
    const to = from + (this.#length[series]! & ~unshownBit)
    for (const { matcher, name, memo } of plan) {
      let value = -1
      for (let i = from; i < to; i++)
        if (postings.nameOf(this.#pairs[i]!) === name) {
          value = postings.valueOf(this.#pairs[i]!)
          break
        }
      let result = memo.get(value)
      if (result === undefined) memo.set(value, (result = matcher.matches(value < 0 ? '' : this.symbols.text(value))))
      if (!result) return false
    }
    return true
  }

  #findSymbol(text: string): number {
    const bytes = encodeUtf8(text)
    return this.symbols.find(bytes, 0, bytes.length)
  }

  labelNames(): string[] {
    return this.postings.names().map(name => this.symbols.text(name))
  }

  labelValues(name: string): string[] {
    return Array.from(this.valuesOf(name))
  }

  /** The same one by one; values that come or go meanwhile may be among them or not. */
  *valuesOf(name: string): Iterable<string> {
    const symbol = this.#findSymbol(name)
    if (symbol < 0) return
    for (const pair of this.postings.pairsOf(symbol)) yield this.symbols.text(this.postings.valueOf(pair))
  }

  /** How many series each metric name has. */
  seriesByMetric(): Map<string, number> {
    const symbol = this.#findSymbol(metricName)
    return symbol < 0
      ? new Map()
      : new Map(
          Array.from(this.postings.pairsOf(symbol), pair => [
            this.symbols.text(this.postings.valueOf(pair)),
            this.postings.list(pair).length,
          ]),
        )
  }
}

function isUtf8(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! >= 128) return decodeUtf8(bytes, from, to) !== undefined
  return true
}

function nameOf(bytes: Uint8Array, label: Label): string {
  return quote(decodeUtf8(bytes, label.nameFrom, label.nameTo) ?? '')
}

/** Bytes that a length takes when it is spelled in as few as it needs. */
function spelledLength(length: number): number {
  return length < 128 ? 1 : length < 16384 ? 2 : length < 2097152 ? 3 : 4
}

function compareNames(bytes: Uint8Array, a: Label, b: Label): number {
  return compareBytes(bytes, a.nameFrom, a.nameTo, bytes, b.nameFrom, b.nameTo)
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
      if (tag === 0x0a) {
        label.nameFrom = at
        label.nameTo = at + length
      } else if (tag === 0x12) {
        label.valueFrom = at
        label.valueTo = at + length
      }
      at += length
    }
    labels.push(label)
  }
  return labels
}

function describe(bytes: Uint8Array, labels: readonly Label[]): string {
  const name = labels.find(l => decodeUtf8(bytes, l.nameFrom, l.nameTo) === metricName)
  return name === undefined
    ? 'a series without a name'
    : `series ${quote(Buffer.from(bytes.subarray(name.valueFrom, name.valueTo)).toString('utf8').slice(0, 80))}`
}
