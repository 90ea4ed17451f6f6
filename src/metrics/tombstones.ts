/**
 * Deleted intervals of a block's series, as the `tombstones` file holds them (docs/formats/prometheus-block.md). The
 * first deletion from a block is its `tombstones`; each later one writes all of them to a file with a number
 * (bucket/numbered-states.ts), and then to `tombstones`, for others who read the block.
 */
import { newestState, stateAt } from '#bucket/numbered-states.ts'
import { ByteReader } from '#codec/byte-reader.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import { CorruptDataError } from '#core/errors.ts'
import { resetHint, type FloatHistogram } from '#model/histogram.ts'
import type { SampleColumns } from '#model/sample-columns.ts'

/** Deleted time, both ends inclusive. */
export interface Interval {
  fromMs: number
  throughMs: number
}

export function encodeTombstones(intervals: ReadonlyMap<number, readonly Interval[]>): Uint8Array {
  const out = new ByteWriter()
  out.writeU32(0x0130ba30)
  out.writeU8(1)
  for (const [ref, list] of [...intervals].sort((a, b) => a[0] - b[0])) {
    for (const { fromMs, throughMs } of list) {
      out.writeUvarint(ref)
      out.writeVarint(fromMs)
      out.writeVarint(throughMs)
    }
  }
  out.writeU32(crc32c(out.buffer, 5, out.at))
  return out.copy()
}

/** Intervals by reference of the series, in the file's order. Throws CorruptDataError. */
export function decodeTombstones(bytes: Uint8Array): Map<number, Interval[]> {
  const intervals = new Map<number, Interval[]>()
  if (bytes.length === 0) return intervals
  const head = new ByteReader(bytes)
  if (head.readU32() !== 0x0130ba30 || head.readU8() !== 1)
    throw new CorruptDataError('tombstones: not a file of version 1')
  if (bytes.length < 9 || crc32c(bytes, 5, bytes.length - 4) !== head.view.getUint32(bytes.length - 4))
    throw new CorruptDataError('tombstones: wrong checksum')
  const input = new ByteReader(bytes, 5, bytes.length - 4)
  while (input.at < input.end) {
    const ref = input.readUvarint()
    const interval = { fromMs: input.readVarint(), throughMs: input.readVarint() }
    const known = intervals.get(ref)
    if (known === undefined) intervals.set(ref, [interval])
    else known.push(interval)
  }
  return intervals
}

/** Name of the file that the n-th deletion from a block writes. */
export function tombstonesName(number: number): string {
  return number === 1 ? 'tombstones' : `tombstones-${String(number).padStart(6, '0')}`
}

/** What was deleted from a block, and by how many deletions. */
export interface Deleted {
  count: number
  intervals: ReadonlyMap<number, readonly Interval[]>
}

/** `read` gets a file of the block. Throws CorruptDataError. */
export async function readDeleted(read: (name: string) => Promise<Uint8Array>): Promise<Deleted> {
  const readState = (number: number): Promise<Uint8Array> => read(tombstonesName(number))
  const first = await stateAt(readState, 1)
  if (first === undefined) return { count: 0, intervals: new Map() }
  const { number, bytes } = await newestState(first, readState)
  return { count: number, intervals: decodeTombstones(bytes) }
}

/** Adds an interval and joins those that touch. */
export function addInterval(intervals: readonly Interval[], added: Interval): Interval[] {
  const sorted = [...intervals, added].sort((a, b) => a.fromMs - b.fromMs)
  const out: Interval[] = []
  for (const interval of sorted) {
    const last = out.at(-1)
    if (last !== undefined && interval.fromMs <= last.throughMs + 1)
      last.throughMs = Math.max(last.throughMs, interval.throughMs)
    else out.push({ ...interval })
  }
  return out
}

/** The sample that a histogram was compared with is gone: nothing is known of a reset between it and the one before. */
function unhinted(histogram: FloatHistogram): FloatHistogram {
  return histogram.hint === resetHint.noReset ? histogram.withHint(resetHint.unknown) : histogram
}

/** Removes samples [from, end) of the columns that lie in a deleted interval. */
export function removeDeleted(columns: SampleColumns, from: number, intervals: readonly Interval[]): void {
  let out = from
  let isBehindGap = false
  for (let i = from; i < columns.count; i++) {
    const timeMs = columns.timesMs[i]!
    if (intervals.some(interval => timeMs >= interval.fromMs && timeMs <= interval.throughMs)) {
      isBehindGap = true
      continue
    }
    if (out !== i) {
      columns.timesMs[out] = timeMs
      columns.words[2 * out] = columns.words[2 * i]!
      columns.words[2 * out + 1] = columns.words[2 * i + 1]!
      if (columns.startsMs !== undefined) columns.startsMs[out] = columns.startsMs[i]!
      if (columns.histograms !== undefined) {
        const histogram = columns.histograms[i]
        if (histogram !== undefined) columns.histograms[out] = isBehindGap ? unhinted(histogram) : histogram
        else delete columns.histograms[out]
      }
    }
    isBehindGap = false
    out++
  }
  columns.count = out
  if (columns.histograms !== undefined) columns.histograms.length = Math.min(columns.histograms.length, out)
}
