/**
 * Blocks that are not served any more and go some time later: whoever planned with them, here or in a process that
 * only reads, still finds their objects. `deletion-mark.json` says so in the bucket, in the form of Thanos and Mimir.
 */
import type { Clock } from '#core/clock.ts'
import { NotFoundError } from '#core/errors.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { BlockMeta } from './block-meta.ts'

export const markName = 'deletion-mark.json'
/** Three looks of a process that only reads. */
const delayMs = 900_000

export interface DoomedBlock {
  tenant: string
  meta: BlockMeta
  /** The block that has its samples; undefined: nobody needs them any more. */
  replacedBy: string | undefined
  /** By the monotonic clock; undefined: there may be no mark in the bucket. */
  dueMs: number | undefined
}

export class DeletionMarks {
  readonly #bucket: Bucket
  readonly #clock: Clock
  /** In the order in which they go: what a block was made of goes before it. */
  readonly #blocks = new Map<string, DoomedBlock>()

  constructor(bucket: Bucket, clock: Clock) {
    this.#bucket = bucket
    this.#clock = clock
  }

  has(tenant: string, id: string): boolean {
    return this.#blocks.has(`${tenant}/${id}`)
  }

  get isEmpty(): boolean {
    return this.#blocks.size === 0
  }

  of(tenant: string): DoomedBlock[] {
    return [...this.#blocks.values()].filter(block => block.tenant === tenant)
  }

  /** The block is served no more; `mark` says so in the bucket. */
  add(tenant: string, meta: BlockMeta, replacedBy: string | undefined): void {
    const key = `${tenant}/${meta.ulid}`
    if (!this.#blocks.has(key)) this.#blocks.set(key, { tenant, meta, replacedBy, dueMs: undefined })
  }

  forget({ tenant, meta }: Pick<DoomedBlock, 'tenant' | 'meta'>): void {
    this.#blocks.delete(`${tenant}/${meta.ulid}`)
  }

  /** Marks what is not marked yet; a mark that is there from before the start goes on. */
  async mark(): Promise<void> {
    for (const block of this.#blocks.values()) {
      if (block.dueMs !== undefined) continue
      const key = `${block.tenant}/${block.meta.ulid}/${markName}`
      const markedMs = (await this.#markedMs(key)) ?? (await this.#markNow(key, block.meta.ulid))
      const passedMs = Math.max(0, this.#clock.nowMs() - markedMs)
      block.dueMs = this.#clock.monotonicMs() + Math.max(0, delayMs - passedMs)
    }
  }

  /** The block that is to be deleted next. */
  nextDue(): DoomedBlock | undefined {
    const nowMs = this.#clock.monotonicMs()
    for (const block of this.#blocks.values()) if (block.dueMs !== undefined && block.dueMs <= nowMs) return block
    return undefined
  }

  async #markedMs(key: string): Promise<number | undefined> {
    let bytes: Uint8Array
    try {
      bytes = await this.#bucket.get(key)
    } catch (error) {
      if (error instanceof NotFoundError) return undefined
      throw error
    }
    try {
      const { deletion_time: seconds } = JSON.parse(Buffer.from(bytes).toString()) as { deletion_time?: unknown }
      return typeof seconds === 'number' ? seconds * 1000 : undefined
    } catch {
      return undefined
    }
  }

  async #markNow(key: string, id: string): Promise<number> {
    const nowMs = this.#clock.nowMs()
    const mark = { id, version: 1, details: 'replaced or expired', deletion_time: Math.floor(nowMs / 1000) }
    await this.#bucket.put(key, encodeUtf8(JSON.stringify(mark)))
    return nowMs
  }
}
