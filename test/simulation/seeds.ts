/**
 * The simulation as tests: SEEDS says how many seeds, SEED which one is the first. Planted faults are found within 200
 * (plants.test.ts).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runScript } from './run.ts'
import { scriptOf } from './script.ts'
import type { SimulatedSignal } from './signal.ts'
import { simulate } from './simulate.ts'

const from = Number(process.env['SEED'] ?? 1)
const count = Number(process.env['SEEDS'] ?? 120)
const repeated = 5

/** Seeds behind the first ones that found a fault once. */
const foundBy: Readonly<Record<string, readonly number[]>> = {
  metrics: [489, 576, 783, 801, 968, 1016, 1241, 1294, 1420, 1584, 1691, 3114, 3123, 5267, 6082, 6368],
  logs: [849, 1016, 1310, 1779, 2008, 2086, 4050, 4572, 5483, 5750, 6634, 9090],
  traces: [2182, 3352, 3500, 3865, 4610],
}

export function testSeeds(signal: SimulatedSignal): void {
  const { name } = signal

  test(`${name}: seeds that found a fault once`, async () => {
    for (const seed of foundBy[name] ?? []) {
      const { failure } = await runScript(signal, scriptOf(seed))
      assert.equal(failure, undefined, `npm run simulate -- --signal ${name} --seed ${seed}`)
    }
  })

  test(`${name}: ${count} seeds`, { timeout: 600_000 }, async () => {
    const printed: string[] = []
    const code = await simulate({
      from,
      count,
      signal: name,
      script: undefined,
      isVerbose: false,
      shrinks: true,
      failuresMax: 3,
      print: text => {
        printed.push(text)
      },
    })
    assert.equal(code, 0, `npm run simulate -- --signal ${name} --seed N\n${printed.join('\n')}`)
  })

  test(`${name}: a seed gives the same run again`, async () => {
    for (let seed = from; seed < from + repeated; seed++) {
      const first = await runScript(signal, scriptOf(seed))
      assert.deepEqual(await runScript(signal, scriptOf(seed)), first)
    }
  })
}
