/** Runs a folder of promqltest scripts and prints the score: node tools/promql-corpus.ts DIR [--all]. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promqlScripts } from '../src/query/promql/script.ts'
import { runCommands, type Failure } from '../src/query/script-commands.ts'
import { makeHeadStore, scriptEngine } from '../test/head-store.ts'

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: node tools/promql-corpus.ts DIR [--all]')
const language = promqlScripts(scriptEngine, makeHeadStore)
let passed = 0,
  failed = 0
for (const file of readdirSync(directory)
  .filter(f => f.endsWith('.test'))
  .sort()) {
  const failures: Failure[] = []
  let count = 0
  try {
    await runCommands(readFileSync(join(directory, file), 'utf8'), language, failure => {
      count++
      if (failure !== undefined) failures.push(failure)
    })
  } catch (error) {
    console.log(`${file}: stopped: ${String(error)}`)
  }
  passed += count - failures.length
  failed += failures.length
  console.log(`${file}: ${count - failures.length} of ${count}`)
  for (const f of process.argv.includes('--all') ? failures : failures.slice(0, 4))
    console.log(`  ${f.line}: ${f.query}\n      ${f.reason}`)
}
console.log(`${passed} passed, ${failed} failed`)
