/**
 * The labels of a head: every (name, value) pair once, found by its hash, with the series that carry it. Lists of one
 * stand in a column; longer ones are in no particular order.
 */
import { grown } from '#core/grown.ts'
import { KeyTable } from './key-table.ts'
import type { SymbolTable } from './symbols.ts'

const noList = 0xffffffff

export class Postings {
  readonly #symbols: SymbolTable
  readonly #keys = new KeyTable()
  #name = new Uint32Array(32)
  #value = new Uint32Array(32)
  #count = new Uint32Array(32)
  /** The only series, while there is one. */
  #single = new Uint32Array(32)
  #listOf = new Uint32Array(32).fill(noList)
  readonly #lists: Uint32Array[] = []
  readonly #freeLists: number[] = []
  readonly #freePairs: number[] = []
  readonly #pairsOfName = new Map<number, Set<number>>()
  #pairs = 0
  /** Grows when numbers of pairs, names and values become free: others may get them. */
  version = 0

  constructor(symbols: SymbolTable) {
    this.#symbols = symbols
  }

  /** The pair with this hash, or -1. */
  find(hashes: Uint32Array, i: number): number {
    return this.#keys.find(hashes, i)
  }

  /** A pair that `find` did not know. */
  make(
    hashes: Uint32Array,
    i: number,
    bytes: Uint8Array,
    nameFrom: number,
    nameTo: number,
    valueFrom: number,
    valueTo: number,
  ): number {
    const name = this.#symbols.intern(bytes, nameFrom, nameTo)
    const value = this.#symbols.intern(bytes, valueFrom, valueTo)
    const pair = this.#freePairs.pop() ?? this.#pairs++
    if (pair === this.#name.length) this.#growColumns()
    this.#name[pair] = name
    this.#value[pair] = value
    this.#count[pair] = 0
    this.#listOf[pair] = noList
    this.#keys.add(hashes, i, pair)
    let pairs = this.#pairsOfName.get(name)
    if (pairs === undefined) this.#pairsOfName.set(name, (pairs = new Set()))
    pairs.add(pair)
    return pair
  }

  add(pair: number, series: number): void {
    const count = this.#count[pair]!++
    if (count === 0) {
      this.#single[pair] = series
      return
    }
    let list = this.#listOf[pair]!
    if (list === noList) {
      this.#listOf[pair] = list = this.#freeLists.pop() ?? this.#lists.length
      this.#lists[list] = Uint32Array.of(this.#single[pair]!, 0, 0, 0)
    }
    let numbers = this.#lists[list]!
    if (count === numbers.length) {
      numbers = grown(numbers, new Uint32Array(Math.ceil(count * 1.5)))
      this.#lists[list] = numbers
    }
    numbers[count] = series
  }

  #growColumns(): void {
    const size = this.#name.length * 2
    this.#name = grown(this.#name, new Uint32Array(size))
    this.#value = grown(this.#value, new Uint32Array(size))
    this.#count = grown(this.#count, new Uint32Array(size))
    this.#single = grown(this.#single, new Uint32Array(size))
    this.#listOf = grown(this.#listOf, new Uint32Array(size))
  }

  nameOf(pair: number): number {
    return this.#name[pair]!
  }
  valueOf(pair: number): number {
    return this.#value[pair]!
  }

  /** A view of the series that carry the pair. */
  list(pair: number): Uint32Array {
    const list = this.#listOf[pair]!
    return list === noList
      ? this.#single.subarray(pair, pair + this.#count[pair]!)
      : this.#lists[list]!.subarray(0, this.#count[pair]!)
  }

  /** The pairs of a name, given as a symbol, that series carry. */
  *pairsOf(name: number): Iterable<number> {
    for (const pair of this.#pairsOfName.get(name) ?? []) if (this.#count[pair]! > 0) yield pair
  }

  /** Names, as symbols, that series carry. */
  names(): number[] {
    const names: number[] = []
    for (const [name, pairs] of this.#pairsOfName) if (this.#isCarried(pairs)) names.push(name)
    return names
  }

  /** Pairs that were made for a series that is not shown yet are nobody's. */
  #isCarried(pairs: Iterable<number>): boolean {
    for (const pair of pairs) if (this.#count[pair]! > 0) return true
    return false
  }
  /** One more than the highest number of a pair. */
  get capacity(): number {
    return this.#pairs
  }
  get pairCount(): number {
    return this.#pairs - this.#freePairs.length
  }

  /**
   * Takes series marked in `gone` out of the lists of the marked pairs; pairs that nobody carries any more are
   * forgotten.
   */
  remove(gone: Uint8Array, touched: Uint8Array): void {
    const empty = new Uint8Array(this.#pairs)
    let emptied = 0
    for (let pair = 0; pair < touched.length; pair++) {
      if (touched[pair] === 0) continue
      const list = this.list(pair)
      let kept = 0
      for (let i = 0; i < list.length; i++) if (gone[list[i]!] === 0) list[kept++] = list[i]!
      this.#count[pair] = kept
      const number = this.#listOf[pair]!
      if (number !== noList && kept <= 1) {
        this.#single[pair] = list[0]!
        this.#listOf[pair] = noList
        this.#lists[number] = new Uint32Array(0)
        this.#freeLists.push(number)
      } else if (number !== noList && kept * 3 < this.#lists[number]!.length)
        this.#lists[number] = this.#lists[number]!.slice(0, Math.max(4, Math.ceil(kept * 1.25)))
      if (kept > 0) continue
      empty[pair] = 1
      emptied++
      this.#freePairs.push(pair)
      const pairs = this.#pairsOfName.get(this.#name[pair]!)!
      pairs.delete(pair)
      if (pairs.size === 0) this.#pairsOfName.delete(this.#name[pair]!)
      this.#symbols.release(this.#name[pair]!)
      this.#symbols.release(this.#value[pair]!)
    }
    if (emptied === 0) return
    this.version++
    this.#keys.remove(empty)
    this.#symbols.compact()
  }
}
