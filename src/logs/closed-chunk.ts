/** Finished chunks: made of the blocks of an open one, and put in order where lines came out of order. */
import { bitmapOf } from '#codec/gram-bitmap.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { freeBytes } from '#core/freed-bytes.ts'
import { sharedCopy } from '#core/shared-bytes.ts'
import { compareBytes } from '#core/text.ts'
import type { Labels } from '#model/labels.ts'
import { BlockLines } from './block-lines.ts'
import {
  codecs,
  compress,
  encodeChunkObject,
  encodeInnerChunk,
  openChunkObject,
  type ChunkRef,
  type PackedBlock,
} from './chunk.ts'
import { columnsOf, encodeColumns, type BlockColumns } from './line-columns.ts'
import { encodeFilter, foldBitmap } from './token-filter.ts'

/** As Loki cuts them: a block at 256 KiB of lines. */
export const blockBytes = 256 * 1024

/** A finished chunk that the bucket does not list yet. Its bytes may have been moved to the disk. */
export interface ClosedChunk {
  ref: ChunkRef
  /** Undefined: they are in the file `path`. */
  bytes: Uint8Array | undefined
  /** Its token filter, as it will lie beside it. Undefined: it is in the file `filterPathOf(path)`. */
  filter: Uint8Array | undefined
  path: string | undefined
  size: number
  kilobytes: number
  entries: number
  /** Its blocks overlap in time: they are put in order before it goes into the bucket. */
  overlaps: boolean
}

/** Where the token filter of a chunk waits that waits on the disk. */
export function filterPathOf(path: string): string {
  return `${path}.tokens`
}

/** Whose chunk it is. */
export interface ChunkOwner {
  tenant: string
  fingerprint: bigint
  labels: Labels
}

/** Blocks of a chunk, what lies beside it of each, and whether the blocks overlap in time. */
interface ChunkBlocks {
  blocks: readonly PackedBlock[]
  bitmaps: readonly Uint8Array[]
  columns: readonly (BlockColumns | undefined)[]
  overlaps: boolean
}

/** A chunk of one block or more; `symbols` is the table that their entries refer to. */
export function closeBlocks(
  { tenant, fingerprint, labels }: ChunkOwner,
  symbols: readonly string[],
  { blocks, bitmaps, columns, overlaps }: ChunkBlocks,
): ClosedChunk {
  const { fromMs, throughMs } = timesOf(blocks)
  const inner = encodeInnerChunk(codecs.zstd, symbols, blocks)
  const object = encodeChunkObject(tenant, fingerprint, labels, fromMs, throughMs, inner)
  const { checksum } = object
  const bytes = sharedCopy(object.bytes)
  freeBytes(inner)
  freeBytes(object.bytes)
  const size = blocks.reduce((sum, b) => sum + b.size, 0) + symbols.reduce((sum, s) => sum + s.length, 0)
  return {
    ref: { fingerprint: fingerprint.toString(16), fromMs, throughMs, checksum },
    bytes,
    filter: encodeFilter(bitmaps, encodeColumns(blocks, columns, symbols)),
    path: undefined,
    size: bytes.length,
    kilobytes: Math.round(size / 1024),
    entries: blocks.reduce((sum, b) => sum + b.entries, 0),
    overlaps,
  }
}

/** The end is rounded up: it is inclusive, and whole milliseconds. */
function timesOf(blocks: readonly PackedBlock[]): { fromMs: number; throughMs: number } {
  let fromMs = Infinity
  let throughMs = -Infinity
  for (const { minMs, maxMs, maxSubNs } of blocks) {
    fromMs = Math.min(fromMs, minMs)
    throughMs = Math.max(throughMs, maxMs + (maxSubNs > 0 ? 1 : 0))
  }
  return { fromMs, throughMs }
}

/** The same lines in blocks in order of time, from the object of a chunk whose blocks overlap. */
export function orderChunk(owner: ChunkOwner, object: Uint8Array): ClosedChunk {
  const inner = openChunkObject(object)
  const whole = new ByteWriter(inner.blocks.reduce((sum, { size }) => sum + size, 4096))
  let entries = 0
  for (let i = 0; i < inner.blocks.length; i++) {
    whole.writeBytes(inner.readBlock(i))
    entries += inner.blocks[i]!.entries
  }
  const sorted = sortEntries(whole.bytes(), entries)
  const packed = packBlocks(sorted.bytes, sorted.entries)
  return closeBlocks(owner, inner.symbols(), {
    blocks: packed.map(({ block }) => block),
    bitmaps: packed.map(({ bitmap }) => bitmap),
    columns: packed.map(({ columns }) => columns),
    overlaps: false,
  })
}

/** The same entries in order of time, equal times as they came; entries that are equal altogether stand once. */
export function sortEntries(bytes: Uint8Array, entries: number): { bytes: Uint8Array; entries: number } {
  const lines = new BlockLines(bytes, entries, true)
  const { timesMs, subNs, pairsTo } = lines
  const order = Uint32Array.from({ length: entries }, (_, i) => i)
  order.sort((a, b) => timesMs[a]! - timesMs[b]! || subNs[a]! - subNs[b]! || a - b)
  const startOf = (i: number): number => (i === 0 ? 0 : pairsTo[i - 1]!)
  const out = new Uint8Array(bytes.length)
  let at = 0
  let kept = 0
  let runFrom = 0
  for (let k = 0; k < entries; k++) {
    const i = order[k]!
    if (k > 0 && (timesMs[i] !== timesMs[order[k - 1]!] || subNs[i] !== subNs[order[k - 1]!])) runFrom = k
    let isDouble = false
    for (let r = runFrom; r < k && !isDouble; r++)
      isDouble = compareBytes(bytes, startOf(order[r]!), pairsTo[order[r]!]!, bytes, startOf(i), pairsTo[i]!) === 0
    if (isDouble) continue
    out.set(bytes.subarray(startOf(i), pairsTo[i]!), at)
    at += pairsTo[i]! - startOf(i)
    kept++
  }
  return { bytes: out.subarray(0, at), entries: kept }
}

interface OrderedBlock {
  block: PackedBlock
  bitmap: Uint8Array
  columns: BlockColumns | undefined
}

/** Blocks of the usual size, and what lies beside them, from entries in order. */
function packBlocks(bytes: Uint8Array, entries: number): OrderedBlock[] {
  const blocks: OrderedBlock[] = []
  const lines = new BlockLines(bytes, entries, true)
  for (let from = 0; from < entries;) {
    const startAt = from === 0 ? 0 : lines.pairsTo[from - 1]!
    let to = from
    let size = 0
    while (to < entries && (to === from || lines.pairsTo[to]! - startAt <= blockBytes)) {
      size += lines.lineTo[to]! - lines.lineFrom[to]! + pairCount(lines, to) * 8
      to++
    }
    const text = bytes.subarray(startAt, lines.pairsTo[to - 1]!)
    const block = {
      entries: to - from,
      minMs: lines.timesMs[from]!,
      minSubNs: lines.subNs[from]!,
      maxMs: lines.timesMs[to - 1]!,
      maxSubNs: lines.subNs[to - 1]!,
      size,
      packed: new Uint8Array(compress(codecs.zstd, text)),
    }
    blocks.push({ block, bitmap: foldBitmap(bitmapOf(text, to - from)), columns: columnsOf(text, to - from) })
    from = to
  }
  return blocks
}

function pairCount(lines: BlockLines, i: number): number {
  return lines.pairsFrom[i]! < lines.pairsTo[i]! ? lines.bytes[lines.pairsFrom[i]!]! & 127 : 0
}
