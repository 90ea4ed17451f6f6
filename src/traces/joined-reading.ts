/** What a block reader takes from joined filters in place of a block's own objects; each range of them is read once. */
import { crc32 } from 'node:zlib'
import { CorruptDataError } from '#core/errors.ts'
import { isDamage } from '#core/omissions.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { ByteLru } from '#core/byte-lru.ts'
import type { BlockMeta } from './block-meta.ts'
import { JoinedPart, type JoinedRange } from './joined-filters.ts'

/** All footers of an object are read together, unless they have more bytes. */
const footersBytesMax = 4 * 1024 * 1024

export class JoinedReading {
  readonly #bucket: Bucket
  readonly #parts: ByteLru<JoinedPart>
  readonly #footers: ByteLru<Uint8Array>
  readonly #underWay = new Map<string, Promise<Uint8Array>>()
  /** Objects that turned out to be gone or damaged. */
  readonly #broken = new Set<string>()
  reads = 0
  readBytes = 0

  constructor(bucket: Bucket, cacheBytes: number) {
    this.#bucket = bucket
    this.#parts = new ByteLru(cacheBytes / 2)
    this.#footers = new ByteLru(cacheBytes / 2)
  }

  get bytes(): number {
    return this.#parts.bytes + this.#footers.bytes
  }

  /** Returns how many bytes became free. */
  release(bytes: number): number {
    const freed = this.#footers.release(bytes)
    return freed < bytes ? freed + this.#parts.release(bytes - freed) : freed
  }

  /** May the block have the trace? Undefined: its own filter knows. */
  async mayHave({ joined }: BlockMeta, id: Uint8Array): Promise<boolean | undefined> {
    if (joined?.filter === undefined) return undefined
    const { key, block, blocks, filter } = joined
    return this.#unlessBroken(key, async () => {
      const name = `${key} ${filter.at}`
      let part = this.#parts.get(name)
      if (part === undefined) {
        const bytes = await this.#range(key, filter)
        // Many blocks wait for the same bytes.
        part = this.#parts.get(name) ?? new JoinedPart(bytes, blocks)
        this.#parts.set(name, part, part.heldBytes)
      }
      return part.mayHave(block, id)
    })
  }

  /**
   * The footer of data.parquet, without its last eight bytes; undefined: data.parquet has it. `isOneOfMany`: those of
   * the other blocks are wanted, too.
   */
  async footer(meta: BlockMeta, isOneOfMany: boolean): Promise<Uint8Array | undefined> {
    const { joined, footerSize, checksums } = meta
    if (joined === undefined || joined.footer.bytes === 0 || joined.footer.bytes !== footerSize) return undefined
    const { key, footer, footers } = joined
    if (checksums !== undefined && checksums.footer !== footer.checksum) return undefined
    return this.#unlessBroken(key, async () => {
      const range = isOneOfMany && footers.bytes <= footersBytesMax ? footers : footer
      const name = `${key} ${range.at} ${range.bytes}`
      let bytes = this.#footers.get(name)
      if (bytes === undefined) {
        bytes = await this.#range(key, range)
        this.#footers.set(name, bytes, bytes.length)
      }
      const own = bytes.subarray(footer.at - range.at, footer.at - range.at + footer.bytes)
      if (crc32(own) !== footer.checksum) throw new CorruptDataError(`${key}: a footer has a wrong checksum`)
      return own
    })
  }

  async #unlessBroken<T>(key: string, work: () => Promise<T>): Promise<T | undefined> {
    if (this.#broken.has(key)) return undefined
    try {
      return await work()
    } catch (error) {
      if (!isDamage(error)) throw error
      this.#broken.add(key)
      return undefined
    }
  }

  #range(key: string, { at, bytes }: JoinedRange): Promise<Uint8Array> {
    const name = `${key} ${at} ${bytes}`
    let reading = this.#underWay.get(name)
    if (reading === undefined) {
      reading = this.#fetch(key, at, bytes).finally(() => this.#underWay.delete(name))
      this.#underWay.set(name, reading)
    }
    return reading
  }

  async #fetch(key: string, at: number, bytes: number): Promise<Uint8Array> {
    this.reads++
    this.readBytes += bytes
    const read = await this.#bucket.getRange(key, at, bytes)
    if (read.length !== bytes)
      throw new CorruptDataError(`${key} has ${read.length} bytes at ${at} in place of ${bytes}`)
    return read
  }
}
