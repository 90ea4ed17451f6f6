/**
 * Objects that nothing refers to any more: they go when no reader has them in its list. Noted in the bucket, so that a
 * start neither lists what was replaced nor leaves it there for good.
 */
import type { Clock } from '#core/clock.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { NewerFormatError, refuseNewer, versionOfState } from '#core/own-formats.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Bucket } from '#bucket/bucket.ts'

/** What is noted and gone already is removed once more after a crash, which does no harm: it is cleaned at times. */
const cleanEveryMs = 3_600_000
/** Three looks of a process that only reads. */
const removeAfterMs = 900_000

export interface RetiredObject {
  key: string
  /** Wall clock. */
  afterMs: number
  /** The object that stands in its place. */
  by?: string
}

export class RetiredObjects {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #log: Log
  readonly #noteKey: string
  #objects = new Map<string, RetiredObject>()
  /** Objects were added that are not noted, or kept that are. */
  #isChanged = false
  /** The note in the bucket lets go of what is kept. */
  #isKeptUnnoted = false
  /** Objects whose removal is under way. */
  readonly #leaving = new Map<string, Promise<void>>()
  /** Some that are noted are gone. */
  #isStale = false
  #savedMs = -Infinity

  constructor(bucket: Bucket, clock: Clock, log: Log, defaultTenant: string) {
    this.#bucket = bucket
    this.#clock = clock
    this.#log = log
    this.#noteKey = `${defaultTenant}/tercet/retired.json`
  }

  all(): Iterable<RetiredObject> {
    return this.#objects.values()
  }

  /** Reads what the bucket has noted; what this process added stays. */
  async load(): Promise<void> {
    const noted = await this.#read()
    const objects = new Map(noted.map(object => [object.key, object]))
    if (this.#isChanged) for (const [key, object] of this.#objects) if (!objects.has(key)) objects.set(key, object)
    this.#objects = objects
  }

  async #read(): Promise<RetiredObject[]> {
    let bytes: Uint8Array
    try {
      bytes = await this.#bucket.get(this.#noteKey)
    } catch (error) {
      if (error instanceof NotFoundError) return []
      throw error
    }
    try {
      const found = JSON.parse(Buffer.from(bytes).toString()) as unknown
      refuseNewer('retired', versionOfState(found), this.#noteKey)
      return Array.isArray(found) ? found.filter(isRetired) : []
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      // What is noted there stays in the bucket: that costs its bytes, nothing else.
      this.#log.warn('the note of retired objects is damaged', { key: this.#noteKey, error: messageOf(error) })
      return []
    }
  }

  add(key: string, by?: string, afterMs = removeAfterMs): void {
    this.#objects.set(key, { key, afterMs: this.#clock.nowMs() + afterMs, ...(by === undefined ? {} : { by }) })
    this.#isChanged = true
  }

  /**
   * Objects that come again are not removed, and those whose removal is under way are gone behind this. To be called
   * before they are written: a crash behind this finds them noted no more. Throws what the bucket throws.
   */
  async keep(keys: Iterable<string>): Promise<void> {
    for (const key of keys) {
      if (this.#objects.delete(key)) this.#isChanged = this.#isKeptUnnoted = true
      await this.#leaving.get(key)
    }
    if (!this.#isKeptUnnoted) return
    await this.save()
    this.#isKeptUnnoted = false
  }

  /** Is something due to be removed, or to be noted? */
  get hasWork(): boolean {
    if (this.#isNoteDue(false)) return true
    const nowMs = this.#clock.nowMs()
    for (const { afterMs } of this.#objects.values()) if (afterMs <= nowMs) return true
    return false
  }

  #isNoteDue(isLast: boolean): boolean {
    const isCleaned = this.#isStale && (isLast || this.#clock.monotonicMs() - this.#savedMs >= cleanEveryMs)
    return this.#isChanged || isCleaned
  }

  /** Notes in the bucket what was added, and now and then what was removed; at once with `isLast`. */
  async save(isLast = false): Promise<void> {
    if (!this.#isNoteDue(isLast)) return
    this.#isChanged = this.#isStale = false
    try {
      await this.#bucket.put(this.#noteKey, encodeUtf8(JSON.stringify([...this.#objects.values()])))
      this.#savedMs = this.#clock.monotonicMs()
    } catch (error) {
      this.#isChanged = true
      throw error
    }
  }

  async #remove(key: string): Promise<void> {
    const removal = this.#bucket.delete(key)
    // Who waits for the end of it does not care how it ended.
    const end = removal.catch(() => {})
    this.#leaving.set(key, end)
    try {
      await removal
    } finally {
      if (this.#leaving.get(key) === end) this.#leaving.delete(key)
    }
  }

  /** Removes what is due; `onGone` is called for each. */
  async removeDue(onGone: (key: string) => void): Promise<void> {
    const nowMs = this.#clock.nowMs()
    for (const object of [...this.#objects.values()].filter(({ afterMs }) => afterMs <= nowMs)) {
      // It came again meanwhile.
      if (this.#objects.get(object.key) !== object) continue
      try {
        await this.#remove(object.key)
      } catch (error) {
        this.#log.warn('an object that is not needed any more could not be removed', {
          key: object.key,
          error: messageOf(error),
        })
        return
      }
      // What was read of the bucket meanwhile lists it, perhaps: then it is removed again.
      if (this.#objects.get(object.key) === object) this.#objects.delete(object.key)
      this.#isStale = true
      onGone(object.key)
    }
  }
}

function isRetired(value: unknown): value is RetiredObject {
  if (typeof value !== 'object' || value === null) return false
  const { key, afterMs, by } = value as Partial<Record<keyof RetiredObject, unknown>>
  return typeof key === 'string' && typeof afterMs === 'number' && (by === undefined || typeof by === 'string')
}
