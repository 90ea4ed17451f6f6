/**
 * Senders that go on while the store behind them changes: numbered items of each signal, each sent again until it is
 * acknowledged, as clients do; and how they are read back, the same from Tercet and from those that come after it.
 */
import type { Batch, Flow, Outcome } from '../kill-flows.ts'
import { itemsOfBatch } from '../kill-flows.ts'
import { Ledger } from '../kill-ledger.ts'
import { writeBody } from '../write-request.ts'
import { getJson } from './questions.ts'

/** Push and query URLs by signal, `metrics.push`; undefined: nobody is there. */
export type Doors = Readonly<Record<string, string>>

/** Batches that share a series, a stream or a trace. */
const batchesOfGroup = 20
const pauseMs = 25
const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')
const numbersOf = (batch: Batch): number[] => Array.from({ length: itemsOfBatch }, (_, i) => batch.first + i)
const traceOf = (group: number): string => `e${hex(group + 1, 31)}`

/** A flow whose addresses are whole URLs: to push to, and to ask. */
export interface DoorFlow extends Flow {
  push: (doors: Doors) => string
  query: (doors: Doors) => string
}

async function outcome(reply: Response): Promise<Outcome> {
  await reply.arrayBuffer()
  if (reply.ok) return 'kept'
  return reply.status === 429 || reply.status >= 500 ? 'again' : 'refused'
}

function postJson(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

function samples(baseMs: number): DoorFlow {
  return {
    name: 'samples',
    signal: 'metrics',
    way: 'direct',
    push: doors => doors['metrics.push']!,
    query: doors => doors['metrics.query']!,
    async send(url, batch) {
      const labels = (i: number): [string, string][] => [
        ['__name__', 'graduation_items'],
        ['group', String(batch.group)],
        ['i', String(i)],
      ]
      const body = writeBody(
        numbersOf(batch).map((n, i) => ({ labels: labels(i), samples: [[baseMs + n, n] as [number, number]] })),
      )
      const headers = {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
        'x-prometheus-remote-write-version': '0.1.0',
      }
      return outcome(await fetch(url, { method: 'POST', body: Buffer.from(body), headers }))
    },
    async read(url, from, through) {
      interface Matrix {
        data: { result: { values: [number, string][] }[] }
      }
      const seconds = Math.ceil((through - from) / 1000) + 1
      const { data } = (await getJson(`${url}/api/v1/query`, {
        query: `graduation_items[${seconds}s]`,
        time: String((baseMs + through) / 1000),
      })) as Matrix
      return data.result.flatMap(({ values }) =>
        values.map(([at, n]) => {
          if (Math.round(at * 1000) !== baseMs + Number(n)) throw new Error(`sample ${n} has the time ${at}`)
          return Number(n)
        }),
      )
    },
  }
}

function lines(baseMs: number): DoorFlow {
  return {
    name: 'lines',
    signal: 'logs',
    way: 'direct',
    push: doors => doors['logs.push']!,
    query: doors => doors['logs.query']!,
    async send(url, batch) {
      const values = numbersOf(batch).map(n => [`${baseMs + n}000000`, `line ${n} of the load`])
      return outcome(
        await postJson(url, { streams: [{ stream: { app: 'graduation', group: String(batch.group) }, values }] }),
      )
    },
    async read(url, from, through) {
      interface Streams {
        data: { result: { values: [string, string][] }[] }
      }
      const found: number[] = []
      for (let fromMs = baseMs + from; ;) {
        const { data } = (await getJson(`${url}/loki/api/v1/query_range`, {
          query: '{app="graduation"}',
          start: `${fromMs}000000`,
          end: `${baseMs + through + 1}000000`,
          limit: '5000',
          direction: 'forward',
        })) as Streams
        const page = data.result.flatMap(({ values }) => values)
        if (page.length === 0) return found
        for (const [ns, line] of page) {
          const n = Number(line.split(' ')[1])
          if (Number(ns.slice(0, -6)) !== baseMs + n) throw new Error(`line ${n} has the time ${ns}`)
          found.push(n)
          fromMs = Math.max(fromMs, baseMs + n + 1)
        }
      }
    },
  }
}

interface TraceAnswer {
  batches?: { scopeSpans: { spans: { spanId: string; startTimeUnixNano: string }[] }[] }[]
}

/** Spans of a trace by its id; none where there is no such trace. */
export async function spansOf(url: string, traceId: string): Promise<{ id: string; startMs: number }[]> {
  const reply = await fetch(`${url}/api/traces/${traceId}`, { headers: { accept: 'application/json' } })
  const text = await reply.text()
  if (reply.status === 404) return []
  if (!reply.ok) throw new Error(`${url}/api/traces/${traceId}: ${reply.status} ${text.slice(0, 300)}`)
  const { batches = [] } = JSON.parse(text) as TraceAnswer
  return batches
    .flatMap(batch => batch.scopeSpans)
    .flatMap(scope => scope.spans)
    .map(({ spanId, startTimeUnixNano }) => ({
      id: Buffer.from(spanId, 'base64').toString('hex'),
      startMs: Number(startTimeUnixNano.slice(0, -6)),
    }))
}

function spans(baseMs: number): DoorFlow {
  let groups = 0
  return {
    name: 'spans',
    signal: 'traces',
    way: 'direct',
    push: doors => `${doors['traces.push']!}/v1/traces`,
    query: doors => doors['traces.query']!,
    async send(url, batch) {
      groups = Math.max(groups, batch.group + 1)
      const all = numbersOf(batch).map(n => ({
        traceId: traceOf(batch.group),
        spanId: hex(n + 1, 16),
        name: 'work',
        kind: 1,
        startTimeUnixNano: `${baseMs + n}000000`,
        endTimeUnixNano: `${baseMs + n + 5}000000`,
      }))
      const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'graduation' } }] }
      return outcome(await postJson(url, { resourceSpans: [{ resource, scopeSpans: [{ spans: all }] }] }))
    },
    async read(url, from, through) {
      const found: number[] = []
      for (let group = 0; group < groups; group++)
        for (const { id, startMs } of await spansOf(url, traceOf(group))) {
          const n = Number.parseInt(id, 16) - 1
          if (startMs !== baseMs + n) throw new Error(`span ${n} has the time ${startMs}`)
          if (n >= from && n <= through) found.push(n)
        }
      return found
    },
  }
}

/** A sender a signal, until `stop`; between stores they wait, and send again what was not acknowledged. */
export class Load {
  readonly baseMs = Date.now()
  readonly ledgers: readonly Ledger[]
  doors: Doors | undefined
  /** Answers that were not an acknowledgement: refused for now, or nobody there. */
  again = 0
  readonly #flows: readonly DoorFlow[]
  #isOver = false
  #isAbandoned = false
  #running: Promise<unknown> = Promise.resolve()

  constructor() {
    this.#flows = [samples(this.baseMs), lines(this.baseMs), spans(this.baseMs)]
    this.ledgers = this.#flows.map(flow => new Ledger(flow))
  }

  start(): void {
    this.#running = Promise.all(this.#flows.map((flow, i) => this.#send(flow, this.ledgers[i]!)))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  /** After a failure: what was not acknowledged is not sent again. */
  async abandon(): Promise<void> {
    this.#isAbandoned = this.#isOver = true
    await Promise.allSettled([this.#running])
  }

  get acknowledged(): Record<string, number> {
    return Object.fromEntries(this.ledgers.map(({ flow, acknowledged }) => [flow.name, acknowledged.size]))
  }

  /** The number that items have now. */
  get now(): number {
    return Date.now() - this.baseMs
  }

  /** What is missing, there twice, or never sent, of the items with numbers from `from` on; by those who answer now. */
  async compare(doors: Doors, from: number, through: number): Promise<string[]> {
    const findings: string[] = []
    for (const [i, flow] of this.#flows.entries())
      findings.push(...this.ledgers[i]!.compare(await flow.read(flow.query(doors), from, through), from, through))
    return findings
  }

  async #send(flow: DoorFlow, ledger: Ledger): Promise<void> {
    let next = 0
    let batch: Batch | undefined
    while (!this.#isOver || (batch !== undefined && !this.#isAbandoned)) {
      batch ??= this.#make(next, ledger)
      next = batch.first + itemsOfBatch
      const isKept = await this.#try(flow, ledger, batch)
      if (isKept) batch = undefined
      await new Promise(resolve => setTimeout(resolve, isKept ? pauseMs : 4 * pauseMs))
    }
  }

  #make(next: number, ledger: Ledger): Batch {
    const batch: Batch = {
      first: Math.max(next, this.now),
      group: Math.floor(ledger.batches++ / batchesOfGroup),
      bad: 'none',
      attempts: 0,
    }
    ledger.pending.add(batch)
    return batch
  }

  async #try(flow: DoorFlow, ledger: Ledger, batch: Batch): Promise<boolean> {
    const { doors } = this
    if (doors === undefined) return false
    batch.attempts++
    const said = await flow.send(flow.push(doors), batch).catch((): Outcome => 'again')
    if (said === 'refused') throw new Error(`${flow.name}: the batch ${batch.first} was refused`)
    if (said === 'kept') ledger.settle(batch, 'kept')
    else this.again++
    return said === 'kept'
  }
}
