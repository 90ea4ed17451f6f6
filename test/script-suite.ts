/** Tests made of the scripts of a folder, and of scripts whose expectations are wrong on purpose. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Failure } from '../src/query/script-commands.ts'

/** Runs a script and calls `onCase` for every evaluation. */
export type RunScript = (text: string, onCase: (failure: Failure | undefined) => void) => Promise<void>

async function resultsOf(run: RunScript, text: string): Promise<{ count: number; failures: Failure[] }> {
  const failures: Failure[] = []
  let count = 0
  await run(text, failure => {
    count++
    if (failure !== undefined) failures.push(failure)
  })
  return { count, failures }
}

/** One test for each `*.test` file of the folder; `note` says in what way they run. Returns their texts. */
export function testScripts(directory: URL, run: RunScript, note = ''): string[] {
  return readdirSync(directory)
    .filter(file => file.endsWith('.test'))
    .map(file => {
      const text = readFileSync(new URL(file, directory), 'utf8')
      test(`script ${file}${note}`, async () => {
        const { count, failures } = await resultsOf(run, text)
        assert.ok(count > 10, `${file} has only ${count} cases`)
        assert.equal(failures.length, 0, failures.map(f => `${file}:${f.line}: ${f.query}: ${f.reason}`).join('\n'))
      })
      return text
    })
}

/** A test that every script fails in exactly one evaluation, at its line and for its reason. */
export function testWrongScripts(
  run: RunScript,
  scripts: readonly (readonly [script: string, line: number, reason: RegExp])[],
): void {
  test('a script with a wrong expectation fails, with its line', async () => {
    for (const [script, line, reason] of scripts) {
      const { failures } = await resultsOf(run, script)
      assert.deepEqual(
        failures.map(f => f.line),
        [line],
        script,
      )
      assert.match(failures[0]?.reason ?? '', reason, script)
    }
    await assert.rejects(resultsOf(run, 'evil instant at 0 a'), /line 1: not understood/)
  })
}
