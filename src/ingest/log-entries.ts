/** Log entries with fields, as VictoriaLogs takes them: what is wrong with one costs that one, and is answered. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { checkJson } from '#core/json-body.ts'
import { isRawNumber, parseJson } from '#core/json.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppendOutcome } from '#logs/append.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { addFields, fieldDepthMax, flattenFields, readFieldRules, type FieldRules } from '#wire/json-logs/fields.ts'
import type { Intake } from './protocol.ts'
import { plainText, retryLater } from './reply.ts'

/** From parameters or `VL-` headers. */
export function fieldRules(request: HttpRequest, defaults: Partial<FieldRules> = {}): FieldRules {
  return readFieldRules((name, header) => request.query.get(name) ?? request.header(header), defaults)
}

/** Why an entry is not kept. */
export interface Refused {
  readonly message: string
  /** It could not be read. */
  readonly isBroken: boolean
  /** A limit that passes: sending it later may help. */
  readonly passes: boolean
}

/** One refused entry, by its place in the request. */
interface RefusedPlace extends Refused {
  readonly place: number
}

/** What became of the entries of one request. */
export interface StoredEntries {
  readonly count: number
  readonly refusedCount: number
  /** The first that was refused, and the first for a limit that passes. */
  readonly first: RefusedPlace | undefined
  readonly firstPassing: RefusedPlace | undefined
  /** Each by its place, where they were asked for. */
  readonly refused: ReadonlyMap<number, Refused>
}

/** Entries of a long request are stored in batches of so many, or so many texts. */
const batchEntries = 16_384
const batchTexts = 262_144
/** Longer lines are counted before they are parsed: shorter ones can't hold more than any body may. */
const lineBytesFree = 64 * 1024
/** Fields, and elements of fields, of one of those: some milliseconds of work. */
const lineElementsMax = 20_000

/**
 * The entries of one request. Those of a long one are stored in several batches: where the door throws at a later one,
 * the earlier ones are kept.
 */
export class LogEntries {
  #builder = new LogBatchBuilder()
  /** By entry of the builder: its place in the request. */
  #places: number[] = []
  #texts = 0
  readonly #refused = new Map<number, Refused>()
  readonly #isListing: boolean
  #refusedCount = 0
  #first: RefusedPlace | undefined
  #firstPassing: RefusedPlace | undefined
  readonly #rules: FieldRules
  readonly #clock: Clock
  readonly #log: Log
  #count = 0

  /** `isListing`: each refused entry is answered by itself. */
  constructor(rules: FieldRules, { clock, log }: { clock: Clock; log: Log }, isListing = false) {
    this.#isListing = isListing
    this.#rules = rules
    this.#clock = clock
    this.#log = log
  }

  /** A line that is a JSON object. */
  addObject(json: Uint8Array): void {
    this.#add(() => {
      if (json.length > lineBytesFree && checkJson(json, fieldDepthMax) > lineElementsMax)
        throw new BadDataError(
          `the line of ${json.length} bytes has more than ${lineElementsMax} fields and elements, which is the limit`,
        )
      try {
        return fieldsOf(json)
      } catch (error) {
        // Says at which byte, where it is nested too deep.
        checkJson(json, fieldDepthMax)
        throw error
      }
    })
  }

  addFields(fields: Map<string, string>): void {
    this.#add(() => fields)
  }

  /** An entry that is refused before it is read. */
  addRefused(message: string): void {
    this.#refuse(this.#count++, { message, isBroken: false, passes: false })
  }

  #refuse(place: number, refused: Refused): void {
    this.#refusedCount++
    this.#first ??= { place, ...refused }
    if (refused.passes) this.#firstPassing ??= { place, ...refused }
    if (this.#isListing) this.#refused.set(place, refused)
  }

  #add(read: () => Map<string, string>): void {
    const place = this.#count++
    try {
      const fields = read()
      const texts = 2 * fields.size
      addFields(fields, this.#rules, this.#builder, this.#clock.nowMs())
      this.#texts += texts
      this.#places.push(place)
    } catch (error) {
      this.#refuse(place, { message: messageOf(error), isBroken: true, passes: false })
    }
  }

  /** Forgets what was added: it was to be decoded alone. */
  drop(): void {
    this.#builder = new LogBatchBuilder()
    this.#places = []
    this.#texts = 0
  }

  /** Whether a batch is complete. */
  get isFull(): boolean {
    return this.#builder.count >= batchEntries || this.#texts >= batchTexts
  }

  /** Appends those that were added since the last call. Throws what the door throws: then none of them is kept. */
  async appendTo(intake: Intake<LogBatch, LogsAppendOutcome>): Promise<void> {
    const builder = this.#builder
    const places = this.#places
    const isPart = this.isFull
    if (builder.count === 0) return
    this.#builder = new LogBatchBuilder()
    this.#places = []
    this.#texts = 0
    builder.partDuplicates()
    const batch = builder.build()
    batch.isVerbatim = true
    batch.namesRefused = true
    batch.isPart = isPart
    const { refused, refusedAt, problems, status } = await intake.append(batch)
    if (refused === 0) return
    const order = builder.order()
    const place = (at: number): number => places[order[at]!]!
    // A door that does not say which: none may be answered as kept.
    if (refused > (refusedAt?.length ?? 0))
      for (const at of order.keys())
        this.#refuse(place(at), {
          message: problems[0]?.message ?? 'refused',
          isBroken: false,
          passes: status === 429,
        })
    else
      for (const { at, message, passes } of refusedAt ?? [])
        this.#refuse(place(at), { message, isBroken: false, passes })
  }

  /** What became of the entries so far; a word in the log where some are refused. */
  read(): StoredEntries {
    const first = this.#first
    if (first !== undefined)
      this.#log.warn('log entries were refused, the others of their request are kept', {
        refused: this.#refusedCount,
        reason: first.message,
      })
    return {
      count: this.#count,
      refusedCount: this.#refusedCount,
      first,
      firstPassing: this.#firstPassing,
      refused: this.#refused,
    }
  }
}

/** Throws BadDataError, SyntaxError, and RangeError where it is nested too deep. */
function fieldsOf(json: Uint8Array): Map<string, string> {
  const value = parseJson(Buffer.from(json.buffer, json.byteOffset, json.length).toString('utf8'))
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isRawNumber(value))
    throw new BadDataError('the line is no JSON object')
  return flattenFields({ ...value })
}

/** All kept: 200. Some not: 429 where sending later may help, else 400, with their number and the first reason. */
export function entriesReply({ count, refusedCount, first, firstPassing }: StoredEntries): HttpReply {
  const shown = firstPassing ?? first
  if (shown === undefined) return { status: 200 }
  const { place, message } = shown
  return {
    status: shown.passes ? 429 : 400,
    headers: { ...plainText, ...(shown.passes ? retryLater : {}) },
    body: `${refusedCount} of ${count} log entries were refused; the first, number ${place + 1}: ${message}\n`,
  }
}
