/**
 * OTLP metrics (ExportMetricsServiceRequest), protobuf and JSON, into one structure. Source: the public
 * opentelemetry-proto definitions, v1. Field numbers stand beside the names they are read into.
 */
import { ByteReader } from '#codec/byte-reader.ts'
import { readText } from '#codec/protobuf.ts'
import { ByteWriter } from '#codec/byte-writer.ts'
import { BadDataError } from '#core/errors.ts'
import { encodeUtf8 } from '#core/text.ts'
import {
  double,
  fixed64,
  inner,
  jsonAttributes,
  keyValue,
  list,
  nanos,
  number,
  numbers,
  object,
  readMessage,
  repeated,
  sfixed64,
  text,
  timeMs,
  zigzag,
  type Attributes,
  type Json,
} from './message.ts'

export interface OtlpExemplar {
  timeMs: number
  value: number
  traceId: string
  spanId: string
  attributes: Attributes
}
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
export interface OtlpMetric {
  name: string
  description: string
  unit: string
  kind: OtlpKind
  temporality: number
  monotonic: boolean
  points: OtlpPoint[]
}
export interface OtlpScope {
  name: string
  version: string
  attributes: Attributes
  metrics: OtlpMetric[]
}
export interface OtlpResource {
  attributes: Attributes
  scopes: OtlpScope[]
}

export function emptyPoint(): OtlpPoint {
  return {
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

function exemplar(input: ByteReader): OtlpExemplar {
  const e: OtlpExemplar = { timeMs: 0, value: 0, traceId: '', spanId: '', attributes: [] }
  readMessage(input, {
    7: i => {
      e.attributes.push(keyValue(inner(i)))
    },
    2: i => {
      e.timeMs = timeMs(i)
    },
    3: i => {
      e.value = double(i)
    },
    6: i => {
      e.value = sfixed64(i)
    },
    4: i => {
      e.spanId = Buffer.from(i.readBytes(i.readLength())).toString('hex')
    },
    5: i => {
      e.traceId = Buffer.from(i.readBytes(i.readLength())).toString('hex')
    },
  })
  return e
}

function numberPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    7: i => {
      p.attributes.push(keyValue(inner(i)))
    },
    2: i => {
      p.startMs = timeMs(i)
    },
    3: i => {
      p.timeMs = timeMs(i)
    },
    4: i => {
      p.value = double(i)
    },
    6: i => {
      p.value = sfixed64(i)
    },
    5: i => {
      p.exemplars.push(exemplar(inner(i)))
    },
    8: i => {
      p.flags = i.readUvarint()
    },
  })
  return p
}

function histogramPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    9: i => {
      p.attributes.push(keyValue(inner(i)))
    },
    2: i => {
      p.startMs = timeMs(i)
    },
    3: i => {
      p.timeMs = timeMs(i)
    },
    4: i => {
      p.count = fixed64(i)
    },
    5: i => {
      p.sum = double(i)
    },
    6: (i, tag) => {
      repeated(i, tag, fixed64, p.bucketCounts)
    },
    7: (i, tag) => {
      repeated(i, tag, double, p.bounds)
    },
    8: i => {
      p.exemplars.push(exemplar(inner(i)))
    },
    10: i => {
      p.flags = i.readUvarint()
    },
  })
  return p
}

function exponentialBuckets(input: ByteReader): { offset: number; counts: number[] } {
  const b = { offset: 0, counts: [] as number[] }
  readMessage(input, {
    1: i => {
      b.offset = zigzag(i.readUvarint())
    },
    2: (i, tag) => {
      repeated(i, tag, j => j.readUvarint(), b.counts)
    },
  })
  return b
}

function exponentialPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    1: i => {
      p.attributes.push(keyValue(inner(i)))
    },
    2: i => {
      p.startMs = timeMs(i)
    },
    3: i => {
      p.timeMs = timeMs(i)
    },
    4: i => {
      p.count = fixed64(i)
    },
    5: i => {
      p.sum = double(i)
    },
    6: i => {
      p.scale = zigzag(i.readUvarint())
    },
    7: i => {
      p.zeroCount = fixed64(i)
    },
    8: i => {
      p.positive = exponentialBuckets(inner(i))
    },
    9: i => {
      p.negative = exponentialBuckets(inner(i))
    },
    10: i => {
      p.flags = i.readUvarint()
    },
    11: i => {
      p.exemplars.push(exemplar(inner(i)))
    },
    14: i => {
      p.zeroThreshold = double(i)
    },
  })
  return p
}

function summaryPoint(input: ByteReader): OtlpPoint {
  const p = emptyPoint()
  readMessage(input, {
    7: i => {
      p.attributes.push(keyValue(inner(i)))
    },
    2: i => {
      p.startMs = timeMs(i)
    },
    3: i => {
      p.timeMs = timeMs(i)
    },
    4: i => {
      p.count = fixed64(i)
    },
    5: i => {
      p.sum = double(i)
    },
    6: i => {
      const q = { quantile: 0, value: 0 }
      readMessage(inner(i), {
        1: j => {
          q.quantile = double(j)
        },
        2: j => {
          q.value = double(j)
        },
      })
      p.quantiles.push(q)
    },
    8: i => {
      p.flags = i.readUvarint()
    },
  })
  return p
}

function metric(input: ByteReader): OtlpMetric {
  const m: OtlpMetric = {
    name: '',
    description: '',
    unit: '',
    kind: 'gauge',
    temporality: 0,
    monotonic: false,
    points: [],
  }
  const data =
    (kind: OtlpKind, point: (input: ByteReader) => OtlpPoint) =>
    (i: ByteReader): void => {
      m.kind = kind
      readMessage(inner(i), {
        1: j => {
          m.points.push(point(inner(j)))
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
      m.name = readText(i)
    },
    2: i => {
      m.description = readText(i)
    },
    3: i => {
      m.unit = readText(i)
    },
    5: data('gauge', numberPoint),
    7: data('sum', numberPoint),
    9: data('histogram', histogramPoint),
    10: data('exponential', exponentialPoint),
    11: data('summary', summaryPoint),
  })
  return m
}

function scopeMetrics(input: ByteReader): OtlpScope {
  const s: OtlpScope = { name: '', version: '', attributes: [], metrics: [] }
  readMessage(input, {
    1: i => {
      readMessage(inner(i), {
        1: j => {
          s.name = readText(j)
        },
        2: j => {
          s.version = readText(j)
        },
        3: j => {
          s.attributes.push(keyValue(inner(j)))
        },
      })
    },
    2: i => {
      s.metrics.push(metric(inner(i)))
    },
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
        1: j => {
          readMessage(inner(j), {
            1: k => {
              r.attributes.push(keyValue(inner(k)))
            },
          })
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

// ── JSON ──

function jsonPoint(value: Json): OtlpPoint {
  const buckets = (b: unknown): { offset: number; counts: number[] } => ({
    offset: number(object(b)['offset']),
    counts: numbers(object(b)['bucketCounts']),
  })
  return {
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
      traceId: text(e['traceId']),
      spanId: text(e['spanId']),
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
  return value === 'AGGREGATION_TEMPORALITY_CUMULATIVE' ? 2 : number(value)
}

function jsonMetric(value: Json): OtlpMetric {
  const [member, kind] = jsonKinds.find(([name]) => name in value) ?? jsonKinds[0]
  const data = object(value[member])
  return {
    name: text(value['name']),
    description: text(value['description']),
    unit: text(value['unit']),
    kind,
    temporality: jsonTemporality(data['aggregationTemporality']),
    monotonic: data['isMonotonic'] === true,
    points: list(data['dataPoints']).map(jsonPoint),
  }
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
      return {
        name: text(scope['name']),
        version: text(scope['version']),
        attributes: jsonAttributes(scope['attributes']),
        metrics: list(s['metrics']).map(jsonMetric),
      }
    }),
  }))
}

/**
 * ExportMetricsServiceResponse{1 partial_success{1 rejected_data_points, 2 error_message}}; empty when nothing was
 * refused.
 */
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
