/** From settled traces to blocks, and on: cuts, uploads, compaction by time window, retention. Rules: docs/formats/tempo-block.md. */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { Random } from '#core/random.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { Wal } from '#store/wal.ts'
import type { Trace } from '#model/trace.ts'
import type { BlockList } from './block-list.ts'
import type { BlockReader } from './block-reader.ts'
import { buildBlock, buildFirstBlock, deleteBlock, putBlock, retireBlock } from './block-writer.ts'
import type { Head } from './head.ts'
import type { Segment } from './segment.ts'
import type { BlockMeta } from './meta.ts'
import type { BlockLayout } from './schema.ts'
import { blockIdOf, encodeCarried, recordKind } from './wal-record.ts'

export interface BlockLifeOptions {
  clock: Clock
  random: Random
  log: Log
  bucket: Bucket
  layout: BlockLayout
  retentionMs: number
  headBytesMax: number
  /** Bytes of blocks that are merged into one: they are laid out in memory together, many times as large. */
  compactBytesMax: number
  encode: (trace: Trace) => Uint8Array
}

/** Settled traces of one lot and tenant that wait for the bucket. */
export interface WaitingBlock {
  lot: Uint8Array
  generation: number
  tenant: string
  segments: readonly Segment[]
}

/** A trace without a new span for so long is settled; one that goes on is, too, after a while. */
const settleIdleMs = 10_000
const settleAgeMs = 180_000
const liveSpansMany = 50_000
const cutAgeMs = 300_000
const windowMs = 3_600_000
const compactInputs = { least: 2, most: 4 }
const removeRetiredMs = 3_600_000
const retainEveryMs = 300_000

export class BlockLife {
  readonly #options: BlockLifeOptions
  readonly #wal: Wal
  readonly #heads: ReadonlyMap<string, Head>
  readonly #list: BlockList
  readonly #reader: BlockReader
  readonly #mayWrite: () => Promise<boolean>
  readonly pause: () => Promise<void>
  #lot: { name: Uint8Array; generation: number; isWritten: boolean }
  #lotStartedMs: number
  waiting: WaitingBlock[] = []
  /** Generations that were cut and are not released. */
  #cutGenerations: number[] = []
  #lastRetainMs = -Infinity
  uploads = 0
  uploadedBytes = 0
  compactions = 0
  failures = 0

  constructor(
    options: BlockLifeOptions,
    wal: Wal,
    heads: ReadonlyMap<string, Head>,
    list: BlockList,
    reader: BlockReader,
    mayWrite: () => Promise<boolean>,
  ) {
    this.#options = options
    this.pause = yieldEvery(options.clock)
    this.#wal = wal
    this.#heads = heads
    this.#list = list
    this.#reader = reader
    this.#mayWrite = mayWrite
    this.#lot = { name: this.#newLot(), generation: -1, isWritten: false }
    this.#lotStartedMs = options.clock.monotonicMs()
  }

  #newLot(): Uint8Array {
    const name = new Uint8Array(16),
      view = new DataView(name.buffer)
    for (let i = 0; i < 4; i++) view.setUint32(i * 4, this.#options.random.u32())
    return name
  }

  /** After the replay: what it found waits for the bucket, lot by lot. */
  begin(waiting: readonly WaitingBlock[], generations: readonly number[]): void {
    this.waiting = [...waiting]
    this.#cutGenerations = [...generations]
    this.#lot = { name: this.#newLot(), generation: this.#wal.generation, isWritten: false }
    this.#lotStartedMs = this.#options.clock.monotonicMs()
  }

  /** Puts a record into the log, behind the lot's name. */
  log(kind: number, payload: Uint8Array, isOwed = false): void {
    const scopes = [String(this.#lot.generation)]
    if (!this.#lot.isWritten) {
      this.#lot.isWritten = true
      this.#wal.append(recordKind.lot, this.#lot.name, scopes, isOwed)
    }
    this.#wal.append(kind, payload, scopes, isOwed)
  }

  get waitingBytes(): number {
    return this.waiting.reduce((sum, { segments }) => sum + segments.reduce((s, g) => s + g.heldBytes, 0), 0)
  }

  async settle(): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    // Where very much is live, less is waited for: a query lays all live traces out.
    for (const head of this.#heads.values())
      await head.settle(
        nowMs - (head.liveSpans > liveSpansMany ? settleIdleMs / 4 : settleIdleMs),
        nowMs - settleAgeMs,
        this.pause,
      )
  }

  async cutDue(): Promise<void> {
    const { clock, headBytesMax } = this.#options
    let held = 0,
      settled = 0
    for (const head of this.#heads.values()) {
      held += head.heldBytes
      settled += head.settledSpans
    }
    if (settled > 0 && (clock.monotonicMs() - this.#lotStartedMs >= cutAgeMs || held >= headBytesMax))
      await this.#turn()
    await this.publish()
  }

  /** Ends the lot: what is settled becomes blocks, live traces are written into the next lot. In one go, so that nothing arrives between. */
  async #turn(): Promise<void> {
    const over = this.#lot
    this.#lot = { name: this.#newLot(), generation: this.#wal.beginGeneration(), isWritten: false }
    this.#lotStartedMs = this.#options.clock.monotonicMs()
    for (const head of this.#heads.values()) {
      const segments = head.takeSegments()
      if (segments.length > 0)
        this.waiting.push({ lot: over.name, generation: over.generation, tenant: head.tenant, segments })
      const live = [...head.live.values()]
      for (let i = 0; i < live.length; i += 200)
        this.log(
          recordKind.carried,
          encodeCarried(
            over.generation,
            head.tenant,
            this.#options.encode({ resources: live.slice(i, i + 200).flatMap(l => head.treeOf(l).resources) }),
          ),
          true,
        )
    }
    this.#cutGenerations.push(over.generation)
    await this.#wal.commit()
  }

  /** Waiting lots into the bucket, oldest first. */
  async publish(): Promise<void> {
    while (this.waiting.length > 0) {
      if (!(await this.#mayWrite())) return
      const next = this.waiting[0]!
      try {
        await this.#publishOne(next)
      } catch (error) {
        this.failures++
        this.#options.log.warn('a block of traces could not be put into the bucket, it waits', {
          tenant: next.tenant,
          error: messageOf(error),
        })
        return
      }
    }
    for (const generation of this.#cutGenerations.splice(0)) await this.#wal.release(String(generation), Infinity)
  }

  async #publishOne(next: WaitingBlock): Promise<void> {
    const { bucket, layout } = this.#options
    const block = await buildFirstBlock(
      { blockId: blockIdOf(next.lot, next.tenant), tenant: next.tenant, level: 0, layout },
      next.segments,
      this.pause,
    )
    await putBlock(bucket, block)
    this.uploads++
    this.uploadedBytes += block.data.length
    // In one step for queries: here no more, there from now on.
    this.#list.add(block.meta)
    this.waiting.shift()
  }

  /** Everything into the bucket. */
  async flush(): Promise<void> {
    await this.#wal.commit().catch(() => {})
    for (const head of this.#heads.values()) await head.settle(Infinity, Infinity, this.pause)
    if ([...this.#heads.values()].some(h => h.segments.length > 0)) await this.#turn()
    for (let attempt = 0; ; attempt++) {
      await this.publish()
      if (this.waiting.length === 0 || !(await this.#mayWrite())) return
      const { clock } = this.#options
      await new Promise<void>(resolve => {
        clock.after(Math.min(5000, 100 * 2 ** Math.min(attempt, 6)), resolve)
      })
    }
  }

  /** Neighbours of one window, level and list of columns become one block. One merge a round. */
  async compact(): Promise<void> {
    for (const tenant of this.#list.tenants()) {
      const inputs = this.#planCompaction(this.#list.of(tenant))
      if (inputs === undefined) continue
      if (!(await this.#mayWrite())) return
      try {
        await this.#compactBlocks(tenant, inputs)
      } catch (error) {
        if (!(error instanceof CorruptDataError)) throw error
        this.#options.log.error('blocks of traces could not be merged', {
          blocks: inputs.map(i => i.blockId).join(),
          error: messageOf(error),
        })
        for (const input of inputs) this.#uncompactable.add(input.blockId)
      }
      return
    }
  }
  readonly #uncompactable = new Set<string>()

  #planCompaction(blocks: readonly BlockMeta[]): BlockMeta[] | undefined {
    const groups = new Map<string, BlockMeta[]>()
    const nowMs = this.#options.clock.nowMs()
    for (const block of blocks) {
      if (block.format !== this.#options.layout.format || this.#uncompactable.has(block.blockId)) continue
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

  async #compactBlocks(tenant: string, inputs: readonly BlockMeta[]): Promise<void> {
    const { bucket, clock, layout } = this.#options
    const sources: { rows: number; columns: Awaited<ReturnType<BlockReader['whole']>>[number]['columns'] }[] = []
    for (const input of inputs) {
      sources.push(...(await this.#reader.whole(input)))
      await this.pause()
    }
    const plan = {
      blockId: blockIdOf(this.#newLot(), tenant),
      tenant,
      level: Math.max(...inputs.map(i => i.level)) + 1,
      startMs: Math.min(...inputs.map(i => i.startMs)),
      endMs: Math.max(...inputs.map(i => i.endMs)),
      layout: { format: layout.format, dedicated: inputs[0]!.dedicated },
    }
    const block = await buildBlock(plan, sources, this.pause)
    await putBlock(bucket, block)
    this.#list.add(block.meta)
    for (const input of inputs) {
      this.#list.retire(input, clock.nowMs())
      this.#reader.forget(input)
    }
    for (const input of inputs) await retireBlock(bucket, input)
    this.compactions++
  }

  /** What is older than the retention is retired; what was retired an hour ago is deleted. */
  async retain(): Promise<void> {
    const { clock, retentionMs, bucket } = this.#options
    if (clock.monotonicMs() - this.#lastRetainMs < retainEveryMs) return
    this.#lastRetainMs = clock.monotonicMs()
    const nowMs = clock.nowMs()
    for (const tenant of this.#list.tenants()) {
      for (const block of this.#list.of(tenant)) {
        if (block.endMs >= nowMs - retentionMs) continue
        if (!(await this.#mayWrite())) return
        this.#list.retire(block, nowMs)
        await retireBlock(bucket, block)
      }
    }
    for (const retired of this.#list.retired()) {
      if (retired.retiredMs > nowMs - removeRetiredMs) continue
      if (!(await this.#mayWrite())) return
      await deleteBlock(bucket, retired.tenant, retired.blockId)
      this.#list.forget(retired)
    }
  }
}
