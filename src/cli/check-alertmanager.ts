/** `tercet check alertmanager`: alertmanager.yml. */
import { systemFiles } from '#core/files.ts'
import { terminalOutput } from '#ops/output.ts'
import { makeVerb } from './verb.ts'

export const checkAlertmanager = makeVerb({
  name: 'check alertmanager',
  summary: 'Checks alertmanager.yml with its templates, as amtool does; exit code 1 where one is wrong.',
  flags: [],
  words: { shown: 'FILE…', expected: 'files', least: 1, most: Infinity, areFiles: true },
  examples: ['tercet check alertmanager alertmanager.yml'],
  async run({ words }) {
    const { checkAlertmanagerFiles } = await import('#ops/check-files.ts')
    return checkAlertmanagerFiles(words, systemFiles, terminalOutput)
  },
})
