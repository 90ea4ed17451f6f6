/**
 * What can be counted of a chunk's lines without reading them: the second, the metadata and the length of each, and how
 * many lines and bytes each combination of metadata has in a block. Lies in the tables of docs/formats/log-table.md.
 */
import { zstdDecompressSync } from 'node:zlib'
import { plainColumnsOf } from '#codec/block-columns.ts'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { TimeCursor, writeTime } from '#codec/log-time.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import { decodeUtf8, encodeUtf8 } from '#core/text.ts'
import { codecs, compress, type BlockInfo } from './chunk.ts'

/** A number of a combination is one byte. A block that needs more of them has no columns. */
export const combinationsMax = 255
/** Texts of a chunk's combinations, which are not compressed. A block that needs more of them has no columns. */
export const combinationTextMax = 64 * 1024
const hasColumns = 1
/** A block's entries are as many as its bytes at most; that of the largest line has 1 GiB. */
const columnBytesMax = 1024 * 1024 * 1024
/** A column is allocated in steps of no more: what says its size may be damaged. */
const unpackedAtOnce = 4 * 1024 * 1024

/** How many lines and bytes of lines have one combination of metadata. */
interface Combined {
  /** Numbers of symbols, names and values in turn. */
  refs: readonly number[]
  lines: number
  bytes: number
}

/** A column of one block, compressed, and its bytes before that. */
interface PackedColumn {
  packed: Uint8Array
  size: number
}

/** The columns of one block. */
export interface BlockColumns {
  /**
   * By line a LEB128 number: (2 · seconds since the line before it, or since the second of the block's first, + is the
   * time a whole second?) · combinations + the place of its combination among them.
   */
  moments: PackedColumn
  /** Bytes of each line, LEB128. */
  lengths: PackedColumn
  combinations: readonly Combined[]
  /** Bytes of memory, about. */
  heldBytes: number
}

/** The columns of a block of format 4; undefined when its lines have too many combinations, or are out of order. */
export function columnsOf(block: Uint8Array, entries: number): BlockColumns | undefined {
  const plain = plainColumnsOf(block, entries)
  if (plain === undefined) return undefined
  const moments = pack(plain.moments)
  const lengths = pack(plain.lengths)
  const combinations = plain.metadata.map(({ from, length, lines, bytes }) => ({
    refs: refsOf(block, from, from + length),
    lines,
    bytes,
  }))
  const heldBytes = moments.packed.length + lengths.packed.length + combinations.length * 100 + 300
  return { moments, lengths, combinations, heldBytes }
}

function pack(bytes: Uint8Array): PackedColumn {
  return { packed: new Uint8Array(compress(codecs.zstd, bytes)), size: bytes.length }
}

function refsOf(block: Uint8Array, from: number, to: number): number[] {
  if (from >= to) return []
  const input = new ByteReader(block, from, to)
  const refs: number[] = []
  for (let k = input.readUvarint() * 2; k > 0; k--) refs.push(input.readUvarint())
  return refs
}

/** Combinations of a chunk, numbered as they are met. */
class CombinationTable {
  readonly list: (readonly number[])[] = []
  readonly #numberOf = new Map<string, number>()
  readonly #symbols: readonly string[]
  #textBytes = 0

  constructor(symbols: readonly string[]) {
    this.#symbols = symbols
  }

  /** The chunk's numbers of a block's combinations; undefined when they do not fit in any more. */
  numbersOf(combinations: readonly Combined[]): number[] | undefined {
    const fresh = new Map(combinations.map(({ refs }) => [refs.join(), refs]))
    for (const key of this.#numberOf.keys()) fresh.delete(key)
    let textBytes = this.#textBytes
    for (const refs of fresh.values())
      for (const ref of refs) textBytes += Buffer.byteLength(this.#symbols[ref] ?? '') + 1
    if (this.list.length + fresh.size > combinationsMax || textBytes > combinationTextMax) return undefined
    this.#textBytes = textBytes
    return combinations.map(({ refs }) => {
      const key = refs.join()
      let number = this.#numberOf.get(key)
      if (number === undefined) {
        number = this.list.push(refs) - 1
        this.#numberOf.set(key, number)
      }
      return number
    })
  }
}

/** Blocks of a chunk with their columns; no bytes when no block has some. `symbols`: what the refs are of. */
export function encodeColumns(
  blocks: readonly Omit<BlockInfo, 'offset' | 'length'>[],
  columns: readonly (BlockColumns | undefined)[],
  symbols: readonly string[],
): Uint8Array {
  if (columns.every(one => one === undefined)) return new Uint8Array(0)
  const table = new CombinationTable(symbols)
  const heads = new ByteWriter(blocks.length * 128)
  const packed = new ByteWriter(4096)
  blocks.forEach((block, i) => {
    const own = columns[i]
    const numbers = own === undefined ? undefined : table.numbersOf(own.combinations)
    heads.writeUvarint(block.entries)
    writeTime(heads, block.minMs, block.minSubNs)
    writeTime(heads, block.maxMs, block.maxSubNs)
    if (own === undefined || numbers === undefined) {
      heads.writeU8(0)
      return
    }
    heads.writeU8(hasColumns)
    heads.writeUvarint(own.combinations.length)
    own.combinations.forEach(({ lines, bytes }, k) => {
      heads.writeU8(numbers[k]!)
      heads.writeUvarint(lines)
      heads.writeUvarint(bytes)
    })
    for (const column of [own.moments, own.lengths]) {
      heads.writeUvarint(column.size)
      heads.writeUvarint(column.packed.length)
      packed.writeBytes(column.packed)
    }
  })
  const out = new ByteWriter(heads.at + packed.at + 1024)
  writeCombinations(out, table.list, symbols)
  out.writeBytes(heads.bytes())
  out.writeBytes(packed.bytes())
  return out.copy()
}

function writeCombinations(out: ByteWriter, list: readonly (readonly number[])[], symbols: readonly string[]): void {
  out.writeUvarint(list.length)
  for (const refs of list) {
    out.writeUvarint(refs.length)
    for (const ref of refs) {
      const text = encodeUtf8(symbols[ref] ?? '')
      out.writeUvarint(text.length)
      out.writeBytes(text)
    }
  }
}

/** Lines and bytes of lines of one combination, by its number. */
export interface CountedCombination {
  readonly number: number
  readonly lines: number
  readonly bytes: number
}

/** A block as its columns tell of it. Times are whole milliseconds and nanoseconds within. */
export interface CountedBlock {
  readonly entries: number
  readonly minMs: number
  readonly minSubNs: number
  readonly maxMs: number
  readonly maxSubNs: number
  /** False: nothing but this is known, its lines must be read. */
  readonly hasColumns: boolean
  /** Of each combination that the block has. */
  readonly combinations: readonly CountedCombination[]
  /** Where its columns are, and how many bytes they have unpacked. */
  readonly moments: ColumnPlace
  readonly lengths: ColumnPlace
}

interface ColumnPlace {
  readonly at: number
  readonly length: number
  readonly size: number
}

/** Of each line of a block its time, rounded, and the number of its combination. */
export interface LineMoments {
  /**
   * Milliseconds: whole seconds are exact, and another time of a second is its first millisecond. Where it lies within
   * the second is not known.
   */
  readonly timesMs: Float64Array
  readonly numbers: Uint8Array
}

const two31 = 2 ** 31
const noColumn: ColumnPlace = { at: 0, length: 0, size: 0 }

/** Columns of a chunk. */
export class ChunkColumns {
  /** By number: names and values in turn, as they were sent. */
  readonly combinations: readonly (readonly string[])[]
  readonly blocks: readonly CountedBlock[]
  readonly #bytes: Uint8Array
  readonly #textBytes: number

  /** Throws CorruptDataError. */
  constructor(bytes: Uint8Array, blocks: number) {
    const input = new ByteReader(bytes)
    this.combinations = readCombinations(input)
    this.#textBytes = input.at
    const heads: CountedBlock[] = []
    let at = 0
    for (let i = 0; i < blocks; i++) {
      const head = readHead(input, at, this.combinations.length)
      at += head.moments.length + head.lengths.length
      heads.push(head)
    }
    this.blocks = heads
    this.#bytes = input.readBytes(at)
    if (input.at !== input.end) throw new CorruptDataError(`log columns: ${input.end - input.at} bytes too many`)
  }

  get heldBytes(): number {
    // They lie in the bytes, and as texts of two bytes a character.
    return this.#bytes.length + this.#textBytes * 3 + this.blocks.length * 400
  }

  #unpack({ at, length, size }: ColumnPlace): Uint8Array {
    if (size > columnBytesMax) throw new CorruptDataError(`log columns: ${size} bytes of a column`)
    return unpack(this.#bytes.subarray(at, at + length), size)
  }

  /** Of block `b`. Throws CorruptDataError. */
  moments(b: number): LineMoments {
    const { entries, minMs, moments, combinations } = this.blocks[b]!
    const column = this.#unpack(moments)
    const timesMs = readNumbers(column, entries)
    const numbers = new Uint8Array(entries)
    const count = combinations.length
    if (count === 0 && entries > 0) throw new CorruptDataError('log columns: lines without a combination')
    const numberOf = Uint8Array.from(combinations, ({ number }) => number)
    let second = Math.floor(minMs / 1000)
    for (let i = 0; i < entries; i++) {
      const value = timesMs[i]!
      // Almost all fit in 32 bits, where division costs less.
      const rest = value < two31 ? ((value | 0) / count) | 0 : Math.floor(value / count)
      const elapsed = Math.floor(rest / 2)
      second += elapsed
      numbers[i] = numberOf[value - rest * count]!
      timesMs[i] = second * 1000 + (rest - elapsed * 2 === 1 ? 0 : 1)
    }
    return { timesMs, numbers }
  }

  /** Bytes of each line of block `b`. Throws CorruptDataError. */
  lengths(b: number): Float64Array {
    const { lengths, entries } = this.blocks[b]!
    return readNumbers(this.#unpack(lengths), entries)
  }

  /** All lines of the chunk as one block; undefined where a block has no columns. */
  whole(): CountedBlock | undefined {
    const { blocks } = this
    if (blocks.length === 0 || !blocks.every(block => block.hasColumns)) return undefined
    const sums = this.combinations.map((_, number) => ({ number, lines: 0, bytes: 0 }))
    for (const { combinations } of blocks)
      for (const { number, lines, bytes } of combinations) {
        sums[number]!.lines += lines
        sums[number]!.bytes += bytes
      }
    const first = blocks.reduce((a, b) => (isBefore(b.minMs, b.minSubNs, a.minMs, a.minSubNs) ? b : a))
    const last = blocks.reduce((a, b) => (isBefore(a.maxMs, a.maxSubNs, b.maxMs, b.maxSubNs) ? b : a))
    return {
      entries: blocks.reduce((sum, { entries }) => sum + entries, 0),
      minMs: first.minMs,
      minSubNs: first.minSubNs,
      maxMs: last.maxMs,
      maxSubNs: last.maxSubNs,
      hasColumns: true,
      combinations: sums,
      moments: noColumn,
      lengths: noColumn,
    }
  }
}

function isBefore(ms: number, subNs: number, otherMs: number, otherSubNs: number): boolean {
  return ms < otherMs || (ms === otherMs && subNs < otherSubNs)
}

function readCombinations(input: ByteReader): string[][] {
  const count = input.readUvarint()
  if (count > combinationsMax) throw new CorruptDataError(`log columns: ${count} combinations`)
  return Array.from({ length: count }, () => {
    const texts: string[] = []
    const length = input.readUvarint()
    if (length > input.end - input.at) throw new CorruptDataError(`log columns: ${length} texts of a combination`)
    for (let k = 0; k < length; k++) {
      const text = input.readBytes(input.readLength())
      texts.push(decodeUtf8(text, 0, text.length) ?? Buffer.from(text).toString('utf8'))
    }
    return texts
  })
}

/** `at`: where the columns of the block begin. */
function readHead(input: ByteReader, at: number, combinationCount: number): CountedBlock {
  const entries = input.readUvarint()
  const time = new TimeCursor()
  input.at = time.read(input.bytes, input.at, input.end)
  const { ms: minMs, subNs: minSubNs } = time
  input.at = time.read(input.bytes, input.at, input.end)
  const { ms: maxMs, subNs: maxSubNs } = time
  const has = (input.readU8() & hasColumns) !== 0
  const combinations: CountedCombination[] = []
  let moments = noColumn
  let lengths = noColumn
  if (has) {
    for (let k = input.readUvarint(); k > 0; k--) {
      const number = input.readU8()
      if (number >= combinationCount) throw new CorruptDataError(`log columns: combination ${number} is not there`)
      combinations.push({ number, lines: input.readUvarint(), bytes: input.readUvarint() })
    }
    moments = readPlace(input, at)
    lengths = readPlace(input, at + moments.length)
  }
  return { entries, minMs, minSubNs, maxMs, maxSubNs, hasColumns: has, combinations, moments, lengths }
}

function readPlace(input: ByteReader, at: number): ColumnPlace {
  const size = input.readUvarint()
  return { at, size, length: input.readUvarint() }
}

function unpack(bytes: Uint8Array, size: number): Uint8Array {
  let unpacked: Uint8Array
  try {
    const chunkSize = Math.min(Math.max(1024, size + 64), unpackedAtOnce)
    unpacked = zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, size), chunkSize })
  } catch (error) {
    throw new CorruptDataError(`log columns: a column can't be unpacked: ${messageOf(error)}`, { cause: error })
  }
  if (unpacked.length !== size) throw new CorruptDataError(`log columns: ${unpacked.length} bytes instead of ${size}`)
  return unpacked
}

/** `count` LEB128 numbers, which are all of the bytes. */
function readNumbers(bytes: Uint8Array, count: number): Float64Array {
  const end = bytes.length
  if (count > end) throw new CorruptDataError(`log columns: ${count} numbers in ${end} bytes`)
  const numbers = new Float64Array(count)
  let at = 0
  for (let i = 0; i < count; i++) {
    let byte = at < end ? bytes[at++]! : 0
    let value = byte & 127
    for (let scale = 128; byte >= 128 && at < end; scale *= 128) {
      byte = bytes[at++]!
      value += (byte & 127) * scale
    }
    numbers[i] = value
  }
  if (at !== end) throw new CorruptDataError('log columns: a column has another length')
  return numbers
}
