/**
 * An umbrella chart: one dependency an application, each with its condition, and templates for what stands beside
 * them.
 */
import type { Plan, Release } from './release.ts'
import type { Stack } from './stack.ts'
import { yamlText, type FileTree, type KubeObject } from './tree.ts'

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

function dependencyOf({ name, chart }: Release): Record<string, string> {
  return {
    name: chart.name,
    ...(name === chart.name ? {} : { alias: name }),
    version: chart.version,
    repository: chart.name === 'tercet' ? '' : chart.url.slice(0, chart.url.lastIndexOf('/')),
    condition: `${name}.enabled`,
  }
}

/** Objects beside a chart, in a template that its condition turns off. */
function templateOf(release: Release, objects: readonly KubeObject[]): string {
  const documents = objects.map(object => `---\n${asTemplate(object, release.name)}`).join('')
  return `{{- if (index .Values ${JSON.stringify(release.name)}).enabled }}\n${documents}{{- end }}\n`
}

/**
 * `ownChart`: the files of our chart, which travels along; the others come from their registries (helm dependency
 * build).
 */
export function renderHelm(stack: Stack, plan: Plan, ownChart: FileTree, more: readonly KubeObject[] = []): FileTree {
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
  const secrets = new Set(plan.releases.flatMap(release => release.secrets.map(secret => secret.name)))
  if (secrets.size > 0)
    tree.set(
      'templates/NOTES.txt',
      `The Secrets ${[...secrets].join(', ')} with S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are expected ` +
        'in the namespace {{ .Release.Namespace }}; they are no part of this chart.\n',
    )
  for (const release of plan.releases)
    for (const [file, objects] of Object.entries(release.objects))
      tree.set(`templates/${release.name}-${file}`, templateOf(release, objects))
  if (more.length > 0)
    tree.set('templates/grafana-datasources.yaml', more.map(o => `---\n${untemplated(yamlText(o))}`).join(''))
  if (plan.releases.some(release => release.chart.name === 'tercet'))
    for (const [path, text] of ownChart) tree.set(`charts/tercet/${path}`, text)
  return tree
}
