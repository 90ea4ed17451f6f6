/**
 * One configuration, three engines, four targets: a tree of files, and what a reader must know of it. The same input
 * gives the same bytes.
 */
import { parseAllDocuments } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import { renderCompose } from './compose.ts'
import { renderFlux, type SealSecret } from './flux.ts'
import { dataSourceConfigMap, grafanaRelease, renderGrafana } from './grafana.ts'
import { renderHelm } from './helm.ts'
import { planLgtm } from './lgtm.ts'
import { findUnresolved } from './references.ts'
import type { Plan } from './release.ts'
import { sopsConfigText } from './sops-config.ts'
import type { Stack, Target } from './stack.ts'
import { planTercet } from './tercet.ts'
import type { FileTree, KubeObject } from './tree.ts'
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
  // Data sources first have something to ask.
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

/** Hosts that are outside by what the configuration says. */
export function externalOf(stack: Stack, plan: Plan): string[] {
  const endpoint = stack.s3?.endpoint ?? ''
  const host = (text: string): string[] => (URL.canParse(text) ? [`host:${new URL(text).hostname}`] : [])
  return [
    ...stack.external,
    ...host(endpoint),
    ...plan.releases.flatMap(r => host(r.chart.url.replace(/^oci:/, 'https:'))),
    ...plan.releases.flatMap(r => r.makes),
    `GitRepository/${stack.flux.sourceName}`,
    `Secret/${stack.flux.decryptionSecret}`,
    `Namespace/${stack.namespace}`,
    `Namespace/${stack.grafana.namespace}`,
  ]
}

/** Throws BadDataError where a tree for Flux names what is neither in it nor declared external. */
export async function render({ stack, target, ownChart, seal, configText }: RenderInput): Promise<Rendered> {
  const plan = planOf(stack)
  const dataSourceObjects = stack.grafana.isOn ? [] : [dataSourceConfigMap(stack)]
  switch (target) {
    case 'grafana':
      return { tree: renderGrafana(stack), warnings: [] }
    case 'compose': {
      const tree = renderCompose(stack)
      if (stack.developmentS3.isOn) tree.set('stack.yaml', configText)
      return { tree, warnings: plan.warnings.filter(warning => !kubernetesOnly.has(warning.name)) }
    }
    case 'helm':
      return {
        tree: renderHelm(stack, plan, ownChart, dataSourceObjects),
        warnings: [...plan.warnings, ...secretsByHand(plan)],
      }
    case 'flux':
      return renderFluxTree(stack, plan, seal, dataSourceObjects)
  }
}

function secretsByHand(plan: Plan): Rendered['warnings'] {
  const secrets = new Set(plan.releases.flatMap(release => release.secrets.map(secret => secret.name)))
  if (secrets.size === 0) return []
  const text = `Helm charts carry no sealed Secrets: ${[...secrets].join(', ')} must be in the namespace`
  return [{ name: 'secrets-by-hand', text }]
}

async function renderFluxTree(
  stack: Stack,
  plan: Plan,
  seal: SealSecret,
  dataSourceObjects: readonly KubeObject[],
): Promise<Rendered> {
  const more: Record<string, readonly KubeObject[]> =
    dataSourceObjects.length === 0 ? {} : { 'grafana-datasources': dataSourceObjects }
  const { tree, unsealed } = await renderFlux(stack, plan, seal, more)
  if (stack.ageRecipients.length > 0) tree.set('.sops.yaml', sopsConfigText(stack.ageRecipients, stack.root))
  const missing = [...new Set(unsealed)].map(name => ({
    name: 'secret-missing',
    text:
      `the Secret ${name} is not in the tree: name age_recipients, and its keys with --secrets, ` +
      'or make it by hand',
  }))
  const problems = findUnresolved(objectsOf(tree), {
    services: Object.fromEntries(plan.releases.flatMap(release => Object.entries(release.services))),
    external: [...externalOf(stack, plan), ...unsealed.map(name => `Secret/${name}`)],
  })
  if (problems.length > 0)
    throw new BadDataError(
      'what was rendered names what is not there; name it in `external` if it is there already:\n  ' +
        problems.join('\n  '),
    )
  return { tree, warnings: [...plan.warnings, ...missing] }
}

const kubernetesOnly = new Set([
  'mimir-chart',
  'wal-on-emptydir',
  'no-volume',
  'nothing-is-kept',
  'metrics-s3-is-backup',
  'logs-s3-unused',
])
