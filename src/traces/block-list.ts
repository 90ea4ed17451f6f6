/** Which blocks the bucket has, by tenant: from their meta.json, which never changes while it is there. */
import type { Bucket, ObjectInfo } from '#bucket/bucket.ts'
import { sleep, type Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { forEachParallel } from '#core/parallel.ts'
import { DamageList } from '#store/damage.ts'
import { uploadMarkName } from '#store/upload-mark.ts'
import { decodeMeta, isBlockId, type BlockMeta } from './block-meta.ts'
import { JoinedList } from './joined-list.ts'
import { readTenantIndex } from './tenant-index.ts'

const readable = new Set(['vParquet5', 'vParquet4', 'vParquet3'])
const readsAtOnce = 16
/** A block that another process writes has its meta.json after so long at most. */
const writingMs = 300_000

/** From so many unknown blocks on the tenant's index is worth a request. */
const indexWorthBlocks = 16
/** A compaction takes so long to mark what it replaced, at most. */
const compactionMs = 2000
/** Listings of one look. */
const listingsMax = 4

/** By `<tenant>/<block>`. */
interface Listing {
  live: Map<string, BlockMeta>
  retired: Map<string, RetiredBlock>
}

/** Did blocks take the place of others between two listings? */
function isCompacting(before: Listing, after: Listing): boolean {
  for (const key of after.retired.keys()) if (!before.retired.has(key)) return true
  for (const [key, { level }] of after.live) if (level > 0 && !before.live.has(key)) return true
  return false
}

export interface RetiredBlock {
  tenant: string
  blockId: string
  retiredMs: number
  /** Where this process retired it: its objects are known without a listing. */
  meta?: BlockMeta
}

export class BlockList {
  readonly #bucket: Bucket
  readonly #clock: Clock
  #live = new Map<string, BlockMeta>()
  #retired = new Map<string, RetiredBlock>()
  /** Those whose meta.json can't be used are not among the blocks. */
  readonly damage: DamageList
  readonly joined: JoinedList
  /** Blocks that this process is writing: they have no meta.json yet. */
  readonly #coming = new Set<string>()
  /** Blocks that wait on this process' disk for the bucket. */
  readonly #staged = new Set<string>()
  /** Another program writes, compacts and retains there. */
  readonly #isForeign: boolean
  readonly #isDeleted: (tenant: string) => boolean
  #isFirst = true

  /** `isDeleted`: nothing is listed for the tenant. */
  constructor(
    bucket: Bucket,
    log: Log,
    clock: Clock,
    isForeign = false,
    isDeleted: (tenant: string) => boolean = () => false,
  ) {
    this.#bucket = bucket
    this.#isDeleted = isDeleted
    this.#isForeign = isForeign
    this.damage = new DamageList(log, 'traces')
    this.joined = new JoinedList(bucket, log)
    this.#clock = clock
  }

  all(): BlockMeta[] {
    return [...this.#live.values()]
  }
  get count(): number {
    return this.#live.size
  }
  get bytes(): number {
    let sum = 0
    for (const { size } of this.#live.values()) sum += size
    return sum
  }

  /**
   * Looks into the bucket for blocks that appeared or vanished. A listing may be older than what is known: a block that
   * it lacks is gone only when the bucket does not have its meta.json.
   */
  async refresh(): Promise<void> {
    const before = new Set(this.#live.keys())
    const { live, retired } = await this.#list()
    this.#isFirst = false
    for (const key of this.#staged) live.set(key, this.#live.get(key)!)
    const unlisted = [...this.#live].filter(([key]) => !live.has(key))
    await forEachParallel(unlisted, readsAtOnce, async ([key, meta]) => {
      if (await this.#isThere(key)) live.set(key, meta)
    })
    // What this process did meanwhile.
    for (const [key, meta] of this.#live) if (!before.has(key)) live.set(key, meta)
    for (const [key, block] of this.#retired) if (this.#removed.has(key)) retired.set(key, block)
    // A retirement that was cut off left both.
    for (const key of [...this.#removed, ...retired.keys()]) if (!this.#staged.has(key)) live.delete(key)
    this.#live = live
    this.#retired = retired
    // Its deletion may have begun meanwhile.
    const tenants = new Set([...live.values(), ...retired.values()].map(({ tenant }) => tenant))
    for (const tenant of tenants) if (this.#isDeleted(tenant)) this.forgetTenant(tenant)
  }

  /**
   * Another program's compaction shows what it made, then takes away what it made that of: in a listing of that moment
   * spans are twice, or, since blocks are listed in no order of time, missing. It is listed again until both are done.
   */
  async #list(): Promise<Listing> {
    let before: Listing = { live: this.#live, retired: this.#retired }
    for (let attempt = 1; ; attempt++) {
      const listing = await this.#listOnce(before.live)
      if (!this.#isForeign || attempt === listingsMax || !isCompacting(before, listing)) return listing
      before = listing
      await sleep(this.#clock, compactionMs)
    }
  }

  /** `known`: blocks whose meta.json is not read again. */
  async #listOnce(known: ReadonlyMap<string, BlockMeta>): Promise<Listing> {
    const live = new Map<string, BlockMeta>()
    const retired = new Map<string, RetiredBlock>()
    for (const tenant of await this.#bucket.listDirectories('')) {
      if (this.#isDeleted(tenant)) continue
      const wanted: string[] = []
      const dataMs = new Map<string, number>()
      const uploading: string[] = []
      const joined: ObjectInfo[] = []
      for (const object of await this.#bucket.list(`${tenant}/`)) {
        const { key, modifiedMs } = object
        if (this.joined.isKey(tenant, key)) joined.push(object)
        const [, blockId = '', name, ...more] = key.split('/')
        if (more.length > 0 || !isBlockId(blockId)) continue
        if (name === 'data.parquet') dataMs.set(blockId, modifiedMs)
        if (name === uploadMarkName) uploading.push(blockId)
        if (name === 'meta.json') wanted.push(blockId)
        else if (name === 'meta.compacted.json')
          retired.set(`${tenant}/${blockId}`, { tenant, blockId, retiredMs: modifiedMs })
      }
      const unknown = wanted.filter(blockId => !known.has(`${tenant}/${blockId}`))
      const isIndexed = this.#isForeign && unknown.length >= indexWorthBlocks
      const indexed = isIndexed ? await readTenantIndex(this.#bucket, tenant) : undefined
      await forEachParallel(wanted, readsAtOnce, async blockId => {
        const key = `${tenant}/${blockId}`
        const meta = known.get(key) ?? (await this.#read(tenant, blockId, indexed?.get(blockId)))
        if (meta !== undefined) live.set(key, meta)
      })
      await this.joined.follow(tenant, joined)
      for (const blockId of [...wanted, ...uploading]) dataMs.delete(blockId)
      for (const { blockId } of retired.values()) dataMs.delete(blockId)
      this.#noteWithoutMeta(tenant, dataMs)
      for (const { id, isSetAside } of this.damage.of(tenant))
        if (isSetAside !== true && !wanted.includes(id) && !dataMs.has(id)) this.damage.delete(tenant, id)
    }
    return { live, retired }
  }

  async #isThere(key: string): Promise<boolean> {
    try {
      await this.#bucket.size(`${key}/meta.json`)
      return true
    } catch (error) {
      if (error instanceof NotFoundError) return false
      throw error
    }
  }

  /** Data without meta.json is a block that answers lack, or one that another process is just writing. */
  #noteWithoutMeta(tenant: string, dataMs: ReadonlyMap<string, number>): void {
    const oldMs = this.#clock.nowMs() - writingMs
    for (const [id, modifiedMs] of dataMs) {
      const mayBeYoung = !this.#isFirst || this.#isForeign
      if (this.#coming.has(`${tenant}/${id}`) || (mayBeYoung && modifiedMs > oldMs)) continue
      const reason = 'meta.json is missing; `tercet check data --repair` makes it again'
      this.damage.add({ tenant, id, reason, isWhole: true, isUncertain: true })
    }
  }

  readonly #removed = new Set<string>()

  /** `indexed`: its meta.json, as the tenant's index has it. */
  async #read(tenant: string, blockId: string, indexed: Uint8Array | undefined): Promise<BlockMeta | undefined> {
    const key = `${tenant}/${blockId}`
    try {
      const meta = decodeMeta(indexed ?? (await this.#bucket.get(`${key}/meta.json`)))
      if (!readable.has(meta.format))
        throw new CorruptDataError(
          `the format ${JSON.stringify(meta.format)} is not known; vParquet5, vParquet4 and vParquet3 are`,
        )
      if (meta.blockId !== blockId) throw new CorruptDataError(`meta.json names another block, ${meta.blockId}`)
      this.damage.delete(tenant, blockId)
      return { ...meta, tenant }
    } catch (error) {
      if (error instanceof NotFoundError) return undefined
      if (!(error instanceof CorruptDataError)) throw error
      this.damage.add({ tenant, id: blockId, reason: messageOf(error), isWhole: true })
      return undefined
    }
  }

  tenants(): string[] {
    return [...new Set([...this.#live.values()].map(m => m.tenant))]
  }
  of(tenant: string): BlockMeta[] {
    return [...this.#live.values()].filter(m => m.tenant === tenant)
  }
  has(tenant: string, blockId: string): boolean {
    const key = `${tenant}/${blockId}`
    return this.#live.has(key) || this.#retired.has(key)
  }
  retired(): RetiredBlock[] {
    return [...this.#retired.values()]
  }

  add(meta: BlockMeta): void {
    const key = `${meta.tenant}/${meta.blockId}`
    this.#coming.delete(key)
    this.#staged.delete(key)
    this.damage.delete(meta.tenant, meta.blockId)
    this.#live.set(key, meta)
  }

  /** The block can be read, and the bucket does not have it yet. */
  stage(meta: BlockMeta): void {
    this.add(meta)
    this.expect(meta)
    this.#staged.add(`${meta.tenant}/${meta.blockId}`)
  }
  isStaged({ tenant, blockId }: BlockMeta): boolean {
    return this.#staged.has(`${tenant}/${blockId}`)
  }
  /** Others of the bucket stand in its place. */
  unstage(meta: BlockMeta): void {
    const key = `${meta.tenant}/${meta.blockId}`
    this.#staged.delete(key)
    this.#coming.delete(key)
    this.#live.delete(key)
  }

  retire(meta: BlockMeta, nowMs: number): void {
    const key = `${meta.tenant}/${meta.blockId}`
    this.#live.delete(key)
    this.damage.delete(meta.tenant, meta.blockId)
    this.#removed.add(key)
    this.#retired.set(key, { tenant: meta.tenant, blockId: meta.blockId, retiredMs: nowMs, meta })
  }

  /** All of a tenant is being removed. */
  forgetTenant(tenant: string): void {
    const prefix = `${tenant}/`
    for (const known of [this.#live, this.#retired])
      for (const key of Array.from(known.keys())) if (key.startsWith(prefix)) known.delete(key)
    for (const known of [this.#coming, this.#staged, this.#removed])
      for (const key of known) if (key.startsWith(prefix)) known.delete(key)
    for (const { id } of Array.from(this.damage.of(tenant))) this.damage.delete(tenant, id)
    for (const { key } of this.joined.of(tenant)) this.joined.drop(key)
  }

  /** Its objects are gone. */
  forget({ tenant, blockId }: RetiredBlock): void {
    const key = `${tenant}/${blockId}`
    this.#retired.delete(key)
    this.#removed.delete(key)
  }

  isLive(tenant: string, blockId: string): boolean {
    return this.#live.has(`${tenant}/${blockId}`)
  }

  /** The block's objects are about to be written. */
  expect({ tenant, blockId }: BlockMeta): void {
    this.#coming.add(`${tenant}/${blockId}`)
  }

  /** A block that could not be read at all can be read again. */
  noteReadable({ tenant, blockId }: BlockMeta): void {
    if (this.damage.size > 0 && this.damage.isWhole(tenant, blockId)) this.damage.delete(tenant, blockId)
  }

  /** A block turned out to be damaged. */
  noteDamage({ tenant, blockId: id }: BlockMeta, error: Error, isWhole: boolean): void {
    this.damage.add({ tenant, id, reason: error.message, isWhole })
    this.#bucket.evict?.(`${tenant}/${id}/`).catch(() => {})
  }
}
