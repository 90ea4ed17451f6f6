/** What Tempo's endpoints answer, as JSON, from their parameters: HTTP and gRPC are two ways to ask. */
import type { Clock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import type { Field, Intrinsic } from '#lang/traceql/ast.ts'
import { fieldText } from '#lang/traceql/fields.ts'
import type { TraceSearch } from '#query/traceql/search.ts'
import type { TagFinder } from '#query/traceql/tags.ts'
import type { TraceMetrics } from '#query/traceql/metrics.ts'
import type { TracesReader } from '#traces/select.ts'
import { MetricsAnswers } from './metrics.ts'
import { countParam, searchQuery, searchRange, tagField, tagRange } from './params.ts'
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
  'trace',
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

/** 0 asks for the default. */
function spansPerSetOf(form: URLSearchParams): number {
  const asked = countParam(form, 'spss') ?? 0
  if (asked > spansPerSetMax) throw new BadDataError(`spans per span set exceeds ${spansPerSetMax}. received ${asked}`)
  return asked === 0 ? 3 : asked
}

/** At least 1. */
function limitOf(form: URLSearchParams): number {
  const asked = countParam(form, 'limit') ?? 20
  if (asked === 0) throw new BadDataError('invalid limit: must be a positive number')
  if (asked > limitMax) throw new BadDataError(`limit ${asked} exceeds max limit ${limitMax}`)
  return asked
}

export class TempoAnswers {
  readonly #engines: TempoEngines
  readonly metrics: MetricsAnswers

  constructor(engines: TempoEngines) {
    this.#engines = engines
    this.metrics = new MetricsAnswers(engines.metrics)
  }

  async search(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const { stages, hints, isLegacy } = searchQuery(form)
    const { traces, stats } = await this.#engines.search.run(
      {
        stages,
        hints,
        ...searchRange(form),
        limit: limitOf(form),
        spansPerSet: spansPerSetOf(form),
      },
      reader,
      signal,
    )
    return { traces: traces.map(trace => traceJson(trace, isLegacy)), metrics: statsJson(stats, reader.omissions) }
  }

  async tags(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const limit = nameLimit(form)
    const found = await this.#engines.tags.names(reader, tagRange(form), scopeOf(form), '', signal)
    const listed = found.filter(s => s.name !== 'intrinsic' || form.get('scope') === 'intrinsic')
    return { tagNames: atMost([...new Set(listed.flatMap(s => s.tags))].sort(), limit), metrics: {} }
  }

  async tagsByScope(form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const limit = nameLimit(form)
    const q = form.get('q') ?? ''
    const found = await this.#engines.tags.names(reader, tagRange(form), scopeOf(form), q, signal)
    return { scopes: found.map(({ name, tags }) => ({ name, tags: atMost(tags, limit) })), metrics: {} }
  }

  async valuesWithTypes(
    name: string,
    form: URLSearchParams,
    reader: TracesReader,
    signal: AbortSignal,
  ): Promise<JsonObject> {
    const limit = countParam(form, 'limit')
    // Attributes of a span's parent are read by nothing yet.
    if (name === 'parent') return { tagValues: [], metrics: {} }
    const field = tagField(name)
    const found = await this.#engines.tags.values(reader, tagRange(form), field, form.get('q') ?? '', signal)
    const shown = found.map(({ type, value }) => ({ type, ...(value === '' ? {} : { value }) }))
    return { tagValues: atMost(shown, limit), metrics: {} }
  }

  /** Names are those of attributes, of whatever scope, and the few words of the older search. */
  async values(name: string, form: URLSearchParams, reader: TracesReader, signal: AbortSignal): Promise<JsonObject> {
    const limit = countParam(form, 'limit')
    const range = tagRange(form)
    const known = oldValues.get(name)
    if (known !== undefined) return { tagValues: [...known], metrics: {} }
    const intrinsic = oldIntrinsics.get(name)
    const field: Field =
      intrinsic === undefined
        ? { kind: 'attribute', scope: 'any', name, text: fieldText('any', name) }
        : { kind: 'intrinsic', name: intrinsic, text: intrinsic }
    const found = await this.#engines.tags.values(reader, range, field, '', signal)
    return { tagValues: atMost([...new Set(found.map(v => v.value))], limit), metrics: {} }
  }
}

/** A limit of names that is no count limits nothing. */
function nameLimit(form: URLSearchParams): number | undefined {
  return /^\d+$/.test(form.get('limit') ?? '') ? countParam(form, 'limit') : undefined
}

/** 0 and no limit are the same. */
function atMost<T>(list: readonly T[], limit: number | undefined): T[] {
  return limit === undefined || limit === 0 ? [...list] : list.slice(0, limit)
}

/** Words of the older search that have few values. */
const oldValues: ReadonlyMap<string, readonly string[]> = new Map([
  ['status.code', ['error', 'ok', 'unset']],
  ['error', ['true']],
])

/** Words of the older search for what is no attribute. */
const oldIntrinsics: ReadonlyMap<string, Intrinsic> = new Map<string, Intrinsic>([
  ['name', 'name'],
  ['root.name', 'rootName'],
  ['rootName', 'rootName'],
  ['root.service.name', 'rootServiceName'],
  ['rootServiceName', 'rootServiceName'],
])
