/** Links to the lines of the same thing as a series, an alert or a span has: by labels that the logs really have. */
import type { ComponentChildren } from 'preact'
import { queryLogs } from '../api.ts'
import { selectorOf } from '../format.ts'
import { go, linkTo } from '../router.ts'

const thingLabels: ReadonlySet<string> = new Set([
  'job',
  'app',
  'service',
  'service_name',
  'namespace',
  'pod',
  'container',
])

/** Queries for the lines of what has these labels, the narrowest first; at last those of every stream. */
export function logQueriesOf(labels: Readonly<Record<string, string>>): string[] {
  const kept = Object.entries(labels).filter(([name]) => thingLabels.has(name))
  const service = labels['service_name'] ?? labels['service'] ?? labels['job'] ?? labels['app']
  const ofService = ['service_name', 'job', 'app'].map(name => selectorOf({ [name]: service ?? '' }))
  return [
    ...(kept.length === 0 ? [] : [selectorOf(Object.fromEntries(kept))]),
    ...(service === undefined ? [] : ofService),
    '{service_name=~".+"}',
  ]
}

/** Queries for the lines of a trace: SDKs of OpenTelemetry put its id into metadata, others into the text. */
export function logQueriesOfTrace(service: string, traceId: string): string[] {
  const selector = selectorOf({ service_name: service })
  const id = JSON.stringify(traceId)
  return [`${selector} | trace_id=${id}`, `${selector} |= ${id}`]
}

/** The first query that finds a line; the first of all where none does, or where it can't be asked. */
async function firstWithLines(queries: readonly string[], start: number, end: number): Promise<string> {
  const first = queries[0] ?? ''
  try {
    for (const query of queries) if ((await queryLogs(query, start, end, 1, 'backward')).result.length > 0) return query
  } catch {
    // The page of the logs says what is wrong.
  }
  return first
}

interface LogsLinkProps {
  queries: readonly string[]
  minutes: number
  /** Unix seconds. */
  end: number
  children: ComponentChildren
}

/** Which of the queries it is, is asked when the link is followed. */
export function LogsLink({ queries, minutes, end, children }: LogsLinkProps) {
  const to = (q: string): string => linkTo('/ui/logs', { q, range: `${minutes}m`, end: String(end) })
  const follow = (event: MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    void firstWithLines(queries, end - minutes * 60, end).then(query => {
      go(to(query))
      document.getElementById('main')?.focus()
    })
  }
  return (
    <a href={to(queries[0] ?? '')} onClick={follow}>
      {children}
    </a>
  )
}
