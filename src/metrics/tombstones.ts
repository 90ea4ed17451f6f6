/** Deleted intervals of a block's series, as the `tombstones` file holds them (docs/formats/prometheus-block.md). */
import { ByteWriter } from '#codec/byte-writer.ts'
import { crc32c } from '#codec/crc32c.ts'
import type { SampleColumns } from '#model/sample-columns.ts'
import type { Interval } from './block-reader.ts'

export function encodeTombstones(intervals: ReadonlyMap<number, readonly Interval[]>): Uint8Array {
  const out = new ByteWriter()
  out.writeU32(0x0130ba30)
  out.writeU8(1)
  for (const [ref, list] of [...intervals].sort((a, b) => a[0] - b[0])) {
    for (const { minMs, maxMs } of list) {
      out.writeUvarint(ref)
      out.writeVarint(minMs)
      out.writeVarint(maxMs)
    }
  }
  out.writeU32(crc32c(out.buffer, 5, out.at))
  return out.copy()
}

/** Adds an interval and joins those that touch. */
export function addInterval(intervals: readonly Interval[], added: Interval): Interval[] {
  const sorted = [...intervals, added].sort((a, b) => a.minMs - b.minMs)
  const out: Interval[] = []
  for (const interval of sorted) {
    const last = out.at(-1)
    if (last !== undefined && interval.minMs <= last.maxMs + 1) last.maxMs = Math.max(last.maxMs, interval.maxMs)
    else out.push({ ...interval })
  }
  return out
}

/** Removes samples [from, end) of the columns that lie in a deleted interval. */
export function removeDeleted(columns: SampleColumns, from: number, intervals: readonly Interval[]): void {
  let out = from
  for (let i = from; i < columns.count; i++) {
    const timeMs = columns.timesMs[i]!
    if (intervals.some(interval => timeMs >= interval.minMs && timeMs <= interval.maxMs)) continue
    if (out !== i) {
      columns.timesMs[out] = timeMs
      columns.words[2 * out] = columns.words[2 * i]!
      columns.words[2 * out + 1] = columns.words[2 * i + 1]!
      if (columns.startsMs !== undefined) columns.startsMs[out] = columns.startsMs[i]!
      if (columns.histograms !== undefined) {
        const histogram = columns.histograms[i]
        if (histogram !== undefined) columns.histograms[out] = histogram
        else delete columns.histograms[out]
      }
    }
    out++
  }
  columns.count = out
  if (columns.histograms !== undefined) columns.histograms.length = Math.min(columns.histograms.length, out)
}
