/**
 * Puts the charts that `deploy render` names together from clones of their repositories, each with its subcharts at
 * the versions that are pinned, as `helm dependency build` would from their registries:
 *
 *   node tools/assemble-charts.ts CLONES build/charts
 *
 * CLONES has a directory `owner+name` for each repository, bare or not. A subchart that is in none of them is left out:
 * its condition is off in everything that we render.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse, stringify } from 'yaml'

interface Source {
  repository: string
  /** Commit or tag. */
  at: string
  path: string
}

const victoria = { repository: 'VictoriaMetrics+helm-charts', at: '5823471' }
const grafana = { repository: 'grafana-community+helm-charts', at: '3386a11' }
const bjws = { repository: 'bjw-s-labs+helm-charts', at: 'dfaf83d' }
const prometheus = { repository: 'prometheus-community+helm-charts' }

const sources: Readonly<Record<string, Source>> = {
  ...Object.fromEntries(
    ['k8s-stack', 'operator', 'common'].map(name => [
      `victoria-metrics-${name}`,
      { ...victoria, path: `charts/victoria-metrics-${name}` },
    ]),
  ),
  'victoria-logs-cluster': { ...victoria, path: 'charts/victoria-logs-cluster' },
  'victoria-traces-single': { ...victoria, path: 'charts/victoria-traces-single' },
  loki: { ...grafana, path: 'charts/loki' },
  tempo: { ...grafana, path: 'charts/tempo' },
  grafana: { ...grafana, path: 'charts/grafana' },
  'app-template': { ...bjws, path: 'charts/other/app-template' },
  common: { ...bjws, path: 'charts/library/common' },
  vector: { repository: 'vectordotdev+helm-charts', at: '1595b17', path: 'charts/vector' },
  'kube-state-metrics': { ...prometheus, at: 'kube-state-metrics-7.5.3', path: 'charts/kube-state-metrics' },
  'prometheus-node-exporter': {
    ...prometheus,
    at: 'prometheus-node-exporter-4.55.1',
    path: 'charts/prometheus-node-exporter',
  },
}
const wanted = [
  'victoria-metrics-k8s-stack',
  'victoria-logs-cluster',
  'victoria-traces-single',
  'loki',
  'tempo',
  'grafana',
  'app-template',
  'kube-state-metrics',
  'prometheus-node-exporter',
]

interface ChartFile {
  dependencies?: { name: string }[]
}

function gitDirectory(clones: string, repository: string): string {
  const found = ['', 'repo', '.git'].map(part => join(clones, repository, part)).find(p => existsSync(join(p, 'HEAD')))
  if (found === undefined) throw new Error(`${clones} has no clone ${repository}`)
  return found
}

/** Unpacks a chart, and below it those that it depends on. */
function put(clones: string, name: string, target: string): void {
  const source = sources[name]
  if (source === undefined) return
  mkdirSync(target, { recursive: true })
  const archive = execFileSync('git', ['archive', source.at, source.path], {
    cwd: gitDirectory(clones, source.repository),
    maxBuffer: 2 ** 28,
  })
  const depth = source.path.split('/').length
  const run = spawnSync('tar', ['x', '-C', target, `--strip-components=${depth}`], { input: archive })
  if (run.status !== 0) throw new Error(`${name}: ${run.stderr.toString()}`)
  removeLinks(target)
  const path = join(target, 'Chart.yaml')
  const chart = parse(readFileSync(path, 'utf8')) as ChartFile
  const dependencies = (chart.dependencies ?? []).filter(({ name: dependency }) => {
    const below = join(target, 'charts', dependency)
    if (!existsSync(below)) put(clones, dependency, below)
    return existsSync(below)
  })
  writeFileSync(path, stringify({ ...chart, dependencies }))
  useLocalSchemas(target)
}

/** Links lead out of the chart: to the licence of its repository. */
function removeLinks(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true }))
    if (entry.isSymbolicLink()) rmSync(join(entry.parentPath, entry.name))
}

/** The schema of app-template names its library's by its address. */
function useLocalSchemas(chart: string): void {
  const path = join(chart, 'values.schema.json')
  if (!existsSync(path)) return
  const text = readFileSync(path, 'utf8')
  const below = join(chart, 'charts', 'common')
  const library = resolve(existsSync(below) ? below : chart)
  const local = text.replaceAll(/https:\/\/[^"]*\/charts\/library\/common(?=\/)/g, `file://${library}`)
  if (local !== text) writeFileSync(path, local)
}

const [clones, target] = process.argv.slice(2)
if (clones === undefined || target === undefined) throw new Error('node tools/assemble-charts.ts CLONES TARGET')
rmSync(target, { recursive: true, force: true })
for (const name of wanted) put(clones, name, join(target, name))
