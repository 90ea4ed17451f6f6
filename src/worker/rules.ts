/** The queries of rules: PromQL, LogQL and TraceQL at a moment, as samples. */
import type { RuleSettings } from '#alert/rules-file.ts'
import type { RuleSample } from '#alert/rules.ts'
import { defaultTenants } from '#api/tenancy.ts'
import { BadDataError } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import { scopedLogs } from '#logs/scoped-reader.ts'
import type { LogsReader } from '#logs/select.ts'
import { scopedMetrics } from '#metrics/scoped-reader.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { FloatHistogram } from '#model/histogram.ts'
import { Labels } from '#model/labels.ts'
import { metricOf, type LogqlEngine } from '#query/logql/engine.ts'
import type { PromqlEngine } from '#query/promql/engine.ts'
import type { TraceMetrics } from '#query/traceql/metrics.ts'
import { scopedTraces } from '#query/traceql/scoped-reader.ts'
import { valueType } from '#query/traceql/span-table.ts'
import { numberText } from '#query/traceql/whole.ts'
import type { TracesReader } from '#traces/select.ts'

/** A TraceQL rule looks at so much time before its moment. */
const traceRangeMs = 300_000

/** The query of a rule. */
export type RuleQuery = Pick<RuleSettings, 'language' | 'expr'>

/** Whose data the query of a rule is about, by signal: at least one tenant each. */
export type RuleTenants = Readonly<Record<SignalName, readonly string[]>>

/** Without tenancy, and where nobody says whose. */
export const defaultRuleTenants: RuleTenants = {
  metrics: [defaultTenants.metrics],
  logs: [defaultTenants.logs],
  traces: [defaultTenants.traces],
}

/** Where the data of each signal is; undefined: it is not here. */
export interface RuleStores {
  metrics: { reader(tenant: string): MetricsReader } | undefined
  logs: { reader(tenant: string): LogsReader } | undefined
  traces: { reader(tenant: string): TracesReader } | undefined
}

/** Readers of what the tenants have; of several, results say whose they are as answers do. */
export function ruleReaders({ metrics, logs, traces }: RuleStores, tenants: RuleTenants): RuleReaders {
  return {
    metrics: () => scopedMetrics(present(metrics), { tenants: tenants.metrics, labels: [] }),
    logs: () => scopedLogs(present(logs), { tenants: tenants.logs, labels: [] }),
    traces: () => scopedTraces(present(traces), { tenants: tenants.traces, labels: [] }),
  }
}

function present<T>(store: T | undefined): T {
  if (store === undefined) throw new Error('a rule asks for a signal that is not served here')
  return store
}

export interface RuleReaders {
  metrics: () => MetricsReader
  logs: () => LogsReader
  traces: () => TracesReader
}

export interface RuleEngines {
  promql: PromqlEngine
  logql: LogqlEngine
  traceql: TraceMetrics
}

/** Samples of a rule's query at a moment. Throws what the engines throw. */
export function evaluateRule(
  { language, expr }: RuleQuery,
  atMs: number,
  readers: RuleReaders,
  engines: RuleEngines,
  signal: AbortSignal,
): Promise<RuleSample[]> {
  switch (language) {
    case 'promql':
      return promqlSamples(expr, atMs, readers.metrics(), engines.promql, signal)
    case 'logql':
      return logqlSamples(expr, atMs, readers.logs(), engines.logql, signal)
    case 'traceql':
      return traceqlSamples(expr, atMs, readers.traces(), engines.traceql, signal)
  }
}

async function promqlSamples(
  expr: string,
  atMs: number,
  reader: MetricsReader,
  engine: PromqlEngine,
  signal: AbortSignal,
): Promise<RuleSample[]> {
  const { type, series } = await engine.instant(reader, expr, atMs, { signal })
  if (type !== 'vector' && type !== 'scalar') throw new BadDataError('rule result is not a vector or scalar')
  return series.map(s => ({ labels: s.labels, value: s.values[0] ?? 0, histogram: s.histograms[0] }))
}

async function logqlSamples(
  expr: string,
  atMs: number,
  reader: LogsReader,
  engine: LogqlEngine,
  signal: AbortSignal,
): Promise<RuleSample[]> {
  const found = await engine.instant(metricOf(parseLogql(expr)), atMs, 0, reader, false, signal)
  if (found.kind === 'scalar') return [{ labels: Labels.empty, value: found.value, histogram: undefined }]
  return found.series
    .filter(s => !Number.isNaN(s.values[0]!))
    .map(s => ({ labels: s.labels, value: s.values[0]!, histogram: undefined }))
}

async function traceqlSamples(
  text: string,
  atMs: number,
  reader: TracesReader,
  engine: TraceMetrics,
  signal: AbortSignal,
): Promise<RuleSample[]> {
  const parsed = parseTraceql(text)
  if (parsed.kind !== 'metrics') throw new BadDataError('a TraceQL rule needs a metrics query')
  const { expr } = parsed
  const asked = { expr, startMs: atMs - traceRangeMs, endMs: atMs, stepMs: 0, exemplars: 0, seriesMax: 10_000 }
  const { series } = await engine.run(asked, reader, signal)
  return series
    .filter(s => !Number.isNaN(s.values[0]!))
    .map(s => ({
      labels: Labels.from(
        s.labels.map(({ key, value }): [string, string] => [
          key.replaceAll(/[^a-zA-Z0-9_]/g, '_'),
          value === undefined ? '' : value.type === valueType.string ? value.text : numberText(value),
        ]),
      ),
      value: s.values[0]!,
      histogram: undefined,
    }))
}

/** A sample on its way to another thread. */
export interface CarriedSample {
  labels: readonly string[]
  value: number
  histogram: FloatHistogram | undefined
}

export function packSample({ labels, value, histogram }: RuleSample): CarriedSample {
  return { labels: labels.pairs, value, histogram }
}

/** A clone has lost its classes. */
export function unpackSample({ labels, value, histogram }: CarriedSample): RuleSample {
  const revived = histogram === undefined ? undefined : Object.assign(new FloatHistogram(), histogram)
  return { labels: new Labels(labels), value, histogram: revived }
}
