/**
 * A bucket with faults: it refuses, loses replies to what it did, does it late or twice, hangs, lists what was a while
 * ago, or is away altogether.
 */
import { BucketError, type Bucket, type ObjectInfo } from '#bucket/bucket.ts'
import { ConflictError, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import { forever, type Life, type Surroundings } from './life.ts'

export const bucketFaults = ['refuse', 'lose-reply', 'late', 'twice', 'hang', 'stale', 'away', 'silent'] as const
export type BucketFault = (typeof bucketFaults)[number]

interface Trouble {
  fault: BucketFault
  oneIn: number
  untilMs: number
}

/** So long a request hangs before its client gives it up. */
const deadlineMs = 5000
/** So much later a request may arrive that its client gave up, or a second time. */
const lateMs = 15_000
/** So old a listing may be. */
export const staleMs = 20_000

interface Version {
  fromMs: number
  /** Undefined: it was deleted. */
  bytes: number | undefined
}

/** What is in the bucket, and what ails it. */
export class BucketStore {
  readonly objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>()
  readonly #versions = new Map<string, Version[]>()
  readonly #world: Surroundings
  troubles: Trouble[] = []
  /** As a store has it whose requests cost; undefined: as a directory. */
  gapBytes: number | undefined

  constructor(world: Surroundings) {
    this.#world = world
  }

  trouble(fault: BucketFault, oneIn: number, forMs: number): void {
    this.troubles.push({ fault, oneIn, untilMs: this.#world.nowMs + forMs })
  }

  /** The end of the last trouble that there was. */
  get quietSinceMs(): number {
    return this.troubles.reduce((last, { untilMs }) => Math.max(last, untilMs), 0)
  }

  heal(): void {
    for (const trouble of this.troubles) trouble.untilMs = Math.min(trouble.untilMs, this.#world.nowMs)
  }

  /** Which fault the next request meets. */
  draw(isListing: boolean, isPut: boolean): BucketFault | undefined {
    for (const { fault, oneIn, untilMs } of this.troubles) {
      if (untilMs <= this.#world.nowMs) continue
      if ((fault === 'stale' && !isListing) || (fault === 'twice' && !isPut) || (fault === 'late' && !isPut)) continue
      if (fault === 'away' || fault === 'silent' || this.#world.chance(oneIn)) return fault
    }
    return undefined
  }

  #note(key: string, bytes: number | undefined): void {
    const versions = this.#versions.get(key) ?? []
    versions.push({ fromMs: this.#world.nowMs, bytes })
    this.#versions.set(key, versions)
  }

  put(key: string, bytes: Uint8Array, ifAbsent: boolean): void {
    if (ifAbsent && this.objects.has(key)) throw new ConflictError(`${key} is there already`)
    this.objects.set(key, { bytes, modifiedMs: this.#world.nowMs })
    this.#note(key, bytes.length)
  }
  get(key: string): Uint8Array {
    const object = this.objects.get(key)
    if (object === undefined) throw new NotFoundError(`no object ${key}`)
    return object.bytes
  }
  delete(key: string): void {
    if (this.objects.delete(key)) this.#note(key, undefined)
  }

  /** As a listing has it that is so old. */
  list(prefix: string, agoMs: number): ObjectInfo[] {
    const found: ObjectInfo[] = []
    if (agoMs === 0) {
      for (const [key, { bytes, modifiedMs }] of this.objects)
        if (key.startsWith(prefix)) found.push({ key, bytes: bytes.length, modifiedMs })
    } else {
      const atMs = this.#world.nowMs - agoMs
      for (const [key, versions] of this.#versions) {
        const version = key.startsWith(prefix) ? versions.findLast(v => v.fromMs <= atMs) : undefined
        if (version?.bytes !== undefined) found.push({ key, bytes: version.bytes, modifiedMs: version.fromMs })
      }
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }
}

/** The bucket as one process has it. */
export class ProcessBucket implements Bucket {
  readonly description = 'simulated'
  readonly #store: BucketStore
  readonly #world: Surroundings
  readonly #life: Life
  readonly #files: Files
  /** It got a listing that was old. */
  sawStale = false

  constructor(world: Surroundings, store: BucketStore, life: Life, files: Files) {
    this.#store = store
    this.#world = world
    this.#life = life
    this.#files = files
  }

  get gapBytes(): number | undefined {
    return this.#store.gapBytes
  }

  #error(operation: string, code: string): BucketError {
    return new BucketError(operation, this.description, code, true)
  }

  /** `work` gets the age of what a listing shows. */
  async #do<T>(operation: string, key: string, work: (agoMs: number) => T): Promise<T> {
    const world = this.#world
    const life = this.#life
    if (life.isDead) return forever()
    const fault = this.#store.draw(operation === 'list', operation === 'put')
    world.note(`bucket ${operation} ${key}${fault === undefined ? '' : `: ${fault}`}`)
    if (life.diesNow()) {
      // The request may be under way already.
      if (life.crashEffect !== 'before') {
        const arrives = (): void => void attempt(() => work(0))
        if (life.crashEffect === 'after') arrives()
        else world.after(world.below(lateMs), arrives)
      }
      life.die()
      return forever()
    }
    const reply = await this.#request(operation, work, fault)
    if (life.isDead) return forever()
    if ('error' in reply) throw reply.error
    return reply.value
  }

  async #request<T>(operation: string, work: (agoMs: number) => T, fault: BucketFault | undefined): Promise<Reply<T>> {
    const world = this.#world
    if (fault === 'hang' || fault === 'silent') {
      await world.sleep(deadlineMs)
      if (fault === 'hang' && world.chance(2)) attempt(() => work(0))
      return { error: this.#error(operation, 'ETIMEDOUT') }
    }
    await world.sleep(1 + world.below(30))
    switch (fault) {
      case 'away':
        return { error: this.#error(operation, 'ECONNREFUSED') }
      case 'refuse':
        return { error: this.#error(operation, 'SlowDown') }
      case 'lose-reply':
        attempt(() => work(0))
        return { error: this.#error(operation, 'ECONNRESET') }
      case 'late':
        world.after(world.below(lateMs), () => void attempt(() => work(0)))
        return { error: this.#error(operation, 'ECONNRESET') }
      case 'twice':
        world.after(world.below(lateMs), () => void attempt(() => work(0)))
        return attempt(() => work(0))
      case 'stale':
        this.sawStale = true
        return attempt(() => work(1 + world.below(staleMs)))
      case undefined:
        return attempt(() => work(0))
    }
  }

  put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    const taken = bytes.slice()
    return this.#do('put', key, () => {
      this.#store.put(key, taken, options?.ifAbsent === true)
    })
  }
  async putFile(key: string, path: string): Promise<void> {
    await this.put(key, await this.#files.read(path))
  }
  get(key: string): Promise<Uint8Array> {
    return this.#do('get', key, () => this.#store.get(key).slice())
  }
  getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#do('get', key, () => this.#store.get(key).slice(offset, offset + length))
  }
  size(key: string): Promise<number> {
    return this.#do('head', key, () => this.#store.get(key).length)
  }
  list(prefix: string): Promise<ObjectInfo[]> {
    return this.#do('list', prefix, agoMs => this.#store.list(prefix, agoMs))
  }
  listDirectories(prefix: string): Promise<string[]> {
    return this.#do('list', prefix, agoMs => {
      const names = new Set<string>()
      for (const { key } of this.#store.list(prefix, agoMs)) {
        const slash = key.indexOf('/', prefix.length)
        if (slash > 0) names.add(key.slice(prefix.length, slash))
      }
      return [...names].sort()
    })
  }
  delete(key: string): Promise<void> {
    return this.#do('delete', key, () => {
      this.#store.delete(key)
    })
  }
}

type Reply<T> = { value: T } | { error: unknown }

function attempt<T>(work: () => T): Reply<T> {
  try {
    return { value: work() }
  } catch (error) {
    return { error }
  }
}
