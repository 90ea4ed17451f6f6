/**
 * The metrics signal as a thread without heads sees it: blocks are opened here, what is in memory elsewhere comes as
 * columns (head-columns.ts).
 */
import type { Bucket } from '#bucket/bucket.ts'
import type { Clock } from '#core/clock.ts'
import { CorruptDataError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { silentLog } from '#core/log.ts'
import type { Omission, Omissions } from '#core/omissions.ts'
import { noOverrides, type Overrides } from '#core/overrides.ts'
import { packMatcher } from '#lang/regex/carried-matcher.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { bucketFiles, localFiles } from './block-files.ts'
import type { BlockMeta } from './block-meta.ts'
import { BlockReader } from './block-reader.ts'
import { BlockSet } from './block-set.ts'
import type { Changes } from './change-log.ts'
import type { ChangesAsk, DamageNote, MetricsPlan, MetricsTexts, PlacedBlock, PlanAsk, TextsAsk } from './door.ts'
import { labelsOf, readColumns } from './head-columns.ts'
import type { TimeRange } from './head.ts'
import { Reader, type MetricsSource, type QueryPlan, type TextsPlan } from './reader.ts'
import type { MetricsFacts, MetricsReader } from './select.ts'

/** The other thread's door (door.ts), as it is asked from here. */
export interface DistantMetricsDoor {
  plan(ask: PlanAsk): Promise<MetricsPlan>
  changes(ask: ChangesAsk): Promise<Changes>
  texts(ask: TextsAsk): Promise<MetricsTexts>
  metas(tenant: string, ids: readonly string[]): Promise<(BlockMeta | undefined)[]>
  noteDamage(note: DamageNote): Promise<void>
  facts(tenant: string): Promise<MetricsFacts>
  lookAgain(tenant: string, block: PlacedBlock): Promise<PlacedBlock | undefined>
}

export interface MetricsViewOptions {
  clock: Clock
  files: Files
  bucket: Bucket
  door: DistantMetricsDoor
  /** Infinity keeps everything. */
  retentionMs: number
  /** What single tenants have otherwise; it may change. Default: nothing. */
  overrides?: Overrides
}

/** Blocks, a tenant, that stay open although the last plan did not have them. */
const idleBlocksMax = 64
/** From so many tenants on, those without an open block are forgotten: anybody may ask for a tenant that is none. */
const tenantsMax = 1000

export class MetricsView {
  readonly #options: MetricsViewOptions
  readonly #tenants = new Map<string, TenantView>()
  /** The thread with the head says when it is not. */
  readonly ready = true

  constructor(options: MetricsViewOptions) {
    this.#options = options
  }

  reader(tenant: string): MetricsReader {
    const { clock, retentionMs, overrides = noOverrides } = this.#options
    let view = this.#tenants.get(tenant)
    if (view === undefined) {
      if (this.#tenants.size >= tenantsMax) this.#forgetEmpty()
      this.#tenants.set(tenant, (view = new TenantView(tenant, this.#options)))
    }
    const moved = overrides.retainedFrom(tenant, 'metrics', retentionMs)
    return new Reader(view, fromMs => moved(fromMs, clock.nowMs()))
  }

  /** Tenants that something is remembered of. */
  get tenantCount(): number {
    return this.#tenants.size
  }

  /** Queries under way go on with what they have. */
  #forgetEmpty(): void {
    for (const [name, { blocks }] of this.#tenants) if (blocks.readers.size === 0) this.#tenants.delete(name)
  }

  facts(tenant: string): Promise<MetricsFacts> {
    return this.#options.door.facts(tenant)
  }
}

/** Blocks of one tenant that queries have asked for, and the way to its head. */
class TenantView implements MetricsSource {
  readonly blocks: BlockSet
  readonly tenant: string
  readonly #options: MetricsViewOptions
  /** By id: where the block was, at the last plan. */
  readonly #placed = new Map<string, PlacedBlock>()
  /** By id, those that were planned longest ago first. */
  readonly #used = new Set<string>()

  constructor(tenant: string, options: MetricsViewOptions) {
    this.tenant = tenant
    this.#options = options
    this.blocks = new BlockSet(silentLog, options.clock)
    this.blocks.comesFrom({
      tenant,
      refresh: id => this.#lookAgain(id),
      damaged: (id, reason, isWhole) => options.door.noteDamage({ tenant, id, reason, isWhole }),
    })
  }

  changes(since: number | undefined): Promise<Changes> {
    return this.#options.door.changes({ tenant: this.tenant, since })
  }

  async plan(
    matchers: readonly Matcher[],
    { fromMs, throughMs }: TimeRange,
    isForLabels: boolean,
    omissions: Omissions,
  ): Promise<QueryPlan> {
    const plan = await this.#options.door.plan({
      tenant: this.tenant,
      matchers: matchers.map(packMatcher),
      fromMs,
      throughMs,
      labelsOnly: isForLabels,
    })
    const blocks = await this.#open(plan.blocks, plan.omissions, omissions)
    const { head } = plan
    const labels = await labelsOf(head, this.blocks.pace())
    return {
      head: {
        labels,
        read: (i, into) => {
          readColumns(head, i, into)
        },
      },
      blocks,
    }
  }

  async texts(name: string | undefined, { fromMs, throughMs }: TimeRange, omissions: Omissions): Promise<TextsPlan> {
    const found = await this.#options.door.texts({ tenant: this.tenant, name, fromMs, throughMs })
    return { texts: found.texts, blocks: await this.#open(found.blocks, found.omissions, omissions) }
  }

  /** The readers of planned blocks: those that were planned before are still open. */
  async #open(
    planned: readonly PlacedBlock[],
    lacking: readonly Omission[],
    omissions: Omissions,
  ): Promise<BlockReader[]> {
    for (const { block, reason } of lacking) omissions.add(block, reason)
    const { readers } = this.blocks
    const unknown = planned.filter(({ id }) => !readers.has(id)).map(({ id }) => id)
    if (unknown.length > 0) {
      const metas = await this.#options.door.metas(this.tenant, unknown)
      for (const meta of metas) if (meta !== undefined) this.#add(meta)
    }
    const opened: BlockReader[] = []
    for (const block of planned) {
      const reader = readers.get(block.id)
      if (reader === undefined) throw new CorruptDataError(`block ${block.id} vanished while the query was planned`)
      this.#place(reader, block)
      this.#used.delete(block.id)
      this.#used.add(block.id)
      opened.push(reader)
    }
    this.#closeIdle(opened)
    return opened
  }

  #add(meta: BlockMeta): void {
    const { ulid } = meta
    const reader = new BlockReader(meta, bucketFiles(this.#options.bucket, `${this.tenant}/${ulid}/`))
    this.blocks.readers.set(ulid, reader)
    this.#placed.set(ulid, { id: ulid, directory: undefined, deletions: 0 })
  }

  /** Goes by what the plan says of the block: where it is, and whether more was deleted from it. */
  #place(reader: BlockReader, block: PlacedBlock): void {
    const known = this.#placed.get(block.id)
    if (known?.directory !== block.directory) {
      const { files, bucket } = this.#options
      reader.relocate(
        block.directory === undefined
          ? bucketFiles(bucket, `${this.tenant}/${block.id}/`)
          : localFiles(files, block.directory),
        block.directory,
      )
    }
    if (known?.deletions !== block.deletions) {
      reader.forgetTombstones()
      this.blocks.forgetSelections()
    }
    this.#placed.set(block.id, block)
  }

  /** A block that was moved, or replaced, is planned again. */
  async #lookAgain(id: string): Promise<void> {
    const known = this.#placed.get(id)
    const now = known === undefined ? undefined : await this.#options.door.lookAgain(this.tenant, known)
    if (now !== undefined && now.directory === known?.directory) return
    this.#close(id)
  }

  /** Blocks that this plan does not have, and that were not asked for lately. */
  #closeIdle(planned: readonly BlockReader[]): void {
    let idle = this.#used.size - planned.length
    for (const id of this.#used) {
      if (idle-- <= idleBlocksMax) return
      this.#close(id)
    }
  }

  #close(id: string): void {
    this.blocks.readers.delete(id)
    this.#placed.delete(id)
    this.#used.delete(id)
  }
}
