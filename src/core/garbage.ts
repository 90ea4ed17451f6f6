/** Garbage, collected when the caller knows that it is a good moment. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'regular' | 'last-resort' }) => void

let collect: Collect | undefined

/**
 * Collects all garbage of this thread: takes up to some hundred milliseconds. With `isThorough` memory that new objects
 * would be made in is given back too, which takes several times as long.
 */
export function collectGarbage(isThorough = false): void {
  if (collect === undefined) {
    // V8 has the function for contexts that are made after the flag was set.
    setFlagsFromString('--expose-gc')
    // What the flag brings is this function.
    collect = runInNewContext('gc') as Collect
  }
  collect({ type: 'major', execution: 'sync', flavor: isThorough ? 'last-resort' : 'regular' })
}

/** The first Node in which the flag was tried; older ones do not know it, and say so. */
const leastMajor = 26

/**
 * Lets V8 collect garbage by the growth of heap and buffers together, in all threads. Otherwise it does so after each
 * 64 MiB of buffers: queries that unpack blocks then spend a sixth of their time on it. Up to 100 MiB of buffers that
 * nobody uses any more are in memory for longer.
 */
export function countBuffersAsHeap(): void {
  if (Number.parseInt(process.versions.node) >= leastMajor)
    setFlagsFromString('--external-memory-accounted-in-global-limit')
}
