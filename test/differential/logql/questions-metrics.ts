/** Metric queries: functions, windows, aggregations, matching, limits. */
import { rangeOps, vectorOps } from '#lang/logql/ast.ts'
import type { Asking } from './asking.ts'
import { samplesFromMs, starts } from './data.ts'

const samples = '{set="samples", host=~"a|b"}'
const unwrapped: Readonly<Record<string, string>> = {
  number: '| logfmt | unwrap v',
  duration: '| logfmt | unwrap duration(dur)',
  seconds: '| logfmt | unwrap duration_seconds(dur)',
  bytes: '| logfmt | unwrap bytes(size)',
  counter: '| logfmt | unwrap counter',
}
const needsUnwrap = rangeOps.filter(op => /^(avg|sum|min|max|std|quantile|first|last|rate_counter)/.test(op))

function inside(op: string, range: string): string {
  return `${op}(${op === 'quantile_over_time' ? '0.9, ' : ''}${range})`
}

const binaries: readonly string[] = [
  'A + B',
  'A - B',
  'A * B',
  'A / B',
  'A % B',
  'A ^ B',
  'A == B',
  'A != B',
  'A > B',
  'A >= B',
  'A < B',
  'A <= B',
  'A > bool B',
  'A == bool B',
  'A and B',
  'A or B',
  'A unless B',
  'A + 1',
  '1 + A',
  'A / 0',
  'A % 0',
  '0 / A',
  'A > 20',
  '20 < A',
  'A > bool 20',
  '20 > bool A',
  'A ^ 2',
  '2 ^ A',
  'A + on (host) B',
  'A + on (dc) B',
  'A + ignoring (host) B',
  'A + on () B',
  'C + on (dc) group_left A',
  'C + on (dc) group_left () D',
  'C * on (dc) group_left (extra) D',
  'D * on (dc) group_right C',
  'D * on (dc) group_right (extra) C',
  'C / on (dc) D',
  'C and on (dc) D',
  'C unless on (dc) D',
  'C or on (dc) D',
  'C > on (dc) group_left D',
  'C > bool on (dc) group_left D',
  'A + bool B',
  'sum(A) + sum(B)',
  'sum(A) / sum(B) * 100',
  'A > 20 or vector(1)',
  'A * vector(2)',
  'A * on () group_left vector(2)',
  'vector(1) or A',
  'A unless vector(1)',
  'A and on () vector(1)',
  'A - A',
  '(A + B) * 2',
  'A + B * 2',
  'A or B or C',
  'A and B or C',
  'A unless B and C',
  '-1 * A',
  'A * -1',
  'A == A',
  'A != A',
  'A / B > 0',
  'X + A',
  'A + X',
  'X or A',
  'A or X',
  'X and A',
  'A unless X',
]
const parts: Readonly<Record<string, string>> = {
  A: 'sum by (host) (count_over_time({set="samples"}[5m]))',
  B: 'sum by (host) (count_over_time({set="samples"} |~ "4"[5m]))',
  C: 'sum by (host, dc) (count_over_time({set="samples"}[5m]))',
  D: 'sum by (dc) (count_over_time({set="samples"}[5m]))',
  X: 'sum by (host) (count_over_time({set="nothing"}[5m]))',
}

const instants: readonly string[] = [
  'vector(1)',
  'vector(1) + vector(1)',
  '1',
  '1 + 1',
  '-1',
  '+1',
  '2 ^ 3 ^ 2',
  '-2 ^ 2',
  '1 / 0',
  '0 / 0',
  '1 % 0',
  '5 % 3',
  '-5 % 3',
  '1 > 0',
  '1 == bool 1',
  '1 < bool 0',
  '1e3',
  '.5',
  '0.1 + 0.2',
  '1_000',
  '010',
  '1e400',
  '1.0',
  '100000000000000000000000',
  'vector(1.5)',
  'vector(-1)',
  'vector(0) / vector(0)',
  'vector(1) > 2',
  'vector(1) > bool 2',
  'vector(1) == vector(1)',
  'vector(1) and vector(2)',
  'vector(1) or vector(2)',
  'vector(1) unless vector(2)',
  'sum(vector(3))',
  'count(vector(3))',
  'topk(1, vector(3))',
  'absent_over_time({set="nothing"}[5m])',
  'absent_over_time({set="samples"}[5m])',
  'absent_over_time({set="nothing", a="b", c=~"d", e!="f"}[5m])',
  'absent_over_time({set="nothing", set="other"}[5m])',
  'absent_over_time({set="samples"} | logfmt | unwrap nothing [5m])',
  'sum(count_over_time({set="nothing"}[5m]))',
  'count_over_time({set="nothing"}[5m])',
  'sum(count_over_time({set="samples"}[0s]))',
  'count_over_time({set="samples"}[5m])',
  'sum(count_over_time({set="samples"}[90m]))',
  'sum(rate({set="samples"}[90m]))',
  'sum by (host) (bytes_over_time({set="samples"}[90m]))',
  'max_over_time({set="samples", host="a"} | logfmt | unwrap v [90m]) by (host)',
  'avg_over_time({set="samples", host="a"} | logfmt | unwrap v [90m]) by (host)',
  'quantile_over_time(0.5, {set="samples", host="a"} | logfmt | unwrap v [90m]) by (host)',
  'first_over_time({set="samples", host="a"} | logfmt | unwrap v [90m]) by (host)',
  'last_over_time({set="samples", host="a"} | logfmt | unwrap v [90m]) by (host)',
  'stddev_over_time({set="samples", host="a"} | logfmt | unwrap v [90m]) by (host)',
  'count_over_time({set="samples"}[5m] offset 10m)',
  'count_over_time({set="samples"}[5m] offset -1m)',
  'count_over_time({set="samples"}[1m] offset 1m30s)',
  'sum(count_over_time({set="samples"}[5m] offset 1h))',
  'sum by (level) (count_over_time({set="samples"} | logfmt [5m]))',
  'sum by (level, status) (count_over_time({set="samples"} | logfmt [5m]))',
  'sum by (missing) (count_over_time({set="samples"} | logfmt [5m]))',
  'sum without (host) (count_over_time({set="samples"}[5m]))',
  'sum without (host, dc, missing) (count_over_time({set="samples"}[5m]))',
  'sum without () (count_over_time({set="samples"}[5m]))',
  'sum by () (count_over_time({set="samples"}[5m]))',
  'sum by (detected_level) (count_over_time({set="level"}[40m]))',
  'sum by (level, detected_level) (count_over_time({set="level"} | drop __error__ [40m]))',
  'count by (host) (count_over_time({set="samples"}[5m]))',
  'count(count by (path) (count_over_time({set="samples"} | logfmt [5m])))',
  'sum by (path) (count_over_time({set="samples"} | json [5m]))',
  'sum(count_over_time({set="samples"} | json [5m]))',
  'count_over_time({set="samples"} | json [5m])',
  'count_over_time({set="samples", host="c"} | json [1m])',
  'sum by (__error__) (count_over_time({set="samples"} | json [5m]))',
  'sum by (host) (count_over_time({set="samples"} | json | __error__="" [5m]))',
  'sum by (host) (count_over_time({set="samples"} | json | drop __error__, __error_details__ [5m]))',
  'count_over_time({set="samples", host="a"} | logfmt | keep level, status [5m])',
  'count_over_time({set="samples", host="a"} | logfmt | drop v, dur, size, counter, path [5m])',
  'count_over_time({set="samples", host="a"} | logfmt | label_format lvl=level | keep lvl [5m])',
  'sum by (status) (count_over_time({set="samples"} | logfmt | status >= 400 [5m]))',
  'sum by (status) (count_over_time({set="samples"} | logfmt | status >= 400 | v > 5 [5m]))',
  'sum(sum_over_time({set="samples"} | logfmt | v > 5 | unwrap v [5m]))',
  'sum_over_time({set="samples", host="a"} | logfmt | unwrap v [5m]) by (status)',
  'sum_over_time({set="samples", host="a"} | logfmt | unwrap v | status="200" [5m])',
  'sum by (host) (sum_over_time({set="samples"} | logfmt | unwrap v | __error__="" [5m]))',
  'avg_over_time({set="samples", host="a"} | logfmt | unwrap v [5m]) without (path, level)',
  'avg_over_time({set="samples"} | logfmt | unwrap v [5m]) by (host)',
  'avg_over_time({set="samples"} | logfmt | unwrap level [5m]) by (host)',
  'sum(sum_over_time({set="samples"} | logfmt | unwrap level | __error__="" [5m]))',
  'sum(sum_over_time({set="samples"} | logfmt | unwrap missing [5m]))',
  'max_over_time({set="samples", host="a"} | logfmt | unwrap bytes(level) [5m])',
  'max_over_time({set="samples", host="a"} | logfmt | unwrap duration(v) [5m])',
  'sum_over_time({set="logfmt"} | logfmt | unwrap n [90m]) by (set)',
  'sum_over_time({set="logfmt"} | logfmt | unwrap nan [90m]) by (set)',
  'sum_over_time({set="logfmt"} | logfmt | unwrap inf [90m]) by (set)',
  'quantile_over_time(0, {set="samples", host="a"} | logfmt | unwrap v [5m]) by (host)',
  'quantile_over_time(1, {set="samples", host="a"} | logfmt | unwrap v [5m]) by (host)',
  'quantile_over_time(1.5, {set="samples", host="a"} | logfmt | unwrap v [5m]) by (host)',
  'quantile_over_time(0.25, {set="samples", host="a"} | logfmt | unwrap v [5m]) by (host, status)',
  'topk(2, sum by (host) (bytes_over_time({set="samples"}[5m])))',
  'bottomk(2, sum by (host) (bytes_rate({set="samples"}[5m])))',
  'topk(1, sum by (host, dc) (bytes_rate({set="samples"}[5m]))) by (dc)',
  'topk by (dc) (1, sum by (host, dc) (bytes_rate({set="samples"}[5m])))',
  'bottomk without (host) (1, sum by (host, dc) (bytes_rate({set="samples"}[5m])))',
  'topk(10, sum by (host) (bytes_rate({set="samples"}[5m])))',
  'sort(sum by (host) (bytes_rate({set="samples"}[5m])))',
  'sort_desc(sum by (host) (bytes_rate({set="samples"}[5m])))',
  'sort_desc(topk(2, sum by (host) (bytes_rate({set="samples"}[5m]))))',
  'sum(sort(sum by (host) (bytes_rate({set="samples"}[5m]))))',
  'approx_topk(2, sum by (host) (bytes_rate({set="samples"}[5m])))',
  'label_replace(sum by (host) (count_over_time({set="samples"}[5m])), "new", "$1-x", "host", "(.*)")',
  'label_replace(sum by (host) (count_over_time({set="samples"}[5m])), "host", "$1", "host", "(b)")',
  'label_replace(sum by (host) (count_over_time({set="samples"}[5m])), "host", "", "host", ".*")',
  'label_replace(sum by (host) (count_over_time({set="samples"}[5m])), "new", "const", "missing", "")',
  'label_replace(sum by (host) (count_over_time({set="samples"}[5m])), "new", "$2", "host", "(.*)")',
  'label_replace(sum by (host) (count_over_time({set="samples"}[5m])), "new", "${name}", "host", "(?P<name>a|b)")',
  'label_replace(vector(1), "a", "b", "", "")',
  'label_replace(sum by (host) (count_over_time({set="samples"}[5m])), "new", "x$0y", "host", "a|c")',
  'sum(count_over_time({set="many"}[10m]))',
  'count_over_time({set="many"}[10m])',
  'sum by (i) (count_over_time({set="many"}[10m]))',
  'topk(3, count_over_time({set="many"}[10m]))',
  'count(count_over_time({set="many"}[10m]))',
  'count_over_time({set="many", i=~"1.*"}[10m])',
  'count_over_time({set="many", i=~"[0-4].."}[10m]) or vector(1)',
  'sum by (i) (count_over_time({set="many"}[10m])) > 5',
  'count_over_time({set="json"} | json [60m])',
  'sum(count_over_time({set="json"} | json [60m]))',
  'sum by (a) (count_over_time({set="json"} | json | __error__="" [60m]))',
  'sum without (a) (count_over_time({set="json"} |= "packed" | unpack | __error__="" [60m]))',
  'sum by (a) (count_over_time({set="logfmt"} | logfmt [60m]))',
  'sum without (a) (count_over_time({set="logfmt"} | logfmt b | keep a, b [60m]))',
  'count_over_time({set="logfmt"} | logfmt a | keep a [60m])',
  'sum by (a) (count_over_time({set="logfmt"} | logfmt --strict [60m]))',
  'count_over_time({set="json"} | json b | keep b [60m])',
  'sum without (b) (count_over_time({set="json"} | json b, zz | keep b, zz [60m]))',
  'sum by (zz) (count_over_time({set="json"} | json zz | keep zz [60m]))',
  'count_over_time({set="repeated"}[30m])',
  'sum(count_over_time({set="repeated"}[30m]))',
  'bytes_over_time({set="repeated"}[30m])',
  'bytes_over_time({set="text"} | line_format "x" [60m])',
  'sum(count_over_time({set="text"} | line_format "{{.x.y}}" [60m]))',
  'count_over_time({set="meta"}[60m])',
  'sum by (user) (count_over_time({set="meta"}[60m]))',
  'sum by (user) (count_over_time({set="meta"} | drop __error__ [60m]))',
  'sum without (user) (count_over_time({set="meta", set!="x"} != "ten" [60m]))',
  'sum by (n) (sum_over_time({set="meta"} | n != "" | unwrap n [60m]))',
  'rate({set="samples"} | logfmt | unwrap v [5m])',
  'sum by (host) (rate({set="samples"} | logfmt | unwrap v [5m]))',
  'sum(rate_counter({set="samples", host="a"} | logfmt | unwrap counter [5m]))',
  'rate_counter({set="samples", host="a"} | logfmt | keep counter | unwrap counter [10m])',
  'rate_counter({set="samples", host="a"} | logfmt | keep counter, host | unwrap counter [35s])',
  'rate_counter({set="samples", host="a"} | logfmt | keep counter, host | unwrap counter [15s])',
  'sum(count_over_time({set="samples"} | logfmt | missing="" [5m]))',
  'sum(count_over_time({set="samples"} | logfmt | level!="" [5m]))',
  'sum(count_over_time({set="samples"}[5m] | logfmt | level="info"))',
  'sum(count_over_time(({set="samples"} | logfmt)[5m]))',
  'sum(count_over_time(({set="samples"}[5m])))',
]

const rangeQueries: readonly string[] = [
  'sum(count_over_time({set="samples"}[1m]))',
  'sum by (host) (rate({set="samples"}[5m]))',
  'count_over_time({set="samples"}[10m])',
  'sum(count_over_time({set="samples"}[1m] offset 10m))',
  'sum(count_over_time({set="samples"}[1m] offset -5m))',
  'max_over_time({set="samples"} | logfmt | unwrap v [5m]) by (host)',
  'absent_over_time({set="repeated"}[5m])',
  'vector(1)',
  '1',
  '1 + 1',
  'sum(count_over_time({set="repeated"}[1m])) or vector(0)',
  'topk(1, sum by (host) (bytes_rate({set="samples"}[3m])))',
  'sort(sum by (host) (rate({set="samples"}[5m])))',
  'sum by (host) (rate({set="samples"}[5m])) > 0.09',
  'sum by (level) (count_over_time({set="samples"} | logfmt [5m]))',
  'sum(count_over_time({set="hours"}[1h]))',
  'count_over_time({set="many"}[10m])',
  'topk(3, count_over_time({set="many"}[10m]))',
  'sum by (i) (count_over_time({set="many"}[1m]))',
  'approx_topk(2, sum by (host) (bytes_over_time({set="samples"}[5m])))',
  'rate_counter({set="samples", host="a"} | logfmt | keep counter, host | unwrap counter [2m])',
  'quantile_over_time(0.9, {set="samples"} | logfmt | unwrap v [5m]) by (host)',
  'last_over_time({set="samples", host="c"} | json | unwrap v [5m]) by (host)',
  'first_over_time({set="samples", host="c"} | json | unwrap duration(dur) [5m]) by (host)',
  'stddev_over_time({set="samples"} | logfmt | unwrap v [2m]) by (dc)',
  'sum(count_over_time({set="nothing"}[1m]))',
  '{set="repeated"}',
]

export function askMetrics(asking: Asking): void {
  for (const op of ['rate', 'count_over_time', 'bytes_over_time', 'bytes_rate', 'absent_over_time'])
    for (const range of ['1m', '5m', '90s']) asking.instant(`range/${op}/${range}`, `${op}(${samples}[${range}])`)
  for (const op of [...needsUnwrap, 'rate', 'absent_over_time'])
    for (const [name, unwrap] of Object.entries(unwrapped)) {
      asking.instant(`unwrap/${op}/${name}`, inside(op, `{set="samples", host="a"} ${unwrap} [5m]`))
      asking.instant(`unwrap/by/${op}/${name}`, `sum by (host) (${inside(op, `${samples} ${unwrap} [3m]`)})`)
    }
  for (const op of needsUnwrap)
    for (const grouping of ['', ' by (status)', ' without (status, path, counter, dur, size)'].slice(
      0,
      op === 'rate_counter' || op === 'sum_over_time' ? 1 : 3,
    ))
      for (const range of ['30s', '7m'])
        asking.instant(
          `json/${op}/${grouping}/${range}`,
          `${inside(op, `{set="samples", host="c"} | json | unwrap v [${range}]`)}${grouping}`,
        )
  for (const op of ['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate', 'absent_over_time'])
    for (const pipeline of [
      '|= "4"',
      '| logfmt | status="500"',
      '| json | status="404"',
      '| label_format host="x"',
      '| line_format "{{.host}}"',
      '| keep host',
      '| drop dc, detected_level',
      '| detected_level="error"',
      '!= "level"',
    ])
      for (const grouping of ['sum by (host)', 'sum', 'max without (dc)', ''])
        asking.instant(
          `piped/${op}/${pipeline}/${grouping}`,
          `${grouping}(${op}({set="samples"} ${pipeline} | drop __error__, __error_details__ [4m]))`,
        )
  for (const op of vectorOps) {
    const parameter = /topk|bottomk/.test(op) ? '1, ' : ''
    for (const grouping of ['', ' by (dc)', ' without (host)', ' by (host)', ' by ()'])
      asking.instant(
        `vector/${op}/${grouping}`,
        `${op}${grouping} (${parameter}sum by (host, dc) (bytes_over_time({set="samples"}[5m])))`,
      )
  }
  for (const binary of binaries) {
    const query = binary.replaceAll(/\b[ABCDX]\b/g, name => parts[name]!)
    asking.instant(`binary/${binary}`, query)
    asking.range(`binary/range/${binary}`, query, {
      start: asking.at(-30 * 60_000),
      end: asking.at(-20 * 60_000),
      step: '300',
    })
  }
  for (const query of instants) asking.instant(`instant/${query}`, query)
  for (const query of rangeQueries)
    for (const [name, start, end, step] of [
      ['minutes', asking.at(-20 * 60_000), asking.at(-10 * 60_000), '60'],
      ['odd', asking.at(-33 * 60_000 - 1234), asking.at(-11 * 60_000 + 567), '7m'],
      ['point', asking.at(-10 * 60_000 + 5), asking.at(-10 * 60_000 + 5), '1h'],
      ['default', asking.at(-15 * 60_000), asking.at(-14 * 60_000), ''],
    ] as const)
      asking.range(`matrix/${name}/${query}`, query, { start, end, ...(step === '' ? {} : { step }) })
  for (const shiftMs of [0, 3000, 5000, 9000, 9999, 12_000, 25_000, 61_000])
    for (const range of ['21s', '1m', '125s']) {
      const query = `rate_counter({set="samples", host="b"} | logfmt | keep counter, host | unwrap counter [${range}])`
      asking.instant(`rate_counter/${shiftMs}/${range}`, query, { time: asking.at(samplesFromMs + 200_000 + shiftMs) })
    }
  for (const [name, time] of Object.entries({
    none: '',
    word: 'x',
    float: String(asking.baseMs / 1000 - 60) + '.5',
    seconds: String(asking.baseMs / 1000 - 60),
    rfc: new Date(asking.baseMs).toISOString(),
    ns: asking.at(starts.repeated, 1),
  }))
    for (const query of [
      'sum(count_over_time({set="repeated"}[1h]))',
      'vector(1)',
      '1',
      'count_over_time({set="repeated"}[1ms])',
    ])
      if (name !== 'none') asking.instant(`time/${name}/${query}`, query, { time })
  asking.range('resolution/11000', 'vector(1)', { start: asking.at(-11_001_000), end: asking.at(0), step: '1' })
  asking.range('resolution/length', '{set="repeated"}', { start: asking.at(-722 * 3_600_000), end: asking.at(0) })
  asking.range('resolution/length-exact', '{set="repeated"}', { start: asking.at(-721 * 3_600_000), end: asking.at(0) })
  asking.range('resolution/length-metric', 'sum(count_over_time({set="repeated"}[1h]))', {
    start: asking.at(-722 * 3_600_000 - 1500),
    end: asking.at(0),
    step: '1d',
  })
  asking.ask(
    'partial/range',
    '/loki/api/v1/query_range',
    { query: 'sum by (i) (count_over_time({set="many"}[10m])) > 5', ...asking.window(), step: '1h' },
    { headers: { 'x-query-tags': 'Source=grafana-lokiexplore-app' } },
  )
}
