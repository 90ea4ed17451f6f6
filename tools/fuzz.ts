/**
 * Fuzzes the decoders and parsers that meet bytes from outside, steered by coverage.
 *
 *   npm run fuzz -- [--target=NAME] [--inputs=20000] [--seed=1]
 *
 * A finding is an error that is none of ours, an input that takes longer than a second, or much memory. It is printed
 * in base64: put it into test/fuzz/findings.json, where the tests try it from then on.
 */
import { fuzzTarget } from '../test/fuzz/run.ts'
import { targets } from '../test/fuzz/targets.ts'

const option = (name: string): string | undefined =>
  process.argv.find(argument => argument.startsWith(`--${name}=`))?.slice(name.length + 3)
const only = option('target')
const inputs = Number(option('inputs') ?? 20_000)
const seed = Number(option('seed') ?? 1)
const names = only === undefined ? Object.keys(targets) : [only]
for (const name of names) {
  const result = await fuzzTarget(name, { seed, inputs, hangMs: 1000 })
  process.stdout.write(`${name}: ${result.inputs} inputs, ${result.corpus} in the corpus\n`)
  for (const { reason, input } of result.findings) {
    process.exitCode = 1
    process.stdout.write(`  FOUND ${reason}\n  ${Buffer.from(input).toString('base64')}\n`)
  }
}
