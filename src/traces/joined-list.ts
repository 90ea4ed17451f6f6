/** Which objects of joined filters the bucket has, and which blocks are in them: known by their heads. */
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket, ObjectInfo } from '#bucket/bucket.ts'
import type { BlockMeta } from './block-meta.ts'
import { decodeJoinedHead, joinedHeadBytes, partOf, type JoinedHead, type JoinedPlace } from './joined-filters.ts'

/** Read first: the head of an object of some hundred blocks. */
const headGuessBytes = 16 * 1024
const prefixOf = (tenant: string): string => `${tenant}/tercet/trace-filters/`

/** The key of an object with this name, a ULID: of two that have a block, the later one is used. */
export function joinedKey(tenant: string, name: string): string {
  return prefixOf(tenant) + name
}

/** An object, and its tenant. */
export interface JoinedObject {
  key: string
  tenant: string
  head: JoinedHead
}

export class JoinedList {
  readonly #bucket: Bucket
  readonly #log: Log
  readonly #objects = new Map<string, JoinedObject>()
  /** By `<tenant>/<block>`. */
  readonly #places = new Map<string, { object: JoinedObject; block: number }>()
  /** Objects of this process: a listing may be older. */
  readonly #own = new Set<string>()
  /** Objects that can't be used, or whose head could not be read. */
  readonly #unusable = new Set<string>()

  constructor(bucket: Bucket, log: Log) {
    this.#bucket = bucket
    this.#log = log
  }

  /** Is it the key of such an object? */
  isKey(tenant: string, key: string): boolean {
    return key.startsWith(prefixOf(tenant))
  }

  /** Goes by a listing of the tenant: reads heads that are not known. Never throws. */
  async follow(tenant: string, objects: readonly ObjectInfo[]): Promise<void> {
    const listed = new Set(objects.map(({ key }) => key))
    for (const { key } of this.of(tenant)) if (!listed.has(key) && !this.#own.has(key)) this.drop(key)
    for (const { key, bytes } of objects) {
      if (this.#objects.has(key) || this.#unusable.has(key)) continue
      try {
        this.#add({ key, tenant, head: await this.#readHead(key, bytes) })
      } catch (error) {
        // Blocks have filters of their own. What another process removed meanwhile is no damage.
        if (isDamage(error)) this.#unusable.add(key)
        this.#log.warn('joined filters of traces can not be used', { key, error: messageOf(error) })
      }
    }
  }

  /** Lengths that the head says are no reason to ask for more than the object of `size` bytes has. */
  async #readHead(key: string, size: number): Promise<JoinedHead> {
    const start = await this.#bucket.getRange(key, 0, headGuessBytes)
    const bytes = joinedHeadBytes(start)
    if (bytes > size) throw new CorruptDataError(`joined filters: a head of ${bytes} bytes in an object of ${size}`)
    const head = decodeJoinedHead(bytes <= start.length ? start : await this.#bucket.getRange(key, 0, bytes))
    if (head.bytes !== size) throw new CorruptDataError(`joined filters: ${size} bytes, the head says ${head.bytes}`)
    return head
  }

  /** This process wrote the object. */
  addOwn(object: JoinedObject): void {
    this.#own.add(object.key)
    this.#add(object)
  }

  #add(object: JoinedObject): void {
    this.#objects.set(object.key, object)
    for (const [block, { blockId }] of object.head.blocks.entries()) {
      const name = `${object.tenant}/${blockId}`
      const known = this.#places.get(name)
      if (known === undefined || known.object.key < object.key) this.#places.set(name, { object, block })
    }
  }

  /** The object is gone, or can't be used. */
  drop(key: string): void {
    const object = this.#objects.get(key)
    this.#own.delete(key)
    if (object === undefined) return
    this.#objects.delete(key)
    for (const [name, place] of this.#places) if (place.object === object) this.#places.delete(name)
    for (const other of this.of(object.tenant)) this.#add(other)
  }

  tenants(): string[] {
    return [...new Set(Array.from(this.#objects.values(), ({ tenant }) => tenant))]
  }

  of(tenant: string): JoinedObject[] {
    return [...this.#objects.values()].filter(object => object.tenant === tenant)
  }

  /** The object that has the block. */
  objectOf({ tenant, blockId, size }: BlockMeta): JoinedObject | undefined {
    const place = this.#places.get(`${tenant}/${blockId}`)
    return place?.object.head.blocks[place.block]!.size === size ? place.object : undefined
  }

  /** The block with the place where joined objects have what is wanted of it: filters for `id`, and footers. */
  placed(meta: BlockMeta, id?: Uint8Array): BlockMeta {
    if (this.objectOf(meta) === undefined) return meta
    const { object, block } = this.#places.get(`${meta.tenant}/${meta.blockId}`)!
    const { blocks, parts, footers } = object.head
    const { footer, footerChecksum } = blocks[block]!
    const joined: JoinedPlace = {
      key: object.key,
      block,
      blocks: blocks.length,
      filter: id === undefined ? undefined : parts[partOf(id)],
      footer: { ...footer, checksum: footerChecksum },
      footers,
    }
    return { ...meta, joined }
  }
}
