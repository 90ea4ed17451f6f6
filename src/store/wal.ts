/**
 * The write-ahead log of one signal, all tenants together, blind to what its records mean.
 *
 * Admit, log, then show: a record waits in line, is written with the records around it, and is shown (made visible)
 * when the log has it. `local`: a group is kept when it is written to the segment file; sealed segments are shipped to
 * the bucket behind it. `bucket`: a group is a segment, kept when the bucket has it. When a group can't be written, it
 * and all that waits behind it is lost as a whole: nothing of it was shown, `onLost` takes back what was set up for it,
 * and its numbers are given out again.
 *
 * Generations: a generation begins with nothing defined (a signal's records may refer to earlier ones of the generation
 * only). A generation is removed as a whole, oldest first, once everything in it was released. Scopes are names that
 * the signal gives to parts of its data (tenant and block range); it releases a scope up to a record number when a
 * block covers it. Generations and numbers are a writer's own.
 */
import { assert } from '#core/assert.ts'
import { messageOf, UnavailableError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { yieldEvery } from '#core/yield.ts'
import { Group, type Show } from './wal-line.ts'
import { WalReplay, type RecordVisitor, type ReplayReport, type SegmentSource } from './wal-replay.ts'
import { frameBytes } from './wal-segment.ts'
import { WalSegments, type WalSegmentsOptions } from './wal-segments.ts'

export type { Show } from './wal-line.ts'
export type { RecordVisitor, ReplayReport, WalRecord } from './wal-replay.ts'

export type Durability = 'local' | 'bucket'

export interface WalOptions extends WalSegmentsOptions {
  durability: Durability
  /**
   * Of `bucket` mode: the least time between two groups, milliseconds. A group that comes later after the one before
   * it is written at once; so is one that is full, that ended with its generation, or that a long append waits for.
   */
  commitIntervalMs: number
  /** What was set up for records in line has to be taken back: none of them is kept. Synchronous. */
  onLost: () => void
}

/** What may wait in memory before appends are refused. */
const pendingBytesMax = 64 * 1024 * 1024
/** A group is closed when it is this large: what it shows is bounded. */
const groupBytesMax = { local: 4 * 1024 * 1024, bucket: 16 * 1024 * 1024 }
const spareBytesMax = 4 * 1024 * 1024
/** So long a bucket may be in trouble before appends are refused at once. */
const troubleMs = 5000

interface Boundary {
  /** Number of the first record behind it. */
  before: number
  run: () => void
}

export class Wal {
  readonly #options: WalOptions
  readonly #segments: WalSegments
  /** Groups that wait to be written, oldest first; the last one is being filled. */
  #groups: Group[] = []
  #inFlight: Group | undefined
  #flushing: Promise<void> | undefined
  #pendingBytes = 0
  /** The memory of a group that is written, for the next one. */
  #spare: Uint8Array | undefined
  #boundaries: Boundary[] = []
  #nextRecord = 0
  /** Number of the first record that is not shown yet. */
  #nextShown = 0
  #losses = 0
  #generation = 0
  #lastGroupMs = -Infinity
  /** Ends the wait for the next group's turn. */
  #wake: () => void = () => {}
  #isClosed = false
  /** Somebody can't go on before what is in line is kept: the next group is written at once. */
  #isHurried = false
  /** Every group is written at once: the process waits for it to stop. */
  #isDraining = false
  /** The local segments were read, those of the bucket not yet. */
  #local: SegmentSource[] | undefined
  /** A loss of the prefix to another writer: nothing may be written any more. */
  #fenced: string | undefined
  readonly #yield: () => Promise<void>
  /** Records that were in line and could not be kept: whoever sent them was told. */
  lostRecords = 0
  commits = 0
  bytesWritten = 0

  constructor(options: WalOptions) {
    this.#options = options
    this.#segments = new WalSegments(options)
    this.#yield = yieldEvery(options.clock)
  }

  get writer(): string {
    return this.#options.writer
  }
  get generation(): number {
    return this.#generation
  }
  /** How often records in line were lost: who puts records in line one by one looks at it before and after. */
  get losses(): number {
    return this.#losses
  }
  /** Bytes that are not in the bucket yet. */
  get unshippedBytes(): number {
    return this.#segments.unshippedBytes + this.#pendingBytes
  }
  get segmentCount(): number {
    return this.#segments.count
  }
  get fenced(): string | undefined {
    return this.#fenced
  }
  /** Why the bucket does not get what the disk has. */
  get shipTrouble(): string | undefined {
    return this.#segments.shipTrouble
  }
  /** Was a part of the log deleted on the disk since this was asked last? Memory still has what it held. */
  takeDeleted(): boolean {
    return this.#segments.takeDeleted() > 0
  }
  /** Why nothing can be kept now; undefined: it can. */
  get trouble(): string | undefined {
    if (this.#options.durability === 'local') return undefined
    return this.#segments.trouble?.reason
  }

  /** Nothing is written from now on; what waits in line is lost. */
  fence(reason: string): void {
    if (this.#fenced !== undefined) return
    this.#fenced = reason
    this.#segments.stopTrying()
    if (this.#inFlight === undefined && this.#groups.length > 0) this.#lose(undefined, this.#closedError(reason))
  }

  #closedError(reason: string): UnavailableError {
    return new UnavailableError(`the write-ahead log is closed: ${reason}`, 60)
  }

  // --- Start ---

  /** Reads back what the disk has. */
  async openLocal(visit: RecordVisitor): Promise<ReplayReport> {
    const sources = await this.#segments.localSources()
    this.#local = sources
    return this.#replay(sources, visit, true)
  }

  /**
   * Reads back what only the bucket has, after the disk. With `durability: bucket` no earlier writer can add anything
   * from then on.
   */
  async openRemote(visit: RecordVisitor): Promise<ReplayReport> {
    assert(this.#local !== undefined, 'the disk is read before the bucket')
    const report = await this.#replay(await this.#segments.remoteSources(this.#local), visit, false)
    if (this.#options.durability === 'bucket')
      while (!(await this.#segments.closeChain(this.#generation))) {
        const more = await this.#replay(await this.#segments.linksBehind(), visit, false)
        addReport(report, more)
      }
    // From here on segments of other writers are released: none of them may be of one that came after us.
    await this.#options.confirmKept(true)
    await this.collect()
    void this.#segments.ship()
    return report
  }

  async #replay(sources: readonly SegmentSource[], visit: RecordVisitor, isLocal: boolean): Promise<ReplayReport> {
    const segments = this.#segments
    const replay = new WalReplay(
      this.#options.clock,
      visit,
      (writer, generation) => segments.isReleased(writer, generation),
      () => (isLocal ? Promise.resolve(false) : segments.anyIsReleased()),
    )
    await replay.read(sources)
    this.#segments.adopt(replay.segments, isLocal)
    // A clock that stood still and a random number that came again would give a writer the name of another.
    for (const { writer, generation, lastRecord } of replay.segments)
      if (writer === this.writer) {
        this.#generation = Math.max(this.#generation, generation + 1)
        this.#nextRecord = this.#nextShown = Math.max(this.#nextRecord, lastRecord + 1)
      }
    for (const problem of replay.report.problems) this.#options.log.warn('write-ahead log', { problem })
    return replay.report
  }

  // --- In line, kept, shown ---

  /** Throws UnavailableError when a record could not be taken now: call it before anything is set up for one. */
  requireRoom(): void {
    if (this.#fenced !== undefined) throw this.#closedError(this.#fenced)
    if (this.#isClosed) throw new UnavailableError('the process is shutting down', 5)
    const { durability, clock } = this.#options
    const { trouble } = this.#segments
    if (durability === 'bucket' && trouble !== undefined && this.#inFlight !== undefined)
      if (clock.monotonicMs() - trouble.sinceMs >= troubleMs)
        throw new UnavailableError(`the bucket does not take the write-ahead log: ${trouble.reason}`, 5)
    if (this.#pendingBytes <= pendingBytesMax) return
    // A refused append does not commit: what waits must move all the same.
    this.#startFlush()
    throw new UnavailableError(
      `${this.#pendingBytes} bytes wait to be written, the limit is ${pendingBytesMax}; ` +
        `the ${durability === 'bucket' ? 'bucket' : 'disk'} does not keep up`,
      5,
    )
  }

  /**
   * Puts a record in line; its bytes are copied. Returns its number. `show` is called when it is kept. Throws
   * UnavailableError as `requireRoom` does; `isOwed`: the process itself owes the record (what it shows already goes on
   * into a new generation), so it is taken whatever waits.
   */
  append(kind: number, payload: Uint8Array, scopes: Iterable<string>, show?: Show, isOwed = false): number {
    if (!isOwed || this.#fenced !== undefined || this.#isClosed) this.requireRoom()
    let group = this.#groups.at(-1)
    if (
      group === undefined ||
      group.generation !== this.#generation ||
      group.length >= groupBytesMax[this.#options.durability]
    )
      this.#groups.push((group = this.#newGroup(payload.length)))
    const before = group.length
    const number = group.add(kind, payload, scopes, show)
    if (this.#isNextClosed()) this.#wake()
    this.#pendingBytes += group.length - before
    this.#nextRecord = number + 1
    return number
  }

  #newGroup(payloadBytes: number): Group {
    const bytes = this.#spare ?? new Uint8Array(Math.max(64 * 1024, payloadBytes + frameBytes))
    this.#spare = undefined
    return new Group(this.#generation, this.#losses, this.#nextRecord, bytes)
  }

  /** Resolves when everything in line now is kept and shown; rejects with UnavailableError when it is lost. */
  commit(): Promise<void> {
    const last = this.#groups.at(-1) ?? this.#inFlight
    if (last === undefined) return Promise.resolve()
    const settled = last.settled()
    this.#startFlush()
    return settled
  }

  /** As `commit`, without a wait for the next group's turn: for who has more to put in line, and has to wait first. */
  commitSoon(): Promise<void> {
    const kept = this.commit()
    if (this.#groups.length > 0) {
      this.#isHurried = true
      this.#wake()
    }
    return kept
  }

  #startFlush(): void {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined
    })
  }

  async #flush(): Promise<void> {
    while (this.#groups.length > 0) {
      await this.#pace()
      const group = this.#groups.shift()
      if (group === undefined) return
      this.#inFlight = group
      try {
        if (this.#fenced !== undefined) throw this.#closedError(this.#fenced)
        if (this.#options.durability === 'local') await this.#segments.writeLocal(group)
        else await this.#segments.writeBucket(group)
        if (this.#fenced !== undefined) throw this.#closedError(this.#fenced ?? '')
        await this.#show(group)
      } catch (error) {
        this.#lose(group, error)
      }
    }
  }

  /** Groups of `bucket` mode keep a distance, as each is an object: records gather in the last one meanwhile. */
  async #pace(): Promise<void> {
    const { durability, clock, commitIntervalMs } = this.#options
    if (durability === 'local') return
    const dueMs = this.#lastGroupMs + commitIntervalMs
    while (clock.monotonicMs() < dueMs && !this.#isNextClosed()) await this.#turnOrCall(dueMs - clock.monotonicMs())
    this.#lastGroupMs = clock.monotonicMs()
    this.#isHurried = false
  }

  /** Nothing is gained by waiting: no record can join the group that is written next. */
  #isNextClosed(): boolean {
    const [next] = this.#groups
    if (this.#isClosed || this.#isDraining || this.#isHurried) return true
    if (next === undefined || this.#groups.length > 1) return true
    return next.generation !== this.#generation || next.length >= groupBytesMax[this.#options.durability]
  }

  #turnOrCall(waitMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#options.clock.after(waitMs, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  async #show(group: Group): Promise<void> {
    this.commits++
    this.bytesWritten += group.length
    for (const record of group.records) {
      if (record.show !== undefined) {
        this.#showOne(record.show, group.payload(record))
        await this.#yield()
      }
      this.#nextShown = record.number + 1
    }
    this.#pendingBytes -= group.length
    this.#inFlight = undefined
    if (group.bytes.length <= spareBytesMax) this.#spare = group.bytes
    group.resolve()
    this.#passBoundaries()
  }

  /** The log has the record: a fault in showing it must not refuse it. */
  #showOne(show: Show, payload: Uint8Array): void {
    try {
      show(payload)
    } catch (error) {
      this.#options.log.error('a record of the write-ahead log could not be shown', { error: messageOf(error) })
    }
  }

  #lose(group: Group | undefined, error: unknown): void {
    const lost = group === undefined ? this.#groups : [group, ...this.#groups]
    this.#groups = []
    this.#inFlight = undefined
    this.#pendingBytes = 0
    this.#losses++
    this.#nextRecord = this.#nextShown
    const records = lost.reduce((sum, g) => sum + g.records.length, 0)
    this.lostRecords += records
    if (records > 0)
      this.#options.log.error('write-ahead log: records could not be kept and were refused', {
        records,
        error: messageOf(error),
      })
    this.#options.onLost()
    this.#passBoundaries(true)
    for (const one of lost) one.reject(error)
  }

  #passBoundaries(isLoss = false): void {
    while (this.#boundaries.length > 0 && (isLoss || this.#boundaries[0]!.before <= this.#nextShown))
      this.#boundaries.shift()!.run()
  }

  // --- Generations ---

  /**
   * From the next record on nothing is defined. Resolves at the boundary: when every earlier record is shown or lost,
   * and no later one is; `atBoundary` runs just then, at once where nothing is in line. Returns the new generation.
   */
  beginGeneration(atBoundary: () => void = () => {}): number {
    this.#generation++
    if (this.#groups.length === 0 && this.#inFlight === undefined) atBoundary()
    else {
      this.#boundaries.push({ before: this.#nextRecord, run: atBoundary })
      this.#startFlush()
      this.#wake()
    }
    return this.#generation
  }

  /** By writer: the number up to which every record is shown. What is cut from the heads now covers them. */
  coverage(): Map<string, number> {
    const coverage = this.#segments.lastRecords()
    coverage.delete(this.writer)
    if (this.#nextShown > 0) coverage.set(this.writer, this.#nextShown - 1)
    return coverage
  }

  /** Scopes of which the log has records that are not released. */
  heldScopes(): Set<string> {
    return this.#segments.heldScopes()
  }

  /** Scopes of which a start would meet records, released ones among them. */
  scopes(): Set<string> {
    return this.#segments.scopes()
  }

  /** Would a start read records of the scope back, but for blocks that cover them? */
  has(scope: string): boolean {
    return this.#segments.has(scope)
  }

  /** Blocks cover the scope's records up to these numbers, by writer, and are visible. */
  async release(scope: string, coverage: Iterable<readonly [writer: string, throughRecord: number]>): Promise<void> {
    for (const [writer, through] of coverage) this.#segments.release(scope, writer, through)
    await this.collect()
  }

  /** Removes generations, oldest first, of which nothing is needed any more. One at a time. */
  collect(): Promise<void> {
    this.#collecting = this.#collecting
      .catch(() => {})
      .then(() => this.#segments.collect((writer, generation) => this.#isBusy(writer, generation)))
    return this.#collecting
  }
  #collecting: Promise<void> = Promise.resolve()

  #isBusy(writer: string, generation: number): boolean {
    if (this.#fenced !== undefined) return true
    if (writer !== this.writer) return false
    return (
      generation >= this.#generation ||
      this.#inFlight?.generation === generation ||
      this.#groups.some(group => group.generation === generation)
    )
  }

  /**
   * Seals the open segment when it is due, so that what it holds reaches the bucket within a minute. Tries a bucket
   * again that did not take a record: who stands before this process may send it nothing until it says that it is
   * ready. Call it often.
   */
  tick(): Promise<void> {
    if (this.trouble !== undefined && this.#flushing === undefined && !this.#isClosed && this.#fenced === undefined) {
      this.#groups.push(this.#newGroup(0))
      this.#startFlush()
    }
    return this.#segments.tick(this.#options.durability === 'local' && this.#flushing === undefined)
  }

  /** The process stops soon: groups wait for nothing, and what the bucket does not take at once is refused. */
  drain(): void {
    this.#isDraining = true
    this.#wake()
    this.#segments.stopTrying()
  }

  /** Keeps what is in line, or refuses it, and closes. */
  async close(): Promise<void> {
    const last = this.commit()
    this.#isClosed = true
    this.#wake()
    this.#segments.stopTrying()
    await last.catch((error: unknown) => {
      this.#options.log.error('write-ahead log: the last records were not kept', { error: messageOf(error) })
    })
    while (this.#flushing !== undefined) await this.#flushing
    await this.#collecting.catch(() => {})
    await this.#segments.close()
    assert(this.#groups.length === 0, 'records were appended to a closed log')
  }
}

function addReport(report: ReplayReport, more: ReplayReport): void {
  report.records += more.records
  report.bytes += more.bytes
  report.skipped += more.skipped
  report.skippedBytes += more.skippedBytes
  report.missing += more.missing
  addAll(report.problems, more.problems)
}
