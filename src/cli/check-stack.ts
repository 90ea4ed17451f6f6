/** `tercet check stack`: a running stack of any of the three engines. */
import { BadDataError } from '#core/errors.ts'
import { maskUrls } from '#core/secret.ts'
import { terminalOutput } from '#ops/output.ts'
import { accessFlags, headersOf, jsonFlag, tenantFlag } from './common-flags.ts'
import { makeVerb, type Flag } from './verb.ts'

const place = <const Name extends string>(name: Name, help: string): Flag<Name> => ({ name, kind: 'address', help })

export const checkStack = makeVerb({
  name: 'check stack',
  summary:
    'Asks a live stack, whatever its engine: health, a round trip of each signal, the questions of Grafana, times, ' +
    'retention; exit code 1 where something fails.',
  flags: [
    place('metrics', 'Address of the metrics, where they have one of their own.'),
    place('logs', 'Address of the logs, where they have one of their own.'),
    place('traces', 'Address of the traces, where they have one of their own.'),
    place('otlp', 'Where spans are sent to; by default where the engine takes them.'),
    { name: 'retention', kind: 'text', placeholder: 'DURATION', help: 'The retention that metrics should have.' },
    { name: 'timeout', kind: 'duration', fallback: '60s', help: 'How long data that was sent may take to be found.' },
    { name: 'marker', kind: 'text', placeholder: 'FILE', help: 'Writes what was sent into this file, for --after.' },
    { name: 'after', kind: 'text', placeholder: 'FILE', help: 'Sends nothing, and looks for what --marker wrote.' },
    tenantFlag,
    ...accessFlags,
    jsonFlag,
  ],
  words: {
    shown: 'URL',
    expected: 'one URL for all three; where they differ: --metrics=URL --logs=URL --traces=URL',
    least: 0,
    most: 1,
  },
  examples: [
    'tercet check stack http://127.0.0.1:8428 --retention=30d --marker=marker.json',
    'tercet check stack http://127.0.0.1:8428 --after=marker.json   # after a restart',
    'tercet check stack --metrics=http://mimir:8080 --logs=http://loki:3100 --traces=http://tempo:3200',
    'tercet check stack --traces=http://tempo:3200 --otlp=http://tempo:4318',
  ],
  notes: [
    'It sends a sample tercet_check_stack, a line of {job="tercet-check-stack"} and a span of the service ' +
      'tercet-check-stack, which stay there as all data does; with --after it sends nothing.',
  ],
  async run(given) {
    const [url] = given.words
    if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
      throw new BadDataError(`check stack: ${maskUrls(url)} is no URL like http://127.0.0.1:8428`)
    const base = (name: 'metrics' | 'logs' | 'traces' | 'otlp'): string | undefined =>
      given.optional(name)?.replace(/\/+$/, '')
    const all = url?.replace(/\/+$/, '')
    const { checkStackAt } = await import('#ops/check-stack.ts')
    return checkStackAt(
      {
        places: { metrics: base('metrics') ?? all, logs: base('logs') ?? all, traces: base('traces') ?? all },
        otlp: base('otlp'),
        expectedRetention: given.optional('retention'),
        patienceMs: given.durationMs('timeout'),
        markerPath: given.optional('marker'),
        afterPath: given.optional('after'),
        headers: headersOf(given),
        isJson: given.isOn('json'),
      },
      terminalOutput,
    )
  },
})
