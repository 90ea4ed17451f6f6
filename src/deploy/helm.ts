/**
 * An umbrella chart: one dependency an application, each with its condition, and templates for what stands beside
 * them.
 */
import type { ObjectGroup } from './flux.ts'
import type { Plan, Release, SecretSpec } from './release.ts'
import type { Stack } from './stack.ts'
import { yamlText, type FileTree, type KubeObject } from './tree.ts'
import { tercetVersion } from './versions.ts'

/** Text that Helm's templates leave alone. */
function untemplated(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}')
}

/**
 * Applications of one umbrella have its release's name as their instance. Objects of VictoriaMetrics' operator have
 * that of their own.
 */
function asTemplate(object: KubeObject, releaseName: string): string {
  const text = untemplated(yamlText(object))
  return releaseName === 'victoria-metrics-k8s-stack'
    ? text
    : text.replaceAll(
        `app.kubernetes.io/instance: ${releaseName}\n`,
        'app.kubernetes.io/instance: {{ .Release.Name }}\n',
      )
}

/** Our own chart travels along. */
function dependencyOf({ name, chart }: Release): Record<string, string> {
  const own = { name: 'tercet', url: '', version: tercetVersion }
  const { name: chartName, url, version } = chart === 'tercet' ? own : chart
  return {
    name: chartName,
    ...(name === chartName ? {} : { alias: name }),
    version,
    repository: url.slice(0, Math.max(url.lastIndexOf('/'), 0)),
    condition: `${name}.enabled`,
  }
}

/** Objects beside a chart, in a template that its condition turns off. */
function templateOf(release: Release, objects: readonly KubeObject[]): string {
  const documents = objects.map(object => conditioned(object, `---\n${asTemplate(object, release.name)}`)).join('')
  return `{{- if (index .Values ${JSON.stringify(release.name)}).enabled }}\n${documents}{{- end }}\n`
}

/** An object of a CustomResourceDefinition that may not be there is left out without it. */
function conditioned({ apiVersion }: KubeObject, text: string): string {
  return isOptional(apiVersion)
    ? `{{- if .Capabilities.APIVersions.Has ${JSON.stringify(apiVersion)} }}\n${text}{{- end }}\n`
    : text
}

function isOptional(apiVersion: string): boolean {
  return /^(monitoring\.coreos\.com|grafana\.integreatly\.org|gateway\.networking\.k8s\.io)\//.test(apiVersion)
}

function notesOf(secrets: readonly SecretSpec[]): string {
  const lines = new Set(secrets.map(({ name, keys }) => `  ${name}: ${keys.join(', ')}\n`))
  return (
    'These Secrets, which are no part of this chart, are expected in the namespace {{ .Release.Namespace }}:\n' +
    [...lines].join('')
  )
}

/**
 * `ownChart`: the files of our chart, which travels along; the others come from their registries (helm dependency
 * build).
 */
export function renderHelm(
  stack: Stack,
  plan: Plan,
  ownChart: FileTree,
  groups: readonly ObjectGroup[] = [],
): FileTree {
  const tree: FileTree = new Map()
  const umbrella = `${stack.name}-stack`
  const chart = {
    apiVersion: 'v2',
    name: umbrella,
    description: `Metrics, logs and traces by ${stack.engine}`,
    type: 'application',
    version: '0.1.0',
    dependencies: plan.releases.map(dependencyOf),
  }
  tree.set('Chart.yaml', yamlText(chart))
  const values = Object.fromEntries(plan.releases.map(({ name, values: own }) => [name, { enabled: true, ...own }]))
  const command = `helm install ${umbrella} . --namespace ${stack.namespace} --create-namespace`
  tree.set('values.yaml', yamlText(values, command))
  const secrets = plan.releases.flatMap(release => release.secrets)
  if (secrets.length > 0) tree.set('templates/NOTES.txt', notesOf(secrets))
  for (const release of plan.releases)
    for (const [file, objects] of Object.entries(release.objects))
      tree.set(`templates/${release.name}-${file}`, templateOf(release, objects))
  for (const { name, objects } of groups)
    tree.set(
      `templates/${name}.yaml`,
      objects.map(object => conditioned(object, `---\n${untemplated(yamlText(object))}`)).join(''),
    )
  if (plan.releases.some(release => release.chart === 'tercet'))
    for (const [path, text] of ownChart) tree.set(`charts/tercet/${path}`, text)
  return tree
}
