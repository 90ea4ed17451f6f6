/** Lines handed to those who follow them, as they are accepted. */
import type { Matcher } from '#lang/regex/matcher.ts'
import type { StreamHead } from './head.ts'
import type { TailedLine } from './select.ts'

/** Called when a line was accepted: its text is bytes[from, to), its `pairs` are names and values in turn. */
export type LineListener = (
  tenant: string,
  stream: StreamHead,
  ms: number,
  subNs: number,
  bytes: Uint8Array,
  from: number,
  to: number,
  pairs: readonly string[],
) => void

interface Follower {
  tenant: string
  matchers: readonly Matcher[]
  onLine: (line: TailedLine) => void
}

export class Tail {
  readonly #followers = new Set<Follower>()

  get isFollowed(): boolean {
    return this.#followers.size > 0
  }

  /** Calls `onLine` for every line of matching streams until the returned function is called. */
  follow(tenant: string, matchers: readonly Matcher[], onLine: (line: TailedLine) => void): () => void {
    const follower: Follower = { tenant, matchers, onLine }
    this.#followers.add(follower)
    return () => {
      this.#followers.delete(follower)
    }
  }

  readonly onLine: LineListener = (tenant, stream, ms, subNs, bytes, from, to, pairs) => {
    for (const follower of this.#followers) {
      if (follower.tenant !== tenant || !follower.matchers.every(m => m.matches(stream.labels.get(m.name)))) continue
      follower.onLine({
        labels: stream.labels,
        ms,
        subNs,
        line: Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8'),
        pairs,
      })
    }
  }
}
