/** An umbrella chart: one dependency an application, each with its condition, and templates for what stands beside them. */
import type { Plan } from './release.ts'
import type { Stack } from './stack.ts'
import { yamlText, type FileTree, type KubeObject } from './tree.ts'

/** Text that Helm's templates leave alone. */
function untemplated(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}')
}

/** Applications of one umbrella have its release's name as their instance. Objects of VictoriaMetrics' operator have that of their own. */
function asTemplate(object: KubeObject, releaseName: string): string {
  const text = untemplated(yamlText(object))
  return releaseName === 'victoria-metrics-k8s-stack'
    ? text
    : text.replaceAll(
        `app.kubernetes.io/instance: ${releaseName}\n`,
        'app.kubernetes.io/instance: {{ .Release.Name }}\n',
      )
}

/** `ownChart`: the files of our chart, which travels along; the others come from their registries (helm dependency build). */
export function renderHelm(stack: Stack, plan: Plan, ownChart: FileTree, more: readonly KubeObject[] = []): FileTree {
  const tree: FileTree = new Map(),
    umbrella = `${stack.name}-stack`
  const dependencies = plan.releases.map(({ name, chart }) => ({
    name: chart.name,
    ...(name === chart.name ? {} : { alias: name }),
    version: chart.version,
    repository: chart.name === 'tercet' ? '' : chart.url.slice(0, chart.url.lastIndexOf('/')),
    condition: `${name}.enabled`,
  }))
  tree.set(
    'Chart.yaml',
    yamlText({
      apiVersion: 'v2',
      name: umbrella,
      description: `Metrics, logs and traces by ${stack.engine}`,
      type: 'application',
      version: '0.1.0',
      dependencies,
    }),
  )
  tree.set(
    'values.yaml',
    yamlText(
      Object.fromEntries(plan.releases.map(({ name, values }) => [name, { enabled: true, ...values }])),
      `helm install ${umbrella} . --namespace ${stack.namespace} --create-namespace`,
    ),
  )
  const notes = plan.releases.flatMap(r => r.secrets.map(s => s.name)).filter((name, i, all) => all.indexOf(name) === i)
  if (notes.length > 0)
    tree.set(
      'templates/NOTES.txt',
      `The Secrets ${notes.join(', ')} with S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are expected in the namespace {{ .Release.Namespace }}; they are no part of this chart.\n`,
    )
  for (const release of plan.releases) {
    for (const [file, objects] of Object.entries(release.objects))
      tree.set(
        `templates/${release.name}-${file}`,
        `{{- if (index .Values ${JSON.stringify(release.name)}).enabled }}\n${objects.map(o => `---\n${asTemplate(o, release.name)}`).join('')}{{- end }}\n`,
      )
  }
  if (more.length > 0)
    tree.set('templates/grafana-datasources.yaml', more.map(o => `---\n${untemplated(yamlText(o))}`).join(''))
  if (dependencies.some(d => d.name === 'tercet'))
    for (const [path, text] of ownChart) tree.set(`charts/tercet/${path}`, text)
  return tree
}
