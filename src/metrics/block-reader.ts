/**
 * Reads a block in Prometheus' format, index version 2. Source: docs/formats/prometheus-block.md. Corrupt parts raise
 * CorruptDataError.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { checkFrames, crc32c } from '#codec/crc32c.ts'
import { decodeHistogramChunk } from '#codec/histogram-chunk.ts'
import { decodeXorRun, xorRunCount } from '#codec/xor-run.ts'
import { decodeXor2 } from '#codec/xor2-chunk.ts'
import { CorruptDataError, NotFoundError } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import { decodeUtf8, encodeUtf8 } from '#core/text.ts'
import { grown } from '#core/grown.ts'
import type { Paced } from '#core/pace.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { histogramFromChunk } from '#model/histogram-chunk.ts'
import { compareLabels, Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { externalLabels, type BlockMeta } from './block-meta.ts'
import { intersectionOf, textsOf, unionOf } from './series-lists.ts'
import { readDeleted, type Deleted, type Interval } from './tombstones.ts'

/** Where the files of one block are: in the bucket, or staged on the local disk. */
export interface BlockFiles {
  read(name: string): Promise<Uint8Array>
  /** The bytes may be put into `room`, which has `length` bytes at least. */
  readRange(name: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array>
}

/**
 * Memory that chunks are read into, used again and again: buffers of hundreds of KiB a time keep the garbage collector
 * busy.
 */
export class ReadBuffers {
  readonly #free: Uint8Array[] = []

  /** Bytes of those that nobody has. */
  get bytes(): number {
    return this.#free.reduce((sum, buffer) => sum + buffer.length, 0)
  }

  clear(): void {
    this.#free.length = 0
  }

  take(length: number): Uint8Array {
    for (let i = this.#free.length - 1; i >= 0; i--) {
      const buffer = this.#free[i]!
      if (buffer.length >= length && buffer.length <= length * 4 + 65536) {
        this.#free.splice(i, 1)
        return buffer
      }
    }
    return new Uint8Array(Math.ceil(length * 1.25))
  }

  give(buffer: Uint8Array): void {
    this.#free.push(buffer)
    if (this.#free.length > readBuffersMax) this.#free.shift()
  }
}

const readBuffersMax = 16

/**
 * Series of one block as columns, ascending by labels. Chunks of series i are [startOf[i], startOf[i + 1]), in order of
 * time, disjoint.
 */
export class BlockSelection {
  readonly labels: Labels[] = []
  count = 0
  /** By series: its reference in the block's index. */
  refs = new Float64Array(16)
  startOf = new Uint32Array(17)
  /** By chunk: first and last time (inclusive milliseconds), and where it is. */
  minMs = new Float64Array(64)
  maxMs = new Float64Array(64)
  chunkRefs = new Float64Array(64)
  chunkCount = 0

  /** Opens the next series; its chunks follow. */
  addSeries(labels: Labels, ref: number): void {
    if (this.count === this.refs.length) {
      this.refs = grown(this.refs, new Float64Array(this.count * 2))
      this.startOf = grown(this.startOf, new Uint32Array(this.count * 2 + 1))
    }
    this.labels.push(labels)
    this.refs[this.count++] = ref
    this.startOf[this.count] = this.chunkCount
  }

  addChunk(minMs: number, maxMs: number, ref: number): void {
    if (this.chunkCount === this.minMs.length) {
      const size = this.chunkCount * 2
      this.minMs = grown(this.minMs, new Float64Array(size))
      this.maxMs = grown(this.maxMs, new Float64Array(size))
      this.chunkRefs = grown(this.chunkRefs, new Float64Array(size))
    }
    const i = this.chunkCount++
    this.minMs[i] = minMs
    this.maxMs[i] = maxMs
    this.chunkRefs[i] = ref
    this.startOf[this.count] = this.chunkCount
  }

  /** Has the series a chunk that may hold samples of the time? */
  touches(series: number, fromMs: number, throughMs: number): boolean {
    const end = this.startOf[series + 1]!
    for (let i = this.startOf[series]!; i < end; i++)
      if (this.minMs[i]! <= throughMs && this.maxMs[i]! >= fromMs) return true
    return false
  }

  /** The same series in the order of their labels. */
  sorted(): BlockSelection {
    const out = new BlockSelection()
    const order = this.labels.map((_, i) => i).sort((a, b) => compareLabels(this.labels[a]!, this.labels[b]!))
    for (const i of order) {
      out.addSeries(this.labels[i]!, this.refs[i]!)
      for (let chunk = this.startOf[i]!; chunk < this.startOf[i + 1]!; chunk++)
        out.addChunk(this.minMs[chunk]!, this.maxMs[chunk]!, this.chunkRefs[chunk]!)
    }
    return out
  }

  firstMs(series: number): number {
    return this.minMs[this.startOf[series]!]!
  }
  lastMs(series: number): number {
    return this.maxMs[this.startOf[series + 1]! - 1]!
  }
}

/** The bytes of an index, and its symbols and lists as texts and maps. */
const decodedIndexFactor = 2
/** A label set of ten labels whose texts are shared. */
const labelsBytes = 500

interface Index {
  bytes: Uint8Array
  view: DataView
  symbols: SymbolTexts
  /** name -> value -> offset of its postings list. */
  postings: Map<string, Map<string, number>>
  allPostings: number
  /** Label sets that were read before, by series reference. */
  labels: Map<number, Labels>
}

export class BlockReader {
  readonly meta: BlockMeta
  #files: BlockFiles
  #index: Promise<Index> | undefined
  /** The same when it was read. */
  #opened: Index | undefined
  #deleted: Promise<Deleted> | undefined
  /** The local directory that has its files; undefined: the bucket has them. */
  directory: string | undefined
  /** Grows when more may have been deleted from the block than was read. */
  deletions = 0

  /** Name, value, …: labels that each series has beside those of the index; they go before. */
  readonly #external: readonly string[]

  constructor(meta: BlockMeta, files: BlockFiles, directory?: string) {
    this.meta = meta
    this.#files = files
    this.directory = directory
    this.#external = externalLabels(meta)
  }

  /** The block's files lie elsewhere from now on, and those of before are about to go. */
  relocate(files: BlockFiles, directory?: string): void {
    this.#files = files
    this.directory = directory
  }

  /** A read that began before the block moved, and found its file gone, is done again where the block is now. */
  async #reading<T>(work: (files: BlockFiles) => Promise<T>): Promise<T> {
    const files = this.#files
    try {
      return await work(files)
    } catch (error) {
      if (error instanceof NotFoundError && files !== this.#files) return work(this.#files)
      throw error
    }
  }

  #open(): Promise<Index> {
    if (this.#index === undefined) {
      const opening = this.#reading(files => files.read('index')).then(decodeIndex)
      this.#index = opening
      opening.then(
        index => {
          if (this.#index === opening) this.#opened = index
        },
        () => {
          this.#index = undefined
        },
      )
    }
    return this.#index
  }

  /** Lets go of the index; the next use reads it again. */
  forget(): void {
    this.#index = undefined
    this.#opened = undefined
  }

  /** Roughly what the index takes in memory, with the labels that were read of it; 0 when it is not there. */
  get indexBytes(): number {
    if (this.#opened === undefined) return 0
    return this.#opened.bytes.length * decodedIndexFactor + this.#opened.labels.size * labelsBytes
  }

  /** Reads and checks everything that is needed to serve the block. */
  async check(): Promise<void> {
    await this.#open()
    await this.deleted()
  }

  /** Reads and checks all of the block; throws CorruptDataError and NotFoundError. `pause` gives way to other work. */
  async verify(pause: () => Promise<void>): Promise<void> {
    await this.check()
    const found = await this.select([])
    const columns = new SampleColumns()
    for (let from = 0; from < found.count; from += verifySeries) {
      const members = Array.from({ length: Math.min(verifySeries, found.count - from) }, (_, i) => from + i)
      const loaded = await this.chunks(found, members, -Infinity, Infinity)
      for (let place = 0; place < members.length; place++) {
        columns.clear()
        loaded.decode(place, columns)
      }
      await pause()
    }
  }

  /** Is meta.json still there? */
  async hasMeta(): Promise<boolean> {
    try {
      await this.#reading(files => files.read('meta.json'))
      return true
    } catch (error) {
      if (error instanceof NotFoundError) return false
      throw error
    }
  }

  /** What was deleted from it; kept in memory until `forgetTombstones`. */
  deleted(): Promise<Deleted> {
    if (this.#deleted === undefined) {
      const reading = readDeleted(name => this.#reading(files => files.read(name)))
      reading.catch(() => {
        if (this.#deleted === reading) this.#deleted = undefined
      })
      this.#deleted = reading
    }
    return this.#deleted
  }

  /** Intervals deleted from a series. */
  async tombstonesOf(ref: number): Promise<readonly Interval[]> {
    return (await this.tombstones()).get(ref) ?? []
  }
  async tombstones(): Promise<ReadonlyMap<number, readonly Interval[]>> {
    return (await this.deleted()).intervals
  }
  forgetTombstones(): void {
    this.deletions++
    this.#deleted = undefined
  }

  /**
   * The series that satisfy every matcher. `intern` gives equal label sets of several blocks one object; `pace` lets
   * other work run in between.
   */
  async select(
    matchers: readonly Matcher[],
    intern: (labels: Labels) => Labels = (labels): Labels => labels,
    pace?: Paced,
  ): Promise<BlockSelection> {
    const index = await this.#open()
    if (this.#external.length > 0) return this.#selectExtended(index, matchers, intern, pace)
    const out = new BlockSelection()
    for (const ref of selectPostings(index, matchers)) {
      readSeries(index, ref, matchers, intern, out)
      if (pace?.worked(8) === true) await pace.pause()
    }
    return out
  }

  /** The same where each series has more labels than the index says; these may change the order. */
  async #selectExtended(
    index: Index,
    matchers: readonly Matcher[],
    intern: (labels: Labels) => Labels,
    pace: Paced | undefined,
  ): Promise<BlockSelection> {
    const found = new BlockSelection()
    const external = this.#external
    const extend = (labels: Labels): Labels => {
      let extended = labels
      for (let i = 0; i < external.length; i += 2) extended = extended.with(external[i]!, external[i + 1]!)
      return intern(extended)
    }
    const own = matchers.filter(({ name }) => this.#externalValue(name) === undefined)
    for (const ref of selectPostings(index, own)) {
      readSeries(index, ref, matchers, extend, found)
      if (pace?.worked(8) === true) await pace.pause()
    }
    return found.sorted()
  }

  #externalValue(name: string): string | undefined {
    const external = this.#external
    for (let i = 0; i < external.length; i += 2) if (external[i] === name) return external[i + 1]
    return undefined
  }

  async labelNames(): Promise<string[]> {
    const names = [...(await this.#open()).postings.keys()]
    return [...new Set([...names, ...this.#external.filter((_, i) => i % 2 === 0)])]
  }
  async labelValues(name: string): Promise<string[]> {
    const external = this.#externalValue(name)
    if (external !== undefined) return [external]
    return [...((await this.#open()).postings.get(name)?.keys() ?? [])]
  }

  /** Every symbol, sorted. */
  async symbols(): Promise<readonly Uint8Array[]> {
    const symbols = (await this.#open()).symbols.all()
    if (this.#external.length === 0) return symbols
    const byText = new Map([...symbols, ...this.#external.map(encodeUtf8)].map(bytes => [decodedText(bytes), bytes]))
    return [...byText.values()].sort((a, b) => Buffer.compare(a, b))
  }

  /**
   * Of each of these series (numbers in the selection) its chunks that touch the time. Chunks that lie near each other
   * are fetched together. With `onBroken`, a chunk that is damaged is reported once for each run of chunks, and its
   * series has no samples here; without, it throws.
   */
  async chunks(
    selection: BlockSelection,
    members: ArrayLike<number>,
    fromMs: number,
    throughMs: number,
    buffers?: ReadBuffers,
    onBroken?: (error: Error) => void,
  ): Promise<LoadedChunks> {
    const loaded = new LoadedChunks(selection, members, fromMs, throughMs, buffers)
    const { count, refs, order } = loaded
    for (let i = 0; i < count;) {
      const first = refs[order[i]!]!
      let k = i + 1
      while (
        k < count &&
        refs[order[k]!]! - refs[order[k - 1]!]! < fetchGapBytes &&
        refs[order[k]!]! - first < fetchBytesMax
      )
        k++
      await this.#fetch(loaded, i, k, onBroken)
      i = k
    }
    return loaded
  }

  /** Fetches the chunks order[from, to), which lie near each other. */
  async #fetch(loaded: LoadedChunks, from: number, to: number, onBroken?: (error: Error) => void): Promise<void> {
    const { refs, order } = loaded
    const first = refs[order[from]!]!
    const name = `chunks/${String(Math.floor(first / 4294967296) + 1).padStart(6, '0')}`
    const start = first % 4294967296
    let bytes: Uint8Array
    try {
      bytes = await this.#readRun(name, start, refs[order[to - 1]!]! - first, loaded)
    } catch (error) {
      if (onBroken === undefined || !isDamage(error)) throw error
      for (let i = from; i < to; i++) loaded.leaveOut(order[i]!)
      onBroken(error)
      return
    }
    let isReported = false
    loaded.placeRun(from, to, bytes, first, name, (chunk, error) => {
      if (onBroken === undefined || !isDamage(error)) throw error
      loaded.leaveOut(chunk)
      if (!isReported) onBroken(error)
      isReported = true
    })
  }

  /** A file's bytes from `start` to the end of the chunk that begins `lastAt` behind it, as far as there are any. */
  async #readRun(name: string, start: number, lastAt: number, loaded: LoadedChunks): Promise<Uint8Array> {
    const length = lastAt + guessBytes
    const room = loaded.room(length)
    const bytes = await this.#reading(files => files.readRange(name, start, length, room))
    const needed = chunkEnd(bytes, lastAt)
    // A length that nothing stands behind may be damaged: no more is asked for than a chunk can have.
    if (needed <= bytes.length || bytes.length < length || needed - lastAt > chunkBytesMax) return bytes
    return this.#reading(files => files.readRange(name, start, needed))
  }
}

/**
 * Chunks of several series as they were fetched: the i-th has the chunks [startOf[i], startOf[i + 1]), in order of
 * time.
 */
export class LoadedChunks {
  readonly count: number
  readonly startOf: Uint32Array
  /** By chunk: its number in the selection, and its reference. */
  readonly numberOf: Uint32Array
  readonly refs: Float64Array
  /** Chunks in the order in which they lie in the block. */
  readonly order: Uint32Array
  readonly #bytes: Uint8Array[]
  readonly #from: Uint32Array
  readonly #to: Uint32Array
  readonly #encoding: Uint8Array

  readonly #buffers: ReadBuffers | undefined
  readonly #rooms: Uint8Array[] = []
  /** Series by place that have no samples here, because a chunk of theirs is damaged. */
  readonly #leftOut = new Set<number>()

  constructor(
    selection: BlockSelection,
    members: ArrayLike<number>,
    fromMs: number,
    throughMs: number,
    buffers: ReadBuffers | undefined,
  ) {
    this.#buffers = buffers
    const { minMs, maxMs, chunkRefs, startOf } = selection
    let most = 0
    for (let i = 0; i < members.length; i++) most += startOf[members[i]! + 1]! - startOf[members[i]!]!
    this.startOf = new Uint32Array(members.length + 1)
    const refs = new Float64Array(most)
    const numberOf = new Uint32Array(most)
    let count = 0
    let inOrder = true
    for (let i = 0; i < members.length; i++) {
      const end = startOf[members[i]! + 1]!
      for (let chunk = startOf[members[i]!]!; chunk < end; chunk++) {
        if (minMs[chunk]! > throughMs || maxMs[chunk]! < fromMs) continue
        refs[count] = chunkRefs[chunk]!
        if (count > 0 && refs[count - 1]! > refs[count]!) inOrder = false
        numberOf[count++] = chunk
      }
      this.startOf[i + 1] = count
    }
    this.count = count
    this.refs = refs
    this.numberOf = numberOf
    this.order = new Uint32Array(count)
    for (let i = 0; i < count; i++) this.order[i] = i
    if (!inOrder) this.order.sort((a, b) => refs[a]! - refs[b]!)
    this.#bytes = []
    this.#from = new Uint32Array(count)
    this.#to = new Uint32Array(count)
    this.#encoding = new Uint8Array(count)
  }

  /** Chunk `i` is damaged: its series has no samples here. */
  leaveOut(i: number): void {
    let place = 0
    while (this.startOf[place + 1]! <= i) place++
    this.#leftOut.add(place)
  }

  /**
   * The chunks order[from, to) lie in `bytes`, whose first is the one with the reference `first`, as frames. Each time:
   * a store that loses a bit may do so at any time.
   */
  placeRun(
    from: number,
    to: number,
    bytes: Uint8Array,
    first: number,
    name: string,
    onBroken: (chunk: number, error: unknown) => void,
  ): void {
    const { order, refs } = this
    const placeOf = (i: number): number => refs[order[i]!]! - first
    for (let i = from; i < to;) {
      const { count, base, frames } = checkFrames(bytes, placeOf, i, to)
      for (let k = 0; k < count; k++, i++) {
        const chunk = order[i]!
        if (frames.to[k] !== 0) this.#placed(chunk, bytes, base + frames.from[k]!, base + frames.to[k]!)
        else
          try {
            this.#place(chunk, bytes, placeOf(i), name)
          } catch (error) {
            onBroken(chunk, error)
          }
      }
    }
  }

  /** The content of a chunk, its encoding first, is bytes[from, to). */
  #placed(chunk: number, bytes: Uint8Array, from: number, to: number): void {
    this.#bytes[chunk] = bytes
    this.#encoding[chunk] = bytes[from]!
    this.#from[chunk] = from + 1
    this.#to[chunk] = to
  }

  /** One that is long, or damaged: throws CorruptDataError with what is wrong. */
  #place(i: number, bytes: Uint8Array, at: number, name: string): void {
    if (chunkEnd(bytes, at) > bytes.length)
      throw new CorruptDataError(`${name}: the chunk at ${this.refs[i]! % 4294967296} is cut off`)
    let length = 0
    let from = at
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[from++]!
      length += (byte & 127) * scale
      if (byte < 128) break
    }
    const to = from + 1 + length
    const expected = ((bytes[to]! << 24) | (bytes[to + 1]! << 16) | (bytes[to + 2]! << 8) | bytes[to + 3]!) >>> 0
    if (crc32c(bytes, from, to) !== expected)
      throw new CorruptDataError(`${name}: the chunk at ${this.refs[i]! % 4294967296} has a wrong checksum`)
    this.#placed(i, bytes, from, to)
  }

  /** Memory for bytes that are about to be fetched. */
  room(length: number): Uint8Array | undefined {
    if (this.#buffers === undefined) return undefined
    const room = this.#buffers.take(length)
    this.#rooms.push(room)
    return room
  }

  /** Gives the memory back: nothing may be decoded any more. */
  release(): void {
    for (const room of this.#rooms.splice(0)) this.#buffers!.give(room)
  }

  encodingOf(i: number): number {
    return this.#encoding[i]!
  }

  /** The chunk's data without its frame: a view. */
  bytesOf(i: number): Uint8Array {
    return this.#bytes[i]!.subarray(this.#from[i]!, this.#to[i]!)
  }

  /** Adds the samples of the series at this place to columns. */
  decode(place: number, into: SampleColumns): void {
    if (this.#leftOut.size > 0 && this.#leftOut.has(place)) return
    const end = this.startOf[place + 1]!
    for (let i = this.startOf[place]!; i < end;) {
      const first = i
      while (i < end && this.#encoding[i] === xorEncoding) i++
      if (i > first) this.#decodeXor(first, i, into)
      else decodeChunk(this.#encoding[i]!, this.#bytes[i]!, this.#from[i]!, this.#to[i++]!, into)
    }
  }

  #decodeXor(first: number, end: number, into: SampleColumns): void {
    const chunks = { bytes: this.#bytes, from: this.#from, to: this.#to }
    into.reserve(xorRunCount(chunks, first, end))
    into.count += decodeXorRun(chunks, first, end, into.timesMs, into.words, into.count)
  }
}

const fetchGapBytes = 64 * 1024
const fetchBytesMax = 4 * 1024 * 1024
/** What a chunk is expected to have at most; a longer one is fetched again. */
const guessBytes = 4096
/** More than any chunk has: 120 samples of histograms with hundreds of buckets take some hundred KiB. */
const chunkBytesMax = 64 * 1024 * 1024
/** Series that are verified at a time. */
const verifySeries = 256

/** Label sets that are kept per block, about 300 B each. */
const labelsKeptMax = 50_000

/** Bytes that must be there for the chunk at `at`, its checksum included. */
function chunkEnd(bytes: Uint8Array, at: number): number {
  let length = 0
  for (let i = 0, scale = 1; i < 5; i++, scale *= 128) {
    const byte = bytes[at + i]
    if (byte === undefined) return at + 16
    length += (byte & 127) * scale
    if (byte < 128) return at + i + 1 + 1 + length + 4
  }
  // No length ends so: a frame without an end.
  return Infinity
}

const xorEncoding = 1

/** Adds the samples of a chunk that is no XOR chunk to columns. */
function decodeChunk(encoding: number, bytes: Uint8Array, from: number, to: number, into: SampleColumns): void {
  switch (encoding) {
    case 4:
      decodeXor2(bytes, from, to, (timeMs, hi, lo, startMs) => {
        into.pushWords(timeMs, hi, lo)
        if (startMs !== 0) into.setStart(into.count - 1, startMs)
      })
      return
    case 2:
    case 3:
    case 5:
    case 6: {
      const { flag, layout, samples } = decodeHistogramChunk(bytes, from, to, encoding)
      // The chunk's codes 1 (no reset) and 2 (reset) in the top bits: 10 means reset, 01 means none.
      samples.forEach((sample, i) => {
        into.pushHistogram(sample.timeMs, histogramFromChunk(layout, sample, i, flag, encoding === 2 || encoding === 5))
        if (sample.startMs !== 0) into.setStart(into.count - 1, sample.startMs)
      })
      return
    }
    default:
      throw new CorruptDataError(`chunk encoding ${encoding} is not known; 1 to 6 are`)
  }
}

class SymbolTexts {
  readonly #bytes: Uint8Array
  readonly #offsets: Uint32Array
  readonly #texts: (string | undefined)[] = []

  constructor(bytes: Uint8Array, offsets: Uint32Array) {
    this.#bytes = bytes
    this.#offsets = offsets
  }

  text(i: number): string {
    return (this.#texts[i] ??= this.#read(i))
  }

  #read(i: number): string {
    if (i >= this.#offsets.length) throw new CorruptDataError(`index: symbol ${i} of ${this.#offsets.length}`)
    const input = new ByteReader(this.#bytes, this.#offsets[i]!)
    const length = input.readLength()
    return (
      decodeUtf8(this.#bytes, input.at, input.at + length) ??
      Buffer.from(this.#bytes.subarray(input.at, input.at + length)).toString('latin1')
    )
  }

  all(): Uint8Array[] {
    return Array.from(this.#offsets, offset => {
      const input = new ByteReader(this.#bytes, offset)
      return input.readBytes(input.readLength())
    })
  }
}

const decodedText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

function section(bytes: Uint8Array, at: number, what: string): ByteReader {
  const head = new ByteReader(bytes, Math.min(at, bytes.length))
  const length = head.readU32()
  head.need(length + 4)
  if (crc32c(bytes, head.at, head.at + length) !== head.view.getUint32(head.at + length))
    throw new CorruptDataError(`index: ${what} has a wrong checksum`)
  return new ByteReader(bytes, head.at, head.at + length)
}

function decodeIndex(bytes: Uint8Array): Index {
  if (bytes.length < 5 + 52) throw new CorruptDataError(`index: ${bytes.length} bytes are too few`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0) !== 0xbaaad700) throw new CorruptDataError('index: wrong magic number')
  const version = bytes[4]!
  if (version !== 2 && version !== 3) throw new CorruptDataError(`index: version ${version}, 2 is understood`)
  const tocAt = bytes.length - 52
  if (crc32c(bytes, tocAt, tocAt + 48) !== view.getUint32(tocAt + 48))
    throw new CorruptDataError('index: the table of contents has a wrong checksum')
  const toc = new ByteReader(bytes, tocAt)
  const symbolsAt = toc.readU64()
  toc.readU64()
  toc.readU64()
  toc.readU64()
  toc.readU64()
  const tableAt = toc.readU64()
  const symbolInput = section(bytes, symbolsAt, 'the symbol table')
  const count = symbolInput.readU32()
  if (count > bytes.length) throw new CorruptDataError(`index: ${count} symbols`)
  const offsets = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    offsets[i] = symbolInput.at
    symbolInput.skip(symbolInput.readUvarint())
  }
  const postings = new Map<string, Map<string, number>>()
  let allPostings = 0
  const table = section(bytes, tableAt, 'the postings offset table')
  let lastName = ''
  let values: Map<string, number> | undefined
  for (let left = table.readU32(); left > 0; left--) {
    table.readUvarint()
    const name = readString(table)
    const value = readString(table)
    const offset = table.readUvarint()
    if (name === '' && value === '') {
      allPostings = offset
      continue
    }
    if (values === undefined || name !== lastName) {
      postings.set(name, (values = new Map()))
      lastName = name
    }
    values.set(value, offset)
  }
  return { bytes, view, symbols: new SymbolTexts(bytes, offsets), postings, allPostings, labels: new Map() }
}

function readString(input: ByteReader): string {
  const length = input.readLength()
  const text =
    decodeUtf8(input.bytes, input.at, input.at + length) ??
    Buffer.from(input.bytes.subarray(input.at, input.at + length)).toString('latin1')
  input.skip(length)
  return text
}

function readPostings(index: Index, at: number): Uint32Array {
  const input = section(index.bytes, at, `the postings list at ${at}`)
  const count = input.readU32()
  input.need(count * 4)
  const out = new Uint32Array(count)
  for (let i = 0; i < count; i++) out[i] = index.view.getUint32(input.at + i * 4)
  return out
}

/** A superset of the answer, found by the matcher that promises the fewest series. */
function selectPostings(index: Index, matchers: readonly Matcher[]): Uint32Array {
  let best: Uint32Array | undefined
  for (const matcher of matchers) {
    if (matcher.matchesEmpty) continue
    const values = index.postings.get(matcher.name)
    if (values === undefined) return new Uint32Array(0)
    const lists: Uint32Array[] = []
    const wanted = textsOf(matcher)
    if (wanted !== undefined) {
      for (const value of wanted) {
        const at = values.get(value)
        if (at !== undefined) lists.push(readPostings(index, at))
      }
    } else if (best === undefined || best.length > 1000) {
      for (const [value, at] of values) if (matcher.matches(value)) lists.push(readPostings(index, at))
    } else continue
    const merged = lists.length === 1 ? lists[0]! : unionOf(lists)
    if (best === undefined) best = merged
    else best = intersectionOf(best, merged)
  }
  return best ?? readPostings(index, index.allPostings)
}

/** Adds the series to `out` when it satisfies every matcher. */
function readSeries(
  index: Index,
  ref: number,
  matchers: readonly Matcher[],
  intern: (labels: Labels) => Labels,
  out: BlockSelection,
): void {
  const input = new ByteReader(index.bytes, Math.min(ref * 16, index.bytes.length))
  const length = input.readLength()
  const end = input.at + length
  input.need(length + 4)
  let labels = index.labels.get(ref)
  // Label sets are kept of series whose checksum was right.
  if (labels === undefined && crc32c(index.bytes, input.at, end) !== index.view.getUint32(end))
    throw new CorruptDataError(`index: the series at ${ref * 16} has a wrong checksum`)
  const labelCount = input.readUvarint()
  if (labels === undefined) {
    const pairs: string[] = []
    for (let i = 0; i < labelCount * 2; i++) pairs.push(index.symbols.text(input.readUvarint()))
    if (index.labels.size >= labelsKeptMax) index.labels.clear()
    index.labels.set(ref, (labels = intern(new Labels(pairs))))
  } else {
    // Passing over them takes no decoding: a varint ends at a byte below 128.
    for (let left = labelCount * 2; left > 0 && input.at < end; input.at++) if (index.bytes[input.at]! < 128) left--
  }
  for (const matcher of matchers) if (!matcher.matches(labels.get(matcher.name))) return
  const chunkCount = input.readUvarint()
  if (chunkCount === 0) return
  out.addSeries(labels, ref)
  let maxMs = 0
  let chunkRef = 0
  for (let i = 0; i < chunkCount; i++) {
    const minMs = i === 0 ? input.readVarint() : maxMs + input.readUvarint()
    maxMs = minMs + input.readUvarint()
    chunkRef = i === 0 ? input.readUvarint() : chunkRef + input.readVarint()
    out.addChunk(minMs, maxMs, chunkRef)
  }
}
