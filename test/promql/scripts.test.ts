/** Our own scripts in promqltest notation. Covers req-002. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { runScript, type Failure } from './script.ts'

const directory = new URL('../../src/query/promql/testdata/', import.meta.url)
for (const file of readdirSync(directory).filter(f => f.endsWith('.test'))) {
  test(`script ${file}`, async () => {
    const failures: Failure[] = []
    let count = 0
    await runScript(readFileSync(new URL(file, directory), 'utf8'), failure => {
      count++
      if (failure !== undefined) failures.push(failure)
    })
    assert.ok(count > 20)
    assert.equal(failures.length, 0, failures.map(f => `${file}:${f.line}: ${f.query}: ${f.reason}`).join('\n'))
  })
}
