/**
 * Writes a block in Prometheus' format: chunk segments and index as series come in, in the order of their labels.
 * Symbols must be known up front, sorted bytewise. Source: docs/formats/prometheus-block.md.
 */
import { assert } from '#core/assert.ts'
import { crc32c } from '#codec/crc32c.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { grown } from '#core/grown.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { AppendFile, Files } from '#core/files.ts'

const segmentBytesMax = 512 * 1024 * 1024
const bufferBytes = 1024 * 1024
const smallBytes = 4096

export interface ChunkMeta {
  minMs: number
  maxMs: number
  ref: number
}

/** A file that is written through a buffer and knows where it is. */
class CountingFile {
  readonly #file: AppendFile
  /** Grows to what is written out at once: most blocks of many tenants are small. */
  readonly buffer = new ByteWriter(smallBytes)
  #flushed = 0

  constructor(file: AppendFile) {
    this.#file = file
  }

  get at(): number {
    return this.#flushed + this.buffer.at
  }

  /** Writes the buffer out when it is full; to be called between items. */
  async drain(): Promise<void> {
    if (this.buffer.at >= bufferBytes) await this.flush()
  }

  async flush(): Promise<void> {
    await this.#file.append(this.buffer.bytes())
    this.#flushed += this.buffer.at
    this.buffer.reset()
  }

  async finish(): Promise<number> {
    await this.flush()
    await this.#file.sync()
    await this.#file.close()
    return this.#flushed
  }
}

const numbersOfPage = 65_536

/** Many numbers of 32 bits, whose memory is never copied to grow. */
class NumberPages {
  readonly #pages: Uint32Array[] = []
  length = 0

  push(value: number): void {
    const at = this.length % numbersOfPage
    // Most blocks of many tenants are small.
    if (at === 0) this.#pages.push(new Uint32Array(this.length === 0 ? smallBytes / 4 : numbersOfPage))
    let page = this.#pages.at(-1)!
    if (at === page.length) this.#pages[this.#pages.length - 1] = page = grown(page, new Uint32Array(at * 2))
    page[at] = value
    this.length++
  }

  at(i: number): number {
    return this.#pages[Math.floor(i / numbersOfPage)]![i % numbersOfPage]!
  }

  all(): Uint32Array {
    const all = new Uint32Array(this.length)
    this.#pages.forEach((page, i) => {
      all.set(page.subarray(0, this.length - i * numbersOfPage), i * numbersOfPage)
    })
    return all
  }
}

export class BlockWriter {
  readonly #files: Files
  readonly #directory: string
  readonly #symbols: readonly Uint8Array[]
  #chunks: CountingFile | undefined
  #segment = -1
  #index!: CountingFile
  readonly #entry = new ByteWriter(1024)
  /** Postings as the pairs of all series, one series after the other. */
  #pairOf = new Map<number, number>()
  #pairNames: number[] = []
  #pairValues: number[] = []
  readonly #entryPairs = new NumberPages()
  /** By series: its reference, and how many labels it has. */
  readonly #seriesRefs = new NumberPages()
  readonly #labelCounts = new NumberPages()
  #seriesAt = 0
  readonly segmentFiles: { name: string; bytes: number }[] = []
  indexBytes = 0
  seriesCount = 0
  chunkCount = 0

  private constructor(files: Files, directory: string, symbols: readonly Uint8Array[]) {
    this.#files = files
    this.#directory = directory
    this.#symbols = symbols
  }

  static async open(files: Files, directory: string, symbols: readonly Uint8Array[]): Promise<BlockWriter> {
    const writer = new BlockWriter(files, directory, symbols)
    writer.#index = new CountingFile(await files.openAppend(`${directory}/index`))
    await writer.#writeSymbols()
    return writer
  }

  async #writeSymbols(): Promise<void> {
    const out = this.#index.buffer
    out.writeU32(0xbaaad700)
    out.writeU8(2)
    const body = new ByteWriter(smallBytes)
    body.writeU32(this.#symbols.length)
    for (const symbol of this.#symbols) {
      body.writeUvarint(symbol.length)
      body.writeBytes(symbol)
    }
    writeSection(out, body.bytes())
    this.#seriesAt = this.#index.at
    await this.#index.drain()
  }

  /** Writes one chunk; returns its reference for addSeries. Chunks come in the order of their series. */
  async addChunk(encoding: number, data: Uint8Array): Promise<number> {
    if (this.#chunks === undefined || this.#chunks.at + 10 + data.length > segmentBytesMax) await this.#nextSegment()
    const chunks = this.#chunks!
    const ref = this.#segment * 4294967296 + chunks.at
    const out = chunks.buffer
    out.writeUvarint(data.length)
    const from = out.at
    out.writeU8(encoding)
    out.writeBytes(data)
    out.writeU32(crc32c(out.buffer, from, out.at))
    this.chunkCount++
    if (out.at >= bufferBytes) await chunks.flush()
    return ref
  }

  async #nextSegment(): Promise<void> {
    await this.#endSegment()
    this.#segment++
    this.#chunks = new CountingFile(
      await this.#files.openAppend(`${this.#directory}/chunks/${String(this.#segment + 1).padStart(6, '0')}`),
    )
    this.#chunks.buffer.writeU32(0x85bd40dd)
    this.#chunks.buffer.writeU32(0x01000000)
  }

  async #endSegment(): Promise<void> {
    if (this.#chunks === undefined) return
    this.segmentFiles.push({ name: String(this.#segment + 1).padStart(6, '0'), bytes: await this.#chunks.finish() })
    this.#chunks = undefined
  }

  /** `labels`: numbers of symbols, name and value in turn, by name. Chunks in order, disjoint. */
  async addSeries(labels: ArrayLike<number>, chunks: readonly ChunkMeta[]): Promise<void> {
    assert(chunks.length > 0 && labels.length > 0, 'a series in a block has labels and chunks')
    const padding = (16 - (this.#index.at % 16)) % 16
    for (let i = 0; i < padding; i++) this.#index.buffer.writeU8(0)
    const series = this.#index.at / 16
    const entry = this.#entry
    entry.reset()
    entry.writeUvarint(labels.length / 2)
    for (let i = 0; i < labels.length; i += 2) {
      entry.writeUvarint(labels[i]!)
      entry.writeUvarint(labels[i + 1]!)
      this.#addPosting(labels[i]!, labels[i + 1]!)
    }
    entry.writeUvarint(chunks.length)
    let last: ChunkMeta | undefined
    for (const chunk of chunks) {
      if (last === undefined) {
        entry.writeVarint(chunk.minMs)
        entry.writeUvarint(chunk.maxMs - chunk.minMs)
        entry.writeUvarint(chunk.ref)
      } else {
        entry.writeUvarint(chunk.minMs - last.maxMs)
        entry.writeUvarint(chunk.maxMs - chunk.minMs)
        entry.writeVarint(chunk.ref - last.ref)
      }
      last = chunk
    }
    const out = this.#index.buffer
    out.writeUvarint(entry.at)
    out.writeBytes(entry.bytes())
    out.writeU32(crc32c(entry.buffer, 0, entry.at))
    this.#seriesRefs.push(series)
    this.#labelCounts.push(labels.length / 2)
    this.seriesCount++
    if (out.at >= bufferBytes) await this.#index.flush()
  }

  #addPosting(name: number, value: number): void {
    const key = name * 4294967296 + value
    let pair = this.#pairOf.get(key)
    if (pair === undefined) {
      this.#pairOf.set(key, (pair = this.#pairNames.length))
      this.#pairNames.push(name)
      this.#pairValues.push(value)
    }
    this.#entryPairs.push(pair)
  }

  /** Ends the files. meta.json is the caller's, written last. */
  async finish(): Promise<void> {
    if (this.#segment < 0) await this.#nextSegment()
    await this.#endSegment()
    const out = this.#index.buffer
    const seriesEnd = this.#index.at
    const offsets = await this.#writePostings()
    const tableAt = this.#index.at
    writeSection(out, offsets)
    const toc = new ByteWriter(64)
    for (const offset of [5, this.#seriesAt, seriesEnd, tableAt, seriesEnd, tableAt]) toc.writeU64(offset)
    toc.writeU32(crc32c(toc.buffer, 0, toc.at))
    out.writeBytes(toc.bytes())
    this.indexBytes = await this.#index.finish()
  }

  /** Writes every postings list, by name and value; returns the offset table. */
  async #writePostings(): Promise<Uint8Array> {
    const pairs = this.#pairNames.length
    const starts = new Uint32Array(pairs + 1)
    const entries = this.#entryPairs
    for (let i = 0; i < entries.length; i++) starts[entries.at(i) + 1]!++
    for (let p = 0; p < pairs; p++) starts[p + 1]! += starts[p]!
    const sorted = new Uint32Array(entries.length)
    const next = starts.slice()
    for (let series = 0, i = 0; series < this.seriesCount; series++) {
      const ref = this.#seriesRefs.at(series)
      for (const end = i + this.#labelCounts.at(series); i < end; i++) sorted[next[entries.at(i)]!++] = ref
    }
    // Symbols are sorted, so their numbers sort as their texts do.
    const order = Uint32Array.from({ length: pairs }, (_, i) => i).sort(
      (a, b) => this.#pairNames[a]! - this.#pairNames[b]! || this.#pairValues[a]! - this.#pairValues[b]!,
    )
    const table = new ByteWriter(smallBytes)
    table.writeU32(pairs + 1)
    await this.#writeList(this.#seriesRefs.all(), table, emptyText, emptyText)
    for (const pair of order) {
      await this.#writeList(
        sorted.subarray(starts[pair]!, starts[pair + 1]!),
        table,
        this.#symbols[this.#pairNames[pair]!]!,
        this.#symbols[this.#pairValues[pair]!]!,
      )
    }
    return table.bytes()
  }

  async #writeList(series: Uint32Array, table: ByteWriter, name: Uint8Array, value: Uint8Array): Promise<void> {
    const out = this.#index.buffer
    while (this.#index.at % 4 !== 0) out.writeU8(0)
    table.writeUvarint(2)
    table.writeUvarint(name.length)
    table.writeBytes(name)
    table.writeUvarint(value.length)
    table.writeBytes(value)
    table.writeUvarint(this.#index.at)
    out.writeU32(4 + series.length * 4)
    const from = out.at
    out.reserve(4 + series.length * 4)
    out.writeU32(series.length)
    for (let i = 0; i < series.length; i++) out.writeU32(series[i]!)
    out.writeU32(crc32c(out.buffer, from, out.at))
    await this.#index.drain()
  }
}

const emptyText = encodeUtf8('')

function writeSection(out: ByteWriter, body: Uint8Array): void {
  out.writeU32(body.length)
  out.writeBytes(body)
  out.writeU32(crc32c(body))
}
