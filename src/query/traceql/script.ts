/**
 * Scripts of TraceQL.
 *
 *     load
 *       trace 1
 *       span 1 "GET /" 10s 100ms service=shop kind=server status=error span.code=500 resource.zone="eu"
 *       event 30ms "exception" type="timeout"
 *       span 2 < 1 "query" 10s20ms 50ms service=db library=sql
 *       link 7 3
 *     eval search { span.code = 500 }
 *       trace 1: 1
 *     eval search {} | by(name)
 *       trace 1: 1 | 2
 *     eval search {} | count() > 1
 *       trace 1: 1 2 [count()=2]
 *     eval instant from 0s to 1m {} | rate() by (resource.service.name)
 *       {resource.service.name="shop"} 0.016666666666666666
 *     eval range from 0s to 1m step 30s {} | count_over_time()
 *       {__name__="count_over_time"} 0 2 0
 *
 * A span has a number, its parent's behind `<`, a name, its start and its length; events and links belong to the span
 * above them, an event's time counts from the span's start. Values are quoted texts, numbers, booleans or JSON arrays.
 * `eval search` may name `limit 10`. Sets and traces are compared in any order, attributes of a set only where they
 * are expected. A range has one interval more than steps: the one that ends at its start.
 */
import { BadDataError } from '#core/errors.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import type { Trace } from '#model/trace.ts'
import type { TracesReader } from '#traces/select.ts'
import {
  checkAnswer,
  expectedFailure,
  LineScanner,
  parseValues,
  sameNumber,
  scriptStartMs,
  timeOf,
  type Command,
  type ScriptLanguage,
} from '../script-commands.ts'
import type { TraceMetrics, TraceMetricsResult } from './metrics.ts'
import { readTraces } from './script-spans.ts'
import type { FoundSet, FoundTrace, TraceSearch } from './search.ts'
import { valueType, type Value } from './span-table.ts'
import { numberText } from './whole.ts'

/** Where a script's spans go, and where its queries read them. */
export interface TraceStore {
  append(trace: Trace): Promise<void>
  reader(): TracesReader
}

export interface TraceEngines {
  search: TraceSearch
  metrics: TraceMetrics
}

/** Scripts of TraceQL: answers come from `engines`, data goes into stores that `makeStore` makes. */
export function traceqlScripts(
  engines: TraceEngines,
  makeStore: () => Promise<TraceStore>,
): ScriptLanguage<TraceStore> {
  return {
    makeStore,
    load: ({ body }, store) => store.append(readTraces(body)),
    evaluate: (command, store) => evaluate(command, engines, store),
  }
}

function evaluate({ head, body }: Command, engines: TraceEngines, store: TraceStore): Promise<string | undefined> {
  const scanner = new LineScanner(head)
  scanner.expect(/^eval\b/, 'eval')
  const failure = expectedFailure(body)
  if (scanner.take(/^search\b/) !== undefined) {
    const limit = scanner.take(/^limit\b/) === undefined ? 1000 : Number(scanner.expect(/^\d+/, 'a count'))
    return checkAnswer(
      failure,
      () => search(scanner.rest, limit, engines.search, store.reader()),
      found => compareTraces(found, body),
    )
  }
  const isRange = scanner.expect(/^(?:range|instant)\b/, 'search, range or instant') === 'range'
  scanner.expect(/^from\b/, 'from')
  const startMs = scriptStartMs + timeOf(scanner.expect(/^\S+/, 'a time'))
  scanner.expect(/^to\b/, 'to')
  const endMs = scriptStartMs + timeOf(scanner.expect(/^\S+/, 'a time'))
  if (isRange) scanner.expect(/^step\b/, 'step')
  const stepMs = isRange ? timeOf(scanner.expect(/^\S+/, 'a step')) : 0
  return checkAnswer(
    failure,
    async () => {
      const query = parseTraceql(scanner.rest)
      if (query.kind !== 'metrics') throw new BadDataError('no metrics query')
      const request = { expr: query.expr, startMs, endMs, stepMs, exemplars: 0, seriesMax: 1000 }
      return engines.metrics.run(request, store.reader())
    },
    found => compareMetrics(found, body),
  )
}

async function search(source: string, limit: number, engine: TraceSearch, reader: TracesReader): Promise<FoundTrace[]> {
  const query = parseTraceql(source)
  if (query.kind !== 'search') throw new BadDataError('no search')
  const { stages, hints } = query
  const request = { stages, hints, fromMs: -Infinity, throughMs: Infinity, limit, spansPerSet: 1000 }
  const { traces } = await engine.run(request, reader)
  return traces
}

// --- Comparison ---

function compareTraces(found: readonly FoundTrace[], body: readonly string[]): string | undefined {
  const showsAttributes = body.some(line => line.includes('['))
  const own = found.map(trace => traceText(trace, showsAttributes)).sort()
  const wanted = body.map(line => line.replaceAll(/\s+/g, ' ')).sort()
  const isSame = own.length === wanted.length && wanted.every((line, i) => line === own[i])
  return isSame ? undefined : `${own.join('; ')}, wanted ${wanted.join('; ')}`
}

function traceText({ id, sets }: FoundTrace, showsAttributes: boolean): string {
  return `trace ${Number.parseInt(id, 16)}: ${sets
    .map(set => setText(set, showsAttributes))
    .sort()
    .join(' | ')}`
}

function setText({ spans, attributes }: FoundSet, showsAttributes: boolean): string {
  const ids = spans.map(span => Number.parseInt(span.id, 16)).sort((a, b) => a - b)
  if (!showsAttributes || attributes.length === 0) return ids.join(' ')
  return `${ids.join(' ')} [${attributes.map(a => `${a.key}=${valueText(a.value)}`).join(' ')}]`
}

function valueText(value: Value | readonly Value[] | undefined): string {
  if (value === undefined) return 'nil'
  if ('length' in value) return `[${value.map(valueText).join(' ')}]`
  const { type, num, text } = value
  return type === valueType.string ? JSON.stringify(text) : numberText({ num, text })
}

function compareMetrics(found: TraceMetricsResult, body: readonly string[]): string | undefined {
  const series = new Map(found.series.map(({ labels, values }) => [seriesText(labels), [...values]]))
  const shown = [...series].map(([key, values]) => `${key} ${values.join(' ')}`).join(' | ')
  if (series.size !== body.length) return `${series.size} series, wanted ${body.length}: ${shown}`
  for (const line of body) {
    const end = line.indexOf('}') + 1
    const own = series.get(line.slice(0, end))
    const wanted = parseValues(line.slice(end).trim())
    if (own === undefined) return `no series ${line.slice(0, end)}; there are ${shown}`
    if (own.length !== wanted.length || !own.every((value, i) => sameNumber(value, wanted[i] ?? NaN)))
      return `${shown}, wanted ${line}`
  }
  return undefined
}

function seriesText(labels: readonly { key: string; value: Value | undefined }[]): string {
  return `{${labels.map(({ key, value }) => `${key}=${valueText(value)}`).join(', ')}}`
}
