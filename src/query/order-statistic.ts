/** Order statistics by selection: which number would stand at a place if all were sorted, in linear time. */

/** Shorter stretches are sorted. */
const sortedLength = 24

/**
 * Moves the number that belongs at place `k` of values[from, to) in ascending order there; smaller ones then stand
 * before
 * it and larger ones behind it. There may be no NaN.
 */
export function selectNth(values: Float64Array | number[], k: number, from: number, to: number): number {
  let low = from
  let high = to - 1
  // Pivots that cut off little can't make this quadratic: after so many of them the rest is sorted.
  let rounds = 2 * Math.ceil(Math.log2(Math.max(2, to - from)))
  while (high - low > sortedLength && rounds-- > 0) {
    const pivot = medianOfThree(values[low]!, values[(low + high) >>> 1]!, values[high]!)
    let i = low
    let j = high
    while (i <= j) {
      while (values[i]! < pivot) i++
      while (values[j]! > pivot) j--
      if (i > j) break
      const moved = values[i]!
      values[i++] = values[j]!
      values[j--] = moved
    }
    if (k <= j) high = j
    else if (k >= i) low = i
    else return values[k]!
  }
  sortStretch(values, low, high + 1)
  return values[k]!
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
}

function sortStretch(values: Float64Array | number[], from: number, to: number): void {
  if (to - from > sortedLength * 2) {
    const sorted = Float64Array.from(values.slice(from, to)).sort()
    for (let i = 0; i < sorted.length; i++) values[from + i] = sorted[i]!
    return
  }
  for (let i = from + 1; i < to; i++) {
    const value = values[i]!
    let at = i
    for (; at > from && values[at - 1]! > value; at--) values[at] = values[at - 1]!
    values[at] = value
  }
}

/** Moves NaN to the front of values[0, count); how many there are. */
export function nanFirst(values: Float64Array | number[], count: number): number {
  let nans = 0
  for (let i = 0; i < count; i++) {
    const value = values[i]!
    if (value === value) continue
    values[i] = values[nans]!
    values[nans++] = value
  }
  return nans
}

/**
 * The numbers at the places `rank` and `rank` + 1 of values[0, count) in ascending order, NaN first. Changes their
 * order.
 */
export function neighbours(
  values: Float64Array | number[],
  count: number,
  rank: number,
): { lower: number; upper: number } {
  const nans = nanFirst(values, count)
  const upperRank = Math.min(count - 1, rank + 1)
  if (upperRank < nans) return { lower: NaN, upper: NaN }
  if (rank < nans) return { lower: NaN, upper: selectNth(values, upperRank, nans, count) }
  const lower = selectNth(values, rank, nans, count)
  if (upperRank === rank) return { lower, upper: lower }
  // What stands behind the selected place is not smaller: the smallest of that is the next one.
  let upper = values[rank + 1]!
  for (let i = rank + 2; i < count; i++) if (values[i]! < upper) upper = values[i]!
  return { lower, upper }
}
