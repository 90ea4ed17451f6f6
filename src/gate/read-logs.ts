/** Reads the log lines of a run that have the level warn and above, the newest first. */
import { bodyText } from '#library/client.ts'
import { labelsOf, listOf, mapOf, textsOf } from '#library/json.ts'
import type { LogLine } from '#library/results.ts'
import { QueryError } from '#library/telemetry.ts'
import { levelOf, levelOfText, alarmingText } from './log-patterns.ts'
import { metricProfileOf } from './metric-profile.ts'
import type { Reading } from './reading.ts'

/** Of the API. */
const pageLines = 5000
const levels = 'error|err|critical|crit|fatal|alert|emerg|emergency|panic|warn|warning'
const queries = [
  `{service_name=~".+"} | detected_level=~"(?i)(${levels})"`,
  `{service_name=~".+"} |~ ${JSON.stringify(alarmingText)} | detected_level="unknown"`,
]

async function readStreams({ run, profile, rules, notes }: Reading): Promise<void> {
  const streams = await run.telemetry.request({
    path: '/loki/api/v1/series',
    parameters: { 'match[]': '{service_name=~".+"}', start: nanoseconds(run.fromMs), end: nanoseconds(run.toMs) },
  })
  if (streams.status >= 400) throw new QueryError('streams', streams.status, bodyText(streams).trim().slice(0, 500))
  const body = mapOf(JSON.parse(bodyText(streams)))
  const [all, most] = [listOf(body['data']), rules.reading('series_per_metric')]
  notes.addWarnings(textsOf(body['warnings']), 'logs')
  const isCut = all.length > most
  if (isCut) notes.add(`logs: ${most} streams are looked at, there are more`)
  profile.streams = metricProfileOf('streams', all.slice(0, most).map(labelsOf), { isCut })
}

function nanoseconds(ms: number): string {
  return `${Math.round(ms)}000000`
}

/** Lines of all levels: a run without warnings and errors is not one without logs. */
async function countLines({ run, profile, notes }: Reading): Promise<void> {
  const rangeMs = Math.max(1, Math.ceil(run.toMs - run.fromMs))
  const count = `sum(count_over_time({service_name=~".+"}[${rangeMs}ms]))`
  const { samples, warnings } = await run.telemetry.logqlMetrics(count, run.toMs)
  notes.addWarnings(warnings, 'logs')
  profile.lines = samples[0]?.value ?? 0
}

export async function readLogs(reading: Reading): Promise<void> {
  await countLines(reading)
  if (reading.profile.lines === 0) return
  await reading.notes.unlessRefused('streams of logs', () => readStreams(reading))
  for (const query of queries) await readLines(reading, query)
}

async function readLines(reading: Reading, query: string): Promise<void> {
  const { run, profile, rules, notes } = reading
  const most = rules.reading('lines')
  let toMs = run.toMs
  let read = 0
  /** Lines of the millisecond at which the last page ended. */
  let seen = new Set<string>()
  while (toMs >= run.fromMs) {
    if (read >= most) {
      notes.add(`logs: there are more than ${most} lines with the level warn and above; the newest ${most} are read`)
      return
    }
    // Those that are known are asked for again, and must not fill the page.
    const limit = Math.min(pageLines, most - read + seen.size)
    const answer = await run.telemetry.logql(query, { from: run.fromMs, to: toMs, limit })
    notes.addWarnings(answer.warnings, 'logs')
    const fresh = answer.lines.filter(line => line.timeMs < toMs || !seen.has(keyOf(line)))
    for (const line of fresh) addLine(profile, line)
    read += fresh.length
    const oldest = answer.lines[0]
    if (oldest === undefined || answer.lines.length < limit) return
    if (oldest.timeMs === toMs && fresh.length === 0) {
      notes.add(`logs: of the ${pageLines} lines and more of one millisecond the others are not read`)
      toMs--
      continue
    }
    const edge = answer.lines.filter(line => line.timeMs === oldest.timeMs).map(keyOf)
    seen = new Set(oldest.timeMs === toMs ? [...seen, ...edge] : edge)
    toMs = oldest.timeMs
  }
}

function keyOf({ timeNs, line, labels }: LogLine): string {
  return JSON.stringify([String(timeNs), line, labels])
}

function addLine(profile: Reading['profile'], { line, labels, metadata, parsed }: LogLine): void {
  const named = metadata['detected_level'] ?? labels['detected_level'] ?? parsed['detected_level'] ?? ''
  const level = named === 'unknown' ? levelOfText(line) : levelOf(named)
  if (level === undefined) return
  const service = labels['service_name'] ?? metadata['service_name'] ?? ''
  profile.logs.add({ service, level, line: withException(line, metadata), traceId: metadata['trace_id'] })
}

/** OpenTelemetry has the exception of a line beside it. */
function withException(line: string, metadata: LogLine['metadata']): string {
  const exception = [metadata['exception_type'], metadata['exception_message']].filter(Boolean).join(': ')
  if (exception === '' || line.startsWith('{') || line.includes(metadata['exception_message'] ?? '')) return line
  return `${line.split('\n', 1)[0] ?? ''}: ${exception}`
}
