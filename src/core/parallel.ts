/** Many small pieces of I/O, a bounded number at a time. */

/** Calls `work` for every item, in order, with at most `atOnce` calls under way. Rejects with the first failure. */
export async function forEachParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) await work(items[next++]!)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
}

/** What may be under way at once: a number of items, and their weights together. One item always may. */
export interface Ahead<T> {
  atOnce: number
  weightMax: number
  weightOf: (item: T) => number
}

/**
 * Calls `work` for items ahead of their turn, and gives the results in the order of the items. Who stops early has some
 * work done in vain; its failures are not seen.
 */
export async function* workAhead<T, R>(
  items: readonly T[],
  { atOnce, weightMax, weightOf }: Ahead<T>,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay: { result: Promise<R>; weight: number }[] = []
  let weight = 0
  let next = 0
  const fill = (): void => {
    while (next < items.length && underWay.length < atOnce) {
      const more = weightOf(items[next]!)
      if (underWay.length > 0 && weight + more > weightMax) return
      const result = work(items[next++]!)
      result.catch(() => {})
      underWay.push({ result, weight: more })
      weight += more
    }
  }
  fill()
  for (let first = underWay.shift(); first !== undefined; first = underWay.shift()) {
    const result = await first.result
    weight -= first.weight
    fill()
    yield result
  }
}
