/**
 * Follows the log files of a node's pods (CRI's format) and sends them on as Loki's pushes: partial lines are joined,
 * traces of several lines too, places in files survive restarts, rotated files are read to their end. Source: the
 * public description of CRI's log format.
 */
import type { Clock } from '#core/clock.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'

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
  push: (body: Uint8Array) => Promise<void>
}

/** `entryAt`: where the line that is not ended, or the entry, begins: a restart reads from there. */
interface TailedFile {
  offset: number
  entryAt: number
  lineAt: number
  partial: string
  entry: { time: string; text: string; atMs: number } | undefined
  stream: string
}
interface Value {
  labels: Record<string, string>
  time: string
  line: string
}

const pollMs = 500
const readBytes = 512 * 1024
const lineBytesMax = 256 * 1024
const entryBytesMax = 256 * 1024
/** An entry of several lines waits so long for more. */
const entryIdleMs = 2000
const pushLinesMax = 2000

const shape = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])[^ ]* ?([\s\S]*)$/

/** Nanoseconds of a time with up to nine digits behind the point. */
export function nanosecondsOf(time: string): string {
  const digits = (/\.(\d+)/.exec(time)?.[1] ?? '').padEnd(9, '0').slice(0, 9)
  return `${Math.floor(Date.parse(time.replace(/\.\d+/, '')) / 1000)}${digits}`
}

/** Follows every file of the directory from `start` to `stop`. */
export class LogTailer {
  readonly #options: LogTailerOptions
  readonly #state = new Map<string, TailedFile>()
  #repeater: Repeater | undefined
  lines = 0
  malformed = 0

  constructor(options: LogTailerOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { files, statePath, log, clock } = this.#options
    try {
      for (const [path, offset] of Object.entries(
        JSON.parse(Buffer.from(await files.read(statePath)).toString('utf8')) as Record<string, number>,
      ))
        this.#state.set(path, { offset, entryAt: offset, lineAt: offset, partial: '', entry: undefined, stream: '' })
    } catch (error) {
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
    const { files, directory } = this.#options
    const seen = new Set<string>()
    const values: Value[] = []
    for (const pod of await files.listDirectories(directory)) {
      for (const container of await files.listDirectories(`${directory}/${pod}`)) {
        const names = await files.list(`${directory}/${pod}/${container}`)
        for (const name of names.filter(n => /^\d+\.log$/.test(n))) {
          const path = `${directory}/${pod}/${container}/${name}`
          seen.add(path)
          await this.#readFile(
            path,
            this.#labelsOf(pod, container),
            names.filter(n => n.startsWith(`${name}.`) && !n.endsWith('.gz')).sort(),
            values,
          )
        }
      }
    }
    for (const [path, file] of this.#state)
      if (!seen.has(path)) {
        this.#endEntry(file, values)
        this.#state.delete(path)
      }
    if (values.length > 0) await this.#push(values)
  }

  #labelsOf(pod: string, container: string): Record<string, string> {
    const [namespace = '', name = ''] = pod.split('_')
    return { ...this.#options.labels, namespace, pod: name, container }
  }

  async #readFile(
    path: string,
    labels: Record<string, string>,
    rotated: readonly string[],
    values: Value[],
  ): Promise<void> {
    const { files } = this.#options
    let file = this.#state.get(path)
    if (file === undefined)
      this.#state.set(path, (file = { offset: 0, entryAt: 0, lineAt: 0, partial: '', entry: undefined, stream: '' }))
    const size = await files.size(path)
    if (size < file.offset) {
      // The file was rotated: the rest of the renamed one first.
      const old = rotated.at(-1)
      if (old !== undefined) {
        const oldPath = `${path.slice(0, path.lastIndexOf('/'))}/${old}`
        const oldSize = await files.size(oldPath)
        while (file.offset < oldSize && (await this.#readPart(oldPath, oldSize, file, labels, values))) {
          /* to its end */
        }
      }
      this.#endEntry(file, values)
      file.offset = 0
      file.partial = ''
    }
    while (
      file.offset < size &&
      values.length < pushLinesMax &&
      (await this.#readPart(path, size, file, labels, values))
    ) {
      /* more */
    }
    if (file.entry !== undefined && this.#options.clock.monotonicMs() - file.entry.atMs >= entryIdleMs)
      this.#endEntry(file, values)
  }

  /** Whole lines of the next part; false when there is none. */
  async #readPart(
    path: string,
    size: number,
    file: TailedFile,
    labels: Record<string, string>,
    values: Value[],
  ): Promise<boolean> {
    const bytes = Buffer.from(
      await this.#options.files.readRange(path, file.offset, Math.min(readBytes, size - file.offset)),
    )
    const end = bytes.lastIndexOf(10)
    if (end < 0) {
      if (bytes.length < lineBytesMax) return false
      // A line without an end: it is passed over.
      this.malformed++
      file.offset += bytes.length
      return true
    }
    let at = file.offset
    for (const line of bytes.toString('utf8', 0, end).split('\n')) {
      this.#line(line, at, file, labels, values)
      at += Buffer.byteLength(line) + 1
    }
    file.offset += end + 1
    return true
  }

  #line(row: string, at: number, file: TailedFile, labels: Record<string, string>, values: Value[]): void {
    const match = shape.exec(row)
    if (match === null) {
      if (row !== '') this.malformed++
      return
    }
    const [, time = '', stream = '', flag, content = ''] = match
    if (file.partial === '') file.lineAt = at
    file.partial += content
    if (flag === 'P' && file.partial.length < entryBytesMax) return
    const text = file.partial
    file.partial = ''
    const { entry } = file
    const goesOn =
      entry !== undefined &&
      file.stream === stream &&
      entry.text.length + text.length < entryBytesMax &&
      !(this.#options.isFirstLine ?? (line => !/^[\s}]/.test(line) && line !== ''))(text)
    if (goesOn) {
      entry.text += `\n${text}`
      entry.atMs = this.#options.clock.monotonicMs()
      return
    }
    this.#endEntry(file, values)
    file.stream = stream
    file.entryAt = file.lineAt
    file.entry = { time, text, atMs: this.#options.clock.monotonicMs() }
    this.#pending.set(file, labels)
  }

  /** Labels of the entries that are not ended. */
  readonly #pending = new Map<TailedFile, Record<string, string>>()

  #endEntry(file: TailedFile, values: Value[], labels = this.#pending.get(file)): void {
    if (file.entry === undefined || labels === undefined) return
    values.push({
      labels: { ...labels, stream: file.stream },
      time: nanosecondsOf(file.entry.time),
      line: file.entry.text,
    })
    file.entry = undefined
    this.#pending.delete(file)
  }

  async #push(values: readonly Value[]): Promise<void> {
    const streams = new Map<string, { stream: Record<string, string>; values: [string, string][] }>()
    for (const { labels, time, line } of values) {
      const key = JSON.stringify(labels)
      let stream = streams.get(key)
      if (stream === undefined) streams.set(key, (stream = { stream: labels, values: [] }))
      stream.values.push([time, line])
    }
    await this.#options.push(Buffer.from(JSON.stringify({ streams: [...streams.values()] })))
    this.lines += values.length
    await this.#save()
  }

  /** Entries and lines that are not ended are read again after a restart. */
  #save(): Promise<void> {
    const places: Record<string, number> = {}
    for (const [path, file] of this.#state)
      places[path] = file.entry !== undefined ? file.entryAt : file.partial !== '' ? file.lineAt : file.offset
    return this.#options.files.writeAtomic(this.#options.statePath, Buffer.from(JSON.stringify(places)))
  }

  async stop(): Promise<void> {
    await this.#repeater?.stop()
    const values: Value[] = []
    for (const file of this.#state.values()) this.#endEntry(file, values)
    if (values.length > 0) await this.#push(values)
  }
}
