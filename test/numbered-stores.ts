/** The three signals behind one interface for tests: numbered items go in, numbers come out. */
import { MemoryBucket } from '#bucket/memory.ts'
import { MemoryFiles } from '#core/memory-files.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { SignalName } from '#core/signal-name.ts'
import { parseLogQuery } from '#lang/logql/parser.ts'
import { makeMatcher } from '#lang/regex/regex.ts'
import { Labels } from '#model/labels.ts'
import { LogBatchBuilder } from '#model/log-batch.ts'
import { SampleColumns } from '#model/sample-columns.ts'
import type { Span, Trace } from '#model/trace.ts'
import { BatchBuilder } from '#model/write-batch.ts'
import type { Signal } from '#store/signal.ts'
import type { SignalOptions } from '#store/signal-frame.ts'
import { decodeOtlpTraces, encodeOtlpTraces } from '#wire/otlp/traces.ts'
import type { MemoryHolder } from '#app/context.ts'
import { Budget } from '../src/query/budget.ts'
import { runLogQuery } from '../src/query/logql/log-query.ts'
import { openLogs, openMetrics, openTraces } from './signal-worlds.ts'

const hourMs = 3_600_000

/** A disk, a bucket and a clock that outlive the processes upon them. */
export class StoreWorld {
  readonly clock = new VirtualClock(1_700_006_400_000)
  files = new MemoryFiles()
  readonly bucket = new MemoryBucket(this.clock, {
    read: path => this.files.read(path),
  })
  #opened = 0
  readonly #times = new Map<number, number>()

  /** When the item was sent first: sent again it has the same time. */
  timeOf({ n, isAhead = false }: NumberedItem): number {
    const timeMs = this.#times.get(n) ?? this.clock.nowMs()
    this.#times.set(n, timeMs)
    return timeMs + (isAhead ? 100 * hourMs : 0)
  }

  options(): Partial<SignalOptions> {
    const { clock, files, bucket } = this
    return { clock, files, bucket, random: seededRandom(++this.#opened) }
  }
}

/** A sample, a line or a span. */
export interface NumberedItem {
  n: number
  /** Of which series, stream or trace it is; `a` where it is not said. */
  group?: string
  /** So far ahead that it is refused. */
  isAhead?: boolean
}

export interface NumberedStore {
  readonly signal: Signal & MemoryHolder
  /** Resolves when they are acknowledged; rejects with UnavailableError. Does not move the clock. */
  send(items: readonly NumberedItem[], tenant?: string): Promise<{ stored: number; refused: number }>
  /** The numbers that a query over everything gives, in order. */
  shown(tenant?: string): Promise<number[]>
  /** Names of the groups that the signal knows. */
  groups(): Promise<string[]>
}

const sorted = (numbers: number[]): number[] => numbers.toSorted((a, b) => a - b)

async function metricsStore(world: StoreWorld, options: Partial<SignalOptions>): Promise<NumberedStore> {
  const engine = await openMetrics(world.clock, { ...world.options(), ...options })
  const select = (tenant: string) =>
    engine.reader(tenant).select([makeMatcher('=', '__name__', 'm')], -Infinity, Infinity)
  return {
    signal: engine,
    send: (items, tenant = 'fake') => {
      const builder = new BatchBuilder()
      for (const item of items)
        builder.add(
          Labels.fromObject({ __name__: 'm', group: item.group ?? 'a' }),
          world.timeOf(item) + (item.n % 1000),
          item.n,
        )
      return engine.append(tenant, builder.batch)
    },
    async shown(tenant = 'fake') {
      const set = await select(tenant)
      await set.load(0, set.labels.length)
      const columns = new SampleColumns()
      const numbers: number[] = []
      for (let i = 0; i < set.labels.length; i++) {
        columns.clear()
        set.read(i, columns)
        for (let k = 0; k < columns.count; k++) numbers.push(columns.values[k]!)
      }
      return sorted(numbers)
    },
    groups: async () => [...(await engine.reader('fake').labelValues('group', [], -Infinity, Infinity))].sort(),
  }
}

async function logsStore(world: StoreWorld, options: Partial<SignalOptions>): Promise<NumberedStore> {
  const engine = await openLogs(world.clock, { ...world.options(), ...options })
  const query = async (tenant: string) => {
    const toMs = world.clock.nowMs() + 1000 * hourMs
    return runLogQuery(
      parseLogQuery('{group=~".+"}'),
      {
        bounds: { fromMs: 0, fromSubNs: 0, toMs, toSubNs: 0 },
        limit: 100_000,
        isBackward: false,
        intervalNs: 0,
      },
      engine.reader(tenant),
      new Budget(world.clock, 1e9, 1e9),
      () => world.clock.nowMs(),
    )
  }
  return {
    signal: engine,
    send: (items, tenant = 'fake') => {
      const builder = new LogBatchBuilder()
      for (const item of items)
        builder.add(Labels.fromObject({ group: item.group ?? 'a' }), world.timeOf(item), item.n, String(item.n))
      return engine.append(tenant, builder.build())
    },
    shown: async (tenant = 'fake') => sorted((await query(tenant)).lines.map(({ line }) => Number(line))),
    groups: async () =>
      (await engine.reader('fake').streams([], -Infinity, Infinity)).map(labels => labels.get('group')).sort(),
  }
}

function idOf(text: string, bytes: number): Uint8Array {
  const id = new Uint8Array(bytes)
  id.set(Buffer.from(text).subarray(0, bytes), 0)
  return id
}

function spanOf(world: StoreWorld, item: NumberedItem): Span {
  const { n, group = 'a' } = item
  const startNs = BigInt(world.timeOf(item)) * 1_000_000n
  const none = { traceState: '', flags: 0, attributes: [], droppedAttributes: 0, events: [], droppedEvents: 0 }
  return {
    ...none,
    traceId: idOf(group, 16),
    spanId: idOf(`#${n}`, 8),
    parentSpanId: new Uint8Array(0),
    name: String(n),
    kind: 1,
    startNs,
    endNs: startNs + 1_000_000n,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
  }
}

async function tracesStore(world: StoreWorld, options: Partial<SignalOptions>): Promise<NumberedStore> {
  const engine = await openTraces(world.clock, { ...world.options(), ...options })
  const known = new Set<string>()
  const found = async (tenant = 'fake'): Promise<{ group: string; names: string[] }[]> => {
    const out: { group: string; names: string[] }[] = []
    for (const group of known) {
      const trace = await engine.reader(tenant).find(idOf(group, 16), -Infinity, Infinity)
      const spans = trace?.resources.flatMap(r => r.scopes.flatMap(s => s.spans)) ?? []
      if (spans.length > 0) out.push({ group, names: spans.map(span => span.name) })
    }
    return out
  }
  return {
    signal: engine,
    send: (items, tenant = 'fake') => {
      for (const { group = 'a' } of items) known.add(group)
      const scope = { name: 'lib', version: '', attributes: [], dropped: 0 }
      const spans = items.map(item => spanOf(world, item))
      const resource = { attributes: [], dropped: 0 }
      const trace: Trace = { resources: [{ resource, schemaUrl: '', scopes: [{ scope, schemaUrl: '', spans }] }] }
      const message = encodeOtlpTraces(trace)
      return engine.append(tenant, decodeOtlpTraces(message, true), message)
    },
    shown: async tenant => {
      for (const group of ['a', 'b', 'c']) known.add(group)
      return sorted((await found(tenant)).flatMap(({ names }) => names.map(Number)))
    },
    groups: async () => {
      for (const group of ['a', 'b', 'c']) known.add(group)
      return (await found()).map(({ group }) => group).sort()
    },
  }
}

/** Opens a signal on a world's disk and bucket. */
export const openStore: Readonly<
  Record<SignalName, (world: StoreWorld, options?: Partial<SignalOptions>) => Promise<NumberedStore>>
> = {
  metrics: (world, options = {}) => metricsStore(world, options),
  logs: (world, options = {}) => logsStore(world, options),
  traces: (world, options = {}) => tracesStore(world, options),
}
