/** The scores that README shows are those of the lists of unequal answers. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { scoreTable } from './scores.ts'

test('README shows the scores (node test/differential/scores.ts)', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  for (const row of scoreTable()) assert.ok(readme.includes(row), row)
})
