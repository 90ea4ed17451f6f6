/** Stacks of every kind, for tests of what is rendered of them. */
import { planOf } from '#deploy/render.ts'
import { engines, readStack, type Engine, type Stack } from '#deploy/stack.ts'

/** Of an age identity that nobody has. */
export const recipient = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'

const base = `s3: { endpoint: 'https://s3.example.net', region: minio }\nage_recipients: [${recipient}]\n`
const alerting = 'route: {receiver: x}\\nreceivers: [{name: x}]'
const slack =
  'route: {receiver: x}\\nreceivers: [{name: x, slack_configs: [{api_url: https://hooks.example.net/T0/B0}]}]'

/** By name; `all signals` is what the documents' Victoria stack has not. */
export const stackTexts: Readonly<Record<string, string>> = {
  base,
  'nothing at all': '',
  'all signals': `${base}signals: [metrics, logs, traces]\n`,
  grafana: `${base}grafana: { enabled: true }\n`,
  'grafana elsewhere': `${base}grafana: { enabled: true, namespace: grafana, org_id: team }\n`,
  policies:
    `${base}signals: [metrics, logs, traces]\nmesh: true\n` +
    'network_policy: { enabled: true, from_namespaces: [apps], to_cidrs: [10.0.0.0/8] }\n',
  'no volumes': `${base}persistence: { enabled: false }\nagent: { enabled: false }\n`,
  volumes: `${base}persistence: { enabled: true, size: 50Gi, storage_class: fast }\nagent: { logs: true }\n`,
  retention: `${base}retention: { metrics: 7d, logs: 2w, traces: 12h }\nscrape: { interval: 30s }\n`,
  alerting: `${base}alerting: { alertmanager_config: "${alerting}" }\n`,
  'alerting with credentials': `${base}alerting: { alertmanager_config: "${slack}" }\n`,
  'external secrets': `${base}external_secrets: { store: vault, prefix: observability/ }\n`,
  'chart from Git': `${base}chart: { git: { url: 'https://git.example.net/tercet.git', ref: v0.1.0 } }\n`,
  'chart by path': `${base}chart: { path: charts/tercet }\n`,
  digest: `${base}image: { repository: registry.example.net/tercet, digest: 'sha256:${'0'.repeat(64)}' }\n`,
  'reached from outside':
    `${base}auth_secret: tercet-auth\naliases: true\nmonitors: true\ngrafana: { enabled: true }\n` +
    'expose: { host: metrics.example.net, gateway: internal, gateway_namespace: network }\n',
  exporters: `${base}exporters: true\n`,
  amazon: `s3: { region: eu-west-1 }\nage_recipients: [${recipient}]\n`,
}

export interface DeployedStack {
  where: string
  engine: Engine
  stack: Stack
  text: string
}

/** Not for all engines. */
const enginesOf: Readonly<Record<string, readonly Engine[]>> = {
  'reached from outside': ['tercet'],
  exporters: ['tercet', 'lgtm'],
}

/** Each text for each engine. */
export function stacks(names: readonly string[] = Object.keys(stackTexts)): DeployedStack[] {
  return engines.flatMap(engine =>
    names
      .filter(name => enginesOf[name]?.includes(engine) !== false)
      .map(name => {
        const text = stackTexts[name] ?? ''
        return { where: `${engine}, ${name}`, engine, text, stack: readStack(text, 'stack.yaml', engine) }
      }),
  )
}

export interface ChartRelease {
  where: string
  chart: string
  values: Record<string, unknown>
}

/** Releases of charts that are not ours. */
export function chartReleases(names?: readonly string[]): ChartRelease[] {
  return stacks(names).flatMap(({ where, stack }) =>
    planOf(stack).releases.flatMap(({ name, chart, values }) =>
      chart === 'tercet' ? [] : [{ where: `${where}: ${name}`, chart: chart.name, values }],
    ),
  )
}
