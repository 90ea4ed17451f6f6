/**
 * A bucket in a local directory: the embedded default. Objects are files, written aside and renamed.
 *
 * A directory that is not there before the first write is an empty bucket, and the first write makes it. One that was
 * there and is gone is an outage, as a store that does not answer: it may be a volume that is not mounted now, and what
 * was written to the place below it would be hidden when it is there again. So nothing makes it a second time.
 */
import type { Dirent } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { ConflictError, NotFoundError } from '#core/errors.ts'
import { BucketError, type Bucket, type ObjectInfo } from './bucket.ts'

/** Reasons that do not pass by themselves. */
const forGood = new Set(['EACCES', 'EPERM', 'EROFS', 'EISDIR', 'ENAMETOOLONG'])
const asideSuffix = '.tercet-tmp'
/** The code of an error where the directory itself is gone. */
const goneCode = 'DirectoryGone'

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error))
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** Objects as files below a directory. */
export class DirectoryBucket implements Bucket {
  readonly description: string
  readonly #root: string
  /** The directory was there: where it is not, it is gone. */
  #wasThere: boolean
  #sequence = 0

  /** `wasThere`: somebody else saw the directory already. */
  constructor(root: string, wasThere = false) {
    this.#root = root
    this.#wasThere = wasThere
    this.description = root
  }

  /** Throws BucketError when the directory was there and is gone. */
  async #requireRoot(operation: string): Promise<void> {
    if (!this.#wasThere || (await isDirectory(this.#root))) return
    throw new BucketError(operation, this.description, goneCode, true, {
      cause: new Error("the bucket's directory was there and is gone: mount its volume, or make it, to go on"),
    })
  }

  #path(key: string): string {
    if (key.split('/').some(part => part === '..' || part === ''))
      throw new BucketError('put', this.description, 'BadKey', false)
    return join(this.#root, ...key.split('/'))
  }

  async #try<T>(operation: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      const found = await work()
      // Removing what is not there succeeds without a directory.
      if (operation !== 'delete') this.#wasThere = true
      return found
    } catch (error) {
      if (error instanceof BucketError) throw error
      if (isMissing(error)) {
        await this.#requireRoot(operation)
        throw new NotFoundError(`no object ${key} in ${this.description}`, { cause: error })
      }
      const code = codeOf(error)
      if (code === 'EEXIST' && error instanceof Error && 'syscall' in error && error.syscall === 'link')
        throw new ConflictError(`${key} is there already`, { cause: error })
      throw new BucketError(operation, this.description, code, !forGood.has(code), { cause: error })
    }
  }

  /** Makes `path` appear in one step from what `fill` writes aside. */
  async #place(
    operation: string,
    key: string,
    ifAbsent: boolean,
    fill: (aside: string) => Promise<void>,
  ): Promise<void> {
    const path = this.#path(key)
    await this.#try(operation, key, async () => {
      await this.#requireRoot(operation)
      await mkdir(dirname(path), { recursive: true })
      const aside = `${path}.${process.pid}-${this.#sequence++}${asideSuffix}`
      try {
        await fill(aside)
        // link fails where the target exists; rename replaces it.
        if (ifAbsent) await link(aside, path)
        else await rename(aside, path)
      } finally {
        await rm(aside, { force: true })
      }
    })
  }

  put(key: string, bytes: Uint8Array, options?: { ifAbsent?: boolean }): Promise<void> {
    return this.#place('put', key, options?.ifAbsent === true, aside => writeFile(aside, bytes, { flush: true }))
  }

  putFile(key: string, path: string): Promise<void> {
    return this.#place('put', key, false, async aside => {
      try {
        await link(path, aside)
      } catch {
        await copyFile(path, aside)
      }
    })
  }

  get(key: string): Promise<Uint8Array> {
    return this.#try('get', key, () => readFile(this.#path(key)))
  }

  getRange(key: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    return this.#try('get', key, async () => {
      const handle = await open(this.#path(key), 'r')
      try {
        const bytes = room ?? new Uint8Array(length)
        let filled = 0
        while (filled < length) {
          const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled)
          if (bytesRead === 0) break
          filled += bytesRead
        }
        return bytes.subarray(0, filled)
      } finally {
        await handle.close()
      }
    })
  }

  async size(key: string): Promise<number> {
    return (await this.#try('head', key, () => stat(this.#path(key)))).size
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const base = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : ''
    const found: ObjectInfo[] = []
    const walk = async (directory: string, key: string): Promise<void> => {
      for (const entry of await this.#entries(directory)) {
        const child = key === '' ? entry.name : `${key}/${entry.name}`
        if (entry.isDirectory()) {
          if (prefix.startsWith(`${child}/`) || `${child}/`.startsWith(prefix))
            await walk(join(directory, entry.name), child)
        } else if (child.startsWith(prefix) && !entry.name.endsWith(asideSuffix)) {
          const info = await stat(join(directory, entry.name)).catch(() => undefined)
          if (info !== undefined) found.push({ key: child, bytes: info.size, modifiedMs: info.mtimeMs })
        }
      }
    }
    await walk(base === '' ? this.#root : join(this.#root, ...base.split('/')), base)
    return found.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async listDirectories(prefix: string): Promise<string[]> {
    return (await this.#entries(join(this.#root, ...prefix.split('/').filter(Boolean))))
      .filter(e => e.isDirectory())
      .map(e => e.name)
      .sort()
  }

  /** None where there is no such directory. */
  async #entries(directory: string): Promise<Dirent[]> {
    try {
      return await this.#try('list', directory, () => readdir(directory, { withFileTypes: true }))
    } catch (error) {
      if (error instanceof NotFoundError) return []
      throw error
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key)
    await this.#try('delete', key, async () => {
      await this.#requireRoot('delete')
      await rm(path, { force: true })
    })
    // Directories that became empty go too, as they would in an object store.
    for (let at = dirname(path); at.length > this.#root.length && at.startsWith(this.#root + sep); at = dirname(at)) {
      try {
        await rmdir(at)
      } catch {
        return
      }
    }
  }
}
