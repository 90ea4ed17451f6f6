/**
 * Inputs for a decoder or parser: mutations of seeds, which are mutated further. Where it is steered, by the coverage
 * that V8 reports, only what reached new code is. The same seed makes the same inputs as long as the code is the same.
 */
import { Session } from 'node:inspector'
import { below, seededRandom, type Random } from '#core/random.ts'
import { mutate } from '../damage.ts'

/** Inputs between two looks at the coverage. */
const roundInputs = 64
const inputBytesMax = 64 * 1024
const corpusMax = 500
/** Texts that mean something to one language or format or another. */
const dictionary = (
  '\0 \n " \\ { } [ ] ( ) , : = | ~ ! ` \ufffd 0 null true -0 1e400 9223372036854775808 NaN +Inf 0x 1.5e-7 \\u0000 ' +
  '\\ud800 __name__ __proto__ constructor le="+Inf" #EOF [1h:1s] offset by() .* (?i)'
)
  .split(' ')
  .map(text => Buffer.from(text))

export class Fuzzer {
  readonly #random: Random
  readonly #corpus: Uint8Array[]
  readonly #coverage: Coverage | undefined
  #round: Uint8Array[] = []

  constructor(seeds: readonly Uint8Array[], seed: number, isSteered: boolean) {
    this.#random = seededRandom(seed)
    this.#corpus = [...seeds]
    this.#coverage = isSteered ? new Coverage() : undefined
  }

  /** The next input. Call `ran` after it was tried. */
  next(): Uint8Array {
    const random = this.#random
    const base = this.#corpus[below(random, this.#corpus.length)]!
    switch (below(random, 8)) {
      case 0:
        return this.#crossed(base)
      case 1:
      case 2:
        return this.#withWord(base)
      case 3:
        return this.#repeated(base)
      default:
        return mutate(base, random.u32()).subarray(0, inputBytesMax)
    }
  }

  /** The beginning of one and the end of another. */
  #crossed(base: Uint8Array): Uint8Array {
    const random = this.#random
    const other = this.#corpus[below(random, this.#corpus.length)]!
    const bytes = Buffer.concat([
      base.subarray(0, below(random, base.length + 1)),
      other.subarray(below(random, other.length + 1)),
    ])
    return bytes.subarray(0, inputBytesMax)
  }

  #withWord(base: Uint8Array): Uint8Array {
    const random = this.#random
    const at = below(random, base.length + 1)
    const word = dictionary[below(random, dictionary.length)]!
    const skipped = below(random, 2) * word.length
    return Buffer.concat([base.subarray(0, at), word, base.subarray(at + skipped)]).subarray(0, inputBytesMax)
  }

  /** A part of it many times over: depth, and length. */
  #repeated(base: Uint8Array): Uint8Array {
    const random = this.#random
    const from = below(random, base.length + 1)
    const part = base.subarray(from, from + 1 + below(random, 16))
    const times = 1 << below(random, 12)
    const parts = [base.subarray(0, from), ...Array.from({ length: times }, () => part), base.subarray(from)]
    return Buffer.concat(parts).subarray(0, inputBytesMax)
  }

  ran(input: Uint8Array): void {
    this.#round.push(input)
    if (this.#round.length < roundInputs) return
    // Which of the round it was is not asked: all of it is kept, and the corpus forgets at random.
    if (this.#coverage?.grew() ?? below(this.#random, 4) === 0)
      for (const one of this.#round) {
        if (this.#corpus.length < corpusMax) this.#corpus.push(one)
        else this.#corpus[below(this.#random, corpusMax)] = one
      }
    this.#round = []
  }

  get corpusSize(): number {
    return this.#corpus.length
  }
}

/** Blocks of our own code that ran. */
class Coverage {
  readonly #session = new Session()
  readonly #seen = new Set<string>()

  constructor() {
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Did anything run since the last call that never ran before? */
  grew(): boolean {
    const before = this.#seen.size
    this.#session.post('Profiler.takePreciseCoverage', (error, found) => {
      if (error !== null) throw error
      for (const { url, functions } of found.result) {
        if (!url.includes('/src/')) continue
        for (const { ranges } of functions)
          for (const { startOffset, endOffset, count } of ranges)
            if (count > 0) this.#seen.add(`${url} ${startOffset} ${endOffset}`)
      }
    })
    return this.#seen.size > before
  }
}
