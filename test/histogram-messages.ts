/** Native histograms as remote write's messages, valid and invalid, for tests of every door that takes them. */
import { protobuf, type Message, type Schema } from './protobuf.ts'

const span: Schema = { offset: [1, 'sint'], length: [2, 'varint'] }
export const histogramSchema: Schema = {
  countInt: [1, 'varint'],
  countFloat: [2, 'double'],
  sum: [3, 'double'],
  schema: [4, 'sint'],
  zeroThreshold: [5, 'double'],
  zeroCountInt: [6, 'varint'],
  zeroCountFloat: [7, 'double'],
  negativeSpans: [8, () => span],
  negativeDeltas: [9, 'sint', 'packed'],
  negativeCounts: [10, 'double', 'packed'],
  positiveSpans: [11, () => span],
  positiveDeltas: [12, 'sint', 'packed'],
  positiveCounts: [13, 'double', 'packed'],
  resetHint: [14, 'varint'],
  timestamp: [15, 'varint'],
  customValues: [16, 'double', 'packed'],
}
const labelSchema: Schema = { name: [1, 'text'], value: [2, 'text'] }
const sampleSchema: Schema = { value: [1, 'double'], timestamp: [2, 'varint'] }
const seriesSchema: Schema = {
  labels: [1, () => labelSchema],
  samples: [2, () => sampleSchema],
  histograms: [4, () => histogramSchema],
}
const requestSchema: Schema = { timeseries: [1, () => seriesSchema] }
const seriesV2Schema: Schema = {
  labelsRefs: [1, 'varint', 'packed'],
  samples: [2, () => sampleSchema],
  histograms: [3, () => histogramSchema],
}
const requestV2Schema: Schema = { symbols: [4, 'text'], timeseries: [5, () => seriesV2Schema] }

/** A series by its name, with histograms or plain samples. */
export interface NamedSeries {
  name: string
  histograms?: readonly Message[]
  samples?: readonly Message[]
}

const payload = ({ histograms = [], samples = [] }: NamedSeries): Message => ({ samples, histograms })

/** A request of remote write 1.0, not compressed. */
export function writeV1(series: readonly NamedSeries[]): Uint8Array {
  return protobuf(requestSchema, {
    timeseries: series.map(one => ({ labels: [{ name: '__name__', value: one.name }], ...payload(one) })),
  })
}

/** The same of remote write 2.0. */
export function writeV2(series: readonly NamedSeries[]): Uint8Array {
  return protobuf(requestV2Schema, {
    symbols: ['', '__name__', ...series.map(one => one.name)],
    timeseries: series.map((one, i) => ({ labelsRefs: [1, 2 + i], ...payload(one) })),
  })
}

const one = [{ offset: 0, length: 1 }]
const two = [{ offset: 0, length: 2 }]
const three = [{ offset: 0, length: 3 }]
const integer = { countInt: 6, sum: 1, positiveSpans: three, positiveDeltas: [1, 1, 1] }
const float = { countFloat: 6, sum: 1, positiveSpans: three, positiveCounts: [1, 2, 3] }
const custom = { ...integer, schema: -53, customValues: [1, 5] }
const customFloat = { ...float, schema: -53, customValues: [1, 5] }
const farSpans = [
  { offset: -3, length: 1 },
  { offset: 0, length: 1 },
  { offset: 4, length: 1 },
]

/** What is right, by a name that is a metric's. */
export const validHistograms: Readonly<Record<string, Message>> = {
  integer,
  float,
  empty: { countInt: 0, sum: 0 },
  empty_float: { countFloat: 0, sum: 0 },
  only_zero: { countInt: 3, sum: 0, zeroCountInt: 3, zeroThreshold: 0.001 },
  both_sides: { ...integer, countInt: 9, negativeSpans: two, negativeDeltas: [1, 1] },
  gaps: { ...integer, positiveSpans: farSpans },
  empty_span: {
    ...integer,
    positiveSpans: [
      { offset: 0, length: 2 },
      { offset: 2, length: 0 },
      { offset: 1, length: 1 },
    ],
  },
  lowest_schema: { ...integer, schema: -4 },
  highest_schema: { ...integer, schema: 8 },
  gauge: { ...integer, resetHint: 3 },
  nan_observed: { ...integer, countInt: 7, sum: NaN },
  nan_sum: { ...integer, sum: NaN },
  infinite_sum: { ...integer, sum: Infinity },
  float_count_too_small: { ...float, countFloat: 5 },
  float_count_too_large: { ...float, countFloat: 99 },
  zero_buckets: { ...integer, countInt: 0, positiveDeltas: [0, 0, 0] },
  custom,
  custom_float: customFloat,
  custom_more_bounds: { ...custom, customValues: [1, 5, 10, 50] },
  custom_offset: { ...custom, customValues: [1, 5, 10], positiveSpans: [{ offset: 1, length: 3 }] },
  custom_negative_bounds: { ...custom, customValues: [-5, -1] },
  custom_without_bounds: { ...custom, countInt: 1, positiveSpans: one, positiveDeltas: [1], customValues: [] },
}

/** What is wrong, with the reason that must be named. */
export const invalidHistograms: Readonly<Record<string, readonly [Message, RegExp]>> = {
  count_too_large: [{ ...integer, countInt: 99 }, /6 observations in buckets, the count is 99/],
  count_too_small: [{ ...integer, countInt: 5 }, /6 observations in buckets, the count is 5/],
  count_without_zero: [{ ...integer, zeroCountInt: 1 }, /7 observations in buckets, the count is 6/],
  nan_count_too_small: [{ ...integer, countInt: 5, sum: NaN }, /6 observations in buckets, the count is 5/],
  negative_bucket: [
    { ...integer, countInt: 0, positiveDeltas: [1, -2, 1] },
    /bucket number 2 has the negative count -1/,
  ],
  negative_bucket_on_negative_side: [
    { countInt: 0, negativeSpans: one, negativeDeltas: [-1] },
    /negative side: bucket number 1 has the negative count -1/,
  ],
  negative_float_bucket: [{ ...float, positiveCounts: [1, -2, 3] }, /bucket number 2 has the negative count -2/],
  negative_float_on_negative_side: [
    { countFloat: 0, negativeSpans: one, negativeCounts: [-0.5] },
    /negative side: bucket number 1 has the negative count -0.5/,
  ],
  buckets_missing: [{ ...integer, positiveDeltas: [1, 1] }, /positive spans need 3 buckets, there are 2/],
  buckets_too_many: [{ ...integer, positiveDeltas: [1, 1, 1, 1] }, /positive spans need 3 buckets, there are 4/],
  buckets_without_spans: [{ countInt: 1, negativeDeltas: [1] }, /negative spans need 0 buckets, there are 1/],
  spans_without_buckets: [{ countInt: 0, positiveSpans: two }, /positive spans need 2 buckets, there are 0/],
  float_buckets_missing: [{ ...float, positiveCounts: [1] }, /positive spans need 3 buckets, there are 1/],
  negative_offset: [
    { countInt: 3, sum: 1, positiveSpans: [...one, { offset: -3, length: 1 }], positiveDeltas: [1, 1] },
    /span number 2 has the offset -3: a span whose offset is negative/,
  ],
  negative_offset_of_empty_span: [
    {
      countInt: 3,
      sum: 1,
      positiveSpans: [...one, { offset: -3, length: 0 }, { offset: 3, length: 1 }],
      positiveDeltas: [1, 1],
    },
    /span whose offset is negative/,
  ],
  negative_offset_on_negative_side: [
    { countInt: 3, sum: 1, negativeSpans: [...one, { offset: -1, length: 1 }], negativeDeltas: [1, 1] },
    /negative side: span number 2 has the offset -1/,
  ],
  negative_offset_float: [
    { countFloat: 3, sum: 1, positiveSpans: [...one, { offset: -3, length: 1 }], positiveCounts: [1, 1] },
    /span whose offset is negative/,
  ],
  absurd_span: [
    { countInt: 0, positiveSpans: [{ offset: 0, length: 1e9 }], positiveDeltas: [] },
    /a span of 1000000000 buckets|need 1000000000 buckets/,
  ],
  schema_too_low: [{ ...integer, schema: -5 }, /schema -5 is not known; -4 to 8 and -53 are/],
  schema_unknown: [{ ...integer, schema: 100 }, /schema 100 is not known/],
  schema_unknown_float: [{ ...float, schema: -52 }, /schema -52 is not known/],
  custom_too_few: [{ ...custom, customValues: [1] }, /only 1 custom bounds defined/],
  custom_too_few_float: [{ ...customFloat, customValues: [1] }, /only 1 custom bounds defined/],
  custom_offset_too_far: [
    { ...custom, positiveSpans: [{ offset: 1, length: 3 }] },
    /only 2 custom bounds defined, which is not enough for 4 buckets/,
  ],
  custom_infinite: [{ ...custom, customValues: [1, Infinity] }, /last \+Inf bound must not be explicitly defined/],
  custom_minus_infinite: [{ ...custom, customValues: [-Infinity, 1] }, /custom bounds must rise/],
  custom_falling: [{ ...custom, customValues: [5, 1] }, /custom bounds must rise: 1 comes after 5/],
  custom_repeated: [{ ...custom, customValues: [1, 1] }, /custom bounds must rise: 1 comes after 1/],
  custom_negative_side: [
    { ...custom, countInt: 9, negativeSpans: one, negativeDeltas: [3] },
    /must not have negative spans/,
  ],
  custom_negative_side_float: [
    { ...customFloat, negativeSpans: one, negativeCounts: [3] },
    /must not have negative spans/,
  ],
  custom_zero_count: [
    { ...custom, zeroCountInt: 1, positiveDeltas: [1, 1, 0], zeroThreshold: 0.001 },
    /must have zero count of 0/,
  ],
  custom_zero_threshold: [{ ...custom, zeroThreshold: 0.001 }, /must have zero threshold of 0/],
  custom_negative_offset: [
    { ...custom, positiveSpans: [{ offset: -1, length: 3 }] },
    /span number 1 has the offset -1: a span whose offset is negative/,
  ],
  custom_count: [{ ...custom, countInt: 99 }, /6 observations in buckets, the count is 99/],
  bounds_on_exponential: [{ ...integer, customValues: [1, 5] }, /exponential buckets must not have custom bounds/],
  bounds_on_exponential_float: [{ ...float, customValues: [1] }, /exponential buckets must not have custom bounds/],
}
