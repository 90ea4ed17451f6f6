/**
 * The plan for replacing a deployment that is there: what goes, what stays, in which order, and what looks right and
 * is not.
 */
import { BadDataError } from '#core/errors.ts'
import { clientUrls } from './release.ts'
import { planOf } from './render.ts'
import type { Stack } from './stack.ts'
import type { KubeObject } from './tree.ts'

export const migrationSources = ['kube-prometheus-stack', 'lgtm', 'victoria'] as const
export type MigrationSource = (typeof migrationSources)[number]

/** Applications of each, as trees name them. */
export const applicationsOf: Readonly<Record<MigrationSource, readonly string[]>> = {
  'kube-prometheus-stack': ['kube-prometheus-stack', 'mimir', 'tempo'],
  lgtm: ['loki', 'tempo', 'mimir'],
  victoria: [
    'victoria-metrics-k8s-stack',
    'victoria-logs-cluster',
    'victoria-traces-single',
    'victoria-metrics-backup',
  ],
}

export interface Survivors {
  kept: string[]
  lost: string[]
}

const monitorKinds = [
  'ServiceMonitor',
  'PodMonitor',
  'Probe',
  'ScrapeConfig',
  'PrometheusRule',
  'AlertmanagerConfig',
  'VMServiceScrape',
  'VMPodScrape',
  'VMRule',
  'VMProbe',
  'VMNodeScrape',
  'VMStaticScrape',
  'VMScrapeConfig',
]

/**
 * Which monitors go with the releases that are removed: Helm deletes what it made, and a converted object goes with
 * its owner.
 */
export function survivorsOf(objects: readonly KubeObject[], removed: readonly string[]): Survivors {
  const kept: string[] = []
  const lost: string[] = []
  for (const object of objects) {
    if (!monitorKinds.includes(object.kind)) continue
    const { annotations = {}, labels = {}, name, namespace = '' } = object.metadata
    const owners = (object.metadata as { ownerReferences?: { kind: string; name: string }[] }).ownerReferences ?? []
    const release = annotations['meta.helm.sh/release-name'] ?? labels['helm.toolkit.fluxcd.io/name']
    const where = `${object.kind} ${namespace === '' ? '' : `${namespace}/`}${name}`
    const owner = owners.find(o => monitorKinds.includes(o.kind))
    if (release !== undefined && removed.includes(release)) lost.push(`${where}: made by the release ${release}`)
    else if (
      owner !== undefined &&
      objects.some(
        o =>
          o.kind === owner.kind &&
          o.metadata.name === owner.name &&
          removed.includes(o.metadata.annotations?.['meta.helm.sh/release-name'] ?? ''),
      )
    )
      lost.push(`${where}: owned by ${owner.kind} ${owner.name}, which goes`)
    else kept.push(where)
  }
  return { kept, lost }
}

/**
 * The kustomization.yaml of a namespace with the lines of some applications commented out: a revert brings them back.
 */
export function withoutApplications(text: string, names: readonly string[], note: string): string {
  return text
    .split('\n')
    .map(line => {
      const match = /^(\s*)-\s+["']?\.?\/?([a-z0-9-]+)\/ks\.yaml["']?\s*$/.exec(line)
      const [, indent = '', name = ''] = match ?? []
      return names.includes(name) ? `${indent}# ${line.trim()} # ${note}` : line
    })
    .join('\n')
}

function surviveLines(from: MigrationSource): string[] {
  switch (from) {
    case 'kube-prometheus-stack':
      return [
        'CustomResourceDefinitions of the Prometheus operator: charts leave what is in their crds/ folder. ' +
          'Have them in a release of their own, prometheus-operator-crds, before anything goes.',
        'ServiceMonitors, PodMonitors and PrometheusRules of other releases. Those of kube-prometheus-stack ' +
          'itself go with it: node exporter, kubelet, API server, kube-state-metrics.',
        'PersistentVolumeClaims of Prometheus and Alertmanager: a StatefulSet leaves them; delete them by hand ' +
          'when the history is not needed any more.',
      ]
    case 'lgtm':
      return [
        'Buckets with everything in them: nothing that is uninstalled deletes objects.',
        'PersistentVolumeClaims with what was not in the buckets yet: flush first (POST ' +
          '/ingester/flush?wait=true at Mimir, /flush at Loki and Tempo).',
      ]
    case 'victoria':
      return [
        "PersistentVolumeClaims of VMSingle and vlstorage; VMSingle's goes with its object where " +
          'removePvcAfterDelete is set.',
        'CustomResourceDefinitions of the operator; uninstalling them deletes every object of theirs in the cluster.',
        'ServiceMonitors that the operator converted: the VM objects made from them stay when ' +
          'enable_converter_ownership is false.',
      ]
  }
}

function historyLines(stack: Stack, from: MigrationSource): string[] {
  if (stack.engine !== 'tercet')
    return ['The history is not taken along; keep the old stack read-only for as long as it is asked for.']
  switch (from) {
    case 'kube-prometheus-stack':
      return [
        "Prometheus' blocks: tercet import --from=prometheus DIR, from a copy or a snapshot (POST " +
          '/api/v1/admin/tsdb/snapshot).',
      ]
    case 'lgtm':
      return [
        'Nothing to convert: Tercet reads and writes the same buckets. Name them in s3.buckets; or copy them: ' +
          'tercet import --from=mimir|loki|tempo SOURCE.',
        "One compactor a bucket at a time: stop Mimir's, Loki's and Tempo's before Tercet starts.",
      ]
    case 'victoria':
      return [
        'VictoriaMetrics: tercet import --from=victoriametrics http://vmsingle-…:8428, which can be stopped ' +
          'and goes on where it was.',
        'VictoriaLogs has no export that keeps streams as Loki has them; let it run read-only until its ' +
          'retention is over.',
      ]
  }
}

function falseFriends(stack: Stack, from: MigrationSource): string[] {
  const all: Record<MigrationSource, string[]> = {
    'kube-prometheus-stack': [
      "Alerts that only Prometheus' own stack has (Watchdog, TargetDown …) are gone with its PrometheusRules; " +
        'take those you want along.',
      'Recording rules of its dashboards (node:…, namespace_workload_pod:…) too: panels stay empty without them.',
    ],
    lgtm: [
      "Loki's gateway listens on 80, not 3100, and its 9095 is no push port; mimir-gateway listens on 80, not 8080.",
      'X-Scope-OrgID: without auth the tenants are anonymous, fake and single-tenant; Tercet has the same.',
    ],
    victoria: [
      'vlinsert is 9481 and vlselect 9471, not 8428 and 8481; VMSingle of the chart is 8428, not 8429.',
      'Queries in MetricsQL (rollup, keep_metric_names, WITH …) and in LogsQL are no PromQL and LogQL.',
      'enable_converter_ownership: true deletes the converted monitors with the Prometheus objects; it has to ' +
        'be false while those go.',
    ],
  }
  const own =
    stack.engine === 'victoria'
      ? ['VictoriaMetrics and VictoriaLogs keep nothing in S3: the volumes are the data.']
      : stack.engine === 'lgtm'
        ? ["Lifecycle rules that expire objects break indexes: retention is the engines' own."]
        : []
  return [...all[from], ...own]
}

export interface MigrationFacts {
  /** Of the monitors of the cluster, where they are known. */
  survivors?: Survivors | undefined
  /** Applications that are there, where that is known: in the tree, or as releases of the cluster. */
  present?: readonly string[] | undefined
}

/** In Markdown. Throws BadDataError where there is nothing to replace. */
export function migrationPlan(
  stack: Stack,
  from: MigrationSource,
  { survivors, present }: MigrationFacts = {},
): string {
  if ((from === 'victoria' && stack.engine === 'victoria') || (from === 'lgtm' && stack.engine === 'lgtm'))
    throw new BadDataError(`from ${from} to ${stack.engine} there is nothing to replace`)
  const removed = applicationsOf[from].filter(name => present?.includes(name) !== false)
  if (removed.length === 0)
    throw new BadDataError(`none of ${applicationsOf[from].join(', ')} is there: there is nothing to replace`)
  const asFarAs = present === undefined ? ', as far as they are there' : ''
  const added = planOf(stack).releases.map(release => release.name)
  return `# From ${from} to ${stack.engine}

A change at once: the old goes, the new comes. Between the two nothing is scraped for some minutes.

## Removed${asFarAs}

${listOf(removed.map(name => `${name}: its Kustomization, HelmRelease, and all that the release made`))}
## Added

${listOf(added)}
## What survives

${listOf(surviveLines(from))}${survivors === undefined ? '' : `\n${survivorsText(survivors)}`}
## What is lost, and what replaces it

${listOf(replacements(stack, from))}
## The history

${listOf(historyLines(stack, from))}
## In this order

${steps(stack, removed, added)
  .map((step, i) => `${i + 1}. ${step}\n`)
  .join('')}
## What looks right and is not

${listOf(falseFriends(stack, from))}
## Back again

Revert the commit and reconcile: the old releases come back, with the volumes that were left. ${writtenBetween}
`
}

/** What goes with the old stack and is no part of the store. */
function replacements(stack: Stack, from: MigrationSource): string[] {
  if (from === 'lgtm')
    return [
      stack.engine === 'tercet'
        ? "Rules of Mimir's and Loki's rulers, and alertmanager.yml: server.rules and alerting of this stack."
        : "Rules of Mimir's and Loki's rulers: VMRule objects, converted from PrometheusRules.",
    ]
  if (stack.engine === 'victoria')
    return ['node exporter, kube-state-metrics, kubelet and cAdvisor: the chart victoria-metrics-k8s-stack has them.']
  return [
    stack.hasExporters
      ? 'node exporter and kube-state-metrics: releases of their own in this stack (exporters: true).'
      : 'node exporter and kube-state-metrics go with the old release: name exporters: true, which makes releases of ' +
        'their own, or keep yours and annotate their pods with prometheus.io/scrape.',
    stack.agent.isOn && stack.agent.hasKubelet
      ? 'kubelet and cAdvisor: the agents scrape those of their node (jobs kubelet and cadvisor).'
      : 'kubelet and cAdvisor: agent.kubelet is off, and nobody scrapes them.',
    'kube-apiserver, etcd, scheduler, controller manager, CoreDNS: scrape jobs of your own (server.scrapeConfigs).',
    'Rules and dashboards of the old chart: take along those you want; those about the store itself come with it.',
  ]
}

const writtenBetween = 'What was written in between stays in the new store.'

function listOf(lines: readonly string[]): string {
  return lines.map(line => `- ${line}\n`).join('')
}

function survivorsText({ kept, lost }: Survivors): string {
  const lines = [...kept.map(text => `stays: ${text}`), ...lost.map(text => `GOES: ${text}`)]
  return `Of the objects given:\n\n${listOf(lines)}`
}

function steps(stack: Stack, removed: readonly string[], added: readonly string[]): string[] {
  const urls = clientUrls(stack)
  const spans = stack.signals.includes('traces') ? `, spans ${urls.traces.push}` : ''
  return [
    'Commit the new tree beside the old one, with its Secrets sealed; suspend nothing yet.',
    'Have CustomResourceDefinitions that stay in a release of their own (prometheus-operator-crds), and see ' +
      'that it is ready.',
    `Comment out the ks.yaml of ${removed.join(', ')} in ${stack.root}/${stack.namespace}/kustomization.yaml ` +
      '(tercet deploy migrate --write does it) and reconcile: prune: true deletes them, and Helm what they made.',
    `Reconcile ${added.join(', ')}; they are ready in this order of dependsOn.`,
    `Point clients at the new store: samples ${urls.metrics.push}, lines ${urls.logs.push}${spans}.`,
    'tercet check stack URL: health, round trips of each signal, data sources.',
  ]
}
