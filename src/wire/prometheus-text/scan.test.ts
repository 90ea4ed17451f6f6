/** The text formats: scraped bodies and pushed ones, and classic histograms that become native ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { decodeUtf8Marking } from '#core/text.ts'
import { checkDamage } from '../../../test/damage.ts'
import { ShownScrape } from '../../../test/shown-scrape.ts'
import { CustomBuckets, customHistogram } from './custom-buckets.ts'
import { parseExposition, parseFloatText } from './parse.ts'
import { boundText, scanExposition } from './scan.ts'

const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')

function scan(text: string, isOpenMetrics = false): string[] {
  const sink = new ShownScrape()
  scanExposition(Buffer.from(text), isOpenMetrics, sink)
  return sink.lines
}

const text = `# HELP up Is it\\nup?
# TYPE up gauge
up 1
up{job="a\\"b", x="\\\\ü",} 2.5e3 1700000000000

# TYPE d histogram
d_bucket{le="1"} 1
d_bucket{le="+Inf"} 2
d_sum 3
d_count 2
  {"name with.dots", "label-a"="b"}\tNaN
`

test('the older text format: samples, times in milliseconds, metadata', () => {
  assert.deepEqual(scan(text), [
    'up{} 1',
    'up{job="a\\"b", x="\\\\ü"} 2500 @1700000000000',
    'd_bucket{le="1.0"} 1',
    'd_bucket{le="+Inf"} 2',
    'd_sum{} 3',
    'd_count{} 2',
    '{__name__="name with.dots", "label-a"="b"} NaN',
    '# up gauge Is it\nup?',
    '# d histogram',
  ])
})

const openMetrics = `# TYPE d histogram
# UNIT d seconds
d_bucket{le="1"} 1 1.5 # {trace_id="ab"} 0.5 1.25
d_bucket{le="+Inf"} 2 1.5 # {} 0.5
d_sum 3 1.5
d_count 2 1.5
# TYPE s stateset
s{s="on"} 1
# EOF
`

test('OpenMetrics: times in seconds, exemplars, the end', () => {
  assert.deepEqual(scan(openMetrics, true), [
    'd_bucket{le="1.0"} 1 @1500 # {trace_id="ab"} 0.5 @1250',
    'd_bucket{le="+Inf"} 2 @1500 # {} 0.5',
    'd_sum{} 3 @1500',
    'd_count{} 2 @1500',
    's{s="on"} 1',
    '# d histogram seconds',
    '# s stateset',
  ])
})

test('a series that was seen before is found by its text', () => {
  const sink = new ShownScrape()
  for (let i = 0; i < 3; i++) scanExposition(Buffer.from('up{a="b"} 1\nup{a="c"} 2\n'), false, sink)
  assert.deepEqual([sink.lines.length, sink.added], [6, 2])
})

test('what is wrong with a body is said with its line', () => {
  const cases: [text: string, isOpenMetrics: boolean, problem: RegExp][] = [
    ['up', false, /^line 1: the value is not a number: up$/],
    ['up 1\nup x', false, /^line 2: the value is not a number: up x$/],
    ['up 1 x', false, /^line 1: the timestamp is not a number/],
    ['up 1 123.5', false, /^line 1: the timestamp is no whole number of milliseconds: up 1 123.5$/],
    ['up 1\nup{a="b"} 1 1e3', false, /^line 2: the timestamp is no whole number/],
    ['up 1 1700000000000.0', false, /^line 1: the timestamp is no whole number/],
    ['up 1 2 3', false, /^line 1: something follows the sample/],
    ['up 1 # {} 1', false, /^line 1: something follows the sample/],
    ['{a="b"} 1', false, /^line 1: a metric name was expected/],
    ['up{1="b"} 1', false, /^line 1: a label name was expected/],
    ['up{a} 1', false, /^line 1: "=" was expected after label a/],
    ['up{a=b} 1', false, /^line 1: the value of label a is not a quoted text/],
    ['up{a="b" c="d"} 1', false, /^line 1: "," or "}" was expected/],
    ['up{"a', false, /^line 1: a quoted name is not ended/],
    ['# TYPE up thing', false, /^invalid metric type "thing" of up$/],
    ['up 1', true, /^data does not end with # EOF$/],
    ['# EOF\nup 1', true, /^line 2: something follows # EOF/],
    ['up 1 # 5 1\n# EOF', true, /^line 1: the exemplar has no labels/],
    ['up 1 # {} x\n# EOF', true, /^line 1: the exemplar value is not a number/],
  ]
  for (const [body, isOpenMetrics, message] of cases)
    assert.throws(() => scan(body, isOpenMetrics), { name: 'BadDataError', message }, body)
})

test('only backslash, quote and n are escapes, in labels, names and HELP; any other backslash stays', () => {
  const cases: [row: string, isOpenMetrics: boolean, shown: string][] = [
    [String.raw`v{a="x\dy"} 1`, false, String.raw`v{a="x\\dy"} 1`],
    [String.raw`v{a="C:\\dir\new"} 1`, false, String.raw`v{a="C:\\dir\new"} 1`],
    [String.raw`v{a="\t\\\"\'"} 1`, false, String.raw`v{a="\\t\\\"\\'"} 1`],
    [String.raw`{"n\d",a="b"} 1`, false, String.raw`{__name__="n\\d", a="b"} 1`],
    ['# HELP h a\\tb\\\\c\\nd\\"e', false, '# h unknown a\\tb\\c\nd\\"e'],
    ['# HELP h a\\tb\\\\c\\nd\\"e', true, '# h unknown a\\tb\\c\nd"e'],
  ]
  for (const [row, isOpenMetrics, shown] of cases) {
    const body = isOpenMetrics ? `${row}\n# EOF\n` : `${row}\n`
    assert.deepEqual(scan(body, isOpenMetrics), [shown], row)
    const { samples, metadata, problems } = parseExposition(body, isOpenMetrics)
    assert.deepEqual(problems, [])
    if (row.startsWith('#')) assert.ok(shown.endsWith(metadata[0]!.help))
    else assert.equal(samples.length, 1)
  }
  const read = (row: string): string => parseExposition(row).samples[0]!.labels[1]![1]
  assert.equal(read(String.raw`v{a="x\dy"} 1`), String.raw`x\dy`)
  assert.equal(read(String.raw`w{p="C:\\dir\new"} 1`), 'C:\\dir\new')
})

test('bytes that are no UTF-8 fail a scrape with their line, and cost their line of a push', () => {
  const bad: [row: string, problem: RegExp][] = [
    ['v{a="~"} 1', /invalid UTF-8 label value: v\{a="/],
    ['v{a="b",c="x~"} 1', /invalid UTF-8 label value/],
    ['{"n~"} 1', /invalid UTF-8 label value/],
    ['{"l~"="b",__name__="n"} 1', /invalid UTF-8 label value/],
    ['# HELP v a~b', /invalid UTF-8 text in a comment/],
  ]
  for (const [row, problem] of bad) {
    const body = Buffer.from(`w 1\n${row}\nx 2\n`.replaceAll('~', '\u00ff'), 'latin1')
    assert.throws(
      () => {
        scanExposition(body, false, new ShownScrape())
      },
      (error: unknown) => {
        assert.ok(error instanceof BadDataError)
        assert.match(error.message, /^line 2: /)
        assert.match(error.message, problem)
        return true
      },
    )
    const { samples, problems } = parseExposition(decodeUtf8Marking(body, 0, body.length))
    assert.deepEqual(
      samples.map(s => s.labels[0]![1]),
      ['w', 'x'],
      row,
    )
    assert.equal(problems.length, 1, row)
    assert.match(problems[0]!, /^line 2: .* is not UTF-8: /)
  }
  const comment = Buffer.from('# any ~ comment\nw 1\n'.replace('~', '\u00ff'), 'latin1')
  const sink = new ShownScrape()
  scanExposition(comment, false, sink)
  assert.deepEqual(sink.lines, ['w{} 1'])
  const exemplar = Buffer.from('w_total 1 # {e="~"} 1\n# EOF\n'.replace('~', '\u00ff'), 'latin1')
  assert.throws(() => {
    scanExposition(exemplar, true, new ShownScrape())
  }, /^BadDataError: line 1: invalid UTF-8 label value/)
})

test('damaged bodies', () => {
  checkDamage(Buffer.from(text), body => scan(utf8(body)), { errors: [BadDataError] })
  checkDamage(Buffer.from(openMetrics), body => scan(utf8(body), true), { errors: [BadDataError] })
  checkDamage(Buffer.from(openMetrics), body => parseExposition(utf8(body)), { errors: [] })
})

test('a pushed body: wrong lines are reported, the others are kept', () => {
  const { samples, metadata, problems } = parseExposition('# TYPE a counter\na 1 5\nb{\nc x\nd{e="f"} 2\n')
  assert.deepEqual(
    samples.map(s => [s.labels.flat().join(), s.value, s.timeMs]),
    [
      ['__name__,a', 1, 5],
      ['__name__,d,e,f', 2, undefined],
    ],
  )
  assert.deepEqual(metadata, [{ metric: 'a', type: 'counter', help: '', unit: '' }])
  assert.deepEqual(problems, ['line 3: a label name was expected: b{', 'line 4: the value is not a number: c x'])
})

test('numbers as the formats spell them', () => {
  const cases: [text: string, value: number | undefined][] = [
    ['1', 1],
    ['-1.5e3', -1500],
    ['.5', 0.5],
    ['+Inf', Infinity],
    ['-infinity', -Infinity],
    ['nan', NaN],
    ['0x1f', 31],
    ['', undefined],
    ['1_000', undefined],
    ['e5', undefined],
  ]
  for (const [number, value] of cases) assert.equal(parseFloatText(number), value, number)
  const bounds: [value: number, text: string][] = [
    [1, '1.0'],
    [0.25, '0.25'],
    [1e6, '1e+06'],
    [0.00001, '1e-05'],
    [0, '0.0'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
    [NaN, 'NaN'],
  ]
  for (const [value, shown] of bounds) assert.equal(boundText(value), shown)
})

const classic = `# TYPE d histogram
d_bucket{a="b",le="1"} 1
d_bucket{a="b",le="5"} 3
d_bucket{a="b",le="+Inf"} 4
d_sum{a="b"} 9
d_count{a="b"} 4
up 1
`

test('classic histograms become native ones, instead of their series or beside them', () => {
  const native = 'd{a="b"} {count:4, sum:9, [-Inf,1]:1, (1,5]:2, (5,+Inf]:1}'
  const own = ['up{} 1', '# d histogram']
  for (const isKept of [false, true]) {
    const sink = new ShownScrape()
    const convert = new CustomBuckets(isKept)
    for (let round = 0; round < 2; round++) {
      sink.lines.length = 0
      scanExposition(Buffer.from(classic), false, convert.begin(sink, false))
      convert.end()
      assert.deepEqual(
        sink.lines.filter(line => !line.startsWith('d_')),
        [native, ...own],
      )
      assert.equal(sink.lines.filter(line => line.startsWith('d_')).length, isKept ? 5 : 0)
    }
  }
})

test('classic buckets that contradict each other are no histogram', () => {
  const bucket = (bound: number, count: number): { bound: number; count: number } => ({ bound, count })
  assert.equal(customHistogram([bucket(1, 3), bucket(2, 2)], 3, 0), undefined)
  assert.equal(customHistogram([bucket(1, 1), bucket(1, 1)], 1, 0), undefined)
  assert.equal(customHistogram([bucket(Infinity, 2)], 3, 0), undefined)
  assert.equal(customHistogram([bucket(1, 0.5)], 1, 0)?.integer, false)
  assert.equal(customHistogram([], undefined, 0)?.count, 0)
})
