/**
 * A credential that is bound to labels sees what a store would answer that holds nothing else: tenant `full` has the
 * data of several teams, tenant `part` that of one alone. Whatever is hidden has the word `hidden` somewhere in it.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import WebSocket from 'ws'
import { seededRandom, below } from '#core/random.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'
import { postWrite, writeBody } from '../write-request.ts'
import { credentialsFile, type Credential } from './access-world.ts'
import { logqlQuery, logsqlQuery, promqlQuery, traceqlQuery, type Pick } from './questions.ts'

const everybody: Credential = { name: 'everybody', verbs: ['read', 'write', 'rules', 'admin'] }
const bound: Credential = { name: 'bound', verbs: ['read'], labels: '{team="a"}', tenants: ['full', 'part'] }
const bearer = ({ name }: Credential): string => `Bearer token-of-${name}`

const startMs = Math.floor(Date.now() / 60_000) * 60_000 - 600_000
const endMs = startMs + 600_000
const nsOf = (ms: number): string => `${ms}000000`

let run: Running
before(async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'credentials.yaml')
  writeFileSync(file, await credentialsFile([everybody, bound]))
  run = await runTercet(['tenancy=on', `auth.file=${file}`, 'workers=1'], directory)
  // The first half lies in blocks, the second one in memory.
  await fill(0, 10)
  const flushed = await fetch(`${run.url}/-/flush`, { method: 'POST', headers: headersOf(everybody, 'full') })
  assert.ok(flushed.ok)
  await fill(10, 20)
})
after(async () => {
  await run.stop()
})

function headersOf(credential: Credential, tenant: string): Record<string, string> {
  return { authorization: bearer(credential), 'x-scope-orgid': tenant }
}

interface Team {
  /** Undefined: no team at all. */
  readonly team: string | undefined
  readonly envs: readonly string[]
}
const teams: readonly Team[] = [
  { team: 'a', envs: ['prod', 'dev'] },
  { team: 'hidden-b', envs: ['prod', 'hidden-env'] },
  { team: undefined, envs: ['hidden-none'] },
]

async function fill(from: number, to: number): Promise<void> {
  for (const tenant of ['full', 'part'])
    for (const one of tenant === 'full' ? teams : teams.slice(0, 1)) {
      await fillMetrics(tenant, one, from, to)
      await fillLogs(tenant, one, from, to)
    }
  for (const tenant of ['full', 'part']) await fillTraces(tenant, from, to)
}

/** Values of every kind of metric; a hidden team also has metrics that nobody else has. */
async function fillMetrics(tenant: string, { team, envs }: Team, from: number, to: number): Promise<void> {
  const own = team === 'a' ? [] : ['hidden_metric']
  const series = envs.flatMap(env =>
    ['up', 'requests_total', 'temperature', ...own].map(name => ({
      labels: [
        ['__name__', name],
        ['env', env],
        ['instance', `${team ?? 'hidden'}-1`],
        ...(team === undefined ? [] : [['team', team]]),
      ] as [string, string][],
      samples: Array.from({ length: to - from }, (_, i): [number, number] => [
        startMs + (from + i) * 30_000,
        name === 'up' ? 1 : (from + i) * (env === 'prod' ? 3 : 7),
      ]),
    })),
  )
  const written = await postWrite(run.url, writeBody(series), headersOf(everybody, tenant))
  assert.equal(written.status, 204)
}

async function fillLogs(tenant: string, { team, envs }: Team, from: number, to: number): Promise<void> {
  const secret = team === 'a' ? '' : 'hidden'
  const streams = envs.map(env => ({
    stream: { app: `shop${secret}`, env, ...(team === undefined ? {} : { team }) },
    values: Array.from({ length: to - from }, (_, i) => {
      const n = from + i
      const line =
        n % 2 === 0
          ? `{"level":"${n % 4 === 0 ? 'error' : 'info'}","n":${n},"who":"user${n % 3}${secret}","msg":"took ${n}ms"}`
          : `level=warn n=${n} who=user${n % 3}${secret} msg="slow answer ${n}"`
      return [nsOf(startMs + n * 30_000), line, { pod: `pod-${n % 2}${secret}` }]
    }),
  }))
  const pushed = await fetch(`${run.url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { ...headersOf(everybody, tenant), 'content-type': 'application/json' },
    body: JSON.stringify({ streams }),
  })
  assert.equal(pushed.status, 204, await pushed.text())
}

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

/** Traces of team a alone, of a hidden one alone, and of both, whose root is now of the one, now of the other. */
async function fillTraces(tenant: string, from: number, to: number): Promise<void> {
  const resourceSpans: unknown[] = []
  for (let n = from; n < to; n++) {
    const kind = n % 4
    const spanOf = (id: number, parent: number, name: string) => ({
      traceId: hex(n + 1, 32),
      spanId: hex(n * 16 + id, 16),
      ...(parent === 0 ? {} : { parentSpanId: hex(n * 16 + parent, 16) }),
      name,
      kind: 1 + (id % 5),
      startTimeUnixNano: nsOf(startMs + n * 30_000 + id),
      endTimeUnixNano: nsOf(startMs + n * 30_000 + id + 20 * id),
      status: { code: (n + id) % 3 === 0 ? 2 : 0 },
      attributes: [text('who', name.startsWith('hidden') ? 'hidden' : `user${n % 3}`)],
    })
    const shop = { attributes: [text('service.name', 'shop'), text('team', 'a'), text('env', 'prod')] }
    const other = { attributes: [text('service.name', 'hidden-shop'), text('team', 'hidden-b')] }
    const mine = (...spans: unknown[]): void => {
      resourceSpans.push({ resource: shop, scopeSpans: [{ scope: { name: 'lib' }, spans }] })
    }
    const theirs = (...spans: unknown[]): void => {
      if (tenant === 'full')
        resourceSpans.push({ resource: other, scopeSpans: [{ scope: { name: 'hidden-lib' }, spans }] })
    }
    if (kind !== 1) mine(spanOf(1, kind === 3 ? 4 : 0, 'GET /cart'), spanOf(2, 1, 'SELECT'))
    if (kind === 1) theirs(spanOf(1, 0, 'hidden root'))
    if (kind === 2) theirs(spanOf(3, 1, 'hidden child'))
    if (kind === 3) theirs(spanOf(4, 0, 'hidden root'))
  }
  const pushed = await fetch(`${run.url}/v1/traces`, {
    method: 'POST',
    headers: { ...headersOf(everybody, tenant), 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans }),
  })
  assert.equal(pushed.status, 200, await pushed.text())
}

const range = `start=${startMs / 1000}&end=${endMs / 1000}`
const rangeNs = `start=${nsOf(startMs)}&end=${nsOf(endMs)}`
const at = `time=${endMs / 1000 - 15}`

async function ask(credential: Credential, tenant: string, path: string): Promise<{ status: number; body: string }> {
  const reply = await fetch(`${run.url}${path}`, { headers: headersOf(credential, tenant) })
  return { status: reply.status, body: await reply.text() }
}

/** Without what is counted of the work, and in an order of its own. */
function normal(body: string): unknown {
  const lines = body.trim().split('\n')
  try {
    return sorted(JSON.parse(body))
  } catch {
    return lines.sort()
  }
}

const isWork = (key: string): boolean => ['stats', 'metrics', 'inspectedBytes', 'inspectedTraces'].includes(key)

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([key]) => !isWork(key))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]).sort(([a], [b]) => (a! < b! ? -1 : 1)))
}

/** The bound credential gets of `full` what everybody gets of `part`; `within`: nothing that is hidden. */
async function compare(path: string, how: 'equal' | 'within' = 'equal'): Promise<'answered' | 'refused'> {
  const mine = await ask(bound, 'full', path)
  const shown = decodeURIComponent(path)
  if (how === 'within') {
    assert.ok(!mine.body.includes('hidden'), `${shown}: ${mine.body}`)
    return mine.status === 200 ? 'answered' : 'refused'
  }
  const wanted = await ask(everybody, 'part', path)
  assert.equal(mine.status, wanted.status, `${shown}: ${mine.body}; of the part alone: ${wanted.body}`)
  assert.deepEqual(normal(mine.body), normal(wanted.body), shown)
  return mine.status === 200 ? 'answered' : 'refused'
}

const query = encodeURIComponent

/** By language: a question of the generator, as requests. */
const languages: readonly {
  name: string
  make: (pick: Pick) => { text: string; isStructural?: boolean }
  paths: (text: string) => string[]
}[] = [
  {
    name: 'PromQL',
    make: promqlQuery,
    paths: q => [`/api/v1/query?query=${query(q)}&${at}`, `/api/v1/query_range?query=${query(q)}&${range}&step=60`],
  },
  {
    name: 'LogQL',
    make: logqlQuery,
    paths: q => [`/loki/api/v1/query_range?query=${query(q)}&${rangeNs}&step=60&limit=1000`],
  },
  { name: 'LogsQL', make: logsqlQuery, paths: q => [`/select/logsql/query?query=${query(q)}&${range}`] },
  {
    name: 'TraceQL',
    make: traceqlQuery,
    paths: q =>
      /\| *(rate|count_over_time|quantile_over_time|histogram_over_time|min_over_time|compare)\(/.test(q)
        ? [`/api/metrics/query_range?q=${query(q)}&${range}&step=60s`]
        : [`/api/search?q=${query(q)}&${range}&limit=100&spss=100`],
  },
]

for (const { name, make, paths } of languages)
  test(`125 questions of ${name} under a constraint are answered as if nothing else were stored`, async () => {
    const random = seededRandom(22)
    const pick: Pick = list => list[below(random, list.length)]!
    const outcomes = { answered: 0, refused: 0 }
    for (let i = 0; i < 125; i++) {
      const { text: asked, isStructural } = make(pick)
      for (const path of paths(asked)) outcomes[await compare(path, isStructural === true ? 'within' : 'equal')]++
    }
    assert.ok(outcomes.answered > 4 * outcomes.refused, JSON.stringify(outcomes))
  })

const hiddenSelector = query('{team="hidden-b"}')
const matchers = ['', `&match[]=${hiddenSelector}`, `&match[]=${query('{env=~".+"}')}`]
const lists: readonly string[] = [
  ...matchers.flatMap(m => [
    `/api/v1/labels?${range}${m}`,
    `/api/v1/label/__name__/values?${range}${m}`,
    `/api/v1/label/team/values?${range}${m}`,
    `/api/v1/label/env/values?${range}${m}`,
  ]),
  ...matchers
    .slice(1)
    .flatMap(m => [
      `/api/v1/series?${range}${m}`,
      `/api/v1/export?${range}${m}`,
      `/federate?${m.slice(1)}`,
      `/api/v1/query_exemplars?query=up&${range}`,
    ]),
  `/api/v1/metadata`,
  ...['', query('{team="hidden-b"}'), query('{env=~".+"}')].flatMap(q => {
    const asked = q === '' ? '' : `&query=${q}`
    return [
      `/loki/api/v1/labels?${rangeNs}${asked}`,
      `/loki/api/v1/label/team/values?${rangeNs}${asked}`,
      `/loki/api/v1/label/app/values?${rangeNs}${asked}`,
      `/loki/api/v1/detected_labels?${rangeNs}${asked}`,
    ]
  }),
  ...[query('{team="hidden-b"}'), query('{env=~".+"}')].flatMap(q => [
    `/loki/api/v1/series?${rangeNs}&match[]=${q}`,
    `/loki/api/v1/index/stats?${rangeNs}&query=${q}`,
    `/loki/api/v1/index/volume?${rangeNs}&query=${q}`,
    `/loki/api/v1/index/volume_range?${rangeNs}&query=${q}&step=60`,
    `/loki/api/v1/detected_fields?${rangeNs}&query=${q}`,
    `/loki/api/v1/detected_field/who/values?${rangeNs}&query=${q}`,
    `/loki/api/v1/patterns?${rangeNs}&query=${q}`,
    `/api/prom/query?${rangeNs}&query=${q}&limit=1000`,
  ]),
  ...['*', 'team:hidden-b', '{team="hidden-b"}'].flatMap(q =>
    [
      'field_names?',
      'field_values?field=team&',
      'field_values?field=who&',
      'streams?',
      'stream_field_names?',
      'stream_field_values?field=team&',
      'hits?step=1m&field=team&',
      'facets?',
      'stats_query_range?step=1m&',
    ].map(path => {
      const asked = path.startsWith('stats') ? `${q} | stats by (team) count() n` : q
      return `/select/logsql/${path}query=${query(asked)}&${range}`
    }),
  ),
  ...['', `&q=${query('{resource.team="hidden-b"}')}`, `&q=${query('{}')}`].flatMap(q => [
    `/api/search/tags?${range}${q}`,
    `/api/v2/search/tags?${range}${q}`,
    ...[
      'name',
      '.team',
      'resource.service.name',
      'span.who',
      'rootName',
      'rootServiceName',
      'instrumentation:name',
    ].map(tag => `/api/v2/search/tag/${query(tag)}/values?${range}${q}`),
    `/api/search/tag/service.name/values?${range}${q}`,
  ]),
  '/jaeger/api/services',
  '/jaeger/api/services/shop/operations',
  '/jaeger/api/services/hidden-shop/operations',
  '/jaeger/api/operations?service=hidden-shop',
  `/jaeger/api/traces?service=shop&start=${startMs}000&end=${endMs}000&limit=100`,
  `/jaeger/api/traces?service=hidden-shop&start=${startMs}000&end=${endMs}000&limit=100`,
]

test('lists of names, values, series, streams, fields and tags are those of the part alone', async () => {
  for (const path of lists) await compare(path)
})

test('a trace by its id has the spans of the part alone, and is not there where it has none', async () => {
  for (let n = 0; n < 20; n++)
    for (const path of [
      `/api/traces/${hex(n + 1, 32)}`,
      `/api/v2/traces/${hex(n + 1, 32)}`,
      `/jaeger/api/traces/${n + 1}`,
    ])
      await compare(path)
})

test('what can not be kept to labels is refused', async () => {
  for (const path of ['/api/v1/status/tsdb', '/api/v1/status/tsdb/blocks', '/api/v2/alerts', '/metrics', '/config'])
    assert.equal((await ask(bound, 'full', path)).status, 403, path)
})

for (const path of ['/loki/api/v1/tail', '/api/prom/tail'])
  test(`a tail at ${path} follows the lines of the part alone`, async () => {
    const asked = query('{env=~".+"}')
    const socket = new WebSocket(
      `${run.url.replace('http', 'ws')}${path}?query=${asked}&start=${nsOf(startMs)}&limit=500`,
      {
        headers: headersOf(bound, 'full'),
      },
    )
    const frames: string[] = []
    socket.on('message', (data: Buffer) => frames.push(data.toString('utf8')))
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
    await untilTrue(() => frames.length > 0, 'the first lines of the tail')
    const values = (secret: string) => [[nsOf(Date.now()), `new line ${secret}`]]
    await fetch(`${run.url}/loki/api/v1/push`, {
      method: 'POST',
      headers: { ...headersOf(everybody, 'full'), 'content-type': 'application/json' },
      body: JSON.stringify({
        streams: [
          { stream: { env: 'hidden', team: 'hidden-b' }, values: values('hidden') },
          { stream: { env: 'live', team: 'a' }, values: values('shown') },
        ],
      }),
    })
    await untilTrue(() => frames.some(frame => frame.includes('new line shown')), 'the new line')
    socket.terminate()
    assert.ok(!frames.join('').includes('hidden'), frames.join(''))
  })

test('a tail of VictoriaLogs follows the lines of the part alone', async () => {
  const gone = new AbortController()
  const reply = await fetch(`${run.url}/select/logsql/tail?query=*`, {
    headers: headersOf(bound, 'full'),
    signal: gone.signal,
  })
  let seen = ''
  const reading = (async () => {
    for await (const piece of reply.body!) seen += Buffer.from(piece as Uint8Array).toString('utf8')
  })().catch(() => undefined)
  await fetch(`${run.url}/insert/jsonline?_stream_fields=team,env`, {
    method: 'POST',
    headers: headersOf(everybody, 'full'),
    body: ['hidden-b', 'a'].map(team => JSON.stringify({ team, env: team, _msg: `of ${team}`, _time: '0' })).join('\n'),
  })
  await untilTrue(() => seen.includes('of a'), 'the new line')
  gone.abort()
  await reading
  assert.ok(!seen.includes('hidden'), seen)
})
