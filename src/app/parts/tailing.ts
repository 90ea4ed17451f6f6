/** Tailing, the agent's part: log files of pods are followed and their lines sent to Loki remotes. */
import { BadDataError } from '#core/errors.ts'
import { LogTailer } from '#forward/log-tailer.ts'
import { packMessage } from '#forward/remote.ts'
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
  const headers = { 'content-type': 'application/json' }
  let tailer: LogTailer | undefined
  return makePart({
    name: 'log files',
    metrics: registry => {
      const malformed = "Lines of log files that are not in CRI's format."
      registry.read('tercet_agent_log_lines_total', 'Log lines read.', 'counter', () => tailer?.lines ?? 0)
      registry.read('tercet_agent_log_lines_malformed_total', malformed, 'counter', () => tailer?.malformed ?? 0)
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
        push: async body => {
          await Promise.all(loki.map(remote => remote.queue.put(packMessage({ headers }, body))))
        },
      })
      await tailer.start()
    },
    stop: async () => {
      await tailer?.stop()
    },
  })
}
