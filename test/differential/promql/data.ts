/** What both servers are given: series in Prometheus' notation, sent by remote write, a request for each minute. */
import { ByteWriter } from '#codec/byte-writer.ts'
import { encodeSnappy } from '#codec/snappy.ts'
import { FloatHistogram, spansOf, type Buckets } from '#model/histogram.ts'
import { parseSeriesLine, type Point, type SeriesLine } from '#model/series-notation.ts'
import { histogramSchema } from '../../histogram-messages.ts'
import { protobuf, type Message } from '../../protobuf.ts'
import { postWrite } from '../../write-request.ts'

const minuteMs = 60_000
const points = 90

/** The time of the first point. */
export function firstMs(baseMs: number): number {
  return baseMs - points * minuteMs
}

const buckets = (name: string, labels: string, counts: readonly [le: string, line: string][]): string[] =>
  counts.map(([le, line]) => `${name}_bucket{${labels}le="${le}"} ${line}`)

/** One point a minute. */
export const lines: readonly string[] = [
  // Counters: steady, with resets, with gaps and a staleness marker, one that ends.
  'req_total{job="api",instance="i1",code="200"} 0+60x89',
  'req_total{job="api",instance="i1",code="500"} 0+3x40 5+3x48',
  'req_total{job="api",instance="i2",code="200"} 10+30x20 0+30x30 7+45x37',
  'req_total{job="web",instance="i3",code="200"} 1+1.5x89',
  'req_total{job="web",instance="i3",code="500"} _x30 0+1x19 stale _x5 0+2x33',
  'req_total{job="web",instance="i4",code="404"} 5+5x59 stale',
  // Gauges.
  'temp{room="a",floor="1"} 20+0.5x29 35-0.5x29 20x29',
  'temp{room="b",floor="1"} -5+0.25x89',
  'temp{room="c",floor="2"} 0x89',
  'temp{room="d10",floor="2"} 3 1 4 1 5 9 2 6 5 3 5 8 9 7 9 3 2 3 8 4 6 2 6 4 3 3 8 3 2 7 9 5 0 2 8 8 4 1 9 7 1+1x49',
  'temp{room="d2",floor="2"} 100-1x89',
  'temp_limit{floor="1"} 21x89',
  'temp_limit{floor="2"} 50-1x89',
  'room_info{room="a",owner="ann",floor="1"} 1x89',
  'room_info{room="b",owner="bob",floor="1"} 1x89',
  'room_info{room="d2",owner="dan",floor="2"} 1x89',
  // Numbers that are none.
  'odd{kind="nan"} NaNx89',
  'odd{kind="inf"} Infx89',
  'odd{kind="neginf"} -Infx89',
  'odd{kind="zero"} 0x89',
  'odd{kind="negzero"} -0x89',
  'odd{kind="tiny"} 5e-324x89',
  'odd{kind="huge"} 1.7976931348623157e308x89',
  'odd{kind="big"} 123456789012345680x89',
  'odd{kind="third"} 0.3333333333333333x89',
  'odd{kind="mix"} 1 NaN 3 Inf 5 -Inf 7 NaN NaN 10x80',
  'single 42 _x88',
  'late_born _x80 1+1x9',
  'ends 1+1x40 stale',
  // Times, as seconds.
  'when{what="epoch"} 0x89',
  'when{what="leap"} 1709164800x89',
  'when{what="far"} 4102444799x89',
  'when{what="past"} -86400x89',
  // Labels.
  'labels{a="x",b="",c="Ünï"} 1x89',
  'labels{a="x.y",c="two words",empty=""} 2x89',
  'labels{"dotted.name"="v",a="z"} 3x89',
  '{"utf8.metric",a="ü"} 4x89',
  'dup{x="1",y="1"} 1x89',
  'dup{x="1",y="2"} 2x89',
  'dup{x="2",y="1"} 3x89',
  'other{x="1"} 10x89',
  'other{x="3"} 30x89',
  // Classic histograms: right, falling, without +Inf, with bad bounds, below zero.
  ...buckets('lat', 'svc="a",', [
    ['0.1', '0+1x89'],
    ['0.5', '0+3x89'],
    ['1', '0+5x89'],
    ['+Inf', '0+6x89'],
  ]),
  ...buckets('lat', 'svc="b",', [
    ['0.1', '0+2x89'],
    ['0.5', '0+2x89'],
    ['1', '0+2x89'],
    ['+Inf', '0+2x89'],
  ]),
  ...buckets('falling', '', [
    ['1', '0+4x89'],
    ['2', '0+3x89'],
    ['4', '0+9x89'],
    ['+Inf', '0+8x89'],
  ]),
  ...buckets('open', '', [
    ['1', '1x89'],
    ['2', '2x89'],
  ]),
  ...buckets('bad', '', [
    ['one', '1x89'],
    ['+Inf', '2x89'],
  ]),
  ...buckets('cold', '', [
    ['-10', '2x89'],
    ['0', '5x89'],
    ['10', '7x89'],
    ['+Inf', '10x89'],
  ]),
  // Native histograms: a counter, one with resets, a gauge, other resolutions, negative observations, NaN sums.
  'nat{i="1"} {{schema:0 count:12 sum:18.4 z_bucket:2 z_bucket_w:0.001 buckets:[4 0 6]}}+{{schema:0 ' +
    'count:12 sum:18.4 z_bucket:2 z_bucket_w:0.001 buckets:[4 0 6]}}x89',
  'nat{i="2"} {{schema:1 count:6 sum:9 z_bucket:1 z_bucket_w:0.001 offset:-1 buckets:[1 2 2]}}+{{schema:1 ' +
    'count:5 sum:7 offset:-1 buckets:[1 2 2]}}x40 {{schema:1 count:6 sum:9 z_bucket:1 z_bucket_w:0.001 ' +
    'offset:-1 buckets:[1 2 2]}}+{{schema:1 count:5 sum:7 offset:-1 buckets:[1 2 2]}}x48',
  'nat{i="3"} {{schema:3 count:9 sum:-3.5 z_bucket:1 z_bucket_w:0.001 buckets:[3] n_buckets:[2 0 3]}}x89',
  'level{i="1"} {{schema:0 count:8 sum:11 counter_reset_hint:gauge buckets:[2 4 2]}}x30 {{schema:0 count:4 ' +
    'sum:3 counter_reset_hint:gauge buckets:[3 1]}}x58',
  'wide{i="1"} {{schema:0 count:20 sum:10 z_bucket:5 z_bucket_w:0.25 buckets:[5 5] n_buckets:[5]}}x89',
  'wide{i="2"} {{schema:0 count:20 sum:10 z_bucket:5 z_bucket_w:0.5 buckets:[5 5] n_buckets:[5]}}x89',
  'nonum {{schema:0 count:10 sum:NaN buckets:[2 3 1]}}x89',
  'empty_h {{schema:0 count:0 sum:0}}x89',
  // Custom bounds, equal and other.
  'nhcb{i="1"} {{schema:-53 count:20 sum:140 custom_values:[4 8 16] buckets:[5 6 7 2]}}+{{schema:-53 ' +
    'count:20 sum:140 custom_values:[4 8 16] buckets:[5 6 7 2]}}x89',
  'nhcb{i="2"} {{schema:-53 count:9 sum:40 custom_values:[2 8] buckets:[3 4 2]}}x89',
  'moved {{schema:-53 count:6 sum:14 custom_values:[1 5] buckets:[1 2 3]}}x44 {{schema:-53 count:9 sum:40 ' +
    'custom_values:[2 5] buckets:[3 4 2]}}x44',
  // Floats and histograms in one series, and both kinds of histograms.
  'mixed{i="1"} 1+1x44 {{schema:0 count:4 sum:6 buckets:[4]}}x44',
  'mixed{i="2"} {{schema:0 count:4 sum:6 buckets:[2 2]}}x44 {{schema:-53 count:4 sum:6 custom_values:[2] ' +
    'buckets:[3 1]}}x44',
  'either{i="f"} 5x89',
  'either{i="h"} {{schema:0 count:4 sum:6 buckets:[2 2]}}x89',
  'both_bucket{le="1"} 1x89',
  'both_bucket{le="+Inf"} 2x89',
  'both {{schema:0 count:4 sum:6 buckets:[2 2]}}x89',
  // Info metrics.
  'target_info{job="api",instance="i1",env="prod",zone="z1"} 1x89',
  'target_info{job="api",instance="i2",env="dev"} 1x89',
  'build_info{job="api",instance="i1",version="1.2"} 1x89',
]

/** Sent when all others are there: out of order. */
export const lateLines: readonly string[] = [
  'ooo{i="1"} _x40 1+1x9',
  'ooo{i="1"} _x60 100+1x9',
  'ooo{i="1"} _x50 50+1x9',
  'ooo{i="2"} _x70 7 _ 9',
  'ooo{i="2"} _x71 8',
]

/** Sends all of it. */
export async function loadSeries(url: string, baseMs: number): Promise<void> {
  const startMs = firstMs(baseMs)
  const series = lines.map(parseSeriesLine)
  for (let i = 0; i < points; i++) {
    const messages = series.filter(s => s.points[i] !== undefined).map(s => seriesAt(s, [i], startMs))
    await send(url, messages)
  }
  for (const line of lateLines) {
    const one = parseSeriesLine(line)
    const there = one.points.flatMap((point, i) => (point === undefined ? [] : [i]))
    await send(url, [seriesAt(one, there, startMs)])
  }
}

async function send(url: string, series: readonly Uint8Array[]): Promise<void> {
  const out = new ByteWriter()
  for (const one of series) writeMessage(out, 0x0a, one)
  const reply = await postWrite(url, encodeSnappy(out.bytes()))
  const text = await reply.text()
  if (!reply.ok) throw new Error(`the samples were refused: ${reply.status} ${text}`)
}

/** A series with some of its points. */
function seriesAt({ labels, points }: SeriesLine, at: readonly number[], startMs: number): Uint8Array {
  const out = new ByteWriter()
  for (let i = 0; i < labels.pairs.length; i += 2) {
    const label = new ByteWriter()
    writeMessage(label, 0x0a, Buffer.from(labels.pairs[i]!))
    writeMessage(label, 0x12, Buffer.from(labels.pairs[i + 1]!))
    writeMessage(out, 0x0a, label.bytes())
  }
  for (const i of at) writePoint(out, points[i], startMs + i * minuteMs)
  return out.copy()
}

function writePoint(out: ByteWriter, point: Point, timeMs: number): void {
  if (point === undefined) return
  if (point instanceof FloatHistogram) {
    writeMessage(out, 0x22, protobuf(histogramSchema, histogramMessage(point, timeMs)))
    return
  }
  const sample = new ByteWriter()
  sample.writeU8(0x09)
  sample.writeBytes(bytesOf(point))
  sample.writeU8(0x10)
  sample.writeProtoInt64(timeMs)
  writeMessage(out, 0x12, sample.bytes())
}

/** The staleness marker has a payload that a number would lose. */
function bytesOf(value: number | 'stale'): Uint8Array {
  if (value === 'stale') return Uint8Array.of(2, 0, 0, 0, 0, 0, 0xf0, 0x7f)
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setFloat64(0, value, true)
  return bytes
}

function histogramMessage(h: FloatHistogram, timeMs: number): Message {
  return {
    countFloat: h.count,
    sum: h.sum,
    schema: h.schema,
    zeroThreshold: h.zeroThreshold,
    zeroCountFloat: h.zeroCount,
    ...side('negative', h.negative),
    ...side('positive', h.positive),
    resetHint: h.hint,
    timestamp: timeMs,
    ...(h.customValues === undefined ? {} : { customValues: [...h.customValues] }),
  }
}

function side(name: 'negative' | 'positive', own: Buckets): Message {
  if (own.index.length === 0) return {}
  return { [`${name}Spans`]: spansOf(own).map(span => ({ ...span })), [`${name}Counts`]: [...own.count] }
}

function writeMessage(out: ByteWriter, tag: number, bytes: Uint8Array): void {
  out.writeUvarint(tag)
  out.writeUvarint(bytes.length)
  out.writeBytes(bytes)
}
