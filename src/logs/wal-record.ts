/**
 * What the log holds of an append: streams that the generation did not have yet and, once more, those that the tenant's
 * record before it defined; then lines by stream. So no loss of one record costs lines of another.
 *
 *   str tenant
 *   uvarint definitions, each: uvarint number, uvarint pairs, pairs × (str name, str value)
 *   uvarint streams, each: uvarint number, uvarint entries, entries × entry
 *   entry: time (codec/log-time.ts), str line, uvarint pairs, pairs × (str name, str value)
 *   str: uvarint length, bytes
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { recentBytes, RecentTimes, TimeCursor, writeTime } from '#codec/log-time.ts'
import { Labels } from '#model/labels.ts'
import { RecordDefinitions } from '#store/record-definitions.ts'
import { readText, writeText } from '#store/wal-text.ts'

export const recordKind = { lines: 1 } as const

/** Collects one record. */
export class LinesRecord {
  readonly definitions = new RecordDefinitions()
  readonly #entries = new ByteWriter(1024)
  readonly #streams = new ByteWriter(1024)
  #streamCount = 0
  #stream = -1
  #entryCount = 0

  get isEmpty(): boolean {
    return this.#streamCount === 0 && this.#entryCount === 0
  }

  /** Bytes of lines so far. */
  get length(): number {
    return this.#entries.at + this.#streams.at
  }

  clear(): void {
    this.definitions.clear()
    this.#entries.reset()
    this.#streams.reset()
    this.#streamCount = this.#entryCount = 0
    this.#stream = -1
  }

  define(number: number, labels: Labels): void {
    const out = this.definitions.next()
    out.writeUvarint(number)
    out.writeUvarint(labels.size)
    for (const text of labels.pairs) writeText(out, text)
  }

  /** Lines of one stream come one after another. */
  add(
    stream: number,
    ms: number,
    subNs: number,
    bytes: Uint8Array,
    from: number,
    to: number,
    pairs: readonly string[],
  ): void {
    if (stream !== this.#stream) {
      this.#endStream()
      this.#stream = stream
    }
    const out = this.#entries
    writeTime(out, ms, subNs)
    out.writeUvarint(to - from)
    out.reserve(to - from)
    out.buffer.set(bytes.subarray(from, to), out.at)
    out.at += to - from
    if (pairs === this.#lastPairs) out.writeBytes(this.#lastEncoded)
    else {
      const from = out.at
      out.writeUvarint(pairs.length / 2)
      for (const text of pairs) writeText(out, text)
      if (pairs.length <= 2) {
        this.#lastPairs = pairs
        this.#lastEncoded = out.buffer.slice(from, out.at)
      }
    }
    this.#entryCount++
  }
  /** The list of pairs that came last: levels repeat. */
  #lastPairs: readonly string[] | undefined
  #lastEncoded = new Uint8Array(0)

  #endStream(): void {
    if (this.#entryCount === 0) return
    this.#streams.writeUvarint(this.#stream)
    this.#streams.writeUvarint(this.#entryCount)
    this.#streams.writeBytes(this.#entries.bytes())
    this.#streamCount++
    this.#entryCount = 0
    this.#entries.reset()
  }

  /** A view, valid until the next `clear`. */
  finish(tenant: string): Uint8Array {
    this.#endStream()
    const out = this.#entries
    writeText(out, tenant)
    this.definitions.writeTo(out)
    out.writeUvarint(this.#streamCount)
    out.writeBytes(this.#streams.bytes())
    return out.bytes()
  }
}

export interface LinesVisitor {
  tenant(name: string): void
  define(number: number, labels: Labels): void
  /** A stretch of lines of one stream follows. */
  stream(number: number): void
  line(ms: number, subNs: number, bytes: Uint8Array, from: number, to: number, pairs: readonly string[]): void
}

/** Streams and lines of a record without their metadata, which is passed over. */
export interface LineWalker {
  stream(number: number): void
  /** The line lies at [from, to); its time, and its length, from `entryFrom` on. */
  line(ms: number, subNs: number, entryFrom: number, from: number, to: number): void
}

/** Walks over a record that this process made. */
export function walkLines(payload: Uint8Array, walker: LineWalker): void {
  const input = new ByteReader(payload)
  const skipTexts = (count: number): void => {
    for (let left = count; left > 0; left--) input.skip(input.readLength())
  }
  skipTexts(1)
  for (let n = input.readUvarint(); n > 0; n--) {
    input.readUvarint()
    skipTexts(input.readUvarint() * 2)
  }
  const time = new TimeCursor()
  const recent = new RecentTimes()
  for (let n = input.readUvarint(); n > 0; n--) {
    walker.stream(input.readUvarint())
    for (let e = input.readUvarint(); e > 0; e--) {
      const entryFrom = input.at
      const isRecent = input.at + recentBytes <= input.end && recent.read(payload, input.at)
      input.at = isRecent ? input.at + recentBytes : time.read(payload, input.at, input.end)
      const length = input.readLength()
      const from = input.at
      input.at += length
      skipTexts(input.readUvarint() * 2)
      const { ms, subNs } = isRecent ? recent : time
      walker.line(ms, subNs, entryFrom, from, from + length)
    }
  }
}

/** The same lines one by one, for those who let others work in between. */
export class LineCursor {
  readonly #payload: Uint8Array
  readonly #input: ByteReader
  readonly #time = new TimeCursor()
  #streams: number
  #entries = 0
  /** Number of the line's stream, its time, and where its text lies in the record. */
  stream = -1
  ms = 0
  subNs = 0
  from = 0
  to = 0

  constructor(payload: Uint8Array) {
    this.#payload = payload
    this.#input = new ByteReader(payload)
    this.#skipTexts(1)
    for (let n = this.#input.readUvarint(); n > 0; n--) {
      this.#input.readUvarint()
      this.#skipTexts(this.#input.readUvarint() * 2)
    }
    this.#streams = this.#input.readUvarint()
  }

  #skipTexts(count: number): void {
    for (let left = count; left > 0; left--) this.#input.skip(this.#input.readLength())
  }

  /** Steps to the next line; false at the end. */
  next(): boolean {
    const input = this.#input
    while (this.#entries === 0) {
      if (this.#streams === 0) return false
      this.#streams--
      this.stream = input.readUvarint()
      this.#entries = input.readUvarint()
    }
    this.#entries--
    input.at = this.#time.read(this.#payload, input.at, input.end)
    const length = input.readLength()
    this.ms = this.#time.ms
    this.subNs = this.#time.subNs
    this.from = input.at
    this.to = input.at + length
    input.at = this.to
    this.#skipTexts(input.readUvarint() * 2)
    return true
  }
}

/** Reads a record back. Throws CorruptDataError. */
/** Whose record it is. */
export function tenantOfRecord(payload: Uint8Array): string {
  return readText(new ByteReader(payload))
}

export function readLinesRecord(payload: Uint8Array, visitor: LinesVisitor): void {
  const input = new ByteReader(payload)
  visitor.tenant(readText(input))
  for (let n = input.readUvarint(); n > 0; n--) {
    const number = input.readUvarint()
    const pairs: string[] = []
    for (let p = input.readUvarint() * 2; p > 0; p--) pairs.push(readText(input))
    visitor.define(number, new Labels(pairs))
  }
  const time = new TimeCursor()
  for (let n = input.readUvarint(); n > 0; n--) {
    visitor.stream(input.readUvarint())
    for (let e = input.readUvarint(); e > 0; e--) {
      input.at = time.read(payload, input.at, input.end)
      const length = input.readLength()
      const from = input.at
      input.at += length
      const pairs: string[] = []
      for (let p = input.readUvarint() * 2; p > 0; p--) pairs.push(readText(input))
      visitor.line(time.ms, time.subNs, payload, from, from + length, pairs)
    }
  }
}
