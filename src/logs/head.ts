/**
 * What is in memory of a tenant: streams, each with one open chunk and closed ones that wait for the bucket. A stream
 * is made when a line of it is admitted, and has nothing to show until the log has that line.
 */
import { xxhash64 } from '#codec/xxhash64.ts'
import { LimitError } from '#core/errors.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Labels } from '#model/labels.ts'
import type { ClosedChunk } from './closed-chunk.ts'
import { OpenChunk } from './open-chunk.ts'

/** Fingerprints up to here stand for streams whose hash met another's. */
const replacedMax = 1n << 20n

/** xxHash64 over name, 0xFF, value, 0xFF of every label in order. */
export function fingerprintOf(labels: Labels): bigint {
  const parts: Uint8Array[] = []
  for (const text of labels.pairs) parts.push(encodeUtf8(text), separator)
  return xxhash64(Buffer.concat(parts))
}
const separator = Uint8Array.of(0xff)

export class StreamHead {
  readonly labels: Labels
  readonly fingerprint: bigint
  /** Number of the stream in the log, and the generation in which it was last defined there. */
  readonly number: number
  definedIn = -1
  /** Time of the newest line, also when its chunk is closed; and with those that wait for the log. */
  newestMs = -Infinity
  newestAdmittedMs = -Infinity
  /** Records with lines of it that wait for the log. */
  awaited = 0
  open: OpenChunk | undefined
  readonly closed: ClosedChunk[] = []
  lastAppendMs: number

  constructor(labels: Labels, fingerprint: bigint, number: number, nowMs: number) {
    this.labels = labels
    this.fingerprint = fingerprint
    this.number = number
    this.lastAppendMs = nowMs
  }

  append(
    nowMs: number,
    ms: number,
    subNs: number,
    source: Uint8Array,
    from: number,
    to: number,
    pairs: readonly string[],
    entryFrom?: number,
  ): boolean {
    this.open ??= new OpenChunk(nowMs)
    if (!this.open.append(ms, subNs, source, from, to, pairs, entryFrom)) return false
    this.open.lastAppendMs = this.lastAppendMs = nowMs
    if (ms > this.newestMs) this.newestMs = ms
    if (ms > this.newestAdmittedMs) this.newestAdmittedMs = ms
    return true
  }

  /** Closes the open chunk. */
  cut(tenant: string): ClosedChunk | undefined {
    if (this.open === undefined || this.open.entries === 0) return undefined
    const chunk = this.open.close(tenant, this.fingerprint, this.labels)
    this.open = undefined
    this.closed.push(chunk)
    return chunk
  }
}

export class Head {
  readonly #tenant: string
  readonly #streamsMax: () => number
  readonly streams = new Map<string, StreamHead>()
  readonly #byFingerprint = new Map<bigint, StreamHead>()
  #nextNumber = 0
  #nextReplacement = 1n

  /** `streamsMax`: as it is now. */
  constructor(tenant: string, streamsMax: () => number) {
    this.#tenant = tenant
    this.#streamsMax = streamsMax
  }

  /** The stream of these labels; LimitError (429) when it is one too many. `anyway`: at a replay. */
  stream(labels: Labels, nowMs: number, anyway = false): StreamHead {
    const known = this.streams.get(labels.key)
    if (known !== undefined) return known
    if (!anyway && this.streams.size >= this.#streamsMax())
      throw new LimitError(
        `maximum active stream limit exceeded when trying to create stream ${labels.toString()}, ` +
          'reduce the number of active streams (reduce labels or reduce label values), or raise limits.log_streams. ' +
          `Limit: ${this.#streamsMax()}/${this.#streamsMax()}, user: '${this.#tenant}'`,
        429,
      )
    let fingerprint = fingerprintOf(labels)
    if (fingerprint <= replacedMax || this.#byFingerprint.has(fingerprint)) fingerprint = this.#replacement()
    const stream = new StreamHead(labels, fingerprint, this.#nextNumber++, nowMs)
    this.streams.set(labels.key, stream)
    this.#byFingerprint.set(fingerprint, stream)
    return stream
  }

  /** Its tenant is deleted: nothing of it goes anywhere. */
  drop(): void {
    for (const stream of this.streams.values()) {
      stream.open = undefined
      stream.closed.length = 0
    }
    this.streams.clear()
  }

  #replacement(): bigint {
    while (this.#byFingerprint.has(this.#nextReplacement))
      this.#nextReplacement = (this.#nextReplacement % replacedMax) + 1n
    return this.#nextReplacement
  }

  find(labels: Labels): StreamHead | undefined {
    return this.streams.get(labels.key)
  }

  /** The log lost what waited for it. */
  takeBack(): void {
    for (const stream of this.streams.values()) {
      if (stream.awaited > 0 && stream.newestMs === -Infinity) this.forget(stream)
      stream.awaited = 0
      stream.newestAdmittedMs = stream.newestMs
    }
  }

  /** A stream of which nothing is in memory leaves it. */
  forget(stream: StreamHead): void {
    this.streams.delete(stream.labels.key)
    this.#byFingerprint.delete(stream.fingerprint)
  }

  get heldBytes(): number {
    let total = 0
    for (const stream of this.streams.values())
      total += (stream.open?.heldBytes ?? 0) + stream.closed.reduce((sum, c) => sum + (c.bytes?.length ?? 0), 0)
    return total
  }
}
