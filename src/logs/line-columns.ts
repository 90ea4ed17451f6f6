/**
 * What can be counted of a chunk's lines without reading them: the time, the metadata and the length of each, and how
 * many lines and bytes each combination of metadata has in a block. Lies behind the bitmaps of the token filter; form:
 * docs/formats/log-token-filter.md.
 */
import { zstdDecompressSync } from 'node:zlib'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { TimeCursor, writeTime } from '#codec/log-time.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import { decodeUtf8, encodeUtf8 } from '#core/text.ts'
import { BlockLines } from './block-lines.ts'
import { codecs, compress, type BlockInfo } from './chunk.ts'

/** A number of a combination is one byte. A block that needs more of them has no columns. */
export const combinationsMax = 255
const hasColumns = 1
const isWholeMs = 2
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

/** The columns of one block, before they are packed. */
export interface BlockColumns {
  /** Milliseconds since the line before it, or since the block's first, LEB128. */
  times: Uint8Array
  /** Are all times whole milliseconds? Else the nanoseconds within them are left out. */
  isWholeMs: boolean
  /** By line: which of the combinations it has. */
  numbers: Uint8Array
  /** Bytes of each line, LEB128. */
  lengths: Uint8Array
  combinations: readonly Combined[]
  /** Bytes of memory, about. */
  heldBytes: number
}

/** The columns of a block of format 4; undefined when its lines have too many combinations, or are out of order. */
export function columnsOf(block: Uint8Array, entries: number): BlockColumns | undefined {
  const lines = new BlockLines(block, entries, true)
  const { timesMs, subNs, lineFrom, lineTo } = lines
  const times = new ByteWriter(entries * 2)
  const lengths = new ByteWriter(entries * 2)
  const numbers = new Uint8Array(entries)
  const combinations: Combined[] = []
  const numberOf = new Map<string, number>()
  let isWhole = true
  for (let i = 0; i < entries; i++) {
    const elapsed = i === 0 ? 0 : timesMs[i]! - timesMs[i - 1]!
    // Others' blocks may have lines out of order.
    if (elapsed < 0) return undefined
    times.writeUvarint(elapsed)
    if (subNs[i] !== 0) isWhole = false
    const bytes = lineTo[i]! - lineFrom[i]!
    lengths.writeUvarint(bytes)
    const key = Buffer.from(
      block.buffer,
      block.byteOffset + lines.pairsFrom[i]!,
      lines.pairsTo[i]! - lines.pairsFrom[i]!,
    ).toString('latin1')
    let number = numberOf.get(key)
    if (number === undefined) {
      number = combinations.length
      if (number === combinationsMax) return undefined
      numberOf.set(key, number)
      combinations.push({ refs: refsOf(block, lines.pairsFrom[i]!, lines.pairsTo[i]!), lines: 0, bytes: 0 })
    }
    const combined = combinations[number]!
    combined.lines++
    combined.bytes += bytes
    numbers[i] = number
  }
  const heldBytes = times.at + lengths.at + entries + combinations.length * 100 + 300
  return { times: times.copy(), isWholeMs: isWhole, numbers, lengths: lengths.copy(), combinations, heldBytes }
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

  /** The chunk's numbers of a block's combinations; undefined when they do not fit in any more. */
  numbersOf(combinations: readonly Combined[]): number[] | undefined {
    const fresh = new Set(combinations.map(({ refs }) => refs.join()).filter(key => !this.#numberOf.has(key)))
    if (this.list.length + fresh.size > combinationsMax) return undefined
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

/** Blocks of a chunk with their columns, packed; no bytes when no block has some. `symbols`: what the refs are of. */
export function encodeColumns(
  blocks: readonly Omit<BlockInfo, 'offset' | 'length'>[],
  columns: readonly (BlockColumns | undefined)[],
  symbols: readonly string[],
): Uint8Array {
  if (columns.every(one => one === undefined)) return new Uint8Array(0)
  const table = new CombinationTable()
  const heads = new ByteWriter(blocks.length * 128)
  const times = new ByteWriter(4096)
  const numbers = new ByteWriter(4096)
  const lengths = new ByteWriter(4096)
  blocks.forEach((block, i) => {
    const own = columns[i]
    const numberOf = own === undefined ? undefined : table.numbersOf(own.combinations)
    heads.writeUvarint(block.entries)
    writeTime(heads, block.minMs, block.minSubNs)
    writeTime(heads, block.maxMs, block.maxSubNs)
    if (own === undefined || numberOf === undefined) {
      heads.writeU8(0)
      return
    }
    heads.writeU8(hasColumns | (own.isWholeMs ? isWholeMs : 0))
    heads.writeUvarint(own.combinations.length)
    own.combinations.forEach((combined, k) => {
      heads.writeU8(numberOf[k]!)
      heads.writeUvarint(combined.lines)
      heads.writeUvarint(combined.bytes)
    })
    heads.writeUvarint(own.times.length)
    heads.writeUvarint(own.lengths.length)
    times.writeBytes(own.times)
    lengths.writeBytes(own.lengths)
    numbers.writeBytes(own.numbers.map(number => numberOf[number]!))
  })
  const out = new ByteWriter(heads.at + times.at + 4096)
  writeCombinations(out, table.list, symbols)
  out.writeBytes(heads.bytes())
  for (const column of [times, numbers, lengths]) {
    const packed = compress(codecs.zstd, column.bytes())
    out.writeUvarint(packed.length)
    out.writeBytes(packed)
  }
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

/** A block as its columns tell of it. Times are whole milliseconds and nanoseconds within. */
export interface CountedBlock {
  readonly entries: number
  readonly minMs: number
  readonly minSubNs: number
  readonly maxMs: number
  readonly maxSubNs: number
  /** False: nothing but this is known, its lines must be read. */
  readonly hasColumns: boolean
  /** Do the times of the column lack nothing? Else each line is up to a millisecond later. */
  readonly isWholeMs: boolean
  /** Of each combination that the block has: its number, and how many lines and bytes of lines have it. */
  readonly combinations: readonly { number: number; lines: number; bytes: number }[]
  /** Where its columns begin, and how long they are: of each line one number, and of times and lengths bytes. */
  readonly numbersAt: number
  readonly timesAt: number
  readonly timesLength: number
  readonly lengthsAt: number
  readonly lengthsLength: number
}

/** Columns of a chunk. What is unpacked is kept with it: it is made for one use. */
export class ChunkColumns {
  /** By number: names and values in turn, as they were sent. */
  readonly combinations: readonly (readonly string[])[]
  readonly blocks: readonly CountedBlock[]
  readonly #packed: { bytes: Uint8Array; size: number; unpacked: Uint8Array | undefined }[]

  /** Throws CorruptDataError. */
  constructor(bytes: Uint8Array, blocks: number) {
    const input = new ByteReader(bytes)
    this.combinations = readCombinations(input)
    const sizes = { times: 0, numbers: 0, lengths: 0 }
    this.blocks = Array.from({ length: blocks }, () => readHead(input, sizes, this.combinations.length))
    this.#packed = [sizes.times, sizes.numbers, sizes.lengths].map(size => {
      if (size > columnBytesMax) throw new CorruptDataError(`log columns: ${size} bytes of a column`)
      return { bytes: input.readBytes(input.readLength()), size, unpacked: undefined }
    })
    if (input.at !== input.end) throw new CorruptDataError(`log columns: ${input.end - input.at} bytes too many`)
  }

  #column(at: 0 | 1 | 2): Uint8Array {
    const column = this.#packed[at]!
    return (column.unpacked ??= unpack(column.bytes, column.size))
  }

  /** Whole milliseconds of a block's lines. Throws CorruptDataError. */
  times({ entries, minMs, timesAt, timesLength }: CountedBlock): Float64Array {
    const times = readNumbers(this.#column(0), timesAt, timesLength, entries)
    let ms = minMs
    for (let i = 0; i < entries; i++) times[i] = ms += times[i]!
    return times
  }

  /** Which combination each of a block's lines has. Throws CorruptDataError. */
  numbers({ entries, numbersAt }: CountedBlock): Uint8Array {
    return this.#column(1).subarray(numbersAt, numbersAt + entries)
  }

  /** Bytes of each of a block's lines. Throws CorruptDataError. */
  lengths({ entries, lengthsAt, lengthsLength }: CountedBlock): Float64Array {
    return readNumbers(this.#column(2), lengthsAt, lengthsLength, entries)
  }
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

function readHead(
  input: ByteReader,
  sizes: { times: number; numbers: number; lengths: number },
  combinationCount: number,
): CountedBlock {
  const entries = input.readUvarint()
  const time = new TimeCursor()
  input.at = time.read(input.bytes, input.at, input.end)
  const { ms: minMs, subNs: minSubNs } = time
  input.at = time.read(input.bytes, input.at, input.end)
  const { ms: maxMs, subNs: maxSubNs } = time
  const flags = input.readU8()
  const has = (flags & hasColumns) !== 0
  const combinations: { number: number; lines: number; bytes: number }[] = []
  let timesLength = 0
  let lengthsLength = 0
  const { numbers: numbersAt, times: timesAt, lengths: lengthsAt } = sizes
  if (has) {
    for (let k = input.readUvarint(); k > 0; k--) {
      const number = input.readU8()
      if (number >= combinationCount) throw new CorruptDataError(`log columns: combination ${number} is not there`)
      combinations.push({ number, lines: input.readUvarint(), bytes: input.readUvarint() })
    }
    timesLength = input.readUvarint()
    lengthsLength = input.readUvarint()
    sizes.times += timesLength
    sizes.numbers += entries
    sizes.lengths += lengthsLength
  }
  return {
    entries,
    minMs,
    minSubNs,
    maxMs,
    maxSubNs,
    hasColumns: has,
    isWholeMs: (flags & isWholeMs) !== 0,
    combinations,
    numbersAt,
    timesAt,
    timesLength,
    lengthsAt,
    lengthsLength,
  }
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

/** `count` LEB128 numbers from `length` bytes. */
function readNumbers(bytes: Uint8Array, from: number, length: number, count: number): Float64Array {
  if (count > length) throw new CorruptDataError(`log columns: ${count} numbers in ${length} bytes`)
  const numbers = new Float64Array(count)
  const end = from + length
  let at = from
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
