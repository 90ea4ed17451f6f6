/** Remote write 1.0 and 2.0 in: what a body becomes, and what damaged ones do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from '#codec/byte-reader.ts'
import { encodeSnappy } from '#codec/snappy.ts'
import { WriteRequestKernel } from '#codec/write-request.ts'
import { BadDataError, CorruptDataError, LimitError } from '#core/errors.ts'
import { Labels } from '#model/labels.ts'
import { KeyWriter, WriteBatch } from '#model/write-batch.ts'
import { checkDamage } from '../../../test/damage.ts'
import { protobuf, type Message, type Schema } from '../../../test/protobuf.ts'
import {
  histogramSchema,
  invalidHistograms,
  validHistograms,
  writeV1,
  writeV2,
} from '../../../test/histogram-messages.ts'
import { showWriteBatch } from '../../../test/show-batch.ts'
import { addedLabels, encodeWriteRequest, encodeWriteRequestV2, lanesOf, type EncodeOptions } from './encode.ts'
import { readHistogram } from './histogram.ts'
import { decodeWriteBody, decodeWriteRequest } from './v1.ts'
import { decodeWriteRequestV2 } from './v2.ts'

const sample: Schema = { value: [1, 'double'], timestamp: [2, 'varint'] }
const label: Schema = { name: [1, 'text'], value: [2, 'text'] }
const exemplar: Schema = { labels: [1, () => label], value: [2, 'double'], timestamp: [3, 'varint'] }
const series: Schema = {
  labels: [1, () => label],
  samples: [2, () => sample],
  exemplars: [3, () => exemplar],
  histograms: [4, () => histogramSchema],
}
const metadata: Schema = { type: [1, 'varint'], metric: [2, 'text'], help: [4, 'text'], unit: [5, 'text'] }
const request: Schema = { timeseries: [1, () => series], metadata: [3, () => metadata] }

const exemplarV2: Schema = { labelsRefs: [1, 'varint', 'packed'], value: [2, 'double'], timestamp: [3, 'varint'] }
const metadataV2: Schema = { type: [1, 'varint'], helpRef: [3, 'varint'], unitRef: [4, 'varint'] }
const seriesV2: Schema = {
  labelsRefs: [1, 'varint', 'packed'],
  samples: [2, () => sample],
  histograms: [3, () => histogramSchema],
  exemplars: [4, () => exemplarV2],
  metadata: [5, () => metadataV2],
}
const requestV2: Schema = { symbols: [4, 'text'], timeseries: [5, () => seriesV2] }

const up = {
  labels: [
    { name: '__name__', value: 'up' },
    { name: 'job', value: 'api' },
  ],
}
const native = {
  countInt: 6,
  sum: 12.5,
  schema: 0,
  zeroThreshold: 0.001,
  zeroCountInt: 1,
  negativeSpans: [{ offset: 0, length: 1 }],
  negativeDeltas: [1],
  positiveSpans: [
    { offset: 0, length: 2 },
    { offset: 1, length: 1 },
  ],
  positiveDeltas: [1, 1, -1],
  timestamp: 1000,
}
const nativeText = '{count:6, sum:12.5, [-1,-0.5):1, [-0.001,0.001]:1, (0.5,1]:1, (1,2]:2, (4,8]:1}'

const requests: [name: string, message: Message, lines: string[]][] = [
  ['nothing', {}, []],
  ['a sample', { timeseries: [{ ...up, samples: [{ value: 1.5, timestamp: 1000 }] }] }, ['up{job="api"} 1.5 @1000']],
  [
    'a time before 1970, values that are no numbers',
    {
      timeseries: [
        {
          ...up,
          samples: [
            { value: -0, timestamp: -5 },
            { value: NaN, timestamp: 1 },
            { value: Infinity, timestamp: 2 },
          ],
        },
      ],
    },
    ['up{job="api"} 0 @-5', 'up{job="api"} NaN @1', 'up{job="api"} Infinity @2'],
  ],
  [
    'labels behind the samples',
    { timeseries: [{ samples: [{ value: 1, timestamp: 2 }], ...up }] },
    ['up{job="api"} 1 @2'],
  ],
  [
    'exemplars, histograms, metadata',
    {
      timeseries: [
        {
          ...up,
          samples: [{ value: 1, timestamp: 2 }],
          exemplars: [{ labels: [{ name: 'trace_id', value: 'ab' }], value: 3, timestamp: 4 }],
        },
        { ...up, histograms: [native] },
      ],
      metadata: [{ type: 1, metric: 'up', help: 'Is it up?', unit: 's' }],
    },
    [
      'up{job="api"} 1 @2',
      `up{job="api"} ${nativeText} @1000`,
      'up{job="api"} # {trace_id="ab"} 3 @4',
      '# up counter s Is it up?',
    ],
  ],
]

function decodeV1(bytes: Uint8Array): WriteBatch {
  const batch = new WriteBatch()
  decodeWriteRequest(bytes, batch)
  return batch
}

function decodeV2(bytes: Uint8Array): WriteBatch {
  const batch = new WriteBatch()
  decodeWriteRequestV2(bytes, batch, new KeyWriter())
  return batch
}

const kernel = new WriteRequestKernel({ a: 1, b: 2, c: 3, d: 4 })
const everything = requests.at(-1)![1]

test('1.0: a request becomes a batch, by the kernel and without it', () => {
  for (const [name, message, lines] of requests) {
    const bytes = protobuf(request, message)
    assert.deepEqual(showWriteBatch(decodeV1(bytes)), lines, name)
    const byKernel = decodeWriteBody(encodeSnappy(bytes), 1e6, kernel, new WriteBatch())
    assert.deepEqual(showWriteBatch(byKernel), lines, `${name}, by the kernel`)
  }
})

test('1.0: damaged requests', () => {
  checkDamage(protobuf(request, everything), decodeV1, {
    errors: [CorruptDataError, BadDataError],
    refusesCuts: 'protobuf',
  })
})

test('1.0: damaged bodies by the kernel, before and behind the compression', () => {
  const errors = [CorruptDataError, BadDataError, LimitError]
  const decode = (body: Uint8Array): unknown => decodeWriteBody(body, 1e6, kernel, new WriteBatch())
  checkDamage(encodeSnappy(protobuf(request, everything)), decode, { errors, refusesCuts: 'always' })
  checkDamage(protobuf(request, everything), bytes => decode(encodeSnappy(bytes)), { errors, refusesCuts: 'protobuf' })
})

test('1.0: a label that ends with its message is refused', () => {
  assert.throws(() => decodeV1(Uint8Array.of(0x0a, 1, 0x0a)), CorruptDataError)
})

test('2.0: a request becomes a batch', () => {
  const symbols = ['', '__name__', 'up', 'job', 'api', 'Is it up?', 's', 'trace_id', 'ab']
  const message = {
    symbols,
    timeseries: [
      {
        labelsRefs: [3, 4, 1, 2],
        samples: [{ value: 1, timestamp: 2 }],
        histograms: [native],
        exemplars: [{ labelsRefs: [7, 8], value: 3, timestamp: 4 }],
        metadata: { type: 1, helpRef: 5, unitRef: 6 },
      },
    ],
  }
  const bytes = protobuf(requestV2, message)
  assert.deepEqual(showWriteBatch(decodeV2(bytes)), requests.at(-1)![2])
  checkDamage(bytes, decodeV2, { errors: [CorruptDataError, BadDataError], refusesCuts: 'protobuf' })
})

test('2.0: what is refused', () => {
  const cases: [message: Message, problem: RegExp][] = [[{ symbols: ['a'] }, /first symbol must be the empty string/]]
  for (const [message, problem] of cases)
    assert.throws(() => decodeV2(protobuf(requestV2, message)), { name: 'BadDataError', message: problem })
})

test('2.0: labels that can not be read cost their series', () => {
  const series = (...labelsRefs: number[]): Message => ({ labelsRefs, samples: [{ value: 1, timestamp: 2 }] })
  const cases: [bad: Message, problem: RegExp][] = [
    [series(1, 7), /symbol 7 is out of range, there are 3/],
    [series(1), /1 label references are not pairs/],
  ]
  for (const [bad, problem] of cases) {
    const batch = decodeV2(
      protobuf(requestV2, { symbols: ['', '__name__', 'm'], timeseries: [series(1, 2), bad, series(1, 2)] }),
    )
    assert.equal(batch.sampleCount, 2)
    assert.equal(batch.refusals.length, 1)
    assert.match(batch.refusals[0]!.message, problem)
  }
})

test('exemplars and metadata that are not UTF-8 cost themselves, in both versions', () => {
  const exemplar = (text: string): Message => ({ labels: [{ name: 'e', value: text }], value: 1, timestamp: 2 })
  const message = {
    timeseries: [
      {
        labels: [{ name: '__name__', value: 'm' }],
        samples: [{ value: 1, timestamp: 2 }],
        exemplars: [exemplar('good'), exemplar('b\u00a7d')],
      },
    ],
    metadata: [
      { type: 1, metric: 'm', help: 'good' },
      { type: 1, metric: 'n', help: '\u00a7' },
    ],
  }
  const spoiled = (bytes: Uint8Array): Uint8Array =>
    Uint8Array.from(
      Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll('\u00c2\u00a7', '\u00fc\u00fd'), 'latin1'),
    )
  const v2 = {
    symbols: ['', '__name__', 'm', 'e', 'good', 'b\u00a7d', '\u00a7'],
    timeseries: [
      {
        labelsRefs: [1, 2],
        samples: [{ value: 1, timestamp: 2 }],
        exemplars: [
          { labelsRefs: [3, 4], value: 1, timestamp: 2 },
          { labelsRefs: [3, 5], value: 1, timestamp: 2 },
        ],
        metadata: { type: 1, helpRef: 4 },
      },
      { labelsRefs: [1, 2], samples: [{ value: 1, timestamp: 3 }], metadata: { type: 1, helpRef: 6 } },
    ],
  }
  for (const batch of [decodeV1(spoiled(protobuf(request, message))), decodeV2(spoiled(protobuf(requestV2, v2)))]) {
    assert.deepEqual(
      batch.exemplars.map(e => e.labels.toString()),
      ['{e="good"}'],
    )
    assert.deepEqual(
      batch.metadata.map(m => m.help),
      ['good'],
    )
    assert.equal(batch.refusals[0]!.message, 'a label of an exemplar is not UTF-8')
  }
})

test('what was encoded is decoded again, in both versions', () => {
  const options: EncodeOptions = { labelsOf: undefined, added: [], isWithExemplars: true, isWithHistograms: true }
  const batch = decodeV1(protobuf(request, everything))
  const lines = showWriteBatch(batch)
  assert.deepEqual(showWriteBatch(decodeV1(encodeWriteRequest(batch, options).bytes.slice())), lines)
  const again = decodeV2(encodeWriteRequestV2(batch, options).bytes.slice())
  // In 2.0 each series has its metadata with it.
  assert.deepEqual([...new Set(showWriteBatch(again))], lines)
})

const histograms: [name: string, message: Message, shown: string][] = [
  ['integer', native, nativeText],
  [
    'float',
    {
      countFloat: 3.5,
      sum: 1,
      schema: 1,
      zeroCountFloat: 0.5,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveCounts: [1, 2],
    },
    '{count:3.5, sum:1, [-0,0]:0.5, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}',
  ],
  [
    'custom buckets',
    {
      countInt: 3,
      sum: 1,
      schema: -53,
      positiveSpans: [{ offset: 0, length: 2 }],
      positiveDeltas: [1, 1],
      customValues: [1, 5],
    },
    '{count:3, sum:1, [-Inf,1]:1, (1,5]:2}',
  ],
]

/** Histograms and refusals of one message, as text. */
function readOne(bytes: Uint8Array): string[] {
  const batch = new WriteBatch()
  readHistogram(new ByteReader(bytes), 0, batch)
  return [...batch.histograms.map(h => h.histogram.toString()), ...batch.refusals.map(r => r.message)]
}

test('histograms: what is read', () => {
  for (const [name, message, shown] of histograms)
    assert.deepEqual(readOne(protobuf(histogramSchema, message)), [shown], name)
  for (const [name, message] of Object.entries(validHistograms))
    assert.match(readOne(protobuf(histogramSchema, message)).join('; '), /^\{count:/, name)
})

test('histograms: what contradicts itself is refused by itself, with the reason, in both versions', () => {
  for (const [name, [message, reason]] of Object.entries(invalidHistograms)) {
    const series = [
      { name: 'before', samples: [{ value: 1, timestamp: 2 }] },
      { name: 'bad', histograms: [message, validHistograms['float']!] },
      { name: 'after', samples: [{ value: 3, timestamp: 4 }] },
    ]
    const plain = writeV1(series)
    const byKernel = decodeWriteBody(encodeSnappy(plain), 1e6, kernel, new WriteBatch())
    for (const batch of [decodeV1(plain), byKernel, decodeV2(writeV2(series))]) {
      assert.deepEqual([batch.sampleCount, batch.histograms.length], [2, 1], name)
      assert.deepEqual(
        batch.refusals.map(r => [r.series, reason.test(r.message)]),
        [[1, true]],
        `${name}: ${batch.refusals[0]?.message}`,
      )
    }
  }
})

test('histograms: spans of many buckets that are not there', () => {
  const positiveSpans = Array.from({ length: 20_000 }, () => ({ length: 100_000 }))
  assert.match(
    readOne(protobuf(histogramSchema, { countInt: 0, positiveSpans })).join('; '),
    /positive spans need 2000000000 buckets, there are 0/,
  )
})

test('histograms: the staleness marker stays one', () => {
  const bytes = protobuf({ countInt: [1, 'varint'], sum: [3, 'fixed64'] }, { countInt: 0, sum: 0x7ff0000000000002n })
  const batch = new WriteBatch()
  readHistogram(new ByteReader(bytes), 0, batch)
  const read = batch.histograms[0]!.histogram
  assert.ok(read.stale && read.integer)
})

test('histograms: damaged ones', () => {
  for (const [name, message] of histograms)
    checkDamage(protobuf(histogramSchema, message), readOne, { errors: [CorruptDataError], seed: name.length })
})

test('lanes: a label set has one, however its labels stand, and whether one of them is added', () => {
  const name = { name: '__name__', value: 'm' }
  const path = { name: 'path', value: 'long '.repeat(60) }
  const lanesOfAll = (sets: Message[][], added: [string, string][], isRelabelled = false): number[] => {
    const batch = decodeV1(protobuf(request, { timeseries: sets.map(labels => ({ labels, samples: [{ value: 1 }] })) }))
    const labelsOf = isRelabelled ? (pairs: [string, string][]): Labels => Labels.from([...added, ...pairs]) : undefined
    const options = { labelsOf, added: addedLabels(added), isWithExemplars: false, isWithHistograms: false }
    return [...lanesOf(batch, options, 250)]
  }
  const zone = (value: string): Message => ({ name: 'zone', value })
  const sets = [
    [name, path, zone('a')],
    [zone('a'), path, name],
    [path, name],
    [name, path, zone('b')],
  ]
  const lanes = lanesOfAll(sets, [['zone', 'a']])
  assert.deepEqual([lanes[1], lanes[2]], [lanes[0], lanes[0]])
  assert.notEqual(lanes[3], lanes[0])
  assert.deepEqual(lanesOfAll(sets, [['zone', 'a']], true), lanes)
  const many = Array.from({ length: 4000 }, (_, i) => [name, zone(String(i))])
  const counts = new Map<number, number>()
  for (const lane of lanesOfAll(many, [])) counts.set(lane % 4, (counts.get(lane % 4) ?? 0) + 1)
  for (const count of counts.values()) assert.ok(count > 800 && count < 1200, 'spread')
})

test('lanes: each series goes with one message, the metadata with one', () => {
  const names = Array.from({ length: 50 }, (_, i) => `m${i}`)
  const batch = decodeV1(writeV1(names.map(n => ({ name: n, samples: [{ value: 1, timestamp: 2 }] }))))
  batch.metadata.push({ metric: 'm0', type: 'gauge', help: 'h', unit: '' })
  const options = { labelsOf: undefined, added: [], isWithExemplars: true, isWithHistograms: true }
  const of = lanesOf(batch, options, 3)
  const all = [0, 1, 2].flatMap(number =>
    showWriteBatch(decodeV1(encodeWriteRequest(batch, { ...options, lane: { of, number } }).bytes.slice())),
  )
  assert.deepEqual(all.sort(), showWriteBatch(batch).sort())
})
