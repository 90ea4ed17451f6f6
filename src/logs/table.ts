/**
 * What lies beside the chunks of an index, in one object: which texts their blocks can contain, as rows of bits over
 * all blocks, and their columns. Form: docs/formats/log-table.md. Made of the chunks; it can be made again.
 */
import { addBits, rowsOfBitmaps } from '#codec/bit-rows.ts'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { bitsLog2 } from '#codec/gram-bitmap.ts'
import { TimeCursor, writeTime } from '#codec/log-time.ts'
import { CorruptDataError } from '#core/errors.ts'
import { ownFormats } from '#core/own-formats.ts'
import { decodeUtf8, encodeUtf8 } from '#core/text.ts'
import type { ChunkRef } from './chunk.ts'
import { ChunkColumns, type CountedBlock } from './line-columns.ts'
import { chunkName } from './merge.ts'
import { leastLog2, TokenFilter } from './token-filter.ts'

const magic = 0x54435454
const { written, oldest, newest } = ownFormats['log-table']
const checksumBytes = 4
/** Magic, version and the length of the head. */
const startBytes = 9
/** Rows are checked by the page: as many rows as have so many bits. */
const pageBitsMin = 8192
/** Rows of fewer blocks than this are not padded to whole bytes. */
const paddedFrom = 64
/** Chunks between two pauses. */
const stepChunks = 64
/** A chunk with more combinations of metadata is counted by its columns. */
const wholeCombinationsMax = 32
/** So is one with longer texts of them: heads are read by every query. */
const wholeTextMax = 4096

/** Another table of the same index. */
export interface OtherTable {
  key: string
  headBytes: number
  bytes: number
}

/** All lines of a chunk, counted. */
export interface WholeChunk {
  /** By number: names and values in turn, as they were sent. */
  combinations: readonly (readonly string[])[]
  block: CountedBlock
}

/** What a table has of a chunk. */
export interface TableChunk {
  ref: ChunkRef
  entries: number
  /** By block: the group of its bitmap, and its place in the rows of that group. */
  blockLogs: Uint8Array
  places: Uint32Array
  columnsAt: number
  columnsBytes: number
  whole: WholeChunk | undefined
}

/** The blocks whose bitmaps have the same size. */
export interface RowGroup {
  /** There are 2^log2 rows. */
  log2: number
  count: number
  rowBits: number
  rowsOfPage: number
  pageBytes: number
  /** Where its first page begins. */
  at: number
}

/** Where a row lies in its group: the page, and the bit in it. */
export function placeOfRow({ rowBits, rowsOfPage }: RowGroup, row: number): { page: number; bit: number } {
  const page = Math.floor(row / rowsOfPage)
  return { page, bit: (row - page * rowsOfPage) * rowBits }
}

/** Where a page begins in the object, and how many bytes it has with its checksum. */
export function rangeOfPage({ at, pageBytes }: RowGroup, page: number): { from: number; length: number } {
  return { from: at + page * (pageBytes + checksumBytes), length: pageBytes + checksumBytes }
}

/** The content of bytes with a checksum behind them. Throws CorruptDataError. */
export function checked(bytes: Uint8Array, what: string): Uint8Array {
  const end = bytes.length - checksumBytes
  if (end < 0 || crc32c(bytes, 0, end) !== new ByteReader(bytes, end).readU32())
    throw new CorruptDataError(`log table: wrong checksum of ${what}`)
  return bytes.subarray(0, end)
}

function groupOf(log2: number, count: number, at: number): RowGroup {
  const rowBits = count < paddedFrom ? count : Math.ceil(count / 8) * 8
  let rowsOfPage = 1
  while (rowsOfPage < 1 << log2 && rowsOfPage * rowBits < pageBitsMin) rowsOfPage *= 2
  return { log2, count, rowBits, rowsOfPage, pageBytes: Math.ceil((rowsOfPage * rowBits) / 8), at }
}

function groupEnd(group: RowGroup): number {
  return group.at + ((1 << group.log2) / group.rowsOfPage) * (group.pageBytes + checksumBytes)
}

/** The groups of blocks by the sizes of their bitmaps, one behind the other from `at` on. */
function groupsOf(counts: Uint32Array, at: number): Map<number, RowGroup> {
  const groups = new Map<number, RowGroup>()
  for (let log2 = leastLog2; log2 <= bitsLog2; log2++) {
    if (counts[log2] === 0) continue
    const group = groupOf(log2, counts[log2]!, at)
    groups.set(log2, group)
    at = groupEnd(group)
  }
  return groups
}

/** How many bytes the head of a table has, by its first bytes; 0 where these are too few. Throws CorruptDataError. */
export function headBytesOf(bytes: Uint8Array): number {
  if (bytes.length < startBytes) throw new CorruptDataError('log table: cut off')
  const input = new ByteReader(bytes)
  if (input.readU32() !== magic) throw new CorruptDataError('log table: not a table')
  const version = input.readU8()
  if (version < oldest || version > newest)
    throw new CorruptDataError(`log table: version ${version}, and ${oldest} to ${newest} are read`)
  const headBytes = input.readU32()
  if (headBytes < startBytes + checksumBytes) throw new CorruptDataError(`log table: a head of ${headBytes} bytes`)
  return headBytes
}

/** The head of a table: what is where. */
export class TableHead {
  readonly headBytes: number
  /** Where columns begin. */
  readonly columnsAt: number
  /** Of the object. */
  readonly bytes: number
  readonly others: readonly OtherTable[]
  readonly chunks: readonly TableChunk[]
  readonly groups: ReadonlyMap<number, RowGroup>
  readonly #byName = new Map<string, TableChunk>()

  /** `bytes`: those of the head, or more. `pause` lets other work run. Throws CorruptDataError. */
  static async read(bytes: Uint8Array, pause: () => Promise<void>): Promise<TableHead> {
    const headBytes = headBytesOf(bytes)
    if (headBytes > bytes.length) throw new CorruptDataError('log table: cut off')
    const head = checked(bytes.subarray(0, headBytes), 'the head')
    const input = new ByteReader(head, startBytes)
    const others = readList(input, () => readOther(input))
    const combinations = await readListByTurns(input, () => readList(input, () => readText(input)), pause)
    const counts = new Uint32Array(bitsLog2 + 1)
    const chunks = await readListByTurns(input, () => readChunk(input, counts, combinations), pause)
    if (input.at !== input.end) throw new CorruptDataError('log table: a head with more than its chunks')
    const table = new TableHead(headBytes, others, chunks, counts)
    for (const [i, chunk] of chunks.entries()) {
      if (i % stepChunks === 0) await pause()
      table.#byName.set(chunkName(chunk.ref), chunk)
    }
    return table
  }

  private constructor(
    headBytes: number,
    others: readonly OtherTable[],
    chunks: readonly TableChunk[],
    counts: Uint32Array,
  ) {
    this.headBytes = headBytes
    this.others = others
    this.groups = groupsOf(counts, this.headBytes)
    let at = [...this.groups.values()].reduce((end, group) => Math.max(end, groupEnd(group)), this.headBytes)
    this.columnsAt = at
    for (const chunk of chunks) {
      chunk.columnsAt = at
      at += chunk.columnsBytes === 0 ? 0 : chunk.columnsBytes + checksumBytes
    }
    this.chunks = chunks
    this.bytes = at
  }

  find(name: string): TableChunk | undefined {
    return this.#byName.get(name)
  }

  /** Bytes of memory, about. */
  get heldBytes(): number {
    return this.headBytes * 4 + this.chunks.length * 400 + this.others.length * 200
  }
}

function readCount(input: ByteReader): number {
  const count = input.readUvarint()
  if (count > input.end - input.at) throw new CorruptDataError(`log table: a list of ${count}`)
  return count
}

function readList<T>(input: ByteReader, readOne: () => T): T[] {
  const list: T[] = []
  for (let left = readCount(input); left > 0; left--) list.push(readOne())
  return list
}

async function readListByTurns<T>(input: ByteReader, readOne: () => T, pause: () => Promise<void>): Promise<T[]> {
  const list: T[] = []
  for (let left = readCount(input); left > 0; left--) {
    list.push(readOne())
    if (left % stepChunks === 0) await pause()
  }
  return list
}

function readText(input: ByteReader): string {
  const text = input.readBytes(input.readLength())
  return decodeUtf8(text, 0, text.length) ?? Buffer.from(text).toString('utf8')
}

function writeText(out: ByteWriter, text: string): void {
  const bytes = encodeUtf8(text)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}

function readOther(input: ByteReader): OtherTable {
  const key = readText(input)
  const headBytes = input.readUvarint()
  return { key, headBytes, bytes: input.readUvarint() }
}

function readChunk(input: ByteReader, counts: Uint32Array, combinations: readonly (readonly string[])[]): TableChunk {
  const fingerprint = readText(input)
  const fromMs = input.readF64()
  const throughMs = input.readF64()
  const checksum = input.readU32()
  const entries = input.readUvarint()
  const blockLogs = input.readBytes(input.readLength()).slice()
  const places = new Uint32Array(blockLogs.length)
  for (let b = 0; b < blockLogs.length; b++) {
    const log2 = blockLogs[b]!
    if (log2 < leastLog2 || log2 > bitsLog2) throw new CorruptDataError(`log table: a bitmap of 2^${log2} bits`)
    places[b] = counts[log2]!++
  }
  const columnsBytes = input.readUvarint()
  const whole = readWhole(input, entries, combinations)
  const ref = { fingerprint, fromMs, throughMs, checksum }
  return { ref, entries, blockLogs, places, columnsAt: 0, columnsBytes, whole }
}

const noColumn = { at: 0, length: 0, size: 0 }

function readWhole(input: ByteReader, entries: number, all: readonly (readonly string[])[]): WholeChunk | undefined {
  const count = input.readUvarint()
  if (count === 0) return undefined
  if (count > wholeCombinationsMax) throw new CorruptDataError(`log table: ${count} combinations of a chunk`)
  const time = new TimeCursor()
  input.at = time.read(input.bytes, input.at, input.end)
  const { ms: minMs, subNs: minSubNs } = time
  input.at = time.read(input.bytes, input.at, input.end)
  const { ms: maxMs, subNs: maxSubNs } = time
  const combinations: (readonly string[])[] = []
  const sums: { number: number; lines: number; bytes: number }[] = []
  for (let number = 0; number < count; number++) {
    const combination = all[input.readUvarint()]
    if (combination === undefined) throw new CorruptDataError('log table: a combination is not there')
    combinations.push(combination)
    sums.push({ number, lines: input.readUvarint(), bytes: input.readUvarint() })
  }
  const times = { minMs, minSubNs, maxMs, maxSubNs }
  const block = { entries, ...times, hasColumns: true, combinations: sums, moments: noColumn, lengths: noColumn }
  return { combinations, block }
}

/** Rows of a group of blocks, from which some columns of bits are taken. */
interface RowSource {
  bytes: Uint8Array
  /** Where the row begins, in bits. */
  bitOf(row: number): number
  /** Places that are taken, in order: [from, to) each. */
  ranges: readonly { from: number; to: number }[]
}

/** Chunks that go into a table, and where their bits and columns come from. */
export interface TablePart {
  chunks: readonly TablePartChunk[]
  rows: ReadonlyMap<number, RowSource>
}
interface TablePartChunk {
  ref: ChunkRef
  entries: number
  blockLogs: Uint8Array
  columns: Uint8Array
  whole: WholeChunk | undefined
}

/** A chunk with the filter that was made with it. */
export interface FilteredChunk {
  ref: ChunkRef
  entries: number
  /** As `encodeFilter` wrote it. */
  filter: Uint8Array
}

/** New chunks as a part of a table. */
export async function partOfChunks(chunks: readonly FilteredChunk[], pause: () => Promise<void>): Promise<TablePart> {
  const byLog = new Map<number, Uint8Array[]>()
  const parts: TablePartChunk[] = []
  for (const { ref, entries, filter: bytes } of chunks) {
    const filter = new TokenFilter(bytes)
    const blockLogs = new Uint8Array(filter.blocks)
    for (let b = 0; b < filter.blocks; b++) {
      const bitmap = filter.bitmap(b)
      const log2 = (blockLogs[b] = Math.log2(bitmap.length * 8))
      const list = byLog.get(log2)
      if (list === undefined) byLog.set(log2, [bitmap])
      else list.push(bitmap)
    }
    const columns = filter.rest
    parts.push({ ref, entries, blockLogs, columns, whole: wholeOf(columns, filter.blocks) })
    await pause()
  }
  const rows = new Map<number, RowSource>()
  for (const [log2, bitmaps] of byLog) {
    const bytes = await rowsOfBitmaps(bitmaps, pause)
    const rowBits = Math.ceil(bitmaps.length / 8) * 8
    rows.set(log2, { bytes, bitOf: row => row * rowBits, ranges: [{ from: 0, to: bitmaps.length }] })
  }
  return { chunks: parts, rows }
}

function wholeOf(columns: Uint8Array, blocks: number): WholeChunk | undefined {
  if (columns.length === 0) return undefined
  const all = new ChunkColumns(columns, blocks)
  const block = all.whole()
  if (block === undefined || all.combinations.length > wholeCombinationsMax) return undefined
  let characters = 0
  for (const texts of all.combinations) for (const text of texts) characters += text.length
  if (characters > wholeTextMax) return undefined
  return { combinations: all.combinations, block }
}

/**
 * Chunks of a table that is there as a part of another; `keeps` says which, `pause` lets other work run. Throws
 * CorruptDataError.
 */
export async function partOfTable(
  bytes: Uint8Array,
  keeps: (chunk: TableChunk) => boolean,
  pause: () => Promise<void>,
): Promise<TablePart> {
  const head = await TableHead.read(bytes, pause)
  if (head.bytes !== bytes.length) throw new CorruptDataError(`log table: ${bytes.length} bytes, not ${head.bytes}`)
  const chunks: TablePartChunk[] = []
  const ranges = new Map<number, { from: number; to: number }[]>()
  for (const [i, chunk] of head.chunks.entries()) {
    if (i % stepChunks === 0) await pause()
    if (!keeps(chunk)) continue
    const { ref, entries, blockLogs, places, whole, columnsAt, columnsBytes } = chunk
    const columns =
      columnsBytes === 0
        ? new Uint8Array(0)
        : checked(bytes.subarray(columnsAt, columnsAt + columnsBytes + checksumBytes), 'columns')
    chunks.push({ ref, entries, blockLogs, columns, whole })
    for (let b = 0; b < blockLogs.length; b++) takePlace(ranges, blockLogs[b]!, places[b]!)
  }
  const rows = new Map<number, RowSource>()
  for (const [log2, taken] of ranges) {
    const group = head.groups.get(log2)!
    for (let page = 0; page < (1 << log2) / group.rowsOfPage; page++) {
      const { from, length } = rangeOfPage(group, page)
      checked(bytes.subarray(from, from + length), 'rows')
      await pause()
    }
    const bitOf = (row: number): number => {
      const { page, bit } = placeOfRow(group, row)
      return rangeOfPage(group, page).from * 8 + bit
    }
    rows.set(log2, { bytes, bitOf, ranges: taken })
  }
  return { chunks, rows }
}

function takePlace(ranges: Map<number, { from: number; to: number }[]>, log2: number, place: number): void {
  const list = ranges.get(log2) ?? []
  const last = list.at(-1)
  if (last?.to === place) last.to++
  else list.push({ from: place, to: place + 1 })
  ranges.set(log2, list)
}

/** A table of the chunks of all parts, in their order; `others` are named in it. */
export async function encodeTable(
  others: readonly OtherTable[],
  parts: readonly TablePart[],
  pause: () => Promise<void>,
): Promise<{ bytes: Uint8Array; headBytes: number }> {
  const chunks = parts.flatMap(part => part.chunks)
  const head = await encodeHead(others, chunks, pause)
  const counts = new Uint32Array(bitsLog2 + 1)
  for (const { blockLogs } of chunks) for (const log2 of blockLogs) counts[log2]!++
  const groups = groupsOf(counts, head.length)
  const columnsAt = [...groups.values()].reduce((end, group) => Math.max(end, groupEnd(group)), head.length)
  const columnsBytes = chunks.reduce((sum, { columns: { length } }) => sum + (length === 0 ? 0 : length + 4), 0)
  const out = new ByteWriter(columnsAt + columnsBytes)
  out.writeBytes(head)
  for (const group of groups.values()) {
    const sources = parts.map(part => part.rows.get(group.log2)).filter(source => source !== undefined)
    await writeRows(out, group, sources, pause)
  }
  for (const [i, { columns }] of chunks.entries()) {
    if (i % stepChunks === 0) await pause()
    if (columns.length === 0) continue
    out.writeBytes(columns)
    out.writeU32(crc32c(columns))
  }
  return { bytes: out.bytes(), headBytes: head.length }
}

async function writeRows(
  out: ByteWriter,
  group: RowGroup,
  sources: readonly RowSource[],
  pause: () => Promise<void>,
): Promise<void> {
  const { log2, rowBits, rowsOfPage, pageBytes } = group
  for (let row = 0; row < 1 << log2; row += rowsOfPage) {
    const page = new Uint8Array(pageBytes)
    for (let k = 0; k < rowsOfPage; k++) {
      let bit = k * rowBits
      for (const { bytes, bitOf, ranges } of sources) {
        const at = bitOf(row + k)
        for (const { from, to } of ranges) {
          addBits(bytes, at + from, page, bit, to - from)
          bit += to - from
        }
      }
    }
    out.writeBytes(page)
    out.writeU32(crc32c(page))
    await pause()
  }
}

async function encodeHead(
  others: readonly OtherTable[],
  chunks: readonly TablePartChunk[],
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const out = new ByteWriter(256 + chunks.length * 128)
  out.writeU32(magic)
  out.writeU8(written)
  out.writeU32(0)
  out.writeUvarint(others.length)
  for (const { key, headBytes, bytes } of others) {
    writeText(out, key)
    out.writeUvarint(headBytes)
    out.writeUvarint(bytes)
  }
  const numberOf = await writeCombinations(out, chunks, pause)
  out.writeUvarint(chunks.length)
  for (const [i, chunk] of chunks.entries()) {
    if (i % stepChunks === 0) await pause()
    writeChunk(out, chunk, numberOf)
  }
  new DataView(out.buffer.buffer, out.buffer.byteOffset).setUint32(5, out.at + checksumBytes)
  out.writeU32(crc32c(out.buffer, 0, out.at))
  return out.copy()
}

/** Writes each combination of metadata once; returns their numbers. */
async function writeCombinations(
  out: ByteWriter,
  chunks: readonly TablePartChunk[],
  pause: () => Promise<void>,
): Promise<ReadonlyMap<string, number>> {
  const numberOf = new Map<string, number>()
  const list: (readonly string[])[] = []
  for (const [i, { whole }] of chunks.entries()) {
    if (i % stepChunks === 0) await pause()
    for (const combination of whole?.combinations ?? []) {
      const key = JSON.stringify(combination)
      if (numberOf.has(key)) continue
      numberOf.set(key, list.length)
      list.push(combination)
    }
  }
  out.writeUvarint(list.length)
  for (const combination of list) {
    out.writeUvarint(combination.length)
    for (const text of combination) writeText(out, text)
  }
  return numberOf
}

function writeChunk(out: ByteWriter, chunk: TablePartChunk, numberOf: ReadonlyMap<string, number>): void {
  const { ref, entries, blockLogs, columns, whole } = chunk
  writeText(out, ref.fingerprint)
  out.writeF64(ref.fromMs)
  out.writeF64(ref.throughMs)
  out.writeU32(ref.checksum)
  out.writeUvarint(entries)
  out.writeUvarint(blockLogs.length)
  out.writeBytes(blockLogs)
  out.writeUvarint(columns.length)
  const sums = whole?.block.combinations ?? []
  out.writeUvarint(sums.length)
  if (whole === undefined || sums.length === 0) return
  const { minMs, minSubNs, maxMs, maxSubNs } = whole.block
  writeTime(out, minMs, minSubNs)
  writeTime(out, maxMs, maxSubNs)
  for (const { number, lines, bytes } of sums) {
    out.writeUvarint(numberOf.get(JSON.stringify(whole.combinations[number]))!)
    out.writeUvarint(lines)
    out.writeUvarint(bytes)
  }
}
