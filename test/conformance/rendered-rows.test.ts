/** Rows of the requirements about what `deploy render` writes, asserted over all engines and targets at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { dataSourceConfigMap, grafanaValues } from '#deploy/grafana.ts'
import { objectsOf, planOf, render } from '#deploy/render.ts'
import { clientUrls, storeServices } from '#deploy/release.ts'
import { secretProblems } from '#deploy/sops.ts'
import { engines, readStack, targets, type Engine, type Stack, type Target } from '#deploy/stack.ts'
import type { FileTree } from '#deploy/tree.ts'
import { charts } from '#deploy/versions.ts'
import { ownChart } from '../../src/ops/render-tree.ts'

const base = "s3: { endpoint: 'https://s3.example.net', region: minio }\n"
const policies = `${base}network_policy: { enabled: true, from_namespaces: [apps] }\n`

async function treeOf(engine: Engine, target: Target, text = base): Promise<FileTree> {
  const stack = readStack(text, 'stack.yaml', engine)
  const own = ownChart()
  return (await render({ stack, target, ownChart: own, seal: () => Promise.resolve(undefined), configText: text })).tree
}

/** Every value below `root`, with its path. */
function* leaves(root: unknown, path = ''): Generator<[path: string, value: unknown]> {
  if (typeof root !== 'object' || root === null) {
    yield [path, root]
    return
  }
  for (const [key, value] of Object.entries(root)) yield* leaves(value, path === '' ? key : `${path}.${key}`)
}

const planned = (engine: Engine, text = base): ReturnType<typeof planOf> =>
  planOf(readStack(text, 'stack.yaml', engine))

for (const engine of engines)
  test(`${engine}: nothing asks for more than one replica (req-011, req-169)`, () => {
    let count = 0
    for (const { name, values } of planned(engine).releases)
      for (const [path, value] of leaves(values)) {
        if (!/(^|\.)(replicas|replicaCount)$/.test(path) || value === null) continue
        count++
        assert.ok(value === 1 || value === 0, `${name}: ${path} is ${String(value)}`)
      }
    if (engine !== 'tercet') assert.ok(count > 0)
  })

test('a version is written in one place: a new one changes one line of the tree (req-122)', async () => {
  // Tercet's image has the version of its chart.
  for (const engine of ['victoria', 'lgtm'] as const) {
    const tree = await treeOf(engine, 'flux')
    for (const { chart } of planned(engine).releases) {
      if (chart === 'tercet') continue
      const lines = [...tree].flatMap(([path, text]) =>
        text
          .split('\n')
          .filter(line =>
            new RegExp(`^\\s*(tag|version): ["']?${chart.version.replaceAll('.', '\\.')}["']?$`).test(line),
          )
          .map(line => `${path}: ${line.trim()}`),
      )
      const own = lines.filter(line => line.includes(`${chart.name}`) || line.includes('ocirepository'))
      assert.ok(own.length >= 1, `${engine}: ${chart.name} ${chart.version}: ${lines.join(', ')}`)
      assert.ok(
        own.every(line => line.includes('ocirepository.yaml: tag:')),
        own.join(', '),
      )
    }
  }
  assert.equal(new Set(Object.values(charts).map(({ url }) => url)).size, Object.keys(charts).length)
})

test(
  'credentials come from Secrets by reference: a restarted pod has new ones, no release changes ' + '(req-159)',
  async () => {
    for (const engine of engines) {
      const tree = await treeOf(engine, 'flux')
      for (const object of objectsOf(tree).filter(({ kind }) => kind === 'HelmRelease'))
        assert.equal((object as unknown as { spec: { valuesFrom?: unknown } }).spec.valuesFrom, undefined)
      const all = objectsOf(tree).filter(({ kind }) => !['Secret', 'Kustomization'].includes(kind))
      const referred = new Set(all.flatMap(object => [...leaves(object)].map(([, value]) => value)))
      // VictoriaLogs and VictoriaTraces can't use a bucket: their Secrets are for what comes after them.
      for (const { name, secrets } of engine === 'victoria' ? [] : planned(engine).releases)
        for (const secret of secrets)
          assert.ok(referred.has(secret.name), `${engine}: nothing of ${name} refers to ${secret.name}`)
    }
  },
)

test('data sources as values and as a labelled ConfigMap are the same (req-161, req-069, req-128)', () => {
  for (const engine of engines) {
    const stack = readStack(base, 'stack.yaml', engine)
    const map = dataSourceConfigMap(stack) as unknown as { metadata: { labels: object }; data: Record<string, string> }
    assert.deepEqual({ ...map.metadata.labels }, { ...map.metadata.labels, grafana_datasource: '1' })
    const [text] = Object.values(map.data)
    const inValues = (grafanaValues(stack) as { datasources: Record<string, unknown> }).datasources['datasources.yaml']
    assert.deepEqual(parse(text!), parse(JSON.stringify(inValues)))
    assert.ok((parse(text!) as { datasources: unknown[] }).datasources.length >= 2)
  }
})

test('with network policies asked for, each target that has objects has them (req-171)', async () => {
  for (const engine of engines) {
    const text = [...(await treeOf(engine, 'flux', policies))].map(([, content]) => content).join('\n')
    assert.match(text, /NetworkPolicy|networkPolicy/, engine)
    const without = objectsOf(await treeOf(engine, 'flux')).filter(({ kind }) => kind === 'NetworkPolicy')
    assert.deepEqual(without, [], engine)
  }
})

test('Services have the same names whoever stands behind them (req-083, req-176)', () => {
  assert.deepEqual(storeServices, { metrics: 'metrics-store', logs: 'logs-store', traces: 'traces-store' })
  const of = (engine: Engine): Stack => readStack(`${base}signals: [metrics, logs, traces]\n`, 'stack.yaml', engine)
  for (const engine of engines)
    for (const [signal, { push }] of Object.entries(clientUrls(of(engine))))
      assert.equal(new URL(push).hostname.split('.')[0], storeServices[signal as keyof typeof storeServices], engine)
})

test(
  'a Secret in clear among rendered files is found; the sealed rule is there to be used ' + '(req-017, req-167)',
  async () => {
    const clear = 'apiVersion: v1\nkind: Secret\nmetadata: { name: x }\nstringData: { password: open }\n'
    assert.ok((await secretProblems(clear)).length > 0)
    for (const engine of engines)
      for (const target of targets)
        for (const [path, text] of await treeOf(engine, target)) {
          if (!/\.ya?ml$/.test(path) || path.includes('templates/')) continue
          assert.deepEqual(await secretProblems(text), [], `${engine} ${target}: ${path}`)
        }
  },
)

test('what a document asks for and an engine has not is a warning with a name, for every engine (req-175)', () => {
  for (const engine of engines)
    for (const { name, text } of planned(engine, `${base}persistence: { enabled: false }\n`).warnings) {
      assert.match(name, /^[a-z0-9-]+$/)
      assert.ok(text.length > 20)
    }
  // Victoria and LGTM keep what is not in a bucket yet on a volume: taking it away is not passed over in silence.
  for (const engine of ['victoria', 'lgtm'] as const)
    assert.ok(planned(engine, `${base}persistence: { enabled: false }\n`).warnings.length > 0, `${engine} (req-123)`)
})
