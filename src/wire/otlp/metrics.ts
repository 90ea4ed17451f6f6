/**
 * OTLP metrics (ExportMetricsServiceRequest), protobuf and JSON, into one structure. Source: the public opentelemetry-proto
 * definitions, v1. Field numbers stand beside the names they are read into.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { readText, skipField } from '#codec/protobuf.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { BadDataError } from '#core/errors.ts'
import { encodeUtf8 } from '#core/text.ts'

export type Attributes = [string, AttributeValue][]
export type AttributeValue = string | number | boolean | null | AttributeValue[] | { [key: string]: AttributeValue }

export interface OtlpExemplar { timeMs: number; value: number; traceId: string; spanId: string; attributes: Attributes }
export interface OtlpPoint {
  attributes: Attributes
  startMs: number
  timeMs: number
  /** Bit 0: no recorded value. */
  flags: number
  /** Number points. */
  value: number
  /** Histograms and summaries. */
  count: number
  sum: number | undefined
  bounds: number[]
  bucketCounts: number[]
  quantiles: { quantile: number; value: number }[]
  scale: number
  zeroCount: number
  zeroThreshold: number
  positive: { offset: number; counts: number[] }
  negative: { offset: number; counts: number[] }
  exemplars: OtlpExemplar[]
}
export type OtlpKind = 'gauge' | 'sum' | 'histogram' | 'exponential' | 'summary'
export interface OtlpMetric { name: string; description: string; unit: string; kind: OtlpKind; temporality: number; monotonic: boolean; points: OtlpPoint[] }
export interface OtlpScope { name: string; version: string; attributes: Attributes; metrics: OtlpMetric[] }
export interface OtlpResource { attributes: Attributes; scopes: OtlpScope[] }

export function emptyPoint(): OtlpPoint {
  return { attributes: [], startMs: 0, timeMs: 0, flags: 0, value: 0, count: 0, sum: undefined, bounds: [], bucketCounts: [], quantiles: [], scale: 0, zeroCount: 0, zeroThreshold: 0, positive: { offset: 0, counts: [] }, negative: { offset: 0, counts: [] }, exemplars: [] }
}

type Fields = Readonly<Record<number, (input: ByteReader, tag: number) => void>>

/** Reads a message, handing known fields on by number. */
function readMessage(input: ByteReader, fields: Fields): void {
  while (input.at < input.end) {
    const tag = input.readUvarint()
    const read = fields[tag >>> 3]
    if (read === undefined) skipField(input, tag)
    else read(input, tag)
  }
}

function inner(input: ByteReader): ByteReader {
  const length = input.readLength()
  input.at += length
  return new ByteReader(input.bytes, input.at - length, input.at)
}

function fixed64(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return input.view.getUint32(input.at - 4, true) * 4294967296 + input.view.getUint32(input.at - 8, true)
}
function sfixed64(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return Number(input.view.getBigInt64(input.at - 8, true))
}
function double(input: ByteReader): number {
  input.need(8)
  input.at += 8
  return input.view.getFloat64(input.at - 8, true)
}
/** Nanoseconds to whole milliseconds. */
function timeMs(input: ByteReader): number { return Math.floor(fixed64(input) / 1e6) }
function zigzag(raw: number): number { return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2 }

/** Packed or single. */
function repeated(input: ByteReader, tag: number, read: (input: ByteReader) => number, into: number[]): void {
  if ((tag & 7) !== 2) { into.push(read(input)); return }
  const part = inner(input)
  while (part.at < part.end) into.push(read(part))
}

function anyValue(input: ByteReader): AttributeValue {
  let value: AttributeValue = null
  readMessage(input, {
    1: i => { value = readText(i) }, 2: i => { value = i.readUvarint() !== 0 },
    3: i => { const at = i.at; let n = 0n, shift = 0n; i.at = at; for (;;) { const b = i.readU8(); n |= BigInt(b & 127) << shift; shift += 7n; if (b < 128) break } value = Number(BigInt.asIntN(64, n)) },
    4: i => { value = double(i) },
    5: i => { const list: AttributeValue[] = []; readMessage(inner(i), { 1: j => { list.push(anyValue(inner(j))) } }); value = list },
    6: i => { const map: Attributes = []; readMessage(inner(i), { 1: j => { map.push(keyValue(inner(j))) } }); value = Object.fromEntries(map) },
    7: i => { value = Buffer.from(i.readBytes(i.readLength())).toString('base64') },
  })
  return value
}

function keyValue(input: ByteReader): [string, AttributeValue] {
  let key = ''
  let value: AttributeValue = null
  readMessage(input, { 1: i => { key = readText(i) }, 2: i => { value = anyValue(inner(i)) } })
  return [key, value]
}

function exemplar(input: ByteReader): OtlpExemplar {
  const e: OtlpExemplar = { timeMs: 0, value: 0, traceId: '', spanId: '', attributes: [] }
  readMessage(input, {
    7: i => { e.attributes.push(keyValue(inner(i))) }, 2: i => { e.timeMs = timeMs(i) }, 3: i => { e.value = double(i) }, 6: i => { e.value = sfixed64(i) },
    4: i => { e.spanId = Buffer.from(i.readBytes(i.readLength())).toString('hex') }, 5: i => { e.traceId = Buffer.from(i.readBytes(i.readLength())).toString('hex') },
  })
  return e
}

function numberPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    7: i => { p.attributes.push(keyValue(inner(i))) }, 2: i => { p.startMs = timeMs(i) }, 3: i => { p.timeMs = timeMs(i) },
    4: i => { p.value = double(i) }, 6: i => { p.value = sfixed64(i) }, 5: i => { p.exemplars.push(exemplar(inner(i))) }, 8: i => { p.flags = i.readUvarint() },
  })
  return p
}

function histogramPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    9: i => { p.attributes.push(keyValue(inner(i))) }, 2: i => { p.startMs = timeMs(i) }, 3: i => { p.timeMs = timeMs(i) }, 4: i => { p.count = fixed64(i) }, 5: i => { p.sum = double(i) },
    6: (i, tag) => { repeated(i, tag, fixed64, p.bucketCounts) }, 7: (i, tag) => { repeated(i, tag, double, p.bounds) }, 8: i => { p.exemplars.push(exemplar(inner(i))) }, 10: i => { p.flags = i.readUvarint() },
  })
  return p
}

function exponentialBuckets(input: ByteReader): { offset: number; counts: number[] } {
  const b = { offset: 0, counts: [] as number[] }
  readMessage(input, { 1: i => { b.offset = zigzag(i.readUvarint()) }, 2: (i, tag) => { repeated(i, tag, j => j.readUvarint(), b.counts) } })
  return b
}

function exponentialPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    1: i => { p.attributes.push(keyValue(inner(i))) }, 2: i => { p.startMs = timeMs(i) }, 3: i => { p.timeMs = timeMs(i) }, 4: i => { p.count = fixed64(i) }, 5: i => { p.sum = double(i) },
    6: i => { p.scale = zigzag(i.readUvarint()) }, 7: i => { p.zeroCount = fixed64(i) }, 8: i => { p.positive = exponentialBuckets(inner(i)) }, 9: i => { p.negative = exponentialBuckets(inner(i)) },
    10: i => { p.flags = i.readUvarint() }, 11: i => { p.exemplars.push(exemplar(inner(i))) }, 14: i => { p.zeroThreshold = double(i) },
  })
  return p
}

function summaryPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    7: i => { p.attributes.push(keyValue(inner(i))) }, 2: i => { p.startMs = timeMs(i) }, 3: i => { p.timeMs = timeMs(i) }, 4: i => { p.count = fixed64(i) }, 5: i => { p.sum = double(i) },
    6: i => { const q = { quantile: 0, value: 0 }; readMessage(inner(i), { 1: j => { q.quantile = double(j) }, 2: j => { q.value = double(j) } }); p.quantiles.push(q) }, 8: i => { p.flags = i.readUvarint() },
  })
  return p
}

function metric(input: ByteReader): OtlpMetric {
  const m: OtlpMetric = { name: '', description: '', unit: '', kind: 'gauge', temporality: 0, monotonic: false, points: [] }
  const data = (kind: OtlpKind, point: (input: ByteReader) => OtlpPoint) => (i: ByteReader): void => {
    m.kind = kind
    readMessage(inner(i), { 1: j => { m.points.push(point(inner(j))) }, 2: j => { m.temporality = j.readUvarint() }, 3: j => { m.monotonic = j.readUvarint() !== 0 } })
  }
  readMessage(input, {
    1: i => { m.name = readText(i) }, 2: i => { m.description = readText(i) }, 3: i => { m.unit = readText(i) },
    5: data('gauge', numberPoint), 7: data('sum', numberPoint), 9: data('histogram', histogramPoint), 10: data('exponential', exponentialPoint), 11: data('summary', summaryPoint),
  })
  return m
}

function scopeMetrics(input: ByteReader): OtlpScope {
  const s: OtlpScope = { name: '', version: '', attributes: [], metrics: [] }
  readMessage(input, {
    1: i => { readMessage(inner(i), { 1: j => { s.name = readText(j) }, 2: j => { s.version = readText(j) }, 3: j => { s.attributes.push(keyValue(inner(j))) } }) },
    2: i => { s.metrics.push(metric(inner(i))) },
  })
  return s
}

/** Throws CorruptDataError. */
export function decodeOtlpMetrics(bytes: Uint8Array): OtlpResource[] {
  const resources: OtlpResource[] = []
  readMessage(new ByteReader(bytes), {
    1: i => {
      const r: OtlpResource = { attributes: [], scopes: [] }
      readMessage(inner(i), {
        1: j => { readMessage(inner(j), { 1: k => { r.attributes.push(keyValue(inner(k))) } }) },
        2: j => { r.scopes.push(scopeMetrics(inner(j))) },
      })
      resources.push(r)
    },
  })
  return resources
}

// ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

type Json = Record<string, unknown>
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter((v): v is Json => typeof v === 'object' && v !== null) : [])
const number = (value: unknown): number => (typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : 0)
const numbers = (value: unknown): number[] => (Array.isArray(value) ? value.map(number) : [])
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const nanos = (value: unknown): number => (typeof value === 'string' && /^\d+$/.test(value) ? Number(BigInt(value) / 1_000_000n) : Math.floor(number(value) / 1e6))
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? value as Json : {})

function jsonValue(value: Json): AttributeValue {
  if ('stringValue' in value) return text(value['stringValue'])
  if ('boolValue' in value) return value['boolValue'] === true
  if ('intValue' in value) return number(value['intValue'])
  if ('doubleValue' in value) return number(value['doubleValue'])
  if ('arrayValue' in value) return list(object(value['arrayValue'])['values']).map(jsonValue)
  if ('kvlistValue' in value) return Object.fromEntries(jsonAttributes(object(value['kvlistValue'])['values']))
  return 'bytesValue' in value ? text(value['bytesValue']) : null
}

function jsonAttributes(value: unknown): Attributes { return list(value).map(entry => [text(entry['key']), jsonValue(object(entry['value']))]) }

function jsonPoint(value: Json): OtlpPoint {
  const buckets = (b: unknown): { offset: number; counts: number[] } => ({ offset: number(object(b)['offset']), counts: numbers(object(b)['bucketCounts']) })
  return {
    attributes: jsonAttributes(value['attributes']), startMs: nanos(value['startTimeUnixNano']), timeMs: nanos(value['timeUnixNano']), flags: number(value['flags']),
    value: 'asDouble' in value ? number(value['asDouble']) : number(value['asInt']), count: number(value['count']), sum: 'sum' in value ? number(value['sum']) : undefined,
    bounds: numbers(value['explicitBounds']), bucketCounts: numbers(value['bucketCounts']),
    quantiles: list(value['quantileValues']).map(q => ({ quantile: number(q['quantile']), value: number(q['value']) })),
    scale: number(value['scale']), zeroCount: number(value['zeroCount']), zeroThreshold: number(value['zeroThreshold']), positive: buckets(value['positive']), negative: buckets(value['negative']),
    exemplars: list(value['exemplars']).map(e => ({ timeMs: nanos(e['timeUnixNano']), value: 'asDouble' in e ? number(e['asDouble']) : number(e['asInt']), traceId: text(e['traceId']), spanId: text(e['spanId']), attributes: jsonAttributes(e['filteredAttributes']) })),
  }
}

const jsonKinds = [['gauge', 'gauge'], ['sum', 'sum'], ['histogram', 'histogram'], ['exponentialHistogram', 'exponential'], ['summary', 'summary']] as const

function jsonTemporality(value: unknown): number {
  if (value === 'AGGREGATION_TEMPORALITY_DELTA') return 1
  return value === 'AGGREGATION_TEMPORALITY_CUMULATIVE' ? 2 : number(value)
}

function jsonMetric(value: Json): OtlpMetric {
  const [member, kind] = jsonKinds.find(([name]) => name in value) ?? jsonKinds[0]
  const data = object(value[member])
  return { name: text(value['name']), description: text(value['description']), unit: text(value['unit']), kind, temporality: jsonTemporality(data['aggregationTemporality']), monotonic: data['isMonotonic'] === true, points: list(data['dataPoints']).map(jsonPoint) }
}

/** Throws BadDataError. */
export function parseOtlpMetricsJson(source: string): OtlpResource[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(source)
  } catch (error) {
    throw new BadDataError('the body is not JSON', { cause: error })
  }
  return list(object(parsed)['resourceMetrics']).map(r => ({
    attributes: jsonAttributes(object(r['resource'])['attributes']),
    scopes: list(r['scopeMetrics']).map(s => {
      const scope = object(s['scope'])
      return { name: text(scope['name']), version: text(scope['version']), attributes: jsonAttributes(scope['attributes']), metrics: list(s['metrics']).map(jsonMetric) }
    }),
  }))
}

/** ExportMetricsServiceResponse{1 partial_success{1 rejected_data_points, 2 error_message}}; empty when nothing was refused. */
export function encodeOtlpMetricsResponse(refused: number, message: string): Uint8Array {
  if (refused === 0) return new Uint8Array(0)
  const partial = new ByteWriter(64)
  partial.writeU8(0x08)
  partial.writeUvarint(refused)
  const bytes = encodeUtf8(message)
  partial.writeU8(0x12)
  partial.writeUvarint(bytes.length)
  partial.writeBytes(bytes)
  const out = new ByteWriter(64)
  out.writeU8(0x0a)
  out.writeUvarint(partial.at)
  out.writeBytes(partial.bytes())
  return out.copy()
}
