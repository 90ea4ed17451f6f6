/** Runs a command beside a Tercet that keeps what it sends, and leaves that as a recording. */
import type { Clock } from '#core/clock.ts'
import { sleep } from '#core/clock.ts'
import { loadConfig } from '#app/config.ts'
import type { Environment } from '#app/environment.ts'
import { version } from '#app/version.ts'
import { BadDataError } from '#core/errors.ts'
import { metricTypesOf } from '#gate/read-metrics.ts'
import { startTercet, type Settings, type Tercet } from '#library/tercet-library.ts'
import type { Output } from './output.ts'
import { runCommand, type CommandEnd } from './recorded-command.ts'
import { recordedEnvironment } from './recorded-variables.ts'
import {
  prepareDirectory,
  removeRecording,
  removeWork,
  workOf,
  writeMetricTypes,
  writeRecording,
  type Recording,
} from './recording.ts'
import { readTaken, totalOf, type Taken } from './taken-counts.ts'

export interface RecordOptions {
  directory: string
  command: readonly string[]
  isForced: boolean
  /** How long exporters may still send when the command has ended. */
  waitMs: number
  /** Keys of the configuration, `key=value`. */
  configuration: readonly string[]
  environment: Environment
  clock: Clock
}

const quietMs = 500
const lookEveryMs = 100

/** Where a recording has its data is not for the configuration to say. */
const ownKeys = /^(data_dir|role|durability|(metrics\.|logs\.|traces\.)?bucket\.)/

/** The exit code of the command. Throws BadDataError for a directory that can't be used, and for wrong settings. */
export async function record(options: RecordOptions, output: Output): Promise<number> {
  const { directory, isForced, clock } = options
  const settings = settingsOf(options)
  prepareDirectory(directory, isForced)
  const fromMs = clock.nowMs()
  const begun = recordingOf(options, fromMs)
  writeRecording(directory, begun)
  const tercet = await startIn(directory, settings, output)
  let end: CommandEnd
  try {
    end = await runWith(tercet, options, output)
    if (end.kind === 'ended') await finish(tercet, begun, end, options, output)
  } finally {
    await tercet.close()
    removeWork(directory)
  }
  if (end.kind === 'not-started') {
    removeRecording(directory)
    output.err(`tercet: ${end.reason}`)
  }
  return end.exitCode
}

/** Nothing is left in the directory where it could not start. */
async function startIn(directory: string, settings: Settings, output: Output): Promise<Tercet> {
  try {
    return await startTercet({
      storage: { directory: workOf(directory) },
      grpc: true,
      settings,
      log: (level, message, fields) => {
        if (level === 'error') output.err(`tercet: ${message} ${JSON.stringify(fields)}`)
      },
    })
  } catch (error) {
    removeRecording(directory)
    throw error
  }
}

/** Looks at all settings before anything of an earlier recording goes. Throws BadDataError. */
function settingsOf({ directory, configuration }: RecordOptions): Record<string, string> {
  const settings: Record<string, string> = {
    'bucket.dir': directory,
    'traces.derived_metrics': 'false',
    'metrics.out_of_order_window': 'inf',
    'logs.out_of_order_window': 'inf',
    'metrics.retention': 'inf',
    'logs.retention': 'inf',
    'traces.retention': 'inf',
  }
  for (const pair of configuration) {
    const [key = '', ...value] = pair.split('=')
    if (ownKeys.test(key)) throw new BadDataError(`record does not take --${key}: the recording is where -o says`)
    settings[key] = value.join('=')
  }
  loadConfig({ environment: {}, flags: configuration })
  return settings
}

const nothing = { samples: 0, lines: 0, spans: 0 }

function recordingOf({ command }: RecordOptions, fromMs: number): Recording {
  return {
    version: 1,
    state: 'running',
    command,
    exitCode: null,
    fromMs,
    toMs: fromMs,
    counts: nothing,
    refused: nothing,
    tercet: version,
    node: process.version,
  }
}

function runWith(tercet: Tercet, options: RecordOptions, output: Output): Promise<CommandEnd> {
  const { url, grpcAddress } = tercet
  if (url === undefined || grpcAddress === undefined)
    throw new BadDataError('record needs an address that exporters send to: listen.http and listen.otlp_grpc are off')
  const { variables, remarks } = recordedEnvironment(options.environment, { url, grpc: grpcAddress })
  for (const remark of remarks) output.err(`tercet: ${remark}`)
  return runCommand(options.command, variables)
}

/** Waits for what is still on its way, puts everything into the bucket, and says what there is. */
async function finish(
  tercet: Tercet,
  begun: Recording,
  { exitCode }: { exitCode: number },
  options: RecordOptions,
  output: Output,
): Promise<void> {
  const { clock, directory, waitMs } = options
  const taken = await untilQuiet(tercet, clock, waitMs)
  writeMetricTypes(directory, await metricTypesOf({ telemetry: tercet }))
  await tercet.flush()
  const toMs = clock.nowMs()
  const { counts, refused } = taken
  writeRecording(directory, { ...begun, state: 'complete', exitCode, toMs, counts, refused })
  for (const line of refusedLines(taken)) output.err(`tercet: ${line}`)
  output.err(`tercet: ${summaryOf(taken, toMs - begun.fromMs, directory, exitCode)}`)
}

/**
 * Exporters that the command left behind may send after its end: until nothing came for a while, or the time is up.
 * Where nothing has come at all, somebody may only be about to begin.
 */
async function untilQuiet(tercet: Tercet, clock: Clock, waitMs: number): Promise<Taken> {
  const endMs = clock.monotonicMs() + waitMs
  let taken = await readTaken(tercet)
  let lastMs = clock.monotonicMs()
  const isQuiet = (): boolean => taken.requests + totalOf(taken.counts) > 0 && clock.monotonicMs() - lastMs >= quietMs
  while (clock.monotonicMs() < endMs && !isQuiet()) {
    await sleep(clock, lookEveryMs)
    const now = await readTaken(tercet)
    if (now.requests !== taken.requests || totalOf(now.counts) !== totalOf(taken.counts)) lastMs = clock.monotonicMs()
    taken = now
  }
  return taken
}

function refusedLines({ refused, refusedRequests }: Taken): string[] {
  const lines = Object.entries(refused)
    .filter(([, count]) => count > 0)
    .map(([signal, count]) => `${count} ${signal} were refused, and are not in the recording`)
  for (const [what, count] of refusedRequests) lines.push(`${count} requests were refused: ${what}`)
  return lines
}

const nothingHint =
  'nothing was sent: is the command instrumented with OpenTelemetry, and does it shut the SDK down before it ends?'

function summaryOf({ counts }: Taken, ms: number, directory: string, exitCode: number): string {
  const { spans, samples, lines } = counts
  const said = `${spans} spans, ${samples} samples and ${lines} log lines in ${(ms / 1000).toFixed(1)} s`
  const hint = totalOf(counts) === 0 ? `; ${nothingHint}` : ''
  return `recorded ${said} to ${directory} (exit code ${exitCode})${hint}`
}
