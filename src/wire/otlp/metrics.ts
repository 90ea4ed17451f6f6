/**
 * OTLP metrics (ExportMetricsServiceRequest), protobuf and JSON, into one structure. Source: the public
 * opentelemetry-proto definitions, v1. Field numbers stand beside the names they are read into.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { readTextMarking } from '#codec/protobuf.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { checkMessage } from '#codec/message-shape.ts'
import { RecordCount } from '#core/body-limits.ts'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { jsonBodyOf } from '#core/json-body.ts'
import { encodeUtf8 } from '#core/text.ts'
import {
  double,
  fixed64,
  inner,
  items,
  jsonAttributes,
  jsonRequest,
  keyValue,
  list,
  message,
  nanos,
  number,
  numbers,
  object,
  readInto,
  readMessage,
  readResource,
  readScope,
  repeated,
  sfixed64,
  text,
  timeMs,
  zigzag,
  type Attributes,
  type FieldsOf,
  type Json,
} from './message.ts'
import { metricsShape } from './shapes.ts'

/** An exemplar; ids are hexadecimal. */
export interface OtlpExemplar {
  timeMs: number
  value: number
  traceId: string
  spanId: string
  attributes: Attributes
}
/** A data point of any kind; what its kind does not have is empty. */
export interface OtlpPoint {
  /** Why it can't be read. */
  problem: string | undefined
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
/** What a metric's points are. */
export type OtlpKind = 'gauge' | 'sum' | 'histogram' | 'exponential' | 'summary'
/** A metric with its points. `temporality`: 1 delta, 2 cumulative. */
export interface OtlpMetric {
  name: string
  description: string
  unit: string
  kind: OtlpKind
  temporality: number
  monotonic: boolean
  points: OtlpPoint[]
}
/** Metrics of one scope. */
export interface OtlpScope {
  name: string
  version: string
  attributes: Attributes
  metrics: OtlpMetric[]
}
/** Scopes of one resource. */
export interface OtlpResource {
  attributes: Attributes
  scopes: OtlpScope[]
}

/** A point without anything. */
export function emptyPoint(): OtlpPoint {
  return {
    problem: undefined,
    attributes: [],
    startMs: 0,
    timeMs: 0,
    flags: 0,
    value: 0,
    count: 0,
    sum: undefined,
    bounds: [],
    bucketCounts: [],
    quantiles: [],
    scale: 0,
    zeroCount: 0,
    zeroThreshold: 0,
    positive: { offset: 0, counts: [] },
    negative: { offset: 0, counts: [] },
    exemplars: [],
  }
}

const hexOf = (input: ByteReader): string => Buffer.from(input.readBytes(input.readLength())).toString('hex')

const exemplarFields: FieldsOf<OtlpExemplar> = {
  2: (i, _, e) => {
    e.timeMs = timeMs(i)
  },
  3: (i, _, e) => {
    e.value = double(i)
  },
  4: (i, _, e) => {
    e.spanId = hexOf(i)
  },
  5: (i, _, e) => {
    e.traceId = hexOf(i)
  },
  6: (i, _, e) => {
    e.value = sfixed64(i)
  },
  7: (i, _, e) => {
    e.attributes.push(keyValue(inner(i)))
  },
}

type PointField = FieldsOf<OtlpPoint>[number]
const readAttribute: PointField = (i, _, p) => {
  p.attributes.push(keyValue(inner(i)))
}
const readCount: PointField = (i, _, p) => {
  p.count = fixed64(i)
}
const readSum: PointField = (i, _, p) => {
  p.sum = double(i)
}
const readFlags: PointField = (i, _, p) => {
  p.flags = i.readUvarint()
}
const readExemplar: PointField = (i, _, p) => {
  const exemplar: OtlpExemplar = { timeMs: 0, value: 0, traceId: '', spanId: '', attributes: [] }
  readInto(inner(i), exemplarFields, exemplar)
  p.exemplars.push(exemplar)
}
const times: FieldsOf<OtlpPoint> = {
  2: (i, _, p) => {
    p.startMs = timeMs(i)
  },
  3: (i, _, p) => {
    p.timeMs = timeMs(i)
  },
}

const numberFields: FieldsOf<OtlpPoint> = {
  ...times,
  4: (i, _, p) => {
    p.value = double(i)
  },
  5: readExemplar,
  6: (i, _, p) => {
    p.value = sfixed64(i)
  },
  7: readAttribute,
  8: readFlags,
}

const histogramFields: FieldsOf<OtlpPoint> = {
  ...times,
  4: readCount,
  5: readSum,
  6: (i, tag, p) => {
    repeated(i, tag, fixed64, p.bucketCounts)
  },
  7: (i, tag, p) => {
    repeated(i, tag, double, p.bounds)
  },
  8: readExemplar,
  9: readAttribute,
  10: readFlags,
}

const bucketFields: FieldsOf<OtlpPoint['positive']> = {
  1: (i, _, b) => {
    b.offset = zigzag(i.readUvarint())
  },
  2: (i, tag, b) => {
    repeated(i, tag, j => j.readUvarint(), b.counts)
  },
}

function exponentialBuckets(input: ByteReader): OtlpPoint['positive'] {
  const buckets: OtlpPoint['positive'] = { offset: 0, counts: [] }
  readInto(input, bucketFields, buckets)
  return buckets
}

const exponentialFields: FieldsOf<OtlpPoint> = {
  ...times,
  1: readAttribute,
  4: readCount,
  5: readSum,
  6: (i, _, p) => {
    p.scale = zigzag(i.readUvarint())
  },
  7: (i, _, p) => {
    p.zeroCount = fixed64(i)
  },
  8: (i, _, p) => {
    p.positive = exponentialBuckets(inner(i))
  },
  9: (i, _, p) => {
    p.negative = exponentialBuckets(inner(i))
  },
  10: readFlags,
  11: readExemplar,
  14: (i, _, p) => {
    p.zeroThreshold = double(i)
  },
}

const quantileFields: FieldsOf<OtlpPoint['quantiles'][number]> = {
  1: (i, _, q) => {
    q.quantile = double(i)
  },
  2: (i, _, q) => {
    q.value = double(i)
  },
}

const summaryFields: FieldsOf<OtlpPoint> = {
  ...times,
  4: readCount,
  5: readSum,
  6: (i, _, p) => {
    const quantile = { quantile: 0, value: 0 }
    readInto(inner(i), quantileFields, quantile)
    p.quantiles.push(quantile)
  },
  7: readAttribute,
  8: readFlags,
}

/** What is wrong in a point costs that point: it says why instead. */
function pointOrProblem(read: () => OtlpPoint): OtlpPoint {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof CorruptDataError || error instanceof BadDataError)) throw error
    return { ...emptyPoint(), problem: error.message }
  }
}

/** What is wrong in a metric costs that metric. */
function metricOrProblem(read: () => OtlpMetric): OtlpMetric {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof CorruptDataError || error instanceof BadDataError)) throw error
    return { ...emptyMetric(), points: [{ ...emptyPoint(), problem: error.message }] }
  }
}

function emptyMetric(): OtlpMetric {
  return { name: '', description: '', unit: '', kind: 'gauge', temporality: 0, monotonic: false, points: [] }
}

function metric(input: ByteReader): OtlpMetric {
  const m = emptyMetric()
  const data =
    (kind: OtlpKind, fields: FieldsOf<OtlpPoint>) =>
    (i: ByteReader): void => {
      m.kind = kind
      readMessage(inner(i), {
        1: j => {
          const message = inner(j)
          m.points.push(
            pointOrProblem(() => {
              const point = emptyPoint()
              readInto(message, fields, point)
              return point
            }),
          )
        },
        2: j => {
          m.temporality = j.readUvarint()
        },
        3: j => {
          m.monotonic = j.readUvarint() !== 0
        },
      })
    }
  readMessage(input, {
    1: i => {
      m.name = readTextMarking(i)
    },
    2: i => {
      m.description = readTextMarking(i)
    },
    3: i => {
      m.unit = readTextMarking(i)
    },
    5: data('gauge', numberFields),
    7: data('sum', numberFields),
    9: data('histogram', histogramFields),
    10: data('exponential', exponentialFields),
    11: data('summary', summaryFields),
  })
  return m
}

function scopeMetrics(input: ByteReader): OtlpScope {
  const s: OtlpScope = { name: '', version: '', attributes: [], metrics: [] }
  readMessage(input, {
    1: i => {
      const { name, version, attributes } = readScope(inner(i))
      s.name = name
      s.version = version
      s.attributes = attributes
    },
    2: i => {
      const message = inner(i)
      s.metrics.push(metricOrProblem(() => metric(message)))
    },
  })
  return s
}

/** Throws CorruptDataError, and LimitError (400) for more than a body of its size may hold. */
export function decodeOtlpMetrics(bytes: Uint8Array): OtlpResource[] {
  checkMessage(bytes, metricsShape)
  const resources: OtlpResource[] = []
  readMessage(new ByteReader(bytes), {
    1: i => {
      const r: OtlpResource = { attributes: [], scopes: [] }
      readMessage(inner(i), {
        1: j => {
          readResource(inner(j), r.attributes)
        },
        2: j => {
          r.scopes.push(scopeMetrics(inner(j)))
        },
      })
      resources.push(r)
    },
  })
  return resources
}

// --- JSON ---

function jsonPoint(value: Json): OtlpPoint {
  const buckets = (b: unknown): { offset: number; counts: number[] } => ({
    offset: number(object(b)['offset']),
    counts: numbers(object(b)['bucketCounts']),
  })
  return {
    problem: undefined,
    attributes: jsonAttributes(value['attributes']),
    startMs: nanos(value['startTimeUnixNano']),
    timeMs: nanos(value['timeUnixNano']),
    flags: number(value['flags']),
    value: 'asDouble' in value ? number(value['asDouble']) : number(value['asInt']),
    count: number(value['count']),
    sum: 'sum' in value ? number(value['sum']) : undefined,
    bounds: numbers(value['explicitBounds']),
    bucketCounts: numbers(value['bucketCounts']),
    quantiles: list(value['quantileValues']).map(q => ({ quantile: number(q['quantile']), value: number(q['value']) })),
    scale: number(value['scale']),
    zeroCount: number(value['zeroCount']),
    zeroThreshold: number(value['zeroThreshold']),
    positive: buckets(value['positive']),
    negative: buckets(value['negative']),
    exemplars: list(value['exemplars']).map(e => ({
      timeMs: nanos(e['timeUnixNano']),
      value: 'asDouble' in e ? number(e['asDouble']) : number(e['asInt']),
      traceId: text(e['traceId']).toLowerCase(),
      spanId: text(e['spanId']).toLowerCase(),
      attributes: jsonAttributes(e['filteredAttributes']),
    })),
  }
}

const jsonKinds = [
  ['gauge', 'gauge'],
  ['sum', 'sum'],
  ['histogram', 'histogram'],
  ['exponentialHistogram', 'exponential'],
  ['summary', 'summary'],
] as const

function jsonTemporality(value: unknown): number {
  if (value === 'AGGREGATION_TEMPORALITY_DELTA') return 1
  if (value === 'AGGREGATION_TEMPORALITY_CUMULATIVE') return 2
  return typeof value === 'string' && !/^\d+$/.test(value) ? 0 : number(value)
}

function jsonMetric(value: Json, count: RecordCount): OtlpMetric {
  const [member, kind] = jsonKinds.find(([name]) => name in value) ?? jsonKinds[0]
  const data = object(value[member])
  return {
    name: text(value['name']),
    description: text(value['description']),
    unit: text(value['unit']),
    kind,
    temporality: jsonTemporality(data['aggregationTemporality']),
    monotonic: data['isMonotonic'] === true,
    points: items(data['dataPoints']).map(point => {
      count.add()
      return pointOrProblem(() => jsonPoint(message(point, 'a data point')))
    }),
  }
}

/** A request that was `bytes` long in JSON. Throws BadDataError, and LimitError (400) as `decodeOtlpMetrics`. */
export function otlpMetricsOfJson(parsed: unknown, bytes: number): OtlpResource[] {
  const count = new RecordCount(bytes)
  return list(jsonRequest(parsed)['resourceMetrics']).map(r => ({
    attributes: jsonAttributes(object(r['resource'])['attributes']),
    scopes: list(r['scopeMetrics']).map(s => {
      count.add()
      const scope = object(s['scope'])
      return {
        name: text(scope['name']),
        version: text(scope['version']),
        attributes: jsonAttributes(scope['attributes']),
        metrics: items(s['metrics']).map(m => {
          count.add()
          return metricOrProblem(() => jsonMetric(message(m, 'a metric'), count))
        }),
      }
    }),
  }))
}

/** The same, from its bytes. */
export function parseOtlpMetricsJson(body: Uint8Array): OtlpResource[] {
  return otlpMetricsOfJson(jsonBodyOf(body), body.length)
}

/**
 * ExportMetricsServiceResponse{1 partial_success{1 rejected_data_points, 2 error_message}}; empty when nothing was
 * refused and there is nothing to tell.
 */
export function encodeOtlpMetricsResponse(refused: number, message: string): Uint8Array {
  if (refused === 0 && message === '') return new Uint8Array(0)
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

/** google.rpc.Status{1 code, 2 message}. */
export function encodeStatus(code: number, message: string): Uint8Array {
  const out = new ByteWriter(64)
  out.writeU8(0x08)
  out.writeUvarint(code)
  const bytes = encodeUtf8(message)
  out.writeU8(0x12)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
  return out.copy()
}
