/**
 * The chunk of a stream that lines are added to. Lines are kept in the block's own form, so that the chunk is a valid
 * one but for its envelope at any time; a full block is compressed at once.
 */
import { ByteWriter } from '#codec/byte-writer.ts'
import { bitmapOf } from '#codec/gram-bitmap.ts'
import { writeTime } from '#codec/log-time.ts'
import { xxhash53 } from '#codec/xxhash64.ts'
import { freeBytes } from '#core/freed-bytes.ts'
import { sharedCopy } from '#core/shared-bytes.ts'
import { compareBytes } from '#core/text.ts'
import type { Labels } from '#model/labels.ts'
import { BlockLines, readPairs } from './block-lines.ts'
import { codecs, compress, decompress, type PackedBlock } from './chunk.ts'
import { columnsOf, type BlockColumns } from './line-columns.ts'
import { foldBitmap } from './token-filter.ts'
import { blockBytes, closeBlocks, sortEntries, type ClosedChunk } from './closed-chunk.ts'

/** As Loki cuts them: at about 1.5 MiB compressed. */
const chunkBytes = 1536 * 1024
const encodedMax = 16
/** From so many entries of one time on they are looked up by their hash. */
const hashedRunMin = 32

export class OpenChunk {
  readonly createdMs: number
  lastAppendMs: number
  #block = new ByteWriter(512)
  /** A query may still read the open block's bytes. */
  #isShared = false
  #entries = 0
  #size = 0
  /** Where the entries of the last time begin. */
  readonly #run: number[] = []
  /** The same by the hash of their bytes, once they are many. */
  readonly #runByHash = new Map<number, number>()
  #inOrder = true
  #minMs = 0
  #minSubNs = 0
  #maxMs = 0
  #maxSubNs = 0
  #lastMs = 0
  #lastSubNs = 0
  readonly #pairs = new ByteWriter(64)
  readonly #encoded = new Map<readonly string[], Uint8Array>()
  readonly #sealed: PackedBlock[] = []
  packedBytes = 0
  readonly #bitmaps: Uint8Array[] = []
  readonly #columns: (BlockColumns | undefined)[] = []
  /** Bytes of the bitmaps and columns. */
  #besideBytes = 0
  #sealedSize = 0
  #sealedEntries = 0
  readonly #symbolOf = new Map<string, number>()
  readonly #symbols: string[] = []
  #symbolBytes = 0
  #overlaps = false

  constructor(nowMs: number) {
    this.createdMs = this.lastAppendMs = nowMs
  }

  get entries(): number {
    return this.#sealedEntries + this.#entries
  }
  /** Bytes of lines and metadata before compression. */
  get rawBytes(): number {
    return this.#sealedSize + this.#size + this.#symbolBytes
  }
  /** Bytes that the chunk holds in memory. */
  get heldBytes(): number {
    return this.packedBytes + this.#block.buffer.length + this.#symbolBytes * 2 + this.#besideBytes
  }
  get isFull(): boolean {
    return this.packedBytes >= chunkBytes || this.#symbolBytes >= chunkBytes
  }

  /**
   * Adds a line; false when it equals one of the same time that came just before. `pairs`: names and values of
   * structured metadata in turn. `entryFrom`: where its time and its length stand in front of it in `source`, in the
   * form that blocks have.
   */
  append(
    ms: number,
    subNs: number,
    source: Uint8Array,
    from: number,
    to: number,
    pairs: readonly string[],
    entryFrom?: number,
  ): boolean {
    const out = this.#block
    const start = out.at
    if (entryFrom === undefined) {
      writeTime(out, ms, subNs)
      out.writeUvarint(to - from)
    }
    copyBytes(source, entryFrom ?? from, to, out)
    this.#writePairs(pairs)
    if (this.#entries > 0 && ms === this.#lastMs && subNs === this.#lastSubNs) {
      if (this.#isInRun(start)) {
        out.at = start
        return false
      }
    } else this.#endRun()
    this.#addToRun(start)
    this.#note(ms, subNs)
    this.#lastMs = ms
    this.#lastSubNs = subNs
    this.#entries++
    this.#size += to - from + pairs.length * 4
    if (out.at >= blockBytes) this.#seal()
    return true
  }

  #writePairs(pairs: readonly string[]): void {
    const out = this.#block
    if (pairs.length === 0) {
      out.writeU8(1)
      out.writeU8(0)
      return
    }
    if (pairs.length === 2) {
      // Senders' usual case, a level alone, comes as the same list each time.
      let known = this.#encoded.get(pairs)
      if (known === undefined) {
        this.#encodePairs(pairs)
        known = this.#pairs.copy()
        if (this.#encoded.size < encodedMax) this.#encoded.set(pairs, known)
      }
      out.writeUvarint(known.length)
      out.writeBytes(known)
      return
    }
    this.#encodePairs(pairs)
    out.writeUvarint(this.#pairs.at)
    out.writeBytes(this.#pairs.bytes())
  }

  #encodePairs(pairs: readonly string[]): void {
    const list = this.#pairs
    list.reset()
    list.writeUvarint(pairs.length / 2)
    for (const text of pairs) list.writeUvarint(this.#symbol(text))
  }

  #symbol(text: string): number {
    let number = this.#symbolOf.get(text)
    if (number === undefined) {
      number = this.#symbols.length
      this.#symbols.push(text)
      this.#symbolOf.set(text, number)
      this.#symbolBytes += Buffer.byteLength(text)
    }
    return number
  }

  /** Is the entry that was written at `start` one that the run of its time has already? */
  #isInRun(start: number): boolean {
    if (this.#run.length < hashedRunMin) return this.#run.some((_, i) => this.#isSame(i, start))
    const known = this.#runByHash.get(this.#hashFrom(start, this.#block.at))
    return known !== undefined && (this.#isSame(known, start) || this.#run.some((_, i) => this.#isSame(i, start)))
  }

  /** Is the entry at this place of the run the one that begins at `start`? */
  #isSame(place: number, start: number): boolean {
    const { buffer, at } = this.#block
    return compareBytes(buffer, this.#run[place]!, this.#run[place + 1] ?? start, buffer, start, at) === 0
  }

  #addToRun(start: number): void {
    this.#run.push(start)
    const { length } = this.#run
    if (length < hashedRunMin) return
    for (let place = length === hashedRunMin ? 0 : length - 1; place < length; place++)
      this.#runByHash.set(this.#hashFrom(this.#run[place]!, this.#run[place + 1] ?? this.#block.at), place)
  }

  #endRun(): void {
    this.#run.length = 0
    if (this.#runByHash.size > 0) this.#runByHash.clear()
  }

  #hashFrom(from: number, to: number): number {
    return xxhash53(this.#block.buffer.subarray(from, to))
  }

  #note(ms: number, subNs: number): void {
    if (this.#entries === 0) {
      this.#minMs = this.#maxMs = ms
      this.#minSubNs = this.#maxSubNs = subNs
      return
    }
    if (ms > this.#maxMs || (ms === this.#maxMs && subNs >= this.#maxSubNs)) {
      this.#maxMs = ms
      this.#maxSubNs = subNs
    } else this.#inOrder = false
    if (ms < this.#minMs || (ms === this.#minMs && subNs < this.#minSubNs)) {
      this.#minMs = ms
      this.#minSubNs = subNs
    }
  }

  /** Compresses the open block. Where queries may still hold its bytes, the next one gets memory of its own. */
  #seal(): void {
    if (this.#entries === 0) return
    const { bytes, entries } = this.#inOrder
      ? { bytes: this.#block.bytes(), entries: this.#entries }
      : sortEntries(this.#block.bytes(), this.#entries)
    this.#entries = entries
    const compressed = compress(codecs.zstd, bytes)
    const packed = sharedCopy(compressed)
    freeBytes(compressed)
    const last = this.#sealed.at(-1)
    if (
      last !== undefined &&
      (this.#minMs < last.maxMs || (this.#minMs === last.maxMs && this.#minSubNs < last.maxSubNs))
    )
      this.#overlaps = true
    this.#sealed.push({
      entries: this.#entries,
      minMs: this.#minMs,
      minSubNs: this.#minSubNs,
      maxMs: this.#maxMs,
      maxSubNs: this.#maxSubNs,
      size: this.#size,
      packed,
    })
    const bitmap = foldBitmap(bitmapOf(bytes, entries))
    this.#bitmaps.push(bitmap)
    const columns = columnsOf(bytes, entries)
    this.#columns.push(columns)
    this.#besideBytes += bitmap.length + (columns?.heldBytes ?? 0)
    this.packedBytes += packed.length
    this.#sealedSize += this.#size
    this.#sealedEntries += this.#entries
    if (this.#isShared || this.#block.buffer.length > 2 * blockBytes)
      this.#block = new ByteWriter(Math.min(blockBytes + 4096, this.#block.at + 1024))
    else this.#block.reset()
    this.#isShared = false
    this.#entries = this.#size = 0
    this.#endRun()
    this.#inOrder = true
  }

  get minMs(): number {
    return Math.min(this.#entries > 0 ? this.#minMs : Infinity, ...this.#sealed.map(b => b.minMs))
  }
  get maxMs(): number {
    return Math.max(this.#entries > 0 ? this.#maxMs : -Infinity, ...this.#sealed.map(b => b.maxMs))
  }

  /** What there is now, for a query: later appends do not show in it. Undefined while there is nothing. */
  snapshot(): ChunkSnapshot | undefined {
    if (this.entries === 0) return undefined
    const blocks: SnapshotBlock[] = this.#sealed.map(({ packed, entries, minMs, maxMs }) => ({
      minMs,
      maxMs,
      entries,
      bytes: packed,
      form: 'packed',
    }))
    if (this.#entries > 0) {
      this.#isShared = true
      blocks.push({
        minMs: this.#minMs,
        maxMs: this.#maxMs,
        entries: this.#entries,
        bytes: this.#block.bytes(),
        form: this.#inOrder ? 'ordered' : 'unordered',
      })
    }
    const { minMs, maxMs, entries, rawBytes } = this
    const throughMs = this.#maxMs === maxMs && this.#maxSubNs === 0 ? maxMs : maxMs + 1
    return { minMs, maxMs, throughMs, entries, rawBytes, symbols: this.#symbols, blocks }
  }

  /**
   * The chunk as an object for the bucket. Nothing may be appended any more. Where its blocks overlap, they do so in
   * the object as well: it is to be put in order (`orderChunk`).
   */
  close(tenant: string, fingerprint: bigint, labels: Labels): ClosedChunk {
    this.#seal()
    return closeBlocks({ tenant, fingerprint, labels }, this.#symbols, {
      blocks: this.#sealed,
      bitmaps: this.#bitmaps,
      columns: this.#columns,
      overlaps: this.#overlaps,
    })
  }

  /** Every line, in order of arrival within blocks: what a new generation of the log takes over. */
  forEach(
    visit: (ms: number, subNs: number, bytes: Uint8Array, from: number, to: number, pairs: readonly string[]) => void,
  ): void {
    for (const block of this.snapshot()?.blocks ?? []) {
      const lines = readSnapshot(block)
      for (let i = 0; i < lines.count; i++)
        visit(
          lines.timesMs[i]!,
          lines.subNs[i]!,
          lines.bytes,
          lines.lineFrom[i]!,
          lines.lineTo[i]!,
          readPairs(lines, i, this.#symbols),
        )
    }
  }
}

/** Bytes of few are set one by one: a view of them costs more. */
function copyBytes(source: Uint8Array, from: number, to: number, out: ByteWriter): void {
  out.reserve(to - from)
  if (to - from < 48) for (let i = from, at = out.at; i < to; i++, at++) out.buffer[at] = source[i]!
  else out.buffer.set(source.subarray(from, to), out.at)
  out.at += to - from
}

/** A block of an open chunk. Packed ones lie in shared memory. */
export interface SnapshotBlock {
  minMs: number
  maxMs: number
  entries: number
  bytes: Uint8Array
  form: 'packed' | 'ordered' | 'unordered'
}

/** An open chunk at one instant. */
export interface ChunkSnapshot {
  minMs: number
  maxMs: number
  /** The end, rounded up. */
  throughMs: number
  entries: number
  rawBytes: number
  symbols: readonly string[]
  blocks: readonly SnapshotBlock[]
}

export function readSnapshot({ bytes, entries, form }: SnapshotBlock): BlockLines {
  if (form === 'packed') return new BlockLines(decompress(codecs.zstd, bytes), entries, true)
  if (form === 'ordered') return new BlockLines(bytes, entries, true)
  const sorted = sortEntries(bytes, entries)
  return new BlockLines(sorted.bytes, sorted.entries, true)
}
