/**
 * kill -9 under load: samples, lines and spans, straight and through an agent, rules, refused pushes, new series,
 * streams and traces; nothing acknowledged may be missing, and nothing there twice.
 *
 *   node bench/kill.ts [--cycles=1000] [--durability=local|bucket] [--seed=1] [--check=20]
 *
 * Prints a line for every look at the ledger; exits with 1 when something was found, and keeps the directory then.
 * SIGINT ends it after the cycle under way, with a last look at everything.
 */
import { rmSync } from 'node:fs'
import { KillLoop, type KillReport } from '../test/kill-loop.ts'
import { temporaryDirectory } from '../test/run-tercet.ts'

const option = (name: string, fallback: string): string =>
  process.argv.find(a => a.startsWith(`--${name}=`))?.split('=')[1] ?? fallback

const durability = option('durability', 'local') === 'bucket' ? 'bucket' : 'local'
const directory = temporaryDirectory()
const startedMs = performance.now()
let shown = 0
let isOver = false
process.once('SIGINT', () => {
  isOver = true
})

function show(report: KillReport): void {
  const { findings, acknowledged, ...counts } = report
  const of = Object.entries({ ...counts, ...acknowledged }).map(([name, count]) => `${name} ${count}`)
  console.log(`${durability} ${((performance.now() - startedMs) / 1000).toFixed(0)} s: ${of.join(', ')}`)
  for (; shown < findings.length; shown++) console.log(`  ${findings[shown]!}`)
}

console.log(`${durability}, seed ${option('seed', '1')}, in ${directory}`)
const loop = new KillLoop({
  directory,
  durability,
  cycles: Number(option('cycles', '1000')),
  seed: Number(option('seed', '1')),
  checkEvery: Number(option('check', '20')),
  isOver: () => isOver,
  onCheck: show,
})
const { missing, doubled, wrong } = await loop.run()
if (missing + doubled + wrong > 0) process.exitCode = 1
else rmSync(directory, { recursive: true, force: true })
