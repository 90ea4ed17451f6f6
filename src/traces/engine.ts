/** The traces signal: takes spans in, keeps them in the bucket as Tempo's blocks, and hands them out. */
import type { Bucket } from '#bucket/bucket.ts'
import { UnavailableError } from '#core/errors.ts'
import type { LogFields } from '#core/log.ts'
import { leavingOut } from '#core/omissions.ts'
import { noOverrides } from '#core/overrides.ts'
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Trace } from '#model/trace.ts'
import { RecordLine } from '#store/record-line.ts'
import {
  SignalFrame,
  type Holdings,
  type SignalOptions,
  type TenantHoldings,
  type UploadStats,
} from '#store/signal-frame.ts'
import type { BlockSummary } from '#store/signal.ts'
import type { RecordVisitor } from '#store/wal.ts'
import type { TraceLimits } from './admission.ts'
import type { SpansPart, TracesAppender } from './append.ts'
import { BatchAppender, type SpanRequest } from './batch-appender.ts'
import type { BlockBuilding } from './block-building.ts'
import { BlockLife } from './block-life.ts'
import { BlockList } from './block-list.ts'
import { BlockReader } from './block-reader.ts'
import { TracesDoor } from './door.ts'
import { foundBlocks } from './found-blocks.ts'
import { HeadSource, type TenantMemory } from './head-source.ts'
import { Head } from './head.ts'
import { Reader } from './reader.ts'
import { Replay } from './replay.ts'
import type { BlockLayout } from './schema.ts'
import type { SpanDecoder } from './segment.ts'
import type { TracesReader } from './select.ts'
import type { StagedTrace } from './staged-spans.ts'
import { Staging } from './staging.ts'
import { recordKind, scopeOf } from './wal-record.ts'

export interface TracesOptions extends SignalOptions {
  limits: TraceLimits
  layout: BlockLayout
  /** Bytes of live and idle traces before a block is cut early. */
  headBytesMax: number
  /** Bytes of blocks that are merged into one. */
  compactBytesMax: number
  cacheBytes: number
  /** OTLP messages, as the log keeps them. */
  decode: (message: Uint8Array, isOutline?: boolean) => Trace
  decodeSpan: SpanDecoder
  encode: (trace: Trace) => Uint8Array
  /** An OTLP message without the spans at these places. */
  withoutSpans: (message: Uint8Array, isDropped: (at: number) => boolean) => Uint8Array
  /** Who builds blocks; unless given, this thread. */
  building?: BlockBuilding
}

const maintainEveryMs = 5000

export class TracesEngine extends SignalFrame implements TracesAppender {
  readonly #options: TracesOptions
  readonly #heads = new Map<string, Head>()
  readonly #list: BlockList
  readonly #served: Bucket
  readonly #reader: BlockReader
  readonly #life: BlockLife
  readonly #staging: Staging
  readonly #appender: BatchAppender
  spansAppended = 0
  spansRefused = 0
  bytesAppended = 0

  constructor(options: TracesOptions) {
    super('traces', options, maintainEveryMs)
    this.#options = options
    const { clock, log, bucket, cacheBytes } = options
    this.#appender = new BatchAppender(options)
    this.#list = new BlockList(bucket, log, clock, options.readOnly, name => this.deletedTenants.has(name))
    this.#staging = new Staging(options)
    this.#served = this.#staging.served()
    this.#reader = new BlockReader(this.#served, cacheBytes)
    const own = { ...options, steady: this.steady }
    this.#life = new BlockLife(own, this.wal, this.#heads, this.#list, this.#reader, this.#staging, () =>
      this.mayWrite(),
    )
  }

  #head(tenant: string): Head {
    let head = this.#heads.get(tenant)
    if (head === undefined)
      this.#heads.set(tenant, (head = new Head(tenant, this.#options.layout, this.#options.decodeSpan)))
    head.usedMs = this.#options.clock.monotonicMs()
    return head
  }

  // --- The frame's hooks ---

  async refresh(): Promise<void> {
    await this.readDeletedTenants()
    await this.#list.refresh()
    for (const { tenant } of this.deletedTenants.open()) this.#list.forgetTenant(tenant)
  }

  protected override found(): LogFields {
    return foundBlocks(this.#list)
  }

  protected override loadLocal(): Promise<void> {
    return this.#life.loadStaged()
  }

  protected visitor(): RecordVisitor {
    const { clock, layout, decode, decodeSpan } = this.#options
    const replay = (this.#replay ??= new Replay({
      decode,
      decodeSpan,
      layout,
      nowMs: () => clock.nowMs(),
      hasBlock: (tenant, blockId) => this.#list.has(tenant, blockId),
      isStaged: scope => this.#staging.covers(scope),
      isDeleted: (tenant, writer) => this.deletedTenants.hasRecord(tenant, writer),
    }))
    return record => replay.read(record)
  }
  #replay: Replay | undefined

  /** Only the bucket tells which generations are blocks already: until it is reached all of them are shown. */
  protected async replayed(isComplete: boolean): Promise<void> {
    if (this.#replay === undefined) return
    const { waiting, scopes } = await this.#replay.waiting(() => this.#options.clock.yield())
    this.#life.hold(waiting, isComplete ? scopes : [], isComplete)
    if (isComplete) this.#replay = undefined
  }

  protected takeBack(): void {
    for (const head of this.#heads.values()) head.awaited = head.inLine = 0
  }

  protected async work(): Promise<void> {
    await this.#life.setIdleAside()
    await this.#life.cutDue()
    await this.#life.compact()
    await this.#life.retain()
    this.#dropIdle()
  }

  /** Heads that were empty for a while. At once: whoever pushes next finds a new one. */
  #dropIdle(): void {
    const waits = (tenant: string): boolean => this.#life.waiting.some(one => one.tenant === tenant)
    for (const { tenant, isEmpty, usedMs } of this.#heads.values())
      if (isEmpty && this.isIdle(usedMs) && !waits(tenant)) this.#heads.delete(tenant)
  }

  protected forgetTenant(tenant: string): void {
    this.#heads.get(tenant)?.drop()
    this.#heads.delete(tenant)
    this.#life.forgetTenant(tenant)
  }

  protected dropStaged(name: string): Promise<void> {
    return this.#life.dropTenant(name)
  }

  protected removeTenant(tenant: string): Promise<boolean> {
    return this.#life.removeTenant(tenant)
  }

  protected endGeneration(): Promise<void> {
    return this.#life.endGeneration()
  }

  protected isInLog(_tenant: string, generation: number): boolean {
    return this.#life.isInLog(generation)
  }

  protected cutAll(): Promise<void> {
    return this.#life.flush()
  }

  protected cutLargest(): Promise<void> {
    return this.#life.cutEarly()
  }

  protected uploadCounts(): UploadStats {
    const { uploads, failures, waitingBlocks, compactions } = this.#life
    return { uploads, failures, waiting: waitingBlocks, compactions }
  }

  protected uploadTrouble(): string | undefined {
    return this.#life.trouble
  }

  protected holdings(): Holdings {
    return { waitingBytes: this.#life.waitingBytes, blocks: this.#list.count, blockBytes: this.#list.bytes }
  }

  protected *tenantHoldings(): Generator<TenantHoldings> {
    for (const { tenant, live } of this.#heads.values()) yield { tenant, active: live.size, blocks: 0, blockBytes: 0 }
    for (const { tenant, size: blockBytes } of this.#list.all()) yield { tenant, active: 0, blocks: 1, blockBytes }
  }

  /** Blocks that are served. */
  blockList(): BlockSummary[] {
    return this.#list.all().map((meta): BlockSummary => ({
      tenant: meta.tenant,
      id: meta.blockId,
      startMs: meta.startMs,
      endMs: meta.endMs,
      bytes: meta.size,
      level: meta.level,
      count: meta.traces,
      unit: 'traces',
    }))
  }

  // --- Append ---

  /** What is held may be half as much again as the head: then blocks have to be cut first. */
  #refuseWhenFull(): void {
    let held = this.#life.heldBytes
    for (const head of this.#heads.values()) held += head.heldBytes
    if (held > 1.5 * this.#options.headBytesMax)
      throw new UnavailableError(
        `${held} bytes of traces wait to become blocks, the limit is ${1.5 * this.#options.headBytesMax}`,
        5,
      )
  }

  append(tenant: string, trace: Trace, message: Uint8Array): Promise<AppendOutcome> {
    return this.counted(tenant, spansOf(trace), () => this.#append(tenant, trace, message))
  }

  async #append(tenant: string, trace: Trace, message: Uint8Array): Promise<AppendOutcome> {
    const head = this.#openHead(tenant)
    const request = this.#begin(tenant)
    const { record, show } = this.#admitMessage(request, head, trace, message)
    if (record !== undefined) this.wal.append(recordKind.spans, record, this.#scopes(), show)
    await this.wal.commit()
    return request.outcome
  }

  appendParts(tenant: string, parts: readonly SpansPart[]): Promise<AppendOutcome> {
    // What is refused as a whole is a part at least.
    return this.counted(tenant, parts.length, () => this.#appendParts(tenant, parts))
  }

  async #appendParts(tenant: string, parts: readonly SpansPart[]): Promise<AppendOutcome> {
    const { clock } = this.#options
    const head = this.#openHead(tenant)
    const request = this.#begin(tenant)
    const line = new RecordLine(this.wal, clock)
    for (const { message, outlines } of parts) {
      if (this.#heads.get(tenant) !== head) this.refuseDeleted(tenant)
      // Nothing is set up for a record that is not taken.
      this.wal.requireRoom()
      const { record, traces, show } = this.#admitMessage(request, head, outlines(), message)
      if (record === undefined) {
        await line.pause()
        continue
      }
      request.putInLine(traces)
      await line.put(recordKind.spans, record, this.#scopes(), () => {
        request.shown(traces)
        show()
      })
    }
    line.requireWhole()
    await this.wal.commit()
    return request.outcome
  }

  #begin(tenant: string): SpanRequest {
    const { limits, overrides = noOverrides } = this.#options
    const { liveTracesMax = limits.liveTracesMax, traceBytesMax = limits.traceBytesMax } = overrides.of(tenant)
    return this.#appender.begin({ ...limits, liveTracesMax, traceBytesMax }, this.steady.range().latestMs)
  }

  /** Throws UnavailableError and LimitError where nothing may be appended for the tenant now. */
  #openHead(tenant: string): Head {
    this.admit()
    this.admitTenant(this.#heads, tenant)
    this.#refuseWhenFull()
    return this.#head(tenant)
  }

  #scopes(): string[] {
    return [scopeOf(this.wal.writer, this.wal.generation)]
  }

  /** Decides on the spans of a message, some milliseconds long. `show` is for when the log has the record. */
  #admitMessage(
    request: SpanRequest,
    head: Head,
    trace: Trace,
    message: Uint8Array,
  ): { record: Uint8Array | undefined; traces: readonly StagedTrace[]; show: () => void } {
    const refused = request.outcome.refused
    const { record, traces, newTraces, stored } = this.#appender.admit(request, head, trace, message)
    this.spansRefused += request.outcome.refused - refused
    head.awaited += newTraces
    if (record !== undefined) head.inLine++
    const nowMs = this.#options.clock.nowMs()
    const { length } = message
    const show = (): void => {
      this.spansAppended += stored
      this.bytesAppended += length
      this.usage.received(head.tenant, stored, length)
      head.awaited -= newTraces
      head.inLine--
      head.show(traces, nowMs)
    }
    return { record, traces, show }
  }

  // --- Query ---

  reader(tenant: string): TracesReader {
    this.requireReadable()
    const { layout } = this.#options
    const parts = { ...this.#memory(tenant), blocks: this.#reader, layout, pause: this.#life.pause }
    return leavingOut(new Reader(new HeadSource(parts), this.retainedFrom(tenant)), this.notJoined)
  }

  #memory(tenant: string): TenantMemory {
    return {
      tenant,
      waiting: () => this.#life.waiting.filter(w => w.tenant === tenant).flatMap(w => w.segments),
      head: () => this.#heads.get(tenant),
      list: this.#list,
    }
  }

  /** For threads that evaluate queries. */
  door(): TracesDoor {
    return new TracesDoor({
      memory: tenant => this.#memory(tenant),
      pause: this.#life.pause,
      requireReadable: () => {
        this.requireReadable()
      },
      notJoined: () => this.notJoined,
    })
  }

  /** The bucket, with what is staged for it. */
  get served(): Bucket {
    return this.#served
  }

  get liveTraces(): number {
    let sum = 0
    for (const head of this.#heads.values()) sum += head.live.size
    return sum
  }
  /** Bytes of live traces, of idle ones, and of those that wait to become blocks. */
  get headBytes(): number {
    let sum = this.#life.heldBytes
    for (const head of this.#heads.values()) sum += head.heldBytes
    return sum
  }
  /** Objects and ranges of blocks that were read for queries, and their bytes. */
  get blockStats(): { reads: number; readBytes: number } {
    const { reads, readBytes } = this.#reader
    return { reads, readBytes }
  }
  get cacheStats(): { bytes: number; hits: number; misses: number } {
    return this.#reader.cacheStats
  }
  /** Bytes of what is kept of the bucket for queries. */
  get cacheBytes(): number {
    return this.#reader.cacheStats.bytes
  }
  /** Lets go of so much of it. */
  releaseCaches(bytes: number): void {
    this.#reader.release(bytes)
  }
}

function spansOf({ resources }: Trace): number {
  let count = 0
  for (const { scopes } of resources) for (const { spans } of scopes) count += spans.length
  return count
}
