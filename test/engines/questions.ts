/** What is sent to an engine by its rendered push URL, and asked by the URL that Grafana has. */
import assert from 'node:assert/strict'
import { checkStackAt } from '#ops/check-stack.ts'
import type { Finding } from '#ops/stack-check.ts'
import { clientUrls } from '#deploy/release.ts'
import type { Stack } from '#deploy/stack.ts'
import { until } from '../until.ts'
import { writeBody, type TestSeries } from '../write-request.ts'
import type { PodNetwork } from './pod-network.ts'

/** Every URL that the stack has for clients and for Grafana, as the test reaches it: `metrics.push`, `logs.query`. */
export async function doorsOf(stack: Stack, network: PodNetwork): Promise<Record<string, string>> {
  const doors: Record<string, string> = {}
  for (const [signal, urls] of Object.entries(clientUrls(stack)))
    if (stack.signals.some(s => s === signal))
      for (const [kind, url] of Object.entries(urls)) doors[`${signal}.${kind}`] = await network.outsideUrl(url)
  return doors
}

export async function getJson(url: string, parameters: Readonly<Record<string, string>>): Promise<unknown> {
  const reply = await fetch(`${url}?${new URLSearchParams(parameters).toString()}`)
  const text = await reply.text()
  if (reply.status !== 200) throw new Error(`${url}: ${reply.status} ${text.slice(0, 300)}`)
  return JSON.parse(text)
}

export async function send(url: string, body: unknown): Promise<void> {
  const reply = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.ok(reply.ok, `${url}: ${reply.status} ${await reply.text()}`)
}

/** Remote write to the whole URL. */
export async function sendSamples(url: string, series: readonly TestSeries[]): Promise<void> {
  const reply = await fetch(url, {
    method: 'POST',
    body: Buffer.from(writeBody(series)),
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-prometheus-remote-write-version': '0.1.0',
    },
  })
  assert.ok(reply.ok, `${url}: ${reply.status} ${await reply.text()}`)
}

interface Vector {
  data: { result: { metric: Record<string, string>; value: [number, string] }[] }
}

export async function instant(url: string, query: string, timeMs = Date.now()): Promise<Vector['data']['result']> {
  const answer = (await getJson(`${url}/api/v1/query`, { query, time: String(timeMs / 1000) })) as Vector
  return answer.data.result
}

const originOf = (url: string | undefined): string | undefined => (url === undefined ? url : new URL(url).origin)

/**
 * `tercet check stack` on what runs; a finding that fails is an error, what can't be seen is not; nor is an answer that
 * is right and took long, on a machine that does other things.
 */
export async function checkStack(doors: Readonly<Record<string, string>>): Promise<Finding[]> {
  const lines: string[] = []
  const out = (text: string): void => void lines.push(text)
  await checkStackAt(
    {
      places: {
        metrics: originOf(doors['metrics.query']),
        logs: originOf(doors['logs.query']),
        traces: originOf(doors['traces.query']),
      },
      otlp: doors['traces.push'],
      expectedRetention: undefined,
      patienceMs: 60_000,
      markerPath: undefined,
      afterPath: undefined,
      headers: {},
      isJson: true,
    },
    { out, err: out },
  )
  const { findings } = JSON.parse(lines.join('\n')) as { findings: Finding[] }
  assert.deepEqual(
    findings.filter(({ level, found }) => level === 'fails' && !found.startsWith('took ')),
    [],
  )
  return findings
}

/** What was refused by the file system, in the words of the system. */
export function refusals(output: string): string[] {
  return output.split('\n').filter(line => /read-only file system|permission denied/i.test(line))
}

/** A call from one service to another: a span of a client, and one of a server below it. */
function callOf(timeMs: number): unknown {
  const traceId = timeMs.toString(16).padStart(32, 'c')
  const span = (spanId: string, kind: number, parent?: string): unknown => ({
    traceId,
    spanId,
    ...(parent === undefined ? {} : { parentSpanId: parent }),
    name: 'GET /basket',
    kind,
    startTimeUnixNano: `${timeMs}000000`,
    endTimeUnixNano: `${timeMs + 20}000000`,
  })
  const of = (service: string, one: unknown): unknown => ({
    resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
    scopeSpans: [{ spans: [one] }],
  })
  const [client, server] = ['00000000000000c1', '00000000000000c2'] as const
  return { resourceSpans: [of('shop', span(client, 3)), of('basket', span(server, 2, client))] }
}

/** Metrics of spans, and of calls between services, are in the store of metrics by what Grafana asks. */
export async function spanMetricsArrive(doors: Readonly<Record<string, string>>): Promise<string[]> {
  const ask = (query: string): Promise<Vector['data']['result']> => instant(doors['metrics.query']!, query)
  return until(
    async () => {
      await send(`${doors['traces.push']!}/v1/traces`, callOf(Date.now() - 1000))
      const calls = await ask('traces_spanmetrics_calls_total{service="shop"}')
      const graph = await ask('traces_service_graph_request_total{client="shop",server="basket"}')
      await new Promise(resolve => setTimeout(resolve, 500))
      return calls.length > 0 && graph.length > 0
        ? [...calls, ...graph].map(({ metric, value }) => `${metric['__name__']!} ${value[1]}`)
        : undefined
    },
    'metrics of spans and of service graphs',
    120,
  )
}
