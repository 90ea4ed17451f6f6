/** Asks a Tercet by the HTTP API that everybody uses, over whatever carries the requests. */
import type { Clock } from '#core/clock.ts'
import { mapOf, listOf, labelsOf, textOf, textsOf } from './json.ts'
import { logsAnswerOf, rowsOf } from './logs-answers.ts'
import { alertsOf, metricsAnswerOf, rangeAnswerOf, rulesOf } from './metrics-answers.ts'
import { durationMs, momentMs, type Moment } from './moment.ts'
import type {
  Alert,
  Labels,
  LogsAnswer,
  MetricsAnswer,
  Noted,
  RangeAnswer,
  RowsAnswer,
  SeriesAnswer,
  Rule,
  Trace,
  TracesAnswer,
} from './results.ts'
import {
  QueryError,
  WrongAnswerError,
  type LogsRange,
  type Steps,
  type Telemetry,
  type TercetReply,
  type TercetRequest,
  type TimeRange,
  type TracesRange,
} from './telemetry.ts'
import { partialWarnings, spansOf, traceMetricsOf, tracesAnswerOf } from './traces-answers.ts'

/** Carries a request to a Tercet. Throws where nobody answers. */
export type Carrier = (request: TercetRequest) => Promise<TercetReply>

const hourMs = 3_600_000
/** Of the API. */
const spansPerTraceMax = 100
const categorized = { 'x-loki-response-encoding-flags': 'categorize-labels' } as const

export interface Bounds {
  fromMs: number
  toMs: number
}

function seconds(ms: number): string {
  return String(ms / 1000)
}

function nanoseconds(ms: number): string {
  return String(BigInt(Math.round(ms)) * 1_000_000n)
}

/** Whole seconds around the range: the search of traces knows no others, and none before 1970. */
function wholeSeconds({ fromMs, toMs }: Bounds): { start: string; end: string } {
  return { start: String(Math.max(0, Math.floor(fromMs / 1000))), end: String(Math.ceil(toMs / 1000)) }
}

/** Milliseconds between two points: a 250th of the range where the caller names none. */
function stepMsOf({ step }: Steps, { fromMs, toMs }: Bounds): number {
  return step === undefined ? Math.max(1000, Math.ceil((toMs - fromMs) / 250_000) * 1000) : durationMs(step)
}

/** What says that an answer has reached its limit. */
function cutWarnings(count: number, limit: number, what: string): string[] {
  return count < limit ? [] : [`the answer has ${count} ${what}, as many as were asked for: there may be more`]
}

/** The message of an error, which is JSON or plain text. */
function messageIn(body: string): string {
  try {
    const { error, message } = mapOf(JSON.parse(body))
    return textOf(error) || textOf(message) || body.trim()
  } catch {
    return body.trim()
  }
}

/** What the headers warn of. */
function headerWarnings(reply: TercetReply): string[] {
  const warning = reply.header('x-tercet-warning')
  return warning === undefined ? [] : [warning]
}

function noted<Answer extends Noted>(answer: Answer, more: readonly string[]): Answer {
  return more.length === 0 ? answer : { ...answer, warnings: [...answer.warnings, ...more] }
}

export class Client implements Telemetry {
  readonly #carry: Carrier
  readonly #clock: Pick<Clock, 'nowMs'>

  constructor(carry: Carrier, clock: Pick<Clock, 'nowMs'>) {
    this.#carry = carry
    this.#clock = clock
  }

  request(request: TercetRequest): Promise<TercetReply> {
    return this.#carry(request)
  }

  async promql(expression: string, at?: Moment): Promise<MetricsAnswer> {
    const reply = await this.#ask('/api/v1/query', { query: expression, time: seconds(this.#momentMs(at)) })
    return noted(answerOf(reply, expression, metricsAnswerOf), headerWarnings(reply))
  }

  async promqlRange(expression: string, range: Steps = {}): Promise<RangeAnswer> {
    const bounds = this.#bounds(range)
    const reply = await this.#ask('/api/v1/query_range', {
      query: expression,
      start: seconds(bounds.fromMs),
      end: seconds(bounds.toMs),
      step: seconds(stepMsOf(range, bounds)),
    })
    return noted(answerOf(reply, expression, rangeAnswerOf), headerWarnings(reply))
  }

  async series(selector: string, range: TimeRange = {}): Promise<SeriesAnswer> {
    const { fromMs, toMs } = this.#bounds(range)
    const parameters = { 'match[]': selector, start: seconds(fromMs), end: seconds(toMs) }
    const reply = await this.#ask('/api/v1/series', parameters, selector)
    const { data, warnings } = mapOf(jsonOf(reply, selector))
    return { series: listOf(data).map(labelsOf), warnings: [...textsOf(warnings), ...headerWarnings(reply)] }
  }

  async logql(query: string, range: LogsRange = {}): Promise<LogsAnswer> {
    const { fromMs, toMs } = this.#bounds(range)
    const limit = range.limit ?? 1000
    const parameters = {
      query,
      start: nanoseconds(fromMs),
      // The end of a range is not in it.
      end: nanoseconds(toMs + 1),
      limit: String(limit),
      direction: 'backward',
    }
    const reply = await this.#ask('/loki/api/v1/query_range', parameters, query, categorized)
    const answer = answerOf(reply, query, logsAnswerOf)
    return noted(answer, [...headerWarnings(reply), ...cutWarnings(answer.lines.length, limit, 'lines')])
  }

  async logqlMetrics(query: string, at?: Moment): Promise<MetricsAnswer> {
    const reply = await this.#ask('/loki/api/v1/query', { query, time: nanoseconds(this.#momentMs(at)) })
    return noted(answerOf(reply, query, metricsAnswerOf), headerWarnings(reply))
  }

  async logqlRange(query: string, range: Steps = {}): Promise<RangeAnswer> {
    const bounds = this.#bounds(range)
    const reply = await this.#ask('/loki/api/v1/query_range', {
      query,
      start: nanoseconds(bounds.fromMs),
      end: nanoseconds(bounds.toMs),
      step: seconds(stepMsOf(range, bounds)),
    })
    return noted(answerOf(reply, query, rangeAnswerOf), headerWarnings(reply))
  }

  async logsql(query: string, range: LogsRange = {}): Promise<RowsAnswer> {
    const { fromMs, toMs } = this.#bounds(range)
    const limit = range.limit ?? 1000
    const parameters = { query, start: seconds(fromMs), end: seconds(toMs + 1), limit: String(limit) }
    const reply = await this.#ask('/select/logsql/query', parameters)
    const rows = rowsIn(reply, query)
    return { rows, warnings: [...headerWarnings(reply), ...cutWarnings(rows.length, limit, 'rows')] }
  }

  async traceql(query: string, range: TracesRange = {}): Promise<TracesAnswer> {
    refuseNumbers(query)
    const limit = range.limit ?? 100
    const spss = Math.min(range.spansPerTrace ?? spansPerTraceMax, spansPerTraceMax)
    const reply = await this.#ask(
      '/api/search',
      { q: query, ...wholeSeconds(this.#bounds(range)), limit: String(limit), spss: String(spss) },
      query,
    )
    const answer = answerOf(reply, query, tracesAnswerOf)
    return noted(answer, [...headerWarnings(reply), ...cutWarnings(answer.traces.length, limit, 'traces')])
  }

  async traceqlRange(query: string, range: Steps = {}): Promise<RangeAnswer> {
    const bounds = this.#bounds(range)
    const parameters = { q: query, ...wholeSeconds(bounds), step: seconds(stepMsOf(range, bounds)) }
    const reply = await this.#ask('/api/metrics/query_range', parameters, query)
    return noted(answerOf(reply, query, traceMetricsOf), headerWarnings(reply))
  }

  async trace(traceId: string): Promise<Trace | undefined> {
    const path = `/api/v2/traces/${encodeURIComponent(traceId)}`
    const reply = await this.#carry({ path, headers: { accept: 'application/json' } })
    if (reply.status === 404) return undefined
    refuseFailure(reply, traceId)
    const body = mapOf(jsonOf(reply, traceId))
    const spans = spansOf(body['trace'])
    if (spans.length === 0) return undefined
    return { traceId, spans, warnings: [...headerWarnings(reply), ...partialWarnings(body)] }
  }

  async alerts(): Promise<readonly Alert[]> {
    return alertsOf(jsonOf(await this.#ask('/api/v1/alerts', {}, 'alerts'), 'alerts'))
  }

  async rules(): Promise<readonly Rule[]> {
    return rulesOf(jsonOf(await this.#ask('/api/v1/rules', {}, 'rules'), 'rules'))
  }

  async #ask(
    path: string,
    parameters: Readonly<Record<string, string>>,
    query = parameters['query'] ?? '',
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TercetReply> {
    const reply = await this.#carry({ path, parameters, headers })
    refuseFailure(reply, query)
    return reply
  }

  #momentMs(moment: Moment | undefined): number {
    return moment === undefined ? this.#clock.nowMs() : momentMs(moment)
  }

  #bounds({ from, to }: TimeRange): Bounds {
    const toMs = this.#momentMs(to)
    return { fromMs: from === undefined ? toMs - hourMs : momentMs(from), toMs }
  }
}

export function bodyText({ body }: TercetReply): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
}

/** Throws QueryError for an answer that is none of a Tercet. */
function jsonOf(reply: TercetReply, query: string): unknown {
  return parsed(reply, query, JSON.parse)
}

function rowsIn(reply: TercetReply, query: string): Labels[] {
  return parsed(reply, query, rowsOf)
}

function parsed<Answer>(reply: TercetReply, query: string, parse: (text: string) => Answer): Answer {
  const text = bodyText(reply)
  try {
    return parse(text)
  } catch {
    const shown = text.trim().slice(0, 100)
    throw new QueryError(query, reply.status, `the answer is no JSON, as that of a Tercet is: ${shown}`)
  }
}

/** Throws QueryError for an answer that is none of a Tercet, and for one of another kind. */
function answerOf<Answer>(reply: TercetReply, query: string, of: (json: unknown) => Answer): Answer {
  const json = jsonOf(reply, query)
  try {
    return of(json)
  } catch (error) {
    throw error instanceof WrongAnswerError ? new QueryError(query, reply.status, error.message) : error
  }
}

/** A search would answer the traces of the first part. Throws QueryError. */
function refuseNumbers(query: string): void {
  const words = query.replaceAll(/"(?:[^"\\]|\\.)*"|`[^`]*`/g, '')
  if (/\|\s*(?:rate|compare|\w+_over_time)\s*\(/.test(words))
    throw new QueryError(query, 400, 'it gives numbers, and no traces: ask with traceqlRange')
}

/** Throws QueryError for an answer that is an error. */
function refuseFailure(reply: TercetReply, query: string): void {
  if (reply.status >= 400) throw new QueryError(query, reply.status, messageIn(bodyText(reply)))
}
