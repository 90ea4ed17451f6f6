/**
 * Lines of one file become entries, each stream (stdout, stderr) by itself: partial lines are joined, lines that go on
 * belong to the entry before, what is too long goes in parts. What waits can be written down and taken up again.
 */

/** Source: the public description of CRI's log format. */
const shape = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])[^ ]* ?([\s\S]*)$/

/** Nanoseconds of a time with up to nine digits behind the point. */
export function nanosecondsOf(time: string): string {
  const digits = (/\.(\d+)/.exec(time)?.[1] ?? '').padEnd(9, '0').slice(0, 9)
  return `${Math.floor(Date.parse(time.replace(/\.\d+/, '')) / 1000)}${digits}`
}

/** `stream`: empty for a line that is not in CRI's form. `timeNs`: digits. */
export interface Entry {
  stream: string
  timeNs: string
  text: string
}

export interface JoinOptions {
  /** Whether a line begins an entry. */
  isFirstLine: (line: string) => boolean
  /** UTF-8 bytes of an entry; longer ones go in parts. */
  bytesMax: number
  monotonicMs: () => number
  /** The time of a line that has none, rising from line to line. */
  readingNs: () => string
}

/** What waits in a stream. `parts`: of the line that is not ended, those that have gone already. */
interface Waiting {
  partial: string
  partialNs: string
  parts: number
  entry: { timeNs: string; text: string; atMs: number } | undefined
}

/** What is written down of a file's lines. */
export interface JoinState {
  streams: Record<string, Omit<Waiting, 'entry'> & { entry?: { timeNs: string; text: string } }>
  /** The rest of the line that was begun comes without a head of its own. */
  rest?: { stream: string; isWhole: boolean }
}

export class JoinedLines {
  readonly #options: JoinOptions
  readonly #streams = new Map<string, Waiting>()
  #rest: JoinState['rest']
  /** Entries that wait for nothing more. */
  entries: Entry[] = []
  /** Lines that are not in CRI's form, and lines that went in parts. */
  malformed = 0
  split = 0

  constructor(options: JoinOptions, state?: JoinState) {
    this.#options = options
    this.#rest = state?.rest
    for (const [stream, { entry, ...waiting }] of Object.entries(state?.streams ?? {}))
      this.#streams.set(stream, {
        ...waiting,
        entry: entry === undefined ? undefined : { ...entry, atMs: options.monotonicMs() },
      })
  }

  /** A line of the file; with `isBegun` its beginning, whose rest comes next. */
  add(row: string, isBegun = false): void {
    const rest = this.#rest
    this.#rest = undefined
    if (rest !== undefined) {
      this.#piece(rest.stream, '', row, rest.isWhole && !isBegun)
      if (isBegun) this.#rest = rest
      return
    }
    const match = shape.exec(row)
    if (match === null) {
      if (row === '' && !isBegun) return
      this.malformed++
      this.#piece('', this.#options.readingNs(), row, !isBegun)
      if (isBegun) this.#rest = { stream: '', isWhole: true }
      return
    }
    const [, time = '', stream = '', flag, content = ''] = match
    this.#piece(stream, nanosecondsOf(time), content, flag === 'F' && !isBegun)
    if (isBegun) this.#rest = { stream, isWhole: flag === 'F' }
  }

  #piece(stream: string, timeNs: string, content: string, isEnd: boolean): void {
    let waiting = this.#streams.get(stream)
    if (waiting === undefined)
      this.#streams.set(stream, (waiting = { partial: '', partialNs: '', parts: 0, entry: undefined }))
    if (waiting.partialNs === '') waiting.partialNs = timeNs
    waiting.partial += content
    this.#splitLong(stream, waiting)
    if (isEnd) this.#endLine(stream, waiting)
  }

  /** Parts of a line that are as long as a line may be. Each is a nanosecond later: equal lines at one time are one. */
  #splitLong(stream: string, waiting: Waiting): void {
    const { bytesMax } = this.#options
    // A character has at most three bytes for each of its UTF-16 units.
    if (waiting.partial.length * 3 <= bytesMax || Buffer.byteLength(waiting.partial) <= bytesMax) return
    if (waiting.parts === 0) {
      this.split++
      this.#endEntry(stream, waiting)
    }
    let bytes = Buffer.from(waiting.partial)
    while (bytes.length > bytesMax) {
      let end = bytesMax
      while (end > 1 && (bytes[end]! & 0xc0) === 0x80) end--
      this.#pushPart(stream, waiting, bytes.toString('utf8', 0, end))
      bytes = bytes.subarray(end)
    }
    waiting.partial = bytes.toString('utf8')
  }

  #pushPart(stream: string, waiting: Waiting, text: string): void {
    const timeNs = String(BigInt(waiting.partialNs) + BigInt(waiting.parts++))
    this.entries.push({ stream, timeNs, text })
  }

  #endLine(stream: string, waiting: Waiting): void {
    const { partial: text, partialNs: timeNs, parts } = waiting
    if (parts > 0) {
      if (text !== '') this.#pushPart(stream, waiting, text)
    } else this.#line(stream, waiting, timeNs, text)
    waiting.partial = ''
    waiting.partialNs = ''
    waiting.parts = 0
  }

  #line(stream: string, waiting: Waiting, timeNs: string, text: string): void {
    const { isFirstLine, bytesMax, monotonicMs } = this.#options
    const { entry } = waiting
    if (
      entry !== undefined &&
      !isFirstLine(text) &&
      Buffer.byteLength(entry.text) + 1 + Buffer.byteLength(text) <= bytesMax
    ) {
      entry.text += `\n${text}`
      entry.atMs = monotonicMs()
      return
    }
    this.#endEntry(stream, waiting)
    waiting.entry = { timeNs, text, atMs: monotonicMs() }
  }

  #endEntry(stream: string, waiting: Waiting): void {
    if (waiting.entry === undefined) return
    this.entries.push({ stream, timeNs: waiting.entry.timeNs, text: waiting.entry.text })
    waiting.entry = undefined
  }

  /** Ends entries that have waited for `ms`. */
  endIdle(ms: number): void {
    const nowMs = this.#options.monotonicMs()
    for (const [stream, waiting] of this.#streams)
      if (waiting.entry !== undefined && nowMs - waiting.entry.atMs >= ms) this.#endEntry(stream, waiting)
  }

  /** Ends entries; a line whose end is still to come waits on. */
  endEntries(): void {
    for (const [stream, waiting] of this.#streams) this.#endEntry(stream, waiting)
  }

  /** Nothing more comes: what there is of a line is all of it. */
  endAll(): void {
    this.#rest = undefined
    for (const [stream, waiting] of this.#streams) {
      if (waiting.partialNs !== '') this.#endLine(stream, waiting)
      this.#endEntry(stream, waiting)
    }
  }

  state(): JoinState {
    const streams: JoinState['streams'] = {}
    for (const [stream, { entry, ...waiting }] of this.#streams) {
      if (entry === undefined && waiting.partialNs === '') continue
      streams[stream] =
        entry === undefined ? waiting : { ...waiting, entry: { timeNs: entry.timeNs, text: entry.text } }
    }
    return this.#rest === undefined ? { streams } : { streams, rest: this.#rest }
  }
}
