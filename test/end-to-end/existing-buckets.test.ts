/**
 * Buckets of other programs in a store that refuses all that is no GET: a process with role=query serves them, refuses
 * whatever is sent to it, and asks the store for nothing else; so does `tercet check bucket`. Covers req-010, req-066.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runCommand } from '../run-cli.ts'
import { runTercet, type Running } from '../run-tercet.ts'
import { S3Server } from '../s3-server.ts'
import { postWrite, writeBody } from '../write-request.ts'

const fixtures = new URL('../../fixtures/', import.meta.url).pathname
let store: S3Server
let running: Running

function put(directory: string, prefix: string): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    if (statSync(path).isDirectory()) put(path, `${prefix}${name}/`)
    else store.objects.set(prefix + name, readFileSync(path))
  }
}

const tempo = join(fixtures, 'tempo/bucket/single-tenant')
const block = readdirSync(tempo).find(id => existsSync(join(tempo, id, 'meta.json')))!
const { startTime } = JSON.parse(readFileSync(join(tempo, block, 'meta.json'), 'utf8')) as { startTime: string }
const traceStart = Date.parse(startTime) / 1000 - 60

const prefixes = ['metrics', 'logs', 'traces'].map(name => `${name}.bucket.s3.prefix=theirs/${name}`)
const flags = (): string[] => [...store.flags, ...prefixes, 'role=query']

before(async () => {
  store = await S3Server.open()
  // As Prometheus and Thanos have them: at the root.
  put(join(fixtures, 'prometheus/blocks'), 'theirs/metrics/')
  put(join(fixtures, 'loki-s3/bucket'), 'theirs/logs/')
  put(join(fixtures, 'tempo/bucket'), 'theirs/traces/')
  store.trouble = ({ method }) =>
    method === 'GET' || method === 'HEAD' ? undefined : { kind: 'refuse', status: 403, code: 'AccessDenied' }
  running = await runTercet([...flags(), 'self_scrape=true', 'self_trace=true'])
})
after(async () => {
  await running.stop()
  await store.close()
})

const onlyRead = (): void => {
  const methods = new Set(store.requests.map(({ method }) => method))
  assert.deepEqual(
    [...methods].filter(method => method !== 'GET' && method !== 'HEAD'),
    [],
  )
}

async function get(path: string): Promise<string> {
  const reply = await fetch(running.url + path)
  const text = await reply.text()
  assert.equal(reply.status, 200, `${path}: ${text}`)
  return text
}

test('all three are served', async () => {
  const blocks = JSON.parse(await get('/api/tercet/blocks')) as { blocks: { signal: string }[]; damaged: unknown[] }
  assert.deepEqual(blocks.damaged, [])
  const names = JSON.parse(await get('/api/v1/label/__name__/values')) as { data: string[] }
  assert.ok(names.data.length > 10)
  const [from, to] = [20777, 20779].map(day => `${day * 86_400}000000000`)
  const lines = await get(`/loki/api/v1/query_range?query={service_name=~".%2B"}&start=${from}&end=${to}`)
  assert.match(lines, /"values":\[\["/)
  const traces = await get(`/api/search?q={}&start=${traceStart}&end=${traceStart + 86_400}`)
  assert.match(traces, /"traceID"/)
})

test('whatever would write is refused, with the reason', async () => {
  const now = Date.now()
  const sample = writeBody([{ labels: [['__name__', 'w']], samples: [[now, 1]] }])
  const json = { 'content-type': 'application/json' }
  const post = (path: string, body: unknown = {}): Promise<Response> =>
    fetch(running.url + path, { method: 'POST', headers: json, body: JSON.stringify(body) })
  const attribute = { key: 'service.name', value: { stringValue: 's' } }
  const span = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), name: 'x', startTimeUnixNano: `${now}000000` }
  const attempts: Record<string, Promise<Response>> = {
    'remote write': postWrite(running.url, sample),
    'Loki push': post('/loki/api/v1/push', { streams: [{ stream: { a: 'b' }, values: [[`${now}000000`, 'x']] }] }),
    OTLP: post('/v1/traces', {
      resourceSpans: [
        {
          resource: { attributes: [attribute] },
          scopeSpans: [{ spans: [{ ...span, endTimeUnixNano: `${now}000001` }] }],
        },
      ],
    }),
    'JSON lines': post('/insert/jsonline?_msg_field=m', { m: 'x' }),
    exposition: fetch(`${running.url}/api/v1/import/prometheus`, { method: 'POST', body: 'w 1\n' }),
    'deletion of series': post('/api/v1/admin/tsdb/delete_series?match[]=up'),
    'clean tombstones': post('/api/v1/admin/tsdb/clean_tombstones'),
    'deletion of lines': post(`/loki/api/v1/delete?query={a="b"}&start=1700000000&end=1700000100`),
  }
  for (const [name, attempt] of Object.entries(attempts)) {
    const reply = await attempt
    const text = await reply.text()
    assert.ok(reply.status >= 400, `${name}: ${reply.status} ${text}`)
    assert.match(text, /serves queries only/, `${name}: ${reply.status} ${text}`)
  }
  onlyRead()
})

test('reload and flush write nothing', async () => {
  for (const path of ['/-/reload', '/-/flush']) await fetch(running.url + path, { method: 'POST' })
  assert.ok(store.count('GET') > 0)
  onlyRead()
})

test('check bucket says what is there, and only reads', async () => {
  const { code, out, err } = await runCommand(['check', 'bucket', ...flags().map(flag => `--${flag}`)])
  assert.equal(code, 0, err + out)
  assert.match(out, /metrics .*tenants=anonymous blocks=3 from=/)
  assert.match(out, /logs .*tenants=fake indexes=2 days=2026-11-20\.\.2026-11-21 prefixes=index_/)
  assert.match(out, /traces .*tenants=single-tenant blocks=1 .*formats=vParquet5:1 compacted=2/)
  onlyRead()
})
