/** One line on its way through a pipeline. The object is used again for every line: nothing of it may be kept. */
import { Labels } from '#model/labels.ts'

/** The labels of a line that a stage failed for. */
export const errorLabel = '__error__'
export const errorDetailsLabel = '__error_details__'

/** A line, its time, and its labels by where they come from: stream, metadata, stages. `reset` begins the next one. */
export class Entry {
  /** The line as it is stored: a range of a block. */
  bytes: Uint8Array = new Uint8Array(0)
  from = 0
  to = 0
  #text: string | undefined
  ms = 0
  subNs = 0
  base: Labels = Labels.empty
  /** Names of the stream's labels that were dropped or replaced. */
  readonly hidden: string[] = []
  /** Names of labels that stages had set, and that were removed: no parser sets them again. */
  readonly gone: string[] = []
  /** Structured metadata, then what stages set, each by place. */
  readonly metaNames: string[] = []
  readonly metaValues: string[] = []
  metaCount = 0
  readonly parsedNames: string[] = []
  readonly parsedValues: string[] = []
  parsedCount = 0
  /** The metadata as its block has it: one list for each combination. */
  pairs: readonly string[] = []
  error = ''
  errorDetails = ''
  /** Did a parser find a key that is called as the label of errors? */
  hasErrorKey = false
  /** Set by an early filter: the line is out. */
  isOut = false
  /** The number that an unwrap takes, where it was read as such: no label has its text then. */
  number = 0
  hasNumber = false

  reset(
    base: Labels,
    bytes: Uint8Array,
    from: number,
    to: number,
    ms: number,
    subNs: number,
    pairs: readonly string[] = [],
  ): void {
    this.base = base
    this.pairs = pairs
    this.bytes = bytes
    this.from = from
    this.to = to
    this.#text = undefined
    this.#isChanged = false
    this.ms = ms
    this.subNs = subNs
    if (this.hidden.length > 0) this.hidden.length = 0
    if (this.gone.length > 0) this.gone.length = 0
    // Counts go back instead of lengths: that costs nothing.
    this.metaCount = this.parsedCount = 0
    this.error = this.errorDetails = ''
    this.hasErrorKey = false
    this.isOut = false
    this.hasNumber = false
    for (let p = 0; p < pairs.length; p += 2) this.addMeta(pairs[p]!, pairs[p + 1]!)
  }

  get line(): string {
    return (this.#text ??= textOf(this.bytes, this.from, this.to))
  }
  set line(text: string) {
    this.#text = text
    this.#isChanged = true
  }
  #isChanged = false

  /** Is the line still what was stored? */
  get isStored(): boolean {
    return !this.#isChanged
  }

  get lineBytes(): number {
    return this.isStored ? this.to - this.from : Buffer.byteLength(this.line)
  }

  addMeta(name: string, value: string): void {
    if (name === errorLabel) {
      this.error = value
      return
    }
    if (name === errorDetailsLabel) {
      this.errorDetails = value
      return
    }
    this.metaNames[this.metaCount] = this.base.has(name) ? `${name}_extracted` : name
    this.metaValues[this.metaCount++] = value
  }

  #metaAt(name: string): number {
    for (let i = 0; i < this.metaCount; i++) if (this.metaNames[i] === name) return i
    return -1
  }

  #parsedAt(name: string): number {
    for (let i = 0; i < this.parsedCount; i++) if (this.parsedNames[i] === name) return i
    return -1
  }

  isHidden(name: string): boolean {
    return this.hidden.length > 0 && this.hidden.includes(name)
  }
  hasBase(name: string): boolean {
    return this.base.has(name)
  }
  hasMeta(name: string): boolean {
    return this.#metaAt(name) >= 0
  }
  hasParsed(name: string): boolean {
    return this.#parsedAt(name) >= 0
  }
  isGone(name: string): boolean {
    return this.gone.length > 0 && this.gone.includes(name)
  }

  /** A label that has no other of its name. */
  addParsed(name: string, value: string): void {
    this.parsedNames[this.parsedCount] = name
    this.parsedValues[this.parsedCount++] = value
  }

  /** A parsed label, in place of one of its name. */
  putParsed(name: string, value: string): void {
    const at = this.#parsedAt(name)
    if (at >= 0) this.parsedValues[at] = value
    else this.addParsed(name, value)
  }

  /** The value that is visible under a name, or undefined; of the label of errors, what a stage or the metadata set. */
  get(name: string): string | undefined {
    if (name === errorLabel) return this.error === '' ? undefined : this.error
    const parsed = this.#parsedAt(name)
    if (parsed >= 0) return this.parsedValues[parsed]
    const meta = this.#metaAt(name)
    if (meta >= 0) return this.metaValues[meta]
    if (this.isHidden(name)) return undefined
    const value = this.base.get(name)
    return value === '' ? undefined : value
  }

  /** Sets a label in place of whatever has the name. */
  set(name: string, value: string): void {
    if (name === errorLabel) {
      this.error = value
      return
    }
    if (name === errorDetailsLabel) {
      this.errorDetails = value
      return
    }
    const parsed = this.#parsedAt(name)
    if (parsed >= 0) {
      this.parsedValues[parsed] = value
      return
    }
    this.#removeMeta(name)
    if (this.base.has(name) && !this.isHidden(name)) this.hidden.push(name)
    this.addParsed(name, value)
  }

  remove(name: string): void {
    if (name === errorLabel) {
      this.error = ''
      return
    }
    if (name === errorDetailsLabel) {
      this.errorDetails = ''
      return
    }
    const parsed = this.#parsedAt(name)
    if (parsed >= 0) {
      this.parsedCount--
      leaveOut(this.parsedNames, parsed, this.parsedCount)
      leaveOut(this.parsedValues, parsed, this.parsedCount)
      this.gone.push(name)
    }
    this.#removeMeta(name)
    if (this.base.has(name) && !this.isHidden(name)) this.hidden.push(name)
  }

  #removeMeta(name: string): void {
    const meta = this.#metaAt(name)
    if (meta >= 0) {
      this.metaCount--
      leaveOut(this.metaNames, meta, this.metaCount)
      leaveOut(this.metaValues, meta, this.metaCount)
    }
  }

  /** An error without details keeps the details of the error before it. */
  fail(error: string, details: string): void {
    this.error = error
    if (details !== '') this.errorDetails = details
  }

  /** A key of the line that is called as the label of errors, or the error of a stage. */
  get anyError(): string {
    if (this.error !== '' || !this.hasErrorKey) return this.error
    const parsed = this.#parsedAt(errorLabel)
    return parsed < 0 ? '' : this.parsedValues[parsed]!
  }

  /** Every visible label, errors included: by name, unsorted. */
  forEachLabel(visit: (name: string, value: string) => void): void {
    const { pairs } = this.base
    for (let i = 0; i < pairs.length; i += 2) if (!this.isHidden(pairs[i]!)) visit(pairs[i]!, pairs[i + 1]!)
    for (let i = 0; i < this.metaCount; i++) visit(this.metaNames[i]!, this.metaValues[i]!)
    for (let i = 0; i < this.parsedCount; i++) visit(this.parsedNames[i]!, this.parsedValues[i]!)
    if (this.error !== '') visit(errorLabel, this.error)
    if (this.errorDetails !== '') visit(errorDetailsLabel, this.errorDetails)
  }
}

/** Moves what is behind `at` forward; `count` items are left. */
function leaveOut(list: string[], at: number, count: number): void {
  for (let i = at; i < count; i++) list[i] = list[i + 1]!
}

/** Text of bytes; what is not UTF-8 becomes U+FFFD. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8')
}
