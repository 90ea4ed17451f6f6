/** Reads chunks again, one after another and slowly, so that damage is known before a query meets it. */
import { crc32c } from '#codec/crc32c.ts'
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { isDamage } from '#core/omissions.ts'
import { ScrubPace } from '#store/scrub-pace.ts'
import type { ChunkReader } from './block-reader.ts'
import { openChunkObject } from './chunk.ts'
import type { IndexCatalogue } from './index-catalogue.ts'
import type { IndexedChunk } from './index-file.ts'
import { chunkName } from './merge.ts'

interface Unit {
  tenant: string
  chunk: IndexedChunk
}

export class Scrub {
  readonly #catalogue: IndexCatalogue
  readonly #reader: ChunkReader
  readonly #log: Log
  readonly #pace: ScrubPace
  #units: AsyncIterator<Unit> | undefined

  constructor(clock: Clock, log: Log, catalogue: IndexCatalogue, reader: ChunkReader) {
    this.#catalogue = catalogue
    this.#reader = reader
    this.#log = log
    this.#pace = new ScrubPace(clock)
  }

  /** Verifies the next chunk, when its time has come. */
  async step(): Promise<void> {
    if (!this.#pace.isDue) return
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
        for (const { key } of this.#catalogue.filesOf(tenant, day)) {
          const index = await this.#catalogue.index(key, tenant)
          for (const { chunks } of index?.streams ?? []) for (const chunk of chunks) yield { tenant, chunk }
        }
  }

  async #verify({ tenant, chunk }: Unit): Promise<void> {
    const id = this.#reader.keyOf(tenant, chunk)
    try {
      const bytes = await this.#reader.read(tenant, chunk)
      this.#pace.spent(bytes.length)
      if (crc32c(bytes) !== chunk.checksum) throw new CorruptDataError('the object has a wrong checksum')
      const inner = openChunkObject(bytes)
      for (let i = 0; i < inner.blocks.length; i++) inner.readBlock(i)
      this.#catalogue.damage.delete(tenant, id)
    } catch (error) {
      if (!isDamage(error)) throw error
      // It may have been replaced since the pass began.
      if (await this.#isListed(tenant, chunk))
        this.#catalogue.noteDamage({ tenant, id, reason: error.message, isWhole: false })
    }
  }

  async #isListed(tenant: string, chunk: IndexedChunk): Promise<boolean> {
    await this.#catalogue.refresh()
    const name = chunkName(chunk)
    const indexes = await this.#catalogue.indexes(tenant, chunk.fromMs, chunk.throughMs)
    return indexes.some(index => index.streams.some(({ chunks }) => chunks.some(one => chunkName(one) === name)))
  }
}
