/** deploy/examples is what this version renders, and can be used as it stands (req-068 req-072 req-080 req-130). */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findUnresolved } from '#deploy/references.ts'
import { examples, renderExample } from '../../tools/examples.ts'
import { objectsOfText } from '../kube-objects.ts'
import { needsRealHelm, templateDirectory } from '../real-charts.ts'

function filesOf(directory: string): Map<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const paths = entries.map(entry => join(entry.parentPath, entry.name)).sort()
  return new Map(paths.map(path => [path.slice(directory.length + 1), readFileSync(path, 'utf8')]))
}

test('there is one of every engine and target', () => {
  const names = examples().map(({ directory }) => directory)
  const wanted = ['flux', 'compose'].flatMap(target => ['tercet', 'victoria', 'lgtm'].map(e => `${target}-${e}`))
  for (const name of [...wanted, 'helm-victoria', 'helm-lgtm', 'grafana'])
    assert.ok(names.includes(`deploy/examples/${name}`), name)
})

for (const { directory, target } of examples())
  test(`${directory} is fresh`, async () => {
    const copy = mkdtempSync(join(tmpdir(), 'tercet-example-'))
    try {
      cpSync(directory, copy, { recursive: true })
      await renderExample(directory, target, copy)
      const there = filesOf(directory)
      for (const [path, text] of filesOf(copy))
        assert.equal(there.get(path), text, `${directory}/${path}: write it again with node tools/examples.ts`)
      assert.deepEqual([...filesOf(copy).keys()], [...there.keys()])
    } finally {
      rmSync(copy, { recursive: true })
    }
  })

test('the subchart renders in its umbrella, by the names of the documents', needsRealHelm, () => {
  const copy = mkdtempSync(join(tmpdir(), 'tercet-umbrella-'))
  try {
    cpSync('deploy/examples/helm-subchart', copy, { recursive: true })
    cpSync('deploy/chart', join(copy, 'charts', 'tercet'), { recursive: true })
    const objects = templateDirectory('shop', copy, 'shop')
    assert.deepEqual(findUnresolved(objects, { services: {}, external: [] }), [])
    const names = objects.map(o => `${o.kind}/${o.metadata.name}`)
    for (const name of ['StatefulSet/victoriametrics', 'DaemonSet/victoriametrics-agent', 'Service/metrics-store'])
      assert.ok(names.includes(name), `${name} of ${names.join()}`)
    const server = JSON.stringify(objects.find(o => o.kind === 'StatefulSet'))
    assert.match(server, /registry\.example\.net\/tercet:0\.1\.0/)
    assert.match(server, /"storage":"10Gi"/)
  } finally {
    rmSync(copy, { recursive: true })
  }
})

test('every file of the examples is YAML, JSON or text that says what it is', () => {
  for (const [path, text] of filesOf('deploy/examples'))
    if (/\.ya?ml$/.test(path) && !path.includes('/templates/')) assert.doesNotThrow(() => objectsOfText(text), path)
})
