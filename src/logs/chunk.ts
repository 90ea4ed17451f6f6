/**
 * A chunk object: an envelope (labels as JSON) around the inner chunk (blocks of lines). Source:
 * docs/formats/loki-chunk.md. Reads formats 1 to 4 and every codec, writes format 4.
 */
import {
  deflateRawSync,
  gunzipSync,
  gzipSync,
  inflateRawSync,
  zstdCompressSync,
  zstdDecompressSync,
  constants,
} from 'node:zlib'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { TimeCursor, writeTime } from '#codec/log-time.ts'
import { decodeLz4Frame } from '#codec/lz4.ts'
import { decodeSnappyFrames, encodeSnappyFrames } from '#codec/snappy-frame.ts'
import { CorruptDataError, LimitError, messageOf } from '#core/errors.ts'
import { decodeUtf8, encodeUtf8 } from '#core/text.ts'
import { setOwn } from '#core/own.ts'
import type { Labels } from '#model/labels.ts'

export const codecs = {
  none: 0,
  gzip: 1,
  lz4_64k: 3,
  snappy: 4,
  lz4_256k: 5,
  lz4_1m: 6,
  lz4_4m: 7,
  flate: 8,
  zstd: 9,
} as const
export type ChunkCodec = keyof typeof codecs

const magic = 0x012ee56a
/**
 * What a block may unfold to: Loki cuts them at 256 KiB, one line may have 256 KiB by default, others' limits may be
 * larger.
 */
const blockBytesMax = 1024 * 1024 * 1024
/**
 * Lines repeat stretches of six bytes and more. Level 1 for as many bytes, but with them said outright: it would take
 * stretches of seven, which costs more time and more bytes.
 */
const zstdParameters = {
  [constants.ZSTD_c_compressionLevel]: 1,
  [constants.ZSTD_c_strategy]: constants.ZSTD_fast,
  [constants.ZSTD_c_windowLog]: 18,
  [constants.ZSTD_c_hashLog]: 14,
  [constants.ZSTD_c_minMatch]: 6,
}

export function compress(codec: number, bytes: Uint8Array): Uint8Array {
  switch (codec) {
    case codecs.none:
      return bytes
    case codecs.gzip:
      return gzipSync(bytes)
    case codecs.flate:
      return deflateRawSync(bytes)
    case codecs.snappy:
      return bytes.length === 0 ? bytes : encodeSnappyFrames(bytes)
    case codecs.zstd:
      // The target is allocated once, where what comes out has half of the size or less.
      return zstdCompressSync(bytes, {
        params: zstdParameters,
        pledgedSrcSize: bytes.length,
        chunkSize: Math.max(1024, bytes.length >>> 1),
      })
    default:
      throw new CorruptDataError(`log chunk: codec ${codec} is not written here`)
  }
}

/** `expected`: about how many bytes it will be, where that is known: the target is then allocated once. */
export function decompress(codec: number, bytes: Uint8Array, expected = 65_536): Uint8Array {
  try {
    switch (codec) {
      case codecs.none:
        return bytes
      case codecs.gzip:
        return gunzipSync(bytes, { maxOutputLength: blockBytesMax })
      case codecs.flate:
        return inflateRawSync(bytes, { maxOutputLength: blockBytesMax })
      case codecs.snappy:
        return decodeSnappyFrames(bytes, blockBytesMax)
      case codecs.zstd:
        return zstdDecompressSync(bytes, { maxOutputLength: blockBytesMax, chunkSize: Math.max(1024, expected) })
      case codecs.lz4_64k:
      case codecs.lz4_256k:
      case codecs.lz4_1m:
      case codecs.lz4_4m:
        return decodeLz4Frame(bytes, blockBytesMax)
      default:
        throw new CorruptDataError(`log chunk: codec ${codec} is not known`)
    }
  } catch (error) {
    if (error instanceof CorruptDataError || error instanceof LimitError) throw error
    throw new CorruptDataError(`log chunk: a block can't be decompressed: ${messageOf(error)}`, { cause: error })
  }
}

/** A block as the metas section describes it. Times: whole milliseconds and nanoseconds within. */
export interface BlockInfo {
  entries: number
  minMs: number
  minSubNs: number
  maxMs: number
  maxSubNs: number
  /** From the start of the inner chunk. */
  offset: number
  /** sum of  (line bytes + 8 · pairs). */
  size: number
  length: number
}

/** A block with its bytes, on its way into a chunk. */
export interface PackedBlock extends Omit<BlockInfo, 'offset' | 'length'> {
  packed: Uint8Array
}

/** The inner chunk, opened. Blocks are decompressed when they are read. */
export class InnerChunk {
  readonly version: number
  readonly codec: number
  readonly blocks: readonly BlockInfo[]
  readonly #bytes: Uint8Array
  readonly #symbolsAt: number
  readonly #symbolsLength: number
  #symbols: readonly string[] | undefined
  readonly #checked: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    const head = new ByteReader(bytes)
    if (head.readU32() !== magic) throw new CorruptDataError('log chunk: not a log chunk')
    this.version = head.readU8()
    if (this.version < 1 || this.version > 4)
      throw new CorruptDataError(`log chunk: format ${this.version} is not known`)
    this.codec = this.version === 1 ? codecs.gzip : head.readU8()
    this.#symbolsAt = 0
    this.#symbolsLength = 0
    let metasAt: number, metasLength: number
    if (this.version === 4) {
      const foot = new ByteReader(bytes, Math.max(0, bytes.length - 32))
      foot.need(32)
      this.#symbolsLength = foot.readU64()
      this.#symbolsAt = foot.readU64()
      metasLength = foot.readU64()
      metasAt = foot.readU64()
    } else {
      metasAt = new ByteReader(bytes, Math.max(0, bytes.length - 8)).readU64()
      metasLength = bytes.length - 12 - metasAt
    }
    if (metasLength < 0) throw new CorruptDataError('log chunk: the footer points outside')
    this.blocks = this.#readMetas(section(bytes, metasAt, metasLength, 'metas'))
    this.#checked = new Uint8Array(this.blocks.length)
  }

  #readMetas(input: ByteReader): BlockInfo[] {
    const count = input.readUvarint()
    if (count > input.end - input.at)
      throw new CorruptDataError(`log chunk: ${count} blocks in ${input.end - input.at} bytes`)
    const blocks: BlockInfo[] = []
    const time = new TimeCursor()
    for (let i = 0; i < count; i++) {
      const entries = input.readUvarint()
      input.at = time.read(input.bytes, input.at, input.end)
      const { ms: minMs, subNs: minSubNs } = time
      input.at = time.read(input.bytes, input.at, input.end)
      if (input.at > input.end) throw new CorruptDataError('log chunk: a block meta is cut off')
      const offset = input.readUvarint()
      const size = this.version >= 3 ? input.readUvarint() : 0
      const length = input.readUvarint()
      blocks.push({ entries, minMs, minSubNs, maxMs: time.ms, maxSubNs: time.subNs, offset, size, length })
    }
    return blocks
  }

  /** Names and values of structured metadata, by number. */
  symbols(): readonly string[] {
    return (this.#symbols ??=
      this.version < 4
        ? []
        : decodeSymbols(section(this.#bytes, this.#symbolsAt, this.#symbolsLength, 'symbol'), this.codec))
  }

  /** A block's entries, decompressed and checked. */
  readBlock(i: number): Uint8Array {
    const { offset, length, size, entries } = this.blocks[i]!
    // Once is enough: the object does not change.
    if (this.#checked[i] === 0) {
      section(this.#bytes, offset, length, 'block')
      this.#checked[i] = 1
    }
    return decompress(this.codec, this.#bytes.subarray(offset, offset + length), size + entries * 24 + 256)
  }
}

/** `length` bytes at `at` with their checksum behind them. */
function section(bytes: Uint8Array, at: number, length: number, name: string): ByteReader {
  if (at + length + 4 > bytes.length) throw new CorruptDataError(`log chunk: the ${name} section lies outside`)
  const expected = new ByteReader(bytes, at + length).readU32()
  if (crc32c(bytes, at, at + length) !== expected)
    throw new CorruptDataError(`log chunk: the ${name} section at ${at} has a wrong checksum`)
  return new ByteReader(bytes, at, at + length)
}

function decodeSymbols(input: ByteReader, codec: number): string[] {
  const count = input.readUvarint()
  if (count === 0) return []
  const inner = new ByteReader(decompress(codec, input.bytes.subarray(input.at, input.end)))
  if (count > inner.end) throw new CorruptDataError(`log chunk: ${count} symbols in ${inner.end} bytes`)
  const symbols: string[] = []
  for (let i = 0; i < count; i++) {
    const length = inner.readLength()
    symbols.push(
      decodeUtf8(inner.bytes, inner.at, inner.at + length) ??
        Buffer.from(inner.bytes.subarray(inner.at, inner.at + length)).toString('utf8'),
    )
    inner.at += length
  }
  return symbols
}

/**
 * The inner chunk of these blocks, in the order given. `symbols` must be the table that the blocks' entries refer to.
 */
export function encodeInnerChunk(
  codec: number,
  symbols: readonly string[],
  blocks: readonly PackedBlock[],
): Uint8Array {
  const out = new ByteWriter(blocks.reduce((sum, block) => sum + block.packed.length + 64, 1024))
  out.writeU32(magic)
  out.writeU8(4)
  out.writeU8(codec)
  const symbolsAt = out.at
  out.writeUvarint(symbols.length)
  const table = new ByteWriter(1024)
  for (const symbol of symbols) {
    const text = encodeUtf8(symbol)
    table.writeUvarint(text.length)
    table.writeBytes(text)
  }
  out.writeBytes(compress(codec, table.bytes()))
  const symbolsLength = out.at - symbolsAt
  out.writeU32(crc32c(out.buffer, symbolsAt, out.at))
  const metas = new ByteWriter(64 * blocks.length + 16)
  metas.writeUvarint(blocks.length)
  for (const block of blocks) {
    metas.writeUvarint(block.entries)
    writeTime(metas, block.minMs, block.minSubNs)
    writeTime(metas, block.maxMs, block.maxSubNs)
    metas.writeUvarint(out.at)
    metas.writeUvarint(block.size)
    metas.writeUvarint(block.packed.length)
    const from = out.at
    out.writeBytes(block.packed)
    out.writeU32(crc32c(out.buffer, from, out.at))
  }
  const metasAt = out.at
  out.writeBytes(metas.bytes())
  out.writeU32(crc32c(out.buffer, metasAt, out.at))
  out.writeU64(symbolsLength)
  out.writeU64(symbolsAt)
  out.writeU64(metas.at)
  out.writeU64(metasAt)
  return out.bytes()
}

/**
 * What identifies a chunk in bucket and index. Times are inclusive milliseconds; `fingerprint` is lower-case hex
 * without leading zeros.
 */
export interface ChunkRef {
  fingerprint: string
  fromMs: number
  throughMs: number
  checksum: number
}

/** A chunk object around an inner chunk. Its checksum is CRC-32C over all of it. */
export function encodeChunkObject(
  tenant: string,
  fingerprint: bigint,
  labels: Labels,
  fromMs: number,
  throughMs: number,
  inner: Uint8Array,
): { bytes: Uint8Array; checksum: number } {
  const metric: Record<string, string> = { __name__: 'logs' }
  const pairs = labels.pairs
  for (let i = 0; i < pairs.length; i += 2) setOwn(metric, pairs[i]!, pairs[i + 1]!)
  // The fingerprint exceeds what a JSON number of JavaScript holds: it is put in as text.
  const json =
    `{"fingerprint":${fingerprint},"userID":${JSON.stringify(tenant)},` +
    `"from":${seconds(fromMs)},"through":${seconds(throughMs)},` +
    `"metric":${JSON.stringify(metric)},"ingestedAt":0,"encoding":129}\n`
  const framed = encodeSnappyFrames(encodeUtf8(json))
  const out = new ByteWriter(framed.length + inner.length + 8)
  out.writeU32(framed.length + 4)
  out.writeBytes(framed)
  out.writeU32(inner.length)
  out.writeBytes(inner)
  const bytes = out.bytes()
  return { bytes, checksum: crc32c(bytes) }
}

function seconds(ms: number): string {
  const rest = ((ms % 1000) + 1000) % 1000
  return rest === 0
    ? String(ms / 1000)
    : `${ms < 0 ? ms / 1000 : `${Math.floor(ms / 1000)}.${String(rest).padStart(3, '0')}`}`
}

/**
 * The inner chunk of an object. Blocks and sections have checksums of their own: the object's is not computed again.
 */
export function openChunkObject(bytes: Uint8Array): InnerChunk {
  const input = new ByteReader(bytes)
  const metaLength = input.readU32()
  // Both ways of counting are met: with and without the four bytes of the length itself.
  for (const at of [metaLength, metaLength + 4]) {
    if (at < 4 || at + 8 > bytes.length) continue
    const dataLength = new ByteReader(bytes, at).readU32()
    if (at + 4 + dataLength === bytes.length) return new InnerChunk(bytes.subarray(at + 4))
  }
  throw new CorruptDataError('log chunk: the lengths of envelope and data do not add up')
}

/** The metadata of an object, as JSON text. */
export function chunkMetadata(bytes: Uint8Array): string {
  const input = new ByteReader(bytes)
  const metaLength = input.readU32()
  input.need(metaLength - 4)
  return Buffer.from(decodeSnappyFrames(bytes.subarray(4, metaLength), 1024 * 1024)).toString('utf8')
}

/**
 * `<tenant>/<fingerprint>/<from>:<through>:<checksum>`; in a directory the last part is base64, as Loki's file store
 * has it.
 */
export function chunkKey(tenant: string, ref: ChunkRef, isBase64: boolean): string {
  const name = `${ref.fromMs.toString(16)}:${ref.throughMs.toString(16)}:${ref.checksum.toString(16)}`
  return `${tenant}/${ref.fingerprint}/${isBase64 ? Buffer.from(name).toString('base64') : name}`
}

/** The same as schema v11 has it: `<tenant>/<fingerprint>:<from>:<through>:<checksum>`. */
export function oldChunkKey(tenant: string, ref: ChunkRef, isBase64: boolean): string {
  const { fingerprint, fromMs, throughMs, checksum } = ref
  const name = `${fingerprint}:${fromMs.toString(16)}:${throughMs.toString(16)}:${checksum.toString(16)}`
  return `${tenant}/${isBase64 ? Buffer.from(name).toString('base64') : name}`
}

/** Where a chunk's token filter lies: beside it, under a name that the open format does not know. */
export function filterKey(tenant: string, ref: ChunkRef, isBase64: boolean): string {
  return filterBeside(chunkKey(tenant, ref, isBase64))
}

/** The same, from the key of the chunk. */
export function filterBeside(key: string): string {
  return `${key}.tercet-tokens`
}
