/** Go templates: what a template prints over data, as Go's text/template documents it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { builtins } from './builtins.ts'
import { TemplateRunner } from './execute.ts'
import { parseTemplate } from './parse.ts'
import { GoInt, type GoValue } from './values.ts'

const data: GoValue = new Map<string, GoValue>([
  ['name', 'web'],
  ['count', new GoInt(3)],
  ['share', 0.25],
  ['isUp', true],
  ['none', null],
  ['list', ['a', 'b', 'c']],
  ['empty', []],
  [
    'labels',
    new Map<string, GoValue>([
      ['job', 'node'],
      ['instance', 'h:1'],
    ]),
  ],
])

function render(source: string): string {
  const template = parseTemplate('t', source, name => builtins.has(name))
  return new TemplateRunner('t', source, template, builtins).run(data)
}

const cases: readonly (readonly [template: string, text: string])[] = [
  ['plain', 'plain'],
  ['{{.name}}', 'web'],
  ['a {{- .name -}} b', 'awebb'],
  ['{{/* nothing */}}x', 'x'],
  ['{{.labels.job}}', 'node'],
  ['{{.share}} {{.count}} {{.isUp}}', '0.25 3 true'],
  ['{{if .isUp}}up{{else}}down{{end}}', 'up'],
  ['{{if .empty}}some{{else if .list}}list{{else}}none{{end}}', 'list'],
  ['{{with .labels}}{{.job}}{{end}}', 'node'],
  ['{{range .list}}{{.}},{{end}}', 'a,b,c,'],
  ['{{range $i, $x := .list}}{{$i}}={{$x}} {{end}}', '0=a 1=b 2=c '],
  ['{{range .list}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', 'ac'],
  ['{{range .list}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
  ['{{range .empty}}x{{else}}nothing{{end}}', 'nothing'],
  // Maps in the order of their keys.
  ['{{range $k, $v := .labels}}{{$k}}={{$v}};{{end}}', 'instance=h:1;job=node;'],
  ['{{$x := .name}}{{$x}}{{$x = "db"}} {{$x}}', 'web db'],
  ['{{define "one"}}[{{.}}]{{end}}{{template "one" .name}}', '[web]'],
  ['{{block "two" .count}}<{{.}}>{{end}}', '<3>'],
  ['{{.name | printf "%s!"}}', 'web!'],
  ['{{printf "%d %5.2f %q %v" .count .share .name .list}}', '3  0.25 "web" [a b c]'],
  ['{{len .list}} {{len .name}}', '3 3'],
  ['{{index .list 1}} {{index .labels "job"}}', 'b node'],
  ['{{slice .name 1 2}}', 'e'],
  ['{{and .isUp .name}} {{or .empty .name}} {{not .isUp}}', 'web web false'],
  ['{{eq .count 3}} {{ne .name "db"}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}}', 'true true true true false false'],
  ['{{eq .name "db" "web"}}', 'true'],
  ['{{html "<a&b>"}}', '&lt;a&amp;b&gt;'],
  ['{{urlquery "a b&c"}}', 'a+b%26c'],
  ['{{print 1 2 "x" "y"}}', '1 2xy'],
  ['{{"raw"}} {{`back`}} {{\'a\'}}', 'raw back 97'],
]
for (const [template, text] of cases)
  test(`${template} prints ${JSON.stringify(text)}`, () => {
    assert.equal(render(template), text)
  })

for (const [template, problem] of [
  ['{{', /unclosed action/],
  ['{{.name', /unclosed action/],
  ['{{if .a}}', /unexpected EOF/],
  ['{{end}}', /unexpected \{\{end\}\}/],
  ['{{nosuch .name}}', /function "nosuch" not defined/],
  ['{{$x}}', /undefined variable "\$x"/],
  ['{{"open}}', /unterminated quoted string/],
  ['{{3x}}', /bad number syntax: "3x"/],
  ['{{/* open', /unclosed comment/],
  ['{{break}}', /outside/],
] as const)
  test(`${template} does not parse`, () => {
    assert.throws(() => render(template), problem)
  })

for (const [template, problem] of [
  ['{{index .list 7}}', /index out of range: 7/],
  ['{{template "gone"}}', /gone/],
  ['{{.name.first}}', /can't evaluate field first/],
  ['{{len 3}}', /len/],
  ['{{lt 1 "a"}}', /incompatible types/],
] as const)
  test(`${template} fails when it runs, with the place`, () => {
    assert.throws(() => render(template), problem)
  })

test('a template that would print without end is stopped', () => {
  const endless = '{{define "x"}}{{template "x"}}{{end}}{{template "x"}}'
  assert.throws(() => render(endless), /depth|exceeded|limit/i)
})

test('escapes of strings are as in Go; a code point that does not exist is an error of syntax', () => {
  assert.equal(render(String.raw`{{"\a\t\x41B\U0001F600\103\"\\"}}`), '\x07\tAB\u{1F600}C"\\')
  for (const wrong of [String.raw`{{"\UFFFFFFFF"}}`, String.raw`{{"\q"}}`])
    assert.throws(() => render(wrong), /invalid syntax/, wrong)
})
