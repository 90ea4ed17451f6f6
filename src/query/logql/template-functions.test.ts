/** The functions of Loki's templates, with odd arguments. Origin of the texts: Loki 3.7.6. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { builtins } from '#lang/gotemplate/builtins.ts'
import { TemplateRunner } from '#lang/gotemplate/execute.ts'
import { parseTemplate } from '#lang/gotemplate/parse.ts'
import { StringMap } from '#lang/gotemplate/values.ts'
import { Labels } from '#model/labels.ts'
import { Entry } from './entry.ts'
import { templateFunctions } from './template-functions.ts'

const data = new StringMap([['set', 'text']])
const nowMs = Date.UTC(2026, 10, 30, 18, 2, 4)

function run(source: string): string {
  const entry = new Entry()
  const line = Buffer.from('foo bar baz')
  entry.reset(Labels.empty, line, 0, line.length, nowMs, 0)
  const functions = templateFunctions(entry, () => nowMs)
  const template = parseTemplate('line', source, name => functions.has(name) || builtins.has(name))
  return new TemplateRunner('line', source, template, functions).run(data)
}

const answers: readonly (readonly [template: string, text: string])[] = [
  ['{{ printf "%T %T %T %T" (add 1 2) (int 1) (count "a" "b") (ceil 2) }}', 'int64 int int float64'],
  [
    '{{ printf "%T %T %T %T" (fromJson "[1]") (fromJson "{}") (max 1 2) (unixEpoch __timestamp__) }}',
    '[]interface {} map[string]interface {} int64 string',
  ],
  ['{{ printf "%T %T" __timestamp__ (duration "1s") }}', 'time.Time float64'],
  [
    '{{ default 1 }} {{ default nil "" }} {{ .nosuch | default "x" }} {{ .set | default "x" | upper }}',
    '1 <no value> x TEXT',
  ],
  ['{{ fromJson "null" | default 3 }} {{ fromJson "x" | printf "%v" }} {{ (fromJson "{}").a }}', '3 <nil> <no value>'],
  [`{{ trunc 1.0 "abc" }} {{ trunc 'b' "abc" }} {{ trunc 1e2 "abc" }} {{ trunc 0x1 "abc" }}`, 'a abc abc a'],
  [
    '{{ trunc 1 "äb" }} {{ trunc 2 "€" }} {{ trunc -2 "€" }} {{ substr 0 1 "äb" }} {{ trunc -7 "abc" }}',
    '� �� �� � abc',
  ],
  ['{{ substr 1 7 "abc" }} {{ substr 2 -1 "abc" }} {{ substr -1 2 "abc" }}', 'bc c ab'],
  [
    '{{ int "3.7" }} {{ int "0x10" }} {{ int "010" }} {{ int " 3" }} {{ int "1e3" }} {{ int "1_000" }} {{ int true }}',
    '3 16 8 0 0 1000 1',
  ],
  [
    '{{ int 1e30 }} {{ int -1e30 }} {{ int "abc" }} {{ int nil }} {{ int "9223372036854775808" }}',
    '-9223372036854775808 -9223372036854775808 0 0 0',
  ],
  ['{{ float64 "0x10" }} {{ float64 "1e3" }} {{ float64 " 3" }} {{ float64 nil }}', '0 1000 0 0'],
  ['{{ float64 true }} {{ float64 "inf" }}', '1 +Inf'],
  ['{{ add 1 "0x10" "010" "3.7" " 3" true nil 2.9 (fromJson "[1]") }} {{ add }} {{ addf }}', '31 0 0'],
  [
    '{{ addf 0.1 0.2 nil true "0x10" "12" " 3" }} {{ subf 5 }} {{ mulf 2 }} {{ subf 0.3 0.1 }} {{ mulf 0.1 3 }}',
    '13.3 5 2 0.2 0.3',
  ],
  [
    '{{ divf 1 3 }} {{ divf 2 3 }} {{ divf -2 3 }} {{ divf 1e-10 3 }} {{ mulf 1e-15 1e-15 }}',
    '0.3333333333333333 0.6666666666666667 -0.6666666666666667 3.33333e-11 1e-30',
  ],
  [
    '{{ round "2.567" 2 }} {{ round 1e300 2 }} {{ round -2.5 0 }} {{ round 2.5 0 }} {{ round 2.5 -1 }}',
    '2.57 1e+300 -3 3 0',
  ],
  [
    '{{ round 2.345 1 0.1 }} {{ round 2.5 0 0.6 }} {{ round 2.5 0 0.5 0.9 }} {{ round -2.45 1 }} {{ round 123.5 -2 }}',
    '2.4 2 3 -2.5 100',
  ],
  ['{{ maxf "3.7" 2 }} {{ minf 1 nil }} {{ ceil "3.2" }} {{ floor "x" }}', '3.7 0 4 0'],
  ['{{ date "2006-01-02" 7 }} {{ date "2006-01-02" (add 86400 0) }}', '1970-01-01 1970-01-02'],
  [
    '{{ toDate "" "" }} {{ toDate "" "x" }} {{ toDate "15:04" "10:11" }}',
    '0000-01-01 00:00:00 +0000 UTC 0001-01-01 00:00:00 +0000 UTC 0000-01-01 10:11:00 +0000 UTC',
  ],
  [
    '{{ b64dec "x=1" }}|{{ b64dec "YWJj" }}|{{ b64dec "YWJ" }}|{{ b64dec "YW Jj" }}|{{ b64dec "/w==" }}',
    'illegal base64 data at input byte 1|abc|illegal base64 data at input byte 0|illegal base64 data at input byte 2|�',
  ],
  ['{{ slice (fromJson "[1,2,3]") 0 2 }}', '[1 2]'],
  ['{{ index (fromJson "{\\"a\\":[1,2]}") "a" 1 }} {{ index (fromJson "{}") "x" }}', '2 <no value>'],
  [
    '{{ printf "%d|%s" (fromJson "[1,\\"a\\",true,null]") (fromJson "[1,\\"a\\",true,null]") }}',
    '[%!d(float64=1) %!d(string=a) %!d(bool=true) <nil>]|[%!s(float64=1) a %!s(bool=true) <nil>]',
  ],
  [
    '{{ printf "%#v|%#v" (fromJson "[1,\\"a\\",null]") (fromJson "{\\"a\\":1}") }}',
    '[]interface {}{1, "a", interface {}(nil)}|map[string]interface {}{"a":1}',
  ],
  ['{{ print (fromJson "{\\"b\\":[1,{\\"c\\":null}],\\"a\\":\\"x\\"}") }}', 'map[a:x b:[1 map[c:<nil>]]]'],
  ['{{ title "äb ßb" }} {{ trim " a\\u00a0" }} {{ alignLeft -1 "abc" }} {{ repeat 0 "ab" }}|', 'Äb ßb a abc |'],
  [`{{ urldecode "a+b%41%ff" }} {{ urlencode "a b~!'()*/:ä" }}`, 'a bA� a+b~%21%27%28%29%2A%2F%3A%C3%A4'],
  ['{{ toDateInZone "2006" "Nowhere" "2020" }}', '2020-01-01 00:00:00 +0000 UTC'],
  ['{{ toDateInZone "2006" "Local" "2020" }}', '2020-01-01 00:00:00 +0000 UTC'],
  ['{{ toDateInZone "2006" "Europe/Berlin" "2020" }}', '2020-01-01 00:00:00 +0100 CET'],
  ['{{ toDateInZone "2006" "Europe/Berlin" "1850" }}', '1850-01-01 00:00:00 +0053 LMT'],
  ['{{ toDateInZone "2006" "America/New_York" "0001" }}', '0001-01-01 00:00:00 -0456 LMT'],
  ['{{ (unixToTime "1700000000").AddDate 1 2 3 }}', '2025-01-17 22:13:20 +0000 UTC'],
  [
    '{{ with unixToTime "1700000000" }}{{ .YearDay }} {{ .Nanosecond }} {{ .UnixMicro }}{{ end }}',
    '318 0 1700000000000000',
  ],
  [
    '{{ (unixToTime "1700000000").Compare __timestamp__ }} {{ __timestamp__.Unix }} {{ now.Year }}',
    '-1 1796061724 2026',
  ],
  ['{{ title "a€b c-d_e" }}', 'A€b C-D_e'],
  // Whatever is neither a time nor a whole number is the moment.
  ['{{ date "2006-01-02" nil }} {{ date "2006-01-02" "x" }} {{ date "15:04" 7.5 }}', '2026-11-30 2026-11-30 18:02'],
]
for (const [source, text] of answers)
  test(`${source} is answered`, () => {
    assert.equal(run(source), text)
  })

/** The place is the column and the part that stands there. */
const failures: readonly (readonly [template: string, column: number, part: string, message: string])[] = [
  ['{{ lower }}', 3, 'lower', 'wrong number of args for lower: want 1 got 0'],
  ['{{ lower "a" 2 }}', 3, 'lower', 'wrong number of args for lower: want 1 got 2'],
  ['{{ "a" | lower 2 }}', 9, 'lower', 'wrong number of args for lower: want 1 got 2'],
  ['{{ contains "a" }}', 3, 'contains', 'wrong number of args for contains: want 2 got 1'],
  ['{{ lower true }}', 9, 'true', 'expected string; found true'],
  [`{{ lower 'a' }}`, 9, `'a'`, `expected string; found 'a'`],
  ['{{ lower 1.0 }}', 9, '1.0', 'expected string; found 1.0'],
  ['{{ lower nil }}', 9, 'nil', 'cannot assign nil to string'],
  ['{{ . | lower }}', 7, 'lower', 'wrong type for value; expected string; got map[string]string'],
  ['{{ true | duration_seconds }}', 10, 'duration_seconds', 'wrong type for value; expected string; got bool'],
  ['{{ 7 | upper }}', 7, 'upper', 'wrong type for value; expected string; got int'],
  ['{{ len "abc" | lower }}', 15, 'lower', 'wrong type for value; expected string; got int'],
  ['{{ lower (  add 1   2 | printf   "%v"  | len ) }}', 41, 'len', 'wrong type for value; expected string; got int'],
  ['{{ __timestamp__ | upper }}', 19, 'upper', 'wrong type for value; expected string; got time.Time'],
  ['{{ "a" | unixEpoch }}', 9, 'unixEpoch', 'wrong type for value; expected time.Time; got string'],
  ['{{ unixEpoch "10m" }}', 13, '"10m"', `can't handle "10m" for arg of type time.Time`],
  ['{{ toDate "2006" "x" | lower }}', 23, 'lower', 'wrong type for value; expected string; got time.Time'],
  ['{{ (fromJson "{}").a.b }}', 13, '"{}"', 'nil pointer evaluating interface {}.b'],
  ['{{ (fromJson "{\\"a\\":1}").a.b }}', 13, '"{\\"a\\":1}"', `can't evaluate field b in type interface {}`],
  ['{{ (fromJson "{\\"a\\":1}").a 2 }}', 13, '"{\\"a\\":1}"', 'a is not a method but has arguments'],
  ['{{ (fromJson "{}").a | lower }}', 23, 'lower', 'invalid value; expected string'],
  ['{{ lower (fromJson "{}").a }}', 19, '"{}"', 'wrong type for value; expected string; got interface {}'],
  ['{{ lower ((fromJson "{}").a) }}', 20, '"{}"', 'invalid value; expected string'],
  ['{{ len (fromJson "{}").a }}', 3, 'len (fromJson "{}").a', 'error calling len: len of nil pointer'],
  [
    '{{ len ((fromJson "{}").a) }}',
    3,
    'len ((fromJson "{}").a)',
    'error calling len: reflect: call of reflect.Value.Type on zero Value',
  ],
  [
    '{{ range (fromJson "[null]") }}{{ lower . }}{{ end }}',
    40,
    '.',
    'wrong type for value; expected string; got interface {}',
  ],
  [
    '{{ (fromJson "[1,2]") | toDate .nosuch }}',
    31,
    '.nosuch',
    'wrong type for value; expected string; got []interface {}',
  ],
  [
    '{{ eq (fromJson "[1]") (fromJson "[1]") }}',
    3,
    'eq (fromJson "[1]") (fromJson "[1]")',
    'error calling eq: non-comparable type [%!s(float64=1)]: []interface {}',
  ],
  [
    '{{ eq (fromJson "[1]") (fromJson "{}") }}',
    3,
    'eq (fromJson "[1]") (fromJson "{}")',
    'error calling eq: non-comparable types [%!s(float64=1)]: []interface {}, map[string]interface {}: map[]',
  ],
  [
    '{{ eq (fromJson "[1]") 1 }}',
    3,
    'eq (fromJson "[1]") 1',
    'error calling eq: incompatible types for comparison: []interface {} and int',
  ],
  [
    '{{ lt __timestamp__ __timestamp__ }}',
    3,
    'lt __timestamp__ __timestamp__',
    'error calling lt: invalid type for comparison',
  ],
  ['{{ __timestamp__.Nosuch }}', 3, '__timestamp__', `can't evaluate field Nosuch in type time.Time`],
  ['{{ __timestamp__.Format }}', 3, '__timestamp__', 'wrong number of args for Format: want 1 got 0'],
  ['{{ __timestamp__.Format 2 }}', 24, '2', 'expected string; found 2'],
  ['{{ range __timestamp__ }}{{ end }}', 9, '__timestamp__', `range can't iterate over 2026-11-30 18:02:04 +0000 UTC`],
  ['{{ round 2 }}', 3, 'round', 'wrong number of args for round: want at least 2 got 1'],
  ['{{ round 2 2.5 }}', 11, '2.5', 'expected integer; found 2.5'],
  ['{{ round 2 "a" }}', 11, '"a"', 'expected integer; found "a"'],
  ['{{ round 2 1 nil }}', 13, 'nil', 'cannot assign nil to float64'],
  ['{{ round 2 1 "a" }}', 13, '"a"', 'expected float; found "a"'],
  ['{{ repeat 9223372036854775808 "a" }}', 10, '9223372036854775808', 'expected integer; found 9223372036854775808'],
  ['{{ trunc 1.5 "abc" }}', 9, '1.5', 'expected integer; found 1.5'],
  ['{{ Replace "a" "b" "c" "1KB" }}', 23, '"1KB"', 'expected integer; found "1KB"'],
  ['{{ add 9223372036854775808 1 }}', 7, '9223372036854775808', '9223372036854775808 overflows int'],
  ['{{ mul }}', 3, 'mul', 'wrong number of args for mul: want at least 1 got 0'],
  ['{{ max }}', 3, 'max', 'wrong number of args for max: want at least 1 got 0'],
  ['{{ sub 1 }}', 3, 'sub', 'wrong number of args for sub: want 2 got 1'],
  ['{{ divf }}', 3, 'divf', 'wrong number of args for divf: want at least 1 got 0'],
  ['{{ default }}', 3, 'default', 'wrong number of args for default: want at least 1 got 0'],
  ['{{ __line__ 1 }}', 3, '__line__', 'wrong number of args for __line__: want 0 got 1'],
  ['{{ 1 | __line__ }}', 7, '__line__', 'wrong number of args for __line__: want 0 got 1'],
  ['{{ now 1 }}', 3, 'now', 'wrong number of args for now: want 0 got 1'],
  ['{{ call lower }}', 8, 'lower', 'wrong number of args for lower: want 1 got 0'],
  ['{{ date 1 2 }}', 8, '1', 'expected string; found 1'],
  [
    '{{ substr 1 0 "abc" }}',
    3,
    'substr 1 0 "abc"',
    'error calling substr: runtime error: slice bounds out of range [1:0]',
  ],
  [
    '{{ substr 5 -1 "abc" }}',
    3,
    'substr 5 -1 "abc"',
    'error calling substr: runtime error: slice bounds out of range [5:3]',
  ],
  [
    '{{ substr -1 7 "abc" }}',
    3,
    'substr -1 7 "abc"',
    'error calling substr: runtime error: slice bounds out of range [:7] with length 3',
  ],
  [
    '{{ substr -1 -1 "abc" }}',
    3,
    'substr -1 -1 "abc"',
    'error calling substr: runtime error: slice bounds out of range [:-1]',
  ],
  ['{{ repeat -1 "a" }}', 3, 'repeat -1 "a"', 'error calling repeat: strings: negative Repeat count'],
  ['{{ indent -1 "a" }}', 3, 'indent -1 "a"', 'error calling indent: strings: negative Repeat count'],
  ['{{ nindent -1 "a" }}', 3, 'nindent -1 "a"', 'error calling nindent: strings: negative Repeat count'],
  ['{{ div 1 0 }}', 3, 'div 1 0', 'error calling div: runtime error: integer divide by zero'],
  ['{{ mod 1 "x" }}', 3, 'mod 1 "x"', 'error calling mod: runtime error: integer divide by zero'],
  ['{{ divf 1 "x" }}', 3, 'divf 1 "x"', 'error calling divf: decimal division by 0'],
  ['{{ addf "inf" 1 }}', 3, 'addf "inf" 1', 'error calling addf: Cannot create a Decimal from +Inf'],
  ['{{ bytes "1x" }}', 3, 'bytes "1x"', 'error calling bytes: unhandled size name: x'],
  ['{{ bytes "" }}', 3, 'bytes ""', 'error calling bytes: strconv.ParseFloat: parsing "": invalid syntax'],
  ['{{ duration "x" }}', 3, 'duration "x"', 'error calling duration: time: invalid duration "x"'],
  ['{{ count "(" "abc" }}', 3, 'count "(" "abc"', 'error calling count: error parsing regexp: missing closing ): `(`'],
  ['{{ unixToTime "12" }}', 3, 'unixToTime "12"', `error calling unixToTime: unable to parse time '12': %!w(<nil>)`],
  [
    '{{ unixToTime "x" }}',
    3,
    'unixToTime "x"',
    `error calling unixToTime: unable to parse time 'x': strconv.ParseInt: parsing "x": invalid syntax`,
  ],
  ['{{ urldecode "%zz" }}', 3, 'urldecode "%zz"', 'error calling urldecode: invalid URL escape "%zz"'],
  ['{{ urldecode "a%" }}', 3, 'urldecode "a%"', 'error calling urldecode: invalid URL escape "%"'],
  ['{{ with $x := 1 }}{{ $x | lower }}{{ end }}', 26, 'lower', 'wrong type for value; expected string; got int'],
  ['{{ if lower 1 }}a{{ end }}', 12, '1', 'expected string; found 1'],
]
for (const [source, column, part, message] of failures)
  test(`${source} fails as in Go`, () => {
    const text = `template: line:1:${column}: executing "line" at <${part}>: ${message}`
    assert.throws(() => run(source), { name: 'ExecutionFailure', message: text })
  })

test('a product of many large numbers ends', () => {
  assert.throws(() => run(`{{ mulf ${'1e300 '.repeat(200)} }}`), /the product has more than 10000 digits/)
})
