/** The verbs of Printf, and what Print and the escapers print. Origin of the texts: Loki 3.7.6, which is Go's fmt. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { builtins } from './builtins.ts'
import { TemplateRunner } from './execute.ts'
import { sprintf } from './go-format.ts'
import { parseTemplate } from './parse.ts'
import { GoInt } from './values.ts'

const cases: readonly (readonly [template: string, text: string])[] = [
  ['{{ printf "%d %s" "a" 1 }}', '%!d(string=a) %!s(int=1)'],
  ['{{ printf "%5d|%-5d|%05d|%+d|% d" 1 2 -3 4 5 }}', '    1|2    |-0003|+4| 5'],
  ['{{ printf "%x|%X|%#x|%o|%#o|%O|%b|%#b" 255 255 255 8 8 8 5 5 }}', 'ff|FF|0xff|10|010|0o10|101|0b101'],
  ['{{ printf "%c|%q|%U|%#U|%c" 65 65 65 65 1114112 }}', `A|'A'|U+0041|U+0041 'A'|�`],
  ['{{ printf "%.3d|%8.3d|%+.3d|%x|%.0d" 5 5 5 -255 0 }}', '005|     005|+005|-ff|'],
  [
    '{{ printf "%e|%E|%f|%F|%g|%G" 1234.5678 1234.5678 1234.5678 1234.5678 1e21 1e-7 }}',
    '1.234568e+03|1.234568E+03|1234.567800|1234.567800|1e+21|1E-07',
  ],
  ['{{ printf "%.3g|%.3g|%.0f|%.0f|%.1f" 1234.5678 100.0 2.5 3.5 0.25 }}', '1.23e+03|100|2|4|0.2'],
  [
    '{{ printf "%8.2f|%-8.2f|%08.2f|%+.2f|% .2f" 3.14159 3.14159 -3.14159 3.14159 3.14159 }}',
    '    3.14|3.14    |-0003.14|+3.14| 3.14',
  ],
  [
    '{{ printf "%x|%X|%b|%.2x|%x" 1.5 1.5 1.5 1.999 0.0 }}',
    '0x1.8p+00|0X1.8P+00|6755399441055744p-52|0x1.00p+01|0x0p+00',
  ],
  ['{{ printf "%#g|%#.3g|%#e|%#f|%.0e" 1.0 1.0 1.0 1.0 12345.0 }}', '1.00000|1.00|1.000000e+00|1.000000|1e+04'],
  [
    '{{ printf "%.20f|%.20g|%g|%f" 0.1 0.1 100000.0 1e22 }}',
    '0.10000000000000000555|0.10000000000000000555|100000|10000000000000000000000.000000',
  ],
  ['{{ printf "%v %v %v %v %v" 1e6 123456789.0 1e20 1e21 100000.0 }}', '1e+06 1.23456789e+08 1e+20 1e+21 100000'],
  ['{{ printf "%v|%+v|%#v|%T" 1.0 1 "a" 1.5 }}', '1|1|"a"|float64'],
  [
    '{{ printf "%s|%10s|%-10s|%.2s|%q" "abc" "abc" "abc" "äbc" "a\\"b\\n" }}',
    'abc|       abc|abc       |äb|"a\\"b\\n"',
  ],
  [
    '{{ printf "%x|%X|% x|%#x|%# x|%#q|%+q" "abc" "abc" "abc" "abc" "abc" "abc" "äb" }}',
    '616263|616263|61 62 63|0x616263|0x61 0x62 0x63|`abc`|"\\u00e4b"',
  ],
  ['{{ printf "%[2]d %[1]d|%[3]d|%[x]d|%!|%" 1 2 }}', '2 1|%!d(BADINDEX)|%!d(BADINDEX)|%!!(int=2)|%!(NOVERB)'],
  ['{{ printf "%*d|%-*d|%.*f" 5 1 5 2 2 3.14159 }}', '    1|2    |3.14'],
  ['{{ printf "%*d|%.*f" "a" 1 -1 2.5 }}', '%!(BADWIDTH)1|%!(BADPREC)2.500000'],
  ['{{ printf "%t|%d|%s|%v" "a" true false nil }}', '%!t(string=a)|%!d(bool=true)|%!s(bool=false)|<nil>'],
  [`{{ printf "%5t|%-7t|%6.2f%%|%3c|" true false 12.345 'a' }}`, ' true|false  | 12.35%|  a|'],
  [
    '{{ printf "%d" nil }} {{ printf "%6v|" nil }} {{ printf "%z %!" 1 }}',
    '%!d(<nil>)  <nil>| %!z(int=1) %!!(MISSING)',
  ],
  ['{{ printf "%v" 1 2 "a" nil }}', '1%!(EXTRA int=2, string=a, <nil>)'],
  ['{{ printf "%10.3v|%-10v|%010v" 3.14159 "ab" 42 }}', '      3.14|ab        |0000000042'],
  ['{{ printf "a %400000000d b" 1 }}', 'a %!(NOVERB)%!(EXTRA int=1)'],
  ['{{ printf "%5d|%8s" "abc" 1 }}', '%!d(string=  abc)|%!s(int=       1)'],
  ['{{ print 1 2 "a" 3.0 true nil }}|{{ print nil nil }}|{{ print }}', '1 2a3 true <nil>|<nil> <nil>|'],
  ['{{ html nil "<a>" 1 2 }}', '&lt;no value&gt;&lt;a&gt;1 2'],
  [
    '{{ js "a\\x01<ä\\u00a0\\u2028" 1 nil }}|{{ urlquery "a b~!\'()*/:ä" 1 2 }}',
    'a\\u0001\\u003Cä\\u00A0\\u20281\\u003Cno value\\u003E|a+b~%21%27%28%29%2A%2F%3A%C3%A41+2',
  ],
]
for (const [source, text] of cases)
  test(`${source} prints what Go prints`, () => {
    const template = parseTemplate('t', source, name => builtins.has(name))
    assert.equal(new TemplateRunner('t', source, template, new Map()).run(null), text)
  })

test('a float has its exact digits, however many are asked for', () => {
  assert.equal(sprintf('%.1100f', [2 ** -1074]).length, 1102)
  assert.match(sprintf('%.1100f', [2 ** -1074]), /^0\.0{323}4940656458412465\d+$/)
  assert.equal(sprintf('%.3000f', [0.5]), `0.5${'0'.repeat(2999)}`)
  assert.equal(sprintf('%.0f', [2 ** 80]), '1208925819614629174706176')
  assert.equal(sprintf('%.3e %.3e', [9.9996e22, 1e-320]), '1.000e+23 1.000e-320')
})

test('a whole number has 64 bits', () => {
  assert.equal(
    sprintf('%d %x', [new GoInt(2n ** 63n - 1n), new GoInt(-(2n ** 63n))]),
    `${2n ** 63n - 1n} -8000000000000000`,
  )
})
