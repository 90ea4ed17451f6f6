/**
 * The write-ahead log of one signal, all tenants together, blind to what its records mean.
 *
 * Records are appended to memory and written in groups. `local`: a group is committed when it is written to the segment
 * file; sealed segments are shipped to the bucket behind it. `bucket`: a group is a segment, committed when the bucket
 * has it.
 *
 * Generations: a generation begins with nothing defined (a signal's records may refer to earlier ones of the generation
 * only). A generation is removed as a whole, oldest first, once everything in it was released. Scopes are names that
 * the signal gives to parts of its data (tenant and block range); it releases a scope up to a record number when a
 * block covers it.
 */
import { assert } from '#core/assert.ts'
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock, type Timer } from '#core/clock.ts'
import { ConflictError, CorruptDataError, messageOf, UnavailableError } from '#core/errors.ts'
import type { AppendFile, Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { grown } from '#core/grown.ts'
import type { Bucket } from '#bucket/bucket.ts'
import {
  decodeHeader,
  encodeHeader,
  frameBytes,
  headerBytes,
  packSegment,
  scanFrames,
  unpackSegment,
  writeFrameHead,
} from './wal-segment.ts'

export type Durability = 'local' | 'bucket'

export interface WalOptions {
  clock: Clock
  files: Files
  log: Log
  bucket: Bucket
  /** Where the segments of the bucket lie: a key prefix that ends in `/`. */
  bucketPrefix: string
  /** The local directory. */
  directory: string
  durability: Durability
  /** Forces every group to the disk before it counts as committed. */
  syncAlways: boolean
}

/** A local segment is sealed and shipped when it is this large or old. */
const segmentBytesMax = 32 * 1024 * 1024
const segmentAgeMs = 60_000
/** Groups of `bucket` mode: a few a second. */
const groupMs = 200
/** What may wait in memory before appends are refused. */
const pendingBytesMax = 64 * 1024 * 1024
const syncEveryMs = 1000
const retryPause = { leastMs: 100, mostMs: 5000 }
const spareBytesMax = 4 * 1024 * 1024
const segmentDecodedBytesMax = 1024 * 1024 * 1024

interface Segment {
  sequence: number
  generation: number
  firstRecord: number
  records: number
  bytes: number
  /** Scope -> number of its last record in this segment. */
  scopes: Map<string, number>
  sealed: boolean
  shipped: boolean
  isLocal: boolean
}

/** Records that are committed together. All of one generation. */
class Group {
  readonly generation: number
  bytes: Uint8Array
  length = 0
  records = 0
  readonly scopes = new Map<string, number>()
  readonly waiters: { resolve: () => void; reject: (error: unknown) => void }[] = []

  constructor(generation: number, bytes: Uint8Array) {
    this.generation = generation
    this.bytes = bytes
  }

  add(kind: number, payload: Uint8Array): void {
    const needed = this.length + frameBytes + payload.length
    if (needed > this.bytes.length)
      this.bytes = grown(this.bytes.subarray(0, this.length), new Uint8Array(Math.max(needed, this.bytes.length * 2)))
    writeFrameHead(this.bytes, this.length, kind, payload)
    this.bytes.set(payload, this.length + frameBytes)
    this.length = needed
    this.records++
  }
}

export interface WalRecord {
  generation: number
  number: number
  kind: number
  payload: Uint8Array
}

export class Wal {
  readonly #options: WalOptions
  #segments: Segment[] = []
  /** Groups that wait to be written, oldest first; the last one is being filled. */
  readonly #groups: Group[] = []
  #flushing: Promise<void> | undefined
  #inFlight: Group | undefined
  /** The memory of a group that is written, for the next one. */
  #spare: Uint8Array | undefined
  #file: AppendFile | undefined
  #openedMs = 0
  #unsynced = false
  #syncTimer: Timer | undefined
  #nextRecord = 0
  /** Number of the first record that is not written yet. */
  #writtenRecord = 0
  #nextSequence = 0
  #generation = 0
  #lastGroupMs = -Infinity
  #closed = false
  /** A loss of the prefix to another writer: nothing may be written any more. */
  #fenced: string | undefined
  #shipping: Promise<void> | undefined
  readonly #released = new Map<string, number>()
  commits = 0
  bytesWritten = 0

  constructor(options: WalOptions) {
    this.#options = options
  }

  get generation(): number {
    return this.#generation
  }
  get lastRecord(): number {
    return this.#nextRecord - 1
  }
  /** Bytes that are not in the bucket yet. */
  get unshippedBytes(): number {
    return this.#segments.filter(s => !s.shipped).reduce((sum, s) => sum + s.bytes, 0) + this.#pendingBytes
  }
  get segmentCount(): number {
    return this.#segments.length
  }
  get fenced(): string | undefined {
    return this.#fenced
  }

  fence(reason: string): void {
    this.#fenced ??= reason
  }

  /**
   * Reads back all that is there, oldest first, and begins a new generation behind it. `visit` returns the scopes of
   * the record. A torn tail ends a segment; damage in its middle is reported, and the later segments are still read.
   */
  async open(
    visit: (record: WalRecord) => Iterable<string>,
  ): Promise<{ records: number; bytes: number; problems: string[] }> {
    const { files, directory, bucket, bucketPrefix, log } = this.#options
    const problems: string[] = []
    const local = new Set((await files.list(directory)).map(name => Number.parseInt(name, 10)).filter(Number.isFinite))
    const remote = new Set(
      (await bucket.list(bucketPrefix))
        .map(o => Number.parseInt(o.key.slice(bucketPrefix.length), 10))
        .filter(Number.isFinite),
    )
    let records = 0
    let bytesRead = 0
    for (const sequence of [...new Set([...local, ...remote])].sort((a, b) => a - b)) {
      this.#nextSequence = Math.max(this.#nextSequence, sequence + 1)
      let bytes: Uint8Array
      try {
        bytes = local.has(sequence)
          ? await files.read(this.#path(sequence))
          : unpackSegment(await bucket.get(this.#key(sequence)), segmentDecodedBytesMax)
        if (bytes.length === 0) {
          await files.remove(this.#path(sequence))
          continue
        }
        const segment = this.#replaySegment(sequence, bytes, visit, problems)
        segment.isLocal = local.has(sequence)
        segment.shipped = remote.has(sequence)
        this.#segments.push(segment)
        records += segment.records
        bytesRead += bytes.length
      } catch (error) {
        if (!(error instanceof CorruptDataError)) throw error
        problems.push(`WAL segment ${sequence}: ${error.message}`)
      }
      await this.#options.clock.yield()
    }
    for (const problem of problems) log.warn('write-ahead log', { problem })
    this.#generation++
    this.#writtenRecord = this.#nextRecord
    void this.#ship()
    return { records, bytes: bytesRead, problems }
  }

  #replaySegment(
    sequence: number,
    bytes: Uint8Array,
    visit: (record: WalRecord) => Iterable<string>,
    problems: string[],
  ): Segment {
    const { generation, firstRecord } = decodeHeader(bytes)
    const segment: Segment = {
      sequence,
      generation,
      firstRecord,
      records: 0,
      bytes: bytes.length,
      scopes: new Map(),
      sealed: true,
      shipped: false,
      isLocal: true,
    }
    const result = scanFrames(bytes, (kind, payload) => {
      const number = firstRecord + segment.records++
      for (const scope of visit({ generation, number, kind, payload })) segment.scopes.set(scope, number)
    })
    if (result.problem !== undefined)
      problems.push(`WAL segment ${sequence}: ${result.problem}; ${result.records} records before it were kept`)
    this.#generation = Math.max(this.#generation, generation)
    this.#nextRecord = Math.max(this.#nextRecord, firstRecord + segment.records)
    return segment
  }

  #path(sequence: number): string {
    return `${this.#options.directory}/${String(sequence).padStart(10, '0')}.wal`
  }
  #key(sequence: number): string {
    return `${this.#options.bucketPrefix}${String(sequence).padStart(10, '0')}.wal`
  }

  /**
   * Puts a record in line; its bytes are copied. Returns its number. It counts when `commit` has resolved. `isOwed`:
   * the process itself owes the record (what it holds already goes on into a new generation), so it is taken whatever
   * waits.
   */
  append(kind: number, payload: Uint8Array, scopes: Iterable<string>, isOwed = false): number {
    if (this.#fenced !== undefined) throw new UnavailableError(`the write-ahead log is closed: ${this.#fenced}`, 60)
    if (this.#closed) throw new UnavailableError('the process is shutting down', 5)
    const pendingBytes = this.#pendingBytes
    if (pendingBytes > pendingBytesMax && !isOwed) {
      // A refused append does not commit: what waits must move all the same.
      this.#startFlush()
      throw new UnavailableError(
        `${pendingBytes} bytes wait to be written, the limit is ${pendingBytesMax}; ` +
          `the ${this.#options.durability === 'bucket' ? 'bucket' : 'disk'} does not keep up`,
        5,
      )
    }
    let group = this.#groups.at(-1)
    if (group === undefined || group.generation !== this.#generation) {
      this.#groups.push(
        (group = new Group(
          this.#generation,
          this.#spare ?? new Uint8Array(Math.max(64 * 1024, payload.length + frameBytes)),
        )),
      )
      this.#spare = undefined
    }
    group.add(kind, payload)
    const number = this.#nextRecord++
    for (const scope of scopes) group.scopes.set(scope, number)
    return number
  }

  get #pendingBytes(): number {
    return this.#groups.reduce((sum, group) => sum + group.length, 0)
  }

  /** Resolves when everything appended so far is kept, as the durability mode means it. */
  commit(): Promise<void> {
    const group = this.#groups.at(-1)
    if (group === undefined) return this.#flushing ?? Promise.resolve()
    return new Promise((resolve, reject) => {
      group.waiters.push({ resolve, reject })
      this.#startFlush()
    })
  }

  #startFlush(): void {
    if (this.#flushing !== undefined) return
    this.#flushing = this.#flush().finally(() => {
      this.#flushing = undefined
      if (this.#groups.length > 0) this.#startFlush()
    })
  }

  async #flush(): Promise<void> {
    const { durability, clock } = this.#options
    if (durability === 'bucket') {
      const waitMs = this.#lastGroupMs + groupMs - clock.monotonicMs()
      if (waitMs > 0 && !this.#closed) await sleep(clock, waitMs)
      this.#lastGroupMs = clock.monotonicMs()
    }
    const group = (this.#inFlight = this.#groups.shift())
    if (group === undefined) return
    try {
      if (durability === 'local') await this.#writeLocal(group)
      else await this.#writeBucket(group)
      this.commits++
      this.bytesWritten += group.length
      if (group.bytes.length <= spareBytesMax) this.#spare = group.bytes
      for (const waiter of group.waiters) waiter.resolve()
    } catch (error) {
      for (const waiter of group.waiters) waiter.reject(error)
    } finally {
      this.#writtenRecord += group.records
      this.#inFlight = undefined
    }
  }

  async #writeLocal(group: Group): Promise<void> {
    let segment = this.#segments.at(-1)
    let file = this.#file
    // A group that failed leaves a gap in the numbers: the next one begins a segment of its own.
    if (
      file === undefined ||
      segment === undefined ||
      segment.sealed ||
      segment.generation !== group.generation ||
      segment.firstRecord + segment.records !== this.#writtenRecord
    )
      ({ segment, file } = await this.#openSegment(group.generation))
    try {
      await file.append(group.bytes.subarray(0, group.length))
      if (this.#options.syncAlways) await file.sync()
      else this.#syncSoon()
    } catch (error) {
      // What the file's end is like is unknown now: leave it, and go on in a new one.
      await this.#seal().catch(() => {})
      throw new UnavailableError(`the write-ahead log could not be written: ${messageOf(error)}`, 10, { cause: error })
    }
    segment.records += group.records
    segment.bytes += group.length
    for (const [scope, number] of group.scopes) segment.scopes.set(scope, number)
    if (segment.bytes >= segmentBytesMax || this.#options.clock.monotonicMs() - this.#openedMs >= segmentAgeMs)
      await this.#seal()
  }

  async #openSegment(generation: number): Promise<{ segment: Segment; file: AppendFile }> {
    await this.#seal()
    const sequence = this.#nextSequence++
    const firstRecord = this.#writtenRecord
    const header = encodeHeader({ generation, firstRecord })
    let file: AppendFile
    try {
      file = await this.#options.files.openAppend(this.#path(sequence))
      await file.append(header)
    } catch (error) {
      throw new UnavailableError(`the write-ahead log could not be opened: ${messageOf(error)}`, 10, { cause: error })
    }
    this.#file = file
    this.#openedMs = this.#options.clock.monotonicMs()
    const segment: Segment = {
      sequence,
      generation,
      firstRecord,
      records: 0,
      bytes: header.length,
      scopes: new Map(),
      sealed: false,
      shipped: false,
      isLocal: true,
    }
    this.#segments.push(segment)
    return { segment, file }
  }

  #syncSoon(): void {
    this.#unsynced = true
    this.#syncTimer ??= this.#options.clock.after(syncEveryMs, () => {
      this.#syncTimer = undefined
      if (!this.#unsynced || this.#file === undefined) return
      this.#unsynced = false
      this.#file.sync().catch((error: unknown) => {
        this.#options.log.warn('write-ahead log: sync failed', { error: messageOf(error) })
      })
    })
  }

  /** Ends the open segment; it is shipped behind the caller's back. */
  async #seal(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    for (const segment of this.#segments) segment.sealed = true
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    void this.#ship()
  }

  /**
   * Seals the open segment when it is due, so that what it holds reaches the bucket within a minute. Call it now and
   * then.
   */
  async tick(): Promise<void> {
    if (
      this.#options.durability === 'local' &&
      this.#flushing === undefined &&
      this.#file !== undefined &&
      this.#options.clock.monotonicMs() - this.#openedMs >= segmentAgeMs &&
      (this.#segments.at(-1)?.bytes ?? 0) > headerBytes
    )
      await this.#seal()
    void this.#ship()
  }

  /** Copies sealed segments to the bucket, in order. */
  #ship(): Promise<void> {
    this.#shipping ??= this.#shipAll().finally(() => {
      this.#shipping = undefined
    })
    return this.#shipping
  }

  async #shipAll(): Promise<void> {
    for (;;) {
      const segment = this.#segments.find(s => s.sealed && s.isLocal && !s.shipped)
      if (segment === undefined || this.#fenced !== undefined) return
      try {
        await this.#options.bucket.put(
          this.#key(segment.sequence),
          await packSegment(await this.#options.files.read(this.#path(segment.sequence))),
        )
        segment.shipped = true
        if (!this.#segments.includes(segment)) await this.#options.bucket.delete(this.#key(segment.sequence))
      } catch (error) {
        this.#options.log.warn('write-ahead log: a segment could not be shipped, it stays on disk', {
          segment: segment.sequence,
          error: messageOf(error),
        })
        return
      }
    }
  }

  async #writeBucket(group: Group): Promise<void> {
    const firstRecord = this.#writtenRecord
    const header = encodeHeader({ generation: group.generation, firstRecord })
    const bytes = new Uint8Array(header.length + group.length)
    bytes.set(header)
    bytes.set(group.bytes.subarray(0, group.length), header.length)
    const sequence = this.#nextSequence++
    const packed = await packSegment(bytes)
    await this.#putOnce(sequence, packed)
    this.#segments.push({
      sequence,
      generation: group.generation,
      firstRecord,
      records: group.records,
      bytes: packed.length,
      scopes: new Map(group.scopes),
      sealed: true,
      shipped: true,
      isLocal: false,
    })
  }

  /** Only an absent key may be written: a second writer on the prefix shows here. Retries until the bucket answers. */
  async #putOnce(sequence: number, packed: Uint8Array): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#options.bucket.put(this.#key(sequence), packed, { ifAbsent: true })
        return
      } catch (error) {
        if (error instanceof ConflictError) {
          // Ours, when an earlier attempt, here or in the bucket's own repeats, got through and only its reply was
          // lost.
          const there = await this.#options.bucket.get(this.#key(sequence)).catch(() => undefined)
          if (there !== undefined && Buffer.compare(there, packed) === 0) return
          this.#fenced = `another writer took over the bucket (segment ${sequence} was written by it)`
          throw new UnavailableError(this.#fenced, 60)
        }
        if (this.#closed) throw new UnavailableError(`the bucket is away: ${messageOf(error)}`, 5, { cause: error })
        this.#options.log.warn('write-ahead log: the bucket did not take a segment, trying again', {
          segment: sequence,
          error: messageOf(error),
        })
        await sleep(this.#options.clock, backoffMs(attempt, retryPause))
      }
    }
  }

  /** From the next record on nothing is defined. */
  beginGeneration(): number {
    return ++this.#generation
  }

  /** Numbers below `record` count as used: blocks refer to them, although the log that held them is gone. */
  skipTo(record: number): void {
    assert(this.#groups.length === 0, 'record numbers change only before the first append')
    this.#nextRecord = this.#writtenRecord = Math.max(this.#nextRecord, record)
  }

  /** A block covers the scope's records up to this number, and is visible. */
  async release(scope: string, throughRecord: number): Promise<void> {
    this.#released.set(scope, Math.max(this.#released.get(scope) ?? -1, throughRecord))
    await this.collect()
  }

  /** Removes generations, oldest first, of which nothing is needed any more. */
  async collect(): Promise<void> {
    for (;;) {
      const oldest = this.#segments[0]
      if (
        oldest === undefined ||
        oldest.generation >= this.#generation ||
        this.#inFlight?.generation === oldest.generation ||
        this.#groups.some(group => group.generation === oldest.generation)
      )
        return
      const segments = this.#segments.filter(s => s.generation === oldest.generation)
      const done = segments.every(s =>
        [...s.scopes].every(([scope, number]) => (this.#released.get(scope) ?? -1) >= number),
      )
      if (!done) return
      // The open file may be among them.
      if (segments.some(s => !s.sealed)) await this.#seal()
      this.#segments = this.#segments.filter(s => s.generation !== oldest.generation)
      for (const segment of segments) {
        try {
          if (segment.isLocal) await this.#options.files.remove(this.#path(segment.sequence))
          if (segment.shipped) await this.#options.bucket.delete(this.#key(segment.sequence))
        } catch (error) {
          this.#options.log.warn('write-ahead log: a segment that is not needed any more could not be removed', {
            segment: segment.sequence,
            error: messageOf(error),
          })
        }
      }
    }
  }

  /** Commits what is in line and closes. */
  async close(): Promise<void> {
    const last = this.commit()
    this.#closed = true
    await last.catch((error: unknown) => {
      this.#options.log.error('write-ahead log: the last group was not kept', { error: messageOf(error) })
    })
    while (this.#flushing !== undefined) await this.#flushing
    this.#syncTimer?.cancel()
    await this.#seal()
    await this.#shipping
    assert(this.#groups.length === 0, 'records were appended to a closed log')
  }
}
