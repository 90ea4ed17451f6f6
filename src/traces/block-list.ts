/** Which blocks the bucket has, by tenant: from their meta.json, which never changes while it is there. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { forEachParallel } from '#core/parallel.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { decodeMeta, isBlockId, type BlockMeta } from './block-meta.ts'

const readable = new Set(['vParquet5', 'vParquet4'])
const readsAtOnce = 16

export interface RetiredBlock {
  tenant: string
  blockId: string
  retiredMs: number
}

export class BlockList {
  readonly #bucket: Bucket
  readonly #log: Log
  readonly #clock: Clock
  #live = new Map<string, BlockMeta>()
  #retired = new Map<string, RetiredBlock>()
  /** Blocks that can't be used, and why. */
  readonly quarantined = new Map<string, string>()

  constructor(bucket: Bucket, log: Log, clock: Clock) {
    this.#bucket = bucket
    this.#log = log
    this.#clock = clock
  }

  all(): BlockMeta[] {
    return [...this.#live.values()]
  }
  get count(): number {
    return this.#live.size
  }
  get bytes(): number {
    let sum = 0
    for (const { size } of this.#live.values()) sum += size
    return sum
  }

  /** Looks into the bucket for blocks that appeared or vanished. */
  async refresh(): Promise<void> {
    const live = new Map<string, BlockMeta>()
    const retired = new Map<string, RetiredBlock>()
    for (const tenant of await this.#bucket.listDirectories('')) {
      const wanted: string[] = []
      for (const { key, modifiedMs } of await this.#bucket.list(`${tenant}/`)) {
        const [, blockId = '', name, ...more] = key.split('/')
        if (more.length > 0 || !isBlockId(blockId)) continue
        if (name === 'meta.json') wanted.push(blockId)
        else if (name === 'meta.compacted.json')
          retired.set(`${tenant}/${blockId}`, { tenant, blockId, retiredMs: modifiedMs })
      }
      await forEachParallel(wanted, readsAtOnce, async blockId => {
        const key = `${tenant}/${blockId}`
        const meta = this.#live.get(key) ?? (await this.#read(tenant, blockId))
        if (meta !== undefined) live.set(key, meta)
      })
    }
    // What this process put there meanwhile was perhaps not listed yet.
    for (const [key, addedMs] of this.#addedMs) {
      const meta = this.#live.get(key)
      if (addedMs < this.#clock.monotonicMs() - 60_000) this.#addedMs.delete(key)
      else if (meta !== undefined) live.set(key, meta)
    }
    for (const key of this.#removed) live.delete(key)
    this.#live = live
    this.#retired = retired
  }
  readonly #addedMs = new Map<string, number>()
  readonly #removed = new Set<string>()

  async #read(tenant: string, blockId: string): Promise<BlockMeta | undefined> {
    const key = `${tenant}/${blockId}`
    if (this.quarantined.has(key)) return undefined
    try {
      const meta = decodeMeta(await this.#bucket.get(`${key}/meta.json`))
      if (!readable.has(meta.format))
        throw new CorruptDataError(
          `the format ${JSON.stringify(meta.format)} is not known; vParquet5 and vParquet4 are`,
        )
      if (meta.blockId !== blockId) throw new CorruptDataError(`meta.json names another block, ${meta.blockId}`)
      return { ...meta, tenant }
    } catch (error) {
      if (error instanceof NotFoundError) return undefined
      if (!(error instanceof CorruptDataError)) throw error
      this.quarantined.set(key, messageOf(error))
      this.#log.error("a block of traces can't be used", { block: key, error: messageOf(error) })
      return undefined
    }
  }

  tenants(): string[] {
    return [...new Set([...this.#live.values()].map(m => m.tenant))]
  }
  of(tenant: string): BlockMeta[] {
    return [...this.#live.values()].filter(m => m.tenant === tenant)
  }
  has(tenant: string, blockId: string): boolean {
    const key = `${tenant}/${blockId}`
    return this.#live.has(key) || this.#retired.has(key)
  }
  retired(): RetiredBlock[] {
    return [...this.#retired.values()]
  }

  add(meta: BlockMeta): void {
    const key = `${meta.tenant}/${meta.blockId}`
    this.#live.set(key, meta)
    this.#addedMs.set(key, this.#clock.monotonicMs())
  }

  retire(meta: BlockMeta, nowMs: number): void {
    const key = `${meta.tenant}/${meta.blockId}`
    this.#live.delete(key)
    this.#addedMs.delete(key)
    this.#removed.add(key)
    this.#retired.set(key, { tenant: meta.tenant, blockId: meta.blockId, retiredMs: nowMs })
  }

  /** Its objects are gone. */
  forget({ tenant, blockId }: RetiredBlock): void {
    const key = `${tenant}/${blockId}`
    this.#retired.delete(key)
    this.#removed.delete(key)
  }

  /** A block that turned out to be damaged: it is not read again. */
  quarantine(meta: BlockMeta, reason: string): void {
    const key = `${meta.tenant}/${meta.blockId}`
    this.quarantined.set(key, reason)
    this.#live.delete(key)
    this.#log.error("a block of traces can't be used", { block: key, error: reason })
  }
}
