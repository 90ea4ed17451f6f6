/**
 * kill -9 at random moments under load, all signals at once, straight and through an agent, in both durability modes
 * (in bucket mode the data directory goes too): nothing acknowledged is missing, nothing is there twice, nothing
 * refused is there, no alert waits from the start again. Covers req-012, req-040, req-093, req-144. KILLS sets the
 * number of kills; bench/kill.ts is for the record.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { KillLoop } from '../kill-loop.ts'
import { temporaryDirectory } from '../run-tercet.ts'

const cycles = Number(process.env['KILLS'] ?? 4)
for (const [durability, seed] of [
  ['local', 40],
  ['bucket', 51],
] as const)
  test(`${durability}: ${cycles} kills under load`, async () => {
    const directory = temporaryDirectory()
    const report = await new KillLoop({ directory, durability, seed, cycles, checkEvery: cycles }).run()
    assert.deepEqual(report.findings, [])
    assert.deepEqual([report.missing, report.doubled, report.wrong], [0, 0, 0])
    for (const [flow, count] of Object.entries(report.acknowledged))
      assert.ok(count >= cycles, `only ${count} items of ${flow} were acknowledged`)
    rmSync(directory, { recursive: true, force: true })
  })
