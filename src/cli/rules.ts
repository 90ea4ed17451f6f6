/** `tercet rules`: rules over the past. */
import { makeVerb } from './verb.ts'

export const rules = makeVerb({
  name: 'rules',
  summary: 'Works with rules in a running process.',
  flags: [],
  examples: ['tercet rules replay --start=6h --end=0s rules.yml'],
  verbs: { replay: async () => (await import('./rules-replay.ts')).rulesReplay },
})
