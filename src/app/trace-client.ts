/** The command line's side of traces: a search, and a trace by its id as a tree. */
import { systemClock } from '#core/clock.ts'
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError } from '#core/errors.ts'

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

export interface TraceQueryOptions {
  url: string
  query: string
  since: string
  limit: string
  json: boolean
}

/** Runs a TraceQL search, or shows the trace whose id is given; the exit code. */
export async function queryTraces(options: TraceQueryOptions): Promise<number> {
  const isId = /^[0-9a-fA-F]{16,32}$/.test(options.query)
  const sinceMs = parseDurationMs(options.since)
  if (sinceMs === undefined) throw new BadDataError(`--since=${options.since} is no duration`)
  const nowSeconds = Math.ceil(systemClock.nowMs() / 1000) + 1
  const path = isId
    ? `/api/traces/${options.query}`
    : `/api/search?${new URLSearchParams({ q: options.query, limit: options.limit, start: String(nowSeconds - Math.ceil(sinceMs / 1000)), end: String(nowSeconds) }).toString()}`
  const reply = await fetch(`${options.url}${path}`)
  const text = await reply.text()
  if (!reply.ok) {
    process.stderr.write(
      `tercet: ${text.trim() || (reply.status === 404 ? `there is no trace ${options.query}` : `status ${reply.status}`)}\n`,
    )
    return 1
  }
  if (options.json) process.stdout.write(`${text}\n`)
  else if (isId) process.stdout.write(treeText(JSON.parse(text) as TraceJson))
  else {
    for (const trace of (JSON.parse(text) as { traces: FoundTrace[] }).traces) {
      const time = new Date(Number(BigInt(trace.startTimeUnixNano) / 1_000_000n)).toISOString()
      process.stdout.write(
        `${time} ${trace.traceID.padStart(32, '0')} ${String(trace.durationMs ?? 0).padStart(6)} ms  ${trace.rootServiceName ?? ''}: ${trace.rootTraceName ?? ''}  (${(trace.spanSets ?? []).reduce((sum, s) => sum + s.matched, 0)} spans)\n`,
      )
    }
  }
  return 0
}

/** Spans below their parents, in order of their start. */
function treeText({ batches }: TraceJson): string {
  const spans = batches
    .flatMap(({ resource, scopeSpans }) => {
      const service = resource.attributes?.find(a => a.key === 'service.name')?.value.stringValue ?? ''
      return scopeSpans.flatMap(s => s.spans.map(span => ({ span, service })))
    })
    .sort((a, b) => (BigInt(a.span.startTimeUnixNano) < BigInt(b.span.startTimeUnixNano) ? -1 : 1))
  const ids = new Set(spans.map(s => s.span.spanId))
  const shown = new Set<string>()
  let out = ''
  const show = (parent: string | undefined, depth: number): void => {
    for (const { span, service } of spans) {
      const isRoot = span.parentSpanId === undefined || !ids.has(span.parentSpanId)
      if (shown.has(span.spanId) || (parent === undefined ? !isRoot : span.parentSpanId !== parent)) continue
      shown.add(span.spanId)
      const ms = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6
      out += `${'  '.repeat(depth)}${service}: ${span.name}  ${ms.toFixed(2)} ms${span.status?.code === 'STATUS_CODE_ERROR' ? `  error ${span.status.message ?? ''}` : ''}\n`
      show(span.spanId, depth + 1)
    }
  }
  show(undefined, 0)
  // What hangs together in a circle has no root.
  for (const { span, service } of spans) if (!shown.has(span.spanId)) out += `${service}: ${span.name}\n`
  return out
}
