/** Scraped bodies in protobuf: all kinds of metrics, native histograms, and damaged ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { checkDamage } from '../../../test/damage.ts'
import { protobuf, type Message, type Schema } from '../../../test/protobuf.ts'
import { ShownScrape } from '../../../test/shown-scrape.ts'
import { scanProtobuf, type ProtoOptions } from './scan.ts'

const label: Schema = { name: [1, 'text'], value: [2, 'text'] }
const timestamp: Schema = { seconds: [1, 'varint'], nanos: [2, 'varint'] }
const exemplar: Schema = { label: [1, () => label], value: [2, 'double'], timestamp: [3, () => timestamp] }
const simple: Schema = { value: [1, 'double'], exemplar: [2, () => exemplar] }
const quantile: Schema = { quantile: [1, 'double'], value: [2, 'double'] }
const summary: Schema = { count: [1, 'varint'], sum: [2, 'double'], quantile: [3, () => quantile] }
const bucket: Schema = {
  cumulativeCount: [1, 'varint'],
  upperBound: [2, 'double'],
  exemplar: [3, () => exemplar],
  cumulativeCountFloat: [4, 'double'],
}
const span: Schema = { offset: [1, 'sint'], length: [2, 'varint'] }
const histogram: Schema = {
  count: [1, 'varint'],
  sum: [2, 'double'],
  bucket: [3, () => bucket],
  countFloat: [4, 'double'],
  schema: [5, 'sint'],
  zeroThreshold: [6, 'double'],
  zeroCount: [7, 'varint'],
  zeroCountFloat: [8, 'double'],
  negativeSpan: [9, () => span],
  negativeDelta: [10, 'sint', 'packed'],
  negativeCount: [11, 'double', 'packed'],
  positiveSpan: [12, () => span],
  positiveDelta: [13, 'sint'],
  positiveCount: [14, 'double', 'packed'],
  exemplars: [16, () => exemplar],
}
const metric: Schema = {
  label: [1, () => label],
  gauge: [2, () => simple],
  counter: [3, () => simple],
  summary: [4, () => summary],
  untyped: [5, () => simple],
  timestampMs: [6, 'varint'],
  histogram: [7, () => histogram],
}
const family: Schema = {
  name: [1, 'text'],
  help: [2, 'text'],
  type: [3, 'varint'],
  metric: [4, () => metric],
  unit: [5, 'text'],
}

/** Families one after another, each with its length in front. */
function bodyOf(...families: Message[]): Buffer {
  return Buffer.concat(
    families.map(message => {
      const framed = protobuf({ family: [1, () => family] }, { family: message })
      // Without the tag, a field is a length and a message.
      return framed.subarray(1)
    }),
  )
}

function scan(body: Uint8Array, options: Partial<ProtoOptions> = {}): string[] {
  const sink = new ShownScrape()
  scanProtobuf(body, { isNative: true, isClassicToo: false, ...options }, sink)
  return sink.lines
}

const traced = { label: [{ name: 'trace_id', value: 'ab' }], value: 0.5, timestamp: { seconds: 1, nanos: 250_000_000 } }
const buckets = [
  { cumulativeCount: 1, upperBound: 1, exemplar: traced },
  { cumulativeCount: 3, upperBound: 5 },
]
const native = {
  count: 6,
  sum: 9,
  bucket: buckets,
  schema: 0,
  zeroThreshold: 0.001,
  zeroCount: 1,
  negativeSpan: [{ offset: 0, length: 1 }],
  negativeDelta: [1],
  positiveSpan: [{ offset: 0, length: 2 }],
  positiveDelta: [1, 2],
}
const nativeText = '{count:6, sum:9, [-1,-0.5):1, [-0.001,0.001]:1, (0.5,1]:1, (1,2]:3}'
const classicLines = [
  'd_count{} 6',
  'd_sum{} 9',
  'd_bucket{le="1.0"} 1 # {trace_id="ab"} 0.5 @1250',
  'd_bucket{le="5.0"} 3',
  'd_bucket{le="+Inf"} 6',
]

const families: [name: string, message: Message, lines: string[]][] = [
  [
    'counter',
    {
      name: 'c',
      help: 'Help.',
      unit: 's',
      type: 0,
      metric: [{ label: [{ name: 'a', value: 'b' }], counter: { value: 2, exemplar: traced }, timestampMs: 7 }],
    },
    ['# c counter s Help.', 'c{a="b"} 2 @7 # {trace_id="ab"} 0.5 @1250'],
  ],
  ['gauge', { name: 'g', type: 1, metric: [{ gauge: { value: -1 } }, {}] }, ['# g gauge', 'g{} -1']],
  ['untyped', { name: 'u', type: 3, metric: [{ untyped: {} }] }, ['# u unknown', 'u{} 0']],
  [
    'summary',
    { name: 's', type: 2, metric: [{ summary: { count: 2, sum: 3, quantile: [{ quantile: 0.5, value: 1 }] } }] },
    ['# s summary', 's_count{} 2', 's_sum{} 3', 's{quantile="0.5"} 1'],
  ],
  [
    'native histogram',
    { name: 'd', type: 4, metric: [{ histogram: native }] },
    ['# d histogram', `d{} ${nativeText} # {trace_id="ab"} 0.5 @1250`],
  ],
  [
    'native histogram with float counts',
    {
      name: 'd',
      type: 5,
      metric: [
        {
          histogram: {
            countFloat: 2.5,
            schema: 1,
            zeroCountFloat: 0.5,
            positiveSpan: [{ offset: 1, length: 2 }],
            positiveCount: [1, 1],
            exemplars: [traced],
          },
        },
      ],
    },
    [
      '# d gaugehistogram',
      'd{} {count:2.5, sum:0, [-0,0]:0.5, (1,1.414213562373095]:1, (1.414213562373095,2]:1} ' +
        '# {trace_id="ab"} 0.5 @1250',
    ],
  ],
]

test('every kind of metric', () => {
  for (const [name, message, lines] of families) assert.deepEqual(scan(bodyOf(message)), lines, name)
  assert.deepEqual(scan(bodyOf(...families.map(([, message]) => message))).length, families.flatMap(f => f[2]).length)
})

test('histograms as classic ones, instead or too', () => {
  const body = bodyOf({ name: 'd', type: 4, metric: [{ histogram: native }] })
  assert.deepEqual(scan(body, { isNative: false }).slice(1), classicLines)
  assert.deepEqual(scan(body, { isClassicToo: true }).slice(2), classicLines)
})

test('metrics with a native histogram go where conversion does not see them', () => {
  const unconverted = new ShownScrape()
  const lines = scan(bodyOf({ name: 'd', type: 4, metric: [{ histogram: native }, { gauge: { value: 1 } }] }), {
    unconverted,
  })
  assert.deepEqual(lines, ['# d histogram', 'd{} 1'])
  assert.equal(unconverted.lines.length, 1)
})

test('what is refused', () => {
  const cases: [message: Message, problem: RegExp][] = [[{ help: 'x' }, /a metric family has no name/]]
  for (const [message, problem] of cases)
    assert.throws(() => scan(bodyOf(message)), { name: 'CorruptDataError', message: problem })
})

test('a native histogram that contradicts itself is refused by itself', () => {
  const cases: [histogram: Message, problem: RegExp][] = [
    [{ positiveSpan: [{ length: 2 }] }, /spans need 2 buckets, there are 0/],
    [{ positiveSpan: [{ length: 1e9 }] }, /a span of 1000000000 buckets/],
    [{ negativeSpan: [{ length: 1 }, { offset: -2, length: 1 }], negativeDelta: [1, 0] }, /offset is negative/],
  ]
  for (const [histogram, problem] of cases) {
    const lines = scan(bodyOf({ name: 'd', metric: [{ histogram }, { gauge: { value: 1 } }] }))
    assert.match(lines[1] ?? '', problem)
    assert.equal(lines[2], 'd{} 1')
  }
})

test('damaged bodies', () => {
  for (const [, message] of families)
    checkDamage(bodyOf(message), body => scan(body), { errors: [CorruptDataError], refusesCuts: 'always' })
})
