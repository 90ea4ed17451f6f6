/** Reads chunks again, one after another and slowly, so that damage is known before a query meets it. */
import type { Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { isDamage } from '#core/omissions.ts'
import { ScrubPace } from '#store/scrub-pace.ts'
import { askedOfUsable } from './asked-of-usable.ts'
import type { BlockBuilding } from './block-building.ts'
import { unpackStreams } from './carried-streams.ts'
import type { IndexCatalogue } from './index-catalogue.ts'
import type { IndexedChunk } from './index-file.ts'
import { chunkName } from './merge.ts'

interface Unit {
  tenant: string
  chunk: IndexedChunk
}

export interface ScrubOptions {
  clock: Clock
  log: Log
  catalogue: IndexCatalogue
  building: BlockBuilding
  /** The key of a chunk's object. */
  keyOf: (tenant: string, chunk: IndexedChunk) => string
}

/** Chunks that are asked for at a time. */
const pageChunks = 1000

export class Scrub {
  readonly #catalogue: IndexCatalogue
  readonly #building: BlockBuilding
  readonly #keyOf: (tenant: string, chunk: IndexedChunk) => string
  readonly #log: Log
  readonly #pace: ScrubPace
  #units: AsyncIterator<Unit> | undefined

  constructor({ clock, log, catalogue, building, keyOf }: ScrubOptions) {
    this.#catalogue = catalogue
    this.#building = building
    this.#keyOf = keyOf
    this.#log = log
    this.#pace = new ScrubPace(clock)
  }

  /** Verifies the next chunks, when their time has come. */
  step(): Promise<void> {
    return this.#pace.round(() => this.#next())
  }

  async #next(): Promise<void> {
    try {
      const next = await (this.#units ??= this.#pass()).next()
      if (next.done === true) {
        this.#units = undefined
        this.#pace.passEnded()
      } else await this.#verify(next.value)
    } catch (error) {
      this.#units = undefined
      this.#log.warn('log chunks could not be verified', { error: messageOf(error) })
      this.#pace.rest()
    }
  }

  /** Every chunk that an index lists, once. */
  async *#pass(): AsyncGenerator<Unit> {
    for (const tenant of this.#catalogue.tenants())
      for (const day of this.#catalogue.daysOf(tenant))
        for (const { key } of this.#catalogue.filesOf(tenant, day)) yield* this.#listed(tenant, day, key)
  }

  /** The chunks that one file lists. */
  async *#listed(tenant: string, day: number, key: string): AsyncGenerator<Unit> {
    const question = { tenant, fromMs: -Infinity, throughMs: Infinity, notice: undefined, limit: pageChunks }
    for (let skip = 0; ; skip += pageChunks) {
      const { outcome } = await askedOfUsable(
        this.#catalogue,
        () => this.#catalogue.filesOf(tenant, day).filter(file => file.key === key),
        files => this.#building.chunks({ ...question, files, skip }),
      )
      for (const { chunks } of unpackStreams(outcome.streams)) for (const chunk of chunks) yield { tenant, chunk }
      if (!outcome.hasMore) return
    }
  }

  async #verify({ tenant, chunk }: Unit): Promise<void> {
    const id = this.#keyOf(tenant, chunk)
    const reason = await this.#problemOf(tenant, chunk)
    if (reason === undefined) this.#catalogue.damage.delete(tenant, id)
    // It may have been replaced since the pass began.
    else if (await this.#isListed(tenant, chunk)) this.#catalogue.noteDamage({ tenant, id, reason, isWhole: false })
  }

  async #problemOf(tenant: string, chunk: IndexedChunk): Promise<string | undefined> {
    try {
      const { bytes, problem } = await this.#building.verify(tenant, chunk)
      this.#pace.spent(bytes)
      return problem
    } catch (error) {
      if (!isDamage(error)) throw error
      return error.message
    }
  }

  async #isListed(tenant: string, chunk: IndexedChunk): Promise<boolean> {
    await this.#catalogue.refresh()
    const name = chunkName(chunk)
    const indexes = await this.#catalogue.indexes(tenant, chunk.fromMs, chunk.throughMs)
    return indexes.some(index => index.streams.some(({ chunks }) => chunks.some(one => chunkName(one) === name)))
  }
}
