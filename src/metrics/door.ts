/**
 * What a thread that evaluates queries asks the one that has the heads and the list of blocks. Every question and
 * answer can be cloned; see view.ts for the other side.
 */
import type { Clock } from '#core/clock.ts'
import { CorruptDataError } from '#core/errors.ts'
import { Omissions, type Omission } from '#core/omissions.ts'
import { yieldEvery } from '#core/yield.ts'
import { unpackMatcher, type CarriedMatcher } from '#lang/regex/carried-matcher.ts'
import type { BlockMeta } from './block-meta.ts'
import { allChanged, type Changes } from './change-log.ts'
import { HeadColumnsBuilder } from './head-columns-builder.ts'
import type { HeadColumns } from './head-columns.ts'
import type { Held } from './head.ts'
import type { MetricsFacts } from './select.ts'
import type { Tenant } from './tenant.ts'

/** Where a block's files are: below this directory on the local disk, or, undefined, in the bucket. */
export interface PlacedBlock {
  id: string
  directory: string | undefined
  /** Grows when more was deleted from the block. */
  deletions: number
}

export interface PlanAsk {
  tenant: string
  matchers: readonly CarriedMatcher[]
  fromMs: number
  throughMs: number
  labelsOnly: boolean
}

/** What a query is planned with: all of one instant. */
export interface MetricsPlan {
  /** Blocks that touch the time, oldest first. */
  blocks: PlacedBlock[]
  /** Series of the head that satisfy the matchers. */
  head: HeadColumns
  /** What every answer about the time lacks. */
  omissions: Omission[]
}

/** Names of labels, or the values of one. */
export interface TextsAsk {
  tenant: string
  name: string | undefined
  fromMs: number
  throughMs: number
}

export interface MetricsTexts {
  blocks: PlacedBlock[]
  texts: string[]
  omissions: Omission[]
}

/** A block that turned out to be damaged. */
export interface DamageNote {
  tenant: string
  id: string
  reason: string
  isWhole: boolean
}

/** What has changed of a tenant since a version. */
export interface ChangesAsk {
  tenant: string
  since: number | undefined
}

/** Sources that the door looks into. */
export interface DoorSources {
  clock: Clock
  tenant: (name: string) => Tenant | undefined
  /** Throws UnavailableError while nothing can be read. */
  requireReadable: () => void
  /** Why answers lack what is in the bucket; undefined: they don't. */
  notJoined: () => string | undefined
  refresh: () => Promise<void>
  facts: (tenant: string) => Promise<MetricsFacts>
}

/** How long the thread with the heads works for a query before other work runs. */
const turnMs = 4
/** Texts between two looks at the clock. */
const stepTexts = 4096

export class MetricsDoor {
  readonly #sources: DoorSources

  constructor(sources: DoorSources) {
    this.#sources = sources
  }

  /** Series of the head and blocks of the time. What has memory of its own in the answer may be transferred. */
  async plan(ask: PlanAsk): Promise<{ plan: MetricsPlan; transfer: ArrayBuffer[] }> {
    const tenant = this.#tenant(ask.tenant)
    const matchers = ask.matchers.map(unpackMatcher)
    const { fromMs, throughMs, labelsOnly } = ask
    // Of one instant: what leaves the head later is in no block of the list.
    const blocks = this.#blocksIn(tenant, fromMs, throughMs)
    const omissions = this.#omissions(tenant, fromMs, throughMs)
    const held: Held = { ranges: tenant?.head.ranges() ?? [], labelsOnly }
    const builder = new HeadColumnsBuilder()
    if (tenant !== undefined && tenant.head.maxMs >= fromMs) {
      const { table } = tenant.head
      let { version } = table.postings
      await table.selectInSteps(matchers, yieldEvery(this.#sources.clock, turnMs), some => {
        if (version !== table.postings.version) builder.forgetPairs()
        version = table.postings.version
        tenant.head.collect(some, { fromMs, throughMs }, held, builder)
      })
    }
    const { columns, transfer } = builder.finish()
    return { plan: { blocks, head: columns, omissions }, transfer }
  }

  /** Texts of the head's labels, and the blocks that have more. */
  async texts({ tenant: name, name: label, fromMs, throughMs }: TextsAsk): Promise<MetricsTexts> {
    const tenant = this.#tenant(name)
    const blocks = this.#blocksIn(tenant, fromMs, throughMs)
    const omissions = this.#omissions(tenant, fromMs, throughMs)
    const head = tenant?.head
    const texts: string[] = []
    if (head === undefined || head.maxMs < fromMs || head.minMs > throughMs) return { blocks, texts, omissions }
    const pause = yieldEvery(this.#sources.clock, turnMs)
    for (const text of label === undefined ? head.table.labelNames() : head.table.valuesOf(label)) {
      texts.push(text)
      if (texts.length % stepTexts === 0) await pause()
    }
    return { blocks, texts, omissions }
  }

  /** Without a tenant nothing is known, and nothing that was kept counts. */
  changes({ tenant: name, since }: ChangesAsk): Changes {
    return this.#tenant(name)?.changesSince(since) ?? allChanged
  }

  /** The meta.json of blocks; undefined for those that are no more. */
  metas(tenant: string, ids: readonly string[]): (BlockMeta | undefined)[] {
    const readers = this.#sources.tenant(tenant)?.blocks.readers
    return ids.map(id => readers?.get(id)?.meta)
  }

  facts(tenant: string): Promise<MetricsFacts> {
    return this.#sources.facts(tenant)
  }

  noteDamage({ tenant, id, reason, isWhole }: DamageNote): void {
    const blocks = this.#sources.tenant(tenant)?.blocks
    const reader = blocks?.readers.get(id)
    if (reader !== undefined) blocks?.leaveOut(reader, new CorruptDataError(reason), isWhole)
  }

  /** Looks for what replaced the block; where it is now, or undefined when it is no more. */
  async lookAgain(tenant: string, { id, directory }: PlacedBlock): Promise<PlacedBlock | undefined> {
    const placed = (): PlacedBlock | undefined => {
      const reader = this.#sources.tenant(tenant)?.blocks.readers.get(id)
      return reader === undefined ? undefined : { id, directory: reader.directory, deletions: reader.deletions }
    }
    const now = placed()
    if (now === undefined || now.directory !== directory) return now
    await this.#sources.refresh()
    return placed()
  }

  #tenant(name: string): Tenant | undefined {
    this.#sources.requireReadable()
    return this.#sources.tenant(name)
  }

  #blocksIn(tenant: Tenant | undefined, fromMs: number, throughMs: number): PlacedBlock[] {
    const readers = tenant?.blocks.inTime(fromMs, throughMs) ?? []
    return readers.map(({ meta, directory, deletions }) => ({ id: meta.ulid, directory, deletions }))
  }

  #omissions(tenant: Tenant | undefined, fromMs: number, throughMs: number): Omission[] {
    const omissions = new Omissions()
    tenant?.blocks.addLeftOut(fromMs, throughMs, omissions)
    const reason = this.#sources.notJoined()
    if (reason !== undefined) omissions.add('(all)', reason)
    return omissions.list()
  }
}
