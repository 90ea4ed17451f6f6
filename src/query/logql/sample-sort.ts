/** Samples in order of time: what streams have in order already is merged, run by run. */
import type { Budget } from '../budget.ts'

/** Times, and a value of each. */
export interface Samples {
  times: Float64Array<ArrayBuffer>
  values: Float64Array<ArrayBuffer>
}

/** Samples that are merged between two looks at the clock. */
const mergedAtOnce = 4096

/**
 * The first `count` samples in order of time, those of one time as they came. The arrays that are handed in are
 * written over. Throws what `pause` of the budget throws.
 */
export async function sortSamples(samples: Samples, count: number, budget: Budget): Promise<Samples> {
  let starts = runStarts(samples.times, count)
  let from = samples
  let to: Samples = { times: new Float64Array(count), values: new Float64Array(count) }
  while (starts.length > 2) {
    const merged: number[] = []
    for (let run = 0; run + 1 < starts.length; run += 2) {
      const end = starts[run + 2] ?? count
      await mergeRuns(from, to, starts[run]!, starts[run + 1]!, end, budget)
      merged.push(starts[run]!)
    }
    merged.push(count)
    starts = merged
    const written = to
    to = from
    from = written
  }
  return from
}

/** Where runs in order begin, and the end of the last one. */
function runStarts(times: Float64Array<ArrayBuffer>, count: number): number[] {
  const starts = [0]
  for (let i = 1; i < count; i++) if (times[i]! < times[i - 1]!) starts.push(i)
  starts.push(count)
  return starts
}

/** Merges [first, second) and [second, end) of `from` into the same place of `to`. */
async function mergeRuns(
  from: Samples,
  to: Samples,
  first: number,
  second: number,
  end: number,
  budget: Budget,
): Promise<void> {
  let left = first
  let right = second
  for (let at = first; at < end;) {
    const stop = Math.min(end, at + mergedAtOnce)
    if (budget.worked(stop - at)) await budget.pause()
    for (; at < stop; at++) {
      const isLeft = right >= end || (left < second && from.times[left]! <= from.times[right]!)
      const taken = isLeft ? left++ : right++
      to.times[at] = from.times[taken]!
      to.values[at] = from.values[taken]!
    }
  }
}
