/**
 * Reads the traces of a run. All are listed; of each root (service and name) some are read, spread over the time, and
 * of those with a failure some more. They are read many at a time, as search answers them with the attributes that
 * are asked for.
 */
import type { AttributeMap, FoundSpan, FoundTrace, Span, SpanKind, SpanStatus } from '#library/results.ts'
import { failedCondition } from './span-failure.ts'
import { readAttributes } from './span-words.ts'
import { spreadOver, type Reading } from './reading.ts'

/** Traces that are listed of a run; more are a note. */
const listedMax = 50_000
/** Listed traces in the time of a page, wanted or not. */
const pageTraces = 600
/** Of the search. */
const spansPerTraceMax = 100
/** Traces with more spans are read one by one, which takes long. */
const wholeReadsMax = 200

interface Listed {
  readonly traceId: string
  readonly startMs: number
  readonly root: string
}

/** How many traces of the run a trace stands for. */
interface Wanted {
  weight: number
  failureWeight: number
}

export async function readTraces(reading: Reading): Promise<void> {
  const listed = await list(reading, '{ }', listedMax)
  reading.profile.traces = listed.length
  const wanted = chosen(reading, listed)
  const failed = await list(reading, `{ ${failedCondition} }`, listedMax)
  addFailed(reading, failed, wanted)
  const starts = new Map([...listed, ...failed].map(({ traceId, startMs }) => [traceId, startMs]))
  const ordered = [...wanted.keys()].sort((a, b) => (starts.get(a) ?? 0) - (starts.get(b) ?? 0))
  const whole = { reads: 0 }
  const page = Math.max(20, Math.floor((pageTraces * ordered.length) / Math.max(1, starts.size)))
  for (let from = 0; from < ordered.length; from += page)
    await readPage(reading, ordered.slice(from, from + page), { starts, wanted, whole })
  for (const traceId of wanted.keys()) await readWhole(reading, traceId, { wanted, whole })
}

async function list({ run, notes }: Reading, query: string, limit: number): Promise<Listed[]> {
  const { telemetry, fromMs, toMs } = run
  const { traces, warnings } = await telemetry.traceql(query, { from: fromMs, to: toMs, limit, spansPerTrace: 1 })
  notes.addWarnings(warnings, 'traces')
  if (traces.length >= limit) notes.add(`traces: there are more than ${limit}; ${limit} of them are looked at`)
  return traces
    .map(({ traceId, startNs, rootService, rootName }) => ({
      traceId,
      startMs: Number(startNs / 1_000_000n),
      root: JSON.stringify([rootService, rootName]),
    }))
    .sort((a, b) => a.startMs - b.startMs)
}

/** Some traces of each root. */
function chosen({ rules, notes }: Reading, listed: readonly Listed[]): Map<string, Wanted> {
  const byRoot = new Map<string, Listed[]>()
  for (const one of listed) {
    const group = byRoot.get(one.root)
    if (group === undefined) byRoot.set(one.root, [one])
    else group.push(one)
  }
  const most = rules.reading('traces')
  let perRoot = Math.min(most, rules.reading('traces_per_route'))
  const total = (): number => [...byRoot.values()].reduce((sum, group) => sum + Math.min(group.length, perRoot), 0)
  while (perRoot > 1 && total() > most) perRoot = Math.ceil(perRoot * 0.95) - 1
  const wanted = new Map<string, Wanted>()
  for (const group of byRoot.values()) {
    const some = spreadOver(group, perRoot)
    for (const { traceId } of some) {
      if (wanted.size >= most) break
      wanted.set(traceId, { weight: group.length / some.length, failureWeight: 0 })
    }
  }
  if (wanted.size < listed.length)
    notes.add(
      `traces: ${wanted.size} of ${listed.length} are read, up to ${perRoot} of each root, spread over the time`,
    )
  return wanted
}

function addFailed({ rules, notes }: Reading, failed: readonly Listed[], wanted: Map<string, Wanted>): void {
  const some = spreadOver(failed, rules.reading('error_traces'))
  if (some.length < failed.length)
    notes.add(`traces: of ${failed.length} with a failed span ${some.length} are read for what failed in them`)
  for (const { traceId } of some) {
    const known = wanted.get(traceId) ?? { weight: 0, failureWeight: 0 }
    known.failureWeight = failed.length / some.length
    wanted.set(traceId, known)
  }
}

interface Pages {
  starts: ReadonlyMap<string, number>
  /** What is still to be read: a trace goes when it was. */
  wanted: Map<string, Wanted>
  whole: { reads: number }
}

/** The traces of a page lie between its first start and its last one, with others that are not wanted. */
async function readPage(reading: Reading, page: readonly string[], pages: Pages): Promise<void> {
  const { starts, wanted } = pages
  const [first = '', last = first] = [page[0], page.at(-1)]
  const [from, to] = [starts.get(first) ?? reading.run.fromMs, (starts.get(last) ?? reading.run.toMs) + 1]
  const around = [...starts.values()].filter(ms => ms > from - 2000 && ms < to + 2000).length
  const { traces, warnings } = await reading.run.telemetry.traceql(`{ } | select(${selected.join(', ')})`, {
    from,
    to,
    limit: Math.max(1000, around * 2),
    spansPerTrace: spansPerTraceMax,
  })
  reading.notes.addWarnings(warnings, 'traces')
  for (const trace of traces) {
    const want = wanted.get(trace.traceId)
    if (want === undefined) continue
    if (trace.matched > trace.spans.length && pages.whole.reads < wholeReadsMax)
      await readWhole(reading, trace.traceId, pages)
    else addFound(reading, trace, pages)
  }
}

function addFound({ profile, notes }: Reading, trace: FoundTrace, { wanted }: Pages): void {
  const { traceId, spans, matched } = trace
  const want = wanted.get(traceId)
  if (want === undefined) return
  if (matched > spans.length)
    notes.add(`traces: of some with more than ${spansPerTraceMax} spans only so many are read`)
  profile.addTrace({ traceId, spans: spans.map(span => spanOf(traceId, span)) }, want.weight, want.failureWeight)
  wanted.delete(traceId)
}

async function readWhole(
  { run, profile, notes }: Reading,
  traceId: string,
  { wanted, whole }: Omit<Pages, 'starts'>,
): Promise<void> {
  const want = wanted.get(traceId)
  wanted.delete(traceId)
  if (want === undefined) return
  if (whole.reads++ >= wholeReadsMax) {
    notes.add('traces: some were listed and then not found where their time is; they are left out')
    return
  }
  const trace = await run.telemetry.trace(traceId)
  if (trace === undefined) return
  notes.addWarnings(trace.warnings, 'traces')
  profile.addTrace(trace, want.weight, want.failureWeight)
}

const parentField = 'span:parentID'
const intrinsics = ['name', 'status', 'statusMessage', 'kind', parentField] as const
const selected = [
  ...intrinsics,
  'resource.service.name',
  ...readAttributes.map(name => `span.${name}`),
  'event.exception.type',
  'event.exception.message',
  'event.exception.escaped',
]

const kinds: readonly SpanKind[] = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const statuses: readonly SpanStatus[] = ['unset', 'ok', 'error']

/** The span of a search as far as the analysis looks at it: the attributes of its last exception are among its own. */
function spanOf(traceId: string, { spanId, name, startNs, durationNs, attributes: found }: FoundSpan): Span {
  const text = (field: string): string => String(found[field] ?? '')
  const attributes: Record<string, AttributeMap[string]> = {}
  for (const [field, value] of Object.entries(found))
    // The search says so where a span does not have the attribute.
    if (value !== 'nil' && !intrinsics.some(intrinsic => intrinsic === field)) attributes[field] = value
  return {
    traceId,
    spanId,
    parentId: text(parentField),
    name: name || text('name'),
    service: text('service.name'),
    kind: kinds.find(kind => kind === text('kind')) ?? 'unspecified',
    status: statuses.find(status => status === text('status')) ?? 'unset',
    statusMessage: text('statusMessage'),
    startNs,
    durationNs,
    attributes,
    resource: { 'service.name': text('service.name') },
    events: [],
  }
}
