/**
 * Runs scripts in Prometheus' promqltest notation: load, clear, eval instant, eval range, and what is expected of
 * them.
 */
import { parseDurationMs } from '#core/duration.ts'
import { defaultLimits } from '#core/limits.ts'
import { systemClock } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import { silentLog } from '#core/log.ts'
import { Head } from '#metrics/head.ts'
import { BlockSet } from '#metrics/block-set.ts'
import { Reader } from '#metrics/reader.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import {
  parseNumber,
  parsePoints,
  parseSeriesLine,
  same,
  samePoint,
  type Point,
  type SeriesLine,
} from '#model/series-notation.ts'
import { KeyWriter } from '#model/write-batch.ts'
import { PromqlEngine, type QueryResult, type ResultSeries } from '#query/promql/engine.ts'

interface Expectations {
  fail: boolean
  failMessage: string | undefined
  failPattern: string | undefined
  warn: Wanted
  info: Wanted
  ordered: boolean
  text: string | undefined
  lines: string[]
}
type Wanted = { kind: 'any' } | { kind: 'none' } | { kind: 'some'; messages: string[]; patterns: string[] }

export interface Failure {
  line: number
  query: string
  reason: string
}

const noBlocks = new BlockSet(silentLog, systemClock)
const scratch = new Float64Array(1)
const words = new Uint32Array(scratch.buffer)

/** Runs a whole script; `onCase` hears of every evaluation. */
export async function runScript(text: string, onCase: (failure: Failure | undefined) => void): Promise<void> {
  const lines = text.split('\n').map(line => line.replace(/\t/g, ' ').trimEnd())
  const engine = new PromqlEngine(systemClock, { ...defaultLimits, labelValueBytesMax: 1e6 })
  let head = freshHead()
  let i = 0
  const isBlank = (line: string | undefined): boolean =>
    line === undefined || line.trim() === '' || /^\s*(eval|load|clear)\b/.test(line)
  while (i < lines.length) {
    const line = lines[i]!.trim()
    if (line === '' || line.startsWith('#')) {
      i++
      continue
    }
    const number = i + 1
    if (line === 'clear') {
      head = freshHead()
      i++
      continue
    }
    const load = /^load(_with_nhcb)?\s+(\S+)$/.exec(line)
    if (load !== null) {
      const stepMs = parseDurationMs(load[2]!)!
      const loaded: SeriesLine[] = []
      for (i++; !isBlank(lines[i]); i++)
        if (!lines[i]!.trim().startsWith('#')) loaded.push(parseSeriesLine(lines[i]!.trim()))
      // Of several lines for one series the last one counts.
      for (const series of new Map(loaded.map(l => [l.labels.key, l])).values()) loadSeries(head, series, stepMs)
      if (load[1] !== undefined) for (const series of customBuckets(loaded)) loadSeries(head, series, stepMs)
      continue
    }
    const evaluation =
      /^eval(_fail|_warn|_info|_ordered)?\s+(?:instant\s+(?:at\s+(\S+))?|range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+?))\s+(.+)$/.exec(
        line,
      )
    if (evaluation === null) throw new Error(`line ${number}: not understood: ${line}`)
    const expectations: Expectations = {
      fail: evaluation[1] === '_fail',
      failMessage: undefined,
      failPattern: undefined,
      warn: { kind: evaluation[1] === '_warn' ? 'some' : 'any', messages: [], patterns: [] } as Wanted,
      info: { kind: evaluation[1] === '_info' ? 'some' : 'any', messages: [], patterns: [] } as Wanted,
      ordered: evaluation[1] === '_ordered',
      text: undefined,
      lines: [],
    }
    for (i++; !isBlank(lines[i]); i++) readExpectation(lines[i]!.trim(), expectations)
    const query = evaluation[6]!
    const reason = await check(engine, head, evaluation, query, expectations)
    onCase(reason === undefined ? undefined : { line: number, query, reason })
  }
}

function freshHead(): Head {
  return new Head({ a: 1, b: 2, c: 3, d: 4 }, { ...defaultLimits, labelValueBytesMax: 1e6 }, 2 * 3_600_000, Infinity)
}

function readExpectation(line: string, out: Expectations): void {
  if (line.startsWith('#')) return
  const expected =
    /^expect\s+(fail|warn|info|no_warn|no_info|ordered|string)\b(?:\s+(msg|regex):\s*(.*)|\s+(.*))?$/.exec(line)
  if (expected !== null) {
    const [, what, form, detail, plain] = expected
    if (what === 'fail') {
      out.fail = true
      if (form === 'msg') out.failMessage = detail
      else if (form === 'regex') out.failPattern = detail
    } else if (what === 'ordered') out.ordered = true
    else if (what === 'string')
      out.text = JSON.parse((plain ?? '').replace(/^['`](.*)['`]$/, (_, t: string) => JSON.stringify(t)))
    else if (what === 'no_warn') out.warn = { kind: 'none' }
    else if (what === 'no_info') out.info = { kind: 'none' }
    else {
      const key = what as 'warn' | 'info'
      const before = out[key]
      const some = before.kind === 'some' ? before : { kind: 'some' as const, messages: [], patterns: [] }
      if (form === 'msg') some.messages.push(detail!)
      if (form === 'regex') some.patterns.push(detail!)
      out[key] = some
    }
    return
  }
  const message = /^expected_fail_message\s+(.*)$/.exec(line)
  if (message !== null) {
    out.failMessage = message[1]
    return
  }
  const pattern = /^expected_fail_regexp\s+(.*)$/.exec(line)
  if (pattern !== null) {
    out.failPattern = pattern[1]
    return
  }
  out.lines.push(line)
}

async function check(
  engine: PromqlEngine,
  head: Head,
  evaluation: RegExpExecArray,
  query: string,
  wanted: Expectations,
): Promise<string | undefined> {
  const isInstant = evaluation[3] === undefined
  const timeOf = (text: string): number =>
    text.endsWith('s') || /[a-z]$/.test(text)
      ? text.startsWith('-')
        ? -parseDurationMs(text.slice(1))!
        : parseDurationMs(text)!
      : Number(text) * 1000
  let result: QueryResult
  let stepMs = 1
  let startMs = 0
  let stepsEndMs = 0
  try {
    if (isInstant) {
      startMs = stepsEndMs = timeOf(evaluation[2] ?? '0')
      result = await engine.instant(new Reader(noBlocks, head), query, startMs)
    } else {
      startMs = timeOf(evaluation[3]!)
      stepsEndMs = timeOf(evaluation[4]!)
      stepMs = timeOf(evaluation[5]!)
      result = await engine.range(new Reader(noBlocks, head), { query, startMs, endMs: stepsEndMs, stepMs })
    }
  } catch (error) {
    if (!wanted.fail) return `failed: ${messageOf(error)}`
    const message = messageOf(error)
    if (wanted.failMessage !== undefined && message !== wanted.failMessage)
      return `failed with ${JSON.stringify(message)}, wanted ${JSON.stringify(wanted.failMessage)}`
    if (wanted.failPattern !== undefined && !new RegExp(wanted.failPattern).test(message))
      return `failed with ${JSON.stringify(message)}, wanted /${wanted.failPattern}/`
    return undefined
  }
  if (wanted.fail) return 'should have failed'
  const strip = (texts: string[]): string[] => texts.map(text => text.replace(/ \(\d+:\d+\)$/, ''))
  const annotated =
    annotationProblem('warnings', strip(result.warnings), wanted.warn) ??
    annotationProblem('infos', strip(result.infos), wanted.info)
  if (annotated !== undefined) return annotated
  if (wanted.text !== undefined)
    return result.text === wanted.text
      ? undefined
      : `string ${JSON.stringify(result.text)}, wanted ${JSON.stringify(wanted.text)}`
  if (result.type === 'scalar') {
    const value = Number(parseNumber(wanted.lines[0] ?? 'NaN'))
    return same(result.series[0]!.values[0]!, value)
      ? undefined
      : `scalar ${result.series[0]!.values[0]}, wanted ${value}`
  }
  const range = /^expect range vector from (\S+) to (\S+) step (\S+)$/.exec(wanted.lines[0] ?? '')
  let lines = wanted.lines
  if (range !== null) {
    startMs = timeOf(range[1]!)
    stepsEndMs = timeOf(range[2]!)
    stepMs = timeOf(range[3]!)
    lines = lines.slice(1)
  }
  const expected = lines.map(line =>
    /^[-+]?(\d|\.\d|Inf|NaN)/.test(line) ? { labels: Labels.empty, points: parsePoints(line) } : parseSeriesLine(line),
  )
  return compareSeries(result.series, expected, {
    startMs,
    stepMs,
    instant: isInstant && range === null,
    ordered: wanted.ordered,
  })
}

function annotationProblem(what: string, found: string[], wanted: Wanted): string | undefined {
  if (wanted.kind === 'any') return undefined
  if (wanted.kind === 'none') return found.length === 0 ? undefined : `unexpected ${what}: ${found.join('; ')}`
  if (found.length === 0) return `no ${what}, wanted some: ${[...wanted.messages, ...wanted.patterns].join('; ')}`
  for (const message of wanted.messages)
    if (!found.includes(message)) return `${what} ${JSON.stringify(found)} lack ${JSON.stringify(message)}`
  for (const pattern of wanted.patterns)
    if (!found.some(text => new RegExp(pattern).test(text)))
      return `${what} ${JSON.stringify(found)} don't match ${pattern}`
  if (wanted.messages.length + wanted.patterns.length > 0) {
    for (const text of found)
      if (!wanted.messages.includes(text) && !wanted.patterns.some(pattern => new RegExp(pattern).test(text)))
        return `unexpected one among ${what}: ${text}`
  }
  return undefined
}

function compareSeries(
  found: readonly ResultSeries[],
  expected: readonly SeriesLine[],
  options: { startMs: number; stepMs: number; instant: boolean; ordered: boolean },
): string | undefined {
  const wanted = expected.filter(series => series.points.some(p => p !== undefined))
  if (found.length !== wanted.length)
    return `${found.length} series, wanted ${wanted.length}: ${found
      .map(s => `${s.labels} ${s.values.slice(0, 5)}${s.histograms.join(' ')}`)
      .slice(0, 6)
      .join(' | ')}`
  for (let i = 0; i < wanted.length; i++) {
    const series = options.ordered ? found[i]! : found.find(s => s.labels.equals(wanted[i]!.labels))
    if (series === undefined || !series.labels.equals(wanted[i]!.labels))
      return `no series ${wanted[i]!.labels}${options.ordered ? ` at place ${i}` : ''}; there are ${found
        .map(s => String(s.labels))
        .slice(0, 6)
        .join(' | ')}`
    for (let k = 0; k < wanted[i]!.points.length; k++) {
      const atMs = options.instant ? undefined : options.startMs + k * options.stepMs
      const value = pointAt(series, atMs)
      const want = wanted[i]!.points[k]
      if (!samePoint(value, want)) return `${series.labels} at ${atMs ?? 'the instant'}: ${value}, wanted ${want}`
    }
    if (
      !options.instant &&
      series.timesMs.length + series.histogramTimesMs.length > wanted[i]!.points.filter(p => p !== undefined).length
    )
      return `${series.labels}: ${series.timesMs.length + series.histogramTimesMs.length} samples, wanted fewer: ${series.values.slice(0, 12)}`
  }
  return undefined
}

function pointAt(series: ResultSeries, atMs: number | undefined): Point {
  if (atMs === undefined) return series.histograms[0] ?? series.values[0]
  const f = series.timesMs.indexOf(atMs)
  if (f >= 0) return series.values[f]
  const h = series.histogramTimesMs.indexOf(atMs)
  return h >= 0 ? series.histograms[h] : undefined
}

function loadSeries(head: Head, series: SeriesLine, stepMs: number): void {
  const key = new KeyWriter()
  key.writeLabels(series.labels)
  const ref = head.table.resolve(key.bytes, 0, key.at)
  head.reserve()
  series.points.forEach((point, i) => {
    const atMs = i * stepMs
    if (point === undefined) return
    if (point instanceof FloatHistogram) head.appendHistogram(ref, atMs, 0, point, true)
    else if (point === 'stale') head.append(ref, atMs, 0x7ff00000, 2)
    else {
      scratch[0] = point
      head.append(ref, atMs, words[1]!, words[0]!)
    }
  })
}

/** Native histograms with custom buckets from the classic ones among the series. */
function customBuckets(loaded: readonly SeriesLine[]): SeriesLine[] {
  const groups = new Map<
    string,
    { labels: Labels; bounds: Map<number, Point[]>; count: Point[] | undefined; sum: Point[] | undefined }
  >()
  for (const series of loaded) {
    const match = /^(.*)_(bucket|count|sum)$/.exec(series.labels.get('__name__'))
    if (match === null) continue
    const labels = series.labels.with('__name__', match[1]!).with('le', '')
    let group = groups.get(labels.key)
    if (group === undefined)
      groups.set(labels.key, (group = { labels, bounds: new Map(), count: undefined, sum: undefined }))
    if (match[2] === 'bucket') group.bounds.set(parseNumber(series.labels.get('le')), series.points)
    else if (match[2] === 'count') group.count = series.points
    else group.sum = series.points
  }
  const out: SeriesLine[] = []
  for (const group of groups.values()) {
    if (group.bounds.size === 0) continue
    const bounds = [...group.bounds.keys()].sort((a, b) => a - b)
    const finite = bounds.filter(b => b !== Infinity)
    const length = Math.max(...[...group.bounds.values()].map(p => p.length))
    const points: Point[] = []
    for (let i = 0; i < length; i++) {
      const cumulative = bounds.map(b => group.bounds.get(b)![i])
      const total = group.count?.[i] ?? cumulative.at(-1)
      if (cumulative.every(c => c === undefined)) {
        points.push(undefined)
        continue
      }
      if (cumulative.includes('stale')) {
        points.push('stale')
        continue
      }
      const h = new FloatHistogram()
      h.schema = -53
      h.customValues = finite
      h.count = typeof total === 'number' ? total : 0
      h.sum = typeof group.sum?.[i] === 'number' ? (group.sum[i] as number) : 0
      const counts: number[] = []
      let before = 0
      for (const bound of finite) {
        const c = group.bounds.get(bound)![i]
        const n = typeof c === 'number' ? c : before
        counts.push(n - before)
        before = n
      }
      counts.push(h.count - before)
      h.positive = { index: counts.map((_, k) => k), count: counts }
      points.push(h.compact())
    }
    out.push({ labels: group.labels, points })
  }
  return out
}
