/** `tercet auth token`: a fresh token, and the entry of a credentials file for it. */
import { createHash } from 'node:crypto'
import { systemRandom } from '#core/random.ts'
import { makeVerb } from './verb.ts'

export const authToken = makeVerb({
  name: 'auth token',
  summary: 'Makes a bearer token: prints it once, with the entry that a credentials file has for it.',
  flags: [
    { name: 'name', kind: 'text', isRequired: true, help: 'Who has the token: the name in the audit.' },
    { name: 'verbs', kind: 'text', fallback: 'read', help: 'What it may do, separated by commas.' },
  ],
  examples: ['tercet auth token --name=agent --verbs=write'],
  run(given) {
    const token = `tercet_${Buffer.from(systemRandom.bytes(32)).toString('base64url')}`
    const digest = createHash('sha256').update(token).digest('hex')
    const verbs = given
      .text('verbs')
      .split(',')
      .map(word => word.trim())
      .join(', ')
    process.stdout.write(
      `# The token, which is shown this once:\n# ${token}\ntokens:\n` +
        `  - name: ${JSON.stringify(given.text('name'))}\n    sha256: ${digest}\n    verbs: [${verbs}]\n`,
    )
    return Promise.resolve(0)
  },
})
