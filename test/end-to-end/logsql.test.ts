/** LogsQL over VictoriaLogs' API: filters, pipes, stats, the endpoints. Covers req-050. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { runTercet, type Running } from '../run-tercet.ts'

let run: Running
const day = '2026-11-20'
const rows = [
  {
    _time: `${day}T10:00:00.000000001Z`,
    _msg: 'user login failed: bad password',
    app: 'web',
    level: 'error',
    ip: '10.0.0.5',
    ms: '12.5',
    user: { id: '7' },
  },
  {
    _time: `${day}T10:00:01Z`,
    _msg: 'user login ok',
    app: 'web',
    level: 'info',
    ip: '10.0.1.9',
    ms: '3',
    user: { id: '7' },
  },
  {
    _time: `${day}T10:05:00Z`,
    _msg: 'GET /api/v1/items status=200 took=15ms',
    app: 'api',
    level: 'info',
    ip: '192.168.1.1',
    ms: '15',
  },
  {
    _time: `${day}T11:00:00Z`,
    _msg: 'GET /api/v1/items status=500 took=1.2s',
    app: 'api',
    level: 'error',
    ip: '192.168.1.2',
    ms: '1200',
  },
  { _time: `${day}T11:30:00Z`, _msg: '{"event":"paid","amount":42,"nested":{"a":"b"}}', app: 'shop', level: 'warn' },
  { _time: `${day}T12:00:00Z`, _msg: 'errors: none; Error handled', app: 'shop', level: 'info', tags: '["x","y"]' },
]
before(async () => {
  run = await runTercet(['logs.retention=inf', 'logs.out_of_order_window=inf'])
  const reply = await fetch(`${run.url}/insert/jsonline?_stream_fields=app`, {
    method: 'POST',
    body: rows.map(r => JSON.stringify(r)).join('\n'),
  })
  assert.equal(reply.status, 200)
})
after(async () => {
  await run.stop()
})

async function get(path: string, parameters: Record<string, string>): Promise<{ status: number; text: string }> {
  const reply = await fetch(`${run.url}/select/logsql/${path}?${new URLSearchParams(parameters).toString()}`)
  return { status: reply.status, text: await reply.text() }
}
async function query(text: string, extra: Record<string, string> = {}): Promise<Record<string, string>[]> {
  const reply = await get('query', { query: text, ...extra })
  assert.equal(reply.status, 200, `${text}: ${reply.text}`)
  return reply.text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Record<string, string>)
}
/** Which of the rows a filter finds. */
async function found(filter: string): Promise<number[]> {
  const all = await query(filter)
  return all.map(r => rows.findIndex(row => Date.parse(row._time) === Date.parse(r['_time']!))).sort((a, b) => a - b)
}

const filters: [string, number[]][] = [
  ['*', [0, 1, 2, 3, 4, 5]],
  ['login', [0, 1]],
  ['log', []],
  ['log*', [0, 1]],
  ['"user login"', [0, 1]],
  ['login failed', [0]],
  ['login -failed', [1]],
  ['login !failed', [1]],
  ['login and not ok', [0]],
  ['failed or ok', [0, 1]],
  ['error', []],
  ['i(error)', [5]],
  ['errors', [5]],
  ['level:error', [0, 3]],
  ['level:=info', [1, 2, 5]],
  ['level:in(error, warn)', [0, 3, 4]],
  ['level:(error or warn) app:web', [0]],
  ['level:!=info', [0, 3, 4]],
  ['!level:info', [0, 3, 4]],
  ['{app="web"}', [0, 1]],
  ['{app=~"we.*|shop"} login', [0, 1]],
  ['_stream:{app="api"}', [2, 3]],
  ['{app in ("api","shop")}', [2, 3, 4, 5]],
  ['ms:>10', [0, 2, 3]],
  ['ms:range(3, 15]', [0, 2]],
  ['ms:range[3, 15)', [0, 1]],
  ['ms:<=3', [1]],
  ['ip:ipv4_range("10.0.0.0/16")', [0, 1]],
  ['ip:ipv4_range(192.168.1.1, 192.168.1.1)', [2]],
  ['_msg:~"status=[45]"', [3]],
  ['~"(?i)ERROR"', [5]],
  ['_msg:len_range(1, 20)', [1]],
  ['user.id:7', [0, 1]],
  ['user.id:""', [2, 3, 4, 5]],
  ['user.id:*', [0, 1]],
  ['seq("GET", "500")', [3]],
  ['contains_all(GET, "status=200")', [2]],
  ['level:~"^(warn|error)$"', [0, 3, 4]],
  [`_time:[${day}T10:00:01Z, ${day}T11:00:00Z)`, [1, 2]],
  [`_time:${day}T10`, [0, 1, 2]],
  [`_time:>${day}T11:00:00Z`, [4, 5]],
  [`_time:${day}T10:00:00Z`, [0]],
  ['_time:day_range[11:00, 12:00)', [3, 4]],
  ['_time:1h', []],
  ['="user login ok"', [1]],
  ['="user login"*', [0, 1]],
  ['level:eq_field(level)', [0, 1, 2, 3, 4, 5]],
]
for (const [filter, expected] of filters)
  test(`filter ${filter}`, async () => {
    assert.deepEqual(await found(filter), expected)
  })

test('a row as it is printed (req-050)', async () => {
  const [row] = await query('"bad password"')
  const { _stream_id, ...rest } = row!
  assert.equal(_stream_id!.length, 48)
  assert.deepEqual(rest, {
    _time: `${day}T10:00:00.000000001Z`,
    _stream: '{app="web"}',
    _msg: 'user login failed: bad password',
    app: 'web',
    level: 'error',
    ip: '10.0.0.5',
    ms: '12.5',
    'user.id': '7',
  })
})

const pipes: [string, Record<string, string>[]][] = [
  ['app:in(level:warn | fields app) | stats count() n', [{ n: '2' }]],
  [
    'level:error | fields app, ms | join by (app) (level:info | stats by (app) count() infos) | ' +
      'sort by (ms) | fields app, infos',
    [
      { app: 'web', infos: '1' },
      { app: 'api', infos: '1' },
    ],
  ],
  [
    '* | stats by (app) count() n | join by (app) (level:warn | ' +
      'stats by (app) count() warns) inner prefix w_ | fields app, n, w_warns',
    [{ app: 'shop', n: '2', w_warns: '1' }],
  ],
  [
    'level:warn | fields app | union (level:error | fields app | sort by (app))',
    [{ app: 'shop' }, { app: 'api' }, { app: 'web' }],
  ],
  [
    '"status=500" | stream_context before 1 | fields _msg',
    [{ _msg: 'GET /api/v1/items status=200 took=15ms' }, { _msg: 'GET /api/v1/items status=500 took=1.2s' }],
  ],
  [
    'ms:* | running_stats by (app) sum(ms) as total, count() as n | fields app, total, n',
    [
      { app: 'web', total: '12.5', n: '1' },
      { app: 'web', total: '15.5', n: '2' },
      { app: 'api', total: '15', n: '1' },
      { app: 'api', total: '1215', n: '2' },
    ],
  ],
  ['ms:* app:web | total_stats sum(ms) as total | fields total', [{ total: '15.5' }, { total: '15.5' }]],
  ['"login ok" | split " " as words | fields words', [{ words: '["user","login","ok"]' }]],
  ['"login ok" | set_stream_fields level, app | fields _stream', [{ _stream: '{app="web",level="info"}' }]],
  ['"login failed" | time_add 1h | fields _time', [{ _time: `${day}T11:00:00.000000001Z` }]],
  ['* | stats count() as n', [{ n: '6' }]],
  [
    '* | stats by (level) count() as n, max(ms) m | sort by (level)',
    [
      { level: 'error', n: '2', m: '1200' },
      { level: 'info', n: '3', m: '15' },
      { level: 'warn', n: '1' },
    ],
  ],
  [
    '* | stats by (_time:1h) count() | sort by (_time)',
    [
      { _time: `${day}T10:00:00Z`, 'count(*)': '3' },
      { _time: `${day}T11:00:00Z`, 'count(*)': '2' },
      { _time: `${day}T12:00:00Z`, 'count(*)': '1' },
    ],
  ],
  ['* | count() if (error or level:error) as e', [{ e: '2' }]],
  [
    'ms:* | stats sum(ms) s, avg(ms) a, min(ms) lo, median(ms) m, count_uniq(app) u, uniq_values(level) v',
    [{ s: '1230.5', a: '307.625', lo: '3', m: '15', u: '2', v: '["error","info"]' }],
  ],
  ['* | sort by (ms desc) limit 2 | fields ms', [{ ms: '1200' }, { ms: '15' }]],
  [
    'login | sort by (_time) | fields _msg, lev*',
    [
      { _msg: 'user login failed: bad password', level: 'error' },
      { _msg: 'user login ok', level: 'info' },
    ],
  ],
  ['* | uniq by (app) | sort by (app)', [{ app: 'api' }, { app: 'shop' }, { app: 'web' }]],
  ['* | top 1 by (level)', [{ level: 'info', hits: '3' }]],
  [
    '{app="api"} | extract "status=<status> took=<took>" | sort by (_time) | fields status, took',
    [
      { status: '200', took: '15ms' },
      { status: '500', took: '1.2s' },
    ],
  ],
  [
    '{app="api"} | extract_regexp "status=(?P<s>[0-9]+)" | s:=500 | fields s'.replace('| s:=500', '| filter s:=500'),
    [{ s: '500' }],
  ],
  ['paid | unpack_json | fields event, amount, nested.a', [{ event: 'paid', amount: '42', 'nested.a': 'b' }]],
  ['paid | unpack_json fields (event) result_prefix "j_" | fields j_event, amount', [{ j_event: 'paid' }]],
  ['{app="api"} 200 | unpack_logfmt | fields status, took', [{ status: '200', took: '15ms' }]],
  ['login ok | format "<level>: <q:_msg>" as out | fields out', [{ out: 'info: "user login ok"' }]],
  ['login ok | math ms * 2 + 1 as x, round(ms / 2, 0.5) as y | fields x, y', [{ x: '7', y: '1.5' }]],
  [
    'login ok | rename level as severity | copy severity as s2 | fields severity, s2, level',
    [{ severity: 'info', s2: 'info' }],
  ],
  ['login ok | replace ("user", "USER") | replace_regexp ("o(k)", "<$1>") | fields _msg', [{ _msg: 'USER login <k>' }]],
  ['handled | unroll by (tags) | fields tags', [{ tags: 'x' }, { tags: 'y' }]],
  ['login ok | delete ip, ms, user.id, _stream*, _time', [{ _msg: 'user login ok', app: 'web', level: 'info' }]],
  [
    '* | field_values app | sort by (app) | fields app, hits',
    [
      { app: 'api', hits: '2' },
      { app: 'shop', hits: '2' },
      { app: 'web', hits: '2' },
    ],
  ],
  ['* | sort by (_time) | offset 1 | limit 1 | fields _msg', [{ _msg: 'user login ok' }]],
  ['login ok | pack_json fields (level, app) as p | fields p', [{ p: '{"level":"info","app":"web"}' }]],
]
for (const [text, expected] of pipes)
  test(`pipes ${text}`, async () => {
    assert.deepEqual(await query(text), expected)
  })

test('limit gives the newest, in the order of time', async () => {
  assert.deepEqual(
    (await query('*', { limit: '2' })).map(r => r['_time']),
    [`${day}T11:30:00Z`, `${day}T12:00:00Z`],
  )
  assert.deepEqual((await query('*', { start: `${day}T11:00:00Z`, end: `${day}T11:45:00Z` })).length, 2)
})

test('hits, stats, names and values (req-050)', async () => {
  const hits = JSON.parse((await get('hits', { query: '*', step: '1h', field: 'level' })).text) as {
    hits: { fields: unknown; timestamps: string[]; values: number[]; total: number }[]
  }
  assert.deepEqual(
    hits.hits.map(h => [h.fields, h.total]),
    [
      [{ level: 'error' }, 2],
      [{ level: 'info' }, 3],
      [{ level: 'warn' }, 1],
    ],
  )
  assert.deepEqual(hits.hits[0]!.timestamps, [`${day}T10:00:00Z`, `${day}T11:00:00Z`])
  const stats = JSON.parse(
    (await get('stats_query', { query: '* | stats by (level) count() n', time: `${day}T13:00:00Z` })).text,
  ) as { data: { result: { metric: Record<string, string>; value: unknown }[] } }
  assert.deepEqual(
    stats.data.result.find(r => r.metric['level'] === 'warn'),
    { metric: { __name__: 'n', level: 'warn' }, value: [Date.parse(`${day}T13:00:00Z`) / 1000, '1'] },
  )
  const range = JSON.parse(
    (
      await get('stats_query_range', {
        query: '* | stats count() n',
        start: `${day}T10:00:00Z`,
        end: `${day}T13:00:00Z`,
        step: '1h',
      })
    ).text,
  ) as { data: { resultType: string; result: { values: [number, string][] }[] } }
  assert.deepEqual([range.data.resultType, range.data.result[0]!.values.map(v => v[1])], ['matrix', ['3', '2', '1']])
  assert.deepEqual(JSON.parse((await get('field_values', { query: '*', field: 'level' })).text), {
    values: [
      { value: 'info', hits: 3 },
      { value: 'error', hits: 2 },
      { value: 'warn', hits: 1 },
    ],
  })
  assert.deepEqual(JSON.parse((await get('streams', { query: 'login' })).text), {
    values: [{ value: '{app="web"}', hits: 2 }],
  })
  assert.deepEqual(JSON.parse((await get('stream_field_names', { query: '*' })).text), {
    values: [{ value: 'app', hits: 6 }],
  })
  assert.deepEqual(JSON.parse((await get('stream_field_values', { query: 'login', field: 'app' })).text), {
    values: [{ value: 'web', hits: 2 }],
  })
  const names = JSON.parse((await get('field_names', { query: 'login' })).text) as {
    values: { value: string; hits: number }[]
  }
  assert.deepEqual(names.values.map(v => v.value).sort(), [
    '_msg',
    '_stream',
    '_stream_id',
    '_time',
    'app',
    'ip',
    'level',
    'ms',
    'user.id',
  ])
  const facets = JSON.parse((await get('facets', { query: '*' })).text) as {
    facets: { field_name: string; values: unknown[] }[]
  }
  assert.deepEqual(facets.facets.find(f => f.field_name === 'level')!.values[0], { field_value: 'info', hits: 3 })
})

test('what is no LogsQL but LogQL is answered as that; what is neither is refused with a place', async () => {
  assert.deepEqual(
    (await query('{app="api"} |= "status=500"')).map(r => r['_msg']),
    ['GET /api/v1/items status=500 took=1.2s'],
  )
  assert.deepEqual(
    (await query('{app="api"} | logfmt | status="200"')).map(r => r['status']),
    ['200'],
  )
  const bad = await get('query', { query: 'level:in(error' })
  assert.equal(bad.status, 400)
  assert.match(bad.text, /position 15/)
  assert.equal((await get('query', { query: '* | nonsense(' })).status, 400)
  assert.equal((await get('query', {})).status, 400)
})

test('a tail answers with new lines as they come, over HTTP', async () => {
  const refused = await get('tail', { query: '* | stats count()' })
  assert.equal(refused.status, 400)
  const away = new AbortController()
  const reply = await fetch(`${run.url}/select/logsql/tail?query=followed`, { signal: away.signal })
  const reader = reply.body!.getReader()
  await fetch(`${run.url}/insert/jsonline?_stream_fields=app`, {
    method: 'POST',
    body: JSON.stringify({ _time: new Date().toISOString(), _msg: 'followed line', app: 'tailed' }),
  })
  let text = ''
  while (!text.endsWith('\n')) text += Buffer.from((await reader.read()).value!).toString()
  const { _msg: line, app } = JSON.parse(text) as Record<string, string>
  assert.deepEqual([reply.headers.get('content-encoding'), line, app], [null, 'followed line', 'tailed'])
  assert.equal(reply.headers.get('content-type'), 'application/x-ndjson')
  away.abort()
})
