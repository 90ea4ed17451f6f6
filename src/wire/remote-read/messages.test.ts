/** Remote read: requests in, samples and chunks out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from '#codec/byte-reader.ts'
import { crc32c } from '#codec/crc32c.ts'
import { decodeHistogramChunk } from '#codec/histogram-chunk.ts'
import { decodeSnappy, encodeSnappy } from '#codec/snappy.ts'
import { decodeXor } from '#codec/xor-chunk.ts'
import { CorruptDataError, LimitError } from '#core/errors.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { parseHistogram } from '#model/series-notation.ts'
import { WriteBatch } from '#model/write-batch.ts'
import { checkDamage } from '../../../test/damage.ts'
import { protobuf, type Schema } from '../../../test/protobuf.ts'
import { showWriteBatch } from '../../../test/show-batch.ts'
import { readHistogram } from '../remote-write/histogram.ts'
import { decodeWriteRequest } from '../remote-write/v1.ts'
import {
  chunksOf,
  decodeReadRequest,
  encodeChunkedFrame,
  encodeHistogram,
  encodeReadResponse,
  encodeTimeSeries,
} from './messages.ts'

const matcher: Schema = { type: [1, 'varint'], name: [2, 'text'], value: [3, 'text'] }
const query: Schema = { startMs: [1, 'varint'], endMs: [2, 'varint'], matchers: [3, () => matcher] }
const request: Schema = { queries: [1, () => query], accepted: [2, 'varint', 'packed'] }

const message = {
  queries: [
    {
      startMs: -5,
      endMs: 1_700_000_000_000,
      matchers: [
        { type: 0, name: '__name__', value: 'up' },
        { type: 3, name: 'job', value: 'a|b' },
      ],
    },
  ],
  accepted: [1, 0],
}

test('a request: queries, matchers, the types that are accepted', () => {
  assert.deepEqual(decodeReadRequest(encodeSnappy(protobuf(request, message)), 1e6), {
    queries: [
      {
        startMs: -5,
        endMs: 1_700_000_000_000,
        matchers: [
          { kind: '=', name: '__name__', value: 'up' },
          { kind: '!~', name: 'job', value: 'a|b' },
        ],
      },
    ],
    accepted: [1, 0],
  })
  const single = protobuf({ accepted: [2, 'varint'] }, { accepted: [0] })
  assert.deepEqual(decodeReadRequest(encodeSnappy(single), 1e6).accepted, [0])
})

test('damaged requests, before and behind the compression', () => {
  const bytes = protobuf(request, message)
  const errors = [CorruptDataError, LimitError]
  checkDamage(encodeSnappy(bytes), body => decodeReadRequest(body, 1e6), { errors, refusesCuts: 'always' })
  checkDamage(bytes, damaged => decodeReadRequest(encodeSnappy(damaged), 1e6), { errors, refusesCuts: 'protobuf' })
})

const histogram = parseHistogram(
  '{{schema:0 count:6 sum:12 z_bucket:1 z_bucket_w:0.001 buckets:[1 2 0 1] n_buckets:[1]}}',
)
histogram.integer = true

function columns(): SampleColumns {
  const made = new SampleColumns()
  made.pushFloat(1000, 1.5)
  made.pushWords(2000, 0x7ff00000, 2)
  made.pushHistogram(3000, histogram)
  made.pushHistogram(4000, histogram)
  made.pushFloat(5000, 2)
  return made
}
const labels = Labels.from([
  ['__name__', 'up'],
  ['job', 'a'],
])

test('a response of samples has the form of remote write, staleness markers included', () => {
  const response = decodeSnappy(encodeReadResponse([[encodeTimeSeries(labels, columns())]]), 1e6)
  const input = new ByteReader(response)
  assert.equal(input.readU8(), 0x0a)
  assert.equal(input.readLength(), input.end - input.at)
  const batch = new WriteBatch()
  decodeWriteRequest(response.slice(input.at), batch)
  assert.deepEqual(showWriteBatch(batch), [
    'up{job="a"} 1.5 @1000',
    'up{job="a"} stale @2000',
    'up{job="a"} 2 @5000',
    `up{job="a"} ${histogram.toString()} @3000`,
    `up{job="a"} ${histogram.toString()} @4000`,
  ])
})

test('histograms out and in: integer, float, custom buckets, stale', () => {
  const custom = parseHistogram('{{schema:-53 count:3 sum:4 custom_values:[1 5] buckets:[1 2]}}')
  const float = parseHistogram('{{schema:1 count:2.5 sum:4 buckets:[1 1.5] offset:2}}')
  const stale = Object.assign(new FloatHistogram(), { stale: true })
  for (const h of [histogram, custom, float, stale]) {
    const batch = new WriteBatch()
    readHistogram(new ByteReader(encodeHistogram(h, -7)), 0, batch)
    const { histogram: read, timeMs } = batch.histograms[0]!
    assert.equal(timeMs, -7)
    assert.deepEqual([read.stale, read.stale || read.equals(h)], [h.stale, true])
  }
})

test('chunks: runs of floats and of histograms, in a frame with its checksum', () => {
  const chunks = [...chunksOf(columns())]
  assert.deepEqual(
    chunks.map(c => [c.encoding, c.minMs, c.maxMs]),
    [
      [1, 1000, 2000],
      [2, 3000, 4000],
      [1, 5000, 5000],
    ],
  )
  const times = new Float64Array(4)
  const [floats, histograms] = chunks
  assert.equal(decodeXor(floats!.bytes, 0, floats!.bytes.length, times, new Uint32Array(8), 0), 2)
  assert.deepEqual([...times.subarray(0, 2)], [1000, 2000])
  assert.equal(decodeHistogramChunk(histograms!.bytes, 0, histograms!.bytes.length, 2).samples.length, 2)
  const input = new ByteReader(encodeChunkedFrame(labels, chunks, 3))
  const length = input.readUvarint()
  assert.equal(input.readU32(), crc32c(input.bytes, input.at))
  assert.equal(length, input.end - input.at)
})
