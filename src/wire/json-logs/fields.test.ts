/** Log entries that come as JSON objects. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { parseJson } from '#core/json.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { checkDamage } from '../../../test/damage.ts'
import { showLogBatch } from '../../../test/show-batch.ts'
import { addFields, flattenFields, parseAnyTime, readFieldRules, type FieldRules } from './fields.ts'

function rulesOf(parameters: Readonly<Record<string, string>>): FieldRules {
  return readFieldRules((name, header) => parameters[name] ?? parameters[header])
}

function shown(json: string, parameters: Readonly<Record<string, string>>): string[] {
  const builder = new LogBatchBuilder()
  addFields(flattenFields(parseJson(json) as Record<string, unknown>), rulesOf(parameters), builder, 42)
  return showLogBatch(builder.build())
}

const entries: [json: string, parameters: Record<string, string>, line: string][] = [
  ['{"_msg":"hello","_time":"1700000000","a":1}', {}, '{} @1700000000000+0 hello a=1'],
  [
    '{"log":{"text":"hi","n":null,"e":""},"ts":0,"k8s":{"pod":"p-1","ids":[1,2]}}',
    { _msg_field: 'msg, log.text', _time_field: 'ts', _stream_fields: 'k8s.pod' },
    '{k8s_pod="p-1"} @42+0 hi k8s.ids=[1,2]',
  ],
  [
    '{"_msg":"\\u001b[31mred\\u001b[0m","secret":"x","tmp.a":1,"tmp.b":2}',
    { 'vl-ignore-fields': 'secret,tmp.*', decolorize_fields: '_msg', extra_fields: 'env=prod,bare' },
    '{} @42+0 red env=prod bare=',
  ],
  ['{"id":1234567890123456789,"e":1e400}', { _stream_fields: 'id' }, '{id="1234567890123456789"} @42+0  e=1e400'],
  [
    '{"_msg":9007199254740993,"_time":1795883460000000009,"f":1.50,"n":{"l":[1.0,{"x":-9007199254740993}],"z":-0}}',
    {},
    '{} @1795883460000+9 9007199254740993 f=1.50 n.l=[1.0,{"x":-9007199254740993}] n.z=-0',
  ],
]

test('entries: time, line, stream, other fields', () => {
  for (const [json, parameters, line] of entries) assert.deepEqual(shown(json, parameters), [line], json)
})

test('times: Unix in any unit, RFC 3339', () => {
  const cases: [text: string, time: string | undefined][] = [
    ['1700000000', '1700000000000+0'],
    ['1700000000.123456789', '1700000000123+456789'],
    ['1700000000123', '1700000000123+0'],
    ['1700000000123456', '1700000000123+456000'],
    ['1700000000123456789', '1700000000123+456789'],
    ['-1', '-1000+0'],
    ['-1.5', '-1500+0'],
    ['-1.0000005', '-1001+999500'],
    ['1700000000123.5', '1700000000123+500000'],
    ['1700000000123456.7', '1700000000123+456700'],
    ['1.7000000001234567891e18', '1700000000123+456789'],
    ['1.7e9', '1700000000000+0'],
    ['1795883460000000009', '1795883460000+9'],
    ['1e400', undefined],
    ['2023-11-14T22:13:20Z', '1700000000000+0'],
    ['2023-11-14 22:13:20.5', '1700000000500+0'],
    ['2023-11-14T23:13:20,123456789+0100', '1700000000123+456789'],
    ['2023-11-14T22:13', '1699999980000+0'],
    ['2023-13-14T22:13:20Z', undefined],
    ['soon', undefined],
    ['', undefined],
  ]
  for (const [text, time] of cases) {
    const read = parseAnyTime(text)
    assert.equal(read === undefined ? undefined : `${read.ms}+${read.subNs}`, time, text)
  }
})

test('a time that is none, and objects in objects without end, are refused', () => {
  assert.throws(() => shown('{"_time":"soon"}', {}), { name: 'BadDataError', message: /the time "soon" in "_time"/ })
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`
  assert.throws(() => shown(deep, {}), { name: 'BadDataError', message: /nested more than 100 deep/ })
  const list = (depth: number): string => `{"a":${'[{"b":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}}`
  shown(list(100), {})
  assert.throws(() => shown(list(102), {}), { name: 'BadDataError', message: /nested more than 100 deep/ })
})

test('damaged entries', () => {
  for (const [json, parameters] of entries)
    checkDamage(
      Buffer.from(json),
      bytes => {
        const text = Buffer.from(bytes).toString()
        let parsed: unknown
        try {
          parsed = JSON.parse(text)
        } catch (error) {
          throw new BadDataError('not JSON', { cause: error })
        }
        if (typeof parsed === 'object' && parsed !== null) shown(text, parameters)
      },
      { errors: [BadDataError] },
    )
})
