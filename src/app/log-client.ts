/** The command line's side of logs: a query, and a tail that goes on until it is ended. */
import { WebSocket } from 'ws'
import { BadDataError } from '#core/errors.ts'
import { colored, harmless } from './terminal.ts'

interface Stream {
  stream: Record<string, string>
  values: [string, string][]
}
interface Answer {
  status: string
  data?: { resultType: string; result: unknown[] }
}

/** `2026-11-25T07:00:00.123456789Z {labels} line`. */
function lineText(stream: Record<string, string>, ns: string, line: string): string {
  const fraction = ns.slice(-9).replace(/0+$/, '')
  const time = `${new Date(Number(ns.slice(0, -9)) * 1000).toISOString().slice(0, 19)}${fraction === '' ? '' : `.${fraction}`}Z`
  return `${time} {${Object.entries(stream)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ')}} ${line}\n`
}

function print(json: boolean, { stream, values }: Stream): string {
  return values
    .map(([ns, line]) =>
      json ? `${JSON.stringify({ timestamp: ns, labels: stream, line })}\n` : lineText(stream, ns, line),
    )
    .join('')
}

export interface LogQueryOptions {
  url: string
  query: string
  since: string
  limit: string
  json: boolean
}

/** Runs a LogQL query; the exit code. */
export async function queryLogs({ url, query, since, limit, json }: LogQueryOptions): Promise<number> {
  const reply = await fetch(`${url}/loki/api/v1/query_range`, {
    method: 'POST',
    body: new URLSearchParams({ query, since, limit, direction: 'backward' }),
  })
  const text = await reply.text()
  if (!reply.ok) {
    process.stderr.write(`tercet: ${text.trim()}\n`)
    return 1
  }
  const { data } = JSON.parse(text) as Answer
  if (data?.resultType !== 'streams') {
    process.stdout.write(`${JSON.stringify(data?.result ?? [])}\n`)
    return 0
  }
  const lines = (data.result as Stream[]).flatMap(({ stream, values }) => values.map(value => ({ stream, value })))
  lines.sort((a, b) => (BigInt(a.value[0]) < BigInt(b.value[0]) ? -1 : 1))
  for (const { stream, value } of lines) process.stdout.write(print(json, { stream, values: [value] }))
  return 0
}

/** For people: the time of the day, what it is of, and the line in the colour of its level. */
function shown({ stream, values }: Stream): string {
  const { detected_level: level = stream['level'] ?? '', ...labels } = stream,
    source = labels['service_name'] ?? labels['app'] ?? labels['job'] ?? Object.values(labels)[0] ?? ''
  return values
    .map(
      ([ns, line]) =>
        `${colored(new Date(Number(ns.slice(0, -6))).toISOString().slice(11, 23), 'dim', true)} ${colored(source.padEnd(12), 'dim', true)} ${colored(harmless(line), level, true)}\n`,
    )
    .join('')
}

/** Follows a LogQL query until the process is told to stop, or the server ends it. */
export function tailLogs(url: string, query: string, json: boolean, isColored = false): Promise<number> {
  return new Promise(resolve => {
    const socket = new WebSocket(
      `${url.replace(/^http/, 'ws')}/loki/api/v1/tail?${new URLSearchParams({ query, limit: '10' }).toString()}`,
    )
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
        process.stderr.write(`tercet: ${dropped.length} lines were left out: this end reads too slowly\n`)
      for (const stream of streams) process.stdout.write(isColored && !json ? shown(stream) : print(json, stream))
    })
    socket.on('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      response.on('end', () => {
        process.stderr.write(`tercet: ${body.trim() || `status ${response.statusCode}`}\n`)
        resolve(1)
      })
    })
    socket.on('error', error => {
      process.stderr.write(`tercet: ${error.message}\n`)
      resolve(1)
    })
    socket.on('close', (code, reason) => {
      if (code === 1011) {
        process.stderr.write(`tercet: ${reason.toString()}\n`)
        resolve(1)
      } else resolve(0)
    })
  })
}

export function requireOne(words: readonly string[], verb: string): string {
  if (words.length !== 1) throw new BadDataError(`${verb} takes one query; quote it`)
  return words[0]!
}
