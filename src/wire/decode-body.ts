/**
 * Whole bodies by the name of their format: pure functions of bytes and plain options, whose results can be cloned and
 * whose columns can move. A worker runs any of them by name:
 *
 *     const decoded = decodeBody('otlp-logs', bytes, { nowMs, decodedBytesMax })
 *     port.postMessage(decoded, decoded.buffers)
 *
 * Bodies of lines are not here: they are decoded line by line (core/line-cursor.ts), in pieces of some milliseconds;
 * but for a line that is as long as a body.
 */
import type { HashSeed } from '#codec/series-key.ts'
import { snappyDeclaredSize } from '#codec/snappy.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { buffersOf, carryLogs, carrySamples, type CarriedLogs, type CarriedSamples } from '#model/carried-batch.ts'
import { LogBatch, LogBatchBuilder } from '#model/log-batch.ts'
import type { Trace } from '#model/trace.ts'
import { BatchBuilder, KeyWriter, WriteBatch } from '#model/write-batch.ts'
import { addJsonLine } from './json-lines/parse.ts'
import { decodePostSpansRequest } from './jaeger/proto.ts'
import { decodeJaegerThrift } from './jaeger/thrift.ts'
import { decodePushRequest, parseLegacyPushJson, parsePushJson, unpackPushBody } from './loki-push/push.ts'
import { carrySpans, type CarriedSpans } from './otlp/carried-spans.ts'
import { addOtlpLogs, decodeOtlpLogs, parseOtlpLogsJson, type OtlpLogResource } from './otlp/logs.ts'
import { decodeOtlpMetrics, parseOtlpMetricsJson, type OtlpResource } from './otlp/metrics.ts'
import { translateOtlp, type TranslatedPoints } from './otlp/to-prometheus.ts'
import { encodeOtlpTraces, parseOtlpTracesJson, readOtlpTraces } from './otlp/traces.ts'
import { decodeWriteBody, decodeWriteRequest } from './remote-write/v1.ts'
import { decodeWriteRequestV2 } from './remote-write/v2.ts'
import { parseZipkinJson } from './zipkin/spans.ts'

export interface DecodeOptions {
  /** The time of what has none. */
  readonly nowMs: number
  /** What a snappy block may unfold to. */
  readonly decodedBytesMax: number
  /** Of the store that gets the batch: series are found by hashes with it. */
  readonly seed: HashSeed
}

/** What a body holds. `buffers`: what may move with it. */
export type DecodedBody =
  | {
      readonly signal: 'logs'
      readonly batch: CarriedLogs
      /** What could not be read, one text each, and parts that are left out. */
      readonly problems: readonly string[]
      readonly notes: ReadonlySet<string>
      readonly buffers: readonly ArrayBuffer[]
    }
  | {
      readonly signal: 'metrics'
      readonly batch: CarriedSamples
      /** Of OTLP: which samples are one point, and what is wrong with points. */
      readonly points: TranslatedPoints | undefined
      readonly buffers: readonly ArrayBuffer[]
    }
  | {
      readonly signal: 'traces'
      /** Its spans in order. */
      readonly parts: readonly CarriedSpans[]
      readonly buffers: readonly ArrayBuffer[]
    }

function logs(batch: LogBatch, problems: readonly string[], notes: ReadonlySet<string> = new Set()): DecodedBody {
  const carried = carryLogs(batch)
  return { signal: 'logs', batch: carried, problems, notes, buffers: buffersOf(carried) }
}

/** As Loki names labels. */
const labelOf = (name: string): string => name.replaceAll(/[^A-Za-z0-9_]/g, '_')

function otlpLogs(resources: readonly OtlpLogResource[], nowMs: number): DecodedBody {
  const builder = new LogBatchBuilder()
  const { refused, notes } = addOtlpLogs(resources, builder, nowMs, labelOf)
  return logs(builder.build(), refused, notes)
}

function push(body: Uint8Array, read: (body: Uint8Array, batch: LogBatch) => string[]): DecodedBody {
  const batch = new LogBatch()
  const problems = read(body, batch)
  return logs(batch, problems)
}

function samples(batch: WriteBatch, points?: TranslatedPoints): DecodedBody {
  const carried = carrySamples(batch)
  return { signal: 'metrics', batch: carried, points, buffers: buffersOf(carried) }
}

function otlpMetrics(resources: readonly OtlpResource[], nowMs: number): DecodedBody {
  const builder = new BatchBuilder()
  const points = translateOtlp(resources, builder, nowMs)
  builder.batch.namesRefused = true
  return samples(builder.batch, points)
}

function spans(trace: Trace, message = encodeOtlpTraces(trace)): DecodedBody {
  return { signal: 'traces', parts: carrySpans(trace, message), buffers: [] }
}

function writeRequestV2(body: Uint8Array): DecodedBody {
  const batch = new WriteBatch()
  decodeWriteRequestV2(body, batch, new KeyWriter())
  return samples(batch)
}

type Decoder = (body: Uint8Array, options: DecodeOptions) => DecodedBody

const decoders = {
  'otlp-logs': (body, { nowMs }) => otlpLogs(decodeOtlpLogs(body), nowMs),
  'otlp-logs-json': (body, { nowMs }) => otlpLogs(parseOtlpLogsJson(body), nowMs),
  'loki-push': body => push(body, decodePushRequest),
  'loki-push-snappy': (body, { decodedBytesMax, seed }) => {
    const kernel = new WriteRequestKernel(seed)
    return push(
      unpackPushBody(body, packed => kernel.unpack(packed, decodedBytesMax)),
      decodePushRequest,
    )
  },
  'loki-push-json': body => push(body, parsePushJson),
  'loki-push-json-of-old': body => push(body, parseLegacyPushJson),
  'otlp-metrics': (body, { nowMs }) => otlpMetrics(decodeOtlpMetrics(body), nowMs),
  'otlp-metrics-json': (body, { nowMs }) => otlpMetrics(parseOtlpMetricsJson(body), nowMs),
  'remote-write-1-snappy': (body, { decodedBytesMax, seed }) =>
    samples(decodeWriteBody(body, decodedBytesMax, new WriteRequestKernel(seed), new WriteBatch())),
  'remote-write-1': body => {
    const batch = new WriteBatch()
    decodeWriteRequest(body, batch)
    return samples(batch)
  },
  'remote-write-2': writeRequestV2,
  'remote-write-2-snappy': (body, { decodedBytesMax, seed }) =>
    writeRequestV2(new WriteRequestKernel(seed).unpack(body, decodedBytesMax)),
  // One line: bodies of lines are decoded line by line.
  'json-line': body => {
    const builder = new BatchBuilder()
    addJsonLine(body, [], builder)
    return samples(builder.batch)
  },
  'otlp-traces': body => {
    const { trace, message } = readOtlpTraces(body)
    return spans(trace, message)
  },
  'otlp-traces-json': body => spans(parseOtlpTracesJson(body)),
  zipkin: body => spans(parseZipkinJson(body)),
  'jaeger-thrift': body => spans(decodeJaegerThrift(body)),
  'jaeger-proto': body => spans(decodePostSpansRequest(body)),
} as const satisfies Readonly<Record<string, Decoder>>

/** The formats of whole bodies. */
export type BodyKind = keyof typeof decoders
export const bodyKinds = Object.keys(decoders) as readonly BodyKind[]

/** Where bodies are decoded: another thread, which gets the options of the process. */
export interface BodyDecoder {
  /** The memory of `body` is taken over. Throws as `decodeBody`, and UnavailableError where sending again helps. */
  decode(kind: BodyKind, body: Uint8Array): Promise<DecodedBody>
}

/** What a body unfolds to by its own word, in bytes; its size where it is not packed, or damaged. */
export function unfoldedBytes(kind: BodyKind, body: Uint8Array): number {
  if (!kind.endsWith('-snappy')) return body.length
  try {
    return Math.max(body.length, snappyDeclaredSize(body).size)
  } catch {
    return body.length
  }
}

/** Throws BadDataError, CorruptDataError and LimitError, as the decoder of the format. */
export function decodeBody(kind: BodyKind, body: Uint8Array, options: DecodeOptions): DecodedBody {
  const decode: Decoder = decoders[kind]
  return decode(body, options)
}
