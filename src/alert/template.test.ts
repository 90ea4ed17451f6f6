/** Templates of labels and annotations: every function, queries, and how a template fails. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from '#model/labels.ts'
import { checkTemplate, expandTemplate, type TemplateContext, type TemplateSample } from './template.ts'

const answers: Readonly<Record<string, readonly TemplateSample[]>> = {
  up: [
    { labels: Labels.fromObject({ __name__: 'up', job: 'b' }), value: 1 },
    { labels: Labels.fromObject({ __name__: 'up', job: 'a' }), value: 0 },
  ],
  none: [],
  text: [{ labels: Labels.fromObject({ __value__: 'words' }), value: 1 }],
}
const context: TemplateContext = {
  labels: Labels.fromObject({ instance: 'web-1.example:9100', job: 'web' }),
  value: 1234.5,
  externalLabels: [['cluster', 'c1']],
  externalUrl: 'https://t.example/tercet/',
  query: expr => Promise.resolve([...(answers[expr] ?? [])]),
  nowMs: Date.parse('2026-11-28T12:00:00Z'),
}
const expand = (source: string): Promise<string> => expandTemplate('t', source, context)

/** Template and what it prints. */
const cases: readonly (readonly [string, string])[] = [
  ['no template', 'no template'],
  ['{{ $labels.instance }} {{ .Labels.job }} {{ $labels.nosuch }}|', 'web-1.example:9100 web |'],
  ['{{ $value }} {{ .Value | humanize }}', '1234.5 1.234k'],
  [
    '{{ $externalLabels.cluster }} {{ $externalURL }} {{ externalURL }}',
    'c1 https://t.example/tercet/ https://t.example/tercet/',
  ],
  ['{{ pathPrefix }}', '/tercet'],
  ['{{ range query "up" }}{{ .Labels.job }}={{ .Value }};{{ end }}', 'b=1;a=0;'],
  ['{{ range query "up" | sortByLabel "job" }}{{ .Labels.job }}={{ .Value }};{{ end }}', 'a=0;b=1;'],
  ['{{ with query "none" }}some{{ else }}none{{ end }}', 'none'],
  ['{{ query "up" | first | label "job" }} {{ query "up" | first | value }}', 'b 1'],
  ['{{ query "text" | first | strvalue }}', 'words'],
  ['{{ define "x" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template "x" (args 1 "b") }}', '1-b'],
  ['{{ define "x" }}<{{ . }}>{{ end }}{{ tmpl "x" "a" }}', '<a>'],
  ['{{ reReplaceAll "(\\\\w+)-(\\\\d+).*" "${2}:$1" $labels.instance }}', '1:web'],
  ['{{ safeHtml "<b>" }} {{ match "^w.b$" $labels.job }}', '<b> true'],
  ['{{ title "over the top" }} {{ toUpper "a" }} {{ toLower "B" }}', 'Over The Top A b'],
  ['{{ graphLink "a b" }} {{ tableLink "up" }}', '/graph?g0.expr=a+b&g0.tab=0 /graph?g0.expr=up&g0.tab=1'],
  ['{{ stripPort "[::1]:80" }} {{ stripPort "h:80" }}', '::1 h'],
  [
    '{{ stripDomain $labels.instance }} {{ stripDomain "10.0.0.1:80" }} {{ stripDomain "h" }}',
    'web-1:9100 10.0.0.1:80 h',
  ],
  ['{{ humanize 0.00012 }} {{ humanize 0.0 }} {{ humanize 2e24 }}', '120u 0 2Y'],
  ['{{ humanize1024 2048.0 }} {{ humanize1024 1.0 }}', '2ki 1'],
  [
    '{{ humanizeDuration 90061.0 }} {{ humanizeDuration 0.012 }} {{ humanizeDuration -61.0 }}',
    '1d 1h 1m 1s 12ms -1m 1s',
  ],
  ['{{ humanizePercentage 0.1234 }} {{ toDuration 61.0 }}', '12.34% 1m 1s'],
  ['{{ humanizeTimestamp 0.0 }}', '1970-01-01 00:00:00 +0000 UTC'],
  ['{{ (1.5 | toTime).Year }}', '1970'],
  ['{{ parseDuration "1m30s" }} {{ now | printf "%.0f" }}', '90 1795867200'],
  ['{{ urlQueryEscape "a b&c" }}', 'a+b%26c'],
]
for (const [source, expected] of cases)
  test(`prints: ${source}`, async () => {
    assert.equal(await expand(source), expected)
  })

/** Template and why it fails when it runs. */
const failures: readonly (readonly [string, RegExp])[] = [
  ['{{ query "none" | first }}', /first\(\) called on vector with no elements/],
  ['{{ humanize "x" }}', /ParseFloat/],
  ['{{ toTime 1e300 }}', /out of range/],
  ['{{ toUpper 1 }}', /expected string/],
  ['{{ $value | toUpper }}', /wrong type for value; expected string; got float64/],
  ['{{ toUpper }}', /wrong number of args for toUpper: want 1 got 0/],
  ['{{ humanize 1 2 }}', /wrong number of args for humanize: want 1 got 2/],
  ['{{ first 1 }}', /can't handle 1 for arg of type template\.queryResult/],
  ['{{ query "up" | value }}', /expected \*template\.sample; got template\.queryResult/],
  ['{{ humanize true }}', /error calling humanize: can't convert bool to float/],
  ['{{ $labels | toUpper }}', /expected string; got map\[string\]string/],
  ['{{ value "x" }}', /can't handle "x" for arg of type \*template\.sample/],
  ['{{ sortByLabel "a" "b" }}', /can't handle "b" for arg of type template\.queryResult/],
  ['{{ parseDuration "soon" }}', /not a valid duration string/],
  ['{{ tmpl "nosuch" 1 }}', /template "nosuch" not defined/],
]
for (const [source, message] of failures)
  test(`fails: ${source}`, async () => {
    await assert.rejects(expand(source), message)
  })

test('a template whose queries depend on answers is given up after some', async () => {
  let asked = 0
  const counting: TemplateContext = {
    ...context,
    query: () => {
      asked++
      return Promise.resolve([{ labels: Labels.empty, value: asked }])
    },
  }
  const nested = '{{ $n := query "q0" | first | value }}'
  const chain = Array.from({ length: 30 }, (_, i) => `{{ $n = query (printf "q%v-${i}" $n) | first | value }}`).join('')
  await assert.rejects(expandTemplate('t', nested + chain, counting), /more than 20 queries/)
  assert.ok(asked <= 21)
})

test('a template is checked without running it', () => {
  assert.equal(checkTemplate('t', '{{ query "up" | first | value }}'), undefined)
  assert.match(checkTemplate('t', '{{ nosuch 1 }}') ?? '', /nosuch/)
  assert.match(checkTemplate('t', '{{ if }}') ?? '', /./)
})
