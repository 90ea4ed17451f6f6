/** What is installed is pinned, comes from one place, runs nothing, and may be used. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { problemsOfLock, type Lock } from '../../tools/lock-audit.ts'

test('the lock file has no package that is not pinned, runs a script, or has a licence that nobody has read', () => {
  assert.deepEqual(problemsOfLock(JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock), [])
})

test('each of these would be told', () => {
  const good = { version: '1.0.0', integrity: 'sha512-x', license: '(MIT OR GPL-3.0)' }
  const packages = {
    '': {},
    'tools/node': {},
    'node_modules/good': good,
    'node_modules/linked': { link: true },
    'node_modules/old': { ...good, integrity: 'sha1-x' },
    'node_modules/loose': { version: '1.0.0', license: 'MIT' },
    'node_modules/elsewhere': { ...good, resolved: 'git+ssh://example.net/x.git' },
    'node_modules/script': { ...good, hasInstallScript: true },
    'ui/node_modules/nested': { ...good, license: 'MIT AND GPL-3.0' },
    'node_modules/nameless': { version: '1.0.0', integrity: 'sha512-x' },
  }
  assert.deepEqual(problemsOfLock({ packages }), [
    'node_modules/old: is not pinned by a SHA-512',
    'node_modules/loose: is not pinned by a SHA-512',
    'node_modules/elsewhere: names where it comes from: git+ssh://example.net/x.git',
    'node_modules/script: runs a script when it is installed',
    'ui/node_modules/nested: its licence MIT AND GPL-3.0 has not been looked at',
    'node_modules/nameless: names no licence',
  ])
})
