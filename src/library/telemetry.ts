/** What can be asked of a Tercet, of one in this process and of a server alike. */
import type { Duration, Moment } from './moment.ts'
import type {
  Alert,
  LogsAnswer,
  MetricsAnswer,
  RangeAnswer,
  RowsAnswer,
  SeriesAnswer,
  Rule,
  Trace,
  TracesAnswer,
} from './results.ts'

/** Which time is asked for. Default: the hour before now. */
export interface TimeRange {
  from?: Moment
  /** Default: now. */
  to?: Moment
}

export interface Steps extends TimeRange {
  /** Between two points. Default: a 250th of the range, a second at least. */
  step?: Duration
}

export interface LogsRange extends TimeRange {
  /** The newest so many lines. Default: 1000. */
  limit?: number
}

export interface TracesRange extends TimeRange {
  /** Default: 100 traces. */
  limit?: number
  /** Default: 100 spans of each trace. */
  spansPerTrace?: number
}

export interface TercetRequest {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `/api/v1/query` */
  path: string
  /** Of the URL. */
  parameters?: Readonly<Record<string, string>>
  headers?: Readonly<Record<string, string>>
  body?: string | Uint8Array
}

export interface TercetReply {
  status: number
  /** Undefined where there is no such header; names in lower case. */
  header(name: string): string | undefined
  body: Uint8Array
}

/** Every method throws QueryError for a query that is wrong, or that was refused. */
export interface Telemetry {
  /** Any request of the HTTP API, as docs/http-api.md lists them; a status of 400 and more is no error here. */
  request(request: TercetRequest): Promise<TercetReply>
  /** PromQL at one time; default: now. */
  promql(expression: string, at?: Moment): Promise<MetricsAnswer>
  promqlRange(expression: string, range?: Steps): Promise<RangeAnswer>
  /** The label sets of the series that a selector matches. */
  series(selector: string, range?: TimeRange): Promise<SeriesAnswer>
  /** LogQL that gives lines. */
  logql(query: string, range?: LogsRange): Promise<LogsAnswer>
  /** LogQL that gives numbers, at one time; default: now. */
  logqlMetrics(query: string, at?: Moment): Promise<MetricsAnswer>
  logqlRange(query: string, range?: Steps): Promise<RangeAnswer>
  logsql(query: string, range?: LogsRange): Promise<RowsAnswer>
  /** TraceQL that gives traces. */
  traceql(query: string, range?: TracesRange): Promise<TracesAnswer>
  traceqlRange(query: string, range?: Steps): Promise<RangeAnswer>
  /** Undefined where there is no such trace. */
  trace(traceId: string): Promise<Trace | undefined>
  /** Those that are pending or firing. */
  alerts(): Promise<readonly Alert[]>
  rules(): Promise<readonly Rule[]>
}

/** An answer of another kind than the method gives. */
export class WrongAnswerError extends Error {
  override name = 'WrongAnswerError'
}

/** A query that was refused, or that gives what its method does not: `status` and the message are the server's. */
export class QueryError extends Error {
  override name = 'QueryError'
  readonly query: string
  readonly status: number
  constructor(query: string, status: number, message: string) {
    super(`${message} (in ${query})`)
    this.query = query
    this.status = status
  }
}
