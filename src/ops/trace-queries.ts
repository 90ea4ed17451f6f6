/** The command line's side of traces: a search, and a trace by its id as a tree. */
import { systemClock } from '#core/clock.ts'
import { request, type Server } from './client.ts'
import { ofTraces } from './nothing-found.ts'
import type { Output } from './output.ts'

interface FoundTrace {
  traceID: string
  rootServiceName?: string
  rootTraceName?: string
  startTimeUnixNano: string
  durationMs?: number
  spanSets?: { matched: number }[]
}
interface SpanJson {
  spanId: string
  parentSpanId?: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  status?: { code?: string; message?: string }
}
interface TraceJson {
  batches: {
    resource: { attributes?: { key: string; value: { stringValue?: string } }[] }
    scopeSpans: { spans: SpanJson[] }[]
  }[]
}

export interface TraceQuery {
  server: Server
  /** TraceQL, or the id of a trace. */
  query: string
  sinceMs: number
  /** The same as it was given. */
  sinceText: string
  limit: string
  isJson: boolean
}

/** Runs a TraceQL search and prints a line a trace, or prints the trace whose id is given as a tree; the exit code. */
export async function queryTraces(options: TraceQuery, output: Output): Promise<number> {
  const { isJson, query, server, sinceText } = options
  const isId = /^[0-9a-fA-F]{16,32}$/.test(query)
  const reply = await request(server, isId ? `/api/traces/${query}` : searchPath(options))
  const text = await reply.text()
  if (!reply.ok) {
    const reason = reply.status === 404 ? `there is no trace ${query}` : `${server.url} answered ${reply.status}`
    output.err(`tercet: ${text.trim() || reason}`)
    return 1
  }
  if (isJson) output.out(text)
  else if (isId) output.out(treeLines(JSON.parse(text) as TraceJson).join('\n'))
  else {
    const { traces } = JSON.parse(text) as { traces: FoundTrace[] }
    if (traces.length === 0) output.err(`tercet: ${await ofTraces(server, sinceText)}`)
    for (const trace of traces) output.out(traceLine(trace))
  }
  return 0
}

function searchPath({ limit, query, sinceMs }: TraceQuery): string {
  const nowSeconds = Math.ceil(systemClock.nowMs() / 1000) + 1
  const parameters = new URLSearchParams({
    q: query,
    limit,
    start: String(nowSeconds - Math.ceil(sinceMs / 1000)),
    end: String(nowSeconds),
  })
  return `/api/search?${parameters.toString()}`
}

function traceLine(trace: FoundTrace): string {
  const { durationMs = 0, rootServiceName = '', rootTraceName = '', spanSets = [], startTimeUnixNano, traceID } = trace
  const time = new Date(Number(BigInt(startTimeUnixNano) / 1_000_000n)).toISOString()
  const spans = spanSets.reduce((sum, set) => sum + set.matched, 0)
  return (
    `${time} ${traceID.padStart(32, '0')} ${String(durationMs).padStart(6)} ms  ` +
    `${rootServiceName}: ${rootTraceName}  (${spans} span${spans === 1 ? '' : 's'})`
  )
}

/** Spans below their parents, in order of their start. */
function treeLines({ batches }: TraceJson): string[] {
  const spans = batches
    .flatMap(({ resource, scopeSpans }) => {
      const service = resource.attributes?.find(a => a.key === 'service.name')?.value.stringValue ?? ''
      return scopeSpans.flatMap(s => s.spans.map(span => ({ span, service })))
    })
    .sort((a, b) => (BigInt(a.span.startTimeUnixNano) < BigInt(b.span.startTimeUnixNano) ? -1 : 1))
  const ids = new Set(spans.map(s => s.span.spanId))
  const shown = new Set<string>()
  const lines: string[] = []
  const showBelow = (parent: string | undefined, depth: number): void => {
    for (const { span, service } of spans) {
      const isRoot = span.parentSpanId === undefined || !ids.has(span.parentSpanId)
      if (shown.has(span.spanId) || (parent === undefined ? !isRoot : span.parentSpanId !== parent)) continue
      shown.add(span.spanId)
      const ms = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6
      const error = span.status?.code === 'STATUS_CODE_ERROR' ? `  error ${span.status.message ?? ''}` : ''
      lines.push(`${'  '.repeat(depth)}${service}: ${span.name}  ${ms.toFixed(2)} ms${error}`)
      showBelow(span.spanId, depth + 1)
    }
  }
  showBelow(undefined, 0)
  // Spans that are their own ancestors have no root.
  for (const { span, service } of spans) if (!shown.has(span.spanId)) lines.push(`${service}: ${span.name}`)
  return lines
}
