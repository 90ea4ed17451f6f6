/** Loki's push request in its three forms, and what damaged ones do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { LogBatch } from '#model/log-batch.ts'
import { checkDamage } from '../../../test/damage.ts'
import { protobuf, type Message, type Schema } from '../../../test/protobuf.ts'
import { showLogBatch } from '../../../test/show-batch.ts'
import { labelsFromObject, parseStreamLabels } from './labels.ts'
import {
  decodePushRequest,
  parseLegacyPushJson as parseLegacyPushJsonBytes,
  parsePushJson as parsePushJsonBytes,
} from './push.ts'

const parsePushJson = (source: string, batch: LogBatch) => parsePushJsonBytes(Buffer.from(source), batch)
const parseLegacyPushJson = (source: string, batch: LogBatch) => parseLegacyPushJsonBytes(Buffer.from(source), batch)

const timestamp: Schema = { seconds: [1, 'varint'], nanos: [2, 'varint'] }
const pair: Schema = { name: [1, 'text'], value: [2, 'text'] }
const entry: Schema = { timestamp: [1, () => timestamp], line: [2, 'text'], structuredMetadata: [3, () => pair] }
const stream: Schema = { labels: [1, 'text'], entries: [2, () => entry], hash: [3, 'varint'] }
const request: Schema = { streams: [1, () => stream] }

const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')

function shown(read: (batch: LogBatch) => string[]): { lines: string[]; problems: string[] } {
  const batch = new LogBatch()
  const problems = read(batch)
  return { lines: showLogBatch(batch), problems }
}

const at = { seconds: 1_700_000_000, nanos: 123_456_789 }
const messages: [name: string, message: Message, lines: string[], problems: string[]][] = [
  ['nothing', {}, [], []],
  [
    'streams with entries and metadata',
    {
      streams: [
        {
          labels: '{b="2", app="x"}',
          entries: [
            { timestamp: at, line: 'one', structuredMetadata: [{ name: 'user', value: 'ada' }] },
            { timestamp: { seconds: -1 }, line: '' },
          ],
          hash: 7,
        },
        { labels: '{app="y"}', entries: [{ timestamp: at, line: 'zwei ü' }] },
      ],
    },
    [
      '{app="x", b="2"} @1700000000123+456789 one user=ada',
      '{app="x", b="2"} @-1000+0 ',
      '{app="y"} @1700000000123+456789 zwei ü',
    ],
    [],
  ],
  [
    'labels behind the entries',
    { streams: [{ entries: [{ timestamp: at, line: 'one' }], labels: '{app="x"}' }] },
    ['{app="x"} @1700000000123+456789 one'],
    [],
  ],
  [
    'one stream with bad labels leaves the others',
    {
      streams: [
        { labels: '{app=x}', entries: [{ line: 'lost' }] },
        { labels: '{app="y"}', entries: [{ line: 'kept' }] },
      ],
    },
    ['{app="y"} @0+0 kept'],
    [`couldn't parse labels: 1:6: parse error: unexpected "x" in label set, expected string`],
  ],
]

test('protobuf: streams as a batch', () => {
  for (const [name, message, lines, problems] of messages)
    assert.deepEqual(
      shown(b => decodePushRequest(protobuf(request, message), b)),
      { lines, problems },
      name,
    )
})

test('protobuf: damaged requests', () => {
  checkDamage(protobuf(request, messages[1]![1]), bytes => decodePushRequest(bytes, new LogBatch()), {
    errors: [CorruptDataError],
    refusesCuts: 'protobuf',
  })
})

const json = JSON.stringify({
  streams: [
    {
      stream: { app: 'x', n: 1 },
      values: [
        ['1700000000123456789', 'one', { user: 'ada' }],
        ['5', 'ü'],
      ],
    },
    { stream: { 'a b': 'x' }, values: [['5', 'lost']] },
  ],
})

test('JSON: streams as a batch', () => {
  assert.deepEqual(
    shown(b => parsePushJson(json, b)),
    {
      lines: ['{app="x", n="1"} @1700000000123+456789 one user=ada', '{app="x", n="1"} @0+5 ü'],
      problems: [`couldn't parse labels: 1:4: parse error: unexpected identifier "b" in label set, expected "="`],
    },
  )
})

test('JSON: what is refused, and how that is said', () => {
  const cases: [json: string, problem: RegExp][] = [
    ['{', /^the body is not JSON: /],
    ['[]', /^the body is not an object with "streams"$/],
    ['{"streams":1}', /^"streams" is not a list$/],
  ]
  for (const [source, message] of cases)
    assert.throws(() => parsePushJson(source, new LogBatch()), { name: 'BadDataError', message })
})

test('JSON: what is wrong in a stream or a line costs it alone', () => {
  const cases: [stream: string, problem: RegExp, lines?: number][] = [
    ['1', /^a stream is not an object$/],
    ['{"values":1}', /^"values" is not a list$/],
    ['{"stream":1}', /^"stream" is not an object of labels$/],
    ['{"values":[[],["5","b"]]}', /^a value is not a list of time and line$/, 1],
    ['{"values":[[5,"x"],["5","b"]]}', /^a time must be a string of nanoseconds, 5 is not$/, 1],
    ['{"values":[[1795883460000000009,"x"]]}', /nanoseconds, 1795883460000000009 is not$/],
    ['{"values":[["5",1],["5","b"]]}', /^a line must be a string, 1 is not$/, 1],
    ['{"values":[["5","x",1],["5","b"]]}', /^structured metadata must be an object of strings$/, 1],
    ['{"values":[["5","x",{"ok":"1","a":null}],["5","b"]]}', /; "a" is null$/, 1],
    ['{"values":[["5","x",{"a":1.50}],["5","b"]]}', /; "a" is number$/, 1],
  ]
  for (const [stream, problem, lines = 0] of cases) {
    const good = '{"stream":{"a":"b"},"values":[["5","good",{"p":"q"}]]}'
    const read = shown(b => parsePushJson(`{"streams":[${good},${stream},${good}]}`, b))
    assert.equal(read.problems.length, 1, stream)
    assert.match(read.problems[0]!, problem)
    const own = Array.from({ length: lines }, () => '{} @0+5 b')
    assert.deepEqual(read.lines, ['{a="b"} @0+5 good p=q', ...own, '{a="b"} @0+5 good p=q'], stream)
  }
})

test('JSON: half a surrogate pair is U+FFFD, in labels, lines and metadata', () => {
  const source = '{"streams":[{"stream":{"a":"\\ud800"},"values":[["5","l\\udfff",{"p\\ud800":"\\ud800"}]]}]}'
  assert.deepEqual(shown(b => parsePushJson(source, b)).lines, ['{a="\ufffd"} @0+5 l\ufffd p\ufffd=\ufffd'])
  assert.equal(parseStreamLabels('{a="\\ud800"}').get('a'), '\ufffd')
})

test('protobuf: texts that are no UTF-8 get U+FFFD; a broken entry costs itself', () => {
  const named = (name: string): Message => ({
    labels: '{a="v§"}',
    entries: [
      { timestamp: { seconds: 1 }, line: 'one', structuredMetadata: [{ name: 'n§', value: 'w§' }] },
      { timestamp: { seconds: 1 }, line: name, structuredMetadata: [{ name: 'p', value: 'cut' }] },
      { timestamp: { seconds: 1 }, line: 'two' },
    ],
  })
  const bytes = Buffer.from(
    Buffer.from(protobuf(request, { streams: [named('bad')] }))
      .toString('latin1')
      .replaceAll('\u00c2\u00a7', '\u00fc\u00fd'),
    'latin1',
  )
  bytes[bytes.indexOf('cut') - 2] = 0x13
  const { lines, problems } = shown(b => decodePushRequest(bytes, b))
  assert.deepEqual(lines, [
    '{a="v\ufffd\ufffd"} @1000+0 one n\ufffd\ufffd=w\ufffd\ufffd',
    '{a="v\ufffd\ufffd"} @1000+0 two',
  ])
  assert.equal(problems.length, 1)
})

test('JSON: damaged requests', () => {
  checkDamage(Buffer.from(json), bytes => parsePushJson(utf8(bytes), new LogBatch()), {
    errors: [BadDataError],
    refusesCuts: 'always',
  })
})

const legacy = JSON.stringify({
  streams: [{ labels: '{app="x"}', entries: [{ ts: '2023-11-14T22:13:20.123456789Z', line: 'one' }] }],
})

test('the legacy JSON form', () => {
  assert.deepEqual(
    shown(b => parseLegacyPushJson(legacy, b)),
    { lines: ['{app="x"} @1700000000123+456789 one'], problems: [] },
  )
  checkDamage(Buffer.from(legacy), bytes => parseLegacyPushJson(utf8(bytes), new LogBatch()), {
    errors: [BadDataError],
    refusesCuts: 'always',
  })
})

test('labels: what is read', () => {
  const cases: [text: string, shown: string][] = [
    ['{}', '{}'],
    ['{a="b"}', '{a="b"}'],
    [' { b = "2" , a=`\\1` , } ', '{a="\\\\1", b="2"}'],
    ['up{a="b"}', 'up{a="b"}'],
    ['up', 'up'],
    ['{"a b"=\'c\'}', '{"a b"="c"}'],
    ['{a="\\n\\x41\\u00e4\\U0001F600\\101"}', '{a="\\nAä😀A"}'],
  ]
  for (const [text, expected] of cases) assert.equal(parseStreamLabels(text).toString(), expected)
  assert.equal(labelsFromObject({ b: '1', a: '' }).toString(), '{b="1"}')
})

test('labels: what is refused, with its place', () => {
  const cases: [text: string, problem: RegExp][] = [
    ['', /1:1: .*unexpected end of input/],
    ['{', /1:2: .*unexpected end of input inside braces/],
    ['{a}', /1:3: .*unexpected "}" in label set, expected "="/],
    ['{a="b', /1:4: .*unterminated quoted string/],
    ['{a=`b', /1:4: .*unterminated raw string/],
    ['{a="\\q"}', /unknown escape sequence "q"/],
    ['{a="\\UFFFFFFFF"}', /escape sequence "UFFFFFFFF" is no character/],
    ['{a="b" c="d"}', /unexpected "c" in label set, expected "," or "}"/],
    ['{a="b"} x', /unexpected "x" after the label set/],
    ['{a="b",a="c"}', /duplicate label name: 'a'/],
  ]
  for (const [text, message] of cases)
    assert.throws(() => parseStreamLabels(text), { name: 'BadDataError', message }, text)
})

test('labels: damaged ones', () => {
  const text = 'up{app="x", "a b"=`raw`, esc="\\n\\x41\\U0001F600"}'
  checkDamage(Buffer.from(text), bytes => parseStreamLabels(utf8(bytes)), { errors: [BadDataError] })
})

test('JSON: a label may have a name that every object has', () => {
  const source = '{"streams":[{"stream":{"app":"x","__proto__":"y"},"values":[["1","one"]]}]}'
  const { lines, problems } = shown(b => parsePushJson(source, b))
  assert.deepEqual(problems, [])
  assert.match(lines.join('\n'), /__proto__="y"/)
})
