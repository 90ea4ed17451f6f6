/** `tercet deploy unseal`: prints a sealed file in clear. */
import { readFileSync } from 'node:fs'
import { CorruptDataError } from '#core/errors.ts'
import { makeVerb } from './verb.ts'

export const deployUnseal = makeVerb({
  name: 'deploy unseal',
  summary: 'Prints a sealed file in clear. SOPS_AGE_KEY or SOPS_AGE_KEY_FILE opens it.',
  flags: [],
  words: { shown: 'FILE', expected: 'one file', least: 1, most: 1, areFiles: true },
  examples: ['SOPS_AGE_KEY_FILE=age.key tercet deploy unseal secret.sops.yaml'],
  async run({ words: [file = ''] }) {
    const { unseal } = await import('#deploy/sops.ts')
    const { systemIdentities } = await import('#ops/sealed-secrets.ts')
    try {
      process.stdout.write(await unseal(readFileSync(file, 'utf8'), systemIdentities()))
      return 0
    } catch (error) {
      if (!(error instanceof CorruptDataError)) throw error
      process.stderr.write(`tercet: ${file}: ${error.message}\n`)
      return 1
    }
  },
})
