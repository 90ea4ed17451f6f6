/** Tailing, the agent's part: log files of pods are followed and their lines sent to Loki remotes. */
import { crc32c } from '#codec/crc32c.ts'
import { BadDataError } from '#core/errors.ts'
import { LogTailer, type LogStream } from '#forward/log-tailer.ts'
import { kept } from '#forward/metrics-forwarder.ts'
import { packMessage, type Remote } from '#forward/remote.ts'
import { compileAnchored } from '#lang/regex/regex.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import type { ForwardingPart } from './forwarding.ts'

/** Throws BadDataError where a directory is named and no place to send its lines to. */
export function makeTailing({ config, world }: Context, { forwarder, loki }: ForwardingPart): Part {
  const { clock, files, log } = world
  const directory = config.text('agent.log_directory')
  if (directory === '') return makePart({ name: 'log files' })
  if (config.list('agent.loki').length === 0)
    throw new BadDataError('agent.log_directory needs agent.loki: a place to send lines to')
  const firstLine = config.text('agent.log_first_line')
  const first = firstLine === '' ? undefined : compileAnchored(`${firstLine}.*`)
  let tailer: LogTailer | undefined
  return makePart({
    name: 'log files',
    metrics: registry => {
      const malformed = "Lines of log files that are not in CRI's format, and were kept as they are."
      registry.read('tercet_agent_log_lines_total', 'Log lines read.', 'counter', () => tailer?.lines ?? 0)
      registry.read('tercet_agent_log_lines_malformed_total', malformed, 'counter', () => tailer?.malformed ?? 0)
      const split = 'Log lines that were longer than limits.log_line_size, and went in parts.'
      registry.read('tercet_agent_log_lines_split_total', split, 'counter', () => tailer?.split ?? 0)
    },
    start: async () => {
      tailer = new LogTailer({
        clock,
        files,
        log,
        directory,
        statePath: `${config.text('data_dir')}/agent/log-places.json`,
        // Known when prometheus.yml has been read, which scraping does before.
        labels: Object.fromEntries(forwarder.externalLabels),
        isFirstLine: first === undefined ? undefined : line => first.test(line),
        lineBytesMax: config.bytes('limits.log_line_size'),
        push: streams => kept(loki.flatMap(remote => putByLane(remote, streams))),
      })
      await tailer.start()
    },
    stop: async () => {
      await tailer?.stop()
    },
  })
}

/** A push for each lane of a remote: entries of one stream stay in order. */
function putByLane({ queue, lanes }: Remote, streams: readonly LogStream[]): Promise<void>[] {
  const byLane = new Map<number, LogStream[]>()
  for (const stream of streams) {
    const lane = crc32c(Buffer.from(JSON.stringify(stream.stream))) % lanes
    const own = byLane.get(lane)
    if (own === undefined) byLane.set(lane, [stream])
    else own.push(stream)
  }
  const headers = { 'content-type': 'application/json' }
  return [...byLane].map(([lane, own]) =>
    queue.put(packMessage({ headers, lane: [lane, lanes] }, Buffer.from(JSON.stringify({ streams: own })))),
  )
}
