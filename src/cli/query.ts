/** `tercet query`: asks a running process. */
import { BadDataError } from '#core/errors.ts'
import { terminalOutput } from '#ops/output.ts'
import { jsonFlag, serverFlags, serverOf, type ServerFlag } from './common-flags.ts'
import { makeVerb, type Given } from './verb.ts'

type QueryFlag = ServerFlag | 'json' | 'logs' | 'traces' | 'since' | 'limit' | 'time'

export const query = makeVerb({
  name: 'query',
  summary: 'Asks a running process for metrics, log lines or traces.',
  flags: [
    ...serverFlags,
    jsonFlag,
    { name: 'logs', kind: 'switch', help: 'The expression is LogQL.' },
    { name: 'traces', kind: 'switch', help: 'The expression is TraceQL, or the id of a trace.' },
    {
      name: 'since',
      kind: 'duration',
      help:
        'How far back to look: 1h by default for logs and traces. For metrics it asks for a small chart of each ' +
        'series.',
    },
    {
      name: 'limit',
      kind: 'text',
      placeholder: 'NUMBER',
      help: 'At most so many log lines (default 100) or traces (default 20).',
    },
    {
      name: 'time',
      kind: 'text',
      placeholder: 'TIME',
      help: 'When metrics are evaluated: Unix seconds or RFC 3339; now by default.',
    },
  ],
  words: { shown: 'EXPRESSION', expected: 'one expression; quote it', least: 1, most: 1 },
  examples: [
    "tercet query 'rate(http_requests_total[5m])'",
    "tercet query --json --time=2026-11-21T00:00:00Z 'sum by (job) (up)'",
    "tercet query --since=1h 'sum(rate(http_requests_total[5m]))'   # a small chart of each series",
    `tercet query --logs --since=15m --limit=20 '{app="web"} |= "error" | logfmt | status>=500'`,
    `tercet query --traces --since=15m '{ resource.service.name = "web" && duration > 1s }'`,
    'tercet query --traces 0af7651916cd43dd8448eb211c80319c',
  ],
  async run(given: Given<QueryFlag>) {
    refuseForeignFlags(given)
    const [expr = ''] = given.words
    const common = { server: serverOf(given), isJson: given.isOn('json') }
    const since = given.optional('since')
    const sinceMs = since === undefined ? 3_600_000 : given.durationMs('since')
    const sinceText = since ?? '1h'
    const columns = process.stdout.columns ?? 120
    if (given.isOn('logs')) {
      const { queryLogs } = await import('#ops/log-queries.ts')
      const limit = given.optional('limit') ?? '100'
      return queryLogs({ ...common, query: expr, sinceMs, sinceText, limit, columns }, terminalOutput)
    }
    if (given.isOn('traces')) {
      const { queryTraces } = await import('#ops/trace-queries.ts')
      const limit = given.optional('limit') ?? '20'
      return queryTraces({ ...common, query: expr, sinceMs, sinceText, limit }, terminalOutput)
    }
    const { chartMetrics, queryMetrics } = await import('#ops/metric-queries.ts')
    return since === undefined
      ? queryMetrics({ ...common, expr }, given.optional('time'), terminalOutput)
      : chartMetrics({ ...common, expr }, sinceMs, columns, terminalOutput)
  },
})

/** Throws BadDataError for flags that the kind of query does not have. */
function refuseForeignFlags(given: Given<QueryFlag>): void {
  const isOfLogs = given.isOn('logs')
  const isOfTraces = given.isOn('traces')
  if (isOfLogs && isOfTraces) throw new BadDataError('query takes --logs or --traces, not both')
  if (given.optional('limit') !== undefined && !isOfLogs && !isOfTraces)
    throw new BadDataError('query takes --limit with --logs or --traces alone')
  if (given.optional('time') !== undefined && (isOfLogs || isOfTraces || given.optional('since') !== undefined))
    throw new BadDataError('query takes --time for metrics alone, and without --since')
}
