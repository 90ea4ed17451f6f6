/** `tercet check data`: every checksum and reference of the data in the buckets. */
import { terminalOutput } from '#ops/output.ts'
import { jsonFlag } from './common-flags.ts'
import { configFlag, readConfig, worldOf } from './configuration.ts'
import { Given, makeVerb } from './verb.ts'

export const checkData = makeVerb({
  name: 'check data',
  summary:
    'Verifies every checksum and reference of blocks, chunks, indexes and the log; exit code 1 where something is ' +
    'wrong, 2 where it could not be checked.',
  flags: [
    configFlag,
    {
      name: 'repair',
      kind: 'switch',
      help: 'Makes again what can be made of the rest, and moves what is damaged below <tenant>/tercet/quarantine.',
    },
    jsonFlag,
  ],
  configuration: 'taken',
  examples: ['tercet check data --config=tercet.yaml', 'tercet check data --data_dir=./data --repair --json'],
  notes: ['The process must not run while its data is repaired; with --json each line is one finding.'],
  async run(given) {
    // What a cache holds is not what the bucket holds.
    const config = readConfig(new Given([configFlag], new Map(configOf(given)), [], uncached(given)))
    const { checkData: run } = await import('#ops/check-data.ts')
    const options = { isRepair: given.isOn('repair'), isJson: given.isOn('json') }
    return run(config, worldOf(config), options, terminalOutput)
  },
})

function configOf(given: Given<'config' | 'repair' | 'json'>): [string, string[]][] {
  const path = given.optional('config')
  return path === undefined ? [] : [['config', [path]]]
}

function uncached(given: Given<'config' | 'repair' | 'json'>): string[] {
  return [...given.configuration, 'bucket.cache_size=0']
}
