/** Files of rules: what they mean, and where and how they are refused. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { readRulesFile } from './rules-file.ts'

test('a group with its rules, durations in milliseconds, languages found or named', () => {
  const [group, loki] = readRulesFile(
    `
groups:
  - name: g
    interval: 1m
    query_offset: 5s
    limit: 10
    labels: { team: a }
    rules:
      - { record: 'job:up:sum', expr: sum by (job) (up), labels: { kind: r } }
      - { alert: Down, expr: up == 0, for: 2m, keep_firing_for: 90s, annotations: { summary: '{{ $value }}' } }
  - { name: l, type: loki, rules: [{ record: a, expr: 'sum(rate({app="x"}[1m]))' }] }
`,
    'rules.yml',
  )
  assert.deepEqual(group, {
    file: 'rules.yml',
    owner: undefined,
    name: 'g',
    intervalMs: 60_000,
    queryOffsetMs: 5000,
    limit: 10,
    labels: [['team', 'a']],
    tenant: undefined,
    sourceTenants: [],
    rules: [
      {
        kind: 'recording',
        name: 'job:up:sum',
        expr: 'sum by (job) (up)',
        language: 'promql',
        forMs: 0,
        keepFiringForMs: 0,
        labels: [['kind', 'r']],
        annotations: [],
      },
      {
        kind: 'alerting',
        name: 'Down',
        expr: 'up == 0',
        language: 'promql',
        forMs: 120_000,
        keepFiringForMs: 90_000,
        labels: [],
        annotations: [['summary', '{{ $value }}']],
      },
    ],
    notes: [],
  })
  assert.equal(loki?.rules[0]?.language, 'logql')
  assert.equal(loki?.intervalMs, undefined)
})

test('an empty file has no groups', () => {
  assert.deepEqual(readRulesFile('', 'r.yml'), [])
})

const rule = (text: string): string => `groups:\n  - name: g\n    rules:\n      - { ${text} }\n`
const refusals: readonly (readonly [string, RegExp])[] = [
  [rule('expr: up'), /^r\.yml:4:\d+: .*one of 'record' or 'alert' must be set/],
  [rule('record: a, alert: b, expr: up'), /only one of 'record' and 'alert' must be set/],
  [rule('record: a'), /field 'expr' must be set in rule/],
  [rule('record: a, expr: "sum("'), /^r\.yml:4:\d+: .*could not parse expression/],
  [rule('record: a, expr: up, for: 1m'), /invalid field 'for' in recording rule/],
  [rule('record: a, expr: up, keep_firing_for: 1m'), /invalid field 'keep_firing_for' in recording rule/],
  [rule('record: a, expr: up, annotations: { a: b }'), /invalid field 'annotations' in recording rule/],
  [rule('record: "a\\nb", expr: up'), /invalid recording rule name/],
  [rule('alert: a, expr: up, labels: { __name__: x }'), /invalid label name: "__name__"/],
  [rule('alert: a, expr: up, labels: { l: "{{ nosuch }}" }'), /label "l": .*nosuch/],
  [rule('alert: a, expr: up, annotations: { l: "{{ .Labels" }'), /annotation "l": /],
  [rule('alert: a, expr: up, for: soon'), /^r\.yml:4:\d+: /],
  [rule('alert: a, expr: up, fore: 1m'), /^r\.yml:4:\d+: .*fore/],
  ['groups: [{ name: "" }]', /groupname must not be empty/],
  ['groups:\n  - name: g\n  - name: g\n', /^r\.yml:3:\d+: .*groupname: "g" is repeated in the same file/],
  ['groups: [{ name: g, type: sql, rules: [{ record: a, expr: up }] }]', /unknown type "sql"/],
  ['groups: [{ name: g, type: tempo, rules: [{ record: a, expr: "{}" }] }]', /a TraceQL rule needs a metrics query/],
]

for (const [text, message] of refusals)
  test(`refused: ${text.replaceAll(/\s+/g, ' ')}`, () => {
    assert.throws(
      () => readRulesFile(text, 'r.yml'),
      (error: unknown) => error instanceof BadDataError && message.test(error.message),
    )
  })

test('every fault of a file is told at once, each with its place', () => {
  const text = `groups:
  - name: a
    rules:
      - { record: x, expr: sum( }
      - { alert: y, expr: rate(foo), for: soon, annotations: { s: '{{ nosuch }}' } }
      - { record: 'bad{', expr: 1 }
      - { record: good, expr: 1 }
  - { name: a, limit: many }
`
  assert.throws(
    () => readRulesFile(text, 'r.yml'),
    (error: unknown) => {
      assert.ok(error instanceof BadDataError)
      const faults = error.message.split('\n').map(line => /^r\.yml:(\d+):\d+: (.*)$/.exec(line)?.slice(1))
      const expected: [string, RegExp][] = [
        ['4', /unclosed left parenthesis/],
        ['5', /expected type range vector/],
        ['5', /not a valid duration/],
        ['5', /annotation "s": .*nosuch/],
        ['6', /braces present in the recording rule name/],
        ['8', /groupname: "a" is repeated/],
        ['8', /"many" is no whole number/],
      ]
      assert.equal(faults.length, expected.length, error.message)
      for (const [i, [line, reason]] of expected.entries()) {
        assert.equal(faults[i]?.[0], line)
        assert.match(faults[i]?.[1] ?? '', reason)
      }
      return true
    },
  )
})

test("settings of other rulers that are not carried out are named in the group's notes", () => {
  const text = 'groups: [{ name: g, concurrency: 2, tenant: t, headers: ["a: b"], rules: [{ record: a, expr: up }] }]'
  const [group] = readRulesFile(text, 'r.yml')
  assert.deepEqual(
    group?.notes.map(note => /groups\[0\]\.\w+/.exec(note)?.[0]),
    ['groups[0].headers', 'groups[0].tenant'],
  )
})

test('with tenancy a group says whose it is, and whose data it reads', () => {
  const read = (keys: string) => readRulesFile(`groups: [{ name: g, ${keys} }]`, 'r.yml', {}, true)[0]
  const group = read('tenant: a, source_tenants: [c, b, b]')
  assert.deepEqual([group?.tenant, group?.sourceTenants, group?.notes], ['a', ['b', 'c'], []])
  assert.throws(() => read('tenant: a|b'), /^BadDataError: r\.yml:1:\d+: groups\[0\]\.tenant: .*names several tenants/)
  assert.throws(() => read('source_tenants: [index]'), /source_tenants: .* is reserved/)
})
