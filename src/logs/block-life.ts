/**
 * The life of chunks: cut when full, old or idle, put into the bucket, listed, merged, retained, removed. Also the
 * turns of the log's generations: what a generation holds is in the bucket, or was taken over by the next one, before
 * it is released.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock } from '#core/clock.ts'
import { BadDataError, messageOf, UnavailableError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { addAll } from '#core/lists.ts'
import type { Log } from '#core/log.ts'
import { noOverrides, type Overrides, type OverridesTable } from '#core/overrides.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Labels } from '#model/labels.ts'
import { flushGaveUp, flushGiveUpMs } from '#store/flush-limit.ts'
import { removeObjects } from '#store/remove-objects.ts'
import type { Wal } from '#store/wal.ts'
import type { BlockBuilding } from './block-building.ts'
import type { ChunkReader } from './block-reader.ts'
import { ChunkWriter, type FinishedChunk, type PublishOutcome } from './block-writer.ts'
import { chunkKey, filterBeside } from './chunk.ts'
import { filterPathOf, type ClosedChunk } from './closed-chunk.ts'
import type { StreamHead } from './head.ts'
import { dayMs, type IndexCatalogue } from './index-catalogue.ts'
import type { IndexedChunk } from './index-file.ts'
import { generationOf, scopeOf, writerOf } from './replay.ts'
import type { RetiredObjects } from './retired.ts'
import { Scrub } from './scrub.ts'
import type { Tenant } from './tenant.ts'
import { LinesRecord, recordKind } from './wal-record.ts'

export interface BlockLifeOptions {
  clock: Clock
  /** What deletes because of age goes by it. */
  steady: Clock
  files: Files
  log: Log
  bucket: Bucket
  building: BlockBuilding
  isBase64: boolean
  directory: string
  retentionMs: number
  overrides?: Overrides
  headBytesMax: number
}

/** As Loki: a chunk lives two hours at most, and half an hour without a new line. */
const chunkAgeMaxMs = 7_200_000
const chunkIdleMs = 1_800_000
/** A generation of the log is over when it is this old or large. */
const generationMs = 1_800_000
const generationBytes = 1024 * 1024 * 1024
/** What is smaller is taken over by the next generation instead of being cut. */
const carriedBytesMax = 64 * 1024
const retryPause = { leastMs: 100, mostMs: 5000 }
const publishAfterMs = 300_000
const publishBytes = 32 * 1024 * 1024
/** Finished chunks beyond this wait on the disk. */
const closedBytesInMemory = 64 * 1024 * 1024
const retainEveryMs = 600_000
const removeChunkAfterMs = 7_200_000

/** Chunks, of both forms that Loki has, their filters, tables beside indexes, and what was set aside of them. */
function isOfLogs(name: string): boolean {
  const [first = '', second, ...more] = name.replace('tercet/quarantine/', '').split('/')
  if (first === 'tercet') return second === 'tables'
  if (second === undefined) return [first, Buffer.from(first, 'base64').toString('latin1')].some(isOldChunkName)
  return more.length === 0 && (/^[0-9a-f]{1,16}$/.test(first) || /\.tsdb(\.gz)?$/.test(second))
}

/** Indexes of any form, also those that are not read: `index/<table>/<tenant>/<file>`. */
function isIndexOf(key: string, tenant: string): boolean {
  const [, , owner, ...file] = key.split('/')
  return owner === tenant && file.length > 0
}

function isOldChunkName(name: string): boolean {
  return /^[0-9a-f]{1,16}(?::[0-9a-f]+){3}$/.test(name)
}

export class BlockLife {
  readonly #options: BlockLifeOptions
  readonly #wal: Wal
  readonly #tenants: ReadonlyMap<string, Tenant>
  readonly #catalogue: IndexCatalogue
  readonly #mayWrite: () => Promise<boolean>
  readonly writer: ChunkWriter
  readonly #scrub: Scrub
  readonly #pause: () => Promise<void>
  #generationStartedMs = 0
  #generationStartedBytes = 0
  #lastPublishMs = 0
  #lastRetainMs = -Infinity
  /** What the last round that retained went by. */
  #retainedBy: OverridesTable | undefined
  /** Generations of which open chunks may hold lines: the next turn cuts or carries them all. */
  #held = new Set<string>()
  /** Generations that are over; they are released when everything closed until now is in the bucket. */
  #finished: string[] = []
  #staged = 0
  #isSpilling = false
  failures = 0
  /** Why the last attempt to publish failed; undefined: it did not. */
  trouble: string | undefined

  constructor(
    options: BlockLifeOptions,
    wal: Wal,
    tenants: ReadonlyMap<string, Tenant>,
    catalogue: IndexCatalogue,
    reader: ChunkReader,
    retired: RetiredObjects,
    mayWrite: () => Promise<boolean>,
  ) {
    this.#options = options
    this.#pause = yieldEvery(options.clock)
    this.#wal = wal
    this.#tenants = tenants
    this.#catalogue = catalogue
    this.#mayWrite = mayWrite
    this.#reader = reader
    const { clock, files, log, bucket, isBase64, building } = options
    const keyOf = (tenant: string, chunk: IndexedChunk): string => chunkKey(tenant, chunk, isBase64)
    this.#scrub = new Scrub({ clock, log, catalogue, building, keyOf })
    const { tables } = reader
    this.writer = new ChunkWriter({ clock, files, log, bucket, catalogue, building, isBase64, retired, tables })
  }
  readonly #reader: ChunkReader

  get stats(): { uploads: number; bytes: number; fetched: number; skipped: number; waiting: number; failures: number } {
    return {
      uploads: this.writer.uploads,
      bytes: this.writer.uploadedBytes,
      fetched: this.#reader.fetched,
      skipped: this.#reader.skipped,
      waiting: this.#closed().length,
      failures: this.failures,
    }
  }

  get waitingBytes(): number {
    return this.#closed().reduce((sum, { chunk }) => sum + chunk.size, 0)
  }

  /** After a replay: what these generations of the log had is in memory. */
  hold(scopes: Iterable<string>): void {
    const { clock } = this.#options
    this.#generationStartedMs = this.#lastPublishMs = clock.monotonicMs()
    this.#generationStartedBytes = this.#wal.bytesWritten
    for (const scope of scopes) this.#held.add(scope)
    this.#held.add(this.#scope())
  }

  /** The log lost what waited for it: a new generation defines again what was defined there. */
  takeBack(): void {
    this.#wal.beginGeneration()
    this.#held.add(this.#scope())
  }

  #scope(): string {
    return scopeOf(this.#wal.writer, this.#wal.generation)
  }

  #streams(): [Tenant, StreamHead][] {
    const all: [Tenant, StreamHead][] = []
    for (const tenant of this.#tenants.values())
      for (const stream of tenant.head.streams.values()) all.push([tenant, stream])
    return all
  }

  #closed(): { tenant: Tenant; stream: StreamHead; chunk: ClosedChunk }[] {
    const all: { tenant: Tenant; stream: StreamHead; chunk: ClosedChunk }[] = []
    for (const [tenant, stream] of this.#streams())
      for (const chunk of stream.closed) if (!this.#setAside.has(chunk)) all.push({ tenant, stream, chunk })
    return all
  }
  /** Chunks that are in the bucket and that no index can list: served from memory until the process ends. */
  readonly #setAside = new Set<ClosedChunk>()

  /** Called after every append: chunks that are full are cut, and when memory runs short the largest go early. */
  async spill(): Promise<void> {
    if (this.#isSpilling) return
    this.#isSpilling = true
    try {
      const { clock, headBytesMax } = this.#options
      const now = clock.monotonicMs()
      if (now - this.#lastSpillMs < 100) return
      this.#lastSpillMs = now
      let held = 0
      let closed = 0
      for (const [tenant, stream] of this.#streams()) {
        if (stream.open?.isFull === true) {
          stream.cut(tenant.name)
          await this.#pause()
        }
        held += stream.open?.heldBytes ?? 0
        for (const chunk of stream.closed) closed += chunk.bytes?.length ?? 0
      }
      if (held > headBytesMax) closed += await this.#cutOpen(held - headBytesMax * 0.75)
      if (closed > closedBytesInMemory) await this.#moveToDisk()
    } catch (error) {
      // They stay in memory; the log has their lines.
      this.#options.log.warn('finished log chunks could not be moved to the disk', { error: messageOf(error) })
    } finally {
      this.#isSpilling = false
    }
  }
  #lastSpillMs = -Infinity

  /** Cuts the largest open chunks, until they held so many bytes together. Returns the bytes of what they became. */
  async #cutOpen(bytes: number): Promise<number> {
    const heldBy = (stream: StreamHead): number => stream.open?.heldBytes ?? 0
    const largest = this.#streams().sort((a, b) => heldBy(b[1]) - heldBy(a[1]))
    let closed = 0
    for (const [tenant, stream] of largest) {
      if (bytes <= 0 || stream.open === undefined) break
      bytes -= heldBy(stream)
      closed += stream.cut(tenant.name)?.size ?? 0
      await this.#pause()
    }
    return closed
  }

  /** Gives so many bytes back: finished chunks go to the disk, with the largest open ones where that is not enough. */
  async cutLargest(bytes: number): Promise<void> {
    const inMemory = this.#closed().reduce((sum, { chunk }) => sum + (chunk.bytes?.length ?? 0), 0)
    if (inMemory < bytes) await this.#cutOpen(bytes - inMemory)
    await this.#orderClosed()
    await this.#moveToDisk()
  }

  /** Finished chunks wait on the disk instead of in memory. */
  async #moveToDisk(): Promise<void> {
    for (const { tenant, stream, chunk } of this.#closed()) {
      // What is not in order yet is replaced, and those who read it then find it nowhere but in memory.
      if (chunk.bytes === undefined || chunk.overlaps) continue
      const { directory, files } = this.#options
      const path = `${directory}/staging/${tenant.name}/${this.#staged++}`
      if (chunk.filter !== undefined) await files.writeAtomic(filterPathOf(path), chunk.filter)
      await files.writeAtomic(path, chunk.bytes)
      if (!stream.closed.includes(chunk)) {
        // It went into the bucket meanwhile.
        await this.#removeStaged(path)
        continue
      }
      chunk.path = path
      chunk.bytes = chunk.filter = undefined
    }
  }

  async #removeStaged(path: string): Promise<void> {
    await this.#options.files.remove(path)
    await this.#options.files.remove(filterPathOf(path))
  }

  /**
   * Chunks whose blocks overlap are put in order, before they go to the disk or into the bucket. Returns those with
   * which that failed, and why: it is tried again.
   */
  async #orderClosed(): Promise<Map<ClosedChunk, unknown>> {
    const failed = new Map<ClosedChunk, unknown>()
    for (const { tenant, stream, chunk } of this.#closed()) {
      const { bytes, kilobytes } = chunk
      if (!chunk.overlaps || bytes === undefined) continue
      const { fingerprint, labels } = stream
      const unordered = { tenant: tenant.name, fingerprint, labels: labels.pairs, bytes, kilobytes }
      try {
        const ordered = await this.#options.building.order(unordered)
        stream.closed.splice(stream.closed.indexOf(chunk), 1, ordered)
      } catch (error) {
        failed.set(chunk, error)
      }
    }
    return failed
  }

  /** Chunks that waited on the disk when the process ended are in the log as well. */
  clearStaging(): Promise<void> {
    return this.#options.files.removeDirectory(`${this.#options.directory}/staging`)
  }

  async cutDue(): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    for (const [tenant, stream] of this.#streams()) {
      const { open } = stream
      if (open === undefined) continue
      if (open.isFull || nowMs - open.createdMs >= chunkAgeMaxMs || nowMs - open.lastAppendMs >= chunkIdleMs)
        stream.cut(tenant.name)
      await this.#pause()
    }
    const { clock } = this.#options
    const age = clock.monotonicMs() - this.#generationStartedMs
    const written = this.#wal.bytesWritten - this.#generationStartedBytes
    if (written > 0 && (age >= generationMs || written >= generationBytes)) await this.#turn(false)
  }

  /** Ends the generation: small young chunks are written into the next one, all others are cut. */
  async #turn(cutAll: boolean): Promise<void> {
    const over = [...this.#held]
    this.#held.clear()
    const { losses } = this.#wal
    try {
      // Lines that arrive from here on are in the new generation anyway; taken over with the rest they are there twice,
      // which a replay does not mind.
      await new Promise<void>(resolve => {
        this.#wal.beginGeneration(resolve)
        this.#held.add(this.#scope())
      })
      this.#generationStartedMs = this.#options.clock.monotonicMs()
      this.#generationStartedBytes = this.#wal.bytesWritten
      for (const tenant of this.#tenants.values()) await this.#carryTenant(tenant, cutAll)
      await this.#wal.commit()
      if (this.#wal.losses !== losses) throw new UnavailableError('the log did not take over what is in open chunks', 5)
    } catch (error) {
      for (const scope of over) this.#held.add(scope)
      throw error
    }
    addAll(this.#finished, over)
  }

  async #carryTenant(tenant: Tenant, cutAll: boolean): Promise<void> {
    const record = new LinesRecord()
    let size = 0
    const write = (): void => {
      if (!record.isEmpty)
        this.#wal.append(recordKind.lines, record.finish(tenant.name), [this.#scope()], undefined, true)
      record.clear()
      size = 0
    }
    for (const stream of tenant.head.streams.values()) {
      const { open } = stream
      await this.#pause()
      if (open === undefined || open.entries === 0 || stream.open !== open) continue
      if (cutAll || open.rawBytes > carriedBytesMax) {
        stream.cut(tenant.name)
        continue
      }
      // Each record defines its streams itself.
      stream.definedIn = this.#wal.generation
      record.define(stream.number, stream.labels)
      open.forEach((ms, subNs, bytes, from, to, pairs) => {
        record.add(stream.number, ms, subNs, bytes, from, to, pairs)
      })
      size += open.rawBytes
      if (size > 1024 * 1024) write()
    }
    write()
  }

  /** Puts finished chunks into the bucket when they are many, or have waited. */
  async publishDue(): Promise<void> {
    const closed = this.#closed()
    const waited = this.#options.clock.monotonicMs() - this.#lastPublishMs >= publishAfterMs
    const bytes = closed.reduce((sum, { chunk }) => sum + chunk.size, 0)
    if ((closed.length > 0 || this.#finished.length > 0) && (waited || bytes >= publishBytes)) await this.#publish()
  }

  async #publish(): Promise<void> {
    const unordered = await this.#orderClosed()
    if (!(await this.#mayWrite())) return
    const closed = this.#closed()
    const scopes = [...this.#finished]
    const finished = closed.map(({ tenant, stream, chunk }): FinishedChunk => ({
      tenant: tenant.name,
      labels: stream.labels,
      chunk,
    }))
    let outcome: PublishOutcome
    try {
      outcome = await this.writer.publish(finished, unordered)
    } catch (error) {
      outcome = { waiting: new Map(finished.map(one => [one, error])), unlisted: new Map() }
    }
    this.#noteUnpublished(outcome)
    if (outcome.waiting.size === 0) this.#lastPublishMs = this.#options.clock.monotonicMs()
    const kept = new Set([...outcome.waiting.keys(), ...outcome.unlisted.keys()].map(one => one.chunk))
    for (const { stream, chunk } of closed) {
      if (kept.has(chunk)) continue
      stream.closed.splice(stream.closed.indexOf(chunk), 1)
      if (chunk.path !== undefined) await this.#removeStaged(chunk.path)
    }
    // What waits is in the log alone.
    if (outcome.waiting.size > 0) return
    this.#finished = this.#finished.filter(scope => !scopes.includes(scope))
    for (const scope of scopes) await this.#wal.release(scope, [[writerOf(scope), Infinity]])
  }

  #noteUnpublished({ waiting, unlisted }: PublishOutcome): void {
    const [first] = waiting.values()
    this.trouble = waiting.size === 0 ? undefined : messageOf(first)
    if (waiting.size > 0) {
      this.failures++
      this.#options.log.warn('log chunks could not be put into the bucket, they wait', {
        chunks: waiting.size,
        error: messageOf(first),
      })
    }
    for (const [{ tenant, chunk }, error] of unlisted) {
      this.#setAside.add(chunk)
      const id = chunkKey(tenant, chunk.ref, this.#options.isBase64)
      const reason = `no index can list it: ${error.message}`
      this.#catalogue.damage.add({ tenant, id, reason, isWhole: false, isSetAside: true })
    }
  }

  /**
   * Puts the streams that `isMeant` accepts into the bucket as they are now, and ends the generations of the log that
   * have their lines. False when the bucket does not have them all: then to be called again.
   */
  async moveOut(isMeant: (tenant: string, labels: Labels) => boolean): Promise<boolean> {
    if (this.#finished.length > 0 || this.#closed().length > 0) await this.#publish()
    // What is cut while the bucket is away waits with the rest, and would be cut again and again.
    if (this.#finished.length > 0 || this.#closed().length > 0) return false
    const meant: StreamHead[] = []
    for (const [tenant, stream] of this.#streams()) {
      if (isMeant(tenant.name, stream.labels)) {
        stream.cut(tenant.name)
        meant.push(stream)
      }
      await this.#pause()
    }
    await this.#turn(false)
    await this.#publish()
    return this.#finished.length === 0 && meant.every(stream => stream.closed.length === 0)
  }

  /** Cuts and uploads everything; resolves when the bucket has it. */
  async flush(): Promise<void> {
    await this.#turn(true)
    const { clock } = this.#options
    const startedMs = clock.monotonicMs()
    for (let attempt = 0; this.#closed().length > 0 || this.#finished.length > 0; attempt++) {
      await this.#publish()
      if (this.#closed().length === 0) break
      if (!(await this.#mayWrite())) return
      if (clock.monotonicMs() - startedMs > flushGiveUpMs) throw flushGaveUp(this.trouble)
      await sleep(this.#options.clock, backoffMs(attempt, retryPause))
    }
  }

  /**
   * Several files of one tenant and day become one: others' compactors leave them, or this process began to write
   * beside them.
   */
  async compact(): Promise<void> {
    for (const tenant of this.#catalogue.tenants()) {
      for (const day of this.#catalogue.daysOf(tenant)) {
        if (this.#catalogue.filesOf(tenant, day).length < 2) continue
        if (!(await this.#mayWrite())) return
        await this.writer.rewrite(tenant, day)
      }
    }
  }

  /** What is older than the retention leaves the index, then the bucket. */
  async retain(): Promise<void> {
    const { clock, steady, retentionMs, overrides = noOverrides } = this.#options
    const hasChanged = this.#retainedBy !== overrides.table
    if (!hasChanged && clock.monotonicMs() - this.#lastRetainMs < retainEveryMs) return
    this.#lastRetainMs = clock.monotonicMs()
    this.#retainedBy = overrides.table
    for (const tenant of this.#catalogue.tenants()) {
      const oldestMs = steady.nowMs() - overrides.retentionMs(tenant, 'logs', retentionMs)
      for (const day of this.#catalogue.daysOf(tenant)) {
        if (day * dayMs > oldestMs) continue
        if ((day + 1) * dayMs <= oldestMs) this.#retireDamaged(tenant, day)
        const expired = await this.writer.rewrite(tenant, day, { oldestMs, mayPut: () => this.#mayWrite() })
        // A chunk that reaches into the next day is listed there too: that table lets it go by the same rule, at the
        // same age.
        for (const key of expired) {
          this.writer.retire(key, removeChunkAfterMs)
          this.writer.retire(filterBeside(key), removeChunkAfterMs)
          await this.#pause()
        }
      }
    }
  }

  /** Nobody knows which chunks a damaged index lists; it goes when all of its day is older than the retention. */
  #retireDamaged(tenant: string, day: number): void {
    for (const { key } of this.#catalogue.damagedFilesOf(tenant, day)) {
      this.#catalogue.replace(key)
      this.writer.retire(key)
    }
  }

  /** Lets go of what the disk has of a tenant. */
  dropTenant(tenant: string): Promise<void> {
    return this.#options.files.removeDirectory(`${this.#options.directory}/staging/${tenant}`)
  }

  /**
   * Takes what the bucket has of a tenant's logs out of it, what names chunks first. False where something is left.
   * Throws BadDataError for an index that has other tenants' chunks, too, which only Loki's compactor parts.
   */
  async removeTenant(tenant: string): Promise<boolean> {
    const { bucket } = this.#options
    const indexes = (await bucket.list('index/')).map(({ key }) => key).filter(key => isIndexOf(key, tenant))
    const objects = (await bucket.list(`${tenant}/`)).map(({ key }) => key)
    const keys = objects.filter(key => isOfLogs(key.slice(tenant.length + 1)))
    const isAll = await removeObjects(bucket, [...indexes, ...keys], key => key.startsWith('index/'))
    await bucket.evict?.(`${tenant}/`)
    for (const { key } of this.#catalogue.sharedFiles())
      if ((await this.#catalogue.index(key, tenant)) !== undefined)
        throw new BadDataError(`${key} lists chunks of several tenants, until the compactor of Loki parts it`)
    return isAll
  }

  /** Ends the generation, so that the log lets go of it soon: what is small and young goes on into the next one. */
  async endGeneration(): Promise<void> {
    await this.#turn(false)
    await this.#publish()
  }

  /** Has the log generations before this one of this process? */
  isInLog(generation: number): boolean {
    if (this.#finished.length > 0) return true
    const { writer } = this.#wal
    return [...this.#wal.scopes()].some(scope => writerOf(scope) !== writer || generationOf(scope) < generation)
  }

  /** Removes what is due, and forgets streams and indexes of which nothing is needed. */
  async tidy(): Promise<void> {
    await this.#scrub.step()
    // A writer that took over may list again what is to go.
    if (this.writer.hasRetired && (await this.#mayWrite())) await this.writer.removeRetired()
    this.#catalogue.forgetIdle()
    const idleSinceMs = this.#options.clock.nowMs() - chunkIdleMs
    for (const [tenant, stream] of this.#streams())
      if (
        stream.open === undefined &&
        stream.closed.length === 0 &&
        stream.awaited === 0 &&
        stream.lastAppendMs < idleSinceMs
      )
        tenant.head.forget(stream)
  }

  async close(): Promise<void> {
    try {
      // The note of a writer that took over stays.
      if (await this.#mayWrite()) await this.writer.noteRetired()
    } catch {
      // What is noted and gone is removed once more.
    }
  }
}
