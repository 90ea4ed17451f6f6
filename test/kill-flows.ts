/**
 * What the kill loop sends and reads back: items of each signal, numbered by their time. Item n has the time base + n
 * milliseconds and carries n, so that what is read back says which item it is.
 */
import { below, type Random } from '#core/random.ts'
import { postWrite, writeBody, type TestSeries } from './write-request.ts'

/** Items first … first + itemsOfBatch − 1, of series, a stream or a trace that is new every few batches. */
export interface Batch {
  first: number
  /** Which of the series, streams and traces, that begin all the time, the batch belongs to. */
  group: number
  /** Items that have to be refused stand before the good ones; none, or where their time lies. */
  bad: 'none' | 'old' | 'ahead'
  attempts: number
}

/** Stored as a whole; without what is bad; perhaps not, so that it is sent again; refused although it is good. */
export type Outcome = 'kept' | 'partly' | 'again' | 'refused'

/** One signal on one way: straight to the server, or through an agent. */
export interface Flow {
  name: string
  signal: 'metrics' | 'logs' | 'traces'
  way: 'direct' | 'agent'
  send(url: string, batch: Batch): Promise<Outcome>
  /** The items with numbers from … through, as often as they are there; those of bad ones are negative. */
  read(url: string, from: number, through: number): Promise<number[]>
}

export const itemsOfBatch = 5
const dayMs = 86_400_000

export function makeBatch(first: number, group: number, random: Random): Batch {
  const bad = below(random, 4) === 0 ? (['old', 'ahead'] as const)[below(random, 2)]! : 'none'
  return { first, group, bad, attempts: 0 }
}

const numbersOf = (batch: Batch): number[] => Array.from({ length: itemsOfBatch }, (_, i) => batch.first + i)

function outcomeOf(status: number, batch: Batch): Outcome {
  if (status >= 200 && status < 300) return 'kept'
  if (status === 429 || status >= 500) return 'again'
  return batch.bad === 'none' ? 'refused' : 'partly'
}

async function json<T>(url: string, parameters: Record<string, string>): Promise<T> {
  const reply = await fetch(`${url}?${new URLSearchParams(parameters).toString()}`)
  const text = await reply.text()
  if (reply.status !== 200) throw new Error(`${url}: ${reply.status} ${text}`)
  return JSON.parse(text) as T
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
}

/** Throws when an item does not have its own time. */
function checkedTime(n: number, timeMs: number, baseMs: number, name: string): number {
  if (n >= 0 && timeMs !== baseMs + n) throw new Error(`${name}: item ${n} has the time ${timeMs}, not ${baseMs + n}`)
  return n
}

/** One sample of each of five series. The first one of a series of another group may be bad, and of one of its own. */
export function samplesFlow(baseMs: number, way: Flow['way']): Flow {
  const series = (group: number, i: number, timeMs: number, value: number, bad?: string): TestSeries => ({
    labels: [
      ['__name__', 'kill_items'],
      ...(bad === undefined ? [] : [['bad', bad] as [string, string]]),
      ['group', String(group)],
      ['i', String(i)],
      ['way', way],
    ],
    samples: [[timeMs, value]],
  })
  return {
    name: `metrics ${way}`,
    signal: 'metrics',
    way,
    async send(url, batch) {
      const { first, group, bad } = batch
      const all = numbersOf(batch).map((n, i) => series(group, i, baseMs + n, n))
      const badMs = baseMs + first + (bad === 'old' ? -dayMs : dayMs)
      if (bad !== 'none')
        all.unshift(series(group + 1, 0, badMs, -1 - first), series(group, 0, badMs, -1 - first, 'yes'))
      const reply = await postWrite(url, writeBody(all))
      await reply.arrayBuffer()
      return outcomeOf(reply.status, batch)
    },
    async read(url, from, through) {
      const range = { start: String((baseMs + from) / 1000), end: String((baseMs + through) / 1000) }
      const parameters = new URLSearchParams({ 'match[]': `kill_items{way="${way}"}`, ...range })
      const reply = await fetch(`${url}/api/v1/export?${parameters.toString()}`)
      const text = await reply.text()
      if (reply.status !== 200) throw new Error(`export: ${reply.status} ${text}`)
      const found: number[] = []
      for (const line of text.split('\n')) {
        if (line === '') continue
        const { values, timestamps } = JSON.parse(line) as { values: number[]; timestamps: number[] }
        values.forEach((n, i) => found.push(checkedTime(n, timestamps[i]!, baseMs, this.name)))
      }
      return found
    },
  }
}

/** Lines of one stream. The first line of that stream, and of the next one, may be bad. */
export function linesFlow(baseMs: number, way: Flow['way']): Flow {
  const app = `kill-${way}`
  interface Answer {
    data: { result: { values: [string, string][] }[] }
  }
  const part = async (url: string, fromMs: number, throughMs: number): Promise<[timeMs: number, n: number][]> => {
    const { data } = await json<Answer>(`${url}/loki/api/v1/query_range`, {
      query: `{app="${app}"}`,
      start: `${fromMs}000000`,
      end: `${throughMs + 1}000000`,
      limit: '5000',
      direction: 'forward',
    })
    return data.result
      .flatMap(stream => stream.values)
      .map(([ns, line]): [number, number] => [Number(ns.slice(0, -6)), Number(line.split(' ')[1])])
      .sort((a, b) => a[0] - b[0])
  }
  return {
    name: `logs ${way}`,
    signal: 'logs',
    way,
    async send(url, batch) {
      const { first, group, bad } = batch
      const values = numbersOf(batch).map(n => [`${baseMs + n}000000`, `line ${n} of the load`])
      const streams = [{ stream: { app, group: String(group) }, values }]
      if (bad !== 'none') {
        const badLine = [`${baseMs + first + (bad === 'old' ? -8 : 2) * dayMs}000000`, `line ${-1 - first} is bad`]
        values.unshift(badLine)
        streams.unshift({ stream: { app, group: String(group + 1) }, values: [badLine] })
      }
      const reply = await post(`${url}/loki/api/v1/push`, { streams })
      await reply.arrayBuffer()
      return outcomeOf(reply.status, batch)
    },
    async read(url, from, through) {
      const found: number[] = []
      for (let fromMs = baseMs + from; ;) {
        const lines = await part(url, fromMs, baseMs + through)
        for (const [timeMs, n] of lines) found.push(checkedTime(n, timeMs, baseMs, this.name))
        if (lines.length === 0) return found
        fromMs = lines.at(-1)![0] + 1
      }
    },
  }
}

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

/** Spans of one trace, which goes on over batches, and over kills. A span of it and of the next one may be bad. */
export function spansFlow(baseMs: number, way: Flow['way']): Flow {
  const service = `kill-${way}`
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: service } }] }
  const traceOf = (group: number): string => (way === 'direct' ? 'd' : 'a') + hex(group + 1, 31)
  const span = (group: number, spanId: string, timeMs: number): Record<string, unknown> => ({
    traceId: traceOf(group),
    spanId,
    name: 'work',
    kind: 1,
    startTimeUnixNano: `${timeMs}000000`,
    endTimeUnixNano: `${timeMs + 5}000000`,
  })
  return {
    name: `traces ${way}`,
    signal: 'traces',
    way,
    async send(url, batch) {
      const { first, group, bad } = batch
      const spans = numbersOf(batch).map(n => span(group, hex(n + 1, 16), baseMs + n))
      if (bad !== 'none') {
        const badMs = baseMs + first + (bad === 'ahead' ? 3 * dayMs : 0)
        const badId = bad === 'ahead' ? `f${hex(first, 15)}` : hex(0, 16)
        spans.unshift(span(group + 1, badId, badMs), span(group, badId, badMs))
      }
      const reply = await post(`${url}/v1/traces`, { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] })
      const { partialSuccess } = JSON.parse((await reply.text()) || '{}') as {
        partialSuccess?: { rejectedSpans?: string | number }
      }
      const outcome = outcomeOf(reply.status, batch)
      const refused = Number(partialSuccess?.rejectedSpans ?? 0)
      if (outcome !== 'kept' || refused === 0) return outcome
      return bad === 'none' || refused > 2 ? 'refused' : 'partly'
    },
    async read(url, from, through) {
      interface Answer {
        traces: { spanSet: { matched: number; spans: { spanID: string; startTimeUnixNano: string }[] } }[]
      }
      const { traces } = await json<Answer>(`${url}/api/search`, {
        q: `{ resource.service.name = "${service}" }`,
        limit: '200000',
        spss: '100',
        start: String(Math.floor((baseMs + from) / 1000) - 1),
        end: String(Math.ceil((baseMs + through) / 1000) + 1),
      })
      return traces
        .flatMap(trace => trace.spanSet.spans)
        .map(({ spanID, startTimeUnixNano }) => {
          const n = spanID.startsWith('f') ? -1 - Number.parseInt(spanID.slice(1), 16) : Number.parseInt(spanID, 16) - 1
          return checkedTime(n, Number(startTimeUnixNano.slice(0, -6)), baseMs, this.name)
        })
        .filter(n => n < 0 || (n >= from && n <= through))
    },
  }
}
