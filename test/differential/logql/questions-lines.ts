/** Lines: what the parsers leave behind, filters, formats, order and limits. */
import type { Asking } from './asking.ts'
import { jsonLines, levelCount, logfmtLines, metadataCount, starts, textLines } from './data.ts'

/** A question for each line and pipeline. */
function eachLine(
  asking: Asking,
  set: 'json' | 'logfmt' | 'text',
  lines: Readonly<Record<string, string>>,
  pipelines: Readonly<Record<string, string>>,
): void {
  for (const [name, pipeline] of Object.entries(pipelines))
    for (const [i, line] of Object.keys(lines).entries())
      asking.line(`${set}/${name}/${line}`, `{set="${set}"} ${pipeline}`, starts[set] + i * 1000)
}

const jsonPipelines = {
  json: '| json',
  expressions: '| json a, b="b", c="user.id", d="a.b.c", e="[\\"k.e-y 1\\"]", f="l[0]"',
  unpack: '| unpack',
  logfmt: '| logfmt',
  twice: '| json a | json',
  formatted: '| json | line_format "{{.a}}|{{.b}}|{{.c}}" | label_format z="{{.a}}", q=b',
}

const logfmtPipelines = {
  logfmt: '| logfmt',
  strict: '| logfmt --strict',
  keep_empty: '| logfmt --keep-empty',
  strict_empty: '| logfmt --strict --keep-empty',
  expressions: '| logfmt a, x="b", y="k.e-y"',
  strict_expressions: '| logfmt --strict a, x="b"',
  json: '| json',
  formatted: '| logfmt | line_format "{{.a}}|{{.b}}" | drop c',
  kept: '| logfmt | label_format z=a, y="{{.b | upper}}" | keep z, y, c',
}

const textPipelines = {
  unpack: '| unpack',
  regexp: '| regexp "(?P<first>\\\\w+) (?P<rest>.*)"',
  pattern: '| pattern "<ip> <_> <user> <rest>"',
  decolorize: '| decolorize',
  pattern_words: '| pattern "<a> <b> <c>"',
  pattern_sign: '| pattern "<_>=<x><_>"',
  pattern_lead: '| pattern "foo<x>"',
  pattern_quote: '| pattern "<_>\\"<x>\\"<y>"',
  regexp_digits: '| regexp "(?P<n>\\\\d+)"',
  regexp_case: '| regexp "(?i)(?P<w>foo|bar)\\\\s*(?P<rest>.*)$"',
  regexp_optional: '| regexp "^(?P<a>[a-z]+)?(?P<b>.)?"',
  logfmt: '| logfmt',
  lengths: '| line_format "{{len __line__}} {{ __line__ | upper | trunc 5 }} {{ __line__ | replace \\"o\\" \\"0\\" }}"',
}

/** Pipelines over all lines of a set. */
const filters: Readonly<Record<string, string>> = {
  contains: '{set="text"} |= "foo"',
  contains_not: '{set="text"} != "foo"',
  contains_empty: '{set="text"} |= ""',
  contains_not_empty: '{set="text"} != ""',
  contains_unicode: '{set="text"} |= "日本"',
  contains_nul: '{set="text"} |= "\\x00"',
  contains_or: '{set="text"} |= "foo" or "bar" or "red"',
  contains_or_not: '{set="text"} != "foo" or "bar"',
  contains_or_empty: '{set="text"} |= "foo" or ""',
  contains_backtick: '{set="text"} |= `"hello"`',
  regex: '{set="text"} |~ "f.o"',
  regex_not: '{set="text"} !~ "f.o"',
  regex_case: '{set="text"} |~ "(?i)foo bar"',
  regex_line: '{set="text"} |~ "first.*second"',
  regex_dotall: '{set="text"} |~ "(?s)first.*second"',
  regex_anchored: '{set="text"} |~ "^foo$"',
  regex_or: '{set="text"} |~ "^f" or "z$"',
  regex_empty: '{set="text"} |~ ""',
  regex_not_empty: '{set="text"} !~ ""',
  regex_alternation: '{set="text"} |~ "foo|red|tick"',
  regex_class: '{set="text"} |~ "[0-9]{3}\\\\.[0-9]"',
  regex_unicode: '{set="text"} |~ "\\\\p{Cyrillic}+"',
  regex_star: '{set="text"} |~ ".*"',
  regex_plus: '{set="text"} |~ ".+"',
  chain: '{set="text"} |= "foo" != "bar" |~ "o+"',
  pattern: '{set="text"} |> "<_>bar<_>"',
  pattern_lead: '{set="text"} |> "bar baz"',
  pattern_end: '{set="text"} |> "<_>baz"',
  pattern_oo: '{set="text"} |> "<_>o"',
  pattern_empty: '{set="text"} |> ""',
  pattern_any: '{set="text"} |> "<_>"',
  pattern_not: '{set="text"} !> "<_> <_>"',
  pattern_or: '{set="text"} |> "foo<_>" or "<_>end"',
  ip: '{set="text"} |= ip("10.0.0.0/8")',
  ip_one: '{set="text"} |= ip("192.168.4.5")',
  ip_range: '{set="text"} |= ip("192.168.0.0-192.168.4.10")',
  ip_not: '{set="text"} != ip("10.0.0.0/8")',
  ip_v6: '{set="text"} |= ip("2001:db8::/32")',
  ip_v6_local: '{set="text"} |= ip("fe80::1")',
  ip_or: '{set="text"} |= ip("::1") or "foo"',
  late_filter: '{set="text"} | decolorize |= "red text"',
  late_filter_format: '{set="text"} | decolorize | line_format "{{__line__}}" |= "red text"',
}

/** Label filters over lines of numbers and units; the line is the set's last but one. */
const labelFilters: readonly string[] = [
  'n=12',
  'n==12',
  'n!=12',
  'n>11',
  'n>=12',
  'n<12',
  'n<=12',
  'n>11.5',
  'n="12"',
  'n=~"1."',
  'n=~"1"',
  'n!~"1."',
  'f=1.5',
  'f>1',
  'exp=1000',
  'inf>5',
  'nan>5',
  'nan!=5',
  'hex>5',
  'hex=16',
  'neg=-4',
  'neg<-3',
  'bad>5',
  'bad!=5',
  'missing>5',
  'missing!=5',
  'missing=""',
  'missing!="x"',
  'missing=~".*"',
  'missing=~".+"',
  'empty=""',
  'empty>1',
  'lat>10ms',
  'lat=15ms',
  'lat<0.1s',
  'lat!=15ms',
  'lat>1',
  'dur>1h',
  'dur=1h2m3s',
  'dur>1d',
  'bad>1s',
  'n>1s',
  'size>1KB',
  'size=1.5KB',
  'size=1500B',
  'size>1KiB',
  'size<2MB',
  'bad>1KB',
  'n>1B',
  'f>=1B',
  'lat>1B',
  'n>11 and f>1',
  'n>11 or bad>1',
  'n>12 or f>1',
  'n>11, f>1',
  'n>11 f>1',
  '(n>11 and f<1) or lat>1ms',
  'n>11 and (f<1 or lat>1ms)',
  'bad>1 or n>11',
  'bad>1 and n>11',
  '__error__=""',
  '__error__!=""',
  'n=ip("10.0.0.0/8")',
  'missing=ip("10.0.0.0/8")',
  'missing!=ip("10.0.0.0/8")',
  'bad!=ip("10.0.0.0/8")',
  'set="logfmt"',
  'set!="logfmt"',
  'n=~"12|13"',
  'bad=~"ab.*"',
  'bad=~".*bc"',
  'bad=~"(?i)ABC"',
  'bad=~"ab|abc"',
  'bad=~"a"',
  'n=~"12.*"',
  'n!~"1|12"',
  'f==1.50',
  'lat>=15ms and size<=1.5KB',
  'dur>62m',
  'lat!="15ms"',
  'n=~"[0-9]+"',
  'size=~".*KB"',
  'bad=~"(abc)"',
  'bad=~"a.c|b"',
  'bad=~"ABC"',
  'bad!=""',
  'bad=~"abc|abd"',
  'bad!~"ab|abc"',
  'bad=~"^a"',
  'bad=~""',
  'bad!~""',
]
const labelFiltersOfUnits: readonly string[] = [
  'n>999',
  'n=1000',
  'lat>1s',
  'size>1B',
  'dur>1h',
  'ip=ip("10.0.0.0/24")',
  'ip!=ip("10.0.0.0/24")',
  'ip6=ip("fe80::/10")',
  'ip=ip("10.0.0.1-10.0.0.9")',
  'host=ip("10.0.0.1")',
  'lat>1s or n=1000',
  'size>1B and lat>1s',
]

/** Stages behind `| json` on the line of a user, or of damage. */
const stages: readonly string[] = [
  '| json | line_format "{{.user_id}} {{.lat}}"',
  '| json | line_format "{{.missing}}|{{.user}}"',
  '| json | line_format "{{.user_id}}"',
  '| json | line_format "{{.missing}}"',
  '| json | label_format id=user_id',
  '| json | label_format id="{{.user_id}}-{{.n}}", n=lat',
  '| json | label_format missing=nothing',
  '| json | label_format set="over"',
  '| json | label_format set=user_id',
  '| json | label_format z="{{.s}}", w="{{.z}}"',
  '| json | label_format x="{{__line__}}"',
  '| json | drop user_id, lat',
  '| json | drop user_id="u1"',
  '| json | drop user_id="u2"',
  '| json | drop user_id=~"u.", lat!="x"',
  '| json | drop set',
  '| json | keep user_id',
  '| json | keep user_id="u1", set',
  '| json | keep user_id="u2"',
  '| json | keep missing',
  '| json | drop __error__',
  '| json | drop __error__, __error_details__',
  '| json | user_id="u1"',
  '| json | json',
  '| json | logfmt',
  '| logfmt | json',
  '| unpack | json',
  '| json | unpack',
  '| json user_id="user.name" | json',
  '| json | regexp "(?P<user_id>\\\\d+)"',
  '| json | pattern "<_>:<user_name>:<x>"',
  '| regexp "(?P<x>u\\\\d)"',
  '| regexp "(?P<x>zzz)?"',
  '| regexp "(?P<x>zzz)"',
  '| pattern "<x>"',
  '| pattern "<_>\\"id\\":\\"<x>\\"<_>"',
  '| json | lat > 10ms',
  '| json | size > 1KB',
  '| json | n > 5 | line_format "{{ .n | int | add 1 }}"',
  '| json x="user" | line_format "{{ (fromJson .x).name }}"',
  '| json x="user.tags" | line_format "{{ range fromJson .x }}<{{.}}>{{end}}"',
  '| json | line_format "{{.__error__}}: {{.__error_details__}}"',
  '| json | label_format e="{{.__error__}}/{{.__error_details__}}"',
  '| json | __error__="" | line_format "fine"',
  '| json | __error__!=""',
  '| json | __error__=~"JSON.*"',
  '| json | __error_details__!=""',
  '| json | a="1"',
  '| json | line_format "{{.a}}" | logfmt',
]

/** Templates over the same line. */
const templates: readonly string[] = [
  '{{lower .x}}{{upper .x}}{{title .x}}',
  '{{ToLower .x}}{{ToUpper .x}}',
  '{{trim .sp}}|{{Trim .sp " p"}}',
  '{{TrimLeft .sp " "}}|',
  '{{TrimRight .sp " "}}|',
  '{{TrimSpace .sp}}|',
  '{{trimAll "a" .x}}',
  '{{trimPrefix "al" .x}}',
  '{{TrimPrefix .x "al"}}',
  '{{trimSuffix "ha" .x}}',
  '{{TrimSuffix .x "ha"}}',
  '{{replace "a" "b" .x}}',
  '{{Replace .x "a" "b" 1}}',
  '{{contains "l" .x}}',
  '{{hasPrefix "al" .x}}{{hasSuffix "z" .x}}',
  '{{indent 2 .x}}',
  '{{nindent 2 .x}}',
  '{{repeat 3 .x}}',
  '{{repeat -1 .x}}',
  '{{count "a" .x}}',
  '{{count "a*" "baac"}}',
  '{{default "d" .none}}{{default "d" .x}}',
  '{{b64enc .x}}',
  '{{b64dec "YWI="}}',
  '{{b64dec "%%%"}}',
  '{{urlencode "a b&c"}}',
  '{{urldecode "a+b%26"}}',
  '{{urldecode "%zz"}}',
  '{{regexReplaceAll "(a)(l)" .x "${2}${1}"}}',
  '{{regexReplaceAll "\\\\d*" "ab10c" "N"}}',
  '{{regexReplaceAllLiteral "a" .x "${1}"}}',
  '{{regexReplaceAll "x*" "äöü" "-"}}',
  '{{regexReplaceAllLiteral "x*" "abc" "-"}}',
  '{{trunc 2 .x}}',
  '{{trunc -2 .x}}',
  '{{trunc 3 "日本"}}',
  '{{substr 1 3 .x}}',
  '{{substr -1 3 .x}}',
  '{{substr 2 -1 .x}}',
  '{{alignLeft 8 .x}}|',
  '{{alignRight 8 .x}}|',
  '{{alignLeft 2 .x}}|',
  '{{alignRight 2 .x}}|',
  '{{int .n}}{{int "x"}}{{int 3.9}}',
  '{{float64 .f}}',
  '{{add 1 2 3}}',
  '{{sub 5 2}}',
  '{{mul 2 3 4}}',
  '{{div 7 2}}',
  '{{mod 7 2}}',
  '{{div 1 0}}',
  '{{mod 1 0}}',
  '{{max 1 5 3}}{{min 4 2 6}}',
  '{{addf 0.1 0.2}}',
  '{{subf 1 0.9}}',
  '{{mulf 1.1 1.1}}',
  '{{divf 1 3}}',
  '{{divf 1 0}}',
  '{{maxf 1 2.5}}{{minf 1 2.5}}',
  '{{ceil 1.2}}{{floor 1.8}}',
  '{{round 2.5 0}} {{round 3.14159 2}}',
  '{{round 123.5 -1}}',
  '{{bytes "1.5KB"}}',
  '{{bytes "1 MiB"}}',
  '{{bytes "x"}}',
  '{{duration "1m30s"}}',
  '{{duration_seconds "250ms"}}',
  '{{duration "5"}}',
  '{{date "2006-01-02" (unixToTime "1700000000")}}',
  '{{unixToTime "19700"}}',
  '{{unixToTime "1700000000123"}}',
  '{{unixToTime "1700000000123456"}}',
  '{{unixToTime "1700000000123456789"}}',
  '{{unixToTime "12"}}',
  '{{toDate "2006-01-02" "2026-11-28"}}',
  '{{toDate "2006" "x"}}',
  '{{toDateInZone "2006-01-02 15:04" "Europe/Berlin" "2026-07-01 12:00"}}',
  '{{unixEpoch (toDate "2006-01-02" "2026-11-28")}}',
  '{{unixEpochMillis (toDate "2006-01-02" "2026-11-28")}}',
  '{{unixEpochNanos (toDate "2006-01-02" "2026-11-28")}}',
  '{{__timestamp__ | unixEpoch | len}}',
  '{{if .x}}yes{{else}}no{{end}}',
  '{{if .none}}yes{{else if eq .x "alpha"}}alpha{{else}}no{{end}}',
  '{{with .x}}[{{.}}]{{end}}',
  '{{range $i, $c := fromJson "[1,2]"}}{{$i}}={{$c}} {{end}}',
  '{{$v := .x}}{{$v}}',
  '{{- .x -}} end',
  '{{/* c */}}x',
  '{{define "t"}}T{{.}}{{end}}{{template "t" .x}}',
  '{{block "b" .x}}B{{.}}{{end}}',
  '{{and .x .n}} {{or .none .n}} {{not .x}}',
  '{{len .x}} {{index .x 0}} {{slice .x 1 3}}',
  '{{print .x 1 2}} {{printf "%5s|%-5s|%q|%v|%d|%x" "a" "b" "c" 1.5 7 255}}',
  '{{println .x}}',
  '{{html "<a>"}} {{js "it\'s"}} {{urlquery "a b"}}',
  '{{eq .x "alpha" "b"}} {{ne .x "b"}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1 2}}',
  '{{eq 1 "a"}}',
  '{{lt 1 "a"}}',
  '{{.x.y}}',
  '{{.none.y}}',
  '{{index .x 99}}',
  '{{slice .x 9 3}}',
  '{{fromJson "{\\"a\\":[1,{\\"b\\":null}]}"}}',
  '{{fromJson "bad"}}',
  '{{(fromJson "{\\"a\\":{\\"b\\":1.0}}").a.b}}',
  '{{.}}',
  '{{len .}}',
  '{{printf "%.2f" (float64 .f)}}',
  '{{printf "%d" "x"}}',
  '{{printf "%s"}}',
  '{{printf "%s" "a" "b"}}',
  '{{call .x}}',
  '{{mulf 1e10 1e15}}',
  "{{1.0}} {{1e25}} {{0x10}} {{1_000}} {{'a'}} {{true}} {{nil}}",
  '{{add 9223372036854775807 1}}',
  '{{.sp | trim | upper | printf "%s!"}}',
  '{{ .f | float64 | mulf 2 | ceil | int }}',
  '{{int64 .n}}',
  '{{ .lat | duration | mulf 1000 }}',
  '{{ .x | default "z" | substr 0 2 }}',
  '{{ `raw` }}',
  '{{break}}',
  '{{range fromJson "[1,2,3]"}}{{if eq . 2.0}}{{continue}}{{end}}{{.}}{{end}}',
]

export function askLines(asking: Asking): void {
  eachLine(asking, 'json', jsonLines, jsonPipelines)
  eachLine(asking, 'logfmt', logfmtLines, logfmtPipelines)
  eachLine(asking, 'text', textLines, textPipelines)
  for (const [name, query] of Object.entries(filters)) asking.range(`filter/${name}`, query)
  const names = Object.keys(logfmtLines)
  for (const filter of labelFilters)
    asking.line(
      `label-filter/${filter}`,
      `{set="logfmt"} | logfmt --keep-empty | ${filter}`,
      starts.logfmt + names.indexOf('numbers') * 1000,
    )
  for (const filter of labelFiltersOfUnits)
    asking.line(
      `label-filter/units/${filter}`,
      `{set="logfmt"} | logfmt | ${filter}`,
      starts.logfmt + names.indexOf('units') * 1000,
    )
  for (const line of ['user', 'cut_second_value', 'text'])
    for (const stage of stages)
      asking.line(
        `stages/${line}/${stage}`,
        `{set="json"} ${stage}`,
        starts.json + Object.keys(jsonLines).indexOf(line) * 1000,
      )
  for (const template of templates) {
    const labels = 'x="alpha", sp="  pad  ", n="12", f="1.50", lat="15ms"'
    const format = `label_format ${labels} | line_format ${JSON.stringify(template)}`
    asking.range(`template/${template}`, `{set="text"} |= "foo bar baz" | ${format}`)
  }
  for (const template of templates.slice(0, 40)) {
    const format = `label_format x="alpha", sp="  pad  " | label_format y=${JSON.stringify(template)}`
    asking.range(`template-label/${template}`, `{set="text"} |= "foo bar baz" | ${format}`)
  }
  askOrder(asking)
  for (let i = 0; i < levelCount; i++) asking.line(`level/${i}`, '{set="level"}', starts.level + i * 1000)
  for (let i = 0; i < metadataCount; i++) {
    const atMs = starts.meta + i * 1000
    asking.line(`metadata/${i}`, '{set="meta"}', atMs)
    asking.line(`metadata/logfmt/${i}`, '{set="meta"} | logfmt', atMs)
    asking.line(`metadata/json/${i}`, '{set="meta"} | json', atMs)
    const params = { query: '{set="meta"} | logfmt', start: asking.at(atMs), end: asking.at(atMs, 1) }
    asking.ask(`metadata/categorized/${i}`, '/loki/api/v1/query_range', params, {
      headers: { 'x-loki-response-encoding-flags': 'categorize-labels' },
    })
  }
  for (const filter of [
    'user="ann"',
    'trace_id=~"t.*"',
    'http_method="GET"',
    'n=1',
    'n>1',
    '__error__="Mine"',
    'a="meta"',
    'set_extracted="own"',
  ])
    asking.range(`metadata/filter/${filter}`, `{set="meta"} | ${filter}`)
}

/** Order, limits, intervals, times. */
function askOrder(asking: Asking): void {
  const window = asking.window()
  for (const direction of ['forward', 'backward', 'FORWARD', 'Backward'])
    for (const limit of ['1', '3', '10'])
      for (const set of ['text', 'repeated', 'hours'])
        asking.range(`order/${set}/${direction}/${limit}`, `{set="${set}"}`, { direction, limit })
  for (const direction of ['forward', 'backward']) {
    asking.range(`order/repeated/${direction}/all`, '{set="repeated"}', { direction })
    asking.range(`order/sets/${direction}`, '{set=~"text|level|fields_.*"}', { direction, limit: '40' })
    asking.range(`order/samples/${direction}`, '{set="samples"}', { direction, limit: '30' })
    for (const interval of ['1s', '60', '5m', '10m', '1h', '0', '1.5', '90s'])
      asking.range(`interval/${direction}/${interval}`, '{set="hours"}', { direction, interval })
    asking.range(`interval/${direction}/filtered`, '{set="hours"} |= "1"', { direction, interval: '7m' })
    asking.range(`interval/${direction}/limit`, '{set="hours"}', { direction, interval: '5m', limit: '7' })
    asking.range(`interval/${direction}/samples`, '{set="samples"}', { direction, interval: '3m', limit: '50' })
    asking.range(`interval/${direction}/sub-ns`, '{set="repeated"}', { direction, interval: '0.001' })
  }
  const at = starts.repeated
  const bounds: readonly (readonly [string, string, string])[] = [
    ['equal', asking.at(at), asking.at(at)],
    ['ns', asking.at(at, 1), asking.at(at, 2)],
    ['two-ns', asking.at(at, 1), asking.at(at, 3)],
    ['exclusive', asking.at(at), asking.at(at, 1)],
    ['ms', asking.at(at), asking.at(at + 1)],
    ['reversed', asking.at(at + 1), asking.at(at)],
    ['seconds', String((asking.baseMs + at) / 1000), String((asking.baseMs + at) / 1000 + 1)],
    ['float', String((asking.baseMs + at) / 1000) + '.0', String((asking.baseMs + at) / 1000) + '.0015'],
    ['rfc', new Date(asking.baseMs + at).toISOString(), new Date(asking.baseMs + at + 2).toISOString()],
    [
      'rfc-ns',
      new Date(asking.baseMs + at).toISOString().replace('.000Z', '.000000001Z'),
      new Date(asking.baseMs + at + 2).toISOString(),
    ],
    ['rfc-offset', new Date(asking.baseMs + at + 3_600_000).toISOString().replace('Z', '+01:00'), asking.at(at + 5)],
    ['ms-digits', String(asking.baseMs + at), String(asking.baseMs + at + 5)],
    ['word', 'x', window.end],
    ['empty', '', window.end],
    ['negative', '-1', '1'],
    ['date', '2026-11-28', window.end],
    ['exponent', '1e9', window.end],
    ['end-word', window.start, 'now'],
    ['huge', '99999999999999999999', window.end],
    ['space', ' 1', window.end],
  ]
  for (const [name, start, end] of bounds) asking.range(`bounds/${name}`, '{set="repeated"}', { start, end })
  for (const since of ['30m', '1h', '90m', '5', '1.5h', 'x', '-1h', '1d', '0'])
    asking.ask(`since/${since}`, '/loki/api/v1/query_range', {
      query: '{set="text"} |= "foo"',
      end: asking.at(-600_000),
      since,
    })
  for (const limit of ['0', '-1', '5000', '5001', 'x', '1.5', ''])
    asking.range(`limit/${limit}`, '{set="repeated"}', { limit })
  for (const direction of ['up', '', 'f', '0'])
    asking.range(`direction/${direction}`, '{set="repeated"}', { direction })
  for (const interval of ['-1', 'x', '-1s', '1y', '1ns'])
    asking.range(`interval/odd/${interval}`, '{set="repeated"}', { interval })
  for (const step of ['0', '-1', 'x', '1ns', '0.5', '1m', '1.5m', '1h1x', ''])
    asking.range(`step/${step}`, 'sum(count_over_time({set="repeated"}[1m]))', {
      step,
      start: asking.at(at - 60_000),
      end: asking.at(at + 60_000),
    })
  for (const flags of ['categorize-labels', 'other', 'categorize-labels,other', 'CATEGORIZE-LABELS', ''])
    for (const query of ['{set="meta"} | logfmt | drop set', '{set="odd"}', 'count_over_time({set="repeated"}[5m])'])
      asking.range(
        `flags/${flags}/${query}`,
        query,
        { limit: '100', step: '1h' },
        { headers: { 'x-loki-response-encoding-flags': flags } },
      )
}
