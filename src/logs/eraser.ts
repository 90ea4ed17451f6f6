/** Removes deleted lines from the bucket: chunks that have some are written again without them, or leave the index. */
import type { Clock } from '#core/clock.ts'
import type { Log } from '#core/log.ts'
import { addAll } from '#core/lists.ts'
import { isDamage } from '#core/omissions.ts'
import type { Labels } from '#model/labels.ts'
import { askedOfUsable } from './asked-of-usable.ts'
import type { BlockBuilding, HidingTest } from './block-building.ts'
import type { BlockLife } from './block-life.ts'
import type { ChunkWriter, FinishedChunk } from './block-writer.ts'
import { unpackStreams } from './carried-streams.ts'
import { chunkKey, filterBeside } from './chunk.ts'
import type { ClosedChunk } from './closed-chunk.ts'
import type { DeletionRequest, DeletionRequests } from './deletion.ts'
import { dayMs, type IndexCatalogue } from './index-catalogue.ts'
import type { IndexedChunk, IndexedStream } from './index-file.ts'
import { chunkName } from './merge.ts'

export interface EraserOptions {
  clock: Clock
  log: Log
  isBase64: boolean
  /** How long a request can be taken back before the bucket is changed. */
  delayMs: number
  hides: HidingTest
}

const removeChunkAfterMs = 7_200_000

export class ChunkEraser {
  readonly #options: EraserOptions
  readonly #deletions: DeletionRequests
  readonly #catalogue: IndexCatalogue
  readonly #building: BlockBuilding
  readonly #life: BlockLife
  readonly #writer: ChunkWriter
  readonly #mayWrite: () => Promise<boolean>
  /** Chunks written again or dropped. */
  erased = 0

  constructor(
    options: EraserOptions,
    deletions: DeletionRequests,
    catalogue: IndexCatalogue,
    building: BlockBuilding,
    life: BlockLife,
    mayWrite: () => Promise<boolean>,
  ) {
    this.#options = options
    this.#deletions = deletions
    this.#catalogue = catalogue
    this.#building = building
    this.#life = life
    this.#writer = life.writer
    this.#mayWrite = mayWrite
  }

  /**
   * Works off the requests that are due. What fails is tried again in the next round: doing it twice changes nothing.
   */
  async run(): Promise<void> {
    const { clock, delayMs, log, hides } = this.#options
    const due = this.#deletions
      .due(clock.nowMs() - delayMs)
      .filter(({ id }) => (this.#postponed.get(id) ?? -Infinity) <= clock.nowMs())
    if (due.length === 0) return
    const tests = due.map(request => ({ tenant: request.tenant, hidden: hides([request]) }))
    const isMeant = (tenant: string, labels: Labels): boolean =>
      tests.some(test => test.tenant === tenant && test.hidden.of(labels) !== undefined)
    if (!(await this.#life.moveOut(isMeant))) {
      for (const { id } of due) this.#postponed.set(id, clock.nowMs() + waitMs)
      return
    }
    for (const request of due) {
      if (!(await this.#mayWrite())) return
      const damaged: string[] = []
      const chunks = await this.#erase(request, damaged)
      if (damaged.length > 0) {
        // Until all is erased, queries go on hiding these lines.
        this.#postponed.set(request.id, clock.nowMs() + postponeMs)
        log.warn('a deletion of log lines waits: chunks are damaged', {
          id: request.id,
          chunks: damaged.length,
          first: damaged[0]!,
        })
        continue
      }
      // Else a start would list again what was replaced, and show what was deleted.
      await this.#writer.noteRetired()
      await this.#deletions.finish(request)
      log.info('a deletion of log lines is done', { id: request.id, chunks })
    }
  }

  /** Keys of chunks that can't be read go into `damaged`: they stay as they are. */
  async #erase(request: DeletionRequest, damaged: string[]): Promise<number> {
    const { tenant } = request
    const replaced = new Map<string, IndexedChunk>()
    const fresh: FinishedChunk[] = []
    for (const { labels, chunks } of await this.#touched(request)) {
      for (const chunk of chunks) {
        const name = chunkName(chunk)
        if (replaced.has(name)) continue
        const rest = await this.#withoutHidden(request, labels, chunk, damaged)
        if (rest === 'unchanged') continue
        replaced.set(name, chunk)
        if (rest !== undefined) fresh.push({ tenant, labels, chunk: rest })
      }
    }
    if (replaced.size === 0) return 0
    if (fresh.length > 0) await this.#publish(fresh)
    const days = new Set<number>()
    for (const { fromMs, throughMs } of replaced.values())
      for (let day = Math.floor(fromMs / dayMs); day <= Math.floor(throughMs / dayMs); day++) days.add(day)
    const leftOut = new Set(replaced.keys())
    for (const day of days) await this.#writer.rewrite(tenant, day, { leftOut })
    for (const chunk of replaced.values()) {
      const key = chunkKey(tenant, chunk, this.#options.isBase64)
      this.#writer.retire(key, removeChunkAfterMs)
      this.#writer.retire(filterBeside(key), removeChunkAfterMs)
    }
    this.erased += replaced.size
    return replaced.size
  }
  readonly #postponed = new Map<string, number>()

  /** What is erased must be replaced as a whole, or not at all. */
  async #publish(fresh: readonly FinishedChunk[]): Promise<void> {
    const { waiting, unlisted } = await this.#writer.publish(fresh)
    for (const error of [...waiting.values(), ...unlisted.values()]) throw error
  }

  /** Chunks of the time and of the streams that the request may mean. */
  async #touched({ id, tenant, query, fromMs, throughMs }: DeletionRequest): Promise<IndexedStream[]> {
    const question = { tenant, fromMs, throughMs, notice: { id, query, fromMs, throughMs }, limit: pageChunks }
    const streams: IndexedStream[] = []
    for (let skip = 0; ; skip += pageChunks) {
      const { outcome } = await askedOfUsable(
        this.#catalogue,
        () => this.#catalogue.filesIn(tenant, fromMs, throughMs),
        files => this.#building.chunks({ ...question, files, skip }),
      )
      addAll(streams, unpackStreams(outcome.streams))
      if (!outcome.hasMore) return streams
    }
  }

  /**
   * The chunk of what stays; undefined when nothing does. `unchanged`: no line goes, or the chunk can't be read as a
   * whole.
   */
  async #withoutHidden(
    { id, tenant, query, fromMs, throughMs }: DeletionRequest,
    labels: Labels,
    chunk: IndexedChunk,
    damaged: string[],
  ): Promise<ClosedChunk | undefined | 'unchanged'> {
    const notice = { id, query, fromMs, throughMs }
    try {
      const { hidden, rest } = await this.#building.erase({ tenant, labels: labels.pairs, chunk, notice })
      return hidden === 0 ? 'unchanged' : rest
    } catch (error) {
      if (!isDamage(error)) throw error
      damaged.push(chunkKey(tenant, chunk, this.#options.isBase64))
      return 'unchanged'
    }
  }
}

/** Chunks that are asked for at a time. */
const pageChunks = 1000
/** Lines in memory that the bucket does not take are tried again after so long. */
const waitMs = 60_000
/** A request that met damage is tried again after so long. */
const postponeMs = 3_600_000
