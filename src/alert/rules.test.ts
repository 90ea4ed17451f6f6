/** The states of alerts over time, as tables; what rules write; limits; restarts. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Labels } from '#model/labels.ts'
import type { AlertState } from './alert.ts'
import type { GroupSettings, RuleSettings } from './rules-file.ts'
import { Rule, type RuleContext, type RuleSample } from './rules.ts'

const minuteMs = 60_000
const settingsOf = (more: Partial<RuleSettings>): RuleSettings => ({
  kind: 'alerting',
  name: 'A',
  expr: 'x',
  language: 'promql',
  forMs: 0,
  keepFiringForMs: 0,
  labels: [],
  annotations: [],
  ...more,
})
const groupOf = (more: Partial<GroupSettings> = {}): GroupSettings => ({
  file: 'f',
  owner: undefined,
  name: 'g',
  intervalMs: minuteMs,
  queryOffsetMs: undefined,
  limit: 0,
  labels: [],
  tenant: undefined,
  sourceTenants: [],
  rules: [],
  notes: [],
  ...more,
})
const contextOf = (query: RuleContext['query']): RuleContext => ({
  query,
  templateQuery: () => () => Promise.resolve([]),
  externalLabels: [],
  externalUrl: 'http://t',
})
const sample = (labels: Record<string, string>, value = 1): RuleSample => ({
  labels: Labels.fromObject(labels),
  value,
  histogram: undefined,
})
const letters: Record<AlertState, string> = { pending: 'p', firing: 'F', inactive: 'r' }

/**
 * A minute a column. `found`: `x` where the expression finds the series; `states`: p pending, F firing, r resolved,
 * . no alert.
 */
const timelines = [
  {
    name: 'without `for` an alert fires at once and is resolved at once',
    for: 0,
    keep: 0,
    found: 'xx--x',
    states: 'FFrrF',
  },
  { name: '`for` makes it wait', for: 2, keep: 0, found: 'xxxx-', states: 'ppFFr' },
  { name: 'a pending alert that ends leaves nothing', for: 2, keep: 0, found: 'xx-xxx', states: 'pp.ppF' },
  { name: '`keep_firing_for` holds it', for: 0, keep: 2, found: 'x----', states: 'FFFrr' },
  {
    name: 'an alert that comes back while it is held goes on firing',
    for: 0,
    keep: 2,
    found: 'x-x---',
    states: 'FFFFFr',
  },
  { name: 'a held alert that waited fires without waiting again', for: 1, keep: 2, found: 'xx-xx', states: 'pFFFF' },
  { name: 'a resolved alert waits again', for: 1, keep: 0, found: 'xx-xx', states: 'pFrpF' },
  {
    name: 'a resolved alert is kept for fifteen minutes',
    for: 0,
    keep: 0,
    found: 'x-----------------',
    states: 'Frrrrrrrrrrrrrrrr.',
  },
]
for (const line of timelines)
  test(`states: ${line.name}`, async () => {
    const rule = new Rule(settingsOf({ forMs: line.for * minuteMs, keepFiringForMs: line.keep * minuteMs }), groupOf())
    let states = ''
    for (const [i, mark] of [...line.found].entries()) {
      await rule.evaluate(
        i * minuteMs,
        0,
        contextOf(() => Promise.resolve(mark === 'x' ? [sample({ a: '1' })] : [])),
      )
      const [alert] = rule.active.values()
      states += alert === undefined ? '.' : letters[alert.state]
    }
    assert.equal(states, line.states)
  })

test('labels: the sample without its name, group, rule, alertname; templates see the sample', async () => {
  const rule = new Rule(
    settingsOf({
      labels: [
        ['team', 'r'],
        ['shown', '{{ $labels.a }}={{ $value }}'],
      ],
      annotations: [
        ['good', 'of {{ $labels.__name__ }}'],
        ['bad', '{{ $labels.a | humanize }}'],
      ],
    }),
    groupOf({
      labels: [
        ['team', 'g'],
        ['zone', 'z'],
      ],
    }),
  )
  const written = await rule.evaluate(
    0,
    0,
    contextOf(() => Promise.resolve([sample({ __name__: 'm', a: 'b' }, 7)])),
  )
  const [alert] = rule.active.values()
  assert.equal(alert?.labels.toString(), '{a="b", alertname="A", shown="b=7", team="r", zone="z"}')
  assert.equal(alert?.annotations.get('good'), 'of m')
  assert.match(alert?.annotations.get('bad') ?? '', /^<error expanding template: .*ParseFloat/)
  assert.deepEqual(
    written.map(s => [s.labels.get('__name__'), s.labels.get('alertstate'), s.value]),
    [
      ['ALERTS', 'firing', 1],
      ['ALERTS_FOR_STATE', '', 0],
    ],
  )
})

test('a recording rule writes its name and labels over the samples', async () => {
  const rule = new Rule(settingsOf({ kind: 'recording', name: 'r', labels: [['l', '1']] }), groupOf())
  const written = await rule.evaluate(
    0,
    0,
    contextOf(() => Promise.resolve([sample({ __name__: 'm', a: 'b' }, 3)])),
  )
  assert.deepEqual(
    written.map(s => [s.labels.toString(), s.value]),
    [['r{a="b", l="1"}', 3]],
  )
})

test('two samples that become one series or one alert are an error', async () => {
  const both = contextOf(() => Promise.resolve([sample({ __name__: 'a' }), sample({ __name__: 'b' })]))
  await assert.rejects(new Rule(settingsOf({ kind: 'recording' }), groupOf()).evaluate(0, 0, both), /same labelset/)
  await assert.rejects(new Rule(settingsOf({}), groupOf()).evaluate(0, 0, both), /same labelset/)
})

test('over the limit of its group a rule fails, and an alerting one forgets its alerts', async () => {
  const three = contextOf(() => Promise.resolve(['1', '2', '3'].map(a => sample({ a }))))
  const group = groupOf({ limit: 2 })
  await assert.rejects(
    new Rule(settingsOf({ kind: 'recording' }), group).evaluate(0, 0, three),
    /limit of 2 with 3 series/,
  )
  const rule = new Rule(settingsOf({}), group)
  await assert.rejects(rule.evaluate(0, 0, three), /limit of 2 with 3 alerts/)
  assert.equal(rule.active.size, 0)
})

test('an expression is evaluated at the moment without the offset', async () => {
  const asked: number[] = []
  const rule = new Rule(settingsOf({}), groupOf())
  await rule.evaluate(
    100_000,
    30_000,
    contextOf((_, atMs) => (asked.push(atMs), Promise.resolve([]))),
  )
  assert.deepEqual(asked, [70_000])
})

test('alerts are due at once, again after the resend delay, and once more when they are resolved', async () => {
  const rule = new Rule(settingsOf({}), groupOf())
  const due: number[] = []
  for (let i = 0; i < 8; i++) {
    const atMs = 1e9 + i * 30_000
    await rule.evaluate(
      atMs,
      0,
      contextOf(() => Promise.resolve(i < 6 ? [sample({ a: '1' })] : [])),
    )
    due.push(rule.due(atMs, minuteMs, 30_000).length)
  }
  assert.deepEqual(due, [1, 0, 0, 1, 0, 0, 1, 0])
})

/** Minutes: `for`, since when the stored series says that the alert is active, its last sample; now is minute 60. */
const restarts = [
  { name: 'the wait was over', for: 10, since: 30, last: 45, active: 30 },
  { name: 'nearly over: ten minutes of grace', for: 20, since: 40, last: 58, active: 50 },
  { name: 'the outage does not count', for: 40, since: 20, last: 30, active: 50 },
]
for (const { name, for: forMinutes, since, last, active } of restarts)
  test(`after a restart: ${name}`, async () => {
    const rule = new Rule(settingsOf({ forMs: forMinutes * minuteMs }), groupOf())
    await rule.evaluate(
      60 * minuteMs,
      0,
      contextOf(() => Promise.resolve([sample({ a: '1' })])),
    )
    const [alert] = rule.active.values()
    assert.ok(alert)
    const stored = new Map([[alert.labels.key, { activeMs: since * minuteMs, lastMs: last * minuteMs }]])
    rule.restore(stored, 60 * minuteMs, 10 * minuteMs)
    assert.equal(alert.activeMs / minuteMs, active)
  })
