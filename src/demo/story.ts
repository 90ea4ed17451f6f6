/**
 * What happens in the shop of the demo: every ten minutes a new version of `payment` is deployed, in which one route is
 * slow and fails; some minutes later it is rolled back. Pure: a moment in, what is so at that moment out.
 */

/** The versions that `payment` goes back and forth between. */
export const goodVersion = 'v1.4.1'
export const badVersion = 'v1.4.2'

const cycleMs = 600_000
/** So long the new version stays. */
const badMs = 360_000

/** A version of a service that runs from a moment on; each has a pod of its own. */
export interface Release {
  version: string
  /** Counts releases from the first one of the story on; may be negative before it. */
  number: number
  sinceMs: number
}

export class Story {
  readonly #deployMs: number

  /** `deployMs`: a moment at which the new version is deployed; it is again every ten minutes, and was before. */
  constructor(deployMs: number) {
    this.#deployMs = deployMs
  }

  /** The release of `payment` at a moment. */
  paymentAt(ms: number): Release {
    const cycle = Math.floor((ms - this.#deployMs) / cycleMs)
    const deployedMs = this.#deployMs + cycle * cycleMs
    return ms < deployedMs + badMs
      ? { version: badVersion, number: 2 * cycle, sinceMs: deployedMs }
      : { version: goodVersion, number: 2 * cycle + 1, sinceMs: deployedMs + badMs }
  }
}

const dayMs = 86_400_000
const peakHour = 15
/** Requests a second over a day: between them, highest in the afternoon (UTC), lowest at night. */
const leastPerSecond = 2.5
const mostPerSecond = 5.5

/** How many requests a second people make at a moment: it breathes over the day, and a little over minutes. */
export function requestsPerSecond(ms: number): number {
  const day = Math.cos(((ms / dayMs) * 24 - peakHour) * (Math.PI / 12))
  const minutes = Math.sin(ms / 97_000) * 0.08 + Math.sin(ms / 31_000) * 0.05
  const middle = (leastPerSecond + mostPerSecond) / 2
  return (middle + day * (mostPerSecond - middle)) * (1 + minutes)
}
