/**
 * A bucket with a copy of what was read lately on the local disk. Only parts of blocks that never change are kept:
 * objects whose key `isCacheable` accepts, in pages. The copy may go at any time; it is rebuilt from the bucket.
 */
import { crc32 } from 'node:zlib'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import type { Bucket, ObjectInfo, PutOptions } from './bucket.ts'
import type { RequestCounts } from './store-requests.ts'

/** What a cache keeps, where, and how much of it. */
export interface CacheOptions {
  files: Files
  log: Log
  directory: string
  /** What the copies may take on the disk. */
  bytesMax: number
  isCacheable: (key: string) => boolean
}

/**
 * One GET fetches a page: large enough that a query over one metric takes few of them, small enough not to fetch much
 * in vain.
 */
const pageBytes = 1024 * 1024
/** Fetched with a page that follows one that is there: they take about as long as one more request. */
const pagesAhead = 3
/** More than an object has. */
const restBytesMax = 2 ** 40
const nothing = new Uint8Array(0)
/** An object that was written is kept when it takes no more than this part of the room. */
const writtenShare = 4
/** Behind a page's content stands its CRC-32: a local disk that loses a bit must not look like a damaged block. */
const checksumBytes = 4

/** Reads of cacheable objects go through pages on the disk; everything else goes to the bucket. */
export class CachedBucket implements Bucket {
  readonly description: string
  readonly #inner: Bucket
  readonly #options: CacheOptions
  /** Bytes by file name; the least recently used come first. */
  readonly #kept = new Map<string, number>()
  /** Pages that are being fetched: who asks meanwhile waits for the same answer. */
  readonly #underWay = new Map<string, Promise<Uint8Array>>()
  #bytes = 0
  hits = 0
  misses = 0

  private constructor(inner: Bucket, options: CacheOptions) {
    this.#inner = inner
    this.#options = options
    this.description = inner.description
  }

  /** Takes over what an earlier run left in the directory. */
  static async open(inner: Bucket, options: CacheOptions): Promise<CachedBucket> {
    const cache = new CachedBucket(inner, options)
    for (const name of await options.files.list(options.directory))
      cache.#note(name, await options.files.size(`${options.directory}/${name}`))
    await cache.#evict()
    return cache
  }

  get bytes(): number {
    return this.#bytes
  }

  #note(name: string, bytes: number): void {
    this.#bytes += bytes - (this.#kept.get(name) ?? 0)
    this.#kept.delete(name)
    this.#kept.set(name, bytes)
  }

  /** False: it is not known any more, and what it took was counted off. */
  #forget(name: string): boolean {
    this.#bytes -= this.#kept.get(name) ?? 0
    return this.#kept.delete(name)
  }

  async #evict(): Promise<void> {
    for (const name of this.#kept.keys()) {
      if (this.#bytes <= this.#options.bytesMax) return
      this.#forget(name)
      await this.#options.files.remove(`${this.#options.directory}/${name}`).catch((error: unknown) => {
        this.#options.log.warn('a cached page could not be removed', { page: name, error: messageOf(error) })
      })
    }
  }

  /**
   * The pages [first, last], from the disk or the bucket; shorter at the object's end, and none behind it. Those that
   * are missing beside each other are one request.
   */
  async #pages(key: string, first: number, last: number): Promise<Uint8Array[]> {
    const coming: Promise<Uint8Array>[] = []
    for (let page = first; page <= last;) {
      const known = this.#underWay.get(nameOf(key, page)) ?? this.#fromDisk(key, page)
      if (known !== undefined) {
        coming.push(known)
        page++
        continue
      }
      const from = page
      while (page <= last && this.#isMissing(key, page)) page++
      const fetched = this.#fetch(key, from, Math.max(page - 1, this.#aheadOf(key, from)))
      for (const one of fetched.slice(0, page - from)) coming.push(one)
    }
    return Promise.all(coming)
  }

  /** The last page that is fetched with a missing one: who read the page before it reads on. */
  #aheadOf(key: string, page: number): number {
    if (page === 0 || this.#isMissing(key, page - 1)) return page
    let last = page
    while (last < page + pagesAhead && this.#isMissing(key, last + 1)) last++
    return last
  }

  #isMissing(key: string, page: number): boolean {
    const name = nameOf(key, page)
    return !this.#kept.has(name) && !this.#underWay.has(name)
  }

  /** Undefined: the disk does not have it. Where the copy turns out to be unusable, the page is fetched. */
  #fromDisk(key: string, page: number): Promise<Uint8Array> | undefined {
    const name = nameOf(key, page)
    const bytes = this.#kept.get(name)
    if (bytes === undefined) return undefined
    return this.#noteComing(
      name,
      this.#readCopy(name, bytes).then(content => content ?? this.#fetched(key, page, page).then(read => read[0]!)),
    )
  }

  async #readCopy(name: string, known: number): Promise<Uint8Array | undefined> {
    const { files, directory, log } = this.#options
    try {
      const bytes = await files.read(`${directory}/${name}`)
      const content = bytes.length === known ? verified(bytes) : undefined
      if (content !== undefined) {
        // It may have been evicted meanwhile.
        if (this.#kept.get(name) === known) this.#note(name, known)
        this.hits++
        return content
      }
    } catch (error) {
      if (!(error instanceof NotFoundError))
        log.warn('a cached page could not be read', { page: name, error: messageOf(error) })
    }
    this.#forget(name)
    return undefined
  }

  /** Pages that are asked for while they are fetched wait for the same answer. */
  #fetch(key: string, first: number, last: number): Promise<Uint8Array>[] {
    const fetched = this.#fetched(key, first, last)
    return Array.from({ length: last - first + 1 }, (_, i) =>
      this.#noteComing(
        nameOf(key, first + i),
        fetched.then(pages => pages[i]!),
      ),
    )
  }

  #noteComing(name: string, coming: Promise<Uint8Array>): Promise<Uint8Array> {
    const noted = coming.finally(() => this.#underWay.delete(name))
    // Who asked for several of them sees the first failure.
    noted.catch(() => {})
    this.#underWay.set(name, noted)
    return noted
  }

  async #fetched(key: string, first: number, last: number): Promise<Uint8Array[]> {
    this.misses += last - first + 1
    const bytes = await this.#inner.getRange(key, first * pageBytes, (last - first + 1) * pageBytes)
    const pages: Uint8Array[] = []
    for (let page = first; page <= last; page++) {
      const from = Math.min(bytes.length, (page - first) * pageBytes)
      const content = bytes.subarray(from, Math.min(bytes.length, from + pageBytes))
      pages.push(content)
      await this.#keep(nameOf(key, page), content)
      // Behind an object that ends with a page there is an empty one, which says so.
      if (content.length < pageBytes) break
    }
    while (pages.length <= last - first) pages.push(nothing)
    return pages
  }

  /** A full disk is no reason to fail a read. */
  async #keep(name: string, content: Uint8Array): Promise<void> {
    const { files, directory, log } = this.#options
    await files.writeAtomic(`${directory}/${name}`, sealed(content)).then(
      () => {
        this.#note(name, content.length + checksumBytes)
      },
      (error: unknown) => {
        log.warn('a page could not be cached', { page: name, error: messageOf(error) })
      },
    )
    await this.#evict()
  }

  async getRange(key: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    if (!this.#options.isCacheable(key)) return this.#inner.getRange(key, offset, length, room)
    if (length <= 0) return nothing
    const first = Math.floor(offset / pageBytes)
    const last = Math.floor((offset + length - 1) / pageBytes)
    const bytes = room ?? new Uint8Array(length)
    let filled = 0
    for (const [i, content] of (await this.#pages(key, first, last)).entries()) {
      const page = first + i
      const from = Math.max(0, offset - page * pageBytes)
      const to = Math.min(content.length, offset + length - page * pageBytes)
      if (to > from) {
        bytes.set(content.subarray(from, to), filled)
        filled += to - from
      }
      if (content.length < pageBytes) break
    }
    return bytes.subarray(0, filled)
  }

  /** Pages that are on the disk, then all that follows them in one request. */
  async get(key: string): Promise<Uint8Array> {
    if (!this.#options.isCacheable(key)) return this.#inner.get(key)
    const name = `${fileNameOf(key)} whole`
    const whole = await (this.#underWay.get(name) ?? this.#noteComing(name, this.#getWhole(key)))
    // Several may have asked for it, and each may give the memory away.
    return whole.slice()
  }

  async #getWhole(key: string): Promise<Uint8Array> {
    const pages: Uint8Array[] = []
    for (let page = 0; ; page++) {
      const known = this.#underWay.get(nameOf(key, page)) ?? this.#fromDisk(key, page)
      const content = known === undefined ? await this.#rest(key, page) : await known
      pages.push(content)
      if (known === undefined || content.length < pageBytes) break
    }
    return pages.length === 1 ? pages[0]! : new Uint8Array(Buffer.concat(pages))
  }

  /** All from a page on, which is not kept. */
  async #rest(key: string, first: number): Promise<Uint8Array> {
    this.misses++
    const bytes =
      first === 0 ? await this.#inner.get(key) : await this.#inner.getRange(key, first * pageBytes, restBytesMax)
    for (let at = 0; at <= bytes.length; at += pageBytes)
      await this.#keep(nameOf(key, first + at / pageBytes), bytes.subarray(at, at + pageBytes))
    return bytes
  }

  async delete(key: string): Promise<void> {
    await this.#inner.delete(key)
    if (this.#options.isCacheable(key)) await this.#evictPages(`${fileNameOf(key)}.`)
  }

  get requests(): RequestCounts | undefined {
    return this.#inner.requests
  }
  get gapBytes(): number | undefined {
    return this.#inner.gapBytes
  }
  windDown(graceMs: number): void {
    this.#inner.windDown?.(graceMs)
  }

  evict(prefix: string): Promise<void> {
    return this.#evictPages(fileNameOf(prefix))
  }

  async #evictPages(prefix: string): Promise<void> {
    for (const name of Array.from(this.#kept.keys())) {
      if (!name.startsWith(prefix) || !this.#forget(name)) continue
      await this.#options.files.remove(`${this.#options.directory}/${name}`).catch(() => {})
    }
  }

  async put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void> {
    await this.#inner.put(key, bytes, options)
    await this.#keepWritten(key, bytes.length, (from, to) => Promise.resolve(bytes.subarray(from, to)))
  }

  async putFile(key: string, path: string): Promise<void> {
    const { files } = this.#options
    await this.#inner.putFile(key, path)
    if (this.#options.isCacheable(key))
      await this.#keepWritten(key, await files.size(path), (from, to) => files.readRange(path, from, to - from))
  }

  /** What was just written is read soon, to be merged: it is not fetched for that. */
  async #keepWritten(
    key: string,
    length: number,
    read: (from: number, to: number) => Promise<Uint8Array>,
  ): Promise<void> {
    const { files, directory, log, bytesMax, isCacheable } = this.#options
    if (!isCacheable(key)) return
    // An upload that was cut off is done again, perhaps with other bytes.
    await this.#evictPages(`${fileNameOf(key)}.`)
    if (length > bytesMax / writtenShare) return
    try {
      // A last page that is full says nothing of the end: an empty one behind it does.
      for (let page = 0; page * pageBytes <= length; page++) {
        const name = nameOf(key, page)
        const content = await read(page * pageBytes, Math.min(length, (page + 1) * pageBytes))
        await files.writeAtomic(`${directory}/${name}`, sealed(content))
        this.#note(name, content.length + checksumBytes)
      }
    } catch (error) {
      log.warn('a page could not be cached', { key, error: messageOf(error) })
    }
    await this.#evict()
  }
  size(key: string): Promise<number> {
    return this.#inner.size(key)
  }
  list(prefix: string): Promise<ObjectInfo[]> {
    return this.#inner.list(prefix)
  }
  listDirectories(prefix: string): Promise<string[]> {
    return this.#inner.listDirectories(prefix)
  }
}

function nameOf(key: string, page: number): string {
  return `${fileNameOf(key)}.${page}`
}

function fileNameOf(key: string): string {
  return key.replaceAll('%', '%25').replaceAll('/', '%2F')
}

function sealed(content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(content.length + checksumBytes)
  bytes.set(content)
  new DataView(bytes.buffer).setUint32(content.length, crc32(content))
  return bytes
}

/** The content of a page; undefined when it is not what was written. */
function verified(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < checksumBytes) return undefined
  const content = bytes.subarray(0, bytes.length - checksumBytes)
  const expected = new DataView(bytes.buffer, bytes.byteOffset).getUint32(content.length)
  return crc32(content) === expected ? content : undefined
}
