/** Removes deleted lines from the bucket: chunks that have some are written again without them, or leave the index. */
import type { Clock } from '#core/clock.ts'
import type { Log } from '#core/log.ts'
import { isDamage } from '#core/omissions.ts'
import type { Labels } from '#model/labels.ts'
import { readPairs, type Lines } from './block-lines.ts'
import type { ChunkReader } from './block-reader.ts'
import type { BlockLife } from './block-life.ts'
import type { ChunkWriter, FinishedChunk } from './block-writer.ts'
import { chunkKey, filterKey } from './chunk.ts'
import type { DeletionRequest, DeletionRequests } from './deletion.ts'
import { OpenChunk } from './open-chunk.ts'
import { dayMs, type IndexCatalogue } from './index-catalogue.ts'
import type { IndexedChunk } from './index-file.ts'
import { chunkName } from './merge.ts'
import type { DeletionNotice, OpenedChunk } from './select.ts'

/** Finds out which lines of a stream the deletions hide; undefined: none. */
export type HidingTest = (
  notices: readonly DeletionNotice[],
  labels: Labels,
) => ((lines: Lines, i: number, symbols: readonly string[]) => boolean) | undefined

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
  readonly #reader: ChunkReader
  readonly #life: BlockLife
  readonly #writer: ChunkWriter
  readonly #mayWrite: () => Promise<boolean>
  /** Chunks written again or dropped. */
  erased = 0

  constructor(
    options: EraserOptions,
    deletions: DeletionRequests,
    catalogue: IndexCatalogue,
    reader: ChunkReader,
    life: BlockLife,
    mayWrite: () => Promise<boolean>,
  ) {
    this.#options = options
    this.#deletions = deletions
    this.#catalogue = catalogue
    this.#reader = reader
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
    const isMeant = (tenant: string, labels: Labels): boolean =>
      due.some(request => request.tenant === tenant && hides([request], labels) !== undefined)
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
    for (const index of await this.#catalogue.indexes(tenant, request.fromMs, request.throughMs)) {
      for (const { fingerprint, labels, chunks } of index.streams) {
        const hides = this.#options.hides([request], labels)
        if (hides === undefined) continue
        for (const chunk of chunks) {
          if (chunk.fromMs > request.throughMs || chunk.throughMs < request.fromMs || replaced.has(chunkName(chunk)))
            continue
          const found = await this.#withoutHidden(tenant, chunk, hides, damaged)
          if (found === undefined || found.hidden === 0) continue
          const { rest } = found
          replaced.set(chunkName(chunk), chunk)
          if (rest.entries > 0)
            fresh.push({ tenant, labels, chunk: rest.close(tenant, BigInt(`0x${fingerprint}`), labels) })
        }
      }
    }
    if (replaced.size === 0) return 0
    if (fresh.length > 0) await this.#publish(fresh)
    const days = new Set<number>()
    for (const { fromMs, throughMs } of replaced.values())
      for (let day = Math.floor(fromMs / dayMs); day <= Math.floor(throughMs / dayMs); day++) days.add(day)
    for (const day of days) await this.#writer.rewrite(tenant, day, [], chunk => !replaced.has(chunkName(chunk)))
    for (const chunk of replaced.values()) {
      this.#writer.retire(chunkKey(tenant, chunk, this.#options.isBase64), removeChunkAfterMs)
      this.#writer.retire(filterKey(tenant, chunk, this.#options.isBase64), removeChunkAfterMs)
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

  /** Undefined when the chunk can't be read as a whole. */
  async #withoutHidden(
    tenant: string,
    chunk: IndexedChunk,
    hides: (lines: Lines, i: number, symbols: readonly string[]) => boolean,
    damaged: string[],
  ): Promise<{ rest: OpenChunk; hidden: number } | undefined> {
    try {
      const opened = await this.#reader.indexed(tenant, chunk).open()
      return opened === undefined ? undefined : withoutHidden(opened, hides, this.#options.clock.nowMs())
    } catch (error) {
      if (!isDamage(error)) throw error
      damaged.push(this.#reader.keyOf(tenant, chunk))
      return undefined
    }
  }
}

/** Lines in memory that the bucket does not take are tried again after so long. */
const waitMs = 60_000
/** A request that met damage is tried again after so long. */
const postponeMs = 3_600_000

/** A chunk of the lines that are not hidden, and how many were. */
function withoutHidden(
  opened: OpenedChunk,
  hides: (lines: Lines, i: number, symbols: readonly string[]) => boolean,
  nowMs: number,
): { rest: OpenChunk; hidden: number } {
  const rest = new OpenChunk(nowMs)
  let hidden = 0
  for (const block of opened.blocks) {
    const lines = block.lines()
    for (let i = 0; i < lines.count; i++) {
      if (hides(lines, i, opened.symbols)) hidden++
      else
        rest.append(
          lines.timesMs[i]!,
          lines.subNs[i]!,
          lines.bytes,
          lines.lineFrom[i]!,
          lines.lineTo[i]!,
          readPairs(lines, i, opened.symbols),
        )
    }
  }
  return { rest, hidden }
}
