/**
 * A graduation rehearsed: a live Tercet in S3, `deploy graduate`, the real Loki, Tempo and Cortex (in Mimir's place)
 * on the same buckets, a day of their compaction and retention, and back with take_back; senders go on all the time.
 *
 *   ENGINES_DIRECTORY=directory node bench/graduation.ts [--seconds=30]
 *
 * Prints what is seen; exits with 1 where an answer differs, or something that was acknowledged is missing.
 */
import { rmSync } from 'node:fs'
import { rehearseGraduation } from '../test/engines/graduation.ts'
import { needsEngines } from '../test/engines/programs.ts'
import { temporaryDirectory } from '../test/run-tercet.ts'

const { skip } = needsEngines({ programs: ['loki', 'tempo', 'cortex'], s3: true })
if (skip !== false) {
  console.error(skip)
  process.exit(2)
}
const seconds = Number(process.argv.find(a => a.startsWith('--seconds='))?.split('=')[1] ?? '30')
const directory = temporaryDirectory()
const startedMs = performance.now()
const print = (line: string): void => {
  console.log(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${line}`)
}
try {
  const { acknowledged, answers, again, findings } = await rehearseGraduation({
    directory,
    loadSeconds: seconds,
    print,
  })
  const counts = Object.entries(acknowledged).map(([name, count]) => `${count} ${name}`)
  print(`${counts.join(', ')} acknowledged, ${again} pushes repeated, ${answers} answers of the history`)
  for (const finding of findings) console.log(`  ${finding}`)
  if (findings.length > 0) process.exitCode = 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}
