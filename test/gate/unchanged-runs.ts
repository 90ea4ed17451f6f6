/**
 * How often the gate is wrong, with real processes: the shop is recorded again and again without a change, each run is
 * compared with the one before, and each defect is planted some times.
 *
 *     node test/gate/unchanged-runs.ts [--runs=30] [--each-defect=3]
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCommand } from '../run-cli.ts'
import { temporaryDirectory } from '../run-tercet.ts'
import type { Report } from '../../src/gate/compare.ts'
import { defects, recordShop } from './recorded-shop.ts'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '30' }, 'each-defect': { type: 'string', default: '3' } },
})
const directory = temporaryDirectory()
const base = join(directory, 'run-0')
await recordShop(base)

async function failuresBetween(before: string, after: string): Promise<string[]> {
  const { out, err, code } = await runCommand(['diff', '--format=json', before, after])
  if (code > 1) throw new Error(err)
  const report = JSON.parse(out) as Report
  return report.findings.filter(({ severity }) => severity === 'fail').map(({ sentence }) => sentence)
}

let falseAlarms = 0
const runs = Number(values.runs)
for (let run = 1; run <= runs; run++) {
  const head = join(directory, `run-${run}`)
  await recordShop(head)
  const failures = await failuresBetween(join(directory, `run-${run - 1}`), head)
  if (failures.length > 0) falseAlarms++
  console.log(`unchanged run ${run}: ${failures.length === 0 ? 'passes' : failures.join('; ')}`)
}
let missed = 0
const times = Number(values['each-defect'])
for (const [defect, kind] of Object.entries(defects))
  for (let time = 1; time <= times; time++) {
    const head = join(directory, `${defect}-${time}`)
    await recordShop(head, defect)
    const failures = await failuresBetween(base, head)
    if (failures.length === 0) missed++
    console.log(`${defect} (${kind}): ${failures.length === 0 ? 'MISSED' : failures.join('; ')}`)
  }
rmSync(directory, { recursive: true, force: true })
const planted = Object.keys(defects).length * times
console.log(`${falseAlarms} of ${runs} unchanged runs fail; ${missed} of ${planted} defects are missed`)
