/**
 * A disk with faults: full, broken, torn. A killed process leaves what `write` took; a power failure leaves what was
 * synced, and any part of the rest.
 */
import { NotFoundError } from '#core/errors.ts'
import type { AppendFile, Files } from '#core/files.ts'
import { forever, type Life, type Surroundings } from './life.ts'

interface DiskFile {
  bytes: Uint8Array
  length: number
  synced: number
}

/** A change of a name that a power failure may undo. */
interface NameChange {
  atMs: number
  path: string
  before: DiskFile | undefined
}

export type DiskOperation = 'append' | 'cut' | 'sync' | 'write'

/** So long a change of a name may stay in the system's memory. */
const nameChangeMs = 5000

export class DiskError extends Error {
  readonly code: string
  constructor(code: string, operation: string) {
    super(`${code}: ${operation}`)
    this.code = code
  }
}

export class Disk {
  readonly files = new Map<string, DiskFile>()
  readonly #world: Surroundings
  #changes: NameChange[] = []
  fullUntilMs = 0
  /** How many of the next operations fail with EIO. */
  readonly broken = new Map<DiskOperation, number>()

  constructor(world: Surroundings) {
    this.#world = world
  }

  get isFull(): boolean {
    return this.#world.nowMs < this.fullUntilMs
  }

  replace(path: string, file: DiskFile | undefined, isForced: boolean): void {
    if (isForced) this.force(path)
    else this.#changes.push({ atMs: this.#world.nowMs, path, before: this.files.get(path) })
    if (file === undefined) this.files.delete(path)
    else this.files.set(path, file)
  }

  /** The name is on the disk, too. */
  force(path: string): void {
    this.#changes = this.#changes.filter(change => change.path !== path)
  }

  /** Throws when the operation fails now. Returns how many of the bytes it may take before it fails, else undefined. */
  faultOf(operation: DiskOperation): DiskError | undefined {
    if (this.isFull && (operation === 'append' || operation === 'write')) return new DiskError('ENOSPC', operation)
    const left = this.broken.get(operation) ?? 0
    if (left <= 0) return undefined
    this.broken.set(operation, left - 1)
    return new DiskError('EIO', operation)
  }

  /** What was not forced to the disk is there in part, or not at all. */
  failPower(): void {
    const world = this.#world
    // Names reach the disk in their order, as journals have it: the newest changes are undone.
    const open = this.#changes.filter(({ atMs }) => atMs >= world.nowMs - nameChangeMs)
    for (const { path, before } of open.slice(world.below(open.length + 1)).reverse())
      if (before === undefined) this.files.delete(path)
      else this.files.set(path, before)
    this.#changes = []
    for (const file of this.files.values()) {
      if (file.synced >= file.length) continue
      const lost = file.length - file.synced
      // Blocks of the file reach the disk in any order: a hole in front of bytes that are there.
      const cut = file.synced + world.below(lost + 1)
      if (world.chance(2)) file.length = cut
      else file.bytes.fill(0, file.synced, cut)
      file.synced = file.length
    }
  }

  children(directory: string): string[] {
    const prefix = `${directory}/`
    return [...this.files.keys()].filter(path => path.startsWith(prefix)).map(path => path.slice(prefix.length))
  }
}

function append(file: DiskFile, bytes: Uint8Array): void {
  const length = file.length + bytes.length
  if (length > file.bytes.length) {
    const grown = new Uint8Array(length * 2)
    grown.set(file.bytes.subarray(0, file.length))
    file.bytes = grown
  }
  file.bytes.set(bytes, file.length)
  file.length = length
}

/** The disk as one process has it. */
export class ProcessFiles implements Files {
  readonly #disk: Disk
  readonly #life: Life
  readonly #world: Surroundings

  constructor(world: Surroundings, disk: Disk, life: Life) {
    this.#world = world
    this.#disk = disk
    this.#life = life
  }

  /** Does `work`, or a part of it, unless the process dies before. */
  async #do<T>(text: string, operation: DiskOperation | 'read', work: () => T, part?: () => void): Promise<T> {
    const world = this.#world
    const life = this.#life
    if (life.isDead) return forever()
    world.note(`disk ${text}`)
    if (world.chance(4)) await world.sleep(world.below(8))
    if (life.isDead) return forever()
    if (life.diesNow()) {
      if (life.crashEffect === 'torn') part?.()
      if (life.crashEffect === 'after') work()
      life.die()
      return forever()
    }
    const fault = operation === 'read' ? undefined : this.#disk.faultOf(operation)
    if (fault !== undefined) {
      part?.()
      throw fault
    }
    return work()
  }

  #file(path: string): DiskFile {
    const file = this.#disk.files.get(path)
    if (file === undefined) throw new NotFoundError(`no such file: ${path}`)
    return file
  }

  async openAppend(path: string): Promise<AppendFile> {
    const file = await this.#do(`open ${path}`, 'append', () => {
      const known = this.#disk.files.get(path)
      if (known !== undefined) return known
      const made: DiskFile = { bytes: new Uint8Array(256), length: 0, synced: 0 }
      this.#disk.replace(path, made, false)
      return made
    })
    return {
      append: bytes => {
        const taken = bytes.slice()
        return this.#do(
          `append ${path}`,
          'append',
          () => {
            append(file, taken)
          },
          () => {
            append(file, taken.subarray(0, this.#world.below(taken.length)))
          },
        )
      },
      cutTo: length =>
        this.#do(`cut ${path}`, 'cut', () => {
          file.length = Math.min(file.length, length)
          file.synced = Math.min(file.synced, length)
        }),
      sync: () =>
        this.#do(`sync ${path}`, 'sync', () => {
          file.synced = file.length
          this.#disk.force(path)
        }),
      close: () => this.#do('close', 'read', () => {}),
    }
  }

  read(path: string): Promise<Uint8Array> {
    return this.#do(`read ${path}`, 'read', () => {
      const { bytes, length } = this.#file(path)
      return bytes.slice(0, length)
    })
  }
  readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#do(`read ${path}`, 'read', () => {
      const file = this.#file(path)
      return file.bytes.slice(offset, Math.min(file.length, offset + length))
    })
  }
  writeAtomic(path: string, bytes: Uint8Array, isForced = false): Promise<void> {
    const taken = bytes.slice()
    return this.#do(`write ${path}`, 'write', () => {
      this.#disk.replace(path, { bytes: taken, length: taken.length, synced: taken.length }, isForced)
    })
  }
  list(directory: string): Promise<string[]> {
    return this.#do(`list ${directory}`, 'read', () =>
      this.#disk
        .children(directory)
        .filter(rest => !rest.includes('/'))
        .sort(),
    )
  }
  listDirectories(directory: string): Promise<string[]> {
    return this.#do(`list ${directory}`, 'read', () => {
      const below = this.#disk.children(directory).filter(rest => rest.includes('/'))
      return [...new Set(below.map(rest => rest.slice(0, rest.indexOf('/'))))].sort()
    })
  }
  size(path: string): Promise<number> {
    return this.#do(`size ${path}`, 'read', () => this.#file(path).length)
  }
  remove(path: string, isForced = false): Promise<void> {
    return this.#do(`remove ${path}`, 'read', () => {
      this.#disk.replace(path, undefined, isForced)
    })
  }
  removeDirectory(directory: string): Promise<void> {
    const paths = (): string[] => this.#disk.children(directory).map(rest => `${directory}/${rest}`)
    const removeSome = (oneIn: number): void => {
      for (const path of paths()) if (this.#world.chance(oneIn)) this.#disk.replace(path, undefined, false)
    }
    return this.#do(
      `remove ${directory}`,
      'read',
      () => {
        removeSome(1)
      },
      () => {
        removeSome(2)
      },
    )
  }
  freeBytes(): Promise<number> {
    return this.#do('free', 'read', () => (this.#disk.isFull ? 0 : Number.MAX_SAFE_INTEGER))
  }
}
