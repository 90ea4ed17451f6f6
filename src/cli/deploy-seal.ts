/** `tercet deploy seal`: encrypts Secrets in place. */
import { terminalOutput } from '#ops/output.ts'
import { makeVerb } from './verb.ts'

export const deploySeal = makeVerb({
  name: 'deploy seal',
  summary: 'Encrypts files in place, by the nearest .sops.yaml or for the recipients that are named.',
  flags: [
    {
      name: 'recipient',
      kind: 'text',
      placeholder: 'age1…',
      isRepeatable: true,
      help: 'Who can open it; several with commas.',
    },
  ],
  words: { shown: 'FILE…', expected: 'files', least: 1, most: Infinity, areFiles: true },
  examples: ['tercet deploy seal kubernetes/apps/monitoring/x/app/secret.sops.yaml'],
  async run(given) {
    const { sealFiles } = await import('#ops/sealed-secrets.ts')
    const recipients = given.all('recipient').flatMap(value => value.split(','))
    await sealFiles(given.words, recipients, terminalOutput)
    return 0
  },
})
