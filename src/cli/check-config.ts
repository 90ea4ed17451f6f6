/** `tercet check config`: prometheus.yml. */
import { systemFiles } from '#core/files.ts'
import { terminalOutput } from '#ops/output.ts'
import { makeVerb } from './verb.ts'

export const checkConfig = makeVerb({
  name: 'check config',
  summary: 'Checks prometheus.yml with the files that it names, as promtool does; exit code 1 where one is wrong.',
  flags: [],
  words: { shown: 'FILE…', expected: 'files', least: 1, most: Infinity, areFiles: true },
  examples: ['tercet check config prometheus.yml'],
  async run({ words }) {
    const { checkConfigFiles } = await import('#ops/check-files.ts')
    return checkConfigFiles(words, systemFiles, terminalOutput)
  },
})
