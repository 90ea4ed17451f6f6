/**
 * Every door is fuzzed a little in each run, and what longer runs (npm run fuzz) have found is tried again.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fuzzTarget } from './run.ts'
import { isDocumented, targets } from './targets.ts'

/** By target: inputs in base64 that were findings once. */
const findings = JSON.parse(readFileSync(new URL('findings.json', import.meta.url), 'utf8')) as Record<string, string[]>

for (const name of Object.keys(targets))
  test(`fuzz: ${name}`, async () => {
    const { findings: found } = await fuzzTarget(name, { seed: 7, inputs: 1500, hangMs: 20_000, isSteered: false })
    assert.deepEqual(
      found.map(({ reason, input }) => `${reason} ${Buffer.from(input).toString('base64').slice(0, 2000)}`),
      [],
    )
  })

test('what was found once is refused, or read, with an error of our own kinds at most', () => {
  for (const [name, inputs] of Object.entries(findings))
    for (const input of inputs) {
      const target = targets[name]
      assert.ok(target !== undefined, name)
      try {
        target.run(Buffer.from(input, 'base64'))
      } catch (error) {
        assert.ok(isDocumented(target, error), `${name}: ${String(error)}`)
      }
    }
})
