/** Lines of a body, where they lie: a body is never laid out as a list of its lines. */

const newline = 10

/** The white space that `trim` takes off, in ASCII. */
function isBlank(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13)
}

/** Steps through the lines that are not blank. */
export class LineCursor {
  readonly #bytes: Buffer
  /** The line, without white space around it, is [from, to). */
  from = 0
  to = 0
  /** The byte behind the line's end. */
  at = 0
  /** Which of the lines that are not blank it is, from 1. */
  number = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** To the next line; false behind the last. */
  next(): boolean {
    const bytes = this.#bytes
    let from = this.at
    // Blank lines and the white space before a line, in one go.
    while (from < bytes.length && isBlank(bytes[from]!)) from++
    this.at = from
    if (from === bytes.length) return false
    let to = bytes.indexOf(newline, from)
    if (to < 0) to = bytes.length
    this.at = Math.min(to + 1, bytes.length)
    while (isBlank(bytes[to - 1]!)) to--
    this.from = from
    this.to = to
    this.number++
    return true
  }

  /** The line's bytes, in the body. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(this.from, this.to)
  }

  /** The line; bytes that are no UTF-8 become U+FFFD. */
  text(): string {
    return this.#bytes.toString('utf8', this.from, this.to)
  }
}

/** Units of a line of so many bytes for core/pace.ts: the clock is looked at behind 256 short lines, or 64 KiB. */
export function unitsOfLine(bytes: number): number {
  return 16 + (bytes >>> 4)
}

/** Empty lines that are passed over between two calls of a pause: a millisecond. */
const emptyLinesMax = 1 << 20

/** Where the empty lines end that begin at `from`: each is a byte. */
export function endOfEmptyLines(bytes: Uint8Array, from: number): number {
  const end = Math.min(bytes.length, from + emptyLinesMax)
  while (from < end && bytes[from] === newline) from++
  return from
}

/** So many bytes of lines are decoded between two calls of a pause: less than 10 ms of work. */
const pieceBytes = 16 * 1024

/** Where the piece of whole lines ends that begins at `from`: behind a line's end, or at the end of all. */
export function endOfLines(bytes: Uint8Array, from: number): number {
  if (bytes.length - from <= pieceBytes) return bytes.length
  const end = bytes.indexOf(newline, from + pieceBytes - 1)
  return end < 0 ? bytes.length : end + 1
}
