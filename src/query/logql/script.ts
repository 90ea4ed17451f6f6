/**
 * Scripts of LogQL.
 *
 *     load
 *       {app="a"} 10s trace_id=1 "level=warn"
 *     eval lines {app="a"} | logfmt
 *       {app="a", level="warn", trace_id="1"} 10s "level=warn"
 *     eval instant at 1m sum by (app) (count_over_time({app="a"}[1m]))
 *       {app="a"} 1
 *     eval range from 0 to 1m step 30s sum(count_over_time({app="a"}[1m]))
 *       {} _ 1 1
 *     eval lines {app=
 *       expect fail regex: syntax error
 *
 * `eval lines` may name `from 0s to 1h`, `limit 10` and `backward`, in this order; the labels of an expected line may
 * be left out. Labels that admission adds (service_name, detected_level) and the details of errors count only where
 * they are expected.
 */
import { BadDataError } from '#core/errors.ts'
import { parseLogql, parseLogQuery } from '#lang/logql/parser.ts'
import {
  checkAnswer,
  expectedFailure,
  LineScanner,
  parseValues,
  scriptStartMs,
  sameNumber,
  timeOf,
  type Command,
  type ScriptLanguage,
} from '../script-commands.ts'
import { labelText, readLabels, readLines, type LogStore } from '../log-script.ts'
import { metricOf, type LogqlEngine, type MetricResult } from './engine.ts'
import type { FoundLine } from './log-query.ts'

const hourMs = 3_600_000
const implied = ['service_name', 'detected_level', '__error_details__']

/** Scripts of LogQL: answers come from `engine`, data goes into stores that `makeStore` makes. */
export function logqlScripts(engine: LogqlEngine, makeStore: () => Promise<LogStore>): ScriptLanguage<LogStore> {
  return {
    makeStore,
    load: ({ body }, store) => store.append(readLines(body, false)),
    evaluate: (command, store) => evaluate(command, engine, store),
  }
}

function evaluate(command: Command, engine: LogqlEngine, store: LogStore): Promise<string | undefined> {
  const scanner = new LineScanner(command.head)
  scanner.expect(/^eval\b/, 'eval')
  const wanted = expectedFailure(command.body)
  if (scanner.take(/^lines\b/) !== undefined) {
    const query = readLineQuery(scanner)
    return checkAnswer(
      wanted,
      async () => (await engine.lines(parseLogQuery(scanner.rest), query, store.reader())).lines,
      found => compareLines(found, command.body),
    )
  }
  const run = readMetricQuery(scanner, engine, store)
  return checkAnswer(wanted, run, found => compareMetric(found, command.body))
}

function takeTime(scanner: LineScanner): number {
  return scriptStartMs + timeOf(scanner.expect(/^\S+/, 'a time'))
}

function readLineQuery(scanner: LineScanner): Parameters<LogqlEngine['lines']>[1] {
  let fromMs = scriptStartMs
  let toMs = scriptStartMs + hourMs
  if (scanner.take(/^from\b/) !== undefined) {
    fromMs = takeTime(scanner)
    scanner.expect(/^to\b/, 'to')
    toMs = takeTime(scanner)
  }
  const limit = scanner.take(/^limit\b/) === undefined ? 1000 : Number(scanner.expect(/^\d+/, 'a count'))
  const isBackward = scanner.take(/^backward\b/) !== undefined
  return { bounds: { fromMs, fromSubNs: 0, toMs, toSubNs: 0 }, limit, isBackward, intervalNs: 0 }
}

function readMetricQuery(scanner: LineScanner, engine: LogqlEngine, store: LogStore): () => Promise<MetricResult> {
  if (scanner.take(/^instant\b/) !== undefined) {
    scanner.expect(/^at\b/, 'at')
    const atMs = takeTime(scanner)
    return async () => engine.instant(metricOf(parseLogql(scanner.rest)), atMs, 0, store.reader(), false)
  }
  scanner.expect(/^range\s+from\b/, 'lines, instant or range')
  const fromMs = takeTime(scanner)
  scanner.expect(/^to\b/, 'to')
  const toMs = takeTime(scanner)
  scanner.expect(/^step\b/, 'step')
  const stepMs = timeOf(scanner.expect(/^\S+/, 'a step'))
  return async () => engine.range(metricOf(parseLogql(scanner.rest)), fromMs, toMs, stepMs, store.reader(), false)
}

// --- Comparison ---

/** Labels as text, without those that are implied and not expected. */
function shownLabels(pairs: readonly string[], expected: string): string {
  const labels = new Map<string, string>()
  for (let i = 0; i < pairs.length; i += 2) labels.set(pairs[i]!, pairs[i + 1]!)
  for (const name of implied) if (!expected.includes(name)) labels.delete(name)
  return labelText([...labels])
}

/** Lines have to be in the order in which they are expected. */
function compareLines(found: readonly FoundLine[], body: readonly string[]): string | undefined {
  const shown = found.map(line => `${line.ms - scriptStartMs} ms ${JSON.stringify(line.line)}`).join(' | ')
  if (found.length !== body.length) return `${found.length} lines, wanted ${body.length}: ${shown}`
  for (const [i, text] of body.entries()) {
    const { ms, line, stream, metadata, parsed } = found[i]!
    const scanner = new LineScanner(text)
    const labels = text.startsWith('{') ? labelText(readLabels(scanner)) : undefined
    const atMs = takeTime(scanner)
    const wanted = scanner.quoted()
    if (ms !== atMs || line !== wanted) return `line ${i + 1} is ${JSON.stringify(line)}, wanted ${text}; all: ${shown}`
    const own = shownLabels([...stream, ...metadata, ...parsed], labels ?? '')
    if (labels !== undefined && own !== labels) return `line ${i + 1} has ${own}, wanted ${labels}`
  }
  return undefined
}

function compareMetric(found: MetricResult, body: readonly string[]): string | undefined {
  if (found.kind === 'scalar') {
    const [wanted] = parseValues(body[0] ?? 'NaN')
    return sameNumber(found.value, wanted ?? NaN) ? undefined : `scalar ${found.value}, wanted ${body[0]}`
  }
  const series = new Map<string, (number | undefined)[]>()
  for (const { labels, values, present } of found.series) {
    const key = shownLabels(labels.pairs, body.join(' '))
    if (series.has(key)) return `two series ${key}`
    series.set(
      key,
      Array.from(values, (value, step) => (present[step] === 1 ? value : undefined)),
    )
  }
  const shown = [...series].map(([key, values]) => `${key} ${values.map(v => v ?? '_').join(' ')}`).join(' | ')
  if (series.size !== body.length) return `${series.size} series, wanted ${body.length}: ${shown}`
  for (const text of body) {
    const scanner = new LineScanner(text)
    const key = labelText(readLabels(scanner))
    const own = series.get(key)
    if (own === undefined) return `no series ${key}; there are ${shown}`
    const wanted = parseValues(scanner.rest)
    if (own.length !== wanted.length) throw new BadDataError(`${own.length} values are needed: ${text}`)
    if (!own.every((value, step) => sameValue(value, wanted[step]))) return `${shown}, wanted ${text}`
  }
  return undefined
}

function sameValue(a: number | undefined, b: number | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameNumber(a, b)
}
