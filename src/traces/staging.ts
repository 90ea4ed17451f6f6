/**
 * Finished blocks that wait on the disk for the bucket: while it is away they are served from there, in place of the
 * spans that they were made of, and go up in the order in which they were made. Each is a directory of the files that
 * it will be; `blocks.json`, replaced as a whole, says which blocks there are, and which generations of the log
 * are all in blocks: a start reads neither back from the log. Without that file the log has everything.
 */
import { PrefixedBucket, type Bucket } from '#bucket/bucket.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { NewerFormatError, refuseNewer, versionOfState } from '#core/own-formats.ts'
import { encodeUtf8 } from '#core/text.ts'
import { marked } from '#store/upload-mark.ts'
import { decodeMeta, encodeMeta, type BlockMeta } from './block-meta.ts'
import { blockPrefix, type BuiltBlock } from './block-writer.ts'

export interface StagingOptions {
  files: Files
  log: Log
  bucket: Bucket
  /** The signal's own. */
  directory: string
}

interface StagedBlock {
  meta: BlockMeta
  /** The last one makes the block visible. */
  names: string[]
  bytes: number
  /** A process before this one staged it, and may have uploaded it. */
  isOld: boolean
}

interface Manifest {
  scopes: string[]
  blocks: { id: string; names: string[]; bytes: number }[]
}

export class Staging {
  readonly #options: StagingOptions
  readonly #directory: string
  #blocks: StagedBlock[] = []
  readonly #scopes = new Set<string>()

  constructor(options: StagingOptions) {
    this.#options = options
    this.#directory = `${options.directory}/staging`
  }

  get count(): number {
    return this.#blocks.length
  }
  get bytes(): number {
    return this.#blocks.reduce((sum, block) => sum + block.bytes, 0)
  }
  get oldest(): BlockMeta | undefined {
    return this.#blocks[0]?.meta
  }
  /** Is everything that the generation of the log had in staged blocks? */
  covers(scope: string): boolean {
    return this.#scopes.has(scope)
  }

  #pathOf(key: string): string | undefined {
    for (const { meta, names } of this.#blocks) {
      const prefix = blockPrefix(meta.tenant, meta.blockId)
      if (key.startsWith(prefix) && names.includes(key.slice(prefix.length)))
        return `${this.#directory}/${meta.blockId}/${key.slice(prefix.length)}`
    }
    return undefined
  }

  /** The bucket, with what is staged in it. */
  readonly served = (): Bucket => new StagedFirst(this.#options.bucket, this.#options.files, key => this.#pathOf(key))

  /** What a process before this one staged; directories that the list does not name go. */
  async load(): Promise<BlockMeta[]> {
    const { files, log } = this.#options
    try {
      const manifest = await files.read(`${this.#directory}/blocks.json`)
      const found = JSON.parse(Buffer.from(manifest).toString()) as Manifest
      refuseNewer('staged-blocks', versionOfState(found), `${this.#directory}/blocks.json`)
      const { scopes, blocks } = found
      const loaded: StagedBlock[] = []
      for (const { id, names, bytes } of blocks) {
        const meta = decodeMeta(await files.read(`${this.#directory}/${id}/meta.json`))
        for (const name of names) await files.size(`${this.#directory}/${id}/${name}`)
        loaded.push({ meta, names, bytes, isOld: true })
      }
      for (const scope of scopes) this.#scopes.add(scope)
      this.#blocks = loaded
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      if (!(error instanceof NotFoundError))
        log.warn('staged blocks of traces can not be used; the log has their spans', { error: messageOf(error) })
      await files.removeDirectory(this.#directory)
    }
    const known = new Set(this.#blocks.map(({ meta }) => meta.blockId))
    for (const name of await files.listDirectories(this.#directory))
      if (!known.has(name)) await files.removeDirectory(`${this.#directory}/${name}`)
    return this.#blocks.map(({ meta }) => meta)
  }

  /** Puts a block on the disk, behind those that are there. */
  async add({ meta, data, blooms, index }: BuiltBlock): Promise<void> {
    const parts: [name: string, bytes: Uint8Array][] = [
      ['data.parquet', data],
      ...blooms.map((bloom, i): [string, Uint8Array] => [`bloom-${i}`, bloom]),
      ['index', index],
      ['meta.json', encodeMeta(meta)],
    ]
    const directory = `${this.#directory}/${meta.blockId}`
    try {
      for (const [name, bytes] of parts) await this.#options.files.writeAtomic(`${directory}/${name}`, bytes, true)
    } catch (error) {
      await this.#options.files.removeDirectory(directory).catch(() => {})
      throw error
    }
    const bytes = parts.reduce((sum, part) => sum + part[1].length, 0)
    this.#blocks.push({ meta, names: parts.map(([name]) => name), bytes, isOld: false })
  }

  /** From now on a start takes these generations from the staged blocks, and not from the log. */
  async cover(scopes: readonly string[]): Promise<void> {
    if (scopes.every(scope => this.#scopes.has(scope))) return
    for (const scope of scopes) this.#scopes.add(scope)
    try {
      await this.#write()
    } catch (error) {
      for (const scope of scopes) this.#scopes.delete(scope)
      throw error
    }
  }

  #write(): Promise<void> {
    const blocks = this.#blocks.map(({ meta, names, bytes }) => ({ id: meta.blockId, names, bytes }))
    const manifest: Manifest = { scopes: [...this.#scopes], blocks }
    return this.#options.files.writeAtomic(`${this.#directory}/blocks.json`, encodeUtf8(JSON.stringify(manifest)), true)
  }

  /** Puts the oldest block into the bucket. False: it was merged with others there meanwhile, and is there no more. */
  async upload(): Promise<boolean> {
    const { bucket } = this.#options
    const { meta, names, isOld } = this.#blocks[0]!
    const prefix = blockPrefix(meta.tenant, meta.blockId)
    if (isOld && (await this.#has(`${prefix}meta.compacted.json`))) return false
    await marked(bucket, prefix, async () => {
      for (const name of names) await bucket.putFile(prefix + name, `${this.#directory}/${meta.blockId}/${name}`)
    })
    return true
  }

  async #has(key: string): Promise<boolean> {
    try {
      await this.#options.bucket.size(key)
      return true
    } catch (error) {
      if (error instanceof NotFoundError) return false
      throw error
    }
  }

  /** The bucket has the oldest block. Its files go when the list does not name it any more. */
  async removeOldest(): Promise<void> {
    const { meta } = this.#blocks.shift()!
    if (this.#scopes.size > 0) await this.#write()
    await this.#options.files.removeDirectory(`${this.#directory}/${meta.blockId}`)
  }

  /** Lets go of a tenant's blocks, which is deleted. */
  async drop(tenant: string): Promise<void> {
    const dropped = this.#blocks.filter(({ meta }) => meta.tenant === tenant)
    if (dropped.length === 0) return
    this.#blocks = this.#blocks.filter(one => !dropped.includes(one))
    if (this.#scopes.size > 0) await this.#write()
    for (const { meta } of dropped) await this.#options.files.removeDirectory(`${this.#directory}/${meta.blockId}`)
  }

  /** Nothing waits, and the log does not have the generations any more. */
  async clear(): Promise<void> {
    if (this.#scopes.size === 0) return
    this.#scopes.clear()
    await this.#options.files.removeDirectory(this.#directory)
  }
}

/** What is staged is read from the disk, all else from the bucket. */
class StagedFirst extends PrefixedBucket {
  readonly #files: Files
  readonly #pathOf: (key: string) => string | undefined

  constructor(bucket: Bucket, files: Files, pathOf: (key: string) => string | undefined) {
    super(bucket, '')
    this.#files = files
    this.#pathOf = pathOf
  }

  override async get(key: string): Promise<Uint8Array> {
    return (await this.#staged(key, path => this.#files.read(path))) ?? super.get(key)
  }
  override async getRange(key: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    const staged = await this.#staged(key, path => this.#files.readRange(path, offset, length))
    return staged ?? super.getRange(key, offset, length, room)
  }
  override async size(key: string): Promise<number> {
    return (await this.#staged(key, path => this.#files.size(path))) ?? super.size(key)
  }

  /** Undefined where it is not staged, or was uploaded just now. */
  async #staged<T>(key: string, read: (path: string) => Promise<T>): Promise<T | undefined> {
    const path = this.#pathOf(key)
    if (path === undefined) return undefined
    try {
      return await read(path)
    } catch (error) {
      if (error instanceof NotFoundError && this.#pathOf(key) === undefined) return undefined
      throw error
    }
  }
}
