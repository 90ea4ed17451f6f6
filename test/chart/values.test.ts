/**
 * Every value of the chart, and what it does to what Helm renders: req-086 req-102 req-103 req-174. Names of objects
 * that are somebody else's begin with `their-`.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isMap, parseDocument, stringify, type Node } from 'yaml'
import type { KubeObject } from '#deploy/tree.ts'
import { builtInProblems, customProblems, isBuiltIn } from '../kube-objects.ts'
import { rows, type Effect } from './effects.ts'
import { chartProblems } from './references.ts'
import { hasHelm, rendered, type Values } from './render.ts'

/** Paths of values that hold no further values; a map on one line is one value. */
function leavesOf(node: Node | null, path: string): string[] {
  if (!isMap(node) || node.items.length === 0 || node.flow === true) return [path]
  return node.items.flatMap(pair => {
    const key = String((pair.key as { value?: unknown }).value)
    return leavesOf(pair.value as Node | null, path === '' ? key : `${path}.${key}`)
  })
}

function isSet(values: unknown, path: string): boolean {
  let at = values
  for (const part of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return false
    at = (at as Record<string, unknown>)[part]
  }
  return true
}

function merged(base: Values, more: Values): Values {
  const isTree = (value: unknown): value is Values =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  const out: Values = { ...base }
  for (const [key, value] of Object.entries(more)) {
    const own = out[key]
    out[key] = isTree(own) && isTree(value) ? merged(own, value) : value
  }
  return out
}

function textAt(objects: readonly KubeObject[], at: string): string {
  const slash = at.indexOf('/')
  const kind = slash < 0 ? at : at.slice(0, slash)
  const chosen = objects.filter(o => o.kind === kind && (slash < 0 || o.metadata.name === at.slice(slash + 1)))
  // Texts of ConfigMaps as blocks, with what they hold at the beginning of lines.
  return chosen.map(o => stringify(o, { lineWidth: 0 })).join('---\n')
}

function assertShown({ at, is, isNot }: Effect, path: string, without: KubeObject[], with_: KubeObject[]): void {
  const [before, after] = [textAt(without, at), textAt(with_, at)]
  if (is !== undefined) {
    assert.match(after, is, path)
    assert.doesNotMatch(before, is, `${path} is not what does it`)
  }
  if (isNot !== undefined) {
    assert.match(before, isNot, `${path}: without it there is nothing to take away`)
    assert.doesNotMatch(after, isNot, path)
  }
}

test(`each of the chart's values does something: ${rows.length} sets`, hasHelm, () => {
  const all: KubeObject[] = []
  const renders = new Map<string, KubeObject[]>()
  for (const { base = {}, values, shows } of rows) {
    const key = JSON.stringify(base)
    const without = renders.get(key) ?? rendered(base)
    renders.set(key, without)
    const objects = rendered(merged(base, values))
    for (const [path, effect] of Object.entries(shows)) {
      assert.ok(isSet(values, path), `${path} is shown and not set`)
      assertShown(effect, path, without, objects)
    }
    // A server of somebody else's is where agents of this release send.
    const others = shows['server.enabled'] === undefined ? [] : [/no Service metrics-store/]
    const problems = chartProblems(objects).filter(problem => !others.some(known => known.test(problem)))
    assert.deepEqual(problems, [], JSON.stringify(values))
    all.push(...objects)
  }
  assert.deepEqual(builtInProblems(all), [])
  const custom = all.filter(o => !isBuiltIn(o))
  assert.deepEqual(custom.flatMap(customProblems), [])
  assert.deepEqual(
    [...new Set(custom.map(o => o.kind))].sort(),
    ['GrafanaDashboard', 'HTTPRoute', 'PrometheusRule', 'ServiceMonitor', 'VMServiceScrape'],
    'each kind was checked',
  )
})

test('no value is without such a test', () => {
  const leaves = leavesOf(parseDocument(readFileSync('deploy/chart/values.yaml', 'utf8')).contents, '')
  const shown = new Set(rows.flatMap(row => Object.keys(row.shows)))
  assert.deepEqual(
    leaves.filter(leaf => !shown.has(leaf)),
    [],
    'add a row to test/chart/effects.ts',
  )
})
