/** The command line's side of logs: a query, and a tail that goes on until it is ended. */
import type { WebSocket } from 'ws'
import { maskUrls } from '#core/secret.ts'
import { form, refusedCredentials, request, unreachable, type RangeSeries, type Server } from './client.ts'
import { chartRow, stepsOf } from './metric-queries.ts'
import { ofLogs } from './nothing-found.ts'
import type { Output } from './output.ts'
import { colored, harmless } from './terminal.ts'

interface Stream {
  stream: Record<string, string>
  /** Unix nanoseconds and the line. */
  values: [string, string][]
}
interface Answer {
  data?: { resultType: string; result: unknown[] }
}

/** `2026-11-25T07:00:00.123456789Z {labels} line`. */
function lineText(stream: Readonly<Record<string, string>>, ns: string, line: string): string {
  const fraction = ns.slice(-9).replace(/0+$/, '')
  const time = new Date(Number(ns.slice(0, -9)) * 1000).toISOString().slice(0, 19)
  const labels = Object.entries(stream).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `${time}${fraction === '' ? '' : `.${fraction}`}Z {${labels.join(', ')}} ${line}`
}

function entryText(stream: Readonly<Record<string, string>>, ns: string, line: string, isJson: boolean): string {
  return isJson ? JSON.stringify({ timestamp: ns, labels: stream, line }) : lineText(stream, ns, line)
}

/** For people: the time of the day, the source, and the line in the colour of its level. */
function coloredText(stream: Readonly<Record<string, string>>, ns: string, line: string): string {
  const { detected_level: level = stream['level'] ?? '', ...labels } = stream
  const source = labels['service_name'] ?? labels['app'] ?? labels['job'] ?? Object.values(labels)[0] ?? ''
  const time = new Date(Number(ns.slice(0, -6))).toISOString().slice(11, 23)
  return [
    colored(time, 'dim', true),
    colored(source.padEnd(12), 'dim', true),
    colored(harmless(line), level, true),
  ].join(' ')
}

export interface LogQuery {
  server: Server
  query: string
  sinceMs: number
  /** The same as it was given. */
  sinceText: string
  /** Columns of the terminal, for charts. */
  columns: number
  limit: string
  isJson: boolean
}

/**
 * Runs a LogQL query and prints the lines, the oldest first, or a small chart for each series where it counts them; the
 * exit code.
 */
export async function queryLogs(options: LogQuery, output: Output): Promise<number> {
  const { columns, isJson, limit, query, server, sinceMs, sinceText } = options
  const { start, end, step } = stepsOf(sinceMs)
  // A line of this very second is later than its beginning.
  const range = { start: String(start), end: String(end + 1), step: String(step) }
  const reply = await request(
    server,
    '/loki/api/v1/query_range',
    form({ query, ...range, limit, direction: 'backward' }),
  )
  const text = await reply.text()
  if (!reply.ok) {
    output.err(`tercet: ${text.trim() || `${server.url} answered ${reply.status}`}`)
    return 1
  }
  const { data } = JSON.parse(text) as Answer
  const result = data?.result ?? []
  if (result.length === 0 && !isJson) output.err(`tercet: ${await ofLogs(server, sinceText)}`)
  if (data?.resultType === 'streams') showLines(result as Stream[], isJson, output)
  else if (isJson) output.out(JSON.stringify(result))
  else for (const series of result as RangeSeries[]) output.out(chartRow(series, { start, end, step }, columns))
  return 0
}

function showLines(streams: readonly Stream[], isJson: boolean, output: Output): void {
  const entries = streams.flatMap(({ stream, values }) =>
    values.map(([ns, line]) => ({ stream, ns, line, time: BigInt(ns) })),
  )
  entries.sort((a, b) => (a.time < b.time ? -1 : 1))
  for (const { stream, ns, line } of entries) output.out(entryText(stream, ns, line, isJson))
}

/** Follows a LogQL query until the process is stopped, or the server ends it; the exit code. */
export async function tailLogs(
  { server, query, isJson, isColored }: { server: Server; query: string; isJson: boolean; isColored: boolean },
  output: Output,
): Promise<number> {
  const { WebSocket } = await import('ws')
  const parameters = new URLSearchParams({ query, limit: '10' })
  const base = server.url.replace(/^http/, 'ws').replace(/\/+$/, '')
  const socket = new WebSocket(`${base}/loki/api/v1/tail?${parameters.toString()}`, { headers: { ...server.headers } })
  const show = isColored && !isJson ? coloredText : entryText
  const stop = (): void => {
    socket.close()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  socket.on('message', (data: Buffer) => {
    const { streams, dropped_entries: dropped } = JSON.parse(data.toString('utf8')) as {
      streams: Stream[]
      dropped_entries?: unknown[]
    }
    if (dropped !== undefined)
      output.err(`tercet: at least ${dropped.length} lines were left out: they are read too slowly here`)
    for (const { stream, values } of streams)
      for (const [ns, line] of values) output.out(show(stream, ns, line, isJson))
  })
  const problem = await endOf(socket, server)
  if (problem !== undefined) output.err(`tercet: ${problem}`)
  return problem === undefined ? 0 : 1
}

/** Waits for the end of the connection; undefined where it was not an error. */
function endOf(socket: WebSocket, server: Server): Promise<string | undefined> {
  const { url } = server
  return new Promise(resolve => {
    socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      response.on('end', () => {
        if (response.statusCode === 401) resolve(refusedCredentials(url, server))
        else resolve(body.trim() || `${maskUrls(url)} answered ${response.statusCode}`)
      })
    })
    socket.on('error', error => {
      resolve(unreachable(url, error))
    })
    socket.on('close', (code, reason) => {
      resolve(code === 1011 ? reason.toString() : undefined)
    })
  })
}
