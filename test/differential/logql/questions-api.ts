/** The API beside queries: labels, series, index, detected, patterns, errors of every kind, pushes. */
import type { Question } from '../question.ts'
import type { Asking, Params } from './asking.ts'

const api = '/loki/api/v1'

const selectors: readonly string[] = [
  '{set="odd"}',
  '{set=~"odd|samples"}',
  '{set!=""}',
  '{set="samples", host!="a"}',
  '{set="samples", host=~"a|b"}',
  '{set="samples", missing=""}',
  '{set="samples", missing!="x"}',
  '{set="odd", app=~".*"}',
  '{set="odd", app=~".+"}',
  '{set="odd", app!~".+"}',
  '{set="odd", app=""}',
  '{set="odd", app!=""}',
  '{app="shop"}',
  '{set="nothing"}',
  '{}',
  '{set=~".*"}',
  '{set=""}',
  '{set!="odd"}',
  '{missing=""}',
  '{set=~"fields_.*"}',
  '{service_name="own"}',
  '{service_name=~"c|shop"}',
  '{set="odd", value="new\\nline"}',
  '{set="odd", value=~".*\\\\s.*"}',
  '{value="日本語"}',
  '{set="samples"} |= "x"',
  '{set="samples"} | json',
  'bad',
  '{',
  '{set="a"',
  '{set=}',
  'count_over_time({set="odd"}[5m])',
  '{set="odd"}{set="odd"}',
]

export function askApi(asking: Asking): void {
  const window = asking.window()
  const windowOf = (more: Params = {}): Params => ({ ...window, ...more })
  for (const query of selectors) {
    asking.ask(`labels/${query}`, `${api}/labels`, windowOf({ query }))
    asking.ask(`label-values/${query}`, `${api}/label/value/values`, windowOf({ query }))
    asking.ask(`series/${query}`, `${api}/series`, windowOf({ 'match[]': query }), { asked: 'memory' })
    asking.ask(`stats/${query}`, `${api}/index/stats`, windowOf({ query }), { asked: 'memory' })
    asking.ask(`volume/${query}`, `${api}/index/volume`, windowOf({ query }), { asked: 'memory' })
    asking.ask(`detected-labels/${query}`, `${api}/detected_labels`, windowOf({ query }))
    asking.ask(`patterns/${query}`, `${api}/patterns`, windowOf({ query }))
    asking.ask(`tail/${query}`, `${api}/tail`, { query })
  }
  for (const path of [
    '/labels',
    '/label',
    '/label/set/values',
    '/label/host/values',
    '/label/missing/values',
    '/label/service_name/values',
    '/label/value/values',
    '/label/detected_level/values',
    '/label/a%20b/values',
    '/label/%C3%A9/values',
    '/label//values',
    '/label/x/y/values',
  ])
    asking.ask(
      `list${path}`,
      `${api}${path}`,
      windowOf(path.includes('/set/') ? {} : { query: '{set=~"[^m].*|meta"}' }),
    )
  for (const [name, params] of Object.entries<Params>({
    all_sets: windowOf({ 'match[]': '{set=~"fields_.*|samples"}' }),
    two: windowOf({ 'match[]': ['{set="samples"}', '{set="odd"}'] }),
    match: windowOf({ match: '{set="samples"}' }),
    both: windowOf({ match: '{set="samples"}', 'match[]': '{app="shop"}' }),
    query: windowOf({ query: '{set="samples"}' }),
    short: { start: asking.at(-10 * 60_000), end: asking.at(-9 * 60_000), 'match[]': '{set=~"[^m].*|meta"}' },
    before: { start: asking.at(-100 * 3_600_000), end: asking.at(-99 * 3_600_000), 'match[]': '{set=~"[^m].*|meta"}' },
    reversed: { start: window.end, end: window.start, 'match[]': '{set="odd"}' },
    equal: { start: window.end, end: window.end, 'match[]': '{set="odd"}' },
    bad_start: { start: 'x', 'match[]': '{set="odd"}' },
    bad_second: windowOf({ 'match[]': ['{set="odd"}', 'x'] }),
    limit: windowOf({ 'match[]': '{set="odd"}', limit: '2' }),
    since: { since: '1x', 'match[]': '{set="odd"}' },
    long: { start: asking.at(-722 * 3_600_000), end: window.end, 'match[]': '{set="odd"}' },
  }))
    asking.ask(`series-form/${name}`, `${api}/series`, params, { asked: 'memory' })
  for (const path of [
    '/labels',
    '/label/set/values',
    '/index/stats',
    '/index/volume',
    '/index/volume_range',
    '/detected_labels',
    '/detected_fields',
    '/patterns',
  ])
    for (const [name, params] of Object.entries<Params>({
      bad_start: { start: 'x' },
      bad_end: { start: window.start, end: 'x' },
      reversed: { start: window.end, end: window.start },
      equal: { start: window.end, end: window.end },
      since: { since: 'x' },
      long: { start: asking.at(-722 * 3_600_000), end: window.end },
      no_query: window,
      limit: windowOf({ limit: 'x' }),
      limit_zero: windowOf({ limit: '0' }),
      step: windowOf({ step: 'x' }),
      step_zero: windowOf({ step: '0' }),
    }))
      asking.ask(
        `odd-params${path}/${name}`,
        `${api}${path}`,
        name === 'no_query' ? params : { query: '{set="samples"}', ...params },
        { asked: 'memory' },
      )
  const volumes: Readonly<Record<string, Params>> = {
    target: { query: '{set="samples"}', targetLabels: 'host' },
    targets: { query: '{set="samples"}', targetLabels: 'host,dc' },
    target_other: { query: '{set=~"samples|odd"}', targetLabels: 'host' },
    target_missing: { query: '{set="samples"}', targetLabels: 'missing' },
    labels: { query: '{set="samples"}', aggregateBy: 'labels' },
    series: { query: '{set="samples"}', aggregateBy: 'series' },
    labels_target: { query: '{set="samples"}', aggregateBy: 'labels', targetLabels: 'host' },
    odd: { query: '{set="samples"}', aggregateBy: 'odd' },
    limit: { query: '{set!=""}', limit: '3' },
    all: { query: '{}', limit: '5' },
    all_target: { query: '{}', targetLabels: 'set' },
    all_labels: { query: '{}', aggregateBy: 'labels' },
    matcher: { query: '{set="samples", host=~".+"}' },
    none: { query: '{set="nothing"}' },
    part: { query: '{set="samples"}', start: asking.at(-30 * 60_000), end: asking.at(-20 * 60_000) },
    hour: { query: '{set="hours"}', start: asking.at(-90 * 60_000), end: asking.at(-45 * 60_000) },
  }
  for (const [name, params] of Object.entries(volumes)) {
    asking.ask(`volume-form/${name}`, `${api}/index/volume`, windowOf(params), { asked: 'memory' })
    for (const step of ['1h', '10m', '97m', ''])
      asking.ask(
        `volume-range/${name}/${step}`,
        `${api}/index/volume_range`,
        windowOf({ ...params, ...(step === '' ? {} : { step }) }),
        { asked: 'memory' },
      )
  }
  for (const [name, query] of Object.entries({
    json: '{set="fields_json"}',
    logfmt: '{set="fields_logfmt"}',
    mixed: '{set="fields_mixed"}',
    types: '{set="fields_types"}',
    none: '{set="fields_none"}',
    parsed_json: '{set="fields_json"} | json',
    parsed_logfmt: '{set="fields_logfmt"} | logfmt',
    parsed_mixed: '{set="fields_mixed"} | json | logfmt',
    drop: '{set="fields_mixed"} | json | drop __error__, __error_details__',
    meta: '{set="meta"}',
    meta_json: '{set="meta"} | json',
    samples: '{set="samples"}',
    filter: '{set="fields_json"} |= "u2"',
    label_filter: '{set="fields_json"} | json | lat > 5',
    expression: '{set="fields_json"} | json id="user.id"',
    format: '{set="fields_json"} | json | line_format "x=1"',
    level: '{set="level"}',
    nothing: '{set="nothing"}',
    damaged: '{set="json"}',
    damaged_logfmt: '{set="logfmt"}',
    text: '{set="text"}',
    unpack: '{set="json"} |= "_entry" | unpack',
    regexp: '{set="text"} | regexp "(?P<x>\\\\w+)"',
    label_format: '{set="fields_logfmt"} | logfmt | label_format z=lat',
    pattern: '{set="fields_logfmt"} | pattern "<a> <b>"',
    all: '{set=~"fields_.*"}',
    empty: '{}',
    metric: 'count_over_time({set="meta"}[5m])',
    bad: '{',
  })) {
    asking.ask(`fields/${name}`, `${api}/detected_fields`, windowOf({ query }))
    asking.ask(`fields/limit/${name}`, `${api}/detected_fields`, windowOf({ query, line_limit: '1' }))
    for (const field of ['lat', 'user_id', 'a', 'detected_level', 'missing'])
      asking.ask(`field-values/${name}/${field}`, `${api}/detected_field/${field}/values`, windowOf({ query }))
  }
  for (const params of [
    { limit: 'x' },
    { line_limit: 'x' },
    { line_limit: '0' },
    { field_limit: 'x' },
    { limit: '-1' },
  ])
    asking.ask(
      `fields/form/${JSON.stringify(params)}`,
      `${api}/detected_fields`,
      windowOf({ query: '{set="fields_types"}', ...params }),
    )
  for (const step of ['10s', '1m', '1h', ''])
    for (const set of ['patterns', 'samples', 'hours'])
      asking.ask(
        `patterns-step/${set}/${step}`,
        `${api}/patterns`,
        windowOf({ query: `{set="${set}"}`, ...(step === '' ? {} : { step }) }),
      )
  for (const [method, path] of [
    ['DELETE', '/query'],
    ['PUT', '/query_range'],
    ['DELETE', '/labels'],
    ['PUT', '/series'],
    ['GET', '/push'],
    ['GET', '/nothing'],
    ['POST', '/status/buildinfo'],
    ['GET', '/query'],
    ['GET', '/query_range'],
    ['GET', '/format_query'],
    ['GET', '/delete'],
    ['POST', '/delete'],
    ['DELETE', '/delete'],
    ['GET', '/index/nothing'],
    ['GET', '/detected_field//values'],
    ['GET', '/status/nothing'],
    ['POST', '/tail'],
  ] as const)
    asking.ask(`method/${method}${path}`, `${api}${path}`, {}, { method })
  asking.ask('shards/one', `${api}/index/shards`, windowOf({ query: '{set="odd"}', targetBytesPerShard: '1MB' }), {
    asked: 'memory',
  })
  asking.ask('status/buildinfo', `${api}/status/buildinfo`)
  for (const path of [
    '/ready',
    '/log_level',
    '/nothing',
    '/loki/api/v1',
    '/loki',
    '/services',
    '/metrics',
    '/config',
    '/ring',
    '/api/prom/label',
    '/api/prom/label/set/values',
    '/loki/api/v1/drilldown-limits',
  ])
    asking.ask(`path${path}`, path, path.startsWith('/api/prom') ? windowOf({}) : {}, { asked: 'memory' })
  for (const [name, query] of Object.entries({
    lines: '{set="repeated"}',
    none: '{set="nothing"}',
    metric: 'count_over_time({set="odd"}[5m])',
    bad: '{',
    pipeline: '{set="json"} | json | a="1"',
  }))
    asking.ask(`legacy/${name}`, '/api/prom/query', windowOf({ query, limit: '5' }))
  asking.ask('legacy/regexp', '/api/prom/query', windowOf({ query: '{set="repeated"}', regexp: 'o.*' }))
  asking.ask('legacy/series', '/api/prom/series', windowOf({ 'match[]': '{set="samples"}' }))
  const form = (values: Readonly<Record<string, string>>): Partial<Question> => ({
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(values).toString(),
  })
  asking.ask(
    'post/query',
    `${api}/query`,
    {},
    form({ query: 'sum(count_over_time({set="samples"}[5m]))', time: asking.at(-60_000) }),
  )
  asking.ask('post/query_range', `${api}/query_range`, {}, form({ query: '{set="repeated"}', ...window }))
  asking.ask(
    'post/mixed',
    `${api}/query_range`,
    { query: '{set="odd"}' },
    form({ query: '{set="repeated"}', ...window }),
  )
  asking.ask('post/series', `${api}/series`, {}, form({ 'match[]': '{set="samples"}', ...window }))
  asking.ask('post/labels', `${api}/labels`, {}, form({ query: '{set="samples"}', ...window }))
  asking.ask(
    'post/volume',
    `${api}/index/volume`,
    {},
    { ...form({ query: '{set="samples"}', ...window }), asked: 'memory' },
  )
  asking.ask('post/format', `${api}/format_query`, {}, form({ query: '{set="samples"}|json' }))
  asking.range('twice/query', '{set="repeated"}', { query: ['{set="repeated"}', '{set="odd"}'] })
  askPushes(asking)
  askRules(asking)
}

/** Pushes that are refused, in part or as a whole: what is stored of them no question asks for. */
function askPushes(asking: Asking): void {
  const now = asking.at(-1000)
  const json = { 'content-type': 'application/json' }
  const push = (id: string, body: string, headers: Readonly<Record<string, string>> = json): void => {
    asking.ask(`push/${id}`, `${api}/push`, {}, { method: 'POST', body, headers, asked: 'memory' })
  }
  const stream = (labels: object, values: readonly unknown[]): string =>
    JSON.stringify({ streams: [{ stream: labels, values }] })
  const labels = { refused: 'push' }
  push('empty', '')
  push('blank', ' ')
  push('object', '{}')
  push('no-streams', '{"streams":[]}')
  push('no-values', stream(labels, []))
  push('no-labels', stream({}, [[now, 'x']]))
  push('array', '[]')
  push('null', 'null')
  push('text', 'text')
  push('cut', '{"streams":[')
  push('cut-late', `{"streams":[{"stream":{"refused":"push"},"values":[["${now}","x"`)
  push('time-number', `{"streams":[{"stream":{"refused":"push"},"values":[[${now},"x"]]}]}`)
  push('time-word', stream(labels, [['x', 'x']]))
  push('time-empty', stream(labels, [['', 'x']]))
  push('time-float', stream(labels, [['1.5', 'x']]))
  push('time-huge', stream(labels, [['99999999999999999999999', 'x']]))
  push('time-negative', stream(labels, [['-5', 'x']]))
  push('line-number', stream(labels, [[now, 5]]))
  push('line-null', stream(labels, [[now, null]]))
  push('line-none', stream(labels, [[now]]))
  push('value-none', stream(labels, [[]]))
  push('value-object', stream(labels, [{}]))
  push('value-text', stream(labels, ['x']))
  push('metadata-number', stream(labels, [[now, 'x', { a: 1 }]]))
  push('metadata-null', stream(labels, [[now, 'x', { a: null }]]))
  push('metadata-nested', stream(labels, [[now, 'x', { a: { b: 'c' } }]]))
  push('metadata-text', stream(labels, [[now, 'x', 'y']]))
  push('metadata-array', stream(labels, [[now, 'x', []]]))
  push('metadata-empty-name', stream(labels, [[now, 'x', { '': 'v' }]]))
  push('metadata-underscore', stream(labels, [[now, 'x', { é: 'v' }]]))
  push(
    'metadata-many',
    stream(labels, [[now, 'x', Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`k${i}`, 'v']))]]),
  )
  push('metadata-large', stream(labels, [[now, 'x', { a: 'v'.repeat(70_000) }]]))
  push('label-number', stream({ refused: 5 }, [[now, 'x']]))
  push('label-null', stream({ refused: null }, [[now, 'x']]))
  push('label-name-dot', stream({ 'a.b': 'x' }, [[now, 'x']]))
  push('label-name-digit', stream({ '1a': 'x' }, [[now, 'x']]))
  push('label-name-empty', stream({ '': 'x' }, [[now, 'x']]))
  push('label-name-space', stream({ 'a b': 'x' }, [[now, 'x']]))
  push('label-name-unicode', stream({ é: 'x' }, [[now, 'x']]))
  push('label-name-long', stream({ ['n'.repeat(1025)]: 'x' }, [[now, 'x']]))
  push('label-value-long', stream({ refused: 'v'.repeat(2049) }, [[now, 'x']]))
  push('labels-many', stream(Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`l${i}`, 'v'])), [[now, 'x']]))
  push('labels-text', `{"streams":[{"stream":"{a=\\"b\\"}","values":[["${now}","x"]]}]}`)
  push('labels-member', `{"streams":[{"labels":"{a=\\"b\\"}","entries":[{"ts":"2026-11-28T00:00:00Z","line":"x"}]}]}`)
  push('line-long', stream(labels, [[now, 'x'.repeat(262_145)]]))
  push('too-new', stream({ refused: 'new' }, [[asking.at(3_600_000), 'x']]))
  push(
    'too-new-mixed',
    stream({ refused: 'new' }, [
      [now, 'good'],
      [asking.at(3_600_000), 'x'],
      [asking.at(7_200_000), 'y'],
    ]),
  )
  push(
    'behind',
    stream({ refused: 'behind' }, [
      [now, 'x'],
      [asking.at(-9_000_000), 'old'],
      [asking.at(-9_000_001), 'older'],
    ]),
  )
  push('unknown-members', JSON.stringify({ streams: [{ stream: labels, values: [[now, 'x']], more: 1 }], other: {} }))
  push('fourth', stream(labels, [[now, 'x', {}, 'y']]))
  push('type-none', stream(labels, [[now, 'x']]), {})
  push('type-text', stream(labels, [[now, 'x']]), { 'content-type': 'text/plain' })
  push('type-charset', stream(labels, [[now, 'x']]), { 'content-type': 'application/json; charset=utf-8' })
  push('type-odd', stream(labels, [[now, 'x']]), { 'content-type': 'application/json;;' })
  push('type-protobuf', 'not snappy', { 'content-type': 'application/x-protobuf' })
  push('encoding-br', stream(labels, [[now, 'x']]), { ...json, 'content-encoding': 'br' })
  push('encoding-gzip', 'not gzip', { ...json, 'content-encoding': 'gzip' })
  push('encoding-snappy', 'not', { ...json, 'content-encoding': 'snappy' })
  asking.ask('push/otlp-empty', '/otlp/v1/logs', {}, { method: 'POST', body: '{}', headers: json, asked: 'memory' })
  asking.ask(
    'push/otlp-cut',
    '/otlp/v1/logs',
    {},
    { method: 'POST', body: '{"resourceLogs":[', headers: json, asked: 'memory' },
  )
  asking.ask(
    'push/otlp-type',
    '/otlp/v1/logs',
    {},
    { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' }, asked: 'memory' },
  )
}

function askRules(asking: Asking): void {
  for (const path of [
    '/loki/api/v1/rules',
    '/api/prom/rules',
    '/loki/api/v1/rules/space',
    '/loki/api/v1/rules/space/group',
    '/prometheus/api/v1/rules',
    '/prometheus/api/v1/alerts',
    '/api/prom/rules/space',
    '/loki/api/v1/alerts',
  ])
    asking.ask(`rules/${path}`, path)
}
