/** The chart's README is what values.yaml says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { chartReadme } from '../../tools/chart-readme.ts'

const read = (path: string): string => readFileSync(path, 'utf8')

test('deploy/chart/README.md is fresh, and has every value', () => {
  const values = read('deploy/chart/values.yaml')
  assert.equal(
    read('deploy/chart/README.md'),
    chartReadme(read('tools/chart-readme.md'), values),
    'node tools/chart-readme.ts > deploy/chart/README.md',
  )
  assert.match(read('deploy/chart/README.md'), /\| `server\.alertmanagerConfigSecret\.key` \| `"alertmanager\.yml"` \|/)
})
