/** `tercet record`: runs a command, and keeps the telemetry that it sends. */
import { systemClock } from '#core/clock.ts'
import { terminalOutput } from '#ops/output.ts'
import { makeVerb } from './verb.ts'

export const record = makeVerb({
  name: 'record',
  summary: 'Runs a command, keeps the telemetry that it sends, and exits as it does.',
  flags: [
    {
      name: 'output',
      kind: 'text',
      short: 'o',
      placeholder: 'DIR',
      fallback: 'tercet-recording',
      help: 'The directory that the recording is written to.',
    },
    { name: 'force', kind: 'switch', help: 'Replaces the recording that the directory holds.' },
    {
      name: 'wait',
      kind: 'duration',
      fallback: '5s',
      help: 'How long exporters may still send after the command; it ends earlier when they are quiet.',
    },
  ],
  configuration: 'taken',
  words: { shown: '-- COMMAND…', expected: 'a command', least: 1, most: Infinity },
  examples: [
    'tercet record -- npm test',
    'tercet record -o base --force -- npx playwright test',
    'tercet record -o head --limits.active_series=1000000 -- make integration-test',
  ],
  notes: [
    'The command gets OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_TRACES_EXPORTER, ' +
      'OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER, short intervals of export, TERCET_URL, TERCET_REMOTE_WRITE_URL and ' +
      'TERCET_LOKI_PUSH_URL; what is set already stays.',
    'Exit codes: that of the command, 128 and the number of the signal that ended it, 127 for no such program.',
  ],
  async run(given) {
    const { record: recordCommand } = await import('#ops/record.ts')
    return recordCommand(
      {
        directory: given.text('output'),
        command: given.words,
        isForced: given.isOn('force'),
        waitMs: given.durationMs('wait'),
        configuration: given.configuration,
        environment: process.env,
        clock: systemClock,
      },
      terminalOutput,
    )
  },
})
