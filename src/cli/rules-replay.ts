/** `tercet rules replay`: recording rules over the past. */
import { systemClock } from '#core/clock.ts'
import { systemFiles } from '#core/files.ts'
import { momentOf } from '#ops/moment.ts'
import { terminalOutput } from '#ops/output.ts'
import { endFlag, serverFlags, serverOf, startFlag } from './common-flags.ts'
import { makeVerb } from './verb.ts'

export const rulesReplay = makeVerb({
  name: 'rules replay',
  summary:
    'Evaluates recording rules over the past in a running process, and stores there what they would have recorded.',
  flags: [
    ...serverFlags,
    startFlag('6h'),
    endFlag,
    { name: 'interval', kind: 'duration', fallback: '1m', help: 'Of groups that have none of their own.' },
  ],
  words: { shown: 'FILE…', expected: 'files', least: 1, most: Infinity, areFiles: true },
  examples: [
    'tercet rules replay --start=2026-11-25T00:00:00Z --end=2026-11-25T06:00:00Z rules.yml',
    'tercet rules replay --url=http://127.0.0.1:8428 --start=6h --end=0s --interval=1m rules/*.yml',
  ],
  notes: ['Samples older than metrics.out_of_order_window are refused by the process: make it long enough before.'],
  async run(given) {
    const nowMs = systemClock.nowMs()
    const { replayRules } = await import('#ops/rules-replay.ts')
    await replayRules(
      {
        server: serverOf(given),
        files: given.words,
        startMs: momentOf(given.text('start'), nowMs),
        endMs: momentOf(given.text('end'), nowMs),
        intervalMs: given.durationMs('interval'),
        onLine: terminalOutput.out,
      },
      systemFiles,
    )
    return 0
  },
})
