/** Queries of a simulated process: in turns where its heads are, and as a worker answers them. */

/** After so many queries the worker is another one: threads end when they are idle, or at fault. */
const workerLives = 5

/** Gives the store that the next query asks. `startWorker` makes one that has nothing in memory. */
export function alternating<Store>(own: Store, startWorker: () => Store): () => Store {
  let asked = 0
  let worker = startWorker()
  return () => {
    if (asked++ % 2 === 0) return own
    if (asked % (2 * workerLives) === 0) worker = startWorker()
    return worker
  }
}
