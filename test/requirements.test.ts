/** Every row of docs/requirements.md is named by a test or a bench, and every name is that of a row. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readPlaces, readRequirements } from '../tools/requirements.ts'

const requirements = readRequirements(readFileSync('docs/requirements.md', 'utf8'))

test('the rows are numbered from 1 to 176', () => {
  assert.deepEqual(
    requirements.map(({ number }) => number),
    Array.from({ length: 176 }, (_, i) => i + 1),
  )
})

test('176 of 176 rows are named by tests or benches, and nothing else is', () => {
  const places = readPlaces('.')
  assert.deepEqual(
    requirements.filter(({ number }) => !places.has(number)).map(({ number, text }) => `${number} ${text}`),
    [],
  )
  assert.deepEqual(
    [...places.keys()].filter(number => !requirements.some(row => row.number === number)),
    [],
  )
})
