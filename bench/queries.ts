/** What dashboards ask: instant, 1 h, 24 h and 7 d, of one series to ten thousand. */

export interface DashboardQuery {
  path: string
  parameters: Record<string, string>
}

type RangeQuery = (query: string, hours: number, points: number) => DashboardQuery

function rangeUntil(end: number): RangeQuery {
  return (query, hours, points) => ({
    path: '/api/v1/query_range',
    parameters: {
      query,
      start: String(end - hours * 3600),
      end: String(end),
      step: String(Math.max(15, Math.floor((hours * 3600) / points))),
    },
  })
}

/** Functions over windows that overlap: 400 steps over a day of one namespace's series. */
export function functionQueries(endMs: number): DashboardQuery[] {
  const range = rangeUntil(endMs / 1000)
  const window = 'bench_http_requests_total_9{namespace="team-3"}[1h]'
  return [
    `predict_linear(${window}, 3600)`,
    `quantile_over_time(0.9, ${window})`,
    `stddev_over_time(${window})`,
    `deriv(${window})`,
    `changes(${window})`,
    'avg_over_time(bench_http_requests_total_9[1h])',
    'sum by (job) (rate(bench_http_requests_total_6[5m]))',
  ].map(query => range(query, 24, 400))
}

export function dashboardQueries(endMs: number): DashboardQuery[] {
  const end = endMs / 1000
  const range = rangeUntil(end)
  const instant = (query: string): DashboardQuery => ({
    path: '/api/v1/query',
    parameters: { query, time: String(end) },
  })
  const one = 'bench_http_requests_total_4{instance="10.0.0.3:9100",handler="/api/v1/resource/3"}'
  return [
    instant(one),
    instant('count({__name__=~"bench_.+"})'),
    instant('sum by (job) (rate(bench_http_requests_total_4[10m]))'),
    instant('topk(5, rate(bench_http_requests_total_5[10m]))'),
    instant('sum(bench_http_requests_total_1)'),
    instant('count by (namespace) (bench_http_requests_total_9)'),
    instant('max by (pod) (bench_http_requests_total_9) > 50'),
    instant('quantile(0.9, bench_http_requests_total_9)'),
    range(`rate(${one}[10m])`, 1, 240),
    range('sum(rate(bench_http_requests_total_4[10m]))', 1, 240),
    range('sum by (code) (rate(bench_http_requests_total_5[10m]))', 1, 240),
    range('avg by (namespace) (bench_http_requests_total_9)', 1, 240),
    range('bench_http_requests_total_9{namespace="team-3"}', 1, 240),
    range('sum by (job) (rate({__name__=~"bench_http_requests_total_[3-6]"}[10m]))', 1, 120),
    range(`rate(${one}[15m])`, 24, 400),
    range('sum(rate(bench_http_requests_total_4[15m]))', 24, 400),
    range('sum by (code) (rate(bench_http_requests_total_5[15m]))', 24, 400),
    range('avg by (namespace) (bench_http_requests_total_9)', 24, 400),
    range('max_over_time(bench_http_requests_total_9{namespace="team-3"}[30m])', 24, 400),
    range('topk(5, sum by (pod) (rate(bench_http_requests_total_6[15m])))', 24, 200),
    range(
      'sum by (job) (rate(bench_http_requests_total_3[15m])) / sum by (job) (rate(bench_http_requests_total_4[15m]))',
      24,
      400,
    ),
    range('increase(bench_http_requests_total_7{handler="/api/v1/resource/7",job="kubernetes-pods-1"}[1h])', 24, 200),
    range(`rate(${one}[1h])`, 168, 500),
    range('sum(rate(bench_http_requests_total_4[1h]))', 168, 500),
    range('sum by (code) (rate(bench_http_requests_total_5[1h]))', 168, 500),
    range('avg by (namespace) (bench_http_requests_total_9)', 168, 500),
    range('avg_over_time(bench_http_requests_total_9{namespace="team-3"}[1h])', 168, 300),
    range('count(bench_http_requests_total_1)', 168, 300),
    range('max by (job) (bench_http_requests_total_9)', 168, 300),
    range('min_over_time(bench_http_requests_total_9{job="kubernetes-pods-2"}[6h])', 168, 200),
    range('sum by (namespace) (increase(bench_http_requests_total_6[6h]))', 168, 100),
    range('histogram_quantile(0.9, sum by (le) (rate(bench_http_requests_total_5[1h])))', 168, 100),
  ]
}

/** Queries whose cost is looked at by itself: what the row is called, and the query. */
export function namedQueries(endMs: number): { work: string; query: DashboardQuery }[] {
  const all = [...dashboardQueries(endMs), ...functionQueries(endMs)]
  const find = (beginning: string, hours: number): DashboardQuery => {
    const found = all.find(
      ({ parameters: { query, start, end } }) =>
        query!.startsWith(beginning) && (end === undefined ? 0 : (Number(end) - Number(start)) / 3600) === hours,
    )
    if (found === undefined) throw new Error(`no query begins with ${beginning} over ${hours} h`)
    return found
  }
  return [
    { work: 'predict_linear over 1 h, 24 h', query: find('predict_linear', 24) },
    { work: 'quantile_over_time over 1 h, 24 h', query: find('quantile_over_time', 24) },
    { work: 'sum of rates, 24 h', query: find('sum(rate(', 24) },
    { work: 'avg_over_time over 1 h, 24 h', query: find('avg_over_time', 24) },
    { work: 'avg_over_time over 1 h, 7 d', query: find('avg_over_time', 168) },
    { work: 'a single series, one moment', query: find('bench_http_requests_total_4{', 0) },
    { work: 'a single series, 1 h', query: find('rate(bench_http_requests_total_4{', 1) },
    { work: 'a single series, 24 h', query: find('rate(bench_http_requests_total_4{', 24) },
    { work: 'a single series, 7 d', query: find('rate(bench_http_requests_total_4{', 168) },
  ]
}
