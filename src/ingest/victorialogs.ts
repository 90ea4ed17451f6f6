/** VictoriaLogs' insert endpoints: JSON lines, Elasticsearch bulk, journald. */
import type { Clock } from '#core/clock.ts'
import { BadDataError, CorruptDataError, LimitError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { LogsAppendOutcome, LogsAppender } from '#logs/append.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { parseJournal } from '#wire/journald/parse.ts'
import { addFields, flattenFields, readFieldRules, type FieldRules } from '#wire/json-logs/fields.ts'
import { ingestError } from './reply.ts'

const json = { 'content-type': 'application/json' } as const
const journalStreamFields = ['_MACHINE_ID', '_HOSTNAME', '_SYSTEMD_UNIT'] as const

export class VictoriaLogsHandlers {
  readonly #appender: LogsAppender
  readonly #tenantOf: (request: HttpRequest) => string
  readonly #clock: Clock
  readonly #log: Log
  /** Entries that could not be read. */
  badEntries = 0

  constructor(appender: LogsAppender, tenantOf: (request: HttpRequest) => string, clock: Clock, log: Log) {
    this.#appender = appender
    this.#tenantOf = tenantOf
    this.#clock = clock
    this.#log = log
  }

  #rules(request: HttpRequest, defaults: Partial<FieldRules> = {}): FieldRules {
    return readFieldRules((name, header) => request.query.get(name) ?? request.header(header), defaults)
  }

  #bad(what: string, error: unknown): void {
    this.badEntries++
    this.#log.warn('a log entry could not be read, the others of its request are kept', {
      what,
      error: messageOf(error),
    })
  }

  async #store(request: HttpRequest, builder: LogBatchBuilder): Promise<LogsAppendOutcome> {
    if (builder.count === 0) return { stored: 0, refused: 0, problems: [], status: 400 }
    const batch = builder.build()
    batch.isVerbatim = true
    const result = await this.#appender.append(this.#tenantOf(request), batch)
    if (result.refused > 0) {
      this.badEntries += result.refused
      if (result.status === 429) throw new LimitError(result.problems[0]!.message, 429)
      this.#log.warn('log entries were refused, the others of their request are kept', {
        refused: result.refused,
        reason: result.problems[0]?.message ?? '',
      })
    }
    return result
  }

  /** One object a line; a broken one is passed over and told in the log, as VictoriaLogs does. */
  readonly jsonLines = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const rules = this.#rules(request)
      const builder = new LogBatchBuilder()
      for (const line of splitLines(await request.body())) this.#addObject(line, rules, builder)
      if (request.query.get('debug') === '1') return { status: 200 }
      await this.#store(request, builder)
      return { status: 200 }
    } catch (error) {
      return ingestError(error)
    }
  }

  #addObject(line: string, rules: FieldRules, builder: LogBatchBuilder): boolean {
    try {
      const value: unknown = JSON.parse(line)
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        throw new BadDataError('the line is no JSON object')
      addFields(flattenFields(value as Record<string, unknown>), rules, builder, this.#clock.nowMs())
      return true
    } catch (error) {
      this.#bad('JSON line', error)
      return false
    }
  }

  /** Pairs of lines: what to do, and the document. */
  readonly bulk = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const startedMs = this.#clock.monotonicMs()
      const rules = this.#rules(request, { timeFields: ['@timestamp', '_time'], messageFields: ['message', '_msg'] })
      const builder = new LogBatchBuilder()
      const items: string[] = []
      const lines = splitLines(await request.body())
      let errors = false
      for (let i = 0; i < lines.length; i++) {
        let action: string
        try {
          action = Object.keys(JSON.parse(lines[i]!) as object)[0] ?? ''
        } catch (error) {
          throw new BadDataError(`line ${i + 1} is no bulk command: ${messageOf(error)}`, { cause: error })
        }
        if (action !== 'create' && action !== 'index')
          throw new BadDataError(
            `line ${i + 1}: the bulk command ${JSON.stringify(action)} is not known; create and index are`,
          )
        const document = lines[++i]
        const isGood = document !== undefined && this.#addObject(document, rules, builder)
        if (!isGood) errors = true
        items.push(
          isGood
            ? `{"${action}":{"status":201}}`
            : `{"${action}":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse"}}}`,
        )
      }
      await this.#store(request, builder)
      return {
        status: 200,
        headers: json,
        body: `{"took":${Math.round(this.#clock.monotonicMs() - startedMs)},"errors":${errors},"items":[${items.join(',')}]}`,
      }
    } catch (error) {
      return ingestError(error)
    }
  }

  /** What Elasticsearch's clients ask before they send. */
  readonly elasticInfo = (): Promise<HttpReply> =>
    Promise.resolve({
      status: 200,
      headers: { ...json, 'x-elastic-product': 'Elasticsearch' },
      body: '{"version":{"number":"8.9.0"},"tagline":"You Know, for Search"}',
    })
  readonly elasticLicense = (): Promise<HttpReply> =>
    Promise.resolve({
      status: 200,
      headers: json,
      body: '{"license":{"uid":"tercet","type":"oss","status":"active","expiry_date_in_millis":4000000000000}}',
    })
  readonly elasticEmpty = (): Promise<HttpReply> => Promise.resolve({ status: 200, headers: json, body: '{}' })

  readonly journal = async (request: HttpRequest): Promise<HttpReply> => {
    try {
      const rules = this.#rules(request, {
        streamFields: journalStreamFields,
        timeFields: ['__REALTIME_TIMESTAMP'],
        messageFields: ['MESSAGE'],
      })
      const builder = new LogBatchBuilder()
      for (const fields of parseJournal(await request.body())) {
        // Addresses of the journal itself say nothing about the event.
        for (const name of fields.keys())
          if (name.startsWith('__') && !rules.timeFields.includes(name)) fields.delete(name)
        try {
          addFields(fields, rules, builder, this.#clock.nowMs())
        } catch (error) {
          this.#bad('journal entry', error)
        }
      }
      await this.#store(request, builder)
      return { status: 200 }
    } catch (error) {
      if (error instanceof CorruptDataError) this.badEntries++
      return ingestError(error)
    }
  }
}

/** Lines that are not empty. */
function splitLines(body: Uint8Array): string[] {
  return Buffer.from(body.buffer, body.byteOffset, body.length)
    .toString('utf8')
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
}
