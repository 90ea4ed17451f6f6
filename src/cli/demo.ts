/** `tercet demo`: a small living system to look at. */
import { BadDataError } from '#core/errors.ts'
import { terminalOutput } from '#ops/output.ts'
import { makeVerb, type Given } from './verb.ts'

type DemoFlag = 'port' | 'data_dir' | 'history' | 'quiet'

export const demo = makeVerb({
  name: 'demo',
  summary:
    'Runs a process with a small shop that sends it traces, logs and metrics, and says what to look at: every ten ' +
    'minutes a deploy goes wrong, an alert fires, and it is rolled back.',
  flags: [
    {
      name: 'port',
      kind: 'text',
      placeholder: 'NUMBER',
      help: 'Where it listens; 0: anywhere. By default 8428, or any free one where that is taken.',
    },
    {
      name: 'data_dir',
      kind: 'text',
      placeholder: 'DIR',
      help: 'Where its data stays; empty or new. By default a temporary one, which is removed at the end.',
    },
    { name: 'history', kind: 'duration', fallback: '3h', help: 'How much is there at the start; a day at most.' },
    { name: 'quiet', kind: 'switch', help: 'Says the address alone.' },
  ],
  examples: [
    'tercet demo',
    'tercet demo --port=0 --history=30m      # on a free port, ready sooner',
    'tercet demo --data_dir=./demo           # the data stays, and the next one goes on there',
  ],
  notes: [
    'It reads neither tercet.yaml nor the environment, listens on this machine alone, and sends nothing elsewhere. ' +
      'Ctrl-C ends it.',
  ],
  async run(given: Given<DemoFlag>) {
    const { startDemo } = await import('#ops/demo.ts')
    const stopped = whenAsked()
    const running = await startDemo(
      {
        port: portOf(given.optional('port')),
        dataDir: given.optional('data_dir'),
        historyMs: historyOf(given),
        isQuiet: given.isOn('quiet'),
      },
      terminalOutput,
    )
    await stopped
    process.stdout.write('\nStopping …\n')
    await running.stop()
    return 0
  },
})

const dayMs = 86_400_000

/** Throws BadDataError. */
function historyOf(given: Given<DemoFlag>): number {
  const ms = given.durationMs('history')
  if (ms > dayMs) throw new BadDataError(`demo takes a day of history at most: --history=${given.text('history')}`)
  return ms
}

/** Throws BadDataError. */
function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new BadDataError(`--port=${text} is no port: 0 to 65535`)
  return port
}

/**
 * Resolves at the first SIGINT or SIGTERM, also when that comes before the start is done. A second one changes nothing:
 * the directory is removed at the end.
 */
function whenAsked(): Promise<void> {
  return new Promise(resolve => {
    process.on('SIGINT', () => {
      resolve()
    })
    process.on('SIGTERM', () => {
      resolve()
    })
  })
}
