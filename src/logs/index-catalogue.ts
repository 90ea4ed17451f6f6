/**
 * Which index files the bucket has, by day and tenant. A file is fetched when its day is first asked for, and kept
 * while it is used.
 */
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Bucket } from '#bucket/bucket.ts'
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf, NotFoundError, PlanStaleError } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { Omissions } from '#core/omissions.ts'
import { forEachParallel } from '#core/parallel.ts'
import { yieldEvery } from '#core/yield.ts'
import { Labels } from '#model/labels.ts'
import { DamageList, type DamagedBlock } from '#store/damage.ts'
import { decodeIndexByTurns, LogIndex, tenantLabel, type IndexedStream } from './index-file.ts'

export const dayMs = 86_400_000
const indexBytesMax = 1024 * 1024 * 1024
const idleMs = 600_000
/** A listing may be so old. */
const staleListMs = 3_600_000
const readsAtOnce = 16
const unpack = promisify(gunzip)

/** One object below `index/`. Without a tenant it holds several. */
export interface IndexFile {
  key: string
  day: number
  tenant: string | undefined
  bytes: number
}

/** The first day that a chunk touches. */
export function firstDayOf({ fromMs }: { fromMs: number }): number {
  return Math.floor(fromMs / dayMs)
}

/** What a file has of a tenant. */
export interface ListedIndex {
  file: IndexFile
  index: LogIndex
}

interface Held {
  file: IndexFile
  loading: Promise<ReadonlyMap<string, LogIndex>> | undefined
  lastUsedMs: number
  /** Why it can't be used. It stays where it is, and nothing takes its place. */
  damage?: string
}

/** A day's table whose index has a form that is not read. */
export interface UnreadTable {
  /** `index/<table>`. */
  table: string
  day: number
  /** Tenants with an index of their own there; undefined: it has several together. */
  tenants: Set<string | undefined>
}

/** What an object's key says of it; undefined for what is no index of chunks. Each period has a prefix of its own. */
export function parseIndexKey(key: string, bytes = 0): IndexFile | undefined {
  const match = /^index\/[^/]*?(\d{1,5})\/(?:([^/]+)\/)?(\d+-[^/]*)\.tsdb(\.gz)?$/.exec(key)
  return match === null ? undefined : { key, day: Number(match[1]), tenant: match[2], bytes }
}

/** The same of an object of a table in the form of boltdb-shipper: tables are named alike, and files otherwise. */
function parseUnreadKey(key: string): { table: string; day: number; tenant: string | undefined } | undefined {
  const match = /^(index\/[^/]*?(\d{5}))\/(?:([^/]+)\/)?[^/]+$/.exec(key)
  if (match === null || /\.tsdb(\.gz)?$/.test(key)) return undefined
  return { table: match[1]!, day: Number(match[2]), tenant: match[3] }
}

export class IndexCatalogue {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #pause: () => Promise<void>
  readonly #onDamage: (block: DamagedBlock) => void
  readonly #isDeleted: (tenant: string) => boolean
  #files = new Map<string, Held>()
  /** Files that were listed once and are gone, though nothing replaced them. */
  readonly #lost = new Map<string, Held>()
  /** Replaced files that are, or were lately, in the bucket for others' sake, and when they were replaced. */
  readonly #replaced = new Map<string, number>()
  /** Indexes and chunks. */
  readonly damage: DamageList

  /** `onDamage`: hears of all that is noted. `isDeleted`: nothing is listed for the tenant. */
  constructor(
    bucket: Bucket,
    clock: Clock,
    log: Log,
    onDamage: (block: DamagedBlock) => void = () => {},
    isDeleted: (tenant: string) => boolean = () => false,
  ) {
    this.#isDeleted = isDeleted
    this.#bucket = bucket
    this.#onDamage = onDamage
    this.#clock = clock
    this.#pause = yieldEvery(clock)
    this.damage = new DamageList(log, 'logs')
  }

  all(): IndexFile[] {
    return [...this.#files.values()].map(held => held.file)
  }
  get count(): number {
    return this.#files.size
  }

  /**
   * Looks into the bucket for files that appeared or vanished. A listing may be older than what is known: a file that
   * it lacks is gone only when the bucket does not have it.
   */
  async refresh(): Promise<void> {
    // A table may be listed before the file that replaced others there, and these after they were gone.
    if (await this.#look()) await this.#look()
  }

  /** True when files are gone, and nothing was found in their place. */
  async #look(): Promise<boolean> {
    const listed = new Map((await this.#bucket.list('index/')).map(object => [object.key, object.bytes]))
    this.#noteUnread(listed.keys())
    const freshDays = new Set<number>()
    let isSuspicious = false
    const oldMs = this.#clock.nowMs() - staleListMs
    for (const [key, sinceMs] of this.#replaced) if (!listed.has(key) && sinceMs < oldMs) this.#replaced.delete(key)
    for (const [key, bytes] of listed) {
      const file = this.#replaced.has(key) || this.#files.has(key) ? undefined : parseIndexKey(key, bytes)
      if (file === undefined) continue
      this.#files.set(key, { file, loading: undefined, lastUsedMs: 0 })
      freshDays.add(file.day)
    }
    const unlisted = [...this.#files].filter(([key]) => !listed.has(key))
    await forEachParallel(unlisted, readsAtOnce, async ([key, held]) => {
      if (await this.#isThere(key)) return
      this.#files.delete(key)
      if (!freshDays.has(held.file.day)) isSuspicious = true
    })
    return isSuspicious
  }

  /** Tables of a form that is not read. */
  unreadTables(): UnreadTable[] {
    return [...this.#unread.values()]
  }
  #unread = new Map<string, UnreadTable>()

  #noteUnread(keys: Iterable<string>): void {
    const unread = new Map<string, UnreadTable>()
    for (const key of keys) {
      const found = parseUnreadKey(key)
      if (found === undefined) continue
      const { table, day, tenant } = found
      const known = unread.get(table)
      if (known === undefined) unread.set(table, { table, day, tenants: new Set([tenant]) })
      else known.tenants.add(tenant)
    }
    this.#unread = unread
  }

  async #isThere(key: string): Promise<boolean> {
    try {
      await this.#bucket.size(key)
      return true
    } catch (error) {
      if (error instanceof NotFoundError) return false
      throw error
    }
  }

  /** A file that was just written; it is read when somebody asks for it. */
  add(file: IndexFile): void {
    this.#files.set(file.key, { file, loading: undefined, lastUsedMs: this.#clock.nowMs() })
  }

  /** Its indexes are being removed. */
  forgetTenant(tenant: string): void {
    for (const held of [this.#files, this.#lost])
      for (const [key, { file }] of held) if (file.tenant === tenant) held.delete(key)
    for (const { id } of Array.from(this.damage.of(tenant))) this.damage.delete(tenant, id)
  }

  /** Files that have streams of several tenants, perhaps. */
  sharedFiles(): IndexFile[] {
    return this.all().filter(file => file.tenant === undefined)
  }

  /** Another file stands in its place. */
  replace(key: string): void {
    this.#files.delete(key)
    this.#replaced.set(key, this.#clock.nowMs())
  }

  /** The same for what another process replaced: where what stands in its place is known. */
  replaceAll(retired: Iterable<{ key: string; by?: string }>): void {
    for (const { key, by } of retired)
      if (this.#files.has(key) && (by === undefined || this.#files.has(by) || this.#replaced.has(by))) this.replace(key)
  }

  filesOf(tenant: string, day: number): IndexFile[] {
    return this.#heldOf(tenant, day)
      .filter(h => h.damage === undefined)
      .map(h => h.file)
  }

  /** Files that are in the bucket and can't be used. */
  damagedFilesOf(tenant: string, day: number): IndexFile[] {
    return this.#heldOf(tenant, day)
      .filter(h => h.damage !== undefined)
      .map(h => h.file)
  }

  #heldOf(tenant: string, day: number): Held[] {
    return [...this.#files.values()].filter(({ file }) => file.tenant === tenant && file.day === day)
  }

  /** Files that can be used and may have chunks of the tenant and the time. */
  filesIn(tenant: string, fromMs: number, throughMs: number): IndexFile[] {
    if (this.#isDeleted(tenant)) return []
    return [...this.#files.values()]
      .filter(held => held.damage === undefined && touching(tenant, fromMs, throughMs)(held))
      .map(h => h.file)
  }

  /** Days for which a tenant has files of its own. */
  daysOf(tenant: string): number[] {
    return [...new Set([...this.#files.values()].filter(h => h.file.tenant === tenant).map(h => h.file.day))].sort(
      (a, b) => a - b,
    )
  }

  tenants(): string[] {
    return [...new Set([...this.#files.values()].map(h => h.file.tenant).filter(t => t !== undefined))]
  }

  /** Everything that is listed for a tenant in the days of the time: one index per file. */
  async indexes(tenant: string, fromMs: number, throughMs: number, omissions?: Omissions): Promise<LogIndex[]> {
    return (await this.listed(tenant, fromMs, throughMs, omissions)).map(({ index }) => index)
  }

  /** The same with the files. */
  async listed(tenant: string, fromMs: number, throughMs: number, omissions?: Omissions): Promise<ListedIndex[]> {
    if (this.#isDeleted(tenant)) return []
    const touches = touching(tenant, fromMs, throughMs)
    const load = async (): Promise<ListedIndex[]> => {
      const wanted = [...this.#files.values()].filter(touches)
      const indexes = await Promise.all(wanted.map(async held => (await this.#load(held)).get(tenant)))
      return indexes.flatMap((index, i) => (index === undefined ? [] : [{ file: wanted[i]!.file, index }]))
    }
    let found: ListedIndex[]
    try {
      found = await load()
    } catch (error) {
      if (!(error instanceof ReplacedError)) throw error
      found = await load()
    }
    if (omissions !== undefined) this.addLeftOut(tenant, fromMs, throughMs, omissions)
    return found.filter(({ index }) => index.fromMs <= throughMs && index.throughMs >= fromMs)
  }

  /** Adds the indexes that can't be used to what an answer about the time lacks. */
  addLeftOut(tenant: string, fromMs: number, throughMs: number, omissions: Omissions): void {
    if (this.#isDeleted(tenant)) return
    const touches = touching(tenant, fromMs, throughMs)
    for (const held of [...this.#files.values(), ...this.#lost.values()])
      if (held.damage !== undefined && touches(held)) omissions.add(held.file.key, held.damage)
    for (const { table, day, tenants } of this.#unread.values())
      if (isDayIn(day, fromMs, throughMs) && (tenants.has(undefined) || tenants.has(tenant)))
        omissions.add(table, unreadReason)
  }

  /** Files that have, or may have, indexes of the tenant. */
  usableFilesOf(tenant: string): IndexFile[] {
    const files: IndexFile[] = []
    if (this.#isDeleted(tenant)) return files
    for (const { file, damage } of this.#files.values())
      if (damage === undefined && (file.tenant === undefined || file.tenant === tenant)) files.push(file)
    return files
  }

  /** Goes by another catalogue: of the tenant there are these files and no others. What was read of them is kept. */
  follow(tenant: string, files: readonly IndexFile[]): void {
    const keys = new Set(files.map(({ key }) => key))
    for (const { file } of Array.from(this.#files.values()))
      if ((file.tenant === undefined || file.tenant === tenant) && !keys.has(file.key)) this.#files.delete(file.key)
    for (const file of files)
      if (!this.#files.has(file.key)) this.#files.set(file.key, { file, loading: undefined, lastUsedMs: 0 })
  }

  /** Undefined when the file can't be used, or is no more. */
  async index(key: string, tenant: string): Promise<LogIndex | undefined> {
    const held = this.#files.get(key)
    if (held === undefined) return undefined
    try {
      return (await this.#load(held)).get(tenant)
    } catch (error) {
      if (error instanceof ReplacedError) return undefined
      throw error
    }
  }

  /** Reads a file again that somebody else could not use: where it is damaged, or was replaced, that is noted. */
  async look(key: string): Promise<void> {
    const held = this.#files.get(key)
    if (held === undefined) return
    held.loading = undefined
    try {
      await this.#load(held)
    } catch (error) {
      if (!(error instanceof ReplacedError)) throw error
    }
  }

  /** Nothing of a damaged file. Throws ReplacedError when another file took its place. */
  async #load(held: Held): Promise<ReadonlyMap<string, LogIndex>> {
    if (held.damage !== undefined) return new Map()
    held.lastUsedMs = this.#clock.nowMs()
    const { file } = held
    held.loading ??= this.#bucket.get(file.key).then(bytes => decodeIndexFile(file, bytes, this.#pause))
    try {
      return await held.loading
    } catch (error) {
      held.loading = undefined
      if (error instanceof NotFoundError) await this.#failWhenReplaced(held)
      else if (!(error instanceof CorruptDataError)) throw error
      this.#leaveOut(held, messageOf(error))
      return new Map()
    }
  }

  /** Notes damage, and lets go of local copies. */
  noteDamage(block: DamagedBlock): void {
    this.damage.add(block)
    this.#onDamage(block)
    this.#bucket.evict?.(block.id).catch(() => {})
  }

  #leaveOut(held: Held, reason: string): void {
    const { key, tenant } = held.file
    held.damage = reason
    this.noteDamage({ tenant: tenant ?? '', id: key, reason, isWhole: true })
  }

  /** A file that is missing is damage, unless another compactor wrote one in its place. */
  async #failWhenReplaced(held: Held): Promise<void> {
    const { key, tenant, day } = held.file
    const before = new Set(this.#heldOf(tenant ?? '', day).map(h => h.file.key))
    await this.refresh()
    // It is there all the same, or the listing is old.
    if (this.#files.has(key) && (await this.#isThere(key))) throw new ReplacedError(key)
    this.#files.delete(key)
    const fresh = [...this.#files.values()].some(({ file }) => file.day === day && !before.has(file.key))
    if (fresh || !before.has(key)) throw new ReplacedError(key)
    this.#lost.set(key, held)
  }

  /** Lets go of what was not used lately. */
  forgetIdle(): void {
    const oldest = this.#clock.nowMs() - idleMs
    for (const held of this.#files.values()) if (held.lastUsedMs < oldest) held.loading = undefined
  }
}

const unreadReason =
  "its index is boltdb-shipper's, which is not read (only tsdb is): lines of this day are not in the answer"

function isDayIn(day: number, fromMs: number, throughMs: number): boolean {
  return day >= Math.floor(fromMs / dayMs) && day <= Math.floor(throughMs / dayMs)
}

/** May the file have streams of the tenant and the time? */
function touching(tenant: string, fromMs: number, throughMs: number): (held: Held) => boolean {
  return ({ file }) => isDayIn(file.day, fromMs, throughMs) && (file.tenant === undefined || file.tenant === tenant)
}

/** The file was replaced since the list was made. */
class ReplacedError extends PlanStaleError {}

async function unpacked({ key }: IndexFile, bytes: Uint8Array): Promise<Uint8Array> {
  if (!key.endsWith('.gz')) return bytes
  try {
    return await unpack(bytes, { maxOutputLength: indexBytesMax })
  } catch (error) {
    throw new CorruptDataError(`log index: it can't be decompressed: ${messageOf(error)}`, { cause: error })
  }
}

/** What an object has of each tenant. Throws CorruptDataError. `pause` lets other work run. */
export async function decodeIndexFile(
  file: IndexFile,
  bytes: Uint8Array,
  pause: () => Promise<void>,
): Promise<ReadonlyMap<string, LogIndex>> {
  return splitTenants(file, await decodeIndexByTurns(await unpacked(file, bytes), pause))
}

function splitTenants(file: IndexFile, index: LogIndex): ReadonlyMap<string, LogIndex> {
  if (file.tenant !== undefined) return new Map([[file.tenant, index]])
  const byTenant = new Map<string, IndexedStream[]>()
  for (const stream of index.streams) {
    const tenant = stream.labels.get(tenantLabel)
    const own = { ...stream, labels: new Labels(stream.labels.drop(new Set([tenantLabel])).pairs) }
    const list = byTenant.get(tenant)
    if (list === undefined) byTenant.set(tenant, [own])
    else list.push(own)
  }
  return new Map(
    [...byTenant].map(([tenant, streams]) => [tenant, new LogIndex(streams, index.fromMs, index.throughMs)]),
  )
}
