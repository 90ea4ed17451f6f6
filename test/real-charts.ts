/**
 * Manifests as Helm makes them of the real charts. The charts are where tools/assemble-charts.ts puts them, or where
 * CHARTS_DIRECTORY says; Helm 3.14 or newer is on the PATH.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { parse, stringify } from 'yaml'
import { renderHelm } from '#deploy/helm.ts'
import type { Release } from '#deploy/release.ts'
import type { FileTree, KubeObject } from '#deploy/tree.ts'
import { objectsOfText } from './kube-objects.ts'

const chartsDirectory = process.env['CHARTS_DIRECTORY'] ?? 'build/charts'
/** What a cluster of a home-lab has. */
const apiVersions = [
  'monitoring.coreos.com/v1',
  'operator.victoriametrics.com/v1beta1',
  'gateway.networking.k8s.io/v1',
  'grafana.integreatly.org/v1beta1',
]

/** An older one is of no use: charts ask for 3.14. */
const helm = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map(directory => join(directory, 'helm'))
  .find(program => existsSync(program) && isRecent(program))

function isRecent(program: string): boolean {
  const { stdout } = spawnSync(program, ['version', '--short'], { encoding: 'utf8' })
  const [, major = '0', minor = '0'] = /v(\d+)\.(\d+)/.exec(stdout) ?? []
  return Number(major) > 3 || (major === '3' && Number(minor) >= 14)
}

export const needsRealHelm = { skip: helm === undefined && 'NOT TESTED: no Helm of 3.14 or newer' } as const

export const needsRealCharts = {
  skip:
    helm === undefined
      ? 'NOT TESTED: no Helm of 3.14 or newer'
      : existsSync(join(chartsDirectory, 'loki'))
        ? false
        : 'NOT TESTED: the charts are not there (tools/assemble-charts.ts)',
} as const

/** `text` of a template or of a value, where the charts' own files are asked for something. */
export function chartPath(chart: string): string {
  return join(chartsDirectory, chart)
}

function template(name: string, chart: string, namespace: string, options: readonly string[]): KubeObject[] {
  const args = ['template', name, chart, '-n', namespace, '--kube-version', 'v1.33.0', ...options]
  const run = spawnSync(helm!, [...args, ...apiVersions.flatMap(version => ['--api-versions', version])], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  if (run.status !== 0) throw new Error(`helm template ${name}: ${run.stderr}`)
  return objectsOfText(run.stdout).map(object => ({
    ...object,
    metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespace },
  }))
}

const templated = new Map<string, KubeObject[]>()

/** As Flux's helm-controller installs it: the release has the name of the HelmRelease. */
export function templateRelease({ name, chart, values }: Release, namespace: string): KubeObject[] {
  const chartDirectory = chart === 'tercet' ? 'deploy/chart' : chartPath(chart.name)
  const key = JSON.stringify([name, namespace, chartDirectory, values])
  const objects = templated.get(key) ?? templateValues(name, chartDirectory, namespace, values)
  templated.set(key, objects)
  return objects
}

function templateValues(name: string, chart: string, namespace: string, values: Release['values']): KubeObject[] {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-chart-'))
  try {
    const path = join(directory, 'values.yaml')
    writeFileSync(path, stringify(values))
    return template(name, chart, namespace, ['--values', path])
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** A chart with its dependencies in it. */
export function templateDirectory(name: string, directory: string, namespace: string): KubeObject[] {
  return template(name, directory, namespace, [])
}

/** The umbrella chart of a stack, with the real charts as its dependencies. */
export function templateUmbrella(tree: ReturnType<typeof renderHelm>, namespace: string): KubeObject[] {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-umbrella-'))
  try {
    write(tree, directory)
    const { name, dependencies } = parse(tree.get('Chart.yaml')!) as {
      name: string
      dependencies: { name: string }[]
    }
    for (const { name: chart } of dependencies)
      if (chart !== 'tercet') cpSync(chartPath(chart), join(directory, 'charts', chart), { recursive: true })
    return template(name, directory, namespace, [])
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function write(tree: FileTree, directory: string): void {
  for (const [path, text] of tree) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
}
