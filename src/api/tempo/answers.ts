/** What Tempo's endpoints answer, as JSON, from their parameters: HTTP and gRPC are two ways to ask. */
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { parseField } from '#lang/traceql/parser.ts'
import type { TraceSearch } from '#query/traceql/search.ts'
import type { TagFinder } from '#query/traceql/tags.ts'
import type { TraceMetrics } from '#query/traceql/metrics.ts'
import type { TracesReader } from '#traces/select.ts'
import { MetricsAnswers } from './metrics.ts'
import { countParam, searchQuery, timeRange } from './params.ts'
import { statsJson, traceJson, type JsonObject } from './respond.ts'

export interface TempoEngines {
  clock: Clock
  search: TraceSearch
  tags: TagFinder
  metrics: TraceMetrics
}

const limitMax = 262_144
const spansPerSetMax = 100
const scopes: ReadonlySet<string> = new Set([
  '',
  'none',
  'resource',
  'span',
  'event',
  'link',
  'instrumentation',
  'intrinsic',
])

function scopeOf(form: URLSearchParams): string {
  const scope = form.get('scope') ?? ''
  if (!scopes.has(scope)) throw new BadDataError(`invalid scope: ${scope}`)
  return scope
}

export class TempoAnswers {
  readonly #engines: TempoEngines
  readonly metrics: MetricsAnswers

  constructor(engines: TempoEngines) {
    this.#engines = engines
    this.metrics = new MetricsAnswers(engines.metrics)
  }

  async search(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const { stages, hints } = searchQuery(form)
    const { traces, stats } = await this.#engines.search.run(
      {
        stages,
        hints,
        ...timeRange(form, true),
        limit: countParam(form, 'limit', 20, limitMax),
        spansPerSet: countParam(form, 'spss', 3, spansPerSetMax),
      },
      reader,
      signal,
    )
    return { traces: traces.map(traceJson), metrics: statsJson(stats, reader.omissions) }
  }

  async tags(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const found = await this.#engines.tags.names(reader, timeRange(form, false), scopeOf(form), signal)
    return {
      tagNames: [
        ...new Set(found.filter(s => s.name !== 'intrinsic' || form.get('scope') === 'intrinsic').flatMap(s => s.tags)),
      ].sort(),
      metrics: {},
    }
  }

  async tagsByScope(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    return {
      scopes: (await this.#engines.tags.names(reader, timeRange(form, false), scopeOf(form), signal)).map(s => ({
        name: s.name,
        tags: s.tags,
      })),
      metrics: {},
    }
  }

  async valuesWithTypes(
    name: string,
    form: URLSearchParams,
    reader: TracesReader,
    signal: AbortSignal,
  ): Promise<JsonObject> {
    return {
      tagValues: (
        await this.#engines.tags.values(reader, timeRange(form, false), parseField(name), form.get('q') ?? '', signal)
      ).map(({ type, value }) => ({ type, value })),
      metrics: {},
    }
  }

  async values(name: string, form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    let field = name
    try {
      parseField(name)
    } catch {
      field = `.${name}`
    }
    const found = await this.#engines.tags.values(
      reader,
      timeRange(form, false),
      parseField(field),
      form.get('q') ?? '',
      signal,
    )
    return { tagValues: [...new Set(found.map(v => v.value))], metrics: {} }
  }
}
