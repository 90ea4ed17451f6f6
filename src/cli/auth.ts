/** `tercet auth`: what a credentials file (auth.file) has instead of passwords and tokens. */
import { makeVerb } from './verb.ts'

export const auth = makeVerb({
  name: 'auth',
  summary: 'Makes what a credentials file has instead of passwords and tokens (auth.file; docs/security.md).',
  flags: [],
  examples: ['tercet auth hash < password.txt', 'tercet auth token --name=agent'],
  verbs: {
    hash: async () => (await import('./auth-hash.ts')).authHash,
    token: async () => (await import('./auth-token.ts')).authToken,
  },
})
