/**
 * One writer per prefix. A writer claims the next epoch by creating an object that nobody else can create; one that
 * finds a higher epoch than its own has been replaced, and stops writing.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { ConflictError, NotFoundError, UnavailableError } from '#core/errors.ts'
import { encodeUtf8 } from '#core/text.ts'

/** What an owner's text begins with when it is none of ours. */
const givenAway = 'handed over to '
/** What the text of an owner is that stopped by itself. */
const stopped = 'stopped'
/** Epochs that stay: a listing that is this many takeovers old still leads to the newest. */
const epochsKept = 32

const epochKey = (prefix: string, epoch: number): string => `${prefix}${String(epoch).padStart(8, '0')}`

/** Who had the prefix before. */
export interface Predecessor {
  epoch: number
  /** It said that it writes no more. */
  hasStopped: boolean
}

export class Fence {
  readonly #bucket: Bucket
  readonly #prefix: string
  /** How often our epoch was put again because the bucket had been emptied. */
  restored = 0
  readonly epoch: number
  /** Undefined: nobody wrote there before. */
  readonly predecessor: Predecessor | undefined

  private constructor(bucket: Bucket, prefix: string, epoch: number, predecessor: Predecessor | undefined) {
    this.#bucket = bucket
    this.#prefix = prefix
    this.epoch = epoch
    this.predecessor = predecessor
  }

  /**
   * Takes over the prefix (which ends in `/`): whoever held it before is fenced off. `owner` is written there for
   * people to read.
   */
  static async claim(bucket: Bucket, prefix: string, owner: string): Promise<Fence> {
    const epochs = await Fence.#epochs(bucket, prefix)
    for (let next = (epochs.at(-1) ?? 0) + 1; ; next++) {
      try {
        await bucket.put(epochKey(prefix, next), encodeUtf8(owner), { ifAbsent: true })
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error
        // Another one was faster, or this is our own put, whose reply was lost.
        if ((await Fence.#ownerOf(bucket, prefix, next)) !== owner) continue
      }
      for (const old of epochs.slice(0, -epochsKept)) await bucket.delete(epochKey(prefix, old))
      return new Fence(bucket, prefix, next, await Fence.#predecessorOf(bucket, prefix, next - 1))
    }
  }

  static async #ownerOf(bucket: Bucket, prefix: string, epoch: number): Promise<string | undefined> {
    try {
      return Buffer.from(await bucket.get(epochKey(prefix, epoch))).toString()
    } catch (error) {
      if (error instanceof NotFoundError) return undefined
      throw error
    }
  }

  static async #predecessorOf(bucket: Bucket, prefix: string, epoch: number): Promise<Predecessor | undefined> {
    const owner = epoch === 0 ? undefined : await Fence.#ownerOf(bucket, prefix, epoch)
    if (owner === undefined) return undefined
    return { epoch, hasStopped: owner === stopped || owner.startsWith(givenAway) }
  }

  /**
   * Takes the next epoch, by which nobody of ours writes. Throws UnavailableError when another writer has it: then the
   * prefix is not ours to give.
   */
  async giveAway(successor: string): Promise<void> {
    const key = epochKey(this.#prefix, this.epoch + 1)
    const text = `${givenAway}${successor}`
    try {
      await this.#bucket.put(key, encodeUtf8(text), { ifAbsent: true })
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      // Ours, when the reply to an earlier attempt was lost.
      if ((await Fence.#ownerOf(this.#bucket, this.#prefix, this.epoch + 1)) !== text)
        throw new UnavailableError(`another writer (epoch ${this.epoch + 1}) took over the bucket`, 60)
    }
  }

  /** To whom the prefix was given away; undefined where it is ours, or nobody's. */
  static async successorOf(bucket: Bucket, prefix: string): Promise<string | undefined> {
    const newest = (await Fence.#epochs(bucket, prefix)).at(-1)
    const owner = newest === undefined ? undefined : await Fence.#ownerOf(bucket, prefix, newest)
    return owner?.startsWith(givenAway) === true ? owner.slice(givenAway.length) : undefined
  }

  static async #epochs(bucket: Bucket, prefix: string): Promise<number[]> {
    const objects = await bucket.list(prefix)
    return objects
      .map(o => Number.parseInt(o.key.slice(prefix.length), 10))
      .filter(Number.isFinite)
      .sort((a, b) => a - b)
  }

  /** The epoch of a newer writer, or undefined while the prefix is ours. One request, which lists nothing. */
  async replacedBy(): Promise<number | undefined> {
    return (await this.#has(this.epoch + 1)) ? this.epoch + 1 : undefined
  }

  /**
   * The same for a process that may have slept through many takeovers: the next epochs may be gone again. Where ours is
   * gone and none is newer, somebody emptied the bucket: ours is put there again.
   */
  async replacedLongAgoBy(): Promise<number | undefined> {
    const [newer, isThere] = await Promise.all([this.replacedBy(), this.#has(this.epoch)])
    if (newer !== undefined || isThere) return newer
    const newest = (await Fence.#epochs(this.#bucket, this.#prefix)).at(-1) ?? 0
    if (newest > this.epoch) return newest
    await this.#bucket.put(epochKey(this.#prefix, this.epoch), encodeUtf8('restored'), { ifAbsent: true })
    this.restored++
    return undefined
  }

  /** Says that nothing is written by this epoch any more, so that a successor need not wait. */
  async stop(): Promise<void> {
    if ((await this.replacedLongAgoBy()) === undefined)
      await this.#bucket.put(epochKey(this.#prefix, this.epoch), encodeUtf8(stopped))
  }

  /** Read, not only looked at: S3's answer to HEAD is the same for an object and for a bucket that is gone. */
  async #has(epoch: number): Promise<boolean> {
    return (await Fence.#ownerOf(this.#bucket, this.#prefix, epoch)) !== undefined
  }
}
