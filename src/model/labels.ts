/** A label set: names in bytewise order, no empty values, immutable. */
import { compareText, quote } from '#core/text.ts'
import { metricName } from '#core/names.ts'
import { setOwn } from '#core/own.ts'

/** Between the parts of a key: a lone surrogate, which no decoded UTF-8 contains. */
const separator = '\ud800'

/** So many entries are sorted where they are inserted. */
const fewLabels = 24

/** As `Labels.from`: most label sets are small, and a map takes longer than their insertion. */
function sortedPairs(entries: readonly (readonly [string, string])[]): string[] {
  const pairs: string[] = []
  let hasEmpty = false
  for (const [name, value] of entries) {
    if (value === '') hasEmpty = true
    let at = pairs.length
    let order = 1
    while (at > 0) {
      order = compareText(name, pairs[at - 2]!)
      if (order >= 0) break
      at -= 2
    }
    if (at > 0 && order === 0) {
      pairs[at - 1] = value
      continue
    }
    pairs.push('', '')
    pairs.copyWithin(at + 2, at, pairs.length - 2)
    pairs[at] = name
    pairs[at + 1] = value
  }
  return hasEmpty ? pairs.filter((_, i) => pairs[i | 1] !== '') : pairs
}

/** An immutable label set. */
export class Labels {
  static readonly empty = new Labels([])
  /** name, value, name, value ... */
  readonly pairs: readonly string[]
  #key: string | undefined
  #memo: string | undefined
  #memoized: Labels | undefined

  /** `pairs` must be in bytewise order of their names, each once, without empty values; they are kept, not copied. */
  constructor(pairs: readonly string[]) {
    this.pairs = pairs
  }

  /** Sorts, and drops empty values. The last of several values for one name wins. */
  static from(entries: Iterable<readonly [string, string]>): Labels {
    if (Array.isArray(entries) && entries.length <= fewLabels) return new Labels(sortedPairs(entries))
    const byName = new Map<string, string>()
    for (const [name, value] of entries) byName.set(name, value)
    const names = [...byName.keys()].filter(name => byName.get(name) !== '').sort(compareText)
    return new Labels(names.flatMap(name => [name, byName.get(name)!]))
  }

  static fromObject(object: Readonly<Record<string, string>>): Labels {
    return Labels.from(Object.entries(object))
  }

  get size(): number {
    return this.pairs.length / 2
  }

  /** The value, or '' where there is none. */
  get(name: string): string {
    const pairs = this.pairs
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1]!
    return ''
  }

  has(name: string): boolean {
    for (let i = 0; i < this.pairs.length; i += 2) if (this.pairs[i] === name) return true
    return false
  }

  /** Equal label sets, and only those, have equal keys. */
  get key(): string {
    return (this.#key ??= this.pairs.join(separator))
  }

  /** What `project` makes of this set; remembered under `memo`, which must stand for the same projection always. */
  memoized(memo: string, project: (labels: Labels) => Labels): Labels {
    if (this.#memo === memo && this.#memoized !== undefined) return this.#memoized
    this.#memo = memo
    return (this.#memoized = project(this))
  }

  /** Only these names. */
  keep(names: ReadonlySet<string>): Labels {
    const pairs: string[] = []
    for (let i = 0; i < this.pairs.length; i += 2)
      if (names.has(this.pairs[i]!)) pairs.push(this.pairs[i]!, this.pairs[i + 1]!)
    return pairs.length === this.pairs.length ? this : new Labels(pairs)
  }

  /** All but these names. */
  drop(names: ReadonlySet<string>): Labels {
    const pairs: string[] = []
    for (let i = 0; i < this.pairs.length; i += 2)
      if (!names.has(this.pairs[i]!)) pairs.push(this.pairs[i]!, this.pairs[i + 1]!)
    return pairs.length === this.pairs.length ? this : new Labels(pairs)
  }

  /** With one label set; an empty value removes it. */
  with(name: string, value: string): Labels {
    const pairs: string[] = []
    let placed = value === ''
    for (let i = 0; i < this.pairs.length; i += 2) {
      const at = this.pairs[i]!
      if (at === name) continue
      if (!placed && compareText(at, name) > 0) {
        pairs.push(name, value)
        placed = true
      }
      pairs.push(at, this.pairs[i + 1]!)
    }
    if (!placed) pairs.push(name, value)
    return new Labels(pairs)
  }

  equals(other: Labels): boolean {
    return this === other || this.key === other.key
  }

  /** Each name with its value, as an array of its own: for configuration and answers, not for hot paths. */
  entries(): [string, string][] {
    return Array.from({ length: this.size }, (_, i) => [this.pairs[2 * i]!, this.pairs[2 * i + 1]!])
  }

  toObject(): Record<string, string> {
    const object: Record<string, string> = {}
    for (let i = 0; i < this.pairs.length; i += 2) setOwn(object, this.pairs[i]!, this.pairs[i + 1]!)
    return object
  }

  /** As PromQL prints it: `name{a="b"}`. */
  toString(): string {
    const name = this.get(metricName)
    const parts: string[] = []
    for (let i = 0; i < this.pairs.length; i += 2) {
      const label = this.pairs[i]!
      if (label === metricName && isLegacyMetricName(name)) continue
      parts.push(`${isLegacyLabelName(label) ? label : quote(label)}=${quote(this.pairs[i + 1]!)}`)
    }
    const shown = isLegacyMetricName(name) ? name : ''
    return parts.length === 0 && shown !== '' ? shown : `${shown}{${parts.join(', ')}}`
  }
}

/** Pairwise by name, then value, bytewise; a set that ends first sorts first. The order of series in a block. */
export function compareLabels(a: Labels, b: Labels): number {
  const length = Math.min(a.pairs.length, b.pairs.length)
  for (let i = 0; i < length; i++) {
    const order = compareText(a.pairs[i]!, b.pairs[i]!)
    if (order !== 0) return order
  }
  return a.pairs.length - b.pairs.length
}

/** Is it a label's name by the rules before UTF-8 names? */
export function isLegacyLabelName(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)
}
/** Is it a metric's name by the rules before UTF-8 names? */
export function isLegacyMetricName(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)
}
