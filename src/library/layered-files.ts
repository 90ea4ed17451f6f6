/** Files of two kinds: what lies below a directory is in memory, everything else on the disk. */
import type { AppendFile, Files } from '#core/files.ts'

export class LayeredFiles implements Files {
  readonly #directory: string
  readonly #memory: Files
  readonly #disk: Files

  constructor(directory: string, memory: Files, disk: Files) {
    this.#directory = directory
    this.#memory = memory
    this.#disk = disk
  }

  #of(path: string): Files {
    return path === this.#directory || path.startsWith(`${this.#directory}/`) ? this.#memory : this.#disk
  }

  openAppend(path: string): Promise<AppendFile> {
    return this.#of(path).openAppend(path)
  }
  read(path: string): Promise<Uint8Array> {
    return this.#of(path).read(path)
  }
  readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#of(path).readRange(path, offset, length)
  }
  writeAtomic(path: string, bytes: Uint8Array, isForced?: boolean): Promise<void> {
    return this.#of(path).writeAtomic(path, bytes, isForced)
  }
  list(directory: string): Promise<string[]> {
    return this.#of(directory).list(directory)
  }
  listDirectories(directory: string): Promise<string[]> {
    return this.#of(directory).listDirectories(directory)
  }
  size(path: string): Promise<number> {
    return this.#of(path).size(path)
  }
  remove(path: string, isForced?: boolean): Promise<void> {
    return this.#of(path).remove(path, isForced)
  }
  removeDirectory(directory: string): Promise<void> {
    return this.#of(directory).removeDirectory(directory)
  }
  freeBytes(directory: string): Promise<number> {
    return this.#of(directory).freeBytes(directory)
  }
}
