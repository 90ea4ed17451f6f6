/** What queries answer: plain objects, the same of a Tercet in this process and of a server. */

export type Labels = Readonly<Record<string, string>>

/** A native histogram; `lower` and `upper` are the bounds of a bucket, which hold as `isLowerIn`, `isUpperIn` say. */
export interface Histogram {
  readonly count: number
  readonly sum: number
  readonly buckets: readonly HistogramBucket[]
}

export interface HistogramBucket {
  readonly lower: number
  readonly upper: number
  readonly isLowerIn: boolean
  readonly isUpperIn: boolean
  readonly count: number
}

/** A value of a series at one time; of a histogram `value` is NaN. */
export interface Sample {
  readonly labels: Labels
  /** Unix milliseconds. */
  readonly timeMs: number
  readonly value: number
  readonly histogram?: Histogram
}

export interface Point {
  /** Unix milliseconds. */
  readonly timeMs: number
  readonly value: number
  readonly histogram?: Histogram
}

export interface Series {
  readonly labels: Labels
  /** In the order of time. */
  readonly points: readonly Point[]
}

/** What every answer has beside its data: an answer that is not whole says so here. */
export interface Noted {
  /** Why the answer may be less than the truth; empty where it is whole. */
  readonly warnings: readonly string[]
}

/** Which series there are. */
export interface SeriesAnswer extends Noted {
  readonly series: readonly Labels[]
}

/** Of an expression at one time. A scalar is one sample without labels. */
export interface MetricsAnswer extends Noted {
  readonly samples: readonly Sample[]
}

/** Of an expression over a range. */
export interface RangeAnswer extends Noted {
  readonly series: readonly Series[]
}

export interface LogLine {
  /** Unix nanoseconds. */
  readonly timeNs: bigint
  /** Unix milliseconds, whole. */
  readonly timeMs: number
  readonly line: string
  /** Of the stream. */
  readonly labels: Labels
  /** Structured metadata of the line: `trace_id`, `detected_level`, … */
  readonly metadata: Labels
  /** What a parser of the query has found in the line. */
  readonly parsed: Labels
}

/** The lines in the order of time. */
export interface LogsAnswer extends Noted {
  readonly lines: readonly LogLine[]
}

/** A row of LogsQL: every field is a text. */
export interface RowsAnswer extends Noted {
  readonly rows: readonly Labels[]
}

export type AttributeValue = string | number | bigint | boolean | Uint8Array | readonly AttributeValue[] | AttributeMap
export interface AttributeMap {
  readonly [name: string]: AttributeValue
}

export interface FoundSpan {
  readonly spanId: string
  readonly name: string
  /** Unix nanoseconds. */
  readonly startNs: bigint
  readonly durationNs: bigint
  /** Those that the query asks for or selects. */
  readonly attributes: AttributeMap
}

export interface FoundTrace {
  readonly traceId: string
  readonly rootService: string
  readonly rootName: string
  /** Unix nanoseconds. */
  readonly startNs: bigint
  readonly durationMs: number
  /** How many spans matched. */
  readonly matched: number
  /** Those that matched, as many as were asked for. */
  readonly spans: readonly FoundSpan[]
}

export interface TracesAnswer extends Noted {
  readonly traces: readonly FoundTrace[]
}

export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer'
export type SpanStatus = 'unset' | 'ok' | 'error'

export interface SpanEvent {
  readonly name: string
  readonly timeNs: bigint
  readonly attributes: AttributeMap
}

export interface Span {
  readonly traceId: string
  readonly spanId: string
  /** Empty for a root. */
  readonly parentId: string
  readonly name: string
  /** `service.name` of the resource. */
  readonly service: string
  readonly kind: SpanKind
  readonly status: SpanStatus
  readonly statusMessage: string
  /** Unix nanoseconds. */
  readonly startNs: bigint
  readonly durationNs: bigint
  readonly attributes: AttributeMap
  readonly resource: AttributeMap
  readonly events: readonly SpanEvent[]
}

export interface Trace extends Noted {
  readonly traceId: string
  /** In the order of their start. */
  readonly spans: readonly Span[]
}

export interface Alert {
  readonly name: string
  readonly state: 'pending' | 'firing'
  readonly labels: Labels
  readonly annotations: Labels
  /** Since when the condition holds: Unix milliseconds. */
  readonly activeMs: number
  readonly value: number
}

export interface Rule {
  readonly name: string
  readonly group: string
  readonly file: string
  readonly kind: 'alerting' | 'recording'
  readonly query: string
  readonly health: 'ok' | 'err' | 'unknown'
  /** Why the last evaluation failed; empty where it did not. */
  readonly error: string
  /** Of an alerting rule. */
  readonly state: 'inactive' | 'pending' | 'firing' | undefined
}
