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
]
const refused: [string, RegExp][] = [
  ['', /unexpected/],
  ['{', /unexpected \$end/],
  ['{ .a = }', /line 1, col 8/],
  ['{ foo }', /unknown identifier: foo/],
  ['{ trace:name = "x" }', /unknown identifier/],
  ['{ span:rootName = "x" }', /unknown identifier/],
  ['{ trace:rootServiceName = "x" }', /unknown identifier/],
  ['{ parent.a = 1 }', /not yet supported/],
  ['{ .a == 1 }', /unexpected/],
  ['{ .a = 1 = 2 }', /unexpected/],
  ['{ .a = "x }', /not terminated/],
  ['{ .a = 5x }', /unit/],
  ['{ name = 1 }', /illegal operation/],
  ['{ duration = "1s" }', /illegal operation/],
  ['{ status = 2 }', /illegal operation/],
  ['{ status = constructor }', /./],
  ['{ kind = toString }', /./],
  ['{ status > error }', /illegal operation/],
  ['{ kind = error }', /illegal operation/],
  ['{ true > false }', /illegal operation/],
  ['{ name + 1 = 2 }', /illegal operation/],
  ['{ .a && 1 }', /illegal operation/],
  ['{ !duration }', /illegal operation/],
  ['{ -name = 1 }', /illegal operation/],
  ['{ .a =~ 1 }', /illegal operation/],
  ['{ duration =~ "x" }', /illegal operation/],
  ['{ name =~ "(" }', /invalid regex/],
  ['{ 1 }', /boolean/],
  ['{ duration }', /boolean/],
  ['{ span.a + 1 }', /boolean/],
  ['{ 1 = 1 }', /reference the span/],
  ['{ name = nil }', /nil/],
  ['{ resource.service.name = nil }', /nil/],
  ['{ } | by(1)', /reference the span/],
  ['{ } | avg(name) > 1', /number/],
  ['{ } | sum(1) > 1', /reference the span/],
  ['{ } | count()', /comparison/],
  ['{ } | count() + 1 > 2', /not yet supported/],
  ['{ } | count() > avg(duration)', /not yet supported|constant/],
  ['coalesce()', /first stage/],
  ['{ } | select(1 + .a)', /expected/],
  ['{ } | select()', /expected/],
  ['{ } | topk(10)', /unknown identifier|unexpected/],
  ['{ } | rate() | topk(0)', /greater than 0/],
  ['{ } | rate() | count() > 1', /topk or bottomk/],
  ['{ } | quantile_over_time(duration, 1.1)', /between 0 and 1/],
  ['{ } | quantile_over_time(duration)', /quantile/],
  ['{ } | sum_over_time(name)', /number/],
  ['{ } | compare({ .a }) | topk(2)', /nothing may follow/],
  ['{ } | compare({ .a }, 0)', /between 1 and 1000/],
  ['{ } | rate() by (.a, .b, .c, .d, .e, .f)', /not supported/],
  ['{ } | rate() by ()', /expected/],
  ['3 = 2', /expected/],
  ['1 + 1', /constant/],
  ['{ } { }', /unexpected/],
  ['{ } | rate() with (a)', /expected/],
  ['{ } &&', /unexpected/],
]

test('accepted', () => {
  for (const query of accepted) assert.doesNotThrow(() => parseTraceql(query), query)
})
for (const [query, reason] of refused) {
  test(`refused: ${query}`, () => {
    assert.throws(
      () => parseTraceql(query),
      (error: unknown) =>
        (error instanceof BadQueryError &&
          /^invalid TraceQL query: parse error at line \d+, col \d+: /.test(error.message) &&
          reason.test(error.message)) ||
        assert.fail(String(error)),
    )
  })
}

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
