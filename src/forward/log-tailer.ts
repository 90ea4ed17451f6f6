/**
 * Follows the log files of a node's pods (CRI's format) and hands their entries on: places in files, and what waits for
 * the rest of its line, survive restarts; rotated files are read to their end. A place is written down when the entries
 * before it are kept.
 */
import type { Clock } from '#core/clock.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { NewerFormatError, refuseNewer, versionOfState } from '#core/own-formats.ts'
import { JoinedLines, type JoinOptions, type JoinState } from './joined-lines.ts'

/** Entries of one label set, in order. */
export interface LogStream {
  stream: Record<string, string>
  /** Nanoseconds as digits, and the line. */
  values: [string, string][]
}

/** Where log files are, and where their entries go. */
export interface LogTailerOptions {
  clock: Clock
  files: Files
  log: Log
  /** `/var/log/pods`: <namespace>_<pod>_<uid>/<container>/<restart>.log */
  directory: string
  statePath: string
  /** Labels of every line. */
  labels: Readonly<Record<string, string>>
  /**
   * Whether a line begins an entry; undefined: lines that begin with a blank, or with a closing brace, belong to the
   * entry before.
   */
  isFirstLine: ((line: string) => boolean) | undefined
  /** Bytes of a line that receivers take; longer ones go in parts. */
  lineBytesMax: number
  /** Resolves when the entries are kept. */
  push: (streams: LogStream[]) => Promise<void>
}

/** `rotated`: the newest renamed file that was read to its end; undefined: not known. */
interface TailedFile {
  labels: Record<string, string>
  offset: number
  rotated: string | undefined
  lines: JoinedLines
}
interface SavedFile {
  offset: number
  rotated?: string
  lines?: JoinState
}

/** A number is an offset, as earlier versions wrote it. */
type SavedFiles = Record<string, SavedFile | number>

const pollMs = 500
const readBytes = 512 * 1024
/** An entry of several lines waits so long for more. */
const entryIdleMs = 2000
/** Entries and bytes of lines that are pushed together, about. */
const pushLinesMax = 2000
const pushBytesMax = 1024 * 1024

/** Entries could not be kept: nothing is read beyond them. */
class PushFailedError extends Error {
  override name = 'PushFailedError'
}

/** Follows every file of the directory from `start` to `stop`. */
export class LogTailer {
  readonly #options: LogTailerOptions
  readonly #join: JoinOptions
  readonly #state = new Map<string, TailedFile>()
  #saved: SavedFiles = {}
  /** Entries that are to be pushed, and their bytes. */
  #streams = new Map<string, LogStream>()
  #count = 0
  #bytes = 0
  #repeater: Repeater | undefined
  /** Places that could not be read at the last look. */
  readonly #failing = new Set<string>()
  #lastReadingNs = 0n
  /** The last writing down of places succeeded. */
  #isSaved = true
  lines = 0
  malformed = 0
  split = 0

  constructor(options: LogTailerOptions) {
    this.#options = options
    this.#join = {
      isFirstLine: options.isFirstLine ?? (line => !/^[\s}]/.test(line) && line !== ''),
      bytesMax: options.lineBytesMax,
      monotonicMs: () => options.clock.monotonicMs(),
      readingNs: () => this.#readingNs(),
    }
  }

  #readingNs(): string {
    const now = BigInt(this.#options.clock.nowMs()) * 1_000_000n
    this.#lastReadingNs = now > this.#lastReadingNs ? now : this.#lastReadingNs + 1n
    return String(this.#lastReadingNs)
  }

  async start(): Promise<void> {
    const { files, statePath, log, clock } = this.#options
    try {
      const saved: unknown = JSON.parse(Buffer.from(await files.read(statePath)).toString('utf8'))
      if (typeof saved !== 'object' || saved === null) throw new Error('an object was expected')
      refuseNewer('log-places', versionOfState(saved), statePath)
      this.#saved = saved as SavedFiles
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      if (!(error instanceof NotFoundError))
        log.warn('places in log files are not known, they are read from the beginning', {
          file: statePath,
          error: messageOf(error),
        })
    }
    this.#repeater = new Repeater(clock, pollMs, () =>
      this.poll().catch((error: unknown) => {
        log.warn('log files could not be followed', { error: messageOf(error) })
      }),
    )
  }

  /** Reads new lines, pushes their entries, then writes down the place of every file. */
  async poll(): Promise<void> {
    const { files, directory, log } = this.#options
    // What could not be kept goes first: nothing is read beyond it.
    await this.#push()
    const seen = new Set<string>()
    /** Places that could not be looked at: what lies there is not gone. */
    const unseen: string[] = []
    const attempt = async (place: string, work: () => Promise<void>): Promise<void> => {
      try {
        await work()
        this.#failing.delete(place)
      } catch (error) {
        if (error instanceof PushFailedError) throw error
        unseen.push(place)
        if (this.#failing.has(place)) return
        this.#failing.add(place)
        log.warn("log files can't be read; the others are followed", { place, error: messageOf(error) })
      }
    }
    for (const pod of await files.listDirectories(directory))
      await attempt(`${directory}/${pod}`, async () => {
        for (const container of await files.listDirectories(`${directory}/${pod}`))
          await attempt(`${directory}/${pod}/${container}`, () => this.#readContainer(pod, container, seen, attempt))
      })
    for (const [path, file] of this.#state)
      if (!seen.has(path) && !unseen.some(place => path === place || path.startsWith(`${place}/`))) {
        file.lines.endAll()
        this.#collect(file)
        this.#state.delete(path)
      }
    if (unseen.length === 0) this.#saved = {}
    await this.#push()
  }

  async #readContainer(
    pod: string,
    container: string,
    seen: Set<string>,
    attempt: (place: string, work: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { files, directory } = this.#options
    const place = `${directory}/${pod}/${container}`
    const names = await files.list(place)
    // Between the renaming of a file and the beginning of the next one, only the renamed one is there.
    for (const name of new Set(names.flatMap(n => /^\d+\.log(?=\.|$)/.exec(n) ?? []))) {
      const path = `${place}/${name}`
      seen.add(path)
      await attempt(path, () => this.#readFile(path, this.#fileOf(path, pod, container), rotatedOf(name, names)))
    }
  }

  #fileOf(path: string, pod: string, container: string): TailedFile {
    const known = this.#state.get(path)
    if (known !== undefined) return known
    const [namespace = '', name = ''] = pod.split('_')
    const read = Object.hasOwn(this.#saved, path) ? this.#saved[path] : undefined
    const saved = typeof read === 'number' || isSaved(read) ? read : undefined
    // Of a file that is new, those that were renamed already are read first.
    const { offset, rotated, lines }: SavedFile =
      typeof saved === 'object' ? saved : saved === undefined ? { offset: 0, rotated: '' } : { offset: saved }
    const file: TailedFile = {
      labels: { ...this.#options.labels, namespace, pod: name, container },
      offset,
      rotated,
      lines: new JoinedLines(this.#join, lines),
    }
    this.#state.set(path, file)
    return file
  }

  async #readFile(path: string, file: TailedFile, rotated: readonly string[]): Promise<void> {
    // It may be renamed while it is read: what was read then is let go, and the renamed one comes first.
    for (let now: readonly string[] | undefined = rotated; now !== undefined;) {
      await this.#readRotated(path, file, now)
      now = await this.#readCurrent(path, file)
    }
    file.lines.endIdle(entryIdleMs)
    this.#collect(file)
    if (this.#isMuch) await this.#push()
  }

  /** Reads what was renamed since the last look to its end. */
  async #readRotated(path: string, file: TailedFile, rotated: readonly string[]): Promise<void> {
    const known = file.rotated
    const { files } = this.#options
    let gone = rotated.filter(name => known !== undefined && name > known)
    // Places of earlier versions don't name it.
    if (known === undefined) gone = ((await this.#sizeOf(path)) ?? 0) < file.offset ? rotated.slice(-1) : []
    for (const name of gone) {
      const old = `${directoryOf(path)}/${name}`
      const size = (await this.#sizeOf(old)) ?? 0
      while (file.offset < size) {
        const bytes = await files.readRange(old, file.offset, Math.min(readBytes, size - file.offset))
        if (!this.#take(Buffer.from(bytes), file, file.offset + bytes.length >= size)) break
        this.#collect(file)
        if (this.#isMuch) await this.#push()
      }
      file.offset = 0
      file.rotated = name
    }
    file.rotated ??= rotated.at(-1) ?? ''
  }

  /** Reads new lines; the renamed files where there is a new one, of which nothing was read then. */
  async #readCurrent(path: string, file: TailedFile): Promise<string[] | undefined> {
    const { files } = this.#options
    const size = await this.#sizeOf(path)
    const look = async (): Promise<string[] | undefined> => {
      const rotated = rotatedOf(path.slice(path.lastIndexOf('/') + 1), await files.list(directoryOf(path)))
      return (rotated.at(-1) ?? '') > file.rotated! ? rotated : undefined
    }
    if (size === undefined) return look()
    if (size < file.offset) {
      const rotated = await look()
      if (rotated !== undefined) return rotated
      // Emptied in place.
      file.offset = 0
    }
    while (file.offset < size) {
      const bytes = await this.#readRange(path, file.offset, Math.min(readBytes, size - file.offset))
      const rotated = await look()
      if (rotated !== undefined) return rotated
      if (!this.#take(bytes, file, false)) return undefined
      this.#collect(file)
      if (this.#isMuch) await this.#push()
    }
    return undefined
  }

  async #sizeOf(path: string): Promise<number | undefined> {
    try {
      return await this.#options.files.size(path)
    } catch (error) {
      if (error instanceof NotFoundError) return undefined
      throw error
    }
  }

  async #readRange(path: string, offset: number, length: number): Promise<Buffer> {
    try {
      return Buffer.from(await this.#options.files.readRange(path, offset, length))
    } catch (error) {
      if (error instanceof NotFoundError) return Buffer.alloc(0)
      throw error
    }
  }

  get #isMuch(): boolean {
    return this.#count >= pushLinesMax || this.#bytes >= pushBytesMax
  }

  /** Takes whole lines of a part; false when there is none yet. `isEnd`: nothing comes behind it. */
  #take(bytes: Buffer, file: TailedFile, isEnd: boolean): boolean {
    if (bytes.length === 0) return false
    const end = bytes.lastIndexOf(10)
    if (end >= 0) {
      for (const line of bytes.toString('utf8', 0, end).split('\n')) file.lines.add(line)
      file.offset += end + 1
      return true
    }
    if (isEnd) {
      file.lines.add(bytes.toString('utf8'))
      file.offset += bytes.length
      return true
    }
    if (bytes.length < readBytes) return false
    // The beginning of a line that is longer than a part, up to a whole character.
    let cut = bytes.length
    while (cut > bytes.length - 4 && (bytes[cut - 1]! & 0xc0) === 0x80) cut--
    if (bytes[cut - 1]! >= 0xc0) cut--
    else cut = bytes.length
    file.lines.add(bytes.toString('utf8', 0, cut), true)
    file.offset += cut
    return true
  }

  /** Takes over the entries of a file that wait for nothing more. */
  #collect(file: TailedFile): void {
    const { lines } = file
    for (const { stream, timeNs, text } of lines.entries) {
      const labels = stream === '' ? file.labels : { ...file.labels, stream }
      const key = JSON.stringify(labels)
      let own = this.#streams.get(key)
      if (own === undefined) this.#streams.set(key, (own = { stream: labels, values: [] }))
      own.values.push([timeNs, text])
      this.#count++
      this.#bytes += text.length
    }
    this.malformed += lines.malformed
    this.split += lines.split
    lines.entries = []
    lines.malformed = 0
    lines.split = 0
  }

  /** Entries that can't be kept now stay here, and are pushed by the next poll. */
  async #push(): Promise<void> {
    if (this.#count === 0) return
    try {
      await this.#options.push([...this.#streams.values()])
    } catch (error) {
      throw new PushFailedError(messageOf(error), { cause: error })
    }
    this.lines += this.#count
    this.#streams = new Map()
    this.#count = 0
    this.#bytes = 0
    try {
      await this.#save()
      this.#isSaved = true
    } catch (error) {
      // After a crash lines come twice, at the same time: receivers keep one.
      if (this.#isSaved)
        this.#options.log.warn('places in log files could not be written down', { error: messageOf(error) })
      this.#isSaved = false
    }
  }

  /** Files that were not seen since the start keep their places. */
  #save(): Promise<void> {
    const places: SavedFiles = { ...this.#saved }
    for (const [path, { offset, rotated, lines }] of this.#state)
      places[path] = { offset, ...(rotated === undefined ? {} : { rotated }), lines: lines.state() }
    return this.#options.files.writeAtomic(this.#options.statePath, Buffer.from(JSON.stringify(places)))
  }

  async stop(): Promise<void> {
    await this.#repeater?.stop()
    for (const file of this.#state.values()) {
      file.lines.endEntries()
      this.#collect(file)
    }
    await this.#push()
  }
}

/** A place as `save` writes it. */
function isSaved(value: SavedFile | undefined | null): value is SavedFile {
  return typeof value === 'object' && value !== null && Number.isFinite(value.offset)
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

/** The renamed files of a file that are not compressed, oldest first: their names end in a time. */
function rotatedOf(name: string, names: readonly string[]): string[] {
  return names.filter(n => n.startsWith(`${name}.`) && !/\.(gz|tmp)$/.test(n)).sort()
}
