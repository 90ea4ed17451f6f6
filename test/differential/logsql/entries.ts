/**
 * The entries that both servers get: every kind of value that LogsQL treats in its own way, in a few streams. All of it
 * follows from the base time.
 */

export interface Entry {
  /** Nanoseconds before the base time. */
  beforeNs: bigint
  /** With the stream's fields. Numbers and objects go as JSON. */
  fields: Readonly<Record<string, unknown>>
}

const second = 1_000_000_000n
const minute = 60n * second
const hour = 60n * minute
const day = 24n * hour

export const streamFields = ['app', 'host']

const digits = (value: number, length: number): string => String(value).padStart(length, '0')

/** Requests of a web server: numbers of all types, addresses, words. */
function accessEntries(): Entry[] {
  const methods = ['GET', 'GET', 'POST', 'DELETE']
  const paths = ['/', '/api/v1/items', '/api/v1/items/17', '/login', '/static/a.css']
  const levels = ['info', 'info', 'info', 'warn', 'error']
  return Array.from({ length: 60 }, (_, i) => {
    const status = [200, 200, 404, 500, 301, 204][i % 6]!
    const took = (i * 37) % 1000
    return {
      beforeNs: 3n * hour - BigInt(i) * 2n * minute - BigInt(i) * 1_234_567n,
      fields: {
        app: 'web',
        host: `node-${1 + (i % 2)}`,
        _msg: `${methods[i % 4]} ${paths[i % 5]} status=${status} in ${took}ms`,
        level: levels[i % 5],
        method: methods[i % 4],
        path: paths[i % 5],
        status,
        took: `${took}ms`,
        size: `${(i * 13) % 50}.${i % 10}KB`,
        bytes: i * i * 101,
        ratio: (i * 7) / 8 - 13,
        ip: `10.${i % 3}.${(i * 5) % 256}.${i}`,
        user: i % 7 === 0 ? '' : `user_${i % 4}`,
        trace: `${(i * 2654435761).toString(16).padStart(12, '0')}`,
        signed: (i - 30) * 1_000_003,
        big: `${18_446_744_073_709_551_000n + BigInt(i)}`,
        due: `2026-11-${digits(1 + (i % 28), 2)}T${digits(i % 24, 2)}:15:00.${digits(i, 3)}Z`,
      },
    }
  })
}

/** Messages of every form that a pipe unpacks. */
const messages: readonly string[] = [
  '{"a":1,"b":"two","c":{"d":true,"e":null,"f":[1,"x",{"g":2}]},"h.i":"dotted","j":1.50,"k":"","l":-0.0}',
  '{"a":9007199254740993,"b":"schön \\u00e9 \\ud83d\\ude00","c":[],"n":1e400,"q":"say \\"hi\\""}',
  '{"broken":"json',
  '{"a":1} trailing',
  '["not","an","object"]',
  '"text"',
  '12345',
  'level=info msg="hello world" took=15ms empty= flag user="a=b c" esc="tab\\there"',
  'a=1 b="unterminated',
  '<165>1 2023-06-03T17:42:32.123456789Z mymachine.example.com appname 12345 ID47 [exampleSDID@32473 iut="3" ' +
    'eventSource="Application 123 = ] 56" eventID="11211"] This is a test message with structured data.',
  '<34>Oct 11 22:14:15 mymachine su[77]: su root failed for lonvick on /dev/pts/8',
  '<13>not really syslog',
  '\u001b[31mred\u001b[0m and \u001b[1;32mgreen\u001b[0m',
  'first line\nan error here\nlast line',
  'tab\there, quote " and backslash \\ and slash /',
  'id=123 2026-11-28T16:31:00Z 10.0.0.1 123e4567-e89b-12d3-a456-426614174000 64B 0x1f 3abc',
  'took 15.5s, 2026/11/28 16:31:00 from [10.1.2.3:8080] v1.2.3 -5 +7 12:30:45.123 0xdeadbeef DEADBEEF 1234abcd',
  'Error: ERROR error Err errors',
  'über Über ÜBER größe Größe',
  'Ελληνικά κείμενο 日本語のテキスト emoji 😀 done',
  '[1,2,3]',
  '["a","b,c","d\\"e",{"x":1},[1,2],null,true,""]',
  '',
  '   leading and trailing   ',
  'ip=192.168.1.10 mac=00:1b:44:11:3a:b7 path=/var/log/x.log pct=99%',
  'foo-bar_baz.qux foo bar foo,bar;baz',
  'x'.repeat(300),
  '<b>html</b> & "amp" \u2028 end',
  '2026-11-28T16:31:00.123456789+02:00 offset time',
  'cost is $15.00 (approx) {braces} [brackets]',
]

/** What fields of odd names and values are. */
const oddFields: readonly Readonly<Record<string, unknown>>[] = [
  { 'odd name': 'space', 'a.b': 'dot', 'c:d': 'colon', 'e=f': 'equals', ключ: 'значение' },
  { 'odd name': 'x"y', 'a.b': 'new\nline', nested: { x: { y: 1, z: [1, 2] }, w: 'deep' } },
  { v: '1KiB', w: '10.5MB', u: '1h30m', t: '-5s', s: '0.5', r: '1e3' },
  { v: '2KiB', w: '3', u: '90m', t: '5s', s: '.5', r: '-1e-3' },
  { v: '1024', w: 'abc', u: '1d', t: '1w', s: '5.', r: 'NaN' },
  { v: '1.5GiB', w: '', u: '100us', t: '7ns', s: '+5', r: 'Inf' },
  { v: '0x1F', w: '0b11', u: '1.5µs', t: '1y', s: '007', r: '-inf' },
  { v: 'a10', w: 'a9', u: 'a1b', t: 'a01', s: 'A10', r: 'b' },
  { v: 'v1.10.2', w: 'v1.9.3', u: '10.0.0.10', t: '10.0.0.9', s: '192.168.0.0/16', r: '256.1.1.1' },
  { v: true, w: false, u: null, t: [1, 'two', null], s: { only: 'object' }, r: 0 },
  {
    v: '2026-11-28T16:47:37.000Z',
    w: '2026-11-28T16:47:37Z',
    u: '2026-11-28',
    t: '2026-11-28 16:47:37',
    s: '1795883460',
    r: '1795883460123',
  },
  {
    v: '-9223372036854775808',
    w: '9223372036854775807',
    u: '18446744073709551615',
    t: '18446744073709551616',
    s: '1_000',
    r: '12345678901234567890.5',
  },
  { v: 'same', w: 'same', u: 'Same', t: 'samesame', s: 'sam', r: 'zebra' },
  { v: '5', w: '10', u: '5', t: '4.99', s: '5.0', r: '05' },
]

function oddEntries(): Entry[] {
  const texts = messages.map((_msg, i): Entry => ({
    beforeNs: 50n * minute - BigInt(i) * 10n * second,
    fields: { app: 'texts', _msg, n: i, parity: i % 2 === 0 ? 'even' : 'odd' },
  }))
  const odd = oddFields.map((fields, i): Entry => ({
    beforeNs: 40n * minute - BigInt(i) * 10n * second,
    fields: { app: 'odd', host: `h"${i % 2}\\`, _msg: `odd ${i}`, n: i, ...fields },
  }))
  return [...texts, ...odd]
}

/** Times a nanosecond apart, beside whole seconds and days. */
function timeEntries(): Entry[] {
  const within = [0n, 1n, 2n, 999n, 1_000n, 1_001n, 999_999n, 1_000_000n, 1_000_001n, 111_000_000n, 222_000_000n]
  const more = [222_000_001n, 333_000_000n, 999_999_999n, 1_000_000_000n, 59_999_999_999n, 60_000_000_000n]
  const close = [...within, ...more].map((ns, i): Entry => ({
    beforeNs: 30n * minute - ns,
    fields: { app: 'ns', _msg: `ns ${ns}`, n: i },
  }))
  const days = Array.from({ length: 10 }, (_, i): Entry => ({
    beforeNs: day + BigInt(i) * 10n * hour + 17n * minute,
    fields: { app: 'days', _msg: `day ${i}`, n: i, kind: ['a', 'b'][i % 2] },
  }))
  return [...close, ...days]
}

/** A counter, gauges and a few words by thirty seconds: for stats over time. */
function seriesEntries(): Entry[] {
  return Array.from({ length: 40 }, (_, i) => ({
    beforeNs: 25n * minute - BigInt(i) * 30n * second,
    fields: {
      app: 'series',
      host: `s${i % 3}`,
      _msg: `tick ${i}`,
      value: (i * i) % 17,
      float: ((i * 31) % 23) / 4,
      label: ['x', 'y', 'z'][(i * i) % 3],
      group: `g${i % 4}`,
      took: `${(i * 7) % 40}.5ms`,
      ...(i % 5 === 0 ? { sparse: `s${i}` } : {}),
    },
  }))
}

export const entries: readonly Entry[] = [...accessEntries(), ...oddEntries(), ...timeEntries(), ...seriesEntries()]

/** RFC 3339 with nanoseconds. */
export function timeOf(baseMs: number, beforeNs: bigint): string {
  const ns = BigInt(baseMs) * 1_000_000n - beforeNs
  const seconds = new Date(Number(ns / second) * 1000).toISOString().slice(0, 19)
  return `${seconds}.${String(ns % second).padStart(9, '0')}Z`
}

/** A body for `/insert/jsonline`. */
export function jsonLines(baseMs: number): string {
  return entries
    .map(({ beforeNs, fields }) => `${JSON.stringify({ _time: timeOf(baseMs, beforeNs), ...fields })}\n`)
    .join('')
}
