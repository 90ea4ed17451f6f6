/** Every value that is rendered is a key that its chart knows, of the right type (req-122 req-123 req-125). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkValues, isOpen } from '../chart-values.ts'
import { chartReleases } from '../deployed-stacks.ts'

interface Place {
  parent: Record<string, unknown>
  key: string
  path: string
}

/** Keys of maps, but for those below what a chart leaves open. */
function* placesIn(value: Record<string, unknown>, path = ''): Generator<Place> {
  for (const [key, child] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`
    yield { parent: value, key, path: at }
    if (typeof child === 'object' && child !== null && !Array.isArray(child) && !isOpen(at))
      yield* placesIn(child as Record<string, unknown>, at)
  }
}

test('every rendered value is a key of its chart', t => {
  const counts = new Map<string, number>()
  for (const { where, chart, values } of chartReleases()) {
    const { problems, count } = checkValues(chart, values)
    assert.deepEqual(problems, [], where)
    counts.set(chart, (counts.get(chart) ?? 0) + count)
  }
  for (const [chart, count] of counts) t.diagnostic(`${chart}: ${count} paths`)
  assert.ok(counts.size === 9, [...counts.keys()].join())
})

/** What app-template lets its user name: controllers, containers, ports, volumes, files, variables. */
function isName(path: string): boolean {
  const isOfTop = /^(controllers|service|configMaps|persistence)\.[^.]+$/.test(path)
  return isOfTop || /\.(containers|ports|env)\.[^.]+$|\.(annotations|data)\./.test(path)
}

test('a key with another name is found, wherever it stands', t => {
  let count = 0
  for (const { where, chart, values } of chartReleases(['base'])) {
    const copy = structuredClone(values)
    for (const { parent, key, path } of placesIn(copy)) {
      if (chart === 'app-template' && isName(path)) continue
      const value = parent[key]
      delete parent[key]
      parent[`${key}Misspelled`] = value
      assert.notDeepEqual(checkValues(chart, copy).problems, [], `${where}: ${path} may have any name`)
      delete parent[`${key}Misspelled`]
      parent[key] = value
      count++
    }
  }
  t.diagnostic(`${count} keys`)
  assert.ok(count > 100)
})

test('a value of another kind is found', () => {
  assert.match(checkValues('tempo', { replicas: true }).problems.join(), /replicas is a boolean, and a number/)
  assert.match(checkValues('tempo', { tempo: { extraEnvFrom: {} } }).problems.join(), /is a map, and a list/)
  assert.match(checkValues('loki', { singleBinary: { replicas: 'one' } }).problems.join(), /replicas/)
  assert.match(checkValues('app-template', { controllers: { a: { replicas: 'one' } } }).problems.join(), /replicas/)
  assert.match(
    checkValues('loki', { monitoring: { selfMonitoring: { enabled: false } } }).problems.join(),
    /selfMonitoring/,
  )
})
