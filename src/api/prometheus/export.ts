/** /api/v1/export: series as VictoriaMetrics' JSON lines. */
import type { ScopeOf } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, ExecutionError } from '#core/errors.ts'
import { scopedMetrics } from '#metrics/scoped-reader.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import { reads } from '#net/access.ts'
import { allowing, queries, route, type GuardedRoute, type HttpReply, type HttpRequest } from '#net/route-table.ts'
import { formatJsonLine } from '#wire/json-lines/parse.ts'
import { begun } from '../begun.ts'
import { matcherSets, minTimeMs, timeParam } from './params.ts'
import { prometheusDialect } from './respond.ts'

export interface ExportOptions {
  clock: Clock
  store: { reader(tenant: string): MetricsReader }
  scopeOf: ScopeOf
}

export function exportRoutes(options: ExportOptions): GuardedRoute[] {
  const exporting = route(['GET', 'POST'], '/api/v1/export', request => exportSeries(request, options))
  return allowing(reads('metrics'), queries(prometheusDialect([exporting])))
}

async function exportSeries(request: HttpRequest, { clock, store, scopeOf }: ExportOptions): Promise<HttpReply> {
  const form = await request.form()
  const sets = matcherSets(form)
  if (sets.length === 0) throw new BadDataError('no match[] parameter provided')
  const fromMs = timeParam(form, 'start', minTimeMs)
  const toMs = timeParam(form, 'end', clock.nowMs())
  return {
    status: 200,
    headers: { 'content-type': 'application/stream+json; charset=utf-8' },
    body: await begun(lines(scopedMetrics(store, scopeOf(request)), sets, fromMs, toMs)),
  }
}

async function* lines(
  reader: MetricsReader,
  sets: ReturnType<typeof matcherSets>,
  fromMs: number,
  toMs: number,
): AsyncGenerator<string, void> {
  const columns = new SampleColumns()
  const seen = new Set<string>()
  for (const matchers of sets) {
    const set = await reader.select(matchers, fromMs, toMs)
    for (let i = 0; i < set.labels.length; i++) {
      const labels = set.labels[i]!
      if (seen.has(labels.key)) continue
      seen.add(labels.key)
      await set.load(i, i + 1)
      columns.clear()
      set.read(i, columns)
      set.release()
      const floats = floatsOf(columns)
      if (floats.values.length > 0)
        yield formatJsonLine(labels.toObject(), floats.timesMs, floats.values, floats.values.length)
    }
  }
  // The format has no place for a warning: an export that lacks something must not end as a whole one does.
  const lacking = reader.omissions.text()
  if (lacking !== undefined) throw new ExecutionError(lacking)
}

/** Native histograms and staleness markers have no place in this format. */
function floatsOf(columns: SampleColumns): { timesMs: number[]; values: number[] } {
  const timesMs: number[] = [],
    values: number[] = []
  for (let i = 0; i < columns.count; i++) {
    if (columns.isStale(i) || columns.histograms?.[i] !== undefined) continue
    timesMs.push(columns.timesMs[i]!)
    values.push(columns.values[i]!)
  }
  return { timesMs, values }
}
