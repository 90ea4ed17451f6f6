/**
 * Lines by set: a stream `{set="…"}` each, a line every second from the set's own time on. Questions about one line
 * ask for its nanosecond.
 */
import type { Target } from '../question.ts'

export interface PushedLine {
  /** Milliseconds and nanoseconds from the base, negative. */
  atMs: number
  subNs: number
  text: string
  metadata: Readonly<Record<string, string>>
}

export interface PushedStream {
  labels: Readonly<Record<string, string>>
  lines: readonly PushedLine[]
}

const minute = 60_000

/** Lines whose reading is asked for one by one: JSON, damaged and not. */
export const jsonLines: Readonly<Record<string, string>> = {
  plain: '{"a":"1","b":2,"c":true,"d":null,"e":1.50}',
  empty_object: '{}',
  blank: ' ',
  empty: '',
  nested: '{"a":{"b":{"c":"deep","d":[1,2]},"e":false},"f":"x"}',
  arrays: '{"a":[1,"two",{"b":3}],"c":"after"}',
  numbers: '{"i":9007199254740993,"f":1.50,"e":1e400,"n":-0,"x":1E+3,"z":0.1e-7}',
  escapes: '{"a":"q\\"b\\\\s\\/t\\tn\\nu\\u00e9","b\\u0041":"x"}',
  surrogates: '{"pair":"\\ud83d\\ude00","lone":"\\ud83d","low":"\\ude00x"}',
  replacement: '{"a":"x\ufffdy","b":"\\ufffd"}',
  unicode: '{"ключ":"значение","日本":"語","é":"ü"}',
  odd_keys: '{"k.e-y 1":"a","1num":"b"," trim ":"c","":"empty","a b":"d","_":"e","$":"f"}',
  key_blank: '{" ":"blank","a":{"":"inner","\\t":"tab"}}',
  duplicates: '{"a":"first","a":"second","b":{"c":1},"b_c":2}',
  reserved: '{"set":"over","service_name":"over","detected_level":"over","__error__":"mine","level":"warn"}',
  error_key: '{"__error__":"mine","__error_details__":"more","a":1}',
  leading_space: '  \t{"a":"1"}',
  trailing: '{"a":"1"} trailing',
  two_objects: '{"a":"1"}{"b":"2"}',
  top_array: '[{"a":1}]',
  top_string: '"text"',
  top_number: '12',
  top_null: 'null',
  text: 'no json at all',
  cut_open: '{',
  cut_key: '{"a',
  cut_colon: '{"a"',
  cut_value: '{"a":',
  cut_after_value: '{"a":1',
  cut_after_comma: '{"a":1,',
  cut_second: '{"a":"1","b',
  cut_second_value: '{"a":"1","b":',
  cut_string: '{"a":"1","b":"tex',
  cut_escape: '{"a":"1","b":"tex\\',
  cut_nested: '{"a":"1","b":{"c":2',
  cut_nested_after: '{"a":"1","b":{"c":2}',
  cut_array: '{"a":"1","b":[1,2',
  cut_true: '{"a":tru',
  cut_number: '{"a":1.',
  bad_word: '{"a":"1","b":word,"c":2}',
  bad_true: '{"a":"1","b":trux,"c":2}',
  bad_number: '{"a":"1","b":1.2.3,"c":2}',
  bad_number_sign: '{"a":"1","b":+1,"c":2}',
  bad_number_leading: '{"a":"1","b":012,"c":2}',
  bad_escape: '{"a":"1","b":"x\\qy","c":2}',
  bad_unicode: '{"a":"1","b":"x\\u00zz","c":2}',
  bad_key_escape: '{"a":"1","b\\q":"x","c":2}',
  bad_quote: '{"a":"1","b":"x"y","c":2}',
  bad_single: "{'a':'1'}",
  bad_bare_key: '{a:1,"b":2}',
  bad_missing_colon: '{"a":"1","b" "x","c":2}',
  bad_missing_comma: '{"a":"1" "b":2}',
  bad_double_comma: '{"a":"1",,"b":2}',
  bad_trailing_comma: '{"a":"1","b":2,}',
  bad_first_comma: '{,"a":1}',
  bad_array: '{"a":"1","b":[1,,2],"c":3}',
  bad_array_end: '{"a":"1","b":[1,2},"c":3}',
  bad_nested_end: '{"a":"1","b":{"c":2],"d":3}',
  bad_close: '{"a":"1"]',
  bad_number_key: '{"a":"1",5:2}',
  control_in_string: '{"a":"x\ty\u0001z","b":1}',
  newline_between: '{\n"a": "1",\n "b": {"c": 2 } }\n',
  nan: '{"a":"1","b":NaN,"c":Infinity}',
  hex: '{"a":"1","b":0x10}',
  bom: '\ufeff{"a":"1"}',
  comment: '{"a":"1", /* c */ "b":2}',
  deep_open: `{"a":${'{"a":'.repeat(20)}1${'}'.repeat(20)}}`,
  html: '{"a":"<b>&amp;</b>","b":"\u2028"}',
  long_value: `{"a":"${'x'.repeat(300)}","b":"y"}`,
  packed: '{"_entry":"the line","app":"packed","pod":"p-1"}',
  packed_only: '{"_entry":"only"}',
  packed_number: '{"_entry":"line","n":5,"b":true,"x":"y","o":{"p":"q"},"l":[1]}',
  packed_no_entry: '{"app":"packed","pod":"p-1"}',
  packed_entry_number: '{"_entry":5,"app":"x"}',
  packed_empty: '{"_entry":"","app":"x"}',
  packed_damaged: '{"app":"x","_entry":"the line","pod":"p',
  packed_damaged_late: '{"_entry":"the line","app":"x",}',
  packed_escape: '{"_entry":"a\\"b\\nc","app":"x\\ty"}',
  packed_same: '{"_entry":"line","set":"other","service_name":"z"}',
  packed_twice: '{"_entry":"one","_entry":"two","a":"1","a":"2"}',
  spaced_keys: '{"a" : "1" ,\t"b"\n:\r"2"}',
  form_feed: '{"a":"1",\f"b":"2"}',
  escaped_control: '{"a":"x\ty\\n","b":"\\u0000"}',
  bad_after_nested: '{"a":{"b":"1"},"c":oops}',
  bad_in_nested: '{"a":{"b":"1","c":oops},"d":"2"}',
  nested_cut_string: '{"a":{"b":"1","c":"x',
  nested_twice_cut: '{"a":{"b":{"c":"1"',
  nested_empty: '{"a":{},"b":{"c":{}},"d":"x"}',
  array_cut_object: '{"a":[{"b":1},"c":2}',
  bracket_in_string: '{"a":"}","b":"]","c":{"d":"{"}}',
  quote_escaped_end: '{"a":"x\\\\","b":"y\\""}',
  word_prefix: '{"a":nullx,"b":1}',
  word_true_case: '{"a":True}',
  minus: '{"a":-,"b":-x1}',
  number_letters: '{"a":1abc,"b":2}',
  number_space: '{"a":1 2,"b":3}',
  key_unclosed_brace: '{"a":"1"}}',
  key_number_like: '{"0":"z","007":"b","a":"c"}',
  key_dashes: '{"trace-id":"t","span.id":"s","a/b":"c","x:y":"z"}',
  key_collision: '{"a-b":"1","a.b":"2","a_b":"3"}',
  extracted_collision: '{"set":"1","set_extracted":"2"}',
  unicode_escape_key: '{"\\u0061b":"1"}',
  emoji: '{"😀":"x","a":"😀"}',
  long_number: '{"a":123456789012345678901234567890,"b":0.1000}',
  user: '{"user":{"id":"u1","name":"Ann","tags":["x","y"]},"lat":"15ms","size":"1.5KB","n":"12"}',
  number_texts: '{"n":"abc","lat":"5","size":"3 zz","x":"1e3"}',
}

/** Key and value pairs, damaged and not. */
export const logfmtLines: Readonly<Record<string, string>> = {
  plain: 'a=1 b=two c="three four" level=info',
  bare: 'a b= c=3',
  bare_only: 'word',
  sentence: 'this is a sentence of words',
  empty: '',
  blank: '   ',
  equals: 'a=b=c d=1',
  double_equals: 'a==b c=1',
  only_equals: '=',
  no_key: '=x a=1',
  no_key_middle: 'a=1 =x b=2',
  quote_in_value: 'a=b"c d=1',
  quote_in_key: 'a"b=1 c=2',
  quote_alone: '" a=1',
  quoted_key: '"a"=1 b=2',
  unterminated: 'a=1 b="open c=2',
  unterminated_empty: 'a=1 b="',
  after_quote: 'a="x"y b=2',
  after_quote_equals: 'a="x"=y b=2',
  two_quotes: 'a="x""y" b=2',
  escapes: 'a="q\\"b\\\\s\\tn\\nu\\u00e9" b=\\n',
  bad_escape: 'a="x\\qy" b=2',
  bad_unicode: 'a="x\\u00zz" b=2',
  escape_end: 'a=1 b="x\\',
  single: "a='x y' b=2",
  backtick: 'a=`x y` b=2',
  newline_in_quotes: 'a="one\ntwo" b=2',
  newline_escape: 'm="one\\\\again\ntwo" k=v',
  control: 'a="x\u0001y" b\u0001c=2',
  tabs: 'a=1\tb=2\nc=3\r\nd=4',
  unicode: 'ключ=значение é="ü" 日本=語',
  odd_keys: 'k.e-y=1 1num=2 a/b=3 c[0]=4 $=5 _=6 a:b=7',
  duplicates: 'a=first a=second b="" b=full',
  duplicate_norm: 'a.b=1 a_b=2',
  reserved: 'set=over service_name=over detected_level=over level=error',
  error_key: '__error__=mine __error_details__=more a=1',
  empty_values: 'a= b="" c=1',
  commas: 'a=1, b=2, c=3',
  json: '{"a":"1","b":2}',
  brackets: '[info] a=1 (b=2)',
  url: 'url=http://x/y?a=1&b=2 q="a=b c=d"',
  ampersand: 'a=<b>&c d=1',
  trailing_space: 'a=1   ',
  invalid_bytes: 'a=\ufffd b=2 c="\ufffd"',
  long_key: `${'k'.repeat(200)}=v a=1`,
  numbers: 'n=12 f=1.5 lat=15ms size=1.5KB dur=1h2m3s bad=abc empty= neg=-4 exp=1e3 inf=+Inf nan=NaN hex=0x10',
  quoted_then_bare: 'a="x" b c="y"',
  equals_in_quotes: 'a="b=c" d="e f=g"',
  escaped_quote_cut: 'a="x\\" b=1',
  quote_after_space: 'a= "x" b=1',
  key_quote_end: 'a" b=1',
  empty_quotes: 'a="" b=" " c="\\""',
  many_equals: 'a=1=2=3 b=4',
  only_quotes: '"" b=1',
  colon: 'level:info a=1',
  json_value: 'a={"b":1} c=2',
  json_quoted: 'a="{\\"b\\":1}" c=2',
  backslash: 'a=x\\y b=\\ c="\\\\"',
  unicode_escape: 'a="\\u00e9\\ud83d\\ude00" b="\\ud83d"',
  go_escapes: 'a="\\x41" b="\\101" c="\\a" d="\\\'"',
  nul: 'a=x\u0000y b=1',
  vertical_tab: 'a=1\u000bb=2\u000cc=3',
  nbsp: 'a=1\u00a0b=2',
  leading_space: '  a=1  b=2',
  digits_key: '1=a 2b=c',
  dot_key: '.a=1 a.=2 ..=3',
  extracted: 'set=1 set_extracted=2',
  units: 'n=1_000 lat=5 size=3zz dur=1d2h ip=10.0.0.5 ip6=fe80::1 host=web-1',
}

/** Lines of other kinds: patterns, addresses, colours, words. */
export const textLines: Readonly<Record<string, string>> = {
  access: '10.0.0.5 - frank [10/Oct/2000:13:55:36 -0700] "GET /api/v1/push HTTP/1.1" 200 2326',
  access_short: '192.168.4.5 - - "POST /x" 500',
  colour: '\u001b[31mred text\u001b[0m and \u001b[1;32mgreen\u001b[0m',
  colour_other: '\u009b31mred\u009b0m \u001b]0;title\u0007 end',
  foo_bar: 'foo bar baz',
  foo: 'foo',
  oo: 'foofoo',
  upper: 'FOO Bar bAz',
  empty: '',
  spaces: '  leading and trailing  ',
  addresses: 'from 10.1.2.3 to 192.168.0.1:80, fe80::1%eth0 and 2001:db8::ff',
  address_odd: '1.2.3.4.5 999.1.1.1 1.2.3 ::1 ip=10.0.0.255,x',
  quotes: 'say "hello" \'there\' `tick` back\\slash',
  unicode: 'grüße 日本語 😀 ключ',
  lines: 'first line\nsecond line\nthird',
  tabs: 'a\tb\tc',
  html: '<a href="x?a=1&b=2">link</a>',
  template: '{{.foo}} $1 ${2} %d',
  number: '12345',
  digits: 'ab10c20d',
  date: '2026-11-28T16:31:00Z took 15ms for 3 items of 1.5MB',
  replacement: 'bad \ufffd byte',
  nul: 'a\u0000b',
  long: 'word '.repeat(120).trim(),
  error_words: 'an error happened, warn: fatal failure',
}

/** Level words: the line, labels of metadata. */
const levelLines: readonly (readonly [text: string, metadata?: Readonly<Record<string, string>>])[] = [
  ['nothing here'],
  ['level=info msg=x'],
  ['level=WARN msg=x'],
  ['msg="an error" level=debug'],
  ['lvl=err x=1'],
  ['severity=critical x=1'],
  ['LEVEL=Fatal'],
  ['{"level":"error","a":1}'],
  ['{"a":{"level":"warn"}}'],
  ['{"a":{"b":{"level":"warn"}}}'],
  ['{"severity":"INFORMATION"}'],
  ['{"lvl":"trc"}'],
  ['{"level":"custom"} error'],
  ['{"level":5}'],
  ['[ERROR] something'],
  ['error: something'],
  ['misc:error'],
  ['<error>'],
  ['error.'],
  ['crit something'],
  ['fatal error'],
  ['Warning! look'],
  ['WARN|x'],
  ["'debug'"],
  ['info'],
  ['information'],
  ['xerrorx'],
  ['no_error_here'],
  ['level="quoted warn"'],
  ['level=custom msg=error'],
  ['plain', { level: 'error' }],
  ['plain', { severity_text: 'Warning' }],
  ['plain', { severity_number: '9' }],
  ['plain', { severity_number: '0' }],
  ['plain', { severity_number: 'x' }],
  ['plain', { level: 'custom' }],
  ['plain', { detected_level: 'sent' }],
  ['plain', { SEVERITY: 'Dbg' }],
  ['error', { lvl: 'info' }],
  ['time=x level=error level=info'],
  ['{"msg":"level=error","x":1}'],
  ['E1128 16:31:00 klog'],
  ['{"log.level":"error"}'],
  ['log.level=warn'],
  ['{"LogLevel":"error"}'],
  ['@l=error'],
  ['DEBUG'],
  ['TRACE x'],
  ['{"level":"error"'],
  ['level = error'],
]

const metadataLines: readonly (readonly [text: string, metadata: Readonly<Record<string, string>>])[] = [
  ['one', { trace_id: 't1', user: 'ann' }],
  ['two', { 'http.method': 'GET', 'user-agent': 'x y' }],
  ['three', { '9start': 'n', __x: 'u', a__b: 'dd' }],
  ['four', { éa: 'umlaut', set: 'own' }],
  ['five', { service_name: 'sm', empty: '', quoted: 'a"b\\c' }],
  ['six', { unicode: '日本😀', newline: 'a\nb', tab: 'a\tb' }],
  ['seven a=1 user=bob', { user: 'ann', a: 'meta' }],
  ['{"a":"line","user":{"id":1}}', { a: 'meta', user_id: 'm' }],
  ['nine', { A: '1', a: '2' }],
  ['ten', { __error__: 'Mine', __error_details__: 'sent' }],
  ['same', { n: '1' }],
  ['same', { n: '2' }],
]

const fieldLines: Readonly<Record<string, readonly string[]>> = {
  fields_json: [
    '{"lat":5,"user":{"id":"u1","deep":{"er":"x"}},"ok":true,"took":"15ms","size":"1.5KB","f":1.5,"tags":[1,2]}',
    '{"lat":6,"user":{"id":"u2"},"ok":false,"took":"2s","size":"3MB","f":2.5,"empty":""}',
    '{"lat":"x","user":"flat","ok":"t","odd key.x":"y","null":null}',
  ],
  fields_logfmt: [
    'lat=7 user_id=u2 status=404, took=15ms size=1.5KB f=1.5 ok=true msg="a b c"',
    'lat=8 user_id=u3 status=200 took=1h size=10B f=2 ok=false bare',
    'lat=9 user.id=u4 empty= quoted="x=y z"',
  ],
  fields_mixed: [
    '{"lat":5,"user":{"id":"u1"},"only_json":1}',
    'lat=7 user_id=u2 only_logfmt=1',
    'plain words without fields',
    '[warn] a=1',
    '{"broken":1',
    'x {"lat":5}',
  ],
  fields_types: [
    'i=1 f=1.0 e=1e3 b=true t=T d=5s d2=1m30s z=1KB z2=5kib z3=10 s=abc n=-5 u=0x10 inf=Inf pct=5% h=1h,',
    'i=2 f=x e=y b=no t=1 d=y d2=z z=q z2=r z3=s s=5 n=a u=b inf=c pct=d h=e',
  ],
  fields_none: ['only words here', 'nothing else'],
}

const patternLines: readonly string[] = Array.from({ length: 40 }, (_, i) => [
  `ts=2026-11-28T10:00:${i + 10}Z caller=main.go:${i} level=info msg="request done" took=${i}ms`,
  `connection from 10.0.0.${i} port ${1000 + i} accepted for user u${i % 3}`,
  `worker ${i} finished job ${i * 7} in ${i}ms`,
  `{"level":"info","msg":"handled request ${i} for user u${i}","took":${i}}`,
]).flat()

function linesFrom(
  fromMs: number,
  texts: readonly (readonly [text: string, metadata?: Readonly<Record<string, string>>])[],
  everyMs = 1000,
): PushedLine[] {
  return texts.map(([text, metadata = {}], i) => ({ atMs: fromMs + i * everyMs, subNs: 0, text, metadata }))
}

const plain = (texts: Iterable<string>): (readonly [string])[] => Array.from(texts, text => [text] as const)

export const starts = {
  json: -50 * minute,
  logfmt: -45 * minute,
  text: -43 * minute,
  level: -35 * minute,
  meta: -30 * minute,
  fields: -28 * minute,
  patterns: -25 * minute,
  repeated: -20 * minute,
} as const

/** Samples of three hosts, every ten seconds for 80 minutes: numbers, durations, sizes, a counter that restarts. */
export const sampleEveryMs = 10_000
export const sampleCount = 480
export const samplesFromMs = -80 * minute - 30_000

function sampleLines(host: number): PushedLine[] {
  return Array.from({ length: sampleCount }, (_, i) => {
    const v = ((i * 7 + host * 13) % 50) / 4
    const counter = ((i * 3 + host) % 400) + (i % 2)
    const status = [200, 200, 404, 500][(i + host) % 4]!
    const level = status === 500 ? 'error' : status === 404 ? 'warn' : 'info'
    const path = `/p${(i + host) % 5}`
    const text =
      host === 2
        ? `{"v":${v},"dur":"${v * 10}ms","size":"${v + 1}KB","counter":${counter},"status":${status},"path":"${path}"}`
        : `level=${level} v=${v} dur=${v * 10}ms size=${v + 1}KB counter=${counter} status=${status} path=${path}`
    // Some come twice a step, some not at all, some between two milliseconds.
    return { atMs: samplesFromMs + i * sampleEveryMs + host * 111, subNs: (i % 3) * 250, text, metadata: {} }
  }).filter((_, i) => (i + host) % 11 !== 0)
}

const repeatedLines: readonly PushedLine[] = [
  { atMs: starts.repeated, subNs: 0, text: 'same', metadata: {} },
  { atMs: starts.repeated, subNs: 0, text: 'same', metadata: {} },
  { atMs: starts.repeated, subNs: 0, text: 'other', metadata: {} },
  { atMs: starts.repeated, subNs: 1, text: 'one ns', metadata: {} },
  { atMs: starts.repeated, subNs: 2, text: 'two ns', metadata: {} },
  { atMs: starts.repeated, subNs: 2, text: 'two ns', metadata: { n: '1' } },
  { atMs: starts.repeated, subNs: 999_999, text: 'last ns', metadata: {} },
  { atMs: starts.repeated + 1, subNs: 0, text: 'next ms', metadata: {} },
  { atMs: starts.repeated + 1000, subNs: 0, text: 'same', metadata: {} },
]

/** Labels of streams that have one line each, ten minutes ago. */
const oddLabels: readonly Readonly<Record<string, string>>[] = [
  { value: 'quote"d' },
  { value: 'back\\slash' },
  { value: 'new\nline' },
  { value: 'tab\there' },
  { value: '日本語' },
  { value: 'emoji😀' },
  { value: ' spaces ' },
  { value: '{x="y"}' },
  { value: '<html>&' },
  { value: 'v1', region: 'eu', cluster: 'c1' },
  { value: 'v2', region: 'us' },
  { value: 'v10', region: '' },
  { value: '1' },
  { value: '01' },
  { value: 'A' },
  { value: 'a' },
  { value: 'x', app: 'shop', namespace: 'prod', pod: 'shop-1' },
  { value: 'x', app: 'shop', namespace: 'prod', pod: 'shop-2' },
  { value: 'x', service_name: 'own' },
  { value: 'x', container: 'c', job: 'j' },
  { value: 'uuid', id: '123e4567-e89b-12d3-a456-426614174000' },
  { value: 'number', number: '42' },
  { value: 'zero', flag: '0' },
  { value: 'one', flag: '1' },
]

const manyCount = 510

export function streams(): PushedStream[] {
  const sets: [string, PushedLine[]][] = [
    ['json', linesFrom(starts.json, plain(Object.values(jsonLines)))],
    ['logfmt', linesFrom(starts.logfmt, plain(Object.values(logfmtLines)))],
    ['text', linesFrom(starts.text, plain(Object.values(textLines)))],
    ['level', linesFrom(starts.level, levelLines)],
    ['meta', linesFrom(starts.meta, metadataLines)],
    ['patterns', linesFrom(starts.patterns, plain(patternLines))],
    ['repeated', [...repeatedLines]],
    ['hours', linesFrom(-112 * minute, plain(Array.from({ length: 290 }, (_, i) => `tick ${i}`)), 23_000)],
  ]
  for (const [name, texts] of Object.entries(fieldLines)) sets.push([name, linesFrom(starts.fields, plain(texts))])
  return [
    ...sets.map(([set, lines]) => ({ labels: { set }, lines })),
    ...['a', 'b', 'c'].map((host, i) => ({
      labels: { set: 'samples', host, dc: i === 0 ? 'west' : 'east' },
      lines: sampleLines(i),
    })),
    ...oddLabels.map(labels => ({
      labels: { set: 'odd', ...labels },
      lines: linesFrom(-10 * minute, [[`line of ${labels['value']}`]]),
    })),
    ...Array.from({ length: manyCount }, (_, i) => ({
      labels: { set: 'many', i: String(i) },
      lines: linesFrom(-5 * minute + i, [['x=1']]),
    })),
  ]
}

/** Levels and metadata that are asked for one by one. */
export const levelCount = levelLines.length
export const metadataCount = metadataLines.length

/** Nanoseconds as decimals. */
export function nanoseconds(baseMs: number, atMs: number, subNs = 0): string {
  return (BigInt(baseMs + atMs) * 1_000_000n + BigInt(subNs)).toString()
}

async function push(target: Target, pushed: readonly PushedStream[], baseMs: number): Promise<void> {
  const body = JSON.stringify({
    streams: pushed.map(({ labels, lines }) => ({
      stream: labels,
      values: lines.map(({ atMs, subNs, text, metadata }) => [nanoseconds(baseMs, atMs, subNs), text, metadata]),
    })),
  })
  const reply = await fetch(`${target.url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  if (reply.status !== 204) throw new Error(`push: ${reply.status} ${await reply.text()}`)
}

const streamsAtOnce = 100

export async function load(target: Target, baseMs: number): Promise<void> {
  const all = streams()
  for (let i = 0; i < all.length; i += streamsAtOnce) await push(target, all.slice(i, i + streamsAtOnce), baseMs)
}
