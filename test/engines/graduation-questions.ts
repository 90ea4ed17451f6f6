/** A day and more before the graduation: what was stored, what is asked of it, and what is too old to be kept. */
import { instant, getJson, send, sendSamples } from './questions.ts'
import { spansOf, type Doors } from './graduation-load.ts'

export interface History {
  text: string
  fromMs: number
  throughMs: number
  /** Times of what is older than the retention. */
  oldMs: number
}

const hourMs = 3_600_000
const minuteMs = 60_000
const traceCount = 40
const oldTrace = 'a'.repeat(31) + '0'
const levels = ['info', 'warn', 'error'] as const
const traceId = (i: number): string => `b${(i + 1).toString(16).padStart(31, '0')}`

/** Stores it in two parts, so that what is too old shares no block with the rest. */
export async function sendHistory(doors: Doors): Promise<History> {
  const throughMs = Math.floor(Date.now() / minuteMs) * minuteMs - hourMs
  const history = { fromMs: throughMs - 19 * hourMs, throughMs, oldMs: throughMs - 60 * hourMs }
  await sendAll(doors, 'old', [history.oldMs, history.oldMs + minuteMs], [{ id: oldTrace, atMs: history.oldMs }])
  const flush = (): Promise<Response> => fetch(`${doors['logs.query']!}/-/flush`, { method: 'POST' })
  await flush()
  const times: number[] = []
  for (let at = history.fromMs; at <= throughMs; at += minuteMs) times.push(at)
  const step = Math.floor((throughMs - history.fromMs) / traceCount)
  const traces = Array.from({ length: traceCount }, (_, i) => ({ id: traceId(i), atMs: history.fromMs + i * step }))
  await sendAll(doors, 'history', times, traces)
  await flush()
  const text = `${times.length * 3} samples, ${times.length * levels.length} lines, ${traces.length} traces in 19 hours`
  return { ...history, text: `${text}, and some that are 61 hours old` }
}

async function sendAll(
  doors: Doors,
  name: string,
  times: readonly number[],
  traces: readonly { id: string; atMs: number }[],
): Promise<void> {
  await sendSamples(
    doors['metrics.push']!,
    ['a', 'b', 'c'].map((instance, n) => ({
      labels: [
        ['__name__', `${name}_total`],
        ['instance', instance],
      ],
      samples: times.map((at, i): [number, number] => [at, (i % 300) * (n + 1)]),
    })),
  )
  const streams = levels.map(level => ({
    stream: { app: name, level },
    values: times.map((at, i) => [
      `${at}000000`,
      `level=${level} msg="request ${i}" ms=${i % 250}`,
      { trace_id: traceId(i % traceCount) },
    ]),
  }))
  await send(doors['logs.push']!, { streams })
  await send(`${doors['traces.push']!}/v1/traces`, { resourceSpans: traces.map(trace => resourceSpansOf(name, trace)) })
}

function resourceSpansOf(service: string, { id, atMs }: { id: string; atMs: number }): unknown {
  const span = (n: number, parent?: string): unknown => ({
    traceId: id,
    spanId: `000000000000000${n}`,
    ...(parent === undefined ? {} : { parentSpanId: parent }),
    name: `step ${n}`,
    kind: n === 1 ? 2 : 1,
    startTimeUnixNano: `${atMs + n}000000`,
    endTimeUnixNano: `${atMs + 40 - n}000000`,
    attributes: [{ key: 'http.route', value: { stringValue: `/items/${n}` } }],
  })
  return {
    resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
    scopeSpans: [{ spans: [span(1), span(2, '0000000000000001'), span(3, '0000000000000002')] }],
  }
}

/** Everything that is asked, without the order in which it is answered. */
export async function askHistory(doors: Doors, history: History): Promise<Record<string, unknown>> {
  return {
    ...(await askMetrics(doors['metrics.query']!, history)),
    ...(await askLogs(doors['logs.query']!, history)),
    ...(await askTraces(doors['traces.query']!, history)),
  }
}

const bySort = (values: readonly unknown[]): string[] => values.map(value => JSON.stringify(value)).sort()

interface Answer {
  data: { result: { metric?: object; stream?: Record<string, string>; values?: unknown; value?: unknown }[] }
}

async function askMetrics(url: string, { fromMs, throughMs }: History): Promise<Record<string, unknown>> {
  const range = { start: String(fromMs / 1000), end: String(throughMs / 1000), step: '300' }
  const answers: Record<string, unknown> = {}
  for (const query of [
    'history_total',
    'sum by (instance) (rate(history_total[10m]))',
    'avg_over_time(history_total[1h])',
    'count(history_total) + vector(0)',
  ]) {
    const { data } = (await getJson(`${url}/api/v1/query_range`, { query, ...range })) as Answer
    answers[query] = bySort(data.result.map(({ metric, values }) => [sortedKeys(metric ?? {}), values]))
  }
  answers['the last hour at once'] = bySort(
    (await instant(url, 'history_total[1h]', throughMs)).map(({ metric, ...rest }) => [sortedKeys(metric), rest]),
  )
  return answers
}

const sortedKeys = (labels: object): unknown => Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))

async function askLogs(url: string, { fromMs, throughMs }: History): Promise<Record<string, unknown>> {
  const range = { start: `${fromMs}000000`, end: `${throughMs + 1}000000` }
  const answers: Record<string, unknown> = {}
  const ask = async (query: string, more: Record<string, string>): Promise<Answer> =>
    (await getJson(`${url}/loki/api/v1/query_range`, { query, ...range, ...more })) as Answer
  for (const query of ['{app="history"} |= "request 7"', '{app="history", level="error"} | logfmt | ms > 240']) {
    const { data } = await ask(query, { limit: '5000', direction: 'forward' })
    answers[query] = bySort(data.result.map(({ stream, values }) => [sortedKeys(stream ?? {}), values]))
  }
  const counts = 'sum by (level) (count_over_time({app="history"}[1h]))'
  const { data } = await ask(counts, { step: '3600' })
  answers[counts] = bySort(data.result.map(({ metric, values }) => [sortedKeys(metric ?? {}), values]))
  return answers
}

async function askTraces(url: string, { fromMs, throughMs }: History): Promise<Record<string, unknown>> {
  const answers: Record<string, unknown> = {}
  for (let i = 0; i < traceCount; i++) answers[`trace ${i}`] = bySort(await spansOf(url, traceId(i)))
  const query = '{ resource.service.name = "history" && span.http.route = "/items/3" }'
  const { traces = [] } = (await getJson(`${url}/api/search`, {
    q: query,
    limit: '1000',
    start: String(Math.floor(fromMs / 1000) - 60),
    end: String(Math.ceil(throughMs / 1000) + 60),
  })) as { traces?: { traceID: string; rootServiceName: string }[] }
  answers[query] = bySort(traces.map(({ traceID, rootServiceName }) => [traceID.padStart(32, '0'), rootServiceName]))
  return answers
}

/** What is still found of the data that is older than the retention: names of signals. */
export async function oldDataFound(doors: Doors, { oldMs }: History): Promise<string[]> {
  const found: string[] = []
  if ((await instant(doors['metrics.query']!, 'old_total', oldMs + minuteMs)).length > 0) found.push('metrics')
  const { data } = (await getJson(`${doors['logs.query']!}/loki/api/v1/query_range`, {
    query: '{app="old"}',
    start: `${oldMs - minuteMs}000000`,
    end: `${oldMs + 2 * minuteMs}000000`,
  })) as Answer
  if (data.result.length > 0) found.push('logs')
  if ((await spansOf(doors['traces.query']!, oldTrace)).length > 0) found.push('traces')
  return found
}
