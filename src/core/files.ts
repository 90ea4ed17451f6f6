/** The local disk, handed in from the composition root: what the WAL and the backlog need of it, and no more. */
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { NotFoundError } from './errors.ts'

/** A file that only grows. One `append` at a time; behind a failed one the file's end is undefined until `cutTo`. */
export interface AppendFile {
  append(bytes: Uint8Array): Promise<void>
  /** Takes back what lies behind the first `length` bytes. */
  cutTo(length: number): Promise<void>
  /** Forces what was appended to the disk itself. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface Files {
  openAppend(path: string): Promise<AppendFile>
  /** The whole file; NotFoundError when there is none. */
  read(path: string): Promise<Uint8Array>
  /** At most `length` bytes from `offset`; fewer at the end of the file. */
  readRange(path: string, offset: number, length: number): Promise<Uint8Array>
  /**
   * Replaces the file in one step: after a crash there is the old or the new content, never a part. With `isForced` it
   * is the new one also after a power failure.
   */
  writeAtomic(path: string, bytes: Uint8Array, isForced?: boolean): Promise<void>
  /**
   * Names of the plain files in a directory, and of links to such, sorted; empty when there is no such directory.
   * Kubernetes mounts ConfigMaps and Secrets as links.
   */
  list(directory: string): Promise<string[]>
  /** Names of the directories in a directory, sorted. */
  listDirectories(directory: string): Promise<string[]>
  size(path: string): Promise<number>
  /** With `isForced` the file does not come back after a power failure. */
  remove(path: string, isForced?: boolean): Promise<void>
  removeDirectory(directory: string): Promise<void>
  /** Free bytes on the disk that holds `directory`. */
  freeBytes(directory: string): Promise<number>
}

async function leadsToFile(link: string): Promise<boolean> {
  try {
    return (await stat(link)).isFile()
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}

function notMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}

async function orNotFound<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (isMissing(error)) throw new NotFoundError(`no such file: ${path}`, { cause: error })
    throw error
  }
}

/** Forces names to the disk: a new name is lost with the power until its directory is written. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Not every file system knows this of directories.
    if (!(error instanceof Error && 'code' in error && (error.code === 'EINVAL' || error.code === 'ENOTSUP')))
      throw error
  } finally {
    await handle.close()
  }
}

let temporarySequence = 0

export const systemFiles: Files = {
  async openAppend(path) {
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(path, 'a')
    return {
      append: async bytes => {
        let written = 0
        while (written < bytes.length)
          written += (await handle.write(bytes, written, bytes.length - written)).bytesWritten
      },
      cutTo: length => handle.truncate(length),
      sync: () => handle.datasync(),
      close: () => handle.close(),
    }
  },
  read: path => orNotFound(path, readFile(path)),
  async readRange(path, offset, length) {
    const handle = await orNotFound(path, open(path, 'r'))
    try {
      const bytes = new Uint8Array(length)
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
  },
  async writeAtomic(path, bytes, isForced = false) {
    await mkdir(dirname(path), { recursive: true })
    const temporary = `${path}.${process.pid}-${temporarySequence++}.tmp`
    try {
      await writeFile(temporary, bytes, { flush: true })
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    if (isForced) await syncDirectory(dirname(path))
  },
  async list(directory) {
    try {
      const entries = await readdir(directory, { withFileTypes: true })
      const isListed = await Promise.all(
        entries.map(e => e.isFile() || (e.isSymbolicLink() && leadsToFile(`${directory}/${e.name}`))),
      )
      return entries
        .filter((_, i) => isListed[i])
        .map(e => e.name)
        .sort()
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  },
  async listDirectories(directory) {
    try {
      const entries = await readdir(directory, { withFileTypes: true })
      return entries
        .filter(e => e.isDirectory())
        .map(e => e.name)
        .sort()
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  },
  size: async path => (await orNotFound(path, stat(path))).size,
  async remove(path, isForced = false) {
    await rm(path, { force: true })
    if (isForced) await syncDirectory(dirname(path)).catch((error: unknown) => notMissing(error))
  },
  removeDirectory: directory => rm(directory, { recursive: true, force: true }),
  async freeBytes(directory) {
    let at = directory
    for (;;) {
      try {
        const info = await statfs(at)
        return info.bavail * info.bsize
      } catch (error) {
        if (!isMissing(error) || dirname(at) === at) throw error
        at = join(at, '..')
      }
    }
  },
}
