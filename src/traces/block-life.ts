/**
 * The life of blocks: idle traces are cut into them, uploaded, compacted by time window, and retained. Rules:
 * docs/formats/tempo-block.md.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { backoffMs } from '#core/backoff.ts'
import { sleep, type Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, UnavailableError, WorkerMemoryError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import type { Log } from '#core/log.ts'
import { isDamage } from '#core/omissions.ts'
import { noOverrides, type Overrides, type OverridesTable } from '#core/overrides.ts'
import { isPoison } from '#core/poison.ts'
import type { Random } from '#core/random.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Trace } from '#model/trace.ts'
import { flushGaveUp, flushGiveUpMs } from '#store/flush-limit.ts'
import { RecordLine } from '#store/record-line.ts'
import { removeObjects } from '#store/remove-objects.ts'
import type { Wal } from '#store/wal.ts'
import { LocalBuilding, type BlockBuilding, type SpoiledBlock } from './block-building.ts'
import type { BlockList } from './block-list.ts'
import { isBlockId, type BlockMeta } from './block-meta.ts'
import type { BlockReader } from './block-reader.ts'
import { deleteBlock, putBlock, retireBlock, type BuiltBlock } from './block-writer.ts'
import type { TakenTraces } from './carried-traces.ts'
import { FilterJoining } from './filter-joining.ts'
import type { Head } from './head.ts'
import { findPoison } from './merge.ts'
import type { BlockLayout } from './schema.ts'
import { Scrub } from './scrub.ts'
import { idKey, type LiveTrace, type Segment } from './segment.ts'
import type { Staging } from './staging.ts'
import {
  blockIdOf,
  encodeCarried,
  generationOf,
  recordKind,
  scopeOf,
  uuidOf,
  writerOf,
  type EndedGeneration,
} from './wal-record.ts'

export interface BlockLifeOptions {
  clock: Clock
  /** What deletes because of age goes by it. */
  steady: Clock
  random: Random
  log: Log
  bucket: Bucket
  layout: BlockLayout
  retentionMs: number
  overrides?: Overrides
  headBytesMax: number
  /** Bytes of blocks that are merged into one: they are laid out in memory together, many times as large. */
  compactBytesMax: number
  encode: (trace: Trace) => Uint8Array
  /** Who builds blocks; unless given, this thread. */
  building?: BlockBuilding
}

/** Idle traces of one tenant and generation of the log that wait for the bucket. */
export interface WaitingBlock {
  blockId: string
  tenant: string
  segments: readonly Segment[]
}

/** A trace is idle after so long without a new span; one that goes on is cut into pieces of the age. */
const idleMs = 10_000
const traceAgeMaxMs = 180_000
const liveSpansMany = 50_000
const cutAgeMs = 300_000
const windowMs = 3_600_000
const compactInputs = { least: 2, most: 4 }
/** Live traces of one record, and their bytes. */
const carriedAtOnce = { traces: 200, bytes: 1024 * 1024 }
const retryPause = { leastMs: 100, mostMs: 5000 }
const removeRetiredMs = 3_600_000
const retainEveryMs = 300_000

/** Live traces on their way from a generation that ended into the next one. */
interface Carry {
  from: EndedGeneration
  live: { head: Head; now: TakenTraces }[]
}

/** Live traces that go into one record. */
interface CarriedBatch {
  head: Head
  traces: LiveTrace[]
}

export class BlockLife {
  readonly #options: BlockLifeOptions
  readonly #wal: Wal
  readonly #heads: ReadonlyMap<string, Head>
  readonly #list: BlockList
  readonly #reader: BlockReader
  readonly #staging: Staging
  readonly #building: BlockBuilding
  readonly #mayWrite: () => Promise<boolean>
  readonly pause: () => Promise<void>
  readonly #scrub: Scrub
  readonly #joining: FilterJoining | undefined
  #generationStartedMs: number
  waiting: WaitingBlock[] = []
  /** Scopes of generations that were cut and are not released. */
  #cut: string[] = []
  /** What was live when its generation ended, until the next one's log has it. */
  readonly #uncarried: Carry[] = []
  #lastRetainMs = -Infinity
  /** What the last round that retained went by. */
  #retainedBy: OverridesTable | undefined
  uploads = 0
  uploadedBytes = 0
  compactions = 0
  failures = 0
  /** Why the last attempt to upload failed; undefined: it did not. */
  trouble: string | undefined

  constructor(
    options: BlockLifeOptions,
    wal: Wal,
    heads: ReadonlyMap<string, Head>,
    list: BlockList,
    reader: BlockReader,
    staging: Staging,
    mayWrite: () => Promise<boolean>,
  ) {
    this.#options = options
    this.pause = yieldEvery(options.clock)
    this.#wal = wal
    this.#heads = heads
    this.#list = list
    this.#reader = reader
    this.#staging = staging
    this.#building = options.building ?? new LocalBuilding({ bucket: staging.served(), pause: this.pause })
    this.#mayWrite = mayWrite
    this.#scrub = new Scrub(options.clock, options.log, list, reader, this.#building)
    // Where a request costs nothing, a filter more is no matter.
    if (options.bucket.gapBytes !== undefined)
      this.#joining = new FilterJoining({ ...options, list, reader, mayWrite, pause: this.pause })
    this.#generationStartedMs = options.clock.monotonicMs()
  }

  /** What a process before this one left on the disk is served from there. */
  async loadStaged(): Promise<void> {
    for (const meta of await this.#staging.load()) this.#list.stage(meta)
  }

  /**
   * After a replay: what it found waits for the bucket, generation by generation, in place of what it found before.
   * `isComplete`: it is known which of that the bucket has already.
   */
  hold(waiting: readonly WaitingBlock[], scopes: readonly string[], isComplete: boolean): void {
    this.waiting = [...waiting, ...this.waiting.filter(one => !this.#doubtful.has(one))]
    this.#doubtful = new Set(isComplete ? [] : waiting)
    addAll(this.#cut, scopes)
    this.#generationStartedMs = this.#options.clock.monotonicMs()
  }
  /** What the bucket may have already. */
  #doubtful: ReadonlySet<WaitingBlock> = new Set()

  /** Bytes of spans in memory that wait to become blocks, which they can. */
  get heldBytes(): number {
    return bytesOf(this.waiting.filter(one => !this.#doubtful.has(one)))
  }
  get waitingBytes(): number {
    return bytesOf(this.waiting) + this.#staging.bytes
  }
  get waitingBlocks(): number {
    return this.waiting.length + this.#staging.count
  }

  /** Sets idle traces aside for the next block. */
  async setIdleAside(): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    // Where very much is live, less is waited for: a query lays all live traces out.
    for (const head of this.#heads.values())
      await head.setIdleAside(
        nowMs - (head.liveSpans > liveSpansMany ? idleMs / 4 : idleMs),
        nowMs - traceAgeMaxMs,
        this.pause,
      )
  }

  async cutDue(): Promise<void> {
    const { clock, headBytesMax } = this.#options
    let held = 0
    let idle = 0
    for (const head of this.#heads.values()) {
      held += head.heldBytes
      idle += head.idleSpans
    }
    // Where a block waits in memory, the next one is cut earlier: both are held.
    const heldMax = Math.max(headBytesMax / 8, headBytesMax - this.heldBytes)
    if (idle > 0 && (clock.monotonicMs() - this.#generationStartedMs >= cutAgeMs || held >= heldMax)) await this.#turn()
    await this.publish()
  }

  /** Cuts a block before its time: of idle traces, and of all where those that are live hold most. */
  async cutEarly(): Promise<void> {
    await this.setIdleAside()
    const heads = [...this.#heads.values()]
    const live = heads.reduce((sum, head) => sum + head.liveBytes, 0)
    const held = heads.reduce((sum, head) => sum + head.heldBytes, 0)
    if (live > held / 2) for (const head of heads) await head.setIdleAside(Infinity, Infinity, this.pause)
    if (heads.some(head => head.segments.length > 0)) await this.#turn()
    await this.publish()
  }

  /**
   * Ends the generation: idle traces become blocks, live traces are written into the next generation. At the boundary
   * memory holds just what the generation's log has.
   */
  async #turn(): Promise<void> {
    const wal = this.#wal
    const scope = scopeOf(wal.writer, wal.generation)
    const over = { scope, lastRecord: -1 }
    await new Promise<void>(resolve => {
      wal.beginGeneration(() => {
        this.#generationStartedMs = this.#options.clock.monotonicMs()
        over.lastRecord = wal.coverage().get(wal.writer) ?? -1
        const live: Carry['live'] = []
        for (const head of this.#heads.values()) {
          const { tenant } = head
          const segments = head.takeSegments()
          if (segments.length > 0) this.waiting.push({ blockId: blockIdOf(over, tenant, 'idle'), tenant, segments })
          live.push({ head, now: head.liveNow() })
        }
        this.#cut.push(scope)
        this.#uncarried.push({ from: over, live })
        resolve()
      })
    })
    await this.#carry()
  }

  /** The log takes what live traces had before their generation ended. Throws UnavailableError when it can't. */
  async #carry(): Promise<void> {
    for (let next = this.#uncarried[0]; next !== undefined; next = this.#uncarried[0]) {
      await this.#carryOne(next)
      this.#uncarried.shift()
    }
  }

  /** A record at a time. Where the log fails in between, all of them are written again. */
  async #carryOne({ from, live }: Carry): Promise<void> {
    const batches = await this.#batchesOf(live)
    const line = new RecordLine(this.#wal, this.#options.clock, true)
    const { writer, generation } = this.#wal
    for (const [i, { head, traces }] of batches.entries()) {
      const resources = traces.flatMap(trace => head.treeOf(trace).resources)
      const message = this.#options.encode({ resources })
      const record = encodeCarried(from, batches.length - i - 1, head.tenant, message)
      line.requireWhole()
      await line.put(recordKind.carried, record, [scopeOf(writer, generation)])
    }
    if (batches.length > 0) await this.#wal.commit()
    line.requireWhole()
  }

  async #batchesOf(live: Carry['live']): Promise<CarriedBatch[]> {
    const batches: CarriedBatch[] = []
    for (const { head, now } of live) {
      let batch: CarriedBatch | undefined
      let bytes = 0
      for (const [i, trace] of now.traces.entries()) {
        if (batch === undefined || batch.traces.length >= carriedAtOnce.traces || bytes > carriedAtOnce.bytes) {
          batches.push((batch = { head, traces: [] }))
          bytes = 0
          await this.pause()
        }
        batch.traces.push({ ...trace, held: trace.held.slice(0, now.heldCounts[i]) })
        bytes += trace.bytes
      }
    }
    return batches
  }

  /** Waiting blocks into the bucket, oldest first, or onto the disk while it does not take them. */
  async publish(): Promise<void> {
    // Until they are carried, the generation's log alone has its live traces.
    await this.#carry()
    await this.#uploadStaged()
    let isDone = true
    // One that can't be made, as when the bucket is to take what no block can hold, does not hold up the others.
    for (const next of this.waiting.filter(one => !this.#doubtful.has(one)))
      if (!(await this.#tryTo('a block of traces could not be made, its spans wait', () => this.#publishOne(next))))
        isDone = false
    if (!isDone) return
    if (this.#staging.count > 0)
      await this.#tryTo('the list of staged blocks could not be written', () => this.#staging.cover(this.#cut))
    else if (this.waiting.length === 0) {
      for (const scope of this.#cut.splice(0)) await this.#wal.release(scope, [[writerOf(scope), Infinity]])
      await this.#staging.clear()
    }
  }

  async #tryTo(failure: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      this.failures++
      this.trouble = messageOf(error)
      this.#options.log.warn(failure, { error: messageOf(error) })
      return false
    }
  }

  async #uploadStaged(): Promise<void> {
    const failure = 'a staged block of traces could not be put into the bucket, it waits on the disk'
    for (let next = this.#staging.oldest; next !== undefined; next = this.#staging.oldest) {
      if (!(await this.#mayWrite())) return
      const meta = next
      const isDone = await this.#tryTo(failure, async () => {
        const isThere = await this.#staging.upload()
        this.trouble = undefined
        this.uploads++
        this.uploadedBytes += meta.size
        if (isThere) this.#list.add(meta)
        else this.#list.unstage(meta)
        await this.#staging.removeOldest()
      })
      if (!isDone) return
    }
  }

  /** Throws where the block can't be made now, or put anywhere. */
  async #publishOne(next: WaitingBlock): Promise<void> {
    const { layout } = this.#options
    const mayPut = (await this.#mayWrite()) && this.#staging.count === 0
    if (this.#wal.fenced !== undefined) throw new UnavailableError(this.#wal.fenced, 60)
    const plan = { blockId: next.blockId, tenant: next.tenant, level: 0, layout }
    let block: BuiltBlock | undefined
    try {
      block = await this.#building.first(plan, next.segments)
    } catch (error) {
      if (!isPoison(error)) throw error
      const poisoned = await this.#setAside(next, plan.blockId, error)
      block = await this.#building.first(plan, next.segments, poisoned)
    }
    let place: 'nowhere' | 'bucket' | 'disk' = 'nowhere'
    if (block !== undefined) {
      this.#list.expect(block.meta)
      place = mayPut && (await this.#put(block)) ? 'bucket' : 'disk'
      if (place === 'disk') await this.#staging.add(block)
    }
    // In one step for queries: here no more, there from now on.
    if (place === 'bucket') this.#list.add(block!.meta)
    if (place === 'disk') this.#list.stage(block!.meta)
    this.waiting = this.waiting.filter(one => one !== next)
  }

  #put(block: BuiltBlock): Promise<boolean> {
    return this.#tryTo('a block of traces could not be put into the bucket, it waits on the disk', async () => {
      await putBlock(this.#options.bucket, block)
      this.trouble = undefined
      this.uploads++
      this.uploadedBytes += block.data.length
    })
  }

  /**
   * Traces that no block can hold go into the bucket as the messages that they came in, beside the blocks; the others
   * go on. Returns their keys.
   */
  async #setAside(next: WaitingBlock, blockId: string, cause: Error): Promise<ReadonlySet<string>> {
    const { bucket, layout } = this.#options
    const { tenant, segments } = next
    let poisoned = await findPoison(segments, layout, this.pause)
    // Each can be written, and all together can't.
    if (poisoned.size === 0) poisoned = new Map(segments.flatMap(s => s.traces.map(t => [idKey(t.id), cause])))
    for (const live of segments.flatMap(s => s.traces)) {
      const error = poisoned.get(idKey(live.id))
      if (error === undefined) continue
      const id = `${blockId}/${Buffer.from(live.id).toString('hex')}`
      const messages = [...new Set(live.held.map(held => held.message))]
      for (let i = 0; i < messages.length; i++)
        await bucket.put(`${tenant}/tercet/set-aside/${id}-${i}.otlp`, messages[i]!)
      const reason = `a trace can't be written into a block, its messages are in tercet/set-aside: ${error.message}`
      this.#list.damage.add({ tenant, id, reason, isWhole: true, isSetAside: true })
    }
    return new Set(poisoned.keys())
  }

  /** Everything into the bucket. */
  async flush(): Promise<void> {
    for (const head of this.#heads.values()) await head.setIdleAside(Infinity, Infinity, this.pause)
    if ([...this.#heads.values()].some(h => h.segments.length > 0)) await this.#turn()
    const { clock } = this.#options
    const startedMs = clock.monotonicMs()
    for (let attempt = 0; ; attempt++) {
      await this.publish()
      if (this.waitingBlocks === 0 || !(await this.#mayWrite())) return
      if (clock.monotonicMs() - startedMs > flushGiveUpMs) throw flushGaveUp(this.trouble)
      await sleep(this.#options.clock, backoffMs(attempt, retryPause))
    }
  }

  /** Merges blocks; in a round without anything to merge, joins the filters of those that there are. */
  async compact(): Promise<void> {
    if (!(await this.#merge())) await this.#joining?.run()
  }

  /** Neighbours of one window, level and list of columns become one block. One merge a round; false: there was none. */
  async #merge(): Promise<boolean> {
    for (const tenant of this.#list.tenants()) {
      const inputs = this.#planCompaction(this.#list.of(tenant))
      if (inputs === undefined) continue
      if (!(await this.#mayWrite())) return true
      try {
        await this.#compactBlocks(tenant, inputs)
      } catch (error) {
        if (!isDamage(error) && !(error instanceof WorkerMemoryError)) throw error
        this.#options.log.error('blocks of traces could not be merged', {
          blocks: inputs.map(i => i.blockId).join(),
          error: messageOf(error),
        })
        for (const input of inputs) this.#uncompactable.add(input.blockId)
      }
      return true
    }
    return false
  }
  readonly #uncompactable = new Set<string>()

  #planCompaction(blocks: readonly BlockMeta[]): BlockMeta[] | undefined {
    const groups = new Map<string, BlockMeta[]>()
    const nowMs = this.#options.clock.nowMs()
    for (const block of blocks) {
      if (block.format !== this.#options.layout.format || this.#uncompactable.has(block.blockId)) continue
      if (this.#list.damage.get(block.tenant, block.blockId) !== undefined || this.#list.isStaged(block)) continue
      const window = Math.floor(block.endMs / windowMs)
      // Within a day blocks of one level go together, so that each is rewritten few times; later all of a window do.
      const level = nowMs - block.endMs < 24 * windowMs ? block.level : -1
      const key = `${window} ${level} ${JSON.stringify(block.dedicated)}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [block])
      else group.push(block)
    }
    for (const group of groups.values()) {
      group.sort((a, b) => a.size - b.size)
      const chosen: BlockMeta[] = []
      let bytes = 0
      for (const block of group) {
        if (chosen.length === compactInputs.most || bytes + block.size > this.#options.compactBytesMax) break
        chosen.push(block)
        bytes += block.size
      }
      if (chosen.length >= compactInputs.least) return chosen
    }
    return undefined
  }

  #newBlockId(): string {
    return uuidOf(this.#options.random.bytes(16))
  }

  async #compactBlocks(tenant: string, inputs: readonly BlockMeta[]): Promise<void> {
    const { bucket, clock, layout } = this.#options
    const plan = {
      blockId: this.#newBlockId(),
      tenant,
      level: Math.max(...inputs.map(i => i.level)) + 1,
      startMs: Math.min(...inputs.map(i => i.startMs)),
      endMs: Math.max(...inputs.map(i => i.endMs)),
      layout: { format: layout.format, dedicated: inputs[0]!.dedicated },
    }
    const merged = await this.#building.merge(plan, inputs)
    if ('spoiled' in merged) {
      // The next round chooses without the damaged ones, which stay.
      await this.#noteSpoiled(inputs, merged.spoiled)
      return
    }
    const { block } = merged
    this.#list.expect(block.meta)
    await putBlock(bucket, block)
    this.#list.add(block.meta)
    for (const input of inputs) {
      this.#list.retire(input, clock.nowMs())
      this.#reader.forget(input)
    }
    for (const input of inputs) await retireBlock(bucket, input)
    this.compactions++
  }

  /** They are damaged, or another compactor took them away. */
  async #noteSpoiled(inputs: readonly BlockMeta[], spoiled: readonly SpoiledBlock[]): Promise<void> {
    for (const { blockId, reason, isMissing } of spoiled) {
      const input = inputs.find(one => one.blockId === blockId)
      if (input === undefined) continue
      this.#reader.forget(input)
      if (isMissing) await this.#list.refresh()
      if (this.#list.isLive(input.tenant, blockId)) this.#list.noteDamage(input, new CorruptDataError(reason), false)
    }
  }

  /** Lets go of what memory has of a tenant's traces. */
  forgetTenant(tenant: string): void {
    this.waiting = this.waiting.filter(one => one.tenant !== tenant)
    for (const carry of this.#uncarried) carry.live = carry.live.filter(({ head }) => head.tenant !== tenant)
    for (const block of this.#list.of(tenant)) this.#reader.forget(block)
    this.#list.forgetTenant(tenant)
  }

  /** Lets go of what this disk has of them. */
  async dropTenant(tenant: string): Promise<void> {
    await this.#staging.drop(tenant)
  }

  /** Takes what the bucket has of a tenant's traces out of it. False where something is left. */
  async removeTenant(tenant: string): Promise<boolean> {
    const { bucket } = this.#options
    const objects = (await bucket.list(`${tenant}/`)).map(({ key }) => key)
    const keys = objects.filter(key => this.#list.joined.isKey(tenant, key) || isOfTraces(key.slice(tenant.length + 1)))
    const isAll = await removeObjects(bucket, keys, key => key.endsWith('/meta.json'))
    await bucket.evict?.(`${tenant}/`)
    return isAll
  }

  /** Ends the generation, so that the log lets go of it soon: what is live goes on into the next one. */
  async endGeneration(): Promise<void> {
    await this.#turn()
    await this.publish()
  }

  /** Has the log generations before this one of this process? */
  isInLog(generation: number): boolean {
    if (this.#cut.length > 0) return true
    const { writer } = this.#wal
    return [...this.#wal.scopes()].some(scope => writerOf(scope) !== writer || generationOf(scope) < generation)
  }

  /** What is older than the retention is retired; what was retired an hour ago is deleted. */
  async retain(): Promise<void> {
    await this.#scrub.step()
    const { clock, steady, bucket, overrides = noOverrides } = this.#options
    const hasChanged = this.#retainedBy !== overrides.table
    if (!hasChanged && clock.monotonicMs() - this.#lastRetainMs < retainEveryMs) return
    this.#lastRetainMs = clock.monotonicMs()
    this.#retainedBy = overrides.table
    const nowMs = steady.nowMs()
    for (const tenant of this.#list.tenants()) {
      const retentionMs = overrides.retentionMs(tenant, 'traces', this.#options.retentionMs)
      for (const block of this.#list.of(tenant)) {
        if (block.endMs >= nowMs - retentionMs || this.#list.isStaged(block)) continue
        if (!(await this.#mayWrite())) return
        this.#list.retire(block, nowMs)
        await retireBlock(bucket, block)
      }
    }
    for (const retired of this.#list.retired()) {
      if (retired.retiredMs > nowMs - removeRetiredMs) continue
      if (!(await this.#mayWrite())) return
      await deleteBlock(bucket, retired)
      this.#list.forget(retired)
    }
  }
}

/** Blocks, Tempo's index of them, and what was set aside of them. Signals may share a bucket. */
function isOfTraces(name: string): boolean {
  const [first = '', ...more] = name.replace(/^tercet\/(?:quarantine|set-aside)\//, '').split('/')
  return more.length === 0 ? /^index\.(?:json\.gz|pb\.zst)$/.test(first) : isBlockId(first)
}

function bytesOf(waiting: readonly WaitingBlock[]): number {
  return waiting.reduce((sum, { segments }) => sum + segments.reduce((s, g) => s + g.heldBytes, 0), 0)
}
