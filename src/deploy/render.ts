/**
 * One configuration, three engines, four targets: a tree of files, and what a reader must know of it. The same input
 * gives the same bytes.
 */
import { parseAllDocuments, parseDocument } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { alertingOf } from './alerting.ts'
import { composeProblems } from './compose-references.ts'
import { renderCompose } from './compose.ts'
import { renderFlux, type ObjectGroup, type SealSecret } from './flux.ts'
import { dataSourceConfigMap, grafanaRelease, operatorSources, renderGrafana } from './grafana.ts'
import { renderHelm } from './helm.ts'
import { planLgtm, storeMonitor } from './lgtm.ts'
import { findUnresolved, type Known } from './references.ts'
import type { Plan, SecretSpec } from './release.ts'
import { sopsConfigText } from './sops-config.ts'
import { secretProblems } from './sops.ts'
import type { Stack, Target } from './stack.ts'
import { planTercet } from './tercet.ts'
import { yamlText, type FileTree, type KubeObject } from './tree.ts'
import { planVictoria } from './victoria.ts'

export interface RenderInput {
  stack: Stack
  target: Target
  /** Our chart's files, by path below it. */
  ownChart: FileTree
  seal: SealSecret
  /** The configuration as it was written: compose hands it to the container that makes the buckets. */
  configText: string
}

export interface Rendered {
  tree: FileTree
  warnings: readonly { name: string; text: string }[]
}

/** The releases of the engine, and Grafana's where the stack brings it. */
export function planOf(stack: Stack): Plan {
  const plan =
    stack.engine === 'tercet' ? planTercet(stack) : stack.engine === 'victoria' ? planVictoria(stack) : planLgtm(stack)
  if (!stack.grafana.isOn) return plan
  // Grafana comes when its data sources have something to ask.
  const stores = plan.releases.filter(r => Object.keys(r.services).length > 0).map(r => r.name)
  return { ...plan, releases: [...plan.releases, grafanaRelease(stack, stores)] }
}

/** Everything of a tree that is an object of Kubernetes. */
export function objectsOf(tree: FileTree): KubeObject[] {
  const objects: KubeObject[] = []
  for (const [path, text] of tree) {
    if (!/\.ya?ml$/.test(path) || path.includes('/templates/') || path.startsWith('templates/')) continue
    for (const document of parseAllDocuments(text)) {
      const object = (document as { toJS(): unknown }).toJS() as KubeObject | null
      if (
        object !== null &&
        typeof object === 'object' &&
        typeof object.kind === 'string' &&
        typeof object.apiVersion === 'string' &&
        typeof object.metadata?.name === 'string'
      )
        objects.push(object)
    }
  }
  return objects
}

/** Throws BadDataError where a tree names what is neither in it nor declared external. */
export async function render({ stack, target, ownChart, seal, configText }: RenderInput): Promise<Rendered> {
  const plan = planOf(stack)
  const groups = groupsOf(stack)
  switch (target) {
    case 'grafana': {
      const tree = renderGrafana(stack)
      const secrets = plan.releases.flatMap(release => release.secrets)
      refuseUnresolved(findUnresolved([...objectsOf(tree), ...objectsOfPlan(plan, [])], knownOf(stack, plan, secrets)))
      await refuseClear(tree)
      return { tree, warnings: [] }
    }
    case 'compose': {
      const { tree, services } = renderCompose(stack)
      if (stack.developmentS3.isOn) tree.set('stack.yaml', withoutAlerting(configText))
      if (stack.grafana.isOn && stack.engine === 'tercet') addDashboards(tree, ownChart)
      refuseUnresolved(composeProblems(tree, { services, external: externalOf(stack, plan) }))
      return { tree, warnings: composeWarnings(stack, plan) }
    }
    case 'helm': {
      const secrets = plan.releases.flatMap(release => release.secrets)
      refuseUnresolved(findUnresolved(objectsOfPlan(plan, groups), knownOf(stack, plan, secrets)))
      // The chart's own files are the same for everybody.
      await refuseClear(renderHelm(stack, plan, new Map(), groups))
      return {
        tree: renderHelm(stack, plan, ownChart, groups),
        warnings: [...plan.warnings, ...secretsByHand(secrets)],
      }
    }
    case 'flux':
      return renderFluxTree({ stack, plan, groups, seal, ownChart })
  }
}

/** Objects that belong to no chart. */
function groupsOf(stack: Stack): ObjectGroup[] {
  const groups: ObjectGroup[] = []
  if (!stack.grafana.isOn)
    groups.push({
      name: 'grafana-datasources',
      namespace: stack.grafana.namespace,
      ...(stack.grafana.objects === 'operator'
        ? { file: 'grafanadatasource.yaml', objects: operatorSources(stack) }
        : { file: 'configmap.yaml', objects: [dataSourceConfigMap(stack)] }),
    })
  if (stack.engine === 'lgtm' && stack.hasMonitors && stack.signals.includes('metrics'))
    groups.push({
      name: 'metrics-store-monitor',
      namespace: stack.namespace,
      file: 'servicemonitor.yaml',
      objects: [storeMonitor],
    })
  return groups
}

/** The values of releases as objects, for charts that are rendered elsewhere, and what stands beside them. */
function objectsOfPlan(plan: Plan, groups: readonly ObjectGroup[]): KubeObject[] {
  return [
    ...plan.releases.flatMap(({ name, values, objects }) => [
      { apiVersion: 'helm', kind: 'Values', metadata: { name }, values },
      ...Object.values(objects).flat(),
    ]),
    ...groups.flatMap(group => group.objects),
  ]
}

/** `secrets`: those that somebody makes by hand. */
function knownOf(stack: Stack, plan: Plan, secrets: readonly SecretSpec[] = []): Known {
  return {
    services: Object.fromEntries(plan.releases.flatMap(release => Object.entries(release.services))),
    external: [...externalOf(stack, plan), ...secrets.map(({ name }) => `Secret/${name}`)],
  }
}

/** What is outside by what the configuration says. */
function externalOf(stack: Stack, plan: Plan): string[] {
  const endpoint = stack.s3?.endpoint ?? ''
  const host = (text: string): string[] => (URL.canParse(text) ? [`host:${new URL(text).hostname}`] : [])
  const sources = plan.releases.map(({ chart }) =>
    chart !== 'tercet' ? chart.url : stack.chart.from === 'path' ? '' : stack.chart.url,
  )
  return [
    ...stack.external,
    ...host(endpoint),
    ...sources.flatMap(url => host(url.replace(/^oci:/, 'https:'))),
    // Where editors look for schemas.
    'host:raw.githubusercontent.com',
    ...plan.releases.flatMap(r => r.makes),
    `GitRepository/${stack.flux.sourceName}`,
    `Secret/${stack.flux.decryptionSecret}`,
    `Namespace/${stack.namespace}`,
    `Namespace/${stack.grafana.namespace}`,
    ...(stack.externalSecrets === undefined ? [] : [`${stack.externalSecrets.kind}/${stack.externalSecrets.store}`]),
  ]
}

function refuseUnresolved(problems: readonly string[]): void {
  if (problems.length === 0) return
  throw new BadDataError(
    'what was rendered names what is not there; name it in `external` if it is there already:\n  ' +
      problems.join('\n  '),
  )
}

/** What goes into Git has credentials in sealed Secrets alone. Throws BadDataError. */
async function refuseClear(tree: FileTree): Promise<void> {
  const problems: string[] = []
  for (const [path, text] of tree)
    if (/\.ya?ml$/.test(path))
      addAll(
        problems,
        (await secretProblems(text)).map(problem => `${path}: ${problem}`),
      )
  if (problems.length === 0) return
  throw new BadDataError(`what was rendered has credentials in clear:\n  ${problems.join('\n  ')}`)
}

/** For the container that makes the buckets: receivers' credentials are none of its business. */
function withoutAlerting(configText: string): string {
  const document = parseDocument(configText)
  return document.delete('alerting') ? document.toString({ lineWidth: 0 }) : configText
}

function secretsByHand(secrets: readonly SecretSpec[]): Rendered['warnings'] {
  const names = new Set(secrets.map(secret => secret.name))
  if (names.size === 0) return []
  const text = `Helm charts carry no sealed Secrets: ${[...names].join(', ')} must be in the namespace`
  return [{ name: 'secrets-by-hand', text }]
}

interface FluxInput {
  stack: Stack
  plan: Plan
  groups: readonly ObjectGroup[]
  seal: SealSecret
  ownChart: FileTree
}

async function renderFluxTree({ stack, plan, groups, seal, ownChart }: FluxInput): Promise<Rendered> {
  const { tree, unsealed } = await renderFlux(stack, plan, seal, groups)
  if (stack.ageRecipients.length > 0) tree.set('.sops.yaml', sopsConfigText(stack.ageRecipients, stack.root))
  refuseUnresolved(findUnresolved(objectsOf(tree), knownOf(stack, plan, unsealed)))
  await refuseClear(tree)
  if (stack.chart.from === 'path' && plan.releases.some(release => release.chart === 'tercet'))
    for (const [path, text] of ownChart) tree.set(`${stack.chart.path}/${path}`, text)
  return { tree, warnings: [...plan.warnings, ...secretsMissing(unsealed)] }
}

function secretsMissing(unsealed: readonly SecretSpec[]): { name: string; text: string }[] {
  const byName = new Map(unsealed.map(secret => [secret.name, secret]))
  return [...byName.values()].map(({ name, keys }) => ({
    name: 'secret-missing',
    text:
      `the Secret ${name} (${keys.join(', ')}) is not in the tree: name age_recipients, and its keys with --secrets, ` +
      'or make it by hand',
  }))
}

/** Those of our chart, where Grafana looks for its provisioning. */
function addDashboards(tree: FileTree, ownChart: FileTree): void {
  const folder = 'config/grafana/dashboards'
  const provider = {
    apiVersion: 1,
    providers: [{ name: 'tercet', type: 'file', options: { path: '/etc/grafana/provisioning/dashboards' } }],
  }
  tree.set(`${folder}/tercet.yaml`, yamlText(provider))
  for (const [path, text] of ownChart)
    if (path.startsWith('dashboards/')) tree.set(`${folder}/${path.slice('dashboards/'.length)}`, text)
}

function composeWarnings(stack: Stack, plan: Plan): Rendered['warnings'] {
  const warnings = plan.warnings.filter(warning => !kubernetesOnly.has(warning.name))
  if (stack.engine !== 'victoria' || alertingOf(stack).kind === 'none') return warnings
  const text = 'the Victoria stack of compose has no vmalert and no Alertmanager: nobody is told of alerts'
  return [...warnings, { name: 'alerting-unused', text }]
}

const kubernetesOnly = new Set([
  'mimir-chart',
  'wal-on-emptydir',
  'no-volume',
  'nothing-is-kept',
  'metrics-s3-is-backup',
  'logs-s3-unused',
  'downloads-at-deploy',
  'exposed-without-auth',
  'grafana-credentials',
])
