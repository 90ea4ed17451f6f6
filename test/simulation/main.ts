/**
 * npm run simulate -- --seed 17 --signal metrics|logs|traces|all [--seeds 100] [--verbose]: runs seeds, and shrinks the
 * script of each that fails. With --script FILE it runs a script that was printed before.
 */
import './synchronous-zlib.ts'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    signal: { type: 'string', default: 'all' },
    script: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    'no-shrink': { type: 'boolean', default: false },
    failures: { type: 'string', default: '5' },
  },
})

const { simulate } = await import('./simulate.ts')
process.exitCode = await simulate({
  from: Number(values.seed),
  count: Number(values.seeds),
  signal: values.signal,
  script: values.script === undefined ? undefined : readFileSync(values.script, 'utf8'),
  isVerbose: values.verbose,
  shrinks: !values['no-shrink'],
  failuresMax: Number(values.failures),
  print: text => {
    console.log(text)
  },
})
