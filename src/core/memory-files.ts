/**
 * A disk in memory, for tests and the simulation. What was appended but not synced can be cut off, as a power failure
 * does.
 */
import { grown } from './grown.ts'
import { NotFoundError } from './errors.ts'
import type { AppendFile, Files } from './files.ts'

interface Entry {
  bytes: Uint8Array
  length: number
  synced: number
}

export class MemoryFiles implements Files {
  readonly entries = new Map<string, Entry>()
  free = Number.MAX_SAFE_INTEGER
  /** Called before each operation with its name; may throw, to play a broken disk. */
  onOperation: (operation: string, path: string) => void = () => {}

  #entry(path: string): Entry {
    const entry = this.entries.get(path)
    if (entry === undefined) throw new NotFoundError(`no such file: ${path}`)
    return entry
  }

  async openAppend(path: string): Promise<AppendFile> {
    this.onOperation('open', path)
    let entry = this.entries.get(path)
    if (entry === undefined) this.entries.set(path, (entry = { bytes: new Uint8Array(256), length: 0, synced: 0 }))
    const file = entry
    return {
      append: async bytes => {
        this.onOperation('append', path)
        if (file.length + bytes.length > file.bytes.length) {
          file.bytes = grown(
            file.bytes.subarray(0, file.length),
            new Uint8Array(Math.max(file.length + bytes.length, file.bytes.length * 2)),
          )
        }
        file.bytes.set(bytes, file.length)
        file.length += bytes.length
      },
      cutTo: async length => {
        this.onOperation('cut', path)
        file.length = Math.min(file.length, length)
        file.synced = Math.min(file.synced, length)
      },
      sync: async () => {
        this.onOperation('sync', path)
        file.synced = file.length
      },
      close: async () => {},
    }
  }

  async read(path: string): Promise<Uint8Array> {
    this.onOperation('read', path)
    const entry = this.#entry(path)
    return entry.bytes.slice(0, entry.length)
  }

  async readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
    return (await this.read(path)).slice(offset, offset + length)
  }

  async writeAtomic(path: string, bytes: Uint8Array): Promise<void> {
    this.onOperation('write', path)
    this.entries.set(path, { bytes: bytes.slice(), length: bytes.length, synced: bytes.length })
  }

  async list(directory: string): Promise<string[]> {
    return this.#children(directory)
      .filter(rest => !rest.includes('/'))
      .sort()
  }
  async listDirectories(directory: string): Promise<string[]> {
    return [
      ...new Set(
        this.#children(directory)
          .filter(rest => rest.includes('/'))
          .map(rest => rest.slice(0, rest.indexOf('/'))),
      ),
    ].sort()
  }

  #children(directory: string): string[] {
    const prefix = `${directory}/`
    return [...this.entries.keys()].filter(path => path.startsWith(prefix)).map(path => path.slice(prefix.length))
  }

  async size(path: string): Promise<number> {
    return this.#entry(path).length
  }
  async remove(path: string): Promise<void> {
    this.onOperation('remove', path)
    this.entries.delete(path)
  }
  async removeDirectory(directory: string): Promise<void> {
    this.onOperation('remove', directory)
    for (const path of this.entries.keys()) if (path.startsWith(`${directory}/`)) this.entries.delete(path)
  }
  async freeBytes(): Promise<number> {
    return this.free
  }
}
