/** Traces, as the simulation sees them: an item is a span. */
import { defaultLimits } from '#core/limits.ts'
import { planningAgain } from '#core/omissions.ts'
import { yieldEvery } from '#core/yield.ts'
import { parseTraceql } from '#lang/traceql/parser.ts'
import type { Span, Trace } from '#model/trace.ts'
import { LocalBuilding, type BlockBuilding } from '#traces/block-building.ts'
import { TracesEngine } from '#traces/engine.ts'
import type { TracesReader } from '#traces/select.ts'
import { defaultDedicated, layoutOf } from '#traces/schema.ts'
import { withoutSpans } from '#wire/otlp/split-traces.ts'
import { decodeOtlpTraces, decodeSpan, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import { TraceSearch } from '../../src/query/traceql/search.ts'
import { distantTracesBuilding, inTurns } from '../distant-building.ts'
import { tracesView } from '../distant-views.ts'
import { alternating } from './alternating.ts'
import { frameOptions, type Answer, type EngineSettings, type Item, type Part, type SimulatedSignal } from './signal.ts'

const hourMs = 3_600_000
const tenant = 'single-tenant'
const keyOf = (id: number, group: number): string => `${group} ${id}`
const layout = layoutOf('vParquet5', defaultDedicated)

export const traces: SimulatedSignal = {
  name: 'traces',
  tenant,
  keyOf,
  open(settings) {
    const { clock, files } = settings
    const local = new LocalBuilding({
      // What is staged for the bucket is read, too.
      get bucket() {
        return engine.served
      },
      pause: yieldEvery(clock),
    })
    const engine: TracesEngine = new TracesEngine({
      ...frameOptions(settings, tenant),
      compactBytesMax: 128 * 1024 * 1024,
      limits: {
        futureMs: 24 * hourMs,
        traceBytesMax: 5_000_000,
        attributeBytesMax: 65_536,
        attributesMax: 1000,
        requestSpansMax: 100_000,
        liveTracesMax: 100_000,
      },
      layout,
      decode: decodeOtlpTraces,
      decodeSpan,
      encode: encodeOtlpTraces,
      withoutSpans,
      building: inTurns<BlockBuilding>(local, distantTracesBuilding(local)),
    })
    const store = alternating<Store>(engine, () =>
      tracesView(engine.door(), layout, { clock, files, bucket: engine.served, retentionMs: settings.retentionMs }),
    )
    return {
      frame: engine,
      append: items => {
        const message = encodeOtlpTraces(messageOf(items))
        return engine.append(tenant, decodeOtlpTraces(message, true), message)
      },
      query: part => {
        const asked = store()
        return planningAgain(() => (part.group === undefined ? search(asked, settings, part) : find(asked, part)))
      },
    }
  },
}

function idOf(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint32(size - 4, number)
  return bytes
}

function spanOf({ id, group, timeMs, value, flaw }: Item): Span {
  const startNs = BigInt(timeMs) * 1_000_000n
  return {
    traceId: idOf(group + 1, 16),
    // A span without an id is refused.
    spanId: idOf(flaw === 'malformed' ? 0 : id + 1, 8),
    parentSpanId: new Uint8Array(0),
    traceState: '',
    flags: 0,
    name: `${group} ${id} ${value}`,
    kind: 2,
    startNs,
    endNs: startNs + 1_000_000n,
    attributes: [],
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
  }
}

function messageOf(items: readonly Item[]): Trace {
  const service = { key: 'service.name', value: { kind: 'string' as const, value: 'shop' } }
  return {
    resources: [
      {
        resource: { attributes: [service], dropped: 0 },
        schemaUrl: '',
        scopes: [
          { scope: { name: 'l', version: '', attributes: [], dropped: 0 }, schemaUrl: '', spans: items.map(spanOf) },
        ],
      },
    ],
  }
}

function itemOf(name: string): Answer['found'][number] {
  const [group, id, value] = name.split(' ').map(Number)
  return { key: keyOf(id!, group!), value: value! }
}

interface Store {
  reader(tenant: string): TracesReader
}

async function search(store: Store, { clock }: EngineSettings, part: Part): Promise<Answer> {
  const parsed = parseTraceql('{ } | select(name)')
  const reader = store.reader(tenant)
  const result = await new TraceSearch(clock, defaultLimits).run(
    {
      stages: parsed.kind === 'search' ? parsed.stages : [],
      hints: parsed.hints,
      fromMs: part.fromMs,
      throughMs: part.throughMs,
      limit: 10_000,
      spansPerSet: 10_000,
    },
    reader,
  )
  const found = result.traces.flatMap(trace => trace.sets.flatMap(set => set.spans.map(span => itemOf(span.name!))))
  return { found, omissions: reader.omissions.texts() }
}

async function find(store: Store, { group, fromMs, throughMs }: Part): Promise<Answer> {
  const reader = store.reader(tenant)
  const trace = await reader.find(idOf(group! + 1, 16), fromMs, throughMs)
  const spans = trace?.resources.flatMap(r => r.scopes.flatMap(s => s.spans)) ?? []
  return { found: spans.map(span => itemOf(span.name)), omissions: reader.omissions.texts() }
}
