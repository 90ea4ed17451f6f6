/**
 * From memory into the bucket: chunk objects first, then the index of each day that they touch, which makes them
 * visible; an index that was replaced goes some minutes later, when no reader has it in its list any more.
 */
import { gzip } from 'node:zlib'
import { promisify } from 'node:util'
import type { Clock } from '#core/clock.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { forEachParallel } from '#core/parallel.ts'
import { isPoison } from '#core/poison.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Labels } from '#model/labels.ts'
import { chunkKey, filterKey } from './chunk.ts'
import { filterPathOf, type ClosedChunk } from './open-chunk.ts'
import {
  decodeIndex,
  encodeIndex,
  indexChecksum,
  type IndexedChunk,
  type IndexedStream,
  type LogIndex,
} from './index-file.ts'
import { dayMs, type IndexCatalogue } from './index-catalogue.ts'
import { mergeIndexes } from './merge.ts'
import type { RetiredObjects } from './retired.ts'

const pack = promisify(gzip)
const uploadsAtOnce = 8

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

export interface ChunkWriterOptions {
  clock: Clock
  files: Files
  log: Log
  bucket: Bucket
  catalogue: IndexCatalogue
  isBase64: boolean
  retired: RetiredObjects
}

export class ChunkWriter {
  readonly #options: ChunkWriterOptions
  #lastNanos = 0
  uploads = 0
  uploadedBytes = 0
  indexWrites = 0

  constructor(options: ChunkWriterOptions) {
    this.#options = options
  }

  /**
   * Puts the chunks into the bucket and lists them. What fails stays with the caller: `waiting` is written again,
   * `unlisted` is in the bucket, and no index can list it.
   */
  async publish(finished: readonly FinishedChunk[]): Promise<PublishOutcome> {
    const waiting = await this.#upload(finished)
    const unlisted = new Map<FinishedChunk, Error>()
    for (const table of tablesOf(finished.filter(one => !waiting.has(one))).values()) {
      const { tenant, day, streams, members } = table
      try {
        await this.rewrite(
          tenant,
          day,
          [...streams.values()],
          () => true,
          (stream, error) => {
            for (const one of members) if (one.labels.key === stream.labels.key) unlisted.set(one, error)
          },
        )
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
        // A filter that is missing costs time, nothing else.
        const filter = chunk.filter ?? (await files.read(filterPathOf(chunk.path!)))
        await bucket.put(filterKey(tenant, chunk.ref, isBase64), filter)
        done++
        this.uploads++
        this.uploadedBytes += chunk.size
      } catch (error) {
        failed.set(one, error)
      }
    })
    return failed
  }

  /**
   * Writes a tenant's index of a day again, from all its files and `added`; the files that it replaces are deleted
   * later. A stream of `added` that no index can hold is reported and left out.
   */
  async rewrite(
    tenant: string,
    day: number,
    added: readonly IndexedStream[],
    keep: (chunk: IndexedChunk) => boolean,
    onPoison?: (stream: IndexedStream, error: Error) => void,
  ): Promise<void> {
    const { catalogue, retired } = this.#options
    const loaded = await Promise.all(
      catalogue.filesOf(tenant, day).map(async file => ({ file, index: await catalogue.index(file.key, tenant) })),
    )
    // A file that can't be used stays: the new one stands beside it.
    const old = loaded.filter(l => l.index !== undefined)
    const merged = (fresh: readonly IndexedStream[]): IndexedStream[] =>
      mergeIndexes(
        old.map(l => l.index!),
        fresh,
        keep,
      )
    const encoded = encodeWithoutPoison(merged, added, onPoison)
    const written = encoded === undefined ? undefined : await this.#putIndex(tenant, day, encoded)
    for (const { file } of old) {
      catalogue.replace(file.key)
      retired.add(file.key, written)
    }
  }

  async #putIndex(
    tenant: string,
    day: number,
    { bytes, index }: { bytes: Uint8Array; index: LogIndex },
  ): Promise<string> {
    const { bucket, catalogue, clock } = this.#options
    // A name is used once: two files of one moment differ in it all the same.
    this.#lastNanos = Math.max(this.#lastNanos + 1, clock.nowMs() * 1000)
    const checksum = indexChecksum(bytes).toString(16)
    const name = `${this.#lastNanos}000-compactor-${index.fromMs}-${index.throughMs}-${checksum}.tsdb.gz`
    const key = `index/index_${day}/${tenant}/${name}`
    const packed = await pack(bytes, { level: 1 })
    await bucket.put(key, packed)
    catalogue.add({ key, day, tenant, bytes: packed.length }, index)
    this.indexWrites++
    return key
  }

  retire(key: string, afterMs?: number): void {
    this.#options.retired.add(key, undefined, afterMs)
  }

  /** What was retired until now is known after a crash, too. */
  async noteRetired(): Promise<void> {
    await this.#options.retired.save()
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
function tablesOf(finished: readonly FinishedChunk[]): Map<string, Table> {
  const byName = new Map<string, Table>()
  for (const one of finished) {
    const { tenant, labels, chunk } = one
    const { ref, kilobytes, entries } = chunk
    for (let day = Math.floor(ref.fromMs / dayMs); day <= Math.floor(ref.throughMs / dayMs); day++) {
      const name = `${day}/${tenant}`
      let table = byName.get(name)
      if (table === undefined) byName.set(name, (table = { tenant, day, streams: new Map(), members: [] }))
      const key = `${ref.fingerprint} ${labels.key}`
      let stream = table.streams.get(key)
      if (stream === undefined) table.streams.set(key, (stream = { fingerprint: ref.fingerprint, labels, chunks: [] }))
      stream.chunks.push({ ...ref, kilobytes, entries })
      table.members.push(one)
    }
  }
  return byName
}

/** The index of what `merged` makes of streams, checked by reading it; undefined when there is nothing to list. */
function encodeWithoutPoison(
  merged: (added: readonly IndexedStream[]) => IndexedStream[],
  added: readonly IndexedStream[],
  onPoison: ((stream: IndexedStream, error: Error) => void) | undefined,
): { bytes: Uint8Array; index: LogIndex } | undefined {
  const encode = (streams: readonly IndexedStream[]): { bytes: Uint8Array; index: LogIndex } | undefined => {
    if (streams.length === 0) return undefined
    const bytes = encodeIndex(streams)
    return { bytes, index: decodeIndex(bytes) }
  }
  try {
    return encode(merged(added))
  } catch (error) {
    if (onPoison === undefined || !isPoison(error)) throw error
    const healthy = added.filter(stream => {
      try {
        encode([stream])
        return true
      } catch (cause) {
        if (!isPoison(cause)) throw cause
        onPoison(stream, cause)
        return false
      }
    })
    if (healthy.length === added.length) throw error
    return encode(merged(healthy))
  }
}
