/**
 * The manifests that Helm makes of the real charts with our values: each reference in them, and each of ours to them,
 * is resolved; each is strictly of its kind; each container has a limit (req-011 req-036 req-049 req-083 req-111).
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { planOf, render } from '#deploy/render.ts'
import type { KubeObject } from '#deploy/tree.ts'
import { podOf } from '#deploy/workloads.ts'
import { ownChart } from '../../src/ops/render-tree.ts'
import { inTemplatesAlone } from '../chart-values.ts'
import { deployed, refuseProblems } from '../deployed-objects.ts'
import { stacks, stackTexts } from '../deployed-stacks.ts'
import { builtInProblems, customProblems, isBuiltIn } from '../kube-objects.ts'
import { chartPath, needsRealCharts, templateUmbrella } from '../real-charts.ts'
import { madeByOperator } from '../vm-operator.ts'

test('every release of every stack resolves in the manifests that Flux gets', needsRealCharts, t => {
  let references = 0
  let manifests = 0
  for (const one of stacks()) {
    const objects = deployed(one.stack)
    references += refuseProblems(objects, one.where)
    manifests += objects.length
  }
  t.diagnostic(`${manifests} manifests, ${references} references`)
})

test('and in those of an umbrella, whatever its release is called', needsRealCharts, async () => {
  for (const one of stacks(['base', 'all signals', 'grafana elsewhere', 'policies'])) {
    const { stack, text, where } = one
    const seal = (): Promise<undefined> => Promise.resolve(undefined)
    const { tree } = await render({ stack, target: 'helm', ownChart: ownChart(), seal, configText: text })
    const secrets = planOf(stack).releases.flatMap(release =>
      release.secrets.map(({ name }) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name } })),
    )
    const objects = [...templateUmbrella(tree, stack.namespace), ...secrets]
    refuseProblems([...objects, ...madeByOperator(objects)], `${where}, as an umbrella`)
  }
})

test('the Services that a plan says are made are made, with their ports', needsRealCharts, () => {
  for (const one of stacks()) {
    const objects = deployed(one.stack)
    for (const { name: release, services, makes } of planOf(one.stack).releases) {
      for (const [name, ports] of Object.entries(services)) {
        const service = objects.find(o => o.kind === 'Service' && o.metadata.name === name)
        const own = (service?.['spec'] as { ports: { port: number }[] } | undefined)?.ports.map(p => p.port)
        assert.deepEqual(
          ports.filter(port => own?.includes(port) !== true),
          [],
          `${one.where}: ${release}: ${name}`,
        )
      }
      for (const made of makes)
        assert.ok(
          objects.some(o => `${o.kind}/${o.metadata.name}` === made),
          `${one.where}: ${release}: ${made}`,
        )
    }
  }
})

test('every manifest is strictly of its kind', needsRealCharts, t => {
  const builtIn: KubeObject[] = []
  const custom: string[] = []
  for (const one of stacks(['base', 'all signals', 'policies', 'grafana', 'volumes', 'alerting with credentials'])) {
    for (const object of deployed(one.stack)) {
      if (object.kind === 'Secret' || (object.kind === 'PersistentVolumeClaim' && object['spec'] === undefined))
        continue
      if (isBuiltIn(object)) builtIn.push(withoutNulls(object))
      else if (hasSchema(object)) custom.push(...customProblems(object).map(problem => `${one.where}: ${problem}`))
    }
  }
  assert.deepEqual(custom, [])
  assert.deepEqual(builtInProblems(builtIn.filter(isHandMade)), [])
  t.diagnostic(`${builtIn.length} objects`)
})

/** Templates leave keys without a value, which Kubernetes takes for no key. */
function withoutNulls<T>(value: T): T {
  if (Array.isArray(value)) return value.map(withoutNulls) as T
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([, child]) => child !== null)
  return Object.fromEntries(kept.map(([key, child]) => [key, withoutNulls(child as unknown)])) as T
}

/** What the model of the operator makes has only what others name. */
const isHandMade = ({ metadata }: KubeObject): boolean => metadata.labels?.['managed-by'] !== 'vm-operator'

const hasSchema = ({ kind, apiVersion }: KubeObject): boolean =>
  existsSync(`fixtures/schemas/${kind}.${apiVersion.split('/')[1] ?? ''}.json`)

function bytesOf(text: string): number {
  const [, number = '', unit = ''] = /^(\d+)([KMG]i)$/.exec(text) ?? []
  return Number(number) * 1024 ** ['', 'Ki', 'Mi', 'Gi'].indexOf(unit)
}

test('every container has a limit of 2 GiB at most, and every workload one replica (req-011)', needsRealCharts, t => {
  let count = 0
  for (const one of stacks(Object.keys(stackTexts))) {
    for (const object of deployed(one.stack)) {
      const pod = podOf(object)
      if (pod === undefined) continue
      if (object.kind === 'StatefulSet' || object.kind === 'Deployment')
        assert.equal(pod.replicas, 1, `${one.where}: ${pod.where}`)
      for (const { name, resources } of pod.containers) {
        const limit = bytesOf(resources?.limits?.['memory'] ?? '')
        assert.equal(limit <= 2 * 1024 ** 3, true, `${one.where}: ${pod.where}: ${name} has no limit, or a larger one`)
        count++
      }
    }
  }
  t.diagnostic(`${count} containers`)
})

test('keys that no values.yaml has are read by templates', needsRealCharts, () => {
  for (const [chart, keys] of Object.entries(inTemplatesAlone)) {
    const templates = join(chartPath(chart), 'templates')
    const text = readdirSync(templates, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .join('\n')
    for (const key of keys) assert.ok(text.includes(`.Values.${key}`), `${chart}: ${key}`)
  }
})
