/**
 * Reads segments of the log back: in the order in which they were written, each record once, and past what can't be
 * read. What a newer program wrote is whole, and passed over by nobody: the replay fails with NewerFormatError.
 */
import type { Clock } from '#core/clock.ts'
import { yieldEvery } from '#core/yield.ts'
import { CorruptDataError, messageOf, NotFoundError } from '#core/errors.ts'
import {
  decodeHeader,
  headerBytes,
  scanFramesInSteps,
  splitSegments,
  unpackSegment,
  type SegmentHeader,
} from './wal-segment.ts'

export interface WalRecord {
  /** Who wrote it, and its generation and number there. */
  writer: string
  generation: number
  number: number
  kind: number
  payload: Uint8Array
}

/**
 * Takes one record in, and returns the scopes that it belongs to. `missing` counts items that refer to something that
 * the log does not define, and that were passed over. Throws CorruptDataError for a record that can't be understood.
 */
export type RecordVisitor = (record: WalRecord) => { scopes: Iterable<string>; missing: number }

/** What a replay found. */
export interface ReplayReport {
  records: number
  bytes: number
  /** Records, or stretches of damaged bytes, that were passed over, without the torn end of a log. */
  skipped: number
  skippedBytes: number
  /** Items of readable records that refer to something that was lost. */
  missing: number
  problems: string[]
}

/** A segment that lies somewhere. */
export interface SegmentSource {
  name: string
  /** An object that was written at once: it has no torn end. */
  isPutWhole: boolean
  /** As it lies there: packed, joined, or plain. */
  read(): Promise<Uint8Array>
}

/** A segment that was read: what is needed to release it. */
export interface ReplayedSegment {
  source: SegmentSource
  writer: string
  generation: number
  /** Number of the last record that was read; -1 where none was. */
  lastRecord: number
  bytes: number
  scopes: Map<string, number>
}

const segmentDecodedBytesMax = 1024 * 1024 * 1024
/** Segments that are fetched ahead, while others are read. */
const fetchedAhead = 16
/** Records are shown so many bytes at a time: some milliseconds of work. */
const bytesBetweenPauses = 64 * 1024
/** Problems that are told in full. */
const problemsMax = 20

interface Piece {
  source: SegmentSource
  header: SegmentHeader
  bytes: Uint8Array
}

export class WalReplay {
  readonly report: ReplayReport = {
    records: 0,
    bytes: 0,
    skipped: 0,
    skippedBytes: 0,
    missing: 0,
    problems: [],
  }
  readonly segments: ReplayedSegment[] = []
  readonly #clock: Clock
  readonly #visit: RecordVisitor
  /** Is everything of the writer's generation in the bucket already? */
  readonly #isReleased: (writer: string, generation: number) => boolean
  /** By writer and generation: the number from which on records are still wanted. */
  readonly #next = new Map<string, number>()

  readonly #pause: () => Promise<void>

  /** Has any writer released anything by now? */
  readonly #anyIsReleased: () => Promise<boolean>

  constructor(
    clock: Clock,
    visit: RecordVisitor,
    isReleased: (writer: string, generation: number) => boolean,
    anyIsReleased: () => Promise<boolean>,
  ) {
    this.#clock = clock
    this.#pause = yieldEvery(clock)
    this.#visit = visit
    this.#isReleased = isReleased
    this.#anyIsReleased = anyIsReleased
  }

  /** Reads the sources, which are in the order of their writing. Fetches some ahead. */
  async read(sources: readonly SegmentSource[]): Promise<void> {
    let previous: Piece | undefined
    for await (const piece of this.#pieces(sources)) {
      if (previous !== undefined) await this.#readPiece(previous, piece.header)
      previous = piece
      await this.#clock.yield()
    }
    if (previous !== undefined) await this.#readPiece(previous, undefined)
  }

  async *#pieces(sources: readonly SegmentSource[]): AsyncGenerator<Piece> {
    const fetched: Promise<Uint8Array | Error>[] = []
    let next = 0
    const fetchMore = (): void => {
      while (next < sources.length && fetched.length < fetchedAhead)
        fetched.push(sources[next++]!.read().catch((error: unknown) => asError(error)))
    }
    for (const source of sources) {
      fetchMore()
      const bytes = await fetched.shift()!
      if (bytes instanceof Error) {
        // Only what the store says is gone or damaged is passed over: trouble on the way fails the replay.
        if (!(bytes instanceof NotFoundError)) throw bytes
        // A segment that was listed and is gone was released, if anything was: then the bucket has blocks of it.
        if (!(await this.#anyIsReleased())) this.#problem(source.name, 0, messageOf(bytes))
        continue
      }
      yield* this.#piecesOf(source, bytes)
    }
  }

  async *#piecesOf(source: SegmentSource, bytes: Uint8Array): AsyncGenerator<Piece> {
    let at = 0
    try {
      for (const part of splitSegments(bytes)) {
        at = part.byteOffset + part.length - bytes.byteOffset
        const piece = await this.#pieceOf(source, part)
        if (piece !== undefined) yield piece
      }
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      this.#problem(source.name, bytes.length - at, error.message)
    }
  }

  #noteEmpty(source: SegmentSource, bytes: number): void {
    this.segments.push({ source, writer: '', generation: -1, lastRecord: -1, bytes, scopes: new Map() })
  }

  async #pieceOf(source: SegmentSource, part: Uint8Array): Promise<Piece | undefined> {
    let length = Infinity
    try {
      const { bytes, isDamaged } = await unpackSegment(part, segmentDecodedBytesMax)
      if (isDamaged) this.#problem(source.name, 0, 'WAL segment: the compressed form is damaged')
      length = bytes.length
      return { source, header: decodeHeader(bytes, source.name), bytes }
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      // A crash in the middle of its first write leaves a header that is cut off.
      const isTorn = length < headerBytes && !source.isPutWhole
      if (isTorn) this.#noteEmpty(source, length)
      if (length > 0) this.#problem(source.name, part.length, error.message, isTorn)
      return undefined
    }
  }

  /** `following`: the header of the segment that was written next. */
  async #readPiece({ source, header, bytes }: Piece, following: SegmentHeader | undefined): Promise<void> {
    const { writer, generation, losses, firstRecord } = header
    const segment = {
      source,
      writer,
      generation,
      lastRecord: -1,
      bytes: bytes.length,
      scopes: new Map<string, number>(),
    }
    this.segments.push(segment)
    if (this.#isReleased(writer, generation)) return
    // Numbers that were given out again: their first records were refused.
    const voidFrom =
      following !== undefined && following.writer === writer && following.losses > losses
        ? following.firstRecord
        : Infinity
    const key = `${writer}/${generation}`
    const steps = scanFramesInSteps(bytes, firstRecord, {
      record: (number, kind, payload) => {
        if (number >= voidFrom || number < (this.#next.get(key) ?? 0)) return
        this.#next.set(key, number + 1)
        segment.lastRecord = number
        this.#take(segment, { writer, generation, number, kind, payload })
      },
      skipped: stretch => {
        // A crash in the middle of a write: what is cut off there was not acknowledged.
        const isLast = following === undefined || following.writer !== writer
        const isTorn = stretch.isTail && isLast && !source.isPutWhole
        this.#problem(source.name, stretch.bytes, `${stretch.reason} at ${stretch.at}`, isTorn)
      },
    })
    let sincePause = 0
    for (const frameBytes of steps) {
      sincePause += frameBytes
      if (sincePause < bytesBetweenPauses) continue
      sincePause = 0
      await this.#pause()
    }
    this.report.bytes += bytes.length
  }

  #take(segment: ReplayedSegment, record: WalRecord): void {
    try {
      const { scopes, missing } = this.#visit(record)
      for (const scope of scopes) segment.scopes.set(scope, record.number)
      this.report.missing += missing
      this.report.records++
      if (missing > 0)
        this.#tell(`${segment.source.name}: record ${record.number} refers to what was lost, ${missing} items of it`)
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      this.#problem(segment.source.name, record.payload.length, `record ${record.number}: ${error.message}`)
    }
  }

  #problem(name: string, bytes: number, reason: string, isTorn = false): void {
    if (!isTorn) {
      this.report.skipped++
      this.report.skippedBytes += bytes
    }
    this.#tell(`${name}: ${bytes} bytes were passed over: ${reason}`)
  }

  #tell(problem: string): void {
    if (this.report.problems.length < problemsMax) this.report.problems.push(problem)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error))
}
