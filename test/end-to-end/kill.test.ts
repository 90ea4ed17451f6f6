/**
 * kill -9 at random moments under load, for each signal and in both durability modes (in bucket mode the data
 * directory goes too): nothing acknowledged is missing, nothing is there twice. Covers req-012, req-040, req-093,
 * req-144. KILLS sets the number of kills (20 for the record).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertLedger, killUnderLoad, type KillLoad } from '../kill-loop.ts'
import { postWrite, writeBody } from '../write-request.ts'

async function json<T>(url: string, parameters: Record<string, string>): Promise<T> {
  const reply = await fetch(`${url}?${new URLSearchParams(parameters).toString()}`)
  return (await reply.json()) as T
}

async function post(url: string, body: unknown): Promise<number> {
  const headers = { 'content-type': 'application/json' }
  return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status
}

/** The n-th sample of every series has time base + n · 100 and value n. */
function samples(): KillLoad {
  const seriesCount = 20
  const baseMs = Date.now() - 3_000_000
  return {
    size: 1,
    send: async (url, n) => {
      const series = Array.from({ length: seriesCount }, (_, s) => ({
        labels: [
          ['__name__', 'k'],
          ['s', String(s)],
        ] as [string, string][],
        samples: [[baseMs + n * 100, n]] as [number, number][],
      }))
      return (await postWrite(url, writeBody(series))).status === 204
    },
    check: async (url, acknowledged) => {
      for (let s = 0; s < seriesCount; s += 7) {
        const reply = await fetch(`${url}/api/v1/export?match[]=k{s="${s}"}&start=0`)
        const { values, timestamps } = JSON.parse(await reply.text()) as { values: number[]; timestamps: number[] }
        assertLedger(values, acknowledged, 'sample')
        assert.deepEqual(
          timestamps,
          values.map(n => baseMs + n * 100),
        )
      }
    },
  }
}

/** The n-th line has time base + n ms. */
function lines(): KillLoad {
  const baseMs = Date.now() - 1_000_000
  const linesPerStream = 5
  interface Answer {
    data: { result: { values: [string, string][]; value: [number, string] }[] }
  }
  const readFrom = async (url: string, atMs: number): Promise<number[]> => {
    const { data } = await json<Answer>(`${url}/loki/api/v1/query_range`, {
      query: '{app="kill"}',
      start: `${atMs}000000`,
      end: `${baseMs + 900_000}000000`,
      limit: '5000',
      direction: 'forward',
    })
    return data.result
      .flatMap(stream => stream.values)
      .map(([ns, line]) => {
        const n = Number(line.split(' ')[1])
        assert.equal(ns, `${baseMs + n}000000`)
        return n
      })
      .sort((a, b) => a - b)
  }
  return {
    size: 2 * linesPerStream,
    send: async (url, first) => {
      const streams = [0, 1].map(s => ({
        stream: { app: 'kill', s: String(s) },
        values: Array.from({ length: linesPerStream }, (_, i) => {
          const n = first + s * linesPerStream + i
          return [`${baseMs + n}000000`, `line ${n} of the load`]
        }),
      }))
      return (await post(`${url}/loki/api/v1/push`, { streams })) === 204
    },
    check: async (url, acknowledged) => {
      const found: number[] = []
      for (let part = await readFrom(url, baseMs); part.length > 0;) {
        found.push(...part)
        part = await readFrom(url, baseMs + (part.at(-1) ?? 0) + 1)
      }
      assertLedger(found, acknowledged, 'line')
      const counted = await json<Answer>(`${url}/loki/api/v1/query`, {
        query: 'sum(count_over_time({app="kill"}[1h]))',
      })
      assert.equal(Number(counted.data.result[0]?.value[1]), found.length)
    },
  }
}

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

/** Span n is one of the five of trace n / 5; ids are counted from 1. */
function spans(): KillLoad {
  const baseMs = Date.now() - 1_000_000
  const size = 10
  const spanOf = (n: number): Record<string, unknown> => ({
    traceId: hex(Math.floor(n / 5) + 1, 32),
    spanId: hex(n + 1, 16),
    name: `span ${n}`,
    kind: 1,
    startTimeUnixNano: `${baseMs + n}000000`,
    endTimeUnixNano: `${baseMs + n + 5}000000`,
  })
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'kill' } }] }
  return {
    size,
    send: async (url, first) => {
      const scopeSpans = [{ spans: Array.from({ length: size }, (_, i) => spanOf(first + i)) }]
      return (await post(`${url}/v1/traces`, { resourceSpans: [{ resource, scopeSpans }] })) === 200
    },
    check: async (url, acknowledged) => {
      const { traces } = await json<{ traces: { spanSet: { matched: number; spans: { spanID: string }[] } }[] }>(
        `${url}/api/search`,
        { q: '{ resource.service.name = "kill" }', limit: '200000', spss: '100' },
      )
      const found = traces.flatMap(t => t.spanSet.spans.map(s => Number.parseInt(s.spanID, 16) - 1))
      assertLedger(found, acknowledged, 'span')
      assert.equal(
        traces.reduce((sum, t) => sum + t.spanSet.matched, 0),
        found.length,
      )
      const counted = await json<{ series: { value: number }[] }>(`${url}/api/metrics/query`, {
        q: '{ } | count_over_time()',
        start: String(Math.floor(baseMs / 1000) - 10),
        end: String(Math.ceil(Date.now() / 1000)),
      })
      assert.equal(counted.series[0]?.value, found.length)
    },
  }
}

const loads = [
  { signal: 'metrics', load: samples, seed: 0, kills: 4 },
  { signal: 'logs', load: lines, seed: 40, kills: 3 },
  { signal: 'traces', load: spans, seed: 50, kills: 3 },
]
for (const { signal, load, seed, kills: usual } of loads)
  for (const durability of ['local', 'bucket'] as const) {
    const kills = Number(process.env['KILLS'] ?? usual)
    test(`${signal}, ${durability}: ${kills} kills under load`, { timeout: 240_000 }, context =>
      killUnderLoad(context, load(), { kills, seed: seed + durability.length, durability }),
    )
  }
