/** Questions of the HTTP API beside queries: endpoints, their parameters, and what is wrong with them. */
import type { Question } from '../question.ts'
import { firstMs } from './data.ts'

type Parameters = Readonly<Record<string, string | readonly string[]>>

const form = { 'content-type': 'application/x-www-form-urlencoded' }

export function endpointQuestions(baseMs: number): Question[] {
  const questions: Question[] = []
  const seconds = (minutes: number): string => String(firstMs(baseMs) / 1000 + minutes * 60)
  const rfc = (minutes: number): string => new Date(firstMs(baseMs) + minutes * 60_000).toISOString()
  const get = (id: string, path: string, params: Parameters = {}): void => {
    questions.push({ id: `api/${id}`, path: `/api/v1/${path}`, params })
  }
  const post = (id: string, path: string, body: string): void => {
    questions.push({ id: `api/${id}`, path: `/api/v1/${path}`, method: 'POST', headers: form, body })
  }
  const window = { start: seconds(0), end: seconds(90) }

  // --- query ---
  for (const [id, time] of Object.entries({
    rfc: rfc(50),
    'rfc zone': rfc(50).replace('Z', '+00:00'),
    fraction: `${seconds(50)}.25`,
    exponent: '1e3',
    negative: '-5',
    empty: '',
    text: 'now',
    date: '2020-01-01',
    huge: '1e30',
    nan: 'NaN',
    inf: 'Inf',
  }))
    if (time !== '') get(`query/time/${id}`, 'query', { query: 'time()', time })
  for (const timeout of ['1s', '1000', '0', '-1s', 'x', '1h', ''])
    get(`query/timeout/${timeout}`, 'query', { query: 'temp', time: seconds(50), timeout })
  for (const limit of ['0', '1', '2', '100', '-1', 'x', '1.5', ''])
    get(`query/limit/${limit}`, 'query', { query: 'sort(temp)', time: seconds(50), limit })
  for (const lookback_delta of ['1m', '30s', '0', '600', 'x', '-1m'])
    get(`query/lookback/${lookback_delta}`, 'query', { query: 'ends', time: `${Number(seconds(45))}`, lookback_delta })
  get('query/none', 'query')
  get('query/only time', 'query', { time: seconds(50) })
  get('query/twice', 'query', { query: ['1', '2'], time: seconds(50) })
  get('query/unknown parameter', 'query', { query: '1', time: seconds(50), foo: 'bar' })
  post('query/post', 'query', `query=temp&time=${seconds(50)}`)
  post('query/post empty', 'query', '')
  post('query/post bad', 'query', 'query=%zz')
  questions.push({
    id: 'api/query/post parameters',
    path: '/api/v1/query',
    method: 'POST',
    params: { query: '1', time: seconds(50) },
    headers: form,
    body: 'query=2',
  })
  questions.push({ id: 'api/query/put', path: '/api/v1/query', method: 'PUT', params: { query: '1' } })
  questions.push({ id: 'api/query/delete', path: '/api/v1/query', method: 'DELETE', params: { query: '1' } })

  // --- query_range ---
  const range = { query: 'temp', start: seconds(40), end: seconds(50), step: '5m' }
  for (const step of ['60', '1m', '0.5', '1m30s', '0', '-1', 'x', '', '1e-3', '1y', 'NaN', 'Inf', '1e20', '999h'])
    get(`range/step/${step}`, 'query_range', { ...range, step })
  for (const limit of ['0', '1', '2', '-1', 'x']) get(`range/limit/${limit}`, 'query_range', { ...range, limit })
  for (const timeout of ['1s', '0', 'x']) get(`range/timeout/${timeout}`, 'query_range', { ...range, timeout })
  for (const lookback_delta of ['1m', 'x', '-5'])
    get(`range/lookback/${lookback_delta}`, 'query_range', { ...range, lookback_delta })
  get('range/turned', 'query_range', { ...range, start: seconds(50), end: seconds(40) })
  get('range/instant', 'query_range', { ...range, end: seconds(40) })
  get('range/rfc', 'query_range', { ...range, start: rfc(40), end: rfc(50) })
  get('range/fine', 'query_range', { ...range, start: '0', end: '1000000', step: '1' })
  get('range/at limit', 'query_range', { query: '1', start: '0', end: '11000', step: '1' })
  get('range/over limit', 'query_range', { query: '1', start: '0', end: '11001', step: '1' })
  get('range/bad start', 'query_range', { ...range, start: 'x' })
  get('range/bad end', 'query_range', { ...range, end: 'x' })
  get('range/bad query', 'query_range', { ...range, query: 'temp{' })
  get('range/matrix', 'query_range', { ...range, query: 'temp[5m]' })
  get('range/string', 'query_range', { ...range, query: '"a"' })
  get('range/scalar', 'query_range', { ...range, query: '1' })
  get('range/none', 'query_range')
  for (const name of ['query', 'start', 'end', 'step'] as const) {
    const { [name]: _, ...rest } = range
    get(`range/without ${name}`, 'query_range', rest)
  }
  post('range/post', 'query_range', `query=temp&start=${seconds(40)}&end=${seconds(50)}&step=300`)

  // --- series, labels, values ---
  const matchers = {
    name: 'temp',
    regex: '{__name__=~"temp.*"}',
    label: '{floor="1"}',
    'not label': '{floor!="1",__name__=~"t.+"}',
    none: 'nosuch',
    utf8: '{"utf8.metric"}',
    empty: '{}',
    'empty matcher': '{a=""}',
    broken: 'temp{',
    expression: 'sum(temp)',
    offset: 'temp offset 5m',
    range: 'temp[5m]',
    text: '"a"',
    missing: '',
  }
  for (const [id, match] of Object.entries(matchers)) {
    get(`series/${id}`, 'series', { 'match[]': match, ...window })
    get(`labels/${id}`, 'labels', { 'match[]': match, ...window })
    get(`values/${id}`, 'label/room/values', { 'match[]': match, ...window })
  }
  get('series/none given', 'series')
  get('series/two', 'series', { 'match[]': ['temp', 'odd'], ...window })
  get('series/overlapping', 'series', { 'match[]': ['temp', '{room="a"}'], ...window })
  get('series/no times', 'series', { 'match[]': 'temp' })
  get('series/before', 'series', { 'match[]': 'temp', start: '0', end: '1000' })
  get('series/turned', 'series', { 'match[]': 'temp', start: seconds(50), end: seconds(40) })
  get('series/bad start', 'series', { 'match[]': 'temp', start: 'x' })
  get('series/bad end', 'series', { 'match[]': 'temp', end: 'x' })
  for (const limit of ['0', '1', '2', '100', '-1', 'x']) {
    get(`series/limit/${limit}`, 'series', { 'match[]': 'temp', limit, ...window })
    get(`labels/limit/${limit}`, 'labels', { 'match[]': 'temp', limit, ...window })
    get(`values/limit/${limit}`, 'label/room/values', { limit, ...window })
  }
  post('series/post', 'series', `match[]=temp&start=${seconds(0)}&end=${seconds(90)}`)
  post('labels/post', 'labels', `match[]=temp&start=${seconds(0)}&end=${seconds(90)}`)
  get('labels/all', 'labels', window)
  get('labels/no times', 'labels')
  get('labels/two', 'labels', { 'match[]': ['temp', 'odd'], ...window })
  get('labels/turned', 'labels', { start: seconds(50), end: seconds(40) })
  get('labels/bad start', 'labels', { start: 'x' })
  for (const name of [
    '__name__',
    'room',
    'nosuch',
    'le',
    'i',
    'dotted.name',
    'U__dotted_2e_name',
    'ü',
    '1a',
    'a b',
    'a-b',
  ])
    get(`values/of/${name}`, `label/${encodeURIComponent(name)}/values`, window)
  get('values/two', 'label/floor/values', { 'match[]': ['temp', 'room_info'], ...window })
  get('values/bad start', 'label/room/values', { start: 'x' })
  get('values/turned', 'label/room/values', { start: seconds(50), end: seconds(40) })
  get('values/before', 'label/room/values', { start: '0', end: '1000' })
  questions.push({ id: 'api/values/post', path: '/api/v1/label/room/values', method: 'POST' })

  // --- formatting and parsing ---
  const texts = [
    'sum(rate(temp{a="b"}[5m])) by (job)',
    'a+b*c',
    '-a',
    'sum by (a,b) (c) / on (d) group_left (e) f',
    'temp offset 5m @ 10',
    'rate(temp[5m:1m] offset -1m)',
    '{"utf8.metric","a.b"="c"}',
    '1e10',
    '"text"',
    'a and b or c unless d',
    'a > bool 1',
    'histogram_quantile(0.9, sum(rate(a_very_long_metric_name_of_a_histogram_bucket{label="value",' +
      'other="another"}[5m])) by (le))',
    'temp{',
    '',
    'topk(5, a)',
    'count_values("v", a)',
    '((a))',
    'a[5m]',
    'a @ start()',
    'sum without () (a)',
  ]
  for (const query of texts) {
    get(`format/${query.slice(0, 60)}`, 'format_query', { query })
    get(`parse/${query.slice(0, 60)}`, 'parse_query', { query })
  }
  get('format/none', 'format_query')
  get('parse/none', 'parse_query')
  post('format/post', 'format_query', 'query=a%2Bb')
  post('parse/post', 'parse_query', 'query=a%2Bb')

  // --- exemplars, metadata, targets, rules, alerts ---
  get('exemplars/none', 'query_exemplars', { query: 'temp', ...window })
  get('exemplars/no query', 'query_exemplars', window)
  get('exemplars/bad query', 'query_exemplars', { query: 'temp{', ...window })
  get('exemplars/turned', 'query_exemplars', { query: 'temp', start: seconds(50), end: seconds(40) })
  get('exemplars/bad start', 'query_exemplars', { query: 'temp', start: 'x', end: seconds(40) })
  get('exemplars/bad end', 'query_exemplars', { query: 'temp', start: '0', end: 'x' })
  get('metadata', 'metadata')
  for (const limit of ['0', '1', '-1', 'x', '1.5']) get(`metadata/limit/${limit}`, 'metadata', { limit })
  get('metadata/metric', 'metadata', { metric: 'temp' })
  get('metadata/per metric', 'metadata', { limit_per_metric: 'x' })
  get('targets', 'targets')
  for (const state of ['active', 'dropped', 'any', 'x']) get(`targets/${state}`, 'targets', { state })
  get('targets/metadata', 'targets/metadata')
  get('targets/metadata limit', 'targets/metadata', { limit: 'x' })
  get('targets/metadata match', 'targets/metadata', { match_target: '{' })
  get('rules', 'rules')
  for (const type of ['alert', 'record', 'x']) get(`rules/type/${type}`, 'rules', { type })
  get('rules/group limit', 'rules', { group_limit: 'x' })
  get('rules/token', 'rules', { group_next_token: 'x' })
  get('rules/match', 'rules', { 'match[]': '{' })
  get('rules/exclude', 'rules', { exclude_alerts: 'x' })
  get('alerts', 'alerts')
  get('alertmanagers', 'alertmanagers')
  get('scrape_pools', 'scrape_pools')

  // --- what there is not ---
  get('nothing', 'nosuch')
  get('root', '')
  get('label', 'label/room')
  get('status', 'status')
  get('status/nosuch', 'status/nosuch')
  get('status/tsdb limit', 'status/tsdb', { limit: 'x' })
  get('status/tsdb limit zero', 'status/tsdb', { limit: '0' })
  get('status/walreplay', 'status/walreplay')
  get('notifications', 'notifications')
  get('features', 'features')
  questions.push({ id: 'api/ready', path: '/-/ready' }, { id: 'api/healthy', path: '/-/healthy' })
  for (const [id, match] of Object.entries({ temp: 'temp', native: 'nat', none: 'nosuch', bad: 'temp{' }))
    questions.push({ id: `api/federate/${id}`, path: '/federate', params: { 'match[]': match } })
  questions.push({ id: 'api/federate/no match', path: '/federate' })
  return questions
}
