/**
 * Values that an unwrap takes, as numbers straight from the bytes of a line: no text is made of them. They are what
 * conversions.ts makes of their texts; what is not as plain is left to that.
 */
import type { Conversion, Stage, Unwrap } from '#lang/logql/ast.ts'

/** Digits of a number that is exact, with a power of ten that is. */
const digitsMax = 15
const powers = Float64Array.from({ length: digitsMax + 1 }, (_, i) => 10 ** i)

const dot = 46
const letterM = 109
const letterN = 110
const letterS = 115
const letterU = 117

/** What a field is made of: digits, and a unit behind them. */
class PlainNumber {
  readonly #isDuration: boolean
  #digits = 0
  /** How many of the digits stand behind the dot. */
  #behindDot = 0

  constructor(conversion: Conversion) {
    this.#isDuration = conversion !== ''
  }

  /** NaN: it is not as plain. */
  read(bytes: Uint8Array, from: number, to: number): number {
    const unitAt = this.#readDigits(bytes, from, to)
    if (unitAt < 0) return NaN
    if (!this.#isDuration) return unitAt === to ? this.#digits / powers[this.#behindDot]! : NaN
    const nanosecondDigits = unitDigits(bytes, unitAt, to)
    const left = nanosecondDigits - this.#behindDot
    // Nanoseconds that are whole, and exact.
    if (nanosecondDigits < 0 || left < 0) return NaN
    const ns = this.#digits * powers[left]!
    return ns <= Number.MAX_SAFE_INTEGER ? ns / 1e9 : NaN
  }

  /** Where the digits end; -1 where there are none, or too many. */
  #readDigits(bytes: Uint8Array, from: number, to: number): number {
    let value = 0
    let count = 0
    let dotAt = -1
    let at = from
    for (; at < to; at++) {
      const code = bytes[at]!
      if (code === dot && dotAt < 0) {
        dotAt = at
        continue
      }
      if (code < 48 || code > 57) break
      value = value * 10 + (code - 48)
      count++
    }
    if (count === 0 || count > digitsMax) return -1
    this.#digits = value
    this.#behindDot = dotAt < 0 ? 0 : at - dotAt - 1
    return at
  }
}

/** How many digits of nanoseconds one of the unit has: of `ns`, `us`, `ms` and `s`; -1 for another one. */
function unitDigits(bytes: Uint8Array, at: number, to: number): number {
  if (at === to - 1 && bytes[at] === letterS) return 9
  if (at !== to - 2 || bytes[at + 1] !== letterS) return -1
  const first = bytes[at]
  return first === letterM ? 6 : first === letterU ? 3 : first === letterN ? 0 : -1
}

/** The field of an unwrap, as readers of stored lines hand it on. */
export class StoredNumber {
  readonly name: string
  readonly #plain: PlainNumber
  readonly #add: (value: number) => boolean | undefined

  /** `add` returns false when no more fields are wanted, and undefined for a field that is to be a text. */
  constructor({ label, conversion }: Unwrap, add: (value: number) => boolean | undefined) {
    this.name = label
    this.#plain = new PlainNumber(conversion)
    this.#add = add
  }

  /** The same; undefined for a value that is not as plain, too. */
  take(bytes: Uint8Array, from: number, to: number): boolean | undefined {
    const value = this.#plain.read(bytes, from, to)
    return Number.isNaN(value) ? undefined : this.#add(value)
  }
}

/** May the field of an unwrap be a number alone: do no stages but one parser look at fields? */
export function isNumberAlone(stages: readonly Stage[], { conversion, filters }: Unwrap): boolean {
  if (conversion === 'bytes' || filters.length > 0) return false
  const others = stages.filter(({ kind }) => kind !== 'line-filter')
  return others.length === 1 && (others[0]!.kind === 'json' || others[0]!.kind === 'logfmt')
}
