/**
 * One writer per prefix. A writer claims the next epoch by creating an object that nobody else can create; one that
 * finds a higher epoch than its own has been replaced, and stops writing.
 */
import { ConflictError, NotFoundError } from '#core/errors.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { encodeUtf8 } from '#core/text.ts'

/** What an owner's text begins with when it is none of ours. */
const givenAway = 'handed over to '

export class Fence {
  readonly #bucket: Bucket
  readonly #prefix: string
  readonly epoch: number

  private constructor(bucket: Bucket, prefix: string, epoch: number) {
    this.#bucket = bucket
    this.#prefix = prefix
    this.epoch = epoch
  }

  /**
   * Takes over the prefix (which ends in `/`): whoever held it before is fenced off. `owner` is written there for
   * people to read.
   */
  static async claim(bucket: Bucket, prefix: string, owner: string): Promise<Fence> {
    for (;;) {
      const epochs = await Fence.#epochs(bucket, prefix)
      const next = (epochs.at(-1) ?? 0) + 1
      try {
        await bucket.put(`${prefix}${String(next).padStart(8, '0')}`, encodeUtf8(owner), { ifAbsent: true })
      } catch (error) {
        if (error instanceof ConflictError) continue
        throw error
      }
      for (const old of epochs.slice(0, -1)) await bucket.delete(`${prefix}${String(old).padStart(8, '0')}`)
      return new Fence(bucket, prefix, next)
    }
  }

  /** Takes an epoch by which nobody of ours writes. */
  static async giveAway(bucket: Bucket, prefix: string, successor: string): Promise<void> {
    await Fence.claim(bucket, prefix, `${givenAway}${successor}`)
  }

  /** To whom the prefix was given away; undefined where it is ours, or nobody's. */
  static async successorOf(bucket: Bucket, prefix: string): Promise<string | undefined> {
    const newest = (await Fence.#epochs(bucket, prefix)).at(-1)
    if (newest === undefined) return undefined
    const owner = Buffer.from(await bucket.get(`${prefix}${String(newest).padStart(8, '0')}`)).toString()
    return owner.startsWith(givenAway) ? owner.slice(givenAway.length) : undefined
  }

  static async #epochs(bucket: Bucket, prefix: string): Promise<number[]> {
    const objects = await bucket.list(prefix)
    return objects
      .map(o => Number.parseInt(o.key.slice(prefix.length), 10))
      .filter(Number.isFinite)
      .sort((a, b) => a - b)
  }

  /**
   * The epoch of a newer writer, or undefined while the prefix is ours. Asks for two objects and lists nothing: whoever
   * takes over creates the next epoch, and the one after that removes ours.
   */
  async replacedBy(): Promise<number | undefined> {
    const [next, ours] = await Promise.all([this.#has(this.epoch + 1), this.#has(this.epoch)])
    return next || !ours ? this.epoch + 1 : undefined
  }

  async #has(epoch: number): Promise<boolean> {
    try {
      await this.#bucket.size(`${this.#prefix}${String(epoch).padStart(8, '0')}`)
      return true
    } catch (error) {
      if (error instanceof NotFoundError) return false
      throw error
    }
  }
}
