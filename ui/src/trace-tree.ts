/** A trace as a tree in rows: parents before children, by start; self times, and the path that the end waited for. */

export interface SpanEvent {
  name: string
  timeNs: bigint
  attributes: Record<string, string>
}
export interface SpanRow {
  id: string
  parentId: string
  name: string
  service: string
  kind: string
  startNs: bigint
  endNs: bigint
  isError: boolean
  statusMessage: string
  attributes: Record<string, string>
  resource: Record<string, string>
  scope: string
  events: SpanEvent[]
  links: { traceId: string; spanId: string }[]
  depth: number
  children: SpanRow[]
  isOnPath: boolean
}

interface AnyValue {
  stringValue?: string
  intValue?: string | number
  doubleValue?: number
  boolValue?: boolean
  bytesValue?: string
  arrayValue?: { values?: AnyValue[] }
  kvlistValue?: { values?: KeyValue[] }
}
interface KeyValue {
  key: string
  value?: AnyValue
}
interface OtlpSpan {
  traceId?: string
  spanId: string
  parentSpanId?: string
  name?: string
  kind?: string | number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes?: KeyValue[]
  status?: { code?: string | number; message?: string }
  events?: { name?: string; timeUnixNano: string; attributes?: KeyValue[] }[]
  links?: { traceId: string; spanId: string }[]
}
export interface OtlpTrace {
  batches?: Batch[]
  resourceSpans?: Batch[]
}
interface Batch {
  resource?: { attributes?: KeyValue[] }
  scopeSpans?: { scope?: { name?: string; version?: string }; spans?: OtlpSpan[] }[]
}

function textOf(value: AnyValue | undefined): string {
  if (value === undefined) return ''
  if (value.arrayValue !== undefined) return `[${(value.arrayValue.values ?? []).map(textOf).join(', ')}]`
  if (value.kvlistValue !== undefined) return JSON.stringify(mapOf(value.kvlistValue.values))
  return String(value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue ?? value.bytesValue ?? '')
}
const mapOf = (list: readonly KeyValue[] | undefined): Record<string, string> =>
  Object.fromEntries((list ?? []).map(({ key, value }) => [key, textOf(value)]))

/** Ids are hex or base64, by who answers. */
export function hexOf(id: string | undefined): string {
  if (id === undefined || id === '') return ''
  if (/^[0-9a-fA-F]{16}$|^[0-9a-fA-F]{32}$/.test(id)) return id.toLowerCase()
  try {
    return [...atob(id)].map(c => c.charCodeAt(0).toString(16).padStart(2, '0')).join('')
  } catch {
    return id
  }
}

export interface TraceTree {
  rows: SpanRow[]
  startNs: bigint
  endNs: bigint
  services: string[]
}

export function treeOf(trace: OtlpTrace): TraceTree {
  const all: SpanRow[] = []
  for (const batch of trace.batches ?? trace.resourceSpans ?? []) {
    const resource = mapOf(batch.resource?.attributes),
      service = resource['service.name'] ?? 'unknown'
    for (const { scope, spans = [] } of batch.scopeSpans ?? [])
      for (const span of spans) {
        const code = span.status?.code
        all.push({
          id: hexOf(span.spanId),
          parentId: hexOf(span.parentSpanId),
          name: span.name ?? '',
          service,
          kind: String(span.kind ?? '')
            .replace('SPAN_KIND_', '')
            .toLowerCase(),
          startNs: BigInt(span.startTimeUnixNano),
          endNs: BigInt(span.endTimeUnixNano),
          isError: code === 2 || code === 'STATUS_CODE_ERROR',
          statusMessage: span.status?.message ?? '',
          attributes: mapOf(span.attributes),
          resource,
          scope: [scope?.name, scope?.version].filter(Boolean).join(' '),
          events: (span.events ?? []).map(e => ({
            name: e.name ?? '',
            timeNs: BigInt(e.timeUnixNano),
            attributes: mapOf(e.attributes),
          })),
          links: (span.links ?? []).map(l => ({ traceId: hexOf(l.traceId), spanId: hexOf(l.spanId) })),
          depth: 0,
          children: [],
          isOnPath: false,
        })
      }
  }
  const byId = new Map(all.map(s => [s.id, s])),
    roots: SpanRow[] = []
  for (const span of all) {
    const parent = byId.get(span.parentId)
    if (parent === undefined || parent === span) roots.push(span)
    else parent.children.push(span)
  }
  const order = (a: SpanRow, b: SpanRow): number => (a.startNs < b.startNs ? -1 : a.startNs > b.startNs ? 1 : 0)
  const rows: SpanRow[] = [],
    placed = new Set<SpanRow>()
  const place = (from: SpanRow): void => {
    // No recursion: a chain of ten thousand spans is one, too.
    const stack: [SpanRow, number][] = [[from, 0]]
    while (stack.length > 0) {
      const [span, depth] = stack.pop()!
      if (placed.has(span)) continue
      placed.add(span)
      span.depth = depth
      rows.push(span)
      span.children.sort(order)
      for (let i = span.children.length - 1; i >= 0; i--) stack.push([span.children[i]!, depth + 1])
    }
  }
  for (const root of roots.sort(order)) place(root)
  // Spans that are each other's parents have no root: one of them is taken for one.
  for (const span of all.sort(order)) if (!placed.has(span)) place(span)
  const startNs = rows.reduce((least, s) => (s.startNs < least ? s.startNs : least), rows[0]?.startNs ?? 0n),
    endNs = rows.reduce((most, s) => (s.endNs > most ? s.endNs : most), rows[0]?.endNs ?? 0n)
  if (rows[0] !== undefined) markPath(rows[0])
  return { rows, startNs, endNs, services: [...new Set(rows.map(r => r.service))] }
}

/** From the end back: the child that ended last is what its parent waited for. */
function markPath(root: SpanRow): void {
  const stack = [root],
    seen = new Set<SpanRow>()
  while (stack.length > 0) {
    const span = stack.pop()!
    if (seen.has(span)) continue
    seen.add(span)
    span.isOnPath = true
    let until = span.endNs
    for (const child of [...span.children].sort((a, b) => (a.endNs > b.endNs ? -1 : 1)))
      if (child.endNs <= until && child.startNs < until) {
        stack.push(child)
        until = child.startNs
      }
  }
}
