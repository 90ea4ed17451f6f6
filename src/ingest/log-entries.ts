/** Log entries with fields, as VictoriaLogs takes them: what is wrong with one costs that one, and is answered. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import { isRawNumber, parseJson } from '#core/json.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppendOutcome } from '#logs/append.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { addFields, flattenFields, readFieldRules, type FieldRules } from '#wire/json-logs/fields.ts'
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

/** What became of the entries of one request, by their place in it. */
export interface StoredEntries {
  readonly count: number
  readonly refused: ReadonlyMap<number, Refused>
}

/** The entries of one request. */
export class LogEntries {
  readonly #builder = new LogBatchBuilder()
  /** By entry of the builder: its place in the request. */
  readonly #places: number[] = []
  readonly #refused = new Map<number, Refused>()
  readonly #rules: FieldRules
  readonly #clock: Clock
  readonly #log: Log
  #count = 0

  constructor(rules: FieldRules, { clock, log }: { clock: Clock; log: Log }) {
    this.#rules = rules
    this.#clock = clock
    this.#log = log
  }

  addObject(json: string): void {
    this.#add(() => {
      const value = parseJson(json)
      if (typeof value !== 'object' || value === null || Array.isArray(value) || isRawNumber(value))
        throw new BadDataError('the line is no JSON object')
      return flattenFields({ ...value })
    })
  }

  addFields(fields: Map<string, string>): void {
    this.#add(() => fields)
  }

  /** An entry that is refused before it is read. */
  addRefused(message: string): void {
    this.#refused.set(this.#count++, { message, isBroken: false, passes: false })
  }

  #add(read: () => Map<string, string>): void {
    const place = this.#count++
    try {
      addFields(read(), this.#rules, this.#builder, this.#clock.nowMs())
      this.#places.push(place)
    } catch (error) {
      this.#refused.set(place, { message: messageOf(error), isBroken: true, passes: false })
    }
  }

  /** Appends them. Throws what the door throws: then none is kept. */
  async appendTo(intake: Intake<LogBatch, LogsAppendOutcome>): Promise<StoredEntries> {
    if (this.#builder.count > 0) {
      const batch = this.#builder.build()
      batch.isVerbatim = true
      batch.namesRefused = true
      const { refused, refusedAt, problems, status } = await intake.append(batch)
      const order = this.#builder.order()
      const place = (at: number): number => this.#places[order[at]!]!
      for (const { at, message, passes } of refusedAt ?? [])
        this.#refused.set(place(at), { message, isBroken: false, passes })
      // A door that does not say which: none may be answered as kept.
      if (refused > (refusedAt?.length ?? 0))
        for (const at of order.keys())
          this.#refused.set(place(at), {
            message: problems[0]?.message ?? 'refused',
            isBroken: false,
            passes: status === 429,
          })
    }
    return this.read()
  }

  /** What became of the entries so far; a word in the log where some are refused. */
  read(): StoredEntries {
    const [first] = this.#refused.values()
    if (first !== undefined)
      this.#log.warn('log entries were refused, the others of their request are kept', {
        refused: this.#refused.size,
        reason: first.message,
      })
    return { count: this.#count, refused: this.#refused }
  }
}

/** All kept: 200. Some not: 429 where sending later may help, else 400, with their number and the first reason. */
export function entriesReply({ count, refused }: StoredEntries): HttpReply {
  if (refused.size === 0) return { status: 200 }
  const passing = [...refused.values()].find(r => r.passes)
  const [place = 0, { message }] = [...refused].find(([, r]) => r === passing) ?? [...refused][0]!
  return {
    status: passing === undefined ? 400 : 429,
    headers: { ...plainText, ...(passing === undefined ? {} : retryLater) },
    body: `${refused.size} of ${count} log entries were refused; the first, number ${place + 1}: ${message}\n`,
  }
}

/** Lines that are not empty. */
export function splitLines(body: Uint8Array): string[] {
  return Buffer.from(body.buffer, body.byteOffset, body.length)
    .toString('utf8')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
}
