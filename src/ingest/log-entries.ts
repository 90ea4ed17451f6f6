/** Log entries with fields, as VictoriaLogs takes them: one that can't be read is logged, the others are kept. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, LimitError, messageOf } from '#core/errors.ts'
import { parseJson } from '#core/json.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppendOutcome } from '#logs/append.ts'
import { LogBatchBuilder, type LogBatch } from '#model/log-batch.ts'
import type { HttpRequest } from '#net/route-table.ts'
import { addFields, flattenFields, readFieldRules, type FieldRules } from '#wire/json-logs/fields.ts'
import type { Intake } from './protocol.ts'

/** From parameters or `VL-` headers. */
export function fieldRules(request: HttpRequest, defaults: Partial<FieldRules> = {}): FieldRules {
  return readFieldRules((name, header) => request.query.get(name) ?? request.header(header), defaults)
}

/** The entries of one request. */
export class LogEntries {
  readonly #builder = new LogBatchBuilder()
  readonly #rules: FieldRules
  readonly #clock: Clock
  readonly #log: Log

  constructor(rules: FieldRules, { clock, log }: { clock: Clock; log: Log }) {
    this.#rules = rules
    this.#clock = clock
    this.#log = log
  }

  /** Whether it could be read. */
  addObject(json: string): boolean {
    try {
      const value = parseJson(json)
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw new BadDataError('the line is no JSON object')
      addFields(flattenFields({ ...value }), this.#rules, this.#builder, this.#clock.nowMs())
      return true
    } catch (error) {
      this.#warn('JSON line', error)
      return false
    }
  }

  addFields(fields: Map<string, string>): void {
    try {
      addFields(fields, this.#rules, this.#builder, this.#clock.nowMs())
    } catch (error) {
      this.#warn('journal entry', error)
    }
  }

  #warn(what: string, error: unknown): void {
    this.#log.warn('a log entry could not be read, the others of its request are kept', {
      what,
      error: messageOf(error),
    })
  }

  /** Appends them. Throws LimitError (429) where sending later may help; other refusals are logged. */
  async appendTo(intake: Intake<LogBatch, LogsAppendOutcome>): Promise<void> {
    if (this.#builder.count === 0) return
    const batch = this.#builder.build()
    batch.isVerbatim = true
    const { refused, problems, status } = await intake.append(batch)
    if (refused === 0) return
    const reason = problems[0]?.message ?? ''
    if (status === 429) throw new LimitError(reason, 429)
    this.#log.warn('log entries were refused, the others of their request are kept', { refused, reason })
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
