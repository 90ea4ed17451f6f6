/** A bucket in memory, for tests and the simulation. */
import type { Clock } from '#core/clock.ts'
import { ConflictError, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Bucket, ObjectInfo } from './bucket.ts'

/** Objects in a map; with `files`, local files can be put. */
export class MemoryBucket implements Bucket {
  readonly description = 'memory'
  readonly objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>()
  readonly #clock: Clock
  readonly #files: Pick<Files, 'read'> | undefined

  constructor(clock: Clock, files?: Pick<Files, 'read'>) {
    this.#clock = clock
    this.#files = files
  }

  async put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    if (options?.ifAbsent === true && this.objects.has(key)) throw new ConflictError(`${key} is there already`)
    this.objects.set(key, { bytes: bytes.slice(), modifiedMs: this.#clock.nowMs() })
  }

  async putFile(key: string, path: string): Promise<void> {
    if (this.#files === undefined) throw new NotFoundError(`no files to read ${path} from`)
    await this.put(key, await this.#files.read(path))
  }

  async get(key: string): Promise<Uint8Array> {
    const object = this.objects.get(key)
    if (object === undefined) throw new NotFoundError(`no object ${key}`)
    return object.bytes.slice()
  }

  async getRange(key: string, offset: number, length: number): Promise<Uint8Array> {
    return (await this.get(key)).slice(offset, offset + length)
  }
  async size(key: string): Promise<number> {
    return (await this.get(key)).length
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const found: ObjectInfo[] = []
    for (const [key, object] of this.objects)
      if (key.startsWith(prefix)) found.push({ key, bytes: object.bytes.length, modifiedMs: object.modifiedMs })
    return found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async listDirectories(prefix: string): Promise<string[]> {
    const names = new Set<string>()
    for (const key of this.objects.keys()) {
      const slash = key.indexOf('/', prefix.length)
      if (key.startsWith(prefix) && slash > 0) names.add(key.slice(prefix.length, slash))
    }
    return [...names].sort()
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(key)
  }
}
