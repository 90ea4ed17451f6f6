/** Queries that are refused: texts and places; and what format_query makes of queries. */
import { readFileSync } from 'node:fs'
import type { Asking } from './asking.ts'

/** Refused or not: asked as queries, and to be formatted; one a line. */
const queries: readonly string[] = readFileSync(new URL('queries.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map(line => JSON.parse(line) as string)

/** Refused only when it runs, where there are lines. */
const running: readonly string[] = [
  'count_over_time({set="json"} | json [55m])',
  'sum by (host) (count_over_time({set="text"} | json [60m]))',
  'rate({set="text"} | logfmt --strict [60m])',
  'sum_over_time({set="text"} | regexp "(?P<x>\\\\w+)" | unwrap x [60m])',
  'avg_over_time({set="logfmt"} | logfmt | unwrap lat [60m])',
  'count_over_time({set="logfmt"} | logfmt | bad > 5 [60m])',
  'count_over_time({set="text"} | label_format x="{{.a.b}}" [60m])',
  'count_over_time({set="meta"}[60m])',
  'sum by (a) (rate({set="text"} | unpack [60m]))',
]

export function askErrors(asking: Asking): void {
  for (const query of queries) {
    asking.range(`refused/${query}`, query, { limit: '1', start: asking.at(-120_000), step: '60' })
    asking.ask(`format/${query}`, '/loki/api/v1/format_query', { query })
  }
  for (const query of running) asking.instant(`running/${query}`, query)
}
