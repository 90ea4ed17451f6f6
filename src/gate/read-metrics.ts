/** Reads the names, series and types of a run's metrics. */
import { labelsOf, listOf, mapOf, textOf, textsOf } from '#library/json.ts'
import { QueryError, type TercetRequest } from '#library/telemetry.ts'
import { selectorOf } from './evidence-queries.ts'
import { metricProfileOf } from './metric-profile.ts'
import type { Notes, Reading, Run } from './reading.ts'

const namesMax = 20_000

export async function readMetrics({ run, profile, rules, notes }: Reading): Promise<void> {
  const range = { start: String(run.fromMs / 1000), end: String(run.toMs / 1000) }
  const listed = await ask(run, { path: '/api/v1/label/__name__/values', parameters: range })
  notes.addWarnings(listed.warnings, 'metrics')
  const names = listed.data.map(textOf)
  if (names.length > namesMax) notes.add(`metrics: of ${names.length} names ${namesMax} are compared`)
  const types = run.metricTypes ?? (await metricTypesOf(run))
  const most = rules.reading('series_per_metric')
  for (const name of names.slice(0, namesMax)) {
    const parameters = { ...range, 'match[]': selectorOf(name), limit: String(most) }
    const { data, warnings } = await ask(run, { path: '/api/v1/series', parameters })
    const isCut = data.length >= most
    if (isCut) notes.add(`metrics: of ${name} ${most} series are counted, there may be more`)
    notes.addWarnings(isCut ? [] : warnings, `metrics: ${name}`)
    const type = typeIn(types, name)
    let total: number | undefined
    if (isCounting(name, type) && !isCut)
      await notes.unlessRefused(`metrics: what ${name} counted`, async () => {
        total = await totalOf(run, name, notes)
      })
    profile.metrics.set(name, metricProfileOf(name, data.map(labelsOf), { type, isCut, total }))
  }
}

/** Counters, and the counts of histograms; by name, where nobody has said the type. */
function isCounting(name: string, type: string | undefined): boolean {
  if (type === 'counter') return true
  if (type === undefined) return /_(?:total|count)$/.test(name)
  return type === 'histogram' && name.endsWith('_count')
}

/** PromQL remarks on names that do not look like those of counters, too. */
function isAboutData(warning: string): boolean {
  return !/^PromQL (?:info|warning)/.test(warning)
}

/** A recording has the counters from their beginning, of which a first sample is a part. */
async function totalOf(
  { telemetry, fromMs, toMs, isWhole = false }: Run,
  name: string,
  notes: Notes,
): Promise<number | undefined> {
  const range = `${selectorOf(name)}[${Math.max(1, Math.ceil(toMs - fromMs))}ms]`
  const query = `sum(${isWhole ? 'max_over_time' : 'increase'}(${range}))`
  const { samples, warnings } = await telemetry.promql(query, toMs)
  notes.addWarnings(warnings.filter(isAboutData), `metrics: ${name}`)
  const [sample] = samples
  return sample === undefined || !Number.isFinite(sample.value) ? undefined : sample.value
}

/** `http_requests_total` and the parts of a histogram have the type of their family. */
function typeIn(types: ReadonlyMap<string, string>, name: string): string | undefined {
  return types.get(name) ?? types.get(name.replace(/_(?:bucket|sum|count|total)$/, ''))
}

/** Types by the names of families, as a Tercet that took the metrics in knows them. */
export async function metricTypesOf({ telemetry }: Pick<Run, 'telemetry'>): Promise<Map<string, string>> {
  const reply = await telemetry.request({ path: '/api/v1/metadata' })
  const types = new Map<string, string>()
  if (reply.status >= 400) return types
  const families = mapOf(mapOf(JSON.parse(Buffer.from(reply.body).toString('utf8')))['data'])
  for (const [name, entries] of Object.entries(families)) {
    const type = textOf(mapOf(listOf(entries)[0])['type'])
    if (type !== '' && type !== 'unknown') types.set(name, type)
  }
  return types
}

interface ListAnswer {
  data: readonly unknown[]
  warnings: readonly string[]
}

async function ask({ telemetry }: Run, request: TercetRequest): Promise<ListAnswer> {
  const reply = await telemetry.request(request)
  const text = Buffer.from(reply.body).toString('utf8')
  const query = request.parameters?.['match[]'] ?? request.path
  if (reply.status >= 400) throw new QueryError(query, reply.status, text.trim().slice(0, 500))
  const body = mapOf(JSON.parse(text))
  return { data: listOf(body['data']), warnings: textsOf(body['warnings']) }
}
