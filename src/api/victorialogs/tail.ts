/**
 * VictoriaLogs' live tail: a query asked again and again, for the time that was not answered for good yet. A slow
 * reader gets its lines later, in windows as narrow as its buffer wants, and none is left out; where that can't be
 * had, the tail ends. Lines older than five seconds when they come are for queries, as in VictoriaLogs.
 */
import { hash } from 'node:crypto'
import type { Clock } from '#core/clock.ts'
import { BadQueryError, LimitError, UnavailableError } from '#core/errors.ts'
import type { MemoryAccount, MemoryHold } from '#core/memory-budget.ts'
import { quote } from '#core/text.ts'
import type { LogsqlQuery } from '#lang/logsql/ast.ts'
import type { LogsReader } from '#logs/select.ts'
import type { QueryGate } from '#query/gate.ts'
import { parameterDurationMs } from '#lang/logsql/times.ts'
import { rangeOfMs, type LogsqlEngine } from '#query/logsql/engine.ts'
import type { Fields } from '#query/logsql/row.ts'
import { rowJson } from './respond.ts'

/** What tails share, and what bounds one. */
export interface TailingOptions {
  /** Each look for new lines takes its turn among the queries. */
  gate: QueryGate
  /** Tails at a time, those of other APIs included. */
  tails: TailCount
  /** Bytes of lines that a tail holds before they are sent. */
  tailBytesMax: number
  /** Lines of the last seconds that a tail knows as sent. Default: 50,000, some 10 MiB. */
  seenMax?: number
  /** What tails draw on; undefined: nobody counts. */
  memory?: MemoryAccount
}

/** The tails of all APIs together. */
export interface TailCount {
  running: number
  readonly max: number
  /** Notices to readers that lines were left out. */
  omissions: number
}

/** So much older than the newest a line may be when it comes. */
const lateMs = 5000
const lookEveryMs = 1000
/** A look waits so long for more lines beside the one that woke it. */
const gatherMs = 100
/** What a line takes beside its text. */
const lineBytes = 100
const pieceLength = 65_536

const refusedPipes = new Set([
  'stats',
  'sort',
  'uniq',
  'top',
  'facets',
  'limit',
  'offset',
  'field-names',
  'field-values',
  'blocks-count',
])

/** Throws BadQueryError for a query that has no rows before its end, and for parameters that are no durations. */
export function checkTailed({ pipes }: LogsqlQuery, form: URLSearchParams): void {
  for (const name of ['refresh_interval', 'start_offset', 'offset']) {
    const value = form.get(name) ?? ''
    const ms = parameterDurationMs(value)
    if (value !== '' && value !== 'undefined' && (ms === undefined || ms <= 0))
      throw new BadQueryError(
        `the parameter ${quote(name)} must be a duration such as 5s, ${quote(value)} is none`,
        0,
        0,
      )
  }
  const refused = pipes.find(({ kind }) => refusedPipes.has(kind))
  if (refused !== undefined) throw new BadQueryError(`the pipe ${quote(refused.kind)} can't be used in a tail`, 0, 0)
}

/** Rows of one text: lines that differ elsewhere may print the same. */
interface Seen {
  ms: number
  sent: number
  /** How many the look with this number has met. */
  met: number
  look: number
}

interface Look {
  lines: { line: string; ms: number }[]
  bytes: number
  /** Why it was cut short: `lines` is not all that the window has. */
  cut: 'lines' | 'seen' | undefined
}

export interface FollowedQuery {
  clock: Clock
  engine: LogsqlEngine
  query: LogsqlQuery
  reader: LogsReader
  signal: AbortSignal
  /** Called before the tail ends because it would lack something. */
  onLacking: () => void
}

/** The lines of one tail. */
export class LogsqlTail {
  readonly #of: FollowedQuery
  readonly #options: TailingOptions
  readonly #seenMax: number
  readonly #hold: MemoryHold | undefined
  readonly #omissionsBefore: number
  readonly #seen = new Map<string, Seen>()
  /** All lines before this time were sent. */
  #doneMs: number
  /** How much time one look is for. */
  #widthMs = Infinity
  /** Looks only at what is complete, so that nothing has to be known as sent. */
  #isDelayed = false
  #looks = 0
  #wake: (() => void) | undefined

  constructor(of: FollowedQuery, options: TailingOptions) {
    this.#of = of
    this.#options = options
    this.#seenMax = options.seenMax ?? 50_000
    this.#hold = options.memory?.hold()
    this.#doneMs = of.clock.nowMs() - lateMs - 1
    this.#omissionsBefore = of.reader.omissions.list().length
  }

  /** Lines of JSON as they come, until the reader goes. Throws where something would be left out, and as queries do. */
  async *pieces(): AsyncGenerator<string> {
    const { signal, reader } = this.#of
    const { tails } = this.#options
    const wake = (): void => this.#wake?.()
    const unwatch = reader.watch(wake)
    signal.addEventListener('abort', wake)
    tails.running++
    try {
      yield ''
      while (!signal.aborted) yield* this.#next()
    } finally {
      tails.running--
      this.#hold?.close()
      unwatch()
    }
  }

  /** The lines of one window; waits where there was nothing more to find. */
  async *#next(): AsyncGenerator<string> {
    const startedMs = this.#of.clock.nowMs()
    const completeMs = startedMs - lateMs
    const toMs = Math.min(this.#doneMs + this.#widthMs, this.#isDelayed ? completeMs : Infinity)
    const found = await this.#look(toMs, completeMs)
    if (found !== undefined) {
      const isNarrowed = found.cut !== undefined && this.#narrow(found, toMs)
      if (!isNarrowed) {
        // Known as sent before they are: a reader that goes in between misses nothing that matters.
        const doneMs = found.cut === undefined ? Math.max(this.#doneMs, Math.min(toMs, completeMs)) : this.#doneMs
        this.#remember(found, doneMs)
        yield* piecesOf(found)
        this.#forget(doneMs, found.lines.length)
      }
      this.#hold?.give(found.bytes)
      this.#checkWhole()
      if (found.cut === undefined) this.#widthMs *= 2
      // Where there is more it is not waited for, unless not even one line could be held.
      const hasMore = found.cut === undefined ? toMs < completeMs : found.lines.length > 0
      if (isNarrowed || hasMore) return
    }
    await this.#pause()
  }

  /** Makes the window smaller; false where it can't be, and what was found must go out before the rest is found. */
  #narrow({ cut, lines }: Look, toMs: number): boolean {
    if (cut === 'seen') {
      this.#isDelayed = true
      return true
    }
    const newestMs = lines.reduce((most, { ms }) => Math.max(most, ms), this.#doneMs)
    const widthMs = Math.min(toMs, newestMs + 1) - this.#doneMs
    if (widthMs > 1) {
      this.#widthMs = Math.max(1, Math.floor(widthMs / 2))
      return true
    }
    this.#widthMs = 1
    if (this.#seen.size + lines.length <= this.#seenMax) return false
    throw this.#lacking(
      new LimitError(`a tail can't tell more than ${this.#seenMax} lines of one millisecond apart`, 422),
    )
  }

  /** What was not sent yet before `toMs`; undefined: ask again later. Throws as queries do. */
  async #look(toMs: number, completeMs: number): Promise<Look | undefined> {
    const { engine, query, reader, signal } = this.#of
    const found: Look = { lines: [], bytes: 0, cut: undefined }
    this.#looks++
    let fresh = 0
    const write = (row: Fields): boolean => {
      const ms = Date.parse(row.get('_time') ?? '')
      if (Number.isNaN(ms)) throw new BadQueryError('the rows of a tail must have the field _time', 0, 0)
      const line = rowJson(row)
      if (this.#isKnown(line)) return true
      if (ms >= completeMs && this.#seen.size + ++fresh > this.#seenMax) found.cut = 'seen'
      else if (!this.#holds(found, line)) found.cut = 'lines'
      if (found.cut === undefined) found.lines.push({ line, ms })
      return found.cut === undefined
    }
    try {
      const range = rangeOfMs(this.#doneMs, toMs)
      await this.#options.gate.run(signal, Infinity, one => engine.run(query, range, reader, undefined, write, one))
    } catch (error) {
      this.#hold?.give(found.bytes)
      // No turn, no memory, or a chunk that was replaced meanwhile: nothing was sent.
      if (error instanceof UnavailableError) return undefined
      throw error
    }
    return found
  }

  /** Was this row sent? Rows that print the same are counted. */
  #isKnown(line: string): boolean {
    const seen = this.#seen.get(keyOf(line))
    if (seen === undefined) return false
    if (seen.look !== this.#looks) {
      seen.look = this.#looks
      seen.met = 0
    }
    return ++seen.met <= seen.sent
  }

  #holds(found: Look, line: string): boolean {
    const bytes = line.length * 2 + lineBytes
    if (found.bytes + bytes > this.#options.tailBytesMax) return false
    try {
      this.#hold?.take(bytes)
    } catch {
      return false
    }
    found.bytes += bytes
    return true
  }

  /** Lines from `doneMs` on will be found again. */
  #remember({ lines }: Look, doneMs: number): void {
    for (const { line, ms } of lines) {
      if (ms < doneMs) continue
      const key = keyOf(line)
      const seen = this.#seen.get(key)
      if (seen === undefined) this.#seen.set(key, { ms, sent: 1, met: 0, look: 0 })
      else seen.sent++
    }
  }

  /** What is older than `doneMs` will not be found again. `sent`: lines of the last look. */
  #forget(doneMs: number, sent: number): void {
    this.#doneMs = doneMs
    for (const [key, { ms }] of this.#seen) if (ms < doneMs) this.#seen.delete(key)
    if (this.#seen.size === 0 && sent < this.#seenMax / 10) this.#isDelayed = false
  }

  /** Throws where the looks so far lack something that the head of the answer did not say. */
  #checkWhole(): void {
    const { omissions } = this.#of.reader
    if (omissions.list().length <= this.#omissionsBefore) return
    throw this.#lacking(new UnavailableError(omissions.text() ?? '', 1))
  }

  #lacking(error: Error): Error {
    this.#options.tails.omissions++
    this.#of.onLacking()
    return error
  }

  async #pause(): Promise<void> {
    const { clock } = this.#of
    await new Promise<void>(resolve => {
      const timer = clock.after(lookEveryMs, resolve)
      this.#wake = () => {
        timer.cancel()
        clock.after(gatherMs, resolve)
      }
    })
    this.#wake = undefined
  }
}

/** Long rows are known by a hash that nobody can make another row for. */
function keyOf(line: string): string {
  return line.length <= 64 ? line : hash('sha256', line, 'base64')
}

function* piecesOf({ lines }: Look): Generator<string> {
  let piece = ''
  for (const { line } of lines) {
    piece += `${line}\n`
    if (piece.length < pieceLength) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}
