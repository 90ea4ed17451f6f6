/** Telemetry that a caller adds by hand, as the bodies of the protocols that carry it. */
import { BadDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { refuseNoList } from './fields.ts'
import { momentMs, type Moment } from './moment.ts'
import type { AttributeMap, AttributeValue, Labels, SpanKind, SpanStatus } from './results.ts'
import type { TercetRequest } from './telemetry.ts'

/** A sample of a series; the name of the metric is the label `__name__`, or `name`. */
export interface AddedSample {
  name?: string
  labels?: Labels
  value: number
  /** Default: now. */
  at?: Moment
}

export interface AddedLine {
  line: string
  /** Of the stream; `service_name` is made of them where it is missing. */
  labels: Labels
  metadata?: Labels
  /** Default: now. */
  at?: Moment
}

/** As an exception: `{ name: 'exception', attributes: { 'exception.type': …, 'exception.message': … } }`. */
export interface AddedEvent {
  name: string
  /** Default: the end of the span. */
  at?: Moment
  attributes?: AttributeMap
}

export interface AddedSpan {
  name: string
  service: string
  /** 32 and 16 hexadecimal digits. */
  traceId: string
  spanId: string
  /** Default: it is a root. */
  parentId?: string
  /** Default: now, less the duration. */
  startAt?: Moment
  /** Default: 0. */
  durationMs?: number
  kind?: SpanKind
  status?: SpanStatus
  statusMessage?: string
  attributes?: AttributeMap
  resource?: AttributeMap
  events?: readonly AddedEvent[]
}

/** Whole milliseconds apart from the rest: a number has no room for the nanoseconds of our time. */
function nanoseconds(ms: number): string {
  const whole = Math.floor(ms)
  return String(BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6)))
}

/** A request with what can be sent, undefined where nothing can, and why the rest is refused: a sentence for each. */
export interface Additions {
  readonly request: TercetRequest | undefined
  readonly count: number
  readonly problems: readonly string[]
}

/** Throws nothing: what is wrong is left out, and is a problem. */
function additionsOf<Item, Made>(
  items: readonly Item[],
  make: (item: Item) => Made,
  requestOf: (made: readonly Made[]) => TercetRequest,
): Additions {
  const made: Made[] = []
  const problems: string[] = []
  for (const [i, item] of items.entries())
    try {
      made.push(make(item))
    } catch (error) {
      if (!(error instanceof BadDataError)) throw error
      problems.push(`number ${i + 1}: ${error.message}`)
    }
  return { request: made.length === 0 ? undefined : requestOf(made), count: items.length, problems }
}

/** JSON lines of one sample each. NaN and infinities are texts there. */
export function samplesRequest(samples: readonly AddedSample[], nowMs: number): Additions {
  refuseNoList('addMetrics', samples)
  return additionsOf(
    samples,
    sample => sampleJson(sample, nowMs),
    lines => ({ method: 'POST', path: '/api/v1/import', body: lines.join('\n') }),
  )
}

function sampleJson({ name, labels = {}, value, at }: AddedSample, nowMs: number): string {
  const metric = name === undefined ? labels : { ...labels, __name__: name }
  if ((metric['__name__'] ?? '') === '') throw new BadDataError('a sample has no name')
  if (typeof value !== 'number') throw new BadDataError(`${metric['__name__']}: ${String(value)} is no number`)
  const shown = Number.isFinite(value) ? value : String(value)
  return JSON.stringify({ metric, values: [shown], timestamps: [at === undefined ? nowMs : momentMs(at)] })
}

export function linesRequest(lines: readonly AddedLine[], nowMs: number): Additions {
  refuseNoList('addLogs', lines)
  return additionsOf(
    lines,
    line => streamJson(line, nowMs),
    streams => ({
      method: 'POST',
      path: '/loki/api/v1/push',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ streams: joinedStreams(streams) }),
    }),
  )
}

interface Stream {
  stream: Labels
  values: [string, string, Labels][]
}

/** Lines of the same labels as one stream, in their order. */
function joinedStreams(all: readonly Stream[]): Stream[] {
  const streams = new Map<string, Stream>()
  for (const { stream, values } of all) {
    const key = JSON.stringify(stream)
    const known = streams.get(key)
    if (known === undefined) streams.set(key, { stream, values: [...values] })
    else addAll(known.values, values)
  }
  return [...streams.values()]
}

function streamJson({ line, labels, metadata = {}, at }: AddedLine, nowMs: number): Stream {
  if (typeof line !== 'string') throw new BadDataError(`a line is a text, and not ${String(line)}`)
  // Programs without types may leave them out.
  if (Object.keys((labels as Labels | undefined) ?? {}).length === 0)
    throw new BadDataError("a line has no labels: { line, labels: { app: 'shop' } }")
  for (const [name, value] of Object.entries(metadata))
    if (typeof value !== 'string') throw new BadDataError(`the metadata ${name} is a text, and not ${String(value)}`)
  return { stream: labels, values: [[nanoseconds(at === undefined ? nowMs : momentMs(at)), line, metadata]] }
}

const kinds: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const statuses: readonly SpanStatus[] = ['unset', 'ok', 'error']

/** Throws BadDataError. */
function indexIn(words: readonly string[], word: string, what: string): number {
  const index = words.indexOf(word)
  if (index < 0) throw new BadDataError(`the ${what} ${word} is not one of ${words.join(', ')}`)
  return index
}

function valueJson(value: AttributeValue): object {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'bigint') return { intValue: String(value) }
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') }
  if (isList(value)) return { arrayValue: { values: value.map(valueJson) } }
  return { kvlistValue: { values: attributesJson(value) } }
}

function isList(value: AttributeValue): value is readonly AttributeValue[] {
  return Array.isArray(value)
}

function attributesJson(attributes: AttributeMap): object[] {
  // As in OpenTelemetry's API, one without a value is none.
  const present = Object.entries(attributes).filter(([, value]) => value !== undefined && value !== null)
  return present.map(([key, value]) => ({ key, value: valueJson(value) }))
}

function spanJson(span: AddedSpan, nowMs: number): object {
  const { durationMs = 0, startAt, kind = 'internal', status = 'unset', statusMessage = '', attributes = {} } = span
  for (const name of ['name', 'service', 'traceId', 'spanId'] as const)
    if (typeof span[name] !== 'string') throw new BadDataError(`the span has no ${name}`)
  if (!(durationMs >= 0 && durationMs < Infinity)) throw new BadDataError(`${durationMs} ms is no duration of a span`)
  const startMs = startAt === undefined ? nowMs - durationMs : momentMs(startAt)
  const endNs = String(BigInt(nanoseconds(startMs)) + BigInt(nanoseconds(durationMs)))
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentId ?? '',
    name: span.name,
    kind: indexIn(kinds, kind, 'kind'),
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: endNs,
    status: { code: indexIn(statuses, status, 'status'), message: statusMessage },
    attributes: attributesJson(attributes),
    events: (span.events ?? []).map(({ name, at, attributes: own = {} }) => ({
      name,
      timeUnixNano: at === undefined ? endNs : nanoseconds(momentMs(at)),
      attributes: attributesJson(own),
    })),
  }
}

export function spansRequest(spans: readonly AddedSpan[], nowMs: number): Additions {
  refuseNoList('addSpans', spans)
  return additionsOf(
    spans,
    span => ({
      resource: { attributes: attributesJson({ 'service.name': span.service, ...span.resource }) },
      scopeSpans: [{ spans: [spanJson(span, nowMs)] }],
    }),
    resourceSpans => ({
      method: 'POST',
      path: '/v1/traces',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resourceSpans }),
    }),
  )
}
