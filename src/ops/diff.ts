/** Compares two recordings, or two ranges of time of a server. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { BadDataError, UnavailableError } from '#core/errors.ts'
import { systemFiles } from '#core/files.ts'
import { incompleteText } from '#core/omissions.ts'
import { compareProfiles, type Report } from '#gate/compare.ts'
import type { Profile } from '#gate/profile.ts'
import type { Run } from '#gate/reading.ts'
import { jsonReport } from '#gate/report-json.ts'
import { markdownReport } from '#gate/report-markdown.ts'
import { textReport } from '#gate/report-text.ts'
import { parseRules, Rules } from '#gate/rules.ts'
import { readRun } from '#gate/run-reader.ts'
import { connectTercet } from '#library/connection.ts'
import { QueryError } from '#library/telemetry.ts'
import { startTercet } from '#library/instance.ts'
import { refusedCredentials, unreachable, type Server } from './client.ts'
import type { Range } from './range-text.ts'
import { readMetricTypes, readRecording, type SignalCounts } from './recording.ts'

export const reportForms = ['text', 'json', 'markdown'] as const
export type ReportForm = (typeof reportForms)[number]

const shown = { text: textReport, json: jsonReport, markdown: markdownReport } as const satisfies Record<
  ReportForm,
  (report: Report) => string
>

export function shownReport(report: Report, form: ReportForm): string {
  return shown[form](report)
}

/** Throws BadDataError. */
export async function loadRules(path: string | undefined): Promise<Rules> {
  if (path === undefined) return new Rules()
  return parseRules(Buffer.from(await systemFiles.read(path)).toString('utf8'), path)
}

/** Around what was recorded: clocks of programs and exporters are not exact. */
const marginMs = 60_000

/** Throws BadDataError for a directory that can't be compared. */
export async function compareRecordings(base: string, head: string, rules: Rules): Promise<Report> {
  return compareWhole(await profileOfRecording(base, rules), await profileOfRecording(head, rules), rules)
}

async function profileOfRecording(directory: string, rules: Rules): Promise<Profile> {
  const recording = readRecording(directory)
  if (recording.state === 'running')
    throw new BadDataError(`${directory}: the recording was not finished: its command still runs, or it was killed`)
  const { fromMs, toMs, refused, counts } = recording
  const gone = Object.entries(directoryOf).find(([signal, name]) => {
    return counts[signal as keyof SignalCounts] > 0 && !existsSync(join(directory, name))
  })
  if (gone !== undefined) throw new BadDataError(`${directory}: the recording is damaged: ${gone[1]} is missing in it`)
  const work = await mkdtemp(join(tmpdir(), 'tercet-diff-'))
  try {
    const tercet = await startTercet({
      storage: { directory: work },
      http: false,
      settings: { role: 'query', 'bucket.dir': resolve(directory) },
    })
    try {
      const metricTypes = readMetricTypes(directory)
      const range = { fromMs: fromMs - marginMs, toMs: toMs + marginMs }
      const profile = await readRun({ name: directory, telemetry: tercet, ...range, metricTypes, isWhole: true }, rules)
      refuseDamaged(directory, profile)
      for (const [signal, count] of Object.entries(refused))
        if (count > 0) profile.notes.push(`${count} ${signal} were refused when it was recorded`)
      const found = { spans: profile.traces, samples: profile.metrics.size, lines: profile.lines }
      for (const [signal, count] of Object.entries(counts) as [keyof SignalCounts, number][])
        if (count > 0 && found[signal] === 0)
          profile.notes.push(`${count} ${signal} were recorded, with times that are not those of the recording`)
      return profile
    } finally {
      await tercet.close()
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const directoryOf = { samples: 'metrics', lines: 'logs', spans: 'traces' } as const satisfies Record<
  keyof SignalCounts,
  string
>

/** What can't be read is neither gone nor the same. Throws BadDataError. */
function refuseDamaged(directory: string, { notes }: Profile): void {
  const [damage] = notes.filter(note => note.includes(incompleteText))
  if (damage !== undefined) throw new BadDataError(`${directory}: the recording is damaged: ${damage}`)
}

export interface Ranges {
  server: Server
  base: Range
  head: Range
}

/** Throws UnavailableError where nobody answers, or credentials are missing. */
export async function compareRanges({ server, base, head }: Ranges, rules: Rules): Promise<Report> {
  const { url, headers = {} } = server
  const telemetry = connectTercet(url, { headers })
  const run = (range: Range): Run => ({ name: shownRange(range), telemetry, ...range })
  try {
    return compareWhole(await readRun(run(base), rules), await readRun(run(head), rules), rules)
  } catch (error) {
    if (error instanceof TypeError && error.cause !== undefined)
      throw new UnavailableError(unreachable(url, error), 0, { cause: error })
    if (error instanceof QueryError && error.status === 401)
      throw new UnavailableError(refusedCredentials(url, server), 0, { cause: error })
    throw error
  }
}

function shownRange({ fromMs, toMs }: Range): string {
  return `${new Date(fromMs).toISOString()}/${new Date(toMs).toISOString()}`
}

/** No telemetry at all is no agreement. Throws BadDataError. */
function compareWhole(base: Profile, head: Profile, rules: Rules): Report {
  for (const [role, profile] of [
    ['base', base],
    ['head', head],
  ] as const)
    if (profile.isEmpty)
      throw new BadDataError(
        `${role} (${profile.name}) has no telemetry, neither spans nor metrics nor log lines: ` +
          'there is nothing to compare',
      )
  return compareProfiles(base, head, rules)
}
