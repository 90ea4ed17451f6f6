/** Reads blocks again, one after another and slowly, so that damage is known before a query meets it. */
import type { Clock } from '#core/clock.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { isDamage } from '#core/omissions.ts'
import { nextKey, ScrubPace } from '#store/scrub-pace.ts'
import type { BlockBuilding } from './block-building.ts'
import type { BlockList } from './block-list.ts'
import type { BlockMeta } from './block-meta.ts'
import type { BlockReader } from './block-reader.ts'

export class Scrub {
  readonly #list: BlockList
  readonly #reader: BlockReader
  readonly #log: Log
  readonly #building: BlockBuilding
  readonly #pace: ScrubPace
  #last = ''

  constructor(clock: Clock, log: Log, list: BlockList, reader: BlockReader, building: BlockBuilding) {
    this.#list = list
    this.#reader = reader
    this.#log = log
    this.#building = building
    this.#pace = new ScrubPace(clock)
  }

  /** Verifies the next blocks, when their time has come. */
  step(): Promise<void> {
    return this.#pace.round(() => this.#next())
  }

  async #next(): Promise<void> {
    const blocks = new Map(this.#list.all().map(meta => [`${meta.tenant}/${meta.blockId}`, meta]))
    const key = nextKey(blocks.keys(), this.#last)
    const meta = key === undefined ? undefined : blocks.get(key)
    if (key === undefined || meta === undefined) {
      this.#pace.rest()
      return
    }
    if (key <= this.#last) {
      this.#last = ''
      this.#pace.passEnded()
      return
    }
    this.#last = key
    this.#pace.spent(meta.size)
    try {
      await this.#verify(meta)
    } catch (error) {
      this.#log.warn('a block could not be verified', { block: key, error: messageOf(error) })
      this.#pace.rest()
    }
  }

  async #verify(meta: BlockMeta): Promise<void> {
    try {
      await this.#building.verify(meta)
      this.#list.damage.delete(meta.tenant, meta.blockId)
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#reader.forget(meta)
      if (error instanceof NotFoundError) await this.#list.refresh()
      if (this.#list.isLive(meta.tenant, meta.blockId)) this.#list.noteDamage(meta, error, false)
    }
  }
}
