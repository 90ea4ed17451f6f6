/** Calls that give what a function does not take: the failure and its place. Origin of the texts: Loki 3.7.6. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { builtins } from './builtins.ts'
import { TemplateRunner } from './execute.ts'
import { parseTemplate } from './parse.ts'
import { typed, variadic } from './signature.ts'
import { GoInt, StringMap, stringList, type GoFunction } from './values.ts'

const data = new StringMap([['set', 'text']])

/** `add` stands for functions that take anything, as the built-in ones are compared with those of programs. */
const functions: ReadonlyMap<string, GoFunction> = new Map<string, GoFunction>([
  ['add', variadic([], 'interface {}', (...values) => new GoInt(values.length, 'int64'))],
  ['isBoth', typed(['bool', 'bool'], (a, b) => a && b)],
  ['half', typed(['float64'], value => value / 2)],
  ['join', typed(['string', '[]string'], (separator, list) => list.join(separator))],
  ['words', variadic([], 'string', (...words) => stringList(words))],
  ['nothing', typed([], () => null)],
])

function run(source: string): string {
  const template = parseTemplate('line', source, name => functions.has(name) || builtins.has(name))
  return new TemplateRunner('line', source, template, functions).run(data)
}

const answers: readonly (readonly [template: string, text: string])[] = [
  ['{{ eq nil nil }} {{ eq .nosuch nil }} {{ eq "a" "b" "a" }}', 'true false true'],
  ['{{ eq (index "abc" 0) 97 }} {{ lt (index "abc" 0) 98 }}', 'true true'],
  ['{{ and nil }}|{{ or nil 1 }}|{{ 3 | and 1 }}|{{ 3 | or 1 }}|{{ not nil }}', '<no value>|1|3|1|true'],
  ['{{ printf "%T %T %T %T" . (index "abc" 1) (len "a") .set }}', 'map[string]string uint8 int string'],
  ['{{ index . "zz" }}|{{ index . "set" }}|{{ index "abc" 1 }}', '|text|98'],
  ['{{ slice "abc" 1 2 }}|{{ slice "abc" 1 }}|{{ slice "abc" }}', 'b|bc|abc'],
  ['{{ define "a" }}{{ . }}{{ end }}{{ template "a" }}|{{ template "a" 1 }}', '<no value>|1'],
  ['{{ block "b" .set }}<{{ . }}>{{ end }}', '<text>'],
  [
    `{{ 1_000 }} {{ 0b11 }} {{ 0o17 }} {{ 0x1F }} {{ 017 }} {{ 0x1p4 }} {{ .5 }} {{ 5. }} {{ +5 }} {{ -5 }} {{ 'a' }}`,
    '1000 3 15 31 15 16 0.5 5 5 -5 97',
  ],
  ['{{ range 3 }}{{ . }}{{ end }}|{{ ($).set }}|{{ .nosuch }}|', '012|text||'],
]
for (const [source, text] of answers)
  test(`${source} is answered`, () => {
    assert.equal(run(source), text)
  })

/** The place is the column and the part that stands there. */
const failures: readonly (readonly [template: string, column: number, part: string, message: string])[] = [
  ['{{ printf }}', 3, 'printf', 'wrong number of args for printf: want at least 1 got 0'],
  ['{{ printf nil }}', 10, 'nil', 'cannot assign nil to string'],
  ['{{ printf 2 }}', 10, '2', 'expected string; found 2'],
  ['{{ 2 | printf }}', 7, 'printf', 'wrong type for value; expected string; got int'],
  ['{{ len 3 }}', 3, 'len 3', 'error calling len: len of type int'],
  ['{{ len nil }}', 3, 'len nil', 'error calling len: reflect: call of reflect.Value.Type on zero Value'],
  ['{{ len }}', 3, 'len', 'wrong number of args for len: want 1 got 0'],
  ['{{ 1 | len 2 }}', 7, 'len', 'wrong number of args for len: want 1 got 2'],
  ['{{ . | printf }}', 7, 'printf', 'wrong type for value; expected string; got map[string]string'],
  ['{{ .set 1 }}', 3, '.set', 'set is not a method but has arguments'],
  ['{{ 1 | .set }}', 7, '.set', 'set is not a method but has arguments'],
  ['{{ .set.x }}', 7, '.set.x', `can't evaluate field x in type string`],
  ['{{ $.set.x }}', 4, '$.set.x', `can't evaluate field x in type string`],
  ['{{ 1 2 }}', 3, '1', `can't give argument to non-function 1`],
  ['{{ (1) 2 }}', 3, '(1) 2', `can't give argument to non-function 1`],
  ['{{ nil }}', 3, 'nil', 'nil is not a command'],
  ['{{ call nil }}', 3, 'call nil', 'error calling call: call of nil'],
  ['{{ call .set 1 }}', 3, 'call .set 1', 'error calling call: non-function .set of type string'],
  ['{{ .set | call 1 }}', 10, 'call 1', 'error calling call: non-function 1 of type int'],
  ['{{ .set | call }}', 10, 'call', 'error calling call: non-function text of type string'],
  ['{{ index . 1 }}', 3, 'index . 1', 'error calling index: value has type int; should be string'],
  ['{{ index . nil }}', 3, 'index . nil', 'error calling index: value is nil; should be of type string'],
  ['{{ index nil 1 }}', 3, 'index nil 1', 'error calling index: index of untyped nil'],
  ['{{ index "abc" nil }}', 3, 'index "abc" nil', 'error calling index: cannot index slice/array with nil'],
  ['{{ index "abc" 3 }}', 3, 'index "abc" 3', 'error calling index: reflect: string index out of range'],
  ['{{ index "abc" 4 }}', 3, 'index "abc" 4', 'error calling index: index out of range: 4'],
  ['{{ index "abc" "a" }}', 3, 'index "abc" "a"', 'error calling index: cannot index slice/array with type string'],
  ['{{ index 1 1 }}', 3, 'index 1 1', `error calling index: can't index item of type int`],
  ['{{ slice "abc" 1 2 3 4 }}', 3, 'slice "abc" 1 2 3 4', 'error calling slice: too many slice indexes: 4'],
  ['{{ slice "abc" 1 2 3 }}', 3, 'slice "abc" 1 2 3', 'error calling slice: cannot 3-index slice a string'],
  ['{{ slice "abc" 2 1 }}', 3, 'slice "abc" 2 1', 'error calling slice: invalid slice index: 2 > 1'],
  ['{{ slice nil }}', 3, 'slice nil', 'error calling slice: slice of untyped nil'],
  ['{{ slice 1 }}', 3, 'slice 1', `error calling slice: can't slice item of type int`],
  ['{{ eq }}', 3, 'eq', 'wrong number of args for eq: want at least 1 got 0'],
  ['{{ eq 1 }}', 3, 'eq 1', 'error calling eq: missing argument for comparison'],
  ['{{ 1 | eq }}', 7, 'eq', 'error calling eq: missing argument for comparison'],
  ['{{ eq 1 1.0 }}', 3, 'eq 1 1.0', 'error calling eq: incompatible types for comparison: int and float64'],
  ['{{ eq . . }}', 3, 'eq . .', 'error calling eq: non-comparable type map[set:text]: map[string]string'],
  ['{{ ne 1 }}', 3, 'ne', 'wrong number of args for ne: want 2 got 1'],
  ['{{ lt nil 1 }}', 3, 'lt nil 1', 'error calling lt: invalid type for comparison'],
  ['{{ lt 1 "a" }}', 3, 'lt 1 "a"', 'error calling lt: incompatible types for comparison: int and string'],
  ['{{ le true false }}', 3, 'le true false', 'error calling le: invalid type for comparison'],
  ['{{ and }}', 3, 'and', 'wrong number of args for and: want at least 1 got 0'],
  ['{{ not }}', 3, 'not', 'wrong number of args for not: want 1 got 0'],
  ['{{ not 1 2 }}', 3, 'not', 'wrong number of args for not: want 1 got 2'],
  ['{{ add 9223372036854775808 1 }}', 7, '9223372036854775808', '9223372036854775808 overflows int'],
  ['{{ template "x" }}', 12, '{{template "x"}}', 'template "x" not defined'],
  ['{{ range $i, $e := 3 }}{{ . }}{{ end }}', 19, '3', `can't use 3 to iterate over more than one variable`],
  ['{{ range "abc" }}{{ . }}{{ end }}', 9, '"abc"', `range can't iterate over abc`],
  ['{{ range 1.5 }}{{ . }}{{ end }}', 9, '1.5', `range can't iterate over 1.5`],
  [
    '{{ print (len (  print 1   2 | printf   "%v"  | len )) }}',
    10,
    'len (print 1 2 | printf "%v" | len)',
    'error calling len: len of type int',
  ],
  ['{{ $x := 1 }}{{ $x.a }}', 18, '$x.a', `can't evaluate field a in type int`],
  // Not from Loki, which has no functions of these types; by the rules of text/template.
  ['{{ isBoth 1 true }}', 10, '1', 'expected bool; found 1'],
  ['{{ half "a" }}', 8, '"a"', 'expected float; found "a"'],
  ['{{ half (len "a") }}', 13, '"a"', 'wrong type for value; expected float64; got int'],
  ['{{ join "," "a" }}', 12, '"a"', `can't handle "a" for arg of type []string`],
  ['{{ words "a" 1 }}', 13, '1', 'expected string; found 1'],
  ['{{ words "a" | join 1 }}', 20, '1', 'expected string; found 1'],
  ['{{ nothing | half }}', 13, 'half', 'invalid value; expected float64'],
]
for (const [source, column, part, message] of failures)
  test(`${source} fails as in Go`, () => {
    const text = `template: line:1:${column}: executing "line" at <${part}>: ${message}`
    assert.throws(() => run(source), { name: 'ExecutionFailure', message: text })
  })

test('arguments of types that have more than one value', () => {
  assert.equal(run('{{ isBoth true true }} {{ half 3 }} {{ half 1.5 }}'), 'true 1.5 0.75')
  assert.equal(run('{{ words "a" "b" | join "-" }}|{{ join "-" nil }}|{{ words }}'), 'a-b||[]')
})

test('an error in a defined template names it, and the place in the whole text', () => {
  assert.throws(() => run('{{ define "a" }}{{ len 1 }}{{ end }}{{ template "a" }}'), {
    message: 'template: line:1:19: executing "a" at <len 1>: error calling len: len of type int',
  })
})

for (const [source, problem] of [
  ['{{ "a" | nil }}', /: non executable command in pipeline stage 2$/],
  ['{{ true | "a" }}', /: non executable command in pipeline stage 2$/],
  ['{{ "abc".x }}', /: unexpected \. after term "\\"abc\\""$/],
  ['{{ - 1 }}', /: illegal number syntax: "-"$/],
  ['{{ 08 }}', /: integer overflow: "08"$/],
  ['{{ 99999999999999999999999999 }}', /: integer overflow: "99999999999999999999999999"$/],
  ["{{ '' }}", /: invalid syntax$/],
] as const)
  test(`${source} is no template, in the words of Loki 3.7.6`, () => {
    assert.throws(() => run(source), { name: 'TemplateError', message: problem })
  })
