/** Alerts and dashboards of the chart about Tercet itself: they ask for metrics that there are, and fire. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { needs, programPath } from '../peers.ts'
import { runTercet } from '../run-tercet.ts'
import { urlOf } from '../url.ts'

interface Rule {
  alert: string
  expr: string
  for?: string
  labels: { severity: string }
  annotations: { summary: string; description: string }
}
const rulesText = readFileSync('deploy/chart/rules/tercet.yml', 'utf8')
const { groups } = parse(rulesText) as { groups: { rules: Rule[] }[] }
const alerts = groups.flatMap(group => group.rules)

interface Dashboard {
  uid: string
  panels: { title: string; targets: { expr: string }[] }[]
}
const dashboards = readdirSync('deploy/chart/dashboards').map(
  file => JSON.parse(readFileSync(join('deploy/chart/dashboards', file), 'utf8')) as Dashboard,
)

const metricsOf = (expression: string): string[] => expression.match(/\b(tercet|process)_[a-z0-9_]+/g) ?? []

test('every metric of alerts and dashboards is at /metrics of a server or an agent', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-own-metrics-'))
  const receiver = await runTercet([])
  const log = join(directory, 'log')
  const agent = await runTercet([
    'role=agent',
    `agent.remote_write=${receiver.url}/api/v1/write`,
    `agent.loki=${receiver.url}/loki/api/v1/push`,
    `agent.log_directory=${log}`,
  ])
  try {
    // Requests are counted once there was one.
    await (await fetch(urlOf(receiver.url, '/api/v1/query', { query: '1' }))).text()
    const texts = await Promise.all([receiver.url, agent.url].map(async url => (await fetch(`${url}/metrics`)).text()))
    const known = new Set(texts.join('\n').match(/^[a-z_]+/gm))
    const asked = [
      ...alerts.map(a => a.expr),
      ...dashboards.flatMap(d => d.panels.flatMap(p => p.targets.map(t => t.expr))),
    ]
    const unknown = [...new Set(asked.flatMap(metricsOf))].filter(name => !known.has(name))
    assert.deepEqual(unknown, [])
    assert.ok(new Set(asked.flatMap(metricsOf)).size > 30)
    // And each is an expression that is understood.
    for (const expression of asked) {
      const plain = expression.replaceAll('$__rate_interval', '5m').replaceAll(/\$(job|instance)/g, '.*')
      const reply = await fetch(urlOf(receiver.url, '/api/v1/query', { query: plain }))
      assert.equal(reply.status, 200, `${expression}: ${await reply.text()}`)
    }
  } finally {
    await agent.stop()
    await receiver.stop()
    rmSync(directory, { recursive: true, force: true })
  }
})

/** Series that make an alert fire, and labels that it then has. */
const firing: Readonly<Record<string, { series: Record<string, string>; labels?: Record<string, string> }>> = {
  TercetDown: { series: {} },
  TercetRefusesWrites: { series: { 'tercet_signal_problem{signal="logs"}': '1x240' }, labels: { signal: 'logs' } },
  TercetDegraded: { series: { 'tercet_signal_warning{signal="logs"}': '1x240' }, labels: { signal: 'logs' } },
  TercetBucketAway: { series: { 'tercet_bucket_away{signal="logs"}': '1x240' }, labels: { signal: 'logs' } },
  TercetUploadsFail: {
    series: { 'tercet_upload_failures_total{signal="logs"}': '0+1x240' },
    labels: { signal: 'logs' },
  },
  TercetBlocksDamaged: { series: { 'tercet_blocks_damaged{signal="logs"}': '2x240' }, labels: { signal: 'logs' } },
  TercetRecordsLost: {
    series: { 'tercet_wal_lost_records_total{signal="logs"}': '0+1x240' },
    labels: { signal: 'logs' },
  },
  TercetReplaySkippedRecords: {
    series: { 'tercet_wal_replay_skipped{signal="logs"}': '3x240' },
    labels: { signal: 'logs' },
  },
  TercetMemoryShort: { series: { tercet_memory_total_bytes: '95x240', tercet_memory_total_limit_bytes: '100x240' } },
  TercetRefusesForMemory: {
    series: { 'tercet_memory_refused_total{account="heads"}': '0+1x240' },
    labels: { account: 'heads' },
  },
  TercetQueriesRefused: { series: { tercet_queries_refused_total: '0+1x240' } },
  TercetRestarts: { series: { process_start_time_seconds: '0+60x240', tercet_build_info: '1x240' } },
  TercetRulesFail: { series: { tercet_rule_evaluation_failures: '1x240' } },
  TercetAlertsDropped: { series: { tercet_alerts_dropped_total: '0+1x240' } },
  TercetNotificationsFail: {
    series: { tercet_notification_failures_total: '0+1x240', tercet_notifications_total: '0+2x240' },
  },
  TercetFileWrong: { series: { tercet_changed_file_wrong: '1x240' } },
  TercetAgentDrops: {
    series: { 'tercet_agent_queue_dropped_bytes_total{remote="r"}': '0+9x240' },
    labels: { remote: 'r' },
  },
  TercetAgentQueueGrows: {
    series: { 'tercet_agent_queue_bytes{remote="r"}': '200000000x240' },
    labels: { remote: 'r' },
  },
  TercetAgentRefused: {
    series: { 'tercet_agent_samples_refused_total{remote="r"}': '0+9x240' },
    labels: { remote: 'r' },
  },
}

const withLabels = (series: string): string =>
  series.includes('{') ? series.replace('}', ',job="tercet",instance="i"}') : `${series}{job="tercet",instance="i"}`

/** In promtool's form: after two hours the alert fires, and where all is well it does not. */
function unitTests(): string {
  const calm = [
    { series: 'tercet_build_info{job="tercet",instance="i"}', values: '1x240' },
    { series: 'tercet_memory_total_bytes{job="tercet",instance="i"}', values: '10x240' },
    { series: 'tercet_memory_total_limit_bytes{job="tercet",instance="i"}', values: '100x240' },
    { series: 'process_start_time_seconds{job="tercet",instance="i"}', values: '5x240' },
    { series: 'process_start_time_seconds{job="other",instance="i"}', values: '0+60x240' },
    { series: 'tercet_notifications_total{job="tercet",instance="i"}', values: '0+9x240' },
    { series: 'tercet_notification_failures_total{job="tercet",instance="i"}', values: '0x240' },
    { series: 'tercet_signal_problem{job="tercet",instance="i",signal="logs"}', values: '0x240' },
  ]
  const tests = alerts.map(({ alert, labels }) => {
    const { series, labels: more = {} } = firing[alert]!
    const own = alert === 'TercetDown' ? {} : { job: 'tercet', instance: 'i' }
    return {
      name: alert,
      interval: '1m',
      input_series: Object.entries(series).map(([name, values]) => ({ series: withLabels(name), values })),
      promql_expr_test: [
        {
          expr: `count without (alertstate) (ALERTS{alertname="${alert}",alertstate="firing"})`,
          eval_time: '2h',
          exp_samples: [
            { labels: stringLabels({ alertname: alert, severity: labels.severity, ...own, ...more }), value: 1 },
          ],
        },
      ],
    }
  })
  const nothing = {
    name: 'all is well',
    interval: '1m',
    input_series: calm,
    promql_expr_test: [{ expr: 'ALERTS', eval_time: '2h', exp_samples: [] }],
  }
  return stringify(
    { rule_files: ['rules.yml'], evaluation_interval: '1m', tests: [...tests, nothing] },
    { lineWidth: 0 },
  )
}
const stringLabels = (labels: Readonly<Record<string, string>>): string =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ')}}`

const directory = mkdtempSync(join(tmpdir(), 'tercet-own-rules-'))
after(() => {
  rmSync(directory, { recursive: true, force: true })
})

test('each alert has series that make it fire', () => {
  assert.deepEqual(alerts.map(a => a.alert).toSorted(), Object.keys(firing).toSorted())
})

function writeTests(): string {
  writeFileSync(join(directory, 'rules.yml'), rulesText)
  const file = join(directory, 'tests.yml')
  writeFileSync(file, unitTests())
  return file
}

test('each alert fires, and none where all is well: by our own checker', () => {
  const run = spawnSync(process.execPath, ['src/app/main.ts', 'check', 'rules', '--test', writeTests()], {
    encoding: 'utf8',
  })
  assert.equal(run.status, 0, run.stdout + run.stderr)
})

test('each alert fires, and none where all is well: by promtool', needs('promtool'), () => {
  const run = spawnSync(programPath('promtool')!, ['test', 'rules', writeTests()], { encoding: 'utf8' })
  assert.equal(run.status, 0, run.stdout + run.stderr)
})
