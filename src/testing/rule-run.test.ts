/** Rules over made-up series and over recordings. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTercet } from '#library/instance.ts'
import { TelemetryAssertionError } from './failure.ts'
import { expectRules } from './rule-expectations.ts'
import { runRules } from './rule-run.ts'

const rules = `
groups:
  - name: availability
    interval: 30s
    rules:
      - record: job:errors:ratio
        expr: sum by (job) (rate(errors_total[2m])) / sum by (job) (rate(requests_total[2m]))
      - alert: ManyErrors
        expr: job:errors:ratio > 0.1
        for: 2m
        labels: { severity: page }
      - alert: Down
        expr: up == 0
        for: 5m
`

test('an alert fires in time over made-up series, and one over a recorded series, too', async () => {
  const run = await runRules({
    rules,
    over: {
      series: ['requests_total{job="a"} 0+100x30', 'errors_total{job="a"} 0x10 20+20x19', 'up{job="a"} 1x30'],
      interval: '30s',
    },
  })
  assert.equal(run.durationMs, 900_000)
  assert.deepEqual(run.alerts, ['ManyErrors', 'Down'])
  assert.deepEqual(run.errors, [])
  const expect = expectRules(run)
  // Errors begin after five minutes.
  expect.toFire('ManyErrors', { within: '9m', labels: { job: 'a', severity: 'page' } })
  expect.toNeverFire('Down')
  expect.toNeverFire('ManyErrors', { labels: { job: 'b' } })
  const tooLate = (error: unknown): boolean =>
    error instanceof TelemetryAssertionError && /within 5m, it does so first at \d+m/.test(error.message)
  assert.throws(() => expect.toFire('ManyErrors', { within: '5m' }), tooLate)
  assert.throws(() => expect.toFire('Down'), /it never does/)
  assert.throws(
    () => expect.toNeverFire('ManyErrors'),
    /it fires 1 times\n {2}ManyErrors\{job="a", severity="page"\} from/,
  )
  assert.throws(() => expect.toNeverFire('Dwon'), /no rule has the alert Dwon; there are ManyErrors, Down/)
})

test('gaps and staleness markers end what fires', async () => {
  const run = await runRules({
    rules: "groups: [{ name: g, interval: 15s, rules: [{ alert: Down, expr: 'up == 0' }] }]",
    over: { series: ['up 0x5 stale 0x5 1x5'], interval: '1m' },
  })
  assert.equal(run.firings.length, 2)
  assert.ok(run.firings[0]!.toMs < 390_000, String(run.firings[0]!.toMs))
})

test('a recording goes by again, with lines for rules in LogQL', async () => {
  const from = Date.parse('2026-03-01T12:00:00Z')
  await using tercet = await startTercet({ http: false, time: { startAt: from } })
  for (let i = 0; i < 20; i++) {
    await tercet.addMetrics([{ name: 'up', labels: { job: 'a' }, value: i < 5 ? 1 : 0 }])
    if (i >= 10) await tercet.addLogs([{ labels: { app: 'shop' }, line: `panic ${i}` }])
    await tercet.clock.advance('1m')
  }
  const run = await runRules({
    rules: `${rules}
  - name: lines
    interval: 30s
    rules:
      - alert: Panic
        expr: sum(count_over_time({app="shop"} |= "panic" [1m])) > 0
`,
    over: { recorded: tercet, from, to: tercet.clock.nowMs(), logs: '{app="shop"}' },
  })
  assert.deepEqual(run.errors, [])
  const expect = expectRules(run)
  expect.toFire('Down', { within: '11m' })
  expect.toFire('Panic', { within: '11m' })
  assert.throws(() => expect.toFire('Panic', { within: '9m' }))
  expect.toNeverFire('ManyErrors')
})

test('a misspelt option is refused, and not left out', async () => {
  const over = { series: ['up 0x20'] }
  await assert.rejects(runRules({ rules, over, durration: '5m' } as never), /runRules has no "durration"/)
  await assert.rejects(
    runRules({ rules, over: { serie: [] } } as never),
    /over has no "serie"; the nearest is "series"/,
  )
  await assert.rejects(runRules({ rules, over: { interval: '1m' } } as never), /over has series, or recorded/)
  const expect = expectRules(await runRules({ rules, over, duration: '1m' }))
  assert.throws(() => {
    expect.toNeverFire('Down', { within: '1m' } as never)
  }, /toNeverFire has no "within"; it has labels/)
})
