/** The command line's side of logs: a query, and a tail that goes on until it is ended. */
import type { WebSocket } from 'ws'
import { form, request, unreachable } from './client.ts'
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
  url: string
  query: string
  /** A duration before now. */
  since: string
  limit: string
  isJson: boolean
}

/** Runs a LogQL query and prints the lines, the oldest first; the exit code. */
export async function queryLogs({ url, query, since, limit, isJson }: LogQuery, output: Output): Promise<number> {
  const reply = await request(url, '/loki/api/v1/query_range', form({ query, since, limit, direction: 'backward' }))
  const text = await reply.text()
  if (!reply.ok) {
    output.err(`tercet: ${text.trim() || `${url} answered ${reply.status}`}`)
    return 1
  }
  const { data } = JSON.parse(text) as Answer
  if (data?.resultType !== 'streams') {
    output.out(JSON.stringify(data?.result ?? []))
    return 0
  }
  const entries = (data.result as Stream[]).flatMap(({ stream, values }) =>
    values.map(([ns, line]) => ({ stream, ns, line, time: BigInt(ns) })),
  )
  entries.sort((a, b) => (a.time < b.time ? -1 : 1))
  for (const { stream, ns, line } of entries) output.out(entryText(stream, ns, line, isJson))
  return 0
}

/** Follows a LogQL query until the process is stopped, or the server ends it; the exit code. */
export async function tailLogs(
  { url, query, isJson, isColored }: { url: string; query: string; isJson: boolean; isColored: boolean },
  output: Output,
): Promise<number> {
  const { WebSocket } = await import('ws')
  const parameters = new URLSearchParams({ query, limit: '10' })
  const base = url.replace(/^http/, 'ws').replace(/\/+$/, '')
  const socket = new WebSocket(`${base}/loki/api/v1/tail?${parameters.toString()}`)
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
  const problem = await endOf(socket, url)
  if (problem !== undefined) output.err(`tercet: ${problem}`)
  return problem === undefined ? 0 : 1
}

/** Waits for the end of the connection; undefined where it was not an error. */
function endOf(socket: WebSocket, url: string): Promise<string | undefined> {
  return new Promise(resolve => {
    socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      response.on('end', () => {
        resolve(body.trim() || `${url} answered ${response.statusCode}`)
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
