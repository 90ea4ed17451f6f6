/** Tempo's messages: to protobuf and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptDataError } from '#core/errors.ts'
import { checkDamage } from '../../../test/damage.ts'
import {
  decodeMessage,
  encodeMessage,
  queryInstantResponse,
  queryRangeRequest,
  queryRangeResponse,
  searchRequest,
  searchResponse,
  searchTagsRequest,
  searchTagsResponse,
  searchTagsV2Response,
  searchTagValuesRequest,
  searchTagValuesResponse,
  searchTagValuesV2Response,
  type JsonLike,
  type MessageTable,
} from './messages.ts'

const attribute = { key: 'a', value: { stringValue: 'b' } }
const list = { key: 'l', value: { arrayValue: { values: [{ intValue: '-1' }, { doubleValue: 0.5 }] } } }
const metrics = { inspectedTraces: '1', inspectedBytes: '12345678901234567' }

const messages: [name: string, table: MessageTable, value: Record<string, JsonLike>][] = [
  ['search', searchRequest, { tags: { a: 'b', c: '' }, minDurationMs: '5', limit: '20', query: '{}' }],
  [
    'search answer',
    searchResponse,
    {
      traces: [
        {
          traceID: 'ab',
          rootServiceName: 'shop',
          startTimeUnixNano: '1700000000000000001',
          spanSet: { spans: [{ spanID: '01', durationNanos: '5', attributes: [attribute, list] }], matched: '1' },
          spanSets: [{ matched: '1' }, { matched: '2' }],
          serviceStats: { shop: { spanCount: '2', errorCount: '1' } },
        },
      ],
      metrics,
    },
  ],
  ['tags', searchTagsRequest, { scope: 'span', start: '1', end: '2', query: '{}' }],
  ['tags answer', searchTagsResponse, { tagNames: ['a', 'b'], metrics }],
  ['tags answer, version 2', searchTagsV2Response, { scopes: [{ name: 'span', tags: ['a'] }] }],
  ['tag values', searchTagValuesRequest, { tagName: 'a', query: '{}' }],
  ['tag values answer', searchTagValuesResponse, { tagValues: ['x'], metrics }],
  ['tag values answer, version 2', searchTagValuesV2Response, { tagValues: [{ type: 'string', value: 'x' }] }],
  ['range query', queryRangeRequest, { query: '{} | rate()', start: '1', end: '2', step: '3', exemplars: '4' }],
  [
    'range query answer',
    queryRangeResponse,
    {
      series: [
        {
          labels: [attribute],
          samples: [{ value: 1.5, timestampMs: '1000' }],
          exemplars: [{ labels: [attribute], value: 2, timestampMs: '-1' }],
        },
      ],
      metrics,
      status: '0',
      message: 'm',
    },
  ],
  ['instant query answer', queryInstantResponse, { series: [{ labels: [attribute], value: 3 }] }],
]

test('every message comes back', () => {
  for (const [name, table, value] of messages)
    assert.deepEqual(decodeMessage(table, encodeMessage(table, value)), value, name)
})

test('damaged messages', () => {
  for (const [, table, value] of messages)
    checkDamage(encodeMessage(table, value), bytes => decodeMessage(table, bytes), {
      errors: [CorruptDataError],
      refusesCuts: 'protobuf',
      mutations: 500,
    })
  const [, table, value] = messages[1]!
  checkDamage(encodeMessage(table, value), bytes => decodeMessage(table, bytes), {
    errors: [CorruptDataError],
    seed: 7,
  })
})

test('a field of another wire type is refused', () => {
  assert.throws(() => decodeMessage(searchTagsRequest, Uint8Array.of(0x08, 1)), {
    name: 'CorruptDataError',
    message: 'protobuf: scope (field 1) has wire type 0, 2 was expected',
  })
})
