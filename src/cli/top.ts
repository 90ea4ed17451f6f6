/** `tercet top`: rates of a running process. */
import { terminalOutput } from '#ops/output.ts'
import { jsonFlag, serverFlags, serverOf } from './common-flags.ts'
import { makeVerb } from './verb.ts'

export const top = makeVerb({
  name: 'top',
  summary: 'Shows what comes in, what waits for the bucket and which routes are asked, again and again.',
  flags: [
    ...serverFlags,
    jsonFlag,
    { name: 'interval', kind: 'duration', fallback: '2s', help: 'Time between two readings.' },
    { name: 'once', kind: 'switch', help: 'Ends after the first.' },
  ],
  examples: ['tercet top', 'tercet top --url=http://127.0.0.1:8428 --interval=5s', 'tercet top --once --json'],
  async run(given) {
    const { showTop } = await import('#ops/top.ts')
    return showTop(
      {
        server: serverOf(given),
        isOnce: given.isOn('once'),
        isJson: given.isOn('json'),
        intervalMs: given.durationMs('interval'),
      },
      terminalOutput,
    )
  },
})
