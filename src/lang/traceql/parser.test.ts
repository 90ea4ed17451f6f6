/** TraceQL's parser: what is accepted, what is refused and where, and mutated queries. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadQueryError } from '#core/errors.ts'
import { below, seededRandom } from '#core/random.ts'
import { durationText, parseTraceql } from './parser.ts'

const accepted = [
  '{ }',
  '{}',
  '{ true }',
  '{ .a }',
  '{ span.b }',
  '{ .a = "x" }',
  '{ .a = `raw \\n` }',
  '{ .a != 1 }',
  '{ span.a >= 1.5 }',
  '{ span.a = -1 }',
  '{ span.a = 1e3 }',
  '{ span.a -1 = 2 }',
  '{ duration > 1h30m }',
  '{ duration > 1.5s && duration < 10µs }',
  '{ span:duration = 5ns }',
  '{ traceDuration > 1d }',
  '{ trace:duration > 1w }',
  '{ status = error || status = ok }',
  '{ status != unset }',
  '{ kind = server }',
  '{ span:kind != unspecified }',
  '{ name =~ "a.*" }',
  '{ name !~ "(?i)b" }',
  '{ "x" = .a }',
  '{ 1 < span.a }',
  '{ .a = nil }',
  '{ nil != .a }',
  '{ resource.a = resource.b }',
  '{ span.a + 1 = 6 }',
  '{ (span.a + 1) * 2 % 3 > span.b ^ 2 }',
  '{ !(.a = 1) && .a != nil }',
  '{ !.a }',
  '{ -span.a < 3 }',
  '{ .a = 1 && .b = 2 || .c = 3 }',
  '{ ."a b" = 1 }',
  '{ span."quoted \\"x\\"".rest = 1 }',
  '{ .a.b-c/d:e = 1 }',
  '{ event:name = "x" && event.k = "v" }',
  '{ link:traceID = "ff" }',
  '{ instrumentation:name = "x" || instrumentation.a = true }',
  '{ span:childCount > 2 }',
  '{ nestedSetParent < 0 }',
  '{ rootServiceName = "a" && trace:rootName = "b" }',
  '{ trace:id = "1" && span:id != "" && span:parentID = "2" }',
  '{ link.link.type = "x" }',
  '{ .a } && { .b }',
  '{ .a } || { .b } && { .c }',
  '({ .a } && { .b }) || { .c }',
  '{ .a } > { .b }',
  '{ .a } >> { .b } << { .c }',
  '{ .a } ~ { .b }',
  '{ .a } !> { .b }',
  '{ .a } !>> { .b }',
  '{ .a } !< { .b }',
  '{ .a } !<< { .b }',
  '{ .a } !~ { .b }',
  '{ .a } &> { .b }',
  '{ .a } &>> { .b }',
  '{ .a } &< { .b }',
  '{ .a } &<< { .b }',
  '{ .a } &~ { .b }',
  '{ .a } | { .b }',
  '{ .a } | count() > 1',
  '{ } | avg(duration) > 1s',
  '{ } | max(1 + span.a) = 2',
  '{ } | 3 < min(span.a)',
  '{ } | sum(.x) != 5 + 1',
  'count() > 1',
  '{ } | by(resource.service.name)',
  '{ } | by(span.a + 1) | count() > 1',
  '{ } | by(name) | coalesce()',
  '{ } | select(span.a, name, resource.b)',
  'by(name)',
  'select(.a)',
  '({ .a } | count() > 1) && ({ .b } | count() > 1)',
  '({ .a }) | count() = 1',
  '{ } | rate()',
  '{ } | count_over_time() by (span.a, resource.b)',
  '{ } | sum_over_time(span.a)',
  '{ } | avg_over_time(duration) by (name)',
  '{ } | min_over_time(span.x)',
  '{ } | quantile_over_time(duration, .5, 0.99, 1) by (name)',
  '{ } | histogram_over_time(span:duration)',
  '{ } | compare({ status = error })',
  '{ } | compare({ status = error }, 5)',
  '{ } | compare({ status = error }, 5, 10, 20)',
  '{ } | rate() | topk(5)',
  '{ } | rate() by (name) | bottomk(2) > 5',
  '{ } | rate() > 0.5',
  '{ } | max_over_time(duration) > 1s',
  '({ } | rate()) / ({ } | count_over_time()) * 100',
  '({ } | rate()) + 1',
  '2 * ({ } | rate())',
  '({ } | rate() by (name)) - ({ .a } | rate() by (name))',
  '{ } with (most_recent=true)',
  '{ } | rate() with (exemplars=true)',
  '{ } | rate() by (name) | topk(3) with (sample=0.1, unknown="x")',
  '{ span.a = maxInt && span.b = minInt }',
  '{ 1 = 2 }',
  '{ name = "a" = true }',
  '{ nil = .a }',
  '{ .a = 1 } // a comment',
  '{ /* another */ span."" = 1 }',
  '{ } | sum_over_time(name)',
  '(({ } | rate()) * 2) > 1',
  '({ } | rate() by (name)) * 2 | topk(1)',
]
/** Texts that are no query: where, and why. */
const unreadable: [query: string, at: string, reason: string][] = [
  ['{', 'line 1, col 2', 'syntax error: unexpected $end'],
  ['{ .a = }', 'line 1, col 8', 'syntax error: unexpected }'],
  ['{ .a\n=\n bad }', 'line 3, col 2', 'unknown identifier: bad'],
  ['{ foo }', 'line 1, col 3', 'unknown identifier: foo'],
  ['{ childCount > 1 }', 'line 1, col 3', 'syntax error: unexpected childCount'],
  [
    '{ trace:name = "x" }',
    'line 1, col 9',
    'syntax error: unexpected name, expecting duration or rootName or rootService or id',
  ],
  ['{ span:rootName = "x" }', 'line 1, col 8', 'syntax error: unexpected rootName'],
  ['{ event:foo = "x" }', 'line 1, col 9', 'syntax error: unexpected IDENTIFIER, expecting name or timeSinceStart'],
  ['{ .a == 1 }', 'line 1, col 7', 'syntax error: unexpected ='],
  ['{ .a = "x }', 'line 1, col 8', 'literal not terminated'],
  ['{ .a = "\\q" }', 'line 1, col 8', 'invalid char escape'],
  ['{ .a = 5x }', 'line 1, col 9', 'syntax error: unexpected IDENTIFIER'],
  ['{ .a = 1.2.3 }', 'line 1, col 11', 'syntax error: unexpected FLOAT'],
  [
    '{ .a = 99999999999999999999 }',
    'line 1, col 8',
    'strconv.Atoi: parsing "99999999999999999999": value out of range',
  ],
  ['{ .a = 1e400 }', 'line 1, col 8', 'strconv.ParseFloat: parsing "1e400": value out of range'],
  ['{ .a = 0x10 }', 'line 1, col 8', 'strconv.Atoi: parsing "0x10": invalid syntax'],
  ["{ .a = 'x' }", 'line 1, col 8', "unknown identifier: 'x'"],
  ['{ status = constructor }', 'line 1, col 12', 'unknown identifier: constructor'],
  ['{ kind = toString }', 'line 1, col 10', 'unknown identifier: toString'],
  ['{ .a > nil }', 'line 1, col 12', 'syntax error: unexpected }, expecting = or !='],
  ['{ } | count()', 'line 1, col 14', 'syntax error: unexpected $end'],
  ['{ } | count() > "x"', 'line 1, col 17', 'syntax error: unexpected STRING'],
  ['{ } | foo()', 'line 1, col 7', 'syntax error: unexpected IDENTIFIER'],
  ['coalesce()', 'line 1, col 1', 'syntax error: unexpected coalesce'],
  ['{ } | select(1 + .a)', 'line 1, col 14', 'syntax error: unexpected INTEGER'],
  ['{ } | select()', 'line 1, col 14', 'syntax error: unexpected )'],
  ['{ } | select(.a + 1)', 'line 1, col 17', 'syntax error: unexpected +, expecting ) or ,'],
  ['{ } | topk(10)', 'line 1, col 7', 'syntax error: unexpected topk'],
  ['{ } | rate(', 'line 1, col 12', 'syntax error: unexpected $end, expecting )'],
  ['{ } | rate() | count() > 1', 'line 1, col 16', 'syntax error: unexpected count, expecting topk or bottomk'],
  ['{ } | rate() | topk(x)', 'line 1, col 21', 'syntax error: unexpected IDENTIFIER, expecting INTEGER'],
  ['{ } | rate() + 1', 'line 1, col 14', 'syntax error: unexpected +, expecting with'],
  ['{ } | quantile_over_time(duration)', 'line 1, col 34', 'syntax error: unexpected ), expecting ,'],
  ['{ } | rate() by ()', 'line 1, col 18', 'syntax error: unexpected )'],
  ['{ } | rate() with (a)', 'line 1, col 21', 'syntax error: unexpected ), expecting ='],
  ['1 + 1', 'line 1, col 6', 'syntax error: unexpected $end'],
  ['{ } { }', 'line 1, col 5', 'syntax error: unexpected {, expecting with'],
  ['{ } &&', 'line 1, col 7', 'syntax error: unexpected $end, expecting { or ('],
  ['({ } | by(name)) && { }', 'line 1, col 21', 'syntax error: unexpected {, expecting ('],
]

/** Queries that mean nothing, and why. */
const refused: [query: string, reason: string][] = [
  ['{ parent.a = 1 }', 'parent not yet supported'],
  ['{ parent = 1 }', 'intrinsic (parent) not yet supported'],
  ['{ .a = 1 = 2 }', 'binary operations must operate on the same type: (.a = 1) = 2'],
  ['{ name = 1 }', 'binary operations must operate on the same type: name = 1'],
  ['{ duration = "1s" }', 'binary operations must operate on the same type: duration = `1s`'],
  ['{ status = 2 }', 'binary operations must operate on the same type: status = 2'],
  ['{ status > error }', 'illegal operation for the given types: status > error'],
  ['{ kind = error }', 'binary operations must operate on the same type: kind = error'],
  ['{ true > false }', 'illegal operation for the given types: true > false'],
  ['{ name + 1 = 2 }', 'binary operations must operate on the same type: name + 1'],
  ['{ .a && 1 }', 'illegal operation for the given types: .a && 1'],
  ['{ !duration }', 'illegal operation for the given type: !duration'],
  ['{ -name = 1 }', 'illegal operation for the given type: -name'],
  ['{ .a =~ 1 }', 'illegal operation for the given types: .a =~ 1'],
  ['{ .a =~ .b }', 'invalid type for =~ or !~: .b'],
  ['{ duration =~ "x" }', 'binary operations must operate on the same type: duration =~ `x`'],
  ['{ name =~ "(" }', 'invalid regex: `(`'],
  ['{ 1 }', 'span filter field expressions must resolve to a boolean: { 1 }'],
  ['{ duration }', 'span filter field expressions must resolve to a boolean: { duration }'],
  ['{ span.a + 1 }', 'span filter field expressions must resolve to a boolean: { span.a + 1 }'],
  ['{ name = nil }', 'name=nil is not valid because intrinsics cannot be nil'],
  [
    '{ resource.service.name = nil }',
    'resource.service.name=nil is not valid because resource.service.name cannot be nil',
  ],
  ['{ } | by(1)', 'grouping field expressions must reference the span: by(1)'],
  ['{ } | avg(name) > 1', 'aggregate field expressions must resolve to a number type: avg(name)'],
  ['{ } | sum(1) > 1', 'aggregate field expressions must reference the span: sum(1)'],
  ['{ } | count() + 1 > 2', 'scalar filter lhs of type (%v) not yet supported'],
  ['{ } | count() > avg(duration)', 'scalar filter rhs of type (%v) not yet supported'],
  ['{ } | rate() | topk(0)', 'limit must be greater than 0'],
  ['{ } | quantile_over_time(duration, 1.1)', 'quantile must be between 0 and 1: 1.1'],
  ['{ } | compare({ .a }) | topk(2)', '`compare()` cannot be used with second stage functions'],
  ['({ } | compare({ .a })) * 2', '`compare()` cannot be used with second stage functions'],
  ['{ } | compare({ .a }, 0)', 'compare() top number of values must be an integer between 1 and 1000'],
  ['{ } | compare({ .a }, 1, 3, 2)', 'compare() end timestamp must be greater than start timestamp'],
  ['{ } | rate() by (.a, .b, .c, .d, .e, .f)', 'metrics group by 6 values not yet supported'],
]

test('accepted', () => {
  for (const query of accepted) assert.doesNotThrow(() => parseTraceql(query), query)
})
for (const [query, at, reason] of unreadable)
  test(`unreadable: ${query}`, () => {
    assert.throws(() => parseTraceql(query), { name: 'BadQueryError', message: `parse error at ${at}: ${reason}` })
  })
for (const [query, message] of refused)
  test(`refused: ${query}`, () => {
    assert.throws(() => parseTraceql(query), { name: 'RefusedQueryError', message })
  })

test('mutated queries are parsed or refused, nothing else', () => {
  const random = seededRandom(5)
  for (let round = 0; round < 20_000; round++) {
    let text = accepted[below(random, accepted.length)]!
    for (let n = 1 + below(random, 3); n > 0; n--) {
      const at = below(random, text.length + 1)
      text =
        below(random, 2) === 0
          ? text.slice(0, at) + text.slice(at + 1)
          : text.slice(0, at) + '{}()|&<>=!~".a1 -^'[below(random, 18)]! + text.slice(at)
    }
    try {
      parseTraceql(text)
    } catch (error) {
      if (!(error instanceof BadQueryError)) assert.fail(`${text}: ${String(error)}`)
    }
  }
  assert.throws(() => parseTraceql('('.repeat(100_000)), BadQueryError)
  assert.throws(() => parseTraceql(`{ ${'!'.repeat(100_000)}.a }`), BadQueryError)
  assert.throws(() => parseTraceql(`{ ${'-'.repeat(100_000)}.a = 1 }`), BadQueryError)
})

test('durations as Go prints them', () => {
  assert.deepEqual([0, 5, 1500, 1_500_000, 2e9, 61.5e9, 3.6e12, -1e6].map(durationText), [
    '0s',
    '5ns',
    '1.5µs',
    '1.5ms',
    '2s',
    '1m1.5s',
    '1h0m0s',
    '-1ms',
  ])
})
