/** What is asked of a day of lines, in LogQL and, for VictoriaLogs, in LogsQL. */

export interface LogQuery {
  name: string
  logql: string
  logsql: string
  /** Asked for one moment, the end: a window as long as the day. */
  isInstant?: boolean
  /** LogsQL's name of the value; absent: lines are wanted. */
  value?: string
  /** What two programs agree in. */
  compares?: 'sum' | 'mean'
}

const newest = '| sort by (_time desc) limit 100'
const counts = { value: 'n', compares: 'sum' } as const
const hourly = (fields: string): string => `| stats by (_time:1h, ${fields}) count() n`

/** Sixteen. */
export const logQueries: readonly LogQuery[] = [
  {
    name: 'needle',
    logql: '{env="prod"} |= "deadbeefcafe4711"',
    logsql: '{env="prod"} "deadbeefcafe4711" | limit 100',
  },
  {
    name: 'rare word',
    logql: '{app="web"} |= "connection reset" |= "status=500"',
    logsql: `{app="web"} "connection reset" "status=500" ${newest}`,
  },
  {
    name: 'absent token',
    logql: '{app="api"} |= "no-such-token-here"',
    logsql: '{app="api"} "no-such-token-here" | limit 100',
  },
  { name: 'newest 100', logql: '{env="prod"}', logsql: `{env="prod"} ${newest}` },
  {
    name: 'regex',
    logql: '{app="web"} |~ "path=/api/orders/99[0-9] status=5.."',
    logsql: `{app="web"} ~"path=/api/orders/99[0-9] status=5.." ${newest}`,
  },
  {
    name: 'json filter',
    logql: '{app="api"} | json | status>=500 | user_region="eu"',
    logsql: `{app="api"} | unpack_json fields (status, user.region) | filter status:>=500 user.region:eu ${newest}`,
  },
  {
    name: 'logfmt filter',
    logql: '{app="auth"} | logfmt | status="404" | duration>1900ms',
    logsql: `{app="auth"} | unpack_logfmt fields (status, duration) | filter status:404 duration:>1900ms ${newest}`,
  },
  {
    name: 'pattern',
    logql: '{app="nginx"} | pattern `<ip> - - <_> "<method> <path> <_>" <status> <size> <_>` | status="500"',
    logsql:
      '{app="nginx"} | extract "<ip> - - <_> \\"<method> <path> <_>\\" <status> <size> <_>" ' +
      `| filter status:500 ${newest}`,
  },
  {
    name: 'count by level',
    logql: 'sum by (detected_level) (count_over_time({env="prod"}[1h]))',
    logsql: `{env="prod"} ${hourly('detected_level')}`,
    ...counts,
  },
  {
    name: 'count by app',
    logql: 'sum by (app) (count_over_time({env="prod"}[1h]))',
    logsql: `{env="prod"} ${hourly('app')}`,
    ...counts,
  },
  {
    name: 'rate of errors',
    logql: 'sum by (app) (rate({env="prod"} |= "error" [1h]))',
    logsql: '{env="prod"} "error" | stats by (_time:1h, app) count() n | math n / 3600 as n',
    ...counts,
  },
  {
    name: 'bytes',
    logql: 'sum by (app) (bytes_over_time({env="prod"}[1h]))',
    logsql: '{env="prod"} | stats by (_time:1h, app) sum_len(_msg) n',
    ...counts,
  },
  {
    name: 'topk path',
    logql: 'topk(5, sum by (method, status) (count_over_time({app="search"} | logfmt [24h])))',
    logsql:
      '{app="search"} | unpack_logfmt fields (method, status) | stats by (method, status) count() n ' +
      '| sort by (n desc) limit 5',
    isInstant: true,
    ...counts,
  },
  {
    name: 'status by json',
    logql: 'sum by (status) (count_over_time({app="cart"} | json [1h]))',
    logsql: `{app="cart"} | unpack_json fields (status) ${hourly('status')}`,
    ...counts,
  },
  {
    name: 'quantile',
    logql: 'quantile_over_time(0.95, {app="api"} | json | unwrap latency_ms [1h]) by (app)',
    logsql: '{app="api"} | unpack_json fields (latency_ms) | stats by (_time:1h, app) quantile(0.95, latency_ms) n',
    value: 'n',
    compares: 'mean',
  },
  {
    name: 'avg unwrap',
    logql: 'avg by (method) (avg_over_time({app="web"} | logfmt | unwrap duration(duration) [1h]) by (method))',
    logsql:
      '{app="web"} | unpack_logfmt fields (method, duration) | math duration / 1000000000 as seconds ' +
      '| stats by (_time:1h, method) avg(seconds) n',
    value: 'n',
    compares: 'mean',
  },
]

/** Beside the sixteen, each by itself. */
export const otherLogQueries: readonly LogQuery[] = [
  {
    name: 'regex (?i)',
    logql: '{app="web"} |~ "(?i)CONNECTION reset.*orders/77"',
    logsql: `{app="web"} ~"(?i)CONNECTION reset.*orders/77" ${newest}`,
  },
  {
    name: 'errors by pod',
    logql: 'sum by (pod) (count_over_time({env="prod"} |= "error" [1h]))',
    logsql: `{env="prod"} "error" ${hourly('pod')}`,
    ...counts,
  },
  {
    name: 'count by app, 24 h',
    logql: 'sum by (app) (count_over_time({env="prod"}[24h]))',
    logsql: '{env="prod"} | stats by (app) count() n',
    isInstant: true,
    ...counts,
  },
]

export interface LogRequest {
  path: string
  parameters: Readonly<Record<string, string>>
}

/** As Grafana asks for a day: times in seconds, a step of an hour, a hundred lines. */
export function logqlRequest(query: LogQuery, start: number, end: number): LogRequest {
  if (query.isInstant === true)
    return { path: '/loki/api/v1/query', parameters: { query: query.logql, time: String(end) } }
  const range = { start: String(start), end: String(end), step: '3600', limit: '100' }
  return { path: '/loki/api/v1/query_range', parameters: { query: query.logql, ...range } }
}

export function logsqlRequest(query: LogQuery, start: number, end: number): LogRequest {
  const parameters = { query: query.logsql, start: String(start), end: String(end) }
  return { path: '/select/logsql/query', parameters }
}
