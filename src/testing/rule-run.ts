/** Rules over a stretch of time that goes by at once: over made-up series, or over telemetry that was recorded. */
import { encodeSnappy } from '#codec/snappy.ts'
import { BadDataError } from '#core/errors.ts'
import { incompleteText } from '#core/omissions.ts'
import { addAll, greatest } from '#core/lists.ts'
import { startTercet, type Tercet } from '#library/instance.ts'
import { bodyText } from '#library/client.ts'
import { refuseUnknown } from '#library/fields.ts'
import { durationMs, momentMs, type Duration, type Moment } from '#library/moment.ts'
import type { Labels as PlainLabels, LogLine, Series } from '#library/results.ts'
import type { Telemetry } from '#library/telemetry.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { parseSeriesLine, type SeriesLine } from '#model/series-notation.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import { encodeWriteRequest } from '#wire/remote-write/encode.ts'

/** What goes by: made-up series, or what a Tercet has of a time. */
export type RuleSource =
  | {
      /** In the notation of promtool's tests, a point an interval: `up{job="a"} 1x10 0x5`. */
      series: readonly string[]
      /** Between two points. Default: 1m. */
      interval?: Duration
    }
  | {
      recorded: Telemetry
      from: Moment
      to: Moment
      /** Which series are taken. Default: all. */
      selector?: string
      /** Which lines are taken, for rules in LogQL: `{app="shop"}`. Default: none. */
      logs?: string
    }

export interface RuleRunOptions {
  /** The text of a file of rules. */
  rules: string
  over: RuleSource
  /** Default: until the last point, or `to`. */
  duration?: Duration
}

/** An alert that fired. Milliseconds from the beginning of the run. */
export interface Firing {
  readonly alert: string
  readonly labels: PlainLabels
  readonly fromMs: number
  /** The last moment at which it was seen to fire. */
  readonly toMs: number
}

export interface RuleRun {
  readonly durationMs: number
  readonly firings: readonly Firing[]
  /** Of the rules: every name of an alert. */
  readonly alerts: readonly string[]
  /** Rules that failed in the end, with their error. */
  readonly errors: readonly string[]
}

const overNames = {
  series: true,
  interval: true,
  recorded: true,
  from: true,
  to: true,
  selector: true,
  logs: true,
} as const

/** So much of the time goes by between two looks into the source: samples may lie a little in the future. */
const stretchMs = 300_000
const madeUpStartMs = Date.UTC(2026, 0, 1)
/** At which the state of alerts is looked at. */
const stateStepMs = 15_000
const pointsMax = 10_000
/** The words of a staleness marker. */
const staleHi = 0x7ff00000
const staleLo = 2

/** Adds what happens from a time on, up to another. */
type Feed = (tercet: Tercet, fromMs: number, toMs: number) => Promise<void>

interface Plan {
  startMs: number
  lengthMs: number
  feed: Feed
}

/** Throws BadDataError for rules or series that are wrong. */
export async function runRules(options: RuleRunOptions): Promise<RuleRun> {
  refuseUnknown('runRules', options, { rules: true, over: true, duration: true })
  const { rules, over, duration } = options
  refuseUnknown('over', over, overNames)
  if (!('series' in over || 'recorded' in over)) throw new BadDataError('over has series, or recorded, from and to')
  const plan = 'series' in over ? madeUp(over) : await recorded(over)
  const lengthMs = duration === undefined ? plan.lengthMs : durationMs(duration)
  await using tercet = await startTercet({ http: false, time: { startAt: plan.startMs }, rules })
  for (let atMs = 0; atMs < lengthMs; atMs += stretchMs) {
    const stretch = Math.min(stretchMs, lengthMs - atMs)
    await plan.feed(tercet, plan.startMs + atMs, plan.startMs + atMs + stretch)
    await tercet.clock.advance(stretch)
  }
  const all = await tercet.rules()
  return {
    durationMs: lengthMs,
    firings: await firingsOf(tercet, plan.startMs, lengthMs),
    alerts: [...new Set(all.filter(({ kind }) => kind === 'alerting').map(({ name }) => name))],
    errors: all.flatMap(({ name, error }) => (error === '' ? [] : [`${name}: ${error}`])),
  }
}

async function firingsOf(tercet: Tercet, startMs: number, lengthMs: number): Promise<Firing[]> {
  const found: Firing[] = []
  const spanMs = stateStepMs * pointsMax
  for (let atMs = 0; atMs <= lengthMs; atMs += spanMs) {
    const range = { from: startMs + atMs, to: startMs + Math.min(lengthMs, atMs + spanMs - 1), step: stateStepMs }
    const { series } = await tercet.promqlRange('ALERTS{alertstate="firing"}', range)
    for (const one of series) addAll(found, firingsIn(one, startMs))
  }
  return joined(found)
}

/** A gap of more than the lookback ends a firing. */
function firingsIn({ labels, points }: Series, startMs: number): Firing[] {
  const { __name__: _, alertstate: __, alertname = '', ...others } = labels
  const firings: { alert: string; labels: PlainLabels; fromMs: number; toMs: number }[] = []
  for (const { timeMs } of points) {
    const atMs = timeMs - startMs
    const last = firings.at(-1)
    if (last !== undefined && atMs - last.toMs <= stateStepMs) last.toMs = atMs
    else firings.push({ alert: alertname, labels: others, fromMs: atMs, toMs: atMs })
  }
  return firings
}

/** Those that go on where one answer ended and the next one began. */
function joined(firings: readonly Firing[]): Firing[] {
  const out: Firing[] = []
  for (const firing of firings.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const before = out.findIndex(one => isSameAlert(one, firing) && firing.fromMs - one.toMs <= stateStepMs)
    if (before < 0) out.push(firing)
    else out[before] = { ...out[before]!, toMs: firing.toMs }
  }
  return out
}

function isSameAlert(a: Firing, b: Firing): boolean {
  return a.alert === b.alert && JSON.stringify(a.labels) === JSON.stringify(b.labels)
}

function madeUp({ series, interval = '1m' }: Extract<RuleSource, { series: readonly string[] }>): Plan {
  const stepMs = durationMs(interval)
  if (stepMs === 0) throw new BadDataError('the interval between two points is 0')
  const lines = series.map(parseSeriesLine)
  const points = greatest(lines.map(line => line.points.length))
  return {
    startMs: madeUpStartMs,
    lengthMs: Math.max(0, points - 1) * stepMs,
    feed: (tercet, fromMs, toMs) => addPoints(tercet, lines, { startMs: madeUpStartMs, stepMs, fromMs, toMs }),
  }
}

interface Stretch {
  startMs: number
  stepMs: number
  fromMs: number
  toMs: number
}

/** The points of a stretch, its end excluded but for the last of all. */
async function addPoints(
  tercet: Tercet,
  lines: readonly SeriesLine[],
  { startMs, stepMs, fromMs, toMs }: Stretch,
): Promise<void> {
  const builder = new BatchBuilder()
  const first = Math.ceil((fromMs - startMs) / stepMs)
  for (const { labels, points } of lines) {
    const series = builder.addSeries(labels)
    for (let i = first; i < points.length && startMs + i * stepMs <= toMs; i++) {
      const isOfNext = startMs + i * stepMs === toMs && i < points.length - 1
      if (!isOfNext) addPoint(builder, series, startMs + i * stepMs, points[i])
    }
  }
  await push(tercet, builder)
}

function addPoint(builder: BatchBuilder, series: number, timeMs: number, point: SeriesLine['points'][number]): void {
  if (point === undefined) return
  if (point === 'stale') builder.batch.addSampleWords(series, timeMs, staleHi, staleLo)
  else if (point instanceof FloatHistogram) builder.batch.addHistogram(series, timeMs, 0, point)
  else builder.batch.addSample(series, timeMs, point)
}

async function push(tercet: Tercet, builder: BatchBuilder): Promise<void> {
  const { bytes, samples } = encodeWriteRequest(builder.batch, {
    labelsOf: undefined,
    added: [],
    isWithExemplars: false,
    isWithHistograms: true,
  })
  if (samples === 0) return
  const headers = { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
  const reply = await tercet.request({ method: 'POST', path: '/api/v1/write', headers, body: encodeSnappy(bytes) })
  if (reply.status >= 300) throw new BadDataError(bodyText(reply).trim())
}

/** Reads all of it first: a recording is a few minutes, or was chosen by a selector. */
async function recorded(source: Extract<RuleSource, { recorded: Telemetry }>): Promise<Plan> {
  const startMs = momentMs(source.from)
  const endMs = momentMs(source.to)
  const samples = await recordedSamples(source.recorded, source.selector ?? '{__name__=~".+"}', startMs, endMs)
  const lines = source.logs === undefined ? [] : await recordedLines(source.recorded, source.logs, startMs, endMs)
  return {
    startMs,
    lengthMs: endMs - startMs,
    feed: async (tercet, fromMs, toMs) => {
      const isLast = toMs === endMs
      const isDue = (timeMs: number): boolean => timeMs >= fromMs && (timeMs < toMs || (isLast && timeMs === toMs))
      await addRecorded(tercet, samples, isDue)
      const due = lines.filter(({ timeMs }) => isDue(timeMs))
      if (due.length > 0) await tercet.addLogs(due.map(addedLine))
    },
  }
}

interface RecordedSeries {
  labels: Labels
  timesMs: readonly number[]
  values: readonly number[]
}

async function recordedSamples(
  telemetry: Telemetry,
  selector: string,
  startMs: number,
  endMs: number,
): Promise<RecordedSeries[]> {
  const parameters = { 'match[]': selector, start: String(startMs / 1000), end: String(endMs / 1000) }
  const reply = await telemetry.request({ path: '/api/v1/export', parameters })
  const text = bodyText(reply)
  if (reply.status >= 400) throw new BadDataError(text.trim())
  refusePartial(selector, [reply.header('x-tercet-warning') ?? ''])
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const { metric, values, timestamps } = JSON.parse(line) as {
        metric: Record<string, string>
        values: (number | string | null)[]
        timestamps: number[]
      }
      return { labels: Labels.fromObject(metric), timesMs: timestamps, values: values.map(exportedValue) }
    })
}

/** Rules over a part of what was recorded prove nothing. Throws BadDataError. */
function refusePartial(query: string, warnings: readonly string[]): void {
  const partial = warnings.find(warning => warning.includes(incompleteText))
  if (partial !== undefined) throw new BadDataError(`what was recorded is not whole: ${partial} (in ${query})`)
}

/** JSON has no numbers for these. */
function exportedValue(value: number | string | null): number {
  return value === null ? NaN : Number(value)
}

async function addRecorded(
  tercet: Tercet,
  all: readonly RecordedSeries[],
  isDue: (timeMs: number) => boolean,
): Promise<void> {
  const builder = new BatchBuilder()
  for (const { labels, timesMs, values } of all) {
    const series = builder.addSeries(labels)
    timesMs.forEach((timeMs, i) => {
      if (isDue(timeMs)) builder.batch.addSample(series, timeMs, values[i]!)
    })
  }
  await push(tercet, builder)
}

/** Of Loki's API. */
const linesMax = 5000

/** Page by page, from the end. */
async function recordedLines(
  telemetry: Telemetry,
  query: string,
  startMs: number,
  endMs: number,
): Promise<readonly LogLine[]> {
  const pages: (readonly LogLine[])[] = []
  for (let toMs = endMs; ;) {
    const { lines, warnings } = await telemetry.logql(query, { from: startMs, to: toMs, limit: linesMax })
    refusePartial(query, warnings)
    pages.push(lines)
    if (lines.length < linesMax) break
    const firstMs = lines[0]!.timeMs
    if (firstMs >= toMs) throw new BadDataError(`more than ${linesMax} lines of ${query} in a millisecond`)
    // Those of the first millisecond come again with the next page.
    pages[pages.length - 1] = lines.filter(({ timeMs }) => timeMs > firstMs)
    toMs = firstMs
  }
  return pages.toReversed().flat()
}

function addedLine({ labels, metadata, line, timeMs }: LogLine): Parameters<Tercet['addLogs']>[0][number] {
  return { labels, metadata, line, at: timeMs }
}
