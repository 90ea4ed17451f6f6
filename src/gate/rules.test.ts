/** gate.yml: what it may say, and what is refused with its place. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { kinds, ruleOf } from './rule-table.ts'
import { parseRules, Rules } from './rules.ts'

const parse = (text: string): Rules => parseRules(text, 'gate.yml')

test('an empty file is the defaults', () => {
  const rules = parse('')
  for (const kind of kinds) assert.equal(rules.severityOf(kind), ruleOf(kind).severity)
  assert.equal(rules.threshold('latency', 'factor'), ruleOf('latency').thresholds['factor']!.fallback)
  assert.equal(rules.reading('traces'), 5000)
  assert.ok(!rules.isIgnored('latency', { route: 'GET /' }))
})

test('thresholds, severities, lists of what is ignored, and bounds of reading', () => {
  const rules = parse(`
ignore:
  service: [load-.*]
latency:
  severity: warn
  factor: 1.8
  ignore:
    route: ['GET /slow/.*']
new_metrics: { severity: off }
reading:
  traces: 100
`)
  assert.equal(rules.severityOf('latency'), 'warn')
  assert.equal(rules.threshold('latency', 'factor'), 1.8)
  assert.equal(rules.threshold('latency', 'milliseconds'), 20)
  assert.equal(rules.severityOf('new_metrics'), 'off')
  assert.equal(rules.reading('traces'), 100)
  assert.ok(rules.isIgnored('queries', { service: 'load-test' }))
  assert.ok(rules.isIgnored('latency', { service: 'web', route: 'GET /slow/a' }))
  assert.ok(!rules.isIgnored('queries', { service: 'web', route: 'GET /slow/a' }))
  assert.ok(!rules.isIgnored('queries', { service: 'my-load-test' }))
})

const wrong: readonly (readonly [text: string, message: RegExp])[] = [
  ['latencyy: {}', /gate\.yml:1:11: latencyy: unknown key; the nearest is "latency"/],
  ['latency:\n  facto: 2', /gate\.yml:2:10: latency\.facto: unknown key; the nearest is "factor"/],
  ['latency:\n  factor: 0.5', /gate\.yml:2:11: latency\.factor: 0\.5 is below 1/],
  ['latency:\n  factor: fast', /gate\.yml:2:11: latency\.factor: "fast" is no number/],
  ['latency:\n  chance: 2', /is not between 0 and 0\.5/],
  ['new_errors:\n  share: 5', /is not between 0 and 1/],
  ['queries:\n  increase: -1', /-1 is no number from 0 on/],
  ['queries:\n  increase: .inf', /is no number/],
  ['queries:\n  severity: fial', /gate\.yml:2:13: queries\.severity: "fial" is not one of fail, warn, info, off/],
  ['ignore:\n  servce: [a]', /gate\.yml:2:11: ignore\.servce: unknown key; the nearest is "service"/],
  ['ignore:\n  service: a', /a list was expected/],
  ['ignore:\n  service: ["(a"]', /gate\.yml:2:13: ignore\.service\[0\]: error parsing regexp/],
  ['reading:\n  traces: 0', /0 reads nothing/],
  ['reading:\n  traces: 1.5', /is no whole number/],
  ['latency: 5', /a section \(names with values\) was expected/],
  ['latency: {}\nlatency: {}', /gate\.yml:2:1: Map keys must be unique/],
  ['latency: [', /gate\.yml:1:/],
]
for (const [text, message] of wrong)
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parse(text), { name: 'BadDataError', message })
  })

test('an expression that would take for ever does not', () => {
  const rules = parse("ignore:\n  pattern: ['(a+)+b']")
  assert.ok(!rules.isIgnored('new_log_errors', { pattern: 'a'.repeat(10_000) }))
})

test('docs/ci-gate.md has the table of rules as it is', () => {
  const { stdout } = spawnSync(process.execPath, ['tools/gate-docs.ts'], { encoding: 'utf8' })
  assert.ok(stdout.length > 1000)
  assert.ok(
    readFileSync('docs/ci-gate.md', 'utf8').includes(stdout.trim()),
    'node tools/gate-docs.ts prints the tables for docs/ci-gate.md',
  )
})
