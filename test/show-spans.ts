/** Spans as text, for tests: one line a span, with all that it holds, and one for a resource or scope without any. */
import assert from 'node:assert/strict'
import type { Resource, Scope, Span, Trace } from '#model/trace.ts'

const plain = (value: unknown): string =>
  JSON.stringify(value, (_key, one: unknown) => {
    if (typeof one === 'bigint') return `${one}n`
    return one instanceof Uint8Array ? Buffer.from(one).toString('hex') : one
  })

const ofResource = ({ attributes, dropped }: Resource): string => plain([attributes, dropped])
const ofScope = ({ name, version, attributes, dropped }: Scope): string => plain([name, version, attributes, dropped])

/** What a span holds, however it was read. Of one with a problem only that. */
function ofSpan(span: Span): string {
  if (span.problem !== undefined) return `refused: ${span.problem}`
  const {
    wireFrom: _from,
    wireTo: _to,
    isOutline: _isOutline,
    attributeCount: _count,
    largestBytes: _bytes,
    ...rest
  } = span
  return plain(rest)
}

/** `resource, its schema | scope, its schema | span`. */
export function showSpans({ resources }: Trace): string[] {
  const lines: string[] = []
  for (const { resource, schemaUrl, scopes } of resources) {
    const open = `${ofResource(resource)} ${schemaUrl}`
    if (scopes.length === 0) lines.push(open)
    for (const { scope, schemaUrl: scopeUrl, spans } of scopes) {
      const inner = `${open} | ${ofScope(scope)} ${scopeUrl}`
      if (spans.length === 0) lines.push(inner)
      for (const span of spans) lines.push(`${inner} | ${ofSpan(span)}`)
    }
  }
  return lines
}

/** Of two long lists only the first difference is shown: all of them together would take gigabytes to print. */
export function assertSameLines(actual: readonly string[], expected: readonly string[], what = ''): void {
  const at = expected.findIndex((line, i) => line !== actual[i])
  if (at >= 0) assert.equal(actual[at], expected[at], `${what} line ${at}`)
  assert.equal(actual.length, expected.length, what)
}
