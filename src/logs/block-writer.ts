/**
 * From memory into the bucket: chunk objects first, then the index of each day that they touch, which makes them
 * visible; an index that was replaced goes some minutes later, when no reader has it in its list any more.
 */
import { gzip } from 'node:zlib'
import { promisify } from 'node:util'
import type { Clock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { forEachParallel } from '#core/parallel.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Labels } from '#model/labels.ts'
import { chunkKey, filterKey } from './chunk.ts'
import type { ClosedChunk } from './open-chunk.ts'
import { decodeIndex, encodeIndex, indexChecksum, type IndexedChunk, type IndexedStream } from './index-file.ts'
import { dayMs, type IndexCatalogue } from './index-catalogue.ts'
import { mergeIndexes } from './merge.ts'

const pack = promisify(gzip)
const uploadsAtOnce = 8
const removeAfterMs = 300_000

export interface FinishedChunk {
  tenant: string
  labels: Labels
  chunk: ClosedChunk
}

export interface ChunkWriterOptions {
  clock: Clock
  files: Files
  log: Log
  bucket: Bucket
  catalogue: IndexCatalogue
  isBase64: boolean
}

export class ChunkWriter {
  readonly #options: ChunkWriterOptions
  /** Objects that nothing refers to any more, and when they may go. */
  readonly #retired: { key: string; afterMs: number }[] = []
  #lastNanos = 0
  uploads = 0
  uploadedBytes = 0
  indexWrites = 0

  constructor(options: ChunkWriterOptions) {
    this.#options = options
  }

  /**
   * Puts the chunks into the bucket and lists them. When it fails, the chunks stay with the caller and are written
   * again.
   */
  async publish(finished: readonly FinishedChunk[]): Promise<void> {
    await this.#upload(finished)
    const byTable = new Map<string, { tenant: string; day: number; streams: Map<string, IndexedStream> }>()
    for (const { tenant, labels, chunk } of finished) {
      const { ref, kilobytes, entries } = chunk
      // A chunk is listed in the table of every day that it touches.
      for (let day = Math.floor(ref.fromMs / dayMs); day <= Math.floor(ref.throughMs / dayMs); day++) {
        const name = `${day}/${tenant}`
        let table = byTable.get(name)
        if (table === undefined) byTable.set(name, (table = { tenant, day, streams: new Map() }))
        const key = `${ref.fingerprint} ${labels.key}`
        let stream = table.streams.get(key)
        if (stream === undefined)
          table.streams.set(key, (stream = { fingerprint: ref.fingerprint, labels, chunks: [] }))
        stream.chunks.push({ ...ref, kilobytes, entries })
      }
    }
    for (const { tenant, day, streams } of byTable.values())
      await this.rewrite(tenant, day, [...streams.values()], () => true)
  }

  async #upload(finished: readonly FinishedChunk[]): Promise<void> {
    const { bucket, files, isBase64 } = this.#options
    await forEachParallel(finished, uploadsAtOnce, async ({ tenant, chunk }) => {
      await bucket.put(chunkKey(tenant, chunk.ref, isBase64), chunk.bytes ?? (await files.read(chunk.path!)))
      // A filter that is missing costs time, nothing else.
      await bucket.put(filterKey(tenant, chunk.ref, isBase64), chunk.filter)
      this.uploads++
      this.uploadedBytes += chunk.size
    })
  }

  /**
   * Writes a tenant's index of a day again, from all its files and `added`; the files that it replaces are deleted
   * later.
   */
  async rewrite(
    tenant: string,
    day: number,
    added: readonly IndexedStream[],
    keep: (chunk: IndexedChunk) => boolean,
  ): Promise<void> {
    const { bucket, catalogue, clock } = this.#options
    const loaded = await Promise.all(
      catalogue.filesOf(tenant, day).map(async file => ({ file, index: await catalogue.index(file.key, tenant) })),
    )
    // A file that can't be used stays: the new one stands beside it.
    const old = loaded.filter(l => l.index !== undefined)
    const streams = mergeIndexes(
      old.map(l => l.index!),
      added,
      keep,
    )
    if (streams.length > 0) {
      const bytes = encodeIndex(streams)
      const index = decodeIndex(bytes)
      // A name is used once: two files of one moment differ in it all the same.
      this.#lastNanos = Math.max(this.#lastNanos + 1, clock.nowMs() * 1000)
      const checksum = indexChecksum(bytes).toString(16)
      const name = `${this.#lastNanos}000-compactor-${index.fromMs}-${index.throughMs}-${checksum}.tsdb.gz`
      const key = `index/index_${day}/${tenant}/${name}`
      const packed = await pack(bytes, { level: 1 })
      await bucket.put(key, packed)
      catalogue.add({ key, day, tenant, bytes: packed.length }, index)
      this.indexWrites++
    }
    for (const { file } of old) {
      catalogue.replace(file.key)
      this.retire(file.key)
    }
  }

  retire(key: string, afterMs = removeAfterMs): void {
    this.#retired.push({ key, afterMs: this.#options.clock.nowMs() + afterMs })
  }

  /** Removes what is due. `all`: now, because the process ends. */
  async removeRetired(all = false): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    for (const retired of this.#retired.filter(d => all || d.afterMs <= nowMs)) {
      try {
        await this.#options.bucket.delete(retired.key)
      } catch (error) {
        this.#options.log.warn('an object that is not needed any more could not be removed', {
          key: retired.key,
          error: messageOf(error),
        })
        return
      }
      this.#retired.splice(this.#retired.indexOf(retired), 1)
      this.#options.catalogue.damage.deleteId(retired.key)
    }
  }
}
