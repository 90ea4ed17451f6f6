/** What is asked of the spans: searches, metrics over spans, a trace by its id. */

export interface TraceQuery {
  name: string
  path: string
  parameters: Readonly<Record<string, string>>
}

const searches = [
  '{ }',
  '{ status = error }',
  '{ resource.service.name = "checkout" && span.http.status_code >= 500 }',
  '{ kind = server && duration > 350ms }',
  '{ span.http.method =~ "P.*" }',
  '{ span.user.id = "u77" }',
  '{ span.user.id = "nobody" }',
  '{ .db.system = "redis" && span.retry > 1 }',
  '{ event:name = "exception" && status = error }',
  '{ name = "charge" } >> { name = "SELECT" }',
  '{ resource.service.name = "frontend" } > { status = error }',
  '{ } | count() > 15',
  '{ status = error } | avg(duration) > 350ms',
  '{ resource.service.name = "cart" } | by(span.http.route)',
  '{ nestedSetParent < 0 && duration > 390ms }',
]

const metrics = [
  '{ } | rate() by (resource.service.name)',
  '{ status = error } | count_over_time()',
  '{ } | quantile_over_time(duration, .5, .99) by (resource.service.name)',
  '{ } | histogram_over_time(duration)',
  '{ span.http.status_code >= 500 } | rate() by (span.http.route)',
]

/** Twenty-one; start and end in seconds. */
export function traceQueries(start: number, end: number, oneId: string): TraceQuery[] {
  const range = { start: String(start), end: String(end) }
  return [
    ...searches.map(q => ({ name: q, path: '/api/search', parameters: { q, ...range, limit: '20' } })),
    ...metrics.map(q => ({ name: q, path: '/api/metrics/query_range', parameters: { q, ...range, step: '60s' } })),
    { name: 'by id', path: `/api/traces/${oneId}`, parameters: {} },
  ]
}

/** Beside them: what no span has, and what an editor asks while one types. */
export function otherTraceQueries(start: number, end: number): TraceQuery[] {
  const range = { start: String(start), end: String(end) }
  const absent = '{ span.no.such.attribute = "x" }'
  const values = (tag: string): TraceQuery => ({
    name: `values of ${tag}`,
    path: `/api/v2/search/tag/${tag}/values`,
    parameters: range,
  })
  return [
    { name: absent, path: '/api/search', parameters: { q: absent, ...range, limit: '20' } },
    values('span.user.id'),
    values('resource.service.name'),
    values('name'),
  ]
}
