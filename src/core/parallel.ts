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
