/** Syslog messages of both RFCs, and how a stream of bytes is cut into messages. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import { checkDamage } from '../../../test/damage.ts'
import { parseSyslog, SyslogFraming } from './parse.ts'

const nowMs = new Date(2026, 0, 2).getTime()
const localMs = (year: number, month: number, ...rest: number[]): number => new Date(year, month, ...rest).getTime()

function show(text: string): string {
  const { time, message, fields } = parseSyslog(text, nowMs)
  const names = ['priority', 'level', 'facility_keyword', 'facility', 'severity']
  const shown = [...fields].filter(([name]) => !names.includes(name)).map(([name, value]) => `${name}=${value}`)
  return [time === undefined ? '-' : `${time.ms}+${time.subNs}`, ...shown, '|', message].join(' ')
}

const messages: [text: string, shown: string][] = [
  [
    '<165>1 2023-11-14T22:13:20.123456Z host app 123 ID47 [ex@1 iut="3" q="a\\"b\\]"][empty] An event\n',
    '1700000000123+456000 format=rfc5424 hostname=host app_name=app proc_id=123 msg_id=ID47 ' +
      'ex@1.iut=3 ex@1.q=a"b] empty= | An event',
  ],
  ['<34>1 - - - - - - \ufeffBOM', '- format=rfc5424 | BOM'],
  ['<34>1 - host', '- format=rfc5424 hostname=host | '],
  [
    '<13>Jan  1 10:11:12 host app[42]: hello',
    `${localMs(2026, 0, 1, 10, 11, 12)}+0 format=rfc3164 hostname=host app_name=app proc_id=42 | hello`,
  ],
  ['<13>Dec 31 10:11:12 host hello', `${localMs(2025, 11, 31, 10, 11, 12)}+0 format=rfc3164 hostname=host | hello`],
  ['<13>2023-11-14T22:13:20Z host app: x', '1700000000000+0 format=rfc3164 hostname=host app_name=app | x'],
  ['<13>app: x', '- format=rfc3164 app_name=app | x'],
  ['<13>Foo  1 10:11:12 x', '- format=rfc3164 | Foo  1 10:11:12 x'],
  ['<999>beyond all priorities', '- format=rfc3164 | beyond all priorities'],
  ['<x>no priority', '- format=rfc3164 | <x>no priority'],
  [
    'Jan  1 10:11:12 host3 cron[9]: no priority here',
    `${localMs(2026, 0, 1, 10, 11, 12)}+0 format=rfc3164 hostname=host3 app_name=cron proc_id=9 | no priority here`,
  ],
  [
    '<999>Jan  1 10:11:12 host3 cron[9]: beyond',
    `${localMs(2026, 0, 1, 10, 11, 12)}+0 format=rfc3164 hostname=host3 app_name=cron proc_id=9 | beyond`,
  ],
  ['2023-11-14T22:13:20Z host app[1]: x', '1700000000000+0 format=rfc3164 hostname=host app_name=app proc_id=1 | x'],
  [
    '1 2023-11-14T22:13:20Z host app 1 - - x',
    '1700000000000+0 format=rfc5424 hostname=host app_name=app proc_id=1 | x',
  ],
  ['1 apple: eaten', '- format=rfc3164 | 1 apple: eaten'],
  ['just text', '- format=rfc3164 | just text'],
]

test('messages: time, fields, text', () => {
  for (const [text, shown] of messages) assert.equal(show(text), shown, text)
})

test('the priority as facility and severity', () => {
  assert.deepEqual(Object.fromEntries(parseSyslog('<165>x', nowMs).fields), {
    priority: '165',
    facility_keyword: 'local4',
    level: 'notice',
    facility: '20',
    severity: '5',
    format: 'rfc3164',
  })
})

test('any text is a message', () => {
  for (const [text] of messages) checkDamage(Buffer.from(text), b => show(Buffer.from(b).toString()), { errors: [] })
})

const streams: [stream: string, messages: string[]][] = [
  ['<1>a\n<2>b\n', ['<1>a', '<2>b']],
  ['4 <1>a5 <2>bc', ['<1>a', '<2>bc']],
  ['4 <1>a\n<2>b\n6 <3>\ncd', ['<1>a', '<2>b', '<3>\ncd']],
  ['\n\n<1>a', ['<1>a']],
  // Without a priority: the version, any number, a length.
  ['1 2026-11-28T16:31:00Z h a 1 - - x\n<1>b\n', ['1 2026-11-28T16:31:00Z h a 1 - - x', '<1>b']],
  ['40 not found\n<1>b\n', ['40 not found', '<1>b']],
  ['5 Nov x4 <2>b', ['Nov x', '<2>b']],
  ['5 line\n<1>b\n', ['line\n', '<1>b']],
  ['1 x2 yy', ['x', 'yy']],
  [`${'x'.repeat(200)}\n`, ['x'.repeat(64), 'x'.repeat(64), 'x'.repeat(64), 'x'.repeat(8)]],
]

test('framing: by length or by line ends, however the bytes arrive', () => {
  const random = seededRandom(9)
  for (const [stream, expected] of streams)
    for (let round = 0; round < 50; round++) {
      const framing = new SyslogFraming(64)
      const found: string[] = []
      for (let at = 0; at < stream.length;) {
        const to = at + 1 + below(random, 9)
        found.push(...framing.push(Buffer.from(stream.slice(at, to))).map(String))
        at = to
      }
      found.push(...framing.end().map(String))
      assert.deepEqual(found, expected, stream)
    }
})

test('framing: damaged streams give messages, and no byte twice', () => {
  checkDamage(
    Buffer.from(streams.map(([stream]) => stream).join('')),
    bytes => {
      const framing = new SyslogFraming(64)
      const found = [...framing.push(bytes), ...framing.end()]
      assert.ok(found.reduce((sum, message) => sum + message.length, 0) <= bytes.length)
    },
    { errors: [] },
  )
})
