/** `import … from 'tercet'`: what programs may use. */
export { startTercet, type Tercet, type TercetClock } from './instance.ts'
export { BadDataError, ConflictError } from '#core/errors.ts'
export { StartError } from '#core/start-error.ts'
export { connectTercet, type ConnectionOptions } from './connection.ts'
export type { AddedEvent, AddedLine, AddedSample, AddedSpan } from './additions.ts'
export type { Duration, Moment } from './moment.ts'
export type { CallerClock, LogLevel, LogSink, Settings, TercetOptions } from './options.ts'
export {
  QueryError,
  type LogsRange,
  type Steps,
  type Telemetry,
  type TercetReply,
  type TercetRequest,
  type TimeRange,
  type TracesRange,
} from './telemetry.ts'
export type {
  Alert,
  AttributeMap,
  AttributeValue,
  FoundSpan,
  FoundTrace,
  Histogram,
  HistogramBucket,
  Labels,
  LogLine,
  LogsAnswer,
  MetricsAnswer,
  Noted,
  Point,
  RangeAnswer,
  RowsAnswer,
  Rule,
  Sample,
  Series,
  SeriesAnswer,
  Span,
  SpanEvent,
  SpanKind,
  SpanStatus,
  Trace,
  TracesAnswer,
} from './results.ts'
