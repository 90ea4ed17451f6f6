/**
 * Joins the filters of blocks that are not merged any more for now. Small objects are written again with what comes, so
 * that there are few; a block that is merged all the same, or retired, leaves with the object that has it.
 */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { isDamage } from '#core/omissions.ts'
import type { Random } from '#core/random.ts'
import { makeUlid } from '#codec/ulid.ts'
import { bytesAt } from '#codec/parquet/column-data.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { BlockList } from './block-list.ts'
import type { BlockMeta } from './block-meta.ts'
import type { BlockReader } from './block-reader.ts'
import { blockPrefix } from './block-writer.ts'
import { decodeJoined, decodeJoinedHead, encodeJoined, PartsBuilder, type JoinedBlock } from './joined-filters.ts'
import { joinedKey, type JoinedObject } from './joined-list.ts'

export interface FilterJoiningOptions {
  clock: Clock
  random: Random
  log: Log
  bucket: Bucket
  list: BlockList
  reader: BlockReader
  mayWrite: () => Promise<boolean>
  /** Lets other work run. */
  pause: () => Promise<void>
}

/** A block waits so long after the end of its hour, in which it is merged. */
const settledAfterMs = 600_000
const hourMs = 3_600_000
/** Blocks of one step. */
const stepBlocks = 64
/** An object with so many times the blocks that come, or less, is written again with them. */
const absorbedShare = 3
const absorbedBytesMax = 16 * 1024 * 1024
/** Bytes of a footer that is joined too; one that is longer stays with its block. */
const footerBytesMax = 128 * 1024

export class FilterJoining {
  readonly #options: FilterJoiningOptions
  /** Blocks that could not be read: they keep their own filters. */
  readonly #leftOut = new Set<string>()

  constructor(options: FilterJoiningOptions) {
    this.#options = options
  }

  /** A step for each tenant. What fails is tried again in a later round. */
  async run(): Promise<void> {
    const { list, log } = this.#options
    for (const tenant of new Set([...list.tenants(), ...list.joined.tenants()])) {
      try {
        await this.#join(tenant)
      } catch (error) {
        log.warn('filters of traces could not be joined', { tenant, error: messageOf(error) })
      }
    }
  }

  async #join(tenant: string): Promise<void> {
    const { list, mayWrite } = this.#options
    const fresh = list
      .of(tenant)
      .filter(block => this.#isSettled(block) && list.joined.objectOf(block) === undefined)
      .slice(0, stepBlocks)
    const objects = list.joined.of(tenant).map(object => ({ object, live: this.#liveOf(object) }))
    const gone = objects.filter(({ live }) => live.length === 0).map(({ object }) => object)
    if (fresh.length === 0 && gone.length === 0) return
    if (!(await mayWrite())) return
    if (fresh.length > 0) await this.#write(tenant, fresh, objects)
    for (const { key } of gone) await this.#remove(key)
  }

  #isSettled(block: BlockMeta): boolean {
    const { clock, list } = this.#options
    if (list.isStaged(block) || this.#leftOut.has(block.blockId)) return false
    const hourOf = (ms: number): number => Math.floor(ms / hourMs)
    const isOver = hourOf(block.endMs) < hourOf(clock.nowMs() - settledAfterMs)
    return isOver && list.damage.get(block.tenant, block.blockId) === undefined
  }

  /** Blocks that are served, and found by this object. */
  #liveOf(object: JoinedObject): BlockMeta[] {
    const { list } = this.#options
    return list.of(object.tenant).filter(block => list.joined.objectOf(block) === object)
  }

  async #write(
    tenant: string,
    fresh: readonly BlockMeta[],
    objects: readonly { object: JoinedObject; live: readonly BlockMeta[] }[],
  ): Promise<void> {
    const { bucket, list, clock, random, mayWrite } = this.#options
    const joined: JoinedBlock[] = []
    for (const block of fresh) {
      const read = await this.#read(block)
      if (read !== undefined) joined.push(read)
    }
    if (joined.length === 0) return
    const absorbed: JoinedObject[] = []
    for (const { object, live } of objects.toSorted((a, b) => a.live.length - b.live.length)) {
      if (live.length === 0) continue
      if (live.length > joined.length * absorbedShare || object.head.bytes > absorbedBytesMax) break
      absorbed.push(object)
      for (const block of await this.#readObject(object, live)) joined.push(block)
    }
    const bytes = encodeJoined(joined)
    const key = joinedKey(tenant, makeUlid(clock.nowMs(), random))
    if (!(await mayWrite())) return
    await bucket.put(key, bytes)
    list.joined.addOwn({ key, tenant, head: decodeJoinedHead(bytes) })
    for (const object of absorbed) await this.#remove(object.key)
  }

  /** A reader that knows the object alone finds that it is gone, and goes by the blocks' own filters. */
  async #remove(key: string): Promise<void> {
    await this.#options.bucket.delete(key)
    this.#options.list.joined.drop(key)
  }

  /** What an object has of the blocks that are served; of one that is damaged nothing is taken over. */
  async #readObject({ key }: JoinedObject, live: readonly BlockMeta[]): Promise<JoinedBlock[]> {
    const ids = new Set(live.map(({ blockId }) => blockId))
    try {
      return decodeJoined(await this.#options.bucket.get(key)).filter(({ blockId }) => ids.has(blockId))
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#options.log.warn('joined filters of traces are damaged, and made again', { key, error: error.message })
      return []
    }
  }

  /** Undefined where the block is damaged: who reads it for a query says so. */
  async #read(block: BlockMeta): Promise<JoinedBlock | undefined> {
    const { reader, pause } = this.#options
    const parts = new PartsBuilder()
    try {
      for (const { rows, columns } of await reader.rows(block)) {
        const ids = (await columns(['TraceID'])).get('TraceID')
        for (let row = 0; ids !== undefined && row < rows; row++) {
          const id = bytesAt(ids, row)
          if (id.length !== 16) throw new CorruptDataError(`block ${block.blockId}: an id of ${id.length} bytes`)
          parts.add(id)
        }
        await pause()
      }
      const { blockId, size } = block
      return { blockId, size, footer: await this.#footerOf(block), parts: parts.finish() }
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#leftOut.add(block.blockId)
      return undefined
    }
  }

  async #footerOf({ tenant, blockId, size, footerSize }: BlockMeta): Promise<Uint8Array> {
    if (footerSize === 0 || footerSize > footerBytesMax) return new Uint8Array(0)
    const key = `${blockPrefix(tenant, blockId)}data.parquet`
    return this.#options.bucket.getRange(key, size - 8 - footerSize, footerSize)
  }
}
