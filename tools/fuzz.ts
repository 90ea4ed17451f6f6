/**
 * Fuzzes the decoders and parsers that meet bytes from outside, steered by coverage.
 *
 *   npm run fuzz -- [--target=NAME] [--inputs=20000] [--seed=1]
 *
 * A finding is an error that is none of ours, an input that takes longer than a second, or much memory. It is printed
 * in base64: put it into test/fuzz/findings.json, where the tests try it from then on. Each target runs in a process of
 * its own: V8 crashes at times while it counts coverage, and then the target runs once more without.
 */
import { spawnSync } from 'node:child_process'
import { fuzzTarget } from '../test/fuzz/run.ts'
import { targets } from '../test/fuzz/targets.ts'

const option = (name: string): string | undefined =>
  process.argv.find(argument => argument.startsWith(`--${name}=`))?.slice(name.length + 3)
const only = option('target')
const inputs = Number(option('inputs') ?? 20_000)
const seed = Number(option('seed') ?? 1)
const isSteered = option('steered') !== 'false'

async function fuzzHere(name: string): Promise<void> {
  const result = await fuzzTarget(name, { seed, inputs, hangMs: 1000, isSteered })
  process.stdout.write(`${name}: ${result.inputs} inputs, ${result.corpus} in the corpus\n`)
  for (const { reason, input } of result.findings) {
    process.exitCode = 1
    process.stdout.write(`  FOUND ${reason}\n  ${Buffer.from(input).toString('base64')}\n`)
  }
}

/** Returns the signal that ended the process, if one did. */
function fuzzApart(name: string, more: readonly string[] = []): string | null {
  const own = [`--target=${name}`, `--inputs=${inputs}`, `--seed=${seed}`, ...more]
  const { status, signal } = spawnSync(process.execPath, ['tools/fuzz.ts', ...own], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
  return signal
}

if (only !== undefined) await fuzzHere(only)
else
  for (const name of Object.keys(targets))
    if (fuzzApart(name) !== null) {
      process.stdout.write(`${name}: V8 crashed while it counted coverage; once more without\n`)
      fuzzApart(name, ['--steered=false'])
    }
