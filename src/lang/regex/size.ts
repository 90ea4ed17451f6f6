/** How large the program of an expression will be, before anything is compiled. */
import { regexLimits } from '#core/limits.ts'

/** A class of Unicode's (`\pL`) takes as long to compile as so many other instructions. */
const unicodeClass = 40

/** Why an expression is refused for its size, with the place; undefined when it may be compiled. */
export function sizeProblem(source: string): string | undefined {
  const measured = measure(source)
  return typeof measured === 'string' ? measured : undefined
}

/** About how many instructions its program will have; none for one that is refused. */
export function instructionsOf(source: string): number {
  const measured = measure(source)
  return typeof measured === 'string' ? 0 : measured
}

function measure(source: string): string | number {
  const { charactersMax, depthMax, instructionsMax } = regexLimits
  if (source.length > charactersMax)
    return `the expression has ${source.length} characters, more than the limit of ${charactersMax}`
  const open: Group[] = [{ size: 0, last: 0 }]
  const scan = new Scan(source)
  while (scan.at < source.length) {
    const { at } = scan
    step(scan, open, source[at]!)
    if (open.length > depthMax + 1)
      return `parentheses nest deeper than the limit of ${depthMax} levels at position ${at + 1}`
    if (total(open) > instructionsMax)
      return `at position ${at + 1} its program has more than ${instructionsMax} instructions, which is the limit`
  }
  return total(open)
}

/** Reads the next piece of the expression. */
function step(scan: Scan, open: Group[], char: string): void {
  const group = open[open.length - 1]!
  if (char === '(') {
    open.push({ size: 0, last: 0 })
    scan.openGroup()
  } else if (char === ')' && open.length > 1) {
    open.pop()
    scan.at++
    grow(open[open.length - 1]!, group.size + 2)
  } else if (char === '*' || char === '+' || char === '?') {
    group.size++
    scan.at++
  } else {
    const copies = char === '{' ? scan.repeat() : undefined
    if (copies === undefined) grow(group, scan.atom())
    else group.size += group.last * (copies - 1)
  }
}

/** Instructions so far, and those of the last atom, which a counted repetition copies. */
interface Group {
  size: number
  last: number
}

function grow(group: Group, size: number): void {
  group.size += size
  group.last = size
}

function total(open: readonly Group[]): number {
  let sum = 0
  for (const { size } of open) sum += size
  return sum
}

/** A cursor over an expression; each step takes time by what it reads. */
class Scan {
  readonly #source: string
  at = 0

  constructor(source: string) {
    this.#source = source
  }

  /** Passes an opening parenthesis and its flags or name. */
  openGroup(): void {
    this.at++
    if (this.#source[this.at] !== '?') return
    const shape = /\?(?:P?<\w*>|[a-zA-Z-]*:?)/y
    shape.lastIndex = this.at
    this.at += shape.exec(this.#source)?.[0].length ?? 1
  }

  /** The copies that `{n}`, `{n,}` or `{n,m}` makes; undefined where the brace stands for itself. */
  repeat(): number | undefined {
    const shape = /\{(\d{1,9})(?:,(\d{0,9}))?\}/y
    shape.lastIndex = this.at
    const found = shape.exec(this.#source)
    if (found === null) return undefined
    this.at += found[0].length
    const [, least = '0', most] = found
    // A copy that may be left out takes one instruction more.
    const optional = most === undefined || most === '' ? 1 : Math.max(0, Number(most) - Number(least))
    return Math.max(1, Number(least) + 2 * optional)
  }

  /** Passes a character, an escape or a class; its instructions. */
  atom(): number {
    const char = this.#source[this.at]!
    if (char === '\\') return this.#escape()
    if (char !== '[') {
      this.at++
      return 1
    }
    let size = 1
    this.at++
    if (this.#source[this.at] === '^') this.at++
    for (let isFirst = true; this.at < this.#source.length; isFirst = false) {
      const inner = this.#source[this.at]!
      if (inner === ']' && !isFirst) break
      if (inner === '\\') {
        const before = this.at
        if (this.#escape() > 1) size += unicodeClass
        if (this.at === before) break
      } else this.at++
    }
    this.at++
    return size
  }

  #escape(): number {
    const next = this.#source[this.at + 1] ?? ''
    if (next === 'Q') {
      const end = this.#source.indexOf('\\E', this.at)
      const length = (end < 0 ? this.#source.length : end) - this.at - 2
      this.at = end < 0 ? this.#source.length : end + 2
      return Math.max(0, length)
    }
    this.at += 2
    return next === 'p' || next === 'P' ? unicodeClass : 1
  }
}
