/** Parameters of Jaeger's search: the TraceQL that they mean. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { readSearch } from './params.ts'

const nowMs = 10_000_000

test('service, operation, tags and durations are conditions of TraceQL', () => {
  const service = 'resource.service.name = "s"'
  const cases: [parameters: [string, string][], condition: string][] = [
    [[], service],
    [[['operation', 'all']], service],
    [[['operation', 'get']], `${service} } | { name = "get"`],
    // A tag is looked for in the logs of a span too.
    [[['tag', 'a:b:c']], `${service} } | { ."a" = "b:c" || event."a" = "b:c"`],
    [[['tags', '{"a":"b"}']], `${service} } | { ."a" = "b" || event."a" = "b"`],
    [[['tag', 'event:e']], `${service} } | { ."event" = "e" || event."event" = "e" || event:name = "e"`],
    [[['tags', '']], service],
    [
      [
        ['tags', '{"b":true}'],
        ['tag', 'a:1.5'],
      ],
      `${service} } | { ."a" = "1.5" || ."a" = 1.5 || event."a" = "1.5" || event."a" = 1.5 } | ` +
        '{ ."b" = "true" || ."b" = true || event."b" = "true" || event."b" = true',
    ],
    [[['tag', 'a:x"\\y']], `${service} } | { ."a" = "x\\"\\\\y" || event."a" = "x\\"\\\\y"`],
    [[['tag', 'error:true']], `${service} } | { status = error`],
    [[['tag', 'error:false']], `${service} } | { status != error`],
    [[['tag', 'span.kind:server']], `${service} } | { kind = server`],
    [[['tag', 'span.kind:odd']], `${service} } | { ."span.kind" = "odd" || event."span.kind" = "odd"`],
    [[['tag', 'otel.status_code:error']], `${service} } | { status = error`],
    [[['tag', 'otel.status_code:OK']], `${service} } | { status = ok`],
    [[['tag', 'otel.status_code:other']], `${service} } | { status = unset`],
    [[['tag', 'otel.status_description:d']], `${service} } | { statusMessage = "d"`],
    [[['tag', 'otel.scope.name:n']], `${service} } | { instrumentation:name = "n"`],
    [
      [
        ['minDuration', '1ms'],
        ['maxDuration', '2s'],
      ],
      `${service} } | { duration >= 1ms } | { duration <= 2s`,
    ],
  ]
  for (const [parameters, condition] of cases) {
    const { stages } = readSearch(new URLSearchParams([['service', 's'], ...parameters]), nowMs)
    const parsed = parseTraceql(`{ ${condition} }`)
    assert.ok(parsed.kind !== 'metrics')
    assert.deepEqual(stages, parsed.stages, condition)
  }
})

test('times are microseconds, the last hour where none is said; limits have a most and a fallback', () => {
  const cases: [query: string, fromMs: number, throughMs: number, limit: number][] = [
    ['', nowMs - 3_600_000, nowMs, 20],
    ['end=7000000', 7000 - 3_600_000, 7000, 20],
    ['start=5000&end=7000&limit=5', 5, 7, 5],
    ['limit=0', nowMs - 3_600_000, nowMs, 20],
    ['limit=100000', nowMs - 3_600_000, nowMs, 1500],
  ]
  for (const [query, fromMs, throughMs, limit] of cases) {
    const search = readSearch(new URLSearchParams(`service=s&${query}`), nowMs)
    assert.deepEqual([search.fromMs, search.throughMs, search.limit], [fromMs, throughMs, limit], query)
  }
})

test('a wrong parameter is refused with the words of Jaeger', () => {
  const cases: [query: string, message: string | RegExp][] = [
    ['', "parameter 'service' is required"],
    ['service=s&tag=novalue', "malformed 'tag' parameter, expecting key:value, received: novalue"],
    ['service=s&tag=:v', "malformed 'tag' parameter, expecting key:value, received: :v"],
    ['service=s&tags=[', /^malformed 'tags' parameter, cannot unmarshal JSON: /],
    ['service=s&tags=[1]', 'malformed \'tags\' parameter: a JSON object of texts was expected, "[1]" is none'],
    ['service=s&minDuration=x', 'unable to parse param \'minDuration\': "x" is no duration'],
    ['service=s&start=x', 'unable to parse param \'start\': "x" is no time in microseconds'],
    ['service=s&start=7&end=5', "'start' must be before 'end'"],
    ['service=s&limit=x', 'unable to parse param \'limit\': "x" is no count'],
  ]
  for (const [query, message] of cases)
    assert.throws(() => readSearch(new URLSearchParams(query), nowMs), { name: 'BadDataError', message }, query)
})
