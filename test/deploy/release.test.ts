/** What is built and published: one version, a workflow whose steps are there, a Dockerfile whose sources are there. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { versionsIn } from '../../tools/release-version.ts'

test('package, chart, image and renders have one version (req-075)', () => {
  const versions = new Set(versionsIn())
  assert.equal(versions.size, 1, [...versions].join())
  assert.match([...versions][0]!, /^\d+\.\d+\.\d+/)
})

interface Step {
  uses?: string
  run?: string
}

test('the release workflow tests first, and names programs that are there', () => {
  const { jobs } = parse(readFileSync('.github/workflows/release.yml', 'utf8')) as {
    jobs: Record<string, { needs?: string; steps: Step[] }>
  }
  for (const [name, { needs, steps }] of Object.entries(jobs)) {
    assert.ok(name === 'test' || needs !== undefined, `${name} waits for nothing`)
    for (const { uses, run } of steps) {
      assert.ok((uses === undefined) !== (run === undefined))
      if (uses !== undefined) assert.match(uses, /^[\w-]+\/[\w-]+@v\d+$/, 'a version')
      for (const [path] of (run ?? '').matchAll(/\b(?:tools\/[\w.-]+|\.ci\/run|deploy\/chart\b[\w./]*)/g))
        assert.ok(existsSync(path), path)
    }
  }
  const text = JSON.stringify(jobs)
  for (const word of ['cosign sign', 'helm push', 'npm sbom', 'npm pack', 'linux/amd64,linux/arm64', '"sbom":true'])
    assert.ok(text.includes(word), word)
})

/** `!path` of .dockerignore: what goes to the builder. */
const allowed = readFileSync('.dockerignore', 'utf8')
  .split('\n')
  .filter(line => line.startsWith('!'))
  .map(line => line.slice(1))

test('the builder gets what the Dockerfile needs, and nothing that is not there', () => {
  for (const path of allowed) assert.ok(existsSync(path), path)
  const dockerfile = readFileSync('Dockerfile', 'utf8')
  assert.ok(allowed.includes('node_modules'), 'packages come from the checkout')
  assert.ok(!/npm (ci|install)/.test(dockerfile.replaceAll(/^#.*$/gm, '')), 'no package is downloaded')
  assert.match(dockerfile, /^USER 10001:10001$/m)
  assert.doesNotMatch(dockerfile, /^# syntax=/m, 'a frontend would be pulled')
  const [, last = ''] = dockerfile.split(/^FROM \$\{BASE_IMAGE\}$/m)
  assert.doesNotMatch(last, /^RUN/m, 'no step runs on another processor')
})
