/** What the signal holds of one tenant. */
import type { LastDefinitions } from '#store/record-definitions.ts'
import { Head } from './head.ts'

export class Tenant {
  readonly name: string
  readonly head: Head
  /** Streams that the last record of a generation was the first to define: the next record repeats them. */
  lastDefinitions: LastDefinitions | undefined
  /** Bytes that may come now, by the rate limit; undefined before the first append. */
  rateTokens: number | undefined
  /** When `rateTokens` was right. */
  rateAtMs = 0
  /** When something came in last, by the monotonic clock. */
  usedMs: number

  constructor(name: string, streamsMax: () => number, nowMs = 0) {
    this.name = name
    this.usedMs = nowMs
    this.head = new Head(name, streamsMax)
  }

  /** The log lost what waited for it. */
  takeBack(): void {
    this.head.takeBack()
    this.lastDefinitions = undefined
  }
}
