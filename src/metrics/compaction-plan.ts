/**
 * Which blocks to merge next: pure, over times and levels. Sources: the block layouts that Prometheus and Mimir expect
 * (2 h, 12 h, 24 h).
 */

export interface PlannedBlock {
  id: string
  startMs: number
  endMs: number
  level: number
}
import { greatest } from '#core/lists.ts'

/**
 * The next group to merge, or undefined. Overlapping blocks first; then, for each range from the smallest, blocks of
 * smaller ranges that lie in one aligned stretch which is over (its end is not after `sealedMs`). No group crosses the
 * largest range.
 */
export function planCompaction(
  blocks: readonly PlannedBlock[],
  rangesMs: readonly number[],
  sealedMs: number,
): PlannedBlock[] | undefined {
  const sorted = [...blocks].sort((a, b) => a.startMs - b.startMs || a.endMs - b.endMs)
  return overlapping(sorted, greatest(rangesMs)) ?? adjacent(sorted, rangesMs, sealedMs)
}

function overlapping(sorted: readonly PlannedBlock[], largestMs: number): PlannedBlock[] | undefined {
  let group: PlannedBlock[] = []
  let endMs = -Infinity
  const usable = (g: readonly PlannedBlock[]): boolean => g.length > 1
  for (const block of sorted) {
    // What is longer than our largest range was not written by us: it is served as it is.
    if (block.endMs - block.startMs > largestMs) continue
    if (block.startMs < endMs) {
      group.push(block)
      endMs = Math.max(endMs, block.endMs)
      continue
    }
    if (usable(group)) return group
    group = [block]
    endMs = block.endMs
  }
  return usable(group) ? group : undefined
}

function adjacent(
  sorted: readonly PlannedBlock[],
  rangesMs: readonly number[],
  sealedMs: number,
): PlannedBlock[] | undefined {
  for (let r = 1; r < rangesMs.length; r++) {
    const rangeMs = rangesMs[r]!
    const stretches = new Map<number, PlannedBlock[]>()
    for (const block of sorted) {
      const from = Math.floor(block.startMs / rangeMs) * rangeMs
      if (block.endMs > from + rangeMs || from + rangeMs > sealedMs) continue
      const stretch = stretches.get(from)
      if (stretch === undefined) stretches.set(from, [block])
      else stretch.push(block)
    }
    for (const [, stretch] of [...stretches].sort((a, b) => a[0] - b[0])) if (stretch.length > 1) return stretch
  }
  return undefined
}

/** Blocks whose time is over: all of what they hold is older than `oldestMs`. */
export function expired(blocks: readonly PlannedBlock[], oldestMs: number): PlannedBlock[] {
  return blocks.filter(block => block.endMs <= oldestMs)
}

/** The oldest blocks, as many as must go for the rest to fit. */
export function overSize(blocks: readonly (PlannedBlock & { bytes: number })[], bytesMax: number): PlannedBlock[] {
  let total = blocks.reduce((sum, block) => sum + block.bytes, 0)
  const gone: PlannedBlock[] = []
  for (const block of [...blocks].sort((a, b) => a.endMs - b.endMs)) {
    if (total <= bytesMax) break
    gone.push(block)
    total -= block.bytes
  }
  return gone
}
