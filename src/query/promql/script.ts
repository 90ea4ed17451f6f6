/**
 * Runs scripts in Prometheus' promqltest notation: load, clear, eval instant, eval range, and what is expected of
 * them. Source: the public documentation of promqltest.
 */
import { BadDataError } from '#core/errors.ts'
import { parseDurationMs } from '#core/duration.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { Labels } from '#model/labels.ts'
import {
  parsePoints,
  parseSeriesLine,
  parseStartOffsets,
  same,
  samePoint,
  type Point,
  type SeriesLine,
} from '#model/series-notation.ts'
import type { PromqlEngine, QueryResult, ResultSeries } from './engine.ts'
import {
  checkAnswer,
  expectedFailure,
  matches,
  timeOf,
  type Command,
  type ExpectedFailure,
  type ScriptLanguage,
} from '../script-commands.ts'
import { customBucketSeries } from './script-buckets.ts'

/** Where a script's samples go, and where its queries read them. */
export interface ScriptStore {
  /** Points of one series, `stepMs` apart from 0 on; each place without a point has no sample. */
  load(series: SeriesLine, stepMs: number): void
  reader(): MetricsReader
}

/** How the annotations of one level have to be. */
type Wanted = { kind: 'any' } | { kind: 'none' } | { kind: 'some'; messages: string[]; patterns: string[] }

interface Expectations {
  failure: ExpectedFailure | undefined
  warn: Wanted
  info: Wanted
  isOrdered: boolean
  text: string | undefined
  lines: string[]
}

/** Steps of an evaluation; without `stepMs` an instant. */
interface Times {
  startMs: number
  endMs: number
  stepMs: number | undefined
}

/** Scripts of PromQL: answers come from `engine`, data goes into stores that `makeStore` makes. */
export function promqlScripts(engine: PromqlEngine, makeStore: () => ScriptStore): ScriptLanguage<ScriptStore> {
  return { makeStore, load, evaluate: (command, store) => evaluate(command, engine, store) }
}

function load({ head, body }: Command, store: ScriptStore): void {
  const [, buckets, step = ''] = /^load(_with_nhcb)?\s+(\S+)$/.exec(head) ?? []
  const stepMs = parseDurationMs(step)
  if (stepMs === undefined) throw new BadDataError(`not understood: ${head}`)
  const loaded = readSeries(body)
  // Of several lines for one series the last one counts.
  for (const series of new Map(loaded.map(l => [l.labels.key, l])).values()) store.load(series, stepMs)
  if (buckets !== undefined) for (const series of customBucketSeries(loaded)) store.load(series, stepMs)
}

/** Series, some of them with a line of start timestamps in front: `name{a="b"}@st -1m`. */
function readSeries(body: readonly string[]): SeriesLine[] {
  const loaded: SeriesLine[] = []
  let starts: { labels: Labels; offsets: (number | undefined)[] } | undefined
  for (const text of body) {
    const [whole, name = '', offsets = ''] = /^(\S+)@st\s+(.+)$/.exec(text) ?? []
    if (whole !== undefined) {
      starts = { labels: parseSeriesLine(name).labels, offsets: parseStartOffsets(offsets) }
      continue
    }
    const series = parseSeriesLine(text)
    if (starts !== undefined) series.startOffsetsMs = startsFor(series, starts)
    starts = undefined
    loaded.push(series)
  }
  if (starts !== undefined) throw new BadDataError(`no series follows the start timestamps of ${starts.labels}`)
  return loaded
}

function startsFor(
  { labels, points }: SeriesLine,
  starts: { labels: Labels; offsets: (number | undefined)[] },
): (number | undefined)[] {
  if (!labels.equals(starts.labels)) throw new BadDataError(`start timestamps of ${starts.labels} before ${labels}`)
  if (starts.offsets.length !== points.length)
    throw new BadDataError(`${starts.offsets.length} start timestamps for ${points.length} points of ${labels}`)
  return starts.offsets
}

const evaluation = /^eval(_fail|_warn|_info|_ordered)?\s+/
const instant = /^instant\s+(?:at\s+(\S+)\s+)?/
const range = /^range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+/

function evaluate({ head, body }: Command, engine: PromqlEngine, store: ScriptStore): Promise<string | undefined> {
  const [start = '', form] = evaluation.exec(head) ?? []
  const { times, query } = readTimes(head.slice(start.length))
  const wanted = readExpectations(form, body)
  return checkAnswer(
    wanted.failure,
    () => answer(engine, store, query, times),
    found => problemOf(found, times, wanted),
  )
}

function readTimes(text: string): { times: Times; query: string } {
  const at = instant.exec(text)
  if (at !== null) {
    const atMs = timeOf(at[1] ?? '0')
    return { times: { startMs: atMs, endMs: atMs, stepMs: undefined }, query: text.slice(at[0].length) }
  }
  const [whole, from = '', to = '', step = ''] = range.exec(text) ?? []
  if (whole === undefined) throw new BadDataError(`not understood: ${text}`)
  const times = { startMs: timeOf(from), endMs: timeOf(to), stepMs: timeOf(step) }
  return { times, query: text.slice(whole.length) }
}

function answer(engine: PromqlEngine, store: ScriptStore, query: string, times: Times): Promise<QueryResult> {
  const { startMs, endMs, stepMs } = times
  const startTimestamps = true
  if (stepMs === undefined) return engine.instant(store.reader(), query, startMs, { startTimestamps })
  return engine.range(store.reader(), { query, startMs, endMs, stepMs, startTimestamps })
}

// --- Expectations ---

function readExpectations(form: string | undefined, body: readonly string[]): Expectations {
  const out: Expectations = {
    failure: form === '_fail' ? {} : expectedFailure(body),
    warn: form === '_warn' ? someOf() : { kind: 'any' },
    info: form === '_info' ? someOf() : { kind: 'any' },
    isOrdered: form === '_ordered',
    text: undefined,
    lines: [],
  }
  for (const line of body) readExpectation(line, out)
  return out
}

function someOf(): Wanted & { kind: 'some' } {
  return { kind: 'some', messages: [], patterns: [] }
}

const expectation = /^expect\s+(fail|warn|info|no_warn|no_info|ordered|string)\b(?:\s+(msg|regex):\s*(.*)|\s+(.*))?$/

function readExpectation(line: string, out: Expectations): void {
  const message = /^expected_fail_(message|regexp)\s+(.*)$/.exec(line)
  if (message !== null) {
    const [, form, detail = ''] = message
    out.failure = form === 'message' ? { message: detail } : { pattern: detail }
    return
  }
  const [whole, what, form, detail = '', plain = ''] = expectation.exec(line) ?? []
  if (whole === undefined) {
    out.lines.push(line)
    return
  }
  switch (what) {
    case 'ordered':
      out.isOrdered = true
      return
    case 'string':
      out.text = JSON.parse(plain.replace(/^['`](.*)['`]$/, (_, t: string) => JSON.stringify(t))) as string
      return
    case 'no_warn':
      out.warn = { kind: 'none' }
      return
    case 'no_info':
      out.info = { kind: 'none' }
      return
    case 'warn':
    case 'info': {
      const before = out[what]
      const some = before.kind === 'some' ? before : someOf()
      if (form === 'msg') some.messages.push(detail)
      if (form === 'regex') some.patterns.push(detail)
      out[what] = some
      return
    }
    default:
  }
}

// --- Comparison ---

/** The texts that a script may give for an annotation: with its place in the query, and without. */
function forms(text: string): [whole: string, withoutPlace: string] {
  return [text, text.replace(/ \(\d+:\d+\)$/, '')]
}

function problemOf(result: QueryResult, times: Times, wanted: Expectations): string | undefined {
  return (
    annotationProblem('warnings', result.warnings, wanted.warn) ??
    annotationProblem('infos', result.infos, wanted.info) ??
    valueProblem(result, times, wanted)
  )
}

function valueProblem(result: QueryResult, times: Times, wanted: Expectations): string | undefined {
  if (wanted.text !== undefined)
    return result.text === wanted.text
      ? undefined
      : `string ${JSON.stringify(result.text)}, wanted ${JSON.stringify(wanted.text)}`
  const [first = '', ...rest] = wanted.lines
  if (result.type === 'scalar') {
    const found = result.series[0]?.values[0] ?? NaN
    const [value] = parsePoints(first)
    return typeof value === 'number' && same(found, value) ? undefined : `scalar ${found}, wanted ${first}`
  }
  const shifted = /^expect range vector from (\S+) to (\S+) step (\S+)$/.exec(first)
  if (shifted === null) return compareSeries(result.series, seriesOf(wanted.lines), times, wanted.isOrdered)
  const [, from = '', to = '', step = ''] = shifted
  const at = { startMs: timeOf(from), endMs: timeOf(to), stepMs: timeOf(step) }
  return compareSeries(result.series, seriesOf(rest), at, wanted.isOrdered)
}

function seriesOf(lines: readonly string[]): SeriesLine[] {
  return lines.map(line =>
    /^[-+]?(\d|\.\d|Inf|NaN)/.test(line) ? { labels: Labels.empty, points: parsePoints(line) } : parseSeriesLine(line),
  )
}

function annotationProblem(what: string, found: readonly string[], wanted: Wanted): string | undefined {
  if (wanted.kind === 'any') return undefined
  if (wanted.kind === 'none') return found.length === 0 ? undefined : `unexpected ${what}: ${found.join('; ')}`
  const { messages, patterns } = wanted
  if (found.length === 0) return `no ${what}, wanted some: ${[...messages, ...patterns].join('; ')}`
  for (const message of messages)
    if (!found.some(text => forms(text).includes(message)))
      return `${what} ${JSON.stringify(found)} lack ${JSON.stringify(message)}`
  for (const pattern of patterns)
    if (!found.some(text => matches(pattern, text))) return `${what} ${JSON.stringify(found)} don't match ${pattern}`
  if (messages.length + patterns.length === 0) return undefined
  const extra = found.find(
    text => !forms(text).some(form => messages.includes(form)) && !patterns.some(pattern => matches(pattern, text)),
  )
  return extra === undefined ? undefined : `unexpected one among ${what}: ${extra}`
}

function compareSeries(
  found: readonly ResultSeries[],
  expected: readonly SeriesLine[],
  times: Times,
  isOrdered: boolean,
): string | undefined {
  const wanted = expected.filter(series => series.points.some(p => p !== undefined))
  if (found.length !== wanted.length)
    return `${found.length} series, wanted ${wanted.length}: ${shown(found, s => `${s.labels} ${samplesOf(s)}`)}`
  for (const [i, { labels, points }] of wanted.entries()) {
    const series = isOrdered ? found[i] : found.find(s => s.labels.equals(labels))
    if (series === undefined || !series.labels.equals(labels))
      return `no series ${labels}${isOrdered ? ` at place ${i}` : ''}; there are ${shown(found, s => `${s.labels}`)}`
    const problem = comparePoints(series, points, times)
    if (problem !== undefined) return problem
  }
  return undefined
}

function comparePoints(series: ResultSeries, points: readonly Point[], times: Times): string | undefined {
  const { startMs, stepMs } = times
  for (const [k, want] of points.entries()) {
    const atMs = stepMs === undefined ? undefined : startMs + k * stepMs
    const value = pointAt(series, atMs)
    if (!samePoint(value, want)) return `${series.labels} at ${atMs ?? 'the instant'}: ${value}, wanted ${want}`
  }
  const count = series.timesMs.length + series.histogramTimesMs.length
  if (stepMs !== undefined && count > points.filter(p => p !== undefined).length)
    return `${series.labels}: ${count} samples, wanted fewer: ${samplesOf(series)}`
  return undefined
}

function shown(series: readonly ResultSeries[], show: (series: ResultSeries) => string): string {
  return series.slice(0, 6).map(show).join(' | ')
}

function samplesOf(series: ResultSeries): string {
  return `${series.values.slice(0, 12).join(' ')}${series.histograms.join(' ')}`
}

function pointAt(series: ResultSeries, atMs: number | undefined): Point {
  if (atMs === undefined) return series.histograms[0] ?? series.values[0]
  const f = series.timesMs.indexOf(atMs)
  if (f >= 0) return series.values[f]
  const h = series.histogramTimesMs.indexOf(atMs)
  return h >= 0 ? series.histograms[h] : undefined
}
