/** Which series carry a label: for each (name, value) an ascending list of series numbers. Lists of one stand in a column. */

const noList = 0xffffffff

export class Postings {
  #slots = new Uint32Array(4096)
  #name = new Uint32Array(1024)
  #value = new Uint32Array(1024)
  #count = new Uint32Array(1024)
  /** The only series, while there is one. */
  #single = new Uint32Array(1024)
  #listOf = new Uint32Array(1024).fill(noList)
  readonly #lists: Uint32Array[] = []
  readonly #pairsOfName = new Map<number, number[]>()
  #pairs = 0

  add(name: number, value: number, series: number): void {
    const pair = this.#pairFor(name, value)
    const count = this.#count[pair]!++
    if (count === 0) { this.#single[pair] = series; return }
    let list = this.#listOf[pair]!
    if (list === noList) {
      this.#listOf[pair] = list = this.#lists.length
      this.#lists.push(Uint32Array.of(this.#single[pair]!, 0, 0, 0))
    }
    let numbers = this.#lists[list]!
    if (count === numbers.length) {
      const grown = new Uint32Array(Math.ceil(count * 1.5))
      grown.set(numbers)
      this.#lists[list] = numbers = grown
    }
    numbers[count] = series
  }

  #hash(name: number, value: number): number {
    const h = Math.imul(name, 0x9e3779b1) ^ Math.imul(value, 0x85ebca77)
    return (h ^ h >>> 15) >>> 0
  }

  #find(name: number, value: number): number {
    const mask = this.#slots.length - 1
    for (let slot = this.#hash(name, value) & mask; ; slot = (slot + 1) & mask) {
      const pair = this.#slots[slot]! - 1
      if (pair < 0) return ~slot
      if (this.#name[pair] === name && this.#value[pair] === value) return pair
    }
  }

  #pairFor(name: number, value: number): number {
    const found = this.#find(name, value)
    if (found >= 0) return found
    const pair = this.#pairs++
    if (pair === this.#name.length) this.#growColumns()
    this.#name[pair] = name
    this.#value[pair] = value
    this.#slots[~found] = pair + 1
    let pairs = this.#pairsOfName.get(name)
    if (pairs === undefined) this.#pairsOfName.set(name, pairs = [])
    pairs.push(pair)
    if (this.#pairs * 2 > this.#slots.length) this.#rehash()
    return pair
  }

  #growColumns(): void {
    const grow = (from: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> => {
      const to = new Uint32Array(from.length * 2)
      to.set(from)
      return to
    }
    const before = this.#listOf.length
    this.#name = grow(this.#name)
    this.#value = grow(this.#value)
    this.#count = grow(this.#count)
    this.#single = grow(this.#single)
    this.#listOf = grow(this.#listOf).fill(noList, before)
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let pair = 0; pair < this.#pairs; pair++) {
      let slot = this.#hash(this.#name[pair]!, this.#value[pair]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = pair + 1
    }
    this.#slots = slots
  }

  /** How many series carry the label. */
  count(name: number, value: number): number {
    const pair = this.#find(name, value)
    return pair < 0 ? 0 : this.#count[pair]!
  }

  /** A view of the list. */
  list(name: number, value: number): Uint32Array {
    const pair = this.#find(name, value)
    return pair < 0 ? new Uint32Array(0) : this.#listOfPair(pair)
  }

  #listOfPair(pair: number): Uint32Array {
    const list = this.#listOf[pair]!
    return list === noList ? this.#single.subarray(pair, pair + 1) : this.#lists[list]!.subarray(0, this.#count[pair]!)
  }

  /** The values of a name, with a view of each one's list. */
  forEachValue(name: number, visit: (value: number, list: Uint32Array) => void): void {
    for (const pair of this.#pairsOfName.get(name) ?? []) visit(this.#value[pair]!, this.#listOfPair(pair))
  }

  names(): number[] { return [...this.#pairsOfName.keys()] }
  get pairCount(): number { return this.#pairs }
}
