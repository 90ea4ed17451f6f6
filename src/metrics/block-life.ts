/**
 * The life of a tenant's blocks: cut from the head, staged on the disk, uploaded, merged, deleted from, retained,
 * removed.
 */
import type { Bucket, ObjectInfo } from '#bucket/bucket.ts'
import { putState } from '#bucket/numbered-states.ts'
import { isUlid, makeUlid } from '#codec/ulid.ts'
import type { Clock } from '#core/clock.ts'
import { messageOf, PlanStaleError, UnavailableError, WorkerMemoryError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { addAll } from '#core/lists.ts'
import type { Log } from '#core/log.ts'
import { isDamage, Omissions } from '#core/omissions.ts'
import { noOverrides, type Overrides } from '#core/overrides.ts'
import { forEachParallel } from '#core/parallel.ts'
import { isPoison } from '#core/poison.ts'
import type { Random } from '#core/random.ts'
import { yieldEvery } from '#core/yield.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import { removeObjects } from '#store/remove-objects.ts'
import { uploadMarkName } from '#store/upload-mark.ts'
import type { Wal } from '#store/wal.ts'
import { LocalBuilding, type BlockBuilding } from './block-building.ts'
import { bucketFiles, localFiles } from './block-files.ts'
import { listBlocks } from './block-list.ts'
import {
  addWalThrough,
  decodeMeta,
  encodeMeta,
  encodeWalThrough,
  externalLabelsOf,
  isDownsampled,
  walThroughOf,
  type BlockMeta,
  type WalThrough,
} from './block-meta.ts'
import { BlockReader, type BlockFiles } from './block-reader.ts'
import type { BlockSet } from './block-set.ts'
import { expired, overSize, planCompaction } from './compaction-plan.ts'
import { DeletionMarks, markName, type DoomedBlock } from './deletion-marks.ts'
import { collectRange, type MergedBlock, type WrittenBlock } from './merge.ts'
import type { RangeChunks } from './range-chunks.ts'
import { Scrub } from './scrub.ts'
import type { Tenant } from './tenant.ts'
import { addInterval, encodeTombstones, tombstonesName, type Interval } from './tombstones.ts'
import { uploadsAtOnce, UploadQueue, type StagedBlock } from './upload-queue.ts'

export interface BlockLifeOptions {
  clock: Clock
  /** What deletes because of age goes by it. */
  steady: Clock
  random: Random
  files: Files
  log: Log
  bucket: Bucket
  /** Where blocks under way live. */
  stagingDirectory: string
  /** Who writes the files of blocks; unless given, this thread. */
  building?: BlockBuilding | undefined
  blockMs: number
  retentionMs: number
  retentionBytesMax: number
  overrides?: Overrides
  readOnly: boolean
  /** Is the tenant being deleted? Then its blocks are not served. Default: none is. */
  isDeleted?: (tenant: string) => boolean
}

/**
 * A head is cut when its newest sample is this far, in ranges, past the start of the oldest one: as Prometheus does.
 */
const cutAfterRanges = 1.5

/** Small objects that are asked for together. */
const readsAtOnce = 16

/** Files of no block are left alone for so long: somebody may be uploading one. */
const orphanAgeMs = 24 * 3_600_000
/** So long a block that another program writes may be without its meta.json, which comes last. */
const foreignUploadMs = 3_600_000

/** A process that only reads looks for blocks more often than for deletions from them. */
const deletionsEveryMs = 290_000

/** A range that is to leave its head. */
interface Cut {
  readonly tenant: Tenant
  readonly startMs: number
}

/** A range is not worth a block before its time when it gives back less. */
const earlyCutBytesMin = 1024 * 1024

/** A range that left its head, and is not in a block yet. */
interface Unwritten {
  readonly tenant: Tenant
  readonly range: RangeChunks
  /** What of the log a block of it covers. */
  readonly through: ReadonlyMap<string, number>
}

const scopeOf = ({ tenant, range }: Unwritten): string => `${tenant.name}/${range.startMs}`

/** Ranges that are written beside each other. */
const writesAtOnce = 8

/** Ranges that leave their heads at once. */
const cutsAtOnce = 32

export class BlockLife {
  readonly #options: BlockLifeOptions
  readonly #wal: Wal
  readonly #tenantOf: (name: string) => Tenant
  readonly #tenants: ReadonlyMap<string, Tenant>
  /** False when another writer has the prefix. */
  readonly #mayWrite: () => Promise<boolean>
  readonly #uploads: UploadQueue
  readonly #scrub: Scrub
  readonly #staged = new Map<string, StagedBlock>()
  readonly #marks: DeletionMarks
  /** Ranges that have left the head and are not in a block yet: read from memory until they are. */
  readonly #unwritten: Unwritten[] = []
  readonly #pause: () => Promise<void>
  readonly #building: BlockBuilding
  #lastUlidMs = 0
  compactions = 0

  constructor(
    options: BlockLifeOptions,
    wal: Wal,
    tenants: ReadonlyMap<string, Tenant>,
    tenantOf: (name: string) => Tenant,
    mayWrite: () => Promise<boolean>,
  ) {
    this.#options = options
    this.#pause = yieldEvery(options.clock)
    this.#wal = wal
    this.#tenants = tenants
    this.#tenantOf = tenantOf
    this.#mayWrite = mayWrite
    const { clock, files, log, bucket } = options
    this.#marks = new DeletionMarks(bucket, clock)
    this.#building = options.building ?? new LocalBuilding({ files, bucket, pause: this.#pause })
    this.#scrub = new Scrub(clock, log, tenants, this.#building)
    this.#uploads = new UploadQueue({
      clock,
      files,
      log,
      bucket,
      mayWrite,
      onUploaded: block => this.#onUploaded(block),
    })
  }

  get uploadStats(): { uploads: number; failures: number; waiting: number; waitingBytes: number } {
    return {
      uploads: this.#uploads.uploads,
      failures: this.#uploads.failures,
      waiting: this.#uploads.waitingBlocks,
      waitingBytes: this.#uploads.waitingBytes,
    }
  }

  get uploadTrouble(): string | undefined {
    return this.#uploads.trouble
  }

  /** Resolves when the bucket has every finished block. */
  drained(): Promise<void> {
    return this.#uploads.drained()
  }

  close(): Promise<void> {
    return this.#uploads.close()
  }

  // --- What there is ---

  /**
   * Looks into the bucket for blocks that appeared or vanished. A listing may be older than what is known: a block that
   * it lacks is gone only when the bucket does not have its meta.json. `isPeriodic`: nobody asked for it.
   */
  async refresh(isPeriodic = false): Promise<void> {
    const { bucket, readOnly, isDeleted = () => false } = this.#options
    const isKnown = (tenant: string, id: string): boolean =>
      isDeleted(tenant) || this.#marks.has(tenant, id) || this.#tenants.get(tenant)?.blocks.has(id) === true
    const listing = await listBlocks(bucket, { isId: isUlid, isKnown, isForeign: readOnly })
    const { found, ids, withoutMeta, marked } = listing
    for (const { tenant, id, meta } of found) {
      // Perhaps it was added, or given up, while the bucket was looked through.
      if (isKnown(tenant, id)) continue
      try {
        const decoded = decodeMeta(meta, id)
        if (isDownsampled(decoded)) this.#blocksOf(tenant).downsampled.set(id, decoded)
        else this.#addBlock(tenant, decoded, bucketFiles(bucket, `${tenant}/${id}/`))
      } catch (error) {
        this.#blocksOf(tenant).quarantined.add({ tenant, id, reason: messageOf(error), isWhole: true })
      }
    }
    const areDeletionsDue = this.#areDeletionsDue(isPeriodic)
    for (const tenant of this.#tenants.values()) {
      // Only the writer of the prefix knows of deletions without asking.
      if (areDeletionsDue) tenant.blocks.forgetTombstones()
      const present = ids.get(tenant.name) ?? new Set()
      for (const id of marked.get(tenant.name) ?? []) tenant.blocks.drop(id)
      await this.#dropGone(tenant, present)
      await this.#checkDamaged(tenant, present)
      await this.#hideParents(tenant)
    }
    for (const { tenant, id } of withoutMeta) await this.#noteWithoutMeta(tenant, id)
  }

  /** Are deletions from blocks to be read again? That costs a request a block. */
  #areDeletionsDue(isPeriodic: boolean): boolean {
    if (!this.#options.readOnly && this.#wal.fenced === undefined) return false
    const nowMs = this.#options.clock.monotonicMs()
    if (isPeriodic && nowMs - this.#deletionsReadMs < deletionsEveryMs) return false
    this.#deletionsReadMs = nowMs
    return true
  }
  #deletionsReadMs = -Infinity

  async #dropGone({ blocks, name }: Tenant, present: ReadonlySet<string>): Promise<void> {
    for (const id of Array.from(blocks.downsampled.keys())) if (!present.has(id)) blocks.downsampled.delete(id)
    const unlisted = [...blocks.readers].filter(([id]) => !present.has(id) && !this.#staged.has(id))
    await forEachParallel(unlisted, readsAtOnce, async ([id, reader]) => {
      if (blocks.readers.get(id) === reader && !(await reader.hasMeta())) blocks.readers.delete(id)
    })
    // In a process that writes what it gave up goes by its own round.
    if (this.#options.readOnly)
      for (const block of this.#marks.of(name)) if (!present.has(block.meta.ulid)) this.#marks.forget(block)
  }

  /** Blocks that were damaged may be gone by now, or whole again. */
  async #checkDamaged({ name, blocks }: Tenant, present: ReadonlySet<string>): Promise<void> {
    for (const { id, isWhole, isSetAside } of blocks.quarantined.of(name)) {
      const reader = blocks.readers.get(id)
      if (isSetAside === true) continue
      if (!present.has(id) && reader === undefined) blocks.quarantined.delete(name, id)
      else if (isWhole && reader !== undefined && (await isReadable(reader))) blocks.quarantined.delete(name, id)
    }
  }

  /** A directory with an index and without meta.json was a block that answers lack, unless it is not whole yet. */
  async #noteWithoutMeta(tenant: string, id: string): Promise<void> {
    const blocks = this.#tenants.get(tenant)?.blocks
    const isParent = (reader: BlockReader): boolean =>
      reader.meta.compaction.parents?.some(({ ulid }) => ulid === id) === true
    if (this.#staged.has(id)) return
    const objects = await this.#options.bucket.list(`${tenant}/${id}/`)
    // A deletion that was not finished.
    if (objects.some(({ key }) => key === `${tenant}/${id}/${markName}`)) this.#orphans.add(`${tenant}/${id}`)
    else if (blocks !== undefined && [...blocks.readers.values()].some(isParent)) return
    else if (!objects.some(({ key }) => key === `${tenant}/${id}/index`)) {
      const oldMs = this.#options.steady.nowMs() - orphanAgeMs
      if (objects.length > 0 && objects.every(({ modifiedMs }) => modifiedMs <= oldMs))
        this.#orphans.add(`${tenant}/${id}`)
    } else if (!objects.some(({ key }) => key === `${tenant}/${id}/${uploadMarkName}`) && !this.#isUploading(objects))
      this.#noteLostMeta(tenant, id)
  }

  /** Another program says of no block that it is on its way. */
  #isUploading(objects: readonly ObjectInfo[]): boolean {
    const youngMs = this.#options.clock.nowMs() - foreignUploadMs
    return this.#options.readOnly && objects.some(({ modifiedMs }) => modifiedMs > youngMs)
  }

  #noteLostMeta(tenant: string, id: string): void {
    const reason = 'meta.json is missing; `tercet check data --repair` makes it again'
    this.#blocksOf(tenant).quarantined.add({ tenant, id, reason, isWhole: true, isUncertain: true })
  }

  /** Files without index and meta.json were on their way in or out when a process died; nobody reads them. */
  async #sweepOrphans(): Promise<void> {
    for (const block of Array.from(this.#orphans)) {
      this.#orphans.delete(block)
      const objects = await this.#options.bucket.list(`${block}/`)
      const has = (name: string): boolean => objects.some(({ key }) => key === `${block}/${name}`)
      const isBlock = has('meta.json') || (has('index') && !has(markName))
      if (isBlock || !(await this.#mayWrite())) continue
      // The mark last: what is left of a deletion that fails is found by it.
      for (const { key } of objects.sort((a, b) => Number(a.key.endsWith(markName)) - Number(b.key.endsWith(markName))))
        await this.#options.bucket.delete(key)
      this.#options.log.info('files of no block were removed', { block, files: objects.length })
    }
  }
  readonly #orphans = new Set<string>()

  #blocksOf(tenant: string): BlockSet {
    const { blocks } = this.#tenantOf(tenant)
    const { bucket } = this.#options
    const damaged = async (id: string): Promise<void> => bucket.evict?.(`${tenant}/${id}/`)
    blocks.comesFrom({ tenant, refresh: () => this.refresh(), damaged })
    return blocks
  }

  #addBlock(tenant: string, meta: BlockMeta, files: BlockFiles, directory?: string): BlockReader {
    const reader = new BlockReader(meta, files, directory)
    const blocks = this.#blocksOf(tenant)
    blocks.readers.set(meta.ulid, reader)
    blocks.quarantined.delete(tenant, meta.ulid)
    return reader
  }

  /**
   * What a merged block was made of is not served beside it; a writer removes it later. The last request of a process
   * that was killed may bring a merged block when more was deleted from its parents than it knows: it goes itself.
   */
  async #hideParents({ name, blocks }: Tenant): Promise<void> {
    for (const child of Array.from(blocks.readers.values())) {
      const { meta } = child
      // A child that only this disk has, or that can't be read, is no reason to leave them out.
      if (this.#staged.has(meta.ulid) || meta.tercet === undefined || blocks.isLeftOut(meta.ulid)) continue
      const parents = (meta.compaction.parents ?? [])
        .flatMap(({ ulid }) => blocks.readers.get(ulid) ?? [])
        .filter(parent => parent !== child)
      const newer = await firstWithMoreDeleted(parents, meta)
      if (newer !== undefined) this.#giveUp(name, blocks, child, newer.meta.ulid)
      else for (const parent of parents) this.#giveUp(name, blocks, parent, meta.ulid)
    }
  }

  #giveUp(tenant: string, blocks: BlockSet, reader: BlockReader, replacedBy?: string): void {
    blocks.readers.delete(reader.meta.ulid)
    this.#marks.add(tenant, reader.meta, replacedBy)
  }

  /** Blocks that were finished but not uploaded before the last stop; half-written ones go. */
  async findStaged(): Promise<void> {
    const { files, log } = this.#options
    for (const tenant of await files.listDirectories(this.#options.stagingDirectory)) {
      for (const id of await files.listDirectories(`${this.#options.stagingDirectory}/${tenant}`)) {
        const directory = `${this.#options.stagingDirectory}/${tenant}/${id}`
        const names = await files.list(directory)
        if (this.#options.readOnly) continue
        if (!names.includes('meta.json')) {
          await files.removeDirectory(directory)
          continue
        }
        if (this.#options.isDeleted?.(tenant) === true) {
          await this.#removeStaged(directory)
          continue
        }
        try {
          const meta = decodeMeta(await files.read(`${directory}/meta.json`), id)
          await this.#stage(tenant, meta, directory)
        } catch (error) {
          if (!isPoison(error) && !isDamage(error)) throw error
          // The log, or the blocks that it was made of, have what it holds until it is in the bucket.
          log.error("a block on the disk can't be used and is made again", { tenant, block: id, error: error.message })
          await this.#removeStaged(directory)
        }
      }
    }
  }

  async #stage(tenant: string, meta: BlockMeta, directory: string): Promise<BlockReader> {
    const { files } = this.#options
    const chunkFiles = (await files.list(`${directory}/chunks`)).map(name => `chunks/${name}`)
    const names = [
      ...chunkFiles,
      'index',
      ...(await files.list(directory)).filter(name => name === 'tombstones'),
      'meta.json',
    ]
    let bytes = 0
    for (const name of names) bytes += await files.size(`${directory}/${name}`)
    const block: StagedBlock = { tenant, id: meta.ulid, directory, files: names, bytes }
    this.#staged.set(meta.ulid, block)
    const reader = this.#addBlock(tenant, meta, localFiles(files, directory), directory)
    this.#uploads.add(block)
    return reader
  }

  /** By scope (tenant and range) and writer: the record number up to which blocks hold its samples. */
  covered(): Map<string, Map<string, number>> {
    const covered: WalThrough = new Map()
    for (const { name, blocks } of this.#tenants.values())
      for (const { meta } of blocks.readers.values())
        addWalThrough(
          covered,
          Array.from(walThroughOf(meta), ([start, byWriter]) => [`${name}/${start}`, byWriter] as const),
        )
    return covered
  }

  /** Is the block that covers the scope still on its way? */
  isStagedScope(scope: string): boolean {
    const slash = scope.lastIndexOf('/')
    for (const { tenant, id } of this.#staged.values()) {
      if (
        tenant === scope.slice(0, slash) &&
        this.#tenants.get(tenant)?.blocks.readers.get(id)?.meta.tercet?.walThrough?.[scope.slice(slash + 1)] !==
          undefined
      )
        return true
    }
    return false
  }

  // --- From the head into the bucket ---

  async cutDue(): Promise<void> {
    this.#uploads.resume()
    await this.#writeUnwritten()
    const { blockMs, clock } = this.#options
    for (const tenant of this.#tenants.values()) {
      for (const startMs of tenant.head.rangeStarts()) {
        // Samples that a clock left ahead of now do not end what is being filled.
        const newestMs = Math.min(tenant.head.maxMs, Math.max(clock.nowMs(), startMs))
        if (newestMs - startMs >= blockMs * cutAfterRanges) await this.#cut([{ tenant, startMs }])
      }
    }
    await this.#releaseEmpty()
  }

  /** Cuts ranges until so many bytes are given back: those whose chunks hold most, and none that holds little. */
  async cutLargest(bytes: number): Promise<void> {
    this.#uploads.resume()
    await this.#writeUnwritten()
    const least = Math.min(earlyCutBytesMin, bytes / 16)
    const ranges = [...this.#tenants.values()]
      .flatMap(tenant =>
        Array.from(tenant.head.openRanges(), ({ startMs, heldBytes }) => ({ tenant, startMs, heldBytes })),
      )
      .filter(({ heldBytes }) => heldBytes >= least)
      .sort((a, b) => b.heldBytes - a.heldBytes)
    for (let freed = 0; freed < bytes && ranges.length > 0;) {
      const cuts: Cut[] = []
      while (freed < bytes && cuts.length < cutsAtOnce) {
        const next = ranges.shift()
        if (next === undefined) break
        cuts.push(next)
        freed += next.heldBytes
      }
      await this.#cut(cuts)
    }
  }

  /** Cuts everything that heads hold. */
  async cutAll(): Promise<void> {
    await this.#writeUnwritten()
    const due: Cut[] = []
    for (const tenant of this.#tenants.values())
      for (const startMs of tenant.head.rangeStarts()) due.push({ tenant, startMs })
    for (let i = 0; i < due.length; i += cutsAtOnce) await this.#cut(due.slice(i, i + cutsAtOnce))
    await this.#releaseEmpty()
  }

  /**
   * Ranges of which the log has records and nobody has samples: they were repeated or refused, and no block will cover
   * them.
   */
  async #releaseEmpty(): Promise<void> {
    const inBlocks = new Set(this.#unwritten.map(({ tenant, range }) => `${tenant.name}/${range.startMs}`))
    for (const { tenant, id } of this.#staged.values()) {
      const meta = this.#tenants.get(tenant)?.blocks.readers.get(id)?.meta
      if (meta !== undefined) for (const start of walThroughOf(meta).keys()) inBlocks.add(`${tenant}/${start}`)
    }
    for (const { name, head } of this.#tenants.values())
      for (const start of head.rangeStarts()) inBlocks.add(`${name}/${start}`)
    const empty = [...this.#wal.heldScopes()].filter(scope => !inBlocks.has(scope))
    // At once: what is shown meanwhile is not empty.
    const coverage = this.#wal.coverage()
    await Promise.all(empty.map(scope => this.#wal.release(scope, coverage)))
  }

  /**
   * The ranges leave their heads when all that is in line for them is shown: the blocks cover the log up to there. They
   * share one new generation of the log, which is a file of its own: tenants may be many, and their ranges small.
   */
  async #cut(cuts: readonly Cut[]): Promise<void> {
    // What could not be written before goes first: a later block of the same range would claim to cover it.
    await this.#writeUnwritten()
    const wal = this.#wal
    await new Promise<void>(resolve => {
      wal.beginGeneration(() => {
        for (const { tenant, startMs } of cuts) {
          this.#unwritten.push({ tenant, range: tenant.head.cut(startMs), through: wal.coverage() })
          tenant.retireIdle(this.#options.clock.nowMs(), wal.generation)
        }
        resolve()
      })
    })
    await this.#writeUnwritten()
  }

  /** Several ranges are written beside each other, since files of small ones are waited for most of the time. */
  async #writeUnwritten(): Promise<void> {
    // A later block of a range would claim to cover what an earlier one lacks: it waits behind that one, others go on.
    const byScope = new Map<string, Unwritten[]>()
    for (const next of this.#unwritten) {
      const scope = scopeOf(next)
      if (this.#setAsideRanges.has(scope)) continue
      const same = byScope.get(scope)
      if (same === undefined) byScope.set(scope, [next])
      else same.push(next)
    }
    // All are over before a failure is known: nothing of this round goes on beside the next one.
    const failures: unknown[] = []
    await forEachParallel([...byScope.values()], writesAtOnce, async ranges => {
      if (failures.length > 0) return
      await this.#writeInTurn(ranges).catch((error: unknown) => failures.push(error))
    })
    if (failures.length > 0) throw failures[0]
  }

  /** Ranges of one scope, in order, until one can't be written. */
  async #writeInTurn(ranges: readonly Unwritten[]): Promise<void> {
    for (const next of ranges) {
      const { tenant, range, through } = next
      const scope = scopeOf(next)
      try {
        if (await this.#writeCut(tenant, range, through)) {
          this.#unwritten.splice(this.#unwritten.indexOf(next), 1)
          continue
        }
      } catch (error) {
        if (!isPoison(error)) throw error
        this.#noteSetAside(tenant, scope, `the range can't be written: ${error.message}`)
      }
      this.#setAsideRanges.add(scope)
      return
    }
  }

  /** Ranges of which something could not be written: they stay in memory and in the log. */
  readonly #setAsideRanges = new Set<string>()

  #noteSetAside(tenant: Tenant, id: string, reason: string): void {
    const { name } = tenant
    this.#blocksOf(name).quarantined.add({ tenant: name, id, reason, isWhole: false, isSetAside: true })
  }

  /**
   * Names of blocks sort as they were made, also within one millisecond: after a restart they are uploaded in that
   * order.
   */
  #nextUlid(): string {
    this.#lastUlidMs = Math.max(this.#options.clock.nowMs(), this.#lastUlidMs + 1)
    return makeUlid(this.#lastUlidMs, this.#options.random)
  }

  /** False when series could not be written: the others are in a block, and all of the range stays where it is. */
  async #writeCut(tenant: Tenant, range: RangeChunks, through: ReadonlyMap<string, number>): Promise<boolean> {
    const { files } = this.#options
    const ulid = this.#nextUlid()
    const directory = `${this.#options.stagingDirectory}/${tenant.name}/${ulid}`
    const collected = await collectRange(tenant.head, range, this.#pause)
    const { written, poisoned } =
      collected === undefined
        ? { written: undefined, poisoned: [] }
        : await this.#building.writeRange(directory, collected.columns, collected.transfer)
    for (const { labels, reason } of poisoned) {
      const text = `series ${labels} can't be written, it stays in memory and in the log: ${reason}`
      this.#noteSetAside(tenant, `${tenant.name}/${range.startMs}`, text)
    }
    const isWhole = poisoned.length === 0
    if (written === undefined) {
      await files.removeDirectory(directory)
      if (!isWhole) return false
      tenant.head.drop(range)
      await this.#wal.release(`${tenant.name}/${range.startMs}`, through)
      return true
    }
    const covers: WalThrough = new Map(isWhole ? [[String(range.startMs), new Map(through)]] : [])
    const meta = makeMeta(tenant.name, ulid, written, { level: 1, sources: [ulid] }, covers)
    await files.writeAtomic(`${directory}/meta.json`, encodeMeta(meta))
    await this.#stage(tenant.name, meta, directory)
    if (isWhole) tenant.head.drop(range)
    return isWhole
  }

  async #onUploaded(block: StagedBlock): Promise<void> {
    const { bucket } = this.#options
    const tenant = this.#tenants.get(block.tenant)
    const staged = tenant?.blocks.readers.get(block.id)
    // The same reader: queries under way hold it.
    staged?.relocate(bucketFiles(bucket, `${block.tenant}/${block.id}/`))
    this.#staged.delete(block.id)
    if (staged !== undefined)
      for (const [start, through] of walThroughOf(staged.meta))
        await this.#wal.release(`${block.tenant}/${start}`, through)
    // It looks at every tenant: once is enough for blocks that follow each other.
    if (this.#uploads.waitingBlocks <= uploadsAtOnce) await this.#releaseEmpty()
    await this.#removeStaged(block.directory)
  }

  /**
   * What makes the block known goes first, and for good: a crash meanwhile leaves no block that lacks files, and none
   * that is older than what the bucket has by then.
   */
  async #removeStaged(directory: string): Promise<void> {
    const { files } = this.#options
    await files.remove(`${directory}/meta.json`, true)
    await files.removeDirectory(directory)
  }

  // --- Merging, retention ---

  async compact(): Promise<void> {
    const { blockMs } = this.#options
    const rangesMs = [blockMs, blockMs * 6, blockMs * 12]
    for (const tenant of this.#tenants.values()) {
      for (;;) {
        const candidates = [...tenant.blocks.readers.values()].filter(
          ({ meta }) => !this.#staged.has(meta.ulid) && !this.#isSetAside(tenant, meta.ulid),
        )
        // A head that is empty, as after a flush and a restart, says nothing of how far time has come: blocks do.
        const newestMs = candidates.reduce((newest, r) => Math.max(newest, r.meta.maxTime), tenant.head.maxMs)
        const plan = planCompaction(
          candidates.map(r => ({
            id: r.meta.ulid,
            startMs: r.meta.minTime,
            endMs: r.meta.maxTime,
            level: r.meta.compaction.level,
          })),
          rangesMs,
          newestMs - blockMs / 2,
        )
        if (plan === undefined || !(await this.#mayWrite())) break
        const done = await this.#mergeInto(
          tenant,
          plan.map(p => p.id).flatMap(id => tenant.blocks.readers.get(id) ?? []),
        )
        if (!done) break
      }
    }
  }

  /** Damaged blocks, and those that could not be merged for another reason, stay as they are. */
  #isSetAside({ name, blocks }: Tenant, id: string): boolean {
    return this.#unmergeable.has(id) || blocks.quarantined.get(name, id) !== undefined
  }
  readonly #unmergeable = new Set<string>()

  /** These blocks stay as they are until the next start; others are merged, and retention goes on. */
  #noteUnmergeable(tenant: Tenant, readers: readonly BlockReader[], error: Error): void {
    const blocks = readers.map(r => r.meta.ulid)
    const fields = { tenant: tenant.name, blocks: blocks.join(' '), error: error.message }
    this.#options.log.error('blocks could not be merged', fields)
    for (const id of blocks) this.#unmergeable.add(id)
  }

  /**
   * Some of these blocks can't be merged: finds out which, so that the others are without them. Those that another
   * compactor removed leave the list.
   */
  async #setAside(tenant: Tenant, readers: readonly BlockReader[], error: Error): Promise<void> {
    this.#options.log.error('blocks could not be merged', {
      tenant: tenant.name,
      blocks: readers.map(r => r.meta.ulid).join(' '),
      error: error.message,
    })
    let isExplained = false
    for (const reader of readers) {
      try {
        const damage = await tenant.blocks.findDamage(reader, this.#building)
        isExplained ||= damage !== undefined
      } catch (cause) {
        if (!(cause instanceof PlanStaleError)) throw cause
        isExplained = true
      }
    }
    if (!isExplained) for (const reader of readers) this.#unmergeable.add(reader.meta.ulid)
  }

  /**
   * Writes one block in place of several, which go some time later; at once where that is urgent. False when the
   * bucket does not have it yet, or when nothing is left and the log is not released; true also when some turned out
   * to be damaged, and others are to be chosen.
   */
  async #mergeInto(tenant: Tenant, readers: readonly BlockReader[], isUrgent = false): Promise<boolean> {
    const { files } = this.#options
    const ulid = this.#nextUlid()
    const directory = `${this.#options.stagingDirectory}/${tenant.name}/${ulid}`
    let merged: MergedBlock
    try {
      const blocks = readers.map(({ meta, directory: own }) => ({ meta, directory: own }))
      merged = await this.#building.merge(directory, tenant.name, blocks)
    } catch (error) {
      await files.removeDirectory(directory)
      if (error instanceof WorkerMemoryError) this.#noteUnmergeable(tenant, readers, error)
      else if (isDamage(error)) await this.#setAside(tenant, readers, error)
      else throw error
      return true
    }
    const { written, deletions } = merged
    if (written !== undefined) {
      const walThrough: WalThrough = new Map()
      for (const reader of readers) addWalThrough(walThrough, walThroughOf(reader.meta))
      const meta = makeMeta(
        tenant.name,
        ulid,
        written,
        {
          level: Math.max(...readers.map(r => r.meta.compaction.level)) + 1,
          sources: [
            ...new Set(
              readers.flatMap(r => (r.meta.compaction.sources.length > 0 ? r.meta.compaction.sources : [r.meta.ulid])),
            ),
          ].sort(),
          parents: readers.map(r => ({ ulid: r.meta.ulid, minTime: r.meta.minTime, maxTime: r.meta.maxTime })),
        },
        walThrough,
      )
      meta.tercet = { ...meta.tercet, deletions }
      meta.minTime = Math.min(...readers.map(r => r.meta.minTime))
      meta.maxTime = Math.max(...readers.map(r => r.meta.maxTime))
      await files.writeAtomic(`${directory}/meta.json`, encodeMeta(meta))
      await this.#stage(tenant.name, meta, directory)
      await this.#uploads.drained()
      if (this.#staged.has(ulid)) return false
    } else {
      await files.removeDirectory(directory)
      if (this.#isNeededByLog(tenant, readers)) return false
    }
    this.compactions++
    for (const reader of readers)
      this.#giveUp(tenant.name, tenant.blocks, reader, written === undefined ? undefined : ulid)
    await this.#marks.mark()
    if (isUrgent) for (const { meta } of readers) await this.#deleteFilesAtOnce(tenant.name, meta)
    return true
  }

  /** Would the next start read back from the log what these blocks say that they cover? */
  #isNeededByLog({ name }: Tenant, readers: readonly BlockReader[]): boolean {
    return readers.some(({ meta }) => [...walThroughOf(meta).keys()].some(start => this.#wal.has(`${name}/${start}`)))
  }

  /**
   * Deletes the files of a block that was given up; first of what it was made of, which holds its samples, too. The
   * marks stay until they are due: a request to upload a file that comes once more brings nothing back.
   */
  async #deleteFilesAtOnce(tenant: string, meta: BlockMeta): Promise<void> {
    for (const parent of this.#marks.of(tenant))
      if (parent.replacedBy === meta.ulid) await this.#deleteFilesAtOnce(tenant, parent.meta)
    await this.#deleteFiles(tenant, meta)
  }

  /** Takes a block out of the bucket, its mark last. */
  async #deleteBlock(tenant: string, meta: BlockMeta): Promise<void> {
    await this.#deleteFiles(tenant, meta)
    await this.#options.bucket.delete(`${tenant}/${meta.ulid}/${markName}`)
  }

  /** The files of a block: first what makes it known. */
  async #deleteFiles(tenant: string, meta: BlockMeta): Promise<void> {
    const { bucket } = this.#options
    const prefix = `${tenant}/${meta.ulid}/`
    await bucket.delete(`${prefix}meta.json`)
    // What we wrote is listed in meta.json; the files of foreign blocks are listed.
    const ours = meta.tercet === undefined ? undefined : meta.thanos?.files?.map(file => prefix + file.rel_path)
    const listed = (await bucket.list(ours === undefined ? prefix : `${prefix}tombstones`)).map(object => object.key)
    for (const key of [...(ours ?? []), ...listed]) if (key !== prefix + markName) await bucket.delete(key)
  }

  /** Deletes what was given up long enough ago. */
  async removeRetired(): Promise<void> {
    if (!this.#marks.isEmpty && (await this.#mayWrite())) await this.#marks.mark()
    for (let next = this.#marks.nextDue(); next !== undefined; next = this.#marks.nextDue()) {
      if (!(await this.#mayWrite())) return
      if (this.#isNeeded(next))
        this.#options.log.warn('a block that was replaced is needed again', { block: next.meta.ulid })
      else await this.#deleteBlock(next.tenant, next.meta)
      this.#marks.forget(next)
    }
  }

  /** Was it replaced by a block that is not there any more? */
  #isNeeded({ tenant, replacedBy }: DoomedBlock): boolean {
    if (replacedBy === undefined || this.#marks.has(tenant, replacedBy)) return false
    const blocks = this.#tenants.get(tenant)?.blocks
    return blocks?.readers.has(replacedBy) !== true || blocks.isLeftOut(replacedBy)
  }

  async retain(): Promise<void> {
    await this.#scrub.step()
    await this.#sweepOrphans()
    const { steady, retentionMs: otherwiseMs, retentionBytesMax, overrides = noOverrides } = this.#options
    for (const tenant of this.#tenants.values()) {
      const retentionMs = overrides.retentionMs(tenant.name, 'metrics', otherwiseMs)
      const readers = [...tenant.blocks.readers.values()].filter(r => !this.#staged.has(r.meta.ulid))
      const planned = readers.map(r => ({
        id: r.meta.ulid,
        startMs: r.meta.minTime,
        endMs: r.meta.maxTime,
        level: r.meta.compaction.level,
        bytes: bytesOfBlock(r.meta),
      }))
      const gone = new Set(
        [
          ...(retentionMs === Infinity ? [] : expired(planned, steady.nowMs() - retentionMs)),
          ...(retentionBytesMax === Infinity ? [] : overSize(planned, retentionBytesMax)),
        ].map(p => p.id),
      )
      for (const reader of readers) if (gone.has(reader.meta.ulid)) this.#giveUp(tenant.name, tenant.blocks, reader)
    }
  }

  /** Indexes that nobody used for a while need not stay in memory. */
  forgetIndexes(): void {
    for (const tenant of this.#tenants.values())
      if (tenant.blocks.readers.size > 64) for (const reader of tenant.blocks.readers.values()) reader.forget()
  }

  // --- Deletion ---

  /** Lets go of what the disk has of a tenant, and of what was to be done with its blocks. */
  async dropTenant(tenant: string): Promise<void> {
    addAll(
      this.#unwritten,
      this.#unwritten.splice(0).filter(one => one.tenant.name !== tenant),
    )
    for (const scope of this.#setAsideRanges) if (scope.startsWith(`${tenant}/`)) this.#setAsideRanges.delete(scope)
    for (const block of this.#marks.of(tenant)) this.#marks.forget(block)
    for (const { id, directory } of this.#uploads.drop(tenant)) {
      this.#staged.delete(id)
      await this.#removeStaged(directory)
    }
    await this.#releaseEmpty()
  }

  /** Takes what the bucket has of a tenant's metrics out of it. False where something is left, or on its way. */
  async removeTenant(tenant: string): Promise<boolean> {
    const { bucket } = this.#options
    // What arrives behind the list is not in it.
    const isArriving = this.#uploads.has(tenant)
    const objects = await bucket.list(`${tenant}/`)
    const keys = objects.map(({ key }) => key).filter(key => isOfMetrics(key.slice(tenant.length + 1)))
    const isAll = await removeObjects(bucket, keys, key => key.endsWith('/meta.json'))
    await bucket.evict?.(`${tenant}/`)
    return isAll && !isArriving
  }

  /** Deletes samples of the matching series inside [fromMs, throughMs], from memory and blocks alike. */
  async deleteSeries(tenant: Tenant, matchers: readonly Matcher[], fromMs: number, throughMs: number): Promise<void> {
    // A deletion from the head would have to survive a restart and later samples: the head is cut first, then all is
    // blocks.
    const isMeant = (startMs: number): boolean => startMs <= throughMs && startMs + this.#options.blockMs > fromMs
    await this.#writeUnwritten()
    for (const startMs of tenant.head.rangeStarts().filter(isMeant)) await this.#cut([{ tenant, startMs }])
    if (this.#unwritten.some(one => one.tenant === tenant && isMeant(one.range.startMs)))
      throw new UnavailableError('samples of this time can not be written to a block, and nothing is deleted', 60)
    const omissions = new Omissions()
    for (const reader of tenant.blocks.inTime(fromMs, throughMs))
      await tenant.blocks.guarded(reader, omissions, undefined, () =>
        this.#deleteFromBlock(tenant, reader, matchers, fromMs, throughMs),
      )
    tenant.blocks.addLeftOut(fromMs, throughMs, omissions)
    const { log } = this.#options
    for (const { block, reason } of omissions.list())
      log.warn('samples could not be deleted from a damaged block', { tenant: tenant.name, block, error: reason })
  }

  async #deleteFromBlock(
    tenant: Tenant,
    reader: BlockReader,
    matchers: readonly Matcher[],
    fromMs: number,
    throughMs: number,
  ): Promise<void> {
    const found = await reader.select(matchers)
    const refs = Array.from(found.refs.subarray(0, found.count)).filter((_, i) => found.touches(i, fromMs, throughMs))
    if (refs.length === 0) return
    const { ulid } = reader.meta
    if (this.#staged.has(ulid)) await this.#uploads.drained()
    if (this.#staged.has(ulid))
      throw new UnavailableError(`block ${ulid} could not be uploaded, nothing is deleted from it`, 5)
    const interval = {
      fromMs: Math.max(fromMs, reader.meta.minTime),
      throughMs: Math.min(throughMs, reader.meta.maxTime),
    }
    const prefix = `${tenant.name}/${ulid}/`
    try {
      while (!(await this.#addTombstones(prefix, reader, refs, interval))) reader.forgetTombstones()
    } finally {
      tenant.blocks.readers.get(ulid)?.forgetTombstones()
      tenant.blocks.forgetSelections()
    }
  }

  /** False when more was deleted than the reader knows. */
  async #addTombstones(prefix: string, reader: BlockReader, refs: number[], interval: Interval): Promise<boolean> {
    const { bucket } = this.#options
    const { count, intervals: known } = await reader.deleted()
    const intervals = new Map(known)
    for (const ref of refs) intervals.set(ref, addInterval(intervals.get(ref) ?? [], interval))
    const bytes = encodeTombstones(intervals)
    if (!(await putState(bucket, prefix + tombstonesName(count + 1), bytes))) return false
    if (count > 0) await bucket.put(`${prefix}tombstones`, bytes)
    return true
  }

  /**
   * Rewrites blocks that have deleted samples, so that these are really gone. A block of which nothing is left stays
   * while the log has its records: the log is released first.
   */
  async cleanTombstones(): Promise<void> {
    await this.cutAll()
    await this.#uploads.drained()
    for (const tenant of this.#tenants.values()) {
      for (const reader of Array.from(tenant.blocks.readers.values())) {
        const { ulid } = reader.meta
        if (this.#staged.has(ulid) || this.#isSetAside(tenant, ulid)) continue
        const tombstones = await tenant.blocks.guarded(reader, new Omissions(), undefined, () => reader.tombstones())
        if (tombstones !== undefined && tombstones.size > 0) await this.#mergeInto(tenant, [reader], true)
      }
    }
  }
}

/** Blocks, what Mimir keeps beside them, and blocks that were set aside. Signals may share a bucket. */
function isOfMetrics(name: string): boolean {
  const [first = '', ...more] = name.replace('tercet/quarantine/', '').split('/')
  if (more.length === 0) return first === 'bucket-index.json.gz'
  return isUlid(first) || first === 'markers'
}

function makeMeta(
  tenant: string,
  ulid: string,
  written: WrittenBlock,
  compaction: BlockMeta['compaction'],
  walThrough: WalThrough,
): BlockMeta {
  return {
    ulid,
    minTime: written.minMs,
    maxTime: written.maxMs,
    stats: {
      numSamples: written.samples,
      numFloatSamples: written.samples - written.histogramSamples,
      numHistogramSamples: written.histogramSamples,
      numSeries: written.series,
      numChunks: written.chunks,
    },
    compaction,
    version: 1,
    thanos: {
      version: 1,
      labels: externalLabelsOf(tenant),
      downsample: { resolution: 0 },
      source: compaction.level === 1 ? 'receive' : 'compactor',
      segment_files: written.segmentFiles.map(f => f.name),
      files: [
        ...written.segmentFiles.map(f => ({ rel_path: `chunks/${f.name}`, size_bytes: f.bytes })),
        { rel_path: 'index', size_bytes: written.indexBytes },
        { rel_path: 'meta.json' },
      ],
    },
    tercet: { walThrough: encodeWalThrough(walThrough) },
  }
}

export function bytesOfBlock(meta: BlockMeta): number {
  return meta.thanos?.files?.reduce((sum, file) => sum + (file.size_bytes ?? 0), 0) ?? 0
}

/** The first of these parents from which more was deleted than the merged block knows. */
async function firstWithMoreDeleted(
  parents: readonly BlockReader[],
  { tercet }: BlockMeta,
): Promise<BlockReader | undefined> {
  for (const parent of parents) {
    try {
      if ((await parent.deleted()).count > (tercet?.deletions?.[parent.meta.ulid] ?? 0)) return parent
    } catch (error) {
      if (!isDamage(error)) throw error
    }
  }
  return undefined
}

/** False while it is damaged or can't be read for another reason. */
function isReadable(reader: BlockReader): Promise<boolean> {
  reader.forget()
  reader.forgetTombstones()
  return reader.check().then(
    () => true,
    () => false,
  )
}
