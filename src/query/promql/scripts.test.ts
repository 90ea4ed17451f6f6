/** Scripts in promqltest notation: every function, aggregation and operator. Covers req-002. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { functions } from '#lang/promql/functions.ts'
import { makeHeadStore, scriptEngine } from '../../../test/head-store.ts'
import { runScript, type Failure } from './script.ts'

const directory = new URL('testdata/', import.meta.url)
const scripts = readdirSync(directory)
  .filter(file => file.endsWith('.test'))
  .map(file => ({ file, text: readFileSync(new URL(file, directory), 'utf8') }))

async function run(text: string): Promise<{ count: number; failures: Failure[] }> {
  const failures: Failure[] = []
  let count = 0
  await runScript(text, scriptEngine, makeHeadStore, failure => {
    count++
    if (failure !== undefined) failures.push(failure)
  })
  return { count, failures }
}

for (const { file, text } of scripts) {
  test(`script ${file}`, async () => {
    const { count, failures } = await run(text)
    assert.ok(count > 10, `${file} has only ${count} cases`)
    assert.equal(failures.length, 0, failures.map(f => `${file}:${f.line}: ${f.query}: ${f.reason}`).join('\n'))
  })
}

test('the scripts use every function', () => {
  const all = scripts.map(s => s.text).join('\n')
  const missing = Object.keys(functions).filter(name => !all.includes(`${name}(`) && !all.includes(`${name} (`))
  assert.deepEqual(missing, [])
})

test('a script with a wrong expectation fails, with its line', async () => {
  const wrong: readonly (readonly [script: string, line: number, reason: RegExp])[] = [
    ['load 1m\n  a 1 2\n\neval instant at 1m a\n  a 3', 4, /2, wanted 3/],
    ['eval instant at 0 vector(1)\n  {} 1\n\neval instant at 0 vector(1)\n', 4, /1 series, wanted 0/],
    ['load 1m\n  a{x="1"} 1\n\neval instant at 0 a\n  a{x="2"} 1', 4, /no series/],
    ['load 1m\n  a 1 2 3\n\neval range from 0 to 2m step 1m a\n  a 1 2 _', 4, /wanted/],
    ['eval instant at 0 1 + 1\n  3', 1, /scalar 2, wanted 3/],
    ['eval instant at 0 "a"\n  expect string "b"', 1, /string "a"/],
    ['eval instant at 0 vector(1)\n  expect fail', 1, /should have failed/],
    ['eval instant at 0 nosuch(1)', 1, /failed: /],
    ['eval instant at 0 nosuch(1)\n  expect fail msg: other', 1, /failed with .* wanted "other"/],
    ['eval instant at 0 vector(1)\n  expect warn\n  {} 1', 1, /no warnings/],
    [
      'load 1m\n  a{x="1"} 1\n  a{x="2"} 2\n\neval_ordered instant at 0 sort(a)\n  a{x="2"} 2\n  a{x="1"} 1',
      5,
      /place/,
    ],
  ]
  for (const [script, line, reason] of wrong) {
    const { failures } = await run(script)
    assert.deepEqual(
      failures.map(f => f.line),
      [line],
      script,
    )
    assert.match(failures[0]?.reason ?? '', reason, script)
  }
  await assert.rejects(run('evil instant at 0 a'), /line 1: not understood/)
})
