/** The chart, rendered by a real Helm. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { KubeObject } from '#deploy/tree.ts'
import { objectsOfText } from '../kube-objects.ts'

export const helm = join(process.cwd(), 'node_modules/.bin/helm')
export const hasHelm = {
  skip: spawnSync(helm, ['version']).status === 0 ? false : 'NOT TESTED: helm does not run here',
} as const

export type Values = Record<string, unknown>

/** Everything that the chart asks a cluster for. */
export const allApis = [
  'monitoring.coreos.com/v1',
  'operator.victoriametrics.com/v1beta1',
  'gateway.networking.k8s.io/v1',
  'grafana.integreatly.org/v1beta1',
]

export interface RenderOptions {
  chart?: string
  release?: string
  apis?: readonly string[]
}

export interface Rendered {
  objects: KubeObject[]
  /** Empty where it rendered. */
  error: string
}

export function template(
  values: Values,
  { chart = 'deploy/chart', release = 'try', apis = allApis }: RenderOptions = {},
): Rendered {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-render-'))
  try {
    const file = join(directory, 'values.yaml')
    writeFileSync(file, stringify(values, { compat: 'yaml-1.1' }))
    const of = ['template', release, chart, '--namespace', 'monitoring', '--kube-version', '1.29.0', '-f', file]
    const run = spawnSync(helm, [...of, ...apis.flatMap(api => ['-a', api])], { encoding: 'utf8' })
    return run.status === 0 ? { objects: objectsOfText(run.stdout), error: '' } : { objects: [], error: run.stderr }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

export function rendered(values: Values, options: RenderOptions = {}): KubeObject[] {
  const { objects, error } = template(values, options)
  assert.equal(error, '', JSON.stringify(values))
  return objects
}

/** The one object of the kind whose name matches. */
export function one<T extends KubeObject = KubeObject>(
  objects: readonly KubeObject[],
  kind: string,
  name: RegExp = /./,
): T {
  const found = objects.filter(o => o.kind === kind && name.test(o.metadata.name))
  assert.equal(found.length, 1, `${found.length} of ${kind} ${String(name)}`)
  return found[0] as T
}

export function dataOf(object: KubeObject): Record<string, string> {
  return object['data'] as Record<string, string>
}

/**
 * What is printed after an installation. Helm asks a cluster before it prints notes, so a copy of the chart has them
 * in a ConfigMap.
 */
export function notesOf(values: Values, options: RenderOptions = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'tercet-notes-'))
  try {
    cpSync('deploy/chart', directory, { recursive: true })
    renameSync(join(directory, 'templates/NOTES.txt'), join(directory, 'notes.tpl'))
    const text = '{{ tpl (.Files.Get "notes.tpl") . | toJson }}'
    writeFileSync(
      join(directory, 'templates/notes.yaml'),
      `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: the-notes }\ndata: { text: ${text} }\n`,
    )
    return dataOf(one(rendered(values, { ...options, chart: directory }), 'ConfigMap', /^the-notes$/))['text']!
  } finally {
    rmSync(directory, { recursive: true })
  }
}
