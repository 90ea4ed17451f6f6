/** Telemetry as text, for messages of failed tests. */
import type { Alert, AttributeMap, Labels, LogLine, Sample, Span, Trace } from '#library/results.ts'

/** `name{a="b"}` */
export function seriesText(labels: Labels): string {
  const { __name__: name = '', ...others } = labels
  const pairs = Object.entries(others).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return pairs.length === 0 && name !== '' ? name : `${name}{${pairs.join(', ')}}`
}

export function sampleText({ labels, value, histogram, timeMs }: Sample): string {
  const shown = histogram === undefined ? String(value) : `histogram of ${histogram.count}, sum ${histogram.sum}`
  return `${seriesText(labels)} ${shown} @${new Date(timeMs).toISOString()}`
}

export function lineText({ timeMs, labels, metadata, line }: LogLine): string {
  return `${new Date(timeMs).toISOString()} ${seriesText({ ...labels, ...metadata })} ${line}`
}

export function alertText({ name, state, labels, value }: Alert): string {
  const { alertname: _, ...others } = labels
  return `${name}${seriesText(others)} ${state}, value ${value}`
}

function milliseconds(ns: bigint): string {
  return `${(Number(ns) / 1e6).toFixed(2)} ms`
}

const shownAttributes = /^(db\.|http\.|url\.|rpc\.|messaging\.|exception\.|error\.)/

function attributesText(attributes: AttributeMap): string {
  return Object.entries(attributes)
    .filter(([name]) => shownAttributes.test(name))
    .map(([name, value]) => `${name}=${JSON.stringify(value, plainBigint)}`)
    .join(' ')
}

function plainBigint(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

function spanText(span: Span, mark: string): string {
  const { service, name, durationNs, status, statusMessage, attributes } = span
  const problem = status === 'error' ? `error ${statusMessage}`.trim() : ''
  return [`${mark}${service}: ${name}`, milliseconds(durationNs), problem, attributesText(attributes)]
    .filter(part => part !== '')
    .join('  ')
}

/** A span a line, indented below its parent; those of `marked` begin with a star. */
export function traceLines({ traceId, spans }: Trace, marked: ReadonlySet<string> = new Set()): string[] {
  const known = new Set(spans.map(({ spanId }) => spanId))
  const lines = [`trace ${traceId}`]
  const visited = new Set<Span>()
  const visit = (span: Span, depth: number): void => {
    if (visited.has(span)) return
    visited.add(span)
    lines.push(`${'  '.repeat(depth)}${spanText(span, marked.has(span.spanId) ? '* ' : '  ')}`)
    for (const child of spans) if (child.parentId === span.spanId) visit(child, depth + 1)
  }
  for (const span of spans) if (!known.has(span.parentId)) visit(span, 0)
  // Spans that are their own ancestors.
  for (const span of spans) visit(span, 0)
  return lines
}
