/**
 * Stacks put together at random, for every engine and target: each renders, twice the same, with values that its charts
 * know, or is refused with a sentence; with the real charts at hand their manifests resolve, too (req-173, req-175).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BadDataError } from '#core/errors.ts'
import { seededRandom } from '#core/random.ts'
import { credentialsInClear } from '#deploy/clear-credentials.ts'
import { planOf, render, type RenderInput } from '#deploy/render.ts'
import { engines, readStack, targets, type Stack } from '#deploy/stack.ts'
import { ownChart } from '../../src/ops/render-tree.ts'
import { checkValues } from '../chart-values.ts'
import { recipient } from '../deployed-stacks.ts'
import { deployed, refuseProblems } from '../deployed-objects.ts'
import { needsRealCharts } from '../real-charts.ts'

/** One of each, or none. */
const choices: readonly (readonly string[])[] = [
  ['name: obs', 'name: observability-of-the-house', 'name: tercet'],
  ['namespace: monitoring', 'namespace: o11y'],
  [
    "s3: { endpoint: 'https://s3.example.net', region: minio }",
    's3: { region: eu-west-1, buckets: { metrics: one, logs: one, traces: one } }',
    "s3: { endpoint: 'http://minio:9000', allow_insecure: true, " +
      'secrets: { metrics: keys, logs: keys, traces: keys } }\n' +
      "external: ['Service/minio:9000', 'host:minio']",
  ],
  ['retention: { metrics: 1y, logs: 72h }', 'retention: { traces: 2w }'],
  ['scrape: { interval: 1m, timeout: 30s }'],
  ['persistence: { enabled: true, size: 1Gi }', 'persistence: { enabled: false }'],
  ['agent: { enabled: false }', 'agent: { logs: true, kubelet: false }'],
  ['signals: [metrics]', 'signals: [logs, traces]', 'signals: [metrics, logs, traces]'],
  [
    'grafana: { enabled: true }',
    'grafana: { enabled: true, namespace: grafana }',
    'grafana: { objects: operator, org_id: a }',
  ],
  [
    'network_policy: { enabled: true }',
    'network_policy: { enabled: true, from_namespaces: [a], to_cidrs: [10.0.0.0/8] }',
  ],
  [
    'alerting: { alertmanager_config: "route: {receiver: a}\\nreceivers: [{name: a, email_configs: [{to: a@b.c, ' +
      'smarthost: d.example.net:25, auth_password: hunter2}]}]" }',
    'alerting: { secret: { name: mine } }',
  ],
  ['mesh: true'],
  [`age_recipients: [${recipient}]`, 'external_secrets: { store: vault, kind: SecretStore }'],
  ['chart: { path: charts/own }', 'chart: { git: { url: ssh://git@git.example.net/x.git, ref: main } }'],
  ['image: { repository: localhost:5000/t, tag: 1.0.0-rc.1 }'],
  ['exporters: true'],
  [
    'auth_secret: people\nexternal: [Secret/a-tls]\n' +
      'expose: { host: a.example.net, ingress_class: nginx, tls_secret: a-tls }',
  ],
  ['aliases: true'],
  ['monitors: true', 'monitors: false'],
]

const stackCount = 60
const texts = Array.from({ length: stackCount }, (_, seed) => {
  const random = seededRandom(seed + 1)
  const lines = choices.flatMap(options => {
    const at = Math.floor((random.u32() / 2 ** 32) * options.length * 2)
    return options[at] === undefined ? [] : [options[at]]
  })
  return mergeExternal(lines).join('\n')
})

/** Two choices name what is outside. */
function mergeExternal(lines: readonly string[]): string[] {
  const all = lines.join('\n').split('\n')
  const external = all.flatMap(line => /^external: \[(.*)\]$/.exec(line)?.[1] ?? [])
  const others = all.filter(line => !line.startsWith('external:'))
  return external.length === 0 ? others : [...others, `external: [${external.join(', ')}]`]
}

/** Undefined where it is refused, as it has to be with a sentence. */
function stackOf(text: string, engine: (typeof engines)[number]): Stack | undefined {
  try {
    return readStack(text, 'stack.yaml', engine)
  } catch (error) {
    assert.ok(error instanceof BadDataError, `${engine}: ${text}: ${String(error)}`)
    return undefined
  }
}

for (const engine of engines)
  test(`${engine}: ${stackCount} stacks at random render for every target`, async t => {
    let count = 0
    for (const text of texts) {
      const stack = stackOf(text, engine)
      if (stack === undefined) continue
      for (const { name, chart, values } of planOf(stack).releases) {
        if (chart !== 'tercet') assert.deepEqual(checkValues(chart.name, values).problems, [], `${name}: ${text}`)
        assert.deepEqual(credentialsInClear(values), [], `${name}: ${text}`)
      }
      for (const target of targets) {
        const input: RenderInput = {
          stack,
          target,
          ownChart: ownChart(),
          seal: () => Promise.resolve(undefined),
          configText: text,
        }
        const first = await render(input)
        assert.deepEqual([...(await render(input)).tree], [...first.tree])
        for (const [path, content] of first.tree)
          assert.ok(path === 'stack.yaml' || !content.includes('hunter2'), `${path}: a password in clear: ${text}`)
        count++
      }
    }
    t.diagnostic(`${count} trees`)
    assert.ok(count >= stackCount / 2)
  })

test('and in the manifests of the real charts every reference resolves', needsRealCharts, t => {
  let count = 0
  for (const text of texts.slice(0, 12))
    for (const engine of engines) {
      const stack = stackOf(text, engine)
      if (stack === undefined) continue
      count += refuseProblems(deployed(stack), `${engine}: ${text}`)
    }
  t.diagnostic(`${count} references`)
})
