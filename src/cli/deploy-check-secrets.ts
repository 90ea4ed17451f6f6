/** `tercet deploy check-secrets`: is a Secret in clear? */
import { terminalOutput } from '#ops/output.ts'
import { makeVerb } from './verb.ts'

export const deployCheckSecrets = makeVerb({
  name: 'deploy check-secrets',
  summary: 'Looks for Secrets in clear; exit code 1 where there is one. For a pre-commit hook.',
  flags: [],
  words: { shown: '[PATH…]', expected: 'files and directories', least: 0, most: Infinity, areFiles: true },
  examples: ['tercet deploy check-secrets', 'tercet deploy check-secrets kubernetes/apps'],
  notes: ['Without a path: every YAML file below this directory. Sealed files are opened where a key is at hand.'],
  async run({ words }) {
    const { checkSecrets } = await import('#ops/sealed-secrets.ts')
    return checkSecrets(words.length === 0 ? ['.'] : words, terminalOutput)
  },
})
