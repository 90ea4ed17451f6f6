/**
 * Tenants that are being deleted, of one signal: noted in the bucket before the request is answered, so that it goes on
 * after a restart. Each state of the list is an object of its own (bucket/numbered-states.ts). A copy on the disk
 * stands in while the bucket is away: what the local log has of such a tenant is not read back.
 *
 * A disk may come back after another writer, on a disk of its own, has deleted a tenant, and begun to take it in anew:
 * its copy lacks that deletion. What this disk's log has of the tenant is from before it. Who wrote that is noted in
 * the copy, since the tenant's later records stand beside it in the log.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { newestState, putState, type NumberedState } from '#bucket/numbered-states.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, CorruptDataError, messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { refuseNewer, versionOfState } from '#core/own-formats.ts'
import { encodeUtf8 } from '#core/text.ts'

export interface TenantDeletion {
  readonly tenant: string
  /** Wall clock. */
  readonly requestedMs: number
  /** When nothing was left; undefined: something is, or may be. */
  readonly finishedMs?: number | undefined
}

export interface TenantDeletionsOptions {
  readonly bucket: Bucket
  readonly clock: Clock
  readonly files: Files
  /** Of the copy. */
  readonly path: string
  /** Of the objects. */
  readonly prefix: string
}

interface List {
  readonly number: number
  readonly deletions: readonly TenantDeletion[]
}

/** On the disk. */
interface Copy extends List {
  /** By tenant: writers whose records in the local log are older than its deletion. */
  readonly older?: Readonly<Record<string, readonly string[]>>
}

/** Deletions under way; each goes on by itself. */
const openMax = 1000
/** Those that are done stay for whoever asks. */
const finishedKept = 100
/** Objects of older states go. */
const statesKept = 8

export class TenantDeletions {
  readonly #options: TenantDeletionsOptions
  #list: List = { number: 0, deletions: [] }
  /** By tenant: those that are not finished. */
  #open = new Map<string, TenantDeletion>()
  /** Tenants whose deletion is being noted: nothing is taken in of them already. */
  readonly #beginning = new Set<string>()
  #changing: Promise<void> = Promise.resolve()
  /** Tenants that were deleted while this disk was away, until its log is read. */
  readonly #learned = new Set<string>()
  #older: ReadonlyMap<string, ReadonlySet<string>> = new Map()
  /** Of these, what the log turned out to have. */
  readonly #found = new Map<string, Set<string>>()
  /** As the disk has it. */
  #copied = ''

  constructor(options: TenantDeletionsOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#open.size === 0 && this.#beginning.size === 0
  }

  /** Is it being deleted? Then nothing is taken in of it, and nothing answered. */
  has(tenant: string): boolean {
    return this.#open.has(tenant) || this.#beginning.has(tenant)
  }

  /** Is a record that this writer left in the log one of a tenant that is being deleted, or older than its deletion? */
  hasRecord(tenant: string, writer: string): boolean {
    if (this.#learned.has(tenant) || this.#older.get(tenant)?.has(writer) === true) {
      const found = this.#found.get(tenant)
      if (found === undefined) this.#found.set(tenant, new Set([writer]))
      else found.add(writer)
      return true
    }
    return this.has(tenant)
  }

  /** What the disk's log has of these tenants, when it is read, is older than their deletion. */
  learn(tenants: readonly string[]): void {
    for (const tenant of tenants) this.#learned.add(tenant)
  }

  /** The disk's log was read. From then on what comes in of a tenant is none of these. */
  async noteRead(): Promise<void> {
    this.#older = new Map([...this.#found].map(([tenant, writers]) => [tenant, new Set(writers)]))
    await this.copy()
    this.#found.clear()
    this.#learned.clear()
  }

  /** Brings the disk's copy up to date. */
  async copy(): Promise<void> {
    const older = Object.fromEntries([...this.#older].map(([tenant, writers]) => [tenant, [...writers]]))
    const copy: Copy = { ...this.#list, ...(this.#older.size === 0 ? {} : { older }) }
    const text = JSON.stringify(copy)
    if (text === this.#copied || (this.#copied === '' && this.#list.number === 0)) return
    const { files, path } = this.#options
    await files.writeAtomic(path, encodeUtf8(text), true)
    this.#copied = text
  }

  open(): readonly TenantDeletion[] {
    return [...this.#open.values()]
  }

  /** The last one of a tenant. */
  of(tenant: string): TenantDeletion | undefined {
    return this.#list.deletions.findLast(one => one.tenant === tenant)
  }

  /** Why the list of the bucket, or of the disk, could not be read; undefined: it could. */
  problem: string | undefined

  /** Takes what the disk has, until the bucket is there. Throws NewerFormatError. */
  async loadLocal(): Promise<void> {
    const { files, path } = this.#options
    try {
      const bytes = await files.read(path)
      this.#take(decodeList(bytes, path))
      this.#older = olderOf(bytes, path)
      this.#copied = Buffer.from(bytes).toString('utf8')
    } catch (error) {
      if (error instanceof CorruptDataError) this.problem = error.message
      else if (!(error instanceof NotFoundError)) throw error
    }
  }

  /**
   * For a process that does not write: takes the newest list that the bucket names. One that a listing does not have
   * yet is read the next time. Returns the tenants of deletions that were not known. Throws what `load` throws.
   */
  async follow(): Promise<string[]> {
    const { bucket, prefix } = this.#options
    const last = (await bucket.list(prefix)).at(-1)?.key
    if (last === undefined || numberOf(last) <= this.#list.number) return []
    const before = this.#list
    this.problem = undefined
    this.#take(this.#decoded({ number: numberOf(last), bytes: await bucket.get(last) }))
    return this.#unknownTo(before)
  }

  /**
   * A list that is damaged is a problem; what the disk has holds. Returns the tenants of deletions that were not known.
   * Throws NewerFormatError, and what the bucket throws.
   */
  async load(): Promise<string[]> {
    const { bucket, prefix } = this.#options
    const before = this.#list
    // Of a copy that is damaged nobody knows what it had.
    const isDamaged = this.problem !== undefined
    const last = (await bucket.list(prefix)).at(-1)?.key
    let known: NumberedState = { number: 0, bytes: encodeUtf8(JSON.stringify({ number: 0, deletions: [] })) }
    if (last !== undefined) known = { number: numberOf(last), bytes: await bucket.get(last) }
    const newest = await newestState(known, number => bucket.get(this.#keyOf(number)))
    this.problem = undefined
    // The disk may have what a bucket that was emptied has lost.
    if (newest.number >= this.#list.number) this.#take({ ...this.#decoded(newest), number: newest.number })
    return isDamaged ? [] : this.#unknownTo(before)
  }

  #unknownTo({ deletions }: List): string[] {
    const known = new Set(deletions.map(keyOf))
    return this.#list.deletions.filter(one => !known.has(keyOf(one))).map(({ tenant }) => tenant)
  }

  #decoded({ number, bytes }: NumberedState): List {
    try {
      return decodeList(bytes, this.#keyOf(number))
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      this.problem = error.message
      return this.#list
    }
  }

  #keyOf(number: number): string {
    return `${this.#options.prefix}${String(number).padStart(9, '0')}.json`
  }

  #take(list: List): void {
    this.#list = list
    const open = list.deletions.filter(({ finishedMs }) => finishedMs === undefined)
    this.#open = new Map(open.map(one => [one.tenant, one]))
  }

  /** From the call on the tenant counts as being deleted; resolves when bucket and disk have it. */
  async begin(tenant: string): Promise<void> {
    if (this.#open.has(tenant)) return
    if (this.#open.size >= openMax) throw new BadDataError(`${openMax} tenants are being deleted, which is the limit`)
    this.#beginning.add(tenant)
    try {
      const requestedMs = this.#options.clock.nowMs()
      await this.#change(deletions => [...deletions, { tenant, requestedMs }])
    } finally {
      this.#beginning.delete(tenant)
    }
  }

  /** Nothing is left of it. */
  finish(tenant: string): Promise<void> {
    const finishedMs = this.#options.clock.nowMs()
    return this.#change(deletions => {
      const done = deletions.map(one =>
        one.tenant === tenant && one.finishedMs === undefined ? { ...one, finishedMs } : one,
      )
      const extra = done.filter(one => one.finishedMs !== undefined).length - finishedKept
      let left = 0
      return done.filter(one => one.finishedMs === undefined || ++left > extra)
    })
  }

  /** One change after the other: each keeps what the one before it wrote. */
  #change(edit: (deletions: readonly TenantDeletion[]) => readonly TenantDeletion[]): Promise<void> {
    const change = this.#changing.then(async () => {
      while (!(await this.#save(edit(this.#list.deletions)))) await this.load()
    })
    this.#changing = change.catch(() => {})
    return change
  }

  /** False when the bucket has another list of this number: a change that seemed to fail is there all the same. */
  async #save(deletions: readonly TenantDeletion[]): Promise<boolean> {
    const { bucket } = this.#options
    const list = { number: this.#list.number + 1, deletions }
    const bytes = encodeUtf8(JSON.stringify(list))
    if (!(await putState(bucket, this.#keyOf(list.number), bytes))) return false
    const before = this.#list
    this.#take(list)
    await this.copy().catch((error: unknown) => {
      this.#take(before)
      throw error
    })
    if (list.number > statesKept) await bucket.delete(this.#keyOf(list.number - statesKept)).catch(() => {})
    return true
  }
}

function numberOf(key: string): number {
  return Number(/(\d+)\.json$/.exec(key)?.[1])
}

function keyOf({ tenant, requestedMs }: TenantDeletion): string {
  return `${tenant}/${requestedMs}`
}

function decodeList(bytes: Uint8Array, name: string): List {
  let found: unknown
  try {
    found = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new CorruptDataError(`${name}: ${messageOf(error)}`, { cause: error })
  }
  refuseNewer('tenant-deletions', versionOfState(found), name)
  const { number, deletions } = (found ?? {}) as { number?: unknown; deletions?: unknown }
  if (!Number.isSafeInteger(number) || !Array.isArray(deletions) || !deletions.every(isDeletion))
    throw new CorruptDataError(`${name}: a list of tenants that are deleted was expected`)
  return { number: number as number, deletions }
}

/** Throws CorruptDataError. */
function olderOf(bytes: Uint8Array, name: string): Map<string, ReadonlySet<string>> {
  const { older = {} } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { older?: unknown }
  const isRead = typeof older === 'object' && older !== null && Object.values(older).every(isTexts)
  if (!isRead) throw new CorruptDataError(`${name}: writers by tenant were expected`)
  return new Map(Object.entries(older as Record<string, string[]>).map(([tenant, all]) => [tenant, new Set(all)]))
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(one => typeof one === 'string')
}

function isDeletion(value: unknown): value is TenantDeletion {
  if (typeof value !== 'object' || value === null) return false
  const { tenant, requestedMs, finishedMs } = value as Partial<Record<keyof TenantDeletion, unknown>>
  return (
    typeof tenant === 'string' &&
    typeof requestedMs === 'number' &&
    (finishedMs === undefined || typeof finishedMs === 'number')
  )
}
