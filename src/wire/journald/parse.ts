/** systemd's Journal Export Format, as systemd-journal-upload sends it. Source: the public format description. */
const fieldBytesMax = 16 * 1024 * 1024
/** As systemd has it: ENTRY_FIELD_COUNT_MAX. */
const fieldsMax = 1024
/** Empty lines that one call passes over: a millisecond of work. */
const emptyLinesMax = 1 << 20

const newline = 10
const equals = 61

/** Reads one entry after the other. */
export class JournalReader {
  readonly #bytes: Buffer
  #at = 0
  /** Fields of the entry that is read. */
  #fields = 0
  /** Why the rest of the body can't be read: the entries before it are whole. */
  problem: string | undefined

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** The byte behind what was read. */
  get at(): number {
    return this.#at
  }

  /**
   * The next entry's fields, in order; none where there were very many empty lines before it; undefined behind the last
   * one that can be read.
   */
  next(): Map<string, string> | undefined {
    const fields = new Map<string, string>()
    const bytes = this.#bytes
    this.#fields = 0
    const from = this.#at
    while (this.#at < bytes.length && this.problem === undefined) {
      if (bytes[this.#at] === newline) {
        this.#at++
        if (fields.size > 0 || this.#at - from >= emptyLinesMax) return fields
        continue
      }
      const end = bytes.indexOf(newline, this.#at)
      this.#readField(end < 0 ? bytes.length : end, fields)
      // One name may stand there any number of times.
      if (++this.#fields > fieldsMax)
        this.problem = `journal: the entry at byte ${this.#at} has more than ${fieldsMax} fields, which is the limit`
    }
    return this.problem === undefined && fields.size > 0 ? fields : undefined
  }

  /** The field whose first line ends at `end`. */
  #readField(end: number, fields: Map<string, string>): void {
    const bytes = this.#bytes
    const line = bytes.subarray(this.#at, end)
    const split = line.indexOf(equals)
    this.#at = end + 1
    if (split >= 0) {
      fields.set(line.toString('utf8', 0, split), line.toString('utf8', split + 1))
      return
    }
    // A name alone: its value follows with its length in front.
    if (this.#at + 8 > bytes.length) {
      this.problem = 'journal: the length of a field is cut off'
      return
    }
    const length = bytes.readUInt32LE(this.#at) + bytes.readUInt32LE(this.#at + 4) * 4294967296
    this.#at += 8
    if (length > fieldBytesMax || this.#at + length > bytes.length) {
      this.problem = `journal: a field of ${length} bytes is cut off`
      return
    }
    fields.set(line.toString('utf8'), bytes.toString('utf8', this.#at, this.#at + length))
    this.#at += length + 1
  }
}

/** All entries. */
export function parseJournal(bytes: Uint8Array): { entries: Map<string, string>[]; problem: string | undefined } {
  const reader = new JournalReader(bytes)
  const entries: Map<string, string>[] = []
  for (let fields = reader.next(); fields !== undefined; fields = reader.next())
    if (fields.size > 0) entries.push(fields)
  return { entries, problem: reader.problem }
}
