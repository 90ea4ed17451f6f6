/** What the signal holds of one tenant. */
import { Head } from './head.ts'

export class Tenant {
  readonly name: string
  readonly head: Head
  /** Bytes that may come now, by the rate limit; undefined before the first append. */
  rateTokens: number | undefined
  /** When `rateTokens` was right. */
  rateAtMs = 0

  constructor(name: string, streamsMax: number) {
    this.name = name
    this.head = new Head(name, streamsMax)
  }
}
