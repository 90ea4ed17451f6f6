/**
 * From memory into the bucket: chunk objects first, then of each day that they touch the table of their filters and
 * columns, and the index, which makes them visible; an index that was replaced goes some minutes later, when no reader
 * has it in its list any more, with its table.
 */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { forEachParallel } from '#core/parallel.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Labels } from '#model/labels.ts'
import { askedOfUsable } from './asked-of-usable.ts'
import type { BlockBuilding } from './block-building.ts'
import { packStreams } from './carried-streams.ts'
import { chunkKey, type ChunkRef } from './chunk.ts'
import { filterPathOf, type ClosedChunk } from './closed-chunk.ts'
import { dayMs, firstDayOf, type IndexCatalogue } from './index-catalogue.ts'
import type { IndexedStream } from './index-file.ts'
import type { WrittenIndex } from './index-writing.ts'
import { chunkName } from './merge.ts'
import type { RetiredObjects } from './retired.ts'
import { TableWriter, type FreshChunk } from './table-writer.ts'
import type { TableReader } from './tables.ts'

const uploadsAtOnce = 8
/** Chunks between two pauses. */
const stepChunks = 256

export interface FinishedChunk {
  tenant: string
  labels: Labels
  chunk: ClosedChunk
}

export interface PublishOutcome {
  waiting: ReadonlyMap<FinishedChunk, unknown>
  unlisted: ReadonlyMap<FinishedChunk, Error>
}

/** The index of one tenant and day, and the chunks that it gets. */
interface Table {
  tenant: string
  day: number
  streams: Map<string, IndexedStream>
  members: FinishedChunk[]
}

/** What is to change in an index. */
export interface IndexChange {
  added?: readonly IndexedStream[]
  /** Those of the new chunks that begin on this day, with what lies beside them. */
  fresh?: readonly FreshChunk[]
  /** Names of chunks that are listed no more. */
  leftOut?: ReadonlySet<string>
  /** Chunks that end before this are listed no more either; nothing is written where there are none. */
  oldestMs?: number
  /** Hears of streams of `added` that no index can hold: they are left out. */
  onPoison?: (stream: IndexedStream, error: Error) => void
  /** Asked when something is to be written. */
  mayPut?: () => Promise<boolean>
}

export interface ChunkWriterOptions {
  clock: Clock
  files: Files
  log: Log
  bucket: Bucket
  catalogue: IndexCatalogue
  building: BlockBuilding
  isBase64: boolean
  retired: RetiredObjects
  tables: TableReader
}

export class ChunkWriter {
  readonly #options: ChunkWriterOptions
  readonly #pause: () => Promise<void>
  readonly #tables: TableWriter
  #lastNanos = 0
  uploads = 0
  uploadedBytes = 0
  indexWrites = 0

  constructor(options: ChunkWriterOptions) {
    this.#options = options
    this.#pause = yieldEvery(options.clock)
    this.#tables = new TableWriter(options.bucket, options.tables, this.#pause)
  }

  /**
   * Puts the chunks into the bucket and lists them. What fails stays with the caller: `waiting` is written again,
   * `unlisted` is in the bucket, and no index can list it. `unready`: chunks that are not to be published yet, and why.
   */
  async publish(
    finished: readonly FinishedChunk[],
    unready: ReadonlyMap<ClosedChunk, unknown> = new Map(),
  ): Promise<PublishOutcome> {
    // Lines that were erased, and come again: what went with them is listed again.
    await this.#options.retired.keep(finished.map(({ tenant, chunk }) => this.#chunkKey(tenant, chunk.ref)))
    const waiting = await this.#upload(finished.filter(({ chunk }) => !chunk.overlaps))
    for (const one of finished) if (one.chunk.overlaps) waiting.set(one, unready.get(one.chunk))
    const unlisted = new Map<FinishedChunk, Error>()
    const uploaded = finished.filter(one => !waiting.has(one))
    const tables = await tablesOf(uploaded, this.#pause)
    for (const table of tables.values()) {
      const { tenant, day, streams, members } = table
      try {
        await this.rewrite(tenant, day, {
          added: [...streams.values()],
          fresh: members.filter(({ chunk }) => firstDayOf(chunk.ref) === day).map(({ chunk }) => this.#freshOf(chunk)),
          onPoison: (stream, error) => {
            for (const one of members) if (one.labels.key === stream.labels.key) unlisted.set(one, error)
          },
        })
      } catch (error) {
        for (const one of members) waiting.set(one, error)
      }
    }
    return { waiting, unlisted }
  }

  /** Returns those that the bucket did not take, and why. */
  async #upload(finished: readonly FinishedChunk[]): Promise<Map<FinishedChunk, unknown>> {
    const { bucket, files, isBase64 } = this.#options
    const failed = new Map<FinishedChunk, unknown>()
    let done = 0
    await forEachParallel(finished, uploadsAtOnce, async one => {
      const { tenant, chunk } = one
      // Where the first ones all fail, the bucket is away: the others wait without a try.
      const [reason] = failed.values()
      if (done === 0 && failed.size >= uploadsAtOnce) {
        failed.set(one, reason)
        return
      }
      try {
        await bucket.put(chunkKey(tenant, chunk.ref, isBase64), chunk.bytes ?? (await files.read(chunk.path!)))
        done++
        this.uploads++
        this.uploadedBytes += chunk.size
      } catch (error) {
        failed.set(one, error)
      }
    })
    return failed
  }

  #freshOf(chunk: ClosedChunk): FreshChunk {
    const { ref, entries } = chunk
    const readFilter = async (): Promise<Uint8Array> =>
      chunk.filter ?? (await this.#options.files.read(filterPathOf(chunk.path!)))
    return { ref, entries, readFilter }
  }

  /**
   * Writes a tenant's index of a day again, from all its files and what is added; the files that it replaces are
   * deleted later. Returns the keys of chunks that were too old.
   */
  async rewrite(tenant: string, day: number, change: IndexChange = {}): Promise<string[]> {
    const { catalogue, retired, building } = this.#options
    const { added = [], fresh = [], leftOut = new Set<string>(), oldestMs = -Infinity, onPoison, mayPut } = change
    const plan = {
      tenant,
      added: await packStreams(added, this.#pause),
      leftOut,
      oldestMs,
      onlyExpired: oldestMs > -Infinity,
    }
    // A file that can't be used stays: the new one stands beside it.
    const { files, outcome } = await askedOfUsable(
      catalogue,
      () => catalogue.filesOf(tenant, day),
      usable => building.rewrite({ ...plan, files: usable }),
    )
    if (outcome.kind === 'unchanged' || (mayPut !== undefined && !(await mayPut()))) return []
    const { index, expired, poisoned } = outcome
    for (const { at, reason } of poisoned) onPoison?.(added[at]!, new CorruptDataError(reason))
    const key = index === undefined ? undefined : this.#keyOf(tenant, day, index)
    const gone = new Set(expired)
    const { written, unneeded } = await this.#tables.write({
      replaced: files.map(file => file.key),
      indexKey: key,
      fresh,
      isErased: ref => leftOut.size > 0 && leftOut.has(chunkName(ref)),
      isGone: ref => gone.size > 0 && gone.has(this.#chunkKey(tenant, ref)),
    })
    try {
      if (index !== undefined) await this.#putIndex(tenant, day, key!, index)
    } catch (error) {
      for (const table of written) retired.add(table)
      throw error
    }
    for (const file of files) {
      catalogue.replace(file.key)
      retired.add(file.key, key)
    }
    for (const table of unneeded) retired.add(table)
    return expired
  }

  #chunkKey(tenant: string, ref: ChunkRef): string {
    return chunkKey(tenant, ref, this.#options.isBase64)
  }

  /** A name is used once: two files of one moment differ in it all the same. */
  #keyOf(tenant: string, day: number, { checksum, fromMs, throughMs }: WrittenIndex): string {
    this.#lastNanos = Math.max(this.#lastNanos + 1, this.#options.clock.nowMs() * 1000)
    const name = `${this.#lastNanos}000-compactor-${fromMs}-${throughMs}-${checksum.toString(16)}.tsdb.gz`
    return `index/index_${day}/${tenant}/${name}`
  }

  async #putIndex(tenant: string, day: number, key: string, { packed }: WrittenIndex): Promise<void> {
    const { bucket, catalogue } = this.#options
    await bucket.put(key, packed)
    catalogue.add({ key, day, tenant, bytes: packed.length })
    this.indexWrites++
  }

  retire(key: string, afterMs?: number): void {
    this.#options.retired.add(key, undefined, afterMs)
  }

  /** What was retired until now is known after a crash, too. */
  async noteRetired(): Promise<void> {
    await this.#options.retired.save(true)
  }

  /** Is something due to be removed, or to be noted? */
  get hasRetired(): boolean {
    return this.#options.retired.hasWork
  }

  /** Removes what is due, and notes what is not. */
  async removeRetired(): Promise<void> {
    const { retired, catalogue } = this.#options
    await retired.removeDue(key => {
      catalogue.damage.deleteId(key)
    })
    await retired.save()
  }
}

/** A chunk is listed in the table of every day that it touches. */
async function tablesOf(finished: readonly FinishedChunk[], pause: () => Promise<void>): Promise<Map<string, Table>> {
  const byName = new Map<string, Table>()
  let seen = 0
  for (const one of finished) {
    const { tenant, labels, chunk } = one
    const { ref, kilobytes, entries } = chunk
    for (let day = firstDayOf(ref); day <= Math.floor(ref.throughMs / dayMs); day++) {
      const name = `${day}/${tenant}`
      let table = byName.get(name)
      if (table === undefined) byName.set(name, (table = { tenant, day, streams: new Map(), members: [] }))
      const key = `${ref.fingerprint} ${labels.key}`
      let stream = table.streams.get(key)
      if (stream === undefined) table.streams.set(key, (stream = { fingerprint: ref.fingerprint, labels, chunks: [] }))
      stream.chunks.push({ ...ref, kilobytes, entries })
      table.members.push(one)
    }
    if (++seen % stepChunks === 0) await pause()
  }
  return byName
}
