/**
 * Numbered items of each signal, sent one after another while blocks are cut, merged and deleted: of what is read back,
 * each number must be there once, from the first one to the last one that a bucket has.
 */
import { writeBody } from '../write-request.ts'

export type Headers = Readonly<Record<string, string>>

/** One signal's items: number n has its own time and place. */
export interface Numbered {
  /** Throws when it was not taken. */
  send(n: number): Promise<void>
  /** Numbers as they are found, in any order, those that are found twice twice. */
  read(url: string, from: number, through: number): Promise<number[]>
}

async function sent(reply: Response): Promise<void> {
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${reply.url}: ${reply.status} ${text.slice(0, 300)}`)
}

export async function answer(url: string, parameters: Headers, headers: Headers): Promise<unknown> {
  const reply = await fetch(`${url}?${new URLSearchParams(parameters).toString()}`, { headers })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${url}: ${reply.status} ${text.slice(0, 300)}`)
  const parsed = JSON.parse(text) as { warnings?: string[]; message?: string }
  if (parsed.warnings !== undefined && parsed.warnings.length > 0)
    throw new Error(`${url}: an answer that lacks something: ${parsed.warnings.join('; ')}`)
  return parsed
}

/** A sample a second in each of three series, whose value is its number. */
export function samples(pushUrl: () => string, baseMs: number, headers: Headers): Numbered {
  return {
    async send(n) {
      const series = ['a', 'b', 'c'].map(shard => ({
        labels: [
          ['__name__', 'numbered_items'],
          ['shard', shard],
        ] as [string, string][],
        samples: [[baseMs + n * 1000, n]] as [number, number][],
      }))
      const own = {
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
        'x-prometheus-remote-write-version': '0.1.0',
      }
      const body = Buffer.from(writeBody(series))
      await sent(await fetch(pushUrl(), { method: 'POST', body, headers: { ...own, ...headers } }))
    },
    async read(url, from, through) {
      interface Matrix {
        data: { result: { metric: { shard: string }; values: [number, string][] }[] }
      }
      const time = String((baseMs + through * 1000) / 1000)
      const query = `numbered_items{shard=~"a|b"}[${through - from + 1}s]`
      const { data } = (await answer(`${url}/api/v1/query`, { query, time }, headers)) as Matrix
      const byShard = data.result.map(({ values }) =>
        values.map(([at, n]) => {
          if (Math.round(at * 1000) !== baseMs + Number(n) * 1000) throw new Error(`sample ${n} has the time ${at}`)
          return Number(n)
        }),
      )
      if (byShard.length === 2 && byShard[0]!.join() !== byShard[1]!.join())
        throw new Error('two series that are sent together differ')
      return byShard[0] ?? []
    },
  }
}

/** A line a second in each of two streams. */
export function lines(pushUrl: () => string, baseMs: number, headers: Headers): Numbered {
  return {
    async send(n) {
      const values = [[`${baseMs + n * 1000}000000`, `line ${n} of many, with some words behind it`]]
      const streams = ['a', 'b'].map(shard => ({ stream: { app: 'numbered', shard }, values }))
      await sent(
        await fetch(`${pushUrl()}/loki/api/v1/push`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ streams }),
        }),
      )
    },
    async read(url, from, through) {
      interface Streams {
        data: { result: { values: [string, string][] }[] }
      }
      const { data } = (await answer(
        `${url}/loki/api/v1/query_range`,
        {
          query: '{app="numbered", shard="a"} |= "line"',
          start: `${baseMs + from * 1000}000000`,
          end: `${baseMs + through * 1000 + 1}000000`,
          limit: '5000',
          direction: 'forward',
        },
        headers,
      )) as Streams
      return data.result
        .flatMap(({ values }) => values)
        .map(([ns, line]) => {
          const n = Number(line.split(' ')[1])
          if (Number(ns.slice(0, -6)) !== baseMs + n * 1000) throw new Error(`line ${n} has the time ${ns}`)
          return n
        })
    },
  }
}

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')
const traceIdOf = (n: number): string => `ab${hex(n + 1, 30)}`

/** A trace a second, of a parent and its child. */
export function traces(otlpUrl: () => string, baseMs: number, headers: Headers): Numbered {
  return {
    async send(n) {
      const startMs = baseMs + n * 1000
      const span = (kind: number, parent?: string): unknown => ({
        traceId: traceIdOf(n),
        spanId: hex(n * 2 + kind, 16),
        ...(parent === undefined ? {} : { parentSpanId: parent }),
        name: kind === 2 ? 'GET /numbered' : 'SELECT',
        kind,
        startTimeUnixNano: `${startMs}000000`,
        endTimeUnixNano: `${startMs + 20}000000`,
        attributes: [
          { key: 'n', value: { intValue: String(n) } },
          { key: 'http.method', value: { stringValue: 'GET' } },
        ],
      })
      const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'numbered' } }] }
      const spans = [span(2), span(3, hex(n * 2 + 2, 16))]
      await sent(
        await fetch(`${otlpUrl()}/v1/traces`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }),
        }),
      )
    },
    async read(url, from, through) {
      interface Found {
        traces?: { traceID: string; spanSet?: { matched: number } }[]
        message?: string
      }
      const found = (await answer(
        `${url}/api/search`,
        {
          q: '{ resource.service.name = "numbered" && kind = server }',
          start: String(Math.floor(baseMs / 1000) + from),
          end: String(Math.ceil(baseMs / 1000) + through + 1),
          limit: '100000',
        },
        headers,
      )) as Found
      if (found.message !== undefined) throw new Error(`an answer that lacks something: ${found.message}`)
      return (found.traces ?? []).flatMap(({ traceID, spanSet }) => {
        const n = parseInt(traceID.slice(-12), 16) - 1
        // A span that is found twice counts twice.
        return Array.from({ length: spanSet?.matched ?? 1 }, () => n)
      })
    },
  }
}
